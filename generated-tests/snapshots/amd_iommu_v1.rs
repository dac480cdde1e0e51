//! AMD IOMMU host page tables (v1).
//!
//! AMD I/O Virtualization Technology (IOMMU) Specification (48882), 2.2.3 I/O Page Tables for Host Translations.
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
/// | 1 | 21 | 4K |  |
/// | 2 | 30 | 4K |  |
/// | 3 | 39 | 4K |  |
/// | 4 | 48 | 4K |  |
/// | 5 | 57 | 4K | `five_level` |
/// | 6 | 64 | 4K | `six_level` |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Blocks of 512 GiB and more, which some IOMMUs get wrong.
    ///
    /// By default `false`. Bound at boot.
    pub huge_512g: bool,
    /// Hardware sets the A and D bits (DTE.HAD).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub access_dirty: bool,
    /// Walks of 5 levels.
    ///
    /// By default `true`. Bound at boot, by [`Config::from_capabilities`].
    pub five_level: bool,
    /// Walks of 6 levels.
    ///
    /// By default `true`. Bound at boot, by [`Config::from_capabilities`].
    pub six_level: bool,
    /// Everything can be invalidated at once.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub invalidate_all: bool,
    /// The device may have a TLB of its own, which then is to be invalidated, too (DTE.I).
    ///
    /// By default `false`. Bound for each address space.
    pub device_tlb: bool,
    /// Entries that are not present are cached.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub np_cache: bool,
    /// Number of levels.
    pub levels: u8,
    /// Width of an input address.
    pub input_bits: u8,
}

impl Config {
    /// The defaults of every parameter.
    pub const fn new(levels: u8, input_bits: u8) -> Self {
        Self {
            huge_512g: false,
            access_dirty: false,
            five_level: true,
            six_level: true,
            invalidate_all: false,
            device_tlb: false,
            np_cache: false,
            levels,
            input_bits,
        }
    }
}

/// What tells what the machine can do, one field for each register.
///
/// 48882, IOMMU Extended Feature Register (HASup, HDSup, HATS); IOMMU Capability Header (NpCache).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// Extended Feature Register (MMIO offset 0x30).
    pub extended_feature: u64,
    /// First 32 bits of the PCI capability.
    pub capability_header: u64,
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
        config.access_dirty = (capabilities.extended_feature >> 49 & 1)
            & (capabilities.extended_feature >> 52 & 1) != 0;
        config.five_level = capabilities.extended_feature >> 10 & 3 >= 1;
        config.six_level = capabilities.extended_feature >> 10 & 3 >= 2;
        config.invalidate_all = capabilities.extended_feature >> 6 & 1 != 0;
        config.np_cache = capabilities.capability_header >> 26 & 1 != 0;
        config
    }
}

/// `untranslated_only`: devices with a TLB of their own may not keep the translation: 0b0 all-requests, 0b1 untranslated-only.
///
/// 48882, Table: I/O Page Translation Entry Fields, PR=1.
pub const UNTRANSLATED_ONLY: Options = Options::from_bits(0x800_0000_0000_0000);

/// `force_coherent`: the access snoops, whatever the device asks for: 0b0 device-snoop, 0b1 force-coherent.
///
/// 48882, Table: I/O Page Translation Entry Fields, PR=1.
pub const FORCE_COHERENT: Options = Options::from_bits(0x1000_0000_0000_0000);

/// The bits of every leaf that are free for software, whatever the parameters are.
pub const SOFTWARE: Options = Options::from_bits(0);

