//! Explains an entry bit by bit.

use std::sync::Arc;

use crate::bound::{Bound, BoundKind, BoundMeaning, BoundRun, BoundTest, Level, Shape, kind};
use crate::interpret::Decoded;
use crate::model::{FixClass, Format, Is};
use crate::show;

/// Everything that the format says about an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryReport {
    /// What it means.
    pub decoded: Decoded,
    /// The row of `[[kind]]` that it matches.
    pub kind: Option<Arc<str>>,
    /// The run that it is an item of.
    pub run: Option<Arc<str>>,
    /// Its bits, each once, from the highest down. Of an entry that is not present, only the bits that make it so.
    pub parts: Vec<Part>,
    /// Everything that makes hardware refuse it; empty unless it is reserved.
    pub refusals: Vec<Refusal>,
}

/// Bits of an entry that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What owns them.
    pub owner: Owner,
    /// The name of that field, or the id of that row.
    pub name: Arc<str>,
    /// The bits.
    pub bits: u64,
    /// Their value; for an address, its bits at the positions they have in the address.
    pub value: u64,
    /// What the value means, in the words of a format file.
    pub meaning: String,
    /// The file's `doc` of them.
    pub doc: Option<String>,
    /// The manual's section.
    pub cite: Option<String>,
}

/// What owns bits of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A field.
    Field,
    /// A row of `[[fix]]`.
    Fix(FixClass),
    /// A row of `[[run]]`.
    Run,
    /// A row of `[[kind]]`.
    Kind,
}

impl Part {
    /// Bits that only the row of `[[kind]]` owns, because it tests them.
    pub(super) fn of_kind(kind: &BoundKind, bits: u64, value: u64, cites: &Cites<'_>) -> Self {
        part(Owner::Kind, &kind.id, bits, value, format!("makes it `{}`", kind.id), cites.kind(&kind.id))
    }

    /// Whether some of these bits are set although hardware does not look at them.
    pub fn is_set_in_vain(&self) -> bool {
        let ignored = [FixClass::Ignored, FixClass::WriteZero, FixClass::Software];
        self.value != 0 && ignored.iter().any(|class| self.owner == Owner::Fix(*class))
    }
}

/// Something that makes hardware refuse an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The row, field, fix or run that says so: `"field `access`"`.
    pub rule: String,
    /// Why, in one sentence.
    pub reason: String,
    /// The manual's section.
    pub cite: Option<String>,
}

impl Bound {
    /// Everything that the format says about `raw` at `level`. `format` is the model that this was bound from.
    pub fn explain(&self, format: &Format, level: u8, raw: u64) -> EntryReport {
        let decoded = self.decode(level, raw);
        let mut report = EntryReport { decoded, kind: None, run: None, parts: Vec::new(), refusals: Vec::new() };
        let Some(level) = self.level(level) else {
            let reason = format!("levels here are 0..={}", self.geometry.top());
            report.refusals.push(Refusal { rule: "no such level".into(), reason, cite: None });
            return report;
        };
        let Some(row) = kind::classify(&level.kinds, raw) else {
            let reason = "no row of `[[kind]]` matches".into();
            report.refusals.push(Refusal { rule: "no kind".into(), reason, cite: None });
            return report;
        };
        let cites = Cites { format };
        let tests = row.tests.as_deref().unwrap_or_default();
        report.kind = Some(row.id.clone());
        let shape = match row.is {
            Is::Table => level.table.as_ref(),
            Is::Leaf => level.leaf_shape(raw).map(|(run, shape)| {
                report.run = run.map(|run| run.id.clone());
                shape
            }),
            Is::Invalid => None,
            Is::Reserved => {
                let reason = format!("{} is reserved at this level", join(tests));
                report.refusals.push(Refusal { rule: rule("kind", &row.id), reason, cite: cites.kind(&row.id) });
                None
            }
        };
        if row.is == Is::Leaf && shape.is_none() {
            report.refusals.extend(neither_run_nor_alone(level, &cites));
        }
        // An entry that is neither an item of a run nor a leaf that stands alone is laid out like a leaf, except for
        // the marks.
        let shape = shape.or(level.leaf.as_ref().filter(|_| row.is == Is::Leaf));
        if let Some(shape) = shape {
            report.parts = parts(shape, raw, report.run.as_ref(), &cites);
            report.refusals.extend(refusals(shape, raw, &cites));
            report.refusals.extend(wrong_next_level(shape, level.level, raw, &cites));
        }
        let mut owned = report.parts.iter().fold(0, |mask, part| mask | part.bits);
        for test in tests {
            let bits = test.bits.mask() & !owned;
            if bits != 0 {
                owned |= bits;
                report.parts.push(Part::of_kind(row, bits, gather(raw, bits), &cites));
            }
        }
        report.parts.sort_by_key(|part| part.bits.leading_zeros());
        report
    }

