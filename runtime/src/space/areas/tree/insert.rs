//! Inserting entries.

use alloc::collections::TryReserveError;

use super::{Entry, Node, Place, Tree, WIDTH};

impl Tree {
    /// Makes room for `more` entries.
    pub(in crate::space::areas) fn try_reserve(&mut self, more: usize) -> Result<(), TryReserveError> {
        // An entry divides at most one node on each level, and adds a root; who inserts the last of them may ask again, for
        // what a higher tree could take. What was divided is not divided again before half of it came anew, but for the last
        // of a level, which may be full still.
        let all = (self.levels + 2).saturating_mul(more);
        self.nodes.try_reserve(all.min(self.levels + 1 + 3 * self.nodes.len() + more / 2))
    }

    /// Inserts an entry, for which there is room, at its place, and returns where it is then.
    pub(in crate::space::areas) fn insert(&mut self, place: Place, start: u64, link: u32) -> Option<Place> {
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

    /// Inserts an entry below a node. Returns the entry of a new node that has to follow this one. With `is_last`, this
    /// node has no successor.
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
        // If entries come in ascending order, they fill nodes completely.
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
}

impl Node {
    /// Inserts an entry, for which there is room.
    fn insert(&mut self, index: usize, entry: Entry) {
        let has_room = index <= self.entries.len() && !self.entries.is_full();
        debug_assert!(has_room, "a node is full");
        if has_room {
            self.entries.insert(index, entry);
        }
    }
}
