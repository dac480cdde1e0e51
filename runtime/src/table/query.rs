//! Reading a table: what an address maps to, what a range holds, which tables there are.

use super::{
    Lookup, Mapping, PageTable, Region, TableInfo,
    build::End,
    located::Located,
    slots::slots,
    walk::{Met, Walk},
};
use crate::{Attributes, ClosedRange, Format, Geometry, Hal, HostPhysAddr, Level, MemoryType, Options, Rights};

/// The leaves in a range; see [`PageTable::mappings`].
///
/// ```
/// # use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
/// # use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut table = PageTable::new(format, machine.clone(), Tag(1))?;
/// # let range = ClosedRange::from_start_size(0x8000_0000, 4 << 20).ok_or("empty")?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// # let mut gather = table.gather();
/// # // SAFETY: nobody translates through this table.
/// # unsafe { table.map(range, 0x4000_0000, &rw, &mut gather)? };
/// # gather.flush();
/// let starts: Vec<u64> = table.mappings(range).map(|leaf| leaf.range.start()).collect();
/// assert_eq!(starts, [0x8000_0000, 0x8020_0000]);
/// # Ok(())
/// # }
/// ```
pub struct Mappings<'a, F: Format, H: Hal> {
    walk: Walk<'a, F, H>,
    /// The leaf of one entry that was decoded last: most of those that follow are like it.
    last: Option<Decoded>,
}

/// The meaning of leaves at one level that differ only in their address.
struct Decoded {
    level: Level,
    /// The bits that hold the address, and the value of the others.
    address: u64,
    rest: u64,
    attributes: Attributes,
}

impl<F: Format, H: Hal> Mappings<'_, F, H> {
    /// Skips the leaves after `leaf`, which came last, that continue it in its table and are like it in all but their
    /// address. Returns the last address that they translate.
    fn skip_alike(&mut self, leaf: &Mapping) -> Option<u64> {
        let (walk, level) = (&mut self.walk, leaf.level);
        let decoded = self.last.as_ref().filter(|last| last.level == level)?;
        let next = walk.next.filter(|_| walk.level == level)?;
        let (table, entries) = (walk.table, *walk.path.get(usize::from(level))?);
        let left = slots::<F>(level, entries.count(), ClosedRange::clamp(next, walk.last));
        let skipped = table.continuing(entries, left, leaf.address, decoded.rest) as u64;
        if skipped == 0 {
            return None;
        }
        let last = next + ((skipped << leaf.size) - 1);
        walk.advance(last);
        Some(table.geometry.extend(last))
    }
}

impl<F: Format, H: Hal> Iterator for Mappings<'_, F, H> {
    type Item = Mapping;

    fn next(&mut self) -> Option<Mapping> {
        let table = self.walk.table;
        let leaf = self.walk.find_map(|met| match met {
            Met::Leaf(leaf) => Some(leaf),
            Met::Table { .. } => None,
        })?;
        let (level, raw) = (leaf.level, leaf.entries.load(leaf.index));
        let is_single = PageTable::<F, H>::items(&leaf) == 1;
        let like = |last: &&Decoded| is_single && last.level == level && raw & !last.address == last.rest;
        if let Some(last) = self.last.as_ref().filter(like) {
            return Some(table.mapping_with(&leaf, last.attributes));
        }
        let decoded = table.attributes(&leaf);
        self.last = decoded.filter(|_| is_single).map(|(raw, attributes)| {
            let address = table.address_bits(level);
            Decoded { level, address, rest: raw & !address, attributes }
        });
        Some(table.mapping_of(&leaf, decoded))
    }
}

/// The mapped regions in a range; see [`PageTable::regions`].
///
/// ```
/// use tablewright::Change;
/// # use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
/// # use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut table = PageTable::new(format, machine.clone(), Tag(1))?;
/// # let range = ClosedRange::from_start_size(0x8000_0000, 4 << 20).ok_or("empty")?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// # let mut gather = table.gather();
/// # // SAFETY: nobody translates through this table.
/// # unsafe { table.map(range, 0x4000_0000, &rw, &mut gather)? };
/// # gather.flush();
/// let read_only = Change { rights: Some(Rights::R), ..Change::default() };
/// table.protect(ClosedRange::around(0x8020_0000, 21), &read_only, &mut gather)?;
/// let rights: Vec<Rights> = table.regions(range).map(|region| region.attributes.rights).collect();
/// assert_eq!(rights, [Rights::RW, Rights::R]);
/// # Ok(())
/// # }
/// ```
pub struct Regions<'a, F: Format, H: Hal> {
    leaves: Mappings<'a, F, H>,
    /// The leaf at which the last region ended.
    ahead: Option<Mapping>,
    clip: ClosedRange,
}

