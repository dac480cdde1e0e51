//! Random programs, compared with a plain model of each page of a small guest.

use std::collections::BTreeMap;

use fastrand::Rng;
use tablewright::{
    Alloc, Attributes, BackendError, CopyOnWrite, Error, FaultOutcome, Format, GuestFault, GuestMemoryAccessor, Linear,
    MappingFlags, Operation, Region, Rights, Shared, SharedMemory, SpaceError,
};

use crate::formats::in_every_format;
use crate::rig::{READ, RW, RX, Rig, distant, gpa, hpa, range};

in_every_format! { a_random_program_does_what_the_model_says }

/// Pages of the guest.
const PAGES: usize = 4096;

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Page {
    rights: MappingFlags,
    behind: Behind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Behind {
    /// The host's memory at this page number.
    Linear(usize),
    /// A frame that holds this number, if it was used already.
    Alloc { used: bool, value: u64 },
    /// A device, and the page of it.
    Device(usize),
    /// A page of the shared memory.
    Shared(usize),
    /// A copy of a page of the shared memory: of its own, with this number, once it was written.
    Copy { of: usize, own: Option<u64> },
}

/// Pages of the shared memory.
const SHARED: usize = 24;

/// What a guest should be.
struct Model {
    /// Pages by number.
    pages: BTreeMap<usize, Page>,
    memory: SharedMemory,
    /// What each page of the shared memory holds.
    shared: [u64; SHARED],
}

fn a_random_program_does_what_the_model_says<F: Format>(mut rig: Rig<F>) {
    let mut random = Rng::with_seed(0x7ab1e);
    // SAFETY: the only space is on this machine.
    let memory = unsafe { SharedMemory::new(&rig.machine, SHARED * rig.page(), F::PAGE_BITS, 24) }.unwrap();
    let mut model = Model { pages: BTreeMap::new(), memory, shared: [0; SHARED] };
    for number in 0..600 {
        for _ in 0..8 {
            rig.access(
                random.usize(0..PAGES * rig.page()),
                *random.choice([Rights::R, Rights::W].iter()).expect("one"),
            );
        }
        step(&mut rig, &mut model, &mut random, number);
        rig.check_mmu();
        if number % 20 == 0 {
            check(&rig, &model);
        }
    }
    check(&rig, &model);
}

fn step<F: Format>(rig: &mut Rig<F>, model: &mut Model, random: &mut Rng, number: usize) {
    let page = rig.page();
    let first = random.usize(0..PAGES);
    let longest = if random.bool() { 16 } else { PAGES };
    let count = random.usize(1..=longest.min(PAGES - first));
    let (start, size, pages) = (gpa(first * page), count * page, first..first + count);
    let rights = *random.choice([READ, RW, RX, RW | RX].iter()).expect("a choice");
    let free = model.pages.range(pages.clone()).next().is_none();
    let mut insert = |behind: &dyn Fn(usize) -> Behind| {
        model.pages.extend(pages.clone().map(|at| (at, Page { rights, behind: behind(at) })));
    };
    match random.u8(0..22) {
        0 | 1 => {
            // Beyond the machine's own memory; in half of the cases so that blocks fit.
            let unit = [1, 512][random.usize(0..2)];
            let host = random.usize(1 << 16..1 << 18) / unit * unit;
            match rig.space.map_linear(start, distant(host * page, size), rights) {
                Ok(()) if free => insert(&|at| Behind::Linear(host + at - first)),
                result => assert!(!free && matches!(result, Err(SpaceError::Overlap(_))), "{result:?}"),
            }
        }
        2 => match rig.space.map_device(start, size, number) {
            Ok(()) if free => {
                insert(&|at| Behind::Device(at - first));
                // A device area takes reads and writes, whatever was drawn.
                model.pages.range_mut(pages).for_each(|(_, page)| page.rights = RW);
            }
            result => assert!(!free && matches!(result, Err(SpaceError::Overlap(_))), "{result:?}"),
        },
        3 | 4 => {
            let alloc = Alloc::LAZY.up_to(random.u8(0..24));
            match rig.space.map(start, size, rights, alloc) {
                Ok(()) if free => insert(&|_| Behind::Alloc { used: false, value: 0 }),
                result => assert!(!free && matches!(result, Err(SpaceError::Overlap(_))), "{result:?}"),
            }
        }
        5 => {
            rig.space.unmap(start, size).unwrap();
            model.pages.retain(|at, _| !pages.contains(at));
        }
        6 => {
            rig.space.protect(start, size, rights).unwrap();
            model.pages.range_mut(pages).for_each(|(_, page)| page.rights = rights);
        }
        7 | 8 => {
            // Some of the shared memory, from one of its pages on.
            let skip = random.usize(0..SHARED).min(first);
            let count = count.min(SHARED - skip);
            let (origin, size, pages) = (gpa((first - skip) * page), count * page, first..first + count);
            let free = model.pages.range(pages.clone()).next().is_none();
            let copies = random.bool();
            let result = match copies {
                true => rig.space.map(start, size, rights, CopyOnWrite::new(origin, &model.memory)),
                false => rig.space.map(start, size, rights, Shared::new(origin, model.memory.clone())),
            };
            match result {
                Ok(()) if free => model.pages.extend(pages.map(|at| {
                    let of = at - first + skip;
                    let behind = if copies { Behind::Copy { of, own: None } } else { Behind::Shared(of) };
                    (at, Page { rights, behind })
                })),
                result => assert!(!free && matches!(result, Err(SpaceError::Overlap(_))), "{result:?}"),
            }
        }
        9 | 10 => {
            // In place of whatever is there; the machine has frames for so many.
            let count = count.min(48);
            let (size, pages) = (count * page, first..first + count);
            let host = random.usize(1 << 16..1 << 18);
            let (result, behind): (_, &dyn Fn(usize) -> Behind) = match random.u8(0..3) {
                0 => (rig.space.replace(start, size, rights, Linear::new(start, distant(host * page, size))), &|at| {
                    Behind::Linear(host + at - first)
                }),
                1 => {
                    (rig.space.replace(start, size, rights, Alloc::LAZY), &|_| Behind::Alloc { used: false, value: 0 })
                }
                _ => (rig.space.replace(start, size, rights, Alloc::POPULATED.up_to(random.u8(0..24))), &|_| {
                    Behind::Alloc { used: true, value: 0 }
                }),
            };
            match result {
                Ok(()) => model.pages.extend(pages.map(|at| (at, Page { rights, behind: behind(at) }))),
                // The machine has not that many frames: nothing changes.
                Err(SpaceError::Area { error: BackendError::Table(Error::NoMemory { .. }), .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        // As if the guest had accessed each page.
        21 => {
            let count = count.min(48);
            let access = if random.bool() { Rights::R } else { Rights::W };
            let result = rig.space.populate(start, count * page, access);
            // The machine has not that many frames: some pages wait for their own faults.
            let is_complete =
                !matches!(result, Err(SpaceError::Area { error: BackendError::Table(Error::NoMemory { .. }), .. }));
            assert!(result.is_ok() || !is_complete, "{result:?}");
            for (&at, page) in model.pages.range_mut(first..first + count) {
                let found = rig.space.query(gpa(at * rig.page()));
                match &mut page.behind {
                    _ if !Rights::from(page.rights).contains(access) => {}
                    Behind::Alloc { used, .. } => *used |= is_complete,
                    Behind::Copy { of, own } if access == Rights::W => {
                        let is_own = found.is_some_and(|found| found.attributes.rights.contains(access));
                        assert!(is_own || !is_complete, "page {at}");
                        if is_own {
                            own.get_or_insert(model.shared[*of]);
                        }
                    }
                    _ => {}
                }
            }
        }
        // To a place that may be taken, in half of the cases so that blocks and tables stay what they are.
        16..=18 => {
            let count = count.min(PAGES / 4);
            let unit = [1, 512][random.usize(0..2)];
            let aligned = (PAGES - count) / unit * unit;
            let to = (first + random.usize(0..PAGES) / unit * unit) % (aligned.max(unit));
            if to + count > PAGES {
                return;
            }
            let taken = model.pages.range(to..to + count).next().is_some();
            let moved = rig.space.move_range(start, count * page, gpa(to * page));
            match moved {
                Ok(()) if !taken => {
                    let pages = model.pages.extract_if(first..first + count, |_, _| true).collect::<Vec<_>>();
                    model.pages.extend(pages.into_iter().map(|(at, page)| (at - first + to, page)));
                }
                // The machine has not that many frames for tables: nothing changes.
                Err(SpaceError::Table(Error::NoMemory { .. })) if !taken => {}
                result => assert!(taken && matches!(result, Err(SpaceError::Overlap(_))), "{result:?}"),
            }
        }
        // Blocks become pages, and those of them that are frames of the HAL's become blocks again, elsewhere.
        19 | 20 => {
            let block = pages.start / 512 * 512..(pages.end.next_multiple_of(512)).min(PAGES);
            let (start, size) = (gpa(block.start * page), block.len() * page);
            match rig.space.split(start, size, F::PAGE_BITS) {
                Ok(()) => {}
                Err(error) => assert!(matches!(error, SpaceError::Table(Error::NoMemory { .. })), "{error}"),
            }
            rig.space.enlarge(start, size).unwrap();
        }
        11 => {
            let access = if random.bool() { Rights::R } else { Rights::W };
            let outcome = rig.space.handle_fault_exclusive(start, access);
            let page = model.pages.get_mut(&first);
            let allowed = page.as_ref().is_some_and(|page| Rights::from(page.rights).contains(access));
            match page.map(|page| (&mut page.behind, allowed)) {
                None => assert_eq!(outcome, FaultOutcome::NotMapped),
                Some((_, false)) => assert_eq!(outcome, FaultOutcome::Denied),
                Some((Behind::Linear(_) | Behind::Shared(_), true)) => assert!(outcome.is_resolved()),
                Some((Behind::Copy { of, own }, true)) => {
                    assert!(outcome.is_resolved(), "{outcome:?}");
                    if access == Rights::W {
                        own.get_or_insert(model.shared[*of]);
                    }
                }
                Some((Behind::Device(of), true)) => {
                    let FaultOutcome::Device(found) = outcome else { panic!("{outcome:?}") };
                    assert_eq!(found.offset, *of * rig.page());
                }
                Some((Behind::Alloc { used, .. }, true)) => {
                    assert!(outcome.is_resolved(), "{outcome:?}");
                    *used = true;
                }
            }
        }
        _ => {
            let mut result = rig.space.write_obj(start, number as u64).map_err(|error| error.fault);
            if result == Err(GuestFault::NotResolved(FaultOutcome::NeedsExclusive(Operation::CopyOnWrite))) {
                assert_eq!(rig.space.handle_fault_exclusive(start, Rights::W), FaultOutcome::Mapped);
                result = rig.space.write_obj(start, number as u64).map_err(|error| error.fault);
            }
            match model.pages.get_mut(&first) {
                None => assert_eq!(result, Err(GuestFault::NotMapped)),
                Some(Page { behind: Behind::Linear(_) | Behind::Device(_), .. }) => {
                    assert_eq!(result, Err(GuestFault::Device));
                }
                Some(page) if !page.rights.contains(RW) => assert_eq!(result, Err(GuestFault::Denied)),
                Some(page) => {
                    assert_eq!(result, Ok(()));
                    let value = number as u64;
                    match &mut page.behind {
                        Behind::Shared(of) => model.shared[*of] = value,
                        Behind::Copy { own, .. } => *own = Some(value),
                        behind => *behind = Behind::Alloc { used: true, value },
                    }
                }
            }
        }
    }
}

fn check<F: Format>(rig: &Rig<F>, model: &Model) {
    let page = rig.page();
    let described: usize = rig.space.areas().map(|area| (area.range().span() as usize + 1) / page).sum();
    assert_eq!(described, model.pages.len());
    for at in 0..PAGES {
        let address = gpa(at * page);
        let (area, found) = (rig.space.find_area(address), rig.space.query(address));
        let Some(expected) = model.pages.get(&at) else {
            assert!(area.is_none() && found.is_none(), "page {at} is mapped");
            continue;
        };
        let rights = Rights::from(expected.rights);
        assert_eq!(area.expect("an area").attributes().rights, rights, "page {at}");
        let shares = matches!(expected.behind, Behind::Copy { own: None, .. });
        let granted = if shares { rights - Rights::W } else { rights };
        assert!(found.is_none_or(|found| found.attributes.rights == granted), "page {at}");
        match expected.behind {
            Behind::Linear(host) => assert_eq!(found.expect("mapped").address, hpa(host * page), "page {at}"),
            Behind::Device(_) => assert!(found.is_none(), "page {at}"),
            Behind::Shared(of) => assert_eq!(rig.space.read_obj::<u64>(address), Ok(model.shared[of]), "page {at}"),
            Behind::Copy { of, own } => {
                let value = own.unwrap_or(model.shared[of]);
                assert_eq!(rig.space.read_obj::<u64>(address), Ok(value), "page {at}");
            }
            Behind::Alloc { used, value } => {
                // A larger frame brings its neighbours.
                assert!(found.is_some() || !used, "page {at}");
                if used {
                    assert_eq!(rig.space.read_obj::<u64>(address), Ok(value), "page {at}");
                }
            }
        }
    }
    check_regions(rig);
    assert_eq!(rig.machine.take_errors(), []);
}

/// Regions are leaves that continue each other, whether or not these were looked at one by one.
fn check_regions<F: Format>(rig: &Rig<F>) {
    let (table, range) = (rig.space.page_table(), range(0, PAGES * rig.page()));
    let mut expected: Vec<Region> = Vec::new();
    for leaf in table.mappings(range) {
        let plain = |attributes| Attributes { accessed: false, dirty: false, ..attributes };
        match expected.last_mut() {
            Some(region)
                if region.range.last() + 1 == leaf.range.start()
                    && region.address + region.range.span() + 1 == leaf.address
                    && plain(region.attributes) == plain(leaf.attributes) =>
            {
                region.range = region.range.hull(&leaf.range);
                region.attributes.accessed |= leaf.attributes.accessed;
                region.attributes.dirty |= leaf.attributes.dirty;
            }
            _ => expected.push(Region { range: leaf.range, address: leaf.address, attributes: leaf.attributes }),
        }
    }
    assert_eq!(table.regions(range).collect::<Vec<_>>(), expected);
}
