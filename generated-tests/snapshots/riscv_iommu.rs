//! RISC-V IOMMU, second stage (Sv39x4, Sv48x4, Sv57x4).
//!
//! RISC-V IOMMU Architecture Specification, Second-stage address translation.
//!
//! Start at [`Config`], make a [`Format`] of it, and give that to the page table.

use ::core::fmt;
use ::core::prelude::rust_2024::*;
use ::tablewright::codec::{self, Facts, Grants, Kind, Named, Pattern, Run};
use ::tablewright::{
    Format as FormatTrait, Table as DecodedTable, AccessedDirty, Attributes, ByName,
    Cause, Change, ConfigError, Edit, Entry, Extension, FaultInfo, FormatInfo, Geometry,
    HostPhysAddr, Invalidation, Kinds, Leaf, Level, MemoryType, Next, Options, PageSizes,
    Prototype, Refusal, Rewrite, Rights, Signal, Strip, Tag,
};

/// What varies between machines and between address spaces. The root can have these shapes:
///
/// | levels | input bits | root table | only if |
/// |---|---|---|---|
/// | 3 | 41 | 16K, 4 tables wide |  |
/// | 4 | 50 | 16K, 4 tables wide |  |
/// | 5 | 59 | 16K, 4 tables wide |  |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Runs of 16 pages.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    /// RISC-V IOMMU Architecture Specification, Overview.
    pub svnapot: bool,
    /// Memory types in entries (capabilities.Svpbmt).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub svpbmt: bool,
    /// Hardware sets A and D (capabilities.AMO_HWAD), as DC.tc.GADE tells it.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub svadu: bool,
    /// Bits 60:59 are free for software (capabilities.Svrsw60t59b).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub svrsw60t59b: bool,
    /// The IOMMU interrupts by wires (capabilities.IGS), as fctl.WSI tells it.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub wired_interrupts: bool,
    /// Number of levels.
    pub levels: u8,
    /// Width of an input address.
    pub input_bits: u8,
}

impl Config {
    /// The defaults of every parameter.
    pub const fn new(levels: u8, input_bits: u8) -> Self {
        Self {
            svnapot: false,
            svpbmt: false,
            svadu: false,
            svrsw60t59b: false,
            wired_interrupts: false,
            levels,
            input_bits,
        }
    }
}

/// What tells what the machine can do, one field for each register.
///
/// RISC-V IOMMU Architecture Specification, IOMMU capabilities (capabilities).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// The register at offset 0.
    pub capabilities: u64,
}

impl Config {
    /// What the machine can do, and the defaults of everything else. If it has no such tables at all,
    /// [`Format::new`] refuses them.
    pub const fn from_capabilities(
        capabilities: &Capabilities,
        levels: u8,
        input_bits: u8,
    ) -> Self {
        let mut config = Self::new(levels, input_bits);
        config.svnapot = true;
        config.svpbmt = capabilities.capabilities >> 15 & 1 != 0;
        config.svadu = capabilities.capabilities >> 24 & 1 != 0;
        config.svrsw60t59b = capabilities.capabilities >> 14 & 1 != 0;
        config.wired_interrupts = capabilities.capabilities >> 28 & 3 != 0;
        config
    }
}

/// The bits of every leaf that are free for software, whatever the parameters are.
pub const SOFTWARE: Options = Options::from_bits(0x300);

/// A leaf at level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63 | `no-napot` | must be zero, if `!svnapot` | RISC-V Privileged Architecture, Sv39, Addressing and Memory Protection |
/// | 62:61 | `memory_type` | PMA (none), NC, IO: overrides the attributes of the physical memory: 0b0 inherit, 0b1 nc, 0b10 uc, if `svpbmt` | Svpbmt Extension, Encodings for PBMT field |
/// | 62:61 | `no-memory-type` | must be zero, if `!svpbmt` | RISC-V Privileged Architecture, Sv39, Addressing and Memory Protection |
/// | 58:54 if svrsw60t59b; 60:54 | `reserved` | must be zero | RISC-V Privileged Architecture, Sv39, Addressing and Memory Protection |
/// | 60:59 | `more-software` | free for software, if `svrsw60t59b` | Svrsw60t59b Extension |
/// | 53:10 <- 55:12 | `output` | output address | RISC-V Privileged Architecture, Sv39 page table entry |
/// | 9:8 | `software` | free for software | RISC-V Privileged Architecture, Sv32, Addressing and Memory Protection |
/// | 7 | `dirty` | 0b1 dirty, 0b0 none | RISC-V Privileged Architecture, Sv32, Addressing and Memory Protection |
/// | 6 | `accessed` | 0b1 accessed, 0b0 none | RISC-V Privileged Architecture, Sv32, Addressing and Memory Protection |
/// | 5 | `global` | written as zero | RISC-V Privileged Architecture, H Extension, Guest Physical Address Translation |
/// | 4 | `user` | must be one | RISC-V Privileged Architecture, H Extension, Guest Physical Address Translation |
/// | 3:1 | `rwx` | execute, write, read: 0b1 r, 0b11 r w, 0b100 x, 0b101 r x, 0b111 r w x | RISC-V Privileged Architecture, Sv32, Encoding of PTE R/W/X fields |
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Page(u64);

impl Page {
    /// An entry from its bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The page that maps to `address`.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the format cannot say these attributes, or if the address is too wide or not aligned.
    pub const fn new(
        format: &Format,
        address: u64,
        attributes: &Attributes,
    ) -> Result<Self, Refusal> {
        match format.leaf(0, address, attributes) {
            Ok(bits) => Ok(Self(bits)),
            Err(refusal) => Err(refusal),
        }
    }

    /// What it means.
    pub fn decode(self, format: &Format) -> Entry {
        format.decode(0, self.0)
    }

    /// Where it maps to, if the format wrote it.
    pub fn address(self, format: &Format) -> u64 {
        format.output(0, self.0)
    }

