//! Accessed and dirty states that the MMU sets: they are read back, harvested page by page, and set again.

use std::collections::BTreeSet;

use libtest_mimic::Failed;
use tablewright::{ByName, ClosedRange, PageBitmap, State};

use super::Setup;
use super::edit::Edit;
use super::live::{Hearing, Live, Rig, ground};
use crate::mmu::{Access, Probe, Verdict};

/// A leaf outside any run, and the addresses in it that are accessed.
struct Leaf {
    range: ClosedRange,
    at: u64,
}

/// Accesses some leaves and harvests, repeatedly. In some rounds the leaves move in between.
pub(super) fn conforms<F: ByName, J: Live>(setup: &Setup<F>, judge: &mut J) -> Result<usize, Failed> {
    let ground = ground(setup, judge);
    let bits = ground.geometry.page_bits;
    let keeps_dirty = setup.generated.format.accessed_dirty(0).dirty_mask != 0;
    let all = 1_u64 << ground.reach.min(63);
    let block = ground.block(4);
    let pages = 16.min((all >> bits) / 2).max(1);

    let mut rig = Rig::new(setup, judge, Hearing::Good)?;
    let mut leaves = Vec::new();
    let mut map = |rig: &mut Rig<'_, F, J>, start: u64, size: u8, oa: u64| {
        let range = ground.range(start, 1 << size);
        leaves.push(Leaf { range, at: range.start() + 8 });
        Edit::Map(range.start(), range.last(), oa, ground.full, ground.memory[0]).run(&mut rig.table)
    };
    for page in 0..pages {
        // Backwards, so that they do not form runs.
        map(&mut rig, page << bits, bits, ground.target(bits) + ((pages - page) << bits))?;
    }
    if block > bits && pages << bits <= 1 << block && 2 << block <= all {
        map(&mut rig, 1 << block, block, ground.target(block))?;
    }
    rig.apply_all();

    let mut whole =
        ClosedRange::new(leaves[0].range.start(), leaves[leaves.len() - 1].range.last()).ok_or("a range")?;
    let size = whole.span() + 1;
    let mut asked = 0;
    for round in 0..6 {
        // In the last round nothing is accessed.
        let turn = |index: usize| if round == 5 { 3 } else { (index + round) % 4 };
        let touch = |(index, leaf): (usize, &Leaf)| match turn(index) {
            0 => Some(Probe { address: leaf.at, access: Access::Read, user: false }),
            1 => Some(Probe { address: leaf.at, access: Access::Write, user: false }),
            _ => None,
        };
        let probes: Vec<Probe> = leaves.iter().enumerate().filter_map(touch).collect();
        let verdicts = rig.ask_and_observe(&probes);
        if let Some(fault) = verdicts.iter().find(|verdict| matches!(verdict, Verdict::Fault(_))) {
            return Err(format!("everything is mapped: {fault:x?}").into());
        }
        asked += probes.len();
        // The states move with the mappings: by whole tables where possible, later into smaller leaves.
        let distance = match (round, all / size) {
            (1, 2..) => size,
            (4, 4..) => size + (1 << bits),
            _ => 0,
        };
        if distance != 0 {
            Edit::Move(whole.start(), whole.last(), whole.start() + distance).run(&mut rig.table)?;
        }
        let moved = |range: ClosedRange| ClosedRange::new(range.start() + distance, range.last() + distance);
        let covered =
            |probe: &Probe| leaves.iter().find(|leaf| leaf.at == probe.address).and_then(|leaf| moved(leaf.range));
        for state in [State::Dirty, State::Accessed] {
            if state == State::Dirty && !keeps_dirty {
                continue;
            }
            let shows = |probe: &&Probe| state == State::Accessed || probe.access == Access::Write;
            let expected: Vec<ClosedRange> = probes.iter().filter(shows).filter_map(covered).collect();
            let found = rig.harvest_pages(moved(whole).ok_or("a range")?, state)?;
            let expected: BTreeSet<u64> = expected
                .iter()
                .flat_map(|range| (range.start() >> bits..=range.last() >> bits).map(|page| page << bits))
                .collect();
            if found != expected {
                return Err(format!("round {round}, {state:?}: found {found:x?}, expected {expected:x?}").into());
            }
        }
        rig.apply_all();
        for leaf in &mut leaves {
            *leaf = Leaf { range: moved(leaf.range).ok_or("a range")?, at: leaf.at + distance };
        }
        whole = moved(whole).ok_or("a range")?;
    }
    Ok(asked)
}

impl<F: ByName, J: Live> Rig<'_, F, J> {
    /// Harvests a state: the pages in it, which are then no longer in it.
    pub(super) fn harvest_pages(&mut self, range: ClosedRange, state: State) -> Result<BTreeSet<u64>, String> {
        let bits = self.table.geometry().page_bits;
        let mut words = vec![0; PageBitmap::words(range, bits)];
        let mut pages = PageBitmap::new(range, bits, &mut words).ok_or("no bitmap for whole pages")?;
        let mut gather = self.table.gather();
        self.table.harvest(state, &mut pages, &mut gather).map_err(|error| error.to_string())?;
        gather.flush();
        let all = (range.start() >> bits..=range.last() >> bits).map(|page| page << bits);
        Ok(all.filter(|&page| pages.contains(page)).collect())
    }
}
