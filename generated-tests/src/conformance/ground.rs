//! What programs can use: the abilities of the format, and the memory of the judge.

use std::ops::Range;

use tablewright::{Attributes, ByName, ClosedRange, Format, Geometry, MemoryType, Rights};

use super::{Judge, Setup};
use crate::laws::Subject;
use crate::mmu::Probe;

/// What the programs of layouts can use.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Levels and sizes.
    pub geometry: Geometry,
    /// log2 of all page sizes, ascending.
    pub sizes: Vec<u8>,
    /// All rights that a leaf can have.
    pub rights: Vec<Rights>,
    /// The most rights that a leaf can have at once: all, if the architecture has pages that every privilege may
    /// execute.
    pub full: Rights,
    /// Types of memory that code can run from.
    pub memory: Vec<MemoryType>,
    /// Memory that may be accessed.
    pub targets: Range<u64>,
    /// Bits of the input addresses that can be judged.
    pub reach: u8,
    /// Bits of the addresses that the judge can ask about at all.
    pub judged: u8,
    /// What is added to all input addresses: the start of an upper half, or 0.
    pub base: u64,
}

impl Ground {
    pub(super) fn new<F: Format>(format: &F, targets: Range<u64>, judged: u8) -> Self {
        let geometry = format.geometry();
        let sizes = (0..geometry.levels).flat_map(|level| format.page_sizes(level).iter().collect::<Vec<_>>());
        let exists = |rights, memory| format.prototype(0, geometry.page_bits, &Attributes::new(rights, memory)).is_ok();
        let normal = [MemoryType::WriteBack, MemoryType::Inherit, MemoryType::NonCacheable, MemoryType::WriteThrough];
        let all = || (0..64).map(Rights::from_bits_truncate);
        let possible = all().filter(|&rights| normal.iter().any(|&memory| exists(rights, memory)));
        let full = possible.max_by_key(|rights| rights.bits().count_ones()).unwrap_or(Rights::RWX);
        let memory: Vec<_> = normal.into_iter().filter(|&memory| exists(full, memory)).collect();
        Self {
            geometry,
            sizes: sizes.collect(),
            rights: all().filter(|&rights| memory.iter().any(|&memory| exists(rights, memory))).collect(),
            full,
            memory,
            targets,
            reach: judged.min(geometry.input_bits),
            judged,
            base: 0,
        }
    }

    /// The same without rights that this judge cannot judge.
    pub(super) fn judged<F: ByName>(setup: &Setup<F>, targets: Range<u64>, judge: &impl Judge) -> Self {
        let mut ground = Self::new(&setup.generated.format, targets, judge.reach());
        let (bits, memory) = (ground.geometry.page_bits, ground.memory[0]);
        ground.rights.retain(|&rights| {
            let page = setup.generated.leaf(0, bits, 0, &Attributes::new(rights, memory));
            page.map_or(true, |items| judge.can_judge(&setup.case.params, 0, items[0]))
        });
        ground
    }

    /// The same as one range of input addresses, or as two if there is a gap between them.
    pub(super) fn halves(self) -> Vec<Self> {
        let half = self.geometry.input_bits - 1;
        let base = self.geometry.extend(1 << half);
        if base == 1 << half || self.geometry.extend(0) != 0 {
            return vec![self];
        }
        let lower = Self { reach: self.reach.min(half), ..self };
        let upper = lower.askable(base).then(|| Self { base, ..lower.clone() });
        [lower].into_iter().chain(upper).collect()
    }

    /// The highest input address below the gap, if there is one, as between the halves of sign-extended addresses.
    pub fn last(&self) -> u64 {
        let last = self.geometry.last_input();
        if self.geometry.extend(last) == last { last } else { last >> 1 }
    }

    /// A range of input addresses, from the lowest bits of its first.
    pub fn range(&self, start: u64, bytes: u64) -> ClosedRange {
        let range = ClosedRange::from_start_size(self.base | start, bytes).expect("a range of input addresses");
        let extended = ClosedRange::new(self.geometry.extend(range.start()), self.geometry.extend(range.last()));
        extended.expect("no range crosses a gap")
    }

    /// Whether the judge can ask about an address.
    pub(super) fn askable(&self, address: u64) -> bool {
        address.checked_shr(self.judged.into()).unwrap_or(0) == 0
    }

    /// An output address for a page of this size, so that at least its part above the start of the targets lies in
    /// them.
    pub fn target(&self, size: u8) -> u64 {
        let bytes = 1 << size;
        let above = self.targets.start.next_multiple_of(bytes);
        if above + bytes <= self.targets.end { above } else { self.targets.start & !(bytes - 1) }
    }

    /// The largest page size, without runs, of which this many fit into the targets.
    pub fn block(&self, count: u64) -> u8 {
        let room = (self.targets.end - self.targets.start) / (count + 1);
        let entry = |size: &u8| (0..self.geometry.levels).any(|level| self.geometry.entry_bits(level) == *size);
        let fitting = self.sizes.iter().copied().filter(entry).filter(|size| 1 << size <= room);
        fitting.max().unwrap_or(self.geometry.page_bits)
    }

    /// Whether a judge may make this access there: it faults, or it reaches memory that is meant for it.
    pub(super) fn may_access(&self, judge: &impl Judge, probe: &Probe, mapped: Option<(u64, Rights)>) -> bool {
        self.askable(probe.address)
            && judge.may_ask(probe)
            && mapped.is_none_or(|(oa, rights)| !judge.grants(probe, rights) || self.targets.contains(&oa))
    }
}
