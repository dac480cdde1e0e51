//! The programs that run inside the RISC-V machine: the stub in M-mode, and the snippets.
//!
//! M-mode translates nothing and can load and store as a guest does (HLV, HSV), so nothing of the stub needs to be mapped.
//! The assembler does not know the hypervisor extension: its instructions, and MRET, are given as words.

#![expect(clippy::unnecessary_cast, reason = "dynasm! casts what it is given")]

use std::sync::LazyLock;

use dynasmrt::riscv::RiscvRelocation;
use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm};

use super::{BASE, SPVP, Xlen};
use crate::mmu::qemu::{COMMAND_BYTES, DUMP, LOAD};

/// The words of a report: a0, a1, and these registers. mcause is [`NO_TRAP`] after a call that returned.
pub(super) const REPORTED: [(&str, u32); 5] =
    [("mcause", MCAUSE), ("mepc", MEPC), ("mtval", 0x343), ("mtval2", 0x34b), ("mtinst", 0x34a)];

/// a0 and a1, then [`REPORTED`].
pub(super) const REPORT_WORDS: usize = 2 + REPORTED.len();

/// No cause of a trap.
pub(super) const NO_TRAP: u64 = 0x7ff;

const HSTATUS: u32 = 0x600;
const MSTATUS: u32 = 0x300;
const MSTATUSH: u32 = 0x310;
const MTVEC: u32 = 0x305;
const MEPC: u32 = 0x341;
const MCAUSE: u32 = 0x342;
const PMPCFG0: u32 = 0x3a0;
const PMPADDR0: u32 = 0x3b0;

const MRET: u32 = 0x3020_0073;
const HFENCE_GVMA_ALL: u32 = 0x6200_0073;
const HFENCE_VVMA_ALL: u32 = 0x2200_0073;
const SFENCE_VMA_ALL: u32 = 0x1200_0073;

/// Registers as instructions number them.
const A0: u32 = 10;
const A1: u32 = 11;
const A2: u32 = 12;
const A3: u32 = 13;
const A4: u32 = 14;
const A5: u32 = 15;
const T0: u32 = 5;
const T1: u32 = 6;
const T2: u32 = 7;
const T3: u32 = 28;

/// Loads the byte at `address` as the guest would.
const fn hlv_bu(to: u32, address: u32) -> u32 {
    hypervisor(0b011_0000, 1, address, to)
}

/// Loads the 32-bit word at `address` as the guest would.
const fn hlv_w(to: u32, address: u32) -> u32 {
    hypervisor(0b011_0100, 0, address, to)
}

/// Loads the 32-bit word at `address` where the guest could execute it.
const fn hlvx_wu(to: u32, address: u32) -> u32 {
    hypervisor(0b011_0100, 3, address, to)
}

/// Stores a byte at `address` as the guest would.
const fn hsv_b(from: u32, address: u32) -> u32 {
    hypervisor(0b011_0001, from, address, 0)
}

/// Stores a 64-bit word at `address` as the guest would.
const fn hsv_d(from: u32, address: u32) -> u32 {
    hypervisor(0b011_0111, from, address, 0)
}

/// The R-type word of a load or store for the guest.
const fn hypervisor(funct7: u32, rs2: u32, rs1: u32, rd: u32) -> u32 {
    funct7 << 25 | rs2 << 20 | rs1 << 15 | 0b100 << 12 | rd << 7 | 0b111_0011
}

impl Xlen {
    /// The bytes of a register.
    const fn bytes(self) -> u32 {
        self.bits() as u32 / 8
    }

    /// The field of loads and stores that says so.
    const fn width(self) -> u32 {
        self.bytes().ilog2() << 12
    }

    /// Loads a register from `offset` bytes after `address`.
    const fn load(self, to: u32, address: u32, offset: u32) -> u32 {
        offset << 20 | address << 15 | self.width() | to << 7 | 0b000_0011
    }

    /// Stores a register there.
    const fn store(self, from: u32, address: u32, offset: u32) -> u32 {
        offset >> 5 << 25 | from << 20 | address << 15 | self.width() | (offset & 31) << 7 | 0b010_0011
    }

