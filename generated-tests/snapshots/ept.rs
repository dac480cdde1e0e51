//! Intel extended page tables (EPT).
//!
//! Intel SDM Vol. 3C, VMX Support for Address Translation.
//!
//! Start at [`Config`], make a [`Format`] of it, and give that to the page table.

use ::core::fmt;
use ::core::prelude::rust_2024::*;
use ::tablewright::codec::{self, Facts, Grants, Kind, Named, Pattern};
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
/// | 4 | 48 | 4K |  |
/// | 5 | 57 | 4K | `five_level` |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Width of a physical address (MAXPHYADDR).
    ///
    /// 36..=52, by default 52. Bound at boot, by [`Config::from_capabilities`].
    pub pa_bits: u8,
    /// 2 MiB blocks.
    ///
    /// By default `true`. Bound at boot, by [`Config::from_capabilities`].
    pub huge_2m: bool,
    /// 1 GiB blocks.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub huge_1g: bool,
    /// Walks of 5 levels.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub five_level: bool,
    /// Entries that allow instruction fetches only.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub execute_only: bool,
    /// Hardware sets accessed and dirty flags (EPTP bit 6).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub access_dirty: bool,
    /// Supervisor shadow-stack pages are told apart (EPTP bit 7).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub shadow_stack: bool,
    /// Separate execute rights for supervisor- and user-mode addresses.
    ///
    /// By default `false`. Bound at boot.
    pub mode_based_execute: bool,
    /// EPT violations may become #VE, and bit 63 suppresses that.
    ///
    /// By default `false`. Bound at boot.
    pub suppress_ve: bool,
    /// A fetch through two page sizes at once raises no machine check.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    /// IA32_ARCH_CAPABILITIES, PSCHANGE_MC_NO.
    pub size_change_safe: bool,
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
            huge_2m: true,
            huge_1g: false,
            five_level: false,
            execute_only: false,
            access_dirty: false,
            shadow_stack: false,
            mode_based_execute: false,
            suppress_ve: false,
            size_change_safe: false,
            levels,
            input_bits,
        }
    }
}

/// What tells what the machine can do, one field for each register.
///
/// Intel SDM Vol. 3D, VPID and EPT Capabilities; Vol. 4, IA32_ARCH_CAPABILITIES.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// MSR 0x48c.
    pub ia32_vmx_ept_vpid_cap: u64,
    /// MSR 0x10a, or 0 where CPUID does not list it.
    pub ia32_arch_capabilities: u64,
    /// EAX of CPUID leaf 0x8000_0008.
    pub cpuid_80000008_eax: u64,
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
        config.pa_bits = (capabilities.cpuid_80000008_eax & 0xff) as u8;
        config.huge_2m = capabilities.ia32_vmx_ept_vpid_cap >> 16 & 1 != 0;
        config.huge_1g = capabilities.ia32_vmx_ept_vpid_cap >> 17 & 1 != 0;
        config.five_level = capabilities.ia32_vmx_ept_vpid_cap >> 7 & 1 != 0;
        config.execute_only = capabilities.ia32_vmx_ept_vpid_cap & 1 != 0;
        config.access_dirty = capabilities.ia32_vmx_ept_vpid_cap >> 21 & 1 != 0;
        config.shadow_stack = capabilities.ia32_vmx_ept_vpid_cap >> 23 & 1 != 0;
        config.size_change_safe = capabilities.ia32_arch_capabilities >> 6 & 1 != 0;
        config
    }
}

/// `ignore_pat`: the guest's PAT cannot change the memory type: 0b0 combine-with-pat, 0b1 ignore-pat.
///
/// Intel SDM Vol. 3C, Memory Type Used for Translated Guest-Physical Addresses.
pub const IGNORE_PAT: Options = Options::from_bits(0x40);

/// `verify_guest_paging`: ignored unless the VM-execution control `guest-paging verification` is 1: 0b0 off, 0b1 verify-guest-paging.
///
/// Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page.
pub const VERIFY_GUEST_PAGING: Options = Options::from_bits(0x200_0000_0000_0000);

/// `paging_write`: ignored unless the VM-execution control `EPT paging-write control` is 1: 0b0 off, 0b1 paging-write.
///
/// Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page.
pub const PAGING_WRITE: Options = Options::from_bits(0x400_0000_0000_0000);

/// `supervisor_shadow_stack`: 0b0 off, 0b1 supervisor-shadow-stack.
///
/// Only where `shadow_stack`.
///
/// Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page.
pub const SUPERVISOR_SHADOW_STACK: Options = Options::from_bits(0x1000_0000_0000_0000);

/// `sub_page_write`: ignored unless the VM-execution control `sub-page write permissions for EPT` is 1: 0b0 off, 0b1 sub-page-write.
///
/// Only where `level == 0`.
///
/// Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page.
pub const SUB_PAGE_WRITE: Options = Options::from_bits(0x2000_0000_0000_0000);

/// `suppress_ve`: 0b0 deliver-ve, 0b1 suppress-ve.
///
/// Only where `suppress_ve`.
///
/// Intel SDM Vol. 3C, Convertible EPT Violations.
pub const DELIVER_VE: Options = Options::from_bits(0x8000_0000_0000_0000);

/// The bits of every leaf that are free for software, whatever the parameters are.
pub const SOFTWARE: Options = Options::from_bits(0x49f0_0000_0000_0800);

