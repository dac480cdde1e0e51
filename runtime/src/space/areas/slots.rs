//! Values that stay in their places, and are known by them.

use alloc::{collections::TryReserveError, vec::Vec};

/// Values in numbered places. A place that becomes free is the next to be taken.
#[derive(Clone, Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    /// The free place to be taken next.
    free: Option<u32>,
    len: usize,
}

#[derive(Clone, Debug)]
enum Slot<T> {
    Full(T),
    /// The free place to be taken after this one.
    Free(Option<u32>),
}

impl<T> Slots<T> {
    pub(super) const NONE: Self = Self { slots: Vec::new(), free: None, len: 0 };

    /// Number of values.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Makes room for `more` values.
    pub(super) fn try_reserve(&mut self, more: usize) -> Result<(), TryReserveError> {
        self.slots.try_reserve((self.len + more).saturating_sub(self.slots.len()))
    }

    pub(super) fn get(&self, place: u32) -> Option<&T> {
        match self.slots.get(place as usize)? {
            Slot::Full(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        match self.slots.get_mut(place as usize)? {
            Slot::Full(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// Inserts a value, for which there is room, and returns its place.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let place = self.next();
        if let Some(slot) = self.slots.get_mut(place as usize) {
            *slot = Slot::Full(value);
            self.len += 1;
        }
        place
    }

    /// Takes the next free place.
    fn next(&mut self) -> u32 {
        if let Some(place) = self.free
            && let Some(&Slot::Free(next)) = self.slots.get(place as usize)
        {
            self.free = next;
            return place;
        }
        self.slots.push(Slot::Free(None));
        self.slots.len() as u32 - 1
    }

    /// Drops a value where it is.
    pub(super) fn remove(&mut self, place: u32) {
        if let Some(slot @ Slot::Full(_)) = self.slots.get_mut(place as usize) {
            *slot = Slot::Free(self.free);
            self.free = Some(place);
            self.len -= 1;
        }
    }
}

#[cfg(test)]
impl<T> Slots<T> {
    /// For how many values there is room, in all.
    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// Gives back the room that is not in use.
    pub(super) fn shrink_to_fit(&mut self) {
        self.slots.shrink_to_fit();
    }
}
