//! Where areas are, by where they start.

#[cfg(test)]
mod check;

use alloc::collections::TryReserveError;
use core::mem;

use arrayvec::ArrayVec;

use super::slots::Slots;
use crate::ClosedRange;

/// The most entries of a node: so few that to look through them takes no longer than to search them, and to move them hardly
/// anything. A node takes 256 bytes.
const WIDTH: usize = 15;

/// Of a node with so few entries, it is seen whether they fit into one beside it.
const FEW: usize = WIDTH / 4;

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
struct Entry {
    start: u64,
    /// Its place among the areas, or the nodes.
    link: u32,
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

    /// Makes room for `more` entries.
    pub(super) fn try_reserve(&mut self, more: usize) -> Result<(), TryReserveError> {
        // An entry divides at most one node on each level, and adds a root; who inserts the last of them may ask again, for
        // what a higher tree could take. What was divided is not divided again before half of it came anew, but for the last
        // of a level, which may be full still.
        let all = (self.levels + 2).saturating_mul(more);
        self.nodes.try_reserve(all.min(self.levels + 1 + 3 * self.nodes.len() + more / 2))
    }

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

    /// Inserts an entry, for which there is room, where it goes, and says where it is then.
    pub(super) fn insert(&mut self, place: Place, start: u64, link: u32) -> Option<Place> {
        let entry = Entry { start, link };
        if let Some(leaf) = self.nodes.get_mut(place.leaf()).filter(|leaf| !leaf.entries.is_full()) {
            leaf.insert(place.index(), entry);
            return Some(place);
        }
        if self.levels == 0 {
            self.grow(Node::default());
        }
        if let Some(upper) = self.insert_below(self.root, entry, true) {
            let mut root = Node { is_inner: true, ..Node::default() };
            root.insert(0, Entry { start: 0, link: self.root });
            root.insert(1, upper);
            self.grow(root);
        }
        self.up_to(start)
    }

    /// Makes this the root.
    fn grow(&mut self, root: Node) {
        self.root = self.nodes.insert(root);
        self.levels += 1;
    }

    /// Inserts an entry below a node; the entry of a node that has to stand after it then. `is_last`: none does so far.
    fn insert_below(&mut self, at: u32, entry: Entry, is_last: bool) -> Option<Entry> {
        let node = self.nodes.get(at)?;
        let below = node.below(entry.start);
        let index = if node.is_inner { below + 1 } else { node.up_to(entry.start) };
        let is_last = is_last && index == node.entries.len();
        let mut entry = entry;
        if node.is_inner {
            entry = self.insert_below(node.entries.get(below)?.link, entry, is_last)?;
        }
        let node = self.nodes.get_mut(at)?;
        if !node.entries.is_full() {
            node.insert(index, entry);
            return None;
        }
        // What comes in ascending order fills nodes to the last place.
        let keep = if is_last && index == WIDTH { WIDTH } else { WIDTH / 2 };
        let mut upper = Node { is_inner: node.is_inner, ..Node::default() };
        let moved = upper.entries.try_extend_from_slice(node.entries.get(keep..)?);
        debug_assert!(moved.is_ok(), "nodes have the same room");
        node.entries.truncate(keep);
        if index > keep || keep == WIDTH {
            upper.insert(index - keep, entry);
        } else {
            node.insert(index, entry);
        }
        let start = upper.entries.first()?.start;
        Some(Entry { start, link: self.nodes.insert(upper) })
    }

    /// Lets an entry start elsewhere, with no other entry between there and where it started.
    pub(super) fn restart(&mut self, place: Place, new: u64) {
        let Some(old) = self.start(place) else { return };
        let mut at = self.root;
        // Where it is the first, that is written further up, too.
        while let Some(node) = self.nodes.get_mut(at) {
            let index = if node.is_inner { node.below(old) } else { place.index() };
            let Some(entry) = node.entries.get_mut(index) else { return };
            if entry.start == old {
                entry.start = new;
            }
            if !node.is_inner {
                return;
            }
            at = entry.link;
        }
    }

