//! What an entry means.

use std::sync::Arc;

use crate::bound::{Bound, BoundField, BoundMeaning, BoundRows, BoundRun, Level, Shape, kind};
use crate::model::{Facts, Is, MemoryType};
use crate::show;
use crate::words::Word;

/// What an entry means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Not present.
    Invalid,
    /// Points to a table.
    Table(TableEntry),
    /// Maps memory.
    Leaf(LeafEntry),
    /// Illegal: names the row, field, fix or run of the file that says so.
    Reserved(Arc<str>),
}

/// An entry that points to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableEntry {
    /// Where the table is.
    pub address: u64,
    /// The level of that table.
    pub level: u8,
    /// The rights that remain below.
    pub limit: Facts,
}

/// An entry that maps memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafEntry {
    /// Where it maps to: the start of the run, if all items of a run hold the same address, else that of the item.
    pub address: u64,
    /// log2 of what `address` is aligned to: the size of the run or of the item, likewise.
    pub aligned: u8,
    /// log2 of its size, run included.
    pub size: u8,
    /// The number of items of its run; 1 if it stands alone.
    pub items: u64,
    /// The rights it grants, and its accessed and dirty states.
    pub facts: Facts,
    /// The memory type; `None` if it is legal but has no name.
    pub memory: Option<MemoryType>,
    /// The option and software bits that differ from the format's defaults.
    pub options: u64,
}

/// A field of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldValue {
    /// Its name.
    pub name: Arc<str>,
    /// The entry's bits that hold it.
    pub bits: u64,
    /// Its value.
    pub value: u64,
    /// What the value means, in the words of a format file.
    pub meaning: String,
}

impl Bound {
    /// What `raw` means at `level`. Any value at any level has a meaning.
    pub fn decode(&self, level: u8, raw: u64) -> Decoded {
        let Some(level) = self.level(level) else {
            return Decoded::Reserved("no such level".into());
        };
        let Some(kind) = kind::classify(&level.kinds, raw) else {
            return Decoded::Reserved("no kind".into());
        };
        let decoded = match (kind.is, &level.table) {
            (Is::Invalid, _) => Ok(Decoded::Invalid),
            (Is::Table, Some(shape)) => decode_table(level, shape, raw).map(Decoded::Table),
            (Is::Leaf, _) => self.decode_leaf(level, raw).map(Decoded::Leaf),
            _ => Err(kind.id.clone()),
        };
        decoded.unwrap_or_else(Decoded::Reserved)
    }

    fn decode_leaf(&self, level: &Level, raw: u64) -> Result<LeafEntry, Arc<str>> {
        let Some((run, shape)) = level.leaf_shape(raw) else {
            let run = level.runs.first().map(|run| run.id.clone());
            return Err(run.unwrap_or_else(|| "no leaf".into()));
        };
        legal(shape, raw)?;
        let (item_bits, shared) = run.map_or((0, false), |run: &BoundRun| (run.item_bits, run.shared));
        let (granted, denied) = facts(shape, raw);
        let mut leaf = LeafEntry {
            address: 0,
            aligned: level.entry_bits + if shared { item_bits } else { 0 },
            size: level.entry_bits + item_bits,
            items: 1 << item_bits,
            facts: (self.implies | granted) - denied,
            memory: Some(MemoryType::Inherit),
            options: (raw & shape.option_bits()) ^ shape.default_options(),
        };
        for field in &shape.fields {
            let value = || field.bits.extract(raw);
            match &field.meaning {
                BoundMeaning::Output => leaf.address = value(),
                BoundMeaning::Memory(rows) => leaf.memory = rows.get(value()).map(|row| row.meaning),
                _ => {}
            }
        }
        Ok(leaf)
    }

