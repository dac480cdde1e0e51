//! Reads `[live]`, `[memory]`, `[[tlb]]`, `[[completion]]`, `[registers.*]`, `[capabilities]`, `[fault]`, `[translated]`,
//! `[access]`, `[raise.*]`: what surrounds the entries.

use super::section::Section;
use crate::diagnostics::Diagnostic;
use crate::grammar::Cursor;
use crate::grammar::scope::Scope as Names;
use crate::model::{
    Access, At, Capabilities, Completion, Fallback, Fault, Field, Live, Operand, Param, Raise, RaisedRegister, Reading,
    Record, Register, Scope, Signal, TlbOp, Translated,
};
use crate::words::{ACCESS_TRUTHS, FAULT_NUMBERS, FAULT_TRUTHS};

pub(super) fn live(section: &Section<'_>) -> Live {
    let scopes = section.scopes();
    Live {
        invalid_cached: section.choices("invalid_cached", &scopes.space, Cursor::condition),
        hardware: section.choices("hardware", &scopes.space, Cursor::condition),
        breaks: section.list("break", &scopes.space, |cursor| cursor.choice(Cursor::word)),
        cite: section.cite(),
    }
}

pub(super) fn fallbacks(section: &Section<'_>) -> Vec<Fallback> {
    section.list("fallback", &section.scopes().space, Cursor::fallback)
}

pub(super) fn tlb_op(section: &Section<'_>) -> TlbOp {
    let scopes = section.scopes();
    let code = |key| section.list(key, &scopes.nothing, Cursor::code);
    let scope = section.word("scope");
    // Only an invalidation by address has a page.
    let by_address = scope == Scope::Address;
    let of_page = |names: &'static [&'static str]| scopes.space.with(names.iter().copied().filter(|_| by_address));
    let operands = of_page(&["ia"]).with(["tag", "root"]);
    let command = of_page(&["ia", "leaf_bits"]).with(["tag"]);
    let at_entry = section.optional("at_entry", &operands, Cursor::operand);
    means(section, &at_entry, scope);
    let operation = TlbOp {
        id: section.id("id", '-'),
        scope,
        broadcast: section.second_of_two("reach"),
        leaf_only: section.second_of_two("covers"),
        loaded_context: section.second_of_two("context"),
        limit: section.optional_number("limit"),
        when: section.when(&scopes.space),
        before: code("before"),
        code: code("code"),
        after: code("after"),
        at_entry,
        command: section.list("command", &command, Cursor::placed_expression),
        operands: section.list("operands", &operands, Cursor::operand),
        descriptor: section.list("descriptor", &operands, Cursor::placed_expression),
        doc: section.doc(),
        cite: section.cite(),
    };
    descriptor(section, &operation);
    if operation.loaded_context && scope == Scope::All {
        let problem =
            Diagnostic::new("everything is that of every tag", section.place("context"), "not of one that is loaded");
        section.context.report(problem);
    }
    operation
}

/// A descriptor and an operand with its address need each other.
fn descriptor(section: &Section<'_>, operation: &TlbOp) {
    let taken = operation.operands.iter().find(|operand| operand.value.is_none());
    match (taken, operation.descriptor.is_empty()) {
        (Some(operand), true) => section.context.report_missing(
            Diagnostic::new("there is no descriptor", operand.span, "the address of nothing")
                .help("its words are in the key `descriptor`"),
        ),
        (None, false) => section.context.report(
            Diagnostic::new("no operand is the address of the descriptor", section.place("descriptor"), "not used")
                .help("such as `operands = \"rcx = &descriptor\"`"),
        ),
        _ => {}
    }
}

