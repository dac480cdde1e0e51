//! A PC whose firmware is this image. Guests run by AMD's extension, and nested page tables translate for them, or by
//! Intel's, and extended page tables do: whichever the processor has.
//!
//! They run in 64-bit mode, and so under page tables of their own, which map all addresses to themselves.

mod boot;
mod exceptions;
mod svm;
mod vmx;

use core::arch::asm;

use tablewright::{GuestMemoryAccessor as _, GuestPhysAddr, PhysFrame};

use super::{Machine, Problem, Space, Store};
use crate::guest;
use crate::memory::{self, FrameHal};

pub use svm::at_entry;

/// The image is at 1 MiB.
pub const GUEST_BASE: usize = 0;

/// The serial line that every PC has.
const COM1: u16 = 0x3f8;
/// What ends the machine in QEMU and in Bochs.
const DEBUG_EXIT: u16 = 0xf4;
const BOCHS_SHUTDOWN: u16 = 0x8900;

/// CPUID always is the hypervisor's to answer; what is above this leaf, no hardware knows. A guest calls by it.
const CALLS: u64 = 0x4000_0000;

/// Where a guest's own tables are: in the last two pages of its stack.
const TABLES: usize = guest::STACK + (guest::STACK_PAGES - 2) * guest::PAGE;
/// Where the rest begins, as if somebody had called.
const STACK_TOP: u64 = TABLES as u64 - 8;

/// CR0 of guests and hypervisor: paging, write protection, native errors, extension type, protection.
const CR0: u64 = 0x8001_0031;
/// CR4.PAE; EFER.LMA and LME.
const PAE: u64 = 1 << 5;
const LONG_MODE: u64 = 1 << 10 | 1 << 8;

extern "C" fn main() -> ! {
    // SAFETY: this is the beginning. The serial line gets characters of eight bits.
    unsafe {
        memory::init();
        write_port(COM1 + 3, 0b11);
    }
    exceptions::catch();
    if svm::is_there() { crate::run(svm::Svm::new()) } else { crate::run(vmx::Vmx::new()) }
}

/// A guest's general registers, by the numbers that instructions give them.
#[derive(Default)]
#[repr(C)]
struct Registers([u64; 16]);

impl Registers {
    const RAX: usize = 0;
    const RCX: usize = 1;
    const RDI: usize = 7;

    /// Those of a guest that starts in [`guest::main`].
    fn of(number: usize) -> Self {
        let mut registers = Self::default();
        registers.0[Self::RDI] = number as u64;
        registers
    }

    /// The call that a CPUID is, if it is one.
    fn call(&self) -> Option<(usize, usize)> {
        let number = (self.0[Self::RAX] & 0xffff_ffff).checked_sub(CALLS)?;
        Some((number as usize, self.0[Self::RCX] as usize))
    }

    /// The store at `rip`, which `store_byte` and `store_word` are made of: of `al` or `rax` to `[rdi]`.
    fn store<M: Machine>(&self, rip: u64, space: &Space<M>) -> Option<Store> {
        let code: [u8; 3] = space.read_obj(gpa(rip as usize)).ok()?;
        match code {
            [0x88, 0x07, _] => Some(Store { value: self.0[Self::RAX] & 0xff, instruction: 2 }),
            [0x48, 0x89, 0x07] => Some(Store { value: self.0[Self::RAX], instruction: 3 }),
            _ => None,
        }
    }
}

/// Writes a guest's own tables: its first gigabyte, mapped to itself by one block.
fn write_tables<M: Machine>(space: &Space<M>) -> Result<(), Problem> {
    let block = TABLES + guest::PAGE;
    let write = |at, entry: u64| space.write_obj(gpa(at), entry).map_err(|_| Problem("a guest has a stack"));
    write(TABLES, block as u64 | 0x03)?;
    write(block, 0x83)
}

/// Where a frame is.
fn address(frame: &PhysFrame<FrameHal>) -> Result<u64, Problem> {
    frame.start_paddr().map(|start| start.as_usize() as u64).ok_or(Problem("no memory"))
}

fn read_msr(number: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading those that are read here has no effect.
    unsafe { asm!("rdmsr", in("ecx") number, out("eax") low, out("edx") high, options(nomem, nostack)) };
    u64::from(high) << 32 | u64::from(low)
}

/// # Safety
///
/// The hypervisor must be able to go on with the value.
unsafe fn write_msr(number: u32, value: u64) {
    // SAFETY: as the caller promises.
    unsafe {
        asm!("wrmsr", in("ecx") number, in("eax") value as u32, in("edx") (value >> 32) as u32, options(nostack))
    };
}

/// Sets bits of CR4.
///
/// # Safety
///
/// As for [`write_msr`].
unsafe fn set_cr4(bits: u64) {
    // SAFETY: as the caller promises.
    unsafe { asm!("mov {cr4}, cr4", "or {cr4}, {bits}", "mov cr4, {cr4}", cr4 = out(reg) _, bits = in(reg) bits) };
}

fn gpa(address: usize) -> GuestPhysAddr {
    GuestPhysAddr::from_usize(address)
}

/// Calls the hypervisor, in the guest.
pub fn call(number: usize, argument: usize) {
    // SAFETY: all that happens to the guest is that it goes on: this hypervisor leaves it all registers.
    unsafe { asm!("cpuid", in("rax") CALLS as usize + number, in("rcx") argument) };
}

/// Stores a byte, in the guest.
pub fn store_byte(address: usize, byte: u8) {
    // SAFETY: nothing is there that Rust knows of.
    unsafe { asm!("mov [rdi], al", in("al") byte, in("rdi") address) };
}

/// Stores a word, in the guest.
pub fn store_word(address: usize, word: usize) {
    // SAFETY: as above.
    unsafe { asm!("mov [rdi], rax", in("rax") word, in("rdi") address) };
}

/// Writes a byte to the serial line.
pub fn put(byte: u8) {
    // SAFETY: the registers of a 16550: while the transmitter holds a byte, wait.
    unsafe {
        while read_port(COM1 + 5) & 1 << 5 == 0 {}
        write_port(COM1, byte);
    }
}

/// Ends the machine, with this and a bit as QEMU's status. Bochs has a port of its own for that, and no status.
pub fn end(passed: bool) -> ! {
    loop {
        // SAFETY: the devices do nothing else, and the serial line may finish what it has to say.
        unsafe {
            while read_port(COM1 + 5) & 1 << 6 == 0 {}
            write_port(DEBUG_EXIT, u8::from(!passed));
            b"Shutdown".iter().for_each(|&byte| write_port(BOCHS_SHUTDOWN, byte));
        }
    }
}

/// # Safety
///
/// What the device does with it must be harmless.
unsafe fn write_port(port: u16, byte: u8) {
    // SAFETY: as the caller promises.
    unsafe { asm!("out dx, al", in("al") byte, in("dx") port, options(nostack)) };
}

/// # Safety
///
/// As for [`write_port`].
unsafe fn read_port(port: u16) -> u8 {
    let byte;
    // SAFETY: as the caller promises.
    unsafe { asm!("in al, dx", out("al") byte, in("dx") port, options(nostack)) };
    byte
}
