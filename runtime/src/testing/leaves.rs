//! Law 3: a leaf of any size, anywhere, translates to where it was made to.

use crate::{Entry, Level};
use std::prelude::rust_2024::*;

use super::samples::{addresses, below, levels, some_attributes};
use super::{Case, Glance, Subject, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let subject = case.subject;
    let geometry = subject.geometry();
    for level in levels(subject) {
        for size in subject.page_sizes(level).iter() {
            let attributes = some_attributes(subject, level, size);
            ensure!(!attributes.is_empty(), "level {level}: nothing of 2^{size} bytes can be mapped");
            for (oa, attributes) in addresses(size, geometry.output_bits).into_iter().zip(attributes.iter().cycle()) {
                let items = subject
                    .leaf(level, size, oa, attributes)
                    .map_err(|refusal| format!("level {level}, 2^{size} bytes to {oa:#x}: {refusal}"))?;
                leaf(subject, level, size, oa, &items)?;
            }
        }
    }
    Ok(())
}

/// All items are of this leaf, and agree on how they hold its address.
fn leaf(subject: &dyn Subject, level: Level, size: u8, oa: u64, items: &[u64]) -> Verdict {
    let entry_bits = subject.geometry().entry_bits(level);
    let count = 1 << (size - entry_bits);
    ensure!(items.len() == count, "level {level}: a leaf of 2^{size} bytes has {} items", items.len());
    let mut held = Vec::new();
    for (item, &raw) in (0_u64..).zip(items) {
        let Entry::Leaf(leaf) = subject.decode(level, raw) else {
            return Err(format!("level {level}: {raw:#x} was made as a leaf, and is none"));
        };
        ensure!(leaf.size == size, "level {level}: {raw:#x} is of 2^{} bytes, not 2^{size}", leaf.size);
        ensure!(usize::from(leaf.items) == count, "level {level}: {raw:#x} is one of {} items", leaf.items);
        let start = leaf.address & !below(size);
        ensure!(start == oa, "level {level}: {raw:#x} translates to {start:#x}, and was made for {oa:#x}");
        let seen = subject.glance(level, raw);
        let (is_item, rights) = (count > 1, leaf.attributes.rights);
        let wanted = Glance::Leaf { address: leaf.address, size, is_item, rights };
        ensure!(seen == wanted, "level {level}: {raw:#x} seems to be {seen:x?}, and is {wanted:x?}");
        ensure!(level == 0 || subject.link(level, raw).is_none(), "level {level}: {raw:#x} seems to lead to a table");
        for within in [item << entry_bits, item << entry_bits | below(entry_bits)] {
            let found = subject.translate(level, raw, !below(size) | within);
            ensure!(found == Some(oa | within), "level {level}: {raw:#x} translates {within:#x} to {found:x?}");
        }
        held.push(leaf.address);
    }
    let each: Vec<u64> = (0..count as u64).map(|item| oa + (item << entry_bits)).collect();
    let shared = held.iter().all(|&address| address == oa);
    ensure!(shared || held == each, "level {level}: the items of 2^{size} bytes at {oa:#x} hold {held:x?}");
    Ok(())
}
