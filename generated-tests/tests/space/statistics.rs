//! A space's statistics.

use tablewright::{
    Alloc, DeviceAccess, FaultCounts, FaultOutcome, Format, Linear, Operation, PageBitmap, Rights, State,
};

use crate::formats::in_every_format;
use crate::rig::{READ, RW, Rig, distant, gpa, range};

in_every_format! {
    every_byte_that_the_guest_holds_is_counted
    pages_of_each_size_are_told_apart
    leaves_are_counted_as_they_are_listed
    the_work_of_changes_is_counted
}

/// The machine counts frames when they are taken; the statistics find them in the tables.
fn every_byte_that_the_guest_holds_is_counted<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    let check = |rig: &Rig<F>| {
        let statistics = rig.space.statistics();
        assert_eq!(statistics.mapped_bytes() + statistics.table_bytes, rig.used() as u64, "{statistics}");
        assert_eq!(statistics.tables.iter().sum::<usize>(), rig.tables());
        assert_eq!(statistics.areas, rig.space.areas().len());
    };
    check(&rig);
    rig.space.map_alloc(gpa(page), 40 * page, RW, true).unwrap();
    check(&rig);
    rig.space.map_alloc(gpa(4 * block), 4 * page, RW, false).unwrap();
    check(&rig);
    assert_eq!(rig.space.handle_fault(gpa(4 * block + page), Rights::W), FaultOutcome::Mapped);
    check(&rig);
    rig.space.unmap(gpa(9 * page), 3 * page).unwrap();
    check(&rig);
    rig.space.clear().unwrap();
    check(&rig);
    assert_eq!(rig.space.statistics().mapped_bytes(), 0);
}

fn pages_of_each_size_are_told_apart<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    let top = rig.space.page_table().geometry().top();
    rig.space.map_linear(gpa(0), distant(1 << 34, block), RW).unwrap();
    rig.space.map_linear(gpa(2 * block), distant(1 << 35, page), RW).unwrap();
    let statistics = rig.space.statistics();
    assert_eq!(statistics.leaves[block.ilog2() as usize], 1);
    assert_eq!(statistics.leaves[page.ilog2() as usize], 1);
    assert_eq!(statistics.leaves.iter().sum::<usize>(), 2);
    assert_eq!((statistics.tables[usize::from(top)], statistics.tables[0]), (1, 1));
    rig.space.map_alloc(gpa(4 * block), page, RW, false).unwrap();
    assert_eq!(rig.space.statistics().leaves, statistics.leaves);
}

/// Pages with holes and, where there are runs, runs beside them, with a block before and after them.
fn leaves_are_counted_as_they_are_listed<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(0), distant(1 << 34, 3 * block), RW).unwrap();
    for number in [0, 2, 9, 64, 65] {
        rig.space.unmap(gpa(block + number * page), page).unwrap();
    }
    let table = rig.space.page_table();
    let mut listed = [0; 64];
    table.mappings(rig.space.range()).for_each(|leaf| listed[usize::from(leaf.size)] += 1);
    assert_eq!(rig.space.statistics().leaves, listed);
    assert_eq!(rig.space.statistics().mapped_bytes() as usize, 3 * block - 5 * page);
}

/// The machine knows what was asked of it, and the tables show which leaves are gone.
fn the_work_of_changes_is_counted<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(0), distant(1 << 34, 4 * block), RW).unwrap();
    rig.space.map_alloc(gpa(8 * block), 8 * page, RW, true).unwrap();
    let large = |rig: &Rig<F>| {
        let leaves = rig.space.statistics().leaves;
        leaves.iter().skip(usize::from(F::PAGE_BITS) + 1).sum::<usize>() as u64
    };
    rig.machine.take_log();
    let mut before = rig.space.change_counts();
    let mut change = |name: &str, splits: bool, operation: &dyn Fn(&mut Rig<F>)| {
        let leaves = large(&rig);
        operation(&mut rig);
        let now = rig.space.change_counts();
        assert_eq!(now.invalidations - before.invalidations, rig.machine.take_log().len() as u64, "{name}");
        assert_eq!(now.splits > before.splits, splits, "{name}");
        if splits {
            // A run is cut in two steps.
            let gone = leaves.saturating_sub(large(&rig));
            assert!(now.splits - before.splits >= gone, "{name}");
        }
        before = now;
    };
    change("nothing", false, &|rig| rig.space.unmap(gpa(0), 0).unwrap());
    change("protect in a block", true, &|rig| rig.space.protect(gpa(page), page, READ).unwrap());
    change("protect again", false, &|rig| rig.space.protect(gpa(page), page, READ).unwrap());
    change("protect pages", false, &|rig| rig.space.protect(gpa(8 * block), 8 * page, READ).unwrap());
    change("unmap in a block", true, &|rig| rig.space.unmap(gpa(block + page), page).unwrap());
    change("log", true, &|rig| rig.space.start_dirty_log(gpa(0), 4 * block).unwrap());
    change("harvest", false, &|rig| {
        let all = range(0, 16 * block);
        let mut words = vec![0; PageBitmap::words(all, F::PAGE_BITS)];
        let mut pages = PageBitmap::new(all, F::PAGE_BITS, &mut words).unwrap();
        rig.space.harvest(State::Dirty, &mut pages).unwrap();
    });
    change("end of the log", false, &|rig| rig.space.stop_dirty_log(gpa(0), 4 * block).unwrap());
    change("move", false, &|rig| rig.space.move_range(gpa(0), block, gpa(16 * block)).unwrap());
    change("move by a page", true, &|rig| rig.space.move_range(gpa(3 * block), page, gpa(32 * block)).unwrap());
    change("enlarge", false, &|rig| _ = rig.space.enlarge(gpa(0), 64 * block).unwrap());
    change("replace", true, &|rig| {
        let host = distant(1 << 35, page);
        rig.space.replace(gpa(2 * block), page, READ, Linear::new(gpa(2 * block), host)).unwrap();
    });
    change("replace pages", false, &|rig| {
        rig.space.replace(gpa(8 * block), 8 * page, READ, Alloc::POPULATED).unwrap();
    });
    change("unmap all", false, &|rig| rig.space.clear().unwrap());
    assert!(before.splits >= 4 && before.invalidations >= 4, "{before}");
}

#[test]
fn each_outcome_has_a_count_of_its_own() {
    let outcomes = [
        FaultOutcome::Mapped,
        FaultOutcome::Marked,
        FaultOutcome::Spurious,
        FaultOutcome::Denied,
        FaultOutcome::NotMapped,
        FaultOutcome::Device(DeviceAccess { handle: 0, offset: 0, access: Rights::R, width: None }),
        FaultOutcome::Misconfigured,
        FaultOutcome::OutOfMemory,
        FaultOutcome::NeedsExclusive(Operation::Split),
        FaultOutcome::Failed(tablewright::Error::ForeignGather),
    ];
    let mut counts = FaultCounts::default();
    for (times, outcome) in outcomes.into_iter().enumerate() {
        (0..=times).for_each(|_| assert_eq!(counts.note(outcome), outcome));
    }
    counts += counts;
    assert_eq!(counts.total(), 2 * 55);
    let each = FaultCounts {
        mapped: 2,
        marked: 4,
        spurious: 6,
        denied: 8,
        not_mapped: 10,
        device: 12,
        misconfigured: 14,
        out_of_memory: 16,
        needs_exclusive: 18,
        failed: 20,
    };
    assert_eq!(counts, each);
}
