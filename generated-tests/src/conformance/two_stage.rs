//! A guest's own tables under nested ones, both built by the library: which of the two faults, what is reported of it, and
//! what the MMU marks in each.
//!
//! The guest sees its memory and its tables where the nested tables put them: in pieces, some with fewer rights, some
//! missing, under some of its tables, too.

use std::collections::BTreeSet;
use std::ops::Range;

use fastrand::Rng;
use libtest_mimic::{Failed, Trial};
use tablewright::sim::Machine;
use tablewright::{AddrSpace, ClosedRange, FaultInfo, Format, GuestPhysAddr, PageBitmap, Rights, State, Tag};

use super::live::HardwareWrites;
use super::probes::{self, needs};
use super::program::{Program, Step};
use super::{Ground, LAYOUTS, Setup, Shared, access, cause, dump};
use crate::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

/// A judge of both stages at once, of which the second keeps accessed and dirty states.
pub trait NestedJudge {
    /// The physical memory that is free for tables and what they map.
    fn ram(&self) -> Range<u64>;

    /// How many bits of the guest's own addresses can be probed.
    fn reach(&self) -> u8;

    /// Whether a fault is one of the nested tables.
    fn is_nested(&self, fault: &Fault) -> bool;

    /// What the model calls it when the nested tables grant only these rights, or map nothing.
    fn nested_fault(&self, mapped: Option<Rights>) -> FaultKind;

    /// What the model calls it when the guest's own tables grant only these rights, or map nothing.
    fn own_fault(&self, mapped: Option<Rights>) -> FaultKind {
        if mapped.is_some() { FaultKind::Permission } else { FaultKind::NotMapped }
    }

    /// What the nested tables have to grant to a walk that reads an entry of the guest's own tables.
    fn walk_needs(&self) -> Rights {
        Rights::R
    }

    /// The same, where hardware then marks that entry. What needs the right to write also makes the page dirty.
    fn mark_needs(&self) -> Rights {
        Rights::W
    }

    /// Whether the report of a fault of the nested tables has this guest-physical address.
    fn reports(&self, _address: u64) -> bool {
        true
    }

    /// Asks all probes, and reads some words of physical memory afterwards.
    fn judge(&mut self, asked: &Asked<'_>) -> (Vec<Verdict>, Vec<u64>);
}

/// What a judge is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// All tables, at physical addresses.
    pub image: &'a [Chunk],
    /// The registers of the guest's own tables.
    pub guest: &'a [(&'static str, u64)],
    /// Where the guest's root is in physical memory.
    pub guest_root: u64,
    /// The registers of the nested tables.
    pub nested: &'a [(&'static str, u64)],
    /// Of the guest's own addresses.
    pub probes: &'a [Probe],
    /// Addresses of words to read, in order.
    pub peek: &'a [u64],
}

/// How much physical memory the tables of each stage can take.
const TABLES: u64 = 8 << 20;
/// Where the guest sees its memory, and its tables.
const MEMORY_AT: u64 = 1 << 30;
const TABLES_AT: u64 = 2 << 30;
const BLOCK: u64 = 2 << 20;
const PAGE: u64 = 4 << 10;
/// How many probes one run of an emulator has room for.
const PROBES: usize = 4000;

/// The layouts of the guest's own tables.
const OWN: [&str; 5] = ["every_size", "every_right", "parts_protected", "random_1", "random_2"];

/// A test for each layout of the guest's own tables.
pub fn two_stage_trials<G: Format, N: Format, J: NestedJudge + Send + 'static>(
    guest: &Setup<G>,
    nested: &Setup<N>,
    judge: &Shared<J>,
) -> Vec<Trial> {
    let layouts = LAYOUTS.iter().filter(|layout| OWN.contains(&layout.name));
    let trial = |(seed, layout): (usize, &'static super::Layout)| {
        let (guest, nested) = (guest.clone(), nested.clone());
        let name = format!("{} under {}", guest.name, nested.name);
        judge.trial_of(name, (layout.name, "two stages"), move |judge| {
            let mut random = Rng::with_seed(seed as u64);
            Stages::new(&guest, &nested, judge, layout.make, &mut random)?.conform(judge)
        })
    };
    layouts.enumerate().map(trial).collect()
}