    /// Bits 3:1: execute, write, read: 0b1 r, 0b11 r w, 0b100 x, 0b101 r x, 0b111 r w x.
    pub const fn rwx(self) -> u64 {
        self.0 >> 1 & 7
    }

    /// This entry with another `rwx`; what does not fit is cut.
    pub const fn with_rwx(self, value: u64) -> Self {
        Self(self.0 & !0xe | codec::insert(value, 3, 1))
    }

    /// Bit 6: 0b1 accessed, 0b0 none.
    pub const fn accessed(self) -> u64 {
        self.0 >> 6 & 1
    }

    /// This entry with another `accessed`; what does not fit is cut.
    pub const fn with_accessed(self, value: u64) -> Self {
        Self(self.0 & !0x40 | codec::insert(value, 6, 6))
    }

    /// Bit 7: 0b1 dirty, 0b0 none.
    pub const fn dirty(self) -> u64 {
        self.0 >> 7 & 1
    }

    /// This entry with another `dirty`; what does not fit is cut.
    pub const fn with_dirty(self, value: u64) -> Self {
        Self(self.0 & !0x80 | codec::insert(value, 7, 7))
    }

    /// Bits 62:61: PMA (none), NC, IO: overrides the attributes of the physical memory: 0b0 inherit, 0b1 nc, 0b10 uc.
    ///
    /// Only where `svpbmt`.
    pub const fn memory_type(self) -> u64 {
        self.0 >> 61 & 3
    }

    /// This entry with another `memory_type`; what does not fit is cut.
    pub const fn with_memory_type(self, value: u64) -> Self {
        Self(self.0 & !0x6000_0000_0000_0000 | codec::insert(value, 62, 61))
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "rwx",
                &Named(
                    self.rwx(),
                    &[(1, "r"), (3, "r w"), (4, "x"), (5, "r x"), (7, "r w x")],
                ),
            )
            .field("accessed", &Named(self.accessed(), &[(1, "accessed"), (0, "none")]))
            .field("dirty", &Named(self.dirty(), &[(1, "dirty"), (0, "none")]))
            .field(
                "memory_type",
                &Named(self.memory_type(), &[(0, "inherit"), (1, "nc"), (2, "uc")]),
            )
            .finish()
    }
}

/// A leaf above level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63 | `no-napot-block` | must be zero | Svnapot Extension, Page table entry encodings when pte.N=1 |
/// | 62:61 | `memory_type` | PMA (none), NC, IO: overrides the attributes of the physical memory: 0b0 inherit, 0b1 nc, 0b10 uc, if `svpbmt` | Svpbmt Extension, Encodings for PBMT field |
/// | 62:61 | `no-memory-type` | must be zero, if `!svpbmt` | RISC-V Privileged Architecture, Sv39, Addressing and Memory Protection |
/// | 58:54 if svrsw60t59b; 60:54 | `reserved` | must be zero | RISC-V Privileged Architecture, Sv39, Addressing and Memory Protection |
/// | 60:59 | `more-software` | free for software, if `svrsw60t59b` | Svrsw60t59b Extension |
/// | 53:leaf_bits - 2 <- 55:leaf_bits | `output` | output address | RISC-V Privileged Architecture, Sv39 page table entry |
/// | leaf_bits - 3:10 | `misaligned` | must be zero | RISC-V Privileged Architecture, Virtual Address Translation Process, step 5 |
/// | 9:8 | `software` | free for software | RISC-V Privileged Architecture, Sv32, Addressing and Memory Protection |
/// | 7 | `dirty` | 0b1 dirty, 0b0 none | RISC-V Privileged Architecture, Sv32, Addressing and Memory Protection |
/// | 6 | `accessed` | 0b1 accessed, 0b0 none | RISC-V Privileged Architecture, Sv32, Addressing and Memory Protection |
/// | 5 | `global` | written as zero | RISC-V Privileged Architecture, H Extension, Guest Physical Address Translation |
/// | 4 | `user` | must be one | RISC-V Privileged Architecture, H Extension, Guest Physical Address Translation |
/// | 3:1 | `rwx` | execute, write, read: 0b1 r, 0b11 r w, 0b100 x, 0b101 r x, 0b111 r w x | RISC-V Privileged Architecture, Sv32, Encoding of PTE R/W/X fields |
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Block(u64);

impl Block {
    /// An entry from its bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The block at `level` that maps to `address`.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if there are no blocks at this level, if the format cannot say these attributes, or if the
    /// address is too wide or not aligned.
    pub const fn new(
        format: &Format,
        level: Level,
        address: u64,
        attributes: &Attributes,
    ) -> Result<Self, Refusal> {
        match format.leaf(level, address, attributes) {
            Ok(bits) => Ok(Self(bits)),
            Err(refusal) => Err(refusal),
        }
    }

    /// What it means at `level`.
    pub fn decode(self, format: &Format, level: Level) -> Entry {
        format.decode(level, self.0)
    }

    /// Where it maps to, if the format wrote it.
    pub fn address(self, format: &Format, level: Level) -> u64 {
        format.output(level, self.0)
    }

    /// Bits 3:1: execute, write, read: 0b1 r, 0b11 r w, 0b100 x, 0b101 r x, 0b111 r w x.
    pub const fn rwx(self) -> u64 {
        self.0 >> 1 & 7
    }

    /// This entry with another `rwx`; what does not fit is cut.
    pub const fn with_rwx(self, value: u64) -> Self {
        Self(self.0 & !0xe | codec::insert(value, 3, 1))
    }

    /// Bit 6: 0b1 accessed, 0b0 none.
    pub const fn accessed(self) -> u64 {
        self.0 >> 6 & 1
    }

    /// This entry with another `accessed`; what does not fit is cut.
    pub const fn with_accessed(self, value: u64) -> Self {
        Self(self.0 & !0x40 | codec::insert(value, 6, 6))
    }

    /// Bit 7: 0b1 dirty, 0b0 none.
    pub const fn dirty(self) -> u64 {
        self.0 >> 7 & 1
    }

