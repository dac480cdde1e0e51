//! An entry in memory: its width, and the byte order in which an MMU reads it.

use core::{fmt::Debug, ptr::NonNull, sync::atomic::Ordering};

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, AtomicU64};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, AtomicU64};

use crate::GuestAtomic;

/// An entry in memory, in the width and byte order in which an MMU reads it, whatever the CPU's own byte order: [`Le64`],
/// [`Be64`], [`Le32`] or [`Be32`].
///
/// Everywhere but in memory, an entry is its value as the manual shows it: a `u64`, however wide it is. Registers, fault
/// reports and queue commands are values, too.
///
/// ```
/// use tablewright::{Be32, EntryWord, Format, Le64, riscv64::sv_x4};
///
/// /// The entry at `address`, among the eight `bytes` of a memory image around it.
/// fn entry<F: Format>(_: &F, bytes: [u8; 8], address: u64) -> u64 {
///     F::Word::get(u64::from_ne_bytes(bytes), address)
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// assert_eq!(entry(&format, [0xd7, 0, 0, 0x20, 0, 0, 0, 0], 0x1000), 0x2000_00d7);
/// // Of narrow ones there are two.
/// let two = u64::from_ne_bytes([1, 2, 3, 4, 5, 6, 7, 8]);
/// assert_eq!((Be32::get(two, 0x1000), Be32::get(two, 0x1004)), (0x0102_0304, 0x0506_0708));
/// # Ok(())
/// # }
/// ```
pub trait EntryWord: GuestAtomic + SealedAtomic + Debug + Send + Sync + 'static {
    /// log2 of its size in bytes.
    const SIZE: u8;

    /// The value of the entry at `address`, from `word`: what a CPU loads from the aligned 64 bits around it.
    fn get(word: u64, address: u64) -> u64;

    /// `word`, as above, with the entry at `address` replaced by the value `raw`.
    fn set(word: u64, address: u64, raw: u64) -> u64;
}

/// What the engine does with an entry in memory: the methods of an atomic, on values. Nobody else can name this trait, so
/// there are no other words.
pub trait SealedAtomic: Sized {
    fn load(&self, order: Ordering) -> u64;

    fn store(&self, raw: u64, order: Ordering);

    fn swap(&self, raw: u64, order: Ordering) -> u64;

    fn compare_exchange(&self, old: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64>;

    fn fetch_and(&self, mask: u64, order: Ordering);

    /// Writes it plainly, whatever it holds.
    ///
    /// # Safety
    ///
    /// It is inside an allocated frame, and nobody else uses it.
    unsafe fn write(word: NonNull<Self>, raw: u64);
}

/// By how many bits an entry of `1 << size` bytes at `address` is shifted in what a CPU loads from the 64 bits around it.
const fn place(address: u64, size: u8) -> u64 {
    let byte = address & 7 & (u64::MAX << size);
    if cfg!(target_endian = "big") { 8 * (8 - (1 << size) - byte) } else { 8 * byte }
}

macro_rules! entry_words {
    ($($(#[$doc:meta])+ $word:ident: $atomic:ident, $bits:ident, $reorder:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Debug)]
        #[repr(transparent)]
        pub struct $word($atomic);

        impl $word {
            /// The value of what a CPU loads.
            #[inline]
            const fn value(word: $bits) -> u64 {
                word.$reorder() as u64
            }

            /// What a CPU stores for a value.
            #[inline]
            const fn word(raw: u64) -> $bits {
                (raw as $bits).$reorder()
            }
        }

        impl EntryWord for $word {
            const SIZE: u8 = size_of::<$bits>().ilog2() as u8;

            #[inline]
            fn get(word: u64, address: u64) -> u64 {
                Self::value((word >> place(address, Self::SIZE)) as $bits)
            }

            #[inline]
            fn set(word: u64, address: u64, raw: u64) -> u64 {
                let place = place(address, Self::SIZE);
                word & !(($bits::MAX as u64) << place) | (Self::word(raw) as u64) << place
            }
        }

        impl SealedAtomic for $word {
            #[inline]
            fn load(&self, order: Ordering) -> u64 {
                Self::value(self.0.load(order))
            }

            #[inline]
            fn store(&self, raw: u64, order: Ordering) {
                self.0.store(Self::word(raw), order);
            }

            #[inline]
            fn swap(&self, raw: u64, order: Ordering) -> u64 {
                Self::value(self.0.swap(Self::word(raw), order))
            }

            #[inline]
            fn compare_exchange(
                &self,
                old: u64,
                new: u64,
                success: Ordering,
                failure: Ordering,
            ) -> Result<u64, u64> {
                let done = self.0.compare_exchange(Self::word(old), Self::word(new), success, failure);
                done.map(Self::value).map_err(Self::value)
            }

            #[inline]
            fn fetch_and(&self, mask: u64, order: Ordering) {
                self.0.fetch_and(Self::word(mask), order);
            }

            #[cfg(not(loom))]
            #[inline]
            unsafe fn write(word: NonNull<Self>, raw: u64) {
                // SAFETY: as the caller promises; an atomic is a word in memory.
                unsafe { word.cast().write(Self::word(raw)) };
            }

            // loom watches that nobody else does.
            #[cfg(loom)]
            unsafe fn write(mut word: NonNull<Self>, raw: u64) {
                // SAFETY: as the caller promises; the model's frames hold atomics.
                unsafe { word.as_mut() }.0.with_mut(|word| *word = Self::word(raw));
            }
        }
    )+};
}

entry_words! {
    /// 64 bits, the lowest byte first.
    ///
    /// ```
    /// use tablewright::{EntryWord, Le64};
    ///
    /// assert_eq!(Le64::get(u64::from_ne_bytes([1, 2, 3, 4, 5, 6, 7, 8]), 0x1000), 0x0807_0605_0403_0201);
    /// ```
    Le64: AtomicU64, u64, to_le;
    /// 64 bits, the highest byte first.
    ///
    /// ```
    /// use tablewright::{Be64, EntryWord};
    ///
    /// assert_eq!(Be64::get(u64::from_ne_bytes([1, 2, 3, 4, 5, 6, 7, 8]), 0x1000), 0x0102_0304_0506_0708);
    /// ```
    Be64: AtomicU64, u64, to_be;
    /// 32 bits, the lowest byte first.
    ///
    /// ```
    /// use tablewright::{EntryWord, Le32};
    ///
    /// let two = Le32::set(0, 0x1004, 0x0403_0201);
    /// assert_eq!(two.to_ne_bytes(), [0, 0, 0, 0, 1, 2, 3, 4]);
    /// ```
    Le32: AtomicU32, u32, to_le;
    /// 32 bits, the highest byte first.
    ///
    /// ```
    /// use tablewright::{Be32, EntryWord};
    ///
    /// let two = Be32::set(0, 0x1004, 0x0102_0304);
    /// assert_eq!(two.to_ne_bytes(), [0, 0, 0, 0, 1, 2, 3, 4]);
    /// ```
    Be32: AtomicU32, u32, to_be;
}