/// Both stages: what they are to do, and the tables that the library made for it.
struct Stages<'a, G: Format, N: Format> {
    guest: &'a Setup<G>,
    nested: &'a Setup<N>,
    own_machine: Machine,
    own_program: Program,
    own: AddrSpace<G, Machine>,
    nested_machine: Machine,
    nested_program: Program,
    tables: AddrSpace<N, Machine>,
    /// Where the guest's tables are in physical memory.
    tables_start: u64,
    probes: Vec<Probe>,
}

/// What should come of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Reaches(u64),
    Own(FaultKind),
    Nested { kind: FaultKind, address: u64, access: Rights, guest_walk: bool },
}

impl<'a, G: Format, N: Format> Stages<'a, G, N> {
    fn new<J: NestedJudge>(
        guest: &'a Setup<G>,
        nested: &'a Setup<N>,
        judge: &J,
        layout: fn(&Ground) -> Program,
        random: &mut Rng,
    ) -> Result<Self, Failed> {
        let ram = judge.ram();
        let tables_start = ram.start + TABLES;
        let memory = (tables_start + TABLES).next_multiple_of(BLOCK)..ram.end & !(BLOCK - 1);
        let guest_memory = MEMORY_AT..MEMORY_AT + (memory.end - memory.start);

        let own_machine = Machine::new(TABLES_AT, TABLES as usize);
        let ground = Ground::new(&guest.generated.format, guest_memory, judge.reach()).halves().swap_remove(0);
        let own_program = layout(&ground);
        let mut own = AddrSpace::new_empty(guest.generated.format, own_machine.clone(), Tag(0))?;
        own_program.run(&mut own)?;

        let nested_machine = Machine::new(ram.start, TABLES as usize);
        let ground_below = Ground::new(&nested.generated.format, memory.clone(), 40);
        let mut nested_program = pieces(&ground_below, memory, random);
        nested_program.steps.push(step(TABLES_AT, TABLES, tables_start, Rights::RWX, &ground_below));
        // Some of the tables that hold pages are not there, or cannot be written to, as all walks do.
        let read_only =
            ground_below.rights.iter().filter(|rights| rights.contains(Rights::R) && !rights.intersects(Rights::W));
        let read_only: Vec<Rights> = read_only.copied().collect();
        for info in own.page_table().tables().filter(|info| info.level == 0) {
            if random.u8(..4) != 0 {
                continue;
            }
            let range = ClosedRange::around(info.address.as_usize() as u64, 12);
            let rights = read_only[random.usize(..read_only.len())];
            let change = if random.bool() { Step::Unmap { range } } else { Step::Protect { range, rights } };
            nested_program.steps.push(change);
        }
        let mut tables = AddrSpace::new_empty(nested.generated.format, nested_machine.clone(), Tag(1))?;
        nested_program.run(&mut tables)?;

        let probes = probes::of(&own_program, &ground);
        // Large leaves reach the guest's own tables, which no access may change.
        let tables_at = TABLES_AT..TABLES_AT + TABLES;
        let harmless = |address| own_program.expect(address).is_none_or(|(oa, _)| !tables_at.contains(&oa));
        let askable = |probe: &Probe| ground.askable(probe.address) && harmless(probe.address);
        let probes = probes.into_iter().filter(askable);
        let probes = random.choose_multiple(probes, PROBES);
        let stages = Self {
            guest,
            nested,
            own_machine,
            own_program,
            own,
            nested_machine,
            nested_program,
            tables,
            tables_start,
            probes,
        };
        Ok(stages)
    }

    fn conform<J: NestedJudge>(&mut self, judge: &mut J) -> Result<usize, Failed> {
        for state in [State::Accessed, State::Dirty] {
            harvest(&mut self.own, &self.own_program, state)?;
            harvest(&mut self.tables, &self.nested_program, state)?;
        }
        let own = dump(&self.own, &self.own_machine);
        let own: Vec<Chunk> = own.into_iter().map(|(address, bytes)| (self.physical(address), bytes)).collect();
        let image = [dump(&self.tables, &self.nested_machine), own].concat();
        let words: Vec<(u64, u64)> = image.iter().flat_map(words).collect();
        let peek: Vec<u64> = words.iter().map(|(address, _)| *address).collect();
        let (verdicts, now) = judge.judge(&Asked {
            image: &image,
            guest: &self.guest.registers(&self.own)?,
            guest_root: self.physical(self.own.page_table_root().as_usize() as u64),
            nested: &self.nested.registers(&self.tables)?,
            probes: &self.probes,
            peek: &peek,
        });
        if verdicts.len() != self.probes.len() || self.probes.len() < 50 || now.len() != words.len() {
            return Err(format!("{} verdicts of {} probes", verdicts.len(), self.probes.len()).into());
        }
        for (probe, verdict) in self.probes.iter().zip(&verdicts) {
            let expected = self.expect(judge, probe);
            self.check(judge, probe, expected, verdict)
                .map_err(|why| format!("{why}: {probe:x?}: expected {expected:x?}, the MMU says {verdict:x?}"))?;
        }
        for ((address, old), new) in words.into_iter().zip(now).filter(|((_, old), new)| old != new) {
            match address.checked_sub(self.tables_start).filter(|offset| *offset < TABLES) {
                Some(offset) => self.own_machine.hardware_writes(TABLES_AT + offset, old, new),
                None => self.nested_machine.hardware_writes(address, old, new),
            }
        }
        self.check_marks(judge)?;
        Ok(self.probes.len())
    }

