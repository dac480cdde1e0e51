//! Intel Virtualization Technology for Directed I/O; chapters are named.

pub mod scalable;

use super::{Board, Copy, IDENTITY, ITEMS, Model, Path, Registers, Report, Reports, pc, value};
use crate::emulators::Emulator;
use crate::mmu::FaultKind;

/// The IOMMU of Intel's chipsets, with a first stage.
pub const VTD: Model = Model {
    emulator: Emulator::QemuX86,
    machine: &["-M", pc::MACHINE, "-device", "intel-iommu,x-scalable-mode=on,x-flts=on,aw-bits=48"],
    base: 0,
    own: OWN,
    // Descriptors of 256 bits, which PASID-based invalidations take.
    words: 4,
    // It keeps one fault, and takes long to turn translation on and off for a device.
    devices: 1,
    enable: |board| {
        board.machine.write(IQA, 8, QUEUE | 1 << 11 | 1);
        board.machine.write(GCMD, 4, 1 << 26);
    },
    submit: |board, count| board.machine.write(IQT, 8, count % ITEMS * 32),
    head: |board| board.machine.read(IQH, 8) / 32,
    // IQE.
    failed: |board| board.machine.read(FSTS, 4) & 1 << 4 != 0,
    interrupts: Some(|board| board.machine.read(ICS, 4) & 1 != 0),
    wrong: Some([0xf2 | 1 << 50, 0x1000]),
};

/// The one that has a second stage in either mode.
pub const VTD_SECOND_STAGE: Model = Model {
    machine: &["-M", pc::MACHINE, "-device", "intel-iommu,x-scalable-mode=on,aw-bits=48,snoop-control=on"],
    ..VTD
};

/// How it translates for a device by a context entry of legacy mode.
pub const LEGACY: Path = Path {
    model: &VTD_SECOND_STAGE,
    forget: FORGET,
    plug: |board| {
        // A root entry, that of bus 0.
        board.write(STRUCTURES, CONTEXTS | 1);
        turn_on(board, STRUCTURES);
        pc::plug(board)
    },
    translate: |board, registers| set_context(board, [value(registers, "entry0"), value(registers, "entry1")]),
    // Pass-through, of 4 levels.
    bypass: |board| set_context(board, [2 << 2 | 1, 2]),
    told_by: FAULT,
    faults: take_fault,
    // Fault Reason Encodings, Legacy Mode: LSL.1 to LSL.3, and LGN.1.
    kind: |report| match reason(report) {
        4 => FaultKind::AddressSize,
        5 | 6 => FaultKind::Unspecified,
        0xc => FaultKind::Misconfigured,
        _ => FaultKind::Bus,
    },
};

/// A global invalidation of the IOTLB, with reads and writes drained; of contexts there is one whenever they are set.
const FORGET: &[[u64; 2]] = &[[0xd2, 0]];

/// Sets the root table, and has it used.
fn turn_on(board: &mut Board, root: u64) {
    board.machine.write(RTADDR, 8, root);
    // QIE, and SRTP or TE.
    board.machine.write(GCMD, 4, 1 << 26 | 1 << 30);
    board.machine.write(GCMD, 4, 1 << 26 | 1 << 31);
}

/// Sets the devices' contexts, and has contexts forgotten. What the IOTLB holds stays; it is of each device.
fn set_context(board: &mut Board, entry: [u64; 2]) {
    board.devices().for_each(|(_, identity)| board.write_words(CONTEXTS + identity * 16, &entry));
    board.push(&[0x11, 0]);
    assert!(board.done(), "it does not forget");
}

/// The only fault recording register.
const FAULT: &[(u64, usize)] = &[(FRCD, 8), (FRCD + 8, 8)];

/// What it holds, which is the first fault: of copies after that nothing is known. It is made free, and told that no other
/// was lost (PFO).
fn take_fault(board: &mut Board, told: &[u64], copies: &[Copy]) -> Reports {
    let (low, high) = (told[0], told[1]);
    if high >> 63 == 0 {
        return vec![None; copies.len()];
    }
    board.machine.write(FRCD + 8, 8, 1 << 63);
    board.machine.write(FSTS, 4, 1);
    // SID.
    let before = copies.iter().take_while(|copy| IDENTITY + copy.device != high & 0xffff);
    before.map(|_| None).chain([Some(Report::from([("fault0", low), ("fault1", high)]))]).collect()
}

/// FR.
fn reason(report: Registers<'_>) -> u64 {
    value(report, "fault1") >> 32 & 0xff
}

const OWN: u64 = 0x10_0000;
const QUEUE: u64 = OWN + super::QUEUE;
const STRUCTURES: u64 = OWN + super::STRUCTURES;
const CONTEXTS: u64 = STRUCTURES + 0x1000;

/// Register Descriptions.
const REGISTERS: u64 = 0xfed9_0000;
/// The registers that tell what it can do.
pub const CAPABILITIES: u64 = REGISTERS + 0x8;
/// The same.
pub const EXTENDED_CAPABILITIES: u64 = REGISTERS + 0x10;
const GCMD: u64 = REGISTERS + 0x18;
const RTADDR: u64 = REGISTERS + 0x20;
const FSTS: u64 = REGISTERS + 0x34;
const IQH: u64 = REGISTERS + 0x80;
const IQT: u64 = REGISTERS + 0x88;
const IQA: u64 = REGISTERS + 0x90;
const ICS: u64 = REGISTERS + 0x9c;
/// CAP.FRO of this model.
const FRCD: u64 = REGISTERS + 0x220;
