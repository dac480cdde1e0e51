//! Intel Virtualization Technology for Directed I/O; chapters are named.

use super::{ITEMS, Model};
use crate::emulators::Emulator;

/// The IOMMU of Intel's chipsets, in scalable mode.
pub const VTD: Model = Model {
    emulator: Emulator::QemuX86,
    machine: &[
        "-M",
        "q35,kernel-irqchip=off,memory-backend=ram",
        "-device",
        "intel-iommu,x-scalable-mode=on,x-flts=on",
    ],
    base: 0,
    own: OWN,
    // Descriptors of 256 bits, which PASID-based invalidations take.
    words: 4,
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

const OWN: u64 = 0x10_0000;
const QUEUE: u64 = OWN + super::QUEUE;

/// Register Descriptions.
const REGISTERS: u64 = 0xfed9_0000;
/// The registers that tell what it can do.
pub const CAPABILITIES: u64 = REGISTERS + 0x8;
/// The same.
pub const EXTENDED_CAPABILITIES: u64 = REGISTERS + 0x10;
const GCMD: u64 = REGISTERS + 0x18;
const FSTS: u64 = REGISTERS + 0x34;
const IQH: u64 = REGISTERS + 0x80;
const IQT: u64 = REGISTERS + 0x88;
const IQA: u64 = REGISTERS + 0x90;
const ICS: u64 = REGISTERS + 0x9c;
