//! A guest's memory of which half has been used: of each two pages, one is there, at random, and the other is a hole.

use std::cell::RefCell;

use super::{GIB, IA, PAGE, shuffled};
use crate::{
    measure::{Contender, each},
    subject::{Harvest, Lazy, Move, Protect, Relax},
};

/// One of each two pages of 1 GiB, in a random order.
fn used() -> Vec<u64> {
    shuffled(GIB / PAGE).take((GIB / PAGE / 2) as usize).map(|page| IA + page * PAGE).collect()
}

/// Uses them for the first time.
fn touch<S: Lazy>(space: &mut S, pages: &[u64]) {
    space.lazy(IA, GIB);
    pages.iter().for_each(|&page| assert!(space.fault(page)));
}

/// Forbids writing to pages.
pub fn protect_used<S: Lazy + Protect>() -> Contender {
    let pages = used();
    Contender::new::<S>(move |runs| {
        each(
            runs,
            |space: &mut S| touch(space, &pages),
            |space| space.protect(IA, GIB, false),
            |space| space.release(IA, GIB),
        )
    })
}

/// Finds the dirty pages: one in `every` of those that are there.
pub fn harvest_used<S: Lazy + Relax + Harvest>(every: usize) -> Contender {
    let pages = used();
    Contender::new::<S>(move |runs| {
        let dirty = &pages[..pages.len() / every];
        let words = RefCell::new(vec![0; (GIB / PAGE / 64) as usize]);
        let harvest = |space: &mut S| space.harvest(IA, GIB, &mut words.borrow_mut());
        let prepare = |space: &mut S| {
            touch(space, &pages);
            harvest(space);
            dirty.iter().for_each(|&page| space.relax(page));
            words.borrow_mut().fill(0);
        };
        let check = |space: &mut S| {
            let found: u32 = words.borrow().iter().map(|word| word.count_ones()).sum();
            assert_eq!(found as usize, dirty.len(), "a dirty page was missed, or a clean one was not");
            space.release(IA, GIB);
        };
        each(runs, prepare, harvest, check)
    })
}

/// Unmaps all, and frees each page.
pub fn release_used<S: Lazy>() -> Contender {
    let pages = used();
    Contender::new::<S>(move |runs| {
        each(runs, |space: &mut S| touch(space, &pages), |space| space.release(IA, GIB), |_| {})
    })
}

/// Moves all of it, page by page.
pub fn move_used<S: Lazy + Move>(to: u64) -> Contender {
    let pages = used();
    Contender::new::<S>(move |runs| {
        each(
            runs,
            |space: &mut S| touch(space, &pages),
            |space| space.move_range(IA, GIB, to),
            // With the ends of the tables that it is in now.
            |space| space.release(to - PAGE, GIB + (2 << 20)),
        )
    })
}