    fn physical(&self, table: u64) -> u64 {
        table - TABLES_AT + self.tables_start
    }

    /// The entries that a walk of the guest's own tables reads.
    fn path(&self, address: u64) -> Vec<u64> {
        let mut path = Vec::new();
        let root = self.own.page_table_root().as_usize() as u64;
        self.guest.case.bound.walk(root, address, |at| {
            path.push(at);
            self.own_machine.read_word(at)
        });
        path
    }

    fn expect(&self, judge: &impl NestedJudge, probe: &Probe) -> Expected {
        let refused = |address, needed: Rights, guest_walk| {
            let mapped = self.nested_program.expect(address).map(|(_, rights)| rights);
            let granted = mapped.is_some_and(|rights| rights.contains(needed));
            let fault = Expected::Nested { kind: judge.nested_fault(mapped), address, access: needed, guest_walk };
            (!granted).then_some(fault)
        };
        let path = self.path(probe.address);
        if let Some(fault) = path.iter().find_map(|&entry| refused(entry, judge.walk_needs(), true)) {
            return fault;
        }
        let mapped = self.own_program.expect(probe.address);
        let Some((address, _)) = mapped.filter(|(_, rights)| rights.contains(needs(probe))) else {
            return Expected::Own(judge.own_fault(mapped.map(|(_, rights)| rights)));
        };
        // Where the mark cannot be written it is missing at each access.
        let unmarked = path.last().and_then(|&entry| refused(entry, self.marks(judge)?, true));
        unmarked.or_else(|| refused(address, access(probe), false)).unwrap_or_else(|| {
            let mapped = self.nested_program.expect(address);
            Expected::Reaches(mapped.map_or(0, |(address, _)| address))
        })
    }

    /// What it takes to mark the guest's own entries, if hardware does.
    fn marks(&self, judge: &impl NestedJudge) -> Option<Rights> {
        self.guest.generated.format.accessed_dirty(0).hardware.then(|| judge.mark_needs())
    }

    fn check(
        &self,
        judge: &impl NestedJudge,
        probe: &Probe,
        expected: Expected,
        verdict: &Verdict,
    ) -> Result<(), String> {
        let fault = match verdict {
            Verdict::Translated(seen) => {
                let readable = self.expect(judge, &Probe { access: Access::Read, ..*probe });
                let right = match expected {
                    Expected::Reaches(address) => seen.map_or(readable != expected, |seen| seen == address),
                    _ => false,
                };
                return if right { Ok(()) } else { Err("the MMU disagrees".into()) };
            }
            Verdict::Fault(fault) => fault,
        };
        let (told, read) = match expected {
            Expected::Own(kind) if !judge.is_nested(fault) && fault.kind == kind => {
                (told(Some(probe.address), access(probe), kind, false), self.guest.read(fault))
            }
            Expected::Nested { kind, address, access, guest_walk } if judge.is_nested(fault) && fault.kind == kind => {
                let address = judge.reports(address).then_some(address);
                (told(address, access, kind, guest_walk), self.nested.read(fault))
            }
            _ => return Err("the MMU disagrees".into()),
        };
        let right = read.iter().all(|read| *read == Some(told));
        if right { Ok(()) } else { Err(format!("a report that tells {told:x?} was read as {read:x?}")) }
    }

