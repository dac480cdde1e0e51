//! A B+ tree that finds areas by their start.

#[cfg(test)]
mod check;
mod insert;
mod remove;

use arrayvec::ArrayVec;

use super::slots::Slots;

/// The most entries of a node: few enough that a linear search is as fast as any other, and moving them costs hardly
/// anything. A node takes 256 bytes.
const WIDTH: usize = 15;

/// A B+ tree: starts in ascending order, each with the place of its area.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) nodes: Slots<Node>,
    root: u32,
    /// The height in nodes; 0 if there never was an entry.
    levels: usize,
}

/// Entries in ascending order; only a root that is a leaf may have none.
// What is read first comes first, and so is in one cache line.
#[repr(C)]
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    is_inner: bool,
    entries: ArrayVec<Entry, WIDTH>,
}

/// An area or a node, with the address at which it (for a node, the first area below it) begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) start: u64,
    /// Its place among the areas, or the nodes.
    pub(super) link: u32,
}

/// Where an entry is, or would go; valid until an entry is inserted or removed. It is a leaf and an index in it, which
/// may be one after the last for an entry that would go there. It has one word, so that it is passed in a register.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::space) struct Place(u64);

impl Place {
    const fn new(leaf: u32, index: usize) -> Self {
        Self((index as u64) << 32 | leaf as u64)
    }

    const fn leaf(self) -> u32 {
        self.0 as u32
    }

    const fn index(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// Where an entry would go that follows the one here.
    pub(super) const fn behind(self) -> Self {
        Self::new(self.leaf(), self.index() + 1)
    }

    /// The entry before it, if that is in the same leaf.
    pub(super) fn before(self) -> Option<Self> {
        Some(Self::new(self.leaf(), self.index().checked_sub(1)?))
    }
}

impl Tree {
    pub(super) const NONE: Self = Self { nodes: Slots::NONE, root: 0, levels: 0 };

    /// The leaf that has, or would have, the entry that begins at `start`.
    #[inline]
    fn leaf(&self, start: u64) -> Option<(u32, &Node)> {
        let (mut at, mut node) = (self.root, self.nodes.get(self.root)?);
        while node.is_inner {
            at = node.entries.get(node.below(start))?.link;
            node = self.nodes.get(at)?;
        }
        Some((at, node))
    }

    /// The place of the area of the last entry that starts at `start` or before.
    #[inline]
    pub(super) fn find(&self, start: u64) -> Option<u32> {
        let (_, leaf) = self.leaf(start)?;
        Some(leaf.entries.get(leaf.up_to(start).checked_sub(1)?)?.link)
    }

    /// Where an entry goes that begins at `start`: after all that do not begin later.
    pub(super) fn place(&self, start: u64) -> Place {
        let leaf = self.leaf(start);
        leaf.map_or(Place::default(), |(leaf, node)| Place::new(leaf, node.up_to(start)))
    }

    /// The last entry that starts at `start` or before.
    pub(super) fn up_to(&self, start: u64) -> Option<Place> {
        self.place(start).before()
    }

    /// The first entry that starts after `start`, given its place if it is in the same leaf.
    pub(super) fn after(&self, place: Place, start: u64) -> Option<Place> {
        match self.entry(place) {
            Some(_) => Some(place),
            None => self.beyond(start),
        }
    }

    /// The first entry of the leaf after the one that has, or would have, the entry that begins at `start`.
    fn beyond(&self, start: u64) -> Option<Place> {
        let (mut at, mut beyond) = (self.root, None);
        while let Some(node) = self.nodes.get(at).filter(|node| node.is_inner) {
            let below = node.below(start);
            beyond = node.entries.get(below + 1).or(beyond);
            at = node.entries.get(below)?.link;
        }
        let mut first = beyond?.link;
        while let Some(node) = self.nodes.get(first).filter(|node| node.is_inner) {
            first = node.entries.first()?.link;
        }
        Some(Place::new(first, 0))
    }

    /// The entries of a leaf from this one on.
    pub(super) fn entries(&self, place: Place) -> &[Entry] {
        self.nodes.get(place.leaf()).and_then(|leaf| leaf.entries.get(place.index()..)).unwrap_or_default()
    }

    /// The entries of the leaf after the one that has the entry that begins at `start`.
    pub(super) fn entries_beyond(&self, start: u64) -> &[Entry] {
        self.beyond(start).map_or(&[], |place| self.entries(place))
    }

    /// The entry after another.
    pub(super) fn next(&self, place: Place) -> Option<Place> {
        let behind = place.behind();
        match self.entry(behind) {
            Some(_) => Some(behind),
            None => self.beyond(self.start(place)?),
        }
    }

    /// The entry before another.
    pub(super) fn previous(&self, place: Place) -> Option<Place> {
        place.before().or_else(|| self.up_to(self.start(place)?.checked_sub(1)?))
    }

    /// The place of an entry's area.
    #[inline]
    pub(super) fn link(&self, place: Place) -> Option<u32> {
        Some(self.entry(place)?.link)
    }

    /// Where an entry starts.
    pub(super) fn start(&self, place: Place) -> Option<u64> {
        Some(self.entry(place)?.start)
    }

    #[inline]
    fn entry(&self, place: Place) -> Option<&Entry> {
        self.nodes.get(place.leaf())?.entries.get(place.index())
    }
}

impl Node {
    /// How many entries start at `start` or before.
    #[inline]
    fn up_to(&self, start: u64) -> usize {
        self.up_to_from(0, start)
    }

    /// The last entry that starts at `start` or before; the first, if none does. The first entry's own start is not
    /// compared: it may be out of date, and too high after smaller ones were inserted below it.
    #[inline]
    fn below(&self, start: u64) -> usize {
        self.up_to_from(1, start)
    }

    /// How many entries from this index on start at `start` or before. There are few, with a known maximum, so each is
    /// compared by itself.
    #[inline]
    fn up_to_from(&self, first: usize, start: u64) -> usize {
        let starts = |index: &usize| self.entries.get(*index).is_some_and(|entry| entry.start <= start);
        (first..WIDTH).take_while(starts).count()
    }
}
