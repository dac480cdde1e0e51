//! What the first write makes of a page that was write-protected, or clean, so that writes are noticed.

use crate::Rights;
use crate::codec::Pattern;

/// What pages become when they are written for the first time since they were last harvested. Nearly all pages that get a
/// right while their guest runs are such pages, and few bits tell which they are. A format works this out once.
///
/// ```
/// use tablewright::{Attributes, Format, MemoryType, Rights, x86_64::ept};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = ept::Format::new(&ept::Config { pa_bits: 40, ..ept::Config::new(4, 48) })?;
/// let page = |rights| format.prototype(0, 12, &Attributes::new(rights, MemoryType::WriteBack));
/// let (protected, written) = (page(Rights::RX)?.bits, page(Rights::RWX)?.bits);
/// let after = |raw, rights| format.first_writes().after(raw, rights).map(|page| page.raw);
/// assert_eq!(after(protected, Rights::W), Some(written));
/// // What may not be executed yet is not what is known.
/// assert_eq!(after(page(Rights::R)?.bits, Rights::RWX), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstWrites {
    /// The bits that show a page's rights, that it is present, and that it is no item of a run.
    mask: u64,
    /// The bits that show its rights.
    rights: u64,
    executable: FirstWrite,
    other: FirstWrite,
}

/// The values, under the mask, of pages that differ in nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FirstWrite {
    /// Write-protected.
    protected: u64,
    /// Writable, and clean if the bits of its rights show that.
    clean: u64,
    /// Written.
    after: u64,
}

impl FirstWrite {
    /// No page looks like this: no mask has all bits.
    const NONE: Self = Self { protected: u64::MAX, clean: u64::MAX, after: 0 };

    const fn new(rights: u64, shows: Pattern, absent: Pattern, states: [Option<u64>; 3]) -> Self {
        let [Some(protected), Some(clean), Some(after)] = states else { return Self::NONE };
        let (protected, clean) = (protected & rights | shows.value, clean & rights | shows.value);
        // An absent entry must never look like such a page: one of the bits that are looked at has to tell.
        let tell = absent.mask & (rights | shows.mask);
        if (protected ^ absent.value) & tell == 0 || (clean ^ absent.value) & tell == 0 {
            return Self::NONE;
        }
        Self { protected, clean, after }
    }
}

impl FirstWrites {
    /// Nothing is known.
    pub const NONE: Self = Self { mask: 0, rights: 0, executable: FirstWrite::NONE, other: FirstWrite::NONE };

    /// For pages whose rights are shown by the bits `rights`, and that match `single` if they are no items of runs. All
    /// of them are made from `base`, and no present entry matches `absent`. `executable` and `other` are the bits of the
    /// rights of pages that everybody may read and execute, or only read: write-protected, clean, and written, each if
    /// there is such a page.
    pub const fn new(
        rights: u64,
        base: u64,
        [single, absent]: [Pattern; 2],
        executable: [Option<u64>; 3],
        other: [Option<u64>; 3],
    ) -> Self {
        // One bit is enough to tell a page from an absent entry: the others may belong to its address.
        let apart = (base ^ absent.value) & absent.mask & !(rights | single.mask);
        let present = apart & apart.wrapping_neg();
        let shows = Pattern::new(single.mask | present, single.value | base & present);
        let (executable, other) =
            (FirstWrite::new(rights, shows, absent, executable), FirstWrite::new(rights, shows, absent, other));
        Self { mask: rights | shows.mask, rights, executable, other }
    }

    /// The entry `raw`, at level 0, with `rights` added to those that it has, marked accessed and dirty; a live page may
    /// become that in one store. `None` if it is not one of the pages known here, or if `rights` are not those that a
    /// write needs.
    #[inline]
    pub const fn after(&self, raw: u64, rights: Rights) -> Option<Written> {
        if !rights.contains(Rights::W) {
            return None;
        }
        let (bits, rest) = (raw & self.mask, raw & !self.rights);
        let (executable, other) = (&self.executable, &self.other);
        if bits == executable.protected {
            Some(Written { raw: rest | executable.after, had_right: false, is_complete: true })
        } else if bits == executable.clean {
            Some(Written { raw: rest | executable.after, had_right: true, is_complete: true })
        } else if rights.intersects(Rights::X) {
            None
        } else if bits == other.protected {
            Some(Written { raw: rest | other.after, had_right: false, is_complete: false })
        } else if bits == other.clean {
            Some(Written { raw: rest | other.after, had_right: true, is_complete: false })
        } else {
            None
        }
    }
}

/// What a page becomes when it is written: see [`FirstWrites::after`].
///
/// ```
/// # use tablewright::{Attributes, Format, MemoryType, Rights, riscv64::sv_x4};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let clean = Attributes { dirty: false, ..Attributes::new(Rights::RW, MemoryType::WriteBack) };
/// let raw = format.prototype(0, 12, &clean)?.bits;
/// let written = format.first_writes().after(raw, Rights::W).ok_or("not such a page")?;
/// assert!(written.had_right && !written.is_complete);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The page's entry then.
    pub raw: u64,
    /// Whether it had the right to write before.
    pub had_right: bool,
    /// Whether it has every right and every mark, so that nothing can be added.
    pub is_complete: bool,
}
