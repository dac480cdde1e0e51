//! Guest memory by virtual addresses, through random tables. The result must be that of the interpreter of format
//! files, which shares no code with the library.

use std::fmt::Debug;

use fastrand::Rng;
use tablewright::{
    Attributes, ByName, EntryWord, Format, GuestFault, GuestMemoryAccessor, GuestTables, GuestVirtAddr, MemoryType,
    Rights, Stage1Cause, Stage1Fault, Stage1Report, VirtFault,
    aarch64::{stage1_4k, stage1_16k, stage1_64k},
    riscv64::{sv, sv32},
    sim::Bound,
    x86_64::{legacy, long_mode, pae},
};
use tablewright_archdefs::{
    bound::BoundMeaning,
    interpret::{Decoded, Walk},
    model::Facts,
};

use tablewright_tests::{
    formats::configured,
    laws::{Interpreted, Subject},
};

use big_endian::stage1_4k as stage1_ee;
use m68040::{m68040_4k, m68040_8k};

use crate::rig::{READ, RW, Rig, gpa};
use crate::witness::DIRECT;

tablewright::page_table_format! { mod big_endian = "arch/stage1_ee.toml" }
tablewright::page_table_format! { mod sv32_be = "arch/sv32_be.toml" }
tablewright::page_table_format! { mod short = "arch/short.toml" }
tablewright::page_table_format! { mod srmmu = "arch/srmmu.toml" }
tablewright::page_table_format! { mod m68040 = "arch/m68040.toml" }

/// Where the guest has its memory.
const BASE: usize = 0x40_0000;
/// log2 of the size of each table and page of it: the largest that any format needs.
const CHUNK: u8 = 16;
const CHUNKS: usize = 8;
/// The chunk that the guest may only read.
const READ_ONLY: usize = CHUNKS - 1;

fn chunk(number: usize) -> u64 {
    (BASE + (number << CHUNK)) as u64
}

/// Where the root is: as guests may have it, aligned to what its entries take and to no more.
fn root(bound: &Bound) -> u64 {
    chunk(0) + (1 << bound.geometry.root_entries_bits()) % (1 << CHUNK)
}

/// A guest with memory full of entries that lead somewhere, often into each other.
fn guest_with_tables<F: Format>(format: &F, random: &mut Rng) -> (Rig<impl Format>, Vec<u64>) {
    let mut rig = Rig::new(DIRECT);
    rig.space.map_alloc(gpa(BASE), CHUNKS << CHUNK, RW, true).unwrap();
    rig.space.map_device(gpa(BASE + (CHUNKS << CHUNK)), 1 << CHUNK, 1).unwrap();
    let levels = format.geometry().levels;
    let words: Vec<u64> = (0..CHUNKS << (CHUNK - 3))
        .map(|word| {
            // Each chunk is mostly of one level, so that walks get down; the root's is the first.
            let level = if random.u8(..8) == 0 {
                random.u8(..levels)
            } else {
                levels.saturating_sub(1 + (word >> (CHUNK - 3)) as u8 % levels)
            };
            let mut place = |word, slot| F::Word::set(word, slot, entry(format, level, random));
            (0..8).step_by(1 << F::Word::SIZE).fold(0, &mut place)
        })
        .collect();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    rig.space.write_buffer(gpa(BASE), &bytes).unwrap();
    rig.space.protect(gpa(chunk(READ_ONLY) as usize), 1 << CHUNK, READ).unwrap();
    (rig, words)
}

