//! Intel VT-d first-stage tables.
//!
//! Intel VT-d Architecture Specification, First-Stage Translation.
//!
//! Start at [`Config`], make a [`Format`] of it, and give that to the page table.

use ::core::fmt;
use ::core::prelude::rust_2024::*;
use ::tablewright::codec::{self, Facts, Grants, Kind, Named, Pattern};
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
/// | 4 | 48 | 4K |  |
/// | 5 | 57 | 4K | `five_level` |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Width of a physical address, without the bit of memory encryption and what that takes.
    ///
    /// 32..=52, by default 52. Bound at boot.
    pub pa_bits: u8,
    /// 1 GiB blocks.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub huge_1g: bool,
    /// Walks of 5 levels (LA57).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub five_level: bool,
    /// Hardware sets the extended-accessed flag (EAFE).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub extended_accessed: bool,
    /// Devices may ask for supervisor privilege (SRE).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub supervisor_requests: bool,
    /// Walks snoop the caches (PWSNP).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub page_walk_snoop: bool,
    /// Single pages can be invalidated (PSI).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub page_selective: bool,
    /// The PASID whose table entry leads here, with the tag as its domain: 20 bits. Requests without a PASID have that of RID_PASID, as a rule 0.
    ///
    /// By default 0x0. Bound for each address space.
    /// [`Format::new`] demands `pasid <= 0xfffff`.
    pub pasid: u64,
    /// Number of levels.
    pub levels: u8,
    /// Width of an input address.
    pub input_bits: u8,
}

impl Config {
    /// The defaults of every parameter.
    pub const fn new(levels: u8, input_bits: u8) -> Self {
        Self {
            pa_bits: 52,
            huge_1g: false,
            five_level: false,
            extended_accessed: false,
            supervisor_requests: false,
            page_walk_snoop: false,
            page_selective: false,
            pasid: 0,
            levels,
            input_bits,
        }
    }
}

/// What tells what the machine can do, one field for each register.
///
/// Intel VT-d Architecture Specification, Capability Register; Extended Capability Register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// Capability Register (offset 0x8).
    pub cap: u64,
    /// Extended Capability Register (offset 0x10).
    pub ecap: u64,
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
        config.huge_1g = capabilities.cap >> 56 & 1 != 0;
        config.five_level = capabilities.cap >> 60 & 1 != 0;
        config.extended_accessed = capabilities.ecap >> 34 & 1 != 0;
        config.supervisor_requests = capabilities.ecap >> 31 & 1 != 0;
        config.page_walk_snoop = capabilities.ecap >> 48 & 1 != 0;
        config.page_selective = capabilities.cap >> 39 & 1 != 0;
        config
    }
}

/// The bits of every leaf that are free for software, whatever the parameters are.
pub const SOFTWARE: Options = Options::from_bits(0x7ff0_0000_0000_0a00);

/// A leaf at level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63 | `execute-disable` | ignored | Intel VT-d Architecture Specification, First-Stage Paging Entries |
/// | 62:52, 11, 9 | `leaf-software` | free for software | Intel VT-d Architecture Specification, First-Stage Paging Entries |
/// | pa_bits - 1:12 | `output` | output address | Intel SDM Vol. 3A, Format of a Page-Table Entry that Maps a 4-KByte Page |
/// | 51:pa_bits | `address-too-wide` | must be zero | Intel VT-d Architecture Specification, First-Stage Paging Entries |
/// | 7, 4:3 | `memory-type` | ignored | Intel VT-d Architecture Specification, Memory Type, First-Stage Translation |
/// | 10 | `extended-accessed` | written by hardware if `extended_accessed`, else ignored | Intel VT-d Architecture Specification, Accessed, Extended Accessed, and Dirty Flags |
/// | 8 | `no-global` | ignored | Intel VT-d Architecture Specification, First-Stage Paging Entries |
/// | 6 | `dirty` | 0b0 none, 0b1 dirty | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 5 | `accessed` | 0b0 none, 0b1 accessed | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 2:1 | `access` | user/supervisor, read/write; a request without privilege is a user's: 0b11 r w, 0b10 r, 0b1 pr pw, 0b0 pr | Intel VT-d Architecture Specification, First-Stage Paging Entries; Access Rights |
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

    /// Bits 2:1: user/supervisor, read/write; a request without privilege is a user's: 0b11 r w, 0b10 r, 0b1 pr pw, 0b0 pr.
    pub const fn access(self) -> u64 {
        self.0 >> 1 & 3
    }

    /// This entry with another `access`; what does not fit is cut.
    pub const fn with_access(self, value: u64) -> Self {
        Self(self.0 & !6 | codec::insert(value, 2, 1))
    }

    /// Bit 5: 0b0 none, 0b1 accessed.
    pub const fn accessed(self) -> u64 {
        self.0 >> 5 & 1
    }

    /// This entry with another `accessed`; what does not fit is cut.
    pub const fn with_accessed(self, value: u64) -> Self {
        Self(self.0 & !0x20 | codec::insert(value, 5, 5))
    }

    /// Bit 6: 0b0 none, 0b1 dirty.
    pub const fn dirty(self) -> u64 {
        self.0 >> 6 & 1
    }

    /// This entry with another `dirty`; what does not fit is cut.
    pub const fn with_dirty(self, value: u64) -> Self {
        Self(self.0 & !0x40 | codec::insert(value, 6, 6))
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "access",
                &Named(self.access(), &[(3, "r w"), (2, "r"), (1, "pr pw"), (0, "pr")]),
            )
            .field("accessed", &Named(self.accessed(), &[(0, "none"), (1, "accessed")]))
            .field("dirty", &Named(self.dirty(), &[(0, "none"), (1, "dirty")]))
            .finish()
    }
}

