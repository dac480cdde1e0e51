//! The jobs, for any contender that can do them.

mod areas;
mod memory;
mod used;

pub use areas::{TOUCHED, add_areas, clear_areas, find_areas, protect_areas, remove_areas};
pub use memory::{COPIED, READS, copy, read};
pub use used::{harvest_used, move_used, protect_used, release_used};

use std::{
    cell::RefCell,
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use crate::{
    frames,
    measure::{Contender, batch, each, repeat, timed},
    subject::{
        Balloon, Enlarge, Harvest, Lazy, Linear, Move, Populate, Protect, ProtectPage, Relax, Shared, Split, Subject,
    },
};

/// The smallest page.
pub const PAGE: u64 = 0x1000;
/// 2^30 bytes.
pub const GIB: u64 = 1 << 30;
/// The start of the guest's memory.
pub const IA: u64 = 64 * GIB;
/// Its output address, aligned so that leaves of all sizes fit.
pub const ALIGNED: u64 = 1 << 44;
/// Its output address, aligned so that only pages fit.
pub const BY_PAGES: u64 = ALIGNED + PAGE;
/// Its output address, aligned so that leaves of up to 2 MiB fit.
pub const BY_2M: u64 = ALIGNED + (2 << 20);

/// All numbers below `count`, a power of two, in an order that prefetchers cannot guess.
fn shuffled(count: u64) -> impl Iterator<Item = u64> {
    let mut at = 0_u64;
    (0..count).map(move |_| {
        at = at.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f) & (count - 1);
        // The low bits of such a sequence have short periods, so the bits are reordered.
        at.reverse_bits() >> (64 - count.ilog2())
    })
}

/// Maps `size` bytes into an empty space.
pub fn map<S: Linear>(size: u64, oa: u64, largest: u8) -> Contender {
    Contender::new::<S>(move |runs| each(runs, |_: &mut S| {}, |space| space.map(IA, size, oa, largest), |_| {}))
}

/// Maps `size` bytes from `ia` on into each of several empty spaces.
pub fn map_calls<S: Linear>(ia: u64, size: u64, oa: u64, largest: u8) -> Contender {
    Contender::new::<S>(move |runs| batch(runs, |_| {}, |space: &mut S| space.map(ia, size, oa, largest)))
}

/// Allocates and maps 1 GiB of pages.
pub fn populate<S: Populate>() -> Contender {
    Contender::new::<S>(|runs| {
        each(runs, |_: &mut S| {}, |space| space.populate(IA, GIB), |space| space.unpopulate(IA, GIB))
    })
}

/// The first use of each page of 1 GiB.
pub fn fault<S: Lazy>(random: bool) -> Contender {
    let pages: Vec<u64> = if random { shuffled(GIB / PAGE).collect() } else { (0..GIB / PAGE).collect() };
    Contender::new::<S>(move |runs| {
        each(
            runs,
            |space: &mut S| space.lazy(IA, GIB),
            |space| pages.iter().for_each(|page| assert!(space.fault(IA + page * PAGE))),
            |space| space.release(IA, GIB),
        )
    })
}

/// The memory of each thread: little enough for a run to be done before another program gets the CPU.
pub const SHARE: u64 = 64 << 20;

/// The first use of each page by each of some threads, in a random order.
pub fn fault_together<S: Shared>(threads: usize) -> Contender {
    let pages: Vec<u64> = shuffled(SHARE / PAGE).collect();
    Contender::new::<S>(move |runs| (0..runs).map(|_| faults_of_threads::<S>(threads, &pages)).collect())
}

/// The time from when all threads are ready until the last has finished.
fn faults_of_threads<S: Shared>(threads: usize, pages: &[u64]) -> Duration {
    let mut space = S::new();
    // Each has an upper-level table of its own.
    let areas: Vec<u64> = (1..=threads as u64).map(|number| IA * number).collect();
    areas.iter().for_each(|&ia| space.lazy(ia, SHARE));
    let start = Barrier::new(threads);
    let work = |ia: u64, own: Vec<u64>| {
        frames::stock(&own);
        start.wait();
        let begin = Instant::now();
        pages.iter().for_each(|page| assert!(space.fault_shared(ia + page * PAGE)));
        (begin, Instant::now(), frames::carve(own.len()))
    };
    let done: Vec<_> = thread::scope(|scope| {
        // Frames for its pages and the tables above them.
        let own = || frames::carve(pages.len() + pages.len() / 512 + 8);
        let running: Vec<_> =
            areas.iter().map(|&ia| (ia, own())).map(|(ia, own)| scope.spawn(move || work(ia, own))).collect();
        running.into_iter().map(|thread| thread.join().expect("a thread that does its work")).collect()
    });
    done.iter().for_each(|(.., unused)| frames::stock(unused));
    areas.iter().for_each(|&ia| space.release(ia, SHARE));
    let first = done.iter().map(|done| done.0).min();
    let last = done.iter().map(|done| done.1).max();
    first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first)
}

