//! A CPU's MMU over simulated memory: walks by the interpreter, which shares no code with the engine, and a TLB that
//! remembers as much and as long as an architecture allows.
//!
//! It finds what no single look at the tables can: a translation that is still cached when the engine considers the
//! change complete, memory freed while a translation leads to it, a live entry changed without break-before-make.

extern crate std;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::format;
use std::string::String;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::interpret::{Decoded, Edit, Start, Translation, Walk};
use tablewright_archdefs::model::Facts;

use super::tlb::{Cached, Tlb, What};
use super::{Machine, Observer, Rules};
use crate::{ClosedRange, HostPhysAddr, Invalidation, Level, Rights, Sink, Tag};

/// What an access came to.
///
/// ```
/// use tablewright::sim::Access;
/// # use tablewright::{AddrSpace, Format, MappingFlags, Rights, Tag, riscv64::sv_x4};
/// # use tablewright::sim::{Machine, Mmu, built_in};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # space.map_alloc(0x8000_0000.into(), 0x1000, MappingFlags::READ, true)?;
/// # let mmu = Mmu::new(&machine, 1);
/// # mmu.load(Tag(1), space.page_table_root(), built_in("sv_x4", "sv39x4")?);
/// let access = |address, needs| mmu.access(&machine, Tag(1), address, needs);
/// assert!(matches!(access(0x8000_0000, Rights::R), Some(Access::Translated(_))));
/// assert_eq!(access(0x8000_0000, Rights::W), Some(Access::Denied));
/// assert!(matches!(access(0x1000, Rights::R), Some(Access::Fault(_))));
/// mmu.unload(Tag(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reached this output address.
    Translated(u64),
    /// It is mapped, but not for this.
    Denied,
    /// The walk ended otherwise.
    Fault(Walk),
}

/// What an MMU could have done wrong to a guest, because of what the engine did or left out.
///
/// ```
/// use tablewright::sim::Violation;
/// # use tablewright::{AddrSpace, Format, MappingFlags, Rights, Tag, riscv64::sv_x4};
/// # use tablewright::sim::{Machine, Mmu, built_in};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # space.map_alloc(0x8000_0000.into(), 0x1000, MappingFlags::READ, true)?;
/// # let mmu = Mmu::new(&machine, 1);
/// # mmu.load(Tag(1), space.page_table_root(), built_in("sv_x4", "sv39x4")?);
/// mmu.access(&machine, Tag(1), 0x8000_0000, Rights::R);
/// space.unmap(0x8000_0000.into(), 0x1000)?;
/// // Whatever the MMU had cached of it was invalidated in time.
/// mmu.check(&machine);
/// let violations: Vec<Violation> = mmu.take_violations();
/// assert!(violations.is_empty());
/// mmu.unload(Tag(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A change is complete, and a translation from before it is still cached.
    #[error("{range:#x?} of {tag:?} is still cached as {cached}, but the tables say {tables}")]
    Stale {
        /// The tag.
        tag: Tag,
        /// The input addresses.
        range: ClosedRange,
        /// What is cached.
        cached: String,
        /// What the tables say.
        tables: String,
    },
    /// A frame was freed to which, or through which, a cached translation leads.
    #[error("the frame {frame:#x} of 2^{size} bytes was freed while {range:#x?} of {tag:?} is cached through it")]
    FreedWhileCached {
        /// The frame.
        frame: u64,
        /// log2 of its size.
        size: u8,
        /// The tag.
        tag: Tag,
        /// The input addresses.
        range: ClosedRange,
    },
    /// A live entry went from one value to another that needed a break in between.
    #[error("entry {old:#x} of level {level} became {new:#x} without break-before-make")]
    NoBreak {
        /// The entry's level.
        level: Level,
        /// The value before.
        old: u64,
        /// The value after.
        new: u64,
    },
}

/// log2 of the smallest table.
const FRAME: usize = 12;

