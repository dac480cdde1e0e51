//! AMD I/O Virtualization Technology (IOMMU) Specification (48882); chapters are named.

use super::{Copy, DEVICES, ITEMS, Model, Path, Report, pc, value};
use crate::emulators::Emulator;
use crate::mmu::FaultKind;

/// AMD's IOMMU.
pub const AMD: Model = Model {
    emulator: Emulator::QemuX86,
    // Without this, QEMU lets devices bypass it. The log is that of accesses which nothing answers.
    machine: &["-M", pc::MACHINE, "-device", "amd-iommu,pt=off", "-d", "invalid_mem"],
    base: 0,
    own: OWN,
    words: 2,
    devices: DEVICES,
    enable: |board| {
        // 256 items each.
        board.machine.write(COMMAND_BUFFER, 8, QUEUE | 8 << 56);
        board.machine.write(EVENT_LOG, 8, FAULTS | 8 << 56);
        board.machine.write(CONTROL, 8, ENABLED);
    },
    submit: |board, count| board.machine.write(COMMAND_TAIL, 8, count % ITEMS * 16),
    head: |board| board.machine.read(COMMAND_HEAD, 8) / 16,
    // CmdBufRun.
    failed: |board| board.machine.read(STATUS, 8) & 1 << 4 == 0,
    interrupts: Some(|board| board.machine.read(STATUS, 8) & 1 << 2 != 0),
    wrong: None,
};

/// How it translates for a device.
pub const PATH: Path = Path {
    model: &AMD,
    // INVALIDATE_IOMMU_ALL.
    forget: &[[8 << 60, 0]],
    plug: |board| {
        // A device table of one page.
        board.machine.write(DEVICE_TABLE, 8, STRUCTURES);
        pc::plug(board)
    },
    translate: |board, registers| {
        board.machine.write(CONTROL, 8, ENABLED);
        let entry = ["dte0", "dte1"].map(|name| value(registers, name));
        for (_, identity) in board.devices() {
            board.write_words(STRUCTURES + identity * 32, &entry);
            // INVALIDATE_DEVTAB_ENTRY.
            board.push(&[2 << 60 | identity, 0]);
        }
        assert!(board.done(), "it does not forget");
    },
    // Nothing is forgotten by it.
    bypass: |board| board.machine.write(CONTROL, 8, 0),
    // AMD_RECORDS_NO_FAULTS, but QEMU logs what was refused.
    told_by: &[],
    faults: |board, _, copies| {
        let log = board.machine.complaints();
        let refused: Vec<Option<u64>> = log.lines().map(refused).collect();
        let is_of = |copy: &Copy, at: &Option<u64>| {
            let start = if copy.to_memory { copy.to } else { copy.from };
            at.and_then(|at| at.checked_sub(start)).is_some_and(|offset| offset < copy.bytes)
        };
        match copies {
            [_] => vec![(!log.is_empty()).then(Report::new)],
            // That may be of any of them.
            _ if refused.iter().any(|at| !copies.iter().any(|copy| is_of(copy, at))) => Vec::new(),
            _ => copies.iter().map(|copy| refused.iter().any(|at| is_of(copy, at)).then(Report::new)).collect(),
        }
    },
    kind: |_| FaultKind::Unspecified,
};

/// The address at which a device was refused, by a line of the log: `Invalid read at addr 0x1000, size 4, ...`.
fn refused(line: &str) -> Option<u64> {
    let (_, rest) = line.strip_prefix("Invalid ")?.split_once(" at addr 0x")?;
    u64::from_str_radix(rest.split(',').next()?, 16).ok()
}

const OWN: u64 = 0x10_0000;
const QUEUE: u64 = OWN + super::QUEUE;
const FAULTS: u64 = OWN + super::FAULTS;
const STRUCTURES: u64 = OWN + super::STRUCTURES;

/// IommuEn, EventLogEn and CmdBufEn.
const ENABLED: u64 = 1 | 1 << 2 | 1 << 12;

/// MMIO Registers.
const REGISTERS: u64 = 0xfed8_0000;
const DEVICE_TABLE: u64 = REGISTERS;
const COMMAND_BUFFER: u64 = REGISTERS + 0x8;
const EVENT_LOG: u64 = REGISTERS + 0x10;
const CONTROL: u64 = REGISTERS + 0x18;
/// The register that tells what it can do.
pub const EXTENDED_FEATURE: u64 = REGISTERS + 0x30;
const COMMAND_HEAD: u64 = REGISTERS + 0x2000;
const COMMAND_TAIL: u64 = REGISTERS + 0x2008;
/// Where the next event goes.
pub const EVENT_TAIL: u64 = REGISTERS + 0x2018;
const STATUS: u64 = REGISTERS + 0x2020;
