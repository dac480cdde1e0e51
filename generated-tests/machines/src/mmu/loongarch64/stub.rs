//! The programs that run inside the LoongArch machine: the stub, the TLB refill handler, and the snippets.
//!
//! All of it runs in a direct mapping window, which page tables have no part in, and which user mode may use, too: so a
//! snippet can be run at either privilege. QEMU has no semihosting here; the stub talks through [`rings`].

use super::asm::{
    A0, A1, A2, A3, Assembler, DBAR, ERTN, IDLE, INVTLB_ALL, RA, RETURN, SYSCALL, T0, T1, T2, T3, T4, T5, T6, T7, T8,
    TLBFILL, TLBRD, TLBSRCH, ZERO, add, addi, and, andn, bstrins, bstrpick, csrrd, csrwr, jirl, ld_bu, ld_d, ld_wu,
    lddir, ldpte, li, or, sll, srl, st_b, st_d,
};
use super::{BASE, FROM_STUB, TO_STUB, WINDOW};
use crate::mmu::qemu::{COMMAND_BYTES, DUMP, LOAD};
use crate::mmu::rings;

/// The words of a report: a0, a1, and these registers. ESTAT is [`NO_TRAP`] after a call that returned.
pub(super) const REPORTED: [(&str, u32); 3] = [("estat", ESTAT), ("era", ERA), ("badv", 0x7)];

/// a0 and a1, then [`REPORTED`].
pub(super) const REPORT_WORDS: usize = 2 + REPORTED.len();

/// No value of ESTAT.
pub(super) const NO_TRAP: u64 = u64::MAX;

const PRMD: u32 = 0x1;
const ECFG: u32 = 0x4;
const ESTAT: u32 = 0x5;
const ERA: u32 = 0x6;
const EENTRY: u32 = 0xc;
const TLBIDX: u32 = 0x10;
const TLBEHI: u32 = 0x11;
const TLBELO0: u32 = 0x12;
const TLBELO1: u32 = 0x13;
const ASID: u32 = 0x18;
const PGD: u32 = 0x1b;
const PWCL: u32 = 0x1c;
const PWCH: u32 = 0x1d;
const SAVE0: u32 = 0x30;
const TCFG: u32 = 0x41;
const TICLR: u32 = 0x44;
const TLBRENTRY: u32 = 0x88;
const TLBRBADV: u32 = 0x89;
const TLBRSAVE: u32 = 0x8b;
const DMW0: u32 = 0x180;

/// DMW0: the window, for levels 0 and 3, coherent cached memory.
const WINDOW_SETTING: u64 = WINDOW | 1 << 4 | 1 << 3 | 1;

/// ECFG.LIE: the timer ends IDLE.
const TIMER: u64 = 1 << 11;

/// How often to look for something to do before each pause, how long that is in ticks of 10 ns, which end in two zero
/// bits, and after how many pauses the host counts as gone: five minutes.
const LOOKS: u64 = 2000;
const PAUSE: u64 = 5000;
const PAUSES: u64 = 6_000_000;

/// A word that has this byte stored ends QEMU: S5, by the ACPI sleep control register.
const SLEEP_CONTROL: u64 = 0x100e_001c;
const SLEEP_S5: u64 = 0x34;

/// Where the parts of the stub are. Entries of exceptions are at multiples of 4 KiB, and data is away from code: QEMU
/// translates code anew when its page is written to.
const TRAP: u64 = BASE + 0x1000;
const REFILL: u64 = BASE + 0x2000;
const MAIN: u64 = BASE + 0x3000;
const COMMAND: u64 = BASE + 0x5000;
const REPORT: u64 = BASE + 0x5800;

