//! The two stages of a test: how they are built, the expected result of each access, and the comparison with the judge.

use std::collections::BTreeSet;

use fastrand::Rng;
use libtest_mimic::Failed;
use tablewright::sim::Machine;
use tablewright::{AddrSpace, ByName, ClosedRange, FaultInfo, Level, Rights, Tag};
use tablewright_archdefs::interpret::Walk;

use super::super::hardware_writes::HardwareWrites;
use super::super::pieces::Pieces;
use super::super::probes;
use super::super::program::{Program, Step};
use super::super::{Ground, Setup, access, cause, dump};
use super::marks::leaf;
use super::programs::{BLOCK, MEMORY_AT, pieces, replace, run, step, unmark};
use super::{Asked, NestedJudge};
use crate::mmu::{Access, Chunk, FaultKind, Probe, Verdict};

/// The size of the physical memory for the tables of each stage.
const TABLES: u64 = 8 << 20;
/// The guest's address of its tables.
const TABLES_AT: u64 = 2 << 30;
/// The most probes in one run of an emulator.
const PROBES: usize = 4000;

/// Both stages: their programs, and the tables that the library built.
pub(super) struct Stages<'a, G: ByName, N: ByName> {
    guest: &'a Setup<G>,
    nested: &'a Setup<N>,
    own_machine: Machine,
    pub(super) own_program: Program,
    /// The expected result of the program.
    pub(super) own_pieces: Pieces,
    pub(super) own: AddrSpace<G, Machine>,
    nested_machine: Machine,
    pub(super) nested_program: Program,
    nested_pieces: Pieces,
    pub(super) tables: AddrSpace<N, Machine>,
    /// The starts of the leaves of both stages without the accessed state, which hardware does not set.
    own_unmarked: BTreeSet<u64>,
    nested_unmarked: BTreeSet<u64>,
    /// The physical address of the guest's tables.
    tables_start: u64,
    pub(super) probes: Vec<Probe>,
}

/// The expected result of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Reaches(u64),
    Own(FaultKind),
    Nested { kind: FaultKind, address: u64, needed: Rights, guest_walk: bool },
}

