//! Giving one leaf more rights while others use the table.

use super::{Admitted, Error, Operation, PageTable};
use crate::{Change, ClosedRange, Edit, Entry, Format, Hal, Level, Rights};

/// What [`PageTable::relax`] found or did.
///
/// ```
/// use tablewright::{Change, Relax};
/// # use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
/// # use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut table = PageTable::new(format, machine.clone(), Tag(1))?;
/// # let range = ClosedRange::from_start_size(0x8000_0000, 4 << 20).ok_or("empty")?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// # let mut gather = table.gather();
/// # // SAFETY: nobody translates through this table.
/// # unsafe { table.map(range, 0x4000_0000, &rw, &mut gather)? };
/// # gather.flush();
/// let read_only = Change { rights: Some(Rights::R), ..Change::default() };
/// table.protect(range, &read_only, &mut gather)?;
/// assert_eq!(table.relax(0x8000_1234, Rights::W)?, Relax::Relaxed);
/// assert_eq!(table.relax(0x8000_1234, Rights::W)?, Relax::Granted);
/// assert_eq!(table.relax(0x1234, Rights::W)?, Relax::NotMapped);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relax {
    /// The leaf grants the rights now.
    Relaxed,
    /// It granted them already, perhaps because another CPU was faster, and was marked accessed or dirty if need be.
    Granted,
    /// Nothing is mapped there.
    NotMapped,
    /// It needs [`PageTable::relax_exclusive`].
    NeedsExclusive(Operation),
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Adds `rights` to those of the leaf that maps `ia`, while other CPUs use the table: for a page that was
    /// write-protected to notice writes. The leaf is marked as by the access that faulted: accessed and, if `rights`
    /// contains a right to write, dirty. Stale translations have been invalidated when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`]; [`Error::Refused`] if the format has no leaf with these rights; [`Error::Corrupt`].
    pub fn relax(&self, ia: u64, rights: Rights) -> Result<Relax, Error> {
        match self.admit(ia, rights, rights) {
            Some(Admitted::Already) => Ok(Relax::Granted),
            Some(Admitted::Marked | Admitted::Relaxed) => Ok(Relax::Relaxed),
            None => self.relax_leaf(ia, rights),
        }
    }

    /// [`PageTable::relax`] without the short cut for a first write.
    #[cold]
    fn relax_leaf(&self, ia: u64, rights: Rights) -> Result<Relax, Error> {
        let outside = Error::OutOfRange(ClosedRange::around(ia, 0));
        let ia = self.reduce(ia).ok_or(outside)?;
        let relaxed = self
            .exchange_leaf(ia, |level, raw| self.relaxed(ia, level, raw, rights).map(|new| (new, Ok(Relax::Relaxed))));
        relaxed.unwrap_or(Ok(Relax::NotMapped))
    }

    /// The new value for the leaf `raw`; or the answer, if there is nothing to do here.
    fn relaxed(&self, ia: u64, level: Level, raw: u64, rights: Rights) -> Result<u64, Result<Relax, Error>> {
        let write = rights.intersects(Rights::W);
        let Entry::Leaf(leaf) = self.format.decode(level, raw) else {
            return Err(Err(Error::Corrupt { address: self.geometry.extend(ia), level, entry: raw }));
        };
        if leaf.attributes.rights.contains(rights) {
            let marked = self.mark(self.geometry.extend(ia), write);
            return Err(Ok(if marked { Relax::Relaxed } else { Relax::Granted }));
        }
        if leaf.items > 1 {
            return Err(Ok(Relax::NeedsExclusive(Operation::Run)));
        }
        let change = Change { rights: Some(leaf.attributes.rights | rights), ..Change::default() };
        let rewrite = self.format.rewrite(level, &change).map_err(|refusal| Err(Error::Refused { level, refusal }))?;
        // If `rights` contains a right to write, the leaf is writable now.
        let new = self.with_states(level, rewrite.apply(raw), write);
        if self.format.may_break(&change) && self.format.edit(level, raw, new) == Edit::BreakBeforeMake {
            return Err(Ok(Relax::NeedsExclusive(Operation::Break)));
        }
        Ok(new)
    }
}