/// A leaf above level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63 | `execute-disable` | ignored | Intel VT-d Architecture Specification, First-Stage Paging Entries |
/// | 62:52, 11, 9 | `leaf-software` | free for software | Intel VT-d Architecture Specification, First-Stage Paging Entries |
/// | pa_bits - 1:leaf_bits | `output` | output address | Intel SDM Vol. 3A, Format of a Page-Table Entry that Maps a 4-KByte Page |
/// | 51:pa_bits | `address-too-wide` | must be zero | Intel VT-d Architecture Specification, First-Stage Paging Entries |
/// | leaf_bits - 1:13 | `block-misaligned` | must be zero | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 12, 4:3 | `memory-type` | ignored | Intel VT-d Architecture Specification, Memory Type, First-Stage Translation |
/// | 10 | `extended-accessed` | written by hardware if `extended_accessed`, else ignored | Intel VT-d Architecture Specification, Accessed, Extended Accessed, and Dirty Flags |
/// | 8 | `no-global` | ignored | Intel VT-d Architecture Specification, First-Stage Paging Entries |
/// | 6 | `dirty` | 0b0 none, 0b1 dirty | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 5 | `accessed` | 0b0 none, 0b1 accessed | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 2:1 | `access` | user/supervisor, read/write; a request without privilege is a user's: 0b11 r w, 0b10 r, 0b1 pr pw, 0b0 pr | Intel VT-d Architecture Specification, First-Stage Paging Entries; Access Rights |
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

    /// Bits 2:1: user/supervisor, read/write; a request without privilege is a user's: 0b11 r w, 0b10 r, 0b1 pr pw, 0b0 pr.
    pub const fn access(self) -> u64 {
        self.0 >> 1 & 3
    }

    /// This entry with another `access`; what does not fit is cut.
    pub const fn with_access(self, value: u64) -> Self {
        Self(self.0 & !6 | codec::insert(value, 2, 1))
    }

    /// Bit 5: 0b0 none, 0b1 accessed.
    pub const fn accessed(self) -> u64 {
        self.0 >> 5 & 1
    }

    /// This entry with another `accessed`; what does not fit is cut.
    pub const fn with_accessed(self, value: u64) -> Self {
        Self(self.0 & !0x20 | codec::insert(value, 5, 5))
    }

    /// Bit 6: 0b0 none, 0b1 dirty.
    pub const fn dirty(self) -> u64 {
        self.0 >> 6 & 1
    }

    /// This entry with another `dirty`; what does not fit is cut.
    pub const fn with_dirty(self, value: u64) -> Self {
        Self(self.0 & !0x40 | codec::insert(value, 6, 6))
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "access",
                &Named(self.access(), &[(3, "r w"), (2, "r"), (1, "pr pw"), (0, "pr")]),
            )
            .field("accessed", &Named(self.accessed(), &[(0, "none"), (1, "accessed")]))
            .field("dirty", &Named(self.dirty(), &[(0, "none"), (1, "dirty")]))
            .finish()
    }
}

