//! The program that runs inside the s390 machine. It asks and answers in batches, by memory that it shares with the host.
//!
//! Its own instructions come from a primary address space of real addresses. Data under test is accessed in secondary-space
//! mode, and what is fetched under test in home-space mode.
//!
//! Manual: z/Architecture Principles of Operation, SA22-7832, *Program-Status Word*, *Assigned Storage Locations*,
//! *Instruction formats*.

use super::{ANSWER_BYTES, ANSWERS, CONTROLS, COUNT, OPERANDS, QUESTION_BYTES, QUESTIONS, RAM, SNIPPET};

/// What a question is about.
pub(super) const READ: u64 = 0;
pub(super) const WRITE: u64 = 1;
pub(super) const FETCH: u64 = 2;
/// To run the snippet, with the two operands in r2 and r3.
pub(super) const RUN: u64 = 3;

/// The size of a snippet, which ends with [`RETURN`].
pub(super) const SNIPPET_BYTES: usize = 64;
/// BR 10.
pub(super) const RETURN: [u8; 2] = [0x07, 0xfa];

/// PSW: 64-bit addresses; DAT; external interruptions; wait; the secondary and the home space.
const LONG: u64 = 0x1_8000_0000;
const DAT: u64 = 1 << 58;
const EXTERNAL: u64 = 1 << 56;
const WAIT: u64 = 1 << 49;
const SECONDARY: u64 = 0b10 << 46;
const HOME: u64 = 0b11 << 46;

/// Where interruptions go on, and what is known of one of a program.
const EXTERNAL_NEW_PSW: u64 = 0x1b0;
const PROGRAM_NEW_PSW: u64 = 0x1d0;
const INTERRUPTION_CODE: u32 = 0x8e;
const TRANSLATION_EXCEPTION: u32 = 0xa8;

/// PSWs to go on with, in memory that interruptions leave alone.
const TO_READ: u32 = 0x400;
const TO_WRITE: u32 = 0x410;
const TO_FETCH: u32 = 0x420;
const TO_DONE: u32 = 0x430;
const TO_WAIT: u32 = 0x440;
const TO_END: u32 = 0x450;
/// A time, and a pause in its units: 50 us.
const CLOCK: u32 = 0x460;
const PAUSE: u32 = 0x468;
const PAUSE_UNITS: u64 = 50 << 12;
/// After how many pauses the host counts as gone: five minutes or so, as QEMU takes longer for each.
const PAUSES: u32 = 2_000_000;

/// Where QEMU loads a boot loader, and where snippets run.
const CODE: u64 = 0x9000;
const PLACE: u32 = 0xb000;

