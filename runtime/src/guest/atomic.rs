//! Atomic operations on guest memory, for what a guest and its devices share: rings, locks, table entries.

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use super::{GuestFault, GuestSlice};
use crate::{Be32, Be64, Le32, Le64, Rights};

mod sealed {
    pub trait Sealed {}
}

/// The types of atomic that guest memory can be accessed as: the standard library's of 8, 16, 32 and 64 bits, and table
/// entries.
///
/// ```
/// use core::sync::atomic::{AtomicU16, Ordering};
/// use tablewright::{AddrSpace, Format, GuestMemoryAccessor, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let mut space = AddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
/// space.map_alloc(0x8000_0000.into(), 0x1000, MappingFlags::READ | MappingFlags::WRITE, false)?;
/// // The index of a virtqueue's used ring: what was written before it, the guest sees before it.
/// let index = space.atomic::<AtomicU16>(0x8000_0002.into())?;
/// assert_eq!(index.fetch_add(1, Ordering::Release), 0);
/// assert_eq!(index.compare_exchange(1, 7, Ordering::AcqRel, Ordering::Acquire), Ok(1));
/// assert_eq!(space.read_obj::<u16>(0x8000_0002.into())?, 7);
/// # Ok(())
/// # }
/// ```
pub trait GuestAtomic: sealed::Sealed + Sized {}

macro_rules! guest_atomics {
    ($($atomic:ty)+) => {$(
        impl sealed::Sealed for $atomic {}
        impl GuestAtomic for $atomic {}
    )+};
}
guest_atomics! { AtomicU8 AtomicU16 AtomicU32 AtomicU64 Le32 Le64 Be32 Be64 }

impl<'a> GuestSlice<'a> {
    /// The first bytes as an atomic.
    ///
    /// # Errors
    ///
    /// [`GuestFault::Denied`] if the guest may not both read and write here; [`GuestFault::Torn`] if there are too few
    /// bytes, or they do not begin at a multiple of the atomic's size.
    pub fn atomic<V: GuestAtomic>(&self) -> Result<&'a V, GuestFault> {
        if !self.rights().intersects(Rights::R) || !self.rights().intersects(Rights::W) {
            return Err(GuestFault::Denied);
        }
        if self.len() < size_of::<V>() || !self.as_ptr().addr().is_multiple_of(size_of::<V>()) {
            return Err(GuestFault::Torn);
        }
        // SAFETY: the bytes are mapped memory for `'a`, enough and aligned, and everybody accesses them by atomics; any
        // bits are a value of the sealed types, which allow changes through shared references.
        Ok(unsafe { &*self.as_ptr().cast::<V>() })
    }
}
