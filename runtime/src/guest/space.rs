//! Access to guest memory through an address space.

use alloc::vec::Vec;

use super::{GuestError, GuestFault, GuestMemoryAccessor, GuestSlice};
use crate::{AddrSpace, Backend, FaultOutcome, Format, GuestPhysAddr, Hal, HostPhysAddr, Rights};

/// How often the leaf that a fault resolved is looked for: a harvest may have write-protected it again. The limit keeps a
/// backend that claims to resolve faults, but maps nothing, from holding up the host.
const ATTEMPTS: usize = 64;

impl<F: Format, H: Hal, B: Backend> GuestMemoryAccessor for AddrSpace<F, H, B> {
    /// One leaf at a time. Memory that is mapped at its first use is mapped now.
    fn guest_slice(&self, address: GuestPhysAddr, length: usize, access: Rights) -> Result<GuestSlice<'_>, GuestFault> {
        let area = self.find_area(address).ok_or(GuestFault::NotMapped)?;
        if !area.backend().is_ram() || area.attributes().memory.is_device() {
            return Err(GuestFault::Device);
        }
        for _ in 0..ATTEMPTS {
            if let Some(slice) = self.reachable(address, length, access) {
                return Ok(slice);
            }
            match self.handle_fault(address, access) {
                FaultOutcome::Mapped | FaultOutcome::Marked | FaultOutcome::Spurious => {}
                FaultOutcome::Denied => return Err(GuestFault::Denied),
                FaultOutcome::NotMapped => return Err(GuestFault::NotMapped),
                FaultOutcome::Device(_) => return Err(GuestFault::Device),
                outcome => return Err(GuestFault::NotResolved(outcome)),
            }
        }
        Err(GuestFault::Denied)
    }
}

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// The `length` bytes from `address` on as pieces that are each contiguous for the host. All can be read; the rights
    /// of each piece say whether it can be written.
    ///
    /// They borrow the space, so that nobody can unmap them meanwhile:
    ///
    /// ```compile_fail,E0502
    /// # use tablewright::{AddrSpace, Format, GuestPhysAddr, Hal};
    /// fn stale<F: Format, H: Hal>(space: &mut AddrSpace<F, H>, address: GuestPhysAddr) {
    ///     let slices = space.translated_byte_buffer(address, 64).unwrap();
    ///     space.unmap(address, 0x1000).unwrap();
    ///     slices[0].write(b"too late").unwrap();
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`GuestError`] at the first byte that the guest cannot read.
    pub fn translated_byte_buffer(
        &self,
        address: GuestPhysAddr,
        length: usize,
    ) -> Result<Vec<GuestSlice<'_>>, GuestError> {
        let mut slices = Vec::new();
        self.for_each_slice(address, length, Rights::R, |done, slice| {
            slices.try_reserve(1).map_err(|_| GuestFault::NoMemory)?;
            // Where the guest may write, the holder of the piece may, too.
            let at = GuestPhysAddr::from_usize(address.as_usize() + done);
            slices.push(self.reachable(at, slice.len(), Rights::RW).unwrap_or(slice));
            Ok(())
        })?;
        Ok(slices)
    }

    /// The bytes from `address` to the end of the leaf that allows `access` to them, at most `length`. As by an access
    /// of the guest, the leaf is marked accessed, or dirty.
    #[inline]
    fn reachable(&self, address: GuestPhysAddr, length: usize, access: Rights) -> Option<GuestSlice<'_>> {
        let address = address.as_usize() as u64;
        let writes = access.intersects(Rights::W);
        let leaf = self.page_table().reach(address, writes).filter(|leaf| leaf.rights.contains(access))?;
        if !leaf.is_marked {
            self.page_table().mark(address, writes);
        }
        let length = length.min(leaf.rest.saturating_add(1) as usize);
        // Without a right to write in `access`, no writes: the leaf need not be marked dirty.
        let rights = if writes { leaf.rights } else { leaf.rights - Rights::W };
        let start = self.page_table().hal().phys_to_virt(HostPhysAddr::from_usize(leaf.output as usize));
        // SAFETY: backends of RAM map only memory that the HAL maps, leaf by leaf, for as long as it is mapped; nothing
        // is unmapped while the space is borrowed. Host memory to which references exist is not given to guests.
        Some(unsafe { GuestSlice::new(start, length, rights) })
    }
}