    /// This entry with another `dirty`; what does not fit is cut.
    pub const fn with_dirty(self, value: u64) -> Self {
        Self(self.0 & !0x80 | codec::insert(value, 7, 7))
    }

    /// Bits 62:61: PMA (none), NC, IO: overrides the attributes of the physical memory: 0b0 inherit, 0b1 nc, 0b10 uc.
    ///
    /// Only where `svpbmt`.
    pub const fn memory_type(self) -> u64 {
        self.0 >> 61 & 3
    }

    /// This entry with another `memory_type`; what does not fit is cut.
    pub const fn with_memory_type(self, value: u64) -> Self {
        Self(self.0 & !0x6000_0000_0000_0000 | codec::insert(value, 62, 61))
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "rwx",
                &Named(
                    self.rwx(),
                    &[(1, "r"), (3, "r w"), (4, "x"), (5, "r x"), (7, "r w x")],
                ),
            )
            .field("accessed", &Named(self.accessed(), &[(1, "accessed"), (0, "none")]))
            .field("dirty", &Named(self.dirty(), &[(1, "dirty"), (0, "none")]))
            .field(
                "memory_type",
                &Named(self.memory_type(), &[(0, "inherit"), (1, "nc"), (2, "uc")]),
            )
            .finish()
    }
}

/// A pointer to a table of the level below.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63:61 | `table-upper` | must be zero | Svpbmt Extension; RISC-V Privileged Architecture, Sv39, Addressing and Memory Protection |
/// | 58:54 if svrsw60t59b; 60:54 | `reserved` | must be zero | RISC-V Privileged Architecture, Sv39, Addressing and Memory Protection |
/// | 60:59 | `more-software` | free for software, if `svrsw60t59b` | Svrsw60t59b Extension |
/// | 53:10 <- 55:12 | `next_table` | address of the next table | RISC-V Privileged Architecture, Sv39 page table entry |
/// | 9:8 | `software` | free for software | RISC-V Privileged Architecture, Sv32, Addressing and Memory Protection |
/// | 7:6, 4 | `table-dirty-accessed-user` | must be zero | RISC-V Privileged Architecture, Sv32, Addressing and Memory Protection |
/// | 5 | `global` | written as zero | RISC-V Privileged Architecture, H Extension, Guest Physical Address Translation |
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Table(u64);

impl Table {
    /// An entry from its bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The entry at `level` that points to the table at `address`.
    ///
    /// # Errors
    ///
    /// [`Refusal::Address`] if the address is too wide or not aligned.
    pub const fn new(
        format: &Format,
        level: Level,
        address: u64,
    ) -> Result<Self, Refusal> {
        match format.table(level, address) {
            Ok(bits) => Ok(Self(bits)),
            Err(refusal) => Err(refusal),
        }
    }

    /// What it means at `level`.
    pub fn decode(self, format: &Format, level: Level) -> Entry {
        format.decode(level, self.0)
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .finish()
    }
}

/// RISC-V IOMMU, second stage (Sv39x4, Sv48x4, Sv57x4) under one choice of parameters.
///
/// A value holds what its [`Config`] resolves to, so that no parameter is looked at where entries are handled.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    config: Config,
    geometry: Geometry,
    invalid_cached: bool,
    layouts: [Layout; codec::LEVELS],
}

/// What can be had at compile time; everything else is in the implementation of the runtime's trait.
impl Format {
    /// Checks the parameters and resolves them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the parameter or the rule that it breaks.
    pub const fn new(config: &Config) -> Result<Self, ConfigError> {
        let (levels, input_bits) = (config.levels, config.input_bits);
        let root_bits = input_bits as i32 - 12 - 9 * (levels as i32 - 1);
        if !(::core::matches!((levels, root_bits), (3..= 5, 11))) {
            return Err(ConfigError::Root {
                levels,
                input_bits,
            });
        }
        let geometry = Geometry {
            page_bits: 12,
            index_bits: 9,
            levels: config.levels,
            input_bits: config.input_bits,
            output_bits: 56,
            extension: Extension::Zero,
        };
        let mut layouts = [Layout::new(config, 0); codec::LEVELS];
        let mut level = 1;
        while level < codec::LEVELS as Level {
            let top = config.levels - 1;
            layouts[codec::index(level)] = Layout::new(
                config,
                if level < top { level } else { top },
            );
            level += 1;
        }
        Ok(Self {
            config: *config,
            geometry,
            invalid_cached: true,
            layouts,
        })
    }

    /// The parameters that it was made from.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The sizes of leaves at `level`, runs included.
    pub const fn page_sizes(&self, level: Level) -> PageSizes {
        let layout = self.layout(level);
        if level >= self.geometry.levels || !layout.holds_leaves {
            return PageSizes(0);
        }
        PageSizes(
            1 << layout.leaf_bits
                | codec::run_sizes(
                    &layout.runs,
                    layout.leaf_bits,
                    self.geometry.input_bits,
                ),
        )
    }

    /// Everything but the address of a leaf at `level` of size `1 << size`.
    ///
    /// # Errors
    ///
    /// [`Refusal::Size`], [`Refusal::Rights`], [`Refusal::Memory`] or [`Refusal::Options`] if the format cannot
    /// say it.
    pub const fn prototype(
        &self,
        level: Level,
        size: u8,
        attributes: &Attributes,
    ) -> Result<Prototype, Refusal> {
        if !self.page_sizes(level).contains(size) {
            return Err(Refusal::Size { level, size });
        }
        let layout = self.layout(level);
        let mark = if size == layout.leaf_bits {
            layout.single.value
        } else {
            match codec::run_of(&layout.runs, size - layout.leaf_bits) {
                Some(run) => run.mark.value,
                None => return Err(Refusal::Size { level, size }),
            }
        };
        let facts = Facts::new(attributes.rights, attributes.accessed, attributes.dirty);
        let Some(rights) = self.rights_bits(level, facts) else {
            return Err(Refusal::Rights(attributes.rights));
        };
        let memory = match self.memory_bits(level, attributes.memory) {
            Ok(memory) => memory,
            Err(refusal) => return Err(refusal),
        };
        let options = match self.option_bits(level, attributes.options) {
            Ok(options) => options,
            Err(refusal) => return Err(refusal),
        };
        let bits = layout.leaf_base & !layout.options | options | rights | memory | mark;
        Ok(Prototype { bits, level, size })
    }