/// How many translations one run does.
pub const TRANSLATIONS: u64 = 1 << 14;

/// Translates addresses in a random order. With `dependent`, each translation waits for the one before.
pub fn translate<S: Linear>(size: u64, oa: u64, largest: u8, dependent: bool) -> Contender {
    let unit = 1 << largest;
    let addresses: Vec<u64> =
        shuffled(size / unit).map(|unit_number| IA + unit_number * unit).take(TRANSLATIONS as usize).collect();
    Contender::new::<S>(move |runs| {
        repeat(
            runs,
            |space: &mut S| space.map(IA, size, oa, largest),
            |space| {
                let mut last = oa;
                for run in addresses.iter().cycle().take(TRANSLATIONS as usize) {
                    // This is 0, but the compiler cannot know that without the result.
                    let ia = if dependent { run + (last >> 63) } else { *run };
                    last = space.translate(ia).unwrap_or(0);
                    black_box(last);
                }
            },
            |_| {},
        )
    })
}

/// How many invalidations a new space requests when 1 GiB of pages is mapped, and when it is unmapped.
pub fn invalidations<S: Linear>() -> (&'static str, [u64; 2]) {
    frames::open();
    let mut space = S::new();
    let before = frames::invalidations();
    space.map(IA, GIB, BY_PAGES, 12);
    let mapped = frames::invalidations();
    space.unmap(IA, GIB);
    (S::NAME, [mapped - before, frames::invalidations() - mapped])
}

/// Unmaps pages that were mapped by one call, while the table is in use.
pub fn unmap<S: Linear>(size: u64) -> Contender {
    Contender::new::<S>(move |runs| {
        each(runs, |space: &mut S| space.map(IA, size, BY_PAGES, 12), |space| space.unmap(IA, size), |_| {})
    })
}

/// As [`unmap`], `size` bytes in each of several spaces.
pub fn unmap_calls<S: Linear>(size: u64) -> Contender {
    Contender::new::<S>(move |runs| {
        batch(runs, |space: &mut S| space.map(IA, size, BY_PAGES, 12), |space| space.unmap(IA, size))
    })
}

/// As [`protect`], `size` bytes in each of several spaces.
pub fn protect_calls<S: Protect>(size: u64) -> Contender {
    Contender::new::<S>(move |runs| {
        batch(runs, |space: &mut S| space.map(IA, size, BY_PAGES, 12), |space| space.protect(IA, size, false))
    })
}

/// Unmaps 1 GiB of pages, each with a frame of its own, which are freed.
pub fn unpopulate<S: Populate>() -> Contender {
    Contender::new::<S>(|runs| {
        each(runs, |space: &mut S| space.populate(IA, GIB), |space| space.unpopulate(IA, GIB), |_| {})
    })
}

/// Forbids writing to pages.
pub fn protect<S: Protect>(size: u64) -> Contender {
    Contender::new::<S>(move |runs| {
        repeat(
            runs,
            |space: &mut S| space.map(IA, size, BY_PAGES, 12),
            |space| space.protect(IA, size, false),
            |space| space.protect(IA, size, true),
        )
    })
}

/// How many single pages one run changes.
pub const SINGLES: u64 = 1 << 12;

/// Single pages of 1 GiB, in a random order.
fn singles() -> Vec<u64> {
    shuffled(GIB / PAGE).take(SINGLES as usize).map(|page| IA + page * PAGE).collect()
}

/// Forbids writing to single pages in a random order, and then allows it again.
pub fn protect_pages<S: ProtectPage>() -> Contender {
    let pages = singles();
    Contender::new::<S>(move |runs| {
        let toggle = |space: &mut S| {
            pages.iter().for_each(|&page| space.protect_page(page, false));
            pages.iter().for_each(|&page| space.protect_page(page, true));
        };
        repeat(runs, |space: &mut S| space.map(IA, GIB, BY_PAGES, 12), toggle, |_| {})
    })
}

/// Unmaps single pages in a random order, and frees each; or those of a few tables in ascending order.
pub fn take_pages<S: Balloon>(random: bool) -> Contender {
    let pages = if random { singles() } else { (0..SINGLES).map(|page| IA + page * PAGE).collect() };
    Contender::new::<S>(move |runs| {
        each(
            runs,
            |space: &mut S| space.populate(IA, GIB),
            |space| pages.iter().for_each(|&page| space.take_page(page)),
            |space| space.unpopulate(IA, GIB),
        )
    })
}

/// Maps single pages again that were unmapped.
pub fn give_pages<S: Balloon>() -> Contender {
    let pages = singles();
    Contender::new::<S>(move |runs| {
        each(
            runs,
            |space: &mut S| {
                space.populate(IA, GIB);
                pages.iter().for_each(|&page| space.take_page(page));
            },
            |space| pages.iter().for_each(|&page| space.give_page(page)),
            |space| space.unpopulate(IA, GIB),
        )
    })
}

