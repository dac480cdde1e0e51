//! A guest writes, its MMU marks pages dirty, and the library harvests, splits and collapses the same entries at the same
//! time: nothing may be lost. QEMU's MMU sets the states by compare-and-swap in memory that this process maps, too.
//!
//! What is kept is the promise of dirty logging: copy all pages, then those that each harvest found dirty; once the guest
//! has stopped, the copy is the guest's memory. Harvests of the accessed states between those must not undo a mark. That
//! the test would see it, the negative control shows, which takes the accessed states away by a load and a store.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use tablewright::aarch64::stage2_4k;
use tablewright::riscv64::sv_x4;
use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageBitmap, PageTable, Rights, State, Tag};
use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::mmu::qemu::RunError;
use tablewright_tests::mmu::shared::SharedRam;
use tablewright_tests::mmu::{aarch64, riscv};

/// One emulator at a time.
static TURN: Mutex<()> = Mutex::new(());

/// The guest's pages, where they are within free RAM, and where its counter is.
const PAGES: u64 = 64;
const TARGET: u64 = 0x200_0000;
const COUNTER: u64 = 0x100_0000;
/// Where the guest sees its pages: one block of 2 MiB.
const SEEN: u64 = 0x4000_0000;

/// How often the guest is started, and how often it is harvested each time while it writes.
const ROUNDS: u64 = 8;
const HARVESTS: u64 = 24;

#[test]
fn nothing_is_lost_on_riscv64() {
    on_riscv64(|table, ram, base, guest| migrate(table, ram, (base, Edits::Beside), guest));
}

#[test]
fn a_store_loses_marks_on_riscv64() {
    on_riscv64(lose);
}

#[test]
fn nothing_is_lost_on_aarch64() {
    on_aarch64(|table, ram, base, guest| migrate(table, ram, (base, Edits::Between), guest));
}

#[test]
fn a_store_loses_marks_on_aarch64() {
    on_aarch64(lose);
}

/// Runs the guest that writes its pages, with these arguments, and does something meanwhile.
type Guest<'a> = dyn FnMut([u64; 3], &mut dyn FnMut()) -> Result<(), RunError> + 'a;

fn on_riscv64(test: impl FnOnce(&mut PageTable<sv_x4::Format, SharedRam>, &SharedRam, u64, &mut Guest<'_>)) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if require(Emulator::QemuRiscv64).is_none() {
        return;
    }
    let base = 0x8040_0000;
    let ram = riscv::Machine::shared_ram(base..base + COUNTER).expect("memory");
    let mut machine = riscv::Machine::start_in(&ram).expect("QEMU starts");
    let format = sv_x4::Format::new(&sv_x4::Config { svadu: true, ..sv_x4::Config::new(3, 41) }).expect("a format");
    let mut table = table(format, &ram, base);
    machine.set_gstage(&table.registers().expect("registers").by_name());
    test(&mut table, &ram, base, &mut |arguments, meanwhile| machine.write_meanwhile(arguments, meanwhile));
}

fn on_aarch64(test: impl FnOnce(&mut PageTable<stage2_4k::Format, SharedRam>, &SharedRam, u64, &mut Guest<'_>)) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if require(Emulator::QemuAarch64).is_none() {
        return;
    }
    let base = 0x4040_0000;
    let ram = aarch64::Machine::shared_ram(base..base + COUNTER).expect("memory");
    let mut machine = aarch64::Machine::start_in(&ram).expect("QEMU starts");
    let config =
        stage2_4k::Config { pa_bits: 40, hardware_access: true, hardware_dirty: true, ..stage2_4k::Config::new(3, 39) };
    let mut table = table(stage2_4k::Format::new(&config).expect("a format"), &ram, base);
    machine.set_stage2(&table.registers().expect("registers").by_name());
    test(&mut table, &ram, base, &mut |arguments, meanwhile| machine.write_meanwhile(arguments, meanwhile));
}

fn whole() -> ClosedRange {
    ClosedRange::around(SEEN, 21)
}

/// A table with the guest's block, clean.
fn table<F: Format>(format: F, ram: &SharedRam, base: u64) -> PageTable<F, SharedRam> {
    let mut table = PageTable::new(format, ram.clone(), Tag(1)).expect("a table");
    let clean = Attributes { dirty: false, ..Attributes::new(Rights::RWX, MemoryType::WriteBack) };
    let mut gather = table.gather();
    // SAFETY: only the guest in the emulator translates through it, to memory that nobody else uses but by atomics.
    unsafe { table.map(whole(), base + TARGET, &clean, &mut gather) }.expect("room");
    drop(gather);
    table
}

/// When leaves are split and collapsed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edits {
    /// While the guest writes.
    Beside,
    /// Only while the guest stands still: QEMU's AT aborts if an entry is broken between its being read and its being
    /// marked (an assertion that there are no attributes of stage 2 after a fault).
    Between,
}

