//! Reads `[[build]]`, `[[config]]`, `[[example.*]]`.

use super::geometry::check_value;
use super::section::Section;
use crate::diagnostics::Diagnostic;
use crate::grammar::Cursor;
use crate::grammar::scope::Scope;
use crate::model::{
    AccessExample, Assignments, At, Build, CapabilityExample, CompletionExample, Config, EditExample, EntryExample,
    Example, Facts, FaultExample, InvalidationExample, Param, Register, RegisterExample, TlbOp, TranslatedExample,
};

pub(super) fn build(section: &Section<'_>, params: &[Param]) -> Build {
    Build {
        name: section.id("name", '_'),
        title: section.optional_text("title"),
        set: assignments(section, &section.scopes().build, params),
    }
}

pub(super) fn config(section: &Section<'_>, params: &[Param]) -> Config {
    let scopes = section.scopes();
    let set = assignments(section, &scopes.settable, params);
    for name in ["levels", "input_bits"] {
        if !set.is_empty() && !set.iter().any(|(param, _)| param.value == name) {
            let message = format!("a configuration must say what `{name}` is");
            section.context.report(Diagnostic::new(message, section.span, "this one does not"));
        }
    }
    Config { id: section.id("id", '-'), set, page_sizes: section.placed("page_sizes", &scopes.nothing, Cursor::sizes) }
}

/// `set`: each parameter once, with a value that it can have.
fn assignments(section: &Section<'_>, scope: &Scope, params: &[Param]) -> Assignments {
    let set = section.parse("set", scope, Cursor::assignments);
    for (index, (name, value)) in set.iter().enumerate() {
        if let Some((earlier, _)) = set[..index].iter().find(|(earlier, _)| earlier.value == name.value) {
            section.context.report(
                Diagnostic::new(format!("`{}` is set twice", name.value), name.span, "again")
                    .and(earlier.span, "first"),
            );
        }
        if let Some(param) = params.iter().find(|param| param.name.value == name.value) {
            check_value(section, &param.name, &param.domain, value);
        }
    }
    set
}

/// The names that examples may use.
pub(super) struct Named<'a> {
    pub(super) params: &'a [Param],
    pub(super) configs: &'a [Config],
    pub(super) registers: &'a [Register],
    pub(super) tlb: &'a [TlbOp],
}

