//! The stub's own memory: where it is, and the page tables of host and guest that the ROM brings along.
//!
//! The host identity-maps the first 4 GiB. Where only nested tables are under test, the guest has the same linear
//! addresses for the stub's own 2 MiB, and a *window*, one page whose only entry is rewritten for each probe.
//!
//! The guest needs its code, which the tables under test do not map. So the stub puts an *overlay* into one entry of each
//! root for the moment of a probe: an entry that the probed address does not use, entry 1 or else entry 0. In the guest's
//! own root it leads to the guest tables here, in a nested root to the memory that all this is in.

use std::ops::Range;

use crate::mmu::pc;

/// Size of the emulated PC's memory. Every start tags all of it, which takes most of its time.
pub(super) const RAM_SIZE: u64 = 64 << 20;

/// The last 2 MiB of memory are the stub's.
pub(super) const OWN: u64 = RAM_SIZE - LARGE_PAGE;
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
const LARGE_PAGE: u64 = 2 << 20;

pub(super) const HOST_TOP: u64 = page(0);
const HOST_POINTERS: u64 = page(1);
const HOST_DIRECTORIES: [u64; 4] = [page(2), page(3), page(4), page(5)];
/// Top, pointers and directory of the guest, as it sees them where the overlay is in nested root entry 0 or 1, or where
/// nothing is nested.
const GUEST_TABLES: [[u64; 3]; 3] =
    [[page(6), page(7), page(8)], [page(9), page(10), page(11)], [page(12), page(13), page(14)]];
const NOT_NESTED: usize = 2;
const WINDOW_TABLE: u64 = page(15);
const OVERLAY_TOP: u64 = page(16);
const OVERLAY_POINTERS: u64 = page(17);
const OVERLAY_DIRECTORY: u64 = page(18);
/// Above the host's other tables, if it has five levels.
pub(super) const HOST_LEVEL_5: u64 = page(19);
/// Where the processor saves the state of the host: the VMXON region, or what VM_HSAVE_PA points to.
pub(super) const HOST_REGION: u64 = page(20);
/// The VMCS or VMCB.
pub(super) const GUEST_REGION: u64 = page(21);
/// Which root entries are lent to overlays: for each its address, and the entry that is not there now.
pub(super) const LENT: [u64; 2] = [page(22), page(22) + 16];
/// What is swapped where no root entry is.
pub(super) const NOWHERE: u64 = page(22) + 32;
pub(super) const STACK_TOP: u64 = page(24);
/// What goes to the disk next, and after it where the next word of that goes.
pub(super) const SECTOR: u64 = page(25);
pub(super) const NEXT_WORD: u64 = SECTOR + pc::SECTOR;
/// The command for that: what goes to registers of the disk, a byte each.
pub(super) const WRITE_SECTOR: u64 = NEXT_WORD + 8;
/// The code is the last page, as the reset vector wants it.
pub(super) const CODE: u64 = page(31);

/// Linear address of the window. Its neighbours are not mapped, nor is address 0.
pub(super) const WINDOW: u64 = LARGE_PAGE;
/// Where its page-table entry is.
pub(super) const WINDOW_ENTRY: u64 = WINDOW_TABLE;

/// Registers of the first ATA disk (ATA/ATAPI-4 *I/O register descriptions*): data; sector count, the first of six that
/// are written for a command; command, which reads as status; device control.
pub(super) const DISK_DATA: i32 = 0x1f0;
pub(super) const DISK_COUNT: i32 = 0x1f2;
pub(super) const DISK_STATUS: i32 = 0x1f7;
pub(super) const DISK_CONTROL: i32 = 0x3f6;
/// One sector, its number in three bytes, the first device by such a number, and the command that writes it.
pub(super) const WRITE_FIRST_SECTOR: u64 = 0x30e0_0000_0001;

/// A present, writable entry of x86-64 paging, accessed and dirty already (SDM *4-Level Paging*).
const SUPERVISOR_ENTRY: u64 = 0x63;
/// The same for user mode too.
const ENTRY: u64 = SUPERVISOR_ENTRY | 1 << 2;
/// A 2 MiB page.
const LARGE: u64 = 1 << 7;

/// EPT: read, write, execute by supervisor and user addresses, accessed, dirty (SDM *EPT Translation Mechanism*).
const EPT_ENTRY: u64 = 0x707;
/// EPT: write-back.
const EPT_WRITE_BACK: u64 = 6 << 3;

/// Which processor's virtualization the stub uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// Intel's, whose nested tables have a format of their own.
    Vmx,
    /// AMD's, whose nested tables are those of long mode, as deep as the host's.
    Svm {
        /// Whether the host has five levels.
        five_level: bool,
    },
}

impl Extension {
    /// log2 of what an entry of the nested root spans.
    fn nested_entry_bits(self) -> u32 {
        entry_bits(self == Self::Svm { five_level: true })
    }