    /// The options of a leaf that differ from the format's defaults, in the words of its file: `"ignore-pat"`,
    /// `"software 0x800"`.
    pub fn options(&self, level: u8, raw: u64) -> Vec<String> {
        let Decoded::Leaf(leaf) = self.decode(level, raw) else { return Vec::new() };
        let shape = self.level(level).and_then(|level| level.leaf_shape(raw)).map(|(_, shape)| shape);
        let mut left = leaf.options;
        let mut words = Vec::new();
        for field in shape.iter().flat_map(|shape| &shape.fields) {
            if left & field.bits.mask() != 0 && matches!(field.meaning, BoundMeaning::Option(..)) {
                left &= !field.bits.mask();
                words.push(field.describe(raw).meaning);
            }
        }
        if left != 0 {
            words.push(format!("software {}", show::hex(raw & left)));
        }
        words
    }
}

/// The manual's sections on the parts of an entry.
pub(super) struct Cites<'a> {
    pub(super) format: &'a Format,
}

impl Cites<'_> {
    fn kind(&self, id: &str) -> Option<String> {
        self.format.kinds.iter().find(|kind| kind.id.value == id)?.cite.clone()
    }

    fn field(&self, name: &str) -> Option<String> {
        self.format.fields.iter().find(|field| field.name.value == name)?.cite.clone()
    }

    fn doc(&self, name: &str) -> Option<String> {
        self.format.fields.iter().find(|field| field.name.value == name)?.doc.clone()
    }

    fn fix(&self, id: &str) -> Option<String> {
        self.format.fixes.iter().find(|fix| fix.id.value == id)?.cite.clone()
    }

    fn run(&self, id: &str) -> Option<String> {
        self.format.runs.iter().find(|run| run.id.value == id)?.cite.clone()
    }
}

/// The parts that fields, fixes and runs own.
pub(super) fn parts(shape: &Shape, raw: u64, run: Option<&Arc<str>>, cites: &Cites<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    for field in shape.fields.iter().filter(|field| field.bits.mask() != 0) {
        let described = field.describe(raw);
        let value = match field.meaning {
            BoundMeaning::Output | BoundMeaning::Table => gather(raw, described.bits),
            _ => described.value,
        };
        let cite = cites.field(&field.name);
        let part = part(Owner::Field, &field.name, described.bits, value, described.meaning, cite);
        parts.push(Part { doc: cites.doc(&field.name), ..part });
    }
    for fix in shape.fixes.iter().filter(|fix| fix.mask != 0) {
        let value = gather(raw, fix.mask);
        let mut meaning = show::fix(fix.is).to_owned();
        if fix.forbids(raw) {
            meaning.push_str(": it is not");
        }
        parts.push(part(Owner::Fix(fix.is), &fix.id, fix.mask, value, meaning, cites.fix(&fix.id)));
    }
    let owned = parts.iter().fold(0, |mask, part| mask | part.bits);
    let marked = kind::tested_bits(&shape.marks) & !owned;
    if marked != 0 {
        let name = run.cloned().unwrap_or_else(|| "alone".into());
        let meaning = match run {
            Some(_) => "an item of a run",
            None if kind::all_hold(&shape.marks, raw) => "no item of a run",
            None => "neither an item of a run nor a leaf alone",
        };
        let cite = run.and_then(|run| cites.run(run));
        parts.push(part(Owner::Run, &name, marked, gather(raw, marked), meaning.into(), cite));
    }
    parts
}