/// A table entry, a leaf, or noise.
fn entry<F: Format>(format: &F, level: u8, random: &mut Rng) -> u64 {
    let levels = usize::from(format.geometry().levels);
    let below = usize::from(format.geometry().top() - level) + 1;
    let target = match random.u8(..16) {
        // Into a table of any level, the device, or nothing.
        0 => chunk(random.usize(..CHUNKS + 2)),
        1 => chunk(READ_ONLY),
        _ => chunk(below % levels),
    };
    match random.u8(..16) {
        0 => 0,
        1 => random.u64(..),
        2..=9 if level > 0 => {
            format.table(level, target).unwrap_or(0) | if random.u8(..4) == 0 { 1 << random.u8(..64) } else { 0 }
        }
        _ => {
            let sizes: Vec<u8> = format.page_sizes(level).iter().collect();
            let Some(&size) = sizes.get(random.usize(..sizes.len().max(1))) else { return 0 };
            let rights = if random.bool() { Rights::RWX } else { Rights::from_bits_truncate(random.u8(..)) };
            let attributes = Attributes {
                accessed: random.u8(..4) != 0,
                dirty: random.bool(),
                ..Attributes::new(rights, MemoryType::WriteBack)
            };
            let Ok(prototype) = format.prototype(level, size, &attributes) else { return 0 };
            format.strip(prototype, target >> size << size, 1).first
        }
    }
}

/// What an access comes to, by the interpreter: the entry that it ends at, and the address or the fault.
fn expected(bound: &Bound, words: &[u64], ia: u64, access: Rights, controls: &[u64]) -> (u64, Result<u64, VirtFault>) {
    let word = |slot: u64| words.get((slot.checked_sub(BASE as u64)? / 8) as usize).copied();
    let mut steps = Vec::new();
    let walk =
        bound.walk_from(bound.start(root(bound)), ia, word, |step| steps.push((step.level, step.slot, step.raw)));
    let top = bound.geometry.top();
    let (level, slot, raw) = steps.pop().unwrap_or((top, 0, 0));
    let refuse = |level, cause| (slot, Err(VirtFault::Stage1 { level, cause }));
    let found = match walk {
        Walk::Translated(found) => found,
        Walk::NotMapped { level } => return refuse(level, Stage1Cause::NotMapped),
        Walk::InputTooWide => return refuse(top, Stage1Cause::Input),
        // Which rule is named first, is for the differential tests of decoding.
        Walk::Reserved { level, .. } => return refuse(level, Stage1Cause::Reserved("")),
        Walk::ReadFailed { address, .. } => {
            let device = address < chunk(CHUNKS + 1) && address >= chunk(CHUNKS);
            let fault = if device { GuestFault::Device } else { GuestFault::NotMapped };
            return (address, Err(VirtFault::Walk { entry: gpa(address as usize), fault }));
        }
    };
    let write = access.intersects(Rights::W);
    let missing = |state| keeps(bound, level, raw, state) && !found.facts.contains(state);
    let unmarked = missing(Facts::ACCESSED) || write && missing(Facts::DIRTY);
    let needs = Facts::from_bits_truncate(access.bits());
    // The tool says so without tables.
    let is_stopped = bound.stops(level, raw, found.facts & Facts::RIGHTS, needs, controls).is_some();
    let may = bound.permits(level, raw, found.facts & Facts::RIGHTS, needs, controls);
    assert_eq!(is_stopped, !may || unmarked && !bound.hardware);
    if missing(Facts::ACCESSED) && !bound.hardware {
        refuse(level, Stage1Cause::NotMarked)
    } else if !may {
        refuse(level, Stage1Cause::Denied)
    } else if unmarked && !bound.hardware {
        refuse(level, Stage1Cause::NotMarked)
    } else if let Some(slot) =
        marked(bound, &steps).chain(unmarked.then_some(slot)).find(|slot| *slot >= chunk(READ_ONLY))
    {
        (slot, Err(VirtFault::Walk { entry: gpa(slot as usize), fault: GuestFault::Denied }))
    } else {
        (slot, Ok(found.address))
    }
}

/// The slots of entries for tables among these steps (level, slot, value) that a walk through them marks.
fn marked<'a>(bound: &'a Bound, steps: &'a [(u8, u64, u64)]) -> impl Iterator<Item = u64> + 'a {
    let unmarked = |(level, _, raw): &&(u8, u64, u64)| bound.table_accessed(*level) & !raw != 0;
    steps.iter().filter(unmarked).map(|(_, slot, _)| *slot)
}