    /// A parameter block.
    fn block(self, values: &[u64]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes().into_iter().take(self.bytes() as usize)).collect()
    }

    /// Where mstatus.MPV is: in which register, and which bit of it.
    const fn mpv(self) -> (u32, u32) {
        match self {
            Self::Rv32 => (MSTATUSH, 7),
            Self::Rv64 => (MSTATUS, 39),
        }
    }
}

/// Instructions that are called often: assembled once.
type Snippet = LazyLock<Vec<u32>>;

macro_rules! snippet {
    ($($code:tt)*) => {
        Snippet::new(|| words(|ops| dynasm!(ops ; .arch riscv64 ; .feature zicsr $($code)*)))
    };
}

type Assembler = VecAssembler<RiscvRelocation>;

/// Semihosting operations, passed in a0, with a parameter block at a1.
const SYS_OPEN: i32 = 0x01;
const SYS_WRITE: i32 = 0x05;
const SYS_READ: i32 = 0x06;
/// With a parameter block whatever the width of registers.
const SYS_EXIT_EXTENDED: i32 = 0x20;

/// The stub's image, which goes to [`BASE`].
///
/// No register outlives a call, as a probe may run anything.
pub(super) fn image(xlen: Xlen) -> Vec<u8> {
    let mut ops = Assembler::new(BASE as usize);
    // Of what the host sends, the lower half of each 64-bit word has to do, where registers have no more.
    let load = |to, address, offset| xlen.load(to, address, offset);
    let store = |from, address, offset| xlen.store(from, address, offset);
    let second = xlen.bytes();
    let third = 2 * xlen.bytes();
    dynasm!(ops
        ; .arch riscv64
        ; .feature zicsr
        ; la t0, ->trapped
        ; csrw MTVEC, t0
        // One PMP entry lets all lower modes do everything everywhere.
        ; li.12 t0, -1
        ; csrw PMPADDR0, t0
        ; li.12 t0, 0b1_1111
        ; csrw PMPCFG0, t0
        ; la t0, ->handles
        ; la t1, ->stdin
        ; la a1, ->open_stdin
        ; jal ->open
        ; la t1, ->stdout
        ; la a1, ->open_stdout
        ; jal ->open

        ; ->next:
        ; li.12 a0, SYS_READ
        ; la a1, ->command
        ; li.12 a2, COMMAND_BYTES as i32
        ; jal ->transfer
        ; la t0, ->command
        ; .u32 load(T1, T0, 0)
        ; .u32 load(T2, T0, 8)
        ; .u32 load(A0, T0, 16)
        ; li.12 t3, LOAD as i32
        ; beq t1, t3, ->load
        ; li.12 t3, DUMP as i32
        ; beq t1, t3, ->dump
        ; .u32 load(A1, T0, 24)
        ; .u32 load(A2, T0, 32)
        ; .u32 load(A3, T0, 40)
        ; jalr ra, t2, 0
        ; li.12 t0, NO_TRAP as i32
        ; csrw MCAUSE, t0
        ; j ->trapped

        ; ->load:
        ; mv a2, a0
        ; li.12 a0, SYS_READ
        ; j >memory
        ; ->dump:
        ; mv a2, a0
        ; li.12 a0, SYS_WRITE
        ; memory:
        ; mv a1, t2
        ; jal ->transfer
        ; j ->next

        // A call comes here when it has returned, and when it traps.
        ; .align 4
        ; ->trapped:
        ; la t0, ->report
        ; .u32 store(A0, T0, 0)
        ; .u32 store(A1, T0, 8)
    );
    for ((_, register), offset) in REPORTED.into_iter().zip((16_u32..).step_by(8)) {
        dynasm!(ops ; .arch riscv64 ; .feature zicsr ; csrr a0, register ; .u32 store(A0, T0, offset));
    }
    dynasm!(ops
        ; .arch riscv64
        ; li.12 a0, SYS_WRITE
        ; la a1, ->report
        ; li.12 a2, (REPORT_WORDS * 8) as i32
        ; jal ->transfer
        ; j ->next

        // Reads or writes (a0) a2 bytes at a1. Pipes give and take less than asked: the operation returns what is left.
        ; ->transfer:
        ; mv t4, ra
        ; mv t0, a0
        ; la t1, ->handles
        ; la t2, ->parameters
        ; .u32 load(T3, T1, 0)
        ; li.12 t5, SYS_READ
        ; beq a0, t5, >reads
        ; .u32 load(T3, T1, second)
        ; reads:
        ; .u32 store(T3, T2, 0)
        ; more:
        ; beqz a2, >all
        ; .u32 store(A1, T2, second)
        ; .u32 store(A2, T2, third)
        ; mv a0, t0
        ; mv a1, t2
        ; jal ->semihost
        ; .u32 load(A1, T2, second)
        ; .u32 load(A2, T2, third)
        ; sub t3, a2, a0
        ; beqz t3, ->exit
        ; add a1, a1, t3
        ; mv a2, a0
        ; j <more
        ; all:
        ; jr t4

        // Opens the file named at t1, by the parameters at a1, and keeps its handle at t0.
        ; ->open:
        ; mv t4, ra
        ; .u32 store(T1, A1, 0)
        ; li.12 a0, SYS_OPEN
        ; jal ->semihost
        ; .u32 store(A0, T0, 0)
        ; addi t0, t0, second as i32
        ; jr t4

        // Nothing was left to read: the host is gone.
        ; ->exit:
        ; li.12 a0, SYS_EXIT_EXTENDED
        ; la a1, ->application_exit
        // It is these three instructions, on one page, that tell a semihosting call from a breakpoint.
        ; .align 16
        ; ->semihost:
        ; slli x0, x0, 0x1f
        ; ebreak
        ; srai x0, x0, 7
        ; ret

        // On a page of its own: QEMU translates code anew when its page is written to.
        ; .align 4096
        // Name, mode ("r" and "w"), length of the name.
        ; ->open_stdin: ; .bytes xlen.block(&[0, 0, 10])
        ; ->open_stdout: ; .bytes xlen.block(&[0, 4, 11])
        // The reason (the application ends as it wishes) and the exit status.
        ; ->application_exit: ; .bytes xlen.block(&[0x20026, 0])
        ; ->handles: ; .bytes xlen.block(&[0, 0])
        // Handle, address, length.
        ; ->parameters: ; .bytes xlen.block(&[0, 0, 0])
        ; ->command: ; .bytes [0; COMMAND_BYTES as usize]
        ; ->report: ; .bytes [0; REPORT_WORDS * 8]
        ; ->stdin: ; .bytes b"/dev/stdin\0"
        ; ->stdout: ; .bytes b"/dev/stdout\0"
    );
    finish(ops)
}

