//! AArch64 stage 1, EL2, 64 KiB granule.
//!
//! Arm ARM (DDI 0487), The AArch64 Virtual Memory System Architecture.
//!
//! Start at [`Config`], make a [`Format`] of it, and give that to the page table.

use ::core::fmt;
use ::core::prelude::rust_2024::*;
use ::tablewright::codec::{self, Facts, Grants, Kind, Named, Pattern, Run};
use ::tablewright::{
    Format as FormatTrait, Table as DecodedTable, AccessedDirty, Attributes, ByName,
    Cause, Change, ConfigError, Edit, Entry, Extension, FaultInfo, FormatInfo, Geometry,
    HostPhysAddr, Invalidation, Kinds, Leaf, Level, MemoryType, Next, Options, PageSizes,
    Prototype, Refusal, Rewrite, Rights, Shareability, Stage1Cause, Stage1Fault, Strip,
    Tag, Translated,
};

/// What varies between machines and between address spaces. The root can have these shapes:
///
/// | levels | input bits | root table | only if |
/// |---|---|---|---|
/// | 1 | 17..=29 | 64K |  |
/// | 2 | 30..=42 | 64K |  |
/// | 3 | 43..=52 | 64K |  |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// The CPU does not walk tables of this granule.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    /// [`Format::new`] demands `!granule_absent`.
    pub granule_absent: bool,
    /// Width of a physical address (ID_AA64MMFR0_EL1.PARange), set in VTCR_EL2.PS.
    ///
    /// 32, 36, 40, 42, 44, 48, 52, by default 48. Bound at boot, by [`Config::from_capabilities`].
    /// [`Format::new`] demands `pa_bits <= 48 || lpa`.
    pub pa_bits: u8,
    /// 52-bit addresses in the 64K granule (FEAT_LPA).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    /// [`Format::new`] demands `pa_bits <= 48 || lpa`.
    pub lpa: bool,
    /// Small translation tables (FEAT_TTST).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    /// [`Format::new`] demands `input_bits >= 25 || ttst`.
    pub ttst: bool,
    /// Hardware sets the Access flag (FEAT_HAFDBS, VTCR_EL2.HA).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub hardware_access: bool,
    /// Hardware sets the dirty state (FEAT_HAFDBS, VTCR_EL2.HD).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    /// It must be `false` unless `hardware_access`.
    pub hardware_dirty: bool,
    /// Level of support for changes of block size (FEAT_BBM).
    ///
    /// 0..=2, by default 0. Bound at boot, by [`Config::from_capabilities`].
    pub bbm: u8,
    /// 52-bit virtual addresses in the 64K granule (FEAT_LVA).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    /// [`Format::new`] demands `input_bits <= 48 || lva`.
    pub lva: bool,
    /// Memory types by index, MAIR_ELx: write-back, not cacheable, device-nGnRnE, device-nGnRE, write-through, unless said otherwise.
    ///
    /// By default 0xbb_0400_44ff. Bound at boot.
    pub mair: u64,
    /// Number of levels.
    pub levels: u8,
    /// Width of an input address.
    ///
    /// [`Format::new`] demands `input_bits <= 48 || lva` and `input_bits >= 25 || ttst` and `input_bits >= 16`.
    pub input_bits: u8,
}

impl Config {
    /// The defaults of every parameter.
    pub const fn new(levels: u8, input_bits: u8) -> Self {
        Self {
            granule_absent: false,
            pa_bits: 48,
            lpa: false,
            ttst: false,
            hardware_access: false,
            hardware_dirty: false,
            bbm: 0,
            lva: false,
            mair: 0xbb_0400_44ff,
            levels,
            input_bits,
        }
    }
}

/// What tells what the machine can do, one field for each register.
///
/// Arm ARM, ID_AA64MMFR0_EL1, ID_AA64MMFR1_EL1, ID_AA64MMFR2_EL1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// AArch64 Memory Model Feature Register 0.
    pub id_aa64mmfr0_el1: u64,
    /// AArch64 Memory Model Feature Register 1.
    pub id_aa64mmfr1_el1: u64,
    /// AArch64 Memory Model Feature Register 2.
    pub id_aa64mmfr2_el1: u64,
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
        config.granule_absent = capabilities.id_aa64mmfr0_el1 >> 24 & 0xf == 15;
        config.pa_bits = if capabilities.id_aa64mmfr0_el1 & 0xf == 0 {
            32
        } else if capabilities.id_aa64mmfr0_el1 & 0xf == 1 {
            36
        } else if capabilities.id_aa64mmfr0_el1 & 0xf == 2 {
            40
        } else if capabilities.id_aa64mmfr0_el1 & 0xf == 3 {
            42
        } else if capabilities.id_aa64mmfr0_el1 & 0xf == 4 {
            44
        } else if capabilities.id_aa64mmfr0_el1 & 0xf == 5 {
            48
        } else {
            52
        };
        config.lpa = capabilities.id_aa64mmfr0_el1 & 0xf >= 6;
        config.ttst = capabilities.id_aa64mmfr2_el1 >> 28 & 0xf >= 1;
        config.hardware_access = capabilities.id_aa64mmfr1_el1 & 0xf >= 1;
        config.hardware_dirty = capabilities.id_aa64mmfr1_el1 & 0xf >= 2;
        config.bbm = if capabilities.id_aa64mmfr2_el1 >> 52 & 0xf >= 2 {
            2
        } else {
            (capabilities.id_aa64mmfr2_el1 >> 52 & 0xf) as u8
        };
        config.lva = capabilities.id_aa64mmfr2_el1 >> 16 & 0xf >= 1;
        if !config.hardware_access {
            config.hardware_dirty = false;
        }
        config
    }
}

/// `shareability`: with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable.
///
/// Arm ARM, Stage 2 Shareability attributes.
pub const NON_SHAREABLE: Options = Options::from_bits(0x300);

/// `shareability`: with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable.
///
/// Arm ARM, Stage 2 Shareability attributes.
pub const OUTER_SHAREABLE: Options = Options::from_bits(0x100);

/// The bits of every leaf that are free for software, whatever the parameters are.
pub const SOFTWARE: Options = Options::from_bits(0x780_0000_0000_0000);

