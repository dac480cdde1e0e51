//! What an architecture lets its MMUs keep, and what its operations drop.

/// What an MMU may cache, and what must be asked of it: from an architecture's manual, not from a format's file, so that a
/// mistake there is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// It may cache that an entry is not present.
    pub invalid_cached: bool,
    /// What its operations with an address drop.
    pub by_address: ByAddress,
}

/// What the operations of a machine that name an address drop of what is cached for it. What none of them reaches, takes
/// the operation for all of the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByAddress {
    /// It has none.
    Nothing,
    /// Final translations.
    Leaves,
    /// Final translations by one, these and the tables on the way by another.
    LeavesOrAll,
}

impl Rules {
    /// No architecture keeps more.
    pub const STRICTEST: Self = Self { invalid_cached: true, by_address: ByAddress::LeavesOrAll };

    /// Whether an invalidation of a range that is (not) of leaves only drops everything of its tag.
    pub(super) fn drops_all(&self, leaf_only: bool) -> bool {
        match self.by_address {
            ByAddress::Nothing => true,
            ByAddress::Leaves => !leaf_only,
            ByAddress::LeavesOrAll => false,
        }
    }
}