/// A pointer to a table of the level below.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63:52, 11, 9:8, 6, 4:3 | `table-ignored` | ignored | Intel VT-d Architecture Specification, First-Stage Paging Entries |
/// | pa_bits - 1:12 | `next_table` | address of the next table | Intel SDM Vol. 3A, Format of a PML4 Entry (PML4E) that References a Page-Directory-Pointer Table |
/// | 51:pa_bits | `address-too-wide` | must be zero | Intel VT-d Architecture Specification, First-Stage Paging Entries |
/// | 10 | `extended-accessed` | written by hardware if `extended_accessed`, else ignored | Intel VT-d Architecture Specification, Accessed, Extended Accessed, and Dirty Flags |
/// | 5 | `table-accessed` | written by hardware | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 2:1 | `access` | user/supervisor, read/write; a request without privilege is a user's: 0b11 r w, 0b10 r, 0b1 pr pw, 0b0 pr | Intel VT-d Architecture Specification, First-Stage Paging Entries; Access Rights |
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

    /// Bits 2:1: user/supervisor, read/write; a request without privilege is a user's: 0b11 r w, 0b10 r, 0b1 pr pw, 0b0 pr.
    pub const fn access(self) -> u64 {
        self.0 >> 1 & 3
    }

    /// This entry with another `access`; what does not fit is cut.
    pub const fn with_access(self, value: u64) -> Self {
        Self(self.0 & !6 | codec::insert(value, 2, 1))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "access",
                &Named(self.access(), &[(3, "r w"), (2, "r"), (1, "pr pw"), (0, "pr")]),
            )
            .finish()
    }
}