    /// The fields of `raw` at `level`, in the order of the file. None if it is neither a table entry nor a leaf; the
    /// fields of an illegal entry are those of what it would otherwise be.
    pub fn fields(&self, level: u8, raw: u64) -> Vec<FieldValue> {
        let shape = self.level(level).and_then(|level| match kind::classify(&level.kinds, raw)?.is {
            Is::Table => level.table.as_ref(),
            Is::Leaf => Some(level.leaf_shape(raw)?.1),
            Is::Invalid | Is::Reserved => None,
        });
        shape.map_or_else(Vec::new, |shape| shape.fields.iter().map(|field| field.describe(raw)).collect())
    }
}

/// The first field or fix that makes `raw` illegal.
fn legal(shape: &Shape, raw: u64) -> Result<(), Arc<str>> {
    if let Some(field) = shape.fields.iter().find(|field| field.forbids(raw)) {
        return Err(field.name.clone());
    }
    match shape.fixes.iter().find(|fix| fix.forbids(raw)) {
        Some(fix) => Err(fix.id.clone()),
        None => Ok(()),
    }
}

/// The rights and states that fields grant, and those that some field states and does not grant.
fn facts(shape: &Shape, raw: u64) -> (Facts, Facts) {
    let mut granted = Facts::empty();
    let mut denied = Facts::empty();
    for field in &shape.fields {
        if let BoundMeaning::Rights(rows, speaks) = &field.meaning {
            let row = rows.get(field.bits.extract(raw)).map_or(Facts::empty(), |row| row.meaning);
            granted |= row;
            denied |= *speaks - row;
        }
    }
    (granted, denied)
}

fn decode_table(level: &Level, shape: &Shape, raw: u64) -> Result<TableEntry, Arc<str>> {
    legal(shape, raw)?;
    let mut table =
        TableEntry { address: 0, level: level.level.saturating_sub(1), limit: Facts::RIGHTS - facts(shape, raw).1 };
    for field in &shape.fields {
        let value = field.bits.extract(raw);
        match field.meaning {
            BoundMeaning::Table => table.address = value,
            BoundMeaning::NextLevel(plus) => {
                let next = i128::from(value) - i128::from(plus);
                let below = u8::try_from(next).ok().filter(|&next| next < level.level);
                table.level = below.ok_or_else(|| field.name.clone())?;
            }
            _ => {}
        }
    }
    Ok(table)
}

impl BoundField {
    /// What this field of `raw` says.
    pub(crate) fn describe(&self, raw: u64) -> FieldValue {
        let value = self.bits.extract(raw);
        let row = |none| self.values().into_iter().find(|row| row.0 == value).map_or(none, |row| row.1);
        let meaning = match &self.meaning {
            BoundMeaning::Output | BoundMeaning::Table => show::hex(value),
            BoundMeaning::NextLevel(plus) => format!("next level {}", i128::from(value) - i128::from(*plus)),
            BoundMeaning::Rights(..) | BoundMeaning::Memory(_) | BoundMeaning::Option(..) => {
                row(if self.forbids(raw) { "reserved" } else { "unnamed" }.into())
            }
            BoundMeaning::Software => "free for software".into(),
            BoundMeaning::Fixed(..) => "always written so".into(),
        };
        FieldValue { name: self.name.clone(), bits: self.bits.mask(), value, meaning }
    }

    /// The values that have a row, with their meanings in the words of a format file.
    pub fn values(&self) -> Vec<(u64, String)> {
        fn of<T>(rows: &BoundRows<T>, word: impl Fn(&T) -> String) -> Vec<(u64, String)> {
            rows.rows.iter().map(|row| (row.value, word(&row.meaning))).collect()
        }
        match &self.meaning {
            BoundMeaning::Rights(rows, _) => of(rows, |facts| show::facts(*facts)),
            BoundMeaning::Memory(rows) => of(rows, |memory| memory.word().into()),
            BoundMeaning::Option(rows, _) => of(rows, |name| name.to_string()),
            _ => Vec::new(),
        }
    }
}
