//! Going through areas in ascending order.

use super::{MemorySet, Place, tree::Entry};
use crate::space::{Area, Backend, BackendError, SpaceError};
use crate::{ClosedRange, Format, Gather, Hal, PageTable};

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
    /// The place of the next one.
    pub(super) place: Option<Place>,
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
        let place = self.place?;
        self.place = self.set.tree.next(place);
        self.left -= 1;
        self.set.area(place)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<B> ExactSizeIterator for Areas<'_, B> {}

/// Work to be done in a range, given the backend of the areas there.
type Work<'a, F, H, B> =
    dyn FnMut(ClosedRange, &B, &mut PageTable<F, H>, &mut Gather<F, H>) -> Result<(), BackendError> + 'a;

/// The parts of areas that lie in a range, in ascending order.
pub(in crate::space) struct Parts<'a, B> {
    pub(super) set: &'a MemorySet<B>,
    /// The entries of the next area and those after it in the same leaf; no area before them is in the range.
    pub(super) entries: &'a [Entry],
    pub(super) range: ClosedRange,
}

impl<B> Clone for Parts<'_, B> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, B> Iterator for Parts<'a, B> {
    type Item = (ClosedRange, &'a Area<B>);

    fn next(&mut self) -> Option<Self::Item> {
        let (entry, behind) = self.entries.split_first()?;
        let area = self.set.areas.get(entry.link)?;
        let part = area.range().intersection(&self.range)?;
        // The next area is looked for only if it may be in the range.
        self.entries = match behind {
            _ if part.last() == self.range.last() => &[],
            [] => self.set.tree.entries_beyond(entry.start),
            _ => behind,
        };
        Some((part, area))
    }
}

impl<'a, B: Backend> Parts<'a, B> {
    /// The next part, together with those after it whose backends [work alike](Backend::works_like), and what is
    /// between these: as one range, with the first of their areas.
    pub(in crate::space) fn next_together(&mut self) -> Option<(ClosedRange, &'a Area<B>)> {
        let (mut range, area) = self.next()?;
        while let Some((entry, behind)) = self.entries.split_first()
            && entry.start <= self.range.last()
            && let Some(other) = self.set.areas.get(entry.link)
            && area.backend().works_like(other.backend())
        {
            range = ClosedRange::clamp(range.start(), self.range.last().min(other.range().last()));
            self.entries = if behind.is_empty() { self.set.tree.entries_beyond(entry.start) } else { behind };
        }
        Some((range, area))
    }

    /// Calls `work` for these parts, [together](Self::next_together) where possible. Returns for which range it was
    /// done, and why not for all.
    // Not inlined: it has two callers.
    #[inline(never)]
    pub(in crate::space) fn work<F: Format, H: Hal>(
        mut self,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
        work: &mut Work<'_, F, H, B>,
    ) -> (Option<ClosedRange>, Result<(), SpaceError>) {
        let mut done = None;
        while let Some((part, area)) = self.next_together() {
            // What takes frames is done first, for all of them: so none can fail for lack of a frame after work has been
            // done for others.
            if done.is_none()
                && self.clone().next().is_some()
                && let Err(error) = table.split(self.range, gather)
            {
                return (None, Err(error.into()));
            }
            if let Err(error) = &work(part, area.backend(), table, gather) {
                return (done, SpaceError::of_area(part, error));
            }
            done = ClosedRange::new(self.range.start(), part.last());
        }
        (done, Ok(()))
    }
}