/// Intel VT-d first-stage tables under one choice of parameters.
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
        if !::core::matches!(config.pa_bits, 32..= 52) {
            return Err(ConfigError::Value {
                param: "pa_bits",
                value: config.pa_bits as i64,
            });
        }
        let (levels, input_bits) = (config.levels, config.input_bits);
        let root_bits = input_bits as i32 - 12 - 9 * (levels as i32 - 1);
        if !(::core::matches!((levels, root_bits), (4, 9))
            || (config.five_level && ::core::matches!((levels, root_bits), (5, 9))))
        {
            if ::core::matches!((levels, root_bits), (5, 9)) {
                return Err(ConfigError::RootNeeds {
                    levels,
                    input_bits,
                    condition: "five_level",
                });
            }
            return Err(ConfigError::Root {
                levels,
                input_bits,
            });
        }
        if !(config.pasid <= 0xf_ffff) {
            return Err(ConfigError::Rule("pasid <= 0xfffff"));
        }
        let geometry = Geometry {
            page_bits: 12,
            index_bits: 9,
            levels: config.levels,
            input_bits: config.input_bits,
            output_bits: config.pa_bits,
            extension: Extension::Sign,
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
            invalid_cached: false,
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
        PageSizes(1 << layout.leaf_bits)
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
        let bits = layout.leaf_base & !layout.options | options | rights | memory;
        Ok(Prototype { bits, level, size })
    }

    /// The raw entries for a leaf prototype from output address `oa` on, for at most `items` items.
    #[inline]
    pub const fn strip(&self, leaf: Prototype, oa: u64, items: usize) -> Strip {
        let layout = self.layout(leaf.level);
        let first = leaf.bits | oa & layout.output;
        let size = 1 << layout.leaf_bits;
        Strip {
            first,
            step: size & layout.output,
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
        Ok(layout.table_base | address & layout.next_table)
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
        let layout = self.layout(level);
        let block_level = layout.holds_blocks;
        let is_not_present = raw & 1 == 0;
        let is_page = level == 0 && raw & 1 == 1;
        let is_block = block_level && raw & 0x81 == 0x81;
        let is_table = level >= 1 && raw & 0x81 == 1;
        let is_block_unsupported = level >= 1 && !block_level && raw & 0x81 == 0x81;
        if is_block_unsupported {
            Kind::Reserved("block-unsupported")
        } else if is_not_present {
            Kind::Invalid
        } else if is_table {
            Kind::Table
        } else if is_page || is_block {
            Kind::Leaf
        } else {
            Kind::Reserved("no kind")
        }
    }

    /// A leaf's content.
    fn decode_leaf(&self, level: Level, raw: u64) -> Entry {
        let config = &self.config;
        let layout = self.layout(level);
        let leaf_bits = layout.leaf_bits;
        let mut grants = Grants::new();
        let memory = MemoryType::Inherit;
        let Some(facts) = self.access_facts(raw >> 1 & 3) else {
            return Entry::Reserved("access");
        };
        grants.field(Facts::RW, facts);
        let Some(facts) = self.accessed_facts(raw >> 5 & 1) else {
            return Entry::Reserved("accessed");
        };
        grants.field(Facts::ACCESSED, facts);
        let Some(facts) = self.dirty_facts(raw >> 6 & 1) else {
            return Entry::Reserved("dirty");
        };
        grants.field(Facts::DIRTY, facts);
        if raw & codec::bits(51, config.pa_bits) != 0 {
            return Entry::Reserved("address-too-wide");
        }
        if level > 0 && raw & codec::bits(leaf_bits - 1, 13) != 0 {
            return Entry::Reserved("block-misaligned");
        }
        let facts = grants.of_leaf(Facts::NONE);
        Entry::Leaf(Leaf {
            address: raw & layout.output,
            size: layout.leaf_bits,
            items: 1,
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
        grants.field(Facts::RW, self.access_facts(raw >> 1 & 3)?);
        grants.field(Facts::ACCESSED, self.accessed_facts(raw >> 5 & 1)?);
        grants.field(Facts::DIRTY, self.dirty_facts(raw >> 6 & 1)?);
        Some(grants.of_leaf(Facts::NONE))
    }

    /// A table entry's content.
    fn decode_table(&self, level: Level, raw: u64) -> Entry {
        let config = &self.config;
        let layout = self.layout(level);
        let mut grants = Grants::new();
        let Some(facts) = self.access_facts(raw >> 1 & 3) else {
            return Entry::Reserved("access");
        };
        grants.field(Facts::RW, facts);
        if raw & codec::bits(51, config.pa_bits) != 0 {
            return Entry::Reserved("address-too-wide");
        }
        Entry::Table(DecodedTable {
            address: raw & layout.next_table,
            level: level.saturating_sub(1),
            limit: grants.of_table(),
        })
    }

    /// The bits of a leaf that grant exactly these rights, with these states where it keeps them.
    const fn rights_bits(&self, _level: Level, facts: Facts) -> Option<u64> {
        let mut bits = 0;
        let mut spoken = Facts::NONE;
        let Some(value) = self.access_value(facts) else { return None };
        spoken = spoken.union(Facts::RW);
        bits |= codec::insert(value, 2, 1);
        let Some(value) = self.accessed_value(facts) else { return None };
        spoken = spoken.union(Facts::ACCESSED);
        bits |= codec::insert(value, 5, 5);
        let Some(value) = self.dirty_value(facts) else { return None };
        spoken = spoken.union(Facts::DIRTY);
        bits |= codec::insert(value, 6, 6);
        let wanted = facts.intersection(Facts::RWX);
        if spoken.contains(wanted) { Some(bits) } else { None }
    }

    /// The bits of a leaf for a memory type.
    const fn memory_bits(
        &self,
        _level: Level,
        memory: MemoryType,
    ) -> Result<u64, Refusal> {
        match memory {
            MemoryType::Inherit | MemoryType::WriteBack => Ok(0),
            _ => Err(Refusal::Memory(memory)),
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

    /// What a value of `access` states; `None` if it is illegal.
    const fn access_facts(&self, value: u64) -> Option<Facts> {
        const PR_PW: Facts = Facts::PR.union(Facts::PW);
        match value {
            0b11 => Some(Facts::RW),
            0b10 => Some(Facts::R),
            0b01 => Some(PR_PW),
            0b00 => Some(Facts::PR),
            _ => None,
        }
    }

    /// The value of `access` with exactly these rights, and with these states if it can.
    const fn access_value(&self, facts: Facts) -> Option<u64> {
        const PR_PW: Facts = Facts::PR.union(Facts::PW);
        match facts.intersection(Facts::RW) {
            Facts::RW => Some(0b11),
            Facts::R => Some(0b10),
            PR_PW => Some(0b01),
            Facts::PR => Some(0b00),
            _ => None,
        }
    }

    /// What a value of `accessed` states; `None` if it is illegal.
    const fn accessed_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0 => Some(Facts::NONE),
            1 => Some(Facts::ACCESSED),
            _ => None,
        }
    }

    /// The value of `accessed` with exactly these rights, and with these states if it can.
    const fn accessed_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::ACCESSED) {
            Facts::NONE => Some(0),
            Facts::ACCESSED => Some(1),
            _ => None,
        }
    }

    /// What a value of `dirty` states; `None` if it is illegal.
    const fn dirty_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0 => Some(Facts::NONE),
            1 => Some(Facts::DIRTY),
            _ => None,
        }
    }

    /// The value of `dirty` with exactly these rights, and with these states if it can.
    const fn dirty_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::DIRTY) {
            Facts::NONE => Some(0),
            Facts::DIRTY => Some(1),
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
        name: "vtd_first_stage",
        title: "Intel VT-d first-stage tables",
        architecture: "x86_64",
        stage: 1,
        cite: "Intel VT-d Architecture Specification, First-Stage Translation",
        tlb: "PASID-based IOTLB invalidation of pages: one page, final translations only, by a queue; PASID-based IOTLB invalidation of pages, and of what is cached of tables: one page, by a queue; PASID-based IOTLB invalidation of a PASID within a domain: one tag, by a queue; global IOTLB invalidation: everything, by a queue",
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
            Next::Table(raw & layout.next_table)
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
        raw & layout.output
    }

    #[inline]
    fn leaf_bits(&self, level: Level, _raw: u64) -> u8 {
        let layout = self.layout(level);
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
        let mut states = AccessedDirty {
            hardware: true,
            ..AccessedDirty::default()
        };
        states.accessed_mask = 0x20;
        states.accessed_value = 0x20;
        states.dirty_mask = 0x40;
        states.dirty_value = 0x40;
        states
    }

    #[inline]
    fn table_accessed(&self, _level: Level) -> u64 {
        let config = &self.config;
        let mut accessed = 0x20;
        if config.extended_accessed {
            accessed |= 0x400;
        }
        accessed
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

    fn edit(&self, level: Level, old: u64, new: u64) -> Edit {
        let needs_break = match (self.decode(level, old), self.decode(level, new)) {
            (Entry::Leaf(old), Entry::Leaf(new)) => old.size != new.size,
            (Entry::Table(old), Entry::Table(new)) => old.level != new.level,
            (Entry::Table(_), Entry::Leaf(_)) | (Entry::Leaf(_), Entry::Table(_)) => true,
            _ => false,
        };
        if needs_break { Edit::BreakBeforeMake } else { Edit::Direct }
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
            pasid0: 0x41,
            pasid1: 0,
            pasid2: 0x10,
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
        if tag & 0xffff_ffff_ffff_0000 != 0 {
            return Err(Refusal::Tag(Tag(tag as u32)));
        }
        registers.pasid1 |= codec::insert(tag, 15, 0);
        registers.pasid1 |= codec::insert(config.page_walk_snoop as u64, 23, 23);
        registers.pasid2 |= codec::insert(config.supervisor_requests as u64, 0, 0);
        registers.pasid2 |= codec::insert((config.levels - 4) as u64, 3, 2);
        registers.pasid2 |= codec::insert(config.extended_accessed as u64, 7, 7);
        let value = root >> 12;
        registers.pasid2 |= codec::insert(value, config.pa_bits - 1, 12);
        Ok(registers)
    }

    fn fault(&self, report: &Report) -> Option<FaultInfo> {
        if !((report.fault1 >> 63 != 0)
            && (::core::matches!(report.fault1 >> 32 & 0xff, 112..= 115)
                || ::core::matches!(report.fault1 >> 32 & 0xff, 128..= 130)
                || report.fault1 >> 32 & 0xff == 133
                || report.fault1 >> 32 & 0xff == 134))
        {
            return None;
        }
        Some(FaultInfo {
            address: Some((report.fault0 >> 12) << 12),
            access: if report.fault1 >> 30 & 1 != 0 {
                Rights::X
            } else if report.fault1 >> 62 & 1 != 0 {
                Rights::R
            } else {
                Rights::W
            },
            cause: if report.fault1 >> 32 & 0xff == 112
                || report.fault1 >> 32 & 0xff == 115
            {
                Cause::External
            } else if report.fault1 >> 32 & 0xff == 113 {
                Cause::NotMapped
            } else if report.fault1 >> 32 & 0xff == 114 {
                Cause::Misconfigured
            } else if report.fault1 >> 32 & 0xff == 128 {
                Cause::AddressSize
            } else {
                Cause::Permission
            },
            level: None,
            width: None,
            guest_walk: false,
        })
    }

    fn permits(
        &self,
        _level: Level,
        _raw: u64,
        granted: Rights,
        access: Rights,
        controls: &Controls,
    ) -> bool {
        access
            .iter()
            .all(|right| {
                let write = Rights::W.contains(right);
                let user = Rights::U.contains(right);
                let pr = granted.contains(Rights::PR);
                let granted = granted.contains(right);
                if !user && !(controls.pasid2 & 1 != 0) {
                    return false;
                }
                if write && !user && !(controls.pasid2 >> 4 & 1 != 0) {
                    return pr;
                }
                granted
            })
    }

    #[cfg(all(target_arch = "x86_64", target_os = "none"))]
    unsafe fn invalidate(
        &self,
        root: HostPhysAddr,
        tag: Tag,
        _set: &Invalidation,
    ) -> bool {
        // SAFETY: as the caller promises.
        unsafe { false }
    }

    #[cfg(not(all(target_arch = "x86_64", target_os = "none")))]
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
        let config = &self.config;
        let tag = u64::from(tag.0);
        match set {
            Invalidation::All => {
                submit(&[210, 0]);
                true
            }
            Invalidation::Space => {
                submit(&[38 | tag << 16 | config.pasid << 32, 0]);
                true
            }
            Invalidation::Range { range, leaf_only, granule } => {
                let granule = (*granule).clamp(12, 63);
                if *leaf_only {
                    if config.page_selective {
                        if range.span() >> granule >= 64 {
                            submit(&[38 | tag << 16 | config.pasid << 32, 0]);
                            true
                        } else {
                            let leaf_bits = granule;
                            let mut ia = range.start();
                            loop {
                                submit(
                                    &[
                                        54 | tag << 16 | config.pasid << 32,
                                        ia | 64 | ((leaf_bits - 12) as u64),
                                    ],
                                );
                                match ia.checked_add(1 << granule) {
                                    Some(next) if next <= range.last() => ia = next,
                                    _ => break,
                                }
                            }
                            true
                        }
                    } else {
                        submit(&[38 | tag << 16 | config.pasid << 32, 0]);
                        true
                    }
                } else {
                    if config.page_selective {
                        if range.span() >> granule >= 64 {
                            submit(&[38 | tag << 16 | config.pasid << 32, 0]);
                            true
                        } else {
                            let leaf_bits = granule;
                            let mut ia = range.start();
                            loop {
                                submit(
                                    &[
                                        54 | tag << 16 | config.pasid << 32,
                                        ia | ((leaf_bits - 12) as u64),
                                    ],
                                );
                                match ia.checked_add(1 << granule) {
                                    Some(next) if next <= range.last() => ia = next,
                                    _ => break,
                                }
                            }
                            true
                        }
                    } else {
                        submit(&[38 | tag << 16 | config.pasid << 32, 0]);
                        true
                    }
                }
            }
        }
    }

    fn completion(
        &self,
        signal: Signal,
        submit: impl FnOnce(&[u64]),
    ) -> Result<(), Refusal> {
        match signal {
            Signal::Write { address, data } => {
                let address = address.as_usize() as u64;
                if address & 3 != 0 {
                    return Err(Refusal::Address(address));
                }
                if data > 0xffff_ffff {
                    return Err(Refusal::Data(data));
                }
                submit(&[data << 32 | 37, address]);
                Ok(())
            }
            Signal::Interrupt => {
                submit(&[21, 0]);
                Ok(())
            }
            _ => Err(Refusal::Signal),
        }
    }

    fn invalidation_limit(&self, _leaf_only: bool) -> u64 {
        let config = &self.config;
        if config.page_selective { 64 } else { 0 }
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
}