/// The MMU of a simulated machine's CPU, which runs any number of guests; or a device's.
///
/// ```
/// use tablewright::{AddrSpace, Format, MappingFlags, Rights, Tag, riscv64::sv_x4};
/// use tablewright::sim::{Access, Machine, Mmu, built_in};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = Machine::new(0, 1 << 20);
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// space.map_alloc(0x8000_0000.into(), 0x1000, MappingFlags::READ, true)?;
/// // It walks by the format's file, not by the code that was generated from it.
/// let mmu = Mmu::new(&machine, 1);
/// mmu.load(Tag(1), space.page_table_root(), built_in("sv_x4", "sv39x4")?);
/// let reached = space.translate(0x8000_0123.into()).ok_or("not mapped")?.as_usize() as u64;
/// assert_eq!(mmu.access(&machine, Tag(1), 0x8000_0123, Rights::R), Some(Access::Translated(reached)));
/// mmu.unload(Tag(1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Mmu {
    sink: Sink,
    state: Mutex<State>,
}

/// Tables by tag and address, with their level and entries.
type Shadow = HashMap<(Tag, u64), (Level, Vec<u64>)>;

#[derive(Debug, Default)]
struct State {
    spaces: Vec<Space>,
    tlb: Tlb,
    /// The live tables as last seen.
    shadow: Shadow,
    /// Frames in which entries were written since.
    written: BTreeSet<u64>,
    /// Addresses accessed lately: those a running guest is likely to access again.
    recent: VecDeque<(Tag, u64)>,
    violations: Vec<Violation>,
    random: u64,
}

#[derive(Debug)]
struct Space {
    tag: Tag,
    root: u64,
    bound: Bound,
    rules: Rules,
}

impl Mmu {
    /// The MMU of `machine`; `seed` decides what it happens to cache and forget.
    pub fn new(machine: &Machine, seed: u64) -> Arc<Self> {
        Self::of_sink(machine, seed, Sink::CPUS)
    }

    /// The same, of a device that has to be told of changes by itself.
    pub fn of_sink(machine: &Machine, seed: u64, sink: Sink) -> Arc<Self> {
        let state = State { random: seed | 1, ..State::default() };
        let mmu = Arc::new(Self { sink, state: Mutex::new(state) });
        machine.observe(mmu.clone());
        mmu
    }

    /// Loads a guest's tables; `bound` is their format. Of its file this takes whether entries that are not present are
    /// cached, too; else it is as strict as any architecture.
    pub fn load(&self, tag: Tag, root: HostPhysAddr, bound: Bound) {
        let rules = Rules { invalid_cached: bound.invalid_cached, ..Rules::STRICTEST };
        self.load_by(tag, root, bound, rules);
    }

    /// The same on a machine with these rules.
    pub fn load_by(&self, tag: Tag, root: HostPhysAddr, bound: Bound, rules: Rules) {
        let root = root.as_usize() as u64;
        self.state().spaces.push(Space { tag, root, bound, rules });
    }

    /// Takes a guest's tables out again; to be called before they are dropped. Whatever is cached of it must have been
    /// invalidated before its tag is used again, which is not checked here.
    pub fn unload(&self, tag: Tag) {
        let mut state = self.state();
        state.spaces.retain(|space| space.tag != tag);
        state.shadow.retain(|&(owner, _), _| owner != tag);
        state.tlb.forget(tag);
    }

    /// Accesses `ia` as the guest of `tag` does, through the caches. `None` if no tables are loaded for it.
    /// It sets no accessed or dirty state, whatever the format says of hardware: a dirty log shows what was written through
    /// the space.
    pub fn access(&self, machine: &Machine, tag: Tag, ia: u64, needs: Rights) -> Option<Access> {
        let mut state = self.state();
        if state.recent.len() >= 64 {
            state.recent.pop_front();
        }
        state.recent.push_back((tag, ia));
        state.access(machine, tag, ia, needs)
    }

    /// To be called when an operation is complete, its gather flushed: everything cached must be what the tables say.
    pub fn check(&self, machine: &Machine) {
        let mut state = self.state();
        state.compare_all(machine);
        state.compare_caches(machine);
    }

