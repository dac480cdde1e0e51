//! Formats whose tables are unlike those of the built-in ones: the laws hold for them, too.

use tablewright::sim::Machine;
use tablewright::{Attributes, ClosedRange, Geometry, MemoryType, PageTable, Rights, Tag};
use tablewright_archdefs::bound;

tablewright::page_table_format! { pub mod linear = "arch/linear.toml" }
tablewright::format_tests! { mod linear_laws = "arch/linear.toml": crate::linear }

tablewright::page_table_format! { pub mod small = "arch/small.toml" }
tablewright::format_tests! { mod small_laws = "arch/small.toml": crate::small }

tablewright::page_table_format! { pub mod power = "arch/power.toml" }
tablewright::format_tests! { mod power_laws = "arch/power.toml": crate::power }

/// Where an address leads, by a walk as the Power ISA has it: the entries are big-endian, and each says how large the next
/// table is.
fn walked(machine: &Machine, root: u64, ia: u64) -> Option<u64> {
    let (mut table, mut size, mut shift) = (root, 13, 52);
    while size != 0 {
        shift -= size;
        let entry = u64::from_be(machine.read_word(table + (ia >> shift & ((1 << size) - 1)) * 8)?);
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
    let machine = Machine::new(0x12_3000_0000, 1 << 20);
    let format = power::Format::new(&power::Config::new(4, 52)).unwrap();
    let mut table = PageTable::new(format, machine.clone(), Tag(1)).unwrap();
    // Pages, 2 MiB blocks, a block of 1 GiB, and the same again: carries go through all parts of the address.
    let range = ClosedRange::new(0xf_ff7f_b4ff_e000, 0xf_ffff_cb60_1fff).unwrap();
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

#[test]
fn what_the_checker_accepts_the_engine_has_place_for() {
    assert_eq!(usize::from(bound::Geometry::MAX_LEVELS), Geometry::MAX_LEVELS);
}
