//! A table that changes while an MMU uses it. What the MMU caches is invalidated exactly as the gather asks, by the
//! machine's own instructions, and that must be enough.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tablewright::sim::Machine;
use tablewright::{ByName, Change, ClosedRange, Error, PageBitmap, PageTable, Rights, State, Tag};

use super::compare::Case;
use super::edit::{Edit, expect};
use super::hardware_writes::HardwareWrites;
use super::invalidation::{Instructions, instructions};
use super::{Ground, Judge, Setup, TABLES};
use crate::mmu::{Access, Chunk, Probe, Verdict};

/// A judge whose MMU keeps running while its tables change, and uses what it has cached of them.
pub trait Live: Judge {
    /// The access that shows what is in the TLB.
    const REMEMBERED: Access;

    /// Whether it caches anything between questions, so that there is something to invalidate.
    const REMEMBERS: bool = true;

    /// Drops everything cached, sets the registers, and fills memory so that each page can be recognised.
    fn begin(&mut self, registers: &[(&'static str, u64)], targets: &Range<u64>);

    /// Whether a page that was loaded from is marked dirty when it is stored to.
    fn marks_loaded(&self) -> bool {
        true
    }

    /// Writes memory, without invalidations.
    fn write(&mut self, chunks: &[Chunk]);

    /// Reads memory.
    fn read(&mut self, address: u64, length: usize) -> Vec<u8>;

    /// Executes instructions.
    fn execute(&mut self, _instructions: &Instructions) {}

    /// Lets a device execute commands, if the format has these in place of instructions.
    fn command(&mut self, _commands: &[Vec<u64>]) {}

    /// Privileged accesses of the kind that shows what is in the TLB, translated by it.
    fn remembered(&mut self, addresses: &[u64]) -> Vec<Verdict> {
        let probe = |&address: &u64| Probe { address, access: Self::REMEMBERED, user: false };
        self.ask(&addresses.iter().map(probe).collect::<Vec<_>>())
    }

    /// All kinds of accesses.
    fn ask(&mut self, probes: &[Probe]) -> Vec<Verdict>;
}

/// Which of the invalidations are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// All are executed.
    Good,
    /// None is.
    Deaf,
    /// All but this instruction.
    Without(u32),
    /// All but those of moves.
    DeafToMoves,
}

/// A table in use.
pub(super) struct Rig<'a, F: ByName, J> {
    setup: &'a Setup<F>,
    pub(super) judge: &'a mut J,
    hearing: Hearing,
    machine: Machine,
    pub(super) table: PageTable<F, Machine>,
    pub(super) ground: Ground,
    /// The content of each table in the model's memory.
    shown: BTreeMap<u64, Vec<u8>>,
    done: Vec<Edit>,
    /// Pages that were written to since a harvest last found them dirty.
    written: BTreeSet<u64>,
    asked: usize,
}

/// The memory that a program may map.
pub(super) const TARGETS: u64 = 64 << 20;

pub(super) fn ground<F: ByName>(setup: &Setup<F>, judge: &impl Judge) -> Ground {
    let start = judge.ram().start + TABLES;
    Ground::judged(setup, start..start + TARGETS, judge)
}

impl<'a, F: ByName, J: Live> Rig<'a, F, J> {
    pub(super) fn new(setup: &'a Setup<F>, judge: &'a mut J, hearing: Hearing) -> Result<Self, String> {
        let targets = ground(setup, judge).targets;
        Self::in_memory(setup, judge, hearing, targets)
    }

    /// As [`Rig::new`]. The frames beside the tables hold their own addresses.
    pub(super) fn in_own_memory(setup: &'a Setup<F>, judge: &'a mut J, hearing: Hearing) -> Result<Self, String> {
        let start = judge.ram().start;
        Self::in_memory(setup, judge, hearing, start..start + TABLES)
    }

    fn in_memory(setup: &'a Setup<F>, judge: &'a mut J, hearing: Hearing, targets: Range<u64>) -> Result<Self, String> {
        let machine = Machine::new(judge.ram().start, TABLES as usize);
        let ground = Ground { targets, ..ground(setup, judge) };
        let table =
            PageTable::new(setup.generated.format, machine.clone(), Tag(1)).map_err(|error| error.to_string())?;
        let registers = table.registers().map_err(|error| error.to_string())?;
        judge.begin(&F::register_values(&registers).collect::<Vec<_>>(), &ground.targets);
        let (shown, done, written) = Default::default();
        let mut rig = Self { setup, judge, hearing, machine, table, ground, shown, done, written, asked: 0 };
        rig.show();
        Ok(rig)
    }

    /// The number of probes that were judged.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    /// One edit of the live table, with probes before and after it.
    pub(super) fn step(&mut self, edit: &Edit) -> Result<(), String> {
        let edges = self.edges(edit);
        self.mark(&edges);
        self.apply_all();
        // What is accessed before an edit may still be in the TLB after it.
        self.remember(&edges).map_err(|wrong| format!("before the edit: {wrong}"))?;
        self.observe();
        self.apply(edit)?;
        self.done.push(*edit);
        self.mark(&edges);
        self.apply_all();
        self.remember(&edges).map_err(|wrong| format!("a stale translation: {wrong}"))?;
        self.compare(&edges)
    }

