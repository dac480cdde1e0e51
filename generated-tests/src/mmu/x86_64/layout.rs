//! The stub's own memory: where it is, and the page tables of host and guest that the ROM brings along.
//!
//! The host identity-maps the first 4 GiB. The guest has the same linear addresses for the stub's own 2 MiB, and a
//! *window*, one page whose only entry is rewritten for each probe. What the guest's page tables lie in must itself be
//! mapped by the EPT under test, so the stub puts an *overlay* into one entry of its root for the moment of the probe:
//! an entry that the probed address does not use. There are two sets of guest tables, for an overlay in root entry 0
//! and in root entry 1; with 40 bits of physical address there are no others.

use std::ops::Range;

/// Size of the emulated PC's memory.
pub(super) const RAM_SIZE: u64 = 512 << 20;

/// The last 2 MiB of memory are the stub's.
pub(super) const OWN: u64 = RAM_SIZE - (2 << 20);
/// What is free below it, above what a PC keeps to itself.
pub(super) const FREE: Range<u64> = 0x10_0000..OWN;
/// As much of the stub's memory is copied from the end of the ROM.
pub(super) const OWN_SIZE: u64 = 128 << 10;
/// Where the copy is in the ROM, which ends at 4 GiB.
pub(super) const OWN_IN_ROM: u64 = (4 << 30) - OWN_SIZE;

/// The operations: at the start of the largest ROM that Bochs takes.
pub(super) const PROGRAM: u64 = (4 << 30) - (2 << 20);
/// The most bytes they can be.
pub(super) const PROGRAM_SIZE: usize = (OWN_IN_ROM - PROGRAM) as usize;

const fn page(index: u64) -> u64 {
    OWN + index * PAGE
}

pub(super) const PAGE: u64 = 4096;

pub(super) const HOST_TOP: u64 = page(0);
const HOST_POINTERS: u64 = page(1);
const HOST_DIRECTORIES: [u64; 4] = [page(2), page(3), page(4), page(5)];
const GUEST_TABLES: [[u64; 3]; 2] = [[page(6), page(7), page(8)], [page(9), page(10), page(11)]];
const WINDOW_TABLE: u64 = page(12);
const OVERLAY_POINTERS: u64 = page(13);
const OVERLAY_DIRECTORY: u64 = page(14);
pub(super) const VMXON_REGION: u64 = page(15);
pub(super) const VMCS_REGION: u64 = page(16);
pub(super) const STACK_TOP: u64 = page(18);
/// The code is the last page, as the reset vector wants it.
pub(super) const CODE: u64 = page(31);

/// Linear address of the window. Its neighbours are not mapped, nor is address 0.
pub(super) const WINDOW: u64 = 0x20_0000;
/// Where its page-table entry is.
pub(super) const WINDOW_ENTRY: u64 = WINDOW_TABLE;

/// A present, writable entry of x86-64 paging, accessed and dirty already (SDM *4-Level Paging*).
const SUPERVISOR_ENTRY: u64 = 0x63;
/// The same for user mode too.
const ENTRY: u64 = SUPERVISOR_ENTRY | 1 << 2;
/// A 2 MiB page.
const LARGE: u64 = 1 << 7;

/// EPT: read, write, execute by supervisor and user addresses, accessed, dirty (SDM *EPT Translation Mechanism*).
const EPT_ENTRY: u64 = 0x707;
/// EPT: write-back and a 2 MiB page.
const EPT_LARGE: u64 = 0xb0;

/// What the stub puts into a root entry for the time of a probe.
pub(super) const OVERLAY_ENTRY: u64 = OVERLAY_POINTERS | EPT_ENTRY;

/// The root entry to lend to the overlay when `address` is probed, and the guest's CR3 with it.
pub(super) fn overlay_for(address: u64) -> (u64, u64) {
    let slot = u64::from(address >> 39 == 0);
    (slot, guest_physical(slot, GUEST_TABLES[slot as usize][0]))
}

/// The window's entry for a guest-physical page. A user-mode *address* is what execute rights by mode are about, so the
/// guest stays at privilege level 0.
pub(super) fn window_entry(page: u64, user: bool) -> u64 {
    page | if user { ENTRY } else { SUPERVISOR_ENTRY }
}

/// Where the guest sees something of the stub's own when the overlay is in root entry `slot`.
fn guest_physical(slot: u64, own: u64) -> u64 {
    (slot << 39) + (own - OWN)
}

/// What is copied from the end of the ROM: the page tables, and the page of code.
pub(super) fn own_memory(code: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; OWN_SIZE as usize];
    let mut put = |address: u64, bytes: &[u8]| {
        let at = (address - OWN) as usize;
        memory[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let mut set = |table: u64, index: u64, entry: u64| put(table + index * 8, &entry.to_le_bytes());

    set(HOST_TOP, 0, HOST_POINTERS | ENTRY);
    for (gigabyte, directory) in (0..).zip(HOST_DIRECTORIES) {
        set(HOST_POINTERS, gigabyte, directory | ENTRY);
        for index in 0..512 {
            set(directory, index, gigabyte << 30 | index << 21 | ENTRY | LARGE);
        }
    }
    for (slot, [top, pointers, directory]) in (0..).zip(GUEST_TABLES) {
        set(top, 0, guest_physical(slot, pointers) | ENTRY);
        set(pointers, 0, guest_physical(slot, directory) | ENTRY);
        set(directory, OWN >> 21, guest_physical(slot, OWN) | ENTRY | LARGE);
        set(directory, WINDOW >> 21, guest_physical(slot, WINDOW_TABLE) | ENTRY);
    }
    set(OVERLAY_POINTERS, 0, OVERLAY_DIRECTORY | EPT_ENTRY);
    set(OVERLAY_DIRECTORY, 0, OWN | EPT_ENTRY | EPT_LARGE);
    put(CODE, code);
    memory
}