/// Checks that an invalidation is done in exactly one way: by code, at the next entry, or by a command.
fn means(section: &Section<'_>, at_entry: &Option<Operand>, scope: Scope) {
    let (present, all) = section.one_of();
    match present[..] {
        [] => section.context.report_missing(
            Diagnostic::new("the invalidation does nothing", section.span, "this row")
                .help(format!("one key says what it does: `{}`", all.join("`, `"))),
        ),
        [_] => {}
        [(first, value), (second, other), ..] => section.context.report(
            Diagnostic::new("an invalidation is done in one way", other.span, format!("`{second}` says how"))
                .and(value.span, format!("`{first}` does so, too")),
        ),
    }
    let Some(control) = at_entry else { return };
    if scope == Scope::Address {
        section.context.report(Diagnostic::new("an entry takes one value, not one for each page", control.span, ""));
    }
    if control.value.is_none() {
        section.context.report(Diagnostic::new("an entry takes a number", control.span, "no descriptor"));
    }
}

pub(super) fn completion(section: &Section<'_>) -> Completion {
    let scopes = section.scopes();
    let signal = section.word("signal");
    let record = (signal == Signal::Write).then(|| record(section));
    let words = if record.is_some() { scopes.space.with(["address", "data"]) } else { scopes.space.clone() };
    Completion {
        id: section.id("id", '-'),
        signal,
        when: section.when(&scopes.space),
        record,
        command: section.list("command", &words, Cursor::placed_expression),
        doc: section.doc(),
        cite: section.cite(),
    }
}

/// The address and data that the caller chooses for a command that makes the device write.
fn record(section: &Section<'_>) -> Record {
    let nothing = &section.scopes().nothing;
    let (high, low) = section.optional("address", nothing, Cursor::bit_numbers).unwrap_or((63, 0));
    let data_bits = section.optional("data", nothing, |cursor| {
        let bits = cursor.placed(Cursor::number)?;
        match bits.value {
            bits @ 1..=64 => Ok(bits as u8),
            _ => Err(Diagnostic::new("data has 1 to 64 bits", bits.span, "not so many")),
        }
    });
    Record { high, low, nonzero: section.flag("nonzero"), data_bits: data_bits.unwrap_or(64) }
}

pub(super) fn register(section: &Section<'_>, name: At<String>) -> Register {
    let scope = section.scopes().space.with(["root", "tag"]);
    Register {
        name,
        role: section.word("role"),
        narrow: section.get("narrow").map(|value| value.span).filter(|_| section.flag("narrow")),
        fields: section.list("fields", &scope, Cursor::register_field),
        doc: section.doc(),
        cite: section.cite(),
    }
}

/// `registers` of a report or an identification, and the scope in which they are known.
fn registers(section: &Section<'_>, scope: &Names) -> (Vec<Reading>, Names) {
    let registers = section.list("registers", &section.scopes().nothing, Cursor::reading);
    for (index, Reading { name, .. }) in registers.iter().enumerate() {
        if scope.get(&name.value).is_some() {
            let message = format!("`{}` means something else here already", name.value);
            section.context.report(Diagnostic::new(message, name.span, "this register"));
        }
        if let Some(earlier) =
            registers[..index].iter().map(|earlier| &earlier.name).find(|earlier| earlier.value == name.value)
        {
            let message = format!("two registers are called `{}`", name.value);
            section.context.report(Diagnostic::new(message, name.span, "again").and(earlier.span, "first"));
        }
    }
    let scope = scope.with(registers.iter().map(|register| register.name.value.as_str()));
    (registers, scope)
}

pub(super) fn capabilities(section: &Section<'_>) -> Capabilities {
    let params = &section.scopes().params;
    let (registers, scope) = registers(section, params);
    Capabilities {
        registers,
        values: section.list("values", &scope, |cursor| cursor.capability(params)),
        cite: section.cite(),
    }
}

/// Reads `[access]`. Where a parameter and a field have the same name, the name stands for the parameter.
pub(super) fn access(section: &Section<'_>, params: &[Param], fields: &[Field]) -> Access {
    let space = &section.scopes().space;
    let is_truth = |name: &str| ACCESS_TRUTHS.contains(&name);
    let names = params.iter().map(|param| &param.name).chain(fields.iter().map(|field| &field.name));
    for name in names.filter(|name| is_truth(&name.value)) {
        let message = format!("`{}` is a truth value in the conditions of `[access]`", name.value);
        let problem = Diagnostic::new(message, name.span, "this name").and(section.span, "where it has that meaning");
        section.context.report(problem.help(format!("give it another name, such as `{}_bit`", name.value)));
    }
    let fields = leaf_fields(section, fields, &ACCESS_TRUTHS);
    let scope = space.with(fields.iter().map(String::as_str)).with_truths(ACCESS_TRUTHS);
    let (registers, scope) = registers(section, &scope);
    Access { registers, fields, allowed: section.choices("allowed", &scope, Cursor::condition), cite: section.cite() }
}

