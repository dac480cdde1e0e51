//! x86-64 long-mode paging.
//!
//! Intel SDM Vol. 3A, 4-Level Paging and 5-Level Paging; AMD APM Vol. 2, Long-Mode Page Translation.
//!
//! Start at [`Config`], make a [`Format`] of it, and give that to the page table.

use ::core::fmt;
use ::core::prelude::rust_2024::*;
use ::tablewright::codec::{self, Facts, Grants, Kind, Named, Pattern};
use ::tablewright::{
    Format as FormatTrait, Table as DecodedTable, AccessedDirty, Attributes, ByName,
    Cause, Change, ConfigError, Edit, Entry, Extension, FaultInfo, FormatInfo, Geometry,
    HostPhysAddr, Invalidation, Kinds, Leaf, Level, MemoryType, Next, Options, PageSizes,
    Prototype, Refusal, Rewrite, Rights, Stage1Cause, Stage1Fault, Strip, Tag,
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
    /// 32..=52, by default 52. Bound at boot, by [`Config::from_capabilities`].
    /// [`Format::new`] demands `c_bit == 0 || c_bit >= pa_bits`.
    pub pa_bits: u8,
    /// 1 GiB blocks.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub huge_1g: bool,
    /// Walks of 5 levels (LA57).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub five_level: bool,
    /// Bit 63 forbids execution (EFER.NXE).
    ///
    /// By default `true`. Bound at boot, by [`Config::from_capabilities`].
    pub no_execute: bool,
    /// The page attribute table, IA32_PAT: its content after reset, unless said otherwise.
    ///
    /// By default 0x7_0406_0007_0406. Bound at boot, by [`Config::from_capabilities`].
    pub pat: u64,
    /// Protection keys of user pages (CR4.PKE).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub user_keys: bool,
    /// Protection keys of supervisor pages (CR4.PKS).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub supervisor_keys: bool,
    /// The bit that encrypts memory, with which tables are read, too; 0: none.
    ///
    /// 0, 32..=51, by default 0. Bound at boot, by [`Config::from_capabilities`].
    /// [`Format::new`] demands `c_bit == 0 || c_bit >= pa_bits`.
    /// AMD APM Vol. 2, Secure Memory Encryption, Determining Support for Secure Memory Encryption.
    pub c_bit: u8,
    /// Bit 8 of entries of PML4 and PML5 tables is reserved, as AMD's processors have it.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    /// AMD APM Vol. 2, 4-Kbyte Page Translation, Page-Map Level-4 Table.
    pub table_global_reserved: bool,
    /// Translations are tagged (CR4.PCIDE).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub pcid: bool,
    /// The instruction INVPCID.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub invpcid: bool,
    /// A fetch through two page sizes at once raises no machine check.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    /// IA32_ARCH_CAPABILITIES, PSCHANGE_MC_NO.
    pub size_change_safe: bool,
    /// Leaves may be global (CR4.PGE), so that invalidations must reach every address space.
    ///
    /// By default `false`. Bound for each address space.
    pub globals: bool,
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
            no_execute: true,
            pat: 0x7_0406_0007_0406,
            user_keys: false,
            supervisor_keys: false,
            c_bit: 0,
            table_global_reserved: false,
            pcid: false,
            invpcid: false,
            size_change_safe: false,
            globals: false,
            levels,
            input_bits,
        }
    }
}

/// What tells what the machine can do, one field for each register.
///
/// Intel SDM Vol. 2, CPUID; AMD APM Vol. 3, Obtaining Processor Information Via the CPUID Instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// EBX of CPUID leaf 0.
    pub cpuid_0_ebx: u64,
    /// ECX of CPUID leaf 1.
    pub cpuid_1_ecx: u64,
    /// EBX of CPUID leaf 7, subleaf 0.
    pub cpuid_7_ebx: u64,
    /// ECX of CPUID leaf 7, subleaf 0.
    pub cpuid_7_ecx: u64,
    /// EDX of CPUID leaf 0x8000_0001.
    pub cpuid_80000001_edx: u64,
    /// EAX of CPUID leaf 0x8000_0008.
    pub cpuid_80000008_eax: u64,
    /// EBX of CPUID leaf 0x8000_001f, or 0 where there is none.
    pub cpuid_8000001f_ebx: u64,
    /// MSR 0x10a, or 0 where CPUID does not list it.
    pub ia32_arch_capabilities: u64,
    /// MSR 0x277.
    pub ia32_pat: u64,
    /// MSR 0xc001_0010 of AMD, else 0.
    pub syscfg: u64,
    /// MSR 0xc001_0131 where CPUID leaf 0x8000_001f lists SEV, else 0.
    pub sev_status: u64,
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
        config.pa_bits = if capabilities.syscfg >> 23 & 1 != 0 {
            u64::wrapping_sub(
                capabilities.cpuid_80000008_eax & 0xff,
                capabilities.cpuid_8000001f_ebx >> 6 & 0x3f,
            ) as u8
        } else {
            (capabilities.cpuid_80000008_eax & 0xff) as u8
        };
        config.huge_1g = capabilities.cpuid_80000001_edx >> 26 & 1 != 0;
        config.five_level = capabilities.cpuid_7_ecx >> 16 & 1 != 0;
        config.no_execute = capabilities.cpuid_80000001_edx >> 20 & 1 != 0;
        config.pat = capabilities.ia32_pat;
        config.user_keys = capabilities.cpuid_7_ecx >> 3 & 1 != 0;
        config.supervisor_keys = capabilities.cpuid_7_ecx >> 31 & 1 != 0;
        config.c_bit = if (capabilities.syscfg >> 23 & 1 != 0)
            || (capabilities.sev_status & 1 != 0)
        {
            (capabilities.cpuid_8000001f_ebx & 0x3f) as u8
        } else {
            config.c_bit
        };
        config.table_global_reserved = capabilities.cpuid_0_ebx & 0xffff_ffff
            == 0x6874_7541;
        config.pcid = capabilities.cpuid_1_ecx >> 17 & 1 != 0;
        config.invpcid = capabilities.cpuid_7_ebx >> 10 & 1 != 0;
        config.size_change_safe = capabilities.ia32_arch_capabilities >> 6 & 1 != 0;
        config
    }
}