/// Instructions, and labels to branch to.
#[derive(Default)]
struct Assembler {
    code: Vec<u8>,
    labels: Vec<(&'static str, usize)>,
    branches: Vec<(usize, &'static str)>,
}

impl Assembler {
    /// Any instruction, as its bytes from the highest on.
    fn emit(&mut self, length: usize, instruction: u64) -> &mut Self {
        self.code.extend(&instruction.to_be_bytes()[8 - length..]);
        self
    }

    /// RXY: a register and the memory at a displacement from another (0: none).
    fn memory(&mut self, code: u64, register: u64, base: u64, displacement: u32) -> &mut Self {
        let (low, high) = (u64::from(displacement & 0xfff), u64::from(displacement >> 12));
        self.emit(6, (code & 0xff00) << 32 | register << 36 | base << 28 | low << 16 | high << 8 | code & 0xff)
    }

    /// S: one operand in the first page of memory.
    fn single(&mut self, code: u64, displacement: u32) -> &mut Self {
        self.emit(4, code << 16 | u64::from(displacement))
    }

    /// RIL: a register and a number of 32 bits.
    fn load(&mut self, register: u64, number: u32) -> &mut Self {
        self.emit(6, 0xc00f << 32 | register << 36 | u64::from(number))
    }

    /// RRE: exclusive or of a register with itself.
    fn zero(&mut self, register: u64) -> &mut Self {
        self.emit(4, 0xb982 << 16 | register << 4 | register)
    }

    /// LCTLG of one register.
    fn control(&mut self, number: u64, from: u32) -> &mut Self {
        let (low, high) = (u64::from(from & 0xfff), u64::from(from >> 12));
        self.emit(6, 0xeb << 40 | number << 36 | number << 32 | low << 16 | high << 8 | 0x2f)
    }

    fn label(&mut self, name: &'static str) -> &mut Self {
        self.labels.push((name, self.code.len()));
        self
    }

    /// RI: a branch on a condition, or on a count.
    fn branch(&mut self, code: u64, to: &'static str) -> &mut Self {
        self.branches.push((self.code.len(), to));
        self.emit(4, code << 16)
    }

    fn place(&self, name: &str) -> usize {
        self.labels.iter().find(|(label, _)| *label == name).map_or(0, |(_, place)| *place)
    }
}

const LTG: u64 = 0xe302;
const LG: u64 = 0xe304;
const AG: u64 = 0xe308;
const STG: u64 = 0xe324;
const LAY: u64 = 0xe371;
const LLGH: u64 = 0xe391;
const LPSWE: u64 = 0xb2b2;
const STCKF: u64 = 0xb27c;
const SCKC: u64 = 0xb206;
const PTLB: u64 = 0xb20d_0000;
/// SACF 0: the primary space again.
const TO_PRIMARY: u64 = 0xb279_0000;
/// BCR 15, 0.
const SERIALIZE: u64 = 0x07f0;
const BASR_10_9: u64 = 0x0da9;
const J: u64 = 0xa7f4;
const JNZ: u64 = 0xa774;
const JE: u64 = 0xa784;

/// BRCTG, and CGHI, with a register.
const fn count_down(register: u64) -> u64 {
    0xa707 | register << 4
}

const fn compare(register: u64, with: u64) -> u64 {
    0xa70f_0000 | register << 20 | with
}

/// The code, which goes where QEMU has its boot loader; and what stands in low memory: PSWs, each with its place.
pub(super) fn image() -> (Vec<u8>, Vec<(u64, [u64; 2])>) {
    let code = program();
    let at = |label| CODE + code.place(label) as u64;
    let low = vec![
        (EXTERNAL_NEW_PSW, [LONG, at("look")]),
        (PROGRAM_NEW_PSW, [LONG, at("trap")]),
        (TO_READ.into(), [LONG | DAT | SECONDARY, at("read")]),
        (TO_WRITE.into(), [LONG | DAT | SECONDARY, at("write")]),
        (TO_FETCH.into(), [LONG | DAT | HOME, 0]),
        (TO_DONE.into(), [LONG, at("done")]),
        (TO_WAIT.into(), [LONG | EXTERNAL | WAIT, 0]),
        // The address that ends QEMU.
        (TO_END.into(), [LONG | WAIT, 0xfff]),
        (CLOCK.into(), [0, PAUSE_UNITS]),
    ];
    (code.code, low)
}

/// The snippet that loads the control registers from [`CONTROLS`], and drops every translation.
pub(super) fn set() -> Vec<u8> {
    let mut asm = Assembler::default();
    for (offset, number) in (0..).step_by(8).zip([0, 1, 7, 13]) {
        asm.control(number, CONTROLS as u32 + offset);
    }
    asm.emit(4, PTLB);
    asm.code
}

/// r1: what to do, r2: at which address, r3: what was read, r4 and r5: how it trapped, r6: how often there was nothing
/// to do, r7: a time, r8 to r10: a snippet, r12: how many questions are left, r13: where the next answer goes, r14: the
/// next question.
fn program() -> Assembler {
    let mut asm = Assembler::default();
    // Each word of RAM tells its address.
    asm.load(1, RAM.start as u32).load(2, ((RAM.end - RAM.start) / 8) as u32);
    asm.label("tag").memory(STG, 1, 1, 0).memory(LAY, 1, 1, 8).branch(count_down(2), "tag");
    asm.control(0, CONTROLS as u32).branch(J, "ready");

    asm.label("look").memory(LTG, 12, 0, COUNT as u32).branch(JNZ, "work");
    asm.branch(count_down(6), "pause").single(LPSWE, TO_END);
    asm.label("pause").single(STCKF, CLOCK).memory(LG, 7, 0, CLOCK).memory(AG, 7, 0, PAUSE).memory(STG, 7, 0, CLOCK);
    asm.single(SCKC, CLOCK).single(LPSWE, TO_WAIT);

    asm.label("work").load(14, QUESTIONS as u32).load(13, ANSWERS as u32);
    asm.label("next").memory(LG, 1, 14, 0).memory(LG, 2, 14, 8).memory(LAY, 14, 14, QUESTION_BYTES as u32).zero(3);
    asm.emit(4, compare(1, READ)).branch(JE, "to_read").emit(4, compare(1, WRITE)).branch(JE, "to_write");
    asm.emit(4, compare(1, FETCH)).branch(JE, "to_fetch");
    // QEMU knows of code that is written from inside only.
    asm.load(8, SNIPPET as u32).load(9, PLACE).emit(6, 0xd200_9000_8000 | (SNIPPET_BYTES as u64 - 1) << 32);
    asm.memory(LG, 2, 0, OPERANDS as u32).memory(LG, 3, 0, OPERANDS as u32 + 8).emit(2, BASR_10_9).branch(J, "done");
    asm.label("to_fetch").memory(STG, 2, 0, TO_FETCH + 8).single(LPSWE, TO_FETCH);
    asm.label("to_read").single(LPSWE, TO_READ);
    asm.label("to_write").single(LPSWE, TO_WRITE);
    // A zero is there already.
    asm.label("write").emit(4, 0x9200_2000);
    asm.label("read").memory(LG, 3, 2, 0).emit(4, TO_PRIMARY).single(LPSWE, TO_DONE);
    asm.label("done").zero(4).zero(5).branch(J, "answer");
    asm.label("trap").memory(LLGH, 4, 0, INTERRUPTION_CODE).memory(LG, 5, 0, TRANSLATION_EXCEPTION);
    asm.label("answer").memory(STG, 3, 13, 0).memory(STG, 4, 13, 8).memory(STG, 5, 13, 16);
    asm.memory(LAY, 13, 13, ANSWER_BYTES as u32).branch(count_down(12), "next");
    asm.label("ready").emit(2, SERIALIZE).zero(0).memory(STG, 0, 0, COUNT as u32).load(6, PAUSES).branch(J, "look");

    for (from, to) in std::mem::take(&mut asm.branches) {
        let halfwords = (asm.place(to) as i64 - from as i64) / 2;
        asm.code[from + 2..from + 4].copy_from_slice(&(halfwords as i16).to_be_bytes());
    }
    asm
}
