//! Addresses, attributes and entries to try. Random ones are the same in every run.

use crate::{Attributes, Level, MemoryType, Options, Rights};
use fastrand::Rng;
use std::prelude::rust_2024::*;

use super::interpreted::memory_types;
use super::{Case, Subject};

/// Where the random numbers start.
const SEED: u64 = 0x7ab1e;

/// Random numbers.
pub(super) fn random() -> Rng {
    Rng::with_seed(SEED)
}

/// Multiples of `1 << align` below `1 << bits`: the lowest, each bit alone, all bits, and some at random.
pub(super) fn addresses(align: u8, bits: u8) -> Vec<u64> {
    let mask = below(bits) & !below(align);
    let mut random = random();
    let mut addresses: Vec<u64> = [0, mask].into();
    addresses.extend((align..bits).map(|bit| 1 << bit));
    addresses.extend((0..8).map(|_| random.u64(..) & mask));
    addresses
}

/// A few of [`addresses`]: the lowest, the highest, two at random.
pub(super) fn few_addresses(align: u8, bits: u8) -> [u64; 4] {
    let mask = below(bits) & !below(align);
    let mut random = random();
    [0, mask, random.u64(..) & mask, random.u64(..) & mask]
}

/// The numbers below `1 << bits`, as a mask; `bits` may be 64.
pub(super) fn below(bits: u8) -> u64 {
    1_u64.checked_shl(bits.into()).unwrap_or(0).wrapping_sub(1)
}

/// Every combination of rights and memory type, the states taking turns; for leaves of many items, each rights with one
/// memory type and the reverse.
pub(super) fn combinations(subject: &dyn Subject, level: Level, size: u8) -> Vec<Attributes> {
    let few = size - subject.geometry().entry_bits(level) <= 4;
    let all = rights().flat_map(|rights| memory_types().map(move |memory| (rights, memory)));
    let Some((some_rights, some_memory)) = all.clone().find(|&pair| can_be(subject, level, size, pair)) else {
        return Vec::new();
    };
    let wanted = all.filter(|&(rights, memory)| few || rights == some_rights || memory == some_memory);
    wanted.enumerate().map(|(turn, pair)| with_states(pair, turn)).collect()
}

/// Some attributes that a leaf can have: all rights and all memory types, but not each with each.
pub(super) fn some_attributes(subject: &dyn Subject, level: Level, size: u8) -> Vec<Attributes> {
    let all = rights().flat_map(|rights| memory_types().map(move |memory| (rights, memory)));
    let Some((first_rights, first_memory)) = all.clone().find(|&pair| can_be(subject, level, size, pair)) else {
        return Vec::new();
    };
    let can = |pair: &(Rights, MemoryType)| can_be(subject, level, size, *pair);
    let rights: Vec<_> = rights().filter(|&rights| can(&(rights, first_memory))).collect();
    let memory: Vec<_> = memory_types().filter(|&memory| can(&(first_rights, memory))).collect();
    let pairs = (0..rights.len().max(memory.len())).map(|i| (rights[i % rights.len()], memory[i % memory.len()]));
    pairs.enumerate().map(|(turn, pair)| with_states(pair, turn)).collect()
}

fn can_be(subject: &dyn Subject, level: Level, size: u8, pair: (Rights, MemoryType)) -> bool {
    subject.leaf(level, size, 0, &with_states(pair, 0)).is_ok()
}

fn rights() -> impl Iterator<Item = Rights> + Clone {
    (0..64).map(Rights::from_bits_truncate)
}

fn with_states((rights, memory): (Rights, MemoryType), turn: usize) -> Attributes {
    let (accessed, dirty) = (turn & 1 == 0, turn & 2 == 0);
    Attributes { rights, memory, accessed, dirty, options: Options::DEFAULT }
}

/// Entries at `level` that the subject makes: nothing, tables, first and last items of leaves of every size.
pub(super) fn own_entries(case: &Case<'_>, level: Level) -> Vec<u64> {
    let subject = case.subject;
    let geometry = subject.geometry();
    let mut entries = vec![subject.empty(level)];
    if level > 0 {
        let tables = few_addresses(geometry.table_bits(level - 1), geometry.output_bits);
        entries.extend(tables.iter().filter_map(|&address| subject.table(level, address).ok()));
    }
    for size in subject.page_sizes(level).iter() {
        let outputs = few_addresses(size, geometry.output_bits);
        for (attributes, oa) in some_attributes(subject, level, size).iter().zip(outputs.into_iter().cycle()).take(8) {
            if let Ok(items) = subject.leaf(level, size, oa, attributes) {
                entries.extend([items[0], items[items.len() - 1]]);
            }
        }
    }
    entries.dedup();
    entries
}

/// Values at `level` that nobody may have made: random ones, sparse ones, and own entries with one bit wrong.
pub(super) fn foreign_entries(case: &Case<'_>, level: Level) -> Vec<u64> {
    let bits = case.reference.0.word.bits();
    let mut random = random();
    let mut entries = vec![0, u64::MAX];
    for _ in 0..2000 {
        let value = random.u64(..);
        entries.extend([value, value & random.u64(..) & random.u64(..), value | random.u64(..) | random.u64(..)]);
    }
    for entry in own_entries(case, level) {
        entries.extend((0..bits).map(|bit| entry ^ 1 << bit));
    }
    entries.iter_mut().for_each(|entry| *entry &= below(bits));
    entries
}

/// All levels of a subject.
pub(super) fn levels(subject: &dyn Subject) -> std::ops::RangeInclusive<Level> {
    0..=subject.geometry().top()
}
