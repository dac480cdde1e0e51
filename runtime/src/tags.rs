//! Tags of translations, and how more spaces than there are tags share them.

use core::sync::atomic::{AtomicU64, Ordering};

/// A tag of translations: VMID, VPID, ASID.
///
/// Where it goes, the format's file says: into registers, into invalidations, or nowhere if the machine has no tags.
///
/// ```
/// use tablewright::Tag;
/// # use tablewright::{Format, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let registers = format.registers(0x8000_4000.into(), Tag(5))?;
/// assert_eq!(registers.hgatp >> 44 & 0x3fff, 5);
/// // Wider than a VMID.
/// assert!(format.registers(0x8000_4000.into(), Tag(1 << 14)).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Tag(pub u32);

/// The tags of a machine, given out in turn. When all have been used, a new generation begins, and those of the previous
/// generation become void.
///
/// [`PageTable::renew_tag`](crate::PageTable::renew_tag) gives a table a tag when it needs one.
///
/// ```
/// use tablewright::{Format, PageTable, Tag, Tags, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// static VMIDS: Tags = Tags::new(Tag(1), Tag(2));
/// let machine = Machine::new(0, 1 << 20);
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let mut guests = Vec::new();
/// for _ in 0..3 {
///     guests.push(PageTable::new(format, machine.clone(), Tag(0))?);
/// }
/// // Before each is entered. The third is one too many: a new generation begins.
/// for guest in &mut guests {
///     assert!(guest.renew_tag(&VMIDS)?);
/// }
/// assert_eq!(VMIDS.generation(), 2);
/// assert!(guests[0].renew_tag(&VMIDS)?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Tags {
    /// Distinguishes these tags from other [`Tags`]; 0: nobody has asked yet.
    identity: AtomicU64,
    first: u32,
    count: u64,
    /// How many tags were given out since the machine was started: tells the generation, and the place in it.
    taken: AtomicU64,
    /// The latest generation for which everything of the earlier ones has been invalidated; the first has none before it.
    clean: AtomicU64,
}

impl Tags {
    /// The tags from `first` to `last`, both included.
    pub const fn new(first: Tag, last: Tag) -> Self {
        let more = last.0.saturating_sub(first.0);
        let [identity, taken] = [const { AtomicU64::new(0) }; 2];
        Self { identity, first: first.0, count: more as u64 + 1, taken, clean: AtomicU64::new(1) }
    }

    /// The current generation; the first is 1.
    pub fn generation(&self) -> u64 {
        self.taken.load(Ordering::Acquire).saturating_sub(1) / self.count + 1
    }

    /// Whether a tag of this generation holds.
    pub(crate) fn is_current(&self, generation: Generation) -> bool {
        self.gave(generation) && generation.number == self.generation()
    }

    /// Whether a tag of this generation came from here.
    pub(crate) fn gave(&self, generation: Generation) -> bool {
        generation.tags == self.identity()
    }

    /// Chosen at the first use, because `new` can be evaluated at compile time.
    fn identity(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        match self.identity.load(Ordering::Relaxed) {
            0 => {
                let new = NEXT.fetch_add(1, Ordering::Relaxed);
                let first = self.identity.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed);
                first.map_or_else(|others| others, |_| new)
            }
            identity => identity,
        }
    }

    /// Whether nothing of the generations before `generation` can still be cached.
    pub(crate) fn is_clean(&self, generation: Generation) -> bool {
        self.clean.load(Ordering::Acquire) >= generation.number
    }

    /// Notes that everything of the generations before `generation` has been invalidated.
    pub(crate) fn cleaned(&self, generation: Generation) {
        self.clean.fetch_max(generation.number, Ordering::AcqRel);
    }

    /// The next tag and its generation.
    pub(crate) fn take(&self) -> (Tag, Generation) {
        let taken = self.taken.fetch_add(1, Ordering::AcqRel);
        let (before, place) = (taken / self.count, taken % self.count);
        (Tag(self.first + place as u32), Generation { tags: self.identity(), number: before + 1 })
    }
}

/// A generation of some [`Tags`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation {
    tags: u64,
    number: u64,
}