/// A leaf at level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63, 8:7, 4:1 | `ignored` | ignored | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 62:61 | `permission` | IW and IR: those of all levels and of the device table entry are combined by AND: 0b11 r w, 0b1 r, 0b10 w, 0b0 none | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 60 | `force_coherent` | the access snoops, whatever the device asks for: 0b0 device-snoop, 0b1 force-coherent | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 59 | `untranslated_only` | devices with a TLB of their own may not keep the translation: 0b0 all-requests, 0b1 untranslated-only | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 58:52 | `leaf-reserved` | must be zero | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 51:12 | `output` | output address | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 6 | `dirty` | 0b0 none, 0b1 dirty, if `access_dirty` | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 6:5 | `no-access-dirty` | ignored, if `!access_dirty` | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 5 | `accessed` | 0b0 none, 0b1 accessed, if `access_dirty` | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
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

    /// Bits 62:61: IW and IR: those of all levels and of the device table entry are combined by AND: 0b11 r w, 0b1 r, 0b10 w, 0b0 none.
    pub const fn permission(self) -> u64 {
        self.0 >> 61 & 3
    }

    /// This entry with another `permission`; what does not fit is cut.
    pub const fn with_permission(self, value: u64) -> Self {
        Self(self.0 & !0x6000_0000_0000_0000 | codec::insert(value, 62, 61))
    }

    /// Bit 5: 0b0 none, 0b1 accessed.
    ///
    /// Only where `access_dirty`.
    pub const fn accessed(self) -> u64 {
        self.0 >> 5 & 1
    }

    /// This entry with another `accessed`; what does not fit is cut.
    pub const fn with_accessed(self, value: u64) -> Self {
        Self(self.0 & !0x20 | codec::insert(value, 5, 5))
    }

    /// Bit 6: 0b0 none, 0b1 dirty.
    ///
    /// Only where `access_dirty`.
    pub const fn dirty(self) -> u64 {
        self.0 >> 6 & 1
    }

    /// This entry with another `dirty`; what does not fit is cut.
    pub const fn with_dirty(self, value: u64) -> Self {
        Self(self.0 & !0x40 | codec::insert(value, 6, 6))
    }

    /// Bit 59: devices with a TLB of their own may not keep the translation: 0b0 all-requests, 0b1 untranslated-only.
    pub const fn untranslated_only(self) -> u64 {
        self.0 >> 59 & 1
    }

    /// This entry with another `untranslated_only`; what does not fit is cut.
    pub const fn with_untranslated_only(self, value: u64) -> Self {
        Self(self.0 & !0x800_0000_0000_0000 | codec::insert(value, 59, 59))
    }

    /// Bit 60: the access snoops, whatever the device asks for: 0b0 device-snoop, 0b1 force-coherent.
    pub const fn force_coherent(self) -> u64 {
        self.0 >> 60 & 1
    }

    /// This entry with another `force_coherent`; what does not fit is cut.
    pub const fn with_force_coherent(self, value: u64) -> Self {
        Self(self.0 & !0x1000_0000_0000_0000 | codec::insert(value, 60, 60))
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "permission",
                &Named(self.permission(), &[(3, "r w"), (1, "r"), (2, "w"), (0, "none")]),
            )
            .field("accessed", &Named(self.accessed(), &[(0, "none"), (1, "accessed")]))
            .field("dirty", &Named(self.dirty(), &[(0, "none"), (1, "dirty")]))
            .field(
                "untranslated_only",
                &Named(
                    self.untranslated_only(),
                    &[(0, "all-requests"), (1, "untranslated-only")],
                ),
            )
            .field(
                "force_coherent",
                &Named(
                    self.force_coherent(),
                    &[(0, "device-snoop"), (1, "force-coherent")],
                ),
            )
            .finish()
    }
}