/// `global`: a translation of every address space: 0b0 not-global, 0b1 global.
///
/// Only where `globals`.
///
/// Intel SDM Vol. 3A, Global Pages.
pub const GLOBAL: Options = Options::from_bits(0x100);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_1: Options = Options::from_bits(0x800_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_2: Options = Options::from_bits(0x1000_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_3: Options = Options::from_bits(0x1800_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_4: Options = Options::from_bits(0x2000_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_5: Options = Options::from_bits(0x2800_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_6: Options = Options::from_bits(0x3000_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_7: Options = Options::from_bits(0x3800_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_8: Options = Options::from_bits(0x4000_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_9: Options = Options::from_bits(0x4800_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_10: Options = Options::from_bits(0x5000_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_11: Options = Options::from_bits(0x5800_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_12: Options = Options::from_bits(0x6000_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_13: Options = Options::from_bits(0x6800_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_14: Options = Options::from_bits(0x7000_0000_0000_0000);

/// `protection_key`: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
///
/// Only where `user_keys || supervisor_keys`.
///
/// Intel SDM Vol. 3A, Protection Keys.
pub const KEY_15: Options = Options::from_bits(0x7800_0000_0000_0000);

impl Format {
    /// `encrypted`: 0b0 unencrypted, 0b1 encrypted.
    ///
    /// Only where `c_bit != 0`.
    ///
    /// AMD APM Vol. 2, Secure Memory Encryption, Page Table Support.
    pub const fn unencrypted(&self) -> Options {
        let config = &self.config;
        Options::from_bits(
            if config.c_bit != 0 {
                codec::insert(1, config.c_bit, config.c_bit)
            } else {
                0
            },
        )
    }
}

/// The bits of every leaf that are free for software, whatever the parameters are.
pub const SOFTWARE: Options = Options::from_bits(0x7f0_0000_0000_0e00);

/// A leaf at level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63, 2:1 | `access` | execute-disable, user/supervisor, read/write: 0b0 pr px, 0b1 pr pw px, 0b10 r x, 0b11 r w x, 0b100 pr, 0b101 pr pw, 0b110 r, 0b111 r w, if `no_execute` | Intel SDM Vol. 3A, Access Rights |
/// | 63 | `no-execute-disable` | must be zero, if `!no_execute` | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 62:59 | `protection_key` | 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15, if `user_keys or supervisor_keys` | Intel SDM Vol. 3A, Protection Keys |
/// | 62:59 | `no-key` | ignored, if `!user_keys && !supervisor_keys` | Intel SDM Vol. 3A, Protection Keys |
/// | 58:52, 11:9 | `leaf-software` | free for software | Intel SDM Vol. 3A, Format of a Page-Table Entry that Maps a 4-KByte Page |
/// | pa_bits - 1:12 | `output` | output address | Intel SDM Vol. 3A, Format of a Page-Table Entry that Maps a 4-KByte Page |
/// | 51:c_bit + 1, c_bit - 1:pa_bits if c_bit != 0; 51:pa_bits | `address-too-wide` | must be zero | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 7, 4:3 | `memory_type` | PAT, PCD, PWT; what is UC- in the PAT the MTRRs may make WC: which byte of `pat` says the memory type | Intel SDM Vol. 3A, Page Attribute Table (PAT) |
/// | 8 | `global` | a translation of every address space: 0b0 not-global, 0b1 global, if `globals` | Intel SDM Vol. 3A, Global Pages |
/// | 8 | `no-global` | written as zero, if `!globals` | Intel SDM Vol. 3A, Global Pages |
/// | 6 | `dirty` | 0b0 none, 0b1 dirty | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 5 | `accessed` | 0b0 none, 0b1 accessed | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 2:1 | `access_without_nx` | user/supervisor, read/write: 0b0 pr px, 0b1 pr pw px, 0b10 r x, 0b11 r w x, if `!no_execute` | Intel SDM Vol. 3A, Access Rights |
/// | c_bit | `encrypted` | 0b0 unencrypted, 0b1 encrypted, if `c_bit != 0` | AMD APM Vol. 2, Secure Memory Encryption, Page Table Support |
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

    /// Bits 63, 2:1: execute-disable, user/supervisor, read/write: 0b0 pr px, 0b1 pr pw px, 0b10 r x, 0b11 r w x, 0b100 pr, 0b101 pr pw, 0b110 r, 0b111 r w.
    ///
    /// Only where `no_execute`.
    pub const fn access(self) -> u64 {
        (self.0 >> 63) << 2 | (self.0 >> 1 & 3)
    }

    /// This entry with another `access`; what does not fit is cut.
    pub const fn with_access(self, value: u64) -> Self {
        Self(
            self.0 & !0x8000_0000_0000_0006 | codec::insert(value >> 2, 63, 63)
                | codec::insert(value, 2, 1),
        )
    }

    /// Bits 2:1: user/supervisor, read/write: 0b0 pr px, 0b1 pr pw px, 0b10 r x, 0b11 r w x.
    ///
    /// Only where `!no_execute`.
    pub const fn access_without_nx(self) -> u64 {
        self.0 >> 1 & 3
    }

    /// This entry with another `access_without_nx`; what does not fit is cut.
    pub const fn with_access_without_nx(self, value: u64) -> Self {
        Self(self.0 & !6 | codec::insert(value, 2, 1))
    }

    /// Bits 7, 4:3: PAT, PCD, PWT; what is UC- in the PAT the MTRRs may make WC: which byte of `pat` says the memory type.
    pub const fn memory_type(self) -> u64 {
        (self.0 >> 7 & 1) << 2 | (self.0 >> 3 & 3)
    }

    /// This entry with another `memory_type`; what does not fit is cut.
    pub const fn with_memory_type(self, value: u64) -> Self {
        Self(
            self.0 & !0x98 | codec::insert(value >> 2, 7, 7) | codec::insert(value, 4, 3),
        )
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

    /// Bit 8: a translation of every address space: 0b0 not-global, 0b1 global.
    ///
    /// Only where `globals`.
    pub const fn global(self) -> u64 {
        self.0 >> 8 & 1
    }

    /// This entry with another `global`; what does not fit is cut.
    pub const fn with_global(self, value: u64) -> Self {
        Self(self.0 & !0x100 | codec::insert(value, 8, 8))
    }

    /// Bits 62:59: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
    ///
    /// Only where `user_keys || supervisor_keys`.
    pub const fn protection_key(self) -> u64 {
        self.0 >> 59 & 0xf
    }

    /// This entry with another `protection_key`; what does not fit is cut.
    pub const fn with_protection_key(self, value: u64) -> Self {
        Self(self.0 & !0x7800_0000_0000_0000 | codec::insert(value, 62, 59))
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
                    &[
                        (0, "pr px"),
                        (1, "pr pw px"),
                        (2, "r x"),
                        (3, "r w x"),
                        (4, "pr"),
                        (5, "pr pw"),
                        (6, "r"),
                        (7, "r w"),
                    ],
                ),
            )
            .field(
                "access_without_nx",
                &Named(
                    self.access_without_nx(),
                    &[(0, "pr px"), (1, "pr pw px"), (2, "r x"), (3, "r w x")],
                ),
            )
            .field("memory_type", &Named(self.memory_type(), &[]))
            .field("accessed", &Named(self.accessed(), &[(0, "none"), (1, "accessed")]))
            .field("dirty", &Named(self.dirty(), &[(0, "none"), (1, "dirty")]))
            .field("global", &Named(self.global(), &[(0, "not-global"), (1, "global")]))
            .field(
                "protection_key",
                &Named(
                    self.protection_key(),
                    &[
                        (0, "key-0"),
                        (1, "key-1"),
                        (2, "key-2"),
                        (3, "key-3"),
                        (4, "key-4"),
                        (5, "key-5"),
                        (6, "key-6"),
                        (7, "key-7"),
                        (8, "key-8"),
                        (9, "key-9"),
                        (10, "key-10"),
                        (11, "key-11"),
                        (12, "key-12"),
                        (13, "key-13"),
                        (14, "key-14"),
                        (15, "key-15"),
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
/// | 63, 2:1 | `access` | execute-disable, user/supervisor, read/write: 0b0 pr px, 0b1 pr pw px, 0b10 r x, 0b11 r w x, 0b100 pr, 0b101 pr pw, 0b110 r, 0b111 r w, if `no_execute` | Intel SDM Vol. 3A, Access Rights |
/// | 63 | `no-execute-disable` | must be zero, if `!no_execute` | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 62:59 | `protection_key` | 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15, if `user_keys or supervisor_keys` | Intel SDM Vol. 3A, Protection Keys |
/// | 62:59 | `no-key` | ignored, if `!user_keys && !supervisor_keys` | Intel SDM Vol. 3A, Protection Keys |
/// | 58:52, 11:9 | `leaf-software` | free for software | Intel SDM Vol. 3A, Format of a Page-Table Entry that Maps a 4-KByte Page |
/// | pa_bits - 1:leaf_bits | `output` | output address | Intel SDM Vol. 3A, Format of a Page-Table Entry that Maps a 4-KByte Page |
/// | 51:c_bit + 1, c_bit - 1:pa_bits if c_bit != 0; 51:pa_bits | `address-too-wide` | must be zero | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | leaf_bits - 1:13 | `block-misaligned` | must be zero | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 12, 4:3 | `memory_type` | PAT, PCD, PWT; what is UC- in the PAT the MTRRs may make WC: which byte of `pat` says the memory type | Intel SDM Vol. 3A, Page Attribute Table (PAT) |
/// | 8 | `global` | a translation of every address space: 0b0 not-global, 0b1 global, if `globals` | Intel SDM Vol. 3A, Global Pages |
/// | 8 | `no-global` | written as zero, if `!globals` | Intel SDM Vol. 3A, Global Pages |
/// | 6 | `dirty` | 0b0 none, 0b1 dirty | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 5 | `accessed` | 0b0 none, 0b1 accessed | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 2:1 | `access_without_nx` | user/supervisor, read/write: 0b0 pr px, 0b1 pr pw px, 0b10 r x, 0b11 r w x, if `!no_execute` | Intel SDM Vol. 3A, Access Rights |
/// | c_bit | `encrypted` | 0b0 unencrypted, 0b1 encrypted, if `c_bit != 0` | AMD APM Vol. 2, Secure Memory Encryption, Page Table Support |
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

    /// Bits 63, 2:1: execute-disable, user/supervisor, read/write: 0b0 pr px, 0b1 pr pw px, 0b10 r x, 0b11 r w x, 0b100 pr, 0b101 pr pw, 0b110 r, 0b111 r w.
    ///
    /// Only where `no_execute`.
    pub const fn access(self) -> u64 {
        (self.0 >> 63) << 2 | (self.0 >> 1 & 3)
    }

    /// This entry with another `access`; what does not fit is cut.
    pub const fn with_access(self, value: u64) -> Self {
        Self(
            self.0 & !0x8000_0000_0000_0006 | codec::insert(value >> 2, 63, 63)
                | codec::insert(value, 2, 1),
        )
    }

    /// Bits 2:1: user/supervisor, read/write: 0b0 pr px, 0b1 pr pw px, 0b10 r x, 0b11 r w x.
    ///
    /// Only where `!no_execute`.
    pub const fn access_without_nx(self) -> u64 {
        self.0 >> 1 & 3
    }

    /// This entry with another `access_without_nx`; what does not fit is cut.
    pub const fn with_access_without_nx(self, value: u64) -> Self {
        Self(self.0 & !6 | codec::insert(value, 2, 1))
    }

    /// Bits 12, 4:3: PAT, PCD, PWT; what is UC- in the PAT the MTRRs may make WC: which byte of `pat` says the memory type.
    pub const fn memory_type(self) -> u64 {
        (self.0 >> 12 & 1) << 2 | (self.0 >> 3 & 3)
    }

    /// This entry with another `memory_type`; what does not fit is cut.
    pub const fn with_memory_type(self, value: u64) -> Self {
        Self(
            self.0 & !0x1018 | codec::insert(value >> 2, 12, 12)
                | codec::insert(value, 4, 3),
        )
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

    /// Bit 8: a translation of every address space: 0b0 not-global, 0b1 global.
    ///
    /// Only where `globals`.
    pub const fn global(self) -> u64 {
        self.0 >> 8 & 1
    }

    /// This entry with another `global`; what does not fit is cut.
    pub const fn with_global(self, value: u64) -> Self {
        Self(self.0 & !0x100 | codec::insert(value, 8, 8))
    }

    /// Bits 62:59: 0b0 key-0, 0b1 key-1, 0b10 key-2, 0b11 key-3, 0b100 key-4, 0b101 key-5, 0b110 key-6, 0b111 key-7, 0b1000 key-8, 0b1001 key-9, 0b1010 key-10, 0b1011 key-11, 0b1100 key-12, 0b1101 key-13, 0b1110 key-14, 0b1111 key-15.
    ///
    /// Only where `user_keys || supervisor_keys`.
    pub const fn protection_key(self) -> u64 {
        self.0 >> 59 & 0xf
    }

    /// This entry with another `protection_key`; what does not fit is cut.
    pub const fn with_protection_key(self, value: u64) -> Self {
        Self(self.0 & !0x7800_0000_0000_0000 | codec::insert(value, 62, 59))
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
                    &[
                        (0, "pr px"),
                        (1, "pr pw px"),
                        (2, "r x"),
                        (3, "r w x"),
                        (4, "pr"),
                        (5, "pr pw"),
                        (6, "r"),
                        (7, "r w"),
                    ],
                ),
            )
            .field(
                "access_without_nx",
                &Named(
                    self.access_without_nx(),
                    &[(0, "pr px"), (1, "pr pw px"), (2, "r x"), (3, "r w x")],
                ),
            )
            .field("memory_type", &Named(self.memory_type(), &[]))
            .field("accessed", &Named(self.accessed(), &[(0, "none"), (1, "accessed")]))
            .field("dirty", &Named(self.dirty(), &[(0, "none"), (1, "dirty")]))
            .field("global", &Named(self.global(), &[(0, "not-global"), (1, "global")]))
            .field(
                "protection_key",
                &Named(
                    self.protection_key(),
                    &[
                        (0, "key-0"),
                        (1, "key-1"),
                        (2, "key-2"),
                        (3, "key-3"),
                        (4, "key-4"),
                        (5, "key-5"),
                        (6, "key-6"),
                        (7, "key-7"),
                        (8, "key-8"),
                        (9, "key-9"),
                        (10, "key-10"),
                        (11, "key-11"),
                        (12, "key-12"),
                        (13, "key-13"),
                        (14, "key-14"),
                        (15, "key-15"),
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
/// | 63, 2:1 | `access` | execute-disable, user/supervisor, read/write: 0b0 pr px, 0b1 pr pw px, 0b10 r x, 0b11 r w x, 0b100 pr, 0b101 pr pw, 0b110 r, 0b111 r w, if `no_execute` | Intel SDM Vol. 3A, Access Rights |
/// | 63 | `no-execute-disable` | must be zero, if `!no_execute` | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 62:52, 11:9, 6 | `table-ignored` | ignored | Intel SDM Vol. 3A, Format of a PML4 Entry (PML4E) that References a Page-Directory-Pointer Table |
/// | pa_bits - 1:12 | `next_table` | address of the next table | Intel SDM Vol. 3A, Format of a PML4 Entry (PML4E) that References a Page-Directory-Pointer Table |
/// | 51:c_bit + 1, c_bit - 1:pa_bits if c_bit != 0; 51:pa_bits | `address-too-wide` | must be zero | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 8 | `table-global` | must be zero if `table_global_reserved`, else ignored, if `level >= 3` | AMD APM Vol. 2, 4-Kbyte Page Translation, Page-Map Level-4 Table |
/// | 8 | `lower-table-global` | ignored, if `level <= 2` | Intel SDM Vol. 3A, Format of a PML4 Entry (PML4E) that References a Page-Directory-Pointer Table |
/// | 5 | `table-accessed` | written by hardware | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 4:3 | `table_memory_type` | PCD, PWT: which entry of the PAT is for accesses to the table: always written alike | Intel SDM Vol. 3A, Paging and Memory Typing |
/// | 2:1 | `access_without_nx` | user/supervisor, read/write: 0b0 pr px, 0b1 pr pw px, 0b10 r x, 0b11 r w x, if `!no_execute` | Intel SDM Vol. 3A, Access Rights |
/// | c_bit | `table_encrypted` | always written alike, if `c_bit != 0` | AMD APM Vol. 2, Secure Memory Encryption, Page Table Support |
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

    /// Bits 63, 2:1: execute-disable, user/supervisor, read/write: 0b0 pr px, 0b1 pr pw px, 0b10 r x, 0b11 r w x, 0b100 pr, 0b101 pr pw, 0b110 r, 0b111 r w.
    ///
    /// Only where `no_execute`.
    pub const fn access(self) -> u64 {
        (self.0 >> 63) << 2 | (self.0 >> 1 & 3)
    }

    /// This entry with another `access`; what does not fit is cut.
    pub const fn with_access(self, value: u64) -> Self {
        Self(
            self.0 & !0x8000_0000_0000_0006 | codec::insert(value >> 2, 63, 63)
                | codec::insert(value, 2, 1),
        )
    }

    /// Bits 2:1: user/supervisor, read/write: 0b0 pr px, 0b1 pr pw px, 0b10 r x, 0b11 r w x.
    ///
    /// Only where `!no_execute`.
    pub const fn access_without_nx(self) -> u64 {
        self.0 >> 1 & 3
    }

    /// This entry with another `access_without_nx`; what does not fit is cut.
    pub const fn with_access_without_nx(self, value: u64) -> Self {
        Self(self.0 & !6 | codec::insert(value, 2, 1))
    }

    /// Bits 4:3: PCD, PWT: which entry of the PAT is for accesses to the table: always written alike.
    pub const fn table_memory_type(self) -> u64 {
        self.0 >> 3 & 3
    }

    /// This entry with another `table_memory_type`; what does not fit is cut.
    pub const fn with_table_memory_type(self, value: u64) -> Self {
        Self(self.0 & !0x18 | codec::insert(value, 4, 3))
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
                    &[
                        (0, "pr px"),
                        (1, "pr pw px"),
                        (2, "r x"),
                        (3, "r w x"),
                        (4, "pr"),
                        (5, "pr pw"),
                        (6, "r"),
                        (7, "r w"),
                    ],
                ),
            )
            .field(
                "access_without_nx",
                &Named(
                    self.access_without_nx(),
                    &[(0, "pr px"), (1, "pr pw px"), (2, "r x"), (3, "r w x")],
                ),
            )
            .field("table_memory_type", &Named(self.table_memory_type(), &[]))
            .finish()
    }
}

/// x86-64 long-mode paging under one choice of parameters.
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
        if !::core::matches!(config.c_bit, 0 | 32..= 51) {
            return Err(ConfigError::Value {
                param: "c_bit",
                value: config.c_bit as i64,
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
        if !(config.c_bit == 0 || config.c_bit >= config.pa_bits) {
            return Err(ConfigError::Rule("c_bit == 0 || c_bit >= pa_bits"));
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
        if config.no_execute {
            let Some(facts) = self.access_facts((raw >> 63) << 2 | (raw >> 1 & 3)) else {
                return Entry::Reserved("access");
            };
            grants.field(Facts::RWX, facts);
        } else {
            let Some(facts) = self.access_without_nx_facts(raw >> 1 & 3) else {
                return Entry::Reserved("access_without_nx");
            };
            grants.field(Facts::RWX, facts);
        }
        let Some(memory) = self
            .memory_type_type(
                if level == 0 {
                    (raw >> 7 & 1) << 2 | (raw >> 3 & 3)
                } else {
                    (raw >> 12 & 1) << 2 | (raw >> 3 & 3)
                },
            ) else {
            return Entry::Reserved("memory_type");
        };
        let Some(facts) = self.accessed_facts(raw >> 5 & 1) else {
            return Entry::Reserved("accessed");
        };
        grants.field(Facts::ACCESSED, facts);
        let Some(facts) = self.dirty_facts(raw >> 6 & 1) else {
            return Entry::Reserved("dirty");
        };
        grants.field(Facts::DIRTY, facts);
        let checked = if config.c_bit != 0 {
            codec::bits(51, config.c_bit + 1)
                | codec::bits(((config.c_bit as i64) - 1) as u8, config.pa_bits)
        } else {
            codec::bits(51, config.pa_bits)
        };
        if raw & checked != 0 {
            return Entry::Reserved("address-too-wide");
        }
        if level > 0 && raw & codec::bits(leaf_bits - 1, 13) != 0 {
            return Entry::Reserved("block-misaligned");
        }
        if !config.no_execute && raw & 0x8000_0000_0000_0000 != 0 {
            return Entry::Reserved("no-execute-disable");
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
        if config.no_execute {
            grants
                .field(
                    Facts::RWX,
                    self.access_facts((raw >> 63) << 2 | (raw >> 1 & 3))?,
                );
        } else {
            grants.field(Facts::RWX, self.access_without_nx_facts(raw >> 1 & 3)?);
        }
        grants.field(Facts::ACCESSED, self.accessed_facts(raw >> 5 & 1)?);
        grants.field(Facts::DIRTY, self.dirty_facts(raw >> 6 & 1)?);
        Some(grants.of_leaf(Facts::NONE))
    }

    /// A table entry's content.
    fn decode_table(&self, level: Level, raw: u64) -> Entry {
        let config = &self.config;
        let layout = self.layout(level);
        let mut grants = Grants::new();
        if config.no_execute {
            let Some(facts) = self.access_facts((raw >> 63) << 2 | (raw >> 1 & 3)) else {
                return Entry::Reserved("access");
            };
            grants.field(Facts::RWX, facts);
        } else {
            let Some(facts) = self.access_without_nx_facts(raw >> 1 & 3) else {
                return Entry::Reserved("access_without_nx");
            };
            grants.field(Facts::RWX, facts);
        }
        let checked = if config.c_bit != 0 {
            codec::bits(51, config.c_bit + 1)
                | codec::bits(((config.c_bit as i64) - 1) as u8, config.pa_bits)
        } else {
            codec::bits(51, config.pa_bits)
        };
        if raw & checked != 0 {
            return Entry::Reserved("address-too-wide");
        }
        if !config.no_execute && raw & 0x8000_0000_0000_0000 != 0 {
            return Entry::Reserved("no-execute-disable");
        }
        if level >= 3 && config.table_global_reserved && raw & 0x100 != 0 {
            return Entry::Reserved("table-global");
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
        if config.no_execute {
            let Some(value) = self.access_value(facts) else { return None };
            spoken = spoken.union(Facts::RWX);
            bits |= codec::insert(value >> 2, 63, 63) | codec::insert(value, 2, 1);
        } else {
            let Some(value) = self.access_without_nx_value(facts) else { return None };
            spoken = spoken.union(Facts::RWX);
            bits |= codec::insert(value, 2, 1);
        }
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
        level: Level,
        memory: MemoryType,
    ) -> Result<u64, Refusal> {
        match self.memory_type_value(memory) {
            Some(value) => {
                Ok(
                    if level == 0 {
                        codec::insert(value >> 2, 7, 7) | codec::insert(value, 4, 3)
                    } else {
                        codec::insert(value >> 2, 12, 12) | codec::insert(value, 4, 3)
                    },
                )
            }
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
        const PR_PX: Facts = Facts::PR.union(Facts::PX);
        const PR_PW_PX: Facts = Facts::PR.union(Facts::PW).union(Facts::PX);
        const PR_PW: Facts = Facts::PR.union(Facts::PW);
        match value {
            0b000 => Some(PR_PX),
            0b001 => Some(PR_PW_PX),
            0b010 => Some(Facts::RX),
            0b011 => Some(Facts::RWX),
            0b100 => Some(Facts::PR),
            0b101 => Some(PR_PW),
            0b110 => Some(Facts::R),
            0b111 => Some(Facts::RW),
            _ => None,
        }
    }

    /// The value of `access` with exactly these rights, and with these states if it can.
    const fn access_value(&self, facts: Facts) -> Option<u64> {
        const PR_PX: Facts = Facts::PR.union(Facts::PX);
        const PR_PW_PX: Facts = Facts::PR.union(Facts::PW).union(Facts::PX);
        const PR_PW: Facts = Facts::PR.union(Facts::PW);
        match facts.intersection(Facts::RWX) {
            PR_PX => Some(0b000),
            PR_PW_PX => Some(0b001),
            Facts::RX => Some(0b010),
            Facts::RWX => Some(0b011),
            Facts::PR => Some(0b100),
            PR_PW => Some(0b101),
            Facts::R => Some(0b110),
            Facts::RW => Some(0b111),
            _ => None,
        }
    }

    /// What a value of `access_without_nx` states; `None` if it is illegal.
    const fn access_without_nx_facts(&self, value: u64) -> Option<Facts> {
        const PR_PX: Facts = Facts::PR.union(Facts::PX);
        const PR_PW_PX: Facts = Facts::PR.union(Facts::PW).union(Facts::PX);
        match value {
            0b00 => Some(PR_PX),
            0b01 => Some(PR_PW_PX),
            0b10 => Some(Facts::RX),
            0b11 => Some(Facts::RWX),
            _ => None,
        }
    }

    /// The value of `access_without_nx` with exactly these rights, and with these states if it can.
    const fn access_without_nx_value(&self, facts: Facts) -> Option<u64> {
        const PR_PX: Facts = Facts::PR.union(Facts::PX);
        const PR_PW_PX: Facts = Facts::PR.union(Facts::PW).union(Facts::PX);
        match facts.intersection(Facts::RWX) {
            PR_PX => Some(0b00),
            PR_PW_PX => Some(0b01),
            Facts::RX => Some(0b10),
            Facts::RWX => Some(0b11),
            _ => None,
        }
    }

    /// What a value of `memory_type` means; `None` if it is illegal.
    const fn memory_type_type(&self, value: u64) -> Option<MemoryType> {
        let config = &self.config;
        match config.pat >> (8 * value) & 0xff {
            0 => Some(MemoryType::Uncached),
            1 => Some(MemoryType::WriteCombining),
            4 => Some(MemoryType::WriteThrough),
            5 => Some(MemoryType::WriteProtected),
            6 => Some(MemoryType::WriteBack),
            7 => Some(MemoryType::Uncached),
            _ => Some(MemoryType::Unnamed),
        }
    }

    /// The value of `memory_type` for a memory type, or for what stands in for it.
    const fn memory_type_value(&self, memory: MemoryType) -> Option<u64> {
        let config = &self.config;
        match memory {
            MemoryType::WriteBack => codec::pick(config.pat, 8, &[6]),
            MemoryType::WriteThrough => codec::pick(config.pat, 8, &[4, 0]),
            MemoryType::WriteProtected => codec::pick(config.pat, 8, &[5]),
            MemoryType::WriteCombining | MemoryType::NonCacheable => {
                codec::pick(config.pat, 8, &[1, 0])
            }
            MemoryType::Uncached
            | MemoryType::DeviceNGnRnE
            | MemoryType::DeviceNGnRE
            | MemoryType::DeviceNGRE
            | MemoryType::DeviceGRE => codec::pick(config.pat, 8, &[0]),
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

    /// INVPCID rax, [rcx]: one address of one PCID.
    ///
    /// Intel SDM Vol. 2, INVPCID.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "x86_64", target_os = "none"))]
    unsafe fn invalidate_address_of_pcid(
        &self,
        _root: HostPhysAddr,
        tag: Tag,
        start: u64,
        last: u64,
        granule: u8,
    ) -> bool {
        let tag = u64::from(tag.0);
        let mut ia = start;
        loop {
            let descriptor: [u64; 2] = [tag, ia];
            // SAFETY: as the caller promises.
            unsafe {
                ::core::arch::asm!(
                    ".byte 0x66, 0x0f, 0x38, 0x82, 0x01", in ("rax") 0 as u64, in ("rcx")
                    & raw const descriptor, options(nostack)
                )
            };
            match ia.checked_add(1 << granule) {
                Some(next) if next <= last => ia = next,
                _ => break,
            }
        }
        true
    }

    /// INVLPG [rax].
    ///
    /// Intel SDM Vol. 2, INVLPG.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "x86_64", target_os = "none"))]
    unsafe fn invalidate_address(
        &self,
        _root: HostPhysAddr,
        _tag: Tag,
        start: u64,
        last: u64,
        granule: u8,
    ) -> bool {
        let mut ia = start;
        loop {
            // SAFETY: as the caller promises.
            unsafe {
                ::core::arch::asm!(
                    ".byte 0x0f, 0x01, 0x38", in ("rax") ia, options(nostack)
                )
            };
            match ia.checked_add(1 << granule) {
                Some(next) if next <= last => ia = next,
                _ => break,
            }
        }
        true
    }

    /// INVPCID rax, [rcx]: everything of one PCID but global translations.
    ///
    /// Intel SDM Vol. 2, INVPCID.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "x86_64", target_os = "none"))]
    unsafe fn invalidate_pcid(&self, _root: HostPhysAddr, tag: Tag) -> bool {
        let tag = u64::from(tag.0);
        let descriptor: [u64; 2] = [tag, 0];
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".byte 0x66, 0x0f, 0x38, 0x82, 0x01", in ("rax") 1 as u64, in ("rcx") &
                raw const descriptor, options(nostack)
            )
        };
        true
    }

    /// MOV rax, CR3; MOV CR3, rax; XOR eax, eax: everything of the PCID that is loaded but global translations.
    ///
    /// Intel SDM Vol. 3A, Operations that Invalidate TLBs and Paging-Structure Caches.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "x86_64", target_os = "none"))]
    unsafe fn invalidate_loaded(&self, _root: HostPhysAddr, _tag: Tag) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".byte 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0x31, 0xc0", in ("rax") 0 as
                u64, options(nostack)
            )
        };
        true
    }

    /// INVPCID rax, [rcx]: everything, global translations too.
    ///
    /// Intel SDM Vol. 2, INVPCID.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "x86_64", target_os = "none"))]
    unsafe fn invalidate_everything_of_pcids(
        &self,
        _root: HostPhysAddr,
        _tag: Tag,
    ) -> bool {
        let descriptor: [u64; 2] = [0, 0];
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".byte 0x66, 0x0f, 0x38, 0x82, 0x01", in ("rax") 2 as u64, in ("rcx") &
                raw const descriptor, options(nostack)
            )
        };
        true
    }

    /// MOV rax, CR4; XOR al, 0x80; MOV CR4, rax; XOR al, 0x80; MOV CR4, rax; XOR eax, eax: everything.
    ///
    /// Intel SDM Vol. 3A, Operations that Invalidate TLBs and Paging-Structure Caches.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "x86_64", target_os = "none"))]
    unsafe fn invalidate_everything(&self, _root: HostPhysAddr, _tag: Tag) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".byte 0x0f, 0x20, 0xe0, 0x34, 0x80, 0x0f, 0x22, 0xe0, 0x34, 0x80, 0x0f, 0x22, 0xe0, 0x31, 0xc0",
                in ("rax") 0 as u64, options(nostack)
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
        name: "long_mode",
        title: "x86-64 long-mode paging",
        architecture: "x86_64",
        stage: 1,
        cite: "Intel SDM Vol. 3A, 4-Level Paging and 5-Level Paging; AMD APM Vol. 2, Long-Mode Page Translation",
        tlb: "INVPCID rax, [rcx]: one address of one PCID: one page, on this CPU; INVLPG [rax]: one page, on this CPU, with the tag loaded; INVPCID rax, [rcx]: everything of one PCID but global translations: one tag, on this CPU; MOV rax, CR3; MOV CR3, rax; XOR eax, eax: everything of the PCID that is loaded but global translations: one tag, on this CPU, with the tag loaded; INVPCID rax, [rcx]: everything, global translations too: everything, on this CPU; MOV rax, CR4; XOR al, 0x80; MOV CR4, rax; XOR al, 0x80; MOV CR4, rax; XOR eax, eax: everything: everything, on this CPU",
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
        0x20
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

    fn registers(&self, root: HostPhysAddr, tag: Tag) -> Result<Registers, Refusal> {
        let mut registers = Registers {
            cr3: 0,
            ia32_pat: 0,
            cr0: 0x8000_0001,
            cr4: 0x20,
            efer: 0x100,
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
        if config.pcid {
            if tag & 0xffff_ffff_ffff_f000 != 0 {
                return Err(Refusal::Tag(Tag(tag as u32)));
            }
            registers.cr3 |= codec::insert(tag, 11, 0);
        }
        let value = root >> 12;
        registers.cr3 |= codec::insert(value, config.pa_bits - 1, 12);
        registers.cr3
            |= if config.c_bit != 0 {
                codec::insert(1, config.c_bit, config.c_bit)
            } else {
                0
            };
        registers.ia32_pat |= config.pat;
        registers.cr4 |= codec::insert(config.globals as u64, 7, 7);
        registers.cr4 |= if config.levels == 5 { 0x1000 } else { 0 };
        registers.cr4 |= codec::insert(config.pcid as u64, 17, 17);
        registers.cr4 |= codec::insert(config.user_keys as u64, 22, 22);
        registers.cr4 |= codec::insert(config.supervisor_keys as u64, 24, 24);
        registers.efer |= codec::insert(config.no_execute as u64, 11, 11);
        Ok(registers)
    }

    fn fault(&self, report: &Report) -> Option<FaultInfo> {
        if !(report.error_code >> 15 & 1 == 0) {
            return None;
        }
        Some(FaultInfo {
            address: Some(report.cr2),
            access: if report.error_code >> 4 & 1 != 0 {
                Rights::X
            } else if report.error_code >> 1 & 1 != 0 {
                Rights::W
            } else {
                Rights::R
            },
            cause: if report.error_code >> 3 & 1 != 0 {
                Cause::Misconfigured
            } else if report.error_code & 1 == 0 {
                Cause::NotMapped
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
        raw: u64,
        granted: Rights,
        access: Rights,
        controls: &Controls,
    ) -> bool {
        let config = &self.config;
        let protection_key: u64 = if config.user_keys || config.supervisor_keys {
            raw >> 59 & 0xf
        } else {
            0
        };
        access
            .iter()
            .all(|right| {
                let write = Rights::W.contains(right);
                let execute = Rights::X.contains(right);
                let user = Rights::U.contains(right);
                let pr = granted.contains(Rights::PR);
                let ur = granted.contains(Rights::UR);
                let granted = granted.contains(right);
                if execute && !user && ur && (controls.cr4 >> 20 & 1 != 0) {
                    return false;
                }
                if !execute && !user && ur && (controls.cr4 >> 21 & 1 != 0)
                    && !(controls.rflags >> 18 & 1 != 0)
                {
                    return false;
                }
                if !execute && ur && config.user_keys
                    && controls.pkru >> ((2 * protection_key) as u8) & 1 == 1
                {
                    return false;
                }
                if write && ur && config.user_keys
                    && controls.pkru >> ((2 * protection_key + 1) as u8) & 1 == 1
                    && (user || (controls.cr0 >> 16 & 1 != 0))
                {
                    return false;
                }
                if !execute && !ur && config.supervisor_keys
                    && controls.ia32_pkrs >> ((2 * protection_key) as u8) & 1 == 1
                {
                    return false;
                }
                if write && !ur && config.supervisor_keys
                    && controls.ia32_pkrs >> ((2 * protection_key + 1) as u8) & 1 == 1
                    && (controls.cr0 >> 16 & 1 != 0)
                {
                    return false;
                }
                if write && !user && !(controls.cr0 >> 16 & 1 != 0) {
                    return pr;
                }
                granted
            })
    }

    fn raise(&self, fault: &Stage1Fault, controls: &Controls) -> Option<Report> {
        let config = &self.config;
        if fault.level >= self.geometry.levels {
            return None;
        }
        let raw = match fault.cause {
            Stage1Cause::NotMarked | Stage1Cause::Denied => fault.entry,
            _ => 0,
        };
        let protection_key: u64 = if config.user_keys || config.supervisor_keys {
            raw >> 59 & 0xf
        } else {
            0
        };
        let address = fault.address;
        let write = fault.access.intersects(Rights::W);
        let execute = fault.access.intersects(Rights::X);
        let user = fault.access.intersects(Rights::U);
        let input = ::core::matches!(fault.cause, Stage1Cause::Input);
        let not_mapped = ::core::matches!(fault.cause, Stage1Cause::NotMapped);
        let reserved = ::core::matches!(fault.cause, Stage1Cause::Reserved(_));
        let denied = ::core::matches!(fault.cause, Stage1Cause::Denied);
        let ur = fault.granted.contains(Rights::UR);
        if input {
            return None;
        }
        Some(Report {
            error_code: codec::insert(!not_mapped as u64, 0, 0)
                | codec::insert(write as u64, 1, 1) | codec::insert(user as u64, 2, 2)
                | codec::insert(reserved as u64, 3, 3)
                | codec::insert(
                    (execute && (config.no_execute || (controls.cr4 >> 20 & 1 != 0)))
                        as u64,
                    4,
                    4,
                )
                | (if denied && !execute && ur {
                    codec::insert(
                        (config.user_keys
                            && (controls.pkru >> ((2 * protection_key) as u8) & 1 == 1
                                || write && (user || (controls.cr0 >> 16 & 1 != 0))
                                    && controls.pkru >> ((2 * protection_key + 1) as u8) & 1
                                        == 1)) as u64,
                        5,
                        5,
                    )
                } else if denied && !execute {
                    codec::insert(
                        (config.supervisor_keys
                            && (controls.ia32_pkrs >> ((2 * protection_key) as u8) & 1
                                == 1
                                || write && (controls.cr0 >> 16 & 1 != 0)
                                    && controls.ia32_pkrs >> ((2 * protection_key + 1) as u8)
                                        & 1 == 1)) as u64,
                        5,
                        5,
                    )
                } else {
                    0
                }),
            cr2: address,
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
            let config = &self.config;
            match set {
                Invalidation::All => {
                    if config.invpcid {
                        self.invalidate_everything_of_pcids(root, tag)
                    } else {
                        self.invalidate_everything(root, tag)
                    }
                }
                Invalidation::Space => {
                    if config.pcid && config.invpcid && !config.globals {
                        self.invalidate_pcid(root, tag)
                    } else if !config.globals {
                        self.invalidate_loaded(root, tag)
                    } else if config.invpcid {
                        self.invalidate_everything_of_pcids(root, tag)
                    } else {
                        self.invalidate_everything(root, tag)
                    }
                }
                Invalidation::Range { range, leaf_only: _, granule } => {
                    let granule = (*granule).clamp(12, 63);
                    if config.pcid && config.invpcid && !config.globals {
                        if range.span() >> granule >= 32 {
                            if config.pcid && config.invpcid && !config.globals {
                                self.invalidate_pcid(root, tag)
                            } else if !config.globals {
                                self.invalidate_loaded(root, tag)
                            } else if config.invpcid {
                                self.invalidate_everything_of_pcids(root, tag)
                            } else {
                                self.invalidate_everything(root, tag)
                            }
                        } else {
                            self.invalidate_address_of_pcid(
                                root,
                                tag,
                                range.start(),
                                range.last(),
                                granule,
                            )
                        }
                    } else if range.span() >> granule >= 32 {
                        if config.pcid && config.invpcid && !config.globals {
                            self.invalidate_pcid(root, tag)
                        } else if !config.globals {
                            self.invalidate_loaded(root, tag)
                        } else if config.invpcid {
                            self.invalidate_everything_of_pcids(root, tag)
                        } else {
                            self.invalidate_everything(root, tag)
                        }
                    } else {
                        self.invalidate_address(
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
        32
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
            table_base: 1,
            rights: 0,
            memory: 0,
            options: 0x7f0_0000_0000_0e00,
        };
        if level == 0 {
            layout.leaf_base |= 1;
        }
        if block_level {
            layout.leaf_base |= 0x81;
        }
        if config.c_bit != 0 {
            layout.leaf_base |= codec::insert(1, config.c_bit, config.c_bit);
        }
        if config.no_execute {
            layout.table_base |= 6;
        }
        if !config.no_execute {
            layout.table_base |= 6;
        }
        if config.c_bit != 0 {
            layout.table_base |= codec::insert(1, config.c_bit, config.c_bit);
        }
        if config.no_execute {
            layout.rights |= 0x8000_0000_0000_0006;
        }
        if !config.no_execute {
            layout.rights |= 6;
        }
        layout.memory |= if level == 0 { 0x98 } else { 0x1018 };
        if config.globals {
            layout.options |= 0x100;
        }
        if config.user_keys || config.supervisor_keys {
            layout.options |= 0x7800_0000_0000_0000;
        }
        if config.c_bit != 0 {
            layout.options |= codec::bits(config.c_bit, config.c_bit);
        }
        layout.table = layout.table.excluding(layout.absent, layout.table_base);
        layout
    }
}

/// The values to load into the machine's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Registers {
    /// CR3, with which a load invalidates what the PCID had.
    ///
    /// Holds the root; loading it activates an address space.
    /// Intel SDM Vol. 3A, Use of CR3 with 4-Level Paging and 5-Level Paging.
    pub cr3: u64,
    /// The page attribute table.
    ///
    /// Configures walks; loaded with the root.
    /// Intel SDM Vol. 3A, IA32_PAT MSR.
    pub ia32_pat: u64,
    /// These bits must be set; the others are not ours.
    ///
    /// Intel SDM Vol. 3A, Paging Modes and Control Bits.
    pub cr0: u64,
    /// These bits must be set; the others are not ours.
    ///
    /// Intel SDM Vol. 3A, Paging Modes and Control Bits.
    pub cr4: u64,
    /// These bits must be set; the others are not ours.
    ///
    /// Intel SDM Vol. 3A, Paging Modes and Control Bits.
    pub efer: u64,
}

/// The hardware's report of a fault, one field for each register.
///
/// Intel SDM Vol. 3A, Page-Fault Exceptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// The error code that the exception pushes.
    pub error_code: u64,
    /// CR2, the linear address.
    pub cr2: u64,
}

/// What modifies rights at the time of an access, one field for each register.
///
/// Intel SDM Vol. 3A, Determination of Access Rights; Protection Keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Controls {
    /// CR0.
    pub cr0: u64,
    /// CR4.
    pub cr4: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// PKRU, as RDPKRU reads it.
    pub pkru: u64,
    /// MSR 0x6e1, or 0 where there is none.
    pub ia32_pkrs: u64,
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
            "no_execute" => self.no_execute = value != 0,
            "pat" => self.pat = value.cast_unsigned(),
            "user_keys" => self.user_keys = value != 0,
            "supervisor_keys" => self.supervisor_keys = value != 0,
            "c_bit" => {
                match u8::try_from(value) {
                    Ok(value) => self.c_bit = value,
                    Err(_) => return false,
                }
            }
            "table_global_reserved" => self.table_global_reserved = value != 0,
            "pcid" => self.pcid = value != 0,
            "invpcid" => self.invpcid = value != 0,
            "size_change_safe" => self.size_change_safe = value != 0,
            "globals" => self.globals = value != 0,
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
    pub const fn by_name(&self) -> [(&'static str, i64); 15] {
        [
            ("pa_bits", self.pa_bits as i64),
            ("huge_1g", self.huge_1g as i64),
            ("five_level", self.five_level as i64),
            ("no_execute", self.no_execute as i64),
            ("pat", self.pat.cast_signed()),
            ("user_keys", self.user_keys as i64),
            ("supervisor_keys", self.supervisor_keys as i64),
            ("c_bit", self.c_bit as i64),
            ("table_global_reserved", self.table_global_reserved as i64),
            ("pcid", self.pcid as i64),
            ("invpcid", self.invpcid as i64),
            ("size_change_safe", self.size_change_safe as i64),
            ("globals", self.globals as i64),
            ("levels", self.levels as i64),
            ("input_bits", self.input_bits as i64),
        ]
    }
}

impl Registers {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 5] {
        [
            ("cr3", self.cr3),
            ("ia32_pat", self.ia32_pat),
            ("cr0", self.cr0),
            ("cr4", self.cr4),
            ("efer", self.efer),
        ]
    }
}

impl Report {
    /// A report from its registers' values, in the order of the fields.
    pub const fn from_values([error_code, cr2]: [u64; 2]) -> Self {
        Self { error_code, cr2 }
    }
}

impl Report {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 2] {
        [("error_code", self.error_code), ("cr2", self.cr2)]
    }
}

impl Controls {
    /// These from its registers' values, in the order of the fields.
    pub const fn from_values([cr0, cr4, rflags, pkru, ia32_pkrs]: [u64; 5]) -> Self {
        Self {
            cr0,
            cr4,
            rflags,
            pkru,
            ia32_pkrs,
        }
    }
}

impl Capabilities {
    /// These from its registers' values, in the order of the fields.
    pub const fn from_values(
        [cpuid_0_ebx,
        cpuid_1_ecx,
        cpuid_7_ebx,
        cpuid_7_ecx,
        cpuid_80000001_edx,
        cpuid_80000008_eax,
        cpuid_8000001f_ebx,
        ia32_arch_capabilities,
        ia32_pat,
        syscfg,
        sev_status,
        ]: [u64; 11],
    ) -> Self {
        Self {
            cpuid_0_ebx,
            cpuid_1_ecx,
            cpuid_7_ebx,
            cpuid_7_ecx,
            cpuid_80000001_edx,
            cpuid_80000008_eax,
            cpuid_8000001f_ebx,
            ia32_arch_capabilities,
            ia32_pat,
            syscfg,
            sev_status,
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
