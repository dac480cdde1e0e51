//! The programs of both stages: the guest's memory, and what is marked at first.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use fastrand::Rng;
use libtest_mimic::Failed;
use tablewright::sim::Machine;
use tablewright::{AddrSpace, ClosedRange, Format, Mapping, Rights, SpaceError, State};

use super::super::Ground;
use super::super::program::{Program, Step};
use super::marks::{harvest_range, has_bitmap};

/// The guest's address of its memory, and the pieces of it.
pub(super) const MEMORY_AT: u64 = 1 << 30;
pub(super) const BLOCK: u64 = 2 << 20;
const PAGE: u64 = 4 << 10;

/// Does a program. If hardware marks what is accessed, nothing is marked yet; if it faults for lack of marks,
/// everything is marked.
pub(super) fn run<F: Format>(program: &Program, space: &mut AddrSpace<F, Machine>) -> Result<(), SpaceError> {
    if space.page_table().format().accessed_dirty(0).hardware {
        return program.run_unseen(space);
    }
    program.run(space)?;
    // A page may have become writable after it was mapped.
    let table = space.page_table();
    for leaf in program.steps.iter().flat_map(|step| table.mappings(step.range())) {
        table.mark(leaf.range.start(), leaf.attributes.rights.intersects(Rights::W));
    }
    Ok(())
}

/// If hardware faults for lack of the accessed state: clears it in every fourth leaf that is not spared. Returns the
/// starts of these leaves.
pub(super) fn unmark<F: Format>(
    space: &AddrSpace<F, Machine>,
    program: &Program,
    is_spared: impl Fn(&ClosedRange) -> bool,
) -> Result<BTreeSet<u64>, Failed> {
    let states = space.page_table().format().accessed_dirty(0);
    let mut unmarked = BTreeSet::new();
    if states.hardware || states.accessed_mask == 0 {
        return Ok(unmarked);
    }
    let leaves = program.steps.iter().flat_map(|step| space.page_table().mappings(step.range()));
    let leaves: BTreeMap<u64, Mapping> = leaves.map(|leaf| (leaf.range.start(), leaf)).collect();
    let chosen = leaves.values().filter(|leaf| has_bitmap(space, &leaf.range) && !is_spared(&leaf.range)).step_by(4);
    for leaf in chosen {
        harvest_range(space, leaf.range, State::Accessed, &[*leaf], &mut unmarked)?;
    }
    Ok(unmarked)
}

/// The guest's memory in blocks and pages, in random order, with rights of all kinds, and with holes.
pub(super) fn pieces(ground: &Ground, memory: Range<u64>, random: &mut Rng) -> Program {
    let mut program = Program::default();
    let mut blocks: Vec<u64> = memory.step_by(BLOCK as usize).collect();
    random.shuffle(&mut blocks);
    for (start, oa) in (MEMORY_AT..).step_by(BLOCK as usize).zip(blocks) {
        let piece = match random.u8(..4) {
            0 => continue,
            1 => PAGE << random.u8(4..8),
            _ => BLOCK,
        };
        for offset in (0..BLOCK).step_by(piece as usize) {
            let rights = ground.rights[random.usize(..ground.rights.len())];
            let rights = if random.bool() { ground.full } else { rights };
            program.steps.push(step(start + offset, piece, oa + offset, rights, ground));
        }
    }
    program
}

/// Adds a step that maps something, in place of what may be there.
pub(super) fn replace(program: &mut Program, map: Step) {
    program.steps.extend([Step::Unmap { range: map.range() }, map]);
}

pub(super) fn step(start: u64, bytes: u64, oa: u64, rights: Rights, ground: &Ground) -> Step {
    let range = ClosedRange::from_start_size(start, bytes).expect("guest-physical addresses");
    Step::Map { range, oa, rights, memory: ground.memory[0] }
}
