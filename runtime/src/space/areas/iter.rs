//! Going through areas in ascending order.

use super::{MemorySet, Place};
use crate::ClosedRange;
use crate::space::{Area, Joinable};

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
#[derive(Debug)]
pub struct Areas<'a, B> {
    pub(super) set: &'a MemorySet<B>,
    pub(super) place: Place,
    pub(super) left: usize,
}

impl<B> Clone for Areas<'_, B> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, B> Iterator for Areas<'a, B> {
    type Item = &'a Area<B>;

    fn next(&mut self) -> Option<&'a Area<B>> {
        loop {
            let chunk = self.set.chunks.get(self.place.chunk)?;
            if let Some(area) = chunk.get(self.place.index) {
                self.place = self.place.next();
                self.left -= 1;
                return Some(area);
            }
            self.place = Place { chunk: self.place.chunk + 1, index: 0 };
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<B> ExactSizeIterator for Areas<'_, B> {}

/// The parts of areas that lie in a range, in ascending order.
pub(in crate::space) struct Parts<'a, B> {
    pub(super) set: &'a MemorySet<B>,
    /// That of the next one; nothing before it is in the range.
    pub(super) place: Place,
    pub(in crate::space) range: ClosedRange,
}

impl<B: Joinable> Parts<'_, B> {
    /// Whether there is more than one.
    pub(in crate::space) fn are_several(&self) -> bool {
        let second = self.set.settled(self.place.next());
        self.set.start(second).is_some_and(|start| start <= self.range.last())
    }
}

impl<B> Clone for Parts<'_, B> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, B> Iterator for Parts<'a, B> {
    type Item = (ClosedRange, &'a Area<B>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut chunk = self.set.chunks.get(self.place.chunk)?;
        if self.place.index >= chunk.len() {
            self.place = Place { chunk: self.place.chunk + 1, index: 0 };
            chunk = self.set.chunks.get(self.place.chunk)?;
        }
        // Where it starts is known without looking at it.
        chunk.key(self.place.index).filter(|&start| start <= self.range.last())?;
        let area = chunk.get(self.place.index)?;
        self.place = self.place.next();
        Some((area.range().intersection(&self.range)?, area))
    }
}
