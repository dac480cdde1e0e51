//! LoongArch64, pages of 16 KiB.
//!
//! LoongArch Reference Manual, Volume 1, Page table mapping address translation mode.
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
/// | 2 | 26..=36 | 16K |  |
/// | 3 | 37..=47 | 16K |  |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Width of a physical address (CPUCFG.1.PALEN).
    ///
    /// 36..=48, by default 48. Bound at boot, by [`Config::from_capabilities`].
    pub pa_bits: u8,
    /// Width of a virtual address, of which each half of the address space has one bit less (CPUCFG.1.VALEN).
    ///
    /// 36..=48, by default 48. Bound at boot, by [`Config::from_capabilities`].
    /// [`Format::new`] demands `input_bits < va_bits`.
    pub va_bits: u8,
    /// Hardware walks the tables, and sets V and D (PWCH.HPTW_En).
    ///
    /// By default `false`. Bound at boot, by [`Config::from_capabilities`].
    pub walker: bool,
    /// Blocks of the lowest directory: 2 MiB, 32 MiB or 512 MiB.
    ///
    /// By default `true`. Bound at boot, by [`Config::from_capabilities`].
    pub huge: bool,
    /// NR: pages that cannot be read.
    ///
    /// By default `true`. Bound at boot, by [`Config::from_capabilities`].
    pub read_inhibit: bool,
    /// NX: pages from which no code is fetched.
    ///
    /// By default `true`. Bound at boot, by [`Config::from_capabilities`].
    pub execute_protection: bool,
    /// RPLV: pages for just one privilege level.
    ///
    /// By default `true`. Bound at boot, by [`Config::from_capabilities`].
    pub restricted_level: bool,
    /// What directory entries hold where there is nothing: the address of a page that the caller keeps, and fills with this same value. Walks do not stop at them. 0: the page at address 0, of zeros.
    ///
    /// By default 0x0. Bound at boot.
    /// [`Format::new`] demands `invalid_table & 16383 == 0`.
    pub invalid_table: u64,
    /// The tables are those of the upper half of the address space (PGDH), not of the lower (PGDL).
    ///
    /// By default `false`. Bound for each address space.
    pub upper: bool,
    /// Leaves may be global, so that invalidations must reach every address space.
    ///
    /// By default `false`. Bound for each address space.
    pub globals: bool,
    /// Number of levels.
    pub levels: u8,
    /// Width of an input address.
    ///
    /// [`Format::new`] demands `input_bits < va_bits`.
    pub input_bits: u8,
}

impl Config {
    /// The defaults of every parameter.
    pub const fn new(levels: u8, input_bits: u8) -> Self {
        Self {
            pa_bits: 48,
            va_bits: 48,
            walker: false,
            huge: true,
            read_inhibit: true,
            execute_protection: true,
            restricted_level: true,
            invalid_table: 0,
            upper: false,
            globals: false,
            levels,
            input_bits,
        }
    }
}

/// What tells what the machine can do, one field for each register.
///
/// LoongArch Reference Manual, Volume 1, CPUCFG; PRCFG2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// Word 1 of CPUCFG.
    pub cpucfg1: u64,
    /// Word 2 of CPUCFG.
    pub cpucfg2: u64,
    /// CSR 0x22, Privileged Resource Configuration 2.
    pub prcfg2: u64,
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
        config.pa_bits = if capabilities.cpucfg1 >> 4 & 0xff >= 47 {
            48
        } else {
            ((capabilities.cpucfg1 >> 4 & 0xff) + 1) as u8
        };
        config.va_bits = if capabilities.cpucfg1 >> 12 & 0xff >= 47 {
            48
        } else {
            ((capabilities.cpucfg1 >> 12 & 0xff) + 1) as u8
        };
        config.walker = capabilities.cpucfg2 >> 24 & 1 != 0;
        config.huge = (capabilities.cpucfg1 >> 24 & 1 != 0)
            && capabilities.prcfg2 >> 24 & 1 == 1;
        config.read_inhibit = capabilities.cpucfg1 >> 21 & 1 != 0;
        config.execute_protection = capabilities.cpucfg1 >> 22 & 1 != 0;
        config.restricted_level = capabilities.cpucfg1 >> 23 & 1 != 0;
        config
    }
}

/// The bits of every leaf that are free for software, whatever the parameters are.
pub const SOFTWARE: Options = Options::from_bits(0xe00);

