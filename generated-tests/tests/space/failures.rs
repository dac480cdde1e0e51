//! Makes the Nth frame allocation fail, for every N, in every operation: nothing must change, and nothing leak.

use tablewright::{
    Alloc, Error, FaultOutcome, Format, Linear, PageBitmap, Rights, SharedMemory, SpaceError, State, sim::Machine,
    x86_64,
};

use crate::formats::in_every_format;
use crate::rig::{READ, RW, RX, Rig, distant, gpa, range};

in_every_format! {
    operations_change_all_or_nothing
    faults_change_all_or_nothing
}

type Operation<F> = (&'static str, fn(&mut Rig<F>) -> Result<(), SpaceError>);

/// A space with blocks, pages and holes, of all kinds of areas.
fn furnished<F: Format>(rig: &mut Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(0), distant(8 * block, 2 * block), RW).unwrap();
    rig.space.map_linear(gpa(2 * block), distant(20 * block, 2 * block), READ).unwrap();
    rig.space.map_alloc(gpa(4 * block), 4 * page, RW, true).unwrap();
    rig.space.map_device(gpa(5 * block), page, 9).unwrap();
    rig.space.map_linear(gpa(6 * block), distant(30 * block, block), RX).unwrap();
    // SAFETY: the guest runs on this machine.
    let shared = unsafe { SharedMemory::new(&rig.machine, 6 * page, F::PAGE_BITS, F::PAGE_BITS + 1) }.unwrap();
    rig.space.map_shared(gpa(4 * block + 16 * page), &shared, RW).unwrap();
    rig.space.map_copy_on_write(gpa(4 * block + 32 * page), &shared, RW).unwrap();
    for (number, access) in [Rights::R, Rights::W, Rights::R, Rights::W].into_iter().enumerate() {
        assert!(rig.space.handle_fault(gpa(4 * block + (32 + number) * page), access).is_resolved());
    }
}

fn operations<F: Format>() -> Vec<Operation<F>> {
    vec![
        ("map linear", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.map_linear(gpa(8 * block - page), distant(0, 2 * block), RW)
        }),
        ("populate", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.map_alloc(gpa(8 * block - 3 * page), 6 * page, RW, true)
        }),
        ("populate beside what is there", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.map(gpa(4 * block + 4 * page), 8 * page, RW, Alloc::POPULATED.up_to(F::PAGE_BITS + 1))
        }),
        ("replace all kinds", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.replace(gpa(page), 6 * block, READ, Linear::new(gpa(page), distant(40 * block + page, 6 * block)))
        }),
        ("replace in a block", |rig| {
            let page = rig.page();
            rig.space.replace(gpa(3 * page), 3 * page, RX, Alloc::POPULATED)
        }),
        ("replace what is populated", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.replace(gpa(4 * block + page), 2 * page, RW, Alloc::POPULATED)
        }),
        ("move all kinds", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.move_range(gpa(page), 6 * block, gpa(40 * block + 3 * page))
        }),
        ("move a part of blocks to other tables", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.move_range(gpa(page), 3 * block, gpa(1024 * block + page))
        }),
        ("move what is populated", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.move_range(gpa(4 * block + page), 2 * page, gpa(9 * block))
        }),
        ("move what is shared, and copies of it", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.move_range(gpa(4 * block + 17 * page), 20 * page, gpa(9 * block + 3 * page))
        }),
        ("replace what is shared, and copies of it", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.replace(gpa(4 * block + 17 * page), 20 * page, RW, Alloc::POPULATED)
        }),
        ("map what is shared", |rig| {
            let (page, block) = (rig.page(), rig.block());
            // SAFETY: the guest runs on this machine.
            let shared = unsafe { SharedMemory::new(&rig.machine, 3 * page, F::PAGE_BITS, F::PAGE_BITS) };
            rig.space.map_shared(gpa(9 * block - page), &shared.map_err(SpaceError::Table)?, RW)
        }),
        ("write a copy", |rig| {
            let (page, block) = (rig.page(), rig.block());
            match rig.space.handle_fault_exclusive(gpa(4 * block + 34 * page), Rights::W) {
                FaultOutcome::OutOfMemory => Err(SpaceError::NoMemory),
                outcome => {
                    assert!(outcome.is_resolved(), "{outcome:?}");
                    Ok(())
                }
            }
        }),
        ("split", |rig| {
            let block = rig.block();
            rig.space.split(gpa(block), 2 * block, F::PAGE_BITS)
        }),
        ("start a log", |rig| {
            let block = rig.block();
            rig.space.start_dirty_log(gpa(0), 3 * block)
        }),
        ("harvest a part of a block", |rig| {
            let part = range(3 * rig.page(), rig.page());
            let mut words = [0];
            let mut pages = PageBitmap::new(part, F::PAGE_BITS, &mut words).expect("a page");
            rig.space.harvest_exclusive(State::Accessed, &mut pages).or_else(|error| match error {
                // The format does not record it: then writes are what is left to ask for.
                SpaceError::Table(Error::Refused { .. }) => rig.space.harvest_exclusive(State::Dirty, &mut pages),
                error => Err(error),
            })
        }),
        ("unmap in a block", |rig| {
            let page = rig.page();
            rig.space.unmap(gpa(3 * page), page)
        }),
        ("unmap all kinds", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.unmap(gpa(page), 6 * block)
        }),
        ("protect in a block", |rig| {
            let page = rig.page();
            rig.space.protect(gpa(5 * page), page, READ)
        }),
        // Areas that work alike: one end has to be changed, the other says already what it should.
        ("protect areas of one kind", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.protect(gpa(page), 2 * block, READ)
        }),
        ("protect all kinds", |rig| {
            let (page, block) = (rig.page(), rig.block());
            rig.space.protect(gpa(page), 6 * block, RX)
        }),
    ]
}

