//! Where areas are, by where they start.

#[cfg(test)]
mod check;
mod insert;
mod remove;

use arrayvec::ArrayVec;

use super::slots::Slots;

/// The most entries of a node: so few that to look through them takes no longer than to search them, and to move them hardly
/// anything. A node takes 256 bytes.
const WIDTH: usize = 15;

/// A B+ tree: starts in ascending order, each with the place of its area.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) nodes: Slots<Node>,
    root: u32,
    /// How many nodes are above each other; none, if there never was an entry.
    levels: usize,
}

/// Entries in ascending order; only a root that is a leaf may have none.
// What is asked first stands first, and so in one cache line.
#[repr(C)]
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    is_inner: bool,
    entries: ArrayVec<Entry, WIDTH>,
}

/// What begins at an address: an area, or the first of all areas below a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) start: u64,
    /// Its place among the areas, or the nodes.
    pub(super) link: u32,
}

/// Where an entry is, or would go, until another comes or goes: a leaf and an index in it, which may be one after the last for
/// what would go there. One word, so that it goes by registers from function to function.
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

    /// Where an entry would go that comes after the one here.
    pub(super) const fn behind(self) -> Self {
        Self::new(self.leaf(), self.index() + 1)
    }

    /// The entry before it, if that is in the same leaf, as it is for what would go there.
    pub(super) fn before(self) -> Option<Self> {
        Some(Self::new(self.leaf(), self.index().checked_sub(1)?))
    }
}

impl Tree {
    pub(super) const NONE: Self = Self { nodes: Slots::NONE, root: 0, levels: 0 };

    /// The leaf in which an entry is, or would be, that begins at `start`.
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

    /// The first entry that starts after `start`, of which it is known where it would be in the same leaf.
    pub(super) fn after(&self, place: Place, start: u64) -> Option<Place> {
        match self.entry(place) {
            Some(_) => Some(place),
            None => self.beyond(start),
        }
    }

    /// The first entry of the leaf after that in which an entry is, or would be, that begins at `start`.
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

    /// Those of the leaf after that in which an entry is that begins at `start`.
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

    /// The last of them; what is before all others, is below the first. Where that starts is not asked: it may be written
    /// there what did so before, which is more than the next one's when others came before it.
    #[inline]
    fn below(&self, start: u64) -> usize {
        self.up_to_from(1, start)
    }

    /// How many from this index on do. There are few, and it is known how many at most: each is compared on its own.
    #[inline]
    fn up_to_from(&self, first: usize, start: u64) -> usize {
        let starts = |index: &usize| self.entries.get(*index).is_some_and(|entry| entry.start <= start);
        (first..WIDTH).take_while(starts).count()
    }
}
