//! Collects the lists of a file of which the first row is taken whose condition holds. Lists that apply to entries and
//! registers are missing: for these, the checks of entries and registers record what is used.

use crate::expr::Expr;
use crate::interpret::Means;
use crate::model::{
    Choice, Choices, Completion, EditClass, Fallback, Format, MemoryType, RaisedRegister, RegisterField, Scope, Signal,
    TlbOp,
};
use crate::source::Span;

/// A list of which the first row is taken whose condition holds.
pub(super) struct Preference<'a> {
    pub(super) rows: Vec<Row<'a>>,
    pub(super) knows: Knows,
    /// Conditions that must hold for any row to matter.
    pub(super) given: Vec<&'a Expr>,
}

impl<'a> Preference<'a> {
    fn new(knows: Knows, rows: Vec<Row<'a>>) -> Self {
        Self { rows, knows, given: Vec::new() }
    }

    /// All conditions that decide which row is taken.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &'a Expr> {
        self.rows.iter().filter_map(|row| row.when).chain(self.given.iter().copied())
    }
}

/// What conditions may name beside the registers that they read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Knows {
    /// An address space.
    Space,
    /// An address space and an access.
    Access,
    /// An address space and a fault that software met.
    Fault,
    /// Only the build: the list determines other parameters, which may have any values.
    Build,
}

/// A row of a [`Preference`].
pub(super) struct Row<'a> {
    /// What messages call it.
    pub(super) name: String,
    pub(super) place: Span,
    pub(super) when: Option<&'a Expr>,
}

impl<'a> Row<'a> {
    fn new(name: impl Into<String>, place: Span, when: &'a Option<Expr>) -> Self {
        Self { name: name.into(), place, when: when.as_ref() }
    }

    fn choice<T>(choice: &'a Choice<T>) -> Self {
        Self::new("this choice", choice.span, &choice.when)
    }

    fn operation(op: &'a TlbOp) -> Self {
        Self::new(format!("`{}`", op.id.value), op.id.span, &op.when)
    }

    fn completion(completion: &'a Completion) -> Self {
        Self::new(format!("`{}`", completion.id.value), completion.id.span, &completion.when)
    }
}

/// What rows compete for.
#[derive(PartialEq)]
enum For<'a> {
    Edit(EditClass),
    Memory(MemoryType),
    /// The last one says whether it is for leaves only.
    Invalidation(Means, Scope, bool),
    Completion(Signal),
    Field(&'a str),
    Param(&'a str),
}

/// All lists of the format.
pub(super) fn preferences(format: &Format) -> Vec<Preference<'_>> {
    let of_spaces = of_spaces(format).into_iter().chain(of_reports(format));
    let mut lists: Vec<_> = of_spaces.map(|rows| Preference::new(Knows::Space, rows)).collect();
    let access = format.access.iter().map(|access| choices(&access.allowed));
    lists.extend(access.map(|rows| Preference::new(Knows::Access, rows)));
    lists.extend(of_raised(format));
    lists.extend(of_machines(format).into_iter().map(|rows| Preference::new(Knows::Build, rows)));
    lists
}

/// The lists that depend on an address space only.
fn of_spaces<'a>(format: &'a Format) -> Vec<Vec<Row<'a>>> {
    let live = &format.live;
    let mut lists = vec![choices(&format.levels.input), choices(&format.implies)];
    lists.extend([&live.invalid_cached, &live.hardware].map(choices));
    let breaks = live.breaks.iter().map(|edit| (For::Edit(edit.value), Row::choice(edit)));
    let fallback = |row: &'a Fallback| (For::Memory(row.from), Row::new("this fallback", row.span, &row.when));
    let fallbacks = format.fallbacks.iter().map(fallback);
    let (broadcast, local): (Vec<&TlbOp>, Vec<&TlbOp>) = format.tlb.iter().partition(|op| op.broadcast);
    let rivals = |op: &TlbOp| For::Invalidation(Means::of(op), op.scope, op.scope == Scope::Address && op.leaf_only);
    let operations = broadcast.into_iter().chain(local).map(|op| (rivals(op), Row::operation(op)));
    let completions = format.completions.iter().map(|row| (For::Completion(row.signal), Row::completion(row)));
    lists.extend(grouped(breaks.chain(fallbacks).chain(operations).chain(completions)));
    lists
}

/// The lists that read fault reports and results of translations.
fn of_reports(format: &Format) -> Vec<Vec<Row<'_>>> {
    let mut lists = Vec::new();
    if let Some(fault) = &format.fault {
        lists.extend([&fault.address, &fault.level, &fault.width].map(choices));
        lists.extend([choices(&fault.access), choices(&fault.cause)]);
    }
    if let Some(translated) = &format.translated {
        lists.extend([&translated.address, &translated.level].map(choices));
        lists.extend([choices(&translated.memory), choices(&translated.shareability), choices(&translated.cause)]);
    }
    lists
}

/// The lists of `[raise.*]`. A fault has a report if the conditions of all its registers hold.
fn of_raised<'a>(format: &'a Format) -> Vec<Preference<'a>> {
    let registers: Vec<_> = format.raise.iter().flat_map(|raise| &raise.registers).collect();
    let when =
        |registers: &[&'a RaisedRegister]| registers.iter().filter_map(|register| register.when.as_ref()).collect();
    let reports = registers.iter().enumerate().map(|(index, register)| {
        let row = Row::new(format!("the report with `{}`", register.name.value), register.name.span, &register.when);
        Preference { rows: vec![row], knows: Knows::Fault, given: when(&registers[..index]) }
    });
    let fields = registers.iter().flat_map(|register| {
        let row = |field: &'a RegisterField| (For::Field(&field.name), Row::new("this field", field.span, &field.when));
        let rows = register.fields.iter().map(row);
        grouped(rows).into_iter().map(|rows| Preference { rows, knows: Knows::Fault, given: when(&registers) })
    });
    reports.chain(fields).collect()
}

/// The lists of `[capabilities]`.
fn of_machines(format: &Format) -> Vec<Vec<Row<'_>>> {
    let values = format.capabilities.iter().flat_map(|capabilities| &capabilities.values);
    grouped(values.map(|row| (For::Param(&row.param.value), Row::new("this value", row.param.span, &row.when))))
}

fn choices<T>(choices: &Choices<T>) -> Vec<Row<'_>> {
    choices.0.iter().map(Row::choice).collect()
}

/// The rows by what they compete for.
fn grouped<'a>(rows: impl Iterator<Item = (For<'a>, Row<'a>)>) -> Vec<Vec<Row<'a>>> {
    let mut groups: Vec<(For<'a>, Vec<Row<'a>>)> = Vec::new();
    for (what, row) in rows {
        match groups.iter_mut().find(|(known, _)| *known == what) {
            Some((_, group)) => group.push(row),
            None => groups.push((what, vec![row])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}