/// A leaf at level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63:59 | `leaf-ignored` | ignored | Arm ARM, Stage 1 VMSAv8-64 Block and Page descriptor fields |
/// | 58:55 | `leaf-software` | free for software | Arm ARM, Stage 1 VMSAv8-64 Block and Page descriptor fields |
/// | 54 | `xn` | execute-never: 0b0 x, 0b1 none | Arm ARM, Stage 1 instruction execution using Direct permissions |
/// | 53 | `pxn` | written as zero | Arm ARM, Stage 1 instruction execution using Direct permissions |
/// | 51, 7 | `read_only_dbm` | dirty bit modifier and AP[2], which is zero in the dirty state where DBM is 1: 0b1 r, 0b11 r w, 0b10 r w dirty, 0b0 r w dirty, if `hardware_dirty` | Arm ARM, Hardware management of the dirty state |
/// | 51 | `no-dbm` | written as zero, if `!hardware_dirty` | Arm ARM, Hardware management of the dirty state |
/// | 50:48 | `no-52-bit-address` | written as zero | Arm ARM, VMSAv8-64 descriptor formats |
/// | 47:16, 15:12 <- 51:48 if lpa && pa_bits == 52; pa_bits - 1:16 | `output` | output address | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 47:pa_bits, 15:12 if lpa; 47:pa_bits | `address-too-wide` | must be zero, if `pa_bits < 52` | Arm ARM, MMU fault types, Address size fault |
/// | 15:16 if lpa; 15:12 | `leaf-below-address` | written as zero | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 11 | `not-global` | written as zero | Arm ARM, Global and process-specific translation table entries |
/// | 10 | `access_flag` | 0b1 accessed, 0b0 none | Arm ARM, The Access flag |
/// | 9:8 | `shareability` | with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable | Arm ARM, Stage 2 Shareability attributes |
/// | 7 | `read_only` | AP[2]: 0b0 r w, 0b1 r, if `!hardware_dirty` | Arm ARM, Stage 1 data accesses using Direct permissions |
/// | 6 | `ap-1` | written as one | Arm ARM, Stage 1 data accesses using Direct permissions |
/// | 5 | `non-secure` | written as zero | Arm ARM, Stage 1 VMSAv8-64 Block and Page descriptor fields |
/// | 4:2 | `attr_index` | the byte of MAIR_ELx that says the memory type: which byte of `mair` says the memory type | Arm ARM, Stage 1 memory types and attributes; MAIR_ELx |
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

    /// Bit 10: 0b1 accessed, 0b0 none.
    pub const fn access_flag(self) -> u64 {
        self.0 >> 10 & 1
    }

    /// This entry with another `access_flag`; what does not fit is cut.
    pub const fn with_access_flag(self, value: u64) -> Self {
        Self(self.0 & !0x400 | codec::insert(value, 10, 10))
    }

    /// Bits 9:8: with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable.
    pub const fn shareability(self) -> u64 {
        self.0 >> 8 & 3
    }

    /// This entry with another `shareability`; what does not fit is cut.
    pub const fn with_shareability(self, value: u64) -> Self {
        Self(self.0 & !0x300 | codec::insert(value, 9, 8))
    }

    /// Bits 4:2: the byte of MAIR_ELx that says the memory type: which byte of `mair` says the memory type.
    pub const fn attr_index(self) -> u64 {
        self.0 >> 2 & 7
    }

    /// This entry with another `attr_index`; what does not fit is cut.
    pub const fn with_attr_index(self, value: u64) -> Self {
        Self(self.0 & !0x1c | codec::insert(value, 4, 2))
    }

    /// Bit 7: AP[2]: 0b0 r w, 0b1 r.
    ///
    /// Only where `!hardware_dirty`.
    pub const fn read_only(self) -> u64 {
        self.0 >> 7 & 1
    }

    /// This entry with another `read_only`; what does not fit is cut.
    pub const fn with_read_only(self, value: u64) -> Self {
        Self(self.0 & !0x80 | codec::insert(value, 7, 7))
    }

    /// Bits 51, 7: dirty bit modifier and AP[2], which is zero in the dirty state where DBM is 1: 0b1 r, 0b11 r w, 0b10 r w dirty, 0b0 r w dirty.
    ///
    /// Only where `hardware_dirty`.
    pub const fn read_only_dbm(self) -> u64 {
        (self.0 >> 51 & 1) << 1 | (self.0 >> 7 & 1)
    }

    /// This entry with another `read_only_dbm`; what does not fit is cut.
    pub const fn with_read_only_dbm(self, value: u64) -> Self {
        Self(
            self.0 & !0x8_0000_0000_0080 | codec::insert(value >> 1, 51, 51)
                | codec::insert(value, 7, 7),
        )
    }

    /// Bit 54: execute-never: 0b0 x, 0b1 none.
    pub const fn xn(self) -> u64 {
        self.0 >> 54 & 1
    }

    /// This entry with another `xn`; what does not fit is cut.
    pub const fn with_xn(self, value: u64) -> Self {
        Self(self.0 & !0x40_0000_0000_0000 | codec::insert(value, 54, 54))
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "access_flag",
                &Named(self.access_flag(), &[(1, "accessed"), (0, "none")]),
            )
            .field(
                "shareability",
                &Named(
                    self.shareability(),
                    &[
                        (0, "non-shareable"),
                        (2, "outer-shareable"),
                        (3, "inner-shareable"),
                    ],
                ),
            )
            .field("attr_index", &Named(self.attr_index(), &[]))
            .field("read_only", &Named(self.read_only(), &[(0, "r w"), (1, "r")]))
            .field(
                "read_only_dbm",
                &Named(
                    self.read_only_dbm(),
                    &[(1, "r"), (3, "r w"), (2, "r w dirty"), (0, "r w dirty")],
                ),
            )
            .field("xn", &Named(self.xn(), &[(0, "x"), (1, "none")]))
            .finish()
    }
}

