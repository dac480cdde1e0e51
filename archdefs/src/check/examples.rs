//! The raw values of `[[example.*]]` mean what the examples say.

use std::fmt::Display;

mod invalidation;

use super::Checker;
use crate::bound::{BindError, Bound, Params, Shape};
use crate::diagnostics::Diagnostic;
use crate::interpret::{Decoded, Edit, Refused, Translated};
use crate::model::{
    AccessExample, CapabilityExample, Class, CompletionExample, EditExample, EntryExample, Example, Facts,
    FaultExample, Format, RegisterExample, TranslatedExample,
};
use crate::show;
use crate::words::Word;

pub(super) fn check(checker: &mut Checker<'_>, configs: &[(&str, Bound)]) {
    // One mistake in the rows breaks many examples: they are compared once the rows are consistent.
    if !checker.findings.is_empty() {
        return;
    }
    for example in &checker.format.examples {
        let Some((_, bound)) = configs.iter().find(|(id, _)| *id == example.config().value) else { continue };
        let mut report = Report(Vec::new());
        match example {
            Example::Entry(example) => {
                width(&mut report, bound, example.raw);
                entry(&mut report, bound, example);
            }
            Example::Edit(example) => {
                width(&mut report, bound, example.old | example.new);
                edit(&mut report, bound, example);
            }
            Example::Register(example) => register(&mut report, bound, example),
            Example::Fault(example) => fault(&mut report, bound, example),
            Example::Access(example) => {
                width(&mut report, bound, example.raw);
                access(&mut report, bound, example);
            }
            Example::Capability(example) => capability(&mut report, checker.format, bound, example),
            Example::Invalidation(example) => invalidation::check(&mut report, bound, example),
            Example::Completion(example) => completion(&mut report, bound, example),
            Example::Translated(example) => translated(&mut report, bound, example),
        }
        for line in report.0 {
            checker.findings.add(Diagnostic::new(line, example.span(), "this example"));
        }
    }
}

/// The mismatches of one example.
struct Report(Vec<String>);

impl Report {
    fn compare<T: PartialEq>(&mut self, what: &str, file: T, rows: T, show: impl Fn(&T) -> String) {
        if file != rows {
            self.differs(what, &show(&file), &show(&rows));
        }
    }

    fn differs(&mut self, what: &str, file: &str, rows: &str) {
        self.0.push(format!("{what}: the example says {file}, the rows give {rows}"));
    }
}

fn hex<T: std::fmt::LowerHex>(value: &T) -> String {
    format!("{value:#x}")
}

fn word<T: Word>(value: &T) -> String {
    format!("`{}`", value.word())
}

fn or_none<T: Clone>(show: impl Fn(&T) -> String) -> impl Fn(&Option<T>) -> String {
    move |value| value.as_ref().map_or_else(|| "none".into(), &show)
}

fn text<T: Display>(value: &T) -> String {
    value.to_string()
}

fn width(report: &mut Report, bound: &Bound, raw: u64) {
    if raw & !bound.word.mask() != 0 {
        report.0.push(format!("entry: {raw:#x} has more than {} bits", bound.word.bits()));
    }
}

fn entry(report: &mut Report, bound: &Bound, example: &EntryExample) {
    let decoded = bound.decode(example.level, example.raw);
    // A table leaves every right that its fields do not restrict; an example names only rights that they do.
    let table = bound.level(example.level).and_then(|level| level.table.as_ref());
    let spoken = table.map_or(Facts::empty(), Shape::speaks);
    let leaf_class = if example.level == 0 { Class::Page } else { Class::Block };
    let (class, address, facts, memory, items) = match &decoded {
        Decoded::Invalid => (Class::Invalid, None, None, None, None),
        Decoded::Table(table) => (Class::Table, Some(table.address), Some(table.limit & spoken), None, None),
        Decoded::Leaf(leaf) => (leaf_class, Some(leaf.address), Some(leaf.facts), leaf.memory, Some(leaf.items)),
        Decoded::Reserved(_) => (Class::Reserved, None, None, None, None),
    };
    if class != example.class {
        let why = match &decoded {
            Decoded::Reserved(rule) => format!(" (because of `{rule}`)"),
            _ => String::new(),
        };
        report.differs("kind", &word(&example.class), &(word(&class) + &why));
        return;
    }
    if example.address.is_some() {
        report.compare("address", example.address, address, or_none(hex));
    }
    if example.rights.is_some() {
        report.compare("rights", example.rights, facts, or_none(|facts| format!("`{}`", show::facts(*facts))));
    }
    if example.memory.is_some() {
        report.compare("memory type", example.memory, memory, or_none(word));
    }
    if example.run.is_some() {
        report.compare("items of the run", example.run, items, or_none(text));
    }
    if example.label.is_some() {
        let label = bound.level(example.level).map(|level| level.label);
        report.compare("number of the level", example.label, label, or_none(text));
    }
    if example.written {
        let written = bound.written(example.level, example.raw);
        report.compare("what is written", Some(example.raw), written, or_none(hex));
    }
}

