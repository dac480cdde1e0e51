//! A guest writes, its MMU marks pages dirty, and the library harvests, splits and collapses the same entries at the same
//! time: nothing may be lost. QEMU's MMU sets the states by compare-and-swap in memory that this process maps, too.
//!
//! What is kept is the promise of dirty logging: copy all pages, then those that each harvest found dirty; once the guest
//! has stopped, the copy is the guest's memory.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use tablewright::aarch64::stage2_4k;
use tablewright::riscv64::sv_x4;
use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageBitmap, PageTable, Rights, State, Tag};
use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::mmu::qemu::RunError;
use tablewright_tests::mmu::shared::SharedRam;
use tablewright_tests::mmu::{aarch64, riscv64};

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
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if require(Emulator::QemuRiscv64).is_none() {
        return;
    }
    let base = 0x8040_0000;
    let ram = riscv64::Machine::shared_ram(base..base + COUNTER).expect("memory");
    let mut machine = riscv64::Machine::start_in(&ram).expect("QEMU starts");
    let format = sv_x4::Format::new(&sv_x4::Config { svadu: true, ..sv_x4::Config::new(3, 41) }).expect("a format");
    let mut table = table(format, &ram, base);
    machine.set_gstage(&table.registers().expect("registers").by_name());
    migrate(&mut table, &ram, (base, Edits::Beside), |arguments, meanwhile| {
        machine.write_meanwhile(arguments, meanwhile)
    });
}

#[test]
fn nothing_is_lost_on_aarch64() {
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
    migrate(&mut table, &ram, (base, Edits::Between), |arguments, meanwhile| {
        machine.write_meanwhile(arguments, meanwhile)
    });
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
        2 => unsafe { table.collapse(whole(), &mut gather) }.expect("a range"),
        _ => {}
    }
}

/// Copies the guest's pages while `guest` writes them, round after round.
fn migrate<F: Format>(
    table: &mut PageTable<F, SharedRam>,
    ram: &SharedRam,
    (base, beside): (u64, Edits),
    mut guest: impl FnMut([u64; 3], &mut dyn FnMut()) -> Result<(), RunError>,
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

/// Copies what is found dirty; how many pages that was.
fn copy_dirty<F: Format>(table: &mut PageTable<F, SharedRam>, copy: &mut [u64], page: impl Fn(u64) -> u64) -> u64 {
    let mut words = vec![0; PageBitmap::words(whole(), 12)];
    let mut pages = PageBitmap::new(whole(), 12, &mut words).expect("whole pages");
    let mut gather = table.gather();
    table.harvest(State::Dirty, &mut pages, &mut gather).expect("dirty states");
    // What is still in the guest's TLB may be written without another mark.
    gather.flush();
    let dirty = (0..PAGES).filter(|&number| pages.contains(SEEN + (number << 12)));
    let mut count = 0;
    for number in dirty {
        copy[number as usize] = page(number);
        count += 1;
    }
    count
}
