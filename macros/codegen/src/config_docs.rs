//! Documentation of `Config`: the roots that exist, and the values of each parameter.

use tablewright_archdefs::model::{Bind, Domain, Param, Root};
use tablewright_archdefs::show;

use crate::docs;
use crate::fold::speaks;
use crate::scope::{Scope, int, is};
use crate::text::{plain, sentence};

/// The documentation of `Config`: a table of the roots that this build can have.
pub(crate) fn roots(scope: &Scope<'_>) -> Vec<String> {
    let rows = scope.format.roots.iter().flat_map(|root| self::rows(scope, root));
    let header = [
        " What varies between machines and between address spaces. The root can have these shapes:",
        "",
        " | levels | input bits | root table | only if |",
        " |---|---|---|---|",
    ];
    header.into_iter().map(String::from).chain(rows).collect()
}

/// The rows of one shape: for each number of levels, first the roots that are no wider than other tables, then the
/// wider ones.
fn rows(scope: &Scope<'_>, root: &Root) -> Vec<String> {
    let when = root.when.as_ref().map_or(int(1), |when| scope.fold(when));
    if is(&when, 0) {
        return Vec::new();
    }
    let when = docs::condition(scope, &when).map_or(String::new(), |when| format!("`{when}`"));
    let entry_bits = scope.entry_bits();
    // An input address has no more than 64 bits, whatever the file's ranges allow.
    let [all_levels, all_bits] = [&root.levels.value, &root.index_bits.value].map(|set| within_64(set));
    let mut rows = Vec::new();
    for levels in all_levels {
        let Some(below) = usize::try_from(levels - 1).ok().and_then(|top| entry_bits.get(top)) else { continue };
        let below = i64::from(*below);
        let index_bits = i64::from(most_index_bits(scope, levels));
        for bits in all_bits.chunk_by(|a, b| (*a > index_bits) == (*b > index_bits)) {
            let input: Vec<i64> = bits.iter().map(|bits| below + bits).collect();
            let size = size(scope.format.word.size, index_bits, (bits[0], bits[bits.len() - 1]));
            rows.push(docs::row(&[&levels.to_string(), &show::set(&input), &size, &when]));
        }
    }
    rows
}

/// Index bits of the largest tables below the root. A narrow root takes as much memory as these.
fn most_index_bits(scope: &Scope<'_>, levels: i64) -> u8 {
    let below = usize::try_from(levels - 1).unwrap_or(0).max(1);
    scope.table_index_bits().into_iter().take(below).max().unwrap_or(0)
}

fn within_64(set: &[i64]) -> Vec<i64> {
    set.iter().copied().filter(|value| (0..=64).contains(value)).collect()
}

/// The sizes of roots whose index bits are from `first` to `last`. A narrow root takes as much memory as other tables.
fn size(word_bits: u8, index_bits: i64, (first, last): (i64, i64)) -> String {
    let size = |bits: i64| show::size((bits.max(index_bits) as u8 + word_bits).max(12));
    if first <= index_bits {
        return size(first);
    }
    let tables = |bits: i64| 1_u128 << (bits - index_bits);
    if first == last {
        return format!("{}, {} tables wide", size(first), tables(first));
    }
    format!("{} to {}, {} to {} tables wide", size(first), size(last), tables(first), tables(last))
}

/// The documentation of a parameter: what it is, when it is bound, its values, and the conditions on them.
pub(crate) fn param(scope: &Scope<'_>, param: &Param) -> Vec<String> {
    let (values, zero) = match &param.domain {
        Domain::Bool => (format!("By default `{}`", param.default == 1), "`false`"),
        Domain::Int(values) => (format!("{}, by default {}", show::set(values), param.default), "0"),
        Domain::Word => (format!("By default {}", show::hex(param.default.cast_unsigned())), "0"),
    };
    let mut docs = vec![format!(" {}", sentence(&param.doc)), String::new()];
    docs.push(format!(" {values}. {}.", bound(scope, param)));
    if let Some(when) = param.when.as_ref().and_then(|when| docs::condition(scope, when)) {
        docs.push(format!(" It must be {zero} unless `{when}`."));
    }
    docs.extend(rules(scope, &param.name.value));
    docs.extend(param.cite.iter().map(|cite| format!(" {}.", plain(cite))));
    docs
}

/// When a parameter gets its value, and where the value comes from.
fn bound(scope: &Scope<'_>, param: &Param) -> &'static str {
    let mut told = scope.format.capabilities.iter().flat_map(|capabilities| &capabilities.values);
    match param.bind {
        Bind::Vm => "Bound for each address space",
        _ if told.any(|row| row.param.value == param.name.value) => "Bound at boot, by [`Config::from_capabilities`]",
        _ => "Bound at boot",
    }
}

/// The conditions that `name`, which is a parameter, `levels` or `input_bits`, must fulfil together with others.
pub(crate) fn rules(scope: &Scope<'_>, name: &str) -> Option<String> {
    let rules = scope.format.levels.requires.iter().map(|rule| scope.fold(&rule.value));
    let rules: Vec<String> = rules.filter(|rule| speaks(rule, name)).map(|rule| format!("`{rule}`")).collect();
    (!rules.is_empty()).then(|| format!(" [`Format::new`] demands {}.", rules.join(" and ")))
}
