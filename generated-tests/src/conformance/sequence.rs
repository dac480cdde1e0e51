//! Random programs of edits on a table in use, each edit followed by probes at edges. One that fails is shrunk, and told
//! as Rust code to paste into [`FOUND`].

use std::fmt::Write as _;

use fastrand::Rng;
use libtest_mimic::Failed;
use tablewright::sim::Machine;
use tablewright::{
    ByName, Change, ClosedRange, Error, FaultIn, Format, Gather, Mapping, MemoryType, PageTable, Relax, Rights,
};

use super::live::{self, Hearing, Live, Rig};
use super::program::unseen;
use super::{Ground, Setup};

/// How many edits a program has, and how many programs each configuration runs.
const EDITS: usize = 25;
const PROGRAMS: u64 = 6;

/// Where the random numbers start.
const SEED: u64 = 0xed17;

/// An edit of a table in use. Ranges are first and last address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Unmaps what is there, and maps the range.
    Map(u64, u64, u64, Rights, MemoryType),
    /// Unmaps the range.
    Unmap(u64, u64),
    /// Changes the rights.
    Protect(u64, u64, Rights),
    /// Splits leaves to pages of at most so many bits.
    Split(u64, u64, u8),
    /// Makes leaves as large as they can be.
    Collapse(u64, u64),
    /// Takes the dirty states away, and looks at them.
    Harvest(u64, u64),
    /// Changes the rights, and looks at the dirty states that this takes away.
    ProtectAndHarvest(u64, u64, Rights),
    /// Splits leaves to pages of at most so many bits, and lets those write each who can read it, as a fault does.
    Relax(u64, u64, u8),
    /// Maps one page where nothing is mapped, as a fault does.
    FaultIn(u64, u64, u64, Rights, MemoryType),
}

