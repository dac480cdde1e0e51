//! A CPU's MMU over simulated memory. It walks by the interpreter, which shares no code with the engine, and its TLB
//! caches as much and as long as an architecture allows.
//!
//! It finds what no single look at the tables can show: a translation that is still cached when the engine considers a
//! change complete, memory that is freed while a translation leads to it, a live entry that was changed without
//! break-before-make.

extern crate std;

use std::collections::VecDeque;
use std::format;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::interpret::Walk;

use super::guest::{Guest, rights};
use super::shadow::Shadow;
use super::tlb::{Cached, Tlb, What};
use super::{Machine, Observer, Rules, Violation};
use crate::{HostPhysAddr, Invalidation, Rights, Sink, Tag};

/// The outcome of an access.
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
    /// It is mapped, but a right is missing.
    Denied,
    /// The walk ended otherwise.
    Fault(Walk),
}

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

#[derive(Debug, Default)]
struct State {
    guests: Vec<Guest>,
    tlb: Tlb,
    shadow: Shadow,
    /// Recently accessed addresses, which a running guest is likely to access again.
    recent: VecDeque<(Tag, u64)>,
    violations: Vec<Violation>,
    random: u64,
}

impl Mmu {
    /// The MMU of `machine`; `seed` decides what it happens to cache and forget.
    pub fn new(machine: &Machine, seed: u64) -> Arc<Self> {
        Self::of_sink(machine, seed, Sink::CPUS)
    }

    /// The MMU of a device, at which changes have to be invalidated separately.
    pub fn of_sink(machine: &Machine, seed: u64, sink: Sink) -> Arc<Self> {
        let state = State { random: seed | 1, ..State::default() };
        let mmu = Arc::new(Self { sink, state: Mutex::new(state) });
        machine.observe(mmu.clone());
        mmu
    }

    /// Loads a guest's tables; `bound` is their format. Whether entries that are not present may be cached, the format's
    /// file says; otherwise, the MMU is as strict as any architecture.
    pub fn load(&self, tag: Tag, root: HostPhysAddr, bound: Bound) {
        let rules = Rules { invalid_cached: bound.invalid_cached, ..Rules::STRICTEST };
        self.load_by(tag, root, bound, rules);
    }

    /// As [`Mmu::load`], on a machine with these rules.
    pub fn load_by(&self, tag: Tag, root: HostPhysAddr, bound: Bound, rules: Rules) {
        let root = root.as_usize() as u64;
        self.state().guests.push(Guest { tag, root, bound, rules });
    }

    /// Unloads a guest's tables. Call it before they are dropped. Whatever is cached of them must have been invalidated
    /// before the tag is used again, which is not checked here.
    pub fn unload(&self, tag: Tag) {
        let mut state = self.state();
        state.guests.retain(|guest| guest.tag != tag);
        state.shadow.forget(tag);
        state.tlb.forget(tag);
    }

    /// Accesses `ia` as the guest of `tag` does, through the caches. `None` if no tables are loaded for it.
    ///
    /// It sets no accessed or dirty state, whatever the format says about hardware: a dirty log shows only what was
    /// written through the space.
    pub fn access(&self, machine: &Machine, tag: Tag, ia: u64, needs: Rights) -> Option<Access> {
        let mut state = self.state();
        if state.recent.len() >= 64 {
            state.recent.pop_front();
        }
        state.recent.push_back((tag, ia));
        state.access(machine, tag, ia, needs)
    }

    /// Checks that everything cached is what the tables say. Call it when an operation is complete and its gather
    /// flushed.
    pub fn check(&self, machine: &Machine) {
        let mut state = self.state();
        state.compare_all(machine);
        state.compare_caches(machine);
    }

    /// Takes the violations that have been found so far.
    pub fn take_violations(&self) -> Vec<Violation> {
        core::mem::take(&mut self.state().violations)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Mmu {
    fn published(&self, _machine: &Machine, start: HostPhysAddr, length: usize) {
        self.state().shadow.note(start, length);
    }

    fn invalidated_at(&self, machine: &Machine, sink: Sink, _root: HostPhysAddr, tag: Tag, set: &Invalidation) {
        if sink != self.sink {
            return;
        }
        let mut state = self.state();
        // Guests run until the operation is complete.
        state.run_guests(machine);
        state.compare_written(machine);
        let guest = state.guests.iter().find(|guest| guest.tag == tag);
        let rules = guest.map_or(Rules::STRICTEST, |guest| guest.rules);
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

    /// Makes the guests repeat some of their recent accesses, so that something is cached at any moment.
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
        let guest = self.guests.iter().find(|guest| guest.tag == tag)?;
        let mut seen = Vec::new();
        let walk = guest.walk(machine, ia, start.as_ref(), |cached| seen.push(cached));
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

    /// Judges all edits since the tables were seen last.
    fn compare_all(&mut self, machine: &Machine) {
        self.violations.extend(self.shadow.compare_all(machine, &self.guests));
    }

    /// As [`Self::compare_all`], for the tables that were written to.
    fn compare_written(&mut self, machine: &Machine) {
        self.violations.extend(self.shadow.compare_written(machine, &self.guests));
    }

    fn compare_caches(&mut self, machine: &Machine) {
        for cached in self.tlb.entries() {
            let Some(guest) = self.guests.iter().find(|guest| guest.tag == cached.tag) else { continue };
            if let Err(tables) = guest.still_holds(machine, cached) {
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