/// A leaf above level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63, 8:7, 4:1 | `ignored` | ignored | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 62:61 | `permission` | IW and IR: those of all levels and of the device table entry are combined by AND: 0b11 r w, 0b1 r, 0b10 w, 0b0 none | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 60 | `force_coherent` | the access snoops, whatever the device asks for: 0b0 device-snoop, 0b1 force-coherent | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 59 | `untranslated_only` | devices with a TLB of their own may not keep the translation: 0b0 all-requests, 0b1 untranslated-only | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 58:52 | `leaf-reserved` | must be zero | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 51:leaf_bits | `output` | output address | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | leaf_bits - 1:12 | `below-block` | written as zero, if `leaf_bits == 12 + 9 * level` | 48882, 2.2.3, Next Level |
/// | 6 | `dirty` | 0b0 none, 0b1 dirty, if `access_dirty` | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 6:5 | `no-access-dirty` | ignored, if `!access_dirty` | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 5 | `accessed` | 0b0 none, 0b1 accessed, if `access_dirty` | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
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

    /// Bits 62:61: IW and IR: those of all levels and of the device table entry are combined by AND: 0b11 r w, 0b1 r, 0b10 w, 0b0 none.
    pub const fn permission(self) -> u64 {
        self.0 >> 61 & 3
    }

    /// This entry with another `permission`; what does not fit is cut.
    pub const fn with_permission(self, value: u64) -> Self {
        Self(self.0 & !0x6000_0000_0000_0000 | codec::insert(value, 62, 61))
    }

    /// Bit 5: 0b0 none, 0b1 accessed.
    ///
    /// Only where `access_dirty`.
    pub const fn accessed(self) -> u64 {
        self.0 >> 5 & 1
    }

    /// This entry with another `accessed`; what does not fit is cut.
    pub const fn with_accessed(self, value: u64) -> Self {
        Self(self.0 & !0x20 | codec::insert(value, 5, 5))
    }

    /// Bit 6: 0b0 none, 0b1 dirty.
    ///
    /// Only where `access_dirty`.
    pub const fn dirty(self) -> u64 {
        self.0 >> 6 & 1
    }

    /// This entry with another `dirty`; what does not fit is cut.
    pub const fn with_dirty(self, value: u64) -> Self {
        Self(self.0 & !0x40 | codec::insert(value, 6, 6))
    }

    /// Bit 59: devices with a TLB of their own may not keep the translation: 0b0 all-requests, 0b1 untranslated-only.
    pub const fn untranslated_only(self) -> u64 {
        self.0 >> 59 & 1
    }

    /// This entry with another `untranslated_only`; what does not fit is cut.
    pub const fn with_untranslated_only(self, value: u64) -> Self {
        Self(self.0 & !0x800_0000_0000_0000 | codec::insert(value, 59, 59))
    }

    /// Bit 60: the access snoops, whatever the device asks for: 0b0 device-snoop, 0b1 force-coherent.
    pub const fn force_coherent(self) -> u64 {
        self.0 >> 60 & 1
    }

    /// This entry with another `force_coherent`; what does not fit is cut.
    pub const fn with_force_coherent(self, value: u64) -> Self {
        Self(self.0 & !0x1000_0000_0000_0000 | codec::insert(value, 60, 60))
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "permission",
                &Named(self.permission(), &[(3, "r w"), (1, "r"), (2, "w"), (0, "none")]),
            )
            .field("accessed", &Named(self.accessed(), &[(0, "none"), (1, "accessed")]))
            .field("dirty", &Named(self.dirty(), &[(0, "none"), (1, "dirty")]))
            .field(
                "untranslated_only",
                &Named(
                    self.untranslated_only(),
                    &[(0, "all-requests"), (1, "untranslated-only")],
                ),
            )
            .field(
                "force_coherent",
                &Named(
                    self.force_coherent(),
                    &[(0, "device-snoop"), (1, "force-coherent")],
                ),
            )
            .finish()
    }
}