impl Layout {
    const fn new(config: &Config, level: Level) -> Self {
        let leaf_bits = 12 + 9 * level;
        let block_level = level == 1 || config.huge_1g && level == 2;
        let empty = 0;
        let mut layout = Self {
            leaf_bits,
            holds_leaves: level == 0 || block_level,
            holds_blocks: block_level,
            empty,
            absent: Pattern::new(1, 0),
            table: if level >= 1 { Pattern::new(0x80, 0) } else { Pattern::NEVER },
            output: codec::bits(config.pa_bits - 1, leaf_bits),
            next_table: codec::bits(config.pa_bits - 1, 12),
            leaf_base: 0,
            table_base: 7,
            rights: 6,
            memory: 0,
            options: 0x7ff0_0000_0000_0a00,
        };
        if level == 0 {
            layout.leaf_base |= 1;
        }
        if block_level {
            layout.leaf_base |= 0x81;
        }
        layout.table = layout.table.excluding(layout.absent, layout.table_base);
        layout
    }
}

/// The values to load into the machine's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Registers {
    /// PASID-table entry, bits 63:0: first stage only.
    ///
    /// Configures walks; loaded with the root.
    /// Intel VT-d Architecture Specification, Scalable-Mode PASID Table Entry.
    pub pasid0: u64,
    /// PASID-table entry, bits 127:64.
    ///
    /// Configures walks; loaded with the root.
    /// Intel VT-d Architecture Specification, Scalable-Mode PASID Table Entry.
    pub pasid1: u64,
    /// PASID-table entry, bits 191:128.
    ///
    /// Holds the root; loading it activates an address space.
    /// Intel VT-d Architecture Specification, Scalable-Mode PASID Table Entry.
    pub pasid2: u64,
}