/// Does nothing.
pub(super) static RETURN: Snippet = snippet!(; ret);

/// Sets a register to a0, and reads it back into a0.
pub(super) fn set(register: u32) -> Vec<u32> {
    words(|ops| dynasm!(ops ; .arch riscv64 ; .feature zicsr ; csrw register, a0 ; csrr a0, register ; ret))
}

/// Drops every translation.
pub(super) static INVALIDATE: Snippet =
    snippet!(; .u32 HFENCE_GVMA_ALL ; .u32 HFENCE_VVMA_ALL ; .u32 SFENCE_VMA_ALL ; ret);

/// Stores a2, a2 + 1, a2 + 2 ... in the upper halves of the 64-bit words from a0 to a1.
pub(super) static FILL: Snippet = snippet!(
    ; again:
    ; sw x0, [a0]
    ; sw a2, [a0, 4]
    ; addi a2, a2, 1
    ; addi a0, a0, 8
    ; bltu a0, a1, <again
    ; ret
);

/// Goes to a0 with the bits a1 of mstatus set, the bits a2 cleared. Comes back by the next exception.
pub(super) static ENTER: Snippet = snippet!(
    ; csrw MEPC, a0
    ; csrc MSTATUS, a2
    ; csrs MSTATUS, a1
    ; .u32 MRET
);

/// The same, to a guest.
pub(super) fn enter_guest(xlen: Xlen) -> &'static [u32] {
    static BY_XLEN: [Snippet; 2] = [LazyLock::new(|| to_guest(Xlen::Rv32)), LazyLock::new(|| to_guest(Xlen::Rv64))];
    &BY_XLEN[usize::from(xlen == Xlen::Rv64)]
}

fn to_guest(xlen: Xlen) -> Vec<u32> {
    let (register, bit) = xlen.mpv();
    let mut guest =
        words(|ops| dynasm!(ops ; .arch riscv64 ; .feature zicsr ; li.12 t0, 1 ; slli t0, t0, bit ; csrs register, t0));
    guest.extend(ENTER.iter());
    guest
}

