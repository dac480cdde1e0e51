//! A format written by hand, without a TOML file: every property that a real format may have is a switch.
//!
//! ```text
//! 0      present        5:6    memory: write-back, non-cacheable, device, reserved
//! 1      leaf           7, 8   accessed, dirty
//! 2-4    read write execute    9   item of a run of 16
//! PAGE.. address; where the items of a run share it, its lowest four bits of page number are 1000
//! 63     suppressed: the only bit of an empty entry, if the switch says so
//! ```

use tablewright::{
    AccessedDirty, Attributes, Change, ConfigError, Edit, Entry, Extension, FaultInfo, Format, FormatInfo, Geometry,
    HostPhysAddr, Invalidation, Kinds, Le64, Leaf, Level, MemoryType, Next, Options, PageSizes, Prototype, Refusal,
    Rewrite, Rights, Strip, Table, Tag,
};

const PRESENT: u64 = 1;
const LEAF: u64 = 2;
const RIGHTS: u64 = 0b111 << 2;
const MEMORY: u64 = 0b11 << 5;
const ACCESSED: u64 = 1 << 7;
const DIRTY: u64 = 1 << 8;
const RUN: u64 = 1 << 9;
const RUN_BITS: u8 = 4;

/// The format, with its switches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Witness<const PAGE: u8> {
    pub(crate) levels: u8,
    pub input_bits: u8,
    pub(crate) extension: Extension,
    /// The highest level that holds blocks.
    pub(crate) blocks: Level,
    pub(crate) runs: Runs,
    /// Changes of size, memory type and run need break-before-make.
    pub(crate) breaks: bool,
    /// Those of rights, too.
    pub(crate) rights_break: bool,
    /// Leaves have accessed and dirty states.
    pub(crate) states: bool,
    /// Hardware sets accessed and dirty.
    pub(crate) hardware: bool,
    pub invalid_cached: bool,
    pub(crate) empty: u64,
    /// Entries of the lowest level are told apart as those of others are, as if some might lead to tables.
    pub(crate) same_kinds: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    None,
    /// Every item has its own address.
    Own,
    /// All items have the run's address.
    Shared,
}

impl<const PAGE: u8> Witness<PAGE> {
    const ADDRESS: u64 = (1 << 52) - (1 << PAGE);

    fn entry_bits(&self, level: Level) -> u8 {
        self.geometry().entry_bits(level)
    }

    fn has_runs(&self, level: Level) -> bool {
        self.runs != Runs::None && level <= self.blocks
    }

    /// Whether an entry at `level` without the bit of leaves leads to a table.
    fn may_be_table(&self, level: Level) -> bool {
        level > 0 || self.same_kinds
    }

    fn state(&self, accessed: bool, dirty: bool) -> u64 {
        if self.states { ACCESSED * u64::from(accessed) + DIRTY * u64::from(dirty) } else { 0 }
    }
}

fn rights_bits(rights: Rights) -> Result<u64, Refusal> {
    // Write without read cannot be said.
    let writes_blind = rights.contains(Rights::W) && !rights.contains(Rights::R);
    let mut bits = 0;
    for (bit, right) in [(2, Rights::R), (3, Rights::W), (4, Rights::X)] {
        if rights.contains(right) {
            bits |= 1 << bit;
        } else if rights.intersects(right) {
            return Err(Refusal::Rights(rights));
        }
    }
    if writes_blind { Err(Refusal::Rights(rights)) } else { Ok(bits) }
}

fn memory_bits(memory: MemoryType) -> Result<u64, Refusal> {
    match memory {
        MemoryType::WriteBack => Ok(0),
        MemoryType::NonCacheable => Ok(1 << 5),
        MemoryType::DeviceNGnRE => Ok(2 << 5),
        _ => Err(Refusal::Memory(memory)),
    }
}

// SAFETY: `next`, `output` and `table` are inverse to each other.
unsafe impl<const PAGE: u8> Format for Witness<PAGE> {
    type Config = Self;
    type Registers = (u64, u32);
    type Report = ();
    type Controls = ();
    type Word = Le64;