/// A pointer to a table of the level below.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63, 8:7, 4:1 | `ignored` | ignored | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 62:61 | `permission` | IW and IR: those of all levels and of the device table entry are combined by AND: 0b11 r w, 0b1 r, 0b10 w, 0b0 none | 48882, Table: I/O Page Translation Entry Fields, PR=1 |
/// | 60:52 | `table-reserved` | must be zero | 48882, Table: I/O Page Directory Entry Fields, PR=1 |
/// | 51:12 | `next_table` | address of the next table | 48882, Table: I/O Page Directory Entry Fields, PR=1 |
/// | 11:9 | `next_level` | level of the next table | 48882, Table: I/O Page Directory Entry Fields, PR=1 |
/// | 6 | `table-ignored` | ignored | 48882, Table: I/O Page Directory Entry Fields, PR=1 |
/// | 5 | `table-accessed` | written by hardware if `access_dirty`, else ignored | 48882, Table: I/O Page Directory Entry Fields, PR=1 |
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

    /// Bits 62:61: IW and IR: those of all levels and of the device table entry are combined by AND: 0b11 r w, 0b1 r, 0b10 w, 0b0 none.
    pub const fn permission(self) -> u64 {
        self.0 >> 61 & 3
    }

    /// This entry with another `permission`; what does not fit is cut.
    pub const fn with_permission(self, value: u64) -> Self {
        Self(self.0 & !0x6000_0000_0000_0000 | codec::insert(value, 62, 61))
    }

    /// Bits 11:9: level of the next table.
    pub const fn next_level(self) -> u64 {
        self.0 >> 9 & 7
    }

    /// This entry with another `next_level`; what does not fit is cut.
    pub const fn with_next_level(self, value: u64) -> Self {
        Self(self.0 & !0xe00 | codec::insert(value, 11, 9))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "permission",
                &Named(self.permission(), &[(3, "r w"), (1, "r"), (2, "w"), (0, "none")]),
            )
            .field("next_level", &Named(self.next_level(), &[]))
            .finish()
    }
}

