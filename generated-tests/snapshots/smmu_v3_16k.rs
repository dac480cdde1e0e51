//! Arm SMMUv3, stage 2, 16 KiB granule.
//!
//! Arm System Memory Management Unit Architecture Specification, SMMU architecture version 3 (IHI 0070).
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
/// | 1 | 15..=25 | 16K |  |
/// | 1 | 26..=29 | 32K to 256K, 2 to 16 tables wide |  |
/// | 2 | 26..=36 | 16K |  |
/// | 2 | 37..=40 | 32K to 256K, 2 to 16 tables wide |  |
/// | 3 | 37..=47 | 16K | `pa_bits >= 42` |
/// | 3 | 48..=51 | 32K to 256K, 2 to 16 tables wide | `pa_bits >= 42` |
/// | 4 | 48..=52 | 16K | `lpa2` |
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
    /// [`Format::new`] demands `pa_bits <= 48 || lpa2` and `input_bits <= pa_bits`.
    pub pa_bits: u8,
    /// 52-bit addresses in the 4K and 16K granules (FEAT_LPA2, VTCR_EL2.DS).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    /// [`Format::new`] demands `pa_bits <= 48 || lpa2`.
    pub lpa2: bool,
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
    /// The SMMU can write to memory when it is done (IDR0.MSI).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub msi: bool,
    /// The SMMU can wake CPUs that wait in WFE (IDR0.SEV).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub send_event: bool,
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
            lpa2: false,
            ttst: false,
            xnx: false,
            fwb: false,
            hardware_access: false,
            hardware_dirty: false,
            vmid16: false,
            bbm: 0,
            msi: false,
            send_event: false,
            levels,
            input_bits,
        }
    }
}

/// What tells what the machine can do, one field for each register.
///
/// IHI 0070, SMMU_IDR0, SMMU_IDR3, SMMU_IDR5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// Register at offset 0x0.
    pub smmu_idr0: u64,
    /// Register at offset 0xc.
    pub smmu_idr3: u64,
    /// Register at offset 0x14.
    pub smmu_idr5: u64,
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
        config.granule_absent = !(capabilities.smmu_idr5 >> 5 & 1 != 0);
        config.pa_bits = if capabilities.smmu_idr5 & 7 == 0 {
            32
        } else if capabilities.smmu_idr5 & 7 == 1 {
            36
        } else if capabilities.smmu_idr5 & 7 == 2 {
            40
        } else if capabilities.smmu_idr5 & 7 == 3 {
            42
        } else if capabilities.smmu_idr5 & 7 == 4 {
            44
        } else if capabilities.smmu_idr5 & 7 == 5 {
            48
        } else if capabilities.smmu_idr5 >> 7 & 1 != 0 {
            52
        } else {
            48
        };
        config.lpa2 = capabilities.smmu_idr5 >> 7 & 1 != 0;
        config.ttst = capabilities.smmu_idr3 >> 9 & 1 != 0;
        config.xnx = capabilities.smmu_idr3 >> 4 & 1 != 0;
        config.fwb = capabilities.smmu_idr3 >> 8 & 1 != 0;
        config.hardware_access = capabilities.smmu_idr0 >> 6 & 3 >= 1;
        config.hardware_dirty = capabilities.smmu_idr0 >> 6 & 3 >= 2;
        config.vmid16 = capabilities.smmu_idr0 >> 18 & 1 != 0;
        config.bbm = if capabilities.smmu_idr3 >> 11 & 3 >= 2 {
            2
        } else {
            (capabilities.smmu_idr3 >> 11 & 3) as u8
        };
        config.msi = capabilities.smmu_idr0 >> 13 & 1 != 0;
        config.send_event = capabilities.smmu_idr0 >> 14 & 1 != 0;
        if !config.hardware_access {
            config.hardware_dirty = false;
        }
        config
    }
}

/// `shareability`: with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable.
///
/// Only where `!lpa2`.
///
/// Arm ARM, Stage 2 Shareability attributes.
pub const NON_SHAREABLE: Options = Options::from_bits(0x300);