impl<'a, G: ByName, N: ByName> Stages<'a, G, N> {
    pub(super) fn new<J: NestedJudge>(
        guest: &'a Setup<G>,
        nested: &'a Setup<N>,
        judge: &mut J,
        layout: fn(&Ground) -> Program,
        random: &mut Rng,
    ) -> Result<Self, Failed> {
        judge.prepare(&guest.case);
        let ram = judge.ram();
        let tables_start = ram.start + TABLES;
        let memory = (tables_start + TABLES).next_multiple_of(BLOCK)..ram.end & !(BLOCK - 1);
        let guest_memory = MEMORY_AT..MEMORY_AT + (memory.end - memory.start);

        let own_machine = Machine::new(TABLES_AT, TABLES as usize);
        let ground = Ground::new(&guest.generated.format, guest_memory, judge.reach()).halves().swap_remove(0);
        let own_program = layout(&ground);
        let mut own = AddrSpace::new_empty(guest.generated.format, own_machine.clone(), Tag(0))?;
        run(&own_program, &mut own)?;
        let own_unmarked = unmark(&own, &own_program, |_| false)?;

        let nested_machine = Machine::new(ram.start, TABLES as usize);
        let ground_below = Ground::new(&nested.generated.format, memory.clone(), 40);
        let mut nested_program = pieces(&ground_below, memory, random);
        let code = judge.own_code();
        replace(&mut nested_program, step(TABLES_AT, TABLES, tables_start, ground_below.full, &ground_below));
        if !code.is_empty() {
            let map = step(code.start, code.end - code.start, code.start, Rights::RX, &ground_below);
            replace(&mut nested_program, map);
        }
        // Some of the guest's lowest tables are missing in the nested tables, or read-only there.
        let read_only =
            ground_below.rights.iter().filter(|rights| rights.contains(Rights::R) && !rights.intersects(Rights::W));
        let read_only: Vec<Rights> = read_only.copied().collect();
        for info in own.page_table().tables().filter(|info| info.level == 0) {
            if random.u8(..4) != 0 {
                continue;
            }
            let range = ClosedRange::around(info.address.as_usize() as u64, ground_below.geometry.page_bits);
            let rights = read_only[random.usize(..read_only.len())];
            let change = if random.bool() { Step::Unmap { range } } else { Step::Protect { range, rights } };
            nested_program.steps.push(change);
        }
        let mut tables = AddrSpace::new_empty(nested.generated.format, nested_machine.clone(), Tag(1))?;
        run(&nested_program, &mut tables)?;
        // The guest's tables that have a page for themselves, except the root.
        let root = own.page_table_root().as_usize() as u64;
        let page = 1 << ground_below.geometry.page_bits;
        let is_spared = |leaf: &ClosedRange| {
            let of_tables = (TABLES_AT..TABLES_AT + TABLES).contains(&leaf.start());
            code.contains(&leaf.start()) || of_tables && (leaf.span() >= page || leaf.contains(root))
        };
        let nested_unmarked = unmark(&tables, &nested_program, is_spared)?;

        let probes = probes::of(&own_program, &ground);
        // Large leaves reach the guest's own tables, which no access may change, and the judge's code.
        let taken = [TABLES_AT..TABLES_AT + TABLES, code];
        let askable = |(probe, mapped): (Probe, Option<(u64, Rights)>)| {
            let may_access = mapped.is_none_or(|(oa, rights)| {
                taken.iter().all(|taken| !taken.contains(&oa)) && judge.may_ask(&probe, rights)
            });
            (ground.askable(probe.address) && may_access).then_some(probe)
        };
        let own_pieces = Pieces::of(&own_program.steps);
        let with_mapped = |probe: Probe| (probe, own_pieces.get(probe.address));
        let probes = probes.into_iter().map(with_mapped).filter_map(askable);
        let probes = random.choose_multiple(probes, PROBES);
        let stages = Self {
            guest,
            nested,
            own_machine,
            own_program,
            own_pieces,
            own,
            nested_machine,
            nested_pieces: Pieces::of(&nested_program.steps),
            nested_program,
            tables,
            own_unmarked,
            nested_unmarked,
            tables_start,
            probes,
        };
        Ok(stages)
    }

