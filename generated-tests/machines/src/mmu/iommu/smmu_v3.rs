//! Arm System Memory Management Unit Architecture Specification, version 3 (IHI 0070); chapters are named.

use super::{DEVICES, ITEMS, Model, Path, Report, plug_all, reports_of, value};
use crate::emulators::Emulator;
use crate::mmu::FaultKind;

/// The SMMUv3 of `virt`, with stage 2.
pub const SMMU_V3: Model = Model {
    emulator: Emulator::QemuAarch64,
    machine: &[
        "-M",
        "virt,iommu=smmuv3,memory-backend=ram",
        "-cpu",
        "cortex-a57,start-powered-off=on",
        "-global",
        "arm-smmuv3.stage=2",
    ],
    base: 0x4000_0000,
    own: OWN,
    words: 2,
    devices: DEVICES,
    enable: |board| {
        // 2^8 items each; 2^8 stream table entries.
        board.machine.write(CMDQ_BASE, 8, QUEUE | 8);
        board.machine.write(EVENTQ_BASE, 8, FAULTS | 8);
        board.machine.write(STRTAB_BASE, 8, STRUCTURES);
        board.machine.write(STRTAB_BASE_CFG, 4, 8);
        board.machine.write(CR0, 4, QUEUES);
    },
    // An index, and above it whether it is an odd round.
    submit: |board, count| board.machine.write(CMDQ_PROD, 4, count % (2 * ITEMS)),
    head: |board| board.machine.read(CMDQ_CONS, 4) & 0xff_ffff,
    failed: |board| board.machine.read(GERROR, 4) & 1 != 0,
    // A wire with an edge, which leaves nothing to see.
    interrupts: None,
    wrong: Some([0xfe, 0]),
};

/// How it translates for a device.
pub const PATH: Path = Path {
    model: &SMMU_V3,
    // CMD_CFGI_ALL, CMD_TLBI_NSNH_ALL.
    forget: &[[4, 31], [0x30, 0]],
    plug: |board| plug_all(board, CONFIGURATION, DEVICE_REGISTERS),
    translate: |board, registers| {
        let [ste0, ste1, ste2, ste3] = ["ste0", "ste1", "ste2", "ste3"].map(|name| value(registers, name));
        for (number, identity) in board.devices() {
            // An S2VMID of its own.
            board.write_words(STRUCTURES + identity * 64, &[ste0, ste1, ste2 + number, ste3]);
        }
        board.machine.write(CR0, 4, QUEUES | 1);
    },
    bypass: |board| board.machine.write(CR0, 4, QUEUES),
    told_by: &[(EVENTQ_CONS, 4), (EVENTQ_PROD, 4)],
    faults: |board, told, copies| {
        let (mut head, tail, mut records) = (told[0], told[1], Vec::new());
        while head != tail {
            let at = |word: u64| board.read(FAULTS + head % ITEMS * 32 + word * 8);
            let event = Report::from([("event0", at(0)), ("event1", at(1)), ("event2", at(2)), ("event3", at(3))]);
            // StreamID.
            records.push((at(0) >> 32, event));
            head = (head + 1) % (2 * ITEMS);
        }
        board.machine.write(EVENTQ_CONS, 4, tail);
        reports_of(copies, &records)
    },
    // Event records: F_TRANSLATION, F_ADDR_SIZE, F_ACCESS, F_PERMISSION.
    kind: |report| match value(report, "event0") & 0xff {
        0x10 => FaultKind::NotMapped,
        0x11 => FaultKind::AddressSize,
        0x12 => FaultKind::AccessFlag,
        0x13 => FaultKind::Permission,
        _ => FaultKind::Bus,
    },
};

const OWN: u64 = 0x4010_0000;
const QUEUE: u64 = OWN + super::QUEUE;
const FAULTS: u64 = OWN + super::FAULTS;
const STRUCTURES: u64 = OWN + super::STRUCTURES;

/// CR0: CMDQEN and EVENTQEN; SMMUEN is bit 0.
const QUEUES: u64 = 0b1100;

/// Register formats.
pub const REGISTERS: u64 = 0x905_0000;
const CR0: u64 = REGISTERS + 0x20;
const GERROR: u64 = REGISTERS + 0x60;
const STRTAB_BASE: u64 = REGISTERS + 0x80;
const STRTAB_BASE_CFG: u64 = REGISTERS + 0x88;
const CMDQ_BASE: u64 = REGISTERS + 0x90;
const CMDQ_PROD: u64 = REGISTERS + 0x98;
const CMDQ_CONS: u64 = REGISTERS + 0x9c;
const EVENTQ_BASE: u64 = REGISTERS + 0xa0;
const EVENTQ_PROD: u64 = REGISTERS + 0x1_00a8;
const EVENTQ_CONS: u64 = REGISTERS + 0x1_00ac;

/// Configuration space, and a place for the registers of devices.
const CONFIGURATION: u64 = 0x40_1000_0000;
const DEVICE_REGISTERS: u64 = 0x1000_0000;