    /// What was accessed is marked in both stages, and what was not is not. Of an access that only the nested tables
    /// refused, the guest's own may be marked.
    fn check_marks(&mut self, judge: &impl NestedJudge) -> Result<(), Failed> {
        for state in [State::Accessed, State::Dirty] {
            let (mut own, mut own_may) = (BTreeSet::new(), BTreeSet::new());
            let (mut nested, mut nested_may) = (BTreeSet::new(), BTreeSet::new());
            for probe in &self.probes {
                let shows = state == State::Accessed || probe.access == Access::Write;
                let expected = self.expect(judge, probe);
                let walked = self.path(probe.address);
                let reached = walked.iter().take_while(|at| match expected {
                    Expected::Nested { address, guest_walk: true, .. } => **at != address,
                    _ => true,
                });
                if state == State::Accessed || judge.walk_needs() == Rights::W {
                    nested.extend(reached.flat_map(|&at| leaf(&self.tables, at)));
                }
                // The page of the guest's entry is written to if that is marked.
                let marked = self.marks(judge).filter(|right| *right == Rights::W).and(walked.last());
                let marked = marked.and_then(|&entry| leaf(&self.tables, entry));
                match expected {
                    Expected::Reaches(_) => nested.extend(marked),
                    Expected::Nested { guest_walk: false, .. } => nested_may.extend(marked),
                    _ => {}
                }
                match expected {
                    Expected::Reaches(_) if shows => {
                        let (address, _) = self.own_program.expect(probe.address).expect("it was reached");
                        own.extend(leaf(&self.own, probe.address));
                        nested.extend(leaf(&self.tables, address));
                    }
                    Expected::Nested { guest_walk: false, .. } if shows => {
                        own_may.extend(leaf(&self.own, probe.address))
                    }
                    _ => {}
                }
            }
            let found = harvest(&mut self.own, &self.own_program, state)?;
            if let Some(leaf) = own.difference(&found).next() {
                return Err(format!("the guest's own leaf at {leaf:#x} is not found {state:?}").into());
            }
            if let Some(leaf) = found.iter().find(|leaf| !own.contains(*leaf) && !own_may.contains(*leaf)) {
                return Err(format!("the guest's own leaf at {leaf:#x} is found {state:?}").into());
            }
            let found = harvest(&mut self.tables, &self.nested_program, state)?;
            if let Some(leaf) = nested.difference(&found).next() {
                return Err(format!("the leaf at {leaf:#x} of the guest's memory is not found {state:?}").into());
            }
            if let Some(leaf) = found.iter().find(|leaf| !nested.contains(*leaf) && !nested_may.contains(*leaf)) {
                return Err(format!("the leaf at {leaf:#x} of the guest's memory is found {state:?}").into());
            }
        }
        Ok(())
    }
}

/// What the report of a fault tells.
fn told(address: Option<u64>, access: Rights, kind: FaultKind, guest_walk: bool) -> FaultInfo {
    FaultInfo { address, access, cause: cause(kind), level: None, width: None, guest_walk }
}

/// The guest's memory in blocks and pages, in no order, with rights of all kinds, and with holes.
fn pieces(ground: &Ground, memory: Range<u64>, random: &mut Rng) -> Program {
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
            let rights = if random.bool() { Rights::RWX } else { rights };
            program.steps.push(step(start + offset, piece, oa + offset, rights, ground));
        }
    }
    program
}

fn step(start: u64, bytes: u64, oa: u64, rights: Rights, ground: &Ground) -> Step {
    let range = ClosedRange::from_start_size(start, bytes).expect("guest-physical addresses");
    Step::Map { range, oa, rights, memory: ground.memory[0] }
}

fn words((address, bytes): &Chunk) -> impl Iterator<Item = (u64, u64)> {
    let (words, _) = bytes.as_chunks();
    (*address..).step_by(8).zip(words.iter().map(|word| u64::from_le_bytes(*word)))
}

/// Words at these addresses, by a reader of bytes.
pub fn read_words(addresses: &[u64], mut read: impl FnMut(u64, usize) -> Vec<u8>) -> Vec<u64> {
    let runs = addresses.chunk_by(|one, next| one + 8 == *next);
    let bytes: Vec<u8> = runs.flat_map(|run| read(run[0], 8 * run.len())).collect();
    bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
}

/// Where the leaf begins that translates an address.
fn leaf<F: Format>(space: &AddrSpace<F, Machine>, address: u64) -> Option<u64> {
    let found = space.query(GuestPhysAddr::from_usize(address as usize))?;
    Some(ClosedRange::around(address, found.page_bits).start())
}

/// Where the leaves begin that are in a state, which they are then no more, of all that a program has mapped.
fn harvest<F: Format>(
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
