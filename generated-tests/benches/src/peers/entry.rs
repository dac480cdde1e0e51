//! The entries of EPT, for the libraries that leave entries to their clients.

use crate::machine::{Ept, Machine as _};

/// EPT without accessed and dirty flags.
type Machine = Ept<false>;

/// An entry.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(transparent)]
pub struct Entry(u64);

impl Entry {
    /// A leaf: a page, or a block that is `huge`.
    #[inline]
    pub fn leaf(oa: usize, write: bool, huge: bool) -> Self {
        let all = Machine::leaf(huge.into(), oa as u64);
        Self(if write { all } else { all & !Machine::WRITE })
    }

    /// An entry that points to a table.
    #[inline]
    pub fn table(address: usize) -> Self {
        Self(Machine::table(address as u64))
    }

    /// Its address.
    #[inline]
    pub fn address(self) -> usize {
        Machine::address(self.0) as usize
    }

    /// The leaf with another address.
    #[inline]
    pub fn with_address(self, oa: usize) -> Self {
        Self(self.0 - self.address() as u64 + oa as u64)
    }

    /// Whether the leaf may be written.
    #[inline]
    pub fn may_write(self) -> bool {
        self.0 & Machine::WRITE != 0
    }

    /// Whether it is present.
    #[inline]
    pub fn is_present(self) -> bool {
        !Machine::is_absent(self.0)
    }

    /// Whether it is a block, above the last level.
    #[inline]
    pub fn is_block(self) -> bool {
        self.is_present() && Machine::is_leaf(1, self.0)
    }

    /// The raw value.
    #[inline]
    pub fn raw(self) -> u64 {
        self.0
    }

    /// The entry that is not present.
    pub const EMPTY: Self = Self(0);
}
