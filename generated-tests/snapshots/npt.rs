//! AMD nested page tables (NPT).
//!
//! AMD APM Vol. 2, Nested Paging.
//!
//! Start at [`Config`], make a [`Format`] of it, and give that to the page table.

use ::core::fmt;
use ::core::prelude::rust_2024::*;
use ::tablewright::codec::{self, Facts, Grants, Kind, Named, Pattern};
use ::tablewright::{
    Format as FormatTrait, Table as DecodedTable, AccessedDirty, AtEntry, Attributes,
    ByName, Cause, Change, ConfigError, Edit, Entry, Extension, FaultInfo, FormatInfo,
    Geometry, HostPhysAddr, Invalidation, Kinds, Leaf, Level, MemoryType, Next, Options,
    PageSizes, Prototype, Refusal, Rewrite, Rights, Strip, Tag,
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
    /// The bit that encrypts memory, with which tables are read, too; 0: none.
    ///
    /// 0, 32..=51, by default 0. Bound at boot, by [`Config::from_capabilities`].
    /// [`Format::new`] demands `c_bit == 0 || c_bit >= pa_bits`.
    /// AMD APM Vol. 2, Secure Memory Encryption, Determining Support for Secure Memory Encryption.
    pub c_bit: u8,
    /// Bit 8 of entries of PML4 and PML5 tables is reserved, which some emulators do not know.
    ///
    /// By default `true`. Bound at boot.
    /// AMD APM Vol. 2, 4-Kbyte Page Translation, Page-Map Level-4 Table.
    pub table_global_reserved: bool,
    /// An entry may change between table and block while it is used.
    ///
    /// By default `false`. Bound at boot.
    pub size_change_safe: bool,
    /// VMRUN can flush the translations of one ASID.
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub flush_by_asid: bool,
    /// Separate execute rights for the guest's supervisor and user modes: the guest mode execute trap; processors that have it say so in bit 17 of EDX of CPUID leaf 0x8000_000a.
    ///
    /// By default `false`. Bound at boot.
    /// It must be `false` unless `no_execute`.
    /// AMD APM Vol. 2, Guest Mode Execute Trap Extension.
    pub gmet: bool,
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
            c_bit: 0,
            table_global_reserved: true,
            size_change_safe: false,
            flush_by_asid: false,
            gmet: false,
            levels,
            input_bits,
        }
    }
}

/// What tells what the machine can do, one field for each register.
///
/// AMD APM Vol. 3, Obtaining Processor Information Via the CPUID Instruction; Vol. 2, System Configuration Register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// ECX of CPUID leaf 7, subleaf 0.
    pub cpuid_7_ecx: u64,
    /// EDX of CPUID leaf 0x8000_0001.
    pub cpuid_80000001_edx: u64,
    /// EAX of CPUID leaf 0x8000_0008.
    pub cpuid_80000008_eax: u64,
    /// EDX of CPUID leaf 0x8000_000a.
    pub cpuid_8000000a_edx: u64,
    /// EBX of CPUID leaf 0x8000_001f, or 0 where there is none.
    pub cpuid_8000001f_ebx: u64,
    /// MSR 0x277 of the host.
    pub ia32_pat: u64,
    /// MSR 0xc001_0010.
    pub syscfg: u64,
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
        config.c_bit = if capabilities.syscfg >> 23 & 1 != 0 {
            (capabilities.cpuid_8000001f_ebx & 0x3f) as u8
        } else {
            config.c_bit
        };
        config.flush_by_asid = capabilities.cpuid_8000000a_edx >> 6 & 1 != 0;
        config
    }
}

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
pub const SOFTWARE: Options = Options::from_bits(0x7ff0_0000_0000_0e00);

