//! One area of an address space, and what can be behind several at once.

use crate::{Attributes, Change, ClosedRange, Format, GuestPhysAddr, Hal, PageTable};

/// A range of guest physical addresses, what may be done there, and what is behind it.
///
/// ```
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// space.map_alloc(0x8000_0000.into(), 0x4000, rw, false)?;
/// let area = space.find_area(0x8000_1000.into()).ok_or("no area")?;
/// assert_eq!((area.range().start(), area.rest(0x8000_1000.into())), (0x8000_0000, Some(0x3000)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Area<B> {
    range: ClosedRange,
    attributes: Attributes,
    pages: Pages,
    /// Whether a dirty log tells pages of it apart.
    logged: bool,
    backend: B,
}

/// The entries for a page of an area that has been read, and for one that has been written, without their addresses;
/// `None` until a format has been asked for them.
type Pages = Option<[u64; 2]>;

/// What a change makes of attributes: worked out once for areas in a row that have the same, or one of two, as most do.
pub(super) struct Changed {
    before: Attributes,
    after: Attributes,
    differs: bool,
    pages: Pages,
}

impl Changed {
    /// What `change` makes of these attributes: one of the `last` two, if it was of the same.
    #[inline]
    pub(super) fn of<'a, F: Format, H: Hal>(
        last: &'a mut [Option<Self>; 2],
        attributes: &Attributes,
        change: &Change,
        table: &PageTable<F, H>,
    ) -> &'a Self {
        let is_other = |last: &Option<Self>| last.as_ref().is_none_or(|last| last.before != *attributes);
        if is_other(&last[0]) {
            last.swap(0, 1);
            if is_other(&last[0]) {
                last[0] = None;
            }
        }
        last[0].get_or_insert_with(|| Self::new(attributes, change, table))
    }

    #[inline(never)]
    fn new<F: Format, H: Hal>(before: &Attributes, change: &Change, table: &PageTable<F, H>) -> Self {
        let after = before.with(change);
        Self { before: *before, after, differs: *before != after, pages: table.used_pages(&after) }
    }

    /// The attributes after the change.
    pub(super) const fn after(&self) -> &Attributes {
        &self.after
    }

    /// Whether these are other ones.
    pub(super) const fn differs(&self) -> bool {
        self.differs
    }
}

/// The resolved pages do not count: they follow from the rest.
impl<B: PartialEq> PartialEq for Area<B> {
    fn eq(&self, other: &Self) -> bool {
        (self.range, self.attributes, &self.backend) == (other.range, other.attributes, &other.backend)
    }
}

impl<B: Eq> Eq for Area<B> {}

impl<B> Area<B> {
    /// An area.
    pub const fn new(range: ClosedRange, attributes: Attributes, backend: B) -> Self {
        Self { range, attributes, pages: None, logged: false, backend }
    }

    /// Resolves its attributes to entries of this table, once for all first uses of pages.
    pub(super) fn resolve<F: Format, H: Hal>(&mut self, table: &PageTable<F, H>) {
        self.pages = table.used_pages(&self.attributes);
    }

    /// The entry, without its address, of a page that has been used and, if `dirty`, written; `None`: ask the format.
    pub(super) fn page(&self, dirty: bool) -> Option<u64> {
        self.pages.map(|[read, written]| if dirty { written } else { read })
    }

    /// Applies `change` to its attributes.
    pub(super) fn change(&mut self, change: &Change) {
        self.attributes = self.attributes.with(change);
        self.pages = None;
    }

    /// Takes over what has become of its attributes.
    pub(super) fn take(&mut self, changed: &Changed) {
        (self.attributes, self.pages) = (changed.after, changed.pages);
    }

    /// Whether a dirty log tells pages of it apart.
    pub(super) const fn is_logged(&self) -> bool {
        self.logged
    }

    /// Sets whether a dirty log tells pages of it apart.
    pub(super) fn log(&mut self, logged: bool) {
        self.logged = logged;
    }

    /// Cuts it down to this part.
    pub(super) fn shrink(&mut self, part: ClosedRange) {
        self.range = part;
    }

    /// Its addresses.
    pub const fn range(&self) -> ClosedRange {
        self.range
    }

    /// How many bytes there are from `address` to the end of the area (the largest number for 2^64); `None` if `address`
    /// is not in it.
    pub const fn rest(&self, address: GuestPhysAddr) -> Option<usize> {
        let address = address.as_usize() as u64;
        if !self.range.contains(address) {
            return None;
        }
        Some((self.range.last() - address).saturating_add(1) as usize)
    }

    /// What may be done there, and how the memory behaves.
    pub const fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// What is behind it.
    pub const fn backend(&self) -> &B {
        &self.backend
    }
}

impl<B: Joinable> Area<B> {
    /// This part of it, as an area of its own.
    pub(super) fn part(&self, range: ClosedRange) -> Self {
        Self { range, ..self.clone() }
    }

    /// The area that a part of it becomes by moving to `target`, with what is behind it there.
    pub(super) fn moved(&self, target: ClosedRange, backend: B) -> Self {
        Self { range: target, attributes: self.attributes, pages: self.pages, logged: false, backend }
    }

    /// What is behind it and the area that follows, joined, if both can be one area.
    pub(super) fn join(&self, next: &Self) -> Option<B> {
        let adjacent = self.range.last().checked_add(1) == Some(next.range.start());
        if !adjacent || self.attributes != next.attributes {
            return None;
        }
        self.backend.join(&next.backend)
    }

    /// Extends it by the area that follows, with what is behind both.
    pub(super) fn take_in(&mut self, next: ClosedRange, logged: bool, backend: B) {
        self.range = self.range.hull(&next);
        self.logged |= logged;
        self.backend = backend;
    }
}

/// What can be behind several areas at once, so that they can be cut and joined.
///
/// When an area is cut, both parts get a copy. A backend must therefore work with guest addresses, not with offsets in
/// its area.
///
/// ```
/// use tablewright::Joinable;
///
/// /// Pages of a disk image, from a block on: `start` is the guest address of block 0.
/// #[derive(Clone, Debug, PartialEq)]
/// struct Disk {
///     start: u64,
/// }
///
/// impl Joinable for Disk {
///     fn join(&self, next: &Self) -> Option<Self> {
///         (self == next).then(|| self.clone())
///     }
/// }
///
/// assert!(Disk { start: 0x1000 }.join(&Disk { start: 0x1000 }).is_some());
/// ```
pub trait Joinable: Clone {
    /// One backend for an area and the one that follows it, which has `next`; `None` if they cannot be one area.
    fn join(&self, next: &Self) -> Option<Self>;
}
