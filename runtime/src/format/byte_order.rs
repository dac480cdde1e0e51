//! The order of the bytes in which an MMU reads an entry.

use core::fmt::Debug;

/// The order of the bytes in which an MMU reads an entry, whatever the CPU's own is: [`LittleEndian`] or [`BigEndian`].
///
/// Everywhere but in memory, an entry is its value, as the manual has it. Registers, fault reports and commands for queues are
/// values, too.
///
/// ```
/// use tablewright::{ByteOrder, Format, LittleEndian, riscv64::sv_x4};
///
/// /// The entry that `bytes` of a memory image are.
/// fn entry<F: Format>(_: &F, bytes: [u8; 8]) -> u64 {
///     F::Order::reorder(u64::from_ne_bytes(bytes))
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// assert_eq!(entry(&format, [0xd7, 0, 0, 0x20, 0, 0, 0, 0]), 0x2000_00d7);
/// assert_eq!(LittleEndian::reorder(0xd7), 0xd7_u64.to_le());
/// # Ok(())
/// # }
/// ```
pub trait ByteOrder: Copy + Debug + Send + Sync + 'static + sealed::Sealed {
    /// The value of the entry that a CPU loads from memory as `word`; and the word to store for an entry of the value `word`,
    /// which is the same exchange of bytes, or none.
    fn reorder(word: u64) -> u64;
}

/// The lowest byte first.
///
/// ```
/// use tablewright::{ByteOrder, LittleEndian};
///
/// assert_eq!(LittleEndian::reorder(u64::from_ne_bytes([1, 2, 3, 4, 5, 6, 7, 8])), 0x0807_0605_0403_0201);
/// ```
#[derive(Clone, Copy, Debug)]
pub enum LittleEndian {}

/// The highest byte first.
///
/// ```
/// use tablewright::{BigEndian, ByteOrder};
///
/// assert_eq!(BigEndian::reorder(u64::from_ne_bytes([1, 2, 3, 4, 5, 6, 7, 8])), 0x0102_0304_0506_0708);
/// ```
#[derive(Clone, Copy, Debug)]
pub enum BigEndian {}

impl ByteOrder for LittleEndian {
    #[inline]
    fn reorder(word: u64) -> u64 {
        word.to_le()
    }
}

impl ByteOrder for BigEndian {
    #[inline]
    fn reorder(word: u64) -> u64 {
        word.to_be()
    }
}

mod sealed {
    /// There are no other orders.
    pub trait Sealed {}

    impl Sealed for super::LittleEndian {}
    impl Sealed for super::BigEndian {}
}
