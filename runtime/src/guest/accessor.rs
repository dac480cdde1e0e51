//! Reading and writing guest memory by guest physical addresses.

use core::sync::atomic::{Ordering, fence};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{GuestAtomic, GuestError, GuestFault, GuestSlice};
use crate::{GuestPhysAddr, Rights};

/// Access to a guest's memory.
///
/// All other methods are built on [`GuestMemoryAccessor::guest_slice`]. Values are plain old data ([`zerocopy`]): every
/// bit pattern is valid, and there is no padding. They may be at any address, and cross pages.
///
/// ```
/// use tablewright::{AddrSpace, Format, GuestMemoryAccessor, MappingFlags, Tag};
/// use tablewright::{riscv64::sv_x4, sim::Machine};
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(FromBytes, IntoBytes, Immutable, Debug, PartialEq)]
/// #[repr(C)]
/// struct Descriptor {
///     address: u64,
///     length: u32,
///     flags: u16,
///     next: u16,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let mut space = AddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
/// space.map_alloc(0x8000_0000.into(), 0x2000, MappingFlags::READ | MappingFlags::WRITE, false)?;
/// // Half of it on one page, half on the next.
/// let at = 0x8000_0ff8.into();
/// space.write_obj(at, Descriptor { address: 0x8000_0000, length: 512, flags: 1, next: 2 })?;
/// assert_eq!(space.read_obj::<Descriptor>(at)?.length, 512);
/// // What lies beyond the area is out of reach, and it is said how far the writing came.
/// let error = space.write_buffer(0x8000_1ffe.into(), b"four").unwrap_err();
/// assert_eq!((error.address, error.done), (0x8000_2000.into(), 2));
/// # Ok(())
/// # }
/// ```
pub trait GuestMemoryAccessor {
    /// The guest memory from `address` on, as far as it is contiguous for the host: at least one byte, at most `length`.
    /// The slice has all rights in `access`. It has a right to write only if `access` contains one; the memory then
    /// counts as written. If others may [harvest](crate::AddrSpace::harvest) meanwhile, call
    /// [`GuestMemoryAccessor::mark_written`] after writing to it.
    ///
    /// # Errors
    ///
    /// Why not even the first byte can be accessed in this way: [`GuestFault::NotMapped`], [`GuestFault::Denied`],
    /// [`GuestFault::Device`] or [`GuestFault::NotResolved`].
    fn guest_slice(&self, address: GuestPhysAddr, length: usize, access: Rights) -> Result<GuestSlice<'_>, GuestFault>;

    /// Fills `buffer` with the guest's memory from `address` on.
    ///
    /// # Errors
    ///
    /// [`GuestError`] says how many bytes were read; as many bytes of `buffer` are valid.
    fn read_buffer(&self, address: GuestPhysAddr, buffer: &mut [u8]) -> Result<(), GuestError> {
        self.for_each_slice(address, buffer.len(), Rights::R, |done, slice| {
            slice.read(buffer.get_mut(done..).unwrap_or_default()).map(|_| ())
        })
    }

    /// Writes `buffer` to the guest's memory from `address` on.
    ///
    /// # Errors
    ///
    /// [`GuestError`] says how many bytes were written.
    fn write_buffer(&self, address: GuestPhysAddr, buffer: &[u8]) -> Result<(), GuestError> {
        self.for_each_slice(address, buffer.len(), Rights::W, |done, slice| {
            slice.write(buffer.get(done..).unwrap_or_default()).map(|_| ())
        })
    }

    /// Counts `length` bytes from `address` on as written, so that they show in the next
    /// [harvest](crate::AddrSpace::harvest). Call it after writing through a slice or an atomic, because a harvest may
    /// have come after that was taken. Methods that write by themselves do this on their own.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU32, Ordering};
    /// use tablewright::{GuestError, GuestMemoryAccessor, GuestPhysAddr};
    ///
    /// fn count(memory: &impl GuestMemoryAccessor, at: GuestPhysAddr) -> Result<(), GuestError> {
    ///     memory.atomic::<AtomicU32>(at)?.fetch_add(1, Ordering::Release);
    ///     memory.mark_written(at, 4)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`GuestError`] where the bytes cannot be written now, for a reason of [`GuestMemoryAccessor::guest_slice`].
    fn mark_written(&self, address: GuestPhysAddr, length: usize) -> Result<(), GuestError> {
        self.for_each_slice(address, length, Rights::W, |_, _| Ok(()))
    }

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// [`GuestError`] if not all of it can be read.
    fn read_obj<V: FromBytes + IntoBytes>(&self, address: GuestPhysAddr) -> Result<V, GuestError> {
        let mut value = V::new_zeroed();
        // The usual case. If this fails, reading piece by piece finds out why.
        let at_once = can_be_one_access(size_of::<V>())
            && self
                .guest_slice(address, size_of::<V>(), Rights::R)
                .is_ok_and(|slice| slice.read_at_once(value.as_mut_bytes()));
        if !at_once {
            self.read_buffer(address, value.as_mut_bytes())?;
        }
        Ok(value)
    }