/// A leaf at level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63 | `suppress_ve` | 0b0 deliver-ve, 0b1 suppress-ve, if `suppress_ve` | Intel SDM Vol. 3C, Convertible EPT Violations |
/// | 63 | `no-suppress-ve` | ignored, if `!suppress_ve` | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 62, 59, 56:52, 11 | `leaf-software` | free for software | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 61 | `sub_page_write` | ignored unless the VM-execution control `sub-page write permissions for EPT` is 1: 0b0 off, 0b1 sub-page-write | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 60 | `supervisor_shadow_stack` | 0b0 off, 0b1 supervisor-shadow-stack, if `shadow_stack` | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 60 | `no-shadow-stack` | ignored, if `!shadow_stack` | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 58 | `paging_write` | ignored unless the VM-execution control `EPT paging-write control` is 1: 0b0 off, 0b1 paging-write | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 57 | `verify_guest_paging` | ignored unless the VM-execution control `guest-paging verification` is 1: 0b0 off, 0b1 verify-guest-paging | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | pa_bits - 1:12 | `output` | output address | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 51:pa_bits | `address-too-wide` | must be zero | Intel SDM Vol. 3C, EPT Misconfigurations |
/// | 10, 2:0 | `access_by_mode` | read, write, execute from supervisor-mode and (bit 10) from user-mode linear addresses: 0b1 r, 0b11 r w, 0b101 r px, 0b111 r w px, 0b1001 r ux, 0b1011 r w ux, 0b1101 r x, 0b1111 r w x, 0b100 px, 0b1000 ux, 0b1100 x, if `mode_based_execute` | Intel SDM Vol. 3C, EPT Misconfigurations |
/// | 10 | `no-user-execute` | ignored, if `!mode_based_execute` | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 9 | `dirty` | 0b0 none, 0b1 dirty, if `access_dirty` | Intel SDM Vol. 3C, Accessed and Dirty Flags for EPT |
/// | 9:8 | `no-access-dirty` | ignored, if `!access_dirty` | Intel SDM Vol. 3C, Accessed and Dirty Flags for EPT |
/// | 8 | `accessed` | 0b0 none, 0b1 accessed, if `access_dirty` | Intel SDM Vol. 3C, Accessed and Dirty Flags for EPT |
/// | 7 | `page-not-block` | ignored | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 6 | `ignore_pat` | the guest's PAT cannot change the memory type: 0b0 combine-with-pat, 0b1 ignore-pat | Intel SDM Vol. 3C, Memory Type Used for Translated Guest-Physical Addresses |
/// | 5:3 | `memory_type` | 0b0 uc, 0b1 wc, 0b100 wt, 0b101 wp, 0b110 wb | Intel SDM Vol. 3C, Memory Type Used for Translated Guest-Physical Addresses |
/// | 2:0 | `access` | read, write, execute: 0b1 r, 0b11 r w, 0b100 x, 0b101 r x, 0b111 r w x, if `!mode_based_execute` | Intel SDM Vol. 3C, EPT Misconfigurations |
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

    /// Bits 2:0: read, write, execute: 0b1 r, 0b11 r w, 0b100 x, 0b101 r x, 0b111 r w x.
    ///
    /// Only where `!mode_based_execute`.
    pub const fn access(self) -> u64 {
        self.0 & 7
    }

    /// This entry with another `access`; what does not fit is cut.
    pub const fn with_access(self, value: u64) -> Self {
        Self(self.0 & !7 | codec::insert(value, 2, 0))
    }

    /// Bits 10, 2:0: read, write, execute from supervisor-mode and (bit 10) from user-mode linear addresses: 0b1 r, 0b11 r w, 0b101 r px, 0b111 r w px, 0b1001 r ux, 0b1011 r w ux, 0b1101 r x, 0b1111 r w x, 0b100 px, 0b1000 ux, 0b1100 x.
    ///
    /// Only where `mode_based_execute`.
    pub const fn access_by_mode(self) -> u64 {
        (self.0 >> 10 & 1) << 3 | (self.0 & 7)
    }

    /// This entry with another `access_by_mode`; what does not fit is cut.
    pub const fn with_access_by_mode(self, value: u64) -> Self {
        Self(
            self.0 & !0x407 | codec::insert(value >> 3, 10, 10)
                | codec::insert(value, 2, 0),
        )
    }

    /// Bits 5:3: 0b0 uc, 0b1 wc, 0b100 wt, 0b101 wp, 0b110 wb.
    pub const fn memory_type(self) -> u64 {
        self.0 >> 3 & 7
    }

    /// This entry with another `memory_type`; what does not fit is cut.
    pub const fn with_memory_type(self, value: u64) -> Self {
        Self(self.0 & !0x38 | codec::insert(value, 5, 3))
    }

    /// Bit 6: the guest's PAT cannot change the memory type: 0b0 combine-with-pat, 0b1 ignore-pat.
    pub const fn ignore_pat(self) -> u64 {
        self.0 >> 6 & 1
    }

    /// This entry with another `ignore_pat`; what does not fit is cut.
    pub const fn with_ignore_pat(self, value: u64) -> Self {
        Self(self.0 & !0x40 | codec::insert(value, 6, 6))
    }

    /// Bit 8: 0b0 none, 0b1 accessed.
    ///
    /// Only where `access_dirty`.
    pub const fn accessed(self) -> u64 {
        self.0 >> 8 & 1
    }

    /// This entry with another `accessed`; what does not fit is cut.
    pub const fn with_accessed(self, value: u64) -> Self {
        Self(self.0 & !0x100 | codec::insert(value, 8, 8))
    }

    /// Bit 9: 0b0 none, 0b1 dirty.
    ///
    /// Only where `access_dirty`.
    pub const fn dirty(self) -> u64 {
        self.0 >> 9 & 1
    }

    /// This entry with another `dirty`; what does not fit is cut.
    pub const fn with_dirty(self, value: u64) -> Self {
        Self(self.0 & !0x200 | codec::insert(value, 9, 9))
    }

    /// Bit 57: ignored unless the VM-execution control `guest-paging verification` is 1: 0b0 off, 0b1 verify-guest-paging.
    pub const fn verify_guest_paging(self) -> u64 {
        self.0 >> 57 & 1
    }

    /// This entry with another `verify_guest_paging`; what does not fit is cut.
    pub const fn with_verify_guest_paging(self, value: u64) -> Self {
        Self(self.0 & !0x200_0000_0000_0000 | codec::insert(value, 57, 57))
    }

    /// Bit 58: ignored unless the VM-execution control `EPT paging-write control` is 1: 0b0 off, 0b1 paging-write.
    pub const fn paging_write(self) -> u64 {
        self.0 >> 58 & 1
    }

    /// This entry with another `paging_write`; what does not fit is cut.
    pub const fn with_paging_write(self, value: u64) -> Self {
        Self(self.0 & !0x400_0000_0000_0000 | codec::insert(value, 58, 58))
    }

    /// Bit 60: 0b0 off, 0b1 supervisor-shadow-stack.
    ///
    /// Only where `shadow_stack`.
    pub const fn supervisor_shadow_stack(self) -> u64 {
        self.0 >> 60 & 1
    }

    /// This entry with another `supervisor_shadow_stack`; what does not fit is cut.
    pub const fn with_supervisor_shadow_stack(self, value: u64) -> Self {
        Self(self.0 & !0x1000_0000_0000_0000 | codec::insert(value, 60, 60))
    }

    /// Bit 61: ignored unless the VM-execution control `sub-page write permissions for EPT` is 1: 0b0 off, 0b1 sub-page-write.
    pub const fn sub_page_write(self) -> u64 {
        self.0 >> 61 & 1
    }

    /// This entry with another `sub_page_write`; what does not fit is cut.
    pub const fn with_sub_page_write(self, value: u64) -> Self {
        Self(self.0 & !0x2000_0000_0000_0000 | codec::insert(value, 61, 61))
    }

    /// Bit 63: 0b0 deliver-ve, 0b1 suppress-ve.
    ///
    /// Only where `suppress_ve`.
    pub const fn suppress_ve(self) -> u64 {
        self.0 >> 63
    }

    /// This entry with another `suppress_ve`; what does not fit is cut.
    pub const fn with_suppress_ve(self, value: u64) -> Self {
        Self(self.0 & !0x8000_0000_0000_0000 | codec::insert(value, 63, 63))
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "access",
                &Named(
                    self.access(),
                    &[(1, "r"), (3, "r w"), (4, "x"), (5, "r x"), (7, "r w x")],
                ),
            )
            .field(
                "access_by_mode",
                &Named(
                    self.access_by_mode(),
                    &[
                        (1, "r"),
                        (3, "r w"),
                        (5, "r px"),
                        (7, "r w px"),
                        (9, "r ux"),
                        (11, "r w ux"),
                        (13, "r x"),
                        (15, "r w x"),
                        (4, "px"),
                        (8, "ux"),
                        (12, "x"),
                    ],
                ),
            )
            .field(
                "memory_type",
                &Named(
                    self.memory_type(),
                    &[(0, "uc"), (1, "wc"), (4, "wt"), (5, "wp"), (6, "wb")],
                ),
            )
            .field(
                "ignore_pat",
                &Named(self.ignore_pat(), &[(0, "combine-with-pat"), (1, "ignore-pat")]),
            )
            .field("accessed", &Named(self.accessed(), &[(0, "none"), (1, "accessed")]))
            .field("dirty", &Named(self.dirty(), &[(0, "none"), (1, "dirty")]))
            .field(
                "verify_guest_paging",
                &Named(
                    self.verify_guest_paging(),
                    &[(0, "off"), (1, "verify-guest-paging")],
                ),
            )
            .field(
                "paging_write",
                &Named(self.paging_write(), &[(0, "off"), (1, "paging-write")]),
            )
            .field(
                "supervisor_shadow_stack",
                &Named(
                    self.supervisor_shadow_stack(),
                    &[(0, "off"), (1, "supervisor-shadow-stack")],
                ),
            )
            .field(
                "sub_page_write",
                &Named(self.sub_page_write(), &[(0, "off"), (1, "sub-page-write")]),
            )
            .field(
                "suppress_ve",
                &Named(self.suppress_ve(), &[(0, "deliver-ve"), (1, "suppress-ve")]),
            )
            .finish()
    }
}

