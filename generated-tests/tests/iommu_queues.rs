//! The commands of IOMMU formats, executed by QEMU's IOMMUs: all are taken, the completion tells what it should where it
//! should, and what is no command is refused. The formats' parameters come from the models' own capability registers.

use std::io::Write;

use tablewright::aarch64::smmu_v3_4k;
use tablewright::riscv64::{riscv_iommu, riscv_iommu_first_stage};
use tablewright::x86_64::{amd_iommu_v1, vtd_first_stage, vtd_second_stage};
use tablewright::{ClosedRange, Format, HostPhysAddr, Invalidation, Signal, Tag};
use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::mmu::stopped::Stopped;

/// An IOMMU of some machine, by its manual.
struct Model {
    emulator: Emulator,
    machine: &'static [&'static str],
    /// RAM for the queue and the record.
    ram: u64,
    /// The size of an item of the queue in words.
    words: usize,
    /// Turns the queue on, which lies at this address.
    enable: fn(&mut Stopped, u64),
    /// Tells how many items there are.
    submit: fn(&mut Stopped, u64),
    /// How many items were taken.
    head: fn(&mut Stopped) -> u64,
    /// Whether a command was refused.
    failed: fn(&mut Stopped) -> bool,
    /// Whether it interrupts, if that can be seen.
    interrupts: Option<fn(&mut Stopped) -> bool>,
    /// What it refuses: a reserved bit or operation. `None`: it takes anything, and only its completions prove something.
    wrong: Option<[u64; 2]>,
}

/// RISC-V IOMMU, Memory-mapped register interface: fctl 0x8, cqb 0x18, cqh 0x20, cqt 0x24, cqcsr 0x48.
const RISCV: Model = Model {
    emulator: Emulator::QemuRiscv64,
    machine: &["-M", "virt,iommu-sys=on", "-m", "64M", "-bios", "none"],
    ram: 0x8010_0000,
    words: 2,
    enable: |machine, queue| {
        // Wired interrupts; 2^8 items; cqen.
        machine.write(RISCV_BASE + 0x8, 4, 2);
        machine.write(RISCV_BASE + 0x18, 8, queue >> 12 << 10 | 7);
        machine.write(RISCV_BASE + 0x48, 4, 1);
    },
    submit: |machine, count| machine.write(RISCV_BASE + 0x24, 4, count),
    head: |machine| machine.read(RISCV_BASE + 0x20, 4),
    // cqmf, cmd_to, cmd_ill.
    failed: |machine| machine.read(RISCV_BASE + 0x48, 4) & 0x700 != 0,
    // QEMU does not set fence_w_ip.
    interrupts: None,
    // IOTINVAL.GVMA with PSCV.
    wrong: Some([0x1_0000_0081, 0]),
};
const RISCV_BASE: u64 = 0x301_0000;

/// IHI 0070, Register formats: CR0 0x20, GERROR 0x60, CMDQ_BASE 0x90, CMDQ_PROD 0x98, CMDQ_CONS 0x9c.
const SMMU: Model = Model {
    emulator: Emulator::QemuAarch64,
    machine: &["-M", "virt,iommu=smmuv3", "-cpu", "cortex-a57", "-m", "64M"],
    ram: 0x4010_0000,
    words: 2,
    enable: |machine, queue| {
        machine.write(SMMU_BASE + 0x90, 8, queue | 8);
        machine.write(SMMU_BASE + 0x20, 4, 1 << 3);
    },
    submit: |machine, count| machine.write(SMMU_BASE + 0x98, 4, count),
    head: |machine| machine.read(SMMU_BASE + 0x9c, 4) & 0xff_ffff,
    failed: |machine| machine.read(SMMU_BASE + 0x60, 4) & 1 != 0,
    // A wire with an edge, which leaves nothing to see.
    interrupts: None,
    wrong: Some([0xfe, 0]),
};
const SMMU_BASE: u64 = 0x905_0000;

/// 48882, MMIO Registers: command buffer base 0x8, control 0x18, head 0x2000, tail 0x2008, status 0x2020.
const AMD: Model = Model {
    emulator: Emulator::QemuX86,
    machine: &["-M", "q35,kernel-irqchip=off", "-device", "amd-iommu", "-m", "64M"],
    ram: 0x10_0000,
    words: 2,
    enable: |machine, queue| {
        // 256 items; IommuEn and CmdBufEn.
        machine.write(AMD_BASE + 0x8, 8, queue | 8 << 56);
        machine.write(AMD_BASE + 0x18, 8, 1 | 1 << 12);
    },
    submit: |machine, count| machine.write(AMD_BASE + 0x2008, 8, count * 16),
    head: |machine| machine.read(AMD_BASE + 0x2000, 8) / 16,
    // CmdBufRun.
    failed: |machine| machine.read(AMD_BASE + 0x2020, 8) & 1 << 4 == 0,
    interrupts: Some(|machine| machine.read(AMD_BASE + 0x2020, 8) & 1 << 2 != 0),
    wrong: None,
};
const AMD_BASE: u64 = 0xfed8_0000;

