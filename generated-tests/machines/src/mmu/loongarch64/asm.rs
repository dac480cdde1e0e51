//! A small assembler: the instructions that the stub and the snippets are made of, and labels to branch to.
//!
//! Manual: LoongArch Reference Manual, Volume 1, *Table of instruction encoding*.

use std::collections::HashMap;

/// A general register.
#[derive(Clone, Copy)]
pub(super) struct Reg(u32);

pub(super) const ZERO: Reg = Reg(0);
pub(super) const RA: Reg = Reg(1);
pub(super) const A0: Reg = Reg(4);
pub(super) const A1: Reg = Reg(5);
pub(super) const A2: Reg = Reg(6);
pub(super) const A3: Reg = Reg(7);
pub(super) const T0: Reg = Reg(12);
pub(super) const T1: Reg = Reg(13);
pub(super) const T2: Reg = Reg(14);
pub(super) const T3: Reg = Reg(15);
pub(super) const T4: Reg = Reg(16);
pub(super) const T5: Reg = Reg(17);
pub(super) const T6: Reg = Reg(18);
pub(super) const T7: Reg = Reg(19);
pub(super) const T8: Reg = Reg(20);

pub(super) const ERTN: u32 = 0x0648_3800;
pub(super) const IDLE: u32 = 0x0648_8000;
pub(super) const SYSCALL: u32 = 0x002b_0000;
pub(super) const TLBFILL: u32 = 0x0648_3400;
pub(super) const TLBSRCH: u32 = 0x0648_2800;
pub(super) const TLBRD: u32 = 0x0648_2c00;
pub(super) const DBAR: u32 = 0x3872_0000;
pub(super) const RETURN: u32 = jirl(ZERO, RA);
pub(super) const INVTLB_ALL: u32 = 0x0649_8000;

/// Of two registers.
const fn two(code: u32, rd: Reg, rj: Reg) -> u32 {
    code | rj.0 << 5 | rd.0
}

/// Of three registers.
const fn three(code: u32, rd: Reg, rj: Reg, rk: Reg) -> u32 {
    two(code | rk.0 << 10, rd, rj)
}

/// Of two registers and a number of 12 bits.
const fn immediate(code: u32, rd: Reg, rj: Reg, number: i32) -> u32 {
    two(code | (number as u32 & 0xfff) << 10, rd, rj)
}

pub(super) const fn add(rd: Reg, rj: Reg, rk: Reg) -> u32 {
    three(0x0010_8000, rd, rj, rk)
}

pub(super) const fn or(rd: Reg, rj: Reg, rk: Reg) -> u32 {
    three(0x0015_0000, rd, rj, rk)
}

pub(super) const fn and(rd: Reg, rj: Reg, rk: Reg) -> u32 {
    three(0x0014_8000, rd, rj, rk)
}

pub(super) const fn addi(rd: Reg, rj: Reg, number: i32) -> u32 {
    immediate(0x02c0_0000, rd, rj, number)
}

pub(super) const fn ld_d(rd: Reg, rj: Reg, offset: i32) -> u32 {
    immediate(0x28c0_0000, rd, rj, offset)
}

pub(super) const fn st_d(rd: Reg, rj: Reg, offset: i32) -> u32 {
    immediate(0x29c0_0000, rd, rj, offset)
}

pub(super) const fn ld_bu(rd: Reg, rj: Reg, offset: i32) -> u32 {
    immediate(0x2a00_0000, rd, rj, offset)
}

pub(super) const fn ld_wu(rd: Reg, rj: Reg, offset: i32) -> u32 {
    immediate(0x2a80_0000, rd, rj, offset)
}

pub(super) const fn st_b(rd: Reg, rj: Reg, offset: i32) -> u32 {
    immediate(0x2900_0000, rd, rj, offset)
}

/// `rj` without the bits of `rk`.
pub(super) const fn andn(rd: Reg, rj: Reg, rk: Reg) -> u32 {
    three(0x0016_8000, rd, rj, rk)
}

pub(super) const fn sll(rd: Reg, rj: Reg, rk: Reg) -> u32 {
    three(0x0018_8000, rd, rj, rk)
}

pub(super) const fn srl(rd: Reg, rj: Reg, rk: Reg) -> u32 {
    three(0x0019_0000, rd, rj, rk)
}

/// The bits `msb:lsb` of `rj`.
pub(super) const fn bstrpick(rd: Reg, rj: Reg, msb: u32, lsb: u32) -> u32 {
    two(0x00c0_0000 | msb << 16 | lsb << 10, rd, rj)
}

