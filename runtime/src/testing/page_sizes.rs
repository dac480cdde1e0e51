//! Law 5: the page sizes are those that the configuration restates, and the best of them is found.

use crate::PageSizes;
use std::prelude::rust_2024::*;

use super::samples::{below, levels, random};
use super::{Case, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let subject = case.subject;
    let geometry = subject.geometry();
    let mut all = PageSizes::default();
    for level in levels(subject) {
        let here = subject.page_sizes(level);
        let entry = geometry.entry_bits(level);
        let table = entry + geometry.level_index_bits(level);
        for size in here.iter() {
            let inside = (entry..=table).contains(&size);
            ensure!(inside, "level {level}: 2^{size} bytes are not from one entry, 2^{entry}, to a table, 2^{table}");
        }
        ensure!(all.0 & here.0 == 0, "level {level} has a size that a level below has too: {:#x}", all.0 & here.0);
        all.0 |= here.0;
    }
    let declared = &case.config.page_sizes.value;
    let found: Vec<u64> = all.iter().map(|size| 1 << size).collect();
    ensure!(found == *declared, "the page sizes are {found:#x?}, and should be {declared:#x?}");
    best(all, declared, geometry.page_bits)
}

/// The best size for an address, an output address and a length, against looking at each.
fn best(sizes: PageSizes, declared: &[u64], page_bits: u8) -> Verdict {
    let mut random = random();
    for _ in 0..2000 {
        let address = |prefix: u64, bit: u8| prefix << bit;
        let bit = |random: &mut fastrand::Rng| random.u8(page_bits..64);
        let prefixes = [0, random.u64(..), u64::MAX];
        let ia = address(prefixes[random.usize(..3)], bit(&mut random));
        let oa = address(prefixes[random.usize(..3)], bit(&mut random));
        let length = (random.u64(..) >> random.u8(..64)) & !below(page_bits) | 1 << page_bits;
        let limit = (ia | oa).trailing_zeros().min(length.ilog2()) as u8;
        let found = sizes.largest_within(limit).map(|size| 1 << size);
        let fits = |size: &u64| ia.is_multiple_of(*size) && oa.is_multiple_of(*size) && *size <= length;
        let wanted = declared.iter().copied().filter(fits).max();
        ensure!(found == wanted, "{length:#x} bytes from {ia:#x} to {oa:#x}: 2^{found:?}, and 2^{wanted:?} is best");
    }
    Ok(())
}
