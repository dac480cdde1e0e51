//! Formats with tables unlike those of the built-in formats. The laws hold for these, too.

use tablewright::sim::Machine;
use tablewright::{
    Attributes, Change, ClosedRange, Format, Geometry, MemoryType, PageTable, Rights, Tag, riscv64::sv32,
};
use tablewright_archdefs::bound;

tablewright::page_table_format! { pub mod linear = "arch/linear.toml" }
tablewright::format_tests! { mod linear_laws = "arch/linear.toml": crate::linear }

tablewright::page_table_format! { pub mod small = "arch/small.toml" }
tablewright::format_tests! { mod small_laws = "arch/small.toml": crate::small }

tablewright::page_table_format! {
    /// Two modules: for pages of 4 KiB and of 64 KiB.
    pub mod power = "arch/power.toml"
}
tablewright::format_tests! { mod power_laws = "arch/power.toml": crate::power::power_4k, crate::power::power_64k }

tablewright::page_table_format! { pub mod s390 = "arch/s390.toml" }
tablewright::format_tests! { mod s390_laws = "arch/s390.toml": crate::s390 }

tablewright::page_table_format! { pub mod short = "arch/short.toml" }
tablewright::format_tests! { mod short_laws = "arch/short.toml": crate::short }

tablewright::page_table_format! { pub mod srmmu = "arch/srmmu.toml" }
tablewright::format_tests! { mod srmmu_laws = "arch/srmmu.toml": crate::srmmu }

tablewright::page_table_format! {
    /// Two modules: for pages of 4 KiB and of 8 KiB.
    pub mod m68040 = "arch/m68040.toml"
}
tablewright::format_tests! { mod m68040_laws = "arch/m68040.toml": crate::m68040::m68040_4k, crate::m68040::m68040_8k }

tablewright::page_table_format! { pub mod sv32_x4 = "arch/sv32_x4.toml" }
tablewright::format_tests! { mod sv32_x4_laws = "arch/sv32_x4.toml": crate::sv32_x4 }

tablewright::page_table_format! { pub mod sv32_be = "arch/sv32_be.toml" }
tablewright::format_tests! { mod sv32_be_laws = "arch/sv32_be.toml": crate::sv32_be }

/// An entry of MMUs that read them as big-endian.
fn load(machine: &Machine, address: u64) -> Option<u64> {
    machine.read_word(address).map(u64::from_be)
}

/// Where an address leads, and whether it can be stored to, by a walk as the Principles of Operation have it: an
/// address-space-control element says which table it designates and how long that is, and entries say what they are of.
fn dat(machine: &Machine, asce: u64, ia: u64) -> Option<(u64, bool)> {
    let (mut origin, mut kind, mut length) = (asce & !0xfff, asce >> 2 & 3, asce & 3);
    let mut stores = true;
    // Region-first, region-second, region-third and segment index, each of 11 bits.
    if kind < 3 && ia >> (31 + 11 * kind) != 0 {
        return None;
    }
    loop {
        let index = ia >> (20 + 11 * kind) & 0x7ff;
        if index >> 9 > length {
            return None;
        }
        let entry = load(machine, origin + index * 8)?;
        if entry & 0x20 != 0 {
            return None;
        }
        assert_eq!(entry >> 2 & 3, kind, "a translation-specification exception");
        stores &= entry & 0x200 == 0;
        match kind {
            0 | 1 if entry & 0x400 != 0 => {
                let size = (1 << (20 + 11 * kind)) - 1;
                return Some((entry & !size | ia & size, stores));
            }
            0 => {
                let page = load(machine, (entry & !0x7ff) + (ia >> 12 & 0xff) * 8)?;
                assert_eq!(page & 0x800, 0, "a translation-specification exception");
                let stores = stores && page & 0x200 == 0;
                return (page & 0x400 == 0).then_some((page & !0xfff | ia & 0xfff, stores));
            }
            _ => (origin, kind, length) = (entry & !0xfff, kind - 1, entry & 3),
        }
    }
}

