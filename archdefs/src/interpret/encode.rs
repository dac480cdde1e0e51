//! Entries made from the same rows that decode them.

use std::fmt;

use super::{Decoded, rights};
use crate::bound::{Bound, BoundMeaning, BoundRows, Shape, low_bits};
use crate::model::{Facts, MemoryType};
use crate::show;
use crate::words::Word;

/// What a leaf is to say beside its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The rights, which the leaf grants exactly, and the states, which it shows as far as it can.
    pub facts: Facts,
    /// The memory type.
    pub memory: MemoryType,
    /// The option and software bits that differ from the format's defaults.
    pub options: u64,
}

/// Why no entry can say what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No leaf of this size at this level, or no table.
    Size {
        /// The level.
        level: u8,
        /// log2 of the size.
        size: u8,
    },
    /// The address is too wide or not aligned.
    Address(u64),
    /// No row grants exactly these rights.
    Rights(Facts),
    /// No row has this memory type, and no fallback leads to one that exists.
    Memory(MemoryType),
    /// These bits are not all options, or an option has a value without a row.
    Options(u64),
    /// The tag is too wide for the register that holds it.
    Tag(u64),
    /// No command has the signal.
    Signal,
    /// The data is too wide for the command that holds it.
    Data(u64),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Size { level, size } => write!(f, "level {level} has no leaf of 2^{size} bytes"),
            Self::Address(address) => write!(f, "address {address:#x} is too wide or not aligned"),
            Self::Rights(rights) => write!(f, "no entry grants exactly `{}`", show::facts(rights)),
            Self::Memory(memory) => write!(f, "no entry has the memory type `{}`", memory.word()),
            Self::Options(options) => write!(f, "{options:#x} are no options"),
            Self::Tag(tag) => write!(f, "tag {tag} is too wide"),
            Self::Signal => f.write_str("no command has the signal"),
            Self::Data(data) => write!(f, "data {data:#x} is too wide"),
        }
    }
}

impl std::error::Error for Refused {}

impl Bound {
    /// The items, in order, of a leaf of `1 << size` bytes at `level` that maps to `address`: one if it stands alone.
    ///
    /// # Errors
    ///
    /// [`Refused`], but for [`Refused::Tag`].
    pub fn encode_leaf(&self, level: u8, size: u8, address: u64, attributes: &Attributes) -> Result<Vec<u64>, Refused> {
        let refused = Refused::Size { level, size };
        if !self.page_sizes(level).contains(&size) {
            return Err(refused);
        }
        let here = self.level(level).ok_or(refused)?;
        let run = here.runs.iter().find(|run| run.run_bits == size);
        let (shape, items, step) = match (run, &here.leaf) {
            (Some(run), _) if run.shared => (&run.shape, 1 << run.item_bits, 0),
            (Some(run), _) => (&run.shape, 1 << run.item_bits, 1 << here.entry_bits),
            (None, Some(leaf)) => (leaf, 1, 0),
            (None, None) => return Err(refused),
        };
        self.fits(address, size)?;
        let prototype = self.prototype(shape, attributes)?;
        let item = |index: u64| prototype | insert_address(shape, address + index * step);
        Ok((0..items).map(item).collect())
    }

    /// Every reason for which [`Bound::encode_leaf`] refuses. Address, options, rights and memory type are refused
    /// independently of each other.
    pub fn leaf_refusals(&self, level: u8, size: u8, address: u64, attributes: &Attributes) -> Vec<Refused> {
        let run = self.level(level).and_then(|here| here.runs.iter().find(|run| run.run_bits == size));
        let leaf = || self.level(level).filter(|here| here.entry_bits == size).and_then(|here| here.leaf.as_ref());
        let Some(shape) = run.map(|run| &run.shape).or_else(leaf) else { return vec![Refused::Size { level, size }] };
        let refusals = [
            self.fits(address, size).err(),
            encode_options(shape, attributes.options).err(),
            self.encode_rights(shape, attributes.facts).err(),
            self.encode_memory(shape, attributes.memory).err(),
        ];
        refusals.into_iter().flatten().collect()
    }

