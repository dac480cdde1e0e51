//! A plain model of what is mapped.

use tablewright::{Change, ClosedRange, Region};

/// What is mapped, as a sorted list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) mapped: Vec<Region>,
}

impl Model {
    pub(super) fn intersecting(&self, range: ClosedRange) -> impl Iterator<Item = Region> + '_ {
        self.mapped.iter().filter_map(move |region| {
            let part = region.range.intersection(&range)?;
            let address = region.address + (part.start() - region.range.start());
            Some(Region { range: part, address, attributes: region.attributes })
        })
    }

    pub(crate) fn remove(&mut self, range: ClosedRange) {
        let left = range.start().checked_sub(1).map(|last| ClosedRange::new(0, last).unwrap());
        let right = range.last().checked_add(1).map(|start| ClosedRange::new(start, u64::MAX).unwrap());
        self.mapped =
            [left, right].into_iter().flatten().flat_map(|rest| self.intersecting(rest).collect::<Vec<_>>()).collect();
    }

    pub(crate) fn insert(&mut self, region: Region) {
        self.mapped.push(region);
        self.mapped.sort_by_key(|region| region.range.start());
    }

    pub(crate) fn protect(&mut self, range: ClosedRange, change: &Change) {
        let changed: Vec<Region> = self.intersecting(range).collect();
        self.remove(range);
        for region in changed {
            self.insert(Region { attributes: region.attributes.with(change), ..region });
        }
    }

    /// With what continues each other joined, and without accessed and dirty.
    pub(super) fn joined(&self) -> Vec<Region> {
        let mut joined: Vec<Region> = Vec::new();
        for &region in &self.mapped {
            if let Some(last) = joined.last_mut()
                && last.range.last().checked_add(1) == Some(region.range.start())
                && last.address + last.range.span() + 1 == region.address
                && last.attributes == region.attributes
            {
                last.range = last.range.hull(&region.range);
            } else {
                joined.push(region);
            }
        }
        joined
    }
}