#[test]
fn tables_of_two_sizes_lead_where_their_mmu_follows_them() {
    for (levels, input_bits, edat) in [(2, 31, false), (3, 40, true), (3, 42, true), (4, 53, true), (5, 64, true)] {
        let machine = Machine::new(0x12_3000_0000, 64 << 20);
        let config = s390::Config { edat1: edat, edat2: edat, ..s390::Config::new(levels, input_bits) };
        let format = s390::Format::new(&config).unwrap();
        let mut table = PageTable::new(format, machine.clone(), Tag(1)).unwrap();
        // Pages, then segments, then a region where there are 2 GiB, and the same again, up to the last page.
        let last = u64::MAX >> (64 - input_bits);
        let start = last - if edat { 0xc034_5fff } else { 0x1034_5fff };
        let (pages, delta) =
            (ClosedRange::new(start, last).unwrap(), 0x7_8000_0000_u64.wrapping_sub(last).wrapping_sub(1));
        let attributes = Attributes::new(Rights::RWX, MemoryType::WriteBack);
        let mut gather = table.gather();
        // SAFETY: nobody accesses the memory through the table.
        unsafe { table.map(pages, start.wrapping_add(delta), &attributes, &mut gather) }.unwrap();
        let read_only = ClosedRange::new(start + 0x10_0000, start + 0x23_ffff).unwrap();
        let no_stores = Change { rights: Some(Rights::R | Rights::X), ..Change::default() };
        table.protect(read_only, &no_stores, &mut gather).unwrap();
        gather.flush();
        let asce = format.registers(table.root(), Tag(1)).unwrap().asce;
        for ia in (start..=last).step_by(0x17_f000).chain([last, read_only.start(), read_only.last() + 1]) {
            let wanted = (ia.wrapping_add(delta), !read_only.contains(ia));
            assert_eq!(dat(&machine, asce, ia), Some(wanted), "{levels} levels, {ia:#x}");
        }
        assert_eq!(dat(&machine, asce, start - 1), None);
        assert_eq!(dat(&machine, asce, 0), None);
    }
}

/// Where an address leads, by a walk as the Power ISA has it: each entry says how large the next table is.
fn walked(machine: &Machine, root: u64, ia: u64) -> Option<u64> {
    let (mut table, mut size, mut shift) = (root, 13, 52);
    while size != 0 {
        shift -= size;
        let entry = load(machine, table + (ia >> shift & ((1 << size) - 1)) * 8)?;
        match entry >> 62 {
            0b10 => (table, size) = (entry & 0x0fff_ffff_ffff_ff00, entry & 0x1f),
            0b11 => return Some(entry & 0x01ff_ffff_ffff_f000 | ia & ((1 << shift) - 1)),
            _ => return None,
        }
    }
    None
}

#[test]
fn big_endian_entries_lead_where_their_mmu_follows_them() {
    pages_and_blocks(power::power_4k::Format::new(&power::power_4k::Config::new(4, 52)).unwrap(), 0xe000, 0x1fff);
    pages_and_blocks(power::power_64k::Format::new(&power::power_64k::Config::new(4, 52)).unwrap(), 0, 0xffff);
}

