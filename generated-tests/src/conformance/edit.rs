//! Edits of a table in use: how the library does them, and what they should result in.

use tablewright::sim::Machine;
use tablewright::{Change, ClosedRange, Error, FaultIn, Format, Gather, Mapping, MemoryType, PageTable, Relax, Rights};

use super::program::unseen;
use super::shift::Shift;

/// An edit of a table in use. Ranges are first and last address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Unmaps what is there, then maps the range.
    Map(u64, u64, u64, Rights, MemoryType),
    /// Unmaps the range.
    Unmap(u64, u64),
    /// Changes the rights.
    Protect(u64, u64, Rights),
    /// Splits leaves until none is larger than `1 << bits` bytes.
    Split(u64, u64, u8),
    /// Collapses leaves to the largest possible.
    Collapse(u64, u64),
    /// Harvests the dirty states.
    Harvest(u64, u64),
    /// Changes the rights, and collects the dirty states that this clears.
    ProtectAndHarvest(u64, u64, Rights),
    /// Splits leaves in the same way, then adds to each the right to write for those who can read it, as a fault does.
    Relax(u64, u64, u8),
    /// Maps one page where nothing is mapped, as a fault does.
    FaultIn(u64, u64, u64, Rights, MemoryType),
    /// Unmaps what is at another address and after it, and moves the range there. Refused if both places overlap.
    Move(u64, u64, u64),
}

impl Edit {
    /// The range that it edits.
    pub(super) fn range(&self) -> ClosedRange {
        let (Self::Map(start, last, ..)
        | Self::Unmap(start, last)
        | Self::Protect(start, last, _)
        | Self::Split(start, last, _)
        | Self::Collapse(start, last)
        | Self::Harvest(start, last)
        | Self::ProtectAndHarvest(start, last, _)
        | Self::Relax(start, last, _)
        | Self::FaultIn(start, last, ..)
        | Self::Move(start, last, _)) = *self;
        ClosedRange::new(start, last).expect("a range")
    }

    /// The range to which it has moved, or the same.
    pub(super) fn place(&self) -> ClosedRange {
        self.shift().map_or(self.range(), |shift| shift.target())
    }

    /// The move, if it is one.
    pub(super) fn shift(&self) -> Option<Shift> {
        match *self {
            Self::Move(_, _, to) => Shift::new(self.range(), to),
            _ => None,
        }
    }

    /// Does it. Harvests are done elsewhere, as somebody must look at their result.
    pub(super) fn run<F: Format>(&self, table: &mut PageTable<F, Machine>) -> Result<(), String> {
        let mut gather = table.gather();
        let range = self.range();
        let result = match *self {
            // SAFETY: nobody translates through the table but MMU models, in memory of their own.
            Self::Map(_, _, oa, rights, memory) => table
                .unmap(range, &mut gather)
                .and_then(|()| unsafe { table.map(range, oa, &unseen(rights, memory), &mut gather) }),
            Self::Unmap(..) => table.unmap(range, &mut gather),
            Self::Protect(_, _, rights) => {
                table.protect(range, &Change { rights: Some(rights), ..Change::default() }, &mut gather)
            }
            Self::Split(_, _, size) => table.split_to(range, size, &mut gather),
            // SAFETY: nothing that is mapped is ever freed.
            Self::Collapse(..) => unsafe { table.collapse(range, u8::MAX, &mut gather) },
            Self::Harvest(..) | Self::ProtectAndHarvest(..) => Ok(()),
            Self::Relax(_, _, size) => table.split_to(range, size, &mut gather).and_then(|()| {
                let leaves: Vec<Mapping> = table.mappings(range).collect();
                leaves.iter().try_for_each(|leaf| relax(table, leaf, &mut gather))
            }),
            Self::FaultIn(start, _, oa, rights, memory) => {
                let size = table.geometry().page_bits;
                // SAFETY: as for `map`; and every gather has been flushed.
                match unsafe { table.fault_in(start, size, oa, &unseen(rights, memory)) } {
                    Ok(FaultIn::NeedsExclusive(operation)) => return Err(format!("a single page takes {operation:?}")),
                    answer => answer.map(drop),
                }
            }
            Self::Move(_, _, to) => self.run_move(table, to, &mut gather),
        };
        gather.flush();
        result.map_err(|error| format!("{self:x?}: {error}"))
    }