fn edit(report: &mut Report, bound: &Bound, example: &EditExample) {
    let needs_break = bound.edit(example.level, example.old, example.new) == Edit::BreakBeforeMake;
    let show = |needs: &bool| (if *needs { "that it needs a break" } else { "that it is direct" }).into();
    report.compare("edit", example.needs_break, needs_break, show);
}

fn register(report: &mut Report, bound: &Bound, example: &RegisterExample) {
    match bound.registers(example.root, example.tag) {
        Err(Refused::Address(root)) if root & ((1 << bound.geometry.root_bits()) - 1) != 0 => {
            let size = show::size(bound.geometry.root_bits());
            report.0.push(format!("register: the root {root:#x} is not aligned to {size}, as any table of ours is"));
        }
        Err(refused) => report.0.push(format!("register: {refused}")),
        Ok(values) => {
            let value = values.iter().find(|value| value.name == example.register.value);
            report.compare("register", Some(example.raw), value.map(|value| value.value), or_none(hex));
        }
    }
}

fn fault(report: &mut Report, bound: &Bound, example: &FaultExample) {
    let registers = bound.fault.as_ref().map_or(0, |fault| fault.registers.len());
    report.compare("registers of the report", example.report.len(), registers, text);
    let Some(fault) = bound.fault(&example.report) else {
        report.0.push("fault: the rows say that it is not of this translation".into());
        return;
    };
    report.compare("address", example.address, fault.address, or_none(hex));
    report.compare("access", example.access, fault.access, word);
    report.compare("cause", example.cause, fault.cause, word);
    report.compare("level", example.level, fault.level, or_none(text));
    report.compare("width", example.width, fault.width.map(u64::from), or_none(text));
    report.compare("walk of the guest's tables", example.guest_walk, fault.guest_walk, text);
}

fn access(report: &mut Report, bound: &Bound, example: &AccessExample) {
    let registers = bound.access.as_ref().map_or(0, |access| access.registers.len());
    report.compare("registers", example.registers.len(), registers, text);
    let Decoded::Leaf(leaf) = bound.decode(example.level, example.raw) else {
        report.0.push("access: the rows say that this is no leaf".into());
        return;
    };
    let granted = leaf.facts & example.limit;
    let allowed = bound.permits(example.level, example.raw, granted, example.access, &example.registers);
    let show = |allowed: &bool| (if *allowed { "that it is allowed" } else { "that it is denied" }).into();
    report.compare("access", example.allowed, allowed, show);
}

fn completion(report: &mut Report, bound: &Bound, example: &CompletionExample) {
    let file = (!example.command.is_empty()).then(|| example.command.clone());
    let rows = bound.completion(example.signal, example.address, example.data).ok();
    report.compare("command", file, rows, or_none(|words| format!("{words:#x?}")));
}

fn translated(report: &mut Report, bound: &Bound, example: &TranslatedExample) {
    let Some(found) = bound.translated(&example.registers) else {
        report.0.push("translated: the rows do not read so many registers".into());
        return;
    };
    let (address, memory, shareability, cause, level, second_stage, guest_walk) = match found {
        Translated::To { address, memory, shareability } => {
            (Some(address), memory, shareability, None, None, false, false)
        }
        Translated::Fault { cause, level, second_stage, guest_walk } => {
            (None, None, None, Some(cause), level, second_stage, guest_walk)
        }
    };
    report.compare("address", example.address, address, or_none(hex));
    report.compare("memory type", example.memory, memory, or_none(word));
    report.compare("shareability", example.shareability, shareability, or_none(word));
    report.compare("cause", example.cause, cause, or_none(word));
    report.compare("level", example.level, level, or_none(text));
    report.compare("second stage", example.second_stage, second_stage, text);
    report.compare("walk of the first stage's tables", example.guest_walk, guest_walk, text);
}

fn capability(report: &mut Report, format: &Format, bound: &Bound, example: &CapabilityExample) {
    let registers = format.capabilities.as_ref().map_or(0, |capabilities| capabilities.registers.len());
    report.compare("registers", example.registers.len(), registers, text);
    let parameters =
        |params: Result<Params, BindError>| params.map_or_else(|error| error.to_string(), |p| p.to_string());
    let file = parameters(bound.params.otherwise_default(format, &example.set));
    let rows = parameters(bound.params.of_machine(format, &example.registers));
    report.compare("parameters", file, rows, |params| format!("`{params}`"));
}