/// A leaf at level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63, 3:2 if restricted_level; 3:2 | `privilege` | restricted privilege level, and privilege level: 0b0 pr pw px, 0b11 r w x, 0b111 ur uw ux, 0b1 pr pw px, 0b10 pr pw px, 0b100 pr pw px, 0b101 none, 0b110 none | LoongArch Reference Manual, Volume 1, TLB entry: PLV, RPLV |
/// | 63 | `no-restricted-level` | written as zero, if `!restricted_level` | LoongArch Reference Manual, Volume 1, TLB entry: PLV, RPLV |
/// | 62 | `no_execute` | 0b0 x, 0b1 none, if `execute_protection` | LoongArch Reference Manual, Volume 1, TLB entry: NX |
/// | 62 | `no-execute-protection` | written as zero, if `!execute_protection` | LoongArch Reference Manual, Volume 1, TLB entry: NX |
/// | 61 | `no_read` | 0b0 r, 0b1 none, if `read_inhibit` | LoongArch Reference Manual, Volume 1, TLB entry: NR |
/// | 61 | `no-read-inhibit` | written as zero, if `!read_inhibit` | LoongArch Reference Manual, Volume 1, TLB entry: NR |
/// | 60:pa_bits | `too-wide` | written as zero | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | pa_bits - 1:14 | `output` | output address | LoongArch Reference Manual, Volume 1, TLB entry: PPN |
/// | 13:12 | `page-below-address` | written as zero | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | 6 | `global` | a translation of every address space; in a block bit 6 is taken: 0b0 not-global, 0b1 global, if `globals` | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | 11:9 | `software` | free for software | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | 8, 1 | `writable` | W and D: 0b0 none, 0b10 w, 0b11 w dirty, 0b1 w dirty, 0b1 dirty | LoongArch Reference Manual, Volume 1, TLB entry: D; Multi-level page table structure supported by page walking |
/// | 7 | `present` | written as one, if `!walker` | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | 6 | `not-global` | written as zero, if `!globals` | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | 5:4 | `memory_type` | memory access type: strongly-ordered uncached, coherent cached, weakly-ordered uncached: 0b0 uc, 0b1 wb, 0b10 wc | LoongArch Reference Manual, Volume 1, Memory access types |
/// | 0 | `accessed` | V, with the walker: 0b1 accessed, 0b0 none, if `walker` | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
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

    /// Bit 61: 0b0 r, 0b1 none.
    ///
    /// Only where `read_inhibit`.
    pub const fn no_read(self) -> u64 {
        self.0 >> 61 & 1
    }

    /// This entry with another `no_read`; what does not fit is cut.
    pub const fn with_no_read(self, value: u64) -> Self {
        Self(self.0 & !0x2000_0000_0000_0000 | codec::insert(value, 61, 61))
    }

    /// Bit 62: 0b0 x, 0b1 none.
    ///
    /// Only where `execute_protection`.
    pub const fn no_execute(self) -> u64 {
        self.0 >> 62 & 1
    }

    /// This entry with another `no_execute`; what does not fit is cut.
    pub const fn with_no_execute(self, value: u64) -> Self {
        Self(self.0 & !0x4000_0000_0000_0000 | codec::insert(value, 62, 62))
    }

    /// Bits 8, 1: W and D: 0b0 none, 0b10 w, 0b11 w dirty, 0b1 w dirty, 0b1 dirty.
    pub const fn writable(self) -> u64 {
        (self.0 >> 8 & 1) << 1 | (self.0 >> 1 & 1)
    }

    /// This entry with another `writable`; what does not fit is cut.
    pub const fn with_writable(self, value: u64) -> Self {
        Self(
            self.0 & !0x102 | codec::insert(value >> 1, 8, 8)
                | codec::insert(value, 1, 1),
        )
    }

    /// Bit 0: V, with the walker: 0b1 accessed, 0b0 none.
    ///
    /// Only where `walker`.
    pub const fn accessed(self) -> u64 {
        self.0 & 1
    }

    /// This entry with another `accessed`; what does not fit is cut.
    pub const fn with_accessed(self, value: u64) -> Self {
        Self(self.0 & !1 | codec::insert(value, 0, 0))
    }

    /// Bits 5:4: memory access type: strongly-ordered uncached, coherent cached, weakly-ordered uncached: 0b0 uc, 0b1 wb, 0b10 wc.
    pub const fn memory_type(self) -> u64 {
        self.0 >> 4 & 3
    }

    /// This entry with another `memory_type`; what does not fit is cut.
    pub const fn with_memory_type(self, value: u64) -> Self {
        Self(self.0 & !0x30 | codec::insert(value, 5, 4))
    }

    /// Bit 6: a translation of every address space; in a block bit 6 is taken: 0b0 not-global, 0b1 global.
    ///
    /// Only where `globals`.
    pub const fn global(self) -> u64 {
        self.0 >> 6 & 1
    }

    /// This entry with another `global`; what does not fit is cut.
    pub const fn with_global(self, value: u64) -> Self {
        Self(self.0 & !0x40 | codec::insert(value, 6, 6))
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field("no_read", &Named(self.no_read(), &[(0, "r"), (1, "none")]))
            .field("no_execute", &Named(self.no_execute(), &[(0, "x"), (1, "none")]))
            .field(
                "writable",
                &Named(
                    self.writable(),
                    &[
                        (0, "none"),
                        (2, "w"),
                        (3, "w dirty"),
                        (1, "w dirty"),
                        (1, "dirty"),
                    ],
                ),
            )
            .field("accessed", &Named(self.accessed(), &[(1, "accessed"), (0, "none")]))
            .field(
                "memory_type",
                &Named(self.memory_type(), &[(0, "uc"), (1, "wb"), (2, "wc")]),
            )
            .field("global", &Named(self.global(), &[(0, "not-global"), (1, "global")]))
            .finish()
    }
}

