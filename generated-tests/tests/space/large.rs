//! Frames of more than 2 MiB in place of small ones. Memory that is never touched costs the test nothing.

use std::sync::{Mutex, PoisonError};

use tablewright::{
    Alloc, Format, GuestMemoryAccessor,
    aarch64::{stage2_16k, stage2_64k},
    sim::Machine,
    x86_64::ept,
};

use crate::rig::{RW, Rig, gpa};

/// Areas that fill some blocks of `1 << size` bytes with leaves that are smaller: as they come from halves of them, and here
/// and there pages. Some of the pages hold their addresses.
fn fill<F: Format>(machine: &Machine, format: F, size: u8, blocks: usize) -> Rig<F> {
    let mut rig = Rig::on(machine.clone(), format);
    let (page, block) = (rig.page(), 1 << size);
    for half in 0..2 * blocks {
        rig.space.map(gpa(block + half * (block / 2)), block / 2, RW, Alloc::POPULATED.up_to(size)).unwrap();
    }
    let small = rig.block().min(block);
    for at in (block..2 * block).step_by((block / 4).max(small)) {
        rig.space.split(gpa(at), small, F::PAGE_BITS).unwrap();
    }
    for at in spread(page, block, blocks) {
        rig.space.write_obj(gpa(at), at).unwrap();
    }
    assert_eq!(rig.space.statistics().leaves[usize::from(size)], 0);
    rig
}

/// Addresses in a few of the pages of these blocks.
fn spread(page: usize, block: usize, blocks: usize) -> impl Iterator<Item = usize> {
    (block..(1 + blocks) * block)
        .step_by(block / page / 64 * page + page)
        .map(move |at| at + at / page % (page / 8) * 8)
}

/// The whole of a block is copied to a frame of its own: first where there is memory for it, then where there is memory for
/// parts of it only, each of which fails once.
fn becomes_one<F: Format>(format: F, size: u8, blocks: usize) {
    // What is touched is up to three blocks: one such test at a time is enough.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let block = 1 << size;
    let check = |rig: &Rig<F>, blocks| {
        for at in spread(rig.page(), block, blocks) {
            assert_eq!(rig.space.read_obj::<usize>(gpa(at)), Ok(at));
        }
    };
    let machine = Machine::new(0, (3 + blocks) * block);
    let mut rig = fill(&machine, format, size, blocks);
    let (used, tables) = (rig.used(), rig.tables());
    machine.fail_allocation(1);
    // A second may come from smaller ones.
    let taken = rig.space.enlarge(gpa(block), blocks * block).unwrap();
    machine.cancel_failure();
    assert_eq!(rig.space.statistics().leaves[usize::from(size)], 1, "of {taken} that were taken");
    check(&rig, blocks);
    assert_eq!(rig.space.enlarge(gpa(block), blocks * block), Ok(blocks - 1));
    assert_eq!(rig.space.statistics().leaves[usize::from(size)], blocks);
    check(&rig, blocks);
    let table = 1 << rig.space.page_table().geometry().table_bits(0);
    assert_eq!(rig.used() + (tables - rig.tables()) * table, used);
    rig.space.unmap(gpa(block), blocks * block).unwrap();
    assert_eq!(rig.tables(), 1);
    drop(rig);
    assert_eq!((machine.used(), machine.take_errors()), (0, vec![]));

    // Not even half of it is left.
    let machine = Machine::new(0, block + block / 4);
    for failed in 0.. {
        let mut rig = fill(&machine, format, size, 1);
        machine.fail_allocation(failed);
        let taken = rig.space.enlarge(gpa(block), block).unwrap();
        let is_over = machine.cancel_failure();
        check(&rig, 1);
        assert_eq!(rig.space.statistics().leaves[usize::from(size)], 0, "{taken} were taken");
        drop(rig);
        assert_eq!((machine.used(), machine.take_errors()), (0, vec![]), "{failed}");
        if is_over {
            break;
        }
    }
}

#[test]
fn a_gibibyte_becomes_one() {
    let config = ept::Config { pa_bits: 40, huge_1g: true, ..ept::Config::new(4, 48) };
    becomes_one(ept::Format::new(&config).unwrap(), 30, 1);
}

#[test]
fn a_block_of_32_mib_becomes_one() {
    becomes_one(stage2_16k::Format::new(&stage2_16k::Config::new(3, 40)).unwrap(), 25, 2);
}

#[test]
fn a_block_of_512_mib_becomes_one() {
    becomes_one(stage2_64k::Format::new(&stage2_64k::Config::new(2, 42)).unwrap(), 29, 2);
}
