//! Drivers of devices with a command queue, over the public API: nothing is freed before the device has reported that
//! it has invalidated it. How the devices read commands is written by hand from the manuals.

use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard};

use tablewright::aarch64::smmu_v3_4k;
use tablewright::riscv64::{riscv_iommu, riscv_iommu_first_stage};
use tablewright::sim::Machine;
use tablewright::x86_64::{amd_iommu_v1, vtd_first_stage, vtd_second_stage};
use tablewright::{
    Attributes, ClosedRange, Completion, Format, Hal, HostPhysAddr, Invalidation, MemoryType, PageTable, Refusal,
    Rights, Signal, Sink, Tag,
};

/// The address at which the device reports that it is done.
const RECORD: u64 = 0x8000_1008;

/// The effect of a command on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    /// It invalidates something.
    Invalidate,
    /// It writes, when all commands before are complete.
    Write { address: u64, data: u64 },
}

/// A device with a queue, which executes commands only when the test lets it.
struct Device {
    decode: fn([u64; 2]) -> Command,
    queue: VecDeque<[u64; 2]>,
    record: u64,
    invalidated: usize,
    /// Frames that were freed while an invalidation was still in the queue.
    early: usize,
}

impl Device {
    fn execute_next(&mut self) {
        let command = self.queue.pop_front().expect("the driver waits for what it has submitted");
        match (self.decode)(command) {
            Command::Invalidate => self.invalidated += 1,
            Command::Write { address, data } => {
                assert_eq!(address, RECORD);
                self.record = data;
            }
        }
    }
}

/// The machine with the device. Its driver numbers its waits.
#[derive(Clone)]
struct Driver {
    machine: Machine,
    device: Arc<Mutex<Device>>,
    /// Whether it waits at all.
    waits: bool,
}

impl Driver {
    fn new(decode: fn([u64; 2]) -> Command, waits: bool) -> Self {
        let device = Device { decode, queue: VecDeque::new(), record: 0, invalidated: 0, early: 0 };
        Self { machine: Machine::new(0x4000_0000, 4 << 20), device: Arc::new(Mutex::new(device)), waits }
    }

    fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock().expect("no test panicked")
    }
}

// SAFETY: frames are the machine's.
unsafe impl Hal for Driver {
    fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
        self.machine.allocate(size)
    }

    unsafe fn free(&self, frame: HostPhysAddr, size: u8) {
        let mut device = self.device();
        device.early += usize::from(!device.queue.is_empty());
        // SAFETY: the caller's promises are those that the machine asks for.
        unsafe { self.machine.free(frame, size) };
    }

    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        self.machine.phys_to_virt(address)
    }

    fn invalidate<F: Format>(&self, format: &F, root: HostPhysAddr, tag: Tag, set: &Invalidation) {
        self.machine.invalidate(format, root, tag, set);
    }

    fn begin_invalidation<F: Format>(
        &self,
        sink: Sink,
        format: &F,
        root: HostPhysAddr,
        tag: Tag,
        set: &Invalidation,
    ) -> Completion {
        if sink == Sink::CPUS {
            return self.machine.begin_invalidation(sink, format, root, tag, set);
        }
        let mut device = self.device();
        let number = device.record + device.queue.len() as u64 + 1;
        let mut submit = |words: &[u64]| device.queue.push_back([words[0], words[1]]);
        assert!(format.commands(tag, set, &mut submit), "no command invalidates {set:x?}");
        let signal = Signal::Write { address: HostPhysAddr::from_usize(RECORD as usize), data: number };
        format.completion(signal, &mut submit).expect("the device can write");
        Completion(number)
    }

    fn is_complete(&self, sink: Sink, Completion(number): Completion) -> bool {
        sink == Sink::CPUS || self.device().record >= number
    }

    fn wait(&self, sink: Sink, completion: Completion) {
        while self.waits && !self.is_complete(sink, completion) {
            self.device().execute_next();
        }
    }
}

/// Unmaps memory that a device uses, with a driver that waits or one that does not. Returns how many frames were freed
/// too early, and how often the device has invalidated.
fn unmap<F: Format>(format: F, decode: fn([u64; 2]) -> Command, waits: bool) -> (usize, usize) {
    let driver = Driver::new(decode, waits);
    let mut table = PageTable::new(format, driver.clone(), Tag(5)).expect("there is memory");
    table.attach(Sink::device(1).expect("there may be one"));
    let mut gather = table.gather();
    let range = ClosedRange::new(0x20_0000, 0x20_3fff).expect("it is not empty");
    let attributes = Attributes { accessed: true, dirty: true, ..Attributes::new(Rights::RW, MemoryType::WriteBack) };
    table.populate(range, &attributes, 12, &mut gather).expect("there is memory");
    gather.flush();
    driver.device().queue.clear();
    let before = driver.device().invalidated;
    // SAFETY: the frames come from `populate`.
    unsafe { table.depopulate(range, &mut gather) }.expect("they are there");
    gather.begin();
    assert!(!gather.is_complete(), "the device has had no time");
    gather.flush();
    drop(gather);
    let device = driver.device();
    (device.early, device.invalidated - before)
}

