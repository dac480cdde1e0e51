//! Visits every expression of a format, with the part of the file in which it stands.

use crate::expr::Expr;
use crate::model::{BitMap, Choices, Format, Match, Meaning, Row, TestValue};

/// Where an expression stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// The condition of this parameter.
    Param(&'a str),
    /// Conditions of roots.
    Root,
    /// `[levels] requires`.
    Rule,
    /// Sizes, and which levels hold blocks.
    Geometry,
    /// What entries look like.
    Entry,
    /// Values of registers.
    Register,
    /// `[capabilities]`.
    Capability,
    /// Anything else.
    Other,
}

/// Calls `see` with each expression of `format`.
pub(crate) fn expressions<'a>(format: &'a Format, see: &mut dyn FnMut(Part<'a>, &'a Expr)) {
    let mut visit = Visit { see };
    visit.levels(format);
    visit.entries(format);
    visit.machine(format);
}

struct Visit<'a, 'b> {
    see: &'b mut dyn FnMut(Part<'a>, &'a Expr),
}

impl<'a> Visit<'a, '_> {
    fn levels(&mut self, format: &'a Format) {
        let levels = &format.levels;
        (self.see)(Part::Geometry, &levels.page_bits.value);
        self.values(Part::Geometry, &levels.index_bits);
        (self.see)(Part::Entry, &levels.label.value);
        (self.see)(Part::Geometry, &levels.output_bits.value);
        self.all(Part::Geometry, levels.decode_bits.iter().map(|bits| &bits.value));
        self.all(Part::Rule, levels.requires.iter().map(|rule| &rule.value));
        self.choices(Part::Geometry, &levels.input, |_, _| {});
        self.all(Part::Geometry, levels.blocks.iter().filter_map(|choice| choice.when.as_ref()));
        self.all(Part::Root, format.roots.iter().filter_map(|root| root.when.as_ref()));
        for param in &format.params {
            self.all(Part::Param(&param.name.value), &param.when);
        }
    }

    fn entries(&mut self, format: &'a Format) {
        self.choices(Part::Entry, &format.implies, |_, _| {});
        for kind in &format.kinds {
            self.all(Part::Entry, &kind.when);
            if let Some(matches) = &kind.matches {
                self.choices(Part::Entry, matches, |this, matches| this.tests(Part::Entry, matches));
            }
        }
        self.values(Part::Entry, &format.empty);
        self.values(Part::Entry, &format.empty_table);
        for field in &format.fields {
            self.all(Part::Entry, &field.when);
            self.choices(Part::Entry, &field.bits, |this, bits| this.bits(Part::Entry, bits));
            match &field.meaning {
                Meaning::Rights(rows) => self.rows(&rows.rows),
                Meaning::Memory(rows) => {
                    self.all(Part::Entry, rows.through.iter().map(|register| &register.value));
                    self.rows(&rows.rows);
                }
                Meaning::Option(rows, _) => self.rows(&rows.rows),
                Meaning::Fixed(values) => self.values(Part::Entry, values),
                Meaning::Output | Meaning::Table | Meaning::NextLevel(_) | Meaning::Software => {}
            }
        }
        for run in &format.runs {
            self.all(Part::Entry, &run.when);
            self.tests(Part::Entry, &run.mark);
            self.tests(Part::Entry, &run.single);
        }
        for fix in &format.fixes {
            self.all(Part::Entry, &fix.when);
            self.choices(Part::Entry, &fix.bits, |this, bits| this.bits(Part::Entry, bits));
            self.choices(Part::Entry, &fix.is, |_, _| {});
        }
        self.values(Part::Other, &format.live.invalid_cached);
        self.values(Part::Other, &format.live.hardware);
        self.all(Part::Other, format.live.breaks.iter().filter_map(|edit| edit.when.as_ref()));
        self.all(Part::Entry, format.fallbacks.iter().filter_map(|fallback| fallback.when.as_ref()));
    }

    fn machine(&mut self, format: &'a Format) {
        for operation in &format.tlb {
            self.all(Part::Other, &operation.when);
            self.all(Part::Other, operation.operands.iter().filter_map(|operand| operand.value.as_ref()));
            self.all(Part::Other, operation.at_entry.iter().filter_map(|control| control.value.as_ref()));
            self.all(Part::Other, operation.command.iter().map(|word| &word.value));
            self.all(Part::Other, operation.descriptor.iter().map(|word| &word.value));
        }
        for completion in &format.completions {
            self.all(Part::Other, &completion.when);
            self.all(Part::Other, completion.command.iter().map(|word| &word.value));
        }
        for field in format.registers.iter().flat_map(|register| &register.fields) {
            self.all(Part::Register, &field.when);
            self.bits(Part::Register, &field.bits);
            (self.see)(Part::Register, &field.value);
        }
        for row in format.capabilities.iter().flat_map(|capabilities| &capabilities.values) {
            self.all(Part::Capability, &row.when);
            (self.see)(Part::Capability, &row.value);
        }
        if let Some(access) = &format.access {
            self.values(Part::Other, &access.allowed);
        }
        if let Some(fault) = &format.fault {
            (self.see)(Part::Other, &fault.when.value);
            self.values(Part::Other, &fault.address);
            self.values(Part::Other, &fault.level);
            self.values(Part::Other, &fault.width);
            self.choices(Part::Other, &fault.access, |_, _| {});
            self.choices(Part::Other, &fault.cause, |_, _| {});
            self.all(Part::Other, fault.guest_walk.iter().map(|walk| &walk.value));
        }
        for register in format.raise.iter().flat_map(|raise| &raise.registers) {
            self.all(Part::Other, &register.when);
            for field in &register.fields {
                self.all(Part::Other, &field.when);
                self.bits(Part::Other, &field.bits);
                (self.see)(Part::Other, &field.value);
            }
        }
        if let Some(translated) = &format.translated {
            let truths = translated.second_stage.iter().chain(&translated.guest_walk).chain([&translated.faulted]);
            self.all(Part::Other, truths.map(|truth| &truth.value));
            self.values(Part::Other, &translated.address);
            self.values(Part::Other, &translated.level);
            self.choices(Part::Other, &translated.memory, |_, _| {});
            self.choices(Part::Other, &translated.shareability, |_, _| {});
            self.choices(Part::Other, &translated.cause, |_, _| {});
        }
    }

    fn all(&mut self, part: Part<'a>, exprs: impl IntoIterator<Item = &'a Expr>) {
        exprs.into_iter().for_each(|expr| (self.see)(part, expr));
    }

    fn choices<T>(&mut self, part: Part<'a>, choices: &'a Choices<T>, mut payload: impl FnMut(&mut Self, &'a T)) {
        for choice in &choices.0 {
            self.all(part, &choice.when);
            payload(self, &choice.value);
        }
    }

    fn values(&mut self, part: Part<'a>, choices: &'a Choices<Expr>) {
        self.choices(part, choices, |this, value| (this.see)(part, value));
    }

    fn rows<T>(&mut self, rows: &'a [Row<T>]) {
        self.all(Part::Entry, rows.iter().filter_map(|row| row.when.as_ref()));
    }

    fn bits(&mut self, part: Part<'a>, map: &'a BitMap) {
        for segment in &map.segments {
            self.all(part, [&segment.high, &segment.low]);
            self.all(part, segment.from.iter().flat_map(|(high, low)| [high, low]));
        }
    }

    fn tests(&mut self, part: Part<'a>, matches: &'a Match) {
        for test in &matches.0 {
            self.bits(part, &test.bits);
            for value in &test.values {
                match value {
                    TestValue::Value(value) => (self.see)(part, value),
                    TestValue::Range(first, last) => self.all(part, [first, last]),
                    TestValue::Ones => {}
                }
            }
        }
    }
}
