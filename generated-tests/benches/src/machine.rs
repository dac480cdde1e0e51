//! The formats that are measured, with the constants that hand-written loops need.

use tablewright::{Format, aarch64::stage2_4k, riscv64::sv_x4, x86_64::ept};

/// A format with its parameters. `AD` says whether hardware sets accessed and dirty flags.
pub trait Machine: 'static {
    /// Its name in the table.
    const NAME: &'static str;
    /// Whether hardware may change entries while software does.
    const HARDWARE: bool;
    /// Whether other libraries are measured with it.
    const PEERS: bool = false;
    /// This library's type of the format.
    type Format: Format;
    /// A value of that type.
    fn format() -> Self::Format;

    /// log2 of the root's entries.
    const ROOT_BITS: u8 = 9;
    /// The bit of a leaf that allows writes.
    const WRITE: u64;
    /// The dirty bit of a leaf; 0 if there is none, so that `WRITE` stands for it.
    const DIRTY: u64;
    /// A leaf at `level` that maps to `oa`, with all rights, write-back, marked accessed and dirty.
    fn leaf(level: u8, oa: u64) -> u64;
    /// The entry that points to the table at `address`.
    fn table(address: u64) -> u64;
    /// The address in an entry.
    fn address(entry: u64) -> u64;
    /// Whether the entry is not present.
    fn is_absent(entry: u64) -> bool;
    /// Whether the entry, which is present, is a leaf.
    fn is_leaf(level: u8, entry: u64) -> bool;
}

/// EPT of 4 levels.
pub struct Ept<const AD: bool>;

impl<const AD: bool> Machine for Ept<AD> {
    const NAME: &'static str = "EPT";
    const HARDWARE: bool = AD;
    const PEERS: bool = !AD;
    type Format = ept::Format;

    fn format() -> ept::Format {
        let config = ept::Config { pa_bits: 48, huge_1g: true, access_dirty: AD, ..ept::Config::new(4, 48) };
        ept::Format::new(&config).expect("legal parameters")
    }

    const WRITE: u64 = 2;
    const DIRTY: u64 = if AD { 0x200 } else { 0 };

    #[inline]
    fn leaf(level: u8, oa: u64) -> u64 {
        oa | 0x37 | if level > 0 { 0x80 } else { 0 } | if AD { 0x300 } else { 0 }
    }

    #[inline]
    fn table(address: u64) -> u64 {
        address | 7
    }

    #[inline]
    fn address(entry: u64) -> u64 {
        entry & 0xffff_ffff_f000
    }

    #[inline]
    fn is_absent(entry: u64) -> bool {
        entry & 7 == 0
    }

    #[inline]
    fn is_leaf(level: u8, entry: u64) -> bool {
        level == 0 || entry & 0x80 != 0
    }
}

/// VMSAv8-64 stage 2 with 4 KiB granule and 4 levels.
pub struct Stage2<const AD: bool>;

impl<const AD: bool> Machine for Stage2<AD> {
    const NAME: &'static str = "stage 2, 4K";
    const HARDWARE: bool = AD;
    type Format = stage2_4k::Format;

    fn format() -> stage2_4k::Format {
        let config =
            stage2_4k::Config { pa_bits: 48, hardware_access: AD, hardware_dirty: AD, ..stage2_4k::Config::new(4, 48) };
        stage2_4k::Format::new(&config).expect("legal parameters")
    }

    const WRITE: u64 = 0x80;
    const DIRTY: u64 = 0;

    #[inline]
    fn leaf(level: u8, oa: u64) -> u64 {
        oa | 0x7fd | if level == 0 { 2 } else { 0 } | if AD { 1 << 51 } else { 0 }
    }

    #[inline]
    fn table(address: u64) -> u64 {
        address | 3
    }

    #[inline]
    fn address(entry: u64) -> u64 {
        entry & 0xffff_ffff_f000
    }

    #[inline]
    fn is_absent(entry: u64) -> bool {
        entry & 1 == 0
    }

    #[inline]
    fn is_leaf(level: u8, entry: u64) -> bool {
        level == 0 || entry & 2 == 0
    }
}

/// Sv48x4.
pub struct Sv48x4<const AD: bool>;

impl<const AD: bool> Machine for Sv48x4<AD> {
    const NAME: &'static str = "Sv48x4";
    const HARDWARE: bool = AD;
    type Format = sv_x4::Format;

    fn format() -> sv_x4::Format {
        let config = sv_x4::Config { svadu: AD, svvptc: true, ..sv_x4::Config::new(4, 50) };
        sv_x4::Format::new(&config).expect("legal parameters")
    }

    const ROOT_BITS: u8 = 11;
    const WRITE: u64 = 4;
    const DIRTY: u64 = 0x80;

    #[inline]
    fn leaf(_level: u8, oa: u64) -> u64 {
        oa >> 2 | 0xdf
    }

    #[inline]
    fn table(address: u64) -> u64 {
        address >> 2 | 1
    }

    #[inline]
    fn address(entry: u64) -> u64 {
        entry << 2 & 0x003f_ffff_ffff_f000
    }

    #[inline]
    fn is_absent(entry: u64) -> bool {
        entry & 1 == 0
    }

    #[inline]
    fn is_leaf(_level: u8, entry: u64) -> bool {
        entry & 0xe != 0
    }
}
