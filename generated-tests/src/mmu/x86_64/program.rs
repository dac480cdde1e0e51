//! The stub's operations, and the ROM that brings them to it.

use super::layout::{self, OWN, PROGRAM};
use crate::mmu::Access;

/// The first word of the results.
pub(super) const MAGIC: u64 = 0x6574_6972_7765_6c62;
/// Bits 63:48 of a tag; the rest is the physical address of its page.
const TAG_MARK: u64 = 0x7ab1 << 48;
/// Every page of RAM starts with a tag, and has a second one here, for stores that hit the first.
const SECOND_TAG: u64 = 0xff0;

const END: u32 = 0;
const LOAD: u32 = 1;
const ZERO: u32 = 2;
const TAG: u32 = 3;
const PEEK: u32 = 4;
const SLOT: u32 = 5;
const VMWRITE: u32 = 6;
const RDMSR: u32 = 7;
const CPUID: u32 = 8;
const PROBE: u32 = 9;

const READ: u32 = 0;
const WRITE: u32 = 1;
const EXECUTE: u32 = 2;

core::arch::global_asm!(
    include_str!("stub.s"),
    OWN = const OWN,
    OWN_SIZE = const layout::OWN_SIZE,
    OWN_IN_ROM = const layout::OWN_IN_ROM,
    CODE = const layout::CODE,
    STACK_TOP = const layout::STACK_TOP,
    VMXON_REGION = const layout::VMXON_REGION,
    VMCS_REGION = const layout::VMCS_REGION,
    PROGRAM = const PROGRAM,
    WINDOW_ENTRY = const layout::WINDOW_ENTRY,
    OVERLAY_ENTRY = const layout::OVERLAY_ENTRY,
    MAGIC = const MAGIC,
    TAG_MARK = const TAG_MARK,
    SECOND_TAG = const SECOND_TAG,
    WRITE = const WRITE,
    EXECUTE = const EXECUTE,
    LOAD = const LOAD,
    ZERO = const ZERO,
    TAG = const TAG,
    PEEK = const PEEK,
    SLOT = const SLOT,
    VMWRITE = const VMWRITE,
    RDMSR = const RDMSR,
    CPUID = const CPUID,
    PROBE = const PROBE,
);

/// The assembled stub.
fn code() -> &'static [u8] {
    unsafe extern "C" {
        safe static tablewright_x86_64_stub: [u8; 4096];
    }
    &tablewright_x86_64_stub
}

/// Operations in the form in which the stub reads them: five words each, and for `load` the bytes.
#[derive(Clone, Default)]
pub(super) struct Program(Vec<u8>);

impl Program {
    fn operation<const N: usize>(&mut self, number: u32, operands: [u64; N]) {
        self.0.extend(u64::from(number).to_le_bytes());
        for index in 0..4 {
            self.0
                .extend(operands.get(index).copied().unwrap_or(0).to_le_bytes());
        }
    }

    /// Copies bytes to RAM.
    pub(super) fn load(&mut self, address: u64, bytes: &[u8]) {
        self.operation(LOAD, [address, bytes.len() as u64]);
        self.0.extend(bytes);
    }

    /// Clears the pages from `start` up to `end`.
    pub(super) fn zero(&mut self, start: u64, end: u64) {
        self.operation(ZERO, [start, (end - start) / 8]);
    }

    /// Tags the pages from `start` up to `end`.
    pub(super) fn tag(&mut self, start: u64, end: u64) {
        self.operation(TAG, [start, end]);
    }

    /// Gives the word at a physical address.
    pub(super) fn peek(&mut self, address: u64) {
        self.operation(PEEK, [address]);
    }

    /// Says which entry of the root is free for the overlay.
    pub(super) fn slot(&mut self, entry_address: u64) {
        self.operation(SLOT, [entry_address]);
    }

    /// Writes a field of the VMCS.
    pub(super) fn vmwrite(&mut self, field: u64, value: u64) {
        self.operation(VMWRITE, [field, value]);
    }

    /// Gives the value of a model-specific register.
    pub(super) fn rdmsr(&mut self, number: u32) {
        self.operation(RDMSR, [number.into()]);
    }

    /// Gives EAX of a CPUID leaf.
    pub(super) fn cpuid(&mut self, leaf: u32) {
        self.operation(CPUID, [leaf.into()]);
    }

    /// Enters the guest, and gives the words of an [`Exit`].
    pub(super) fn probe(&mut self, address: u64, user: bool, access: Access) {
        let offset = address % layout::PAGE;
        let tag = if offset < layout::PAGE / 2 {
            SECOND_TAG
        } else {
            0
        };
        let access = match access {
            Access::Read => READ,
            Access::Write => WRITE,
            Access::Execute => EXECUTE,
        };
        let entry = layout::window_entry(address - offset, user);
        self.operation(
            PROBE,
            [
                layout::WINDOW + offset,
                layout::WINDOW + tag,
                access.into(),
                entry,
            ],
        );
    }

    /// Adds what another program does.
    pub(super) fn append(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// Whether another program fits into the ROM after this one.
    pub(super) fn has_room_for(&self, other: &Self) -> bool {
        self.0.len() + other.0.len() + 5 * 8 <= layout::PROGRAM_SIZE
    }

    /// Size in bytes.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    /// The ROM that runs this program.
    pub(super) fn rom(mut self) -> Vec<u8> {
        self.operation(END, []);
        self.0.resize(layout::PROGRAM_SIZE, 0);
        self.0.extend(layout::own_memory(code()));
        self.0
    }
}

/// What a probe ended with.
pub(super) struct Exit {
    rax: u64,
    /// VM-instruction error: not zero if there was no VM entry at all (SDM volume 3, section 32.4).
    pub(super) refused: u64,
    pub(super) reason: u64,
    pub(super) qualification: u64,
    pub(super) guest_physical_address: u64,
    pub(super) interruption: u64,
    pub(super) interruption_error: u64,
}

impl Exit {
    /// How many words it is.
    pub(super) const WORDS: usize = 7;

    /// An exit from the words that the stub gave for it.
    pub(super) fn new(
        &[
            rax,
            refused,
            reason,
            qualification,
            guest_physical_address,
            interruption,
            interruption_error,
        ]: &[u64; Self::WORDS],
    ) -> Self {
        Self {
            rax,
            refused,
            reason,
            qualification,
            guest_physical_address,
            interruption,
            interruption_error,
        }
    }

    /// The physical address of the page whose tag the guest found.
    pub(super) fn tag(&self) -> Option<u64> {
        (self.rax & 0xffff << 48 == TAG_MARK).then_some(self.rax ^ TAG_MARK)
    }

    /// Whether the guest's page walk met an address that has too many bits.
    pub(super) fn is_reserved_bit_page_fault(&self) -> bool {
        self.interruption & 0xff == 14 && self.interruption_error & 1 << 3 != 0
    }
}