/// A driver that waits frees nothing early; one that does not is found out.
fn waits_for_the_device<F: Format>(format: F, decode: fn([u64; 2]) -> Command) {
    let (early, invalidated) = unmap(format, decode, true);
    assert_eq!(early, 0);
    assert!(invalidated > 0);
    let (early, _) = unmap(format, decode, false);
    assert!(early > 0, "the negative control found nothing");
}

/// IHI 0070, Command structures: the opcode is bits 7:0.
fn smmu([low, high]: [u64; 2]) -> Command {
    match low & 0xff {
        0x28 | 0x2a | 0x30 => Command::Invalidate,
        // CS 0b01: an MSI of 32 bits, at an address in bits 51:2, Inner Shareable and cached.
        0x46 => {
            assert_eq!(low as u32 & !0xff, 0x0fc0_1000);
            Command::Write { address: high & 0xf_ffff_ffff_fffc, data: low >> 32 }
        }
        opcode => panic!("an SMMU knows no command {opcode:#x}"),
    }
}

#[test]
fn an_smmu_tells_by_an_msi() {
    let config = smmu_v3_4k::Config { msi: true, ..smmu_v3_4k::Config::new(3, 39) };
    let format = smmu_v3_4k::Format::new(&config).unwrap();
    waits_for_the_device(format, smmu);
    // Without MSIs, the driver looks at the head.
    let old = smmu_v3_4k::Format::new(&smmu_v3_4k::Config::new(3, 39)).unwrap();
    let write = Signal::Write { address: 0x8000_1000.into(), data: 1 };
    assert_eq!(old.completion(write, |_| panic!("nothing is submitted")), Err(Refusal::Signal));
    let mut words: Vec<u64> = Vec::new();
    old.completion(Signal::Consumed, |command| words.extend(command)).unwrap();
    assert_eq!(words, [0x46, 0]);
}

/// Opcode 6:0 (1: IOTINVAL, 2: IOFENCE), func3 9:7.
fn riscv([low, high]: [u64; 2]) -> Command {
    match (low & 0x7f, low >> 7 & 7) {
        (1, 0 | 1) => Command::Invalidate,
        // C, with AV, PR and PW.
        (2, 0) => {
            assert_eq!(low >> 10 & 0x3f_ffff, 0b1101);
            Command::Write { address: high << 2, data: low >> 32 }
        }
        other => panic!("an IOMMU knows no command {other:x?}"),
    }
}

#[test]
fn a_riscv_iommu_tells_by_a_fence() {
    let format = riscv_iommu::Format::new(&riscv_iommu::Config::new(3, 41)).unwrap();
    waits_for_the_device(format, riscv);
    let first = riscv_iommu_first_stage::Config::new(3, 39);
    waits_for_the_device(riscv_iommu_first_stage::Format::new(&first).unwrap(), riscv);
    let signal = |address: usize, data| Signal::Write { address: address.into(), data };
    assert_eq!(format.completion(signal(0x8000_1002, 1), |_| ()), Err(Refusal::Address(0x8000_1002)));
    assert_eq!(format.completion(signal(0x8000_1000, 1 << 32), |_| ()), Err(Refusal::Data(1 << 32)));
}

/// 48882, Commands: the opcode is bits 63:60 of the first word.
fn amd([low, high]: [u64; 2]) -> Command {
    match low >> 60 {
        3 | 8 => Command::Invalidate,
        1 => {
            assert_eq!(low & 7, 1, "S, and neither I nor F");
            Command::Write { address: low & 0xf_ffff_ffff_fff8, data: high }
        }
        opcode => panic!("an IOMMU knows no command {opcode}"),
    }
}

#[test]
fn an_amd_iommu_tells_by_a_store() {
    waits_for_the_device(amd_iommu_v1::Format::new(&amd_iommu_v1::Config::new(4, 48)).unwrap(), amd);
}

/// The descriptor's type is bits 3:0; those above 6:4 are others' with it.
fn vtd([low, high]: [u64; 2]) -> Command {
    match low & 0xf {
        2 | 6 => Command::Invalidate,
        5 => {
            assert_eq!(low as u32 >> 4, 0b10, "SW, and neither IF nor FN");
            Command::Write { address: high, data: low >> 32 }
        }
        kind => panic!("VT-d knows no descriptor {kind}"),
    }
}

#[test]
fn vtd_tells_by_a_status_write() {
    waits_for_the_device(vtd_second_stage::Format::new(&vtd_second_stage::Config::new(4, 48)).unwrap(), vtd);
    waits_for_the_device(vtd_first_stage::Format::new(&vtd_first_stage::Config::new(4, 48)).unwrap(), vtd);
}