/// A leaf above level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63:59 | `leaf-ignored` | ignored | Arm ARM, Stage 1 VMSAv8-64 Block and Page descriptor fields |
/// | 58:55 | `leaf-software` | free for software | Arm ARM, Stage 1 VMSAv8-64 Block and Page descriptor fields |
/// | 54 | `xn` | execute-never: 0b0 x, 0b1 none | Arm ARM, Stage 1 instruction execution using Direct permissions |
/// | 53 | `pxn` | written as zero | Arm ARM, Stage 1 instruction execution using Direct permissions |
/// | 52 | `not-contiguous-16k-64k` | written as zero, if `level >= 2` | Arm ARM, The Contiguous bit |
/// | 51, 7 | `read_only_dbm` | dirty bit modifier and AP[2], which is zero in the dirty state where DBM is 1: 0b1 r, 0b11 r w, 0b10 r w dirty, 0b0 r w dirty, if `hardware_dirty` | Arm ARM, Hardware management of the dirty state |
/// | 51 | `no-dbm` | written as zero, if `!hardware_dirty` | Arm ARM, Hardware management of the dirty state |
/// | 50:48 | `no-52-bit-address` | written as zero | Arm ARM, VMSAv8-64 descriptor formats |
/// | 47:leaf_bits, 15:12 <- 51:48 if lpa && pa_bits == 52; pa_bits - 1:leaf_bits | `output` | output address | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 47:pa_bits, 15:12 if lpa; 47:pa_bits | `address-too-wide` | must be zero, if `pa_bits < 52` | Arm ARM, MMU fault types, Address size fault |
/// | leaf_bits - 1:16 if lpa; leaf_bits - 1:12 | `leaf-below-address` | written as zero | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 11 | `not-global` | written as zero | Arm ARM, Global and process-specific translation table entries |
/// | 10 | `access_flag` | 0b1 accessed, 0b0 none | Arm ARM, The Access flag |
/// | 9:8 | `shareability` | with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable | Arm ARM, Stage 2 Shareability attributes |
/// | 7 | `read_only` | AP[2]: 0b0 r w, 0b1 r, if `!hardware_dirty` | Arm ARM, Stage 1 data accesses using Direct permissions |
/// | 6 | `ap-1` | written as one | Arm ARM, Stage 1 data accesses using Direct permissions |
/// | 5 | `non-secure` | written as zero | Arm ARM, Stage 1 VMSAv8-64 Block and Page descriptor fields |
/// | 4:2 | `attr_index` | the byte of MAIR_ELx that says the memory type: which byte of `mair` says the memory type | Arm ARM, Stage 1 memory types and attributes; MAIR_ELx |
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

    /// Bit 10: 0b1 accessed, 0b0 none.
    pub const fn access_flag(self) -> u64 {
        self.0 >> 10 & 1
    }

    /// This entry with another `access_flag`; what does not fit is cut.
    pub const fn with_access_flag(self, value: u64) -> Self {
        Self(self.0 & !0x400 | codec::insert(value, 10, 10))
    }

    /// Bits 9:8: with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable.
    pub const fn shareability(self) -> u64 {
        self.0 >> 8 & 3
    }

    /// This entry with another `shareability`; what does not fit is cut.
    pub const fn with_shareability(self, value: u64) -> Self {
        Self(self.0 & !0x300 | codec::insert(value, 9, 8))
    }

    /// Bits 4:2: the byte of MAIR_ELx that says the memory type: which byte of `mair` says the memory type.
    pub const fn attr_index(self) -> u64 {
        self.0 >> 2 & 7
    }

    /// This entry with another `attr_index`; what does not fit is cut.
    pub const fn with_attr_index(self, value: u64) -> Self {
        Self(self.0 & !0x1c | codec::insert(value, 4, 2))
    }

    /// Bit 7: AP[2]: 0b0 r w, 0b1 r.
    ///
    /// Only where `!hardware_dirty`.
    pub const fn read_only(self) -> u64 {
        self.0 >> 7 & 1
    }

    /// This entry with another `read_only`; what does not fit is cut.
    pub const fn with_read_only(self, value: u64) -> Self {
        Self(self.0 & !0x80 | codec::insert(value, 7, 7))
    }

    /// Bits 51, 7: dirty bit modifier and AP[2], which is zero in the dirty state where DBM is 1: 0b1 r, 0b11 r w, 0b10 r w dirty, 0b0 r w dirty.
    ///
    /// Only where `hardware_dirty`.
    pub const fn read_only_dbm(self) -> u64 {
        (self.0 >> 51 & 1) << 1 | (self.0 >> 7 & 1)
    }

    /// This entry with another `read_only_dbm`; what does not fit is cut.
    pub const fn with_read_only_dbm(self, value: u64) -> Self {
        Self(
            self.0 & !0x8_0000_0000_0080 | codec::insert(value >> 1, 51, 51)
                | codec::insert(value, 7, 7),
        )
    }

    /// Bit 54: execute-never: 0b0 x, 0b1 none.
    pub const fn xn(self) -> u64 {
        self.0 >> 54 & 1
    }

    /// This entry with another `xn`; what does not fit is cut.
    pub const fn with_xn(self, value: u64) -> Self {
        Self(self.0 & !0x40_0000_0000_0000 | codec::insert(value, 54, 54))
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "access_flag",
                &Named(self.access_flag(), &[(1, "accessed"), (0, "none")]),
            )
            .field(
                "shareability",
                &Named(
                    self.shareability(),
                    &[
                        (0, "non-shareable"),
                        (2, "outer-shareable"),
                        (3, "inner-shareable"),
                    ],
                ),
            )
            .field("attr_index", &Named(self.attr_index(), &[]))
            .field("read_only", &Named(self.read_only(), &[(0, "r w"), (1, "r")]))
            .field(
                "read_only_dbm",
                &Named(
                    self.read_only_dbm(),
                    &[(1, "r"), (3, "r w"), (2, "r w dirty"), (0, "r w dirty")],
                ),
            )
            .field("xn", &Named(self.xn(), &[(0, "x"), (1, "none")]))
            .finish()
    }
}

/// A pointer to a table of the level below.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63 | `non-secure-table` | written as zero | Arm ARM, Stage 1 VMSAv8-64 Table descriptor fields |
/// | 62 | `read_only_table` | APTable[1], nothing below may be written: TCR_EL2.HPD is 0: 0b0 w, 0b1 none | Arm ARM, Hierarchical control of Stage 1 Direct permissions |
/// | 61, 59 | `ap-0-pxn-table` | written as zero | Arm ARM, Hierarchical control of Stage 1 Direct permissions |
/// | 60 | `xn_table` | execute-never for all below: 0b0 x, 0b1 none | Arm ARM, Hierarchical control of Stage 1 Direct permissions |
/// | 58:51, 11:2 | `table-ignored` | ignored | Arm ARM, Stage 2 VMSAv8-64 Table descriptor fields |
/// | 50:48 | `no-52-bit-address` | written as zero | Arm ARM, VMSAv8-64 descriptor formats |
/// | 47:16, 15:12 <- 51:48 if lpa && pa_bits == 52; pa_bits - 1:16 | `next_table` | address of the next table | Arm ARM, Stage 2 VMSAv8-64 Table descriptor fields |
/// | 47:pa_bits, 15:12 if lpa; 47:pa_bits | `address-too-wide` | must be zero, if `pa_bits < 52` | Arm ARM, MMU fault types, Address size fault |
/// | 15:16 if lpa; 15:12 | `table-below-address` | written as zero | Arm ARM, Stage 2 VMSAv8-64 Table descriptor fields |
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

    /// Bit 62: APTable[1], nothing below may be written: TCR_EL2.HPD is 0: 0b0 w, 0b1 none.
    pub const fn read_only_table(self) -> u64 {
        self.0 >> 62 & 1
    }

    /// This entry with another `read_only_table`; what does not fit is cut.
    pub const fn with_read_only_table(self, value: u64) -> Self {
        Self(self.0 & !0x4000_0000_0000_0000 | codec::insert(value, 62, 62))
    }

    /// Bit 60: execute-never for all below: 0b0 x, 0b1 none.
    pub const fn xn_table(self) -> u64 {
        self.0 >> 60 & 1
    }

    /// This entry with another `xn_table`; what does not fit is cut.
    pub const fn with_xn_table(self, value: u64) -> Self {
        Self(self.0 & !0x1000_0000_0000_0000 | codec::insert(value, 60, 60))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "read_only_table",
                &Named(self.read_only_table(), &[(0, "w"), (1, "none")]),
            )
            .field("xn_table", &Named(self.xn_table(), &[(0, "x"), (1, "none")]))
            .finish()
    }
}

