//! Compares two sets of tables.

use super::{Content, Extent};

/// A range of input addresses that two sets of tables map differently; `None` stands for "not mapped".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first of the input addresses.
    pub first: u64,
    /// The last of them.
    pub last: u64,
    /// What the old tables say.
    pub old: Option<Content>,
    /// What the new tables say.
    pub new: Option<Content>,
}

/// The differences between `old` and `new`, each in the order of input addresses. Page sizes are not compared.
pub fn changes(old: impl Iterator<Item = Extent>, new: impl Iterator<Item = Extent>) -> impl Iterator<Item = Change> {
    let mut sides = Sides { old: Side::new(old), new: Side::new(new) };
    std::iter::from_fn(move || {
        loop {
            let change = sides.next()?;
            if !same(change.old.as_ref(), change.new.as_ref()) {
                return Some(change);
            }
        }
    })
}

fn same(old: Option<&Content>, new: Option<&Content>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => old.continues(0, new),
        (old, new) => old.is_none() && new.is_none(),
    }
}

struct Sides<A: Iterator<Item = Extent>, B: Iterator<Item = Extent>> {
    old: Side<A>,
    new: Side<B>,
}

impl<A: Iterator<Item = Extent>, B: Iterator<Item = Extent>> Sides<A, B> {
    /// The next range over which neither side changes.
    fn next(&mut self) -> Option<Change> {
        let (old, new) = (self.old.first(), self.new.first());
        let first = old.into_iter().chain(new).min()?;
        let last = [self.old.limit(first), self.new.limit(first)].into_iter().flatten().min()?;
        Some(Change { first, last, old: self.old.take(first, last), new: self.new.take(first, last) })
    }
}

struct Side<I: Iterator<Item = Extent>> {
    extents: I,
    /// What is left of the current extent.
    rest: Option<Extent>,
}

impl<I: Iterator<Item = Extent>> Side<I> {
    fn new(extents: I) -> Self {
        Self { extents, rest: None }
    }

    fn peek(&mut self) -> Option<&Extent> {
        if self.rest.is_none() {
            self.rest = self.extents.next();
            // The page sizes of a part of an extent are not known.
            if let Some(Extent { content: Content::Mapped(mapped), .. }) = &mut self.rest {
                mapped.sizes.clear();
            }
        }
        self.rest.as_ref()
    }

    /// The first address of what is left.
    fn first(&mut self) -> Option<u64> {
        self.peek().map(|extent| extent.first)
    }

    /// The last address up to which this side does not change, from `first` on.
    fn limit(&mut self, first: u64) -> Option<u64> {
        self.peek().map(|extent| if extent.first > first { extent.first - 1 } else { extent.last })
    }

    /// Takes these addresses, over which this side does not change, and returns what it says of them.
    fn take(&mut self, first: u64, last: u64) -> Option<Content> {
        let extent = self.rest.take_if(|extent| extent.first == first)?;
        if extent.last > last {
            let content = extent.content.advanced(last - first + 1);
            self.rest = Some(Extent { first: last + 1, last: extent.last, content });
        }
        Some(extent.content)
    }
}