/// The hardware's report of a fault, one field for each register.
///
/// Intel VT-d Architecture Specification, Fault Recording Registers; Fault Reason Encodings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// Low 64 bits of a Fault Recording Register.
    pub fault0: u64,
    /// Its high 64 bits.
    pub fault1: u64,
}

/// What modifies rights at the time of an access, one field for each register.
///
/// Intel VT-d Architecture Specification, Access Rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Controls {
    /// Bits 191:128 of the PASID-table entry.
    pub pasid2: u64,
}

impl Config {
    /// Sets a parameter by its name; 0 and 1 stand for false and true. Whether the value is legal, the format's
    /// constructor says.
    ///
    /// `false` if there is no such parameter, it cannot hold the value, or it is fixed to another one.
    pub fn set(&mut self, name: &str, value: i64) -> bool {
        match name {
            "pa_bits" => {
                match u8::try_from(value) {
                    Ok(value) => self.pa_bits = value,
                    Err(_) => return false,
                }
            }
            "huge_1g" => self.huge_1g = value != 0,
            "five_level" => self.five_level = value != 0,
            "extended_accessed" => self.extended_accessed = value != 0,
            "supervisor_requests" => self.supervisor_requests = value != 0,
            "page_walk_snoop" => self.page_walk_snoop = value != 0,
            "page_selective" => self.page_selective = value != 0,
            "pasid" => self.pasid = value.cast_unsigned(),
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
    pub const fn by_name(&self) -> [(&'static str, i64); 10] {
        [
            ("pa_bits", self.pa_bits as i64),
            ("huge_1g", self.huge_1g as i64),
            ("five_level", self.five_level as i64),
            ("extended_accessed", self.extended_accessed as i64),
            ("supervisor_requests", self.supervisor_requests as i64),
            ("page_walk_snoop", self.page_walk_snoop as i64),
            ("page_selective", self.page_selective as i64),
            ("pasid", self.pasid.cast_signed()),
            ("levels", self.levels as i64),
            ("input_bits", self.input_bits as i64),
        ]
    }
}

impl Registers {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 3] {
        [("pasid0", self.pasid0), ("pasid1", self.pasid1), ("pasid2", self.pasid2)]
    }
}

impl Report {
    /// A report from its registers' values, in the order of the fields.
    pub const fn from_values([fault0, fault1]: [u64; 2]) -> Self {
        Self { fault0, fault1 }
    }
}

impl Report {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 2] {
        [("fault0", self.fault0), ("fault1", self.fault1)]
    }
}

impl Controls {
    /// These from its registers' values, in the order of the fields.
    pub const fn from_values([pasid2]: [u64; 1]) -> Self {
        Self { pasid2 }
    }
}

impl Capabilities {
    /// These from its registers' values, in the order of the fields.
    pub const fn from_values([cap, ecap]: [u64; 2]) -> Self {
        Self { cap, ecap }
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