/// The stub's image, which goes to [`BASE`].
///
/// No register outlives a call, as a probe may run anything.
pub(super) fn image() -> Vec<u8> {
    let mut asm = Assembler::default();
    // Before addresses are mapped, those of the window lead to the same memory.
    asm.emit(&li(T0, WINDOW_SETTING)).emit(&[csrwr(T0, DMW0)]);
    asm.emit(&li(T0, WINDOW | MAIN)).emit(&[jirl(ZERO, T0)]);
    trap(asm.at(TRAP - BASE));
    refill(asm.at(REFILL - BASE));
    main(asm.at(MAIN - BASE));
    transfer(&mut asm, &FROM_HOST);
    transfer(&mut asm, &TO_HOST);
    pause(&mut asm);
    asm.finish().into_iter().flat_map(u32::to_le_bytes).collect()
}

/// A call comes here when it traps.
fn trap(asm: &mut Assembler) {
    asm.emit(&li(T0, WINDOW | REPORT)).emit(&[st_d(A0, T0, 0), st_d(A1, T0, 8)]);
    for ((_, register), offset) in REPORTED.into_iter().zip((16..).step_by(8)) {
        asm.emit(&[csrrd(A0, register), st_d(A0, T0, offset)]);
    }
    asm.b("report");
}

/// How PWCL or PWCH describe a directory, and labels for the code that walks it.
struct Directory {
    level: u32,
    register: u32,
    /// The lowest bits of the two fields, and how many bits each has.
    base: u32,
    width: u32,
    bits: u32,
    read: &'static str,
    done: &'static str,
}

const DIRECTORIES: [Directory; 3] = [
    Directory { level: 3, register: PWCH, base: 0, width: 6, bits: 6, read: "dir3_read", done: "dir3_done" },
    Directory { level: 2, register: PWCL, base: 20, width: 25, bits: 5, read: "dir2_read", done: "dir2_done" },
    Directory { level: 1, register: PWCL, base: 10, width: 15, bits: 5, read: "dir1_read", done: "dir1_done" },
];

/// Walks the tables as PWCL and PWCH say, from the highest directory that a format has, and puts the pair of pages into
/// the TLB.
fn refill(asm: &mut Assembler) {
    asm.emit(&[csrwr(T0, TLBRSAVE), csrwr(T1, SAVE0), csrwr(T2, SAVE0 + 1), csrwr(T3, SAVE0 + 2), csrrd(T0, PGD)]);
    for Directory { level, register, base, width, bits, read, done } in DIRECTORIES {
        let field = |rd, lsb| [csrrd(rd, register), bstrpick(rd, rd, lsb + bits - 1, lsb)];
        asm.emit(&field(T3, width)).beqz(T3, done);
        asm.emit(&[or(T1, T0, ZERO), lddir(T0, T1, level)]);
        // LDDIR loses the upper bits of a block that it reads (`LDDIR_LOSES_RIGHTS`): here they come again.
        asm.emit(&[bstrpick(T2, T1, 6, 6)]).bnez(T2, done);
        asm.emit(&[bstrpick(T2, T0, 6, 6)]).bnez(T2, read).b(done).label(read);
        asm.emit(&[addi(T2, ZERO, -1), sll(T3, T2, T3), csrwr(T3, SAVE0 + 3)]).emit(&field(T3, base));
        asm.emit(&[csrrd(T2, TLBRBADV), srl(T2, T2, T3), csrrd(T3, SAVE0 + 3), andn(T2, T2, T3)]);
        asm.emit(&[add(T2, T2, T2), add(T2, T2, T2), add(T2, T2, T2), add(T2, T2, T1), ld_d(T2, T2, 0)]);
        asm.emit(&[bstrpick(T2, T2, 63, 61), bstrins(T0, T2, 63, 61)]).label(done);
    }
    asm.emit(&[ldpte(T0, 0), ldpte(T0, 1), TLBFILL]);
    asm.emit(&[csrrd(T0, TLBRSAVE), csrrd(T1, SAVE0), csrrd(T2, SAVE0 + 1), csrrd(T3, SAVE0 + 2), ERTN]);
}

