//! A walker that shares no code with the engine.

use std::sync::atomic::{AtomicU64, Ordering};

use tablewright::{Attributes, Change, Entry, EntryWord, Format, Hal, HostPhysAddr, Rights, sim::Machine};

use super::attributes;

/// What a walk found.
#[derive(Clone, Debug)]
pub(crate) struct Walked {
    pub(crate) output: u64,
    pub(crate) level: u8,
    pub(crate) attributes: Attributes,
    /// Where the leaf is.
    pub(crate) entry: u64,
    /// The tables on the way.
    pub(crate) path: Vec<u64>,
}

/// Walks as an MMU does.
pub(crate) fn walk<F: Format>(machine: &Machine, format: &F, root: u64, ia: u64) -> Option<Walked> {
    let geometry = format.geometry();
    let mut level = geometry.levels - 1;
    let mut table = root;
    let mut path = vec![root];
    loop {
        let shift = geometry.entry_bits[usize::from(level)];
        let end = if level == geometry.levels - 1 {
            geometry.input_bits
        } else {
            geometry.entry_bits[usize::from(level) + 1]
        };
        let index = (ia >> shift) & (u64::MAX >> (64 - (end - shift)));
        let entry = table + (index << F::Word::SIZE);
        let raw = machine.read_entry::<F::Word>(entry).expect("tables are allocated");
        match format.decode(level, raw) {
            Entry::Invalid => return None,
            Entry::Reserved(rule) => panic!("misconfigured at {ia:#x}, level {level}: {rule}"),
            Entry::Table(next) => {
                assert_eq!(next.level, level - 1);
                (level, table) = (next.level, next.address);
                path.push(table);
            }
            Entry::Leaf(leaf) => {
                // Items that hold addresses of their own differ in the bits above their own size.
                let mask = (1 << leaf.size) - 1;
                let output = leaf.address & !mask | ia & mask;
                return Some(Walked { output, level, attributes: leaf.attributes, entry, path });
            }
        }
    }
}

/// Marks a leaf as the hardware does; `false` if it does not.
pub(super) fn mark<F: Format>(machine: &Machine, format: &F, found: &Walked, dirty: bool) -> bool {
    let states = format.accessed_dirty(found.level);
    if !states.hardware {
        return false;
    }
    let around = machine.phys_to_virt(HostPhysAddr::from_usize(found.entry as usize & !7)).cast::<AtomicU64>();
    // SAFETY: entries of a table, accessed atomically.
    let around = unsafe { around.as_ref() };
    let marked = |word| {
        let mut raw = F::Word::get(word, found.entry) & !states.accessed_mask | states.accessed_value;
        if dirty {
            raw = raw & !states.dirty_mask | states.dirty_value;
        }
        Some(F::Word::set(word, found.entry, raw))
    };
    around.fetch_update(Ordering::Release, Ordering::Acquire, marked).unwrap();
    // Some set the accessed state only, and leave the dirty state to software.
    !dirty || states.dirty_mask != 0
}

/// Whether a page that loses its right to be written can still say that it is dirty.
pub(super) fn keeps_dirty<F: Format>(format: &F, change: &Change) -> bool {
    let Some(rights) = change.rights.filter(|rights| !rights.contains(Rights::W)) else { return true };
    let dirty = Attributes { rights, dirty: true, ..attributes(rights) };
    canonical(format, &dirty).is_some_and(|attributes| attributes.dirty)
}

/// What a page reads back that was written with these attributes, if the format can say them.
pub(crate) fn canonical<F: Format>(format: &F, attributes: &Attributes) -> Option<Attributes> {
    let prototype = format.prototype(0, F::PAGE_BITS, attributes).ok()?;
    match format.decode(0, format.strip(prototype, 0, 1).first) {
        Entry::Leaf(leaf) => Some(leaf.attributes),
        _ => None,
    }
}
