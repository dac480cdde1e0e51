//! Why an access to guest memory stopped.

use crate::{FaultOutcome, GuestPhysAddr};

/// An access to guest memory that stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guest memory at {address:?}, after {done} bytes: {fault}")]
pub struct GuestError {
    /// The guest physical address that could not be accessed.
    pub address: GuestPhysAddr,
    /// How many bytes before it were copied.
    pub done: usize,
    /// Why.
    pub fault: GuestFault,
}

/// Why guest memory cannot be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestFault {
    /// The range goes beyond the last address.
    #[error("the addresses wrap around")]
    Overflow,
    /// Nothing is mapped there.
    #[error("not mapped")]
    NotMapped,
    /// The guest itself may not do this there.
    #[error("the guest has no right to do this")]
    Denied,
    /// It is a device's.
    #[error("device memory")]
    Device,
    /// It is mapped when it is first used, and that failed.
    #[error("{0:?}")]
    NotResolved(FaultOutcome),
    /// One access cannot do it: the size is not 1, 2, 4 or 8, the address is no multiple of it, or it is on two pages.
    #[error("not possible in one access")]
    Torn,
    /// No memory for a list of pieces.
    #[error("no memory on the host")]
    NoMemory,
}
