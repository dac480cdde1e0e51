//! Rights and states, as value rows state them and as entries grant them.

use bitflags::bitflags;

use crate::Rights;

bitflags! {
    /// What a value row of a field states: rights, and the accessed and dirty states.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Facts: u8 {
        /// Privileged read.
        const PR = 1;
        /// Privileged write.
        const PW = 2;
        /// Privileged execute.
        const PX = 4;
        /// User read.
        const UR = 8;
        /// User write.
        const UW = 16;
        /// User execute.
        const UX = 32;
        /// Read.
        const R = Self::PR.bits() | Self::UR.bits();
        /// Write.
        const W = Self::PW.bits() | Self::UW.bits();
        /// Execute.
        const X = Self::PX.bits() | Self::UX.bits();
        /// Read and write.
        const RW = Self::R.bits() | Self::W.bits();
        /// Read and execute.
        const RX = Self::R.bits() | Self::X.bits();
        /// Write and execute.
        const WX = Self::W.bits() | Self::X.bits();
        /// Every right.
        const RWX = Self::RW.bits() | Self::X.bits();
        /// The accessed state.
        const ACCESSED = 64;
        /// The dirty state.
        const DIRTY = 128;
        /// Both states.
        const ACCESSED_DIRTY = Self::ACCESSED.bits() | Self::DIRTY.bits();
    }
}

impl Facts {
    /// Nothing.
    pub const NONE: Self = Self::empty();

    /// These rights and states.
    pub const fn new(rights: Rights, accessed: bool, dirty: bool) -> Self {
        let mut facts = rights.bits();
        if accessed {
            facts |= Self::ACCESSED.bits();
        }
        if dirty {
            facts |= Self::DIRTY.bits();
        }
        Self::from_bits_truncate(facts)
    }

    /// The rights among them.
    pub const fn rights(self) -> Rights {
        Rights::from_bits_truncate(self.bits())
    }
}

/// The facts of a whole entry: each is granted if at least one field speaks of it, and all that do grant it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants {
    granted: Facts,
    denied: Facts,
}

impl Grants {
    /// No field has spoken yet.
    pub const fn new() -> Self {
        Self { granted: Facts::NONE, denied: Facts::NONE }
    }

    /// A field that speaks of `spoken` grants `granted`.
    pub const fn field(&mut self, spoken: Facts, granted: Facts) {
        self.granted = self.granted.union(granted);
        self.denied = self.denied.union(spoken.difference(granted));
    }

    /// What a leaf grants, beside what no field can deny.
    pub const fn of_leaf(self, implied: Facts) -> Facts {
        self.granted.union(implied).difference(self.denied)
    }

    /// What a table leaves to the entries below: a right that no field speaks of is not limited.
    pub const fn of_table(self) -> Rights {
        Facts::RWX.difference(self.denied).rights()
    }
}

impl Default for Grants {
    fn default() -> Self {
        Self::new()
    }
}