/// A configuration, and a program to run under it.
type Found = (&'static str, fn() -> Vec<Edit>);

/// Programs that once failed under a configuration, here or in a trial of these tests.
const FOUND: &[Found] = &[
    // A page of a block that is mapped anew was not marked accessed before it was asked about.
    ("sv39x4", || {
        vec![
            Edit::Map(0x85_3e60_0000, 0x85_3e6f_ffff, 0x8160_0000, Rights::R, MemoryType::WriteBack),
            Edit::Map(0x85_3e60_0000, 0x85_3e60_ffff, 0x8160_0000, Rights::RX, MemoryType::Inherit),
        ]
    }),
];

impl Edit {
    /// The addresses that it is about.
    pub(super) fn range(&self) -> ClosedRange {
        let (Self::Map(start, last, ..)
        | Self::Unmap(start, last)
        | Self::Protect(start, last, _)
        | Self::Split(start, last, _)
        | Self::Collapse(start, last)
        | Self::Harvest(start, last)
        | Self::ProtectAndHarvest(start, last, _)
        | Self::Relax(start, last, _)
        | Self::FaultIn(start, last, ..)) = *self;
        ClosedRange::new(start, last).expect("a range")
    }

    /// Does it, but for harvests, which take somebody who looks.
    pub(super) fn run<F: Format>(&self, table: &mut PageTable<F, Machine>) -> Result<(), String> {
        let mut gather = table.gather();
        let range = self.range();
        let result = match *self {
            // SAFETY: nobody translates through the table but MMU models, in memory of their own.
            Self::Map(_, _, oa, rights, memory) => table
                .unmap(range, &mut gather)
                .and_then(|()| unsafe { table.map(range, oa, &unseen(rights, memory), &mut gather) }),
            Self::Unmap(..) => table.unmap(range, &mut gather),
            Self::Protect(_, _, rights) => {
                table.protect(range, &Change { rights: Some(rights), ..Change::default() }, &mut gather)
            }
            Self::Split(_, _, size) => table.split_to(range, size, &mut gather),
            // SAFETY: nothing that is mapped is ever freed.
            Self::Collapse(..) => unsafe { table.collapse(range, &mut gather) },
            Self::Harvest(..) | Self::ProtectAndHarvest(..) => Ok(()),
            Self::Relax(_, _, size) => table.split_to(range, size, &mut gather).and_then(|()| {
                let leaves: Vec<Mapping> = table.mappings(range).collect();
                leaves.iter().try_for_each(|leaf| relax(table, leaf, &mut gather))
            }),
            Self::FaultIn(start, _, oa, rights, memory) => {
                let size = table.geometry().page_bits;
                // SAFETY: as for `map`; and every gather has been flushed.
                match unsafe { table.fault_in(start, size, oa, &unseen(rights, memory)) } {
                    Ok(FaultIn::NeedsExclusive(operation)) => return Err(format!("a single page takes {operation:?}")),
                    answer => answer.map(drop),
                }
            }
        };
        gather.flush();
        result.map_err(|error| format!("{self:x?}: {error}"))
    }
}

/// Lets those write a leaf who can read it, beside others if that can be.
fn relax<F: Format>(
    table: &mut PageTable<F, Machine>,
    leaf: &Mapping,
    gather: &mut Gather<F, Machine>,
) -> Result<(), Error> {
    let (start, rights) = (leaf.range.start(), writable(leaf.attributes.rights));
    match table.relax(start, rights)? {
        Relax::NeedsExclusive(_) => table.relax_exclusive(start, rights, gather).map(drop),
        _ => Ok(()),
    }
}

/// These rights, and the right to write of those who can read.
fn writable(rights: Rights) -> Rights {
    let may_write = [(Rights::PR, Rights::PW), (Rights::UR, Rights::UW)].into_iter();
    may_write.filter(|(read, _)| rights.contains(*read)).fold(rights, |rights, (_, write)| rights | write)
}

/// Where `ia` maps to after these edits, and with what rights.
pub(super) fn expect(edits: &[Edit], ia: u64) -> Option<(u64, Rights)> {
    let edits = edits.iter().filter(|edit| edit.range().contains(ia));
    edits.fold(None, |mapped, edit| match *edit {
        Edit::Map(start, _, oa, rights, _) => Some((oa + (ia - start), rights)),
        Edit::Unmap(..) => None,
        Edit::Protect(_, _, rights) | Edit::ProtectAndHarvest(_, _, rights) => mapped.map(|(oa, _)| (oa, rights)),
        Edit::Relax(..) => mapped.map(|(oa, rights)| (oa, writable(rights))),
        Edit::Split(..) | Edit::Collapse(..) | Edit::Harvest(..) => mapped,
        Edit::FaultIn(start, _, oa, rights, _) => mapped.or(Some((oa + (ia - start), rights))),
    })
}

/// A random program.
fn program(ground: &Ground, random: &mut Rng) -> Vec<Edit> {
    let page = 1_u64 << ground.geometry.page_bits;
    let block = ground.block(4);
    let window = (2_u64 << block).min(1 << ground.reach.min(63));
    let last_window = (1_u64 << ground.reach.min(63)) / window - 1;
    let windows = [0, random.u64(0..=last_window), last_window].map(|index| index * window);
    let edit = |earlier: &[Edit], random: &mut Rng| {
        let in_window = random.u64(0..window / page) * page;
        let rounded = in_window & !0 << ground.sizes[random.usize(..ground.sizes.len())];
        let offset = if random.bool() { in_window } else { rounded };
        let wanted = (1 + random.u64(..3)) << random.u8(ground.geometry.page_bits..=block);
        let start = windows[random.usize(..windows.len())] + offset;
        let range = ground.range(start, wanted.min(window - offset));
        let rights = ground.rights[random.usize(..ground.rights.len())];
        let memory = ground.memory[random.usize(..ground.memory.len())];
        let oa = ground.target(block) + offset + if random.bool() { 0 } else { page << random.u8(..4) };
        let whole = ground.range(start & !(window - 1), window);
        let (start, last) = (range.start(), range.last());
        // What is changed is mostly something that is there.
        let there = random.choice(earlier).filter(|_| random.u8(..4) != 0).map_or(range, Edit::range);
        let (first_there, last_there) = (there.start(), there.last());
        let size = ground.sizes[random.usize(..ground.sizes.len())].min(block);
        match random.u8(..15) {
            0 | 1 => Edit::Unmap(start, last),
            2 => Edit::Protect(start, last, rights),
            3 => Edit::Protect(first_there, last_there, rights),
            4 | 5 => Edit::Split(start, last, ground.sizes[random.usize(..ground.sizes.len())]),
            6 => Edit::Collapse(whole.start(), whole.last()),
            7 => Edit::Harvest(whole.start(), whole.last()),
            8 => Edit::ProtectAndHarvest(first_there, last_there, rights),
            9 | 10 => {
                let part = ground.range(first_there & !0 << size, 1 << size);
                Edit::Relax(part.start(), part.last(), size)
            }
            11 => Edit::FaultIn(start, start + (page - 1), oa, rights, memory),
            _ => Edit::Map(start, last, oa, rights, memory),
        }
    };
    let mut edits = Vec::new();
    for _ in 0..EDITS {
        edits.push(edit(&edits, random));
    }
    edits
}

/// Runs random programs, and those that were found before.
pub(super) fn conforms<F: ByName, J: Live>(setup: &Setup<F>, judge: &mut J) -> Result<usize, Failed> {
    let ground = live::ground(setup, judge);
    let mut random = Rng::with_seed(SEED);
    let found = FOUND.iter().filter(|(name, _)| *name == setup.name).map(|(_, found)| found());
    let programs = (0..PROGRAMS).map(|_| program(&ground, &mut random)).chain(found);
    let mut asked = 0;
    for edits in programs {
        match run(setup, judge, &edits, Hearing::Good) {
            Ok(probes) => asked += probes,
            Err(_) => return Err(told(setup, judge, edits).into()),
        }
    }
    Ok(asked)
}

/// Runs a program; how many probes were judged, or what is wrong after which edit.
pub(super) fn run<F: ByName, J: Live>(
    setup: &Setup<F>,
    judge: &mut J,
    edits: &[Edit],
    hearing: Hearing,
) -> Result<usize, (usize, String)> {
    let mut rig = Rig::new(setup, judge, hearing).map_err(|error| (0, error))?;
    for (number, edit) in edits.iter().enumerate() {
        rig.step(edit).map_err(|wrong| (number, wrong))?;
    }
    Ok(rig.asked())
}

/// The negative control: with invalidations missing, some program must be caught.
pub(super) fn is_caught<F: ByName, J: Live>(
    setup: &Setup<F>,
    judge: &mut J,
    hearing: Hearing,
) -> Result<usize, Failed> {
    let ground = live::ground(setup, judge);
    let mut random = Rng::with_seed(SEED);
    let mut asked = 0;
    for _ in 0..PROGRAMS {
        match run(setup, judge, &program(&ground, &mut random), hearing) {
            Ok(probes) => asked += probes,
            // Only the MMU was not told.
            Err((_, wrong))
                if ["a stale translation", "the MMU is wrong"].iter().any(|what| wrong.starts_with(what)) =>
            {
                return Ok(asked + 1);
            }
            Err((_, wrong)) => return Err(wrong.into()),
        }
    }
    Err(format!("nobody noticed: {hearing:x?}").into())
}

/// The smallest program found that fails, as a test to paste.
fn told<F: ByName, J: Live>(setup: &Setup<F>, judge: &mut J, mut edits: Vec<Edit>) -> String {
    let mut wrong = String::new();
    loop {
        // What comes after the failure is of no account.
        match run(setup, judge, &edits, Hearing::Good) {
            Ok(_) => break,
            Err((number, why)) => {
                edits.truncate(number + 1);
                wrong = why;
            }
        }
        let without = |index| [&edits[..index], &edits[index + 1..]].concat();
        let shorter =
            (0..edits.len()).rev().map(without).find(|fewer| run(setup, judge, fewer, Hearing::Good).is_err());
        match shorter {
            Some(fewer) => edits = fewer,
            None => break,
        }
    }
    let mut code = String::new();
    for edit in &edits {
        let _ = writeln!(code, "            {},", rust(edit));
    }
    format!(
        "{wrong}\nseed {SEED:#x}, configuration {}; shrunk, to be pasted into `FOUND` of conformance/sequence.rs:\n    \
         (\"{}\", || {{\n        vec![\n{code}        ]\n    }}),",
        setup.name, setup.name
    )
}

/// An edit as Rust code.
fn rust(edit: &Edit) -> String {
    let rights = |rights: Rights| format!("Rights::from_bits_truncate({:#x})", rights.bits());
    match *edit {
        Edit::Map(start, last, oa, access, memory) => {
            format!("Edit::Map({start:#x}, {last:#x}, {oa:#x}, {}, MemoryType::{memory:?})", rights(access))
        }
        Edit::Unmap(start, last) => format!("Edit::Unmap({start:#x}, {last:#x})"),
        Edit::Protect(start, last, access) => format!("Edit::Protect({start:#x}, {last:#x}, {})", rights(access)),
        Edit::Split(start, last, size) => format!("Edit::Split({start:#x}, {last:#x}, {size})"),
        Edit::Collapse(start, last) => format!("Edit::Collapse({start:#x}, {last:#x})"),
        Edit::Harvest(start, last) => format!("Edit::Harvest({start:#x}, {last:#x})"),
        Edit::ProtectAndHarvest(start, last, access) => {
            format!("Edit::ProtectAndHarvest({start:#x}, {last:#x}, {})", rights(access))
        }
        Edit::Relax(start, last, size) => format!("Edit::Relax({start:#x}, {last:#x}, {size})"),
        Edit::FaultIn(start, last, oa, access, memory) => {
            format!("Edit::FaultIn({start:#x}, {last:#x}, {oa:#x}, {}, MemoryType::{memory:?})", rights(access))
        }
    }
}
