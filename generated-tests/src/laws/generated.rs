//! Generated code as the subject of the laws.

use tablewright::{
    Attributes, Change, Edit, Entry, Format, Geometry, HostPhysAddr, Level, Next, PageSizes, Refusal, Tag,
};

use super::{Glance, Subject};

/// A generated format, configured.
#[derive(Clone, Copy, Debug)]
pub struct Generated<F>(pub F);

impl<F: Format> Subject for Generated<F> {
    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn index(&self, level: Level, ia: u64) -> u64 {
        self.0.geometry().index(level, ia) as u64
    }

    fn page_sizes(&self, level: Level) -> PageSizes {
        self.0.page_sizes(level)
    }

    fn invalid_cached(&self) -> bool {
        self.0.invalid_cached()
    }

    fn leaf(&self, level: Level, size: u8, oa: u64, attributes: &Attributes) -> Result<Vec<u64>, Refusal> {
        let prototype = self.0.prototype(level, size, attributes)?;
        let entry_bits = self.0.geometry().entry_bits(level);
        let count = 1 << (size - entry_bits);
        let mut items = Vec::with_capacity(count);
        while items.len() < count {
            let next = oa + ((items.len() as u64) << entry_bits);
            let strip = self.0.strip(prototype, next, count - items.len());
            items.extend((0..strip.items as u64).map(|item| strip.first + item * strip.step));
        }
        Ok(items)
    }

    fn rewrite(&self, level: Level, raw: u64, change: &Change) -> Result<u64, Refusal> {
        let rewrite = self.0.rewrite(level, change)?;
        Ok(raw & rewrite.keep | rewrite.set)
    }

    fn table(&self, level: Level, address: u64) -> Result<u64, Refusal> {
        self.0.table(level, address)
    }

    fn empty(&self, level: Level) -> u64 {
        self.0.empty(level)
    }

    fn edit(&self, level: Level, old: u64, new: u64) -> Edit {
        self.0.edit(level, old, new)
    }

    fn decode(&self, level: Level, raw: u64) -> Entry {
        match self.0.decode(level, raw) {
            Entry::Reserved(_) => Entry::Reserved(""),
            entry => entry,
        }
    }

    fn glance(&self, level: Level, raw: u64) -> Glance {
        match self.0.next(level, raw) {
            Next::Absent => Glance::Absent,
            Next::Table(address) => Glance::Table(address),
            Next::Leaf => Glance::Leaf { address: self.0.output(level, raw), size: self.0.leaf_bits(level, raw) },
        }
    }

    fn registers(&self, root: u64, tag: u32) -> Option<Vec<(String, u64)>> {
        let _ = self.0.registers(HostPhysAddr::from_usize(root as usize), Tag(tag)).ok()?;
        None
    }
}
