//! AArch64 stage 2, 64 KiB granule.
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
    Prototype, Refusal, Rewrite, Rights, Strip, Tag,
};

/// What varies between machines and between address spaces. The root can have these shapes:
///
/// | levels | input bits | root table | only if |
/// |---|---|---|---|
/// | 1 | 17..=29 | 64K |  |
/// | 1 | 30..=33 | 128K to 1M, 2 to 16 tables wide |  |
/// | 2 | 30..=42 | 64K |  |
/// | 2 | 43..=46 | 128K to 1M, 2 to 16 tables wide |  |
/// | 3 | 43..=52 | 64K | `pa_bits >= 44` |
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
    /// [`Format::new`] demands `pa_bits <= 48 || lpa` and `input_bits <= pa_bits`.
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
    /// Execute rights for EL1 and EL0 apart (FEAT_XNX).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub xnx: bool,
    /// Stage 2 can force the memory type (FEAT_S2FWB, HCR_EL2.FWB).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub fwb: bool,
    /// Hardware sets the Access flag (FEAT_HAFDBS, VTCR_EL2.HA).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub hardware_access: bool,
    /// Hardware sets the dirty state (FEAT_HAFDBS, VTCR_EL2.HD).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    /// It must be `false` unless `hardware_access`.
    pub hardware_dirty: bool,
    /// 16-bit VMIDs (FEAT_VMID16, VTCR_EL2.VS).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub vmid16: bool,
    /// Level of support for changes of block size (FEAT_BBM).
    ///
    /// 0..=2, by default 0. Bound at boot, by [`Config::from_capabilities`].
    pub bbm: u8,
    /// Number of levels.
    pub levels: u8,
    /// Width of an input address.
    ///
    /// [`Format::new`] demands `input_bits <= pa_bits` and `input_bits >= 25 || ttst` and `input_bits >= 16`.
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
            xnx: false,
            fwb: false,
            hardware_access: false,
            hardware_dirty: false,
            vmid16: false,
            bbm: 0,
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
        config.granule_absent = capabilities.id_aa64mmfr0_el1 >> 36 & 0xf == 1
            || capabilities.id_aa64mmfr0_el1 >> 36 & 0xf == 0
                && capabilities.id_aa64mmfr0_el1 >> 24 & 0xf == 15;
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
        config.lpa = if capabilities.id_aa64mmfr0_el1 & 0xf >= 6 {
            true
        } else {
            config.lpa
        };
        config.ttst = capabilities.id_aa64mmfr2_el1 >> 28 & 0xf >= 1;
        config.xnx = capabilities.id_aa64mmfr1_el1 >> 28 & 0xf >= 1;
        config.fwb = capabilities.id_aa64mmfr2_el1 >> 40 & 0xf >= 1;
        config.hardware_access = capabilities.id_aa64mmfr1_el1 & 0xf >= 1;
        config.hardware_dirty = capabilities.id_aa64mmfr1_el1 & 0xf >= 2;
        config.vmid16 = capabilities.id_aa64mmfr1_el1 >> 4 & 0xf == 2;
        config.bbm = if capabilities.id_aa64mmfr2_el1 >> 52 & 0xf >= 2 {
            2
        } else {
            (capabilities.id_aa64mmfr2_el1 >> 52 & 0xf) as u8
        };
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
pub const SOFTWARE: Options = Options::from_bits(0x700_0000_0000_0000);

