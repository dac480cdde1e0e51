//! What a backend learns about a fault.

use super::{Area, FaultOutcome, FirstUse};
use crate::device::AccessWidth;
use crate::table::{Admitted, Identity};
use crate::{Attributes, ClosedRange, Format, Gather, Hal, PageTable, Rights};

/// A fault that the attributes of the area allow, but the table does not (yet).
///
/// ```
/// use tablewright::{Fault, FaultOutcome, Format, Hal, PageTable};
///
/// /// What a backend does that mapped all of its areas from the start, and may have write-protected them.
/// fn fault<F: Format, H: Hal>(fault: &Fault, table: &PageTable<F, H>) -> FaultOutcome {
///     if fault.mapped { fault.relax(table) } else { FaultOutcome::NotMapped }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The guest physical address.
    pub address: u64,
    /// The rights the access needs.
    pub access: Rights,
    /// The area.
    pub area: ClosedRange,
    /// The area's attributes, marked accessed and dirty as the access will mark the page, so that it need not fault
    /// again.
    pub attributes: Attributes,
    /// A page with these attributes, if they have been resolved.
    pub page: Option<ResolvedPage>,
    /// Whether there is a leaf already, which lacks rights.
    pub mapped: bool,
    /// The width of the access, if the hardware said so.
    pub width: Option<AccessWidth>,
    /// log2 of the size of the largest leaf that may be mapped; 0, which means a page, where a
    /// [dirty log](super::AddrSpace::start_dirty_log) tells pages apart.
    pub largest: u8,
}

impl Fault {
    /// Whether the access needs a right to write.
    pub const fn writes(&self) -> bool {
        self.access.intersects(Rights::W)
    }

    /// The rights that the leaf gets: those of the area, but a right to write only if the access needs one, because
    /// pages are write-protected to notice writes.
    pub fn wanted(&self) -> Rights {
        let rights = self.attributes.rights;
        if self.writes() { rights } else { rights - Rights::W }
    }

    /// If there is a leaf and one store is enough, gives it what the access lacks, in one walk; if not, changes nothing
    /// and returns `None`.
    // Always inlined: a fault whose address is not taken need not be put into memory before the first use of a page.
    #[inline(always)]
    pub(super) fn admit<F: Format, H: Hal>(&self, table: &PageTable<F, H>) -> Option<FirstUse> {
        Some(match table.admit(self.address, self.access, self.wanted())? {
            Admitted::Already => FirstUse::Spurious,
            Admitted::Marked => FirstUse::Marked,
            Admitted::Relaxed => FirstUse::Mapped,
        })
    }

    /// Gives the leaf the rights of the area, if it lacks those of the access.
    pub fn relax<F: Format, H: Hal>(&self, table: &PageTable<F, H>) -> FaultOutcome {
        table.relax(self.address, self.wanted()).into()
    }

    /// As [`Fault::relax`], including what takes exclusive access.
    pub fn relax_exclusive<F: Format, H: Hal>(
        &self,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> FaultOutcome {
        table.relax_exclusive(self.address, self.wanted(), gather).into()
    }

    /// A fault in a space with this table.
    pub(super) fn new<B>(address: u64, access: Rights, area: &Area<B>, mapped: bool, table: Identity) -> Self {
        let dirty = access.intersects(Rights::W);
        let attributes = area.attributes().used(dirty);
        Self {
            address,
            access,
            area: area.range(),
            attributes,
            page: area.page(dirty).map(|bits| ResolvedPage { table, attributes, bits }),
            mapped,
            width: None,
            largest: if area.is_logged() { 0 } else { u8::MAX },
        }
    }
}

/// The entry for a page with certain attributes, worked out once for all faults in an area.
///
/// It is valid only for these attributes and the table of that space: a backend may change a fault's attributes before it
/// passes the fault on, or pass it to another space, whose format may have other parameters.
///
/// ```
/// use tablewright::{Fault, Rights};
///
/// fn without_write(fault: &Fault) -> Fault {
///     let mut fault = *fault;
///     fault.attributes.rights -= Rights::W;
///     fault
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedPage {
    table: Identity,
    attributes: Attributes,
    bits: u64,
}

impl ResolvedPage {
    /// The page without its address, if it was resolved for `table` and `attributes`.
    pub(super) fn of<F: Format, H: Hal>(&self, table: &PageTable<F, H>, attributes: &Attributes) -> Option<u64> {
        ((self.table, self.attributes) == (table.identity(), *attributes)).then_some(self.bits)
    }
}
