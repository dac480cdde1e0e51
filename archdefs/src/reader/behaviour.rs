//! Reads `[live]`, `[memory]`, `[[tlb]]`, `[registers.*]`, `[capabilities]`, `[fault]`: what surrounds the entries.

use super::section::Section;
use crate::diagnostics::Diagnostic;
use crate::grammar::Cursor;
use crate::grammar::scope::Scope;
use crate::model::{At, Capabilities, Fallback, Fault, Live, Register, TlbOp};
use crate::words::Word;

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
    let rows = section.list("fallback", &section.scopes().space, Cursor::fallback);
    for (index, row) in rows.iter().enumerate() {
        let always = |earlier: &&Fallback| earlier.from == row.from && earlier.when.is_none();
        if let Some(earlier) = rows[..index].iter().find(always) {
            let message = format!("`{}` has another fallback, which is always taken", row.from.word());
            let problem = Diagnostic::new(message, row.span, "never taken").and(earlier.span, "taken");
            section.context.report(problem);
        }
    }
    rows
}

pub(super) fn tlb_op(section: &Section<'_>) -> TlbOp {
    let scopes = section.scopes();
    let operands = scopes.space.with(["ia", "tag", "root"]);
    let code = |key| section.list(key, &scopes.nothing, Cursor::code);
    TlbOp {
        id: section.id("id", '-'),
        scope: section.word("scope"),
        broadcast: section.second_of_two("reach"),
        leaf_only: section.second_of_two("covers"),
        loaded_context: section.second_of_two("context"),
        limit: section.optional_number("limit"),
        when: section.when(&scopes.space),
        before: code("before"),
        code: section.list("code", &scopes.nothing, Cursor::code),
        after: code("after"),
        operands: section.list("operands", &operands, Cursor::operand),
        descriptor: section.list("descriptor", &operands, Cursor::placed_expression),
        doc: section.doc(),
        cite: section.cite(),
    }
}

pub(super) fn register(section: &Section<'_>, name: At<String>) -> Register {
    let scope = section.scopes().space.with(["root", "tag"]);
    Register {
        name,
        role: section.word("role"),
        fields: section.list("fields", &scope, Cursor::register_field),
        doc: section.doc(),
        cite: section.cite(),
    }
}

/// `registers` of a report or an identification, and the scope in which they are known.
fn registers(section: &Section<'_>, scope: &Scope) -> (Vec<At<String>>, Scope) {
    let names = section.list("registers", &section.scopes().nothing, Cursor::register_name);
    let scope = scope.with(names.iter().map(|name| name.value.as_str()));
    (names, scope)
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

pub(super) fn fault(section: &Section<'_>) -> Fault {
    let (registers, scope) = registers(section, &section.scopes().space);
    Fault {
        registers,
        when: section.placed("when", &scope, Cursor::condition),
        address: section.choices("address", &scope, Cursor::expression),
        access: section.choices("access", &scope, Cursor::word),
        cause: section.choices("cause", &scope, Cursor::word),
        level: section.choices("level", &scope, Cursor::expression),
        guest_walk: section.optional("guest_walk", &scope, |cursor| cursor.placed(Cursor::condition)),
        cite: section.cite(),
    }
}