/// AArch64 stage 1, EL2, 64 KiB granule under one choice of parameters.
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
        if !::core::matches!(config.pa_bits, 32 | 36 | 40 | 42 | 44 | 48 | 52) {
            return Err(ConfigError::Value {
                param: "pa_bits",
                value: config.pa_bits as i64,
            });
        }
        if config.hardware_dirty && !config.hardware_access {
            return Err(ConfigError::Unavailable {
                param: "hardware_dirty",
                condition: "hardware_access",
            });
        }
        if !::core::matches!(config.bbm, 0..= 2) {
            return Err(ConfigError::Value {
                param: "bbm",
                value: config.bbm as i64,
            });
        }
        let (levels, input_bits) = (config.levels, config.input_bits);
        let root_bits = input_bits as i32 - 16 - 13 * (levels as i32 - 1);
        if !(::core::matches!((levels, root_bits), (1 | 2, 1..= 13))
            || ::core::matches!((levels, root_bits), (3, 1..= 10)))
        {
            return Err(ConfigError::Root {
                levels,
                input_bits,
            });
        }
        if !(config.pa_bits <= 48 || config.lpa) {
            return Err(ConfigError::Rule("pa_bits <= 48 || lpa2 || lpa"));
        }
        if !(config.input_bits <= 48 || config.lva) {
            return Err(ConfigError::Rule("input_bits <= 48 || lpa2 || lva"));
        }
        if !(config.input_bits >= 25 || config.ttst) {
            return Err(ConfigError::Rule("input_bits >= 25 || ttst"));
        }
        if !(config.input_bits >= 16) {
            return Err(ConfigError::Rule("input_bits >= 16"));
        }
        if config.granule_absent {
            return Err(ConfigError::Rule("!granule_absent"));
        }
        let geometry = Geometry {
            page_bits: 16,
            index_bits: 13,
            levels: config.levels,
            input_bits: config.input_bits,
            output_bits: config.pa_bits,
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
        let first = leaf.bits | oa & layout.output[0] | oa >> 36 & layout.output[1];
        let size = 1 << layout.leaf_bits;
        let room = (layout.carry_free - (oa & layout.carry_free)) >> layout.leaf_bits;
        let items = if items as u64 > room { room as usize + 1 } else { items };
        Strip {
            first,
            step: size & layout.output[0] | size >> 36 & layout.output[1],
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
        Ok(
            layout.table_base | address & layout.next_table[0]
                | address >> 36 & layout.next_table[1],
        )
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
        let is_invalid = raw & 1 == 0;
        let is_page = level == 0 && raw & 3 == 3;
        let is_block = block_level && raw & 3 == 1;
        let is_table = level >= 1 && raw & 3 == 3;
        let is_no_block_here = !block_level && raw & 3 == 1;
        if is_no_block_here {
            Kind::Reserved("no-block-here")
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
            return Entry::Reserved("contiguous-4k");
        };
        let mut grants = Grants::new();
        let Some(facts) = self.access_flag_facts(raw >> 10 & 1) else {
            return Entry::Reserved("access_flag");
        };
        grants.field(Facts::ACCESSED, facts);
        let Some(memory) = self.attr_index_type(raw >> 2 & 7) else {
            return Entry::Reserved("attr_index");
        };
        if config.hardware_dirty {
            let Some(facts) = self
                .read_only_dbm_facts((raw >> 51 & 1) << 1 | (raw >> 7 & 1)) else {
                return Entry::Reserved("read_only_dbm");
            };
            grants.field(Facts::RW.union(Facts::DIRTY), facts);
        } else {
            let Some(facts) = self.read_only_facts(raw >> 7 & 1) else {
                return Entry::Reserved("read_only");
            };
            grants.field(Facts::RW, facts);
        }
        let Some(facts) = self.xn_facts(raw >> 54 & 1) else {
            return Entry::Reserved("xn");
        };
        grants.field(Facts::X, facts);
        if config.pa_bits < 52 {
            let checked = if config.lpa {
                0xf000 | codec::bits(47, config.pa_bits)
            } else {
                codec::bits(47, config.pa_bits)
            };
            if raw & checked != 0 {
                return Entry::Reserved("address-too-wide");
            }
        }
        let facts = grants.of_leaf(Facts::NONE);
        Entry::Leaf(Leaf {
            address: raw & layout.output[0] | (raw & layout.output[1]) << 36,
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
        grants.field(Facts::ACCESSED, self.access_flag_facts(raw >> 10 & 1)?);
        if config.hardware_dirty {
            grants
                .field(
                    Facts::RW.union(Facts::DIRTY),
                    self.read_only_dbm_facts((raw >> 51 & 1) << 1 | (raw >> 7 & 1))?,
                );
        } else {
            grants.field(Facts::RW, self.read_only_facts(raw >> 7 & 1)?);
        }
        grants.field(Facts::X, self.xn_facts(raw >> 54 & 1)?);
        Some(grants.of_leaf(Facts::NONE))
    }

    /// A table entry's content.
    fn decode_table(&self, level: Level, raw: u64) -> Entry {
        let config = &self.config;
        let layout = self.layout(level);
        let mut grants = Grants::new();
        let Some(facts) = self.read_only_table_facts(raw >> 62 & 1) else {
            return Entry::Reserved("read_only_table");
        };
        grants.field(Facts::W, facts);
        let Some(facts) = self.xn_table_facts(raw >> 60 & 1) else {
            return Entry::Reserved("xn_table");
        };
        grants.field(Facts::X, facts);
        if config.pa_bits < 52 {
            let checked = if config.lpa {
                0xf000 | codec::bits(47, config.pa_bits)
            } else {
                codec::bits(47, config.pa_bits)
            };
            if raw & checked != 0 {
                return Entry::Reserved("address-too-wide");
            }
        }
        Entry::Table(DecodedTable {
            address: raw & layout.next_table[0] | (raw & layout.next_table[1]) << 36,
            level: level.saturating_sub(1),
            limit: grants.of_table(),
        })
    }

    /// The bits of a leaf that grant exactly these rights, with these states where it keeps them.
    const fn rights_bits(&self, _level: Level, facts: Facts) -> Option<u64> {
        let config = &self.config;
        let mut bits = 0;
        let mut spoken = Facts::NONE;
        let Some(value) = self.access_flag_value(facts) else { return None };
        spoken = spoken.union(Facts::ACCESSED);
        bits |= codec::insert(value, 10, 10);
        if config.hardware_dirty {
            let Some(value) = self.read_only_dbm_value(facts) else { return None };
            spoken = spoken.union(Facts::RW.union(Facts::DIRTY));
            bits |= codec::insert(value >> 1, 51, 51) | codec::insert(value, 7, 7);
        } else {
            let Some(value) = self.read_only_value(facts) else { return None };
            spoken = spoken.union(Facts::RW);
            bits |= codec::insert(value, 7, 7);
        }
        let Some(value) = self.xn_value(facts) else { return None };
        spoken = spoken.union(Facts::X);
        bits |= codec::insert(value, 54, 54);
        let wanted = facts.intersection(Facts::RWX);
        if spoken.contains(wanted) { Some(bits) } else { None }
    }

    /// The bits of a leaf for a memory type.
    const fn memory_bits(
        &self,
        _level: Level,
        memory: MemoryType,
    ) -> Result<u64, Refusal> {
        match self.attr_index_value(memory) {
            Some(value) => Ok(codec::insert(value, 4, 2)),
            None => Err(Refusal::Memory(memory)),
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

    /// What a value of `access_flag` states; `None` if it is illegal.
    const fn access_flag_facts(&self, value: u64) -> Option<Facts> {
        match value {
            1 => Some(Facts::ACCESSED),
            0 => Some(Facts::NONE),
            _ => None,
        }
    }

    /// The value of `access_flag` with exactly these rights, and with these states if it can.
    const fn access_flag_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::ACCESSED) {
            Facts::ACCESSED => Some(1),
            Facts::NONE => Some(0),
            _ => None,
        }
    }

    /// What a value of `attr_index` means; `None` if it is illegal.
    const fn attr_index_type(&self, value: u64) -> Option<MemoryType> {
        let config = &self.config;
        match config.mair >> (8 * value) & 0xff {
            0xff => Some(MemoryType::WriteBack),
            0xbb => Some(MemoryType::WriteThrough),
            0x44 => Some(MemoryType::NonCacheable),
            0 => Some(MemoryType::DeviceNGnRnE),
            4 => Some(MemoryType::DeviceNGnRE),
            8 => Some(MemoryType::DeviceNGRE),
            0xc => Some(MemoryType::DeviceGRE),
            _ => Some(MemoryType::Unnamed),
        }
    }

    /// The value of `attr_index` for a memory type, or for what stands in for it.
    const fn attr_index_value(&self, memory: MemoryType) -> Option<u64> {
        let config = &self.config;
        match memory {
            MemoryType::Inherit | MemoryType::WriteBack => {
                codec::pick(config.mair, 8, &[0xff])
            }
            MemoryType::WriteThrough => codec::pick(config.mair, 8, &[0xbb]),
            MemoryType::WriteCombining | MemoryType::NonCacheable => {
                codec::pick(config.mair, 8, &[0x44])
            }
            MemoryType::Uncached | MemoryType::DeviceNGnRnE => {
                codec::pick(config.mair, 8, &[0])
            }
            MemoryType::DeviceNGnRE => codec::pick(config.mair, 8, &[4, 0]),
            MemoryType::DeviceNGRE => codec::pick(config.mair, 8, &[8, 4, 0]),
            MemoryType::DeviceGRE => codec::pick(config.mair, 8, &[0xc, 8, 4, 0]),
            _ => None,
        }
    }

    /// What a value of `read_only` states; `None` if it is illegal.
    const fn read_only_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0 => Some(Facts::RW),
            1 => Some(Facts::R),
            _ => None,
        }
    }

    /// The value of `read_only` with exactly these rights, and with these states if it can.
    const fn read_only_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::RW) {
            Facts::RW => Some(0),
            Facts::R => Some(1),
            _ => None,
        }
    }

    /// What a value of `read_only_dbm` states; `None` if it is illegal.
    const fn read_only_dbm_facts(&self, value: u64) -> Option<Facts> {
        const RW_DIRTY: Facts = Facts::RW.union(Facts::DIRTY);
        match value {
            0b01 => Some(Facts::R),
            0b11 => Some(Facts::RW),
            0b10 => Some(RW_DIRTY),
            0b00 => Some(RW_DIRTY),
            _ => None,
        }
    }

    /// The value of `read_only_dbm` with exactly these rights, and with these states if it can.
    const fn read_only_dbm_value(&self, facts: Facts) -> Option<u64> {
        const RW_DIRTY: Facts = Facts::RW.union(Facts::DIRTY);
        match facts.intersection(Facts::RW.union(Facts::DIRTY)) {
            Facts::R => Some(0b01),
            Facts::RW => Some(0b11),
            RW_DIRTY => Some(0b10),
            facts => {
                match facts.intersection(Facts::RWX) {
                    Facts::R => Some(0b01),
                    Facts::RW => Some(0b11),
                    _ => None,
                }
            }
        }
    }

    /// What a value of `xn` states; `None` if it is illegal.
    const fn xn_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0 => Some(Facts::X),
            1 => Some(Facts::NONE),
            _ => None,
        }
    }

    /// The value of `xn` with exactly these rights, and with these states if it can.
    const fn xn_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::X) {
            Facts::X => Some(0),
            Facts::NONE => Some(1),
            _ => None,
        }
    }

    /// What a value of `read_only_table` states; `None` if it is illegal.
    const fn read_only_table_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0 => Some(Facts::W),
            1 => Some(Facts::NONE),
            _ => None,
        }
    }

    /// What a value of `xn_table` states; `None` if it is illegal.
    const fn xn_table_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0 => Some(Facts::X),
            1 => Some(Facts::NONE),
            _ => None,
        }
    }

    /// DSB ISHST; TLBI VALE2IS, x0; DSB ISH; ISB.
    ///
    /// Arm ARM, TLBI VALE2IS; Ordering and completion of TLB maintenance instructions.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    unsafe fn invalidate_leaf(
        &self,
        _root: HostPhysAddr,
        _tag: Tag,
        start: u64,
        last: u64,
        granule: u8,
    ) -> bool {
        // SAFETY: as the caller promises.
        unsafe { ::core::arch::asm!(".4byte 0xd5033a9f", options(nostack)) };
        let mut ia = start;
        loop {
            // SAFETY: as the caller promises.
            unsafe {
                ::core::arch::asm!(
                    ".4byte 0xd50c83a0", in ("x0") ia >> 12 & 0xfff_ffff_ffff,
                    options(nostack)
                )
            };
            match ia.checked_add(1 << granule) {
                Some(next) if next <= last => ia = next,
                _ => break,
            }
        }
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".4byte 0xd5033b9f", ".4byte 0xd5033fdf", options(nostack)
            )
        };
        true
    }

    /// DSB ISHST; TLBI VAE2IS, x0; DSB ISH; ISB.
    ///
    /// Arm ARM, TLBI VAE2IS; Ordering and completion of TLB maintenance instructions.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    unsafe fn invalidate_page(
        &self,
        _root: HostPhysAddr,
        _tag: Tag,
        start: u64,
        last: u64,
        granule: u8,
    ) -> bool {
        // SAFETY: as the caller promises.
        unsafe { ::core::arch::asm!(".4byte 0xd5033a9f", options(nostack)) };
        let mut ia = start;
        loop {
            // SAFETY: as the caller promises.
            unsafe {
                ::core::arch::asm!(
                    ".4byte 0xd50c8320", in ("x0") ia >> 12 & 0xfff_ffff_ffff,
                    options(nostack)
                )
            };
            match ia.checked_add(1 << granule) {
                Some(next) if next <= last => ia = next,
                _ => break,
            }
        }
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".4byte 0xd5033b9f", ".4byte 0xd5033fdf", options(nostack)
            )
        };
        true
    }

    /// DSB ISHST; TLBI ALLE2IS; DSB ISH; ISB.
    ///
    /// Arm ARM, TLBI ALLE2IS.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    unsafe fn invalidate_all(&self, _root: HostPhysAddr, _tag: Tag) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".4byte 0xd5033a9f", ".4byte 0xd50c831f", ".4byte 0xd5033b9f",
                ".4byte 0xd5033fdf", options(nostack)
            )
        };
        true
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
        name: "stage1_el2_64k",
        title: "AArch64 stage 1, EL2, 64 KiB granule",
        architecture: "aarch64",
        stage: 1,
        cite: "Arm ARM (DDI 0487), The AArch64 Virtual Memory System Architecture",
        tlb: "DSB ISHST; TLBI VALE2IS, x0; DSB ISH; ISB: one page, final translations only, on all CPUs; DSB ISHST; TLBI VAE2IS, x0; DSB ISH; ISB: one page, on all CPUs; DSB ISHST; TLBI ALLE2IS; DSB ISH; ISB: everything, on all CPUs",
    };

    const PAGE_BITS: u8 = 16;
    const INDEX_BITS: u8 = 13;

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
            Next::Table(raw & layout.next_table[0] | (raw & layout.next_table[1]) << 36)
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
        raw & layout.output[0] | (raw & layout.output[1]) << 36
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
            hardware: config.hardware_access,
            ..AccessedDirty::default()
        };
        states.accessed_mask = 0x400;
        states.accessed_value = 0x400;
        if config.hardware_dirty {
            states.dirty_mask = 0x80;
            states.dirty_value = 0;
        }
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

    fn edit(&self, level: Level, old: u64, new: u64) -> Edit {
        let config = &self.config;
        let needs_break = match (self.decode(level, old), self.decode(level, new)) {
            (Entry::Leaf(old), Entry::Leaf(new)) => {
                old.address != new.address
                    || old.attributes.memory != new.attributes.memory
                    || old.attributes.options != new.attributes.options
                    || config.hardware_dirty
                        && !new.attributes.rights.contains(old.attributes.rights)
                    || config.bbm < 2 && old.size != new.size
            }
            (Entry::Table(old), Entry::Table(new)) => {
                old.address != new.address
                    || config.hardware_dirty && !new.limit.contains(old.limit)
                    || config.bbm < 2 && old.level != new.level
            }
            (Entry::Table(_), Entry::Leaf(_)) | (Entry::Leaf(_), Entry::Table(_)) => {
                config.bbm < 2
            }
            _ => false,
        };
        if needs_break { Edit::BreakBeforeMake } else { Edit::Direct }
    }

    fn may_break(&self, change: &Change) -> bool {
        let config = &self.config;
        change.memory.is_some() || change.options.is_some()
            || config.hardware_dirty && change.rights.is_some()
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

    fn registers(&self, root: HostPhysAddr, _tag: Tag) -> Result<Registers, Refusal> {
        let mut registers = Registers {
            tcr_elx: 0x8080_3500,
            ttbr_elx: 0,
            mair_elx: 0,
        };
        let config = &self.config;
        let root = root.as_usize() as u64;
        let alignment = self.geometry.table_bits(self.geometry.top());
        if root & codec::bits(alignment - 1, 0) != 0
            || root > self.geometry.last_output()
        {
            return Err(Refusal::Address(root));
        }
        registers.tcr_elx |= codec::insert((64 - config.input_bits) as u64, 5, 0);
        registers.tcr_elx |= 0x4000;
        registers.tcr_elx
            |= if config.pa_bits == 32 {
                0
            } else if config.pa_bits == 36 {
                0x1_0000
            } else if config.pa_bits == 40 {
                0x2_0000
            } else if config.pa_bits == 42 {
                0x3_0000
            } else if config.pa_bits == 44 {
                0x4_0000
            } else if config.pa_bits == 48 {
                0x5_0000
            } else {
                0x6_0000
            };
        registers.tcr_elx |= codec::insert(config.hardware_access as u64, 21, 21);
        registers.tcr_elx |= codec::insert(config.hardware_dirty as u64, 22, 22);
        if config.lpa && config.pa_bits == 52 {
            if root & 0xfff0_0000_0000_003f != 0 {
                return Err(Refusal::Address(root));
            }
            registers.ttbr_elx
                |= codec::insert(root >> 6, 47, 6) | codec::insert(root >> 48, 5, 2);
        } else {
            if root & 0xffff_0000_0000_0001 != 0 {
                return Err(Refusal::Address(root));
            }
            registers.ttbr_elx |= codec::insert(root >> 1, 47, 1);
        }
        registers.mair_elx |= config.mair;
        Ok(registers)
    }

    fn fault(&self, report: &Report) -> Option<FaultInfo> {
        if !((report.esr_elx >> 26 & 0x3f == 33 || report.esr_elx >> 26 & 0x3f == 37)
            && (report.esr_elx >> 2 & 0xf <= 3 || report.esr_elx >> 2 & 0xf == 5
                || report.esr_elx & 0x3f == 19 || report.esr_elx & 0x3f == 41
                || report.esr_elx & 0x3f == 43))
        {
            return None;
        }
        Some(FaultInfo {
            address: Some(report.far_elx),
            access: if report.esr_elx >> 27 & 0x1f == 16 {
                Rights::X
            } else if report.esr_elx >> 8 & 1 == 1 {
                Rights::empty()
            } else if report.esr_elx >> 6 & 1 == 1 {
                Rights::W
            } else {
                Rights::R
            },
            cause: if report.esr_elx >> 2 & 0xf == 0 || report.esr_elx & 0x3f == 41 {
                Cause::AddressSize
            } else if report.esr_elx >> 2 & 0xf == 1 || report.esr_elx & 0x3f == 43 {
                Cause::NotMapped
            } else if report.esr_elx >> 2 & 0xf == 2 {
                Cause::AccessFlag
            } else if report.esr_elx >> 2 & 0xf == 3 {
                Cause::Permission
            } else {
                Cause::External
            },
            level: if report.esr_elx & 0x3f == 19 || report.esr_elx >> 3 & 7 == 5 {
                Level::try_from(4).ok()
            } else {
                Level::try_from((3 - (report.esr_elx & 3)) as i64).ok()
            },
            width: None,
            guest_walk: false,
        })
    }

    fn translated(&self, registers: &[u64]) -> Option<Translated> {
        let &[par_el1] = registers else {
            return None;
        };
        if par_el1 & 1 != 0 {
            return Some(Translated::Fault {
                cause: if par_el1 >> 3 & 0xf == 0 || par_el1 >> 1 & 0x3f == 41 {
                    Cause::AddressSize
                } else if par_el1 >> 3 & 0xf == 1 || par_el1 >> 1 & 0x3f == 43 {
                    Cause::NotMapped
                } else if par_el1 >> 3 & 0xf == 2 {
                    Cause::AccessFlag
                } else if par_el1 >> 3 & 0xf == 3 {
                    Cause::Permission
                } else if par_el1 >> 3 & 0xf == 5 || par_el1 >> 1 & 0x3f == 19 {
                    Cause::External
                } else {
                    Cause::Unspecified
                },
                level: if par_el1 >> 1 & 0x3f == 19 || par_el1 >> 1 & 0x3f == 41
                    || par_el1 >> 1 & 0x3f == 43
                {
                    Level::try_from(4).ok()
                } else if par_el1 >> 3 & 0xf <= 3 || par_el1 >> 3 & 0xf == 5 {
                    Level::try_from((3 - (par_el1 >> 1 & 3)) as i64).ok()
                } else {
                    None
                },
                second_stage: par_el1 >> 9 & 1 != 0,
                guest_walk: par_el1 >> 8 & 1 != 0,
            });
        }
        Some(Translated::To {
            address: (par_el1 >> 12 & 0xff_ffff_ffff) << 12,
            memory: if par_el1 >> 56 == 255 {
                MemoryType::WriteBack
            } else if par_el1 >> 56 == 187 {
                MemoryType::WriteThrough
            } else if par_el1 >> 56 == 68 {
                MemoryType::NonCacheable
            } else if par_el1 >> 56 == 0 {
                MemoryType::DeviceNGnRnE
            } else if par_el1 >> 56 == 4 {
                MemoryType::DeviceNGnRE
            } else if par_el1 >> 56 == 8 {
                MemoryType::DeviceNGRE
            } else if par_el1 >> 56 == 12 {
                MemoryType::DeviceGRE
            } else {
                MemoryType::Unnamed
            },
            shareability: if par_el1 >> 7 & 3 == 0 {
                Some(Shareability::Non)
            } else if par_el1 >> 7 & 3 == 2 {
                Some(Shareability::Outer)
            } else if par_el1 >> 7 & 3 == 3 {
                Some(Shareability::Inner)
            } else {
                None
            },
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
                let execute = Rights::X.contains(right);
                let pw = granted.contains(Rights::PW);
                let granted = granted.contains(right);
                if execute && (controls.sctlr_elx >> 19 & 1 != 0) && pw {
                    return false;
                }
                granted
            })
    }

    fn raise(&self, fault: &Stage1Fault, _controls: &Controls) -> Option<Report> {
        let config = &self.config;
        if fault.level >= self.geometry.levels {
            return None;
        }
        let address = fault.address;
        let level = fault.level;
        let entry = fault.entry;
        let write = fault.access.intersects(Rights::W);
        let execute = fault.access.intersects(Rights::X);
        let user = fault.access.intersects(Rights::U);
        let input = ::core::matches!(fault.cause, Stage1Cause::Input);
        let not_mapped = ::core::matches!(fault.cause, Stage1Cause::NotMapped);
        let reserved = ::core::matches!(fault.cause, Stage1Cause::Reserved(_));
        let not_marked = ::core::matches!(fault.cause, Stage1Cause::NotMarked);
        if user {
            return None;
        }
        Some(Report {
            esr_elx: codec::insert(32 | (!execute as u64) << 2 | (!user as u64), 31, 26)
                | 0x200_0000 | codec::insert(write as u64, 6, 6)
                | (if input {
                    4
                } else if level == 4 && (not_mapped || entry >> 1 & 1 == 0) {
                    0x2b
                } else if level == 4 {
                    0x29
                } else if not_mapped
                    || entry >> 1 & 1 == 0
                        && (level == 0 || level == 2 && !config.lpa || level == 3)
                {
                    codec::insert((7 - level) as u64, 5, 0)
                } else if reserved {
                    codec::insert((3 - (level as i64)) as u64, 5, 0)
                } else if not_marked {
                    codec::insert((11 - level) as u64, 5, 0)
                } else {
                    codec::insert((15 - level) as u64, 5, 0)
                }),
            far_elx: address,
        })
    }

    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    unsafe fn invalidate(
        &self,
        root: HostPhysAddr,
        tag: Tag,
        set: &Invalidation,
    ) -> bool {
        if !codec::may_execute("arm-el2") {
            return false;
        }
        // SAFETY: as the caller promises.
        unsafe {
            match set {
                Invalidation::All => self.invalidate_all(root, tag),
                Invalidation::Space => self.invalidate_all(root, tag),
                Invalidation::Range { range, leaf_only, granule } => {
                    let granule = (*granule).clamp(16, 63);
                    if *leaf_only {
                        if range.span() >> granule >= 512 {
                            self.invalidate_all(root, tag)
                        } else {
                            self.invalidate_leaf(
                                root,
                                tag,
                                range.start(),
                                range.last(),
                                granule,
                            )
                        }
                    } else {
                        if range.span() >> granule >= 512 {
                            self.invalidate_all(root, tag)
                        } else {
                            self.invalidate_page(
                                root,
                                tag,
                                range.start(),
                                range.last(),
                                granule,
                            )
                        }
                    }
                }
            }
        }
    }

    #[cfg(not(all(target_arch = "aarch64", target_os = "none")))]
    unsafe fn invalidate(
        &self,
        _root: HostPhysAddr,
        _tag: Tag,
        _set: &Invalidation,
    ) -> bool {
        false
    }

    fn invalidation_limit(&self, _leaf_only: bool) -> u64 {
        512
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
    output: [u64; 2],
    /// The address bits within which items follow each other by addition.
    carry_free: u64,
    /// The bits of a table entry that hold its address.
    next_table: [u64; 2],
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
        let leaf_bits = 16 + 13 * level;
        let block_level = level == 1 || config.lpa && config.pa_bits >= 44 && level == 2;
        let empty = 0;
        let mut layout = Self {
            leaf_bits,
            holds_leaves: level == 0 || block_level,
            holds_blocks: block_level,
            empty,
            absent: Pattern::new(1, 0),
            table: if level >= 1 { Pattern::new(3, 3) } else { Pattern::NEVER },
            output: [
                if config.lpa && config.pa_bits == 52 {
                    codec::bits(47, leaf_bits)
                } else {
                    codec::bits(config.pa_bits - 1, leaf_bits)
                },
                if config.lpa && config.pa_bits == 52 { 0xf000 } else { 0 },
            ],
            carry_free: u64::MAX,
            next_table: [
                if config.lpa && config.pa_bits == 52 {
                    0xffff_ffff_0000
                } else {
                    codec::bits(config.pa_bits - 1, 16)
                },
                if config.lpa && config.pa_bits == 52 { 0xf000 } else { 0 },
            ],
            leaf_base: 0x340,
            table_base: 3,
            rights: 0x40_0000_0000_0000,
            memory: 0x1c,
            options: 0x780_0000_0000_0300,
            runs: [Run::NONE; 1],
            single: Pattern::ALWAYS,
        };
        layout.carry_free = codec::carry_free(
            &[layout.output[0], layout.output[1] << 36],
            leaf_bits,
        );
        if level == 0 {
            layout.leaf_base |= 3;
        }
        if block_level {
            layout.leaf_base |= 1;
        }
        if !config.hardware_dirty {
            layout.rights |= 0x80;
        }
        if config.hardware_dirty {
            layout.rights |= 0x8_0000_0000_0080;
        }
        layout.table = layout.table.excluding(layout.absent, layout.table_base);
        if level <= 1 {
            layout.runs[0] = Run {
                mark: Pattern::new(0x10_0000_0000_0000, 0x10_0000_0000_0000),
                items: 5,
            };
            layout.single = layout.single.and(Pattern::new(0x10_0000_0000_0000, 0));
        }
        layout
    }
}