/// A leaf above level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63 | `suppress_ve` | 0b0 deliver-ve, 0b1 suppress-ve, if `suppress_ve` | Intel SDM Vol. 3C, Convertible EPT Violations |
/// | 63 | `no-suppress-ve` | ignored, if `!suppress_ve` | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 62, 59, 56:52, 11 | `leaf-software` | free for software | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 61 | `no-sub-page` | ignored | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 60 | `supervisor_shadow_stack` | 0b0 off, 0b1 supervisor-shadow-stack, if `shadow_stack` | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 60 | `no-shadow-stack` | ignored, if `!shadow_stack` | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 58 | `paging_write` | ignored unless the VM-execution control `EPT paging-write control` is 1: 0b0 off, 0b1 paging-write | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 57 | `verify_guest_paging` | ignored unless the VM-execution control `guest-paging verification` is 1: 0b0 off, 0b1 verify-guest-paging | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | pa_bits - 1:leaf_bits | `output` | output address | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 51:pa_bits | `address-too-wide` | must be zero | Intel SDM Vol. 3C, EPT Misconfigurations |
/// | leaf_bits - 1:12 | `block-misaligned` | must be zero | Intel SDM Vol. 3C, Format of an EPT Page-Directory Entry (PDE) that Maps a 2-MByte Page |
/// | 10, 2:0 | `access_by_mode` | read, write, execute from supervisor-mode and (bit 10) from user-mode linear addresses: 0b1 r, 0b11 r w, 0b101 r px, 0b111 r w px, 0b1001 r ux, 0b1011 r w ux, 0b1101 r x, 0b1111 r w x, 0b100 px, 0b1000 ux, 0b1100 x, if `mode_based_execute` | Intel SDM Vol. 3C, EPT Misconfigurations |
/// | 10 | `no-user-execute` | ignored, if `!mode_based_execute` | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 9 | `dirty` | 0b0 none, 0b1 dirty, if `access_dirty` | Intel SDM Vol. 3C, Accessed and Dirty Flags for EPT |
/// | 9:8 | `no-access-dirty` | ignored, if `!access_dirty` | Intel SDM Vol. 3C, Accessed and Dirty Flags for EPT |
/// | 8 | `accessed` | 0b0 none, 0b1 accessed, if `access_dirty` | Intel SDM Vol. 3C, Accessed and Dirty Flags for EPT |
/// | 6 | `ignore_pat` | the guest's PAT cannot change the memory type: 0b0 combine-with-pat, 0b1 ignore-pat | Intel SDM Vol. 3C, Memory Type Used for Translated Guest-Physical Addresses |
/// | 5:3 | `memory_type` | 0b0 uc, 0b1 wc, 0b100 wt, 0b101 wp, 0b110 wb | Intel SDM Vol. 3C, Memory Type Used for Translated Guest-Physical Addresses |
/// | 2:0 | `access` | read, write, execute: 0b1 r, 0b11 r w, 0b100 x, 0b101 r x, 0b111 r w x, if `!mode_based_execute` | Intel SDM Vol. 3C, EPT Misconfigurations |
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

    /// Bits 2:0: read, write, execute: 0b1 r, 0b11 r w, 0b100 x, 0b101 r x, 0b111 r w x.
    ///
    /// Only where `!mode_based_execute`.
    pub const fn access(self) -> u64 {
        self.0 & 7
    }

    /// This entry with another `access`; what does not fit is cut.
    pub const fn with_access(self, value: u64) -> Self {
        Self(self.0 & !7 | codec::insert(value, 2, 0))
    }

    /// Bits 10, 2:0: read, write, execute from supervisor-mode and (bit 10) from user-mode linear addresses: 0b1 r, 0b11 r w, 0b101 r px, 0b111 r w px, 0b1001 r ux, 0b1011 r w ux, 0b1101 r x, 0b1111 r w x, 0b100 px, 0b1000 ux, 0b1100 x.
    ///
    /// Only where `mode_based_execute`.
    pub const fn access_by_mode(self) -> u64 {
        (self.0 >> 10 & 1) << 3 | (self.0 & 7)
    }

    /// This entry with another `access_by_mode`; what does not fit is cut.
    pub const fn with_access_by_mode(self, value: u64) -> Self {
        Self(
            self.0 & !0x407 | codec::insert(value >> 3, 10, 10)
                | codec::insert(value, 2, 0),
        )
    }

    /// Bits 5:3: 0b0 uc, 0b1 wc, 0b100 wt, 0b101 wp, 0b110 wb.
    pub const fn memory_type(self) -> u64 {
        self.0 >> 3 & 7
    }

    /// This entry with another `memory_type`; what does not fit is cut.
    pub const fn with_memory_type(self, value: u64) -> Self {
        Self(self.0 & !0x38 | codec::insert(value, 5, 3))
    }

    /// Bit 6: the guest's PAT cannot change the memory type: 0b0 combine-with-pat, 0b1 ignore-pat.
    pub const fn ignore_pat(self) -> u64 {
        self.0 >> 6 & 1
    }

    /// This entry with another `ignore_pat`; what does not fit is cut.
    pub const fn with_ignore_pat(self, value: u64) -> Self {
        Self(self.0 & !0x40 | codec::insert(value, 6, 6))
    }

    /// Bit 8: 0b0 none, 0b1 accessed.
    ///
    /// Only where `access_dirty`.
    pub const fn accessed(self) -> u64 {
        self.0 >> 8 & 1
    }

    /// This entry with another `accessed`; what does not fit is cut.
    pub const fn with_accessed(self, value: u64) -> Self {
        Self(self.0 & !0x100 | codec::insert(value, 8, 8))
    }

    /// Bit 9: 0b0 none, 0b1 dirty.
    ///
    /// Only where `access_dirty`.
    pub const fn dirty(self) -> u64 {
        self.0 >> 9 & 1
    }

    /// This entry with another `dirty`; what does not fit is cut.
    pub const fn with_dirty(self, value: u64) -> Self {
        Self(self.0 & !0x200 | codec::insert(value, 9, 9))
    }

    /// Bit 57: ignored unless the VM-execution control `guest-paging verification` is 1: 0b0 off, 0b1 verify-guest-paging.
    pub const fn verify_guest_paging(self) -> u64 {
        self.0 >> 57 & 1
    }

    /// This entry with another `verify_guest_paging`; what does not fit is cut.
    pub const fn with_verify_guest_paging(self, value: u64) -> Self {
        Self(self.0 & !0x200_0000_0000_0000 | codec::insert(value, 57, 57))
    }

    /// Bit 58: ignored unless the VM-execution control `EPT paging-write control` is 1: 0b0 off, 0b1 paging-write.
    pub const fn paging_write(self) -> u64 {
        self.0 >> 58 & 1
    }

    /// This entry with another `paging_write`; what does not fit is cut.
    pub const fn with_paging_write(self, value: u64) -> Self {
        Self(self.0 & !0x400_0000_0000_0000 | codec::insert(value, 58, 58))
    }

    /// Bit 60: 0b0 off, 0b1 supervisor-shadow-stack.
    ///
    /// Only where `shadow_stack`.
    pub const fn supervisor_shadow_stack(self) -> u64 {
        self.0 >> 60 & 1
    }

    /// This entry with another `supervisor_shadow_stack`; what does not fit is cut.
    pub const fn with_supervisor_shadow_stack(self, value: u64) -> Self {
        Self(self.0 & !0x1000_0000_0000_0000 | codec::insert(value, 60, 60))
    }

    /// Bit 63: 0b0 deliver-ve, 0b1 suppress-ve.
    ///
    /// Only where `suppress_ve`.
    pub const fn suppress_ve(self) -> u64 {
        self.0 >> 63
    }

    /// This entry with another `suppress_ve`; what does not fit is cut.
    pub const fn with_suppress_ve(self, value: u64) -> Self {
        Self(self.0 & !0x8000_0000_0000_0000 | codec::insert(value, 63, 63))
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "access",
                &Named(
                    self.access(),
                    &[(1, "r"), (3, "r w"), (4, "x"), (5, "r x"), (7, "r w x")],
                ),
            )
            .field(
                "access_by_mode",
                &Named(
                    self.access_by_mode(),
                    &[
                        (1, "r"),
                        (3, "r w"),
                        (5, "r px"),
                        (7, "r w px"),
                        (9, "r ux"),
                        (11, "r w ux"),
                        (13, "r x"),
                        (15, "r w x"),
                        (4, "px"),
                        (8, "ux"),
                        (12, "x"),
                    ],
                ),
            )
            .field(
                "memory_type",
                &Named(
                    self.memory_type(),
                    &[(0, "uc"), (1, "wc"), (4, "wt"), (5, "wp"), (6, "wb")],
                ),
            )
            .field(
                "ignore_pat",
                &Named(self.ignore_pat(), &[(0, "combine-with-pat"), (1, "ignore-pat")]),
            )
            .field("accessed", &Named(self.accessed(), &[(0, "none"), (1, "accessed")]))
            .field("dirty", &Named(self.dirty(), &[(0, "none"), (1, "dirty")]))
            .field(
                "verify_guest_paging",
                &Named(
                    self.verify_guest_paging(),
                    &[(0, "off"), (1, "verify-guest-paging")],
                ),
            )
            .field(
                "paging_write",
                &Named(self.paging_write(), &[(0, "off"), (1, "paging-write")]),
            )
            .field(
                "supervisor_shadow_stack",
                &Named(
                    self.supervisor_shadow_stack(),
                    &[(0, "off"), (1, "supervisor-shadow-stack")],
                ),
            )
            .field(
                "suppress_ve",
                &Named(self.suppress_ve(), &[(0, "deliver-ve"), (1, "suppress-ve")]),
            )
            .finish()
    }
}