    /// Takes an entry out; the place of its area.
    pub(super) fn remove(&mut self, place: Place) -> Option<u32> {
        let leaf = self.nodes.get_mut(place.leaf())?;
        let Entry { start, link } = *leaf.entries.get(place.index())?;
        // What is the first, or leaves few behind, concerns nodes further up.
        if place.index() > 0 && leaf.entries.len() > FEW + 1 || self.levels == 1 {
            leaf.entries.pop_at(place.index());
        } else {
            self.remove_all(ClosedRange::around(start, 0), &mut |_| {});
        }
        Some(link)
    }

    /// Takes all entries out that start in `range`, and tells `gone` the places of their areas.
    pub(super) fn remove_all(&mut self, range: ClosedRange, gone: &mut dyn FnMut(u32)) {
        self.remove_below(self.root, range, gone);
        while let Some(root) = self.nodes.get_mut(self.root).filter(|root| root.is_inner) {
            match *root.entries.as_slice() {
                [] => {
                    *root = Node::default();
                    self.levels = 1;
                }
                [Entry { link, .. }] => {
                    self.nodes.remove(self.root);
                    self.root = link;
                    self.levels -= 1;
                }
                _ => return,
            }
        }
    }

    /// Takes them out below a node; whether that has fewer entries then.
    fn remove_below(&mut self, at: u32, range: ClosedRange, gone: &mut dyn FnMut(u32)) -> bool {
        let Some(node) = self.nodes.get_mut(at) else { return false };
        let len = node.entries.len();
        if !node.is_inner {
            node.entries.retain(|entry| {
                let stays = !range.contains(entry.start);
                if !stays {
                    gone(entry.link);
                }
                stays
            });
            return node.entries.len() < len;
        }
        let first = node.below(range.start());
        let last = first + node.up_to_from(first + 1, range.last());
        let mut fewer = false;
        for index in (first..=last).rev() {
            let node = self.nodes.get(at);
            let Some(below) = node.and_then(|node| node.entries.get(index)).map(|entry| entry.link) else { break };
            fewer |= self.remove_below(below, range, gone);
            let start = self.nodes.get(below).and_then(|below| below.entries.first()).map(|first| first.start);
            let Some(node) = self.nodes.get_mut(at) else { break };
            match (start, node.entries.get_mut(index)) {
                (Some(start), Some(entry)) => entry.start = start,
                _ => {
                    node.entries.pop_at(index);
                    self.nodes.remove(below);
                }
            }
        }
        if fewer {
            // Of those that were looked into, two are left at most.
            if first < last {
                self.put_together(at, first + 1);
            }
            self.put_together(at, first);
            self.put_together(at, first.saturating_sub(1));
        }
        self.nodes.get(at).is_some_and(|node| node.entries.len() < len)
    }

    /// Puts the nodes of an entry and the next together, if there is little in them.
    // Asked for several: there is one of it.
    #[inline(never)]
    fn put_together(&mut self, at: u32, index: usize) {
        let Some(node) = self.nodes.get(at) else { return };
        let Some(&[Entry { link: lower, .. }, Entry { link: upper, .. }]) = node.entries.get(index..index + 2) else {
            return;
        };
        let len = |at: u32| self.nodes.get(at).map_or(0, |node| node.entries.len());
        if len(lower) + len(upper) > WIDTH / 2 {
            return;
        }
        let taken = self.nodes.get_mut(upper).map(|node| mem::take(&mut node.entries));
        self.nodes.remove(upper);
        if let Some((lower, taken)) = self.nodes.get_mut(lower).zip(taken) {
            let moved = lower.entries.try_extend_from_slice(&taken);
            debug_assert!(moved.is_ok(), "both together fill half a node");
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.entries.pop_at(index + 1);
        }
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

    /// Inserts an entry, for which there is room.
    fn insert(&mut self, index: usize, entry: Entry) {
        let has_room = index <= self.entries.len() && !self.entries.is_full();
        debug_assert!(has_room, "a node is full");
        if has_room {
            self.entries.insert(index, entry);
        }
    }
}
