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
    /// A page of it that has been read, and one that has been written, without their addresses, once a format has been
    /// asked for them.
    pages: Option<[u64; 2]>,
    /// Whether a dirty log tells pages of it apart.
    logged: bool,
    backend: B,
}

/// What has been resolved is no part of what an area is.
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

    /// Takes over what its attributes come to in this table, once for all first uses of pages to come.
    pub(super) fn resolve<F: Format, H: Hal>(&mut self, table: &PageTable<F, H>) {
        self.pages = table.used_pages(&self.attributes);
    }

    /// The bits of a page that has been used, and written to, if it is `dirty`; `None`: ask the format.
    pub(super) fn page(&self, dirty: bool) -> Option<u64> {
        self.pages.map(|[read, written]| if dirty { written } else { read })
    }

    /// Applies `change` to its attributes.
    pub(super) fn change(&mut self, change: &Change) {
        self.attributes = self.attributes.with(change);
        self.pages = None;
    }

    /// Whether a dirty log tells pages of it apart.
    pub(super) const fn is_logged(&self) -> bool {
        self.logged
    }

    /// Lets a dirty log do so, or no longer.
    pub(super) fn log(&mut self, logged: bool) {
        self.logged = logged;
    }

    /// Leaves only this part of it.
    pub(super) fn shrink(&mut self, part: ClosedRange) {
        self.range = part;
    }

    /// Its addresses.
    pub const fn range(&self) -> ClosedRange {
        self.range
    }

    /// How many bytes of it there are from `address` on, or the largest number, if that is 2^64; `None` if `address` is not
    /// in it.
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

    /// This part of it, as it is after it has moved to `target`, with what is behind it then.
    pub(super) fn moved(&self, target: ClosedRange, backend: B) -> Self {
        Self { range: target, attributes: self.attributes, pages: self.pages, logged: false, backend }
    }

    /// What is behind it and the area that follows, if they are of one piece.
    pub(super) fn join(&self, next: &Self) -> Option<B> {
        let adjacent = self.range.last().checked_add(1) == Some(next.range.start());
        if !adjacent || self.attributes != next.attributes {
            return None;
        }
        self.backend.join(&next.backend)
    }

    /// Takes in the area that follows, with what is behind both.
    pub(super) fn take_in(&mut self, next: ClosedRange, logged: bool, backend: B) {
        self.range = self.range.hull(&next);
        self.logged |= logged;
        self.backend = backend;
    }
}

/// What can be behind several areas at once, so that they can be cut and joined.
///
/// An area that is cut leaves a copy on both sides: a backend speaks of guest addresses, not of offsets in its area.
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
    /// What is behind an area and the one that follows it, as one; `None` if they are not of one piece.
    fn join(&self, next: &Self) -> Option<Self>;
}