/// A pointer to a table of the level below.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63:52, 11, 9 | `table-ignored` | ignored | Intel SDM Vol. 3C, Format of an EPT Page-Directory Entry (PDE) that References an EPT Page Table |
/// | pa_bits - 1:12 | `next_table` | address of the next table | Intel SDM Vol. 3C, Format of an EPT PML4 Entry (PML4E) |
/// | 51:pa_bits | `address-too-wide` | must be zero | Intel SDM Vol. 3C, EPT Misconfigurations |
/// | 10, 2:0 | `access_by_mode` | read, write, execute from supervisor-mode and (bit 10) from user-mode linear addresses: 0b1 r, 0b11 r w, 0b101 r px, 0b111 r w px, 0b1001 r ux, 0b1011 r w ux, 0b1101 r x, 0b1111 r w x, 0b100 px, 0b1000 ux, 0b1100 x, if `mode_based_execute` | Intel SDM Vol. 3C, EPT Misconfigurations |
/// | 10 | `no-user-execute` | ignored, if `!mode_based_execute` | Intel SDM Vol. 3C, Format of an EPT Page-Table Entry that Maps a 4-KByte Page |
/// | 8 | `table-accessed` | written by hardware if `access_dirty`, else ignored | Intel SDM Vol. 3C, Accessed and Dirty Flags for EPT |
/// | 6:3 | `table-reserved` | must be zero | Intel SDM Vol. 3C, Format of an EPT Page-Directory Entry (PDE) that References an EPT Page Table |
/// | 2:0 | `access` | read, write, execute: 0b1 r, 0b11 r w, 0b100 x, 0b101 r x, 0b111 r w x, if `!mode_based_execute` | Intel SDM Vol. 3C, EPT Misconfigurations |
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

    /// Bits 2:0: read, write, execute: 0b1 r, 0b11 r w, 0b100 x, 0b101 r x, 0b111 r w x.
    ///
    /// Only where `!mode_based_execute`.
    pub const fn access(self) -> u64 {
        self.0 & 7
    }

    /// This entry with another `access`; what does not fit is cut.
    pub const fn with_access(self, value: u64) -> Self {
        Self(self.0 & !7 | codec::insert(value, 2, 0))
    }

    /// Bits 10, 2:0: read, write, execute from supervisor-mode and (bit 10) from user-mode linear addresses: 0b1 r, 0b11 r w, 0b101 r px, 0b111 r w px, 0b1001 r ux, 0b1011 r w ux, 0b1101 r x, 0b1111 r w x, 0b100 px, 0b1000 ux, 0b1100 x.
    ///
    /// Only where `mode_based_execute`.
    pub const fn access_by_mode(self) -> u64 {
        (self.0 >> 10 & 1) << 3 | (self.0 & 7)
    }

    /// This entry with another `access_by_mode`; what does not fit is cut.
    pub const fn with_access_by_mode(self, value: u64) -> Self {
        Self(
            self.0 & !0x407 | codec::insert(value >> 3, 10, 10)
                | codec::insert(value, 2, 0),
        )
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field(
                "access",
                &Named(
                    self.access(),
                    &[(1, "r"), (3, "r w"), (4, "x"), (5, "r x"), (7, "r w x")],
                ),
            )
            .field(
                "access_by_mode",
                &Named(
                    self.access_by_mode(),
                    &[
                        (1, "r"),
                        (3, "r w"),
                        (5, "r px"),
                        (7, "r w px"),
                        (9, "r ux"),
                        (11, "r w ux"),
                        (13, "r x"),
                        (15, "r w x"),
                        (4, "px"),
                        (8, "ux"),
                        (12, "x"),
                    ],
                ),
            )
            .finish()
    }
}

