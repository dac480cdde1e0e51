//! Makes the engine's HAL of the traits that clients implement.

use core::{marker::PhantomData, ptr::NonNull};

use page_table_multiarch::PagingHandler;
use tablewright::{Format, Hal, Invalidation, Tag};

use crate::{HostPhysAddr, HostVirtAddr, format::may_invalidate};

/// Frames for [`PhysFrame`](crate::PhysFrame), from the client.
pub trait AxMmHal {
    /// Takes a frame; `None` if there is none.
    fn alloc_frame() -> Option<HostPhysAddr>;

    /// Frees a frame.
    fn dealloc_frame(paddr: HostPhysAddr);

    /// The host's virtual address of a physical address.
    fn phys_to_virt(paddr: HostPhysAddr) -> HostVirtAddr;

    /// The physical address of a virtual address of the host.
    fn virt_to_phys(vaddr: HostVirtAddr) -> HostPhysAddr;
}

/// A HAL that uses a client's [`PagingHandler`].
pub(crate) struct Machine<H>(PhantomData<fn() -> H>);

impl<H> Machine<H> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<H> Clone for Machine<H> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

/// log2 of the size of one of the handler's frames.
const FRAME_BITS: u8 = 12;

// SAFETY: by the handler's own contract, its frames are exclusive, aligned, and accessible through `phys_to_virt`. The
// README says which CPUs invalidations reach; the handler has no way to reach others.
unsafe impl<H: PagingHandler> Hal for Machine<H> {
    fn allocate(&self, size: u8) -> Option<tablewright::HostPhysAddr> {
        let frame = match size {
            FRAME_BITS => H::alloc_frame(),
            _ => H::alloc_frames(1 << (size - FRAME_BITS), 1 << size),
        };
        frame.map(to_engine)
    }

    unsafe fn free(&self, frame: tablewright::HostPhysAddr, size: u8) {
        match size {
            FRAME_BITS => H::dealloc_frame(to_client(frame)),
            _ => H::dealloc_frames(to_client(frame), 1 << (size - FRAME_BITS)),
        }
    }

    fn phys_to_virt(&self, address: tablewright::HostPhysAddr) -> NonNull<u8> {
        let address = H::phys_to_virt(to_client(address)).as_mut_ptr();
        NonNull::new(address).expect("the handler maps no memory at the null address")
    }

    /// Invalidates everything, for every tag, as the handler does not say under which tag its tables are used.
    fn invalidate<F: Format>(&self, format: &F, root: tablewright::HostPhysAddr, tag: Tag, _set: &Invalidation) {
        if may_invalidate() {
            // SAFETY: invalidating more than is due harms nobody. On bare metal the code of a hypervisor runs where it
            // may do so; elsewhere nothing is executed.
            let _ = unsafe { format.invalidate(root, tag, &Invalidation::All) };
        }
    }
}

/// A physical address of the client's in the engine's type.
pub(crate) const fn to_engine(address: HostPhysAddr) -> tablewright::HostPhysAddr {
    tablewright::HostPhysAddr::from_usize(address.as_usize())
}

/// A physical address of the engine's in the client's type.
pub(crate) const fn to_client(address: tablewright::HostPhysAddr) -> HostPhysAddr {
    HostPhysAddr::from_usize(address.as_usize())
}