    /// The root entry to lend when a guest-physical address is probed.
    pub(super) fn nested_slot(self, address: u64) -> u64 {
        u64::from(address >> self.nested_entry_bits() == 0)
    }

    /// What the stub puts into a nested root entry for the time of a probe.
    pub(super) fn nested_overlay(self) -> u64 {
        match self {
            Self::Vmx => OVERLAY_POINTERS | EPT_ENTRY,
            Self::Svm { five_level: false } => OVERLAY_POINTERS | ENTRY,
            Self::Svm { five_level: true } => OVERLAY_TOP | ENTRY,
        }
    }

    /// Where the guest sees something of the stub's own when the overlay is in nested root entry `slot`.
    fn guest_physical(self, slot: Option<u64>, own: u64) -> u64 {
        slot.map_or(own, |slot| (slot << self.nested_entry_bits()) + (own - OWN))
    }

    /// CR3 for the guest tables here, under an overlay in this nested root entry or without nested tables.
    pub(super) fn guest_top(self, slot: Option<u64>) -> u64 {
        self.guest_physical(slot, GUEST_TABLES[index_of(slot)][0])
    }

    /// What the stub puts into an entry of a guest's root of four or five levels.
    pub(super) fn guest_overlay(self, slot: Option<u64>, five_level: bool) -> u64 {
        let [top, pointers, _] = GUEST_TABLES[index_of(slot)];
        self.guest_physical(slot, if five_level { top } else { pointers }) | ENTRY
    }

    /// What is copied from the end of the ROM: the page tables, and the page of code.
    pub(super) fn own_memory(self, code: &[u8]) -> Vec<u8> {
        let mut memory = vec![0; OWN_SIZE as usize];
        let mut put = |address: u64, bytes: &[u8]| {
            let at = (address - OWN) as usize;
            memory[at..at + bytes.len()].copy_from_slice(bytes);
        };
        let mut set = |table: u64, index: u64, entry: u64| put(table + index * 8, &entry.to_le_bytes());

        set(HOST_LEVEL_5, 0, HOST_TOP | ENTRY);
        set(HOST_TOP, 0, HOST_POINTERS | ENTRY);
        for (gigabyte, directory) in (0..).zip(HOST_DIRECTORIES) {
            set(HOST_POINTERS, gigabyte, directory | ENTRY);
            for index in 0..512 {
                set(directory, index, gigabyte << 30 | index << 21 | ENTRY | LARGE);
            }
        }
        for slot in [Some(0), Some(1), None] {
            let [top, pointers, directory] = GUEST_TABLES[index_of(slot)];
            let own = self.guest_physical(slot, OWN);
            set(top, 0, self.guest_physical(slot, pointers) | ENTRY);
            set(pointers, 0, self.guest_physical(slot, directory) | ENTRY);
            set(directory, OWN >> 21, own | SUPERVISOR_ENTRY | LARGE);
            set(directory, (OWN >> 21) + 1, own | ENTRY | LARGE);
            set(directory, WINDOW >> 21, self.guest_physical(slot, WINDOW_TABLE) | ENTRY);
        }
        let (entry, leaf) = match self {
            Self::Vmx => (EPT_ENTRY, EPT_ENTRY | EPT_WRITE_BACK | LARGE),
            Self::Svm { .. } => (ENTRY, ENTRY | LARGE),
        };
        set(OVERLAY_TOP, 0, OVERLAY_POINTERS | entry);
        set(OVERLAY_POINTERS, 0, OVERLAY_DIRECTORY | entry);
        set(OVERLAY_DIRECTORY, 0, OWN | leaf);
        LENT.into_iter().for_each(|record| put(record, &NOWHERE.to_le_bytes()));
        put(NEXT_WORD, &SECTOR.to_le_bytes());
        put(WRITE_SECTOR, &WRITE_FIRST_SECTOR.to_le_bytes());
        put(CODE, code);
        memory
    }
}

fn index_of(slot: Option<u64>) -> usize {
    slot.map_or(NOT_NESTED, |slot| slot as usize)
}

fn entry_bits(five_level: bool) -> u32 {
    if five_level { 48 } else { 39 }
}

/// The entry of a guest's own root to lend when a linear address is probed, and the linear address of the guest's code
/// with it: a supervisor's page, or the user's copy.
pub(super) fn guest_slot(address: u64, five_level: bool, user: bool) -> (u64, u64) {
    let bits = entry_bits(five_level);
    let slot = u64::from(address >> bits & 0x1ff == 0);
    (slot, (slot << bits) + CODE + if user { LARGE_PAGE } else { 0 })
}

/// The window's entry for a guest-physical page. A user-mode *address* is what execute rights by mode are about, so the
/// guest stays at privilege level 0.
pub(super) fn window_entry(page: u64, user: bool) -> u64 {
    page | if user { ENTRY } else { SUPERVISOR_ENTRY }
}