    /// The raw entries for a leaf prototype from output address `oa` on, for at most `items` items.
    #[inline]
    pub const fn strip(&self, leaf: Prototype, oa: u64, items: usize) -> Strip {
        let layout = self.layout(leaf.level);
        let first = leaf.bits | oa >> 2 & layout.output;
        if leaf.size > layout.leaf_bits {
            let run = 1 << (leaf.size - layout.leaf_bits);
            return Strip {
                first,
                step: 0,
                items: if items < run { items } else { run },
            };
        }
        let size = 1 << layout.leaf_bits;
        Strip {
            first,
            step: size >> 2 & layout.output,
            items,
        }
    }

    /// The entry at `level` that points to a table of the level below, with every right granted.
    ///
    /// # Errors
    ///
    /// [`Refusal::Address`] if the address is too wide or not aligned.
    #[inline]
    pub const fn table(&self, level: Level, address: u64) -> Result<u64, Refusal> {
        let aligned = address & codec::bits(self.geometry.index_bits + 2, 0) == 0;
        if !aligned || address > self.geometry.last_output() {
            return Err(Refusal::Address(address));
        }
        let layout = self.layout(level);
        Ok(layout.table_base | address >> 2 & layout.next_table)
    }

    /// The leaf at `level` that maps to `address` and belongs to no run.
    const fn leaf(
        &self,
        level: Level,
        address: u64,
        attributes: &Attributes,
    ) -> Result<u64, Refusal> {
        let size = self.layout(level).leaf_bits;
        let prototype = match self.prototype(level, size, attributes) {
            Ok(prototype) => prototype,
            Err(refusal) => return Err(refusal),
        };
        if address & codec::bits(size - 1, 0) != 0
            || address > self.geometry.last_output()
        {
            return Err(Refusal::Address(address));
        }
        Ok(self.strip(prototype, address, 1).first)
    }

    #[inline]
    const fn layout(&self, level: Level) -> &Layout {
        &self.layouts[codec::index(level)]
    }

    /// What kind of entry `raw` is at `level`, one of this address space's levels.
    fn kind(&self, level: Level, raw: u64) -> Kind {
        let is_invalid = raw & 1 == 0;
        let is_page = level == 0 && raw & 1 == 1 && raw & 0xe != 0;
        let is_block = level >= 1 && raw & 1 == 1 && raw & 0xe != 0;
        let is_table = level >= 1 && raw & 0xf == 1;
        let is_pointer_at_last_level = level == 0 && raw & 0xf == 1;
        if is_pointer_at_last_level {
            Kind::Reserved("pointer-at-last-level")
        } else if is_invalid {
            Kind::Invalid
        } else if is_table {
            Kind::Table
        } else if is_page || is_block {
            Kind::Leaf
        } else {
            Kind::Reserved("no kind")
        }
    }

    /// log2 of the number of items of the run that a leaf belongs to; `None` if its mark is illegal.
    fn run(&self, level: Level, raw: u64) -> Option<u8> {
        let layout = self.layout(level);
        match layout.runs.iter().find(|run| run.mark.matches(raw)) {
            Some(run) => Some(run.items),
            None if layout.single.matches(raw) => Some(0),
            None => None,
        }
    }

    /// A leaf's content.
    fn decode_leaf(&self, level: Level, raw: u64) -> Entry {
        let config = &self.config;
        let layout = self.layout(level);
        let Some(items) = self.run(level, raw) else {
            return Entry::Reserved("napot-64k");
        };
        let leaf_bits = layout.leaf_bits + items;
        let mut grants = Grants::new();
        let Some(facts) = self.rwx_facts(raw >> 1 & 7) else {
            return Entry::Reserved("rwx");
        };
        grants.field(Facts::RWX, facts);
        let Some(facts) = self.accessed_facts(raw >> 6 & 1) else {
            return Entry::Reserved("accessed");
        };
        grants.field(Facts::ACCESSED, facts);
        let Some(facts) = self.dirty_facts(raw >> 7 & 1) else {
            return Entry::Reserved("dirty");
        };
        grants.field(Facts::DIRTY, facts);
        let (memory, rule) = if config.svpbmt {
            (self.memory_type_type(raw >> 61 & 3), "memory_type")
        } else {
            (Some(MemoryType::Inherit), "")
        };
        let Some(memory) = memory else {
            return Entry::Reserved(rule);
        };
        if level > 0 && raw & codec::bits(leaf_bits - 3, 10) != 0 {
            return Entry::Reserved("misaligned");
        }
        let checked = if config.svrsw60t59b {
            0x7c0_0000_0000_0000
        } else {
            0x1fc0_0000_0000_0000
        };
        if raw & checked != 0 {
            return Entry::Reserved("reserved");
        }
        if !config.svpbmt && raw & 0x6000_0000_0000_0000 != 0 {
            return Entry::Reserved("no-memory-type");
        }
        if !config.svnapot && level == 0 && raw & 0x8000_0000_0000_0000 != 0 {
            return Entry::Reserved("no-napot");
        }
        if level > 0 && raw & 0x8000_0000_0000_0000 != 0 {
            return Entry::Reserved("no-napot-block");
        }
        if !raw & 0x10 != 0 {
            return Entry::Reserved("user");
        }
        let facts = grants.of_leaf(Facts::NONE);
        Entry::Leaf(Leaf {
            address: ((raw & layout.output) << 2) & !codec::bits(leaf_bits - 1, 0),
            size: layout.leaf_bits + items,
            items: 1 << items,
            attributes: Attributes {
                rights: facts.rights(),
                memory,
                accessed: facts.contains(Facts::ACCESSED),
                dirty: facts.contains(Facts::DIRTY),
                options: Options::from_bits((raw ^ layout.leaf_base) & layout.options),
            },
        })
    }