    /// Writes what has changed to the model's memory, then executes the invalidations.
    pub(super) fn apply_all(&mut self) {
        self.show();
        self.invalidate();
    }

    /// Makes accesses, and carries over the states that the MMU set.
    pub(super) fn ask_and_observe(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        let verdicts = self.judge.ask(probes);
        self.observe();
        verdicts
    }

    /// The first and last pages of the ranges of this edit and those before, and the pages around them.
    fn edges(&self, edit: &Edit) -> BTreeSet<u64> {
        let page = 1 << self.ground.geometry.page_bits;
        let recent = self.done.iter().skip(self.done.len().saturating_sub(3)).chain([edit]);
        let ranges = recent.clone().map(Edit::range).chain(recent.clone().map(Edit::place));
        let at = ranges.flat_map(|range| {
            let (start, end) = (range.start(), range.last() & !(page - 1));
            let middle = (start + range.span() / 2) & !(page - 1);
            [start.wrapping_sub(page), start, middle, end, end.wrapping_add(page)]
        });
        let mut at: BTreeSet<u64> = at.collect();
        // Also where these are after moves.
        for shift in recent.filter_map(Edit::shift) {
            at.extend(at.clone().into_iter().filter_map(|address| shift.destination(address)));
        }
        let geometry = self.ground.geometry;
        at.into_iter().filter(|&address| geometry.extend(address) == address && self.ground.askable(address)).collect()
    }

    fn remember(&mut self, edges: &BTreeSet<u64>) -> Result<(), String> {
        let addresses: Vec<u64> = edges.iter().copied().collect();
        self.asked += addresses.len();
        for (&address, verdict) in addresses.iter().zip(self.judge.remembered(&addresses)) {
            let probe = Probe { address, access: J::REMEMBERED, user: false };
            let expected = expect(&self.done, address).filter(|(_, rights)| self.judge.grants(&probe, *rights));
            let right = match (&verdict, expected) {
                (Verdict::Translated(seen), Some((oa, _))) => *seen == Some(oa),
                (Verdict::Fault(_), None) => true,
                _ => false,
            };
            if !right {
                return Err(format!("{probe:x?}: {verdict:x?}, expected {expected:x?}"));
            }
        }
        Ok(())
    }

    /// Carries over what the MMU wrote to the tables.
    pub(super) fn observe(&mut self) {
        for (&table, shown) in &mut self.shown {
            let now = self.judge.read(table, shown.len());
            for (offset, [old, new]) in changes(shown, &now) {
                self.machine.hardware_writes(table + offset, u64::from_le_bytes(old), u64::from_le_bytes(new));
            }
            *shown = now;
        }
    }

    /// Writes what has changed to the model's memory.
    fn show(&mut self) {
        let mut written = Vec::new();
        let mut shown = std::mem::take(&mut self.shown);
        for info in self.table.tables() {
            let address = info.address.as_usize() as u64;
            let now = self.machine.dump(info.address, info.size);
            match shown.remove(&address).filter(|shown| shown.len() == now.len()) {
                None => written.push((address, now.clone())),
                Some(old) => {
                    written.extend(changes(&old, &now).map(|(offset, [_, new])| (address + offset, new.to_vec())));
                }
            }
            self.shown.insert(address, now);
        }
        self.judge.write(&written);
    }

    fn invalidate(&mut self) {
        let root = self.table.root().as_usize() as u64;
        let log = self.machine.take_log();
        let is_deaf = match self.hearing {
            Hearing::Good | Hearing::Without(_) => !J::REMEMBERS,
            Hearing::Deaf => true,
            Hearing::DeafToMoves => matches!(self.done.last(), Some(Edit::Move(..))),
        };
        for (tag, set) in log.into_iter().filter(|_| !is_deaf) {
            let mut commands = Vec::new();
            if self.setup.generated.format.commands(tag, &set, |words| commands.push(words.to_vec())) {
                self.judge.command(&commands);
                continue;
            }
            for mut instructions in instructions(&self.setup.case, root, tag, &set) {
                if let Hearing::Without(missing) = self.hearing {
                    instructions.words.retain(|word| *word != missing);
                }
                self.judge.execute(&instructions);
            }
        }
    }

    /// Sets the states that hardware does not set by itself, as the handlers of its faults would.
    fn mark(&mut self, edges: &BTreeSet<u64>) {
        if !self.setup.generated.format.accessed_dirty(0).hardware {
            for &address in edges {
                if let Some((_, rights)) = expect(&self.done, address) {
                    self.table.mark(address, rights.intersects(Rights::W));
                }
            }
        }
    }

