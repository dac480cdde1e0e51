//! Random programs of edits on a table in use, each edit followed by probes at edges. One that fails is shrunk, and
//! printed as Rust code to paste into [`FOUND`].

use std::fmt::Write as _;

use fastrand::Rng;
use libtest_mimic::Failed;
use tablewright::{ByName, MemoryType, Rights};

use super::edit::{Edit, rust};
use super::live::{self, Hearing, Live, Rig};
use super::{Ground, Setup};

/// How many edits a program has, and how many programs each configuration runs.
const EDITS: usize = 25;
const PROGRAMS: u64 = 6;

/// The seed of the random numbers.
const SEED: u64 = 0xed17;

/// A configuration, and a program to run under it.
type Found = (&'static str, fn() -> Vec<Edit>);

/// Programs that once failed under a configuration, in these tests or while they were tested.
const FOUND: &[Found] = &[
    // A page of a block that is mapped anew was not marked accessed before it was asked about.
    ("sv39x4", || {
        vec![
            Edit::Map(0x85_3e60_0000, 0x85_3e6f_ffff, 0x8160_0000, Rights::R, MemoryType::WriteBack),
            Edit::Map(0x85_3e60_0000, 0x85_3e60_ffff, 0x8160_0000, Rights::RX, MemoryType::Inherit),
        ]
    }),
];

/// A random program.
fn program(ground: &Ground, random: &mut Rng) -> Vec<Edit> {
    let page = 1_u64 << ground.geometry.page_bits;
    let block = ground.block(4);
    let window = (2_u64 << block).min(1 << ground.reach.min(63));
    let last_window = (1_u64 << ground.reach.min(63)) / window - 1;
    let windows = [0, random.u64(0..=last_window), last_window].map(|index| index * window);
    // Ranges of pages, and of whole tables.
    let tables = 1..ground.geometry.levels.min(3);
    let tables: Vec<u8> =
        tables.map(|level| ground.geometry.entry_bits(level)).filter(|size| *size < ground.reach).collect();
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
        // Mostly, something that is mapped is changed.
        let there = random.choice(earlier).filter(|_| random.u8(..4) != 0).map_or(range, Edit::place);
        let (first_there, last_there) = (there.start(), there.last());
        let size = ground.sizes[random.usize(..ground.sizes.len())].min(block);
        match random.u8(..18) {
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
            12 | 13 => {
                let part = ground.range(first_there, (there.span() + 1).min(window));
                let to = start.min(whole.last() - part.span());
                Edit::Move(part.start(), part.last(), to)
            }
            // A whole table, or a block in its place.
            14 if !tables.is_empty() => {
                let size = tables[random.usize(..tables.len())];
                let [from, to] = [first_there, start].map(|inside| ground.range(inside & !0 << size, 1 << size));
                Edit::Move(from.start(), from.last(), to.start())
            }
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

/// Runs a program. Returns how many probes were judged, or what is wrong after which edit.
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

/// The negative control: without invalidations, some program must fail.
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
            // Only the MMU must be wrong.
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
        // Edits after the failure do not matter.
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