/// A leaf at level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63 | `leaf-upper` | written as zero | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 62:59, 55 | `leaf-ignored` | ignored | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 58:56 | `leaf-software` | free for software | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 54:53 | `xn` | execute-never, for EL1 and EL0 apart: 0b0 x, 0b1 ux, 0b10 none, 0b11 px, if `xnx` | Arm ARM, Stage 2 instruction execution using Direct permissions |
/// | 54 | `xn_all` | execute-never: 0b0 x, 0b1 none, if `!xnx` | Arm ARM, Stage 2 instruction execution using Direct permissions |
/// | 53 | `no-xnx` | written as zero, if `!xnx` | Arm ARM, Stage 2 instruction execution using Direct permissions |
/// | 51, 7:6 | `s2ap_dbm` | dirty bit modifier and data access permissions: S2AP[1] is the dirty state where DBM is 1: 0b0 none, 0b1 r, 0b101 r w, 0b111 r w dirty, 0b100 w, 0b110 w dirty, 0b11 r w dirty, 0b10 w dirty, if `hardware_dirty` | Arm ARM, Hardware management of the dirty state |
/// | 51 | `no-dbm` | written as zero, if `!hardware_dirty` | Arm ARM, Hardware management of the dirty state |
/// | 50:48 | `no-52-bit-address` | written as zero | Arm ARM, VMSAv8-64 descriptor formats |
/// | 47:16, 15:12 <- 51:48 if lpa && pa_bits == 52; pa_bits - 1:16 | `output` | output address | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 47:pa_bits, 15:12 if lpa; 47:pa_bits | `address-too-wide` | must be zero, if `pa_bits < 52` | Arm ARM, MMU fault types, Address size fault |
/// | 15:16 if lpa; 15:12 | `leaf-below-address` | written as zero | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 11 | `fnxs` | written as zero | Arm ARM, FEAT_XS |
/// | 10 | `access_flag` | 0b1 accessed, 0b0 none | Arm ARM, The Access flag |
/// | 9:8 | `shareability` | with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable | Arm ARM, Stage 2 Shareability attributes |
/// | 7:6 | `s2ap` | data access permissions: 0b0 none, 0b1 r, 0b10 w, 0b11 r w, if `!hardware_dirty` | Arm ARM, Stage 2 data accesses using Direct permissions |
/// | 5:2 | `mem_attr` | combined with stage 1: the one that caches less wins: 0b1111 wb, 0b1010 wt, 0b101 nc, 0b0 device-nGnRnE, 0b1 device-nGnRE, 0b10 device-nGRE, 0b11 device-GRE, if `!fwb` | Arm ARM, Stage 2 memory type and Cacheability attributes when FWB is disabled |
/// | 5 | `forced-type-upper` | written as zero, if `fwb` | Arm ARM, Stage 2 memory type and Cacheability attributes when FWB is enabled |
/// | 4:2 | `mem_attr_forced` | wb overrides stage 1; nc and device give way to a stricter stage 1; inherit takes stage 1's: 0b110 wb, 0b101 nc, 0b111 inherit, 0b0 device-nGnRnE, 0b1 device-nGnRE, 0b10 device-nGRE, 0b11 device-GRE, if `fwb` | Arm ARM, Stage 2 memory type and Cacheability attributes when FWB is enabled |
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

    /// Bits 7:6: data access permissions: 0b0 none, 0b1 r, 0b10 w, 0b11 r w.
    ///
    /// Only where `!hardware_dirty`.
    pub const fn s2ap(self) -> u64 {
        self.0 >> 6 & 3
    }

    /// This entry with another `s2ap`; what does not fit is cut.
    pub const fn with_s2ap(self, value: u64) -> Self {
        Self(self.0 & !0xc0 | codec::insert(value, 7, 6))
    }

    /// Bits 51, 7:6: dirty bit modifier and data access permissions: S2AP[1] is the dirty state where DBM is 1: 0b0 none, 0b1 r, 0b101 r w, 0b111 r w dirty, 0b100 w, 0b110 w dirty, 0b11 r w dirty, 0b10 w dirty.
    ///
    /// Only where `hardware_dirty`.
    pub const fn s2ap_dbm(self) -> u64 {
        (self.0 >> 51 & 1) << 2 | (self.0 >> 6 & 3)
    }

    /// This entry with another `s2ap_dbm`; what does not fit is cut.
    pub const fn with_s2ap_dbm(self, value: u64) -> Self {
        Self(
            self.0 & !0x8_0000_0000_00c0 | codec::insert(value >> 2, 51, 51)
                | codec::insert(value, 7, 6),
        )
    }

    /// Bits 54:53: execute-never, for EL1 and EL0 apart: 0b0 x, 0b1 ux, 0b10 none, 0b11 px.
    ///
    /// Only where `xnx`.
    pub const fn xn(self) -> u64 {
        self.0 >> 53 & 3
    }

    /// This entry with another `xn`; what does not fit is cut.
    pub const fn with_xn(self, value: u64) -> Self {
        Self(self.0 & !0x60_0000_0000_0000 | codec::insert(value, 54, 53))
    }

    /// Bit 54: execute-never: 0b0 x, 0b1 none.
    ///
    /// Only where `!xnx`.
    pub const fn xn_all(self) -> u64 {
        self.0 >> 54 & 1
    }

    /// This entry with another `xn_all`; what does not fit is cut.
    pub const fn with_xn_all(self, value: u64) -> Self {
        Self(self.0 & !0x40_0000_0000_0000 | codec::insert(value, 54, 54))
    }

    /// Bit 10: 0b1 accessed, 0b0 none.
    pub const fn access_flag(self) -> u64 {
        self.0 >> 10 & 1
    }

    /// This entry with another `access_flag`; what does not fit is cut.
    pub const fn with_access_flag(self, value: u64) -> Self {
        Self(self.0 & !0x400 | codec::insert(value, 10, 10))
    }

    /// Bits 5:2: combined with stage 1: the one that caches less wins: 0b1111 wb, 0b1010 wt, 0b101 nc, 0b0 device-nGnRnE, 0b1 device-nGnRE, 0b10 device-nGRE, 0b11 device-GRE.
    ///
    /// Only where `!fwb`.
    pub const fn mem_attr(self) -> u64 {
        self.0 >> 2 & 0xf
    }

    /// This entry with another `mem_attr`; what does not fit is cut.
    pub const fn with_mem_attr(self, value: u64) -> Self {
        Self(self.0 & !0x3c | codec::insert(value, 5, 2))
    }

    /// Bits 4:2: wb overrides stage 1; nc and device give way to a stricter stage 1; inherit takes stage 1's: 0b110 wb, 0b101 nc, 0b111 inherit, 0b0 device-nGnRnE, 0b1 device-nGnRE, 0b10 device-nGRE, 0b11 device-GRE.
    ///
    /// Only where `fwb`.
    pub const fn mem_attr_forced(self) -> u64 {
        self.0 >> 2 & 7
    }

    /// This entry with another `mem_attr_forced`; what does not fit is cut.
    pub const fn with_mem_attr_forced(self, value: u64) -> Self {
        Self(self.0 & !0x1c | codec::insert(value, 4, 2))
    }

    /// Bits 9:8: with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable.
    pub const fn shareability(self) -> u64 {
        self.0 >> 8 & 3
    }

    /// This entry with another `shareability`; what does not fit is cut.
    pub const fn with_shareability(self, value: u64) -> Self {
        Self(self.0 & !0x300 | codec::insert(value, 9, 8))
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "s2ap",
                &Named(self.s2ap(), &[(0, "none"), (1, "r"), (2, "w"), (3, "r w")]),
            )
            .field(
                "s2ap_dbm",
                &Named(
                    self.s2ap_dbm(),
                    &[
                        (0, "none"),
                        (1, "r"),
                        (5, "r w"),
                        (7, "r w dirty"),
                        (4, "w"),
                        (6, "w dirty"),
                        (3, "r w dirty"),
                        (2, "w dirty"),
                    ],
                ),
            )
            .field(
                "xn",
                &Named(self.xn(), &[(0, "x"), (1, "ux"), (2, "none"), (3, "px")]),
            )
            .field("xn_all", &Named(self.xn_all(), &[(0, "x"), (1, "none")]))
            .field(
                "access_flag",
                &Named(self.access_flag(), &[(1, "accessed"), (0, "none")]),
            )
            .field(
                "mem_attr",
                &Named(
                    self.mem_attr(),
                    &[
                        (15, "wb"),
                        (10, "wt"),
                        (5, "nc"),
                        (0, "device-nGnRnE"),
                        (1, "device-nGnRE"),
                        (2, "device-nGRE"),
                        (3, "device-GRE"),
                    ],
                ),
            )
            .field(
                "mem_attr_forced",
                &Named(
                    self.mem_attr_forced(),
                    &[
                        (6, "wb"),
                        (5, "nc"),
                        (7, "inherit"),
                        (0, "device-nGnRnE"),
                        (1, "device-nGnRE"),
                        (2, "device-nGRE"),
                        (3, "device-GRE"),
                    ],
                ),
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
            .finish()
    }
}