/// Maps from the address that ends with `start` to the one that ends with `last`.
fn pages_and_blocks<F: Format>(format: F, start: u64, last: u64) {
    let machine = Machine::new(0x12_3000_0000, 1 << 20);
    let mut table = PageTable::new(format, machine.clone(), Tag(1)).unwrap();
    // Pages, 2 MiB blocks, a block of 1 GiB, and the same again: carries go through all parts of the address.
    let range = ClosedRange::new(0xf_ff7f_b4ff_0000 + start, 0xf_ffff_cb60_0000 + last).unwrap();
    let moved = 0x00f0_0000_0000_0000 - 0x8000_0000;
    let attributes = Attributes::new(Rights::RWX, MemoryType::WriteBack);
    let mut gather = table.gather();
    // SAFETY: nobody accesses the memory through the table.
    unsafe { table.map(range, range.start() + moved, &attributes, &mut gather) }.unwrap();
    gather.flush();
    let root = table.root().as_usize() as u64;
    for ia in (range.start()..=range.last()).step_by(0x17_f000).chain([range.last()]) {
        assert_eq!(walked(&machine, root, ia), Some(ia + moved), "{ia:#x}");
    }
    assert_eq!(walked(&machine, root, range.start() - 1), None);
    assert_eq!(walked(&machine, root, range.last() + 1), None);
}

/// An entry of 32 bits, from its bytes.
fn load_narrow(machine: &Machine, address: u64) -> Option<[u8; 4]> {
    let word = machine.read_word(address & !7)?.to_ne_bytes();
    word[(address & 4) as usize..][..4].try_into().ok()
}

/// Where an address leads, by a walk as the RISC-V manual has it for Sv32 and, with a root of 12 index bits, for Sv32x4.
fn sv32_walk(machine: &Machine, root: u64, ia: u64, entry: fn([u8; 4]) -> u32) -> Option<u64> {
    let load = |table: u64, index: u64| load_narrow(machine, table + index * 4).map(entry);
    let upper = load(root, ia >> 22)?;
    match upper & 0b1111 {
        0b0001 => {
            let lower = load(u64::from(upper >> 10) << 12, ia >> 12 & 0x3ff)?;
            (lower & 0b1 == 1).then(|| u64::from(lower >> 10) << 12 | ia & 0xfff)
        }
        leaf if leaf & 1 == 1 => {
            assert_eq!(upper >> 10 & 0x3ff, 0, "a misaligned megapage");
            Some(u64::from(upper >> 20) << 22 | ia & 0x3f_ffff)
        }
        _ => None,
    }
}

/// As the manual of ARMv7-A has it for short descriptors, whose supersections and large pages are in 16 entries each.
fn short_walk(machine: &Machine, root: u64, ia: u64) -> Option<u64> {
    let load = |address| Some(u64::from(u32::from_le_bytes(load_narrow(machine, address)?)));
    let led_by = |entry: u64, bits: u32| Some(entry >> bits << bits | ia & ((1 << bits) - 1));
    let first = load(root | ia >> 20 << 2)?;
    match first & 0b11 {
        0b01 => {
            let second = load(first & !0x3ff | (ia >> 12 & 0xff) << 2)?;
            match second & 0b11 {
                0b00 => None,
                0b01 => led_by(second, 16),
                _ => led_by(second, 12),
            }
        }
        0b10 => led_by(first, if first >> 18 & 1 == 1 { 24 } else { 20 }),
        _ => None,
    }
}

/// As SPARC's manual has it for its reference MMU.
fn srmmu_walk(machine: &Machine, root: u64, ia: u64) -> Option<u64> {
    let mut table = root;
    for (shift, entries) in [(24, 256), (18, 64), (12, 64)] {
        let entry = u32::from_be_bytes(load_narrow(machine, table + (ia >> shift) % entries * 4)?);
        match entry & 0b11 {
            1 => table = u64::from(entry & !0b11) << 4,
            2 => return Some(u64::from(entry & !0xff) << 4 | ia & ((1 << shift) - 1)),
            _ => return None,
        }
    }
    None
}

/// As the manual of the MC68040 has it, with pages of `1 << page` bytes.
fn m68040_walk(machine: &Machine, root: u64, ia: u64, page: u32) -> Option<u64> {
    let load = |address| Some(u64::from(u32::from_be_bytes(load_narrow(machine, address)?)));
    let resident = |entry: u64| (entry & 0b10 != 0).then_some(entry);
    let root = resident(load(root | ia >> 25 << 2)?)?;
    let pointer = resident(load(root & !0x1ff | (ia >> 18 & 0x7f) << 2)?)?;
    let pages = if page == 12 { 64 } else { 32 };
    let last = load((pointer & !(pages * 4 - 1)) + (ia >> page) % pages * 4)?;
    (last & 1 == 1).then_some(last >> page << page | ia & ((1 << page) - 1))
}