    const INFO: &'static FormatInfo = &FormatInfo {
        name: "witness",
        title: "a format written by hand",
        architecture: "none",
        stage: 2,
        cite: "",
        tlb: "",
    };
    const ENTRY_BITS: [u8; Geometry::MAX_LEVELS] = {
        let mut bits = [64; Geometry::MAX_LEVELS];
        let mut level = 0;
        while level < 6 {
            bits[level] = PAGE + (PAGE - 3) * level as u8;
            level += 1;
        }
        bits
    };
    const HAS_RUNS: bool = true;

    fn new(config: &Self) -> Result<Self, ConfigError> {
        Ok(*config)
    }

    fn geometry(&self) -> Geometry {
        Geometry::new(3, Self::ENTRY_BITS, self.levels, self.input_bits, 52, self.extension)
    }

    fn page_sizes(&self, level: Level) -> PageSizes {
        if level > self.blocks {
            return PageSizes::default();
        }
        let single = 1 << self.entry_bits(level);
        PageSizes(if self.has_runs(level) { single | single << RUN_BITS } else { single })
    }

    fn invalid_cached(&self) -> bool {
        self.invalid_cached
    }

    fn next(&self, level: Level, raw: u64) -> Next {
        match raw & (PRESENT | LEAF) {
            0 | LEAF => Next::Absent,
            PRESENT if self.may_be_table(level) => Next::Table(raw & Self::ADDRESS),
            _ => Next::Leaf,
        }
    }

    fn kinds(&self, level: Level) -> Kinds {
        let (table_mask, table_value) = if self.may_be_table(level) { (LEAF, 0) } else { (0, 1) };
        Kinds { absent_mask: PRESENT, absent_value: 0, table_mask, table_value, single_mask: RUN, single_value: 0 }
    }

    fn output(&self, level: Level, raw: u64) -> u64 {
        let low = if raw & RUN != 0 && self.runs == Runs::Shared {
            (1_u64 << (self.entry_bits(level) + RUN_BITS)) - 1
        } else {
            0
        };
        raw & Self::ADDRESS & !low
    }

    fn run_bits(&self, _level: Level, raw: u64) -> u8 {
        if raw & RUN != 0 { RUN_BITS } else { 0 }
    }

    fn strip(&self, leaf: Prototype, oa: u64, items: usize) -> Strip {
        let step = 1 << self.entry_bits(leaf.level);
        if leaf.size > self.entry_bits(leaf.level) && self.runs == Runs::Shared {
            let first = leaf.bits | oa | step << (RUN_BITS - 1);
            return Strip { first, step: 0, items: items.min(1 << RUN_BITS) };
        }
        Strip { first: leaf.bits | oa, step, items }
    }

    fn prototype(&self, level: Level, size: u8, attributes: &Attributes) -> Result<Prototype, Refusal> {
        if !self.page_sizes(level).contains(size) {
            return Err(Refusal::Size { level, size });
        }
        if attributes.options != Options::DEFAULT {
            return Err(Refusal::Options(attributes.options));
        }
        let run = if size > self.entry_bits(level) { RUN } else { 0 };
        let bits = PRESENT | LEAF | run | rights_bits(attributes.rights)? | memory_bits(attributes.memory)?;
        Ok(Prototype { bits: bits | self.state(attributes.accessed, attributes.dirty), level, size })
    }

    fn rewrite(&self, _level: Level, change: &Change) -> Result<Rewrite, Refusal> {
        let mut rewrite = Rewrite { keep: u64::MAX, set: 0 };
        if let Some(rights) = change.rights {
            rewrite.keep &= !RIGHTS;
            rewrite.set |= rights_bits(rights)?;
        }
        if let Some(memory) = change.memory {
            rewrite.keep &= !MEMORY;
            rewrite.set |= memory_bits(memory)?;
        }
        match change.options {
            None | Some(Options::DEFAULT) => Ok(rewrite),
            Some(options) => Err(Refusal::Options(options)),
        }
    }

    fn accessed_dirty(&self, _level: Level) -> AccessedDirty {
        if !self.states {
            return AccessedDirty::default();
        }
        AccessedDirty {
            accessed_mask: ACCESSED,
            accessed_value: ACCESSED,
            dirty_mask: DIRTY,
            dirty_value: DIRTY,
            hardware: self.hardware,
        }
    }

    fn table(&self, _level: Level, address: u64) -> Result<u64, Refusal> {
        if address & !Self::ADDRESS == 0 { Ok(PRESENT | address) } else { Err(Refusal::Address(address)) }
    }

    fn empty(&self, _level: Level) -> u64 {
        self.empty
    }

    fn edit(&self, _level: Level, old: u64, new: u64) -> Edit {
        let live = old & PRESENT != 0 && new & PRESENT != 0;
        let output = if (old | new) & RUN != 0 { 0 } else { Self::ADDRESS };
        let breaks = |bits| live && (old ^ new) & bits != 0;
        if self.breaks && breaks(LEAF | MEMORY | RUN | output) || self.rights_break && breaks(RIGHTS) {
            Edit::BreakBeforeMake
        } else {
            Edit::Direct
        }
    }

    fn may_break(&self, change: &Change) -> bool {
        self.breaks && change.memory.is_some() || self.rights_break && change.rights.is_some()
    }

    fn decode(&self, level: Level, raw: u64) -> Entry {
        if raw & PRESENT == 0 {
            return Entry::Invalid;
        }
        if raw & LEAF == 0 {
            return match level.checked_sub(1) {
                Some(below) => Entry::Table(Table { address: raw & Self::ADDRESS, level: below, limit: Rights::RWX }),
                None => Entry::Reserved("table at level 0"),
            };
        }
        let memory = match raw >> 5 & 3 {
            0 => MemoryType::WriteBack,
            1 => MemoryType::NonCacheable,
            2 => MemoryType::DeviceNGnRE,
            _ => return Entry::Reserved("memory"),
        };
        let mut rights = Rights::empty();
        rights.set(Rights::R, raw >> 2 & 1 != 0);
        rights.set(Rights::W, raw >> 3 & 1 != 0);
        rights.set(Rights::X, raw >> 4 & 1 != 0);
        let items = if raw & RUN != 0 { 1 << RUN_BITS } else { 1 };
        Entry::Leaf(Leaf {
            address: self.output(level, raw),
            size: self.leaf_bits(level, raw),
            items,
            attributes: Attributes {
                rights,
                memory,
                accessed: raw & ACCESSED != 0,
                dirty: raw & DIRTY != 0,
                options: Options::DEFAULT,
            },
        })
    }

    fn registers(&self, root: HostPhysAddr, tag: Tag) -> Result<Self::Registers, Refusal> {
        if tag.0 > 0xffff { Err(Refusal::Tag(tag)) } else { Ok((root.as_usize() as u64, tag.0)) }
    }

    fn fault(&self, (): &()) -> Option<FaultInfo> {
        None
    }

    unsafe fn invalidate(&self, _root: HostPhysAddr, _tag: Tag, _set: &Invalidation) -> bool {
        false
    }
}

