//! A frame that is freed when its owner is dropped.

use core::marker::PhantomData;

use axerrno::{AxResult, ax_err_type};
use memory_addr::PAGE_SIZE_4K as PAGE_SIZE;

use crate::{AxMmHal, HostPhysAddr};

/// A frame of 4 KiB, freed when this is dropped; or a placeholder that holds none.
#[derive(Debug)]
pub struct PhysFrame<H: AxMmHal> {
    start_paddr: Option<HostPhysAddr>,
    hal: PhantomData<H>,
}

impl<H: AxMmHal> PhysFrame<H> {
    /// A frame with arbitrary content.
    ///
    /// # Errors
    ///
    /// `NoMemory` if there is none left.
    pub fn alloc() -> AxResult<Self> {
        let start_paddr = H::alloc_frame().ok_or_else(|| ax_err_type!(NoMemory, "no frame left"))?;
        Ok(Self { start_paddr: Some(start_paddr), hal: PhantomData })
    }

    /// A frame filled with zeros.
    ///
    /// # Errors
    ///
    /// `NoMemory` if there is none left.
    pub fn alloc_zero() -> AxResult<Self> {
        let mut frame = Self::alloc()?;
        frame.fill(0);
        Ok(frame)
    }

    /// A placeholder that holds no frame, for a field that gets one later.
    ///
    /// # Safety
    ///
    /// There is no condition. It is `unsafe` only because the original's clients write `unsafe`.
    pub const unsafe fn uninit() -> Self {
        Self { start_paddr: None, hal: PhantomData }
    }

    /// The frame's first address.
    ///
    /// # Panics
    ///
    /// If it is a placeholder, as in the original.
    pub fn start_paddr(&self) -> HostPhysAddr {
        self.start_paddr.expect("uninitialized PhysFrame")
    }

    /// The host's virtual address of the frame.
    ///
    /// # Panics
    ///
    /// If it is a placeholder, as in the original.
    pub fn as_mut_ptr(&self) -> *mut u8 {
        H::phys_to_virt(self.start_paddr()).as_mut_ptr()
    }

    /// Writes `byte` to the whole frame.
    ///
    /// # Panics
    ///
    /// If it is a placeholder, as in the original.
    pub fn fill(&mut self, byte: u8) {
        // SAFETY: the frame is this one's, and the HAL maps it.
        unsafe { self.as_mut_ptr().write_bytes(byte, PAGE_SIZE) };
    }
}

impl<H: AxMmHal> Drop for PhysFrame<H> {
    fn drop(&mut self) {
        if let Some(start_paddr) = self.start_paddr {
            H::dealloc_frame(start_paddr);
        }
    }
}
