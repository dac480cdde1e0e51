//! Reading a table: what an address maps to, what a range holds, which tables there are.

use super::PageTable;
use crate::{Attributes, ClosedRange, Format, Hal, HostPhysAddr, Level};

/// A leaf of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The input addresses it translates (the whole leaf; for a run, the whole run).
    pub range: ClosedRange,
    /// The output address of the first of them.
    pub address: u64,
    /// log2 of its size.
    pub size: u8,
    /// Its level.
    pub level: Level,
    /// Everything else it says.
    pub attributes: Attributes,
}

impl Mapping {
    /// The output address of `ia`, which is in the range.
    pub const fn output(&self, ia: u64) -> u64 {
        self.address.wrapping_add(ia.wrapping_sub(self.range.start()))
    }
}

/// What the table says about one input address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It is mapped.
    Mapped(Mapping),
    /// Nothing is mapped in this range around it: what its empty entry spans.
    Hole(ClosedRange),
}

/// Leaves that continue each other, as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The input addresses.
    pub range: ClosedRange,
    /// The output address of the first of them.
    pub address: u64,
    /// What all of them say beside their address; accessed and dirty: whether any of them is.
    pub attributes: Attributes,
}

/// One table of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// The level of its entries.
    pub level: Level,
    /// Where it is.
    pub address: HostPhysAddr,
    /// log2 of the bytes of its frame.
    pub size: u8,
    /// The input addresses it translates.
    pub range: ClosedRange,
}

/// The leaves in a range; see [`PageTable::mappings`].
pub struct Mappings<'a, F: Format, H: Hal> {
    table: &'a PageTable<F, H>,
}

impl<F: Format, H: Hal> Iterator for Mappings<'_, F, H> {
    type Item = Mapping;

    fn next(&mut self) -> Option<Mapping> {
        let _ = self.table;
        todo!()
    }
}

/// The mapped regions in a range; see [`PageTable::regions`].
pub struct Regions<'a, F: Format, H: Hal> {
    leaves: Mappings<'a, F, H>,
}

impl<F: Format, H: Hal> Iterator for Regions<'_, F, H> {
    type Item = Region;

    fn next(&mut self) -> Option<Region> {
        let _ = self.leaves.next();
        todo!()
    }
}

/// All tables of a tree; see [`PageTable::tables`].
pub struct Tables<'a, F: Format, H: Hal> {
    table: &'a PageTable<F, H>,
}

impl<F: Format, H: Hal> Iterator for Tables<'_, F, H> {
    type Item = TableInfo;

    fn next(&mut self) -> Option<TableInfo> {
        let _ = self.table;
        todo!()
    }
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// What the table says about `ia`; `None` if `ia` is outside the table.
    pub fn query(&self, ia: u64) -> Option<Lookup> {
        let _ = ia;
        todo!()
    }

    /// The output address of `ia`; `None` if it is not mapped.
    pub fn translate(&self, ia: u64) -> Option<u64> {
        match self.query(ia)? {
            Lookup::Mapped(mapping) => Some(mapping.output(ia)),
            Lookup::Hole(_) => None,
        }
    }

    /// The leaves that intersect `range`, in ascending order, one by one and whole.
    pub fn mappings(&self, range: ClosedRange) -> Mappings<'_, F, H> {
        let _ = range;
        Mappings { table: self }
    }

    /// What `range` maps, in ascending order: leaves that continue each other in input, output and attributes are one
    /// region, clipped to `range`.
    pub fn regions(&self, range: ClosedRange) -> Regions<'_, F, H> {
        Regions { leaves: self.mappings(range) }
    }

    /// All tables, the root first, each before the tables below it.
    pub fn tables(&self) -> Tables<'_, F, H> {
        Tables { table: self }
    }
}
