//! Observers of what happens to memory and translations.

use super::Machine;
use crate::{HostPhysAddr, Invalidation, Sink, Tag};

/// Something that is told what happens to memory and translations as it happens, such as a TLB emulator.
///
/// Its methods are called without locks held, and may read the machine's memory.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
/// use tablewright::{AddrSpace, Format, HostPhysAddr, Invalidation, MappingFlags, Tag, riscv64::sv_x4};
/// use tablewright::sim::{Machine, Observer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// #[derive(Default)]
/// struct Count(AtomicUsize);
///
/// impl Observer for Count {
///     fn invalidated(&self, _machine: &Machine, _root: HostPhysAddr, _tag: Tag, _set: &Invalidation) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// let machine = Machine::new(0, 1 << 20);
/// let count = Arc::new(Count::default());
/// machine.observe(count.clone());
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let mut space = AddrSpace::<_, _>::new_empty(format, machine, Tag(1))?;
/// space.map_alloc(0x1000.into(), 0x1000, MappingFlags::READ, true)?;
/// let before = count.0.load(Ordering::Relaxed);
/// space.unmap(0x1000.into(), 0x1000)?;
/// assert_eq!(count.0.load(Ordering::Relaxed), before + 1);
/// # Ok(())
/// # }
/// ```
pub trait Observer: Send + Sync {
    /// An invalidation was requested; afterwards, nothing that `set` names may be cached.
    fn invalidated(&self, machine: &Machine, root: HostPhysAddr, tag: Tag, set: &Invalidation) {
        let _ = (machine, root, tag, set);
    }

    /// As [`Observer::invalidated`], at one sink; by default, only invalidations at the CPUs are passed on.
    fn invalidated_at(&self, machine: &Machine, sink: Sink, root: HostPhysAddr, tag: Tag, set: &Invalidation) {
        if sink == Sink::CPUS {
            self.invalidated(machine, root, tag, set);
        }
    }

    /// Entries in `length` bytes from `start` on were written.
    fn published(&self, machine: &Machine, start: HostPhysAddr, length: usize) {
        let _ = (machine, start, length);
    }

    /// A frame is about to be given back: no translation may lead to it or through it any more.
    fn freed(&self, machine: &Machine, frame: HostPhysAddr, size: u8) {
        let _ = (machine, frame, size);
    }
}