impl<F: Format, H: Hal> Regions<'_, F, H> {
    /// The part of a leaf that is inside the range.
    fn clipped(&self, leaf: &Mapping) -> Region {
        let range = leaf.range.intersection(&self.clip).unwrap_or(leaf.range);
        Region { range, address: leaf.output(range.start()), attributes: leaf.attributes }
    }
}

impl<F: Format, H: Hal> Iterator for Regions<'_, F, H> {
    type Item = Region;

    fn next(&mut self) -> Option<Region> {
        let mut leaf = self.ahead.take().or_else(|| self.leaves.next())?;
        let mut region = self.clipped(&leaf);
        loop {
            if let Some(last) = self.leaves.skip_alike(&leaf) {
                region.range = ClosedRange::clamp(region.range.start(), last.min(self.clip.last()));
            }
            let Some(next) = self.leaves.next() else { break };
            let more = self.clipped(&next);
            if !region.continued_by(&more) {
                self.ahead = Some(next);
                break;
            }
            region.range = region.range.hull(&more.range);
            region.attributes.accessed |= more.attributes.accessed;
            region.attributes.dirty |= more.attributes.dirty;
            leaf = next;
        }
        Some(region)
    }
}

/// All tables of a tree; see [`PageTable::tables`].
///
/// ```
/// # use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
/// # use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut table = PageTable::new(format, machine.clone(), Tag(1))?;
/// # let range = ClosedRange::from_start_size(0x8000_0000, 4 << 20).ok_or("empty")?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// # let mut gather = table.gather();
/// # // SAFETY: nobody translates through this table.
/// # unsafe { table.map(range, 0x4000_0000, &rw, &mut gather)? };
/// # gather.flush();
/// let levels: Vec<u8> = table.tables().map(|table| table.level).collect();
/// assert_eq!(levels, [2, 1]);
/// # Ok(())
/// # }
/// ```
pub struct Tables<'a, F: Format, H: Hal> {
    walk: Walk<'a, F, H>,
    root: Option<TableInfo>,
}