/// `shareability`: with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable.
///
/// Only where `!lpa2`.
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
/// | 50 if lpa2; 50:48 | `no-52-bit-address` | written as zero | Arm ARM, VMSAv8-64 descriptor formats |
/// | 49:14, 9:8 <- 51:50 if lpa2 && pa_bits == 52; pa_bits - 1:14 | `output` | output address | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 49:pa_bits, 9:8 if lpa2; 47:pa_bits | `address-too-wide` | must be zero, if `pa_bits < 52` | Arm ARM, MMU fault types, Address size fault |
/// | 13:12 | `leaf-below-address` | written as zero | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 11 | `fnxs` | written as zero | Arm ARM, FEAT_XS |
/// | 10 | `access_flag` | 0b1 accessed, 0b0 none | Arm ARM, The Access flag |
/// | 9:8 | `shareability` | with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable, if `!lpa2` | Arm ARM, Stage 2 Shareability attributes |
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
    ///
    /// Only where `!lpa2`.
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
/// | 50 if lpa2; 50:48 | `no-52-bit-address` | written as zero | Arm ARM, VMSAv8-64 descriptor formats |
/// | 49:leaf_bits, 9:8 <- 51:50 if lpa2 && pa_bits == 52; pa_bits - 1:leaf_bits | `output` | output address | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 49:pa_bits, 9:8 if lpa2; 47:pa_bits | `address-too-wide` | must be zero, if `pa_bits < 52` | Arm ARM, MMU fault types, Address size fault |
/// | leaf_bits - 1:12 | `leaf-below-address` | written as zero | Arm ARM, Stage 2 VMSAv8-64 Block and Page descriptor fields |
/// | 11 | `fnxs` | written as zero | Arm ARM, FEAT_XS |
/// | 10 | `access_flag` | 0b1 accessed, 0b0 none | Arm ARM, The Access flag |
/// | 9:8 | `shareability` | with LPA2, VTCR_EL2.SH0 holds for all descriptors: 0b0 non-shareable, 0b10 outer-shareable, 0b11 inner-shareable, if `!lpa2` | Arm ARM, Stage 2 Shareability attributes |
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
    ///
    /// Only where `!lpa2`.
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
/// | 58:51, 11:10, 7:2 if lpa2; 58:51, 11:2 | `table-ignored` | ignored | Arm ARM, Stage 2 VMSAv8-64 Table descriptor fields |
/// | 50 if lpa2; 50:48 | `no-52-bit-address` | written as zero | Arm ARM, VMSAv8-64 descriptor formats |
/// | 49:14, 9:8 <- 51:50 if lpa2 && pa_bits == 52; pa_bits - 1:14 | `next_table` | address of the next table | Arm ARM, Stage 2 VMSAv8-64 Table descriptor fields |
/// | 49:pa_bits, 9:8 if lpa2; 47:pa_bits | `address-too-wide` | must be zero, if `pa_bits < 52` | Arm ARM, MMU fault types, Address size fault |
/// | 13:12 | `table-below-address` | written as zero | Arm ARM, Stage 2 VMSAv8-64 Table descriptor fields |
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