/// The values to load into the machine's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Registers {
    /// TCR_EL2, Translation Control Register.
    ///
    /// Configures walks; loaded with the root.
    /// Arm ARM, TCR_EL2.
    pub tcr_elx: u64,
    /// TTBR0_EL2.
    ///
    /// Holds the root; loading it activates an address space.
    /// Arm ARM, TTBR0_EL2.
    pub ttbr_elx: u64,
    /// Memory Attribute Indirection Register.
    ///
    /// Configures walks; loaded with the root.
    /// Arm ARM, MAIR_EL1, MAIR_EL2.
    pub mair_elx: u64,
}

/// The hardware's report of a fault, one field for each register.
///
/// Arm ARM, ESR_ELx, FAR_ELx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// Exception Syndrome Register of the level that takes the exception.
    pub esr_elx: u64,
    /// Fault Address Register of that level.
    pub far_elx: u64,
}

/// What modifies rights at the time of an access, one field for each register.
///
/// Arm ARM, Stage 1 instruction execution using Direct permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Controls {
    /// SCTLR_EL2.
    pub sctlr_elx: u64,
}

impl Config {
    /// Sets a parameter by its name; 0 and 1 stand for false and true. Whether the value is legal, the format's
    /// constructor says.
    ///
    /// `false` if there is no such parameter, it cannot hold the value, or it is fixed to another one.
    pub fn set(&mut self, name: &str, value: i64) -> bool {
        match name {
            "granule" => return value == 16,
            "lpa2" => return value == 0,
            "granule_absent" => self.granule_absent = value != 0,
            "pa_bits" => {
                match u8::try_from(value) {
                    Ok(value) => self.pa_bits = value,
                    Err(_) => return false,
                }
            }
            "lpa" => self.lpa = value != 0,
            "ttst" => self.ttst = value != 0,
            "hardware_access" => self.hardware_access = value != 0,
            "hardware_dirty" => self.hardware_dirty = value != 0,
            "bbm" => {
                match u8::try_from(value) {
                    Ok(value) => self.bbm = value,
                    Err(_) => return false,
                }
            }
            "lva" => self.lva = value != 0,
            "mair" => self.mair = value.cast_unsigned(),
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
    pub const fn by_name(&self) -> [(&'static str, i64); 11] {
        [
            ("granule_absent", self.granule_absent as i64),
            ("pa_bits", self.pa_bits as i64),
            ("lpa", self.lpa as i64),
            ("ttst", self.ttst as i64),
            ("hardware_access", self.hardware_access as i64),
            ("hardware_dirty", self.hardware_dirty as i64),
            ("bbm", self.bbm as i64),
            ("lva", self.lva as i64),
            ("mair", self.mair.cast_signed()),
            ("levels", self.levels as i64),
            ("input_bits", self.input_bits as i64),
        ]
    }
}

impl Registers {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 3] {
        [
            ("tcr_elx", self.tcr_elx),
            ("ttbr_elx", self.ttbr_elx),
            ("mair_elx", self.mair_elx),
        ]
    }
}

impl Report {
    /// A report from its registers' values, in the order of the fields.
    pub const fn from_values([esr_elx, far_elx]: [u64; 2]) -> Self {
        Self { esr_elx, far_elx }
    }
}

impl Report {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 2] {
        [("esr_elx", self.esr_elx), ("far_elx", self.far_elx)]
    }
}

impl Controls {
    /// These from its registers' values, in the order of the fields.
    pub const fn from_values([sctlr_elx]: [u64; 1]) -> Self {
        Self { sctlr_elx }
    }
}

impl Capabilities {
    /// These from its registers' values, in the order of the fields.
    pub const fn from_values(
        [id_aa64mmfr0_el1,
        id_aa64mmfr1_el1,
        id_aa64mmfr2_el1,
        ]: [u64; 3],
    ) -> Self {
        Self {
            id_aa64mmfr0_el1,
            id_aa64mmfr1_el1,
            id_aa64mmfr2_el1,
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
