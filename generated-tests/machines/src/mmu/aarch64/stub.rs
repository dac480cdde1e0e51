//! The programs that run inside the AArch64 machine: the stub at EL3, and the snippets.
//!
//! EL3, because from there EL2 and EL1 are wholly free: their registers can hold anything, and nothing of the stub needs
//! to be mapped. The MMU of EL3 stays off, so the stub's data are aligned, as Device memory demands.

use std::sync::LazyLock;

use dynasmrt::aarch64::Aarch64Relocation;
use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm};

use super::BASE;
use crate::mmu::qemu::{COMMAND_BYTES, DUMP, LOAD};

/// Where in the stub's image the EL3 vectors are.
const EL3_VECTORS: usize = 0x800;
/// Where in the stub's image the vectors of EL2 and EL1 are: each goes on to EL3.
pub(super) const VECTORS: usize = 0x1000;
/// Where in the stub's image the [`Program`]s are: on the page of the vectors, so that one page is all that a translation
/// needs to be probed by them.
const PROGRAMS: usize = 0x1800;
/// The words of a report: x0, x1, and these registers.
pub(super) const REPORTED: [(&str, u32); 10] = [
    ("esr_el1", ESR_EL1),
    ("elr_el1", system_register(3, 0, 4, 0, 1)),
    ("far_el1", system_register(3, 0, 6, 0, 0)),
    ("esr_el2", ESR_EL2),
    ("elr_el2", system_register(3, 4, 4, 0, 1)),
    ("far_el2", system_register(3, 4, 6, 0, 0)),
    ("hpfar_el2", system_register(3, 4, 6, 0, 4)),
    ("esr_el3", ESR_EL3),
    ("elr_el3", ELR_EL3),
    ("par_el1", PAR_EL1),
];

/// x0 and x1, then [`REPORTED`].
pub(super) const REPORT_WORDS: usize = 2 + REPORTED.len();

const ESR_EL1: u32 = system_register(3, 0, 5, 2, 0);
const ESR_EL2: u32 = system_register(3, 4, 5, 2, 0);
const ESR_EL3: u32 = system_register(3, 6, 5, 2, 0);
const ELR_EL3: u32 = system_register(3, 6, 4, 0, 1);
const SPSR_EL3: u32 = system_register(3, 6, 4, 0, 0);
const VBAR_EL3: u32 = system_register(3, 6, 12, 0, 0);
const VBAR_EL1: u32 = system_register(3, 0, 12, 0, 0);
const PAR_EL1: u32 = system_register(3, 0, 7, 4, 0);

/// The number of a system register as MSR and MRS encode it (op0 is 2 or 3).
pub(super) const fn system_register(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    (op0 & 1) << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

/// What runs in the translation under test, with an address in x0, and ends at EL3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// Loads a word to w1.
    Load,
    /// The same, and adds zero to it: a write that changes nothing.
    AddZero,
    /// Stores zero.
    StoreZero,
}

impl Program {
    /// Where in the stub's image it is.
    pub(super) fn offset(self) -> usize {
        PROGRAMS + 0x20 * self as usize
    }
}

/// Instructions that are called often: assembled once.
type Snippet = LazyLock<Vec<u32>>;

macro_rules! snippet {
    ($($code:tt)*) => {
        Snippet::new(|| words(|ops| dynasm!(ops ; .arch aarch64 $($code)*)))
    };
}

type Assembler = VecAssembler<Aarch64Relocation>;

/// Semihosting operations, passed in w0, with a parameter block at x1.
const SYS_OPEN: u32 = 0x01;
const SYS_WRITE: u32 = 0x05;
const SYS_READ: u32 = 0x06;
const SYS_EXIT: u32 = 0x18;