/// Whether leaves like this one have a place for that state.
fn keeps(bound: &Bound, level: u8, raw: u64, state: Facts) -> bool {
    let shape = bound.level(level).and_then(|level| level.leaf_shape(raw));
    shape.is_some_and(|(_, shape)| {
        shape
            .fields
            .iter()
            .any(|field| matches!(&field.meaning, BoundMeaning::Rights(_, speaks) if speaks.contains(state)))
    })
}

/// A random access, with random registers, to addresses that are mapped as likely as not.
fn random_access<F: Format>(format: &F, random: &mut Rng) -> (u64, Rights) {
    let rights = [Rights::PR, Rights::PW, Rights::PX, Rights::UR, Rights::UW, Rights::UX];
    let access = rights[random.usize(..rights.len())];
    let ia = random.u64(..) & format.geometry().last_input();
    (if random.u8(..16) == 0 { random.u64(..) } else { format.geometry().extend(ia) }, access)
}

/// What the interpreter reports of a fault.
fn raised(
    subject: &Interpreted,
    words: &[u64],
    (address, access): (u64, Rights),
    fault: Result<u64, VirtFault>,
    controls: &[u64],
) -> Option<Vec<u64>> {
    let Err(VirtFault::Stage1 { level, cause }) = fault else { return None };
    let mut entry = 0;
    let word = |slot: u64| words.get((slot.checked_sub(BASE as u64)? / 8) as usize).copied();
    let walk = subject.0.walk_from(subject.0.start(root(&subject.0)), address, word, |step| entry = step.raw);
    let granted = if let Walk::Translated(found) = walk { found.facts } else { Facts::empty() };
    let granted = Rights::from_bits_truncate(granted.bits());
    subject.raise(&Stage1Fault { address, access, cause, level, entry, granted }, controls)
}

fn agrees<F: ByName<Report: PartialEq + Debug>>(bound: &Bound, format: &F) -> usize {
    let registers = size_of::<F::Controls>() / size_of::<u64>();
    let mut random = Rng::with_seed(0x6e57);
    let interpreted = Interpreted(bound.clone());
    let (rig, mut words) = guest_with_tables(format, &mut random);
    let mut translated = 0;
    let is_marked = |level| bound.table_accessed(level) != 0;
    let only_below_root = !is_marked(bound.geometry.top()) && (0..bound.geometry.top()).any(is_marked);
    for _ in 0..20_000 {
        let (ia, access) = random_access(format, &mut random);
        let values: Vec<u64> = (0..registers).map(|_| random.u64(..) & random.u64(..)).collect();
        let controls = F::controls(&values).expect("as many as registers");
        let tables = GuestTables::new(&rig.space, format, gpa(root(bound) as usize), controls);
        let mut found = tables.translate(GuestVirtAddr::from_usize(ia as usize), access);
        if let Err(VirtFault::Stage1 { cause: Stage1Cause::Reserved(rule), .. }) = &mut found {
            *rule = "";
        }
        let (slot, wanted) = expected(bound, &words, ia, access, &values);
        let address = found.map(|found| found.address.as_usize() as u64);
        assert_eq!(address, wanted, "{ia:#x} for {access} under {values:x?}, by the entry at {slot:#x}");
        // Up to one that cannot be written, all are marked, as MMUs do it.
        let cannot_mark = matches!(wanted, Err(VirtFault::Walk { fault: GuestFault::Denied, .. }));
        if wanted.is_ok() || cannot_mark {
            let on_the_way = tables_on_the_way(bound, &words, ia).into_iter();
            for (level, slot) in on_the_way.take_while(|(_, on_the_way)| !cannot_mark || *on_the_way != slot) {
                words[(slot as usize - BASE) / 8] |= F::Word::set(0, slot, bound.table_accessed(level));
            }
        }
        // Where entries of the root have no marks, one that is in another table, too, is illegal once it is marked there.
        let is_spoiled = |words: &[u64]| only_below_root && expected(bound, words, ia, access, &values).1 != wanted;
        let told = tables.report(GuestVirtAddr::from_usize(ia as usize), access);
        let Ok(_) = wanted else {
            if is_spoiled(&words) {
                continue;
            }
            let raised = raised(&interpreted, &words, (ia, access), wanted, &values);
            let cause = match wanted {
                Err(VirtFault::Stage1 { cause, .. }) => Some(cause),
                _ => None,
            };
            let told = match told {
                Stage1Report::Fault(report) => (Some(report), cause),
                Stage1Report::Another(Stage1Cause::Reserved(_)) => (None, Some(Stage1Cause::Reserved(""))),
                Stage1Report::Another(cause) => (None, Some(cause)),
                Stage1Report::Retry => (None, None),
            };
            let expected = (raised.and_then(|values| F::report(&values)), cause);
            assert_eq!(told, expected, "{ia:#x} for {access} under {values:x?}, by the entry at {slot:#x}");
            continue;
        };
        translated += 1;
        let index = (slot as usize - BASE) / 8;
        let (old, new) = (words[index], rig.space.read_volatile::<u64>(gpa(slot as usize & !7)).unwrap());
        let [was, is] = [old, new].map(|word| F::Word::get(word, slot));
        marked_only(bound, leaf_level(bound, &words, ia), was, is, access);
        words[index] = new;
        if is_spoiled(&words) {
            continue;
        }
        assert_eq!(told, Stage1Report::Retry, "{ia:#x} for {access} is allowed");
        let (_, again) = expected(bound, &words, ia, access, &values);
        assert_eq!(again, wanted, "{ia:#x}: the marks changed what is translated");
    }
    let mut bytes = vec![0; words.len() * 8];
    rig.space.read_buffer(gpa(BASE), &mut bytes).unwrap();
    let read: Vec<u64> = bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect();
    assert!(read == words, "something else was written");
    translated
}