/// Puts the lowest bits of `rj` into the bits `msb:lsb` of `rd`.
pub(super) const fn bstrins(rd: Reg, rj: Reg, msb: u32, lsb: u32) -> u32 {
    two(0x0080_0000 | msb << 16 | lsb << 10, rd, rj)
}

/// Jumps to `rj`, and leaves in `rd` where to return to.
pub(super) const fn jirl(rd: Reg, rj: Reg) -> u32 {
    two(0x4c00_0000, rd, rj)
}

pub(super) const fn csrrd(rd: Reg, register: u32) -> u32 {
    two(0x0400_0000 | register << 10, rd, Reg(0))
}

/// Swaps `rd` and a register.
pub(super) const fn csrwr(rd: Reg, register: u32) -> u32 {
    two(0x0400_0000 | register << 10, rd, Reg(1))
}

pub(super) const fn lddir(rd: Reg, rj: Reg, level: u32) -> u32 {
    two(0x0640_0000 | level << 10, rd, rj)
}

pub(super) const fn ldpte(rj: Reg, odd: u32) -> u32 {
    two(0x0644_0000 | odd << 10, Reg(0), rj)
}

/// `rd` with any number.
pub(super) const fn li(rd: Reg, number: u64) -> [u32; 4] {
    let [low, high] = [number as u32, (number >> 32) as u32];
    [
        0x1400_0000 | low >> 12 << 5 | rd.0,
        immediate(0x0380_0000, rd, rd, low as i32),
        0x1600_0000 | (high & 0xf_ffff) << 5 | rd.0,
        immediate(0x0300_0000, rd, rd, (high >> 20) as i32),
    ]
}

/// Code with branches, which go to labels.
#[derive(Default)]
pub(super) struct Assembler {
    words: Vec<u32>,
    labels: HashMap<&'static str, usize>,
    branches: Vec<(usize, &'static str, u32)>,
}

/// How many bits of a branch's offset there are beyond the lowest 16.
const fn upper_bits(code: u32) -> u32 {
    match code >> 26 {
        0x10 | 0x11 => 5,
        0x14 | 0x15 => 10,
        _ => 0,
    }
}

impl Assembler {
    pub(super) fn emit(&mut self, words: &[u32]) -> &mut Self {
        self.words.extend(words);
        self
    }

    pub(super) fn label(&mut self, name: &'static str) -> &mut Self {
        let before = self.labels.insert(name, self.words.len());
        assert!(before.is_none(), "two labels `{name}`");
        self
    }

    /// Goes on so many bytes from the start, after words that are no instructions.
    pub(super) fn at(&mut self, offset: u64) -> &mut Self {
        assert!(self.words.len() as u64 * 4 <= offset, "no room before {offset:#x}");
        self.words.resize(offset as usize / 4, 0);
        self
    }

    pub(super) fn beqz(&mut self, rj: Reg, to: &'static str) -> &mut Self {
        self.branch(0x4000_0000 | rj.0 << 5, to)
    }

    pub(super) fn bnez(&mut self, rj: Reg, to: &'static str) -> &mut Self {
        self.branch(0x4400_0000 | rj.0 << 5, to)
    }

    pub(super) fn bne(&mut self, rj: Reg, rd: Reg, to: &'static str) -> &mut Self {
        self.branch(two(0x5c00_0000, rd, rj), to)
    }

    /// Branches if `rj` is below `rd`.
    pub(super) fn bltu(&mut self, rj: Reg, rd: Reg, to: &'static str) -> &mut Self {
        self.branch(two(0x6800_0000, rd, rj), to)
    }

    pub(super) fn b(&mut self, to: &'static str) -> &mut Self {
        self.branch(0x5000_0000, to)
    }

    pub(super) fn bl(&mut self, to: &'static str) -> &mut Self {
        self.branch(0x5400_0000, to)
    }

    /// The words, with all branches bound.
    pub(super) fn finish(mut self) -> Vec<u32> {
        for (from, to, code) in self.branches {
            let offset = self.labels[to] as i64 - from as i64;
            let bits = 16 + upper_bits(code);
            assert!((-1 << (bits - 1)..1 << (bits - 1)).contains(&offset), "`{to}` is too far away");
            let offset = offset as u32 & !(!0 << bits);
            self.words[from] = code | (offset & 0xffff) << 10 | offset >> 16;
        }
        self.words
    }

    fn branch(&mut self, code: u32, to: &'static str) -> &mut Self {
        self.branches.push((self.words.len(), to, code));
        self.emit(&[0])
    }
}