    /// The rights and states of a leaf; `None` if these are illegal.
    #[inline]
    fn leaf_facts(&self, _level: Level, raw: u64) -> Option<Facts> {
        let mut grants = Grants::new();
        grants.field(Facts::RWX, self.rwx_facts(raw >> 1 & 7)?);
        grants.field(Facts::ACCESSED, self.accessed_facts(raw >> 6 & 1)?);
        grants.field(Facts::DIRTY, self.dirty_facts(raw >> 7 & 1)?);
        Some(grants.of_leaf(Facts::NONE))
    }

    /// A table entry's content.
    fn decode_table(&self, level: Level, raw: u64) -> Entry {
        let config = &self.config;
        let layout = self.layout(level);
        let grants = Grants::new();
        if raw & 0xd0 != 0 {
            return Entry::Reserved("table-dirty-accessed-user");
        }
        let checked = if config.svrsw60t59b {
            0x7c0_0000_0000_0000
        } else {
            0x1fc0_0000_0000_0000
        };
        if raw & checked != 0 {
            return Entry::Reserved("reserved");
        }
        if raw & 0xe000_0000_0000_0000 != 0 {
            return Entry::Reserved("table-upper");
        }
        Entry::Table(DecodedTable {
            address: (raw & layout.next_table) << 2,
            level: level.saturating_sub(1),
            limit: grants.of_table(),
        })
    }

    /// The bits of a leaf that grant exactly these rights, with these states where it keeps them.
    const fn rights_bits(&self, _level: Level, facts: Facts) -> Option<u64> {
        let mut bits = 0;
        let mut spoken = Facts::NONE;
        let Some(value) = self.rwx_value(facts) else { return None };
        spoken = spoken.union(Facts::RWX);
        bits |= codec::insert(value, 3, 1);
        let Some(value) = self.accessed_value(facts) else { return None };
        spoken = spoken.union(Facts::ACCESSED);
        bits |= codec::insert(value, 6, 6);
        let Some(value) = self.dirty_value(facts) else { return None };
        spoken = spoken.union(Facts::DIRTY);
        bits |= codec::insert(value, 7, 7);
        let wanted = facts.intersection(Facts::RWX);
        if spoken.contains(wanted) { Some(bits) } else { None }
    }

    /// The bits of a leaf for a memory type.
    const fn memory_bits(
        &self,
        _level: Level,
        memory: MemoryType,
    ) -> Result<u64, Refusal> {
        let config = &self.config;
        if config.svpbmt {
            match self.memory_type_value(memory) {
                Some(value) => Ok(codec::insert(value, 62, 61)),
                None => Err(Refusal::Memory(memory)),
            }
        } else {
            match memory {
                MemoryType::Inherit
                | MemoryType::WriteBack
                | MemoryType::Uncached
                | MemoryType::DeviceNGnRnE
                | MemoryType::DeviceNGnRE
                | MemoryType::DeviceNGRE
                | MemoryType::DeviceGRE => Ok(0),
                _ => Err(Refusal::Memory(memory)),
            }
        }
    }

    /// The bits of a leaf's options and software bits.
    const fn option_bits(&self, level: Level, options: Options) -> Result<u64, Refusal> {
        let layout = self.layout(level);
        if options.bits() & !layout.options != 0 {
            return Err(Refusal::Options(options));
        }
        Ok((layout.leaf_base & layout.options) ^ options.bits())
    }

    /// What a value of `rwx` states; `None` if it is illegal.
    const fn rwx_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0b001 => Some(Facts::R),
            0b011 => Some(Facts::RW),
            0b100 => Some(Facts::X),
            0b101 => Some(Facts::RX),
            0b111 => Some(Facts::RWX),
            _ => None,
        }
    }

    /// The value of `rwx` with exactly these rights, and with these states if it can.
    const fn rwx_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::RWX) {
            Facts::R => Some(0b001),
            Facts::RW => Some(0b011),
            Facts::X => Some(0b100),
            Facts::RX => Some(0b101),
            Facts::RWX => Some(0b111),
            _ => None,
        }
    }

    /// What a value of `accessed` states; `None` if it is illegal.
    const fn accessed_facts(&self, value: u64) -> Option<Facts> {
        match value {
            1 => Some(Facts::ACCESSED),
            0 => Some(Facts::NONE),
            _ => None,
        }
    }

    /// The value of `accessed` with exactly these rights, and with these states if it can.
    const fn accessed_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::ACCESSED) {
            Facts::ACCESSED => Some(1),
            Facts::NONE => Some(0),
            _ => None,
        }
    }

    /// What a value of `dirty` states; `None` if it is illegal.
    const fn dirty_facts(&self, value: u64) -> Option<Facts> {
        match value {
            1 => Some(Facts::DIRTY),
            0 => Some(Facts::NONE),
            _ => None,
        }
    }

    /// The value of `dirty` with exactly these rights, and with these states if it can.
    const fn dirty_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::DIRTY) {
            Facts::DIRTY => Some(1),
            Facts::NONE => Some(0),
            _ => None,
        }
    }

    /// What a value of `memory_type` means; `None` if it is illegal.
    const fn memory_type_type(&self, value: u64) -> Option<MemoryType> {
        match value {
            0b00 => Some(MemoryType::Inherit),
            0b01 => Some(MemoryType::NonCacheable),
            0b10 => Some(MemoryType::Uncached),
            _ => None,
        }
    }

    /// The value of `memory_type` for a memory type, or for what stands in for it.
    const fn memory_type_value(&self, memory: MemoryType) -> Option<u64> {
        match memory {
            MemoryType::Inherit | MemoryType::WriteBack => Some(0b00),
            MemoryType::WriteCombining | MemoryType::NonCacheable => Some(0b01),
            MemoryType::Uncached
            | MemoryType::DeviceNGnRnE
            | MemoryType::DeviceNGnRE
            | MemoryType::DeviceNGRE
            | MemoryType::DeviceGRE => Some(0b10),
            _ => None,
        }
    }
}