/// A leaf above level 0.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63, 3:2 if restricted_level; 3:2 | `privilege` | restricted privilege level, and privilege level: 0b0 pr pw px, 0b11 r w x, 0b111 ur uw ux, 0b1 pr pw px, 0b10 pr pw px, 0b100 pr pw px, 0b101 none, 0b110 none | LoongArch Reference Manual, Volume 1, TLB entry: PLV, RPLV |
/// | 63 | `no-restricted-level` | written as zero, if `!restricted_level` | LoongArch Reference Manual, Volume 1, TLB entry: PLV, RPLV |
/// | 62 | `no_execute` | 0b0 x, 0b1 none, if `execute_protection` | LoongArch Reference Manual, Volume 1, TLB entry: NX |
/// | 62 | `no-execute-protection` | written as zero, if `!execute_protection` | LoongArch Reference Manual, Volume 1, TLB entry: NX |
/// | 61 | `no_read` | 0b0 r, 0b1 none, if `read_inhibit` | LoongArch Reference Manual, Volume 1, TLB entry: NR |
/// | 61 | `no-read-inhibit` | written as zero, if `!read_inhibit` | LoongArch Reference Manual, Volume 1, TLB entry: NR |
/// | 60:pa_bits | `too-wide` | written as zero | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | pa_bits - 1:leaf_bits | `output` | output address | LoongArch Reference Manual, Volume 1, TLB entry: PPN |
/// | leaf_bits - 1:13 | `block-below-address` | written as zero | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | 12 | `global` | a translation of every address space; in a block bit 6 is taken: 0b0 not-global, 0b1 global, if `globals` | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | 12 | `not-global-block` | written as zero, if `!globals` | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | 11:9 | `software` | free for software | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | 8, 1 | `writable` | W and D: 0b0 none, 0b10 w, 0b11 w dirty, 0b1 w dirty, 0b1 dirty | LoongArch Reference Manual, Volume 1, TLB entry: D; Multi-level page table structure supported by page walking |
/// | 7 | `present` | written as one, if `!walker` | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | 5:4 | `memory_type` | memory access type: strongly-ordered uncached, coherent cached, weakly-ordered uncached: 0b0 uc, 0b1 wb, 0b10 wc | LoongArch Reference Manual, Volume 1, Memory access types |
/// | 0 | `accessed` | V, with the walker: 0b1 accessed, 0b0 none, if `walker` | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
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

    /// Bit 61: 0b0 r, 0b1 none.
    ///
    /// Only where `read_inhibit`.
    pub const fn no_read(self) -> u64 {
        self.0 >> 61 & 1
    }

    /// This entry with another `no_read`; what does not fit is cut.
    pub const fn with_no_read(self, value: u64) -> Self {
        Self(self.0 & !0x2000_0000_0000_0000 | codec::insert(value, 61, 61))
    }

    /// Bit 62: 0b0 x, 0b1 none.
    ///
    /// Only where `execute_protection`.
    pub const fn no_execute(self) -> u64 {
        self.0 >> 62 & 1
    }

    /// This entry with another `no_execute`; what does not fit is cut.
    pub const fn with_no_execute(self, value: u64) -> Self {
        Self(self.0 & !0x4000_0000_0000_0000 | codec::insert(value, 62, 62))
    }

    /// Bits 8, 1: W and D: 0b0 none, 0b10 w, 0b11 w dirty, 0b1 w dirty, 0b1 dirty.
    pub const fn writable(self) -> u64 {
        (self.0 >> 8 & 1) << 1 | (self.0 >> 1 & 1)
    }

    /// This entry with another `writable`; what does not fit is cut.
    pub const fn with_writable(self, value: u64) -> Self {
        Self(
            self.0 & !0x102 | codec::insert(value >> 1, 8, 8)
                | codec::insert(value, 1, 1),
        )
    }

    /// Bit 0: V, with the walker: 0b1 accessed, 0b0 none.
    ///
    /// Only where `walker`.
    pub const fn accessed(self) -> u64 {
        self.0 & 1
    }

    /// This entry with another `accessed`; what does not fit is cut.
    pub const fn with_accessed(self, value: u64) -> Self {
        Self(self.0 & !1 | codec::insert(value, 0, 0))
    }

    /// Bits 5:4: memory access type: strongly-ordered uncached, coherent cached, weakly-ordered uncached: 0b0 uc, 0b1 wb, 0b10 wc.
    pub const fn memory_type(self) -> u64 {
        self.0 >> 4 & 3
    }

    /// This entry with another `memory_type`; what does not fit is cut.
    pub const fn with_memory_type(self, value: u64) -> Self {
        Self(self.0 & !0x30 | codec::insert(value, 5, 4))
    }

    /// Bit 12: a translation of every address space; in a block bit 6 is taken: 0b0 not-global, 0b1 global.
    ///
    /// Only where `globals`.
    pub const fn global(self) -> u64 {
        self.0 >> 12 & 1
    }

    /// This entry with another `global`; what does not fit is cut.
    pub const fn with_global(self, value: u64) -> Self {
        Self(self.0 & !0x1000 | codec::insert(value, 12, 12))
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("bits", &::core::format_args!("{:#x}", self.0))
            .field("no_read", &Named(self.no_read(), &[(0, "r"), (1, "none")]))
            .field("no_execute", &Named(self.no_execute(), &[(0, "x"), (1, "none")]))
            .field(
                "writable",
                &Named(
                    self.writable(),
                    &[
                        (0, "none"),
                        (2, "w"),
                        (3, "w dirty"),
                        (1, "w dirty"),
                        (1, "dirty"),
                    ],
                ),
            )
            .field("accessed", &Named(self.accessed(), &[(1, "accessed"), (0, "none")]))
            .field(
                "memory_type",
                &Named(self.memory_type(), &[(0, "uc"), (1, "wb"), (2, "wc")]),
            )
            .field("global", &Named(self.global(), &[(0, "not-global"), (1, "global")]))
            .finish()
    }
}

