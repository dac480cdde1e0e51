//! Removing entries, and changing their starts.

use core::mem;

use super::{Entry, Node, Place, Tree, WIDTH};
use crate::ClosedRange;

/// A leaf with so few entries is merged with one beside it, if both fit.
const FEW: usize = 2;

/// Two nodes become one if they have at most this many entries together, so that there is room for some more.
const MOST: usize = WIDTH - 3;

impl Tree {
    /// Changes where an entry starts; no other entry is between its old and its new start.
    pub(in crate::space::areas) fn restart(&mut self, place: Place, new: u64) {
        let Some(old) = self.start(place) else { return };
        let mut at = self.root;
        // If it is the first of a node, nodes further up have its start, too.
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

    /// Removes an entry, and returns the place of its area.
    pub(in crate::space::areas) fn remove(&mut self, place: Place) -> Option<u32> {
        let leaf = self.nodes.get(place.leaf())?;
        let Entry { start, link } = *leaf.entries.get(place.index())?;
        // If few entries are left, nodes further up may change, too.
        if self.levels > 1 && leaf.entries.len() <= FEW + 1 {
            self.remove_all(ClosedRange::around(start, 0), &mut |_| {});
            return Some(link);
        }
        // So they may if it is the first.
        if place.index() == 0
            && let Some(next) = leaf.entries.get(1).map(|next| next.start)
        {
            self.restart(place, next);
        }
        self.nodes.get_mut(place.leaf())?.remove(place.index());
        Some(link)
    }

    /// Removes all entries that start in `range`, and calls `gone` with the places of their areas.
    pub(in crate::space::areas) fn remove_all(&mut self, range: ClosedRange, gone: &mut dyn FnMut(u32)) {
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

    /// As [`Self::remove_all`], below a node; returns whether that has fewer entries then.
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
                    node.remove(index);
                    self.nodes.remove(below);
                }
            }
        }
        if fewer {
            // Of the nodes that were visited, at most two are left.
            if first < last {
                self.put_together(at, first + 1);
            }
            self.put_together(at, first);
            self.put_together(at, first.saturating_sub(1));
        }
        self.nodes.get(at).is_some_and(|node| node.entries.len() < len)
    }

    /// Merges the nodes of an entry and the next one, if there is little in them.
    // Not inlined: it has several callers.
    #[inline(never)]
    fn put_together(&mut self, at: u32, index: usize) {
        let Some(node) = self.nodes.get(at) else { return };
        let Some(&[Entry { link: lower, .. }, Entry { link: upper, .. }]) = node.entries.get(index..index + 2) else {
            return;
        };
        let len = |at: u32| self.nodes.get(at).map_or(0, |node| node.entries.len());
        if len(lower) + len(upper) > MOST {
            return;
        }
        let taken = self.nodes.get_mut(upper).map(|node| mem::take(&mut node.entries));
        self.nodes.remove(upper);
        if let Some((lower, taken)) = self.nodes.get_mut(lower).zip(taken) {
            let moved = lower.entries.try_extend_from_slice(&taken);
            debug_assert!(moved.is_ok(), "both together do not fill a node");
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.remove(index + 1);
        }
    }
}

impl Node {
    /// Takes an entry out, if there is one.
    // Not inlined: it has several callers.
    #[inline(never)]
    fn remove(&mut self, index: usize) {
        self.entries.pop_at(index);
    }
}