fn part(owner: Owner, name: &Arc<str>, bits: u64, value: u64, meaning: String, cite: Option<String>) -> Part {
    Part { owner, name: name.clone(), bits, value, meaning, doc: None, cite }
}

fn refusals(shape: &Shape, raw: u64, cites: &Cites<'_>) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for field in shape.fields.iter().filter(|field| field.forbids(raw)) {
        let (value, digits) = (field.bits.extract(raw), usize::from(field.bits.width()) + 2);
        let rows = field.values().into_iter().map(|(value, meaning)| format!("{value:#0digits$b} {meaning}"));
        let reason = format!(
            "{} {} {value:#0digits$b}, which has no row; legal: {}",
            show::named_bits(field.bits.mask()),
            if field.bits.width() == 1 { "is" } else { "are" },
            rows.collect::<Vec<_>>().join(", "),
        );
        refusals.push(Refusal { rule: rule("field", &field.name), reason, cite: cites.field(&field.name) });
    }
    for fix in shape.fixes.iter().filter(|fix| fix.forbids(raw)) {
        let (wrong, state) = match fix.is {
            FixClass::MustBeOne => (fix.mask & !raw, "clear"),
            _ => (fix.mask & raw, "set"),
        };
        let verb = if wrong.count_ones() == 1 { "is" } else { "are" };
        let (bits, wrong) = (show::named_bits(fix.mask), show::named_bits(wrong));
        let reason = format!("{bits} {}, but {wrong} {verb} {state}", show::fix(fix.is));
        refusals.push(Refusal { rule: rule("fix", &fix.id), reason, cite: cites.fix(&fix.id) });
    }
    refusals
}

/// Refuses an entry that points to a table at its own level or above.
fn wrong_next_level(shape: &Shape, level: u8, raw: u64, cites: &Cites<'_>) -> Option<Refusal> {
    shape.fields.iter().find_map(|field| {
        let BoundMeaning::NextLevel(plus) = field.meaning else { return None };
        let next = i128::from(field.bits.extract(raw)) - i128::from(plus);
        let reason = format!("the next table would be of level {next}, which is not below level {level}");
        let is_below = (0..i128::from(level)).contains(&next);
        (!is_below).then(|| Refusal { rule: rule("field", &field.name), reason, cite: cites.field(&field.name) })
    })
}

fn neither_run_nor_alone(level: &Level, cites: &Cites<'_>) -> Vec<Refusal> {
    let refusal = |run: &BoundRun| Refusal {
        rule: rule("run", &run.id),
        reason: format!("an item has {}, a leaf alone {}", join(&run.mark), join(&run.single)),
        cite: cites.run(&run.id),
    };
    level.runs.iter().map(refusal).collect()
}

fn rule(what: &str, name: &str) -> String {
    format!("{what} `{name}`")
}

fn join(tests: &[BoundTest]) -> String {
    if tests.is_empty() {
        return "anything else".into();
    }
    tests.iter().map(ToString::to_string).collect::<Vec<_>>().join(" & ")
}

/// The bits of `raw` in `mask`, moved together.
fn gather(raw: u64, mask: u64) -> u64 {
    let bits = (0..64).rev().filter(|bit| mask >> bit & 1 == 1);
    bits.fold(0, |value, bit| value << 1 | raw >> bit & 1)
}
