//! Law 9 (see `random.rs`) for every built-in format and some others, in every configuration that its file names, with
//! the interpreter as the MMU. Also tests that depend on a format's leaves: that these are as large as possible, and
//! what becomes of parts of them.

use std::ops::Range;

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tablewright::{
    Attributes, ByName, Change, ClosedRange, Error, Format, Gather, Lookup, Mapping, MemoryType, PageTable, Rights,
    Tag, aarch64, loongarch64, riscv64, sim::Machine, x86_64,
};
use tablewright_tests::formats::{Configured, configured};

use crate::{
    crowded,
    random::{run_on, step},
    rig::Rig,
    rules,
    witness::{BREAKING, DIRECT, FLAT, FULL, SIGNED, SMALL, WIDE, Witness},
};

/// Runs random programs on all configurations of a format's file that belong to this format. Returns their number.
fn programs<F: ByName>(file_name: &str) -> usize {
    let mut of_this_format = 0;
    for Configured { config, bound, .. } in configured(file_name) {
        let mut of_format = F::config(0, 0);
        // The parameters of the module's build are fixed.
        if !config.set.iter().all(|(name, value)| F::set(&mut of_format, &name.value, value.value)) {
            continue;
        }
        let format = F::new(&of_format).expect("a legal configuration");
        let rules = rules::of(file_name, &bound);
        of_this_format += 1;
        largest_leaves(format, &config.id.value);
        like_the_first(format, &config.id.value);
        after_any_other(format, &config.id.value);
        one_like_two(format, &config.id.value);
        rights_come_and_go(format, &config.id.value);
        let random = || TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let settings = Config { cases: 2, failure_persistence: None, ..Config::default() };
        let result =
            TestRunner::new_with_rng(settings.clone(), random()).run(&prop::collection::vec(step(), 15..40), |steps| {
                run_on(Rig::judged(format, bound.clone(), rules), &steps);
                Ok(())
            });
        result.unwrap_or_else(|error| panic!("{}: {error}", config.id.value));
        let settings = Config { cases: 1, ..settings };
        let result = TestRunner::new_with_rng(settings, random()).run(&crowded::program(6..12), |program| {
            program.run(format, Some((&bound, rules)));
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{}: {error}", config.id.value));
    }
    of_this_format
}

/// Where both addresses allow a leaf of one entry at some level, one is used, however many smaller sizes there are.
fn largest_leaves<F: Format>(format: F, config: &str) {
    let geometry = format.geometry();
    let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
    let mut table = PageTable::new(format, Machine::new(0x4000_0000, 1 << 20), Tag(1)).expect("a root");
    for level in 0..geometry.levels {
        let size = geometry.entry_bits(level);
        let range = ClosedRange::around(geometry.extend(0), size);
        let inside = range.span() <= geometry.last_output() && range.span() < geometry.last_input();
        if !inside || format.prototype(level, size, &attributes).is_err() {
            continue;
        }
        let mut gather = table.gather();
        // SAFETY: nobody translates through this table.
        unsafe { table.map(range, 0, &attributes, &mut gather) }.expect("nothing in the way");
        let found = table.query(range.start());
        let whole = matches!(&found, Some(Lookup::Mapped(leaf)) if leaf.range.covers(&range));
        assert!(whole, "{config}: 2^{size} bytes at level {level} are mapped by {found:x?}");
        table.unmap(range, &mut gather).expect("whole leaves");
    }
}

/// The right to write is taken from many pages at once, and given back: nothing else changes.
fn rights_come_and_go<F: Format>(format: F, config: &str) {
    let (geometry, page) = (format.geometry(), 1 << F::PAGE_BITS);
    let mut table = PageTable::new(format, Machine::new(0x4000_0000, 1 << 20), Tag(1)).expect("a root");
    let mut gather = table.gather();
    let change = |rights| Change { rights: Some(rights), ..Change::default() };
    let pages = (geometry.last_input() >> F::PAGE_BITS).clamp(1, 100);
    let range = ClosedRange::from_start_size(geometry.extend(0), pages * page).expect("a page");
    let (rw, r) = (Attributes::new(Rights::RW, MemoryType::WriteBack), change(Rights::R));
    // By single pages: they begin at the second.
    // SAFETY: nobody translates through this table.
    let mapped = unsafe { table.map(range, page, &rw, &mut gather) };
    if mapped.is_err() || format.rewrite(0, &r).is_err() {
        return;
    }
    let say = |table: &PageTable<F, Machine>, rights: Rights| {
        let writes = |leaf: &Mapping| leaf.attributes.rights.intersects(Rights::W) == rights.intersects(Rights::W);
        let says = |leaf: &Mapping| leaf.address == page + (leaf.range.start() - range.start()) && writes(leaf);
        assert!(table.mappings(range).all(|leaf| says(&leaf)), "{config}: {rights:?}");
        assert_eq!(table.mappings(range).count() as u64, pages, "{config}");
    };
    say(&table, Rights::RW);
    table.protect(range, &r, &mut gather).expect("there are such pages");
    say(&table, Rights::R);
    table.protect(range, &change(Rights::RW), &mut gather).expect("there were such pages");
    say(&table, Rights::RW);
}

/// Whatever was translated before, an address translates to what is mapped there. An address outside the table's range
/// translates to nothing, and nothing can be mapped there.
fn after_any_other<F: Format>(format: F, config: &str) {
    let geometry = format.geometry();
    let mut kinds = [Rights::RW, Rights::RWX].map(|rights| Attributes::new(rights, MemoryType::WriteBack)).into_iter();
    let attributes = kinds.find(|page| format.prototype(0, F::PAGE_BITS, page).is_ok()).expect("such pages");
    let mut table = PageTable::new(format, Machine::new(0x4000_0000, 1 << 20), Tag(1)).expect("a root");
    let page = 1 << F::PAGE_BITS;
    // What is first in each table on the way to the last page, and that; and what the first two entries of the root
    // lead to, and the last but one.
    let last = geometry.last_input() & !(page - 1);
    let starts = (0..geometry.levels).map(|level| last & !geometry.slot(level, 0).last());
    let second = geometry.slot(geometry.top(), 0).last() + 1;
    let pages: Vec<u64> =
        [0, second, last.saturating_sub(second)].into_iter().chain(starts).map(|ia| geometry.extend(ia)).collect();
    let output =
        |ia: u64| pages.iter().position(|&other| other == ia & !(page - 1)).map(|at| at as u64 * 2 * page + ia % page);
    let mut gather = table.gather();
    for &ia in &pages {
        // SAFETY: nobody translates through this table.
        let done = unsafe { table.fault_in(ia, F::PAGE_BITS, output(ia).expect("one of them"), &attributes) };
        done.expect("tables");
    }
    for (&before, &first) in pages.iter().flat_map(|before| pages.iter().map(move |first| (before, first))) {
        // After any operation that may unlink tables, walks begin at the root.
        // SAFETY: no page becomes a larger one.
        unsafe { table.collapse(ClosedRange::around(first, F::PAGE_BITS), F::PAGE_BITS, &mut gather) }.expect("a page");
        let flipped = (0..64).map(|bit| first ^ 1 << bit);
        let others = flipped.chain(pages.iter().map(|ia| ia ^ !geometry.last_input()));
        for ia in [before, first].into_iter().chain(others.flat_map(|ia| [ia, ia ^ page])) {
            assert_eq!(table.translate(ia), output(ia), "{config}: {ia:#x} after {before:#x} and {first:#x}");
            if geometry.reduce(ClosedRange::around(ia, 0)).is_none() {
                for level in 0..geometry.levels {
                    // SAFETY: nobody translates through this table.
                    let done = unsafe { table.fault_in(ia, geometry.entry_bits(level), 0, &attributes) };
                    done.expect_err("no input address");
                }
            }
        }
    }
}

#[test]
fn after_any_other_in_formats_by_hand() {
    after_any_other(WIDE, "a wide root");
    after_any_other(BREAKING, "a concatenated root");
    after_any_other(SMALL, "small tables, of which a wide root is made");
    after_any_other(FULL, "all addresses");
    after_any_other(SIGNED, "two halves");
    after_any_other(FLAT, "one level");
}

/// Every operation that unlinks the table at which walks begin makes them begin at the root.
#[test]
fn no_walk_begins_at_a_table_that_is_gone() {
    type Edit = fn(&mut PageTable<Witness<12>, Machine>, ClosedRange, &mut Gather<Witness<12>, Machine>);
    let (gib, all) = (1_u64 << 30, ClosedRange::around(0, 30));
    let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
    let edits: [(Edit, [Option<u64>; 2]); 3] = [
        (|table, all, gather| table.unmap(all, gather).expect("whole leaves"), [None, None]),
        (|table, all, gather| table.move_range(all, 2 << 30, gather).expect("room"), [None, Some(gib)]),
        // SAFETY: no frame of it is freed.
        (|table, all, gather| unsafe { table.collapse(all, 30, gather) }.expect("alike"), [Some(gib), None]),
    ];
    for (edit, expected) in edits {
        let mut table = PageTable::new(DIRECT, Machine::new(0, 1 << 20), Tag(1)).expect("a root");
        let mut gather = table.gather();
        // SAFETY: nobody translates through this table.
        unsafe { table.map(all, gib, &attributes, &mut gather) }.expect("tables");
        table.split_to(all, 21, &mut gather).expect("a table");
        assert_eq!([0, gib / 2].map(|ia| table.translate(ia)), [Some(gib), Some(gib + gib / 2)]);
        edit(&mut table, all, &mut gather);
        gather.flush();
        assert_eq!([0, 2 * gib].map(|ia| table.translate(ia)), expected);
    }
}

/// Leaves of which a part changes, one after the other: what becomes of each is what becomes of it in a table of its own,
/// where none was split before.
fn like_the_first<F: Format>(format: F, config: &str) {
    let geometry = format.geometry();
    let (rw, r) = (Attributes::new(Rights::RW, MemoryType::WriteBack), Some(Rights::R));
    // Part of the leaf, in entries of the level below, and the rights there; none: it is unmapped. The last is longer than
    // runs are in most formats.
    let parts = [
        (5, 1, r),
        (5, 1, r),
        (17, 3, r),
        (0, 1, None),
        (511, 1, None),
        (5, 1, Some(Rights::RW)),
        (6, 1, r),
        (9, 90, r),
    ];
    for level in 1..geometry.levels {
        let (size, below) = (geometry.entry_bits(level), geometry.entry_bits(level - 1));
        // Not side by side, or they might be runs.
        let place = |number: usize| ClosedRange::around(geometry.extend((2 * number as u64) << size), size);
        let end = (2 * parts.len() as u64) << size;
        if end > geometry.last_input().min(geometry.last_output()) || format.prototype(level, size, &rw).is_err() {
            continue;
        }
        let map = |leaves: Range<usize>| {
            let machine = Machine::new(0x4000_0000, 16 << 20);
            let mut table = PageTable::new(format, machine.clone(), Tag(1)).expect("a root");
            let mut gather = table.gather();
            for number in leaves {
                let leaf = place(number);
                // One is unlike the others, and only what becomes of it is as before.
                let attributes = if number == 4 { Attributes { rights: Rights::R, ..rw } } else { rw };
                // SAFETY: nobody translates through this table.
                unsafe { table.map(leaf, leaf.start() & geometry.last_input(), &attributes, &mut gather) }
                    .expect("room");
            }
            drop(gather);
            machine.take_log();
            (table, machine)
        };
        let (mut together, log) = map(0..parts.len());
        let mut splits = 0;
        for (number, (entry, entries, rights)) in parts.into_iter().enumerate() {
            let leaf = place(number);
            let part =
                ClosedRange::from_start_size(leaf.start() + (entry << below), entries << below).expect("a range");
            let (mut alone, log_alone) = map(number..number + 1);
            let becomes = [(&mut together, &log), (&mut alone, &log_alone)].map(|(table, log)| {
                let mut gather = table.gather();
                let done = match rights {
                    Some(rights) => {
                        table.protect(part, &Change { rights: Some(rights), ..Change::default() }, &mut gather)
                    }
                    None => table.unmap(part, &mut gather),
                };
                let forgotten = gather.forgotten();
                drop(gather);
                (done, forgotten, log.take_log(), table.mappings(leaf).collect::<Vec<_>>())
            });
            assert_eq!(becomes[0], becomes[1], "{config}: {part:x?} of {leaf:x?}, {rights:?}");
            splits += alone.change_counts().splits;
        }
        assert_eq!(together.change_counts().splits, splits, "{config}");
    }
}

/// What becomes of one page that is changed by itself, as when it is changed together with the next.
fn one_like_two<F: Format>(format: F, config: &str) {
    let geometry = format.geometry();
    let mut kinds = [Rights::RW, Rights::RWX].map(|rights| Attributes::new(rights, MemoryType::WriteBack)).into_iter();
    let clean = kinds.find(|page| format.prototype(0, F::PAGE_BITS, page).is_ok()).expect("such pages");
    let clean = Attributes { dirty: false, ..clean };
    let page = 1 << F::PAGE_BITS;
    let all = ClosedRange::from_start_size(geometry.extend(0), 8 * page).expect("a range");
    if geometry.reduce(all).is_none() {
        return;
    }
    let one = ClosedRange::from_start_size(all.start() + 4 * page, page).expect("a range");
    let two = ClosedRange::from_start_size(one.start(), 2 * page).expect("a range");
    let change = |rights| Change { rights: Some(rights), ..Change::default() };
    let edit = |number, table: &mut PageTable<F, Machine>, range: ClosedRange, gather: &mut Gather<F, Machine>| {
        match number {
            0 => table.protect(range, &change(clean.rights.difference(Rights::W)), gather),
            1 => table.protect(range, &change(clean.rights), gather),
            2 => table.protect(range, &Change { memory: Some(MemoryType::Uncached), ..Change::default() }, gather),
            3 => table.unmap(range, gather),
            // Not by runs. SAFETY: nobody translates through this table.
            4 => unsafe { table.map(range, (range.start() & geometry.last_input()) + page, &clean, gather) },
            // SAFETY: as before.
            5 => unsafe { table.map(range, 0, &clean, gather) },
            6 => table.populate(range, &clean, 0, gather),
            _ => unreachable!("no such edit"),
        }
    };
    let mut tables = [one, two].map(|range| {
        let machine = Machine::new(0x4000_0000, 1 << 20);
        let mut table = PageTable::new(format, machine.clone(), Tag(1)).expect("a root");
        let mut gather = table.gather();
        edit(4, &mut table, all, &mut gather).expect("nothing in the way");
        drop(gather);
        table.mark(one.start(), true);
        (table, machine, range)
    });
    for number in [0, 1, 2, 4, 3, 6, 3, 4, 0, 5] {
        let becomes = tables.each_mut().map(|(table, machine, range)| {
            machine.take_log();
            let mut gather = table.gather();
            let done = edit(number, table, *range, &mut gather).map_err(|error| std::mem::discriminant(&error));
            let forgotten = gather.forgotten();
            drop(gather);
            let leaves = table
                .mappings(one)
                .map(|leaf| (leaf.range, leaf.attributes, number == 4 && leaf.address == leaf.range.start() + page));
            let is_whole = table.mappings(*range).count() as u64 * page == range.span() + 1;
            (done, forgotten, machine.take_log().len(), leaves.collect::<Vec<_>>(), is_whole)
        });
        assert_eq!(becomes[0], becomes[1], "{config}: edit {number}");
    }
    // What is wrong with it is told of one page as of many, and nothing changes.
    let (table, ..) = &mut tables[0];
    let mut others = PageTable::new(format, Machine::new(0x4000_0000, 1 << 20), Tag(1)).expect("a root").gather();
    let before: Vec<_> = table.mappings(all).collect();
    // One that is mapped, and one that is not.
    let ranges = [one, ClosedRange::around(all.last() + 1, F::PAGE_BITS)];
    let end = geometry.extend(geometry.last_input() & !(page - 1));
    for number in 0..7 {
        for range in ranges {
            assert_eq!(edit(number, table, range, &mut others), Err(Error::ForeignGather), "{config}: edit {number}");
            for (before, after) in [(8, 0), (0, 8), (0, page - 8)] {
                let part = ClosedRange::new(range.start() + before, range.last() + after).expect("a range");
                let mut gather = table.gather();
                let done = edit(number, table, part, &mut gather);
                assert!(
                    matches!(done, Err(Error::Misaligned { .. })),
                    "{config}: edit {number} of {part:x?}: {done:?}"
                );
            }
        }
        if let Some(beyond) = ClosedRange::from_start_size(end, 2 * page) {
            let mut gather = table.gather();
            let done = edit(number, table, beyond, &mut gather);
            assert_eq!(done, Err(Error::OutOfRange(beyond)), "{config}: edit {number}");
        }
    }
    assert_eq!(table.mappings(all).collect::<Vec<_>>(), before, "{config}");
}

#[test]
fn one_like_two_in_formats_by_hand() {
    one_like_two(WIDE, "a wide root");
    one_like_two(BREAKING, "a concatenated root");
    one_like_two(SIGNED, "two halves");
    one_like_two(FLAT, "one level");
    one_like_two(Witness { input_bits: 16, ..FLAT }, "a part of one level");
}

tablewright::page_table_format! { mod power = "arch/power.toml" }
tablewright::page_table_format! { mod s390 = "arch/s390.toml" }
tablewright::page_table_format! { mod big_endian = "arch/stage1_ee.toml" }
tablewright::page_table_format! { mod big_endian_nested = "arch/stage2_ee.toml" }
tablewright::page_table_format! { mod sv32_x4 = "arch/sv32_x4.toml" }
tablewright::page_table_format! { mod sv32_be = "arch/sv32_be.toml" }
tablewright::page_table_format! { mod short = "arch/short.toml" }
tablewright::page_table_format! { mod srmmu = "arch/srmmu.toml" }
tablewright::page_table_format! { mod m68040 = "arch/m68040.toml" }

/// Tests the format of a generated module.
macro_rules! law_9 {
    ($($test:ident: $($module:ident)::+ of $file:literal;)+) => {
        $(#[test]
        fn $test() {
            let configured = programs::<$($module)::+::Format>($file);
            assert!(configured > 0, "no configuration of this build");
        })+
    };
}

law_9! {
    ept: x86_64::ept of "ept";
    npt: x86_64::npt of "npt";
    long_mode: x86_64::long_mode of "long_mode";
    pae: x86_64::pae of "pae";
    legacy: x86_64::legacy of "legacy";
    vtd_first_stage: x86_64::vtd_first_stage of "vtd_first_stage";
    vtd_second_stage: x86_64::vtd_second_stage of "vtd_second_stage";
    amd_iommu_v1: x86_64::amd_iommu_v1 of "amd_iommu_v1";
    stage2_4k: aarch64::stage2_4k of "stage2";
    stage2_16k: aarch64::stage2_16k of "stage2";
    stage2_64k: aarch64::stage2_64k of "stage2";
    stage1_4k: aarch64::stage1_4k of "stage1";
    stage1_16k: aarch64::stage1_16k of "stage1";
    stage1_64k: aarch64::stage1_64k of "stage1";
    stage1_el2_4k: aarch64::stage1_el2_4k of "stage1_el2";
    stage1_el2_16k: aarch64::stage1_el2_16k of "stage1_el2";
    stage1_el2_64k: aarch64::stage1_el2_64k of "stage1_el2";
    smmu_v3_4k: aarch64::smmu_v3_4k of "smmu_v3";
    smmu_v3_16k: aarch64::smmu_v3_16k of "smmu_v3";
    smmu_v3_64k: aarch64::smmu_v3_64k of "smmu_v3";
    loongarch64_4k: loongarch64::loongarch64_4k of "loongarch64";
    loongarch64_16k: loongarch64::loongarch64_16k of "loongarch64";
    loongarch64_64k: loongarch64::loongarch64_64k of "loongarch64";
    riscv_iommu: riscv64::riscv_iommu of "riscv_iommu";
    riscv_iommu_first_stage: riscv64::riscv_iommu_first_stage of "riscv_iommu_first_stage";
    sv: riscv64::sv of "sv";
    sv32: riscv64::sv32 of "sv32";
    sv_x4: riscv64::sv_x4 of "sv_x4";
    power_4k: power::power_4k of "power";
    power_64k: power::power_64k of "power";
    s390_dat: s390 of "s390";
    big_endian_4k: big_endian::stage1_4k of "stage1_ee";
    big_endian_nested_4k: big_endian_nested::stage2_4k of "stage2_ee";
    entries_of_32_bits_below_a_wide_root: sv32_x4 of "sv32_x4";
    big_endian_entries_of_32_bits: sv32_be of "sv32_be";
    entries_of_32_bits_in_shared_runs: short of "short";
    big_endian_tables_of_two_sizes: srmmu of "srmmu";
    big_endian_tables_of_three_sizes_4k: m68040::m68040_4k of "m68040";
    big_endian_tables_of_three_sizes_8k: m68040::m68040_8k of "m68040";
}
