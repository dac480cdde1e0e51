//! RISC-V in HS mode, as QEMU's `virt` has it without firmware. The G-stage translates for the guests, which run in VS
//! mode with `vsatp` at 0.

use core::arch::{asm, global_asm};

use tablewright::riscv64::sv_x4;
use tablewright::{GuestMemoryAccessor as _, GuestPhysAddr};

use super::{Exit, Machine, Problem, Space, Store};
use crate::guest;
use crate::memory;

/// The first gigabyte of RAM, with room for what guests have beside it.
pub const GUEST_BASE: usize = 0x8000_0000;

const UART: usize = 0x1000_0000;
/// A device that ends the machine.
const FINISHER: usize = 0x10_0000;

/// PBMTE and ADUE of `menvcfg`.
const PBMTE: u64 = 1 << 62;
const ADUE: u64 = 1 << 61;

// Execution starts in M-mode, which does what firmware would: it opens all memory, leaves exceptions to HS-mode, and
// asks for what Svpbmt and Svadu offer; what of that is there comes to `main` as its argument.
global_asm!(
    "
    .section .boot, \"ax\"
    .option push
    .option norvc
    .global _start
_start:
    la      sp, __stack_top
    la      t0, __bss
    la      t1, __bss_end
0:  sd      zero, 0(t0)
    addi    t0, t0, 8
    bltu    t0, t1, 0b
    li      t0, -1
    csrw    pmpaddr0, t0
    li      t0, 0x1f
    csrw    pmpcfg0, t0
    li      t0, 0xf0b5ff
    csrw    medeleg, t0
    li      t0, {environment}
    csrw    0x30a, t0                   // menvcfg
    csrr    a0, 0x30a
    li      t0, 0x1800
    csrc    mstatus, t0
    li      t0, 0x800
    csrs    mstatus, t0                 // MPP: HS-mode, as MPV is 0
    la      t0, {main}
    csrw    mepc, t0
    la      t0, own
    csrw    stvec, t0
    mret

    .balign 4
own:
    j       {own_exception}

    // a0: the guest's registers. They are kept in sscratch, and the hypervisor's on its stack.
    .global enter
enter:
    addi    sp, sp, -112
    sd      ra, 0(sp)
    sd      s0, 8(sp)
    sd      s1, 16(sp)
    sd      s2, 24(sp)
    sd      s3, 32(sp)
    sd      s4, 40(sp)
    sd      s5, 48(sp)
    sd      s6, 56(sp)
    sd      s7, 64(sp)
    sd      s8, 72(sp)
    sd      s9, 80(sp)
    sd      s10, 88(sp)
    sd      s11, 96(sp)
    sd      sp, 33*8(a0)
    csrw    sscratch, a0
    la      t0, exit
    csrw    stvec, t0
    ld      t0, 32*8(a0)
    csrw    sepc, t0
    .irp    r, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\\r, \\r*8(a0)
    .endr
    ld      a0, 10*8(a0)
    sret

    .balign 4
exit:
    csrrw   a0, sscratch, a0
    .irp    r, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd      x\\r, \\r*8(a0)
    .endr
    csrr    t0, sscratch
    sd      t0, 10*8(a0)
    csrr    t0, sepc
    sd      t0, 32*8(a0)
    la      t0, own
    csrw    stvec, t0
    ld      sp, 33*8(a0)
    ld      ra, 0(sp)
    ld      s0, 8(sp)
    ld      s1, 16(sp)
    ld      s2, 24(sp)
    ld      s3, 32(sp)
    ld      s4, 40(sp)
    ld      s5, 48(sp)
    ld      s6, 56(sp)
    ld      s7, 64(sp)
    ld      s8, 72(sp)
    ld      s9, 80(sp)
    ld      s10, 88(sp)
    ld      s11, 96(sp)
    addi    sp, sp, 112
    ret
    .option pop
    ",
    environment = const PBMTE | ADUE,
    main = sym main,
    own_exception = sym own_exception,
);

unsafe extern "C" {
    /// Runs a guest until a trap takes it out.
    fn enter(registers: *mut Registers);
}

/// Reads a control and status register.
macro_rules! read {
    ($register:literal) => {{
        let value: u64;
        // SAFETY: reading it has no effect.
        unsafe { asm!(concat!("csrr {}, ", $register), out(reg) value, options(nomem, nostack)) };
        value
    }};
}

/// Writes a control and status register.
macro_rules! write {
    ($register:literal, $value:expr) => {
        asm!(concat!("csrw ", $register, ", {}"), in(reg) $value, options(nostack))
    };
}

extern "C" fn main(environment: u64) -> ! {
    // SAFETY: this is the beginning.
    unsafe { memory::init() };
    crate::run(Ok(Virt { environment }))
}

extern "C" fn own_exception() -> ! {
    panic!(
        "an exception of the hypervisor's own: {:#x}, {:#x} at {:#x}",
        read!("scause"),
        read!("stval"),
        read!("sepc")
    )
}

