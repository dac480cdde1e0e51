//! Mappings that replace a part of another: holes for devices in memory, and memory again.

use tablewright::{
    Alloc, BackendError, Device, DeviceAccess, FaultOutcome, Format, GuestMemoryAccessor, Linear, MappingFlags, Rights,
    SpaceError,
};

use crate::formats::in_every_format;
use crate::rig::{READ, RW, Rig, distant, gpa, hpa, range};

in_every_format! {
    a_hole_for_a_device_in_a_block_of_memory
    what_cannot_be_had_leaves_what_was_there
    a_page_takes_the_tables_on_its_way
    tables_beside_others_become_theirs
}

fn a_hole_for_a_device_in_a_block_of_memory<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(block), distant(4 * block, 2 * block), RW).unwrap();
    let (passed, emulated) = (block + 3 * page, block + 7 * page);
    rig.access(passed, Rights::W);
    rig.access(emulated, Rights::R);
    let uart = distant(64 * block, page);
    rig.space.replace(gpa(passed), page, RW | MappingFlags::DEVICE, Linear::new(gpa(passed), uart)).unwrap();
    rig.space.replace(gpa(emulated), page, RW, Device::new(gpa(emulated), 7)).unwrap();
    rig.check_mmu();
    assert_eq!(rig.space.translate(gpa(passed + 8)), Some(hpa(64 * block + 8)));
    rig.access(passed, Rights::W);
    let access = DeviceAccess { handle: 7, offset: 8, access: Rights::R, width: None };
    assert_eq!(rig.space.handle_fault(gpa(emulated + 8), Rights::R), FaultOutcome::Device(access));
    for around in [passed - page, passed + page, emulated - page, emulated + page, 3 * block - page] {
        assert_eq!(rig.space.translate(gpa(around)), Some(hpa(around + 3 * block)), "{around:#x}");
    }
    assert_eq!(rig.space.areas().len(), 5);

    // And back: what continues each other is one again.
    for at in [passed, emulated] {
        rig.space.replace(gpa(at), page, RW, Linear::new(gpa(at), distant(at + 3 * block, page))).unwrap();
    }
    assert_eq!(rig.space.areas().len(), 1);
    assert_eq!(rig.space.translate(gpa(emulated)), Some(hpa(emulated + 3 * block)));
}

fn what_cannot_be_had_leaves_what_was_there<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 8 * page, RW, true).unwrap();
    rig.space.write_obj(gpa(3 * page), 7_u64).unwrap();
    let short = Linear::new(gpa(2 * page), distant(64 * page, page));
    let error = SpaceError::Area { area: range(2 * page, 2 * page), error: BackendError::TooShort(*short.region()) };
    rig.refuses(error, |space| space.replace(gpa(2 * page), 2 * page, READ, short));
    // More memory than the machine has.
    let size = rig.space.page_table().geometry().page_bits.max(24) as usize;
    let before = rig.state();
    assert!(rig.space.replace(gpa(0), 1 << (size + 1), RW, Alloc::POPULATED).is_err());
    assert!(rig.state() == before, "something changed");
    assert_eq!(rig.space.read_obj::<u64>(gpa(3 * page)), Ok(7));
}

fn a_page_takes_the_tables_on_its_way<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 8 * page, RW, true).unwrap();
    let before = rig.machine.allocations();
    rig.space.replace(gpa(2 * page), page, READ, Alloc::POPULATED).unwrap();
    // It is built aside, from a root of its own, and the tables that are missing here are taken from there.
    let levels = u64::from(rig.space.page_table().geometry().levels);
    assert_eq!(rig.machine.allocations() - before, levels + 1);
}

/// Pages in place of a part of a table, of whole tables, and of holes, beside what stays: no table is there twice.
fn tables_beside_others_become_theirs<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(page), distant((1 << 34) + 2 * page, 6 * block - 2 * page), RW).unwrap();
    let tables = rig.tables();
    rig.space.unmap(gpa(3 * block), block).unwrap();
    assert_eq!(rig.tables(), tables - 1);
    let parts = [(2 * block - 3 * page, 2 * block + 3 * page), (0, 6 * block), (block, page), (5 * block, block)];
    for (number, (start, size)) in parts.into_iter().enumerate() {
        let host = (2 << 34) + (number << 32) + page;
        for at in [0, block, 2 * block - 3 * page, 3 * block] {
            rig.access(at, Rights::R);
        }
        let other = Linear::new(gpa(start), distant(host + start, size));
        rig.space.replace(gpa(start), size, READ, other).unwrap();
        rig.check_mmu();
        assert_eq!(rig.tables(), tables);
        for at in (start..start + size).step_by(7 * page) {
            assert_eq!(rig.space.translate(gpa(at)), Some(hpa(host + at)), "{at:#x}");
        }
        for at in [start.wrapping_sub(page), start + size] {
            let found = rig.space.translate(gpa(at));
            assert!(found.is_none_or(|found| found.as_usize() < host), "{at:#x}");
        }
    }
}