/// A pointer to a table of the level below.
///
/// | bits | name | meaning | manual |
/// |---|---|---|---|
/// | 63:pa_bits | `table-too-wide` | written as zero | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
/// | pa_bits - 1:14 | `next_table` | address of the next table | LoongArch Reference Manual, Volume 1, LDDIR |
/// | 13:7, 5:0 | `table-low` | written as zero | LoongArch Reference Manual, Volume 1, Multi-level page table structure supported by page walking |
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

/// LoongArch64, pages of 16 KiB under one choice of parameters.
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
        if !::core::matches!(config.pa_bits, 36..= 48) {
            return Err(ConfigError::Value {
                param: "pa_bits",
                value: config.pa_bits as i64,
            });
        }
        if !::core::matches!(config.va_bits, 36..= 48) {
            return Err(ConfigError::Value {
                param: "va_bits",
                value: config.va_bits as i64,
            });
        }
        let (levels, input_bits) = (config.levels, config.input_bits);
        let root_bits = input_bits as i32 - 14 - 11 * (levels as i32 - 1);
        if !(::core::matches!((levels, root_bits), (2 | 3, 1..= 11))) {
            return Err(ConfigError::Root {
                levels,
                input_bits,
            });
        }
        if !(config.input_bits < config.va_bits) {
            return Err(ConfigError::Rule("input_bits < va_bits"));
        }
        if !(config.invalid_table & 0x3fff == 0) {
            return Err(ConfigError::Rule("invalid_table & (1 << page_bits) - 1 == 0"));
        }
        let geometry = Geometry {
            page_bits: 14,
            index_bits: 11,
            levels: config.levels,
            input_bits: config.input_bits,
            output_bits: config.pa_bits,
            extension: if config.upper { Extension::One } else { Extension::Zero },
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
    /// It is refused, too, if the table there stands for nothing.
    #[inline]
    pub const fn table(&self, level: Level, address: u64) -> Result<u64, Refusal> {
        let aligned = address & codec::bits(self.geometry.index_bits + 2, 0) == 0;
        if !aligned || address > self.geometry.last_output() {
            return Err(Refusal::Address(address));
        }
        let layout = self.layout(level);
        if address == layout.empty_table {
            return Err(Refusal::Address(address));
        }
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
        let is_invalid = level == 0
            && (if config.walker { raw & 0x80 == 0 } else { raw & 1 == 0 });
        let is_page = level == 0
            && (if config.walker { raw & 0x80 == 0x80 } else { raw & 1 == 1 });
        let is_invalid_block = block_level
            && (if config.walker { raw & 0xc0 == 0x40 } else { raw & 0x41 == 0x40 });
        let is_block = block_level
            && (if config.walker { raw & 0xc0 == 0xc0 } else { raw & 0x41 == 0x41 });
        let is_nothing = level >= 1 && raw & 0x40 == 0 && raw == config.invalid_table;
        let is_table = level >= 1 && raw & 0x40 == 0 && raw != config.invalid_table;
        let is_no_block_here = level >= 1 && !block_level && raw & 0x40 == 0x40;
        if is_no_block_here {
            Kind::Reserved("no-block-here")
        } else if is_invalid || is_invalid_block || is_nothing {
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
        let mut grants = Grants::new();
        let Some(facts) = self
            .privilege_facts(
                if config.restricted_level {
                    (raw >> 63) << 2 | (raw >> 2 & 3)
                } else {
                    raw >> 2 & 3
                },
            ) else {
            return Entry::Reserved("privilege");
        };
        grants.field(Facts::RWX, facts);
        if config.read_inhibit {
            let Some(facts) = self.no_read_facts(raw >> 61 & 1) else {
                return Entry::Reserved("no_read");
            };
            grants.field(Facts::R, facts);
        }
        if config.execute_protection {
            let Some(facts) = self.no_execute_facts(raw >> 62 & 1) else {
                return Entry::Reserved("no_execute");
            };
            grants.field(Facts::X, facts);
        }
        let Some(facts) = self.writable_facts((raw >> 8 & 1) << 1 | (raw >> 1 & 1)) else {
            return Entry::Reserved("writable");
        };
        grants.field(Facts::W.union(Facts::DIRTY), facts);
        if config.walker {
            let Some(facts) = self.accessed_facts(raw & 1) else {
                return Entry::Reserved("accessed");
            };
            grants.field(Facts::ACCESSED, facts);
        }
        let Some(memory) = self.memory_type_type(raw >> 4 & 3) else {
            return Entry::Reserved("memory_type");
        };
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
        grants
            .field(
                Facts::RWX,
                self
                    .privilege_facts(
                        if config.restricted_level {
                            (raw >> 63) << 2 | (raw >> 2 & 3)
                        } else {
                            raw >> 2 & 3
                        },
                    )?,
            );
        if config.read_inhibit {
            grants.field(Facts::R, self.no_read_facts(raw >> 61 & 1)?);
        }
        if config.execute_protection {
            grants.field(Facts::X, self.no_execute_facts(raw >> 62 & 1)?);
        }
        grants
            .field(
                Facts::W.union(Facts::DIRTY),
                self.writable_facts((raw >> 8 & 1) << 1 | (raw >> 1 & 1))?,
            );
        if config.walker {
            grants.field(Facts::ACCESSED, self.accessed_facts(raw & 1)?);
        }
        Some(grants.of_leaf(Facts::NONE))
    }

    /// A table entry's content.
    fn decode_table(&self, level: Level, raw: u64) -> Entry {
        let layout = self.layout(level);
        let grants = Grants::new();
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
        let privilege_choices = [
            codec::Choice::new(0, Facts::PR.union(Facts::PW).union(Facts::PX)),
            codec::Choice::new(0xc, Facts::RWX),
            codec::Choice::new(
                    if config.restricted_level { 0x8000_0000_0000_000c } else { 0xc },
                    Facts::UR.union(Facts::UW).union(Facts::UX),
                )
                .when(config.restricted_level),
        ];
        let no_read_choices = [
            codec::Choice::new(0, Facts::R),
            codec::Choice::new(0x2000_0000_0000_0000, Facts::NONE),
        ];
        let no_execute_choices = [
            codec::Choice::new(0, Facts::X),
            codec::Choice::new(0x4000_0000_0000_0000, Facts::NONE),
        ];
        let writable_choices = [
            codec::Choice::new(0, Facts::NONE),
            codec::Choice::new(0x100, Facts::W),
            codec::Choice::new(0x102, Facts::W.union(Facts::DIRTY)),
        ];
        let Some((all, value)) = codec::combine(
            facts,
            &[
                (Facts::RWX, privilege_choices.as_slice()),
                (
                    if config.read_inhibit { Facts::R } else { Facts::NONE },
                    if config.read_inhibit { no_read_choices.as_slice() } else { &[] },
                ),
                (
                    if config.execute_protection { Facts::X } else { Facts::NONE },
                    if config.execute_protection {
                        no_execute_choices.as_slice()
                    } else {
                        &[]
                    },
                ),
                (Facts::W.union(Facts::DIRTY), writable_choices.as_slice()),
            ],
        ) else { return None };
        spoken = spoken.union(all);
        bits |= value;
        if config.walker {
            let Some(value) = self.accessed_value(facts) else { return None };
            spoken = spoken.union(Facts::ACCESSED);
            bits |= codec::insert(value, 0, 0);
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
            Some(value) => Ok(codec::insert(value, 5, 4)),
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

    /// What a value of `privilege` states; `None` if it is illegal.
    const fn privilege_facts(&self, value: u64) -> Option<Facts> {
        let config = &self.config;
        const PR_PW_PX: Facts = Facts::PR.union(Facts::PW).union(Facts::PX);
        const UR_UW_UX: Facts = Facts::UR.union(Facts::UW).union(Facts::UX);
        match value {
            0b000 => Some(PR_PW_PX),
            0b011 => Some(Facts::RWX),
            0b111 if config.restricted_level => Some(UR_UW_UX),
            0b001 => Some(PR_PW_PX),
            0b010 => Some(PR_PW_PX),
            0b100 if config.restricted_level => Some(PR_PW_PX),
            0b101 if config.restricted_level => Some(Facts::NONE),
            0b110 if config.restricted_level => Some(Facts::NONE),
            _ => None,
        }
    }

    /// What a value of `no_read` states; `None` if it is illegal.
    const fn no_read_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0 => Some(Facts::R),
            1 => Some(Facts::NONE),
            _ => None,
        }
    }

    /// What a value of `no_execute` states; `None` if it is illegal.
    const fn no_execute_facts(&self, value: u64) -> Option<Facts> {
        match value {
            0 => Some(Facts::X),
            1 => Some(Facts::NONE),
            _ => None,
        }
    }

    /// What a value of `writable` states; `None` if it is illegal.
    const fn writable_facts(&self, value: u64) -> Option<Facts> {
        let config = &self.config;
        const W_DIRTY: Facts = Facts::W.union(Facts::DIRTY);
        match value {
            0b00 => Some(Facts::NONE),
            0b10 => Some(Facts::W),
            0b11 => Some(W_DIRTY),
            0b01 if !config.walker => Some(W_DIRTY),
            0b01 if config.walker => Some(Facts::DIRTY),
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

    /// What a value of `memory_type` means; `None` if it is illegal.
    const fn memory_type_type(&self, value: u64) -> Option<MemoryType> {
        match value {
            0b00 => Some(MemoryType::Uncached),
            0b01 => Some(MemoryType::WriteBack),
            0b10 => Some(MemoryType::WriteCombining),
            _ => Some(MemoryType::Unnamed),
        }
    }

    /// The value of `memory_type` for a memory type, or for what stands in for it.
    const fn memory_type_value(&self, memory: MemoryType) -> Option<u64> {
        match memory {
            MemoryType::Inherit | MemoryType::WriteBack => Some(0b01),
            MemoryType::WriteCombining | MemoryType::NonCacheable => Some(0b10),
            MemoryType::Uncached
            | MemoryType::DeviceNGnRnE
            | MemoryType::DeviceNGnRE
            | MemoryType::DeviceNGRE
            | MemoryType::DeviceGRE => Some(0b00),
            _ => None,
        }
    }

    /// INVTLB 6, a0, a1: the page of this address space, or a global one.
    ///
    /// LoongArch Reference Manual, Volume 1, INVTLB.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "loongarch64", target_os = "none"))]
    unsafe fn invalidate_page(
        &self,
        _root: HostPhysAddr,
        tag: Tag,
        start: u64,
        last: u64,
        granule: u8,
    ) -> bool {
        let tag = u64::from(tag.0);
        // SAFETY: as the caller promises.
        unsafe { ::core::arch::asm!(".4byte 0x38720000", options(nostack)) };
        let mut ia = start;
        loop {
            // SAFETY: as the caller promises.
            unsafe {
                ::core::arch::asm!(
                    ".4byte 0x06499486", in ("$a0") tag, in ("$a1") ia, options(nostack)
                )
            };
            match ia.checked_add(1 << granule) {
                Some(next) if next <= last => ia = next,
                _ => break,
            }
        }
        true
    }

    /// INVTLB 4, a0, zero: what is not global of this address space.
    ///
    /// LoongArch Reference Manual, Volume 1, INVTLB.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "loongarch64", target_os = "none"))]
    unsafe fn invalidate_asid(&self, _root: HostPhysAddr, tag: Tag) -> bool {
        let tag = u64::from(tag.0);
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".4byte 0x38720000", ".4byte 0x06498084", in ("$a0") tag,
                options(nostack)
            )
        };
        true
    }

    /// INVTLB 0, zero, zero.
    ///
    /// LoongArch Reference Manual, Volume 1, INVTLB.
    ///
    /// # Safety
    ///
    /// As for [`FormatTrait::invalidate`].
    #[cfg(all(target_arch = "loongarch64", target_os = "none"))]
    unsafe fn invalidate_all(&self, _root: HostPhysAddr, _tag: Tag) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            ::core::arch::asm!(
                ".4byte 0x38720000", ".4byte 0x06498000", options(nostack)
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
        name: "loongarch64_16k",
        title: "LoongArch64, pages of 16 KiB",
        architecture: "loongarch64",
        stage: 1,
        cite: "LoongArch Reference Manual, Volume 1, Page table mapping address translation mode",
        tlb: "INVTLB 6, a0, a1: the page of this address space, or a global one: one page, on this CPU; INVTLB 4, a0, zero: what is not global of this address space: one tag, on this CPU; INVTLB 0, zero, zero: everything, on this CPU",
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
        if layout.absent.matches(raw) {
            Next::Absent
        } else if layout.table.matches(raw) {
            Next::Table(raw & layout.next_table)
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
            hardware: config.walker,
            ..AccessedDirty::default()
        };
        states.dirty_mask = 2;
        states.dirty_value = 2;
        if config.walker {
            states.accessed_mask = 1;
            states.accessed_value = 1;
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
            pgd: 0,
            asid: 0,
            pwcl: 0x16e,
            pwch: 0,
            crmd: 0x10,
            stlbps: 0xe,
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
        let value = root >> 12;
        if value & 0xfff0_0000_0000_0000 != 0 {
            return Err(Refusal::Address(root));
        }
        registers.pgd |= codec::insert(value, 63, 12);
        if tag & 0xffff_ffff_ffff_fc00 != 0 {
            return Err(Refusal::Tag(Tag(tag as u32)));
        }
        registers.asid |= codec::insert(tag, 9, 0);
        registers.pwcl |= if config.levels > 2 { 0x6400 } else { 0 };
        registers.pwcl |= if config.levels > 2 { 0x5_8000 } else { 0 };
        registers.pwcl |= if config.levels > 3 { 0x40_0000 } else { 0 };
        registers.pwcl |= if config.levels > 3 { 0x1600_0000 } else { 0 };
        registers.pwch |= codec::insert((14 + 11 * (config.levels - 1)) as u64, 5, 0);
        registers.pwch
            |= codec::insert(
                ((config.input_bits as i64) - 14 - ((11 * (config.levels - 1)) as i64))
                    as u64,
                11,
                6,
            );
        registers.pwch |= codec::insert(config.walker as u64, 24, 24);
        Ok(registers)
    }

    fn fault(&self, report: &Report) -> Option<FaultInfo> {
        if !(::core::matches!(report.estat >> 16 & 0x3f, 1..= 7)) {
            return None;
        }
        Some(FaultInfo {
            address: Some(report.badv),
            access: if report.estat >> 16 & 0x3f == 1 || report.estat >> 16 & 0x3f == 5 {
                Rights::R
            } else if report.estat >> 16 & 0x3f == 2 || report.estat >> 16 & 0x3f == 4 {
                Rights::W
            } else if report.estat >> 16 & 0x3f == 3 || report.estat >> 16 & 0x3f == 6 {
                Rights::X
            } else {
                Rights::empty()
            },
            cause: if report.estat >> 16 & 0x3f <= 3 {
                Cause::NotMapped
            } else if report.estat >> 16 & 0x3f == 4 {
                Cause::Unspecified
            } else {
                Cause::Permission
            },
            level: None,
            width: None,
            guest_walk: false,
        })
    }

    fn raise(&self, fault: &Stage1Fault, _controls: &Controls) -> Option<Report> {
        let config = &self.config;
        if fault.level >= self.geometry.levels {
            return None;
        }
        let raw = match fault.cause {
            Stage1Cause::NotMarked | Stage1Cause::Denied => fault.entry,
            _ => 0,
        };
        let privilege: u64 = if config.restricted_level {
            (raw >> 63) << 2 | (raw >> 2 & 3)
        } else {
            raw >> 2 & 3
        };
        let no_execute: u64 = if config.execute_protection { raw >> 62 & 1 } else { 0 };
        let address = fault.address;
        let write = fault.access.intersects(Rights::W);
        let execute = fault.access.intersects(Rights::X);
        let user = fault.access.intersects(Rights::U);
        let input = ::core::matches!(fault.cause, Stage1Cause::Input);
        let not_marked = ::core::matches!(fault.cause, Stage1Cause::NotMarked);
        let denied = ::core::matches!(fault.cause, Stage1Cause::Denied);
        if input {
            return None;
        }
        Some(Report {
            estat: (if denied && (user && privilege & 3 != 3 || !user && privilege >= 5)
                && !(execute && no_execute == 1)
            {
                0x7_0000
            } else if write && (denied || not_marked) {
                0x4_0000
            } else if denied && execute {
                0x6_0000
            } else if denied {
                0x5_0000
            } else if execute {
                0x3_0000
            } else if write {
                0x2_0000
            } else {
                0x1_0000
            }),
            badv: address,
        })
    }

    #[cfg(all(target_arch = "loongarch64", target_os = "none"))]
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
                Invalidation::All => self.invalidate_all(root, tag),
                Invalidation::Space => {
                    if config.globals {
                        self.invalidate_all(root, tag)
                    } else {
                        self.invalidate_asid(root, tag)
                    }
                }
                Invalidation::Range { range, leaf_only: _, granule } => {
                    let granule = (*granule).clamp(14, 63);
                    if range.span() >> granule >= 64 {
                        if config.globals {
                            self.invalidate_all(root, tag)
                        } else {
                            self.invalidate_asid(root, tag)
                        }
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

    #[cfg(not(all(target_arch = "loongarch64", target_os = "none")))]
    unsafe fn invalidate(
        &self,
        _root: HostPhysAddr,
        _tag: Tag,
        _set: &Invalidation,
    ) -> bool {
        false
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
    /// The table that this value leads to; no address where walks stop.
    empty_table: u64,
    /// What tells an own entry that is not present from all others.
    absent: Pattern,
    /// What tells an own table from an own leaf.
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
        let leaf_bits = 14 + 11 * level;
        let block_level = config.huge && level == 1;
        let empty = if level == 0 { 0 } else { config.invalid_table };
        let mut layout = Self {
            leaf_bits,
            holds_leaves: level == 0 || block_level,
            holds_blocks: block_level,
            empty,
            empty_table: if level > 0 {
                config.invalid_table & u64::wrapping_sub(1 << config.pa_bits, 1)
            } else {
                u64::MAX
            },
            absent: Pattern::new(u64::MAX, empty),
            table: if level >= 1 { Pattern::new(0x40, 0) } else { Pattern::NEVER },
            output: codec::bits(config.pa_bits - 1, leaf_bits),
            next_table: codec::bits(config.pa_bits - 1, 14),
            leaf_base: 0,
            table_base: 0,
            rights: 0x102,
            memory: 0x30,
            options: 0xe00,
        };
        if level == 0 {
            layout.leaf_base |= if config.walker { 0x80 } else { 1 };
        }
        if block_level {
            layout.leaf_base |= if config.walker { 0xc0 } else { 0x41 };
        }
        if !config.walker {
            layout.leaf_base |= 0x80;
        }
        layout.rights
            |= if config.restricted_level { 0x8000_0000_0000_000c } else { 0xc };
        if config.read_inhibit {
            layout.rights |= 0x2000_0000_0000_0000;
        }
        if config.execute_protection {
            layout.rights |= 0x4000_0000_0000_0000;
        }
        if config.globals {
            layout.options |= if level == 0 { 0x40 } else { 0x1000 };
        }
        layout
    }
}

/// The values to load into the machine's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Registers {
    /// PGDH for the upper half of the address space, PGDL for the lower.
    ///
    /// Holds the root; loading it activates an address space.
    /// LoongArch Reference Manual, Volume 1, PGDL, PGDH.
    pub pgd: u64,
    /// Address space identifier.
    ///
    /// These bits must be set; the others are not ours.
    /// LoongArch Reference Manual, Volume 1, ASID.
    pub asid: u64,
    /// Page walk controller, lower half of the address.
    ///
    /// Configures walks; loaded with the root.
    /// LoongArch Reference Manual, Volume 1, PWCL.
    pub pwcl: u64,
    /// Page walk controller, upper half of the address.
    ///
    /// Configures walks; loaded with the root.
    /// LoongArch Reference Manual, Volume 1, PWCH.
    pub pwch: u64,
    /// Mode: mapped addresses, not direct ones.
    ///
    /// These bits must be set; the others are not ours.
    /// LoongArch Reference Manual, Volume 1, CRMD.
    pub crmd: u64,
    /// Page size of the set-associative TLB.
    ///
    /// Configures walks; loaded with the root.
    /// LoongArch Reference Manual, Volume 1, STLBPS.
    pub stlbps: u64,
}

/// The hardware's report of a fault, one field for each register.
///
/// LoongArch Reference Manual, Volume 1, ESTAT; BADV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// CSR 0x5, Exception Status.
    pub estat: u64,
    /// CSR 0x7, Bad Virtual Address.
    pub badv: u64,
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
            "huge_1g" => return value == 0,
            "pa_bits" => {
                match u8::try_from(value) {
                    Ok(value) => self.pa_bits = value,
                    Err(_) => return false,
                }
            }
            "va_bits" => {
                match u8::try_from(value) {
                    Ok(value) => self.va_bits = value,
                    Err(_) => return false,
                }
            }
            "walker" => self.walker = value != 0,
            "huge" => self.huge = value != 0,
            "read_inhibit" => self.read_inhibit = value != 0,
            "execute_protection" => self.execute_protection = value != 0,
            "restricted_level" => self.restricted_level = value != 0,
            "invalid_table" => self.invalid_table = value.cast_unsigned(),
            "upper" => self.upper = value != 0,
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
    pub const fn by_name(&self) -> [(&'static str, i64); 12] {
        [
            ("pa_bits", self.pa_bits as i64),
            ("va_bits", self.va_bits as i64),
            ("walker", self.walker as i64),
            ("huge", self.huge as i64),
            ("read_inhibit", self.read_inhibit as i64),
            ("execute_protection", self.execute_protection as i64),
            ("restricted_level", self.restricted_level as i64),
            ("invalid_table", self.invalid_table.cast_signed()),
            ("upper", self.upper as i64),
            ("globals", self.globals as i64),
            ("levels", self.levels as i64),
            ("input_bits", self.input_bits as i64),
        ]
    }
}

impl Registers {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 6] {
        [
            ("pgd", self.pgd),
            ("asid", self.asid),
            ("pwcl", self.pwcl),
            ("pwch", self.pwch),
            ("crmd", self.crmd),
            ("stlbps", self.stlbps),
        ]
    }
}

impl Report {
    /// A report from its registers' values, in the order of the fields.
    pub const fn from_values([estat, badv]: [u64; 2]) -> Self {
        Self { estat, badv }
    }
}

impl Report {
    /// Each register's name and value.
    pub const fn by_name(&self) -> [(&'static str, u64); 2] {
        [("estat", self.estat), ("badv", self.badv)]
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
    pub const fn from_values([cpucfg1, cpucfg2, prcfg2]: [u64; 3]) -> Self {
        Self { cpucfg1, cpucfg2, prcfg2 }
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
