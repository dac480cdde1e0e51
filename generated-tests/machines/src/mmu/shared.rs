//! Physical memory that an emulator and the test both map: a file. What the emulator's MMU and CPU do there happens
//! while the library works on the same words.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use memmap2::{MmapOptions, MmapRaw};
use tablewright::{Format, Hal, HostPhysAddr, Invalidation, Tag};
use tempfile::NamedTempFile;

/// How long the guest may take to notice something before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(10);

/// All RAM of a machine, as a HAL whose frames come from a part of it. Clones share it.
#[derive(Clone)]
pub struct SharedRam(Arc<Ram>);

struct Ram {
    file: NamedTempFile,
    map: MmapRaw,
    base: u64,
    frames: Mutex<std::ops::Range<u64>>,
    /// The address of a word that the guest counts up each time that it has dropped its translations; the word after it
    /// says where that ends.
    fences: OnceLock<u64>,
    /// Whether the guest has stopped counting.
    lost: AtomicBool,
}

impl SharedRam {
    /// Memory of `size` bytes from the address `base` on, of which `frames` may be allocated.
    ///
    /// # Errors
    ///
    /// If there can be no such file, or it cannot be mapped.
    pub fn new(base: u64, size: u64, frames: std::ops::Range<u64>) -> io::Result<Self> {
        let file = NamedTempFile::new()?;
        file.as_file().set_len(size)?;
        let map = MmapOptions::new().map_raw(file.as_file())?;
        Ok(Self(Arc::new(Ram {
            file,
            map,
            base,
            frames: Mutex::new(frames),
            fences: OnceLock::new(),
            lost: AtomicBool::new(false),
        })))
    }

    /// The arguments that have QEMU use it as the memory backend `ram`.
    pub fn arguments(&self) -> [String; 2] {
        let (size, path) = (self.0.map.len(), self.0.file.path().display());
        ["-object".into(), format!("memory-backend-file,id=ram,size={size},mem-path={path},share=on")]
    }

    /// The word at an address.
    ///
    /// # Panics
    ///
    /// If it is not one of this memory.
    pub fn word(&self, address: u64) -> &AtomicU64 {
        &self.words(address, 1)[0]
    }

    /// So many words from an address on.
    ///
    /// # Panics
    ///
    /// If they are not all of this memory.
    pub fn words(&self, address: u64, count: usize) -> &[AtomicU64] {
        let offset = (address - self.0.base) as usize;
        assert!(offset.is_multiple_of(8) && offset + 8 * count <= self.0.map.len(), "no word at {address:#x}");
        // SAFETY: aligned words of the mapping, which lives as long as `self`; all accesses in this process are atomic,
        // and those of the emulator happen in another.
        unsafe { std::slice::from_raw_parts(self.0.map.as_mut_ptr().add(offset).cast(), count) }
    }

    /// From now on the guest counts at this address how often it has dropped its translations, up to what the next word
    /// says. There is one such address for good.
    pub fn hear_fences(&self, address: u64) {
        self.0.fences.get_or_init(|| address);
    }

    /// Waits until the guest has counted so many times more, unless it has ended.
    pub fn wait_for_fences(&self, more: u64) {
        let Some(&address) = self.0.fences.get() else { return };
        let (count, end) = (self.word(address), self.word(address + 8));
        let wanted = (count.load(Ordering::Acquire) + more).min(end.load(Ordering::Acquire));
        let start = Instant::now();
        while count.load(Ordering::Acquire) < wanted && !self.0.lost.load(Ordering::Relaxed) {
            // The session tells what became of the guest, which then has no translations either.
            self.0.lost.store(start.elapsed() > PATIENCE, Ordering::Relaxed);
            std::thread::yield_now();
        }
    }
}

// SAFETY: frames are parts of the mapping that are given out once; `invalidate` waits until the only CPU of the machine
// has dropped its translations.
unsafe impl Hal for SharedRam {
    fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
        let mut frames = self.0.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let start = frames.start.checked_next_multiple_of(1 << size)?;
        let end = start.checked_add(1 << size).filter(|&end| end <= frames.end)?;
        frames.start = end;
        Some(HostPhysAddr::from_usize(start as usize))
    }

    /// A test is over before its memory is.
    unsafe fn free(&self, _frame: HostPhysAddr, _size: u8) {}

    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        NonNull::from(self.word(address.as_usize() as u64 & !7)).cast()
    }

    fn invalidate<F: Format>(&self, _: &F, _: HostPhysAddr, _: Tag, _: &Invalidation) {
        // The next fence may be under way already, with translations that were made after it began.
        self.wait_for_fences(2);
    }
}
