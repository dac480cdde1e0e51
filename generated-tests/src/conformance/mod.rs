//! Law 10: library, interpreter and a real MMU agree about the same tables.
//!
//! A [`Program`] of map, unmap and protect steps is run on an address space in simulated memory, which lies where the
//! MMU model has memory too. The tables and the generated register values are copied to the model. Then all are asked
//! about the same addresses. The expected answers are computed from the program's steps alone.

mod compare;
mod demand;
mod edit;
mod enlarged;
mod ground;
mod hardware;
mod hardware_writes;
mod image;
mod invalidation;
mod judge;
mod layouts;
mod live;
mod memory;
mod pieces;
mod probes;
mod program;
mod raw;
pub mod report;
mod sequence;
mod shared;
mod shift;
mod two_stage;

use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use tablewright::sim::Machine;
use tablewright::{AddrSpace, ByName, Cause, FaultInfo, Format, GuestPhysAddr, Rights, TableInfo, Tag};

use crate::formats::Configured;
use crate::laws::{Generated, Interpreted, Subject};
use crate::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};
pub use edit::Edit;
pub use ground::Ground;
pub use invalidation::Instructions;
pub use judge::Judge;
pub use layouts::{LAYOUTS, Layout};
pub use live::{Hearing, Live};
pub use memory::{Memory, Restarted};
use pieces::Pieces;
pub use probes::needs;
pub use program::{Program, Step};
pub use shared::{Counts, Shared};
pub use two_stage::{Asked, NestedJudge, read_words, two_stage_trial, two_stage_trials};

/// One configuration of a format, generated and interpreted.
#[derive(Clone, Debug)]
pub struct Setup<F: ByName> {
    /// Its name, for the names of tests.
    pub name: String,
    /// The model read from its file.
    pub case: Arc<Configured>,
    /// The format for the interpreter.
    pub interpreted: Arc<Interpreted>,
    /// The generated code.
    pub generated: Generated<F>,
}

impl<F: ByName> Setup<F> {
    /// The configuration under its own name.
    pub fn new(case: &Configured, generated: Generated<F>) -> Self {
        let interpreted = Arc::new(Interpreted(case.bound.clone()));
        Self { name: case.config.id.value.clone(), case: Arc::new(case.clone()), interpreted, generated }
    }

    fn registers(&self, space: &AddrSpace<F, Machine>) -> Result<Vec<(&'static str, u64)>, Failed> {
        Ok(F::register_values(&space.registers()?).collect())
    }

    /// What generated code and the interpreter read in the report of a fault; nothing if the report has none of the
    /// format's registers.
    fn read(&self, fault: &Fault) -> [Option<FaultInfo>; 2] {
        let names = self.case.format.fault.iter().flat_map(|fault| &fault.registers);
        let value = |name: &str| Some(fault.report.iter().find(|(register, _)| *register == name)?.1);
        let given: Vec<Option<u64>> = names.map(|register| value(&register.name.value)).collect();
        if given.iter().all(Option::is_none) {
            return [None, None];
        }
        // Registers that a model does not have do not matter to such a report.
        let report: Vec<u64> = given.into_iter().map(Option::unwrap_or_default).collect();
        [self.generated.fault(&report), self.interpreted.fault(&report)]
    }
}

/// The access of a probe in terms of fault reports, which do not say at which privilege it was made.
pub fn access(probe: &Probe) -> Rights {
    match probe.access {
        Access::Read => Rights::R,
        Access::Write => Rights::W,
        Access::Execute => Rights::X,
    }
}

/// A kind of fault in terms of fault reports.
pub fn cause(kind: FaultKind) -> Cause {
    match kind {
        FaultKind::NotMapped => Cause::NotMapped,
        FaultKind::Permission => Cause::Permission,
        FaultKind::AccessFlag => Cause::AccessFlag,
        FaultKind::AddressSize => Cause::AddressSize,
        FaultKind::Misconfigured => Cause::Misconfigured,
        FaultKind::Unspecified => Cause::Unspecified,
        FaultKind::Bus => Cause::External,
    }
}

/// A test for every layout, with this setup.
pub fn trials<F: ByName, J: Judge + Send + 'static>(setup: &Setup<F>, judge: &Shared<J>) -> Vec<Trial> {
    let trial = |&layout: &Layout| {
        judge.trial(setup, (layout.name, "mappings"), move |setup, judge| conforms(setup, layout, judge))
    };
    let demand = judge.trial(setup, ("on_demand", "on demand"), |setup, judge| demand::conforms(setup, judge));
    let raw = raw_trial(setup, judge, "raw_entries", |_| {});
    LAYOUTS.iter().map(trial).chain([demand, raw]).collect()
}

/// A test of random entries, after something was set.
pub fn raw_trial<F: ByName, J: Judge + Send + 'static>(
    setup: &Setup<F>,
    judge: &Shared<J>,
    name: &'static str,
    set: fn(&mut J),
) -> Trial {
    judge.trial(setup, (name, "raw entries"), move |setup, judge| {
        set(judge);
        raw::conforms(setup, judge, name)
    })
}

/// Tests of tables in use: random edits, and accessed and dirty states if hardware sets them.
pub fn live_trials<F: ByName, J: Live + Send + 'static>(setup: &Setup<F>, judge: &Shared<J>) -> Vec<Trial> {
    let edits = judge.trial(setup, ("edits", "edits in use"), |setup, judge| sequence::conforms(setup, judge));
    [edits].into_iter().chain(enlarged_trial(setup, judge)).chain(hardware_trial(setup, judge)).collect()
}

