//! A cache that remembers translations until they are invalidated.

use std::sync::Mutex;

use tablewright::{
    ClosedRange, Format, HostPhysAddr, Invalidation, Rights, Tag,
    sim::{Machine, Observer},
};

use super::walk;

#[derive(Debug)]
struct Cached {
    ia: u64,
    /// `None`: only the tables are still cached.
    leaf: Option<(u64, Rights)>,
    /// The tables on the way below the root, and for which addresses an invalidation makes a CPU forget each.
    path: Vec<(u64, ClosedRange)>,
}

/// Translations as a CPU may remember them.
#[derive(Debug)]
pub(crate) struct Cache<F> {
    format: F,
    cached: Mutex<Vec<Cached>>,
    complaints: Mutex<Vec<String>>,
}

impl<F: Format> Cache<F> {
    pub(super) fn new(format: F) -> Self {
        Self { format, cached: Mutex::default(), complaints: Mutex::default() }
    }

    pub(super) fn fill(&self, machine: &Machine, root: u64, ia: u64) {
        if let Some(found) = walk(machine, &self.format, root, ia) {
            let leaf = Some((found.output, found.attributes.rights));
            let (geometry, below_root) = (self.format.geometry(), found.path.into_iter().skip(1));
            let above = (1..geometry.levels).rev();
            let path = below_root.zip(above).map(|(table, level)| (table, geometry.slot(level, ia))).collect();
            self.cached.lock().unwrap().push(Cached { ia, leaf, path });
        }
    }

    /// Everything cached must be what the tables say, then forget it.
    pub(super) fn check(&self, machine: &Machine, root: u64) {
        let all = std::mem::take(&mut *self.cached.lock().unwrap());
        for cached in all {
            let now = walk(machine, &self.format, root, cached.ia);
            if let Some(leaf) = cached.leaf {
                let now = now.as_ref().map(|now| (now.output, now.attributes.rights));
                assert_eq!(now, Some(leaf), "stale translation of {:#x}", cached.ia);
            }
            for (table, _) in cached.path {
                assert!(machine.is_allocated(table), "stale table {table:#x} on the way to {:#x}", cached.ia);
            }
        }
        let complaints = self.complaints.lock().unwrap().clone();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

impl<F: Format> Observer for Cache<F> {
    fn invalidated(&self, _: &Machine, _: HostPhysAddr, _: Tag, set: &Invalidation) {
        let mut cached = self.cached.lock().unwrap();
        match *set {
            Invalidation::Space | Invalidation::All => cached.clear(),
            Invalidation::Range { range, leaf_only, .. } => {
                for cached in cached.iter_mut() {
                    if range.contains(cached.ia) {
                        cached.leaf = None;
                    }
                    if !leaf_only {
                        cached.path.retain(|(_, slot)| slot.intersection(&range).is_none());
                    }
                }
            }
        }
    }

    fn freed(&self, _: &Machine, frame: HostPhysAddr, size: u8) {
        let frame = frame.as_usize() as u64;
        let inside = |address: u64| address >> size == frame >> size;
        for cached in self.cached.lock().unwrap().iter() {
            if cached.path.iter().any(|&(table, _)| inside(table))
                || cached.leaf.is_some_and(|(output, _)| inside(output))
            {
                self.complaints.lock().unwrap().push(format!("{frame:#x} freed while in use by {cached:x?}"));
            }
        }
    }
}
