//! A guest that loads and stores by itself, by code of the judge's that both stages map.
//!
//! Not all that the hypervisor's registers say of a guest holds for HLV and HSV in QEMU: henvcfg is asked only while a guest
//! runs.

use super::stub;
use super::{Access, ILLEGAL_INSTRUCTION, MPP, MPP_S, MPRV, Machine, Probe, Report, Verdict, see};
use crate::mmu::qemu::Call;

/// Where in that code loads are, and stores.
const LOADS: u64 = 0;
const STORES: u64 = 0x40;

/// Where a guest finds code of the judge's.
#[derive(Clone, Copy, Debug)]
pub struct GuestCode {
    /// For VS-mode: in its own addresses, where user mode must not go.
    pub supervisor: u64,
    /// For VU-mode.
    pub user: u64,
}

impl GuestCode {
    /// The code, which can be anywhere in a page.
    pub fn bytes() -> Vec<u8> {
        let mut bytes = vec![0; STORES as usize + 4 * stub::GUEST_STORES.len()];
        for (offset, words) in [(LOADS, &stub::GUEST_LOADS), (STORES, &stub::GUEST_STORES)] {
            for (place, word) in bytes[offset as usize..].chunks_mut(4).zip(words.iter()) {
                place.copy_from_slice(&word.to_le_bytes());
            }
        }
        bytes
    }

    /// Where the code of a probe is.
    fn at(self, probe: &Probe, offset: u64) -> u64 {
        offset + if probe.user { self.user } else { self.supervisor }
    }
}

impl Machine {
    /// Has a guest do each probe itself. A write stores a zero byte, which memory that tells its address has anyway in the
    /// lower half of each word.
    pub fn probe_by_guest(&mut self, probes: &[Probe], code: GuestCode) -> Vec<Verdict> {
        let all: Vec<usize> = (0..probes.len()).collect();
        let reports = self.run_guest(probes, &all, |probe| match probe.access {
            Access::Read => Some(code.at(probe, LOADS)),
            Access::Write => Some(code.at(probe, STORES)),
            Access::Execute => None,
        });
        // What was written or fetched tells its address if it can be read, too. Zeros are no instruction.
        let is_silent = |i: &usize| match probes[*i].access {
            Access::Read => false,
            Access::Write => reports[*i].has_returned(),
            Access::Execute => reports[*i].cause() == ILLEGAL_INSTRUCTION,
        };
        let silent: Vec<usize> = all.into_iter().filter(is_silent).collect();
        let mut verdicts: Vec<Verdict> =
            probes.iter().zip(&reports).map(|(probe, report)| report.verdict(probe.address)).collect();
        let read = self.run_guest(probes, &silent, |probe| Some(code.at(probe, LOADS)));
        see(probes, &mut verdicts, &silent, &read);
        verdicts
    }

    /// Lets the guest run what is at these addresses, or at that of the probe.
    fn run_guest(&mut self, probes: &[Probe], asked: &[usize], code: impl Fn(&Probe) -> Option<u64>) -> Vec<Report> {
        let call = |&i: &usize| {
            let probe = &probes[i];
            let start = code(probe).unwrap_or(probe.address & !7);
            let mode = if probe.user { 0 } else { MPP_S };
            (stub::enter_guest(self.xlen), [start, mode, MPRV | MPP, probe.address])
        };
        let calls: Vec<Call<'_>> = asked.iter().map(call).collect();
        self.session.call_all(&calls).into_iter().map(Report).collect()
    }
}