/// A leaf at level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63, 2:1 | `access` | no-execute, user/supervisor, read/write: 0b11 r w x, 0b10 r x, 0b111 r w, 0b110 r, 0b0 none, 0b1 none, 0b100 none, 0b101 none, if `no_execute && !gmet` | AMD APM Vol. 2, Nested Table Walk; Combining Nested and Guest Attributes |
/// | 63, 2:1 | `access_by_mode` | no-execute, user/supervisor, read/write: 0b11 r w ux, 0b10 r ux, 0b1 r w x, 0b0 r x, 0b111 r w, 0b110 r, 0b101 r w, 0b100 r, if `no_execute && gmet` | AMD APM Vol. 2, Guest Mode Execute Trap Extension, GMET Page Configuration |
/// | 63 | `no-execute-disable` | must be zero, if `!no_execute` | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 62:52, 11:9 | `leaf-software` | free for software | AMD APM Vol. 2, 4-Kbyte Page Translation |
/// | pa_bits - 1:12 | `output` | output address | Intel SDM Vol. 3A, Format of a Page-Table Entry that Maps a 4-KByte Page |
/// | 51:c_bit + 1, c_bit - 1:pa_bits if c_bit != 0; 51:pa_bits | `address-too-wide` | must be zero | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 7, 4:3 | `memory_type` | PAT, PCD, PWT; what is UC- in the PAT the MTRRs may make WC: which byte of `pat` says the memory type | Intel SDM Vol. 3A, Page Attribute Table (PAT) |
/// | 8 | `no-global` | written as zero | AMD APM Vol. 2, Nested Paging, Global Pages |
/// | 6 | `dirty` | 0b0 none, 0b1 dirty | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 5 | `accessed` | 0b0 none, 0b1 accessed | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 2:1 | `access_without_nx` | user/supervisor, read/write: 0b11 r w x, 0b10 r x, 0b0 none, 0b1 none, if `!no_execute` | AMD APM Vol. 2, Nested Table Walk; Combining Nested and Guest Attributes |
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

    /// Bits 63, 2:1: no-execute, user/supervisor, read/write: 0b11 r w x, 0b10 r x, 0b111 r w, 0b110 r, 0b0 none, 0b1 none, 0b100 none, 0b101 none.
    ///
    /// Only where `no_execute && !gmet`.
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

    /// Bits 2:1: user/supervisor, read/write: 0b11 r w x, 0b10 r x, 0b0 none, 0b1 none.
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

    /// Bits 63, 2:1: no-execute, user/supervisor, read/write: 0b11 r w ux, 0b10 r ux, 0b1 r w x, 0b0 r x, 0b111 r w, 0b110 r, 0b101 r w, 0b100 r.
    ///
    /// Only where `no_execute && gmet`.
    pub const fn access_by_mode(self) -> u64 {
        (self.0 >> 63) << 2 | (self.0 >> 1 & 3)
    }

    /// This entry with another `access_by_mode`; what does not fit is cut.
    pub const fn with_access_by_mode(self, value: u64) -> Self {
        Self(
            self.0 & !0x8000_0000_0000_0006 | codec::insert(value >> 2, 63, 63)
                | codec::insert(value, 2, 1),
        )
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
                        (3, "r w x"),
                        (2, "r x"),
                        (7, "r w"),
                        (6, "r"),
                        (0, "none"),
                        (1, "none"),
                        (4, "none"),
                        (5, "none"),
                    ],
                ),
            )
            .field(
                "access_without_nx",
                &Named(
                    self.access_without_nx(),
                    &[(3, "r w x"), (2, "r x"), (0, "none"), (1, "none")],
                ),
            )
            .field("memory_type", &Named(self.memory_type(), &[]))
            .field("accessed", &Named(self.accessed(), &[(0, "none"), (1, "accessed")]))
            .field("dirty", &Named(self.dirty(), &[(0, "none"), (1, "dirty")]))
            .field(
                "access_by_mode",
                &Named(
                    self.access_by_mode(),
                    &[
                        (3, "r w ux"),
                        (2, "r ux"),
                        (1, "r w x"),
                        (0, "r x"),
                        (7, "r w"),
                        (6, "r"),
                        (5, "r w"),
                        (4, "r"),
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
/// | 63, 2:1 | `access` | no-execute, user/supervisor, read/write: 0b11 r w x, 0b10 r x, 0b111 r w, 0b110 r, 0b0 none, 0b1 none, 0b100 none, 0b101 none, if `no_execute && !gmet` | AMD APM Vol. 2, Nested Table Walk; Combining Nested and Guest Attributes |
/// | 63, 2:1 | `access_by_mode` | no-execute, user/supervisor, read/write: 0b11 r w ux, 0b10 r ux, 0b1 r w x, 0b0 r x, 0b111 r w, 0b110 r, 0b101 r w, 0b100 r, if `no_execute && gmet` | AMD APM Vol. 2, Guest Mode Execute Trap Extension, GMET Page Configuration |
/// | 63 | `no-execute-disable` | must be zero, if `!no_execute` | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 62:52, 11:9 | `leaf-software` | free for software | AMD APM Vol. 2, 4-Kbyte Page Translation |
/// | pa_bits - 1:leaf_bits | `output` | output address | Intel SDM Vol. 3A, Format of a Page-Table Entry that Maps a 4-KByte Page |
/// | 51:c_bit + 1, c_bit - 1:pa_bits if c_bit != 0; 51:pa_bits | `address-too-wide` | must be zero | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | leaf_bits - 1:13 | `block-misaligned` | must be zero | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 12, 4:3 | `memory_type` | PAT, PCD, PWT; what is UC- in the PAT the MTRRs may make WC: which byte of `pat` says the memory type | Intel SDM Vol. 3A, Page Attribute Table (PAT) |
/// | 8 | `no-global` | written as zero | AMD APM Vol. 2, Nested Paging, Global Pages |
/// | 6 | `dirty` | 0b0 none, 0b1 dirty | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 5 | `accessed` | 0b0 none, 0b1 accessed | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 2:1 | `access_without_nx` | user/supervisor, read/write: 0b11 r w x, 0b10 r x, 0b0 none, 0b1 none, if `!no_execute` | AMD APM Vol. 2, Nested Table Walk; Combining Nested and Guest Attributes |
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

    /// Bits 63, 2:1: no-execute, user/supervisor, read/write: 0b11 r w x, 0b10 r x, 0b111 r w, 0b110 r, 0b0 none, 0b1 none, 0b100 none, 0b101 none.
    ///
    /// Only where `no_execute && !gmet`.
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

    /// Bits 2:1: user/supervisor, read/write: 0b11 r w x, 0b10 r x, 0b0 none, 0b1 none.
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

    /// Bits 63, 2:1: no-execute, user/supervisor, read/write: 0b11 r w ux, 0b10 r ux, 0b1 r w x, 0b0 r x, 0b111 r w, 0b110 r, 0b101 r w, 0b100 r.
    ///
    /// Only where `no_execute && gmet`.
    pub const fn access_by_mode(self) -> u64 {
        (self.0 >> 63) << 2 | (self.0 >> 1 & 3)
    }

    /// This entry with another `access_by_mode`; what does not fit is cut.
    pub const fn with_access_by_mode(self, value: u64) -> Self {
        Self(
            self.0 & !0x8000_0000_0000_0006 | codec::insert(value >> 2, 63, 63)
                | codec::insert(value, 2, 1),
        )
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
                        (3, "r w x"),
                        (2, "r x"),
                        (7, "r w"),
                        (6, "r"),
                        (0, "none"),
                        (1, "none"),
                        (4, "none"),
                        (5, "none"),
                    ],
                ),
            )
            .field(
                "access_without_nx",
                &Named(
                    self.access_without_nx(),
                    &[(3, "r w x"), (2, "r x"), (0, "none"), (1, "none")],
                ),
            )
            .field("memory_type", &Named(self.memory_type(), &[]))
            .field("accessed", &Named(self.accessed(), &[(0, "none"), (1, "accessed")]))
            .field("dirty", &Named(self.dirty(), &[(0, "none"), (1, "dirty")]))
            .field(
                "access_by_mode",
                &Named(
                    self.access_by_mode(),
                    &[
                        (3, "r w ux"),
                        (2, "r ux"),
                        (1, "r w x"),
                        (0, "r x"),
                        (7, "r w"),
                        (6, "r"),
                        (5, "r w"),
                        (4, "r"),
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
/// | 63, 2:1 | `access` | no-execute, user/supervisor, read/write: 0b11 r w x, 0b10 r x, 0b111 r w, 0b110 r, 0b0 none, 0b1 none, 0b100 none, 0b101 none, if `no_execute && !gmet` | AMD APM Vol. 2, Nested Table Walk; Combining Nested and Guest Attributes |
/// | 63, 2:1 | `table_access_by_mode` | no-execute, user/supervisor, read/write; tables of the supervisor, which hardware takes, are not supported: 0b11 r w x, 0b10 r x, 0b111 r w, 0b110 r, if `no_execute && gmet` | AMD APM Vol. 2, Guest Mode Execute Trap Extension |
/// | 63 | `no-execute-disable` | must be zero, if `!no_execute` | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 62:52, 11:9, 6 | `table-ignored` | ignored | Intel SDM Vol. 3A, Format of a PML4 Entry (PML4E) that References a Page-Directory-Pointer Table |
/// | pa_bits - 1:12 | `next_table` | address of the next table | Intel SDM Vol. 3A, Format of a PML4 Entry (PML4E) that References a Page-Directory-Pointer Table |
/// | 51:c_bit + 1, c_bit - 1:pa_bits if c_bit != 0; 51:pa_bits | `address-too-wide` | must be zero | Intel SDM Vol. 3A, Page-Fault Exceptions, reserved bits |
/// | 8 | `table-global` | must be zero if `table_global_reserved`, else ignored, if `level >= 3` | AMD APM Vol. 2, 4-Kbyte Page Translation, Page-Map Level-4 Table |
/// | 8 | `lower-table-global` | ignored, if `level <= 2` | Intel SDM Vol. 3A, Format of a PML4 Entry (PML4E) that References a Page-Directory-Pointer Table |
/// | 5 | `table-accessed` | written by hardware | Intel SDM Vol. 3A, Accessed and Dirty Flags |
/// | 4:3 | `table_memory_type` | PCD, PWT: which entry of the PAT is for accesses to the table: always written alike | Intel SDM Vol. 3A, Paging and Memory Typing |
/// | 2:1 | `access_without_nx` | user/supervisor, read/write: 0b11 r w x, 0b10 r x, 0b0 none, 0b1 none, if `!no_execute` | AMD APM Vol. 2, Nested Table Walk; Combining Nested and Guest Attributes |
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

    /// Bits 63, 2:1: no-execute, user/supervisor, read/write: 0b11 r w x, 0b10 r x, 0b111 r w, 0b110 r, 0b0 none, 0b1 none, 0b100 none, 0b101 none.
    ///
    /// Only where `no_execute && !gmet`.
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

    /// Bits 2:1: user/supervisor, read/write: 0b11 r w x, 0b10 r x, 0b0 none, 0b1 none.
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

    /// Bits 63, 2:1: no-execute, user/supervisor, read/write; tables of the supervisor, which hardware takes, are not supported: 0b11 r w x, 0b10 r x, 0b111 r w, 0b110 r.
    ///
    /// Only where `no_execute && gmet`.
    pub const fn table_access_by_mode(self) -> u64 {
        (self.0 >> 63) << 2 | (self.0 >> 1 & 3)
    }

    /// This entry with another `table_access_by_mode`; what does not fit is cut.
    pub const fn with_table_access_by_mode(self, value: u64) -> Self {
        Self(
            self.0 & !0x8000_0000_0000_0006 | codec::insert(value >> 2, 63, 63)
                | codec::insert(value, 2, 1),
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
                    &[
                        (3, "r w x"),
                        (2, "r x"),
                        (7, "r w"),
                        (6, "r"),
                        (0, "none"),
                        (1, "none"),
                        (4, "none"),
                        (5, "none"),
                    ],
                ),
            )
            .field(
                "access_without_nx",
                &Named(
                    self.access_without_nx(),
                    &[(3, "r w x"), (2, "r x"), (0, "none"), (1, "none")],
                ),
            )
            .field("table_memory_type", &Named(self.table_memory_type(), &[]))
            .field(
                "table_access_by_mode",
                &Named(
                    self.table_access_by_mode(),
                    &[(3, "r w x"), (2, "r x"), (7, "r w"), (6, "r")],
                ),
            )
            .finish()
    }
}

/// AMD nested page tables (NPT) under one choice of parameters.
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
        if config.gmet && !config.no_execute {
            return Err(ConfigError::Unavailable {
                param: "gmet",
                condition: "no_execute",
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
        if config.no_execute && !config.gmet {
            let Some(facts) = self.access_facts((raw >> 63) << 2 | (raw >> 1 & 3)) else {
                return Entry::Reserved("access");
            };
            grants.field(Facts::RWX, facts);
        }
        if !config.no_execute {
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
        if config.no_execute && config.gmet {
            let Some(facts) = self
                .access_by_mode_facts((raw >> 63) << 2 | (raw >> 1 & 3)) else {
                return Entry::Reserved("access_by_mode");
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
        if config.no_execute && !config.gmet {
            grants
                .field(
                    Facts::RWX,
                    self.access_facts((raw >> 63) << 2 | (raw >> 1 & 3))?,
                );
        }
        if !config.no_execute {
            grants.field(Facts::RWX, self.access_without_nx_facts(raw >> 1 & 3)?);
        }
        grants.field(Facts::ACCESSED, self.accessed_facts(raw >> 5 & 1)?);
        grants.field(Facts::DIRTY, self.dirty_facts(raw >> 6 & 1)?);
        if config.no_execute && config.gmet {
            grants
                .field(
                    Facts::RWX,
                    self.access_by_mode_facts((raw >> 63) << 2 | (raw >> 1 & 3))?,
                );
        }
        Some(grants.of_leaf(Facts::NONE))
    }

    /// A table entry's content.
    fn decode_table(&self, level: Level, raw: u64) -> Entry {
        let config = &self.config;
        let layout = self.layout(level);
        let mut grants = Grants::new();
        if config.no_execute && !config.gmet {
            let Some(facts) = self.access_facts((raw >> 63) << 2 | (raw >> 1 & 3)) else {
                return Entry::Reserved("access");
            };
            grants.field(Facts::RWX, facts);
        }
        if !config.no_execute {
            let Some(facts) = self.access_without_nx_facts(raw >> 1 & 3) else {
                return Entry::Reserved("access_without_nx");
            };
            grants.field(Facts::RWX, facts);
        }
        if config.no_execute && config.gmet {
            let Some(facts) = self
                .table_access_by_mode_facts((raw >> 63) << 2 | (raw >> 1 & 3)) else {
                return Entry::Reserved("table_access_by_mode");
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
        if config.no_execute && !config.gmet {
            let Some(value) = self.access_value(facts) else { return None };
            spoken = spoken.union(Facts::RWX);
            bits |= codec::insert(value >> 2, 63, 63) | codec::insert(value, 2, 1);
        }
        if !config.no_execute {
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
        if config.no_execute && config.gmet {
            let Some(value) = self.access_by_mode_value(facts) else { return None };
            spoken = spoken.union(Facts::RWX);
            bits |= codec::insert(value >> 2, 63, 63) | codec::insert(value, 2, 1);
        }
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
        match value {
            0b011 => Some(Facts::RWX),
            0b010 => Some(Facts::RX),
            0b111 => Some(Facts::RW),
            0b110 => Some(Facts::R),
            0b000 => Some(Facts::NONE),
            0b001 => Some(Facts::NONE),
            0b100 => Some(Facts::NONE),
            0b101 => Some(Facts::NONE),
            _ => None,
        }
    }

    /// The value of `access` with exactly these rights, and with these states if it can.
    const fn access_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::RWX) {
            Facts::RWX => Some(0b011),
            Facts::RX => Some(0b010),
            Facts::RW => Some(0b111),
            Facts::R => Some(0b110),
            Facts::NONE => Some(0b000),
            _ => None,
        }
    }

    /// What a value of `access_without_nx` states; `None` if it is illegal.
    const fn access_without_nx_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0b11 => Some(Facts::RWX),
            0b10 => Some(Facts::RX),
            0b00 => Some(Facts::NONE),
            0b01 => Some(Facts::NONE),
            _ => None,
        }
    }

    /// The value of `access_without_nx` with exactly these rights, and with these states if it can.
    const fn access_without_nx_value(&self, facts: Facts) -> Option<u64> {
        match facts.intersection(Facts::RWX) {
            Facts::RWX => Some(0b11),
            Facts::RX => Some(0b10),
            Facts::NONE => Some(0b00),
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

    /// What a value of `access_by_mode` states; `None` if it is illegal.
    const fn access_by_mode_facts(&self, value: u64) -> Option<Facts> {
        const RW_UX: Facts = Facts::RW.union(Facts::UX);
        const R_UX: Facts = Facts::R.union(Facts::UX);
        match value {
            0b011 => Some(RW_UX),
            0b010 => Some(R_UX),
            0b001 => Some(Facts::RWX),
            0b000 => Some(Facts::RX),
            0b111 => Some(Facts::RW),
            0b110 => Some(Facts::R),
            0b101 => Some(Facts::RW),
            0b100 => Some(Facts::R),
            _ => None,
        }
    }

    /// The value of `access_by_mode` with exactly these rights, and with these states if it can.
    const fn access_by_mode_value(&self, facts: Facts) -> Option<u64> {
        const RW_UX: Facts = Facts::RW.union(Facts::UX);
        const R_UX: Facts = Facts::R.union(Facts::UX);
        match facts.intersection(Facts::RWX) {
            RW_UX => Some(0b011),
            R_UX => Some(0b010),
            Facts::RWX => Some(0b001),
            Facts::RX => Some(0b000),
            Facts::RW => Some(0b111),
            Facts::R => Some(0b110),
            _ => None,
        }
    }

    /// What a value of `table_access_by_mode` states; `None` if it is illegal.
    const fn table_access_by_mode_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0b011 => Some(Facts::RWX),
            0b010 => Some(Facts::RX),
            0b111 => Some(Facts::RW),
            0b110 => Some(Facts::R),
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
        name: "npt",
        title: "AMD nested page tables (NPT)",
        architecture: "x86_64",
        stage: 2,
        cite: "AMD APM Vol. 2, Nested Paging",
        tlb: "TLB_CONTROL (05Ch): everything of the guest's ASID: one tag, at the next entry; TLB_CONTROL (05Ch): everything of all ASIDs: everything, at the next entry",
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
            ia32_pat: 0,
            cr4: 0x20,
            efer: 0x1100,
            n_cr3: 0,
            nested_control: 1,
            guest_asid: 0,
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
        registers.ia32_pat |= config.pat;
        registers.cr4 |= if config.levels == 5 { 0x1000 } else { 0 };
        registers.efer |= codec::insert(config.no_execute as u64, 11, 11);
        let value = root >> 12;
        registers.n_cr3 |= codec::insert(value, config.pa_bits - 1, 12);
        registers.n_cr3
            |= if config.c_bit != 0 {
                codec::insert(1, config.c_bit, config.c_bit)
            } else {
                0
            };
        registers.nested_control |= codec::insert(config.gmet as u64, 3, 3);
        if tag & 0xffff_ffff_0000_0000 != 0 {
            return Err(Refusal::Tag(Tag(tag as u32)));
        }
        registers.guest_asid |= codec::insert(tag, 31, 0);
        Ok(registers)
    }

    fn fault(&self, report: &Report) -> Option<FaultInfo> {
        if !(report.exit_code == 1024) {
            return None;
        }
        Some(FaultInfo {
            address: Some(report.exit_info_2),
            access: if report.exit_info_1 >> 4 & 1 != 0 {
                Rights::X
            } else if report.exit_info_1 >> 1 & 1 != 0 {
                Rights::W
            } else {
                Rights::R
            },
            cause: if report.exit_info_1 >> 3 & 1 != 0 {
                Cause::Misconfigured
            } else if report.exit_info_1 & 1 == 0 {
                Cause::NotMapped
            } else {
                Cause::Permission
            },
            level: None,
            width: None,
            guest_walk: report.exit_info_1 >> 33 & 1 != 0,
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

    fn at_entry(&self, _tag: Tag, set: &Invalidation) -> Option<AtEntry> {
        let config = &self.config;
        match set {
            Invalidation::All => {
                Some(AtEntry {
                    control: "tlb_control",
                    value: 1,
                })
            }
            _ => {
                if config.flush_by_asid {
                    Some(AtEntry {
                        control: "tlb_control",
                        value: 3,
                    })
                } else {
                    Some(AtEntry {
                        control: "tlb_control",
                        value: 1,
                    })
                }
            }
        }
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
            options: 0x7ff0_0000_0000_0e00,
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
        if config.no_execute && !config.gmet {
            layout.table_base |= 6;
        }
        if !config.no_execute {
            layout.table_base |= 6;
        }
        if config.c_bit != 0 {
            layout.table_base |= codec::insert(1, config.c_bit, config.c_bit);
        }
        if config.no_execute && config.gmet {
            layout.table_base |= 6;
        }
        if config.no_execute && !config.gmet {
            layout.rights |= 0x8000_0000_0000_0006;
        }
        if !config.no_execute {
            layout.rights |= 6;
        }
        if config.no_execute && config.gmet {
            layout.rights |= 0x8000_0000_0000_0006;
        }
        layout.memory |= if level == 0 { 0x98 } else { 0x1018 };
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
    /// The page attribute table.
    ///
    /// Configures walks; loaded with the root.
    /// Intel SDM Vol. 3A, IA32_PAT MSR.
    pub ia32_pat: u64,
    /// The host's CR4 at VMRUN, whose LA57 is 0 if there are 4 levels.
    ///
    /// These bits must be set; the others are not ours.
    /// AMD APM Vol. 2, Nested Paging, Host and Guest Paging Modes.
    pub cr4: u64,
    /// The host's EFER at VMRUN.
    ///
    /// These bits must be set; the others are not ours.
    /// AMD APM Vol. 2, Extended Feature Enable Register (EFER).
    pub efer: u64,
    /// N_CR3 (0B0h).
    ///
    /// Holds the root; loading it activates an address space.
    /// AMD APM Vol. 2, Layout of VMCB, Control Area.
    pub n_cr3: u64,
    /// NP_ENABLE and what surrounds it (090h).
    ///
    /// These bits must be set; the others are not ours.
    /// AMD APM Vol. 2, Layout of VMCB, Control Area.
    pub nested_control: u64,
    /// Guest ASID (058h), which is not 0.
    ///
    /// Configures walks; loaded with the root.
    /// AMD APM Vol. 2, Layout of VMCB, Control Area.
    pub guest_asid: u64,
}

/// The hardware's report of a fault, one field for each register.
///
/// AMD APM Vol. 2, Nested versus Guest Page Faults, Fault Ordering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// EXITCODE (VMCB offset 0x70).
    pub exit_code: u64,
    /// EXITINFO1 (VMCB offset 0x78).
    pub exit_info_1: u64,
    /// EXITINFO2 (VMCB offset 0x80).
    pub exit_info_2: u64,
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
            "huge_1g" => self.huge_1g = value != 0,
            "five_level" => self.five_level = value != 0,
            "no_execute" => self.no_execute = value != 0,
            "pat" => self.pat = value.cast_unsigned(),
            "c_bit" => {
                match u8::try_from(value) {
                    Ok(value) => self.c_bit = value,
                    Err(_) => return false,
                }
            }
            "table_global_reserved" => self.table_global_reserved = value != 0,
            "size_change_safe" => self.size_change_safe = value != 0,
            "flush_by_asid" => self.flush_by_asid = value != 0,
            "gmet" => self.gmet = value != 0,
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
            ("huge_1g", self.huge_1g as i64),
            ("five_level", self.five_level as i64),
            ("no_execute", self.no_execute as i64),
            ("pat", self.pat.cast_signed()),
            ("c_bit", self.c_bit as i64),
            ("table_global_reserved", self.table_global_reserved as i64),
            ("size_change_safe", self.size_change_safe as i64),
            ("flush_by_asid", self.flush_by_asid as i64),
            ("gmet", self.gmet as i64),
            ("levels", self.levels as i64),
            ("input_bits", self.input_bits as i64),
        ]
    }
}

impl Registers {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 6] {
        [
            ("ia32_pat", self.ia32_pat),
            ("cr4", self.cr4),
            ("efer", self.efer),
            ("n_cr3", self.n_cr3),
            ("nested_control", self.nested_control),
            ("guest_asid", self.guest_asid),
        ]
    }
}

impl Report {
    /// A report from its registers' values, in the order of the fields.
    pub const fn from_values([exit_code, exit_info_1, exit_info_2]: [u64; 3]) -> Self {
        Self {
            exit_code,
            exit_info_1,
            exit_info_2,
        }
    }
}

impl Report {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 3] {
        [
            ("exit_code", self.exit_code),
            ("exit_info_1", self.exit_info_1),
            ("exit_info_2", self.exit_info_2),
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
        [cpuid_7_ecx,
        cpuid_80000001_edx,
        cpuid_80000008_eax,
        cpuid_8000000a_edx,
        cpuid_8000001f_ebx,
        ia32_pat,
        syscfg,
        ]: [u64; 7],
    ) -> Self {
        Self {
            cpuid_7_ecx,
            cpuid_80000001_edx,
            cpuid_80000008_eax,
            cpuid_8000000a_edx,
            cpuid_8000001f_ebx,
            ia32_pat,
            syscfg,
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
