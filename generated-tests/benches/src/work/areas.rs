//! Jobs on one area among many.

use std::hint::black_box;

use super::{ALIGNED, IA, PAGE, shuffled};
use crate::{
    measure::{Contender, each, repeat},
    subject::{Areas, Find, ProtectAreas},
};

/// How many areas one run adds, finds or removes.
pub const TOUCHED: u64 = 1 << 10;

/// Areas of one page, none adjacent to another: `count` that stay, and those that a job works on.
fn slots(count: u64) -> (Vec<u64>, Vec<u64>) {
    let mut slots = shuffled((count + TOUCHED).next_power_of_two());
    let touched = slots.by_ref().take(TOUCHED as usize).collect();
    (slots.take(count as usize).collect(), touched)
}

fn place(slot: &u64) -> (u64, u64, u64) {
    (IA + slot * 2 * PAGE, PAGE, ALIGNED + slot * 2 * PAGE)
}

fn add<S: Areas>(space: &mut S, slots: &[u64]) {
    slots.iter().map(place).for_each(|(ia, size, oa)| space.add(ia, size, oa));
}

fn remove<S: Areas>(space: &mut S, slots: &[u64]) {
    slots.iter().map(place).for_each(|(ia, size, _)| space.remove(ia, size));
}

/// Adds areas where there are `count`.
pub fn add_areas<S: Areas>(count: u64) -> Contender {
    let (others, touched) = slots(count);
    Contender::new::<S>(move |runs| {
        repeat(runs, |space: &mut S| add(space, &others), |space| add(space, &touched), |space| remove(space, &touched))
    })
}

/// Finds areas among `count`.
pub fn find_areas<S: Find>(count: u64) -> Contender {
    let (others, touched) = slots(count);
    Contender::new::<S>(move |runs| {
        let prepare = |space: &mut S| {
            add(space, &others);
            add(space, &touched);
        };
        let find = |space: &mut S| {
            touched.iter().map(place).for_each(|(ia, ..)| assert!(black_box(space.find(ia + 5))));
        };
        repeat(runs, prepare, find, |_| {})
    })
}

/// Removes areas among `count`.
pub fn remove_areas<S: Areas>(count: u64) -> Contender {
    let (others, touched) = slots(count);
    Contender::new::<S>(move |runs| {
        let prepare = |space: &mut S| {
            add(space, &others);
            add(space, &touched);
        };
        repeat(runs, prepare, |space| remove(space, &touched), |space| add(space, &touched))
    })
}

/// Removes `count` areas at once, and leaves one on either side.
pub fn clear_areas<S: Areas>(count: u64) -> Contender {
    let slots: Vec<u64> = (0..count + 2).collect();
    let (ia, ..) = place(&1);
    let (end, ..) = place(&(count + 1));
    Contender::new::<S>(move |runs| {
        each(runs, |space: &mut S| add(space, &slots), |space| space.remove_all(ia, end - ia), |_| {})
    })
}

/// Forbids writes to `count` areas at once, but not to one on either side.
pub fn protect_areas<S: ProtectAreas>(count: u64) -> Contender {
    let slots: Vec<u64> = (0..count + 2).collect();
    let (ia, ..) = place(&1);
    let (end, ..) = place(&(count + 1));
    Contender::new::<S>(move |runs| {
        let prepare = |space: &mut S| add(space, &slots);
        let forbid = |space: &mut S| space.protect_all(ia, end - ia, false);
        repeat(runs, prepare, forbid, |space| space.protect_all(ia, end - ia, true))
    })
}
