//! Checks by harvests what the MMU marks accessed and dirty in both stages.

use std::collections::BTreeSet;

use libtest_mimic::Failed;
use tablewright::sim::Machine;
use tablewright::{
    AddrSpace, Attributes, ByName, ClosedRange, Format, GuestPhysAddr, Mapping, PageBitmap, Rights, State,
};

use super::super::program::{Program, Step};
use super::NestedJudge;
use super::stages::{Expected, Stages};
use crate::mmu::{Access, Probe};

/// Leaves of one stage, by their first addresses.
#[derive(Default)]
struct Marks {
    must: BTreeSet<u64>,
    /// Those that accesses reached which faulted later.
    may: BTreeSet<u64>,
}

impl Marks {
    /// Returns an error if others than these were found.
    fn check(&self, found: &BTreeSet<u64>, whose: &str, state: State) -> Result<(), Failed> {
        let wrong = |leaf: &u64, what| Err(format!("the leaf at {leaf:#x} of {whose} is {what} {state:?}").into());
        if let Some(leaf) = self.must.difference(found).next() {
            return wrong(leaf, "not found");
        }
        let other = found.iter().find(|leaf| !self.must.contains(*leaf) && !self.may.contains(*leaf));
        other.map_or(Ok(()), |leaf| wrong(leaf, "found"))
    }
}

impl<G: ByName, N: ByName> Stages<'_, G, N> {
    /// What was accessed is marked in both stages, and nothing else. If only the nested tables refused an access, the
    /// guest's own may be marked.
    pub(super) fn check_marks(&self, judge: &impl NestedJudge) -> Result<(), Failed> {
        for state in [State::Accessed, State::Dirty] {
            let (mut own, mut nested) = (Marks::default(), Marks::default());
            for probe in &self.probes {
                self.expect_marks(judge, probe, state, &mut own, &mut nested);
            }
            let code = judge.own_code();
            nested.may.extend(code.step_by(PAGE).filter_map(|page| leaf(&self.tables, page)));
            if is_marked(&self.own, state) {
                own.check(&harvest(&self.own, &self.own_program, state)?, "the guest's own", state)?;
            }
            if is_marked(&self.tables, state) {
                nested.check(&harvest(&self.tables, &self.nested_program, state)?, "the guest's memory", state)?;
            }
        }
        Ok(())
    }

    /// Adds what a probe marks.
    fn expect_marks(&self, judge: &impl NestedJudge, probe: &Probe, state: State, own: &mut Marks, nested: &mut Marks) {
        let expected = self.expect(judge, probe);
        let walked = self.path(probe.address);
        let read = walked.iter().take_while(|at| match expected {
            // What could be read but not marked was still read.
            Expected::Nested { address, needed, guest_walk: true, .. } => {
                **at != address || needed != judge.walk_needs()
            }
            _ => true,
        });
        if state == State::Accessed || judge.walk_needs() == Rights::W {
            nested.must.extend(read.filter_map(|&entry| leaf(&self.tables, entry)));
        }
        // Marking an entry of the guest writes to the page that holds it.
        let marked = self.marks(judge).filter(|right| *right == Rights::W).and(walked.last());
        let marked = marked.and_then(|&entry| leaf(&self.tables, entry));
        let accessed = (state == State::Accessed || probe.access == Access::Write).then_some(probe.address);
        let in_own = accessed.and_then(|address| leaf(&self.own, address));
        match expected {
            Expected::Reaches(_) => {
                own.must.extend(in_own);
                nested.must.extend(marked);
                let translated = accessed.and_then(|address| self.own_pieces.get(address));
                nested.must.extend(translated.and_then(|(address, _)| leaf(&self.tables, address)));
            }
            Expected::Nested { guest_walk: false, address, .. } => {
                own.may.extend(in_own);
                nested.may.extend(marked);
                let refused = (judge.may_mark_refused() && state == State::Accessed).then_some(address);
                nested.may.extend(refused.and_then(|address| leaf(&self.tables, address)));
            }
            Expected::Own(_) if judge.may_mark_refused() => {
                own.may.extend(in_own.filter(|_| state == State::Accessed));
                nested.may.extend(marked);
            }
            Expected::Nested { .. } | Expected::Own(_) => {}
        }
    }
}

/// The smallest page of any format.
const PAGE: usize = 4 << 10;

/// The most pages that a bitmap is made for.
const PAGES: u64 = 1 << 20;

/// Whether hardware marks a state.
fn is_marked<F: Format>(space: &AddrSpace<F, Machine>, state: State) -> bool {
    let states = space.page_table().format().accessed_dirty(0);
    states.hardware && (state == State::Accessed || states.dirty_mask != 0)
}

/// The start of the leaf that translates an address.
pub(super) fn leaf<F: Format>(space: &AddrSpace<F, Machine>, address: u64) -> Option<u64> {
    let found = space.query(GuestPhysAddr::from_usize(address as usize))?;
    Some(address & !0 << found.page_bits)
}

/// The starts of the leaves in a state, of all that a program has mapped. The state is cleared, except in leaves with
/// too many pages for a bitmap, whose states are only read.
fn harvest<F: Format>(space: &AddrSpace<F, Machine>, program: &Program, state: State) -> Result<BTreeSet<u64>, Failed> {
    let mut found = BTreeSet::new();
    for range in program.steps.iter().map(Step::range) {
        let leaves: Vec<Mapping> = space.page_table().mappings(range).collect();
        let whole = leaves.iter().fold(range, |whole, leaf| whole.hull(&leaf.range));
        if has_bitmap(space, &whole) {
            harvest_range(space, whole, state, &leaves, &mut found)?;
            continue;
        }
        for leaf in leaves {
            let Attributes { accessed, dirty, .. } = leaf.attributes;
            if has_bitmap(space, &leaf.range) {
                harvest_range(space, leaf.range, state, &[leaf], &mut found)?;
            } else if if state == State::Accessed { accessed } else { dirty } {
                found.insert(leaf.range.start());
            }
        }
    }
    Ok(found)
}

/// Whether a range has few enough pages for a bitmap.
pub(super) fn has_bitmap<F: Format>(space: &AddrSpace<F, Machine>, range: &ClosedRange) -> bool {
    range.span() >> space.page_table().geometry().page_bits < PAGES
}

/// Adds the leaves of a range that are in a state.
pub(super) fn harvest_range<F: Format>(
    space: &AddrSpace<F, Machine>,
    range: ClosedRange,
    state: State,
    leaves: &[Mapping],
    found: &mut BTreeSet<u64>,
) -> Result<(), Failed> {
    let bits = space.page_table().geometry().page_bits;
    let mut words = vec![0; PageBitmap::words(range, bits)];
    let mut pages = PageBitmap::new(range, bits, &mut words).ok_or("whole pages")?;
    space.harvest(state, &mut pages)?;
    found.extend(leaves.iter().map(|leaf| leaf.range.start()).filter(|start| pages.contains(*start)));
    Ok(())
}