/// Allows writing to single pages in a random order.
pub fn relax<S: Relax>() -> Contender {
    let pages = singles();
    Contender::new::<S>(move |runs| {
        repeat(
            runs,
            |space: &mut S| {
                space.map(IA, GIB, BY_PAGES, 12);
                space.watch(IA, GIB);
            },
            |space| pages.iter().for_each(|&page| space.relax(page)),
            |space| space.watch(IA, GIB),
        )
    })
}

/// Finds the dirty pages of 1 GiB: all or none.
pub fn harvest<S: Harvest>(dirty: bool) -> Contender {
    Contender::new::<S>(move |runs| {
        let mut pages = vec![0; (GIB / PAGE / 64) as usize];
        if dirty {
            let prepare = |space: &mut S| space.map(IA, GIB, BY_PAGES, 12);
            let times = each(runs, prepare, |space| space.harvest(IA, GIB, &mut pages), |_| {});
            assert!(pages.iter().all(|&word| word == u64::MAX), "a dirty page was missed");
            return times;
        }
        let prepare = |space: &mut S| {
            space.map(IA, GIB, BY_PAGES, 12);
            space.harvest(IA, GIB, &mut vec![0; (GIB / PAGE / 64) as usize]);
        };
        let times = repeat(runs, prepare, |space| space.harvest(IA, GIB, &mut pages), |_| {});
        assert!(pages.iter().all(|&word| word == 0), "a page is dirty that was not written");
        times
    })
}

/// Finds the dirty pages of 1 GiB, of which one in `every` is dirty, at random: about 64 while a large guest is
/// migrated.
pub fn harvest_some<S: Relax + Harvest>(every: u64) -> Contender {
    let dirty: Vec<u64> = shuffled(GIB / PAGE).take((GIB / PAGE / every) as usize).collect();
    Contender::new::<S>(move |runs| {
        let pages = RefCell::new(vec![0; (GIB / PAGE / 64) as usize]);
        let write = |space: &mut S| dirty.iter().for_each(|page| space.relax(IA + page * PAGE));
        let prepare = |space: &mut S| {
            space.map(IA, GIB, BY_PAGES, 12);
            space.harvest(IA, GIB, &mut pages.borrow_mut());
            pages.borrow_mut().fill(0);
            write(space);
        };
        let again = |space: &mut S| {
            let found: u32 = pages.borrow().iter().map(|word| word.count_ones()).sum();
            assert_eq!(found as usize, dirty.len(), "a dirty page was missed, or a clean one was not");
            pages.borrow_mut().fill(0);
            write(space);
        };
        repeat(runs, prepare, |space| space.harvest(IA, GIB, &mut pages.borrow_mut()), again)
    })
}

/// Forbids writing to one page in each of 512 blocks of 2 MiB.
pub fn split<S: Split>() -> Contender {
    Contender::new::<S>(|runs| {
        each(
            runs,
            |space: &mut S| space.map(IA, GIB, BY_2M, 21),
            |space| (0..512).for_each(|block| space.protect_part(IA + (block << 21) + 77 * PAGE)),
            |_| {},
        )
    })
}

/// The destination of moves by whole tables.
pub const BY_TABLES: u64 = IA + 8 * GIB + (2 << 20);
/// The destination of moves by single pages.
pub const BY_SINGLE_PAGES: u64 = IA + 8 * GIB + PAGE;

/// Moves 1 GiB of pages in each of several spaces.
pub fn move_calls<S: Move>(to: u64) -> Contender {
    Contender::new::<S>(move |runs| {
        batch(runs, |space: &mut S| space.map(IA, GIB, BY_PAGES, 12), |space| space.move_range(IA, GIB, to))
    })
}

/// Moves 1 GiB of pages.
pub fn move_pages<S: Move>(to: u64) -> Contender {
    Contender::new::<S>(move |runs| {
        each(runs, |space: &mut S| space.map(IA, GIB, BY_PAGES, 12), |space| space.move_range(IA, GIB, to), |_| {})
    })
}

/// The number of blocks of 2 MiB that one run enlarges.
pub const ENLARGED: u64 = 16;

/// Replaces the pages of 2 MiB by one frame, several times.
pub fn enlarge<S: Enlarge>() -> Contender {
    Contender::new::<S>(|runs| {
        let size = ENLARGED << 21;
        each(
            runs,
            |space: &mut S| space.populate_small(IA, size),
            |space| space.enlarge(IA, size),
            |space| space.unpopulate_large(IA, size),
        )
    })
}

/// Makes and drops empty spaces.
pub fn create<S: Subject>() -> Contender {
    Contender::new::<S>(|runs| (0..runs).map(|_| timed(|| (0..64).for_each(|_| drop(black_box(S::new()))))).collect())
}

/// Drops a space with 1 GiB of pages.
pub fn discard<S: Linear>() -> Contender {
    Contender::new::<S>(|runs| {
        (0..runs)
            .map(|_| {
                let mut space = S::new();
                space.map(IA, GIB, BY_PAGES, 12);
                timed(|| drop(space))
            })
            .collect()
    })
}
