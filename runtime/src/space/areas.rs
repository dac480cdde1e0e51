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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area<B> {
    range: ClosedRange,
    attributes: Attributes,
    /// A page of it that has been read, and one that has been written, without their addresses, once a format has been
    /// asked for them.
    pages: Option<[u64; 2]>,
    backend: B,
}

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
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{MemoryType, Rights};

    impl Joinable for char {
        fn join(&self, next: &Self) -> Option<Self> {
            (self == next).then_some(*self)
        }
    }

    fn range(start: u64, last: u64) -> ClosedRange {
        ClosedRange::new(start, last).unwrap()
    }

    fn set(areas: &[(u64, u64, char)]) -> MemorySet<char> {
        let mut set = MemorySet::default();
        for &(start, last, backend) in areas {
            set.insert(Area::new(range(start, last), Attributes::new(Rights::RW, MemoryType::WriteBack), backend))
                .unwrap();
        }
        set
    }

    fn shape(set: &MemorySet<char>) -> Vec<(u64, u64, char)> {
        set.iter().map(|area| (area.range.start(), area.range.last(), area.backend)).collect()
    }

    #[test]
    fn an_overlap_names_the_area_in_the_way() {
        let mut set = set(&[(10, 19, 'a'), (30, 39, 'b')]);
        let new = Area::new(range(19, 30), *set.find(10).unwrap().attributes(), 'c');
        assert_eq!(set.insert(new), Err(range(10, 19)));
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn neighbours_of_one_piece_are_joined() {
        let set = set(&[(10, 19, 'a'), (30, 39, 'a'), (20, 29, 'a'), (40, 49, 'b')]);
        assert_eq!(shape(&set), [(10, 39, 'a'), (40, 49, 'b')]);
    }

    #[test]
    fn a_hole_cuts_an_area_in_two() {
        let mut set = set(&[(10, 19, 'a')]);
        set.remove(range(13, 15));
        assert_eq!(shape(&set), [(10, 12, 'a'), (16, 19, 'a')]);
        assert!(set.find(14).is_none());
    }

    #[test]
    fn only_a_hole_takes_room() {
        let mut set = set(&[(10, 19, 'a'), (20, 29, 'b'), (30, 39, 'a')]);
        set.chunks[0].areas.shrink_to_fit();
        let room = |set: &MemorySet<char>| set.chunks[0].areas.capacity();
        set.remove(range(15, 32));
        assert_eq!((shape(&set), room(&set)), (vec![(10, 14, 'a'), (33, 39, 'a')], 3));
        set.remove(range(12, 12));
        assert_eq!((shape(&set), room(&set)), (vec![(10, 11, 'a'), (13, 14, 'a'), (33, 39, 'a')], 3));
        set.remove(range(14, 40));
        assert_eq!(shape(&set), [(10, 11, 'a'), (13, 13, 'a')]);
    }

    /// What a list of single addresses says of many areas, in many chunks.
    #[test]
    fn many_areas_are_what_their_addresses_say() {
        const ADDRESSES: u64 = 4000;
        let mut addresses = [None; ADDRESSES as usize];
        let mut set: MemorySet<char> = MemorySet::default();
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 33) % below
        };
        let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
        let mut most = 0;
        for step in 0..20_000 {
            let start = random(ADDRESSES);
            // Now and then a large part goes, so that chunks empty and are put together.
            let length = if step % 1000 == 999 { 1500 } else { 1 + random(3) };
            let range = range(start, (start + length).min(ADDRESSES) - 1);
            let part = start as usize..=range.last() as usize;
            let room = set.reserve(2);
            assert_eq!(room, Ok(()));
            let before: Vec<usize> = set.chunks.iter().map(|chunk| chunk.areas.capacity()).collect();
            match random(4) {
                0 => {
                    set.remove(range);
                    addresses[part].fill(None);
                }
                1 => {
                    let rights = if random(2) == 0 { Rights::R } else { Rights::RW };
                    set.change(range, &Change { rights: Some(rights), ..Change::default() });
                    addresses[part].iter_mut().flatten().for_each(|(_, all)| *all = rights);
                }
                _ => {
                    let backend = if random(2) == 0 { 'a' } else { 'b' };
                    let free = addresses[part.clone()].iter().all(Option::is_none);
                    assert_eq!(set.insert(Area::new(range, attributes, backend)).is_ok(), free);
                    if free {
                        addresses[part].fill(Some((backend, Rights::RW)));
                    }
                }
            }
            let after = set.chunks.iter().map(|chunk| chunk.areas.capacity()).max();
            assert!(after <= before.iter().copied().chain([CHUNK]).max(), "it grew outside `reserve`");
            assert_eq!(set.len(), set.iter().count());
            most = most.max(set.len());
            if step % 50 == 0 {
                let found: Vec<_> = (0..ADDRESSES)
                    .map(|address| set.find(address).map(|area| (area.backend, area.attributes.rights)))
                    .collect();
                assert_eq!(found, addresses);
                let ranges: Vec<_> = set.iter().map(|area| area.range).collect();
                assert!(ranges.is_sorted_by(|a, b| a.last() < b.start()), "{ranges:?}");
                assert_eq!(
                    set.overlapping(range).count(),
                    ranges.iter().filter(|r| r.intersection(&range).is_some()).count()
                );
            }
        }
        assert!(most > 4 * CHUNK, "only {most} areas at once");
    }

    #[test]
    fn a_change_cuts_and_taking_it_back_joins() {
        let mut set = set(&[(10, 19, 'a'), (20, 29, 'b')]);
        let rights = |rights| Change { rights: Some(rights), ..Change::default() };
        set.change(range(15, 24), &rights(Rights::R));
        assert_eq!(shape(&set), [(10, 14, 'a'), (15, 19, 'a'), (20, 24, 'b'), (25, 29, 'b')]);
        set.change(range(0, 100), &rights(Rights::RW));
        assert_eq!(shape(&set), [(10, 19, 'a'), (20, 29, 'b')]);
    }

    #[test]
    fn the_ends_of_the_space_are_ordinary() {
        let mut set = set(&[(0, u64::MAX, 'a')]);
        set.remove(range(u64::MAX, u64::MAX));
        set.remove(range(0, 0));
        assert_eq!(shape(&set), [(1, u64::MAX - 1, 'a')]);
        assert!(set.find_free(2, 0, ClosedRange::FULL).is_none());
        assert_eq!(set.find_free(1, 0, range(5, u64::MAX)), Some(range(u64::MAX, u64::MAX)));
    }

    #[test]
    fn free_ranges_are_aligned() {
        let set = set(&[(0, 19, 'a'), (40, 69, 'b')]);
        assert_eq!(set.find_free(8, 4, ClosedRange::FULL), Some(range(32, 39)));
        assert_eq!(set.find_free(16, 4, ClosedRange::FULL), Some(range(80, 95)));
        assert_eq!(set.find_free(16, 4, range(0, 94)), None);
    }
}