#[test]
fn entries_of_32_bits_lead_where_their_mmu_follows_them() {
    let sv32 = sv32::Format::new(&sv32::Config::new(2, 32)).unwrap();
    narrow(sv32, Rights::RW, |machine, root, ia| sv32_walk(machine, root, ia, u32::from_le_bytes));
    let sv32_be = sv32_be::Format::new(&sv32_be::Config::new(2, 32)).unwrap();
    narrow(sv32_be, Rights::RW, |machine, root, ia| sv32_walk(machine, root, ia, u32::from_be_bytes));
    let sv32_x4 = sv32_x4::Format::new(&sv32_x4::Config::new(2, 34)).unwrap();
    narrow(sv32_x4, Rights::RW, |machine, root, ia| sv32_walk(machine, root, ia, u32::from_le_bytes));
    for input_bits in [26, 32] {
        narrow(short::Format::new(&short::Config::new(2, input_bits)).unwrap(), Rights::RW, short_walk);
    }
    narrow(srmmu::Format::new(&srmmu::Config::new(3, 32)).unwrap(), Rights::RW, srmmu_walk);
    let m68040_4k = m68040::m68040_4k::Format::new(&m68040::m68040_4k::Config::new(3, 32)).unwrap();
    narrow(m68040_4k, Rights::RWX, |machine, root, ia| m68040_walk(machine, root, ia, 12));
    let m68040_8k = m68040::m68040_8k::Format::new(&m68040::m68040_8k::Config::new(3, 32)).unwrap();
    narrow(m68040_8k, Rights::RWX, |machine, root, ia| m68040_walk(machine, root, ia, 13));
}

/// Maps pages, the largest blocks that fit, and pages again, up to the last, each half of a table by itself; and takes some
/// out.
fn narrow<F: Format>(format: F, rights: Rights, walk: impl Fn(&Machine, u64, u64) -> Option<u64>) {
    let geometry = format.geometry();
    // Beyond 4 GiB, where tables can be there.
    let machine = Machine::new(0x1_2300_0000 & geometry.last_output(), 1 << 20);
    let mut table = PageTable::new(format, machine.clone(), Tag(1)).unwrap();
    let (last, page) = (geometry.last_input(), 1 << geometry.page_bits);
    let mapped = ClosedRange::new(last - 0x0112_1fff, last).unwrap();
    // The last output address is the last that there is.
    let delta = geometry.last_output() - last;
    let attributes = Attributes::new(rights, MemoryType::WriteBack);
    let mut gather = table.gather();
    // SAFETY: nobody accesses the memory through the table.
    unsafe { table.map(mapped, mapped.start() + delta, &attributes, &mut gather) }.unwrap();
    let hole = ClosedRange::new(last - 5 * page + 1, last - 2 * page).unwrap();
    table.unmap(hole, &mut gather).unwrap();
    gather.flush();
    assert_eq!(machine.used(), ((table.tables().count() - 1) << geometry.table_bits) + (1 << geometry.root_bits));
    let root = table.root().as_usize() as u64;
    for ia in (mapped.start() - 0x1000..=last).step_by(0x1000).chain([0, last]) {
        let wanted = (mapped.contains(ia) && !hole.contains(ia)).then_some(ia + delta);
        assert_eq!(walk(&machine, root, ia), wanted, "{ia:#x}");
    }
}

#[test]
fn what_the_checker_accepts_the_engine_has_place_for() {
    assert_eq!(usize::from(bound::Geometry::MAX_LEVELS), Geometry::MAX_LEVELS);
}
