//! Guest memory through a translation that a client supplies.

use core::{mem::MaybeUninit, ptr::NonNull, slice};

use axerrno::{AxError, AxResult};
use memory_addr::{MemoryAddr, PAGE_SIZE_4K as PAGE_SIZE};
use tablewright::{GuestSlice, Rights};

use crate::{GuestPhysAddr, HostPhysAddr};

/// Access to a guest's memory.
///
/// Values may lie at any address and cross pages: each page is translated separately. A piece of 1, 2, 4 or 8 bytes at
/// a multiple of its size is moved by one access.
pub trait GuestMemoryAccessor {
    /// The address at which the host can access `guest_addr`, and how many bytes from there on belong to the guest.
    /// They need to be consecutive only up to the end of a page of 4 KiB.
    fn translate_and_get_limit(&self, guest_addr: GuestPhysAddr) -> Option<(HostPhysAddr, usize)>;

    /// Reads a value. The guest chooses its bytes, so its type must be one for which any bytes are valid.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if not all of it is the guest's.
    fn read_obj<V: Copy>(&self, guest_addr: GuestPhysAddr) -> AxResult<V> {
        let mut value = MaybeUninit::<V>::zeroed();
        // SAFETY: the bytes of a value of this size, all of them initialised.
        let bytes = unsafe { slice::from_raw_parts_mut(value.as_mut_ptr().cast(), size_of::<V>()) };
        self.read_buffer(guest_addr, bytes)?;
        // SAFETY: the caller chose a type for which any bytes are a value.
        Ok(unsafe { value.assume_init() })
    }

    /// Writes a value, which must be of a type without padding.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if part of the place is not guest memory. The part before that is written.
    fn write_obj<V: Copy>(&self, guest_addr: GuestPhysAddr, val: V) -> AxResult<()> {
        // SAFETY: the bytes of a value, as the caller says without padding.
        let bytes = unsafe { slice::from_raw_parts((&raw const val).cast(), size_of::<V>()) };
        self.write_buffer(guest_addr, bytes)
    }

    /// Fills `buffer` with the guest's memory.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if not all of it is the guest's.
    fn read_buffer(&self, guest_addr: GuestPhysAddr, buffer: &mut [u8]) -> AxResult<()> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            done += piece(self, guest_addr, done, rest.len())?.read(rest).map_err(|_| AxError::InvalidInput)?;
        }
        Ok(())
    }

    /// Copies `buffer` to the guest's memory.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if part of the place is not guest memory. The part before that is written.
    fn write_buffer(&self, guest_addr: GuestPhysAddr, buffer: &[u8]) -> AxResult<()> {
        let mut done = 0;
        while let Some(rest) = buffer.get(done..).filter(|rest| !rest.is_empty()) {
            done += piece(self, guest_addr, done, rest.len())?.write(rest).map_err(|_| AxError::InvalidInput)?;
        }
        Ok(())
    }

    /// As [`GuestMemoryAccessor::read_obj`].
    ///
    /// # Errors
    ///
    /// Those of [`GuestMemoryAccessor::read_obj`].
    fn read_volatile<V: Copy>(&self, guest_addr: GuestPhysAddr) -> AxResult<V> {
        self.read_obj(guest_addr)
    }

    /// As [`GuestMemoryAccessor::write_obj`].
    ///
    /// # Errors
    ///
    /// Those of [`GuestMemoryAccessor::write_obj`].
    fn write_volatile<V: Copy>(&self, guest_addr: GuestPhysAddr, val: V) -> AxResult<()> {
        self.write_obj(guest_addr, val)
    }
}

/// The guest's memory from `done` bytes after `start` on: to the end of the page, or less if the accessor's limit or
/// `length` ends it before; at least one byte.
fn piece<A: GuestMemoryAccessor + ?Sized>(
    accessor: &A,
    start: GuestPhysAddr,
    done: usize,
    length: usize,
) -> AxResult<GuestSlice<'_>> {
    let address = start.as_usize().checked_add(done).map(GuestPhysAddr::from_usize).ok_or(AxError::InvalidInput)?;
    let (host, limit) = accessor.translate_and_get_limit(address).ok_or(AxError::InvalidInput)?;
    let length = length.min(limit).min(PAGE_SIZE - address.align_offset_4k());
    let host = NonNull::new(host.as_usize() as *mut u8).filter(|_| length > 0).ok_or(AxError::InvalidInput)?;
    // SAFETY: the accessor says that these bytes are the guest's memory, and that the host can access them there.
    Ok(unsafe { GuestSlice::new(host, length, Rights::RW) })
}