impl<F: Format, H: Hal> Iterator for Tables<'_, F, H> {
    type Item = TableInfo;

    fn next(&mut self) -> Option<TableInfo> {
        if let Some(root) = self.root.take() {
            return Some(root);
        }
        loop {
            let Met::Table { level, address, range } = self.walk.next()? else { continue };
            // There are no tables below it, but many leaves.
            if level == 0 {
                self.walk.advance(range.last());
            }
            return Some(self.walk.table.table_info(level, address, range));
        }
    }
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// What the table says about `ia`; `None` if `ia` is outside the table.
    pub fn query(&self, ia: u64) -> Option<Lookup> {
        let ia = self.reduce(ia)?;
        let end = self.descend(ia);
        Some(match self.leaf_at(ia, end) {
            Some(leaf) => Lookup::Mapped(self.mapping(&leaf)),
            None => Lookup::Hole(self.extend(Self::slot(end.level, ia))),
        })
    }

    /// The output address of `ia`; `None` if it is not mapped.
    // Always inlined: it is hardly more than a call.
    #[inline(always)]
    pub fn translate(&self, ia: u64) -> Option<u64> {
        let End { level, raw, is_leaf, .. } = self.end(self.way_to(ia)?);
        is_leaf.then(|| self.format.translate(level, raw, ia))
    }

    /// The input addresses of each leaf that intersects `range`, in ascending order, and the output address of the first.
    pub(crate) fn outputs(&self, range: ClosedRange) -> impl Iterator<Item = (ClosedRange, u64)> {
        Walk::new(self, self.reduce_range(range)).filter_map(|met| match met {
            Met::Leaf(leaf) => Some((self.extend(leaf.range), leaf.address)),
            Met::Table { .. } => None,
        })
    }

    /// The leaves that intersect `range`, in ascending order, one by one and whole. Nothing if the table cannot
    /// translate all of `range`.
    pub fn mappings(&self, range: ClosedRange) -> Mappings<'_, F, H> {
        Mappings { walk: Walk::new(self, self.reduce_range(range)), last: None }
    }

    /// What `range` maps, in ascending order: leaves that continue each other in input, output and attributes are one
    /// region, clipped to `range`. Nothing if the table cannot translate all of `range`.
    pub fn regions(&self, range: ClosedRange) -> Regions<'_, F, H> {
        Regions { leaves: self.mappings(range), ahead: None, clip: range }
    }

    /// All tables, the root first, each before the tables below it.
    pub fn tables(&self) -> Tables<'_, F, H> {
        let all = ClosedRange::clamp(0, self.geometry.last_input());
        let root = self.table_info(self.geometry.top(), self.root, all);
        Tables { walk: Walk::new(self, Some(all)), root: Some(root) }
    }

    /// How many leaves there are of each size, by its log2, and how many tables at each level.
    pub(crate) fn counts(&self) -> ([usize; 64], [usize; Geometry::MAX_LEVELS]) {
        let (mut leaves, mut tables) = ([0; 64], [0; Geometry::MAX_LEVELS]);
        let count = |counts: &mut [usize], number: u8, more: usize| {
            if let Some(count) = counts.get_mut(usize::from(number)) {
                *count += more;
            }
        };
        count(&mut tables, self.geometry.top(), 1);
        let mut walk = Walk::new(self, Some(ClosedRange::clamp(0, self.geometry.last_input())));
        while let Some(met) = walk.next() {
            match met {
                Met::Leaf(leaf) => count(&mut leaves, leaf.size, 1),
                Met::Table { level, address, range } => {
                    count(&mut tables, level, 1);
                    let entries = self.entries(level, address);
                    // Most tables of pages have no runs: their pages are counted at once.
                    if level == 0 && !self.holds_runs(entries) {
                        let kinds = self.format.kinds(level);
                        let pages = entries.iter(0..entries.count()).filter(|&(_, raw)| !kinds.is_absent(raw));
                        count(&mut leaves, F::PAGE_BITS, pages.count());
                        walk.advance(range.last());
                    }
                }
            }
        }
        (leaves, tables)
    }

    fn table_info(&self, level: Level, address: HostPhysAddr, range: ClosedRange) -> TableInfo {
        TableInfo { level, address, size: self.geometry.table_bits(level), range: self.extend(range) }
    }

    /// A leaf, decoded.
    // Not inlined: it has many callers.
    #[inline(never)]
    pub(super) fn mapping(&self, leaf: &Located<F>) -> Mapping {
        self.mapping_of(leaf, self.attributes(leaf))
    }

    /// A leaf as a [`Mapping`], given its value and decoded attributes. A leaf that the format cannot decode, because
    /// somebody else wrote it, grants nothing.
    fn mapping_of(&self, leaf: &Located<F>, decoded: Option<(u64, Attributes)>) -> Mapping {
        let corrupt = Attributes {
            rights: Rights::empty(),
            memory: MemoryType::Unnamed,
            accessed: false,
            dirty: false,
            options: Options::DEFAULT,
        };
        self.mapping_with(leaf, decoded.map_or(corrupt, |(_, attributes)| attributes))
    }

    fn mapping_with(&self, leaf: &Located<F>, attributes: Attributes) -> Mapping {
        let Located { address, size, level, .. } = *leaf;
        Mapping { range: self.extend(leaf.range), address, size, level, attributes }
    }

    /// Whether `ia` is mapped: as [`Self::translate`], but smaller and slower.
    pub(crate) fn is_mapped(&self, ia: u64) -> bool {
        self.reduce(ia).is_some_and(|ia| self.descend(ia).is_leaf)
    }

    /// The 64-bit addresses of a range that lies within one half of the input addresses (or of all of them).
    // Not inlined: it has many callers.
    #[inline(never)]
    pub(super) fn extend(&self, range: ClosedRange) -> ClosedRange {
        ClosedRange::clamp(self.geometry.extend(range.start()), self.geometry.extend(range.last()))
    }
}
