//! What the story needs of a machine. Each module here is one kind of machine: how it starts, how it enters a guest,
//! and what it reports when the guest exits.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::*;
#[cfg(target_arch = "riscv64")]
pub use riscv64::*;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

use tablewright::{AddrSpace, Format, GuestPhysAddr};

use crate::memory::FrameHal;

/// A guest's address space on a machine.
pub type Space<M> = AddrSpace<<M as Machine>::Format, FrameHal>;

/// One CPU that can run guests.
pub trait Machine {
    /// Its nested page tables.
    type Format: Format;
    /// A virtual CPU: the guest's registers while it does not run.
    type Vcpu;

    /// Its name.
    const NAME: &'static str;

    /// The format with the parameters of this machine.
    fn format(&self) -> Result<Self::Format, Problem>;

    /// A virtual CPU that starts in [`guest::main`](crate::guest::main) with this guest's number.
    fn boot(&mut self, space: &Space<Self>, number: usize) -> Result<Self::Vcpu, Problem>;

    /// Loads the space's registers. Invalidations act on this space.
    fn load(&mut self, space: &Space<Self>) -> Result<(), Problem>;

    /// Runs the guest whose space is loaded until it needs the hypervisor.
    fn run(&mut self, vcpu: &mut Self::Vcpu) -> Exit<<Self::Format as Format>::Report>;

    /// The guest-physical address of an access whose report does not have it.
    fn resolve(&self, report: &<Self::Format as Format>::Report) -> GuestPhysAddr;

    /// The store at which the guest stopped, if this machine can decode it.
    fn store(&self, vcpu: &Self::Vcpu, space: &Space<Self>) -> Option<Store>;

    /// Lets the guest continue after the instruction at which it stopped, which has so many `bytes`.
    fn skip(&mut self, vcpu: &mut Self::Vcpu, bytes: usize);
}

/// Why a guest stopped.
pub enum Exit<R> {
    /// It called the hypervisor, with a number and an argument.
    Call(usize, usize),
    /// An access was not translated; with the hardware's report.
    Fault(R),
    /// Anything else, as the hardware reports it.
    Other([u64; 3]),
}

/// A store of the guest's.
#[derive(Clone, Copy, Debug)]
pub struct Store {
    /// The value that it stores.
    pub value: u64,
    /// The length of the instruction in bytes.
    pub instruction: usize,
}

/// Why the story ended early.
#[derive(Clone, Copy, Debug)]
pub struct Problem(pub &'static str);
