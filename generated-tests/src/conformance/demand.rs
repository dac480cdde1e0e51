//! A guest whose memory is allocated on first use: each access faults in the MMU until the library has handled the
//! fault.

use std::collections::BTreeSet;

use fastrand::Rng;
use libtest_mimic::Failed;
use tablewright::sim::Machine;
use tablewright::{AddrSpace, Attributes, ByName, FaultOutcome, GuestPhysAddr, Rights, Tag};

use super::{Ground, Judge, Setup, TABLES, dump};
use crate::mmu::{Access, Probe, Verdict};

/// Accesses an area page by page, in random order, in rounds.
pub(super) fn conforms<F: ByName>(setup: &Setup<F>, judge: &mut impl Judge) -> Result<usize, Failed> {
    let ram = judge.ram();
    let machine = Machine::new(ram.start, TABLES as usize);
    let ground = Ground::judged(setup, ram.start + TABLES..ram.end, judge);
    let mut space = AddrSpace::<F, Machine>::new_empty(setup.generated.format, machine.clone(), Tag(1))?;
    let page = 1_u64 << ground.geometry.page_bits;
    let pages = ((1_u64 << ground.reach.min(63)) / page).min(40) - 1;
    // The area reaches across the end of a table, if there is more than one.
    let start = ((1_u64 << ground.reach.min(30)) - pages / 2 * page).min((1 << ground.reach.min(63)) - pages * page);
    let start = ground.geometry.extend(start);
    // Not every format can forbid execution.
    let rights = if ground.rights.contains(&Rights::RW) { Rights::RW } else { ground.full };
    let attributes = Attributes::new(rights, ground.memory[0]);
    space.map_alloc(GuestPhysAddr::from_usize(start as usize), (pages * page) as usize, attributes, false)?;

    let mut random = Rng::with_seed(5);
    let mut present = BTreeSet::new();
    let mut asked = 0;
    for _ in 0..4 {
        let probes: Vec<Probe> = (0..pages)
            .flat_map(|index| [Access::Read, Access::Write].map(|access| (index, access)))
            .map(|(index, access)| Probe { address: start + index * page + 8, access, user: false })
            .collect();
        let verdicts = judge.judge(&dump(&space, &machine), &setup.registers(&space)?, &probes);
        asked += probes.len();
        for (probe, verdict) in probes.iter().zip(verdicts) {
            let address = GuestPhysAddr::from_usize(probe.address as usize);
            let output = space.translate(address).map(|output| output.as_usize() as u64);
            let right = match &verdict {
                Verdict::Translated(seen) => present.contains(&probe.address) && output.is_some() && *seen == output,
                Verdict::Fault(fault) => !present.contains(&probe.address) && fault.kind == judge.fault(probe, None),
            };
            if !right || output.is_some() != present.contains(&probe.address) {
                return Err(format!("{probe:x?}: {verdict:x?}; the library translates to {output:x?}").into());
            }
        }
        // Handles some of the faults.
        for probe in probes.iter().filter(|probe| probe.access == Access::Write && random.u8(..3) == 0) {
            let outcome = space.handle_fault(GuestPhysAddr::from_usize(probe.address as usize), Rights::W);
            let wanted = if present.insert(probe.address) { FaultOutcome::Mapped } else { FaultOutcome::Spurious };
            if outcome != wanted {
                return Err(format!("{probe:x?}: {outcome:?}, not {wanted:?}").into());
            }
        }
    }
    Ok(asked)
}
