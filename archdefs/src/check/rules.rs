//! Each rule of `[levels] requires` excludes something that would be legal without it.

use super::Checker;
use crate::bound::{Values, is_ever_legal};
use crate::diagnostics::Diagnostic;
use crate::eval::names;
use crate::expr::{Expr, Node};
use crate::model::{Domain, Format};

pub(super) fn check(checker: &mut Checker<'_>) {
    let mut others = checker.format.clone();
    // From the last rule to the first, so that of two equal rules the second is reported.
    for (index, rule) in checker.format.levels.requires.iter().enumerate().rev() {
        let not = Node::Not(Box::new(rule.value.clone()));
        others.levels.requires[index].value.node = not;
        if excludes_something(&others, &rule.value) {
            others.levels.requires[index] = rule.clone();
            continue;
        }
        others.levels.requires.remove(index);
        let label = "always true, given what else must hold";
        checker.findings.add(Diagnostic::new("this rule excludes nothing", rule.span, label));
    }
}

/// Whether anything is legal in `opposite`, which has the rule negated. True, too, if that cannot be found out.
fn excludes_something(opposite: &Format, rule: &Expr) -> bool {
    let mut named = Vec::new();
    names(rule, &mut |name, _| named.push(name.to_owned()));
    let of_rule = |name: &str| named.iter().any(|known| known == name);
    let has_any_value = opposite.params.iter().any(|param| param.domain == Domain::Word && of_rule(&param.name.value));
    let wanted = |name: &str| if of_rule(name) { Values::All } else { Values::Needed };
    has_any_value || is_ever_legal(opposite, &wanted) != Some(false)
}
