//! How a device's queue signals that commands are complete.

use crate::HostPhysAddr;

/// How a device's queue signals that all commands up to one are complete.
///
/// ```
/// use tablewright::{Format, Invalidation, Signal, Tag, riscv64::riscv_iommu};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = riscv_iommu::Format::new(&riscv_iommu::Config::new(3, 41))?;
/// let mut queue: Vec<[u64; 2]> = Vec::new();
/// let mut submit = |words: &[u64]| {
///     let mut command = [0; 2];
///     command[..words.len()].copy_from_slice(words);
///     queue.push(command);
/// };
/// assert!(format.commands(Tag(3), &Invalidation::Space, &mut submit));
/// // The IOMMU shall write 1 at this address when it has done that.
/// format.completion(Signal::Write { address: 0x8000_1000.into(), data: 1 }, &mut submit)?;
/// assert_eq!(queue[1], [0x1_0000_3402, 0x2000_0400]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The device writes `data` to memory, where a CPU polls it. The format says whether 32 or 64 bits are written, and
    /// so how wide `data` may be.
    Write {
        /// Where to write; aligned to the size of what is written.
        address: HostPhysAddr,
        /// What to write.
        data: u64,
    },
    /// The device raises its interrupt for that.
    Interrupt,
    /// The head of the queue passes the command only then, so that a CPU can poll the head register.
    Consumed,
}
