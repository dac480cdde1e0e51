//! Jobs that access a guest's memory from the host.

use std::{cell::RefCell, hint::black_box};

use super::{IA, PAGE, shuffled};
use crate::{
    measure::{Contender, each},
    subject::{CopyOut, Populate, Read},
};

/// The size of the guest's memory: small enough for the host's caches to hold most of it.
const SIZE: u64 = 2 << 20;
/// How many values one run reads.
pub const READS: u64 = 1 << 14;
/// The number of bytes that one run copies.
pub const COPIED: u64 = 1 << 16;

/// Reads values of 8 bytes in a random order.
pub fn read<S: Read>() -> Contender {
    let addresses: Vec<u64> = shuffled(READS).map(|number| IA + number * (SIZE / READS)).collect();
    on_memory::<S>(move |space| {
        for &ia in &addresses {
            black_box(space.read(ia));
        }
    })
}

/// Copies memory that spans many pages, and begins and ends inside a page.
pub fn copy<S: CopyOut>() -> Contender {
    let buffer = RefCell::new(vec![0; COPIED as usize]);
    on_memory::<S>(move |space| space.copy(IA + PAGE / 2, black_box(&mut buffer.borrow_mut())))
}

/// Does `job` in a space with memory.
fn on_memory<S: Populate>(job: impl Fn(&S) + 'static) -> Contender {
    Contender::new::<S>(move |runs| {
        let prepare = |space: &mut S| space.populate(IA, SIZE);
        each(runs, prepare, |space| job(space), |space| space.unpopulate(IA, SIZE))
    })
}
