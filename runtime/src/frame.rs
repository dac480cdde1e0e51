//! A frame of physical memory that is freed when its owner is dropped.

use core::{fmt, ptr};

use crate::{Error, Hal, HostPhysAddr};

/// log2 of the size of a frame, unless another is asked for.
const FRAME_BITS: u8 = 12;

/// A frame of physical memory, freed when it is dropped; or a placeholder that holds none.
///
/// ```
/// use tablewright::{PhysFrame, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = Machine::new(0x8000_0000, 1 << 20);
/// let frame = PhysFrame::alloc_zero(&machine)?;
/// assert!(frame.start_paddr().is_some());
/// assert_eq!(machine.used(), 4096);
/// drop(frame);
/// assert_eq!(machine.used(), 0);
/// # Ok(())
/// # }
/// ```
pub struct PhysFrame<H: Hal>(Option<Owned<H>>);

struct Owned<H> {
    hal: H,
    start: HostPhysAddr,
    size: u8,
}

impl<H: Hal> PhysFrame<H> {
    /// A frame of 4 KiB with arbitrary content.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] if the HAL has none left.
    pub fn alloc(hal: &H) -> Result<Self, Error> {
        Self::alloc_sized(hal, FRAME_BITS)
    }

    /// A frame of 4 KiB, filled with zeros.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] if the HAL has none left.
    pub fn alloc_zero(hal: &H) -> Result<Self, Error> {
        let mut frame = Self::alloc(hal)?;
        frame.fill(0);
        Ok(frame)
    }

    /// A frame of `1 << size` bytes, at least 4 KiB, with arbitrary content.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] if the HAL has none left.
    pub fn alloc_sized(hal: &H, size: u8) -> Result<Self, Error> {
        let size = size.max(FRAME_BITS);
        let start = hal.allocate(size).ok_or(Error::NoMemory { size })?;
        Ok(Self(Some(Owned { hal: hal.clone(), start, size })))
    }

    /// A placeholder that holds no frame, for a field that gets one later.
    pub const fn uninit() -> Self {
        Self(None)
    }

    /// The frame's first address; `None` for a placeholder. A frame may be at any address, even at 0.
    pub fn start_paddr(&self) -> Option<HostPhysAddr> {
        self.0.as_ref().map(|frame| frame.start)
    }

    /// log2 of the frame's size; `None` for a placeholder.
    pub fn size(&self) -> Option<u8> {
        self.0.as_ref().map(|frame| frame.size)
    }

    /// Where the host sees the frame, valid for reads and writes while the frame is held; null for a placeholder.
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.0.as_ref().map_or(ptr::null_mut(), |frame| frame.hal.phys_to_virt(frame.start).as_ptr())
    }

    /// Fills the whole frame with `byte`; on a placeholder, does nothing.
    pub fn fill(&mut self, byte: u8) {
        if let Some(frame) = &self.0 {
            // SAFETY: the frame is allocated with this size, and `&mut self` says that nobody else uses it.
            unsafe { frame.hal.phys_to_virt(frame.start).write_bytes(byte, 1 << frame.size) };
        }
    }

    /// Gives up ownership without freeing the frame: from now on that is up to the caller.
    pub fn into_raw(mut self) -> Option<HostPhysAddr> {
        self.0.take().map(|frame| frame.start)
    }
}

impl<H: Hal> fmt::Debug for PhysFrame<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(frame) => write!(f, "PhysFrame({:?}, 2^{} bytes)", frame.start, frame.size),
            None => f.write_str("PhysFrame(none)"),
        }
    }
}

impl<H: Hal> Drop for PhysFrame<H> {
    fn drop(&mut self) {
        if let Some(frame) = self.0.take() {
            // SAFETY: allocated with this size, and its owner is gone.
            unsafe { frame.hal.free(frame.start, frame.size) };
        }
    }
}