    /// What went wrong so far; forgets it.
    pub fn take_violations(&self) -> Vec<Violation> {
        core::mem::take(&mut self.state().violations)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Mmu {
    fn published(&self, _machine: &Machine, start: HostPhysAddr, length: usize) {
        let (first, last) = (start.as_usize() >> FRAME, (start.as_usize() + length.max(1) - 1) >> FRAME);
        self.state().written.extend((first..=last).map(|frame| (frame << FRAME) as u64));
    }

    fn invalidated_at(&self, machine: &Machine, sink: Sink, _root: HostPhysAddr, tag: Tag, set: &Invalidation) {
        if sink != self.sink {
            return;
        }
        let mut state = self.state();
        // The guest runs right up to the completion.
        state.run_guests(machine);
        state.compare_written(machine);
        let space = state.spaces.iter().find(|space| space.tag == tag);
        let rules = space.map_or(Rules::STRICTEST, |space| space.rules);
        state.tlb.invalidate(&rules, tag, set);
        state.run_guests(machine);
    }

    fn freed(&self, machine: &Machine, frame: HostPhysAddr, size: u8) {
        let mut state = self.state();
        state.compare_written(machine);
        let frame = frame.as_usize() as u64;
        let inside = |address: u64| address >> size == frame >> size;
        let through = |cached: &Cached| cached.path.iter().any(|&table| inside(table));
        let leads_there = |cached: &&Cached| match cached.what {
            What::Leaf(first) => {
                through(cached)
                    || first.address <= (frame | ((1 << size) - 1)) && frame <= first.address + cached.range.span()
            }
            What::Table(start) => through(cached) || inside(start.table),
            // A hole leads nowhere, wherever it was found.
            What::Hole => false,
        };
        let found: Vec<Violation> = state
            .tlb
            .entries()
            .iter()
            .filter(leads_there)
            .map(|cached| Violation::FreedWhileCached { frame, size, tag: cached.tag, range: cached.range })
            .collect();
        state.violations.extend(found);
    }
}

impl State {
    fn random(&mut self) -> u64 {
        // xorshift64: never zero, and good enough to pick cache entries.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Lets the guests repeat some of their recent accesses, so that something is cached at any moment.
    fn run_guests(&mut self, machine: &Machine) {
        for _ in 0..8 {
            if self.recent.is_empty() {
                return;
            }
            let picked = self.random() as usize % self.recent.len();
            let (tag, ia) = self.recent[picked];
            // A fault is as good as a translation here: both fill caches.
            let _ = self.access(machine, tag, ia, Rights::empty());
        }
    }

    fn access(&mut self, machine: &Machine, tag: Tag, ia: u64, needs: Rights) -> Option<Access> {
        if self.random().is_multiple_of(16) {
            let random = self.random();
            self.tlb.evict(random);
        }
        // Hardware may look up anew what is cached.
        if !self.random().is_multiple_of(4)
            && let Some(cached) = self.tlb.last_step(tag, ia)
        {
            match cached.what {
                What::Leaf(first) if rights(first.facts).contains(needs) => {
                    return Some(Access::Translated(first.address + (ia - cached.range.start())));
                }
                What::Hole => return Some(Access::Fault(Walk::NotMapped { level: 0 })),
                // A translation without the right: hardware walks again before it faults.
                _ => {}
            }
        }
        let shortcut = !self.random().is_multiple_of(8);
        let start = if shortcut { self.tlb.nearest_table(tag, ia).cloned() } else { None };
        let space = self.spaces.iter().find(|space| space.tag == tag)?;
        let mut seen = Vec::new();
        let walk = space.walk(machine, ia, start.as_ref(), |cached| seen.push(cached));
        for cached in seen {
            let random = self.random();
            self.tlb.insert(cached, random);
        }
        Some(match walk {
            Walk::Translated(found) if rights(found.facts).contains(needs) => Access::Translated(found.address),
            Walk::Translated(_) => Access::Denied,
            fault => Access::Fault(fault),
        })
    }

    /// Compares all live tables with how they were seen last, and judges each edit.
    fn compare_all(&mut self, machine: &Machine) {
        self.written.clear();
        let mut shadow = Shadow::new();
        for space in &self.spaces {
            space.collect_tables(machine, space.root, space.bound.geometry.top(), &mut shadow);
        }
        let before = core::mem::replace(&mut self.shadow, shadow);
        for (key, (level, before)) in &before {
            if let Some((same, now)) = self.shadow.get(key).filter(|(now, _)| now == level)
                && let Some(space) = self.spaces.iter().find(|space| space.tag == key.0)
            {
                self.violations.extend(space.judge(*same, before, now));
            }
        }
    }

    /// The same for the tables that were written to since, and what hangs on them: with all tables each time, large spaces
    /// would take forever.
    fn compare_written(&mut self, machine: &Machine) {
        if self.spaces.iter().any(|space| !self.shadow.contains_key(&(space.tag, space.root))) {
            // One was loaded since.
            return self.compare_all(machine);
        }
        for frame in core::mem::take(&mut self.written) {
            for space in &self.spaces {
                let (level, table) = space.table_of(frame, &self.shadow);
                let Some((_, before)) = level.and_then(|_| self.shadow.get(&(space.tag, table)).cloned()) else {
                    continue;
                };
                let level = level.unwrap_or_default();
                let now = space.entries(machine, table, level);
                self.violations.extend(space.judge(level, &before, &now));
                for (&old, &new) in before.iter().zip(&now).filter(|(old, new)| old != new) {
                    if let Decoded::Table(next) = space.bound.decode(level, old) {
                        space.forget_tables(next.address, &mut self.shadow);
                    }
                    if let Decoded::Table(next) = space.bound.decode(level, new) {
                        space.collect_tables(machine, next.address, next.level, &mut self.shadow);
                    }
                }
                self.shadow.insert((space.tag, table), (level, now));
            }
        }
    }

    fn compare_caches(&mut self, machine: &Machine) {
        for cached in self.tlb.entries() {
            let Some(space) = self.spaces.iter().find(|space| space.tag == cached.tag) else { continue };
            if let Err(tables) = space.still_holds(machine, cached) {
                self.violations.push(Violation::Stale {
                    tag: cached.tag,
                    range: cached.range,
                    cached: format!("{:?}", cached.what),
                    tables,
                });
            }
        }
    }
}

impl Space {
    /// Walks from the root, or from a cached table, and tells `seen` what may be cached of it.
    fn walk(&self, machine: &Machine, ia: u64, from: Option<&Cached>, mut seen: impl FnMut(Cached)) -> Walk {
        let geometry = &self.bound.geometry;
        let (start, mut path) = match from {
            Some(Cached { what: What::Table(start), path, .. }) => (*start, path.clone()),
            _ => (self.bound.start(self.root), Vec::new()),
        };
        let mut limit = start.limit;
        let mut remember = |bits: u8, what: What, path: &[u64]| {
            seen(Cached { tag: self.tag, range: ClosedRange::around(ia, bits), what, path: path.to_vec() });
        };
        let walk = self.bound.walk_from(
            start,
            ia,
            |slot| machine.read_word(slot),
            |step| {
                path.push(step.table);
                match step.decoded {
                    Decoded::Table(next) => {
                        limit &= next.limit;
                        let table = Start { table: next.address, level: next.level, limit };
                        remember(geometry.entry_bits(step.level), What::Table(table), &path);
                    }
                    Decoded::Invalid if self.rules.invalid_cached => {
                        remember(geometry.entry_bits(step.level), What::Hole, &path);
                    }
                    _ => {}
                }
            },
        );
        if let Walk::Translated(found) = walk {
            // Hardware may hold a whole run as one translation, or its items one by one.
            for size in [found.size, geometry.entry_bits(found.level)] {
                let offset = ia - ClosedRange::around(ia, size).start();
                let first = Translation { address: found.address.wrapping_sub(offset), ..found };
                remember(size, What::Leaf(first), &path);
            }
        }
        walk
    }

    /// Whether fresh walks find what is cached, or something that allows more of the same, all over its range.
    fn still_holds(&self, machine: &Machine, cached: &Cached) -> Result<(), String> {
        let mut next = Some(cached.range.start());
        while let Some(ia) = next.filter(|&ia| cached.range.contains(ia)) {
            let spoken_for = self.holds_at(machine, cached, ia)?;
            next = spoken_for.last().checked_add(1);
        }
        Ok(())
    }

    /// The same at `ia`, and the addresses that this says it of.
    fn holds_at(&self, machine: &Machine, cached: &Cached, ia: u64) -> Result<ClosedRange, String> {
        let mut tables = Vec::new();
        let now = self.walk(machine, ia, None, |seen| tables.push(seen.what));
        // Fewer rights in a cache than in the tables only cost a walk.
        let holds = match &cached.what {
            What::Leaf(then) => matches!(&now, Walk::Translated(now)
                if now.address == then.address.wrapping_add(ia - cached.range.start())
                && now.memory == then.memory
                && rights(now.facts).contains(rights(then.facts))),
            What::Table(then) => tables.iter().any(|seen| {
                matches!(seen, What::Table(now) if (now.table, now.level) == (then.table, then.level)
                    && now.limit.contains(then.limit))
            }),
            What::Hole => !matches!(now, Walk::Translated(_)),
        };
        if !holds {
            return Err(format!("{now:x?} at {ia:#x}"));
        }
        Ok(match (&cached.what, now) {
            // What leads to a table is the same for all that it translates.
            (What::Table(_), _) => cached.range,
            (_, Walk::Translated(now)) => ClosedRange::around(ia, now.size),
            (_, Walk::NotMapped { level }) => ClosedRange::around(ia, self.bound.geometry.entry_bits(level)),
            _ => cached.range,
        })
    }

    /// The edits of live entries that needed a break.
    fn judge(&self, level: Level, before: &[u64], now: &[u64]) -> Vec<Violation> {
        let changed = before.iter().zip(now).filter(|(old, new)| old != new);
        let broken = changed.filter(|&(&old, &new)| self.bound.edit(level, old, new) == Edit::BreakBeforeMake);
        broken.map(|(&old, &new)| Violation::NoBreak { level, old, new }).collect()
    }

    /// The live table that `frame` is part of, if it is: its level, and where it begins.
    fn table_of(&self, frame: u64, shadow: &Shadow) -> (Option<Level>, u64) {
        let geometry = &self.bound.geometry;
        let top = geometry.top();
        for (size, level) in [(geometry.level_index_bits(top) + 3, Some(top)), (geometry.level_index_bits(0) + 3, None)]
        {
            let table = frame >> size.max(FRAME as u8) << size.max(FRAME as u8);
            if let Some((found, _)) = shadow.get(&(self.tag, table))
                && level.is_none_or(|level| level == *found)
            {
                return (Some(*found), table);
            }
        }
        (None, frame)
    }

    /// What a table holds.
    fn entries(&self, machine: &Machine, table: u64, level: Level) -> Vec<u64> {
        let count = 1_u64 << self.bound.geometry.level_index_bits(level);
        (0..count).map_while(|index| machine.read_word(table + index * 8)).collect()
    }

    /// The live tables below `table`, with their entries.
    fn collect_tables(&self, machine: &Machine, table: u64, level: Level, into: &mut Shadow) {
        let entries = self.entries(machine, table, level);
        for &raw in &entries {
            if let Decoded::Table(next) = self.bound.decode(level, raw) {
                self.collect_tables(machine, next.address, next.level, into);
            }
        }
        into.insert((self.tag, table), (level, entries));
    }

    /// Takes a table that was unlinked, and all below it, out again.
    fn forget_tables(&self, table: u64, from: &mut Shadow) {
        let Some((level, entries)) = from.remove(&(self.tag, table)) else { return };
        for raw in entries {
            if let Decoded::Table(next) = self.bound.decode(level, raw) {
                self.forget_tables(next.address, from);
            }
        }
    }
}

/// The rights among some facts, as the rest of this crate names them.
fn rights(facts: Facts) -> Rights {
    Rights::from_bits_truncate(facts.bits())
}