fn operations_change_all_or_nothing<F: Format>(mut rig: Rig<F>) {
    let format = *rig.space.page_table().format();
    for (name, operation) in operations::<F>() {
        let mut failed = 0;
        loop {
            rig.space.clear().unwrap();
            furnished(&mut rig);
            let before = rig.state();
            rig.machine.fail_allocation(failed);
            let result = operation(&mut rig);
            if rig.machine.cancel_failure() {
                // It needs no more frames than could be had.
                assert_eq!(result, Ok(()), "{name}");
                break;
            }
            // A populated area may do with smaller frames instead of a larger one.
            if result.is_err() {
                assert!(rig.state() == before, "{name}: frame {failed} failed, and something changed");
            }
            failed += 1;
        }
        assert!(failed > 0, "{name} takes no frames in {format:?}: it tests nothing");
    }
}

fn faults_change_all_or_nothing<F: Format>(mut rig: Rig<F>) {
    let block = rig.block();
    rig.space.map_alloc(gpa(9 * block), block, RW, false).unwrap();
    let mut failed = 0;
    loop {
        let before = rig.state();
        rig.machine.fail_allocation(failed);
        let outcome = rig.space.handle_fault(gpa(9 * block), Rights::W);
        if rig.machine.cancel_failure() {
            assert_eq!(outcome, FaultOutcome::Mapped);
            break;
        }
        assert_eq!(outcome, FaultOutcome::OutOfMemory);
        assert!(rig.state() == before, "frame {failed} failed, and something changed");
        failed += 1;
    }
    assert!(failed > 1, "a page and a table");
}

/// Half of the machine's memory is beyond what entries can hold. Its frames are refused; but a cache does not keep them for
/// the faults that come when there are others again.
#[test]
fn a_refused_frame_is_not_kept_for_the_next_fault() {
    let format =
        x86_64::ept::Format::new(&x86_64::ept::Config { pa_bits: 36, ..x86_64::ept::Config::new(4, 48) }).unwrap();
    let mut rig = Rig::on(Machine::new((1 << 36) - (64 << 10), 128 << 10), format);
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 32 * page, RW, false).unwrap();
    let mut cache = rig.space.frame_cache();
    let mut fault = |rig: &Rig<_>, number| rig.space.handle_fault_cached(gpa(number * page), Rights::W, &mut cache);
    let refused = (0..32).find(|&number| fault(&rig, number) != FaultOutcome::Mapped).expect("no frame was too high");
    assert!(refused > 1);
    rig.space.unmap(gpa(0), 2 * page).unwrap();
    assert_eq!(fault(&rig, refused), FaultOutcome::Mapped);
}