/// The machine.
pub struct Virt {
    /// What `menvcfg` has taken.
    environment: u64,
}

/// What the guest has while it does not run.
#[repr(C)]
pub struct Registers {
    x: [u64; 32],
    pc: u64,
    /// The hypervisor's stack, while the guest runs.
    stack: u64,
}

impl Machine for Virt {
    type Format = sv_x4::Format;
    type Vcpu = Registers;

    const NAME: &'static str = "RISC-V, in HS-mode";

    /// Sv39x4, which every hart with guests has (but for those with other schemes only); a device tree says the rest.
    fn format(&self) -> Result<Self::Format, Problem> {
        let has = |bit| self.environment & bit != 0;
        let config = sv_x4::Config { svpbmt: has(PBMTE), svadu: has(ADUE), ..sv_x4::Config::new(3, 41) };
        sv_x4::Format::new(&config).map_err(|_| Problem("the machine has Sv39x4"))
    }

    fn boot(&mut self, _space: &Space<Self>, number: usize) -> Result<Registers, Problem> {
        let mut x = [0; 32];
        x[2] = (guest::STACK + guest::STACK_PAGES * guest::PAGE) as u64;
        x[10] = number as u64;
        Ok(Registers { x, pc: guest::main as *const () as u64, stack: 0 })
    }

    fn load(&mut self, space: &Space<Self>) -> Result<(), Problem> {
        let registers = space.registers().map_err(|_| Problem("the root fits its register"))?;
        // SAFETY: it is about guests, and none runs.
        unsafe { write!("0x680", registers.hgatp) };
        if read!("0x680") == registers.hgatp { Ok(()) } else { Err(Problem("hgatp takes the root")) }
    }

    fn run(&mut self, vcpu: &mut Registers) -> Exit<sv_x4::Report> {
        // SAFETY: SPV and SPVP of hstatus and SPP: `sret` goes to VS-mode. The guest has memory of its own only, and
        // `enter` keeps what is the hypervisor's.
        unsafe {
            asm!("csrs 0x600, {}", in(reg) 1_u64 << 8 | 1 << 7);
            asm!("csrs sstatus, {}", in(reg) 1_u64 << 8);
            enter(vcpu);
        }
        let report = sv_x4::Report {
            scause: read!("scause"),
            stval: read!("stval"),
            htval: read!("0x643"),
            htinst: read!("0x64a"),
        };
        match report.scause {
            10 => {
                vcpu.pc += 4;
                Exit::Call(vcpu.x[10] as usize, vcpu.x[11] as usize)
            }
            20 | 21 | 23 => Exit::Fault(report),
            _ => Exit::Other([report.scause, report.stval, vcpu.pc]),
        }
    }

    /// Every report of this machine has the address.
    fn resolve(&self, report: &sv_x4::Report) -> GuestPhysAddr {
        GuestPhysAddr::from_usize(report.stval as usize)
    }

    /// SB and SD with an offset of 0, which `store_byte` and `store_word` are made of.
    fn store(&self, vcpu: &Registers, space: &Space<Self>) -> Option<Store> {
        let instruction: u32 = space.read_obj(GuestPhysAddr::from_usize(vcpu.pc as usize)).ok()?;
        let is_store = matches!(instruction & 0xfe00_7fff, 0x0023 | 0x3023);
        let register = instruction as usize >> 20 & 31;
        is_store.then(|| Store { value: vcpu.x.get(register).copied().unwrap_or(0), instruction: 4 })
    }

    fn skip(&mut self, vcpu: &mut Registers, bytes: usize) {
        vcpu.pc += bytes as u64;
    }
}

/// Calls the hypervisor, in the guest.
pub fn call(number: usize, argument: usize) {
    // SAFETY: all that happens to the guest is that it goes on.
    unsafe { asm!("ecall", in("a0") number, in("a1") argument) };
}

/// Stores a byte, in the guest.
pub fn store_byte(address: usize, byte: u8) {
    // SAFETY: nothing is there that Rust knows of.
    unsafe { asm!(".option push", ".option norvc", "sb {}, 0({})", ".option pop", in(reg) byte, in(reg) address) };
}

/// Stores a word, in the guest.
pub fn store_word(address: usize, word: usize) {
    // SAFETY: as above.
    unsafe { asm!(".option push", ".option norvc", "sd {}, 0({})", ".option pop", in(reg) word, in(reg) address) };
}

/// Writes a byte to the serial line.
pub fn put(byte: u8) {
    let register = |offset| core::ptr::with_exposed_provenance_mut::<u8>(UART + offset);
    // SAFETY: the registers of a 16550: while the transmitter holds a byte, wait.
    unsafe {
        while register(5).read_volatile() & 1 << 5 == 0 {}
        register(0).write_volatile(byte);
    }
}

/// Ends the machine.
pub fn end(passed: bool) -> ! {
    let word: u32 = if passed { 0x5555 } else { 1 << 16 | 0x3333 };
    loop {
        // SAFETY: the device does nothing else.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(FINISHER).write_volatile(word) };
    }
}
