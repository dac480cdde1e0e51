//! How the queue of a device reports that its commands are complete.

use super::At;
use crate::expr::Expr;

/// `[[completion]]`: a command that is complete only when all commands before it are.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Its id.
    pub id: At<String>,
    /// How the device reports that it is complete.
    pub signal: Signal,
    /// Where it exists.
    pub when: Option<Expr>,
    /// What the caller chooses, with the signal `write`.
    pub record: Option<Record>,
    /// Its words; `address` and `data` stand for what the caller chooses.
    pub command: Vec<At<Expr>>,
    /// For documentation.
    pub doc: Option<String>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// How a device reports that a command is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `write`: it writes data of the caller's at an address of the caller's.
    Write,
    /// `interrupt`: by an interrupt of its own.
    Interrupt,
    /// `consumed`: the head of the queue passes the command only then.
    Consumed,
}

/// Which addresses and data a command can make the device write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The highest bit that an address can have.
    pub high: u8,
    /// The lowest one.
    pub low: u8,
    /// Whether the address 0 stands for none.
    pub nonzero: bool,
    /// The number of bits of data, 1 to 64.
    pub data_bits: u8,
}

impl Record {
    /// Whether the device can write at `address`.
    pub const fn reaches(&self, address: u64) -> bool {
        address & !self.address_mask() == 0 && !(self.nonzero && address == 0)
    }

    /// The bits that an address can have.
    pub const fn address_mask(&self) -> u64 {
        u64::MAX >> (63 - self.high) >> self.low << self.low
    }

    /// The largest data.
    pub const fn last_data(&self) -> u64 {
        u64::MAX >> (64 - self.data_bits)
    }
}