    /// Moves. First checks that the library refuses to as long as something is in the way.
    fn run_move<F: Format>(
        &self,
        table: &mut PageTable<F, Machine>,
        to: u64,
        gather: &mut Gather<F, Machine>,
    ) -> Result<(), Error> {
        let range = self.range();
        let Some(shift) = self.shift() else {
            return match table.move_range(range, to, gather) {
                Err(Error::Overlap(_)) => Ok(()),
                answer => panic!("both places overlap: {answer:x?}"),
            };
        };
        let target = shift.target();
        if let Some(leaf) = table.mappings(target).next() {
            let first = leaf.range.start().max(target.start());
            match table.move_range(range, to, gather) {
                Err(Error::AlreadyMapped { address, .. }) if address == first => {}
                answer => panic!("{first:#x} is mapped: {answer:x?}"),
            }
            table.unmap(target, gather)?;
        }
        table.move_range(range, to, gather)
    }
}

/// Adds to a leaf the right to write for those who can read it, through `&self` if that is possible.
fn relax<F: Format>(
    table: &mut PageTable<F, Machine>,
    leaf: &Mapping,
    gather: &mut Gather<F, Machine>,
) -> Result<(), Error> {
    let (start, rights) = (leaf.range.start(), writable(leaf.attributes.rights));
    match table.relax(start, rights)? {
        Relax::NeedsExclusive(_) => table.relax_exclusive(start, rights, gather).map(drop),
        _ => Ok(()),
    }
}

/// These rights, with the right to write for those who can read.
fn writable(rights: Rights) -> Rights {
    let may_write = [(Rights::PR, Rights::PW), (Rights::UR, Rights::UW)].into_iter();
    may_write.filter(|(read, _)| rights.contains(*read)).fold(rights, |rights, (_, write)| rights | write)
}

/// The output address and the rights of `ia` after these edits.
pub(super) fn expect(edits: &[Edit], ia: u64) -> Option<(u64, Rights)> {
    let (edit, earlier) = edits.split_last()?;
    let mapped = || expect(earlier, ia);
    if let Some(shift) = edit.shift() {
        return expect(earlier, shift.origin(ia)?);
    }
    if !edit.range().contains(ia) {
        return mapped();
    }
    match *edit {
        Edit::Map(start, _, oa, rights, _) => Some((oa + (ia - start), rights)),
        Edit::Unmap(..) => None,
        Edit::Protect(_, _, rights) | Edit::ProtectAndHarvest(_, _, rights) => mapped().map(|(oa, _)| (oa, rights)),
        Edit::Relax(..) => mapped().map(|(oa, rights)| (oa, writable(rights))),
        Edit::Split(..) | Edit::Collapse(..) | Edit::Harvest(..) | Edit::Move(..) => mapped(),
        Edit::FaultIn(start, _, oa, rights, _) => mapped().or(Some((oa + (ia - start), rights))),
    }
}

/// An edit as Rust code.
pub(super) fn rust(edit: &Edit) -> String {
    let rights = |rights: Rights| format!("Rights::from_bits_truncate({:#x})", rights.bits());
    match *edit {
        Edit::Map(start, last, oa, access, memory) => {
            format!("Edit::Map({start:#x}, {last:#x}, {oa:#x}, {}, MemoryType::{memory:?})", rights(access))
        }
        Edit::Unmap(start, last) => format!("Edit::Unmap({start:#x}, {last:#x})"),
        Edit::Protect(start, last, access) => format!("Edit::Protect({start:#x}, {last:#x}, {})", rights(access)),
        Edit::Split(start, last, size) => format!("Edit::Split({start:#x}, {last:#x}, {size})"),
        Edit::Collapse(start, last) => format!("Edit::Collapse({start:#x}, {last:#x})"),
        Edit::Harvest(start, last) => format!("Edit::Harvest({start:#x}, {last:#x})"),
        Edit::ProtectAndHarvest(start, last, access) => {
            format!("Edit::ProtectAndHarvest({start:#x}, {last:#x}, {})", rights(access))
        }
        Edit::Relax(start, last, size) => format!("Edit::Relax({start:#x}, {last:#x}, {size})"),
        Edit::FaultIn(start, last, oa, access, memory) => {
            format!("Edit::FaultIn({start:#x}, {last:#x}, {oa:#x}, {}, MemoryType::{memory:?})", rights(access))
        }
        Edit::Move(start, last, to) => format!("Edit::Move({start:#x}, {last:#x}, {to:#x})"),
    }
}
