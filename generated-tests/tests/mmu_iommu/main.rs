//! Checks the judges of IOMMUs' tables themselves: tables written by hand from the manuals, and what QEMU must say of the
//! loads and stores of a device.

mod amd;
mod riscv;
mod smmu_v3;
mod vtd;

use tablewright_tests::mmu::iommu::{Dma, Path};
use tablewright_tests::mmu::{Access, FaultKind, Probe, Verdict};

/// Where tables are in a machine's free memory: the root, which may have several pages, and one for each level below.
const ROOT: u64 = 0;
const LEVEL_1: u64 = 0x1_0000;
const LEVEL_0: u64 = 0x1_1000;
/// Where leaves lead to, in free memory.
const TARGET: u64 = 0x20_0000;

/// A machine, and what leads its device to a root.
struct Judge {
    dma: Dma,
    free: u64,
    registers: fn(u64) -> Vec<(&'static str, u64)>,
}

impl Judge {
    /// `None` if there is no QEMU for it.
    fn start(path: &'static Path, registers: fn(u64) -> Vec<(&'static str, u64)>) -> Option<Self> {
        let dma = Dma::start(path)?;
        let free = dma.ram().start;
        Some(Self { dma, free, registers })
    }

    /// What an access comes to with these entries: where they are from the start of free memory on, and their values.
    fn ask(&mut self, entries: &[(u64, u64)], address: u64, access: Access) -> Verdict {
        let chunks: Vec<_> = [ROOT, ROOT + 0x1000, LEVEL_1, LEVEL_0]
            .map(|table| {
                let mut page = vec![0; 0x1000];
                for &(at, entry) in entries.iter().filter(|(at, _)| (table..table + 0x1000).contains(at)) {
                    page[(at - table) as usize..][..8].copy_from_slice(&entry.to_le_bytes());
                }
                (self.free + table, page)
            })
            .into();
        self.dma.clear();
        self.dma.load(&chunks);
        self.dma.translate(&(self.registers)(self.free + ROOT));
        self.dma.probe(&[Probe { address, access, user: false }]).remove(0)
    }

    /// Where the access went, from the start of the targets on.
    fn reaches(&mut self, entries: &[(u64, u64)], address: u64, access: Access) -> Option<u64> {
        match self.ask(entries, address, access) {
            Verdict::Translated(at) => Some(at.expect("readable memory") - self.free - TARGET),
            Verdict::Fault(_) => None,
        }
    }

    /// What fault it met.
    fn faults(&mut self, entries: &[(u64, u64)], address: u64, access: Access) -> Option<FaultKind> {
        match self.ask(entries, address, access) {
            Verdict::Translated(_) => None,
            Verdict::Fault(fault) => Some(fault.kind),
        }
    }

    /// What an entry is after an access.
    fn leaves(&mut self, entries: &[(u64, u64)], address: u64, access: Access, entry: u64) -> u64 {
        assert!(self.reaches(entries, address, access).is_some());
        self.dma.board.read(self.free + entry)
    }
}
