//! Compares two sets of tables.

use super::{Content, Extent};

/// Input addresses of which two sets of tables say different things. `None`: nothing is mapped there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first of the input addresses.
    pub first: u64,
    /// The last of them.
    pub last: u64,
    /// What the one set says.
    pub old: Option<Content>,
    /// What the other says.
    pub new: Option<Content>,
}

/// What differs between `old` and `new`, which come in the order of input addresses. Sizes of pages make no
/// difference, and are left out.
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
    /// The next addresses of which each side says one thing.
    fn next(&mut self) -> Option<Change> {
        let (old, new) = (self.old.first(), self.new.first());
        let first = old.into_iter().chain(new).min()?;
        let last = [self.old.limit(first), self.new.limit(first)].into_iter().flatten().min()?;
        Some(Change { first, last, old: self.old.take(first, last), new: self.new.take(first, last) })
    }
}

struct Side<I: Iterator<Item = Extent>> {
    extents: I,
    /// The next extent, or what is left of it.
    rest: Option<Extent>,
}

impl<I: Iterator<Item = Extent>> Side<I> {
    fn new(extents: I) -> Self {
        Self { extents, rest: None }
    }

    fn peek(&mut self) -> Option<&Extent> {
        if self.rest.is_none() {
            self.rest = self.extents.next();
            // Of a part of it nobody knows the pages.
            if let Some(Extent { content: Content::Mapped(mapped), .. }) = &mut self.rest {
                mapped.sizes.clear();
            }
        }
        self.rest.as_ref()
    }

    /// Where its next extent begins.
    fn first(&mut self) -> Option<u64> {
        self.peek().map(|extent| extent.first)
    }

    /// The last address up to which it says one thing, from `first` on.
    fn limit(&mut self, first: u64) -> Option<u64> {
        self.peek().map(|extent| if extent.first > first { extent.first - 1 } else { extent.last })
    }

    /// What it says of these addresses, which it says one thing of.
    fn take(&mut self, first: u64, last: u64) -> Option<Content> {
        let extent = self.rest.take_if(|extent| extent.first == first)?;
        if extent.last > last {
            let content = extent.content.advanced(last - first + 1);
            self.rest = Some(Extent { first: last + 1, last: extent.last, content });
        }
        Some(extent.content)
    }
}
