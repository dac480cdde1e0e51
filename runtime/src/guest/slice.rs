//! Consecutive bytes of guest memory.

use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use super::GuestFault;
use crate::Rights;

/// Consecutive bytes of guest memory, valid while the address space that they were taken from is borrowed.
///
/// The guest may read and change them at any time, so they can only be copied.
///
/// ```
/// use tablewright::GuestMemoryAccessor;
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// space.map_alloc(0x8000_0000.into(), 0x2000, rw, false)?;
/// // Ten bytes on two pages, which are not next to each other for the host.
/// let pieces = space.translated_byte_buffer(0x8000_0ffc.into(), 10)?;
/// let lengths: Vec<usize> = pieces.iter().map(|piece| piece.len()).collect();
/// assert_eq!((lengths.iter().sum::<usize>(), lengths[0] % 4), (10, 0));
/// pieces[0].write(b"ab")?;
/// let mut read = [0; 1];
/// pieces[0].skip(1).read(&mut read)?;
/// assert_eq!(read, *b"b");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GuestSlice<'a> {
    start: NonNull<u8>,
    length: usize,
    rights: Rights,
    space: PhantomData<&'a ()>,
}

impl<'a> GuestSlice<'a> {
    /// The `length` bytes from `start` on.
    ///
    /// # Safety
    ///
    /// For `'a`, the bytes are memory, not a device, and are mapped in the host for reads and, if `rights` contains a
    /// right to write, for writes. If they may be written, here or by the guest, no Rust reference to them exists, and
    /// all others in the host that access them while they change do so by atomic accesses.
    pub const unsafe fn new(start: NonNull<u8>, length: usize, rights: Rights) -> Self {
        Self { start, length, rights, space: PhantomData }
    }

    /// The number of bytes.
    #[inline]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What the guest may do here.
    #[inline]
    pub const fn rights(&self) -> Rights {
        self.rights
    }

    /// Where the host sees the first byte.
    #[inline]
    pub const fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Copies bytes from the start of the slice into `buffer`, as many as both have, and returns how many.
    ///
    /// A piece of 1, 2, 4 or 8 bytes at a multiple of its size is read in one access.
    ///
    /// # Errors
    ///
    /// [`GuestFault::Denied`] if the guest may not read here.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, GuestFault> {
        self.check(Rights::R)?;
        let length = self.length.min(buffer.len());
        let mut rest = buffer.get_mut(..length).unwrap_or_default();
        let mut from = self.start;
        while !rest.is_empty() {
            let (width, count) = widest(from, rest.len());
            let (piece, after) = rest.split_at_mut(width * count);
            // SAFETY: the bytes are in the slice, and `width` is a size to which the address is aligned.
            unsafe {
                match width {
                    8 => {
                        for (index, word) in piece.as_chunks_mut().0.iter_mut().enumerate() {
                            *word = from.cast::<AtomicU64>().add(index).as_ref().load(Relaxed).to_ne_bytes();
                        }
                    }
                    4 => piece.copy_from_slice(&from.cast::<AtomicU32>().as_ref().load(Relaxed).to_ne_bytes()),
                    2 => piece.copy_from_slice(&from.cast::<AtomicU16>().as_ref().load(Relaxed).to_ne_bytes()),
                    _ => piece.fill(from.cast::<AtomicU8>().as_ref().load(Relaxed)),
                }
                from = from.add(width * count);
            }
            rest = after;
        }
        Ok(length)
    }

    /// Fills `buffer` by one access if possible, and returns whether that was done.
    #[inline]
    pub(super) fn read_at_once(&self, buffer: &mut [u8]) -> bool {
        let size = buffer.len();
        let whole = size > 0 && size <= self.length && self.as_ptr().addr().is_multiple_of(size);
        if !whole || self.check(Rights::R).is_err() {
            return false;
        }
        // SAFETY: the bytes are in the slice, and their address is a multiple of their number.
        unsafe {
            match size {
                8 => buffer.copy_from_slice(&self.start.cast::<AtomicU64>().as_ref().load(Relaxed).to_ne_bytes()),
                4 => buffer.copy_from_slice(&self.start.cast::<AtomicU32>().as_ref().load(Relaxed).to_ne_bytes()),
                2 => buffer.copy_from_slice(&self.start.cast::<AtomicU16>().as_ref().load(Relaxed).to_ne_bytes()),
                1 => buffer.fill(self.start.cast::<AtomicU8>().as_ref().load(Relaxed)),
                _ => return false,
            }
        }
        true
    }

    /// Copies bytes from `buffer` to the start of the slice, as many as both have, and returns how many.
    ///
    /// A piece of 1, 2, 4 or 8 bytes at a multiple of its size is written in one access.
    ///
    /// # Errors
    ///
    /// [`GuestFault::Denied`] if the guest may not write here.
    pub fn write(&self, buffer: &[u8]) -> Result<usize, GuestFault> {
        self.check(Rights::W)?;
        let length = self.length.min(buffer.len());
        let mut rest = buffer.get(..length).unwrap_or_default();
        let mut to = self.start;
        while !rest.is_empty() {
            let (width, count) = widest(to, rest.len());
            let (piece, after) = rest.split_at(width * count);
            // SAFETY: the bytes are in the slice, and `width` is a size to which the address is aligned.
            unsafe {
                match *piece {
                    [a, b, c, d] => {
                        to.cast::<AtomicU32>().as_ref().store(u32::from_ne_bytes([a, b, c, d]), Relaxed);
                    }
                    [a, b] => to.cast::<AtomicU16>().as_ref().store(u16::from_ne_bytes([a, b]), Relaxed),
                    [byte] => to.cast::<AtomicU8>().as_ref().store(byte, Relaxed),
                    _ => {
                        for (index, word) in piece.as_chunks().0.iter().enumerate() {
                            to.cast::<AtomicU64>().add(index).as_ref().store(u64::from_ne_bytes(*word), Relaxed);
                        }
                    }
                }
                to = to.add(width * count);
            }
            rest = after;
        }
        Ok(length)
    }

    /// The bytes after the first `count`.
    #[inline]
    pub fn skip(&self, count: usize) -> Self {
        let count = count.min(self.length);
        // SAFETY: still inside the slice, or just behind it.
        Self { start: unsafe { self.start.add(count) }, length: self.length - count, ..*self }
    }

    /// The first bytes, at most `count`.
    #[inline]
    pub fn take(&self, count: usize) -> Self {
        Self { length: self.length.min(count), ..*self }
    }

    #[inline]
    fn check(&self, wanted: Rights) -> Result<(), GuestFault> {
        if self.rights.intersects(wanted) { Ok(()) } else { Err(GuestFault::Denied) }
    }
}

/// The size of the largest access at `address` that moves no more than `length` bytes (at least 1), and how many such
/// accesses can follow each other.
#[inline]
fn widest(address: NonNull<u8>, length: usize) -> (usize, usize) {
    let fits = |width: usize| width <= length && address.addr().get().is_multiple_of(width);
    if fits(8) {
        (8, length / 8)
    } else if fits(4) {
        (4, 1)
    } else if fits(2) {
        (2, 1)
    } else {
        (1, 1)
    }
}