/// Intel extended page tables (EPT) under one choice of parameters.
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
        if !::core::matches!(config.pa_bits, 36..= 52) {
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
        let geometry = Geometry {
            page_bits: 12,
            index_bits: 9,
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
        let config = &self.config;
        let layout = self.layout(level);
        let block_level = layout.holds_blocks;
        let is_not_present = if config.mode_based_execute {
            raw & 0x407 == 0
        } else {
            raw & 7 == 0
        };
        let is_page = level == 0
            && (if config.mode_based_execute { raw & 0x407 != 0 } else { raw & 7 != 0 });
        let is_block = block_level
            && (if config.mode_based_execute {
                raw & 0x80 == 0x80 && raw & 0x407 != 0
            } else {
                raw & 0x80 == 0x80 && raw & 7 != 0
            });
        let is_table = level >= 1
            && (if config.mode_based_execute {
                raw & 0x80 == 0 && raw & 0x407 != 0
            } else {
                raw & 0x80 == 0 && raw & 7 != 0
            });
        let is_block_unsupported = level >= 1 && !block_level
            && (if config.mode_based_execute {
                raw & 0x80 == 0x80 && raw & 0x407 != 0
            } else {
                raw & 0x80 == 0x80 && raw & 7 != 0
            });
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
        if config.mode_based_execute {
            let Some(facts) = self.access_by_mode_facts((raw >> 10 & 1) << 3 | (raw & 7))
            else {
                return Entry::Reserved("access_by_mode");
            };
            grants.field(Facts::RWX, facts);
        } else {
            let Some(facts) = self.access_facts(raw & 7) else {
                return Entry::Reserved("access");
            };
            grants.field(Facts::RWX, facts);
        }
        let Some(memory) = self.memory_type_type(raw >> 3 & 7) else {
            return Entry::Reserved("memory_type");
        };
        if config.access_dirty {
            let Some(facts) = self.accessed_facts(raw >> 8 & 1) else {
                return Entry::Reserved("accessed");
            };
            grants.field(Facts::ACCESSED, facts);
            let Some(facts) = self.dirty_facts(raw >> 9 & 1) else {
                return Entry::Reserved("dirty");
            };
            grants.field(Facts::DIRTY, facts);
        }
        if raw & codec::bits(51, config.pa_bits) != 0 {
            return Entry::Reserved("address-too-wide");
        }
        if level > 0 && raw & codec::bits(leaf_bits - 1, 12) != 0 {
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
        let config = &self.config;
        let mut grants = Grants::new();
        if config.mode_based_execute {
            grants
                .field(
                    Facts::RWX,
                    self.access_by_mode_facts((raw >> 10 & 1) << 3 | (raw & 7))?,
                );
        } else {
            grants.field(Facts::RWX, self.access_facts(raw & 7)?);
        }
        if config.access_dirty {
            grants.field(Facts::ACCESSED, self.accessed_facts(raw >> 8 & 1)?);
            grants.field(Facts::DIRTY, self.dirty_facts(raw >> 9 & 1)?);
        }
        Some(grants.of_leaf(Facts::NONE))
    }

    /// A table entry's content.
    fn decode_table(&self, level: Level, raw: u64) -> Entry {
        let config = &self.config;
        let layout = self.layout(level);
        let mut grants = Grants::new();
        if config.mode_based_execute {
            let Some(facts) = self.access_by_mode_facts((raw >> 10 & 1) << 3 | (raw & 7))
            else {
                return Entry::Reserved("access_by_mode");
            };
            grants.field(Facts::RWX, facts);
        } else {
            let Some(facts) = self.access_facts(raw & 7) else {
                return Entry::Reserved("access");
            };
            grants.field(Facts::RWX, facts);
        }
        if raw & codec::bits(51, config.pa_bits) != 0 {
            return Entry::Reserved("address-too-wide");
        }
        if raw & 0x78 != 0 {
            return Entry::Reserved("table-reserved");
        }
        Entry::Table(DecodedTable {
            address: raw & layout.next_table,
            level: level.saturating_sub(1),
            limit: grants.of_table(),
        })
    }

    /// The bits of a leaf that grant exactly these rights, with these states where it keeps them.
    const fn rights_bits(&self, _level: Level, facts: Facts) -> Option<u64> {
        let config = &self.config;
        let mut bits = 0;
        let mut spoken = Facts::NONE;
        if config.mode_based_execute {
            let Some(value) = self.access_by_mode_value(facts) else { return None };
            spoken = spoken.union(Facts::RWX);
            bits |= codec::insert(value >> 3, 10, 10) | codec::insert(value, 2, 0);
        } else {
            let Some(value) = self.access_value(facts) else { return None };
            spoken = spoken.union(Facts::RWX);
            bits |= codec::insert(value, 2, 0);
        }
        if config.access_dirty {
            let Some(value) = self.accessed_value(facts) else { return None };
            spoken = spoken.union(Facts::ACCESSED);
            bits |= codec::insert(value, 8, 8);
            let Some(value) = self.dirty_value(facts) else { return None };
            spoken = spoken.union(Facts::DIRTY);
            bits |= codec::insert(value, 9, 9);
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
        match self.memory_type_value(memory) {
            Some(value) => Ok(codec::insert(value, 5, 3)),
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

    /// What a value of `access` states; `None` if it is illegal.
    const fn access_facts(&self, value: u64) -> Option<Facts> {
        let config = &self.config;
        match value {
            0b001 => Some(Facts::R),
            0b011 => Some(Facts::RW),
            0b100 if config.execute_only => Some(Facts::X),
            0b101 => Some(Facts::RX),
            0b111 => Some(Facts::RWX),
            _ => None,
        }
    }

    /// The value of `access` with exactly these rights, and with these states if it can.
    const fn access_value(&self, facts: Facts) -> Option<u64> {
        let config = &self.config;
        match facts.intersection(Facts::RWX) {
            Facts::R => Some(0b001),
            Facts::RW => Some(0b011),
            Facts::X if config.execute_only => Some(0b100),
            Facts::RX => Some(0b101),
            Facts::RWX => Some(0b111),
            _ => None,
        }
    }

    /// What a value of `access_by_mode` states; `None` if it is illegal.
    const fn access_by_mode_facts(&self, value: u64) -> Option<Facts> {
        let config = &self.config;
        const R_PX: Facts = Facts::R.union(Facts::PX);
        const RW_PX: Facts = Facts::RW.union(Facts::PX);
        const R_UX: Facts = Facts::R.union(Facts::UX);
        const RW_UX: Facts = Facts::RW.union(Facts::UX);
        match value {
            0b0001 => Some(Facts::R),
            0b0011 => Some(Facts::RW),
            0b0101 => Some(R_PX),
            0b0111 => Some(RW_PX),
            0b1001 => Some(R_UX),
            0b1011 => Some(RW_UX),
            0b1101 => Some(Facts::RX),
            0b1111 => Some(Facts::RWX),
            0b0100 if config.execute_only => Some(Facts::PX),
            0b1000 if config.execute_only => Some(Facts::UX),
            0b1100 if config.execute_only => Some(Facts::X),
            _ => None,
        }
    }

    /// The value of `access_by_mode` with exactly these rights, and with these states if it can.
    const fn access_by_mode_value(&self, facts: Facts) -> Option<u64> {
        let config = &self.config;
        const R_PX: Facts = Facts::R.union(Facts::PX);
        const RW_PX: Facts = Facts::RW.union(Facts::PX);
        const R_UX: Facts = Facts::R.union(Facts::UX);
        const RW_UX: Facts = Facts::RW.union(Facts::UX);
        match facts.intersection(Facts::RWX) {
            Facts::R => Some(0b0001),
            Facts::RW => Some(0b0011),
            R_PX => Some(0b0101),
            RW_PX => Some(0b0111),
            R_UX => Some(0b1001),
            RW_UX => Some(0b1011),
            Facts::RX => Some(0b1101),
            Facts::RWX => Some(0b1111),
            Facts::PX if config.execute_only => Some(0b0100),
            Facts::UX if config.execute_only => Some(0b1000),
            Facts::X if config.execute_only => Some(0b1100),
            _ => None,
        }
    }

    /// What a value of `memory_type` means; `None` if it is illegal.
    const fn memory_type_type(&self, value: u64) -> Option<MemoryType> {
        match value {
            0b000 => Some(MemoryType::Uncached),
            0b001 => Some(MemoryType::WriteCombining),
            0b100 => Some(MemoryType::WriteThrough),
            0b101 => Some(MemoryType::WriteProtected),
            0b110 => Some(MemoryType::WriteBack),
            _ => None,
        }
    }

    /// The value of `memory_type` for a memory type, or for what stands in for it.
    const fn memory_type_value(&self, memory: MemoryType) -> Option<u64> {
        match memory {
            MemoryType::WriteBack => Some(0b110),
            MemoryType::WriteThrough => Some(0b100),
            MemoryType::WriteProtected => Some(0b101),
            MemoryType::WriteCombining | MemoryType::NonCacheable => Some(0b001),
            MemoryType::Uncached
            | MemoryType::DeviceNGnRnE
            | MemoryType::DeviceNGnRE
            | MemoryType::DeviceNGRE
            | MemoryType::DeviceGRE => Some(0b000),
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

    /// INVEPT rax, [rcx]: all translations of one EPTP.
    ///
    /// Intel SDM Vol. 3C, INVEPT.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "x86_64", target_os = "none"))]
    unsafe fn invalidate_single_context(&self, root: HostPhysAddr, tag: Tag) -> bool {
        let Ok(Registers { eptp: root, .. }) = self.registers(root, tag) else {
            return false;
        };
        let descriptor: [u64; 2] = [root, 0];
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".byte 0x66, 0x0f, 0x38, 0x80, 0x01", in ("rax") 1 as u64, in ("rcx") &
                raw const descriptor, options(nostack)
            )
        };
        true
    }

    /// INVEPT rax, [rcx]: all translations of all EPTPs.
    ///
    /// Intel SDM Vol. 3C, INVEPT.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "x86_64", target_os = "none"))]
    unsafe fn invalidate_global(&self, _root: HostPhysAddr, _tag: Tag) -> bool {
        let descriptor: [u64; 2] = [0, 0];
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".byte 0x66, 0x0f, 0x38, 0x80, 0x01", in ("rax") 2 as u64, in ("rcx") &
                raw const descriptor, options(nostack)
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
        name: "ept",
        title: "Intel extended page tables (EPT)",
        architecture: "x86_64",
        stage: 2,
        cite: "Intel SDM Vol. 3C, VMX Support for Address Translation",
        tlb: "INVEPT rax, [rcx]: all translations of one EPTP: one tag, on this CPU; INVEPT rax, [rcx]: all translations of all EPTPs: everything, on this CPU",
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
        let config = &self.config;
        let mut states = AccessedDirty {
            hardware: config.access_dirty,
            ..AccessedDirty::default()
        };
        if config.access_dirty {
            states.accessed_mask = 0x100;
            states.accessed_value = 0x100;
            states.dirty_mask = 0x200;
            states.dirty_value = 0x200;
        }
        states
    }

    #[inline]
    fn table_accessed(&self, _level: Level) -> u64 {
        let config = &self.config;
        let mut accessed = 0;
        if config.access_dirty {
            accessed |= 0x100;
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
        let config = &self.config;
        let needs_break = match (self.decode(level, old), self.decode(level, new)) {
            (Entry::Leaf(old), Entry::Leaf(new)) => {
                !config.size_change_safe && old.size != new.size
            }
            (Entry::Table(old), Entry::Table(new)) => {
                !config.size_change_safe && old.level != new.level
            }
            (Entry::Table(_), Entry::Leaf(_)) | (Entry::Leaf(_), Entry::Table(_)) => {
                !config.size_change_safe
            }
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

    fn registers(&self, root: HostPhysAddr, _tag: Tag) -> Result<Registers, Refusal> {
        let mut registers = Registers { eptp: 6 };
        let config = &self.config;
        let root = root.as_usize() as u64;
        let alignment = self.geometry.table_bits(self.geometry.top());
        if root & codec::bits(alignment - 1, 0) != 0
            || root > self.geometry.last_output()
        {
            return Err(Refusal::Address(root));
        }
        registers.eptp |= codec::insert((config.levels - 1) as u64, 5, 3);
        registers.eptp |= codec::insert(config.access_dirty as u64, 6, 6);
        registers.eptp |= codec::insert(config.shadow_stack as u64, 7, 7);
        let value = root >> 12;
        if value & 0xffff_ff00_0000_0000 != 0 {
            return Err(Refusal::Address(root));
        }
        registers.eptp |= codec::insert(value, 51, 12);
        Ok(registers)
    }

    fn fault(&self, report: &Report) -> Option<FaultInfo> {
        let config = &self.config;
        if !(report.exit_reason & 0xffff == 48 || report.exit_reason & 0xffff == 49) {
            return None;
        }
        Some(FaultInfo {
            address: Some(report.guest_physical_address),
            access: if report.exit_reason & 0xffff == 49 {
                Rights::empty()
            } else if report.qualification >> 2 & 1 == 1 {
                Rights::X
            } else if report.qualification >> 1 & 1 == 1 {
                Rights::W
            } else {
                Rights::R
            },
            cause: if report.exit_reason & 0xffff == 49 {
                Cause::Misconfigured
            } else if report.qualification >> 3 & 7 == 0
                && !(config.mode_based_execute && report.qualification >> 6 & 1 == 1)
            {
                Cause::NotMapped
            } else {
                Cause::Permission
            },
            level: None,
            width: None,
            guest_walk: report.exit_reason & 0xffff == 48
                && report.qualification >> 7 & 3 == 1,
        })
    }

    #[cfg(all(target_arch = "x86_64", target_os = "none"))]
    unsafe fn invalidate(
        &self,
        root: HostPhysAddr,
        tag: Tag,
        set: &Invalidation,
    ) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            match set {
                Invalidation::All => self.invalidate_global(root, tag),
                _ => self.invalidate_single_context(root, tag),
            }
        }
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

    fn invalidation_limit(&self, _leaf_only: bool) -> u64 {
        0
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
        let block_level = config.huge_2m && level == 1 || config.huge_1g && level == 2;
        let empty = if config.suppress_ve { 0x8000_0000_0000_0000 } else { 0 };
        let mut layout = Self {
            leaf_bits,
            holds_leaves: level == 0 || block_level,
            holds_blocks: block_level,
            empty,
            absent: if config.mode_based_execute {
                Pattern::new(0x407, 0)
            } else {
                Pattern::new(7, 0)
            },
            table: if level >= 1 { Pattern::new(0x80, 0) } else { Pattern::NEVER },
            output: codec::bits(config.pa_bits - 1, leaf_bits),
            next_table: codec::bits(config.pa_bits - 1, 12),
            leaf_base: 0,
            table_base: 0,
            rights: 0,
            memory: 0x38,
            options: 0x4ff0_0000_0000_0840,
        };
        if block_level {
            layout.leaf_base |= 0x80;
        }
        if config.suppress_ve {
            layout.leaf_base |= 0x8000_0000_0000_0000;
        }
        if !config.mode_based_execute {
            layout.table_base |= 7;
        }
        if config.mode_based_execute {
            layout.table_base |= 0x407;
        }
        if !config.mode_based_execute {
            layout.rights |= 7;
        }
        if config.mode_based_execute {
            layout.rights |= 0x407;
        }
        if config.shadow_stack {
            layout.options |= 0x1000_0000_0000_0000;
        }
        if level == 0 {
            layout.options |= 0x2000_0000_0000_0000;
        }
        if config.suppress_ve {
            layout.options |= 0x8000_0000_0000_0000;
        }
        layout.table = layout.table.excluding(layout.absent, layout.table_base);
        layout
    }
}

/// The values to load into the machine's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Registers {
    /// Extended-page-table pointer (VMCS field).
    ///
    /// Holds the root; loading it activates an address space.
    /// Intel SDM Vol. 3C, Extended-Page-Table Pointer (EPTP).
    pub eptp: u64,
}

/// The hardware's report of a fault, one field for each register.
///
/// Intel SDM Vol. 3C, Exit Qualification for EPT Violations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// Exit reason (VMCS field 0x4402).
    pub exit_reason: u64,
    /// Exit qualification (VMCS field 0x6400).
    pub qualification: u64,
    /// Guest-physical address (VMCS field 0x2400).
    pub guest_physical_address: u64,
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
            "pa_bits" => {
                match u8::try_from(value) {
                    Ok(value) => self.pa_bits = value,
                    Err(_) => return false,
                }
            }
            "huge_2m" => self.huge_2m = value != 0,
            "huge_1g" => self.huge_1g = value != 0,
            "five_level" => self.five_level = value != 0,
            "execute_only" => self.execute_only = value != 0,
            "access_dirty" => self.access_dirty = value != 0,
            "shadow_stack" => self.shadow_stack = value != 0,
            "mode_based_execute" => self.mode_based_execute = value != 0,
            "suppress_ve" => self.suppress_ve = value != 0,
            "size_change_safe" => self.size_change_safe = value != 0,
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
            ("pa_bits", self.pa_bits as i64),
            ("huge_2m", self.huge_2m as i64),
            ("huge_1g", self.huge_1g as i64),
            ("five_level", self.five_level as i64),
            ("execute_only", self.execute_only as i64),
            ("access_dirty", self.access_dirty as i64),
            ("shadow_stack", self.shadow_stack as i64),
            ("mode_based_execute", self.mode_based_execute as i64),
            ("suppress_ve", self.suppress_ve as i64),
            ("size_change_safe", self.size_change_safe as i64),
            ("levels", self.levels as i64),
            ("input_bits", self.input_bits as i64),
        ]
    }
}

impl Registers {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 1] {
        [("eptp", self.eptp)]
    }
}

impl Report {
    /// A report from its registers' values, in the order of the fields.
    pub const fn from_values(
        [exit_reason,
        qualification,
        guest_physical_address,
        ]: [u64; 3],
    ) -> Self {
        Self {
            exit_reason,
            qualification,
            guest_physical_address,
        }
    }
}

impl Report {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 3] {
        [
            ("exit_reason", self.exit_reason),
            ("qualification", self.qualification),
            ("guest_physical_address", self.guest_physical_address),
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
        [ia32_vmx_ept_vpid_cap,
        ia32_arch_capabilities,
        cpuid_80000008_eax,
        ]: [u64; 3],
    ) -> Self {
        Self {
            ia32_vmx_ept_vpid_cap,
            ia32_arch_capabilities,
            cpuid_80000008_eax,
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