/// Arm SMMUv3, stage 2, 16 KiB granule under one choice of parameters.
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
        let root_bits = input_bits as i32 - 14 - 11 * (levels as i32 - 1);
        if !(::core::matches!((levels, root_bits), (1 | 2, 1..= 15))
            || (config.pa_bits >= 42
                && ::core::matches!((levels, root_bits), (3, 1..= 15)))
            || (config.lpa2 && ::core::matches!((levels, root_bits), (4, 1..= 5))))
        {
            if ::core::matches!((levels, root_bits), (3, 1..= 15)) {
                return Err(ConfigError::RootNeeds {
                    levels,
                    input_bits,
                    condition: "pa_bits >= 42",
                });
            }
            if ::core::matches!((levels, root_bits), (4, 1..= 5)) {
                return Err(ConfigError::RootNeeds {
                    levels,
                    input_bits,
                    condition: "lpa2",
                });
            }
            return Err(ConfigError::Root {
                levels,
                input_bits,
            });
        }
        if !(config.pa_bits <= 48 || config.lpa2) {
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
            page_bits: 14,
            index_bits: 11,
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
        let first = leaf.bits | oa & layout.output[0] | oa >> 42 & layout.output[1];
        let size = 1 << layout.leaf_bits;
        let room = (layout.carry_free - (oa & layout.carry_free)) >> layout.leaf_bits;
        let items = if items as u64 > room { room as usize + 1 } else { items };
        Strip {
            first,
            step: size & layout.output[0] | size >> 42 & layout.output[1],
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
                | address >> 42 & layout.next_table[1],
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
            let checked = if config.lpa2 {
                0x300 | codec::bits(49, config.pa_bits)
            } else {
                codec::bits(47, config.pa_bits)
            };
            if raw & checked != 0 {
                return Entry::Reserved("address-too-wide");
            }
        }
        let facts = grants.of_leaf(Facts::NONE);
        Entry::Leaf(Leaf {
            address: raw & layout.output[0] | (raw & layout.output[1]) << 42,
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
            let checked = if config.lpa2 {
                0x300 | codec::bits(49, config.pa_bits)
            } else {
                codec::bits(47, config.pa_bits)
            };
            if raw & checked != 0 {
                return Entry::Reserved("address-too-wide");
            }
        }
        Entry::Table(DecodedTable {
            address: raw & layout.next_table[0] | (raw & layout.next_table[1]) << 42,
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
        name: "smmu_v3_16k",
        title: "Arm SMMUv3, stage 2, 16 KiB granule",
        architecture: "aarch64",
        stage: 2,
        cite: "Arm System Memory Management Unit Architecture Specification, SMMU architecture version 3 (IHI 0070)",
        tlb: "CMD_TLBI_S2_IPA with Leaf: one page, final translations only, by a queue; CMD_TLBI_S2_IPA: one page, by a queue; CMD_TLBI_S12_VMALL: one tag, by a queue; CMD_TLBI_NSNH_ALL: everything, by a queue",
    };

    const PAGE_BITS: u8 = 14;
    const INDEX_BITS: u8 = 11;

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
            Next::Table(raw & layout.next_table[0] | (raw & layout.next_table[1]) << 42)
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
        raw & layout.output[0] | (raw & layout.output[1]) << 42
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
            ste0: 0xd,
            ste1: 0x1000_0000_0000,
            ste2: 0x408_3500_0000_0000,
            ste3: 0,
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
        registers.ste1 |= codec::insert(config.fwb as u64, 25, 25);
        if config.vmid16 {
            if tag & 0xffff_ffff_ffff_0000 != 0 {
                return Err(Refusal::Tag(Tag(tag as u32)));
            }
            registers.ste2 |= codec::insert(tag, 15, 0);
        } else {
            if tag & 0xffff_ffff_ffff_ff00 != 0 {
                return Err(Refusal::Tag(Tag(tag as u32)));
            }
            registers.ste2 |= codec::insert(tag, 7, 0);
        }
        registers.ste2 |= codec::insert((64 - config.input_bits) as u64, 37, 32);
        registers.ste2 |= codec::insert((config.levels - 1) as u64, 39, 38);
        registers.ste2 |= 0x8000_0000_0000;
        registers.ste2
            |= if config.pa_bits == 32 {
                0
            } else if config.pa_bits == 36 {
                0x1_0000_0000_0000
            } else if config.pa_bits == 40 {
                0x2_0000_0000_0000
            } else if config.pa_bits == 42 {
                0x3_0000_0000_0000
            } else if config.pa_bits == 44 {
                0x4_0000_0000_0000
            } else if config.pa_bits == 48 {
                0x5_0000_0000_0000
            } else {
                0x6_0000_0000_0000
            };
        registers.ste2 |= codec::insert(config.hardware_dirty as u64, 55, 55);
        registers.ste2 |= codec::insert(config.hardware_access as u64, 56, 56);
        registers.ste3 |= codec::insert((config.levels == 5) as u64, 2, 2);
        registers.ste3 |= codec::insert(config.lpa2 as u64, 3, 3);
        if root & 0xfff0_0000_0000_000f != 0 {
            return Err(Refusal::Address(root));
        }
        registers.ste3 |= codec::insert(root >> 4, 51, 4);
        Ok(registers)
    }

    fn fault(&self, report: &Report) -> Option<FaultInfo> {
        if !((report.event1 >> 39 & 1 != 0)
            && (report.event0 >> 2 & 0x3f == 4 || report.event0 & 0xff == 11))
        {
            return None;
        }
        Some(FaultInfo {
            address: if report.event0 >> 2 & 0x3f == 4 && report.event1 >> 40 & 3 == 2 {
                Some(
                    (report.event3 >> 12 & 0xff_ffff_ffff) << 12
                        | (report.event2 & 0xfff),
                )
            } else if report.event0 >> 2 & 0x3f == 4 {
                Some((report.event3 >> 12 & 0xff_ffff_ffff) << 12)
            } else {
                None
            },
            access: if report.event1 >> 40 & 3 != 2 {
                Rights::R
            } else if report.event1 >> 35 & 1 == 0 {
                Rights::W
            } else if report.event1 >> 34 & 1 != 0 {
                Rights::X
            } else {
                Rights::R
            },
            cause: if report.event0 & 0xff == 16 {
                Cause::NotMapped
            } else if report.event0 & 0xff == 17 {
                Cause::AddressSize
            } else if report.event0 & 0xff == 18 {
                Cause::AccessFlag
            } else if report.event0 & 0xff == 19 {
                Cause::Permission
            } else {
                Cause::External
            },
            level: None,
            width: None,
            guest_walk: report.event1 >> 40 & 3 != 2,
        })
    }

    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    unsafe fn invalidate(
        &self,
        root: HostPhysAddr,
        tag: Tag,
        _set: &Invalidation,
    ) -> bool {
        // SAFETY: as the caller promises.
        unsafe { false }
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

    fn commands(
        &self,
        tag: Tag,
        set: &Invalidation,
        mut submit: impl FnMut(&[u64]),
    ) -> bool {
        let tag = u64::from(tag.0);
        match set {
            Invalidation::All => {
                submit(&[48, 0]);
                true
            }
            Invalidation::Space => {
                submit(&[40 | tag << 32, 0]);
                true
            }
            Invalidation::Range { range, leaf_only, granule } => {
                let granule = (*granule).clamp(14, 63);
                if *leaf_only {
                    if range.span() >> granule >= 512 {
                        submit(&[40 | tag << 32, 0]);
                        true
                    } else {
                        let mut ia = range.start();
                        loop {
                            submit(
                                &[42 | tag << 32, (ia >> 12 & 0xff_ffff_ffff) << 12 | 1],
                            );
                            match ia.checked_add(1 << granule) {
                                Some(next) if next <= range.last() => ia = next,
                                _ => break,
                            }
                        }
                        true
                    }
                } else {
                    if range.span() >> granule >= 512 {
                        submit(&[40 | tag << 32, 0]);
                        true
                    } else {
                        let mut ia = range.start();
                        loop {
                            submit(&[42 | tag << 32, (ia >> 12 & 0xff_ffff_ffff) << 12]);
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
        let config = &self.config;
        match signal {
            Signal::Write { address, data } => {
                if config.msi {
                    let address = address.as_usize() as u64;
                    if address & 0xfff0_0000_0000_0003 != 0 || address == 0 {
                        return Err(Refusal::Address(address));
                    }
                    if data > 0xffff_ffff {
                        return Err(Refusal::Data(data));
                    }
                    submit(&[0xfc0_1046 | data << 32, address]);
                    Ok(())
                } else {
                    Err(Refusal::Signal)
                }
            }
            Signal::Interrupt => {
                submit(&[0x1046, 0]);
                Ok(())
            }
            Signal::Consumed => {
                if config.send_event {
                    submit(&[0x2046, 0]);
                    Ok(())
                } else {
                    submit(&[70, 0]);
                    Ok(())
                }
            }
        }
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
    runs: [Run; 2],
    /// What a leaf shows that belongs to no run.
    single: Pattern,
}

impl Layout {
    const fn new(config: &Config, level: Level) -> Self {
        let leaf_bits = 14 + 11 * level;
        let block_level = level == 1 || config.lpa2 && level == 2;
        let empty = 0;
        let mut layout = Self {
            leaf_bits,
            holds_leaves: level == 0 || block_level,
            holds_blocks: block_level,
            empty,
            absent: Pattern::new(1, 0),
            table: if level >= 1 { Pattern::new(3, 3) } else { Pattern::NEVER },
            output: [
                if config.lpa2 && config.pa_bits == 52 {
                    codec::bits(49, leaf_bits)
                } else {
                    codec::bits(config.pa_bits - 1, leaf_bits)
                },
                if config.lpa2 && config.pa_bits == 52 { 0x300 } else { 0 },
            ],
            carry_free: u64::MAX,
            next_table: [
                if config.lpa2 && config.pa_bits == 52 {
                    0x3_ffff_ffff_c000
                } else {
                    codec::bits(config.pa_bits - 1, 14)
                },
                if config.lpa2 && config.pa_bits == 52 { 0x300 } else { 0 },
            ],
            leaf_base: 0,
            table_base: 3,
            rights: 0,
            memory: 0,
            options: 0x700_0000_0000_0000,
            runs: [Run::NONE; 2],
            single: Pattern::ALWAYS,
        };
        layout.carry_free = codec::carry_free(
            &[layout.output[0], layout.output[1] << 42],
            leaf_bits,
        );
        if level == 0 {
            layout.leaf_base |= 3;
        }
        if block_level {
            layout.leaf_base |= 1;
        }
        if !config.lpa2 {
            layout.leaf_base |= 0x300;
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
        if !config.lpa2 {
            layout.options |= 0x300;
        }
        layout.table = layout.table.excluding(layout.absent, layout.table_base);
        if level == 0 {
            layout.runs[0] = Run {
                mark: Pattern::new(0x10_0000_0000_0000, 0x10_0000_0000_0000),
                items: 7,
            };
            layout.single = layout.single.and(Pattern::new(0x10_0000_0000_0000, 0));
        }
        if level == 1 {
            layout.runs[1] = Run {
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
    /// STE, bits 63:0: stage 2 translates, stage 1 is bypassed.
    ///
    /// Configures walks; loaded with the root.
    /// IHI 0070, Stream Table Entry.
    pub ste0: u64,
    /// STE, bits 127:64: the device's own shareability, and forced memory types.
    ///
    /// Configures walks; loaded with the root.
    /// IHI 0070, Stream Table Entry.
    pub ste1: u64,
    /// STE, bits 191:128.
    ///
    /// Configures walks; loaded with the root.
    /// IHI 0070, Stream Table Entry.
    pub ste2: u64,
    /// STE, bits 255:192.
    ///
    /// Holds the root; loading it activates an address space.
    /// IHI 0070, Stream Table Entry.
    pub ste3: u64,
}

/// The hardware's report of a fault, one field for each register.
///
/// IHI 0070, Event records: F_TRANSLATION, F_ADDR_SIZE, F_ACCESS, F_PERMISSION, F_WALK_EABT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// First 64 bits of the event record.
    pub event0: u64,
    /// Its second 64 bits.
    pub event1: u64,
    /// Its third 64 bits.
    pub event2: u64,
    /// Its fourth 64 bits.
    pub event3: u64,
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
            "granule" => return value == 14,
            "lpa" => return value == 0,
            "granule_absent" => self.granule_absent = value != 0,
            "pa_bits" => {
                match u8::try_from(value) {
                    Ok(value) => self.pa_bits = value,
                    Err(_) => return false,
                }
            }
            "lpa2" => self.lpa2 = value != 0,
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
            "msi" => self.msi = value != 0,
            "send_event" => self.send_event = value != 0,
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
    pub const fn by_name(&self) -> [(&'static str, i64); 14] {
        [
            ("granule_absent", self.granule_absent as i64),
            ("pa_bits", self.pa_bits as i64),
            ("lpa2", self.lpa2 as i64),
            ("ttst", self.ttst as i64),
            ("xnx", self.xnx as i64),
            ("fwb", self.fwb as i64),
            ("hardware_access", self.hardware_access as i64),
            ("hardware_dirty", self.hardware_dirty as i64),
            ("vmid16", self.vmid16 as i64),
            ("bbm", self.bbm as i64),
            ("msi", self.msi as i64),
            ("send_event", self.send_event as i64),
            ("levels", self.levels as i64),
            ("input_bits", self.input_bits as i64),
        ]
    }
}

impl Registers {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 4] {
        [
            ("ste0", self.ste0),
            ("ste1", self.ste1),
            ("ste2", self.ste2),
            ("ste3", self.ste3),
        ]
    }
}

impl Report {
    /// A report from its registers' values, in the order of the fields.
    pub const fn from_values([event0, event1, event2, event3]: [u64; 4]) -> Self {
        Self {
            event0,
            event1,
            event2,
            event3,
        }
    }
}

impl Report {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 4] {
        [
            ("event0", self.event0),
            ("event1", self.event1),
            ("event2", self.event2),
            ("event3", self.event3),
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
    pub const fn from_values([smmu_idr0, smmu_idr3, smmu_idr5]: [u64; 3]) -> Self {
        Self {
            smmu_idr0,
            smmu_idr3,
            smmu_idr5,
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