/// Does what the host says, for ever.
fn main(asm: &mut Assembler) {
    asm.emit(&li(T0, WINDOW | TRAP)).emit(&[csrwr(T0, EENTRY)]);
    asm.emit(&li(T0, REFILL)).emit(&[csrwr(T0, TLBRENTRY)]);
    asm.emit(&li(T0, TIMER)).emit(&[csrwr(T0, ECFG)]);
    asm.label("next").emit(&li(A1, WINDOW | COMMAND)).emit(&li(A2, COMMAND_BYTES.into())).bl(FROM_HOST.name);
    asm.emit(&li(T0, WINDOW | COMMAND)).emit(&li(T1, WINDOW));
    asm.emit(&[ld_d(T2, T0, 8), or(T2, T2, T1), ld_d(T1, T0, 0), ld_d(A0, T0, 16)]);
    for (command, to) in [(LOAD, "load"), (DUMP, "dump")] {
        asm.emit(&[addi(T3, T1, -(command as i32))]).beqz(T3, to);
    }
    asm.emit(&[ld_d(A1, T0, 24), ld_d(A2, T0, 32), ld_d(A3, T0, 40), jirl(RA, T2)]);
    asm.emit(&li(T0, WINDOW | REPORT)).emit(&[st_d(A0, T0, 0), st_d(A1, T0, 8)]);
    asm.emit(&[addi(A0, ZERO, NO_TRAP as i32), st_d(A0, T0, 16)]);
    asm.label("report").emit(&li(A1, WINDOW | REPORT)).emit(&li(A2, REPORT_WORDS as u64 * 8));
    asm.bl(TO_HOST.name).b("next");
    asm.label("load").emit(&[or(A1, T2, ZERO), or(A2, A0, ZERO)]).bl(FROM_HOST.name).b("next");
    asm.label("dump").emit(&[or(A1, T2, ZERO), or(A2, A0, ZERO)]).bl(TO_HOST.name).b("next");
}

/// One way through a ring, and the labels of its code.
struct Way {
    name: &'static str,
    more: &'static str,
    look: &'static str,
    word: &'static str,
    publish: &'static str,
    done: &'static str,
    ring: u64,
    incoming: bool,
}

const FROM_HOST: Way = Way {
    name: "read",
    more: "read_more",
    look: "read_look",
    word: "read_word",
    publish: "read_publish",
    done: "read_done",
    ring: TO_STUB,
    incoming: true,
};

const TO_HOST: Way = Way {
    name: "write",
    more: "write_more",
    look: "write_look",
    word: "write_word",
    publish: "write_publish",
    done: "write_done",
    ring: FROM_STUB,
    incoming: false,
};

/// Reads or writes a2 bytes at a1: whole 64-bit words.
fn transfer(asm: &mut Assembler, way: &Way) {
    let (ours, theirs) = if way.incoming { (rings::READ, rings::WRITTEN) } else { (rings::WRITTEN, rings::READ) };
    let counted = |count: u64| count as i32;
    // t0: the ring, t1: where it is empty, or full, t2: our count, t3: its size, t6: its bytes, t8: the return address.
    asm.label(way.name).emit(&[or(T8, RA, ZERO), or(T7, ZERO, ZERO)]);
    asm.emit(&li(T0, WINDOW | way.ring)).emit(&li(T6, WINDOW | (way.ring + rings::DATA))).emit(&li(T3, rings::BYTES));
    asm.emit(&[ld_d(T2, T0, counted(ours))]);
    asm.label(way.more).beqz(A2, way.done);
    asm.label(way.look).emit(&[ld_d(T1, T0, counted(theirs))]);
    if !way.incoming {
        asm.emit(&[add(T1, T1, T3)]);
    }
    asm.bne(T1, T2, way.word).bl("pause").b(way.look);
    asm.label(way.word).emit(&[addi(T5, T3, -1), and(T5, T2, T5), add(T5, T6, T5)]);
    let (from, to) = if way.incoming { (T5, A1) } else { (A1, T5) };
    asm.emit(&[ld_d(T4, from, 0), st_d(T4, to, 0), addi(A1, A1, 8), addi(A2, A2, -8), addi(T2, T2, 8)]);
    asm.beqz(A2, way.publish).bne(T1, T2, way.word);
    asm.label(way.publish).emit(&[DBAR, st_d(T2, T0, counted(ours))]).b(way.more);
    asm.label(way.done).emit(&[jirl(ZERO, T8)]);
}

