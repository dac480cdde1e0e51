//! The countable costs of operations on large ranges: invalidations and tables.

use tablewright::{ClosedRange, Format, Linear};

use crate::formats::{ept, stage2_4k, sv_x4};
use crate::rig::{RW, Rig, distant, gpa, range};

const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
const PAGE: usize = 0x1000;

/// Maps 1 GiB of pages into an empty space, and unmaps it: how many invalidations each asks for.
fn invalidations<F: Format>(mut rig: Rig<F>) -> [usize; 2] {
    rig.machine.take_log();
    rig.space.map_linear(gpa(GIB), distant(64 * GIB + PAGE, GIB), RW).unwrap();
    let mapping = rig.machine.take_log().len();
    rig.space.unmap(gpa(GIB), GIB).unwrap();
    [mapping, rig.machine.take_log().len()]
}

#[test]
fn a_gibibyte_takes_no_invalidation_to_map_and_one_to_unmap() {
    assert_eq!(invalidations(ept("server")), [0, 1]);
    assert_eq!(invalidations(stage2_4k("4k-40")), [0, 1]);
    assert_eq!(invalidations(stage2_4k("4k-48")), [0, 1]);
    // Here an entry that is not valid may be cached, too,
    assert_eq!(invalidations(sv_x4("sv48x4")), [1, 1]);
    // unless the hart promises that it soon notices what became valid.
    assert_eq!(invalidations(sv_x4("sv39x4-rich")), [0, 1]);
}

/// Maps other pages in place of 64 MiB of pages, and of one of them: how many invalidations each asks for.
fn replaced<F: Format>(mut rig: Rig<F>) -> [usize; 2] {
    rig.space.map_linear(gpa(GIB), distant(64 * GIB + PAGE, 64 * MIB), RW).unwrap();
    rig.machine.take_log();
    let mut replace = |start, size| {
        let host = distant(start + 128 * GIB + PAGE, size);
        rig.space.replace(gpa(start), size, RW, Linear::new(gpa(start), host)).unwrap();
        rig.machine.take_log().len()
    };
    [replace(GIB, 64 * MIB), replace(GIB + 5 * PAGE, PAGE)]
}

#[test]
fn what_is_replaced_is_invalidated_once() {
    assert_eq!(replaced(ept("server")), [1, 1]);
    assert_eq!(replaced(stage2_4k("4k-48")), [1, 1]);
    // The new pages, too, where an entry that is not valid may be cached.
    assert_eq!(replaced(sv_x4("sv48x4")), [2, 2]);
}

/// Logs 64 MiB of blocks page by page, and ends that: how many invalidations the end asks for.
fn logged<F: Format>(mut rig: Rig<F>) -> usize {
    rig.space.map_linear(gpa(GIB), distant(2 * GIB, 64 * MIB), RW).unwrap();
    let tables = rig.tables();
    rig.space.start_dirty_log(gpa(GIB), 64 * MIB).unwrap();
    rig.machine.take_log();
    rig.space.stop_dirty_log(gpa(GIB), 64 * MIB).unwrap();
    assert_eq!(rig.tables(), tables);
    rig.machine.take_log().len()
}

#[test]
fn a_block_is_made_at_once_not_of_runs() {
    // One for each block, and one for the rights of all pages.
    for count in [logged(ept("server")), logged(stage2_4k("4k-48")), logged(sv_x4("sv39x4-rich"))] {
        assert!((32..=35).contains(&count), "{count}");
    }
}

/// How many tables below one at `level` it takes, at least, to map these addresses and no others, each to itself plus
/// `delta`, where there are leaves of that level and all below.
fn tables_below(level: u32, within: ClosedRange, mapped: &[ClosedRange], delta: u64) -> usize {
    let size = 1 << (12 + 9 * level);
    let mut count = 0;
    let mut slot = within.start();
    while slot <= within.last() {
        let here = range(slot as usize, size);
        let leaf = delta.is_multiple_of(size as u64) && mapped.iter().any(|mapped| mapped.covers(&here));
        if level > 0 && !leaf && mapped.iter().any(|mapped| mapped.intersection(&here).is_some()) {
            count += 1 + tables_below(level - 1, here, mapped, delta);
        }
        slot += size as u64;
    }
    count
}

/// Maps a range, and cuts a hole into it: the tables are as few as can be before and after, so none is empty.
fn minimal<F: Format>(mut rig: Rig<F>) {
    let top = u32::from(rig.space.page_table().geometry().top());
    // One table of level 2 translates all that is mapped here.
    let all = range(0, 1 << 39);
    for (start, size, delta) in [
        (GIB, PAGE, 0),
        (GIB, GIB, PAGE),
        (GIB, GIB, 2 * MIB),
        (GIB, 4 * GIB, GIB),
        (GIB + PAGE, 4 * GIB - 2 * PAGE, GIB),
        (GIB - 3 * PAGE, 2 * MIB + 5 * PAGE, 0),
    ] {
        let delta = 64 * GIB + delta;
        // Those from the root to the one of level 2 that all of it is below, and those below that.
        let least = |mapped: &[ClosedRange]| (2..=top).count() + tables_below(2, all, mapped, delta as u64);
        rig.space.map_linear(gpa(start), distant(start + delta, size), RW).unwrap();
        assert_eq!(rig.tables(), least(&[range(start, size)]), "{size:#x} bytes at {start:#x}");

        // A third of it, in the middle.
        let hole = (start + size / 3 / PAGE * PAGE, size / 3 / PAGE * PAGE);
        if hole.1 > 0 {
            rig.space.unmap(gpa(hole.0), hole.1).unwrap();
            let after = hole.0 + hole.1;
            let left = [range(start, hole.0 - start), range(after, start + size - after)];
            assert_eq!(rig.tables(), least(&left), "a hole of {:#x} bytes at {:#x}", hole.1, hole.0);
        }
        rig.space.clear().unwrap();
        assert_eq!(rig.tables(), 1);
    }
}

#[test]
fn there_are_no_more_tables_than_it_takes() {
    minimal(ept("server"));
    minimal(stage2_4k("4k-48"));
    minimal(sv_x4("sv48x4"));
}
