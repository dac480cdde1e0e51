//! Law 10: library, interpreter and a real MMU say the same of the same tables.
//!
//! A [`Program`] of map, unmap and protect steps is run on an address space in simulated memory, which lies where the MMU
//! model has memory too. The tables are dumped and handed to the model, together with the generated register values. Then
//! all are asked about the same addresses. What they should say is computed from the program's steps alone.

mod compare;
mod demand;
mod ground;
mod layouts;
mod probes;
mod program;

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libtest_mimic::{Failed, Trial};
use tablewright::sim::Machine;
use tablewright::{AddrSpace, Format, GuestPhysAddr, Rights, TableInfo, Tag};
use tablewright_archdefs::bound::Bound;

use crate::mmu::{Chunk, FaultKind, Probe, Verdict};
pub use ground::Ground;
pub use layouts::{LAYOUTS, Layout};
pub use program::{Program, Step};

/// An MMU model that can walk tables of the format `F`.
pub trait Judge<F: Format> {
    /// The physical memory that is free for tables and what they map.
    fn ram(&self) -> Range<u64>;

    /// Input addresses of at most so many bits can be probed.
    fn reach(&self) -> u8;

    /// What the model calls it when the probe faults, where a leaf with these rights or nothing is mapped.
    fn fault(&self, probe: &Probe, mapped: Option<Rights>) -> FaultKind;

    /// Loads the tables and the registers, and asks all probes.
    fn judge(&mut self, tables: &[Chunk], registers: &F::Registers, probes: &[Probe]) -> Vec<Verdict>;
}

/// One configuration of a format, generated and interpreted.
#[derive(Clone, Debug)]
pub struct Setup<F> {
    /// For the names of tests.
    pub name: String,
    /// Generated.
    pub format: F,
    /// Interpreted.
    pub bound: Bound,
}

/// A judge that all its tests share, and that the first of them starts.
pub struct Shared<J>(Arc<Lazy<J>>);

struct Lazy<J> {
    judge: OnceLock<Mutex<J>>,
    start: Box<dyn Fn() -> J + Send + Sync>,
}

impl<J> Clone for Shared<J> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<J> Shared<J> {
    /// A judge to be started by `start`.
    pub fn new(start: impl Fn() -> J + Send + Sync + 'static) -> Self {
        Self(Arc::new(Lazy { judge: OnceLock::new(), start: Box::new(start) }))
    }

    fn with<T>(&self, ask: impl FnOnce(&mut J) -> T) -> T {
        let judge = self.0.judge.get_or_init(|| Mutex::new((self.0.start)()));
        // A failed test leaves the model usable.
        ask(&mut judge.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A test for every layout under this setup.
pub fn trials<F: Format, J: Judge<F> + Send + 'static>(setup: &Setup<F>, judge: &Shared<J>) -> Vec<Trial> {
    let trial = |&layout: &Layout| {
        let (setup, judge) = (setup.clone(), judge.clone());
        let name = format!("{}/{}", setup.name, layout.name);
        Trial::test(name, move || judge.with(|judge| conforms(&setup, layout, judge)))
    };
    let demand = {
        let (setup, judge) = (setup.clone(), judge.clone());
        Trial::test(format!("{}/on_demand", setup.name), move || judge.with(|judge| demand::conforms(&setup, judge)))
    };
    LAYOUTS.iter().map(trial).chain([demand]).collect()
}

/// How much memory the tables can take; the rest is mapped.
const TABLES: u64 = 16 << 20;

/// Runs a layout's program, and compares what all say of it.
fn conforms<F: Format>(setup: &Setup<F>, layout: Layout, judge: &mut impl Judge<F>) -> Result<(), Failed> {
    let ram = judge.ram();
    let machine = Machine::new(ram.start, TABLES as usize);
    let ground = Ground::new(&setup.format, ram.start + TABLES..ram.end, judge.reach());
    let program = (layout.make)(&ground);
    let mut space = AddrSpace::<F, Machine>::new_empty(setup.format, machine.clone(), Tag(1))?;
    program.run(&mut space)?;

    let probes = probes::of(&program, &ground);
    // Hardware that does not set accessed and dirty states by itself faults for lack of them.
    for probe in &probes {
        space.handle_fault(GuestPhysAddr::from_usize(probe.address as usize), probes::needs(probe));
    }
    let asked: Vec<Probe> = probes.iter().copied().filter(|probe| ground.may_access(&program, probe)).collect();
    let mut verdicts = judge.judge(&dump(&space, &machine), &space.registers()?, &asked).into_iter();

    let root = space.page_table_root().as_usize() as u64;
    let mut complaints = Vec::new();
    for probe in &probes {
        let verdict = ground.may_access(&program, probe).then(|| verdicts.next()).flatten();
        let case = compare::Case {
            probe,
            expected: program.expect(probe.address),
            library: space.page_table().query(probe.address),
            walk: setup.bound.walk(root, probe.address, |address| machine.read_word(address)),
            verdict: verdict.as_ref(),
            fault: judge.fault(probe, program.expect(probe.address).map(|(_, rights)| rights)),
        };
        complaints.extend(case.complaints());
    }
    if verdicts.next().is_some() || asked.len() < 50 {
        return Err(format!("{} addresses were judged", asked.len()).into());
    }
    match complaints.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(format!("{} complaints, the first: {first}", complaints.len()).into()),
    }
}

/// All tables of a space, as an MMU finds them in memory.
fn dump<F: Format>(space: &AddrSpace<F, Machine>, machine: &Machine) -> Vec<Chunk> {
    let chunk = |info: TableInfo| (info.address.as_usize() as u64, machine.dump(info.address, info.size));
    space.page_table().tables().map(chunk).collect()
}