pub(super) fn examples(section: &Section<'_>, named: &Named<'_>) -> Vec<Example> {
    let nothing = &section.scopes().nothing;
    let configs: Vec<&str> = named.configs.iter().map(|config| config.id.value.as_str()).collect();
    let registers: Vec<&str> = named.registers.iter().map(|register| register.name.value.as_str()).collect();
    let operations: Vec<&str> = named.tlb.iter().map(|op| op.id.value.as_str()).collect();
    let config = |row: &Section<'_>| row.reference("config", "configurations", &configs);
    let entry = |row: &Section<'_>| {
        Example::Entry(EntryExample {
            config: config(row),
            level: row.parse("level", nothing, Cursor::level),
            raw: row.number("raw"),
            class: row.word("kind"),
            address: row.optional_number("address"),
            rights: row.optional("rights", nothing, Cursor::facts),
            memory: row.optional_word("memory"),
            run: row.optional_number("run"),
            label: row.optional("label", nothing, Cursor::signed),
            written: row.flag("written"),
            span: row.span,
            cite: row.cite(),
        })
    };
    let edit = |row: &Section<'_>| {
        Example::Edit(EditExample {
            config: config(row),
            level: row.parse("level", nothing, Cursor::level),
            old: row.number("old"),
            new: row.number("new"),
            needs_break: row.flag("needs_break"),
            span: row.span,
            cite: row.cite(),
        })
    };
    let register = |row: &Section<'_>| {
        Example::Register(RegisterExample {
            config: config(row),
            register: row.reference("register", "registers", &registers),
            root: row.number("root"),
            tag: row.number("tag"),
            raw: row.number("raw"),
            span: row.span,
            cite: row.cite(),
        })
    };
    let fault = |row: &Section<'_>| {
        Example::Fault(FaultExample {
            config: config(row),
            report: row.list("report", nothing, Cursor::number),
            address: row.optional_number("address"),
            access: row.word("access"),
            cause: row.word("cause"),
            level: row.optional("level", nothing, Cursor::level),
            width: row.optional_number("width"),
            guest_walk: row.flag("guest_walk"),
            span: row.span,
            cite: row.cite(),
        })
    };
    let access = |row: &Section<'_>| {
        Example::Access(AccessExample {
            config: config(row),
            level: row.parse("level", nothing, Cursor::level),
            raw: row.number("raw"),
            limit: row.rights("tables").unwrap_or(Facts::RIGHTS),
            access: row.rights("access").unwrap_or_default(),
            registers: row.list("registers", nothing, Cursor::number),
            allowed: row.flag("allowed"),
            span: row.span,
            cite: row.cite(),
        })
    };
    let capability = |row: &Section<'_>| {
        Example::Capability(CapabilityExample {
            config: config(row),
            registers: row.list("registers", nothing, Cursor::number),
            set: row.get("set").map_or_else(Vec::new, |_| assignments(row, &row.scopes().params, named.params)),
            span: row.span,
            cite: row.cite(),
        })
    };
    let invalidation = |row: &Section<'_>| {
        let operation = || row.reference("operation", "invalidations", &operations);
        Example::Invalidation(Box::new(InvalidationExample {
            config: config(row),
            scope: row.word("scope"),
            start: row.optional_number("start").unwrap_or(0),
            pages: row.optional_number("pages").unwrap_or(1),
            page_bits: row.optional("page_bits", nothing, Cursor::bit),
            leaf_only: row.second_of_two("covers"),
            root: row.optional_number("root").unwrap_or(0),
            tag: row.optional_number("tag").unwrap_or(0),
            operation: row.get("operation").map(|_| operation()),
            times: row.optional_number("times").unwrap_or(1),
            code: row.list("code", nothing, Cursor::code),
            operands: row.list("operands", nothing, Cursor::operand),
            descriptor: row.list("descriptor", nothing, Cursor::number),
            command: row.list("command", nothing, Cursor::number),
            at_entry: row.optional("at_entry", nothing, Cursor::operand),
            broadcast: row.get("reach").map(|_| row.second_of_two("reach")),
            span: row.span,
            cite: row.cite(),
        }))
    };
    let completion = |row: &Section<'_>| {
        Example::Completion(CompletionExample {
            config: config(row),
            signal: row.word("signal"),
            address: row.optional_number("address").unwrap_or(0),
            data: row.optional_number("data").unwrap_or(0),
            command: row.list("command", nothing, Cursor::number),
            span: row.span,
            cite: row.cite(),
        })
    };
    let translated = |row: &Section<'_>| {
        Example::Translated(TranslatedExample {
            config: config(row),
            registers: row.list("registers", nothing, Cursor::number),
            address: row.optional_number("address"),
            memory: row.optional_word("memory"),
            shareability: row.optional_word("shareability"),
            cause: row.optional_word("cause"),
            level: row.optional("level", nothing, Cursor::level),
            second_stage: row.flag("second_stage"),
            guest_walk: row.flag("guest_walk"),
            span: row.span,
            cite: row.cite(),
        })
    };
    let mut examples = section.all("entry", entry);
    examples.extend(section.all("edit", edit));
    examples.extend(section.all("register", register));
    examples.extend(section.all("fault", fault));
    examples.extend(section.all("access", access));
    examples.extend(section.all("capability", capability));
    examples.extend(section.all("invalidation", invalidation));
    examples.extend(section.all("completion", completion));
    examples.extend(section.all("translated", translated));
    examples
}

impl Section<'_> {
    /// Rights without states; for an access, at least one.
    fn rights(&self, key: &'static str) -> Option<Facts> {
        let rights: Facts = self.optional(key, &self.scopes().nothing, Cursor::facts)?;
        let is_none = rights.is_empty() && key == "access";
        if is_none || rights.intersects(Facts::ACCESSED | Facts::DIRTY) {
            let label = if is_none { "an access needs one" } else { "states are no rights" };
            self.context.report(Diagnostic::new("expected rights", self.place(key), label));
        }
        Some(rights)
    }

    /// The name of something that stands elsewhere in the file.
    fn reference(&self, key: &'static str, what: &str, known: &[&str]) -> At<String> {
        let name = At { value: self.text(key), span: self.place(key) };
        if !name.value.is_empty() && !known.contains(&name.value.as_str()) {
            let message = format!("`{}` is not one of the {what}", name.value);
            self.context.report_missing(Diagnostic::new(message, name.span, "unknown").help(crate::suggest::advice(
                &name.value,
                what,
                known,
            )));
        }
        name
    }
}