impl<const PAGE: u8> Witness<PAGE> {
    /// What the others differ from.
    const PLAIN: Self = Self {
        levels: 4,
        input_bits: 48,
        extension: Extension::Zero,
        blocks: 2,
        runs: Runs::None,
        breaks: false,
        rights_break: false,
        states: true,
        hardware: false,
        invalid_cached: false,
        empty: 0,
        same_kinds: false,
    };
}

/// Direct edits, hardware that sets accessed and dirty, an empty entry that is not zero: as nested tables of one maker.
pub(crate) const DIRECT: Witness<12> = Witness { hardware: true, empty: 1 << 63, ..Witness::PLAIN };
/// A wide root, runs whose items share their address, invalid entries that may be cached: as another's.
pub(crate) const WIDE: Witness<12> = Witness {
    levels: 3,
    input_bits: 41,
    runs: Runs::Shared,
    invalid_cached: true,
    hardware: true,
    same_kinds: true,
    ..Witness::PLAIN
};
/// Runs whose items have their own addresses, break-before-make, a concatenated root: as a third's.
pub(crate) const BREAKING: Witness<12> =
    Witness { levels: 3, input_bits: 40, blocks: 1, runs: Runs::Own, breaks: true, ..Witness::PLAIN };
/// Leaves without accessed and dirty states.
pub(crate) const STATELESS: Witness<12> = Witness { runs: Runs::Own, states: false, ..Witness::PLAIN };
/// The same as [`BREAKING`] in larger pages, with accessed and dirty set by hardware.
pub(crate) const LARGE: Witness<14> =
    Witness { levels: 3, input_bits: 40, blocks: 1, runs: Runs::Own, breaks: true, hardware: true, ..Witness::PLAIN };
/// Tables that are smaller than any frame, and a wide root of several in one frame.
pub(crate) const SMALL: Witness<9> = Witness { levels: 3, input_bits: 29, blocks: 1, ..Witness::PLAIN };
/// All 2^64 input addresses, and entries that are told apart alike at all levels.
pub(crate) const FULL: Witness<12> = Witness { levels: 6, input_bits: 64, same_kinds: true, ..Witness::PLAIN };
/// Sign-extended input addresses.
pub(crate) const SIGNED: Witness<12> =
    Witness { levels: 4, input_bits: 48, extension: Extension::Sign, ..Witness::PLAIN };
/// One level only.
pub(crate) const FLAT: Witness<12> =
    Witness { levels: 1, input_bits: 21, blocks: 0, runs: Runs::Shared, ..Witness::PLAIN };
