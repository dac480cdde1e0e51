//! `[[example.invalidation]]`: the format takes the operation that the example names, with the words that it gives.

use super::{Report, or_none, text};
use crate::bound::Bound;
use crate::eval::{Env, eval};
use crate::interpret::{Invalidation, Means, Round, Stale};
use crate::model::{Code, InvalidationExample, Operand, Scope};

type Register = (String, Option<u64>);

pub(super) fn check(report: &mut Report, bound: &Bound, example: &InvalidationExample) {
    let stale = stale(bound, example);
    let found: Vec<_> = Means::ALL.iter().filter_map(|means| bound.invalidation(*means, &stale)).collect();
    let Some(operation) = &example.operation else {
        let id = found.first().map(|found| found.op.id.value.clone());
        report.compare("operation", None, id, or_none(|id| format!("`{id}`")));
        return;
    };
    // Each means has an operation of its own.
    let same = |found: &&Invalidation<'_>| found.op.id.value == operation.value;
    let Some(found) = found.iter().find(same).or(found.first()) else {
        report.compare("operation", &*operation.value, "none", |id| format!("`{id}`"));
        return;
    };
    report.compare("operation", &*operation.value, &*found.op.id.value, |id| format!("`{id}`"));
    report.compare("how often it is done", example.times, found.times, text);
    if let Some(broadcast) = example.broadcast {
        let reach = |broadcast: &bool| (if *broadcast { "every CPU" } else { "this CPU" }).into();
        report.compare("reach", broadcast, found.op.broadcast, reach);
    }
    if !example.code.is_empty() {
        let op = found.op;
        report
            .compare("code", example.code.clone(), [&op.before[..], &op.code, &op.after].concat(), |units| code(units));
    }
    rounds(report, bound, example, found);
}

/// Compares the first rounds with those of the example, as far as it gives any.
fn rounds(report: &mut Report, bound: &Bound, example: &InvalidationExample, found: &Invalidation<'_>) {
    let round = |index| bound.round(found, index, example.root, example.tag);
    let Some(first) = round(0) else {
        report.0.push("invalidation: the register of the root cannot hold it".into());
        return;
    };
    let at_entry = example.at_entry.as_ref().map(literal);
    if at_entry.is_some() {
        report.compare("what is told at the next entry", at_entry, first.at_entry.clone(), or_none(register));
    }
    let as_many = |wanted: usize, each: &dyn Fn(&Round) -> usize| match each(&first) {
        0 => Vec::new(),
        each => (0..wanted.div_ceil(each) as u64).take_while(|index| *index < found.times).filter_map(round).collect(),
    };
    let operands: Vec<Register> = example.operands.iter().map(literal).collect();
    if !operands.is_empty() {
        let rounds: Vec<Round> = as_many(operands.len(), &|round| round.operands.len());
        let rows: Vec<Register> = rounds.into_iter().flat_map(|round| round.operands).collect();
        report.compare("operands", operands, rows, |all| all.iter().map(register).collect::<Vec<_>>().join(", "));
    }
    let mut words = |what, wanted: &[u64], of: fn(Round) -> Vec<u64>| {
        if !wanted.is_empty() {
            let rounds: Vec<Round> = as_many(wanted.len(), &|round| of(round.clone()).len());
            let rows: Vec<u64> = rounds.into_iter().flat_map(of).collect();
            report.compare(what, wanted.to_vec(), rows, |words| format!("{words:#x?}"));
        }
    };
    words("descriptor", &example.descriptor, |round| round.descriptor);
    words("command", &example.command, |round| round.command);
}

/// What the example says must be invalidated.
fn stale(bound: &Bound, example: &InvalidationExample) -> Stale {
    match example.scope {
        Scope::All => Stale::All,
        Scope::Space => Stale::Space,
        Scope::Address => {
            let page_bits = example.page_bits.unwrap_or(bound.geometry.page_bits);
            let last = example.last(page_bits);
            Stale::Pages { start: example.start, last, leaf_only: example.leaf_only, page_bits }
        }
    }
}

/// An operand whose value is a number.
fn literal(operand: &Operand) -> Register {
    let value = operand.value.as_ref().and_then(|value| eval(value, &Env::bare()).ok());
    (operand.register.clone(), value.map(|value| value as u64))
}

fn register((name, value): &Register) -> String {
    value.map_or_else(|| format!("{name} = &descriptor"), |value| format!("{name} = {value:#x}"))
}

fn code(units: &[Code]) -> String {
    let unit = |unit: &Code| match unit {
        Code::Byte(byte) => format!("{byte:#04x}"),
        Code::Word(word) => format!("{word:#010x}"),
    };
    units.iter().map(unit).collect::<Vec<_>>().join(" ")
}