/// Splits the guest's block, then makes it one again, in turns.
fn change_size<F: Format>(table: &mut PageTable<F, SharedRam>, turn: u64) {
    let mut gather = table.gather();
    match turn % 4 {
        0 => table.split_to(whole(), 12, &mut gather).expect("room"),
        // SAFETY: the pages are never freed.
        2 => unsafe { table.collapse(whole(), u8::MAX, &mut gather) }.expect("a range"),
        _ => {}
    }
}

/// Copies the guest's pages while `guest` writes them, round after round.
fn migrate<F: Format>(
    table: &mut PageTable<F, SharedRam>,
    ram: &SharedRam,
    (base, beside): (u64, Edits),
    guest: &mut Guest<'_>,
) {
    let (count, end) = (ram.word(base + COUNTER), ram.word(base + COUNTER + 8));
    ram.hear_fences(base + COUNTER);
    let page = |page: u64| ram.word(base + TARGET + (page << 12)).load(Ordering::Acquire);
    let mut copy = vec![0; PAGES as usize];
    let mut found = 0;
    for round in 1..=ROUNDS {
        if beside == Edits::Between {
            change_size(table, round);
        }
        end.store(u64::MAX, Ordering::Release);
        let mut meanwhile = || {
            for harvest in 0..HARVESTS {
                ram.wait_for_fences(10);
                take(table, State::Accessed, || {}, |_| {});
                found += copy_dirty(table, &mut copy, page);
                if beside == Edits::Beside {
                    change_size(table, harvest);
                }
            }
            end.store(count.load(Ordering::Acquire) + 100, Ordering::Release);
        };
        guest([SEEN, base + COUNTER, round], &mut meanwhile).expect("the guest runs");
        copy_dirty(table, &mut copy, page);
        let now: Vec<u64> = (0..PAGES).map(page).collect();
        assert_eq!(copy, now, "round {round}: writes were lost");
    }
    assert!(found > 0, "nothing was found while the guest wrote");
}

/// The negative control: what the MMU marks dirty between the load and the store is lost. A later write would mark the page
/// again, so that the store comes when the guest has written its last.
fn lose<F: Format>(table: &mut PageTable<F, SharedRam>, ram: &SharedRam, base: u64, guest: &mut Guest<'_>) {
    let (count, end) = (ram.word(base + COUNTER), ram.word(base + COUNTER + 8));
    ram.hear_fences(base + COUNTER);
    change_size(table, 0);
    let lowest = table.tables().find(|info| info.level == 0).expect("a table of pages");
    let entry = |page: u64| ram.word(lowest.address.as_usize() as u64 + 8 * page);
    let page = |page: u64| ram.word(base + TARGET + (page << 12)).load(Ordering::Acquire);
    let states = table.format().accessed_dirty(0);
    let mut copy = vec![0; PAGES as usize];
    let mut lost = 0;
    for round in 1..=ROUNDS {
        let mut loaded = Vec::new();
        end.store(u64::MAX, Ordering::Release);
        let mut meanwhile = || {
            ram.wait_for_fences(10 * PAGES);
            let load = || loaded = (0..PAGES).map(|page| entry(page).load(Ordering::Acquire)).collect();
            take(table, State::Dirty, load, |number| copy[number as usize] = page(number));
            end.store(count.load(Ordering::Acquire) + 10 * PAGES, Ordering::Release);
        };
        guest([SEEN, base + COUNTER, round], &mut meanwhile).expect("the guest runs");
        for (page, raw) in (0..).zip(loaded).filter(|(_, raw)| states.is_accessed(*raw)) {
            entry(page).store(raw ^ states.accessed_mask, Ordering::Release);
        }
        copy_dirty(table, &mut copy, page);
        lost += (0..PAGES).filter(|&number| copy[number as usize] != page(number)).count();
    }
    assert!(lost > 0, "nobody noticed");
}

/// Copies what is found dirty; how many pages that was.
fn copy_dirty<F: Format>(table: &PageTable<F, SharedRam>, copy: &mut [u64], page: impl Fn(u64) -> u64) -> u64 {
    let mut count = 0;
    take(
        table,
        State::Dirty,
        || {},
        |number| {
            copy[number as usize] = page(number);
            count += 1;
        },
    );
    count
}

/// Takes a state away, does something at once, and then visits the pages that were in it.
fn take<F: Format>(table: &PageTable<F, SharedRam>, state: State, at_once: impl FnOnce(), visit: impl FnMut(u64)) {
    let mut words = vec![0; PageBitmap::words(whole(), 12)];
    let mut pages = PageBitmap::new(whole(), 12, &mut words).expect("whole pages");
    let mut gather = table.gather();
    table.harvest(state, &mut pages, &mut gather).expect("both states");
    at_once();
    // What is still in the guest's TLB may be written without another mark.
    gather.flush();
    (0..PAGES).filter(|&number| pages.contains(SEEN + (number << 12))).for_each(visit);
}
