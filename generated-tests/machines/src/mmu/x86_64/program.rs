//! What the stub is told to do.

use super::layout::{self, PROGRAM_SIZE};

/// The word before the results, and after them.
pub(super) const MAGIC: u64 = 0x6574_6972_7765_6c62;
/// Bits 63:48 of a tag; the rest is the physical address of its page.
pub(super) const TAG_MARK: u64 = 0x7ab1 << 48;
/// Every page of RAM starts with a tag, and has a second one here, for accesses that hit the first.
pub(super) const SECOND_TAG: u64 = 0xff0;

/// What the stub can do; each is a method of [`Program`].
#[derive(Clone, Copy)]
pub(super) enum Operation {
    End,
    Load,
    Zero,
    Tag,
    Peek,
    Lend,
    SetGuest,
    ReadMsr,
    Cpuid,
    Probe,
}

/// Where the guest begins, and with what.
pub(super) struct Entry {
    /// The linear address to be accessed.
    pub(super) address: u64,
    /// The linear address of a tag in the same page, not where the access is.
    pub(super) tag: u64,
    /// The guest's first instruction.
    pub(super) rip: u64,
    /// The window's entry.
    pub(super) window: u64,
}

/// Operations in the form in which the stub reads them: five words each, and for `load` the bytes.
#[derive(Clone, Default)]
pub(super) struct Program(Vec<u8>);

impl Program {
    fn add<const N: usize>(&mut self, operation: Operation, operands: [u64; N]) {
        self.0.extend((operation as u64).to_le_bytes());
        for operand in operands.into_iter().chain([0; 4]).take(4) {
            self.0.extend(operand.to_le_bytes());
        }
    }

    /// Copies bytes to RAM.
    pub(super) fn load(&mut self, address: u64, bytes: &[u8]) {
        self.add(Operation::Load, [address, bytes.len() as u64]);
        self.0.extend(bytes);
    }

    /// Clears the pages from `start` up to `end`.
    pub(super) fn zero(&mut self, start: u64, end: u64) {
        self.add(Operation::Zero, [start, (end - start) / 8]);
    }

    /// Tags the pages from `start` up to `end`.
    pub(super) fn tag(&mut self, start: u64, end: u64) {
        self.add(Operation::Tag, [start, end]);
    }

    /// Gives words from a physical address on.
    pub(super) fn peek(&mut self, address: u64, words: u64) {
        self.add(Operation::Peek, [address, words]);
    }

    /// Says which entry of a root is free for an overlay, and the entry that is it.
    pub(super) fn lend(&mut self, which: usize, entry_address: u64, overlay: u64) {
        self.add(Operation::Lend, [layout::LENT[which], entry_address, overlay]);
    }

    /// Writes a field of the VMCS or VMCB.
    pub(super) fn set_guest(&mut self, (field, value): (u64, u64)) {
        self.add(Operation::SetGuest, [field, value]);
    }

    /// Gives the value of a model-specific register.
    pub(super) fn read_msr(&mut self, number: u32) {
        self.add(Operation::ReadMsr, [number.into()]);
    }

    /// Gives EAX of a CPUID leaf.
    pub(super) fn cpuid(&mut self, leaf: u32) {
        self.add(Operation::Cpuid, [leaf.into()]);
    }

    /// Enters the guest, and gives the words of an [`Exit`](super::exit::Exit).
    pub(super) fn enter(&mut self, entry: Entry) {
        self.add(Operation::Probe, [entry.address, entry.tag, entry.rip, entry.window]);
    }

    /// Ends the program.
    pub(super) fn end(&mut self) {
        self.add(Operation::End, []);
    }

    /// Adds what another program does, if both together are not too long. Returns whether they are not.
    pub(super) fn append(&mut self, other: &Self) -> bool {
        const END: usize = 5 * 8;
        let fits = self.0.len() + other.0.len() + END <= PROGRAM_SIZE;
        if fits {
            self.0.extend(&other.0);
        }
        fits
    }

    /// The operations as the stub reads them.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