/// AMD IOMMU host page tables (v1) under one choice of parameters.
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
        if !(::core::matches!((levels, root_bits), (1..= 4, 9))
            || (config.five_level && ::core::matches!((levels, root_bits), (5, 9)))
            || (config.six_level && ::core::matches!((levels, root_bits), (6, 7))))
        {
            if ::core::matches!((levels, root_bits), (5, 9)) {
                return Err(ConfigError::RootNeeds {
                    levels,
                    input_bits,
                    condition: "five_level",
                });
            }
            if ::core::matches!((levels, root_bits), (6, 7)) {
                return Err(ConfigError::RootNeeds {
                    levels,
                    input_bits,
                    condition: "six_level",
                });
            }
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
            output_bits: 52,
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
            invalid_cached: config.np_cache,
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
        let first = leaf.bits | oa & layout.output;
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
        let is_page = level == 0 && raw & 1 == 1
            && (raw >> 9 & 7 == 0 || raw >> 9 & 7 == 7);
        let is_block = block_level && raw & 1 == 1
            && (raw >> 9 & 7 == 0 || raw >> 9 & 7 == 7);
        let is_table = level >= 1 && raw & 1 == 1
            && codec::within(raw >> 9 & 7, 1, level as u64);
        if is_not_present {
            Kind::Invalid
        } else if is_table {
            Kind::Table
        } else if is_page || is_block {
            Kind::Leaf
        } else {
            Kind::Reserved("invalid-level")
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
            return Entry::Reserved("page-size");
        };
        let leaf_bits = layout.leaf_bits + items;
        let mut grants = Grants::new();
        let memory = MemoryType::Inherit;
        let Some(facts) = self.permission_facts(raw >> 61 & 3) else {
            return Entry::Reserved("permission");
        };
        grants.field(Facts::RW, facts);
        if config.access_dirty {
            let Some(facts) = self.accessed_facts(raw >> 5 & 1) else {
                return Entry::Reserved("accessed");
            };
            grants.field(Facts::ACCESSED, facts);
            let Some(facts) = self.dirty_facts(raw >> 6 & 1) else {
                return Entry::Reserved("dirty");
            };
            grants.field(Facts::DIRTY, facts);
        }
        if raw & 0x7f0_0000_0000_0000 != 0 {
            return Entry::Reserved("leaf-reserved");
        }
        let facts = grants.of_leaf(Facts::NONE);
        Entry::Leaf(Leaf {
            address: (raw & layout.output) & !codec::bits(leaf_bits - 1, 0),
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
        let config = &self.config;
        let mut grants = Grants::new();
        grants.field(Facts::RW, self.permission_facts(raw >> 61 & 3)?);
        if config.access_dirty {
            grants.field(Facts::ACCESSED, self.accessed_facts(raw >> 5 & 1)?);
            grants.field(Facts::DIRTY, self.dirty_facts(raw >> 6 & 1)?);
        }
        Some(grants.of_leaf(Facts::NONE))
    }

    /// A table entry's content.
    fn decode_table(&self, level: Level, raw: u64) -> Entry {
        let layout = self.layout(level);
        let mut grants = Grants::new();
        let Some(facts) = self.permission_facts(raw >> 61 & 3) else {
            return Entry::Reserved("permission");
        };
        grants.field(Facts::RW, facts);
        let next = ((raw >> 9 & 7) as Level).wrapping_sub(1);
        if next >= level {
            return Entry::Reserved("next_level");
        }
        if raw & 0x1ff0_0000_0000_0000 != 0 {
            return Entry::Reserved("table-reserved");
        }
        Entry::Table(DecodedTable {
            address: raw & layout.next_table,
            level: next,
            limit: grants.of_table(),
        })
    }

    /// The bits of a leaf that grant exactly these rights, with these states where it keeps them.
    const fn rights_bits(&self, _level: Level, facts: Facts) -> Option<u64> {
        let config = &self.config;
        let mut bits = 0;
        let mut spoken = Facts::NONE;
        let Some(value) = self.permission_value(facts) else { return None };
        spoken = spoken.union(Facts::RW);
        bits |= codec::insert(value, 62, 61);
        if config.access_dirty {
            let Some(value) = self.accessed_value(facts) else { return None };
            spoken = spoken.union(Facts::ACCESSED);
            bits |= codec::insert(value, 5, 5);
            let Some(value) = self.dirty_value(facts) else { return None };
            spoken = spoken.union(Facts::DIRTY);
            bits |= codec::insert(value, 6, 6);
        }
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

    /// What a value of `permission` states; `None` if it is illegal.
    const fn permission_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0b11 => Some(Facts::RW),
            0b01 => Some(Facts::R),
            0b10 => Some(Facts::W),
            0b00 => Some(Facts::NONE),
            _ => None,
        }
    }

    /// The value of `permission` with exactly these rights, and with these states if it can.
    const fn permission_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::RW) {
            Facts::RW => Some(0b11),
            Facts::R => Some(0b01),
            Facts::W => Some(0b10),
            Facts::NONE => Some(0b00),
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
        name: "amd_iommu_v1",
        title: "AMD IOMMU host page tables (v1)",
        architecture: "x86_64",
        stage: 2,
        cite: "AMD I/O Virtualization Technology (IOMMU) Specification (48882), 2.2.3 I/O Page Tables for Host Translations",
        tlb: "INVALIDATE_IOMMU_PAGES: pages of a domain: one page, final translations only, by a queue; INVALIDATE_IOMMU_PAGES: pages of a domain, and what is cached of tables: one page, by a queue; INVALIDATE_IOMMU_PAGES: everything of a domain: one tag, by a queue; INVALIDATE_IOMMU_ALL: everything, by a queue",
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
        (raw & layout.output) & !codec::bits(self.leaf_bits(level, raw) - 1, 0)
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
            hardware: config.access_dirty,
            ..AccessedDirty::default()
        };
        if config.access_dirty {
            states.accessed_mask = 0x20;
            states.accessed_value = 0x20;
            states.dirty_mask = 0x40;
            states.dirty_value = 0x40;
        }
        states
    }

    #[inline]
    fn table_accessed(&self, _level: Level) -> u64 {
        let config = &self.config;
        let mut accessed = 0;
        if config.access_dirty {
            accessed |= 0x20;
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
            dte0: 0x6000_0000_0000_0003,
            dte1: 0,
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
        registers.dte0 |= if config.access_dirty { 0x180 } else { 0 };
        registers.dte0 |= codec::insert(config.levels as u64, 11, 9);
        let value = root >> 12;
        if value & 0xffff_ff00_0000_0000 != 0 {
            return Err(Refusal::Address(root));
        }
        registers.dte0 |= codec::insert(value, 51, 12);
        if tag & 0xffff_ffff_ffff_0000 != 0 {
            return Err(Refusal::Tag(Tag(tag as u32)));
        }
        registers.dte1 |= codec::insert(tag, 15, 0);
        registers.dte1 |= codec::insert(config.device_tlb as u64, 32, 32);
        Ok(registers)
    }

    fn fault(&self, report: &Report) -> Option<FaultInfo> {
        if !(report.event0 >> 60 == 2 && report.event0 >> 51 & 1 == 0
            && report.event0 >> 48 & 1 == 0)
        {
            return None;
        }
        Some(FaultInfo {
            address: Some(report.event1),
            access: if report.event0 >> 52 & 1 == 0 || report.event0 >> 56 & 1 == 1 {
                Rights::empty()
            } else if report.event0 >> 53 & 1 == 1 {
                Rights::W
            } else {
                Rights::R
            },
            cause: if report.event0 >> 52 & 1 == 0 {
                Cause::NotMapped
            } else if report.event0 >> 54 & 1 == 1 {
                Cause::Permission
            } else {
                Cause::Misconfigured
            },
            level: None,
            width: None,
            guest_walk: false,
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
                if config.invalidate_all {
                    submit(&[0x8000_0000_0000_0000, 0]);
                    true
                } else {
                    false
                }
            }
            Invalidation::Space => {
                submit(&[0x3000_0000_0000_0000 | tag << 32, 0x7fff_ffff_ffff_f003]);
                true
            }
            Invalidation::Range { range, leaf_only, granule } => {
                let granule = (*granule).clamp(12, 63);
                if *leaf_only {
                    if range.span() >> granule >= 64 {
                        submit(
                            &[0x3000_0000_0000_0000 | tag << 32, 0x7fff_ffff_ffff_f003],
                        );
                        true
                    } else {
                        let leaf_bits = granule;
                        let mut ia = range.start();
                        loop {
                            submit(
                                &[
                                    0x3000_0000_0000_0000 | tag << 32,
                                    ia | u64::wrapping_sub(1 << (leaf_bits - 1), 1) >> 12 << 12
                                        | ((leaf_bits > 12) as u64),
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
                    if range.span() >> granule >= 64 {
                        submit(
                            &[0x3000_0000_0000_0000 | tag << 32, 0x7fff_ffff_ffff_f003],
                        );
                        true
                    } else {
                        let leaf_bits = granule;
                        let mut ia = range.start();
                        loop {
                            submit(
                                &[
                                    0x3000_0000_0000_0000 | tag << 32,
                                    ia | u64::wrapping_sub(1 << (leaf_bits - 1), 1) >> 12 << 12
                                        | 2 | ((leaf_bits > 12) as u64),
                                ],
                            );
                            match ia.checked_add(1 << granule) {
                                Some(next) if next <= range.last() => ia = next,
                                _ => break,
                            }
                        }
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
                if address & 0xfff0_0000_0000_0007 != 0 {
                    return Err(Refusal::Address(address));
                }
                submit(&[0x1000_0000_0000_0000 | address | 1, data]);
                Ok(())
            }
            Signal::Interrupt => {
                submit(&[0x1000_0000_0000_0002, 0]);
                Ok(())
            }
            _ => Err(Refusal::Signal),
        }
    }

    fn invalidation_limit(&self, _leaf_only: bool) -> u64 {
        64
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
    runs: [Run; 11],
    /// What a leaf shows that belongs to no run.
    single: Pattern,
}

impl Layout {
    const fn new(config: &Config, level: Level) -> Self {
        let leaf_bits = 12 + 9 * level;
        let block_level = ::core::matches!(level, 1..= 2)
            || config.huge_512g && ::core::matches!(level, 3..= 4);
        let empty = 0;
        let mut layout = Self {
            leaf_bits,
            holds_leaves: level == 0 || block_level,
            holds_blocks: block_level,
            empty,
            absent: Pattern::new(1, 0),
            table: Pattern::NEVER,
            output: codec::bits(51, leaf_bits),
            next_table: 0xf_ffff_ffff_f000,
            leaf_base: 0,
            table_base: 0x6000_0000_0000_0001,
            rights: 0x6000_0000_0000_0000,
            memory: 0,
            options: 0x1800_0000_0000_0000,
            runs: [Run::NONE; 11],
            single: Pattern::ALWAYS,
        };
        if level == 0 {
            layout.leaf_base |= 1;
        }
        if block_level {
            layout.leaf_base |= 1;
        }
        layout.table_base |= codec::insert(level as u64, 11, 9);
        if level >= 1 {
            let tested = 0xe01;
            layout.table = Pattern::new(tested, layout.table_base & tested);
        }
        layout.table = layout.table.excluding(layout.absent, layout.table_base);
        if level <= 3 {
            {
                let run_bits = leaf_bits + 1;
                layout.runs[0] = Run {
                    mark: Pattern::new(
                        0xe00 | codec::bits(run_bits - 2, 12)
                            | codec::bits(run_bits - 1, run_bits - 1),
                        0xe00 | codec::bits(run_bits - 2, 12),
                    ),
                    items: 1,
                };
            }
            {
                let run_bits = leaf_bits + 2;
                layout.runs[1] = Run {
                    mark: Pattern::new(
                        0xe00 | codec::bits(run_bits - 2, 12)
                            | codec::bits(run_bits - 1, run_bits - 1),
                        0xe00 | codec::bits(run_bits - 2, 12),
                    ),
                    items: 2,
                };
            }
            {
                let run_bits = leaf_bits + 3;
                layout.runs[2] = Run {
                    mark: Pattern::new(
                        0xe00 | codec::bits(run_bits - 2, 12)
                            | codec::bits(run_bits - 1, run_bits - 1),
                        0xe00 | codec::bits(run_bits - 2, 12),
                    ),
                    items: 3,
                };
            }
            {
                let run_bits = leaf_bits + 4;
                layout.runs[3] = Run {
                    mark: Pattern::new(
                        0xe00 | codec::bits(run_bits - 2, 12)
                            | codec::bits(run_bits - 1, run_bits - 1),
                        0xe00 | codec::bits(run_bits - 2, 12),
                    ),
                    items: 4,
                };
            }
            {
                let run_bits = leaf_bits + 5;
                layout.runs[4] = Run {
                    mark: Pattern::new(
                        0xe00 | codec::bits(run_bits - 2, 12)
                            | codec::bits(run_bits - 1, run_bits - 1),
                        0xe00 | codec::bits(run_bits - 2, 12),
                    ),
                    items: 5,
                };
            }
            {
                let run_bits = leaf_bits + 6;
                layout.runs[5] = Run {
                    mark: Pattern::new(
                        0xe00 | codec::bits(run_bits - 2, 12)
                            | codec::bits(run_bits - 1, run_bits - 1),
                        0xe00 | codec::bits(run_bits - 2, 12),
                    ),
                    items: 6,
                };
            }
            {
                let run_bits = leaf_bits + 7;
                layout.runs[6] = Run {
                    mark: Pattern::new(
                        0xe00 | codec::bits(run_bits - 2, 12)
                            | codec::bits(run_bits - 1, run_bits - 1),
                        0xe00 | codec::bits(run_bits - 2, 12),
                    ),
                    items: 7,
                };
            }
            {
                let run_bits = leaf_bits + 8;
                layout.runs[7] = Run {
                    mark: Pattern::new(
                        0xe00 | codec::bits(run_bits - 2, 12)
                            | codec::bits(run_bits - 1, run_bits - 1),
                        0xe00 | codec::bits(run_bits - 2, 12),
                    ),
                    items: 8,
                };
            }
            layout.single = layout.single.and(Pattern::new(0xe00, 0));
        }
        if level == 4 {
            {
                let run_bits = leaf_bits + 1;
                layout.runs[8] = Run {
                    mark: Pattern::new(
                        0xe00 | codec::bits(run_bits - 2, 12)
                            | codec::bits(run_bits - 1, run_bits - 1),
                        0xe00 | codec::bits(run_bits - 2, 12),
                    ),
                    items: 1,
                };
            }
            {
                let run_bits = leaf_bits + 2;
                layout.runs[9] = Run {
                    mark: Pattern::new(
                        0xe00 | codec::bits(run_bits - 2, 12)
                            | codec::bits(run_bits - 1, run_bits - 1),
                        0xe00 | codec::bits(run_bits - 2, 12),
                    ),
                    items: 2,
                };
            }
            {
                let run_bits = leaf_bits + 3;
                layout.runs[10] = Run {
                    mark: Pattern::new(
                        0xe00 | codec::bits(run_bits - 2, 12)
                            | codec::bits(run_bits - 1, run_bits - 1),
                        0xe00 | codec::bits(run_bits - 2, 12),
                    ),
                    items: 3,
                };
            }
            layout.single = layout.single.and(Pattern::new(0xe00, 0));
        }
        layout
    }
}

/// The values to load into the machine's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Registers {
    /// Device table entry, bits 63:0.
    ///
    /// Holds the root; loading it activates an address space.
    /// 48882, 2.2.2.1 Device Table Entry Format.
    pub dte0: u64,
    /// Device table entry, bits 127:64.
    ///
    /// Configures walks; loaded with the root.
    /// 48882, 2.2.2.1 Device Table Entry Format.
    pub dte1: u64,
}

/// The hardware's report of a fault, one field for each register.
///
/// 48882, IO_PAGE_FAULT Event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// Low 64 bits of the event log entry.
    pub event0: u64,
    /// Its high 64 bits.
    pub event1: u64,
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
            "huge_512g" => self.huge_512g = value != 0,
            "access_dirty" => self.access_dirty = value != 0,
            "five_level" => self.five_level = value != 0,
            "six_level" => self.six_level = value != 0,
            "invalidate_all" => self.invalidate_all = value != 0,
            "device_tlb" => self.device_tlb = value != 0,
            "np_cache" => self.np_cache = value != 0,
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
    pub const fn by_name(&self) -> [(&'static str, i64); 9] {
        [
            ("huge_512g", self.huge_512g as i64),
            ("access_dirty", self.access_dirty as i64),
            ("five_level", self.five_level as i64),
            ("six_level", self.six_level as i64),
            ("invalidate_all", self.invalidate_all as i64),
            ("device_tlb", self.device_tlb as i64),
            ("np_cache", self.np_cache as i64),
            ("levels", self.levels as i64),
            ("input_bits", self.input_bits as i64),
        ]
    }
}

impl Registers {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 2] {
        [("dte0", self.dte0), ("dte1", self.dte1)]
    }
}

impl Report {
    /// A report from its registers' values, in the order of the fields.
    pub const fn from_values([event0, event1]: [u64; 2]) -> Self {
        Self { event0, event1 }
    }
}

impl Report {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 2] {
        [("event0", self.event0), ("event1", self.event1)]
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
    pub const fn from_values([extended_feature, capability_header]: [u64; 2]) -> Self {
        Self {
            extended_feature,
            capability_header,
        }
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
