//! Values in the order of numbers.

use alloc::{collections::TryReserveError, vec::Vec};
use core::ops::Range;

/// Values by ascending keys. When one comes or goes, keys and small numbers move: the values stay where they are.
#[derive(Debug)]
pub(super) struct Sorted<T> {
    keys: Vec<u64>,
    /// Where in `values` the value of each key is; then, which places there are free.
    places: Vec<u32>,
    values: Vec<Option<T>>,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { keys: Vec::new(), places: Vec::new(), values: Vec::new() }
    }
}

/// With as much room.
impl<T: Clone> Clone for Sorted<T> {
    fn clone(&self) -> Self {
        let mut copy = Self {
            keys: Vec::with_capacity(self.keys.capacity()),
            places: Vec::with_capacity(self.places.capacity()),
            values: Vec::with_capacity(self.values.capacity()),
        };
        for (&key, value) in self.keys.iter().zip(self.iter()) {
            copy.insert(copy.len(), key, value.clone());
        }
        copy
    }
}

impl<T> Sorted<T> {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Makes room for `more` values.
    pub(super) fn try_reserve(&mut self, more: usize) -> Result<(), TryReserveError> {
        self.keys.try_reserve(more)?;
        self.places.try_reserve((self.len() + more).saturating_sub(self.places.len()))?;
        self.values.try_reserve((self.len() + more).saturating_sub(self.values.len()))
    }

    /// How many keys are at most `key`: the index of the first that is larger.
    #[inline]
    pub(super) fn up_to(&self, key: u64) -> usize {
        // Where there are few, a processor foresees where a scan ends, and goes on; a search it has to wait for.
        match self.keys.as_slice() {
            few if few.len() <= 4 => few.iter().take_while(|&&other| other <= key).count(),
            keys => keys.partition_point(|&other| other <= key),
        }
    }

    #[inline]
    pub(super) fn key(&self, index: usize) -> Option<u64> {
        self.keys.get(index).copied()
    }

    /// Gives the value at `index` another key, which leaves it there.
    pub(super) fn set_key(&mut self, index: usize, key: u64) {
        if let Some(old) = self.keys.get_mut(index) {
            *old = key;
        }
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        let place = self.places.get(..self.len())?.get(index)?;
        self.values.get(*place as usize)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let place = self.places.get(..self.len())?.get(index)?;
        self.values.get_mut(*place as usize)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Puts a value at `index`, where `key` belongs.
    pub(super) fn insert(&mut self, index: usize, key: u64, value: T) {
        let len = self.len();
        if self.places.len() == len {
            self.places.push(self.values.len() as u32);
            self.values.push(None);
        }
        let place = self.places.swap_remove(len);
        if let Some(free) = self.values.get_mut(place as usize) {
            *free = Some(value);
            self.places.insert(index, place);
            self.keys.insert(index, key);
        }
    }

    /// Takes the value at `index` out.
    pub(super) fn remove(&mut self, index: usize) -> Option<T> {
        let value = self.take(index)?;
        let place = self.places.remove(index);
        self.places.push(place);
        self.keys.remove(index);
        Some(value)
    }

    /// Takes out what is at the indices `range`.
    pub(super) fn remove_range(&mut self, range: Range<usize>) {
        range.rev().for_each(|index| drop(self.remove(index)));
    }

    /// Moves what is from `index` on to the end of `other`, whose keys are lower.
    pub(super) fn move_to(&mut self, other: &mut Self, index: usize) {
        for from in index..self.len() {
            if let (Some(key), Some(value)) = (self.key(from), self.take(from)) {
                other.insert(other.len(), key, value);
            }
        }
        self.keys.truncate(index);
    }

    /// Takes the value at `index` out of its place, which becomes free when its key is gone.
    fn take(&mut self, index: usize) -> Option<T> {
        let place = self.places.get(..self.len())?.get(index)?;
        self.values.get_mut(*place as usize)?.take()
    }
}

#[cfg(test)]
impl<T> Sorted<T> {
    /// For how many values there is room.
    pub(super) fn capacity(&self) -> usize {
        self.keys.capacity().min(self.places.capacity()).min(self.values.capacity())
    }

    /// Leaves room for those only that there are.
    pub(super) fn shrink_to_fit(&mut self) {
        self.keys.shrink_to_fit();
        self.places.shrink_to_fit();
        self.values.shrink_to_fit();
    }
}
