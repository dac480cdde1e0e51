//! Areas in chunks, so that only the numbers of one move when an area comes or goes.

use alloc::{collections::TryReserveError, vec::Vec};
use core::{mem, ops::Range};

use crate::space::{Area, sorted::Sorted};

/// The most areas in one chunk: so few that their keys are moved at once, and so many that even a million areas are in few
/// chunks.
pub(super) const CHUNK: usize = 128;

/// Areas that follow each other, by where they start, with room for [`CHUNK`] of them; only if there is no other chunk,
/// perhaps for fewer.
pub(super) type Chunk<B> = Sorted<Area<B>>;

/// At least one chunk. None is empty, but for the only one.
#[derive(Clone, Debug)]
pub(super) struct Chunks<B> {
    /// In most spaces there is no other, and nothing to look for.
    first: Chunk<B>,
    /// By the start of their first areas.
    others: Sorted<Chunk<B>>,
    /// Room for chunks to come.
    spare: Vec<Chunk<B>>,
}

impl<B> Default for Chunks<B> {
    fn default() -> Self {
        Self { first: Chunk::default(), others: Sorted::default(), spare: Vec::new() }
    }
}

impl<B> Chunks<B> {
    pub(super) fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// The chunk where an area around `address` is, or would go.
    pub(super) fn around(&self, address: u64) -> usize {
        self.others.up_to(address)
    }

    pub(super) fn get(&self, chunk: usize) -> Option<&Chunk<B>> {
        match chunk.checked_sub(1) {
            None => Some(&self.first),
            Some(other) => self.others.get(other),
        }
    }

    pub(super) fn get_mut(&mut self, chunk: usize) -> Option<&mut Chunk<B>> {
        match chunk.checked_sub(1) {
            None => Some(&mut self.first),
            Some(other) => self.others.get_mut(other),
        }
    }

    pub(super) fn is_full(&self, chunk: usize) -> bool {
        self.get(chunk).is_some_and(|chunk| chunk.len() >= CHUNK)
    }

    /// Makes room for `more` areas, which divide up to `divisions` chunks.
    pub(super) fn try_reserve(&mut self, more: usize, divisions: usize) -> Result<(), TryReserveError> {
        if self.others.is_empty() {
            self.first.try_reserve(more.min(CHUNK - self.first.len()))?;
            if self.first.len() + more <= CHUNK {
                return Ok(());
            }
        }
        self.others.try_reserve(divisions)?;
        self.spare.try_reserve(divisions.saturating_sub(self.spare.len()))?;
        while self.spare.len() < divisions {
            let mut chunk = Chunk::default();
            chunk.try_reserve(CHUNK)?;
            self.spare.push(chunk);
        }
        Ok(())
    }

    /// Moves what is in a chunk from `index` on to a new one after it. Where that is nothing, an area that begins at `start`
    /// will be its first.
    pub(super) fn divide(&mut self, chunk: usize, index: usize, start: u64) {
        let mut upper = self.spare.pop().unwrap_or_default();
        if let Some(lower) = self.get_mut(chunk) {
            lower.move_to(&mut upper, index);
        }
        self.others.insert(chunk, upper.key(0).unwrap_or(start), upper);
    }

    /// Notes where the first area of a chunk starts.
    pub(super) fn update_key(&mut self, chunk: usize) {
        if let Some(other) = chunk.checked_sub(1)
            && let Some(start) = self.others.get(other).and_then(|chunk| chunk.key(0))
        {
            self.others.set_key(other, start);
        }
    }

    /// Takes empty chunks among those from `first` to `last` out, and puts small neighbours together: two that follow each
    /// other have more than half of one between them.
    pub(super) fn tidy(&mut self, first: usize, last: usize) {
        let is_empty = |chunk: usize| self.get(chunk).is_some_and(Chunk::is_empty);
        // Those between have lost all areas, if any have.
        let from = if is_empty(first) { first } else { first + 1 };
        let end = if is_empty(last) { last + 1 } else { last };
        // The last of all stays: there may be room in it that somebody counts on.
        let from = if end - from.min(end) == self.len() { from + 1 } else { from };
        if from < end {
            self.remove(from..end);
        }
        // Of those around the gap and those next to them, each may fit into the one before.
        let mut here = first.saturating_sub(1);
        for _ in 0..3 {
            if !self.put_together(here) {
                here += 1;
            }
        }
    }

    /// Takes empty chunks out; at least one other stays.
    fn remove(&mut self, range: Range<usize>) {
        for chunk in range.clone() {
            let empty = self.get_mut(chunk).map(mem::take);
            self.keep(empty);
        }
        match range.start.checked_sub(1) {
            Some(other) => self.others.remove_range(other..range.end - 1),
            None => {
                if let Some(stays) = self.others.get_mut(range.end - 1) {
                    mem::swap(&mut self.first, stays);
                    self.others.remove_range(0..range.end);
                }
            }
        }
    }

    /// Puts a chunk and the next together, if both are small.
    fn put_together(&mut self, here: usize) -> bool {
        let len = |chunk: usize| self.get(chunk).map(Chunk::len);
        let small = len(here).zip(len(here + 1)).is_some_and(|(lower, upper)| lower + upper <= CHUNK / 2);
        let upper = if small { self.others.remove(here) } else { None };
        let Some(mut upper) = upper else { return false };
        if let Some(lower) = self.get_mut(here) {
            upper.move_to(lower, 0);
        }
        self.keep(Some(upper));
        true
    }

    /// Keeps an empty chunk, if it is one that somebody may count on.
    fn keep(&mut self, chunk: Option<Chunk<B>>) {
        if self.spare.len() < self.spare.capacity() {
            self.spare.extend(chunk);
        }
    }
}

/// For tests of how many chunks there are, and where.
#[cfg(test)]
impl<B> Chunks<B> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Chunk<B>> {
        core::iter::once(&self.first).chain(self.others.iter())
    }

    /// Where the first area of a chunk is said to start; of the first chunk, nobody asks that.
    pub(super) fn key(&self, chunk: usize) -> Option<u64> {
        self.others.key(chunk.checked_sub(1)?)
    }

    pub(super) fn spare(&self) -> usize {
        self.spare.len()
    }
}