/// A leaf above level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63 | `leaf-upper` | written as zero | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 62:59, 55 | `leaf-ignored` | ignored | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 58:56 | `leaf-software` | free for software | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 54:53 | `xn` | execute-never, for EL1 and EL0 apart: 0b0 x, 0b1 ux, 0b10 none, 0b11 px, if `xnx` | Arm ARM, Stage 2 instruction execution using Direct permissions |
/// | 54 | `xn_all` | execute-never: 0b0 x, 0b1 none, if `!xnx` | Arm ARM, Stage 2 instruction execution using Direct permissions |
/// | 53 | `no-xnx` | written as zero, if `!xnx` | Arm ARM, Stage 2 instruction execution using Direct permissions |
/// | 52 | `not-contiguous-16k-64k` | written as zero, if `level >= 2` | Arm ARM, The Contiguous bit |
/// | 51, 7:6 | `s2ap_dbm` | dirty bit modifier and data access permissions: S2AP[1] is the dirty state where DBM is 1: 0b0 none, 0b1 r, 0b101 r w, 0b111 r w dirty, 0b100 w, 0b110 w dirty, 0b11 r w dirty, 0b10 w dirty, if `hardware_dirty` | Arm ARM, Hardware management of the dirty state |
/// | 51 | `no-dbm` | written as zero, if `!hardware_dirty` | Arm ARM, Hardware management of the dirty state |
/// | 50:48 | `no-52-bit-address` | written as zero | Arm ARM, VMSAv8-64 descriptor formats |
/// | 47:leaf_bits, 15:12 <- 51:48 if lpa && pa_bits == 52; pa_bits - 1:leaf_bits | `output` | output address | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 47:pa_bits, 15:12 if lpa; 47:pa_bits | `address-too-wide` | must be zero, if `pa_bits < 52` | Arm ARM, MMU fault types, Address size fault |
/// | leaf_bits - 1:16 if lpa; leaf_bits - 1:12 | `leaf-below-address` | written as zero | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 11 | `fnxs` | written as zero | Arm ARM, FEAT_XS |
/// | 10 | `access_flag` | 0b1 accessed, 0b0 none | Arm ARM, The Access flag |
/// | 9:8 | `shareability` | with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable | Arm ARM, Stage 2 Shareability attributes |
/// | 7:6 | `s2ap` | data access permissions: 0b0 none, 0b1 r, 0b10 w, 0b11 r w, if `!hardware_dirty` | Arm ARM, Stage 2 data accesses using Direct permissions |
/// | 5:2 | `mem_attr` | combined with stage 1: the one that caches less wins: 0b1111 wb, 0b1010 wt, 0b101 nc, 0b0 device-nGnRnE, 0b1 device-nGnRE, 0b10 device-nGRE, 0b11 device-GRE, if `!fwb` | Arm ARM, Stage 2 memory type and Cacheability attributes when FWB is disabled |
/// | 5 | `forced-type-upper` | written as zero, if `fwb` | Arm ARM, Stage 2 memory type and Cacheability attributes when FWB is enabled |
/// | 4:2 | `mem_attr_forced` | wb overrides stage 1; nc and device give way to a stricter stage 1; inherit takes stage 1's: 0b110 wb, 0b101 nc, 0b111 inherit, 0b0 device-nGnRnE, 0b1 device-nGnRE, 0b10 device-nGRE, 0b11 device-GRE, if `fwb` | Arm ARM, Stage 2 memory type and Cacheability attributes when FWB is enabled |
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

    /// Bits 7:6: data access permissions: 0b0 none, 0b1 r, 0b10 w, 0b11 r w.
    ///
    /// Only where `!hardware_dirty`.
    pub const fn s2ap(self) -> u64 {
        self.0 >> 6 & 3
    }

    /// This entry with another `s2ap`; what does not fit is cut.
    pub const fn with_s2ap(self, value: u64) -> Self {
        Self(self.0 & !0xc0 | codec::insert(value, 7, 6))
    }

    /// Bits 51, 7:6: dirty bit modifier and data access permissions: S2AP[1] is the dirty state where DBM is 1: 0b0 none, 0b1 r, 0b101 r w, 0b111 r w dirty, 0b100 w, 0b110 w dirty, 0b11 r w dirty, 0b10 w dirty.
    ///
    /// Only where `hardware_dirty`.
    pub const fn s2ap_dbm(self) -> u64 {
        (self.0 >> 51 & 1) << 2 | (self.0 >> 6 & 3)
    }

    /// This entry with another `s2ap_dbm`; what does not fit is cut.
    pub const fn with_s2ap_dbm(self, value: u64) -> Self {
        Self(
            self.0 & !0x8_0000_0000_00c0 | codec::insert(value >> 2, 51, 51)
                | codec::insert(value, 7, 6),
        )
    }

    /// Bits 54:53: execute-never, for EL1 and EL0 apart: 0b0 x, 0b1 ux, 0b10 none, 0b11 px.
    ///
    /// Only where `xnx`.
    pub const fn xn(self) -> u64 {
        self.0 >> 53 & 3
    }

    /// This entry with another `xn`; what does not fit is cut.
    pub const fn with_xn(self, value: u64) -> Self {
        Self(self.0 & !0x60_0000_0000_0000 | codec::insert(value, 54, 53))
    }

    /// Bit 54: execute-never: 0b0 x, 0b1 none.
    ///
    /// Only where `!xnx`.
    pub const fn xn_all(self) -> u64 {
        self.0 >> 54 & 1
    }

    /// This entry with another `xn_all`; what does not fit is cut.
    pub const fn with_xn_all(self, value: u64) -> Self {
        Self(self.0 & !0x40_0000_0000_0000 | codec::insert(value, 54, 54))
    }

    /// Bit 10: 0b1 accessed, 0b0 none.
    pub const fn access_flag(self) -> u64 {
        self.0 >> 10 & 1
    }

    /// This entry with another `access_flag`; what does not fit is cut.
    pub const fn with_access_flag(self, value: u64) -> Self {
        Self(self.0 & !0x400 | codec::insert(value, 10, 10))
    }

    /// Bits 5:2: combined with stage 1: the one that caches less wins: 0b1111 wb, 0b1010 wt, 0b101 nc, 0b0 device-nGnRnE, 0b1 device-nGnRE, 0b10 device-nGRE, 0b11 device-GRE.
    ///
    /// Only where `!fwb`.
    pub const fn mem_attr(self) -> u64 {
        self.0 >> 2 & 0xf
    }

    /// This entry with another `mem_attr`; what does not fit is cut.
    pub const fn with_mem_attr(self, value: u64) -> Self {
        Self(self.0 & !0x3c | codec::insert(value, 5, 2))
    }

    /// Bits 4:2: wb overrides stage 1; nc and device give way to a stricter stage 1; inherit takes stage 1's: 0b110 wb, 0b101 nc, 0b111 inherit, 0b0 device-nGnRnE, 0b1 device-nGnRE, 0b10 device-nGRE, 0b11 device-GRE.
    ///
    /// Only where `fwb`.
    pub const fn mem_attr_forced(self) -> u64 {
        self.0 >> 2 & 7
    }

    /// This entry with another `mem_attr_forced`; what does not fit is cut.
    pub const fn with_mem_attr_forced(self, value: u64) -> Self {
        Self(self.0 & !0x1c | codec::insert(value, 4, 2))
    }

    /// Bits 9:8: with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable.
    pub const fn shareability(self) -> u64 {
        self.0 >> 8 & 3
    }

    /// This entry with another `shareability`; what does not fit is cut.
    pub const fn with_shareability(self, value: u64) -> Self {
        Self(self.0 & !0x300 | codec::insert(value, 9, 8))
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "s2ap",
                &Named(self.s2ap(), &[(0, "none"), (1, "r"), (2, "w"), (3, "r w")]),
            )
            .field(
                "s2ap_dbm",
                &Named(
                    self.s2ap_dbm(),
                    &[
                        (0, "none"),
                        (1, "r"),
                        (5, "r w"),
                        (7, "r w dirty"),
                        (4, "w"),
                        (6, "w dirty"),
                        (3, "r w dirty"),
                        (2, "w dirty"),
                    ],
                ),
            )
            .field(
                "xn",
                &Named(self.xn(), &[(0, "x"), (1, "ux"), (2, "none"), (3, "px")]),
            )
            .field("xn_all", &Named(self.xn_all(), &[(0, "x"), (1, "none")]))
            .field(
                "access_flag",
                &Named(self.access_flag(), &[(1, "accessed"), (0, "none")]),
            )
            .field(
                "mem_attr",
                &Named(
                    self.mem_attr(),
                    &[
                        (15, "wb"),
                        (10, "wt"),
                        (5, "nc"),
                        (0, "device-nGnRnE"),
                        (1, "device-nGnRE"),
                        (2, "device-nGRE"),
                        (3, "device-GRE"),
                    ],
                ),
            )
            .field(
                "mem_attr_forced",
                &Named(
                    self.mem_attr_forced(),
                    &[
                        (6, "wb"),
                        (5, "nc"),
                        (7, "inherit"),
                        (0, "device-nGnRnE"),
                        (1, "device-nGnRE"),
                        (2, "device-nGRE"),
                        (3, "device-GRE"),
                    ],
                ),
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
            .finish()
    }
}