    pub(super) fn conform<J: NestedJudge>(&mut self, judge: &mut J) -> Result<usize, Failed> {
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
            let (writes, whose) = match address.checked_sub(self.tables_start).filter(|offset| *offset < TABLES) {
                Some(offset) => {
                    self.own_machine.hardware_writes(TABLES_AT + offset, old, new);
                    (self.own.page_table().format().accessed_dirty(0).hardware, "the guest's own")
                }
                None => {
                    self.nested_machine.hardware_writes(address, old, new);
                    (self.tables.page_table().format().accessed_dirty(0).hardware, "the nested tables'")
                }
            };
            if !writes {
                return Err(format!("the MMU made {new:#x} of {whose} entry {old:#x}").into());
            }
        }
        self.check_marks(judge)?;
        Ok(self.probes.len())
    }

    fn physical(&self, table: u64) -> u64 {
        table - TABLES_AT + self.tables_start
    }

    /// The entries that a walk of the guest's own tables reads.
    pub(super) fn path(&self, address: u64) -> Vec<u64> {
        let mut path = Vec::new();
        let start = self.guest.case.bound.start(self.own.page_table_root().as_usize() as u64);
        let read = |at| self.own_machine.read_word(at);
        self.guest.case.bound.walk_from(start, address, read, |step| path.push(step.slot));
        path
    }

    pub(super) fn expect(&self, judge: &impl NestedJudge, probe: &Probe) -> Expected {
        let refused = |address, needed: Rights, guest_walk| {
            let mapped = self.nested_pieces.get(address).map(|(_, rights)| rights);
            let unmarked = leaf(&self.tables, address).is_some_and(|leaf| self.nested_unmarked.contains(&leaf));
            let granted = !unmarked && mapped.is_some_and(|rights| rights.contains(needed));
            let kind = if unmarked { judge.unmarked() } else { judge.nested_fault(mapped) };
            let fault = Expected::Nested { kind, address, needed, guest_walk };
            (!granted).then_some(fault)
        };
        let path = self.path(probe.address);
        if let Some(fault) = path.iter().find_map(|&entry| refused(entry, judge.walk_needs(), true)) {
            return fault;
        }
        if leaf(&self.own, probe.address).is_some_and(|leaf| self.own_unmarked.contains(&leaf)) {
            return Expected::Own(judge.unmarked());
        }
        let mapped = self.own_pieces.get(probe.address);
        let Some((address, own)) = mapped.filter(|(_, rights)| judge.grants(probe, *rights)) else {
            return Expected::Own(judge.own_fault(mapped.map(|(_, rights)| rights)));
        };
        // If the mark cannot be written, it is missing at each access.
        let unmarked = path.last().and_then(|&entry| refused(entry, self.marks(judge)?, true));
        unmarked.or_else(|| refused(address, judge.needs(probe, own), false)).unwrap_or_else(|| {
            let mapped = self.nested_pieces.get(address);
            Expected::Reaches(mapped.map_or(0, |(address, _)| address))
        })
    }

    /// The rights needed to mark the guest's own entries, if hardware does that.
    pub(super) fn marks(&self, judge: &impl NestedJudge) -> Option<Rights> {
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
        let (nested, level) = match expected {
            Expected::Reaches(_) => return Err("the MMU disagrees".into()),
            Expected::Own(_) => (false, level(self.guest, &self.own, &self.own_machine, probe.address)),
            Expected::Nested { address, .. } => (true, level(self.nested, &self.tables, &self.nested_machine, address)),
        };
        let level_agrees = level.is_none() || fault.level.is_none() || level == fault.level;
        if judge.is_nested(fault) != nested || !level_agrees {
            return Err("the MMU disagrees".into());
        }
        let (told, read) = match expected {
            Expected::Own(kind) if fault.kind == kind => {
                let known = known(probe.address, access(probe), kind, false);
                (FaultInfo { level: fault.level, ..known }, self.guest.read(fault))
            }
            Expected::Nested { kind, address, needed, guest_walk } if fault.kind == kind => {
                let known = known(address, if guest_walk { needed } else { access(probe) }, kind, guest_walk);
                (judge.told(FaultInfo { level: fault.level, ..known }), self.nested.read(fault))
            }
            _ => return Err("the MMU disagrees".into()),
        };
        let right = read.iter().all(|read| *read == Some(told));
        if right { Ok(()) } else { Err(format!("a report that tells {told:x?} was read as {read:x?}")) }
    }
}

/// The level at which a walk ends.
fn level<F: ByName>(setup: &Setup<F>, space: &AddrSpace<F, Machine>, machine: &Machine, address: u64) -> Option<Level> {
    let root = space.page_table_root().as_usize() as u64;
    match setup.case.bound.walk(root, address, |at| machine.read_word(at)) {
        Walk::Translated(translation) => Some(translation.level),
        Walk::NotMapped { level } => Some(level),
        _ => None,
    }
}

/// What is known of a fault.
fn known(address: u64, access: Rights, kind: FaultKind, guest_walk: bool) -> FaultInfo {
    FaultInfo { address: Some(address), access, cause: cause(kind), level: None, width: None, guest_walk }
}

fn words((address, bytes): &Chunk) -> impl Iterator<Item = (u64, u64)> {
    let (words, _) = bytes.as_chunks();
    (*address..).step_by(8).zip(words.iter().map(|word| u64::from_le_bytes(*word)))
}