/// A test of larger frames in place of pages, if memory has room for one.
fn enlarged_trial<F: ByName, J: Live + Send + 'static>(setup: &Setup<F>, judge: &Shared<J>) -> Option<Trial> {
    let enlarged = ("enlarged", "edits in use");
    let is_possible = enlarged::is_possible(&setup.generated.format);
    is_possible.then(|| judge.trial(setup, enlarged, |setup, judge| enlarged::conforms(setup, judge)))
}

/// A test of the accessed and dirty states, if hardware sets them.
pub fn hardware_trial<F: ByName, J: Live + Send + 'static>(setup: &Setup<F>, judge: &Shared<J>) -> Option<Trial> {
    let states = ("hardware_states", "hardware states");
    let has_states = setup.generated.format.accessed_dirty(0).hardware;
    has_states.then(|| judge.trial(setup, states, |setup, judge| hardware::conforms(setup, judge)))
}

/// The negative controls: edits whose invalidations are not executed are caught, and so are moves and larger frames
/// when only theirs are not.
pub fn control_trials<F: ByName, J: Live + Send + 'static>(setup: &Setup<F>, judge: &Shared<J>) -> Vec<Trial> {
    let edits = [("not_invalidated", Hearing::Deaf), ("moves_not_invalidated", Hearing::DeafToMoves)];
    let edits = edits.map(|control| control_trial(setup, judge, control));
    let enlarged = ("enlarged_not_invalidated", "stale when not invalidated");
    let enlarged = enlarged::is_possible(&setup.generated.format)
        .then(|| judge.trial(setup, enlarged, |setup, judge| enlarged::is_caught(setup, judge)));
    edits.into_iter().chain(enlarged).collect()
}

/// A negative control: edits whose invalidations are not all executed are caught.
pub fn control_trial<F: ByName, J: Live + Send + 'static>(
    setup: &Setup<F>,
    judge: &Shared<J>,
    (name, hearing): (&str, Hearing),
) -> Trial {
    let test = (name, "stale when not invalidated");
    judge.trial(setup, test, move |setup, judge| sequence::is_caught(setup, judge, hearing))
}

/// The size of the memory for tables. The rest is mapped.
const TABLES: u64 = 16 << 20;

/// The layouts that are made above a gap in the input addresses, too.
const ABOVE_GAPS: [&str; 3] = ["every_right", "top_of_the_input", "random_1"];

/// Runs a layout's program, and compares all answers.
fn conforms<F: ByName>(setup: &Setup<F>, layout: Layout, judge: &mut impl Judge) -> Result<usize, Failed> {
    let ram = judge.ram();
    let ground = Ground::judged(setup, ram.start + TABLES..ram.end, judge);
    let halves = ground.halves().into_iter().filter(|half| half.base == 0 || ABOVE_GAPS.contains(&layout.name));
    halves.map(|half| half_conforms(setup, layout, judge, &half)).sum()
}

fn half_conforms<F: ByName>(
    setup: &Setup<F>,
    layout: Layout,
    judge: &mut impl Judge,
    ground: &Ground,
) -> Result<usize, Failed> {
    let machine = Machine::new(judge.ram().start, TABLES as usize);
    let program = (layout.make)(ground);
    let mut space = match ground.base {
        0 => AddrSpace::<F, Machine>::new_empty(setup.generated.format, machine.clone(), Tag(1))?,
        base => {
            let base = GuestPhysAddr::from_usize(base as usize);
            AddrSpace::new(setup.generated.format, machine.clone(), Tag(1), base, 1 << ground.reach)?
        }
    };
    program.run(&mut space)?;

    let probes = probes::of(&program, ground);
    // Hardware that does not set accessed and dirty states by itself faults for lack of them.
    for probe in &probes {
        space.handle_fault(GuestPhysAddr::from_usize(probe.address as usize), probes::needs(probe));
    }
    let pieces = Pieces::of(&program.steps);
    let expected: Vec<_> = probes.iter().map(|probe| pieces.get(probe.address)).collect();
    let may_access = |(probe, expected)| ground.may_access(judge, probe, expected);
    let may_access: Vec<bool> = probes.iter().zip(expected.iter().copied()).map(may_access).collect();
    let asked: Vec<Probe> = probes.iter().zip(&may_access).filter_map(|(probe, may)| may.then_some(*probe)).collect();
    let mut verdicts = judge.judge(&dump(&space, &machine), &setup.registers(&space)?, &asked).into_iter();

    let root = space.page_table_root().as_usize() as u64;
    let mut complaints = Vec::new();
    for ((probe, expected), may_access) in probes.iter().zip(expected).zip(may_access) {
        let verdict = may_access.then(|| verdicts.next()).flatten();
        let case = compare::Case {
            probe,
            expected,
            granted: expected.is_some_and(|(_, rights)| judge.grants(probe, rights)),
            library: space.page_table().query(probe.address),
            walk: setup.case.bound.walk(root, probe.address, |address| machine.read_word(address)),
            verdict: verdict.as_ref(),
            fault: judge.fault(probe, expected.map(|(_, rights)| rights)),
            told: match &verdict {
                Some(Verdict::Fault(fault)) => setup.read(fault).map(|read| (judge.told(probe, fault), read)).into(),
                _ => Vec::new(),
            },
        };
        complaints.extend(case.complaints());
    }
    if verdicts.next().is_some() || asked.len() < 50 {
        return Err(format!("{} addresses were judged", asked.len()).into());
    }
    match complaints.as_slice() {
        [] => Ok(asked.len()),
        [first, ..] => Err(format!("{} complaints, the first: {first}", complaints.len()).into()),
    }
}

/// All tables of a space as bytes in memory.
fn dump<F: Format>(space: &AddrSpace<F, Machine>, machine: &Machine) -> Vec<Chunk> {
    let chunk = |info: TableInfo| (info.address.as_usize() as u64, machine.dump(info.address, info.size));
    space.page_table().tables().map(chunk).collect()
}