/// A pointer to a table of the level below.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63:59 | `table-stage-1-only` | written as zero | Arm ARM, Stage 2 VMSAv8-64 Table descriptor fields |
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
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .finish()
    }
}

/// AArch64 stage 2, 64 KiB granule under one choice of parameters.
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
        if !(::core::matches!((levels, root_bits), (1 | 2, 1..= 17))
            || (config.pa_bits >= 44
                && ::core::matches!((levels, root_bits), (3, 1..= 10))))
        {
            if ::core::matches!((levels, root_bits), (3, 1..= 10)) {
                return Err(ConfigError::RootNeeds {
                    levels,
                    input_bits,
                    condition: "pa_bits >= 44",
                });
            }
            return Err(ConfigError::Root {
                levels,
                input_bits,
            });
        }
        if !(config.pa_bits <= 48 || config.lpa) {
            return Err(ConfigError::Rule("pa_bits <= 48 || lpa2 || lpa"));
        }
        if !(config.input_bits <= config.pa_bits) {
            return Err(ConfigError::Rule("input_bits <= pa_bits"));
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
        if config.hardware_dirty {
            let Some(facts) = self.s2ap_dbm_facts((raw >> 51 & 1) << 2 | (raw >> 6 & 3))
            else {
                return Entry::Reserved("s2ap_dbm");
            };
            grants.field(Facts::RW.union(Facts::DIRTY), facts);
        } else {
            let Some(facts) = self.s2ap_facts(raw >> 6 & 3) else {
                return Entry::Reserved("s2ap");
            };
            grants.field(Facts::RW, facts);
        }
        if config.xnx {
            let Some(facts) = self.xn_facts(raw >> 53 & 3) else {
                return Entry::Reserved("xn");
            };
            grants.field(Facts::X, facts);
        } else {
            let Some(facts) = self.xn_all_facts(raw >> 54 & 1) else {
                return Entry::Reserved("xn_all");
            };
            grants.field(Facts::X, facts);
        }
        let Some(facts) = self.access_flag_facts(raw >> 10 & 1) else {
            return Entry::Reserved("access_flag");
        };
        grants.field(Facts::ACCESSED, facts);
        let (memory, rule) = if config.fwb {
            (self.mem_attr_forced_type(raw >> 2 & 7), "mem_attr_forced")
        } else {
            (self.mem_attr_type(raw >> 2 & 0xf), "mem_attr")
        };
        let Some(memory) = memory else {
            return Entry::Reserved(rule);
        };
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
        if config.hardware_dirty {
            grants
                .field(
                    Facts::RW.union(Facts::DIRTY),
                    self.s2ap_dbm_facts((raw >> 51 & 1) << 2 | (raw >> 6 & 3))?,
                );
        } else {
            grants.field(Facts::RW, self.s2ap_facts(raw >> 6 & 3)?);
        }
        if config.xnx {
            grants.field(Facts::X, self.xn_facts(raw >> 53 & 3)?);
        } else {
            grants.field(Facts::X, self.xn_all_facts(raw >> 54 & 1)?);
        }
        grants.field(Facts::ACCESSED, self.access_flag_facts(raw >> 10 & 1)?);
        Some(grants.of_leaf(Facts::NONE))
    }

    /// A table entry's content.
    fn decode_table(&self, level: Level, raw: u64) -> Entry {
        let config = &self.config;
        let layout = self.layout(level);
        let grants = Grants::new();
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
        if config.hardware_dirty {
            let Some(value) = self.s2ap_dbm_value(facts) else { return None };
            spoken = spoken.union(Facts::RW.union(Facts::DIRTY));
            bits |= codec::insert(value >> 2, 51, 51) | codec::insert(value, 7, 6);
        } else {
            let Some(value) = self.s2ap_value(facts) else { return None };
            spoken = spoken.union(Facts::RW);
            bits |= codec::insert(value, 7, 6);
        }
        if config.xnx {
            let Some(value) = self.xn_value(facts) else { return None };
            spoken = spoken.union(Facts::X);
            bits |= codec::insert(value, 54, 53);
        } else {
            let Some(value) = self.xn_all_value(facts) else { return None };
            spoken = spoken.union(Facts::X);
            bits |= codec::insert(value, 54, 54);
        }
        let Some(value) = self.access_flag_value(facts) else { return None };
        spoken = spoken.union(Facts::ACCESSED);
        bits |= codec::insert(value, 10, 10);
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
        if config.fwb {
            match self.mem_attr_forced_value(memory) {
                Some(value) => Ok(codec::insert(value, 4, 2)),
                None => Err(Refusal::Memory(memory)),
            }
        } else {
            match self.mem_attr_value(memory) {
                Some(value) => Ok(codec::insert(value, 5, 2)),
                None => Err(Refusal::Memory(memory)),
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

    /// What a value of `s2ap` states; `None` if it is illegal.
    const fn s2ap_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0b00 => Some(Facts::NONE),
            0b01 => Some(Facts::R),
            0b10 => Some(Facts::W),
            0b11 => Some(Facts::RW),
            _ => None,
        }
    }

    /// The value of `s2ap` with exactly these rights, and with these states if it can.
    const fn s2ap_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::RW) {
            Facts::NONE => Some(0b00),
            Facts::R => Some(0b01),
            Facts::W => Some(0b10),
            Facts::RW => Some(0b11),
            _ => None,
        }
    }

    /// What a value of `s2ap_dbm` states; `None` if it is illegal.
    const fn s2ap_dbm_facts(&self, value: u64) -> Option<Facts> {
        const RW_DIRTY: Facts = Facts::RW.union(Facts::DIRTY);
        const W_DIRTY: Facts = Facts::W.union(Facts::DIRTY);
        match value {
            0b000 => Some(Facts::NONE),
            0b001 => Some(Facts::R),
            0b101 => Some(Facts::RW),
            0b111 => Some(RW_DIRTY),
            0b100 => Some(Facts::W),
            0b110 => Some(W_DIRTY),
            0b011 => Some(RW_DIRTY),
            0b010 => Some(W_DIRTY),
            _ => None,
        }
    }

    /// The value of `s2ap_dbm` with exactly these rights, and with these states if it can.
    const fn s2ap_dbm_value(&self, facts: Facts) -> Option<u64> {
        const RW_DIRTY: Facts = Facts::RW.union(Facts::DIRTY);
        const W_DIRTY: Facts = Facts::W.union(Facts::DIRTY);
        match facts.intersection(Facts::RW.union(Facts::DIRTY)) {
            Facts::NONE => Some(0b000),
            Facts::R => Some(0b001),
            Facts::RW => Some(0b101),
            RW_DIRTY => Some(0b111),
            Facts::W => Some(0b100),
            W_DIRTY => Some(0b110),
            facts => {
                match facts.intersection(Facts::RWX) {
                    Facts::NONE => Some(0b000),
                    Facts::R => Some(0b001),
                    Facts::RW => Some(0b101),
                    Facts::W => Some(0b100),
                    _ => None,
                }
            }
        }
    }

    /// What a value of `xn` states; `None` if it is illegal.
    const fn xn_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0b00 => Some(Facts::X),
            0b01 => Some(Facts::UX),
            0b10 => Some(Facts::NONE),
            0b11 => Some(Facts::PX),
            _ => None,
        }
    }

    /// The value of `xn` with exactly these rights, and with these states if it can.
    const fn xn_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::X) {
            Facts::X => Some(0b00),
            Facts::UX => Some(0b01),
            Facts::NONE => Some(0b10),
            Facts::PX => Some(0b11),
            _ => None,
        }
    }

    /// What a value of `xn_all` states; `None` if it is illegal.
    const fn xn_all_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0 => Some(Facts::X),
            1 => Some(Facts::NONE),
            _ => None,
        }
    }

    /// The value of `xn_all` with exactly these rights, and with these states if it can.
    const fn xn_all_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::X) {
            Facts::X => Some(0),
            Facts::NONE => Some(1),
            _ => None,
        }
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

    /// What a value of `mem_attr` means; `None` if it is illegal.
    const fn mem_attr_type(&self, value: u64) -> Option<MemoryType> {
        match value {
            0b1111 => Some(MemoryType::WriteBack),
            0b1010 => Some(MemoryType::WriteThrough),
            0b0101 => Some(MemoryType::NonCacheable),
            0b0000 => Some(MemoryType::DeviceNGnRnE),
            0b0001 => Some(MemoryType::DeviceNGnRE),
            0b0010 => Some(MemoryType::DeviceNGRE),
            0b0011 => Some(MemoryType::DeviceGRE),
            _ => Some(MemoryType::Unnamed),
        }
    }

    /// The value of `mem_attr` for a memory type, or for what stands in for it.
    const fn mem_attr_value(&self, memory: MemoryType) -> Option<u64> {
        let config = &self.config;
        match memory {
            MemoryType::Inherit if !config.fwb => Some(0b1111),
            MemoryType::WriteBack => Some(0b1111),
            MemoryType::WriteThrough => Some(0b1010),
            MemoryType::WriteCombining | MemoryType::NonCacheable => Some(0b0101),
            MemoryType::Uncached | MemoryType::DeviceNGnRnE => Some(0b0000),
            MemoryType::DeviceNGnRE => Some(0b0001),
            MemoryType::DeviceNGRE => Some(0b0010),
            MemoryType::DeviceGRE => Some(0b0011),
            _ => None,
        }
    }

    /// What a value of `mem_attr_forced` means; `None` if it is illegal.
    const fn mem_attr_forced_type(&self, value: u64) -> Option<MemoryType> {
        match value {
            0b110 => Some(MemoryType::WriteBack),
            0b101 => Some(MemoryType::NonCacheable),
            0b111 => Some(MemoryType::Inherit),
            0b000 => Some(MemoryType::DeviceNGnRnE),
            0b001 => Some(MemoryType::DeviceNGnRE),
            0b010 => Some(MemoryType::DeviceNGRE),
            0b011 => Some(MemoryType::DeviceGRE),
            _ => Some(MemoryType::Unnamed),
        }
    }

    /// The value of `mem_attr_forced` for a memory type, or for what stands in for it.
    const fn mem_attr_forced_value(&self, memory: MemoryType) -> Option<u64> {
        match memory {
            MemoryType::Inherit => Some(0b111),
            MemoryType::WriteBack => Some(0b110),
            MemoryType::WriteCombining | MemoryType::NonCacheable => Some(0b101),
            MemoryType::Uncached | MemoryType::DeviceNGnRnE => Some(0b000),
            MemoryType::DeviceNGnRE => Some(0b001),
            MemoryType::DeviceNGRE => Some(0b010),
            MemoryType::DeviceGRE => Some(0b011),
            _ => None,
        }
    }

    /// DSB ISHST; TLBI IPAS2E1IS, x0; DSB ISH; TLBI VMALLE1IS; DSB ISH; ISB.
    ///
    /// Arm ARM, TLBI IPAS2E1IS; Ordering and completion of TLB maintenance instructions.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    unsafe fn invalidate_ipa(
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
                    ".4byte 0xd50c8020", in ("x0") ia >> 12, options(nostack)
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
                ".4byte 0xd5033b9f", ".4byte 0xd508831f", ".4byte 0xd5033b9f",
                ".4byte 0xd5033fdf", options(nostack)
            )
        };
        true
    }

    /// DSB ISHST; TLBI VMALLS12E1IS; DSB ISH; ISB.
    ///
    /// Arm ARM, TLBI VMALLS12E1IS.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    unsafe fn invalidate_vmid(&self, _root: HostPhysAddr, _tag: Tag) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".4byte 0xd5033a9f", ".4byte 0xd50c83df", ".4byte 0xd5033b9f",
                ".4byte 0xd5033fdf", options(nostack)
            )
        };
        true
    }

    /// DSB ISHST; TLBI ALLE1IS; DSB ISH; ISB.
    ///
    /// Arm ARM, TLBI ALLE1IS.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    unsafe fn invalidate_all(&self, _root: HostPhysAddr, _tag: Tag) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".4byte 0xd5033a9f", ".4byte 0xd50c839f", ".4byte 0xd5033b9f",
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
        name: "stage2_64k",
        title: "AArch64 stage 2, 64 KiB granule",
        architecture: "aarch64",
        stage: 2,
        cite: "Arm ARM (DDI 0487), The AArch64 Virtual Memory System Architecture",
        tlb: "DSB ISHST; TLBI IPAS2E1IS, x0; DSB ISH; TLBI VMALLE1IS; DSB ISH; ISB: one page, on all CPUs, with the tag loaded; DSB ISHST; TLBI VMALLS12E1IS; DSB ISH; ISB: one tag, on all CPUs, with the tag loaded; DSB ISHST; TLBI ALLE1IS; DSB ISH; ISB: everything, on all CPUs",
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
        if config.hardware_dirty {
            states.dirty_mask = 0x80;
            states.dirty_value = 0x80;
        }
        states.accessed_mask = 0x400;
        states.accessed_value = 0x400;
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

    fn registers(&self, root: HostPhysAddr, tag: Tag) -> Result<Registers, Refusal> {
        let mut registers = Registers {
            vtcr_el2: 0x8000_3500,
            vttbr_el2: 0,
            hcr_el2: 1,
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
        registers.vtcr_el2 |= codec::insert((64 - config.input_bits) as u64, 5, 0);
        registers.vtcr_el2 |= codec::insert((config.levels - 1) as u64, 7, 6);
        registers.vtcr_el2 |= 0x4000;
        registers.vtcr_el2
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
        registers.vtcr_el2 |= codec::insert(config.vmid16 as u64, 19, 19);
        registers.vtcr_el2 |= codec::insert(config.hardware_access as u64, 21, 21);
        registers.vtcr_el2 |= codec::insert(config.hardware_dirty as u64, 22, 22);
        registers.vtcr_el2 |= codec::insert((config.levels == 5) as u64, 33, 33);
        if config.lpa && config.pa_bits == 52 {
            if root & 0xfff0_0000_0000_003f != 0 {
                return Err(Refusal::Address(root));
            }
            registers.vttbr_el2
                |= codec::insert(root >> 6, 47, 6) | codec::insert(root >> 48, 5, 2);
        } else {
            if root & 0xffff_0000_0000_0001 != 0 {
                return Err(Refusal::Address(root));
            }
            registers.vttbr_el2 |= codec::insert(root >> 1, 47, 1);
        }
        if config.vmid16 {
            if tag & 0xffff_ffff_ffff_0000 != 0 {
                return Err(Refusal::Tag(Tag(tag as u32)));
            }
            registers.vttbr_el2 |= codec::insert(tag, 63, 48);
        } else {
            if tag & 0xffff_ffff_ffff_ff00 != 0 {
                return Err(Refusal::Tag(Tag(tag as u32)));
            }
            registers.vttbr_el2 |= codec::insert(tag, 55, 48);
        }
        registers.hcr_el2 |= codec::insert(config.fwb as u64, 46, 46);
        Ok(registers)
    }

    fn fault(&self, report: &Report) -> Option<FaultInfo> {
        if !((report.esr_el2 >> 26 & 0x3f == 32 || report.esr_el2 >> 26 & 0x3f == 36)
            && (report.esr_el2 >> 2 & 0xf <= 3 || report.esr_el2 >> 2 & 0xf == 5
                || report.esr_el2 & 0x3f == 19 || report.esr_el2 & 0x3f == 41
                || report.esr_el2 & 0x3f == 43))
        {
            return None;
        }
        Some(FaultInfo {
            address: if report.esr_el2 >> 7 & 1 == 1
                && (report.esr_el2 >> 2 & 0xf <= 3 || report.esr_el2 >> 3 & 7 == 5)
            {
                Some((report.hpfar_el2 >> 4 & 0xff_ffff_ffff) << 12)
            } else if report.esr_el2 >> 7 & 1 == 0
                && (report.esr_el2 >> 2 & 0xf <= 2 || report.esr_el2 >> 3 & 7 == 5)
            {
                Some(
                    (report.hpfar_el2 >> 4 & 0xff_ffff_ffff) << 12
                        | (report.far_el2 & 0xfff),
                )
            } else {
                None
            },
            access: if report.esr_el2 >> 7 & 1 == 1 && report.esr_el2 >> 2 & 0xf == 3 {
                Rights::W
            } else if report.esr_el2 >> 7 & 1 == 1 {
                Rights::R
            } else if report.esr_el2 >> 26 & 0x3f == 32 {
                Rights::X
            } else if report.esr_el2 >> 8 & 1 == 1 {
                Rights::empty()
            } else if report.esr_el2 >> 6 & 1 == 1 {
                Rights::W
            } else {
                Rights::R
            },
            cause: if report.esr_el2 >> 2 & 0xf == 0 || report.esr_el2 & 0x3f == 41 {
                Cause::AddressSize
            } else if report.esr_el2 >> 2 & 0xf == 1 || report.esr_el2 & 0x3f == 43 {
                Cause::NotMapped
            } else if report.esr_el2 >> 2 & 0xf == 2 {
                Cause::AccessFlag
            } else if report.esr_el2 >> 2 & 0xf == 3 {
                Cause::Permission
            } else {
                Cause::External
            },
            level: if report.esr_el2 & 0x3f == 19 || report.esr_el2 >> 3 & 7 == 5 {
                Level::try_from(4).ok()
            } else {
                Level::try_from((3 - (report.esr_el2 & 3)) as i64).ok()
            },
            width: if report.esr_el2 >> 26 & 0x3f == 36 && report.esr_el2 >> 24 & 1 == 1
                && report.esr_el2 >> 7 & 1 == 0
            {
                u8::try_from((1 << ((report.esr_el2 >> 22 & 3) as u8)) as i64).ok()
            } else {
                None
            },
            guest_walk: report.esr_el2 >> 7 & 1 == 1,
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
                Invalidation::Space => self.invalidate_vmid(root, tag),
                Invalidation::Range { range, leaf_only: _, granule } => {
                    let granule = (*granule).clamp(16, 63);
                    if range.span() >> granule >= 512 {
                        self.invalidate_vmid(root, tag)
                    } else {
                        self.invalidate_ipa(
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
        let block_level = level == 1 || config.lpa && level == 2;
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
            leaf_base: 0x300,
            table_base: 3,
            rights: 0,
            memory: 0,
            options: 0x700_0000_0000_0300,
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
            layout.rights |= 0xc0;
        }
        if config.hardware_dirty {
            layout.rights |= 0x8_0000_0000_00c0;
        }
        if config.xnx {
            layout.rights |= 0x60_0000_0000_0000;
        }
        if !config.xnx {
            layout.rights |= 0x40_0000_0000_0000;
        }
        if !config.fwb {
            layout.memory |= 0x3c;
        }
        if config.fwb {
            layout.memory |= 0x1c;
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
    /// Virtualization Translation Control Register.
    ///
    /// Configures walks; loaded with the root.
    /// Arm ARM, VTCR_EL2.
    pub vtcr_el2: u64,
    /// Virtualization Translation Table Base Register.
    ///
    /// Holds the root; loading it activates an address space.
    /// Arm ARM, VTTBR_EL2.
    pub vttbr_el2: u64,
    /// Hypervisor Configuration Register: stage 2 on, and forced memory types.
    ///
    /// These bits must be set; the others are not ours.
    /// Arm ARM, HCR_EL2.
    pub hcr_el2: u64,
}

/// The hardware's report of a fault, one field for each register.
///
/// Arm ARM, ESR_EL2, FAR_EL2, HPFAR_EL2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// Exception Syndrome Register.
    pub esr_el2: u64,
    /// Fault Address Register.
    pub far_el2: u64,
    /// Hypervisor IPA Fault Address Register.
    pub hpfar_el2: u64,
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
            "xnx" => self.xnx = value != 0,
            "fwb" => self.fwb = value != 0,
            "hardware_access" => self.hardware_access = value != 0,
            "hardware_dirty" => self.hardware_dirty = value != 0,
            "vmid16" => self.vmid16 = value != 0,
            "bbm" => {
                match u8::try_from(value) {
                    Ok(value) => self.bbm = value,
                    Err(_) => return false,
                }
            }
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
    pub const fn by_name(&self) -> [(&'static str, i64); 12] {
        [
            ("granule_absent", self.granule_absent as i64),
            ("pa_bits", self.pa_bits as i64),
            ("lpa", self.lpa as i64),
            ("ttst", self.ttst as i64),
            ("xnx", self.xnx as i64),
            ("fwb", self.fwb as i64),
            ("hardware_access", self.hardware_access as i64),
            ("hardware_dirty", self.hardware_dirty as i64),
            ("vmid16", self.vmid16 as i64),
            ("bbm", self.bbm as i64),
            ("levels", self.levels as i64),
            ("input_bits", self.input_bits as i64),
        ]
    }
}

impl Registers {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 3] {
        [
            ("vtcr_el2", self.vtcr_el2),
            ("vttbr_el2", self.vttbr_el2),
            ("hcr_el2", self.hcr_el2),
        ]
    }
}

impl Report {
    /// A report from its registers' values, in the order of the fields.
    pub const fn from_values([esr_el2, far_el2, hpfar_el2]: [u64; 3]) -> Self {
        Self {
            esr_el2,
            far_el2,
            hpfar_el2,
        }
    }
}

impl Report {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 3] {
        [
            ("esr_el2", self.esr_el2),
            ("far_el2", self.far_el2),
            ("hpfar_el2", self.hpfar_el2),
        ]
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