/// The fields whose values expressions may name: those whose names nothing else has.
fn leaf_fields(section: &Section<'_>, fields: &[Field], taken: &[&str]) -> Vec<String> {
    let is_free = |name: &&String| section.scopes().space.get(name).is_none() && !taken.contains(&name.as_str());
    fields.iter().map(|field| &field.name.value).filter(is_free).cloned().collect()
}

/// `[raise.*]`, of a file with these fields and sections.
pub(super) fn raise(
    section: &Section<'_>,
    fields: &[Field],
    fault: Option<&Fault>,
    access: Option<&Access>,
) -> Option<Raise> {
    let fields = leaf_fields(section, fields, &[&FAULT_NUMBERS[..], &FAULT_TRUTHS[..]].concat());
    let controls = access.iter().flat_map(|access| &access.registers).map(|register| register.name.value.as_str());
    let numbers = FAULT_NUMBERS.into_iter().chain(fields.iter().map(String::as_str)).chain(controls);
    let scope = section.scopes().space.with(numbers).with_truths(FAULT_TRUTHS);
    let registers = section.named("raise", |section, name| RaisedRegister {
        name,
        when: section.when(&scope),
        fields: section.list("fields", &scope, Cursor::register_field),
        doc: section.doc(),
        cite: section.cite(),
    });
    let reported = || fault.iter().flat_map(|fault| &fault.registers).map(|register| &register.name);
    for register in &registers {
        if reported().all(|name| name.value != register.name.value) {
            let message = format!("`[fault]` has no register `{}`", register.name.value);
            section.context.report(Diagnostic::new(message, register.name.span, "not one of a report"));
        }
    }
    let first = registers.first()?;
    for name in reported().filter(|name| registers.iter().all(|register| register.name.value != name.value)) {
        let message = format!("a report has no value for `{}`", name.value);
        let problem = Diagnostic::new(message, name.span, "this register").and(first.name.span, "others have one");
        section.context.report(problem.help(format!("say it in `[raise.{}]`", name.value)));
    }
    Some(Raise { registers, fields })
}

pub(super) fn fault(section: &Section<'_>) -> Fault {
    let (registers, scope) = registers(section, &section.scopes().space);
    Fault {
        registers,
        when: section.placed("when", &scope, Cursor::condition),
        address: section.choices("address", &scope, Cursor::expression),
        access: section.choices("access", &scope, Cursor::word),
        cause: section.choices("cause", &scope, Cursor::word),
        level: section.choices("level", &scope, Cursor::expression),
        width: section.choices("width", &scope, Cursor::expression),
        guest_walk: section.optional("guest_walk", &scope, |cursor| cursor.placed(Cursor::condition)),
        cite: section.cite(),
    }
}

pub(super) fn translated(section: &Section<'_>) -> Translated {
    let (registers, scope) = registers(section, &section.scopes().space);
    let truth = |key| section.optional(key, &scope, |cursor| cursor.placed(Cursor::condition));
    Translated {
        registers,
        faulted: section.placed("faulted", &scope, Cursor::condition),
        address: section.choices("address", &scope, Cursor::expression),
        memory: section.choices("memory", &scope, Cursor::word),
        shareability: section.choices("shareability", &scope, Cursor::word),
        cause: section.choices("cause", &scope, Cursor::word),
        level: section.choices("level", &scope, Cursor::expression),
        second_stage: truth("second_stage"),
        guest_walk: truth("guest_walk"),
        cite: section.cite(),
    }
}