    /// The entry at `level` that points to a table of the level below, with every right granted.
    ///
    /// # Errors
    ///
    /// [`Refused::Size`] if there are no tables below `level`, [`Refused::Address`], or [`Refused::Rights`] if no row
    /// grants every right.
    pub fn encode_table(&self, level: u8, address: u64) -> Result<u64, Refused> {
        let table = self.level(level).and_then(|level| level.table.as_ref());
        let size = self.geometry.table_bits(level.saturating_sub(1));
        let shape = table.ok_or(Refused::Size { level, size })?;
        self.fits(address, size)?;
        if self.empty_table(level) == Some(address) {
            return Err(Refused::Address(address));
        }
        let mut raw = shape.constant | shape.default_options() | insert_address(shape, address);
        for field in &shape.fields {
            match &field.meaning {
                BoundMeaning::NextLevel(plus) => {
                    let next = plus.saturating_add(i64::from(level) - 1);
                    raw |= field.bits.insert(u64::try_from(next).unwrap_or(0));
                }
                BoundMeaning::Rights(rows, speaks) => {
                    let wanted = *speaks & Facts::RIGHTS;
                    let row = rows.writable().find(|row| row.meaning.contains(wanted));
                    raw |= field.bits.insert(row.ok_or(Refused::Rights(wanted))?.value);
                }
                _ => {}
            }
        }
        Ok(raw)
    }

    /// The value written at `level` where nothing is mapped.
    pub fn empty(&self, level: u8) -> Option<u64> {
        self.level(level).map(|level| level.empty)
    }

    /// The table that this value leads to, where walks do not stop at it.
    pub fn empty_table(&self, level: u8) -> Option<u64> {
        self.level(level)?.empty_table.map(|(address, _)| address)
    }

    /// The entry that the encoder writes for what `raw` at `level` means, with default options; `None` if it cannot say
    /// that.
    pub fn written(&self, level: u8, raw: u64) -> Option<u64> {
        match self.decode(level, raw) {
            Decoded::Invalid => self.empty(level),
            Decoded::Reserved(_) => None,
            Decoded::Table(table) => self.encode_table(level, table.address).ok(),
            Decoded::Leaf(leaf) => {
                let attributes = Attributes { facts: leaf.facts, memory: leaf.memory?, options: 0 };
                let start = leaf.address >> leaf.size << leaf.size;
                let items = self.encode_leaf(level, leaf.size, start, &attributes).ok()?;
                // If each item has an address of its own, the address tells which item it is.
                let item = (leaf.address - start) >> self.geometry.entry_bits(level);
                items.get(usize::try_from(item).ok()?).copied()
            }
        }
    }

    pub(super) fn fits(&self, address: u64, aligned: u8) -> Result<(), Refused> {
        if address > self.geometry.last_output() || low_bits(address, aligned) != 0 {
            return Err(Refused::Address(address));
        }
        Ok(())
    }

    /// A leaf without its address.
    fn prototype(&self, shape: &Shape, attributes: &Attributes) -> Result<u64, Refused> {
        let options = encode_options(shape, attributes.options)?;
        let rights = self.encode_rights(shape, attributes.facts)?;
        Ok(shape.constant | options | rights | self.encode_memory(shape, attributes.memory)?)
    }

    fn encode_rights(&self, shape: &Shape, asked: Facts) -> Result<u64, Refused> {
        let best = rights::best(&rights::combinations(shape), self.implies, asked).map(|rights| rights.raw);
        best.ok_or(Refused::Rights(asked & Facts::RIGHTS))
    }

    fn encode_memory(&self, shape: &Shape, asked: MemoryType) -> Result<u64, Refused> {
        let field = shape.fields.iter().find_map(|field| match &field.meaning {
            BoundMeaning::Memory(rows) => Some((&field.bits, rows)),
            _ => None,
        });
        let mut wanted = asked;
        for _ in 0..=self.fallbacks.len() {
            match field {
                Some((bits, rows)) => {
                    if let Some(row) = rows.writable().find(|row| row.meaning == wanted) {
                        return Ok(bits.insert(row.value));
                    }
                }
                None if wanted == MemoryType::Inherit => return Ok(0),
                None => {}
            }
            let fallback = self.fallbacks.iter().find(|(from, _)| *from == wanted);
            wanted = fallback.ok_or(Refused::Memory(asked))?.1;
        }
        Err(Refused::Memory(asked))
    }
}

fn encode_options(shape: &Shape, asked: u64) -> Result<u64, Refused> {
    if asked & !shape.option_bits() != 0 {
        return Err(Refused::Options(asked & !shape.option_bits()));
    }
    let raw = shape.default_options() ^ asked;
    let writable = |rows: &BoundRows<_>, value| rows.writable().any(|row| row.value == value);
    for field in &shape.fields {
        match &field.meaning {
            BoundMeaning::Option(rows, _) if !writable(rows, field.bits.extract(raw)) => {
                return Err(Refused::Options(asked & field.bits.mask()));
            }
            _ => {}
        }
    }
    Ok(raw)
}

fn insert_address(shape: &Shape, address: u64) -> u64 {
    let place = shape.fields.iter().find(|field| matches!(field.meaning, BoundMeaning::Output | BoundMeaning::Table));
    place.map_or(0, |field| field.bits.insert(address))
}