/// A snippet that acts as VS or VU: hstatus.SPVP is the bit a3.
macro_rules! privileged {
    ($($code:tt)*) => {
        snippet!(; li.12 t0, SPVP as i32 ; csrc HSTATUS, t0 ; csrs HSTATUS, a3 $($code)*)
    };
}

/// Loads the byte at a0, then the 32-bit word at a2 into a0.
pub(super) static LOAD_BYTE_AND_TAG: Snippet = privileged!(; .u32 hlv_bu(A1, A0) ; .u32 hlv_w(A0, A2) ; ret);

/// Loads the byte at a0 and stores it there again.
pub(super) static REWRITE_BYTE: Snippet = privileged!(; .u32 hlv_bu(A1, A0) ; .u32 hsv_b(A1, A0) ; ret);

/// Stores the byte a1 at a0.
pub(super) static STORE_BYTE: Snippet = privileged!(; .u32 hsv_b(A1, A0) ; ret);

/// Loads the 32-bit words at a0 into a1, and at a2 into a0, where they can be executed.
pub(super) static LOAD_CODE_AND_TAG: Snippet = privileged!(; .u32 hlvx_wu(A1, A0) ; .u32 hlvx_wu(A0, A2) ; ret);

/// A snippet whose loads and stores are as mstatus says when the bits a1 are cleared in it, then the bits a3 set, of which
/// MPRV is one. (A trap leaves MPP as M-mode, so that MPRV means nothing.)
macro_rules! as_lower_mode {
    ($($code:tt)*) => {
        snippet!(; csrc MSTATUS, a1 ; csrs MSTATUS, a3 $($code)* ; csrc MSTATUS, a3 ; ret)
    };
}

/// Loads the byte at a0, then the 32-bit word at a2 into a0.
pub(super) static LOAD_BYTE_AND_TAG_BY_MPRV: Snippet = as_lower_mode!(; lbu t1, [a0] ; lw a0, [a2]);

/// Loads the byte at a0 and stores it there again.
pub(super) static REWRITE_BYTE_BY_MPRV: Snippet = as_lower_mode!(; lbu t1, [a0] ; sb t1, [a0]);

/// Stores a zero byte at a0.
pub(super) static STORE_BYTE_BY_MPRV: Snippet = as_lower_mode!(; sb x0, [a0]);

/// A guest's own: loads the byte at a3, then into a0 the upper half of the 64-bit word that it is in, and comes back.
pub(super) static GUEST_LOADS: Snippet = snippet!(; lbu t1, [a3] ; andi t0, a3, -8 ; lw a0, [t0, 4] ; ecall);

/// A guest's own: stores a zero byte at a3, and comes back.
pub(super) static GUEST_STORES: Snippet = snippet!(; sb x0, [a3] ; ecall);

/// Counts in the word at a2 up to what the word after it says, and writes each count to one of the 64 pages from a0
/// on, which xorshift draws from a3, if it can be translated.
pub(super) static WRITE_PAGES: Snippet = snippet!(
    ; csrr a6, MTVEC
    ; la t0, >refused
    ; csrw MTVEC, t0
    ; ld a4, [a2]
    ; again:
    ; addi a4, a4, 1
    ; slli t0, a3, 13
    ; xor a3, a3, t0
    ; srli t0, a3, 7
    ; xor a3, a3, t0
    ; slli t0, a3, 17
    ; xor a3, a3, t0
    ; andi a5, a3, 63
    ; slli a5, a5, 12
    ; add a5, a5, a0
    ; .u32 hsv_d(A4, A5)
    ; .align 4
    ; refused:
    ; .u32 HFENCE_GVMA_ALL
    ; sd a4, [a2]
    ; ld a1, [a2, 8]
    ; bltu a4, a1, <again
    ; csrw MTVEC, a6
    ; ret
);

/// Words assembled from `code`.
fn words(code: impl FnOnce(&mut Assembler)) -> Vec<u32> {
    let mut ops = Assembler::new(0);
    code(&mut ops);
    let bytes = finish(ops);
    bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

fn finish(ops: Assembler) -> Vec<u8> {
    ops.finalize().expect("every label is bound, and near enough")
}