/// `output` and `next` read addresses through the very masks that `strip` and `table` write them through, and
/// the checker has proved that these hold every bit of an address once.
// SAFETY: the format's file says so, and the laws test that entries lead where they were made to.
unsafe impl FormatTrait for Format {
    type Config = Config;
    type Registers = Registers;
    type Report = Report;
    type Controls = Controls;

    const INFO: &'static FormatInfo = &FormatInfo {
        name: "riscv_iommu",
        title: "RISC-V IOMMU, second stage (Sv39x4, Sv48x4, Sv57x4)",
        architecture: "riscv64",
        stage: 2,
        cite: "RISC-V IOMMU Architecture Specification, Second-stage address translation",
        tlb: "IOTINVAL.GVMA with GV and AV: one page, final translations only, by a queue; IOTINVAL.GVMA with GV: one tag, by a queue; IOTINVAL.GVMA: everything, by a queue",
    };

    const PAGE_BITS: u8 = 12;
    const INDEX_BITS: u8 = 9;

    fn new(config: &Config) -> Result<Self, ConfigError> {
        Format::new(config)
    }

    #[inline]
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    #[inline]
    fn page_sizes(&self, level: Level) -> PageSizes {
        Format::page_sizes(self, level)
    }

    #[inline]
    fn invalid_cached(&self) -> bool {
        self.invalid_cached
    }

    #[inline]
    fn next(&self, level: Level, raw: u64) -> Next {
        let layout = self.layout(level);
        if layout.table.matches(raw) {
            Next::Table((raw & layout.next_table) << 2)
        } else if layout.absent.matches(raw) {
            Next::Absent
        } else {
            Next::Leaf
        }
    }

    #[inline]
    fn kinds(&self, level: Level) -> Kinds {
        let layout = self.layout(level);
        Kinds {
            absent_mask: layout.absent.mask,
            absent_value: layout.absent.value,
            table_mask: layout.table.mask,
            table_value: layout.table.value,
        }
    }

    #[inline]
    fn output(&self, level: Level, raw: u64) -> u64 {
        let layout = self.layout(level);
        ((raw & layout.output) << 2) & !codec::bits(self.leaf_bits(level, raw) - 1, 0)
    }

    #[inline]
    fn leaf_bits(&self, level: Level, raw: u64) -> u8 {
        let layout = self.layout(level);
        for run in &layout.runs {
            if run.mark.matches(raw) {
                return layout.leaf_bits + run.items;
            }
        }
        layout.leaf_bits
    }

    #[inline]
    fn strip(&self, leaf: Prototype, oa: u64, items: usize) -> Strip {
        Format::strip(self, leaf, oa, items)
    }

    fn prototype(
        &self,
        level: Level,
        size: u8,
        attributes: &Attributes,
    ) -> Result<Prototype, Refusal> {
        Format::prototype(self, level, size, attributes)
    }

    fn rewrite(&self, level: Level, change: &Change) -> Result<Rewrite, Refusal> {
        let layout = self.layout(level);
        let mut keep = u64::MAX;
        let mut set = 0;
        if let Some(rights) = change.rights {
            let bits = |marked| {
                self.rights_bits(level, Facts::new(rights, marked, marked))
            };
            let (unmarked, marked) = bits(false)
                .zip(bits(true))
                .ok_or(Refusal::Rights(rights))?;
            let replaced = layout.rights & !(unmarked ^ marked);
            keep &= !replaced;
            set |= unmarked & replaced;
        }
        if let Some(memory) = change.memory {
            keep &= !layout.memory;
            set |= self.memory_bits(level, memory)?;
        }
        if let Some(options) = change.options {
            keep &= !layout.options;
            set |= self.option_bits(level, options)?;
        }
        Ok(Rewrite { keep, set })
    }

    #[inline]
    fn accessed_dirty(&self, _level: Level) -> AccessedDirty {
        let config = &self.config;
        let mut states = AccessedDirty {
            hardware: config.svadu,
            ..AccessedDirty::default()
        };
        states.accessed_mask = 0x40;
        states.accessed_value = 0x40;
        states.dirty_mask = 0x80;
        states.dirty_value = 0x80;
        states
    }

    #[inline]
    fn table(&self, level: Level, address: u64) -> Result<u64, Refusal> {
        Format::table(self, level, address)
    }

    #[inline]
    fn empty(&self, level: Level) -> u64 {
        self.layout(level).empty
    }

    #[inline]
    fn rights(&self, level: Level, raw: u64) -> Rights {
        self.leaf_facts(level, raw).map_or(Rights::empty(), Facts::rights)
    }

    fn edit(&self, _level: Level, _old: u64, _new: u64) -> Edit {
        Edit::Direct
    }

    fn may_break(&self, _change: &Change) -> bool {
        false
    }

    #[inline]
    fn grant(&self, level: Level, raw: u64, rights: Rights, dirty: bool) -> Option<u64> {
        let layout = self.layout(level);
        if self.leaf_bits(level, raw) != layout.leaf_bits {
            return None;
        }
        let facts = self.leaf_facts(level, raw)?.union(Facts::new(rights, true, dirty));
        Some(raw & !layout.rights | self.rights_bits(level, facts)?)
    }

    fn decode(&self, level: Level, raw: u64) -> Entry {
        if level >= self.geometry.levels {
            return Entry::Reserved("no such level");
        }
        match self.kind(level, raw) {
            Kind::Invalid => Entry::Invalid,
            Kind::Table => self.decode_table(level, raw),
            Kind::Leaf => self.decode_leaf(level, raw),
            Kind::Reserved(rule) => Entry::Reserved(rule),
        }
    }

    fn registers(&self, root: HostPhysAddr, tag: Tag) -> Result<Registers, Refusal> {
        let mut registers = Registers {
            tc: 1,
            iohgatp: 0,
            fsc: 0,
        };
        let config = &self.config;
        let root = root.as_usize() as u64;
        let alignment = self.geometry.table_bits(self.geometry.top());
        if root & codec::bits(alignment - 1, 0) != 0
            || root > self.geometry.last_output()
        {
            return Err(Refusal::Address(root));
        }
        let tag = u64::from(tag.0);
        registers.tc |= codec::insert(config.svadu as u64, 7, 7);
        registers.iohgatp |= codec::insert((config.levels + 5) as u64, 63, 60);
        if tag & 0xffff_ffff_ffff_0000 != 0 {
            return Err(Refusal::Tag(Tag(tag as u32)));
        }
        registers.iohgatp |= codec::insert(tag, 59, 44);
        let value = root >> 12;
        if value & 0xffff_f000_0000_0000 != 0 {
            return Err(Refusal::Address(root));
        }
        registers.iohgatp |= codec::insert(value, 43, 0);
        Ok(registers)
    }

    fn fault(&self, report: &Report) -> Option<FaultInfo> {
        if !(report.record & 0xfff == 20 || report.record & 0xfff == 21
            || report.record & 0xfff == 23)
        {
            return None;
        }
        Some(FaultInfo {
            address: if report.iotval2 & 1 == 1 {
                Some((report.iotval2 >> 2) << 2)
            } else {
                Some((report.iotval2 >> 2) << 2 | (report.iotval & 3))
            },
            access: if report.iotval2 & 3 == 3 {
                Rights::W
            } else if report.iotval2 & 1 == 1 {
                Rights::R
            } else if report.record & 0xfff == 20 {
                Rights::X
            } else if report.record & 0xfff == 23 {
                Rights::W
            } else {
                Rights::R
            },
            cause: Cause::Unspecified,
            level: None,
            width: None,
            guest_walk: report.iotval2 & 1 == 1,
        })
    }

    #[cfg(all(target_arch = "riscv64", target_os = "none"))]
    unsafe fn invalidate(
        &self,
        root: HostPhysAddr,
        tag: Tag,
        _set: &Invalidation,
    ) -> bool {
        // SAFETY: as the caller promises.
        unsafe { false }
    }

    #[cfg(not(all(target_arch = "riscv64", target_os = "none")))]
    unsafe fn invalidate(
        &self,
        _root: HostPhysAddr,
        _tag: Tag,
        _set: &Invalidation,
    ) -> bool {
        false
    }

    fn commands(
        &self,
        tag: Tag,
        set: &Invalidation,
        mut submit: impl FnMut(&[u64]),
    ) -> bool {
        let tag = u64::from(tag.0);
        match set {
            Invalidation::All => {
                submit(&[129, 0]);
                true
            }
            Invalidation::Space => {
                submit(&[0x2_0000_0081 | tag << 44, 0]);
                true
            }
            Invalidation::Range { range, leaf_only, granule } => {
                let granule = (*granule).clamp(12, 63);
                if *leaf_only {
                    if range.span() >> granule >= 64 {
                        submit(&[0x2_0000_0081 | tag << 44, 0]);
                        true
                    } else {
                        let mut ia = range.start();
                        loop {
                            submit(&[0x2_0000_0481 | tag << 44, ia >> 12 << 10]);
                            match ia.checked_add(1 << granule) {
                                Some(next) if next <= range.last() => ia = next,
                                _ => break,
                            }
                        }
                        true
                    }
                } else {
                    submit(&[0x2_0000_0081 | tag << 44, 0]);
                    true
                }
            }
        }
    }

    fn completion(
        &self,
        signal: Signal,
        submit: impl FnOnce(&[u64]),
    ) -> Result<(), Refusal> {
        let config = &self.config;
        match signal {
            Signal::Write { address, data } => {
                let address = address.as_usize() as u64;
                if address & 3 != 0 {
                    return Err(Refusal::Address(address));
                }
                if data > 0xffff_ffff {
                    return Err(Refusal::Data(data));
                }
                submit(&[0x3402 | data << 32, address >> 2]);
                Ok(())
            }
            Signal::Interrupt => {
                if config.wired_interrupts {
                    submit(&[0x3802, 0]);
                    Ok(())
                } else {
                    Err(Refusal::Signal)
                }
            }
            Signal::Consumed => {
                submit(&[0x3002, 0]);
                Ok(())
            }
        }
    }

    fn invalidation_limit(&self, leaf_only: bool) -> u64 {
        if leaf_only { 64 } else { 0 }
    }
}