    /// Writes a value.
    ///
    /// # Errors
    ///
    /// [`GuestError`] if not all of it can be written; it says how many bytes were.
    fn write_obj<V: IntoBytes + Immutable>(&self, address: GuestPhysAddr, value: V) -> Result<(), GuestError> {
        self.write_buffer(address, value.as_bytes())
    }

    /// Reads a value of 1, 2, 4 or 8 bytes in one access, which a write by the guest cannot tear.
    ///
    /// # Errors
    ///
    /// [`GuestFault::Torn`] if it takes more than one access; else as for [`GuestMemoryAccessor::read_obj`].
    fn read_volatile<V: FromBytes + IntoBytes>(&self, address: GuestPhysAddr) -> Result<V, GuestError> {
        let mut value = V::new_zeroed();
        let read =
            self.in_one_access(address, size_of::<V>(), Rights::R).and_then(|slice| slice.read(value.as_mut_bytes()));
        read.map(|_| value).map_err(|fault| GuestError { address, done: 0, fault })
    }

    /// Writes a value of 1, 2, 4 or 8 bytes in one access, so that the guest sees all of it or none.
    ///
    /// # Errors
    ///
    /// [`GuestFault::Torn`] if it takes more than one access; else as for [`GuestMemoryAccessor::write_obj`].
    fn write_volatile<V: IntoBytes + Immutable>(&self, address: GuestPhysAddr, value: V) -> Result<(), GuestError> {
        let written =
            self.in_one_access(address, size_of::<V>(), Rights::W).and_then(|slice| slice.write(value.as_bytes()));
        written.map_err(|fault| GuestError { address, done: 0, fault })?;
        self.mark_written(address, size_of::<V>())
    }

    /// The guest's memory at `address` as an atomic, for any atomic operation of the standard library.
    ///
    /// It counts as written when it is taken. If others may [harvest](crate::AddrSpace::harvest) meanwhile, call
    /// [`GuestMemoryAccessor::mark_written`] after each use.
    ///
    /// # Errors
    ///
    /// [`GuestFault::Denied`] if the guest may not both read and write there; [`GuestFault::Torn`] if `address` is not a
    /// multiple of the atomic's size; else as for [`GuestMemoryAccessor::write_obj`].
    fn atomic<V: GuestAtomic>(&self, address: GuestPhysAddr) -> Result<&V, GuestError> {
        let slice = self.in_one_access(address, size_of::<V>(), Rights::RW);
        slice.and_then(|slice| slice.atomic()).map_err(|fault| GuestError { address, done: 0, fault })
    }

    /// The `size` bytes from `address` on, if one access can move them.
    ///
    /// # Errors
    ///
    /// [`GuestFault::Torn`] if it cannot; else as for [`GuestMemoryAccessor::guest_slice`].
    fn in_one_access(&self, address: GuestPhysAddr, size: usize, access: Rights) -> Result<GuestSlice<'_>, GuestFault> {
        let slice = self.guest_slice(address, size, access)?.take(size);
        let whole = can_be_one_access(size) && slice.len() == size && slice.as_ptr().addr().is_multiple_of(size);
        if whole { Ok(slice) } else { Err(GuestFault::Torn) }
    }

    /// Calls `visit` with each piece of the `length` bytes from `address` on, and with the number of bytes before it. If
    /// `access` contains a right to write, the bytes count as [written](GuestMemoryAccessor::mark_written) after that.
    ///
    /// # Errors
    ///
    /// [`GuestError`] at the first piece that cannot be accessed, or that `visit` refuses.
    fn for_each_slice<'a>(
        &'a self,
        address: GuestPhysAddr,
        length: usize,
        access: Rights,
        mut visit: impl FnMut(usize, GuestSlice<'a>) -> Result<(), GuestFault>,
    ) -> Result<(), GuestError> {
        if address.as_usize().checked_add(length.saturating_sub(1)).is_none() {
            return Err(GuestError { address, done: 0, fault: GuestFault::Overflow });
        }
        let mut done = 0;
        while done < length {
            let at = GuestPhysAddr::from_usize(address.as_usize() + done);
            let stopped = |fault| GuestError { address: at, done, fault };
            let slice = self.guest_slice(at, length - done, access).map_err(stopped)?.take(length - done);
            if slice.is_empty() {
                return Err(stopped(GuestFault::NotMapped));
            }
            visit(done, slice).map_err(stopped)?;
            if access.intersects(Rights::W) {
                // A harvester clears a state first, and then reads the memory. So either it reads what was written here,
                // or this side sees that the state is clear.
                fence(Ordering::SeqCst);
                self.guest_slice(at, slice.len(), access).map_err(stopped)?;
            }
            done += slice.len();
        }
        Ok(())
    }
}

/// Whether one access can move this many bytes, if they are aligned.
const fn can_be_one_access(size: usize) -> bool {
    matches!(size, 1 | 2 | 4 | 8)
}