/// VT-d, Register Descriptions: GCMD 0x18, FSTS 0x34, IQH 0x80, IQT 0x88, IQA 0x90, ICS 0x9c.
const VTD: Model = Model {
    emulator: Emulator::QemuX86,
    machine: &["-M", "q35,kernel-irqchip=off", "-device", "intel-iommu,x-scalable-mode=on,x-flts=on", "-m", "64M"],
    ram: 0x10_0000,
    // Descriptors of 256 bits, which PASID-based invalidations take.
    words: 4,
    enable: |machine, queue| {
        machine.write(VTD_BASE + 0x90, 8, queue | 1 << 11 | 1);
        machine.write(VTD_BASE + 0x18, 4, 1 << 26);
    },
    submit: |machine, count| machine.write(VTD_BASE + 0x88, 8, count * 32),
    head: |machine| machine.read(VTD_BASE + 0x80, 8) / 32,
    // IQE.
    failed: |machine| machine.read(VTD_BASE + 0x34, 4) & 1 << 4 != 0,
    interrupts: Some(|machine| machine.read(VTD_BASE + 0x9c, 4) & 1 != 0),
    wrong: Some([0xf2 | 1 << 50, 0x1000]),
};
const VTD_BASE: u64 = 0xfed9_0000;

/// A model at work, and how many items its queue has had.
struct Driver {
    model: &'static Model,
    machine: Stopped,
    count: u64,
}

impl Driver {
    /// `None` if there is no QEMU that has the model.
    fn start(model: &'static Model) -> Option<Self> {
        let found = require(model.emulator)?;
        if found.version < (10, 0) {
            eprintln!("SKIPPED, nothing was tested: {found} does not have the whole model");
            return None;
        }
        // No CPU of a PC runs, but it wants firmware.
        let mut firmware = tempfile::NamedTempFile::new().expect("there is room");
        firmware.write_all(&[0; 0x1_0000]).expect("there is room");
        let path = firmware.path().to_str().expect("its name is plain");
        let pc: &[&str] = if model.emulator == Emulator::QemuX86 { &["-bios", path] } else { &[] };
        let mut machine = Stopped::start(&found, &[model.machine, pc].concat()).expect("QEMU runs");
        (model.enable)(&mut machine, model.ram);
        assert!(!model.interrupts.is_some_and(|interrupts| interrupts(&mut machine)), "nothing is done yet");
        Some(Self { model, machine, count: 0 })
    }

    fn push(&mut self, words: &[u64]) {
        let item = self.model.ram + self.count * self.model.words as u64 * 8;
        for (address, index) in (item..).step_by(8).zip(0..self.model.words) {
            self.machine.write(address, 8, words.get(index).copied().unwrap_or(0));
        }
        self.count += 1;
    }

    /// Whether all items were taken, and none refused.
    fn done(&mut self) -> bool {
        (self.model.submit)(&mut self.machine, self.count);
        !(self.model.failed)(&mut self.machine) && (self.model.head)(&mut self.machine) == self.count
    }
}

/// What a format may have to invalidate.
fn sets() -> Vec<Invalidation> {
    let mut sets = vec![Invalidation::Space, Invalidation::All];
    for (granule, leaf_only) in [(12, true), (12, false), (21, true), (21, false)] {
        let range = ClosedRange::new(0x4000_0000, 0x4000_0000 + (2 << granule) - 1).expect("it is not empty");
        sets.push(Invalidation::Range { range, leaf_only, granule });
    }
    sets
}

