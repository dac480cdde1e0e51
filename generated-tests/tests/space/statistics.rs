//! What a space says that it consists of.

use tablewright::{DeviceAccess, FaultCounts, FaultOutcome, Format, Operation, Rights};

use crate::formats::in_every_format;
use crate::rig::{RW, Rig, distant, gpa};

in_every_format! {
    every_byte_that_the_guest_holds_is_counted
    pages_of_each_size_are_told_apart
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
