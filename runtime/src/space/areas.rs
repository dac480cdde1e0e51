//! The areas of an address space: ranges that do not overlap, in ascending order.

use alloc::{collections::TryReserveError, vec::Vec};

use crate::{Attributes, Change, ClosedRange, Format, GuestPhysAddr};

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
        Self { range, attributes, pages: None, backend }
    }

    /// Resolves the attributes once for all first uses of pages to come.
    pub(super) fn resolve<F: Format>(&mut self, format: &F) {
        let used = |dirty| format.prototype(0, F::PAGE_BITS, &self.attributes.used(dirty)).ok();
        self.pages = used(false).zip(used(true)).map(|(read, written)| [read.bits, written.bits]);
    }

    /// The bits of a page that has been used, and written to, if it is `dirty`; `None`: ask the format.
    pub(super) fn page(&self, dirty: bool) -> Option<u64> {
        self.pages.map(|[read, written]| if dirty { written } else { read })
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

/// The most areas in one chunk: few enough to be moved at once, and so many that even a million areas are in few
/// chunks.
const CHUNK: usize = 64;

/// Areas that do not overlap, in ascending order. Neighbours that are of one piece are joined.
///
/// It grows only in [`MemorySet::reserve`]; after that, nothing can fail for want of memory. What is done with one area
/// takes time that hardly depends on how many there are.
///
/// ```
/// use tablewright::{Area, Attributes, ClosedRange, GuestPhysAddr, HostRegion, Linear, MemorySet, MemoryType, Rights};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // SAFETY: it is never mapped.
/// let memory = unsafe { HostRegion::ram(0x8000_0000.into(), 0x4000) }.ok_or("nothing")?;
/// let backend = Linear::new(GuestPhysAddr::from_usize(0x1000), memory);
/// let range = ClosedRange::from_start_size(0x1000, 0x4000).ok_or("empty")?;
/// let mut areas = MemorySet::default();
/// areas.reserve(3)?;
/// areas.insert(Area::new(range, Attributes::new(Rights::RW, MemoryType::WriteBack), backend)).map_err(|_| "taken")?;
/// areas.remove(ClosedRange::around(0x2000, 12));
/// assert_eq!(areas.len(), 2);
/// assert!(areas.find(0x2000).is_none() && areas.find(0x3000).is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemorySet<B> {
    /// In ascending order. None is empty, but for the first.
    chunks: Vec<Chunk<B>>,
    len: usize,
    /// Room for chunks to come.
    spare: Vec<Vec<Area<B>>>,
}

/// Areas that follow each other, with room for [`CHUNK`] of them; only if there is no other chunk, perhaps for fewer.
#[derive(Debug)]
struct Chunk<B> {
    /// That of the first area.
    start: u64,
    areas: Vec<Area<B>>,
}

impl<B: Clone> Clone for Chunk<B> {
    fn clone(&self) -> Self {
        let mut areas = Vec::with_capacity(CHUNK);
        areas.extend_from_slice(&self.areas);
        Self { start: self.start, areas }
    }
}

/// The place of an area: the chunk, and the place in it.
#[derive(Clone, Copy)]
struct Place {
    chunk: usize,
    index: usize,
}

impl<B> Default for MemorySet<B> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0, spare: Vec::new() }
    }
}