    fn apply(&mut self, edit: &Edit) -> Result<(), String> {
        let range = edit.range();
        let states = self.setup.generated.format.accessed_dirty(0);
        match *edit {
            Edit::Harvest(..) if states.dirty_mask == 0 => Ok(()),
            Edit::Harvest(..) => {
                let harvest = |table: &mut PageTable<F, Machine>, pages: &mut PageBitmap<'_>| {
                    let mut gather = table.gather();
                    table.harvest_exclusive(State::Dirty, pages, &mut gather)
                };
                let found = self.find_written(range, harvest)?;
                let lost = self.written.iter().find(|page| range.contains(**page) && !found.contains(*page));
                if let (Some(lost), true) = (lost, states.hardware) {
                    return Err(format!("what was written at {lost:#x} was not found dirty"));
                }
                self.written.retain(|page| !range.contains(*page));
                Ok(())
            }
            Edit::ProtectAndHarvest(_, _, rights) => {
                let change = Change { rights: Some(rights), ..Change::default() };
                let protect = |table: &mut PageTable<F, Machine>, pages: &mut PageBitmap<'_>| {
                    let mut gather = table.gather();
                    table.protect_and_harvest(range, &change, pages, &mut gather)
                };
                // The next harvest finds the others.
                let found = self.find_written(range, protect)?;
                self.written.retain(|page| !found.contains(page));
                Ok(())
            }
            Edit::Map(..) | Edit::Unmap(..) | Edit::Protect(..) => {
                self.written.retain(|page| !range.contains(*page));
                edit.run(&mut self.table)
            }
            Edit::Move(..) => {
                if let Some(shift) = edit.shift() {
                    self.written = self.written.iter().filter_map(|&page| shift.destination(page)).collect();
                }
                edit.run(&mut self.table)
            }
            _ => edit.run(&mut self.table),
        }
    }

    /// The pages that were written to, and that something finds dirty.
    fn find_written(
        &mut self,
        range: ClosedRange,
        find: impl FnOnce(&mut PageTable<F, Machine>, &mut PageBitmap<'_>) -> Result<(), Error>,
    ) -> Result<BTreeSet<u64>, String> {
        let bits = self.ground.geometry.page_bits;
        let mut words = vec![0; PageBitmap::words(range, bits)];
        let mut pages = PageBitmap::new(range, bits, &mut words).ok_or("no bitmap for whole pages")?;
        find(&mut self.table, &mut pages).map_err(|error| error.to_string())?;
        Ok(self.written.iter().copied().filter(|page| pages.contains(*page)).collect())
    }

    fn compare(&mut self, edges: &BTreeSet<u64>) -> Result<(), String> {
        let accesses = [Access::Read, Access::Write, Access::Execute];
        let probes = edges.iter().flat_map(|&edge| accesses.map(|access| (edge + 8, access)));
        let probes: Vec<Probe> =
            probes.flat_map(|(address, access)| [false, true].map(|user| Probe { address, access, user })).collect();
        let probes: Vec<Probe> = probes.into_iter().filter(|probe| self.judge.may_ask(probe)).collect();
        let verdicts = self.judge.ask(&probes);
        self.asked += probes.len();
        let root = self.table.root().as_usize() as u64;
        for (probe, verdict) in probes.iter().zip(&verdicts) {
            let expected = expect(&self.done, probe.address);
            // Every page was loaded from before.
            let is_stored = probe.access == Access::Write && matches!(verdict, Verdict::Translated(_));
            if is_stored && self.judge.marks_loaded() {
                self.written.insert(probe.address >> self.ground.geometry.page_bits << self.ground.geometry.page_bits);
            }
            let told = match verdict {
                Verdict::Fault(fault) => {
                    self.setup.read(fault).map(|read| (self.judge.told(probe, fault), read)).into()
                }
                Verdict::Translated(_) => Vec::new(),
            };
            let case = Case {
                probe,
                expected,
                granted: expected.is_some_and(|(_, rights)| self.judge.grants(probe, rights)),
                library: self.table.query(probe.address),
                walk: self.setup.case.bound.walk(root, probe.address, |at| self.machine.read_word(at)),
                verdict: Some(verdict),
                fault: self.judge.fault(probe, expected.map(|(_, rights)| rights)),
                told,
            };
            if let Some(complaint) = case.complaints().into_iter().next() {
                return Err(complaint);
            }
        }
        Ok(())
    }
}

/// The words in which two states of a table differ, by their offsets.
fn changes(old: &[u8], new: &[u8]) -> impl Iterator<Item = (u64, [[u8; 8]; 2])> {
    // Most of a table stays as it is.
    const BLOCK: usize = 512;
    let blocks = old.chunks(BLOCK).zip(new.chunks(BLOCK)).enumerate().filter(|(_, (old, new))| old != new);
    blocks.flat_map(|(block, (old, new))| {
        let words = old.as_chunks().0.iter().zip(new.as_chunks().0).enumerate().filter(|(_, (old, new))| old != new);
        words.map(move |(word, (old, new))| ((BLOCK * block + 8 * word) as u64, [*old, *new]))
    })
}
