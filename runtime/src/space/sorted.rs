//! Values in the order of numbers.

use alloc::{collections::TryReserveError, vec::Vec};
use core::ops::Range;

/// Values by ascending keys. When one comes or goes, keys and small numbers move: the values stay where they are.
#[derive(Debug)]
pub(super) struct Sorted<T> {
    order: Order,
    values: Vec<Option<T>>,
}

/// What does not depend on what the values are.
#[derive(Debug, Default)]
struct Order {
    keys: Vec<u64>,
    /// Where the value of each key is; then, which places are free.
    places: Vec<u32>,
}

impl Order {
    fn try_reserve(&mut self, more: usize) -> Result<(), TryReserveError> {
        self.keys.try_reserve(more)?;
        self.places.try_reserve((self.keys.len() + more).saturating_sub(self.places.len()))
    }

    /// Puts `key` at `index`, and returns the place for its value: a free one, or one after all others.
    fn insert(&mut self, index: usize, key: u64) -> usize {
        let len = self.keys.len();
        if self.places.len() == len {
            self.places.push(len as u32);
        }
        let place = self.places.swap_remove(len);
        self.places.insert(index, place);
        self.keys.insert(index, key);
        place as usize
    }

    /// Takes the key at `index` out; its place is free then.
    fn remove(&mut self, index: usize) {
        let place = self.places.remove(index);
        self.places.push(place);
        self.keys.remove(index);
    }

    /// Takes the keys at the indices `range` out, in one pass; their places are free then.
    fn remove_range(&mut self, range: Range<usize>) {
        for index in range.end..self.keys.len() {
            self.places.swap(index - range.len(), index);
        }
        self.keys.drain(range);
    }

    /// Where the value of the key at `index` is.
    #[inline]
    fn place(&self, index: usize) -> Option<usize> {
        let place = self.places.get(..self.keys.len())?.get(index)?;
        Some(*place as usize)
    }
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { order: Order::default(), values: Vec::new() }
    }
}

/// With as much room.
impl<T: Clone> Clone for Sorted<T> {
    fn clone(&self) -> Self {
        let Order { keys, places } = &self.order;
        let order = Order { keys: Vec::with_capacity(keys.capacity()), places: Vec::with_capacity(places.capacity()) };
        let mut copy = Self { order, values: Vec::with_capacity(self.values.capacity()) };
        for (&key, value) in keys.iter().zip(self.iter()) {
            copy.insert(copy.len(), key, value.clone());
        }
        copy
    }
}

impl<T> Sorted<T> {
    pub(super) fn len(&self) -> usize {
        self.order.keys.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.keys.is_empty()
    }

    /// Makes room for `more` values.
    pub(super) fn try_reserve(&mut self, more: usize) -> Result<(), TryReserveError> {
        self.order.try_reserve(more)?;
        self.values.try_reserve((self.len() + more).saturating_sub(self.values.len()))
    }

    /// How many keys are at most `key`: the index of the first that is larger.
    pub(super) fn up_to(&self, key: u64) -> usize {
        // Where there are few, a processor foresees where a scan ends, and goes on; a search it has to wait for.
        match self.order.keys.as_slice() {
            few if few.len() <= 4 => few.iter().take_while(|&&other| other <= key).count(),
            keys => keys.partition_point(|&other| other <= key),
        }
    }

    pub(super) fn key(&self, index: usize) -> Option<u64> {
        self.order.keys.get(index).copied()
    }

    /// Gives the value at `index` another key, which leaves it there.
    pub(super) fn set_key(&mut self, index: usize, key: u64) {
        if let Some(old) = self.order.keys.get_mut(index) {
            *old = key;
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.values.get(self.order.place(index)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.values.get_mut(self.order.place(index)?)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Puts a value at `index`, where `key` belongs.
    pub(super) fn insert(&mut self, index: usize, key: u64, value: T) {
        let place = self.order.insert(index, key);
        match self.values.get_mut(place) {
            Some(free) => *free = Some(value),
            None => self.values.push(Some(value)),
        }
    }

    /// Takes the value at `index` out.
    pub(super) fn remove(&mut self, index: usize) -> Option<T> {
        let value = self.take(index)?;
        self.order.remove(index);
        Some(value)
    }

    /// Takes out what is at the indices `range`.
    pub(super) fn remove_range(&mut self, range: Range<usize>) {
        range.clone().for_each(|index| drop(self.take(index)));
        self.order.remove_range(range);
    }

    /// Moves what is from `index` on to the end of `other`, whose keys are lower.
    pub(super) fn move_to(&mut self, other: &mut Self, index: usize) {
        for from in index..self.len() {
            if let (Some(key), Some(value)) = (self.key(from), self.take(from)) {
                other.insert(other.len(), key, value);
            }
        }
        self.order.keys.truncate(index);
    }

    /// Takes the value at `index` out of its place, which becomes free when its key is gone.
    fn take(&mut self, index: usize) -> Option<T> {
        self.values.get_mut(self.order.place(index)?)?.take()
    }
}

#[cfg(test)]
impl<T> Sorted<T> {
    /// For how many values there is room.
    pub(super) fn capacity(&self) -> usize {
        self.order.keys.capacity().min(self.order.places.capacity()).min(self.values.capacity())
    }

    /// Leaves room for those only that there are.
    pub(super) fn shrink_to_fit(&mut self) {
        self.order.keys.shrink_to_fit();
        self.order.places.shrink_to_fit();
        self.values.shrink_to_fit();
    }
}