/// Lets some time go by, if t7 says that this has been called often, and counts in t7. Overwrites t4 and t5.
fn pause(asm: &mut Assembler) {
    asm.label("pause").emit(&[addi(T7, T7, 1)]).emit(&li(T4, LOOKS)).bltu(T7, T4, "paused");
    asm.emit(&li(T5, PAUSE | 1)).emit(&[csrwr(T5, TCFG), IDLE]);
    asm.emit(&[addi(T5, ZERO, 1), csrwr(T5, TICLR)]);
    asm.emit(&li(T4, LOOKS + PAUSES)).bltu(T7, T4, "paused");
    asm.emit(&li(T4, WINDOW | SLEEP_CONTROL)).emit(&li(T5, SLEEP_S5)).emit(&[st_b(T5, T4, 0)]);
    asm.label("paused").emit(&[RETURN]);
}

/// Drops every translation.
pub(super) const INVALIDATE: [u32; 2] = [INVTLB_ALL, RETURN];

/// Sets a register to a0, and reads it back into a0.
pub(super) const fn set(register: u32) -> [u32; 3] {
    [csrwr(A0, register), csrrd(A0, register), RETURN]
}

/// Stores a2, a2 + a3, a2 + 2 * a3 ... in the 64-bit words from a0 to a1, which are addresses in the window.
pub(super) fn fill() -> Vec<u32> {
    let mut asm = Assembler::default();
    asm.label("again").emit(&[st_d(A2, A0, 0), add(A2, A2, A3), addi(A0, A0, 8)]).bltu(A0, A1, "again").emit(&[RETURN]);
    asm.finish()
}

/// Goes to a0 at the privilege level a1, with a2 in a0. Comes back by the next exception.
///
/// It makes another address space the current one, and comes back: QEMU then drops what it has beside the TLB, where it
/// forgets that a page that was written or executed cannot be read.
pub(super) const ENTER: [u32; 8] = [
    csrrd(T0, ASID),
    addi(T1, T0, 1),
    csrwr(T1, ASID),
    csrwr(T0, ASID),
    csrwr(A0, ERA),
    csrwr(A1, PRMD),
    or(A0, A2, ZERO),
    ERTN,
];

/// Loads the byte at a0, then the 32-bit word at a3 into a0.
pub(super) const LOAD_BYTE_AND_TAG: [u32; 3] = [ld_bu(A1, A0, 0), ld_wu(A0, A3, 0), SYSCALL];

/// Stores a zero byte at a0, then loads the 32-bit word at a3 into a0.
pub(super) const STORE_BYTE_AND_LOAD_TAG: [u32; 3] = [st_b(ZERO, A0, 0), ld_wu(A0, A3, 0), SYSCALL];

/// What the TLB has of the page at a0: in a1 whether it has nothing, else the page's half of the entry in a0.
pub(super) fn look() -> Vec<u32> {
    let mut asm = Assembler::default();
    asm.emit(&[or(T0, A0, ZERO), csrwr(T0, TLBEHI), TLBSRCH, csrrd(T1, TLBIDX), bstrpick(A1, T1, 31, 31)]);
    asm.bnez(A1, "nothing").emit(&[TLBRD, csrrd(T1, TLBIDX), bstrpick(T1, T1, 29, 24)]);
    asm.emit(&[srl(T2, A0, T1), bstrpick(T2, T2, 0, 0), csrrd(A0, TLBELO0)]).beqz(T2, "nothing");
    asm.emit(&[csrrd(A0, TLBELO1)]).label("nothing").emit(&[RETURN]);
    asm.finish()
}
