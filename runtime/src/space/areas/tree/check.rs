//! What holds of every tree, for tests.

use alloc::vec::Vec;

use super::{Node, Tree};

impl Tree {
    /// Checks that it is as it should be, and returns how many nodes it has.
    pub(in crate::space::areas) fn check(&self) -> usize {
        let nodes = if self.levels > 0 { self.check_below(self.root, self.levels).1 } else { 0 };
        assert_eq!(nodes, self.nodes.len(), "nodes that nothing leads to");
        nodes
    }

    /// The start of the first entry below a node that is so many levels above all areas, and how many nodes it is with those
    /// below it.
    fn check_below(&self, at: u32, levels: usize) -> (Option<u64>, usize) {
        let node = self.nodes.get(at).expect("a node");
        let Node { is_inner, entries } = node;
        assert_eq!(*is_inner, levels > 1);
        let starts: Vec<_> = entries.iter().map(|entry| entry.start).collect();
        // Of the first node, nobody asks where it starts.
        assert!(starts[usize::from(*is_inner)..].is_sorted_by(|one, next| one < next), "{node:?}");
        if !is_inner {
            assert!(
                starts.iter().all(|&start| self.leaf(start).is_some_and(|(leaf, _)| leaf == at)),
                "not found: {node:?}"
            );
            return (starts.first().copied(), 1);
        }
        let below: Vec<_> = entries.iter().map(|entry| self.check_below(entry.link, levels - 1)).collect();
        let firsts: Vec<_> = below.iter().map(|below| below.0.expect("an entry")).collect();
        assert_eq!(starts[1..], firsts[1..]);
        (firsts.first().copied(), below.iter().map(|below| below.1).sum::<usize>() + 1)
    }
}