impl<B: Joinable> MemorySet<B> {
    /// Number of areas.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no area.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All areas, in ascending order.
    pub fn iter(&self) -> Areas<'_, B> {
        Areas { chunks: self.chunks.iter(), areas: Default::default(), left: self.len }
    }

    /// The area that `address` is in.
    pub fn find(&self, address: u64) -> Option<&Area<B>> {
        self.starting_up_to(address).filter(|area| area.range.contains(address))
    }

    /// The areas that have addresses in `range`.
    pub fn overlapping(&self, range: ClosedRange) -> impl Iterator<Item = &Area<B>> + Clone {
        self.overlapping_from(self.place(range.start()), range)
    }

    /// The same, where the place of the first of its addresses is known.
    fn overlapping_from(
        &self,
        Place { chunk, index }: Place,
        range: ClosedRange,
    ) -> impl Iterator<Item = &Area<B>> + Clone {
        let chunks = self.chunks.get(chunk..).unwrap_or_default().iter();
        chunks.flat_map(|chunk| &chunk.areas).skip(index).take_while(move |area| area.range.start() <= range.last())
    }

    /// The lowest range of `size` bytes that starts at a multiple of `1 << align` inside `within` and has no area.
    pub fn find_free(&self, size: u64, align: u8, within: ClosedRange) -> Option<ClosedRange> {
        let align_up = |address: u64| match ClosedRange::around(address, align) {
            block if block.start() == address => Some(address),
            block => block.last().checked_add(1),
        };
        let mut start = align_up(within.start())?;
        loop {
            let wanted = ClosedRange::from_start_size(start, size).filter(|wanted| within.covers(wanted))?;
            match self.starting_up_to(wanted.last()).filter(|area| area.range.last() >= start) {
                None => return Some(wanted),
                Some(area) => start = align_up(area.range.last().checked_add(1)?)?,
            }
        }
    }

    /// Makes room for `more` areas. Inserting takes one, removing up to one, changing up to two.
    ///
    /// # Errors
    ///
    /// If there is no memory for them; then nothing changed.
    pub fn reserve(&mut self, more: usize) -> Result<(), TryReserveError> {
        self.chunks.try_reserve(more + 1)?;
        if self.chunks.is_empty() {
            self.chunks.push(Chunk { start: 0, areas: Vec::new() });
        }
        if let [only] = self.chunks.as_mut_slice() {
            only.areas.try_reserve(more.min(CHUNK - only.areas.len()))?;
            if only.areas.len() + more <= CHUNK {
                return Ok(());
            }
        }
        // Each area that comes may divide a chunk.
        self.spare.try_reserve(more)?;
        while self.spare.len() < more {
            let mut areas = Vec::new();
            areas.try_reserve_exact(CHUNK)?;
            self.spare.push(areas);
        }
        Ok(())
    }

    /// Adds an area, and joins it with its neighbours where they are of one piece.
    ///
    /// # Errors
    ///
    /// The range of an area that is in the way; then nothing changed.
    pub fn insert(&mut self, area: Area<B>) -> Result<(), ClosedRange> {
        let range = area.range;
        let place = self.place(range.start());
        if let Some(other) = self.overlapping_from(place, range).next() {
            return Err(other.range);
        }
        self.insert_at(place, area);
        self.join_around(range);
        Ok(())
    }

    /// Takes `range` out of all areas. Those that it covers in part are cut short; one all around it becomes two.
    pub fn remove(&mut self, range: ClosedRange) {
        let place = self.place(range.start());
        if self.area_mut(place).is_some_and(|area| area.range == range) {
            return self.remove_at(place);
        }
        let left =
            |area: &Area<B>| range.start().checked_sub(1).and_then(|last| ClosedRange::new(area.range.start(), last));
        let right =
            |area: &Area<B>| range.last().checked_add(1).and_then(|start| ClosedRange::new(start, area.range.last()));
        if let Some(rest) = self.find(range.start()).filter(|area| left(area).is_some()).and_then(right) {
            self.cut_before(rest.start());
        }
        let (first, last) = (self.place(range.start()).chunk, self.chunk_of(range.last()));
        for Chunk { start, areas } in self.chunks.get_mut(first..=last).unwrap_or_default() {
            let mut from = areas.partition_point(|area| area.range.last() < range.start());
            let mut end = areas.partition_point(|area| area.range.start() <= range.last()).max(from);
            if let Some(area) = areas.get_mut(from..end).unwrap_or_default().first_mut()
                && let Some(rest) = left(area)
            {
                area.range = rest;
                from += 1;
            }
            if let Some(area) = areas.get_mut(from..end).unwrap_or_default().last_mut()
                && let Some(rest) = right(area)
            {
                area.range = rest;
                end -= 1;
            }
            areas.drain(from..end);
            self.len -= end - from;
            *start = areas.first().map_or(*start, |area| area.range.start());
        }
        self.tidy(first, last);
    }

    /// Applies `change` to all areas in `range`. Those that it covers in part are cut.
    pub fn change(&mut self, range: ClosedRange, change: &Change) {
        self.cut_before(range.start());
        if let Some(after) = range.last().checked_add(1) {
            self.cut_before(after);
        }
        let (first, last) = (self.place(range.start()).chunk, self.chunk_of(range.last()));
        for area in self.chunks.get_mut(first..=last).unwrap_or_default().iter_mut().flat_map(|chunk| &mut chunk.areas)
        {
            if range.covers(&area.range) {
                area.attributes = area.attributes.with(change);
                area.pages = None;
            }
        }
        self.join_around(range);
    }

    /// Resolves the attributes of all areas in `range` that have changed.
    pub(super) fn resolve(&mut self, range: ClosedRange, format: &impl Format) {
        let (first, last) = (self.place(range.start()).chunk, self.chunk_of(range.last()));
        let chunks = self.chunks.get_mut(first..=last).unwrap_or_default();
        let areas = chunks.iter_mut().flat_map(|chunk| &mut chunk.areas);
        let changed = areas.filter(|area| area.pages.is_none() && area.range.intersection(&range).is_some());
        changed.for_each(|area| area.resolve(format));
    }

    /// The chunk where an area around `address` is, if there is one, or would go.
    fn chunk_of(&self, address: u64) -> usize {
        self.chunks.partition_point(|chunk| chunk.start <= address).saturating_sub(1)
    }

    /// The place of the first area that ends at `address` or later; it may be one after the last of its chunk.
    fn place(&self, address: u64) -> Place {
        let chunk = self.chunk_of(address);
        let areas = self.chunks.get(chunk).map_or(&[] as &[_], |chunk| &chunk.areas);
        Place { chunk, index: areas.partition_point(|area| area.range.last() < address) }
    }

    /// The last area that starts at `address` or before.
    fn starting_up_to(&self, address: u64) -> Option<&Area<B>> {
        let areas = &self.chunks.get(self.chunk_of(address))?.areas;
        areas.get(areas.partition_point(|area| area.range.start() <= address).checked_sub(1)?)
    }

    fn area(&self, place: Place) -> Option<&Area<B>> {
        self.chunks.get(place.chunk)?.areas.get(place.index)
    }

    fn area_mut(&mut self, place: Place) -> Option<&mut Area<B>> {
        self.chunks.get_mut(place.chunk)?.areas.get_mut(place.index)
    }

    /// Puts an area where [`Self::place`] said; a full chunk is divided.
    fn insert_at(&mut self, mut place: Place, area: Area<B>) {
        if self.chunks.is_empty() {
            self.chunks.push(Chunk { start: 0, areas: Vec::new() });
        }
        let Some(chunk) = self.chunks.get_mut(place.chunk) else { return };
        if chunk.areas.len() >= CHUNK {
            // Areas that come in ascending order fill chunks to the last place.
            let keep = if place.index == CHUNK { CHUNK } else { CHUNK / 2 };
            let mut areas = self.spare.pop().unwrap_or_default();
            areas.extend(chunk.areas.drain(keep..));
            let start = areas.first().map_or(area.range.start(), |area| area.range.start());
            if place.index > keep || keep == CHUNK {
                place = Place { chunk: place.chunk + 1, index: place.index - keep };
                self.chunks.insert(place.chunk, Chunk { start, areas });
            } else {
                self.chunks.insert(place.chunk + 1, Chunk { start, areas });
            }
        }
        let Some(chunk) = self.chunks.get_mut(place.chunk) else { return };
        chunk.areas.insert(place.index, area);
        chunk.start = chunk.areas.first().map_or(chunk.start, |area| area.range.start());
        self.len += 1;
    }

    /// Takes the area at `place` out.
    fn remove_at(&mut self, place: Place) {
        let Some(chunk) = self.chunks.get_mut(place.chunk) else { return };
        chunk.areas.remove(place.index);
        chunk.start = chunk.areas.first().map_or(chunk.start, |area| area.range.start());
        self.len -= 1;
        self.tidy(place.chunk, place.chunk);
    }

    /// Takes empty chunks among those from `first` to `last` out, and puts small neighbours together.
    fn tidy(&mut self, first: usize, last: usize) {
        let is_empty = |chunk: usize| self.chunks.get(chunk).is_some_and(|chunk| chunk.areas.is_empty());
        // Those between have lost all areas, if any have.
        let from = if is_empty(first) { first } else { first + 1 };
        let end = if is_empty(last) { last + 1 } else { last };
        if from < end {
            self.chunks.drain(from..end);
        }
        if let Some([chunk, next]) = self.chunks.get_mut(first..first + 2)
            && chunk.areas.len() + next.areas.len() <= CHUNK / 2
        {
            chunk.areas.append(&mut next.areas);
            chunk.start = chunk.areas.first().map_or(chunk.start, |area| area.range.start());
            self.chunks.remove(first + 1);
        }
    }

    /// Cuts the area that both `address` and the address before it are in.
    fn cut_before(&mut self, address: u64) {
        let place = self.place(address);
        let Some(area) = self.area_mut(place) else { return };
        let before = address.checked_sub(1).and_then(|last| ClosedRange::new(area.range.start(), last));
        if let (Some(before), Some(rest)) = (before, ClosedRange::new(address, area.range.last())) {
            area.range = before;
            let rest = Area { range: rest, ..area.clone() };
            self.insert_at(Place { index: place.index + 1, ..place }, rest);
        }
    }

    /// Joins the areas in `range` with each other and with their neighbours.
    fn join_around(&mut self, range: ClosedRange) {
        let mut place = self.place(range.start().saturating_sub(1));
        loop {
            let in_chunk = self.chunks.get(place.chunk).map_or(0, |chunk| chunk.areas.len());
            let next = if place.index + 1 < in_chunk {
                Place { index: place.index + 1, ..place }
            } else {
                Place { chunk: place.chunk + 1, index: 0 }
            };
            let Some(right) = self.area(next) else { return };
            let Some(left) = self.area(place) else {
                // One after the last of its chunk.
                place = next;
                continue;
            };
            if left.range.start() > range.last() {
                return;
            }
            let (hull, start) = (left.range.hull(&right.range), right.range.start());
            let adjacent = left.range.last().checked_add(1) == Some(start);
            let alike = adjacent && left.attributes == right.attributes;
            let joined = if alike { left.backend.join(&right.backend) } else { None };
            if let Some(backend) = joined
                && let Some(left) = self.area_mut(place)
            {
                (left.range, left.backend) = (hull, backend);
                let chunks = self.chunks.len();
                self.remove_at(next);
                if self.chunks.len() < chunks {
                    // The chunks may have been put together.
                    place = self.place(start);
                }
            } else {
                place = next;
            }
        }
    }
}

/// All areas, in ascending order; see [`MemorySet::iter`].
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
/// space.map_device(0x1000_0000.into(), 0x1000, 7)?;
/// let starts: Vec<u64> = space.areas().map(|area| area.range().start()).collect();
/// assert_eq!(starts, [0x1000_0000, 0x8000_0000]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Areas<'a, B> {
    chunks: core::slice::Iter<'a, Chunk<B>>,
    areas: core::slice::Iter<'a, Area<B>>,
    left: usize,
}

impl<'a, B> Iterator for Areas<'a, B> {
    type Item = &'a Area<B>;

    fn next(&mut self) -> Option<&'a Area<B>> {
        loop {
            if let Some(area) = self.areas.next() {
                self.left -= 1;
                return Some(area);
            }
            self.areas = self.chunks.next()?.areas.iter();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<B> ExactSizeIterator for Areas<'_, B> {}

#[cfg(test)]
mod tests;
