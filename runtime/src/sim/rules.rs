//! What an architecture allows its MMUs to cache, and what its invalidations drop.

/// What an MMU may cache, and what its invalidations drop: from an architecture's manual, not from a format's file, so
/// that mistakes in the file are found.
///
/// ```
/// use tablewright::sim::Rules;
/// # use tablewright::{AddrSpace, Format, MappingFlags, Rights, Tag, riscv64::sv_x4};
/// # use tablewright::sim::{Machine, Mmu, built_in};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # space.map_alloc(0x8000_0000.into(), 0x1000, MappingFlags::READ, true)?;
/// # let mmu = Mmu::new(&machine, 1);
/// # mmu.load(Tag(1), space.page_table_root(), built_in("sv_x4", "sv39x4")?);
/// mmu.load_by(Tag(2), space.page_table_root(), built_in("sv_x4", "sv39x4")?, Rules::STRICTEST);
/// mmu.unload(Tag(2));
/// mmu.unload(Tag(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// It may cache that an entry is not present.
    pub invalid_cached: bool,
    /// What its invalidations by address drop.
    pub by_address: ByAddress,
}

/// What a machine's invalidations by address drop of what is cached for that address. What none of them drops takes the
/// invalidation of everything under the tag.
///
/// ```
/// use tablewright::sim::{ByAddress, Rules};
///
/// // AMD's nested pages: an ASID's translations go all at once.
/// let npt = Rules { invalid_cached: false, by_address: ByAddress::Nothing };
/// assert_ne!(npt, Rules::STRICTEST);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByAddress {
    /// Nothing: it has none.
    Nothing,
    /// Final translations.
    Leaves,
    /// Final translations by one operation, these and the tables on the way by another.
    LeavesOrAll,
}

impl Rules {
    /// The rules under which most may be cached: no architecture allows more.
    pub const STRICTEST: Self = Self { invalid_cached: true, by_address: ByAddress::LeavesOrAll };

    /// Whether the invalidation of a range, `leaf_only` or not, has to drop everything under its tag.
    pub(super) fn drops_all(&self, leaf_only: bool) -> bool {
        match self.by_address {
            ByAddress::Nothing => true,
            ByAddress::Leaves => !leaf_only,
            ByAddress::LeavesOrAll => false,
        }
    }
}