/// What the entries of one level look like, with every condition resolved.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// log2 of what one entry spans.
    leaf_bits: u8,
    /// Whether there are leaves.
    holds_leaves: bool,
    /// Whether the format allows blocks here.
    holds_blocks: bool,
    /// The value that stands for nothing.
    empty: u64,
    /// What tells an own entry that is not present from all others.
    absent: Pattern,
    /// What tells an own table from all other own entries.
    table: Pattern,
    /// The bits of a leaf that hold its address.
    output: u64,
    /// The bits of a table entry that hold its address.
    next_table: u64,
    /// The bits that every leaf starts from.
    leaf_base: u64,
    /// The bits that every table entry starts from.
    table_base: u64,
    /// The bits of a leaf that say its rights.
    rights: u64,
    /// The bits of a leaf that say its memory type.
    memory: u64,
    /// The bits of a leaf that options and software may choose.
    options: u64,
    /// The runs that exist here.
    runs: [Run; 1],
    /// What a leaf shows that belongs to no run.
    single: Pattern,
}

impl Layout {
    const fn new(config: &Config, level: Level) -> Self {
        let leaf_bits = 12 + 9 * level;
        let block_level = level >= 1;
        let empty = 0;
        let mut layout = Self {
            leaf_bits,
            holds_leaves: level == 0 || level >= 1,
            holds_blocks: block_level,
            empty,
            absent: Pattern::new(1, 0),
            table: if level >= 1 { Pattern::new(0xe, 0) } else { Pattern::NEVER },
            output: codec::bits(53, leaf_bits - 2),
            next_table: 0x3f_ffff_ffff_fc00,
            leaf_base: 0x10,
            table_base: 1,
            rights: 0xe,
            memory: 0,
            options: 0x300,
            runs: [Run::NONE; 1],
            single: Pattern::ALWAYS,
        };
        if level == 0 {
            layout.leaf_base |= 1;
        }
        if level >= 1 {
            layout.leaf_base |= 1;
        }
        if config.svpbmt {
            layout.memory |= 0x6000_0000_0000_0000;
        }
        if config.svrsw60t59b {
            layout.options |= 0x1800_0000_0000_0000;
        }
        layout.table = layout.table.excluding(layout.absent, layout.table_base);
        if config.svnapot && level == 0 {
            layout.runs[0] = Run {
                mark: Pattern::new(0x8000_0000_0000_3c00, 0x8000_0000_0000_2000),
                items: 4,
            };
            layout.single = layout.single.and(Pattern::new(0x8000_0000_0000_0000, 0));
        }
        layout
    }
}

