//! What the story asks of a machine. Each module here is one kind of machine: how it starts, how it enters a guest, and
//! what it reports when the guest comes back.

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
    /// A virtual CPU: what is the guest's while it does not run.
    type Vcpu;

    /// What it is.
    const NAME: &'static str;

    /// The format with the parameters of this machine.
    fn format(&self) -> Result<Self::Format, Problem>;

    /// A virtual CPU that starts in [`guest::main`](crate::guest::main) with this guest's number.
    fn boot(&mut self, space: &Space<Self>, number: usize) -> Result<Self::Vcpu, Problem>;

    /// Makes the space the current one: it is what invalidations act on.
    fn load(&mut self, space: &Space<Self>) -> Result<(), Problem>;

    /// Runs the guest whose space is loaded until it needs the hypervisor.
    fn run(&mut self, vcpu: &mut Self::Vcpu) -> Exit<<Self::Format as Format>::Report>;

    /// Where an access went whose report does not say it.
    fn resolve(&self, report: &<Self::Format as Format>::Report) -> GuestPhysAddr;

    /// The store that the guest stopped at, if it is one that this machine knows how to read.
    fn store(&self, vcpu: &Self::Vcpu, space: &Space<Self>) -> Option<Store>;

    /// Lets the guest go on after the instruction that it stopped at, which has so many bytes.
    fn skip(&mut self, vcpu: &mut Self::Vcpu, bytes: usize);
}

/// Why a guest stopped.
pub enum Exit<R> {
    /// It called the hypervisor, with a number and an argument.
    Call(usize, usize),
    /// An access was not translated: what the hardware says of it.
    Fault(R),
    /// What this hypervisor knows nothing of, in the hardware's own words.
    Other([u64; 3]),
}

/// A store of the guest's.
#[derive(Clone, Copy, Debug)]
pub struct Store {
    /// What it stores.
    pub value: u64,
    /// How many bytes the instruction has.
    pub instruction: usize,
}

/// Why the story ended early.
#[derive(Clone, Copy, Debug)]
pub struct Problem(pub &'static str);
