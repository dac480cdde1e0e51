//! The questions that a law can ask, whether generated code answers or the interpreter.

use std::prelude::rust_2024::*;
use tablewright_archdefs::bound::Bound;

use super::{Case, Verdict};
use crate::{
    Attributes, Change, Edit, Entry, FaultInfo, Geometry, Invalidation, Level, PageSizes, Refusal, Rights, Signal,
    Stage1Fault, Translated, Written,
};

/// A format in one configuration, as a law sees it.
///
/// In an [`Entry::Reserved`], the rule is left empty: no law says which of several broken rules is named.
///
/// ```
/// use tablewright::testing::Subject;
/// # use tablewright::testing::{Interpreted, configured};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = tablewright_archdefs::read_builtin("sv_x4").ok_or("no such format")?.1.map_err(|_| "mistakes")?;
/// # let all = configured(format)?;
/// # let first = &all[0];
/// # let reference = Interpreted(first.bound.clone());
/// let table = reference.table(2, 0x8000_4000)?;
/// assert_eq!(table, 0x2000_1001);
/// # Ok(())
/// # }
/// ```
pub trait Subject {
    /// Levels and sizes.
    fn geometry(&self) -> Geometry;

    /// Which entry of its table at `level` translates `ia`.
    fn index(&self, level: Level, ia: u64) -> u64;

    /// The sizes of leaves at `level`.
    fn page_sizes(&self, level: Level) -> PageSizes;

    /// The bits that hardware sets in an entry at `level` for a table when it goes through it.
    fn table_accessed(&self, level: Level) -> u64;

    /// Whether an entry that is not present may be cached.
    fn invalid_cached(&self) -> bool;

    /// The items of a leaf of `1 << size` bytes at `oa`.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the format cannot say it.
    fn leaf(&self, level: Level, size: u8, oa: u64, attributes: &Attributes) -> Result<Vec<u64>, Refusal>;

    /// A leaf with other attributes; accessed and dirty stay.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the format cannot say it.
    fn rewrite(&self, level: Level, raw: u64, change: &Change) -> Result<u64, Refusal>;

    /// The leaf with more rights, marked accessed and perhaps dirty, by [`Format::grant`](crate::Format::grant), if that
    /// can.
    fn grant(&self, _level: Level, _raw: u64, _rights: Rights, _dirty: bool) -> Option<u64> {
        None
    }

    /// The same for a page that is written for the first time, by [`FirstWrites::after`](crate::FirstWrites::after).
    fn first_write(&self, _raw: u64, _rights: Rights) -> Option<Written> {
        None
    }

    /// The entry that points to a table.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the address does not fit.
    fn table(&self, level: Level, address: u64) -> Result<u64, Refusal>;

    /// The entry that stands for nothing.
    fn empty(&self, level: Level) -> u64;

    /// Whether a leaf may have to be broken for `change`; `true` if that is not known.
    fn may_break(&self, change: &Change) -> bool {
        let _ = change;
        true
    }

    /// How a live entry may be changed.
    fn edit(&self, level: Level, old: u64, new: u64) -> Edit;

    /// What any value means.
    fn decode(&self, level: Level, raw: u64) -> Entry;

    /// What the engine's fast paths see in an entry that this format wrote.
    fn glance(&self, level: Level, raw: u64) -> Glance;

    /// The table with which a fast walk continues from an own entry above level 0; `None` if it ends there.
    fn link(&self, level: Level, raw: u64) -> Option<u64> {
        match self.decode(level, raw) {
            Entry::Table(table) => Some(table.address),
            _ => None,
        }
    }

    /// The address to which the own leaf `raw`, which translates `ia`, maps it on the fast path; `None` if that is no
    /// leaf.
    fn translate(&self, level: Level, raw: u64, ia: u64) -> Option<u64> {
        let Entry::Leaf(leaf) = self.decode(level, raw) else { return None };
        let within = super::samples::below(leaf.size);
        Some(leaf.address & !within | ia & within)
    }

    /// The named registers for a root and a tag; `None` if they do not fit.
    fn registers(&self, root: u64, tag: u32) -> Option<Vec<(String, u64)>>;

    /// Whether accesses that need the rights `access` are allowed through a leaf: its registers' values, in the order of
    /// the file.
    fn permits(&self, level: Level, raw: u64, granted: Rights, access: Rights, controls: &[u64]) -> bool;

    /// Whether the engine does with this format what a plain model of memory does, in random steps; the MMU interprets
    /// `bound`, which is the same configuration.
    ///
    /// # Errors
    ///
    /// What it did differently, in a sentence.
    fn engine(&self, bound: &Bound) -> Verdict;

    /// The commands for a device's queue that invalidate `set`; `None` if the format has none for that.
    fn commands(&self, tag: u32, set: &Invalidation) -> Option<Vec<Vec<u64>>>;

    /// The command that signals, by `signal`, that all commands before it are complete.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the format has none for that.
    fn completion(&self, signal: Signal) -> Result<Vec<u64>, Refusal>;

    /// The control, and its value, that tells each CPU with its next entry to invalidate `set`; `None` if the format has
    /// none for that.
    fn at_entry(&self, tag: u32, set: &Invalidation) -> Option<(String, u64)>;

    /// The number of invalidations by address from which on a single one for the whole space takes their place.
    fn invalidation_limit(&self, leaf_only: bool) -> u64;

    /// The parameters, by their names, of a machine with these values of its identification registers, in the order of
    /// the file, with this size of the input; `None` if the number of registers is wrong.
    fn of_machine(&self, case: &Case<'_>, registers: &[u64]) -> Option<Vec<(String, i64)>>;

    /// What a fault report says: its registers' values, in the order of the file.
    fn fault(&self, report: &[u64]) -> Option<FaultInfo>;

    /// The report of a fault that software met: its registers' values, in the order of the file; `controls` likewise.
    fn raise(&self, fault: &Stage1Fault, controls: &[u64]) -> Option<Vec<u64>>;

    /// What the result of the machine's own translation instruction says, likewise.
    fn translated(&self, registers: &[u64]) -> Option<Translated>;
}

/// What can be seen in an own entry without decoding all of it.
///
/// ```
/// use tablewright::testing::{Glance, Subject};
/// # use tablewright::testing::{Interpreted, configured};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = tablewright_archdefs::read_builtin("sv_x4").ok_or("no such format")?.1.map_err(|_| "mistakes")?;
/// # let all = configured(format)?;
/// # let first = &all[0];
/// # let reference = Interpreted(first.bound.clone());
/// assert_eq!(reference.glance(2, 0x2000_1001), Glance::Table(0x8000_4000));
/// assert_eq!(reference.glance(2, 0), Glance::Absent);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glance {
    /// Nothing.
    Absent,
    /// A table at this address.
    Table(u64),
    /// A leaf.
    Leaf {
        /// The output address: its own, or that of the run if all items hold the same address.
        address: u64,
        /// log2 of its size, run included.
        size: u8,
        /// Whether it is an item of a run.
        is_item: bool,
        /// What it grants.
        rights: Rights,
    },
}