/// Level and slot of each entry for a table that the walk to a leaf goes through.
fn tables_on_the_way(bound: &Bound, words: &[u64], ia: u64) -> Vec<(u8, u64)> {
    let word = |slot: u64| words.get((slot.checked_sub(BASE as u64)? / 8) as usize).copied();
    let mut steps = Vec::new();
    bound.walk_from(bound.start(root(bound)), ia, word, |step| steps.push((step.level, step.slot)));
    steps.pop();
    steps
}

/// The level of the leaf.
fn leaf_level(bound: &Bound, words: &[u64], ia: u64) -> u8 {
    let word = |slot: u64| words.get((slot.checked_sub(BASE as u64)? / 8) as usize).copied();
    match bound.walk(root(bound), ia, word) {
        Walk::Translated(found) => found.level,
        other => panic!("{other:?}"),
    }
}

/// `new` says what `old` does, and that it was accessed, or written.
fn marked_only(bound: &Bound, level: u8, old: u64, new: u64, access: Rights) {
    let (Decoded::Leaf(before), Decoded::Leaf(after)) = (bound.decode(level, old), bound.decode(level, new)) else {
        panic!("{old:#x} became {new:#x}");
    };
    let written = if access.intersects(Rights::W) { Facts::DIRTY } else { Facts::empty() };
    let kept = [Facts::ACCESSED, Facts::DIRTY]
        .into_iter()
        .filter(|state| keeps(bound, level, old, *state))
        .fold(Facts::empty(), |kept, state| kept | state);
    assert_eq!(after.facts, before.facts | (Facts::ACCESSED | written) & kept, "{old:#x} became {new:#x}");
    let rest = |leaf: &tablewright_archdefs::interpret::LeafEntry| (leaf.address, leaf.size, leaf.memory, leaf.options);
    assert_eq!(rest(&after), rest(&before), "{old:#x} became {new:#x}");
}

