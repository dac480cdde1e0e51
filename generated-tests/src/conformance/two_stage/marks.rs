//! What the MMU marks accessed and dirty in both stages, found by harvests.

use std::collections::BTreeSet;

use libtest_mimic::Failed;
use tablewright::sim::Machine;
use tablewright::{AddrSpace, Format, GuestPhysAddr, PageBitmap, Rights, State};

use super::super::program::{Program, Step};
use super::NestedJudge;
use super::stages::{Expected, Stages};
use crate::mmu::{Access, Probe};

/// Leaves of one stage, by their first addresses.
#[derive(Default)]
struct Marks {
    must: BTreeSet<u64>,
    /// Those of accesses that went no further.
    may: BTreeSet<u64>,
}

impl Marks {
    /// Says if others were found than these.
    fn check(&self, found: &BTreeSet<u64>, whose: &str, state: State) -> Result<(), Failed> {
        let wrong = |leaf: &u64, what| Err(format!("the leaf at {leaf:#x} of {whose} is {what} {state:?}").into());
        if let Some(leaf) = self.must.difference(found).next() {
            return wrong(leaf, "not found");
        }
        let other = found.iter().find(|leaf| !self.must.contains(*leaf) && !self.may.contains(*leaf));
        other.map_or(Ok(()), |leaf| wrong(leaf, "found"))
    }
}

impl<G: Format, N: Format> Stages<'_, G, N> {
    /// What was accessed is marked in both stages, and what was not is not. Of an access that only the nested tables
    /// refused, the guest's own may be marked.
    pub(super) fn check_marks(&mut self, judge: &impl NestedJudge) -> Result<(), Failed> {
        for state in [State::Accessed, State::Dirty] {
            let (mut own, mut nested) = (Marks::default(), Marks::default());
            for probe in &self.probes {
                self.expect_marks(judge, probe, state, &mut own, &mut nested);
            }
            own.check(&harvest(&mut self.own, &self.own_program, state)?, "the guest's own", state)?;
            nested.check(&harvest(&mut self.tables, &self.nested_program, state)?, "the guest's memory", state)?;
        }
        Ok(())
    }

    /// Adds what a probe marks.
    fn expect_marks(&self, judge: &impl NestedJudge, probe: &Probe, state: State, own: &mut Marks, nested: &mut Marks) {
        let expected = self.expect(judge, probe);
        let walked = self.path(probe.address);
        let read = walked.iter().take_while(|at| match expected {
            Expected::Nested { address, guest_walk: true, .. } => **at != address,
            _ => true,
        });
        if state == State::Accessed || judge.walk_needs() == Rights::W {
            nested.must.extend(read.filter_map(|&entry| leaf(&self.tables, entry)));
        }
        // The page of the guest's entry is written to if that is marked.
        let marked = self.marks(judge).filter(|right| *right == Rights::W).and(walked.last());
        let marked = marked.and_then(|&entry| leaf(&self.tables, entry));
        let accessed = (state == State::Accessed || probe.access == Access::Write).then_some(probe.address);
        let in_own = accessed.and_then(|address| leaf(&self.own, address));
        match expected {
            Expected::Reaches(_) => {
                own.must.extend(in_own);
                nested.must.extend(marked);
                let translated = accessed.and_then(|address| self.own_program.expect(address));
                nested.must.extend(translated.and_then(|(address, _)| leaf(&self.tables, address)));
            }
            Expected::Nested { guest_walk: false, .. } => {
                own.may.extend(in_own);
                nested.may.extend(marked);
            }
            Expected::Nested { .. } | Expected::Own(_) => {}
        }
    }
}

/// Where the leaf begins that translates an address.
fn leaf<F: Format>(space: &AddrSpace<F, Machine>, address: u64) -> Option<u64> {
    let found = space.query(GuestPhysAddr::from_usize(address as usize))?;
    Some(address & !0 << found.page_bits)
}

/// Where the leaves begin that are in a state, which they are then no more, of all that a program has mapped.
pub(super) fn harvest<F: Format>(
    space: &mut AddrSpace<F, Machine>,
    program: &Program,
    state: State,
) -> Result<BTreeSet<u64>, Failed> {
    let mut found = BTreeSet::new();
    for range in program.steps.iter().map(Step::range) {
        let mut words = vec![0; PageBitmap::words(range, 12)];
        let mut pages = PageBitmap::new(range, 12, &mut words).ok_or("whole pages")?;
        space.harvest_exclusive(state, &mut pages)?;
        let leaves = space.page_table().mappings(range).map(|leaf| leaf.range.start());
        found.extend(leaves.filter(|start| pages.contains(*start.max(&range.start()))));
    }
    Ok(found)
}
