//! Chooses the addresses that are probed: the edges of everything, and a few in between.

use std::collections::BTreeSet;

use fastrand::Rng;
use tablewright::Rights;

use super::{Ground, Program, Step};
use crate::mmu::{Access, Probe};

/// An instruction or a word at such an address lies in one page.
const ALIGN: u64 = 8;

/// Each access at each privilege, at every address where a mistake might show.
pub(super) fn of(program: &Program, ground: &Ground) -> Vec<Probe> {
    let probe = |address| {
        [Access::Read, Access::Write, Access::Execute]
            .into_iter()
            .flat_map(move |access| [false, true].map(|user| Probe { address, access, user }))
    };
    addresses(program, ground).into_iter().flat_map(probe).collect()
}

/// The right that a probe needs.
pub fn needs(probe: &Probe) -> Rights {
    match (probe.access, probe.user) {
        (Access::Read, false) => Rights::PR,
        (Access::Read, true) => Rights::UR,
        (Access::Write, false) => Rights::PW,
        (Access::Write, true) => Rights::UW,
        (Access::Execute, false) => Rights::PX,
        (Access::Execute, true) => Rights::UX,
    }
}

fn addresses(program: &Program, ground: &Ground) -> BTreeSet<u64> {
    let mut random = Rng::with_seed(0xad);
    let mut addresses = BTreeSet::from([0, ground.geometry.last_input()]);
    addresses.extend([0, ground.geometry.last_input()].map(|address| ground.geometry.extend(address)));
    // Above the input addresses, and at the address that remains if the upper bits are lost.
    addresses.extend((ground.geometry.input_bits..64).map(|bit| 1 << bit));
    for step in &program.steps {
        let range = step.range();
        for edge in [range.start(), range.last()] {
            addresses.extend([edge.wrapping_sub(ALIGN), edge, edge.wrapping_add(ALIGN)]);
            // A page of each size before and after it.
            addresses.extend(ground.sizes.iter().flat_map(|size| [edge ^ 1 << size, edge & !0 << size]));
            addresses.extend(ground.sizes.iter().map(|size| edge | !(!0 << size)));
        }
        addresses.extend((0..2).map(|_| range.start() + random.u64(0..=range.span())));
        addresses.extend((ground.geometry.page_bits..64).step_by(5).map(|bit| range.start() ^ 1 << bit));
        if let Step::Map { oa, .. } = *step {
            let (first, last) = (oa.max(ground.targets.start), (oa + range.span()).min(ground.targets.end - 1));
            if first <= last {
                let at = [first, last, random.u64(first..=last), random.u64(first..=last)];
                addresses.extend(at.map(|target| range.start() + (target - oa)));
            }
        }
        // Addresses that are probed before a move are also probed after it.
        if let Some(shift) = step.shift() {
            addresses.extend(addresses.clone().into_iter().filter_map(|address| shift.destination(address)));
        }
    }
    addresses.into_iter().map(|address| address & !(ALIGN - 1)).collect()
}