/// The stub's image, which goes to [`BASE`].
///
/// No register outlives a call, as a probe may run anything.
pub(super) fn image() -> Vec<u8> {
    let mut ops = Assembler::new(BASE as usize);
    dynasm!(ops
        ; .arch aarch64
        ; adr x0, ->el3_vectors
        ; msr #VBAR_EL3, x0
        ; adr x5, ->handles
        ; adr x3, ->stdin
        ; adr x4, ->open_stdin
        ; bl ->open
        ; adr x3, ->stdout
        ; adr x4, ->open_stdout
        ; bl ->open

        ; ->next:
        ; mov w0, #SYS_READ
        ; adr x1, ->command
        ; mov x2, #COMMAND_BYTES.into()
        ; bl ->transfer
        ; adr x8, ->command
        ; ldp x9, x10, [x8]
        ; cmp x9, #LOAD
        ; b.eq ->load
        ; cmp x9, #DUMP
        ; b.eq ->dump

        // A register is reported as zero unless this call's trap wrote it.
        ; msr #ESR_EL1, xzr
        ; msr #ESR_EL2, xzr
        ; msr #ESR_EL3, xzr
        ; ldp x0, x1, [x8, #16]
        ; ldp x2, x3, [x8, #32]
        ; adr x30, ->done
        ; br x10

        ; ->load:
        ; mov w0, #SYS_READ
        ; b >memory
        ; ->dump:
        ; mov w0, #SYS_WRITE
        ; memory:
        ; mov x1, x10
        ; ldr x2, [x8, #16]
        ; bl ->transfer
        ; b ->next

        // A call comes here when it returns, and when it traps.
        ; ->done:
        ; adr x8, ->report
        ; stp x0, x1, [x8], #16
    );
    for (_, register) in REPORTED {
        dynasm!(ops ; .arch aarch64 ; mrs x0, #register ; str x0, [x8], #8);
    }
    dynasm!(ops
        ; .arch aarch64
        ; mov w0, #SYS_WRITE
        ; adr x1, ->report
        ; mov x2, #(REPORT_WORDS * 8) as u64
        ; bl ->transfer
        ; b ->next

        // Reads or writes (w0) x2 bytes at x1. Pipes give and take less than asked: the operation returns what is left.
        ; ->transfer:
        ; mov w6, w0
        ; adr x7, ->handles
        ; adr x8, ->parameters
        ; ldp x3, x4, [x7]
        ; cmp w0, #SYS_READ
        ; csel x3, x3, x4, eq
        ; stp x3, x1, [x8]
        ; more:
        ; cbz x2, >all
        ; str x2, [x8, #16]
        ; mov w0, w6
        ; mov x1, x8
        ; hlt #0xf000
        ; ldp x1, x2, [x8, #8]
        ; subs x3, x2, x0
        ; b.eq ->exit
        ; add x1, x1, x3
        ; str x1, [x8, #8]
        ; mov x2, x0
        ; b <more
        ; all:
        ; ret

        // Opens the file named at x3, by the parameters at x4, and keeps its handle at x5.
        ; ->open:
        ; str x3, [x4]
        ; mov w0, #SYS_OPEN
        ; mov x1, x4
        ; hlt #0xf000
        ; str x0, [x5], #8
        ; ret

        // Nothing was left to read: the host is gone.
        ; ->exit:
        ; mov w0, #SYS_EXIT
        ; adr x1, ->application_exit
        ; hlt #0xf000
    );
    pad(&mut ops, EL3_VECTORS);
    dynasm!(ops ; .arch aarch64 ; ->el3_vectors:);
    for vector in 0..16 {
        dynasm!(ops ; .arch aarch64 ; b ->done);
        pad(&mut ops, EL3_VECTORS + 0x80 * (vector + 1));
    }
    for vector in 0..16 {
        dynasm!(ops ; .arch aarch64 ; smc #0);
        pad(&mut ops, VECTORS + 0x80 * (vector + 1));
    }
    // At EL0 SMC is undefined, which ends in a vector.
    for program in [Program::Load, Program::AddZero, Program::StoreZero] {
        pad(&mut ops, program.offset());
        match program {
            Program::Load => dynasm!(ops ; .arch aarch64 ; ldr w1, [x0]),
            Program::AddZero => dynasm!(ops ; .arch aarch64 ; ldadd wzr, w1, [x0]),
            Program::StoreZero => dynasm!(ops ; .arch aarch64 ; str wzr, [x0]),
        }
        dynasm!(ops ; .arch aarch64 ; smc #0);
    }
    pad(&mut ops, PROGRAMS + 0x800);
    dynasm!(ops
        ; .arch aarch64
        // On a page of their own, past the vectors: QEMU translates code anew when its page is written to.
        // Name, mode ("r" and "w"), length of the name.
        ; ->open_stdin: ; .u64 0 ; .u64 0 ; .u64 10
        ; ->open_stdout: ; .u64 0 ; .u64 4 ; .u64 11
        // The reason (the application ends as it wishes) and the exit status.
        ; ->application_exit: ; .u64 0x20026 ; .u64 0
        ; ->handles: ; .u64 0 ; .u64 0
        // Handle, address, length.
        ; ->parameters: ; .u64 0 ; .u64 0 ; .u64 0
        ; ->command: ; .bytes [0; COMMAND_BYTES as usize]
        ; ->report: ; .bytes [0; REPORT_WORDS * 8]
        ; ->stdin: ; .bytes b"/dev/stdin\0"
        ; ->stdout: ; .bytes b"/dev/stdout\0"
    );
    finish(ops)
}

/// Words assembled from `code`.
fn words(code: impl FnOnce(&mut Assembler)) -> Vec<u32> {
    let mut ops = Assembler::new(0);
    code(&mut ops);
    let bytes = finish(ops);
    bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

/// Does nothing.
pub(super) static RETURN: Snippet = snippet!(; ret);

/// Sets a system register to x0.
pub(super) fn set(register: u32) -> Vec<u32> {
    words(|ops| dynasm!(ops ; .arch aarch64 ; msr #register, x0 ; isb ; ret))
}

/// Stores x1 at x0, a descriptor of EL1's translation.
pub(super) static STORE_DESCRIPTOR: Snippet = snippet!(; str x1, [x0] ; dsb sy ; tlbi vmalle1 ; dsb sy ; isb ; ret);

/// Drops every translation of EL2, EL1 and EL0.
pub(super) static INVALIDATE: Snippet = snippet!(; dsb sy ; tlbi alle1 ; tlbi alle2 ; dsb sy ; isb ; ret);

/// Zeroes the 16-byte units from x0 to x1.
pub(super) static CLEAR: Snippet = snippet!(
    ; again:
    ; stp xzr, xzr, [x0], #16
    ; cmp x0, x1
    ; b.lo <again
    ; ret
);

/// Stores MOVZ x0, #0 at x0, MOVZ x0, #1 a page on, and so on up to x1.
pub(super) static NUMBER: Snippet = snippet!(
    ; mov w2, #0xd280 << 16
    ; again:
    ; str w2, [x0]
    ; add x0, x0, #1, lsl #12
    ; add w2, w2, #1 << 5
    ; cmp x0, x1
    ; b.lo <again
    ; ret
);

/// Goes to x0 with PSTATE x1, taking x2 along in x0, with the EL1 vectors at x3. Comes back by the next exception.
pub(super) static ENTER: Snippet = snippet!(
    ; msr #ELR_EL3, x0
    ; msr #SPSR_EL3, x1
    ; msr #VBAR_EL1, x3
    ; mov x0, x2
    ; isb
    ; eret
);

/// Loads the byte at x0.
pub(super) static LOAD_BYTE: Snippet = snippet!(; ldrb w1, [x0]);

/// Adds zero to the byte at x0: a write that changes nothing, but needs the right to read as well.
pub(super) static ADD_ZERO: Snippet = snippet!(; ldaddb wzr, w1, [x0]);

/// Stores a zero byte at x0.
pub(super) static STORE_ZERO: Snippet = snippet!(; strb wzr, [x0]);

/// Translates x0 as a load by EL1 would; the result is PAR_EL1.
pub(super) static TRANSLATE_LOAD: Snippet = snippet!(; at s12e1r, x0 ; isb ; ret);

/// Translates x0 as a store by EL1 would; the result is PAR_EL1.
pub(super) static TRANSLATE_STORE: Snippet = snippet!(; at s12e1w, x0 ; isb ; ret);

/// Translates x0 as a load by EL0 would; the result is PAR_EL1.
pub(super) static TRANSLATE_USER_LOAD: Snippet = snippet!(; at s12e0r, x0 ; isb ; ret);

/// Translates x0 as a store by EL0 would; the result is PAR_EL1.
pub(super) static TRANSLATE_USER_STORE: Snippet = snippet!(; at s12e0w, x0 ; isb ; ret);

/// Translates x0 as a load by EL1 would, or by EL2 where that has taken EL1's place.
pub(super) static STAGE1_LOAD: Snippet = snippet!(; at s1e1r, x0 ; isb ; ret);

/// As a store.
pub(super) static STAGE1_STORE: Snippet = snippet!(; at s1e1w, x0 ; isb ; ret);

/// As a load by EL0.
pub(super) static STAGE1_USER_LOAD: Snippet = snippet!(; at s1e0r, x0 ; isb ; ret);

/// As a store by EL0.
pub(super) static STAGE1_USER_STORE: Snippet = snippet!(; at s1e0w, x0 ; isb ; ret);

/// As a load by EL2.
pub(super) static STAGE1_EL2_LOAD: Snippet = snippet!(; at s1e2r, x0 ; isb ; ret);

/// As a store by EL2.
pub(super) static STAGE1_EL2_STORE: Snippet = snippet!(; at s1e2w, x0 ; isb ; ret);

/// Stores x1 at x0, a descriptor of EL2's translation, in which the page of number x2 then leads elsewhere.
pub(super) static STORE_EL2_DESCRIPTOR: Snippet =
    snippet!(; str x1, [x0] ; dsb sy ; tlbi vae2, x2 ; dsb sy ; isb ; ret);

/// Counts in the word at x2 up to what the word after it says, and writes each count to one of the 64 pages from x0
/// on, which xorshift draws from x3, if it can be translated.
pub(super) static WRITE_PAGES: Snippet = snippet!(
    ; ldr x4, [x2]
    ; again:
    ; add x4, x4, #1
    ; eor x3, x3, x3, lsl #13
    ; eor x3, x3, x3, lsr #7
    ; eor x3, x3, x3, lsl #17
    ; and x5, x3, #63
    ; add x5, x0, x5, lsl #12
    ; at s12e1w, x5
    ; isb
    ; mrs x6, #PAR_EL1
    ; tbnz x6, #0, >refused
    ; and x6, x6, #0x000f_ffff_ffff_f000
    ; str x4, [x6]
    ; refused:
    ; dsb sy
    ; str x4, [x2]
    ; ldr x1, [x2, #8]
    ; cmp x4, x1
    ; b.lo <again
    ; ret
);

fn pad(ops: &mut Assembler, to: usize) {
    assert!(ops.offset().0 <= to, "the stub has outgrown its layout");
    while ops.offset().0 < to {
        ops.push(0);
    }
}

fn finish(ops: Assembler) -> Vec<u8> {
    ops.finalize().expect("every label is bound, and near enough")
}