/// Every command is taken; each completion tells.
fn takes_all<F: Format>(driver: &mut Driver, format: &F) {
    let record = driver.model.ram + 0x10_0000;
    for set in sets() {
        for tag in [1, 5, 0xff] {
            assert!(format.commands(Tag(tag), &set, |words| driver.push(words)), "no command for {set:x?}");
            assert!(driver.done(), "refused: {set:x?}");
        }
    }
    for (number, address) in [(1, record), (0xffff_fff0, record + 8)] {
        let write = Signal::Write { address: HostPhysAddr::from_usize(address as usize), data: number };
        driver.machine.write(address, 8, 0);
        // Not each model can write.
        if format.completion(write, |words| driver.push(words)).is_ok() {
            assert!(driver.done(), "refused: {write:x?}");
            assert_eq!(driver.machine.read(address, 8), number, "{write:x?}");
        } else {
            format.completion(Signal::Consumed, |words| driver.push(words)).expect("one of both there is");
            assert!(driver.done(), "refused: {number}");
        }
    }
    format.completion(Signal::Interrupt, |words| driver.push(words)).expect("each has an interrupt");
    assert!(driver.done(), "refused: an interrupt");
    assert!(driver.model.interrupts.is_none_or(|interrupts| interrupts(&mut driver.machine)), "no interrupt");
}

/// What is no command is refused, and what is no request to write writes nothing, or the rest proves nothing.
fn refuses_what_is_wrong(driver: &mut Driver) {
    match driver.model.wrong {
        Some(wrong) => {
            driver.push(&wrong);
            assert!(!driver.done(), "the negative control was taken");
        }
        None => {
            let record = driver.model.ram + 0x10_0000;
            driver.machine.write(record, 8, 0);
            // COMPLETION_WAIT without S.
            driver.push(&[1 << 60 | record, 7]);
            assert!(driver.done());
            assert_eq!(driver.machine.read(record, 8), 0, "the negative control wrote");
        }
    }
}

#[test]
fn riscv_iommu_executes() {
    let Some(mut driver) = Driver::start(&RISCV) else { return };
    let capabilities = driver.machine.read(RISCV_BASE, 8);
    let of_machine = riscv_iommu::Capabilities { capabilities };
    let config = riscv_iommu::Config::from_capabilities(&of_machine, 3, 41);
    takes_all(&mut driver, &riscv_iommu::Format::new(&config).unwrap());
    let of_machine = riscv_iommu_first_stage::Capabilities { capabilities };
    let config = riscv_iommu_first_stage::Config::from_capabilities(&of_machine, 3, 39);
    for globals in [false, true] {
        let config = riscv_iommu_first_stage::Config { globals, ..config };
        takes_all(&mut driver, &riscv_iommu_first_stage::Format::new(&config).unwrap());
    }
    refuses_what_is_wrong(&mut driver);
}

#[test]
fn smmu_v3_executes() {
    let Some(mut driver) = Driver::start(&SMMU) else { return };
    let mut register = |offset| driver.machine.read(SMMU_BASE + offset, 4);
    let (smmu_idr0, smmu_idr3, smmu_idr5) = (register(0), register(0xc), register(0x14));
    let of_machine = smmu_v3_4k::Capabilities { smmu_idr0, smmu_idr3, smmu_idr5 };
    let config = smmu_v3_4k::Config::from_capabilities(&of_machine, 3, 39);
    takes_all(&mut driver, &smmu_v3_4k::Format::new(&config).unwrap());
    refuses_what_is_wrong(&mut driver);
}

#[test]
fn amd_iommu_executes() {
    let Some(mut driver) = Driver::start(&AMD) else { return };
    let extended_feature = driver.machine.read(AMD_BASE + 0x30, 8);
    let of_machine = amd_iommu_v1::Capabilities { extended_feature, capability_header: 0 };
    let config = amd_iommu_v1::Config::from_capabilities(&of_machine, 4, 48);
    takes_all(&mut driver, &amd_iommu_v1::Format::new(&config).unwrap());
    refuses_what_is_wrong(&mut driver);
}

#[test]
fn vtd_executes() {
    let Some(mut driver) = Driver::start(&VTD) else { return };
    let (cap, ecap) = (driver.machine.read(VTD_BASE + 0x8, 8), driver.machine.read(VTD_BASE + 0x10, 8));
    let config = vtd_second_stage::Config::from_capabilities(&vtd_second_stage::Capabilities { cap, ecap }, 4, 48);
    takes_all(&mut driver, &vtd_second_stage::Format::new(&config).unwrap());
    let config = vtd_first_stage::Config::from_capabilities(&vtd_first_stage::Capabilities { cap, ecap }, 4, 48);
    for pasid in [0, 0xf_ffff] {
        let config = vtd_first_stage::Config { pasid, ..config };
        takes_all(&mut driver, &vtd_first_stage::Format::new(&config).unwrap());
    }
    refuses_what_is_wrong(&mut driver);
}