/// The values to load into the machine's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Registers {
    /// Device context, translation control: no ATS, no process contexts.
    ///
    /// Configures walks; loaded with the root.
    /// RISC-V IOMMU Architecture Specification, Translation control (tc).
    pub tc: u64,
    /// Device context, IO hypervisor guest address translation and protection.
    ///
    /// Holds the root; loading it activates an address space.
    /// RISC-V IOMMU Architecture Specification, IO hypervisor guest address translation and protection (iohgatp).
    pub iohgatp: u64,
    /// Device context, first-stage context: Bare, so that the device uses guest physical addresses.
    ///
    /// Configures walks; loaded with the root.
    /// RISC-V IOMMU Architecture Specification, First-Stage context (fsc).
    pub fsc: u64,
}

/// The hardware's report of a fault, one field for each register.
///
/// RISC-V IOMMU Architecture Specification, Fault/Event-Queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// First 64 bits of the fault record.
    pub record: u64,
    /// Its third 64 bits.
    pub iotval: u64,
    /// Its fourth 64 bits.
    pub iotval2: u64,
}

/// What modifies rights at the time of an access: nothing does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Controls {}

impl Config {
    /// Sets a parameter by its name; 0 and 1 stand for false and true. Whether the value is legal, the format's
    /// constructor says.
    ///
    /// `false` if there is no such parameter, it cannot hold the value, or it is fixed to another one.
    pub fn set(&mut self, name: &str, value: i64) -> bool {
        match name {
            "svnapot" => self.svnapot = value != 0,
            "svpbmt" => self.svpbmt = value != 0,
            "svadu" => self.svadu = value != 0,
            "svrsw60t59b" => self.svrsw60t59b = value != 0,
            "wired_interrupts" => self.wired_interrupts = value != 0,
            "levels" => {
                match u8::try_from(value) {
                    Ok(value) => self.levels = value,
                    Err(_) => return false,
                }
            }
            "input_bits" => {
                match u8::try_from(value) {
                    Ok(value) => self.input_bits = value,
                    Err(_) => return false,
                }
            }
            _ => return false,
        }
        true
    }

    /// Each parameter's name and value, as [`Config::set`] takes them.
    pub const fn by_name(&self) -> [(&'static str, i64); 7] {
        [
            ("svnapot", self.svnapot as i64),
            ("svpbmt", self.svpbmt as i64),
            ("svadu", self.svadu as i64),
            ("svrsw60t59b", self.svrsw60t59b as i64),
            ("wired_interrupts", self.wired_interrupts as i64),
            ("levels", self.levels as i64),
            ("input_bits", self.input_bits as i64),
        ]
    }
}

impl Registers {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 3] {
        [("tc", self.tc), ("iohgatp", self.iohgatp), ("fsc", self.fsc)]
    }
}

impl Report {
    /// A report from its registers' values, in the order of the fields.
    pub const fn from_values([record, iotval, iotval2]: [u64; 3]) -> Self {
        Self { record, iotval, iotval2 }
    }
}

impl Report {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 3] {
        [("record", self.record), ("iotval", self.iotval), ("iotval2", self.iotval2)]
    }
}

impl Controls {
    /// These from its registers' values, in the order of the fields.
    pub const fn from_values([]: [u64; 0]) -> Self {
        Self {}
    }
}

impl Capabilities {
    /// These from its registers' values, in the order of the fields.
    pub const fn from_values([capabilities]: [u64; 1]) -> Self {
        Self { capabilities }
    }
}

impl ByName for Format {
    fn config(levels: u8, input_bits: u8) -> Config {
        Config::new(levels, input_bits)
    }

    fn set(config: &mut Config, name: &str, value: i64) -> bool {
        config.set(name, value)
    }

    fn parameters(config: &Config) -> impl Iterator<Item = (&'static str, i64)> {
        config.by_name().into_iter()
    }

    fn of_machine(registers: &[u64], levels: u8, input_bits: u8) -> Option<Config> {
        let capabilities = Capabilities::from_values(registers.try_into().ok()?);
        Some(Config::from_capabilities(&capabilities, levels, input_bits))
    }

    fn register_values(
        registers: &Registers,
    ) -> impl Iterator<Item = (&'static str, u64)> {
        registers.by_name().into_iter()
    }

    fn report(registers: &[u64]) -> Option<Report> {
        registers.try_into().ok().map(Report::from_values)
    }

    fn report_values(report: &Report) -> impl Iterator<Item = (&'static str, u64)> {
        report.by_name().into_iter()
    }

    fn controls(registers: &[u64]) -> Option<Controls> {
        registers.try_into().ok().map(Controls::from_values)
    }
}
