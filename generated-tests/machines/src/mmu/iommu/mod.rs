//! IOMMUs of QEMU's, each with devices behind it: driven by their registers and queues, as their manuals say.
//!
//! The devices are `edu`, which copies between memory and a buffer of its own wherever it is told to. There are many, as
//! time has to go on before a copy is made, which takes far longer than the copy.

pub mod amd;
mod dma;
mod pc;
pub mod riscv;
pub mod smmu_v3;
pub mod vtd;

use std::io::Write;

use tempfile::NamedTempFile;

pub use dma::Dma;

use super::FaultKind;
use super::shared::SharedRam;
use super::stopped::Stopped;
use crate::emulators::{Emulator, require};

/// How much RAM the machines have.
const RAM_SIZE: u64 = 128 << 20;

/// The registers of a fault report and their values, by the names that formats give them.
pub type Report = Vec<(&'static str, u64)>;

/// What was reported of copies: of each the fault that it met, if any.
type Reports = Vec<Option<Report>>;

/// The values of the registers that lead to tables, by the names that formats give them.
pub type Registers<'a> = &'a [(&'static str, u64)];

/// An IOMMU of some machine, by its manual.
pub struct Model {
    /// The emulator that has it.
    pub emulator: Emulator,
    /// The machine, whose RAM is `ram`, with CPUs without work.
    machine: &'static [&'static str],
    /// How many devices there are.
    devices: u64,
    /// Where all RAM begins.
    base: u64,
    /// RAM that nobody uses but the IOMMU: its queues, and the structures that lead to tables.
    pub own: u64,
    /// The size of an item of the queue in words.
    words: usize,
    /// Turns the queues on.
    enable: fn(&mut Board),
    /// Tells how many items there are, since the queue was turned on.
    submit: fn(&mut Board, u64),
    /// How many items were taken, but for whole rounds.
    head: fn(&mut Board) -> u64,
    /// Whether a command was refused.
    failed: fn(&mut Board) -> bool,
    /// Whether it interrupts, if that can be seen.
    pub interrupts: Option<fn(&mut Board) -> bool>,
    /// What it refuses: a reserved bit or operation. `None`: it takes anything, and only its completions prove something.
    pub wrong: Option<[u64; 2]>,
}

/// How the accesses of the devices behind an IOMMU come to be translated.
pub struct Path {
    /// The IOMMU.
    model: &'static Model,
    /// Commands after which nothing is remembered.
    forget: &'static [[u64; 2]],
    /// Makes the devices answer, the first at the address that this gives, and each other [`REGISTERS_SIZE`] after the one
    /// before.
    plug: fn(&mut Board) -> u64,
    /// Has what the devices do translated by tables that these registers lead to. What is remembered for one of them is of
    /// no use for another; the first is in the domain that the registers name.
    translate: fn(&mut Board, Registers<'_>),
    /// Lets all that the devices do through as it is.
    bypass: fn(&mut Board),
    /// Registers that tell of faults, and how many bytes each has.
    told_by: &'static [(u64, usize)],
    /// What became of copies made at once, in their order, from what these registers hold: of each its first fault. Nothing
    /// is said of those at the end of which it is not known; of one copy alone it always is.
    faults: fn(&mut Board, &[u64], &[Copy]) -> Reports,
    /// What a fault is.
    kind: fn(&Report) -> FaultKind,
}

/// How many items a queue has room for.
const ITEMS: u64 = 256;

/// Where in its own RAM an IOMMU finds its queue, and writes what faults; where it finds structures; what devices write
/// when nothing is translated.
const QUEUE: u64 = 0;
const FAULTS: u64 = 0x1_0000;
const STRUCTURES: u64 = 0x2_0000;
const BUFFER: u64 = 0x8_0000;
/// How much of it there is.
const OWN_SIZE: u64 = 1 << 20;

/// How many devices most machines have.
const DEVICES: u64 = 16;
/// The number of the first on the bus, and with it its identity. The others are the functions after it.
const DEVICE: u64 = 3;
const IDENTITY: u64 = DEVICE << 3;
/// How much room the registers of each take.
const REGISTERS_SIZE: u64 = 1 << 20;

/// What a device does.
#[derive(Clone, Copy, Debug)]
struct Copy {
    /// Which of them.
    device: u64,
    from: u64,
    to: u64,
    bytes: u64,
    to_memory: bool,
}

/// A machine, and its memory.
pub struct Board {
    /// What is on it.
    pub model: &'static Model,
    /// For registers.
    pub machine: Stopped,
    ram: SharedRam,
    submitted: u64,
}

impl Board {
    /// `None` if there is no QEMU that has the model.
    ///
    /// # Panics
    ///
    /// If QEMU does not run.
    #[must_use]
    pub fn start(model: &'static Model) -> Option<Self> {
        let found = require(model.emulator)?;
        let ram = SharedRam::new(model.base, RAM_SIZE, 0..0).expect("there is room");
        // A PC starts with firmware, which does nothing: cli; hlt.
        let mut firmware = NamedTempFile::new().expect("there is room");
        let mut code = vec![0; 0x1_0000];
        code[0xfff0..0xfff4].copy_from_slice(&[0xfa, 0xf4, 0xeb, 0xfd]);
        firmware.write_all(&code).expect("there is room");
        let path = firmware.path().to_str().expect("its name is plain");
        let pc: &[&str] = if model.emulator == Emulator::QemuX86 { &["-bios", path] } else { &[] };
        let device = |number: u64| {
            let (slot, function) = (DEVICE + number / 8, number % 8);
            format!("edu,addr={slot:x}.{function},multifunction=on,dma_mask={:#x}", u64::MAX)
        };
        let devices: Vec<String> = (0..model.devices).map(device).collect();
        let devices: Vec<&str> = devices.iter().flat_map(|device| ["-device", device]).collect();
        let backend = ram.arguments();
        let common = ["-m", "128M", &backend[0], &backend[1]];
        let machine = Stopped::start(&found, &[model.machine, pc, &common, &devices].concat()).expect("QEMU runs");
        let mut board = Self { model, machine, ram, submitted: 0 };
        (model.enable)(&mut board);
        assert!(!model.interrupts.is_some_and(|interrupts| interrupts(&mut board)), "nothing is done yet");
        Some(board)
    }

    /// Puts a command into the queue; where the queue takes longer ones, the rest is zero.
    pub fn push(&mut self, words: &[u64]) {
        let item = self.model.own + QUEUE + self.submitted % ITEMS * self.model.words as u64 * 8;
        let mut whole = words.to_vec();
        whole.resize(self.model.words, 0);
        self.write_words(item, &whole);
        self.submitted += 1;
        // Models take commands as soon as they are told of them, so there is room again.
        if self.submitted.is_multiple_of(ITEMS / 2) {
            (self.model.submit)(self, self.submitted);
            self.machine.settle();
        }
    }

    /// Whether all commands were taken, and none refused.
    pub fn done(&mut self) -> bool {
        (self.model.submit)(self, self.submitted);
        !(self.model.failed)(self) && (self.model.head)(self) % ITEMS == self.submitted % ITEMS
    }

    /// The number of each device, and its identity.
    fn devices(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        (0..self.model.devices).map(|number| (number, IDENTITY + number))
    }

    /// A word of RAM.
    #[must_use]
    pub fn read(&self, address: u64) -> u64 {
        self.ram.word(address).load(std::sync::atomic::Ordering::Acquire)
    }

    /// Writes a word of RAM.
    pub fn write(&self, address: u64, value: u64) {
        self.ram.word(address).store(value, std::sync::atomic::Ordering::Release);
    }

    /// Writes words of RAM that follow each other.
    fn write_words(&self, address: u64, words: &[u64]) {
        (address..).step_by(8).zip(words).for_each(|(at, &word)| self.write(at, word));
    }
}

/// Makes the devices answer from an address on, where their configuration space is memory: that of bus 0 is given.
fn plug_all(board: &mut Board, configuration: u64, registers: u64) -> u64 {
    for (number, identity) in board.devices() {
        let its = configuration + (identity << 12);
        board.machine.write(its + 0x10, 4, registers + number * REGISTERS_SIZE);
        board.machine.write(its + 4, 4, 0b110);
    }
    registers
}

/// The first report of the device that makes each copy, from all reports and the identities in them.
fn reports_of(copies: &[Copy], records: &[(u64, Report)]) -> Reports {
    let of_device = |copy: &Copy| {
        let found = records.iter().find(|(identity, _)| *identity == IDENTITY + copy.device);
        found.map(|(_, report)| report.clone())
    };
    copies.iter().map(of_device).collect()
}

/// One of the values.
fn value(registers: Registers<'_>, name: &str) -> u64 {
    let found = registers.iter().find(|(register, _)| *register == name);
    found.unwrap_or_else(|| panic!("no {name} in {registers:x?}")).1
}
