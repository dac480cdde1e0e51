//! RISC-V IOMMU Architecture Specification; chapters are named.

use super::{Board, DEVICES, ITEMS, Model, Path, Report, plug_all, reports_of, value};
use crate::emulators::Emulator;
use crate::mmu::FaultKind;

/// The RISC-V IOMMU of `virt`.
pub const RISCV: Model = Model {
    emulator: Emulator::QemuRiscv64,
    machine: &["-M", "virt,iommu-sys=on,memory-backend=ram", "-bios", "none", "-cpu", "max,start-powered-off=on"],
    base: 0x8000_0000,
    own: OWN,
    words: 2,
    devices: DEVICES,
    enable: |board| {
        // Wired interrupts; 2^8 items; cqen and fqen.
        board.machine.write(FCTL, 4, 2);
        board.machine.write(CQB, 8, QUEUE >> 12 << 10 | 7);
        board.machine.write(CQCSR, 4, 1);
        board.machine.write(FQB, 8, FAULTS >> 12 << 10 | 7);
        board.machine.write(FQCSR, 4, 1);
    },
    submit: |board, count| board.machine.write(CQT, 4, count % ITEMS),
    head: |board| board.machine.read(CQH, 4),
    // cqmf, cmd_to, cmd_ill.
    failed: |board| board.machine.read(CQCSR, 4) & 0x700 != 0,
    // QEMU does not set fence_w_ip.
    interrupts: None,
    // IOTINVAL.GVMA with PSCV.
    wrong: Some([0x1_0000_0081, 0]),
};

/// How it translates for a device.
pub const PATH: Path = Path {
    model: &RISCV,
    // IODIR.INVAL_DDT, IOTINVAL.VMA, IOTINVAL.GVMA.
    forget: &[[3, 0], [1, 0], [0x81, 0]],
    plug: |board| plug_all(board, CONFIGURATION, DEVICE_REGISTERS),
    translate: |board, registers| {
        // Not each format has a register for ta.
        let ta = if registers.iter().any(|(name, _)| *name == "ta") { value(registers, "ta") } else { 0 };
        let [tc, iohgatp, fsc] = ["tc", "iohgatp", "fsc"].map(|name| value(registers, name));
        for (number, identity) in board.devices() {
            // A GSCID and a PSCID of its own, where these mean something.
            let iohgatp = if iohgatp == 0 { 0 } else { iohgatp + (number << 44) };
            let ta = if fsc == 0 { ta } else { ta + (number << 12) };
            let processes = PROCESSES + number * 0x1000;
            // A device context of 64 bytes, with nothing of MSIs (Device-context base-format fields). With PDTV, it leads to
            // the context of a process. The device names none, so by DPE that is the first, in a directory of one page (PD8).
            let context = match tc & PDTV {
                0 => [tc, iohgatp, ta, fsc],
                _ => [tc | DPE, iohgatp, 0, 1 << 60 | processes >> 12],
            };
            board.write_words(STRUCTURES + identity * 64, &context);
            board.write_words(processes, &[ta, fsc]);
        }
        // 1LVL.
        set_directory(board, STRUCTURES >> 12 << 10 | 2);
    },
    // Bare.
    bypass: |board| set_directory(board, 1),
    told_by: &[(FQH, 4), (FQT, 4)],
    faults: |board, told, copies| {
        let (mut head, tail, mut records) = (told[0], told[1], Vec::new());
        while head != tail {
            let at = |word: u64| board.read(FAULTS + head * 32 + word * 8);
            // DID.
            let identity = at(0) >> 40;
            records.push((identity, Report::from([("record", at(0)), ("iotval", at(2)), ("iotval2", at(3))])));
            head = (head + 1) % ITEMS;
        }
        board.machine.write(FQH, 4, tail);
        reports_of(copies, &records)
    },
    // One cause for everything.
    kind: |report| match value(report, "record") & 0xfff {
        12 | 13 | 15 | 20 | 21 | 23 => FaultKind::Unspecified,
        _ => FaultKind::Bus,
    },
};

/// Sets ddtp, and has contexts forgotten, as those of Bare are remembered, too: IODIR.INVAL_DDT.
fn set_directory(board: &mut Board, ddtp: u64) {
    board.machine.write(DDTP, 8, ddtp);
    board.push(&[3, 0]);
    assert!(board.done(), "it does not forget");
}

const OWN: u64 = 0x8010_0000;
const QUEUE: u64 = OWN + super::QUEUE;
const FAULTS: u64 = OWN + super::FAULTS;
const STRUCTURES: u64 = OWN + super::STRUCTURES;
const PROCESSES: u64 = STRUCTURES + 0x1000;

/// Bits of tc.
const PDTV: u64 = 1 << 5;
const DPE: u64 = 1 << 9;

/// Memory-mapped register interface.
const REGISTERS: u64 = 0x301_0000;
/// The register that tells what it can do.
pub const CAPABILITIES: u64 = REGISTERS;
const FCTL: u64 = REGISTERS + 0x8;
const DDTP: u64 = REGISTERS + 0x10;
const CQB: u64 = REGISTERS + 0x18;
const CQH: u64 = REGISTERS + 0x20;
const CQT: u64 = REGISTERS + 0x24;
const FQB: u64 = REGISTERS + 0x28;
const FQH: u64 = REGISTERS + 0x30;
const FQT: u64 = REGISTERS + 0x34;
const CQCSR: u64 = REGISTERS + 0x48;
const FQCSR: u64 = REGISTERS + 0x4c;

/// Configuration space, and a place for the registers of devices.
const CONFIGURATION: u64 = 0x3000_0000;
const DEVICE_REGISTERS: u64 = 0x4000_0000;
