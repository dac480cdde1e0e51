//! Proves what a format file claims, by enumeration over parameters, levels and kinds of entries.
//!
//! Each module is one claim. All mistakes are reported at once, each once, with the first parameters that show it.

mod address;
mod alike;
mod asked;
mod capabilities;
mod comparisons;
mod completions;
mod configs;
mod cubes;
mod encoder;
mod examples;
mod fallbacks;
mod findings;
mod items;
mod kinds;
mod levels;
mod limits;
mod moves;
mod owners;
mod params;
mod parts;
mod preferences;
mod projection;
mod reads;
mod registers;
mod roots;
mod rows;
mod rules;
mod runs;
mod states;
mod taken;
mod unsaid;
mod used;

use std::collections::{BTreeMap, HashSet};

use crate::bound::{BoundRun, Level, MOST_CASES, Malformed, Params, Shape};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::model::{Class, Facts, Format, Param};
use crate::source::Span;
use crate::words::Word;
use findings::Findings;

/// The rule that what the file says makes sense under the parameters.
const MALFORMED: &str = "malformed";

/// Everything that is wrong with a format.
pub fn check(format: &Format) -> Diagnostics {
    let mut checker = Checker {
        format,
        findings: Findings::new(format),
        used: HashSet::new(),
        idle: HashSet::new(),
        needs_other: HashSet::new(),
        incomplete: false,
        gaps: BTreeMap::new(),
    };
    params::check(&mut checker);
    comparisons::check(&mut checker);
    capabilities::check(&mut checker);
    let legal = roots::check(&mut checker);
    alike::check(&mut checker);
    moves::check(&mut checker);
    states::check_marks(&mut checker);
    levels::check(&mut checker);
    owners::report_gaps(&mut checker);
    registers::check(&mut checker);
    let configs = configs::check(&mut checker);
    completions::check(&mut checker, &configs);
    unsaid::check(&mut checker, &configs);
    parts::check(&mut checker, &configs);
    limits::check(&mut checker, &configs);
    examples::check(&mut checker, &configs);
    // Without legal parameters everything would seem unused, and so would some of what stands beside an expression that
    // cannot be evaluated.
    if legal && !checker.incomplete && !checker.findings.knows(MALFORMED) {
        used::check(&mut checker);
        rules::check(&mut checker);
        taken::check(&mut checker);
    }
    checker.findings.into_diagnostics()
}

/// The state of a check.
struct Checker<'a> {
    format: &'a Format,
    findings: Findings<'a>,
    /// The parts of the file that have an effect under some parameters.
    used: HashSet<Span>,
    /// The parts that exist under some parameters but had no effect there.
    idle: HashSet<Span>,
    /// The fields that need `other`, because some value has no row.
    needs_other: HashSet<Span>,
    /// Whether there were too many combinations of parameters to go through.
    incomplete: bool,
    /// The bits without an owner.
    gaps: BTreeMap<Class, owners::Gap>,
}

impl Checker<'_> {
    /// Reports, once, that not all combinations of these parameters can be checked.
    fn incomplete(&mut self, params: &[&Param]) {
        if std::mem::replace(&mut self.incomplete, true) {
            return;
        }
        let place = params.first().map_or(self.format.name.span, |param| param.name.span);
        let names = params.iter().map(|param| format!("`{}`", param.name.value)).collect::<Vec<_>>().join(", ");
        let message =
            format!("more than {MOST_CASES} combinations of parameters matter together: not all can be checked");
        let help = format!("conditions of entries, sizes or registers depend on {names}: let fewer of them matter");
        self.findings.add(Diagnostic::new(message, place, "this parameter and others").help(help));
    }

    fn malformed(&mut self, params: &Params, problem: &Malformed) {
        self.used.insert(problem.span);
        self.findings
            .under(params, MALFORMED, &[problem.span], || Diagnostic::new(problem.message.clone(), problem.span, ""));
    }
}

/// A shape with the parameters, level and run that it belongs to.
struct Site<'a> {
    params: &'a Params,
    output_bits: u8,
    decode_bits: u8,
    table_bits: u8,
    level: &'a Level,
    shape: &'a Shape,
    run: Option<&'a BoundRun>,
    /// The rights that every leaf grants.
    implies: Facts,
}

impl Site<'_> {
    /// The row of `[[kind]]` that such entries match.
    fn kind(&self) -> Span {
        let kind = self.level.kinds.iter().find(|kind| self.shape.class.is_made_by(kind.is));
        kind.map_or_else(Span::default, |kind| kind.span)
    }
}

/// "a block at level 1", "a page at level 0 in a run of 16".
impl std::fmt::Display for Site<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a {} at level {}", self.shape.class.word(), self.level.level)?;
        match self.run {
            Some(run) => write!(f, " in a run of {}", 1_u64 << run.item_bits),
            None => Ok(()),
        }
    }
}