macro_rules! judged {
    ($($test:ident: $module:ident($levels:literal, $bits:literal), $file:literal, [$($row:literal)+];)+) => {$(
        #[test]
        fn $test() {
            let (mut translated, cases) = (0, configured($file));
            for row in [$($row),+] {
                let bound = &cases.iter().find(|case| case.config.id.value == row).expect("such a row").bound;
                let mut config = $module::Config::new($levels, $bits);
                assert!(bound.params.iter().all(|(name, value)| config.set(name, value)), "{row}");
                translated += agrees(bound, &$module::Format::new(&config).expect("a legal configuration"));
            }
            assert!(translated > 500, "only {translated} accesses were translated");
        }
    )+};
}

judged! {
    long_mode_is_walked_as_its_file_says: long_mode(4, 48), "long_mode", ["server" "baseline" "five-level"];
    pae_is_walked_as_its_file_says: pae(3, 32), "pae", ["plain" "nx" "wide"];
    legacy_is_walked_as_its_file_says: legacy(2, 32), "legacy", ["pages-only" "blocks" "wide-blocks"];
    stage1_4k_is_walked_as_its_file_says: stage1_4k(4, 48), "stage1", ["4k-48" "4k-39-dirty" "4k-vhe" "4k-upper" "4k-lpa2"];
    stage1_16k_is_walked_as_its_file_says: stage1_16k(4, 48), "stage1", ["16k-48" "16k-vhe-upper"];
    stage1_64k_is_walked_as_its_file_says: stage1_64k(2, 42), "stage1", ["64k-42" "64k-52"];
    big_endian_tables_are_walked_as_their_file_says: stage1_ee(4, 48), "stage1_ee", ["4k-48" "4k-39-dirty" "4k-upper"];
    sv32_is_walked_as_its_file_says: sv32(2, 32), "sv32", ["sv32" "sv32-rich"];
    sv32_be_is_walked_as_its_file_says: sv32_be(2, 32), "sv32_be", ["sv32" "sv32-rich"];
    short_is_walked_as_its_file_says: short(2, 32), "short", ["plain" "lower" "remapped" "flagged"];
    srmmu_is_walked_as_its_file_says: srmmu(3, 32), "srmmu", ["narrow" "wide"];
    m68040_4k_is_walked_as_its_file_says: m68040_4k(3, 32), "m68040", ["4k"];
    m68040_8k_is_walked_as_its_file_says: m68040_8k(3, 32), "m68040", ["8k"];
    sv_is_walked_as_its_file_says: sv(3, 39), "sv", ["sv39" "sv39-rich" "sv48" "sv57"];
}

/// Intel SDM Vol. 3A, Accessed and Dirty Flags: whatever entry a translation uses, the flag is in bit 5.
#[test]
fn long_mode_marks_all_entries_on_the_way_of_an_access_that_is_allowed() {
    let mut rig = Rig::new(DIRECT);
    rig.space.map_alloc(gpa(BASE), 0x5000, RW, true).unwrap();
    let format = long_mode::Format::new(&long_mode::Config::new(4, 48)).unwrap();
    let place = |number: usize| BASE + (number << 12);
    for (number, flags) in [0b111, 0b111, 0b111, 0b101].into_iter().enumerate() {
        rig.space.write_obj(gpa(place(number)), (place(number + 1) | flags) as u64).unwrap();
    }
    let entries = || [0, 1, 2, 3].map(|number| rig.space.read_volatile::<u64>(gpa(place(number))).unwrap() & 0xfff);
    let tables = GuestTables::new(&rig.space, &format, gpa(BASE), long_mode::Controls::default());

    let write = tables.translate(GuestVirtAddr::from_usize(0x123), Rights::UW);
    assert_eq!(write, Err(VirtFault::Stage1 { level: 0, cause: Stage1Cause::Denied }));
    assert_eq!(entries(), [0b111, 0b111, 0b111, 0b101]);
    let read = tables.translate(GuestVirtAddr::from_usize(0x123), Rights::UR).unwrap();
    assert_eq!(read.address.as_usize(), place(4) + 0x123);
    assert_eq!(entries(), [0b10_0111, 0b10_0111, 0b10_0111, 0b10_0101]);
}
