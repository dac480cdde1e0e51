//! AMD I/O Virtualization Technology (IOMMU) Specification (48882); chapters are named.

use super::{ITEMS, Model, pc};
use crate::emulators::Emulator;

/// AMD's IOMMU.
pub const AMD: Model = Model {
    emulator: Emulator::QemuX86,
    machine: &["-M", pc::MACHINE, "-device", "amd-iommu"],
    base: 0,
    own: OWN,
    words: 2,
    enable: |board| {
        // 256 items; IommuEn and CmdBufEn.
        board.machine.write(COMMAND_BUFFER, 8, QUEUE | 8 << 56);
        board.machine.write(CONTROL, 8, 1 | 1 << 12);
    },
    submit: |board, count| board.machine.write(COMMAND_TAIL, 8, count % ITEMS * 16),
    head: |board| board.machine.read(COMMAND_HEAD, 8) / 16,
    // CmdBufRun.
    failed: |board| board.machine.read(STATUS, 8) & 1 << 4 == 0,
    interrupts: Some(|board| board.machine.read(STATUS, 8) & 1 << 2 != 0),
    wrong: None,
};

const OWN: u64 = 0x10_0000;
const QUEUE: u64 = OWN + super::QUEUE;

/// MMIO Registers.
const REGISTERS: u64 = 0xfed8_0000;
const COMMAND_BUFFER: u64 = REGISTERS + 0x8;
const CONTROL: u64 = REGISTERS + 0x18;
/// The register that tells what it can do.
pub const EXTENDED_FEATURE: u64 = REGISTERS + 0x30;
const COMMAND_HEAD: u64 = REGISTERS + 0x2000;
const COMMAND_TAIL: u64 = REGISTERS + 0x2008;
const STATUS: u64 = REGISTERS + 0x2020;
