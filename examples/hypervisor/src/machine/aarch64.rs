//! AArch64 at EL2, as QEMU's `virt` has it. Stage 2 translates for the guests, which run at EL1 with stage 1 off.
//!
//! The hypervisor itself runs with stage 1 on, as its caches and the guests' are then coherent; its table is one of
//! the EL2&0 regime (FEAT_VHE).

use core::arch::{asm, global_asm};

use tablewright::aarch64::{stage1_4k, stage2_4k};
use tablewright::{
    Attributes, ClosedRange, Error, GuestMemoryAccessor as _, GuestPhysAddr, MemoryType, PageTable, Rights, Tag,
};

use super::{Exit, Machine, Problem, Space, Store};
use crate::guest;
use crate::memory::{self, FrameHal};

/// The first gigabyte of RAM, with room for what guests have beside it.
pub const GUEST_BASE: usize = 0x4000_0000;

const UART: usize = 0x0900_0000;

/// RW: EL1 is AArch64; E2H; DC: with stage 1 off, the guest's memory is ordinary memory.
const HCR_EL2: u64 = 1 << 34 | 1 << 31 | 1 << 12;
/// EL1 with SP_EL1, all interrupts masked.
const PSTATE: u64 = 0x3c5;
/// The bits that are one, with the MMU and the caches off.
const SCTLR_OFF: u64 = 0x30d0_0800;
/// M, C and I.
const SCTLR_ON: u64 = 1 << 12 | 1 << 2 | 1;

// Execution starts at EL2, with the MMU off.
global_asm!(
    "
    .section .boot, \"ax\"
    .global _start
_start:
    adrp    x0, __stack_top
    mov     sp, x0
    adrp    x0, __bss
    adrp    x1, __bss_end
0:  stp     xzr, xzr, [x0], #16
    cmp     x0, x1
    b.lo    0b
    adrp    x0, vectors
    add     x0, x0, :lo12:vectors
    msr     vbar_el2, x0
    b       {main}

    // Only two exceptions are expected: synchronous ones, of the hypervisor's own and of a guest's.
    .balign 0x800
vectors:
    .irp offset, 0, 0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380
    .org    vectors + \\offset
    b       {own_exception}
    .endr
    .org    vectors + 0x400
    b       exit
    .irp offset, 0x480, 0x500, 0x580, 0x600, 0x680, 0x700, 0x780
    .org    vectors + \\offset
    b       {own_exception}
    .endr
    .org    vectors + 0x800

    // x0: the guest's registers. They are kept in TPIDR_EL2, and the hypervisor's on its stack.
    .global enter
enter:
    stp     x19, x20, [sp, #-96]!
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    msr     tpidr_el2, x0
    ldp     x1, x2, [x0, #31 * 8]
    msr     elr_el2, x1
    msr     sp_el1, x2
    ldr     x1, [x0, #33 * 8]
    msr     spsr_el2, x1
    ldp     x2, x3, [x0, #16]
    ldp     x4, x5, [x0, #32]
    ldp     x6, x7, [x0, #48]
    ldp     x8, x9, [x0, #64]
    ldp     x10, x11, [x0, #80]
    ldp     x12, x13, [x0, #96]
    ldp     x14, x15, [x0, #112]
    ldp     x16, x17, [x0, #128]
    ldp     x18, x19, [x0, #144]
    ldp     x20, x21, [x0, #160]
    ldp     x22, x23, [x0, #176]
    ldp     x24, x25, [x0, #192]
    ldp     x26, x27, [x0, #208]
    ldp     x28, x29, [x0, #224]
    ldr     x30, [x0, #240]
    ldp     x0, x1, [x0]
    eret

exit:
    stp     x0, x1, [sp, #-16]!
    mrs     x0, tpidr_el2
    stp     x2, x3, [x0, #16]
    stp     x4, x5, [x0, #32]
    stp     x6, x7, [x0, #48]
    stp     x8, x9, [x0, #64]
    stp     x10, x11, [x0, #80]
    stp     x12, x13, [x0, #96]
    stp     x14, x15, [x0, #112]
    stp     x16, x17, [x0, #128]
    stp     x18, x19, [x0, #144]
    stp     x20, x21, [x0, #160]
    stp     x22, x23, [x0, #176]
    stp     x24, x25, [x0, #192]
    stp     x26, x27, [x0, #208]
    stp     x28, x29, [x0, #224]
    str     x30, [x0, #240]
    ldp     x1, x2, [sp], #16
    stp     x1, x2, [x0]
    mrs     x1, elr_el2
    mrs     x2, sp_el1
    stp     x1, x2, [x0, #31 * 8]
    mrs     x1, spsr_el2
    str     x1, [x0, #33 * 8]
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     x19, x20, [sp], #96
    ret
    ",
    main = sym main,
    own_exception = sym own_exception,
);

unsafe extern "C" {
    /// Runs a guest until an exception takes it out.
    fn enter(registers: *mut Registers);
}

/// Reads a system register.
macro_rules! read {
    ($register:literal) => {{
        let value: u64;
        // SAFETY: reading it has no effect.
        unsafe { asm!(concat!("mrs {}, ", $register), out(reg) value, options(nomem, nostack)) };
        value
    }};
}

/// Writes a system register, for good once the next `isb` is done.
macro_rules! write {
    ($register:literal, $value:expr) => {
        asm!(concat!("msr ", $register, ", {}"), in(reg) $value, options(nostack))
    };
}

extern "C" fn main() -> ! {
    // SAFETY: this is the beginning.
    unsafe { memory::init() };
    crate::run(Virt::new())
}

extern "C" fn own_exception() -> ! {
    let (syndrome, address) = (read!("esr_el2"), read!("far_el2"));
    panic!("an exception of the hypervisor's own: {syndrome:#x}, {address:#x} at {:#x}", read!("elr_el2"))
}

/// The machine.
pub struct Virt(());

impl Virt {
    fn new() -> Result<Self, Problem> {
        let own = own_table().map_err(|_| Problem("the hypervisor has a table for itself"))?;
        let registers = own.registers().map_err(|_| Problem("the root fits its register"))?;
        // SAFETY: the table maps what this code uses one to one; the guests' EL1 begins as after reset.
        unsafe {
            write!("hcr_el2", HCR_EL2);
            asm!("isb");
            write!("cptr_el2", 0b11_u64 << 20);
            write!("mair_el1", registers.mair_elx);
            // No walks by TTBR1.
            write!("tcr_el1", registers.tcr_elx | 1 << 23);
            write!("ttbr0_el1", registers.ttbr_elx);
            asm!("isb", "tlbi alle2", "dsb sy", "isb");
            write!("sctlr_el1", SCTLR_OFF | SCTLR_ON);
            asm!("isb");
            write!("S3_5_C1_C0_0", SCTLR_OFF); // SCTLR_EL12, the guest's
            write!("S3_5_C1_C0_2", 0b11_u64 << 20); // CPACR_EL12
        }
        // The MMU walks it for as long as this runs.
        own.give_up();
        Ok(Self(()))
    }
}

/// The hypervisor's own table: devices below 1 GiB, and one gigabyte of RAM.
fn own_table() -> Result<PageTable<stage1_4k::Format, FrameHal>, Error> {
    let capabilities = stage1_4k::Capabilities {
        id_aa64mmfr0_el1: read!("id_aa64mmfr0_el1"),
        id_aa64mmfr1_el1: read!("id_aa64mmfr1_el1"),
        id_aa64mmfr2_el1: read!("id_aa64mmfr2_el1"),
    };
    let config = stage1_4k::Config { vhe: true, ..stage1_4k::Config::from_capabilities(&capabilities, 3, 39) };
    let mut table = PageTable::new(stage1_4k::Format::new(&config)?, FrameHal, Tag(0))?;
    let mut gather = table.gather();
    let gigabytes = [
        (0, Attributes::new(Rights::PR | Rights::PW, MemoryType::DeviceNGnRE)),
        (1 << 30, Attributes::new(Rights::PR | Rights::PW | Rights::PX, MemoryType::WriteBack)),
    ];
    for (start, attributes) in gigabytes {
        let attributes = Attributes { accessed: true, dirty: true, ..attributes };
        // SAFETY: nobody walks this table yet, and what it maps is the hypervisor's.
        unsafe { table.map(ClosedRange::around(start, 30), start, &attributes, &mut gather) }?;
    }
    gather.flush();
    Ok(table)
}

/// What the guest has while it does not run.
#[repr(C)]
pub struct Registers {
    x: [u64; 31],
    pc: u64,
    sp: u64,
    pstate: u64,
}

impl Machine for Virt {
    type Format = stage2_4k::Format;
    type Vcpu = Registers;

    const NAME: &'static str = "AArch64, at EL2";

    fn format(&self) -> Result<Self::Format, Problem> {
        let capabilities = stage2_4k::Capabilities {
            id_aa64mmfr0_el1: read!("id_aa64mmfr0_el1"),
            id_aa64mmfr1_el1: read!("id_aa64mmfr1_el1"),
            id_aa64mmfr2_el1: read!("id_aa64mmfr2_el1"),
        };
        let config = stage2_4k::Config::from_capabilities(&capabilities, 3, 40);
        stage2_4k::Format::new(&config).map_err(|_| Problem("the machine has guests with 40 address bits"))
    }

    fn boot(&mut self, _space: &Space<Self>, number: usize) -> Result<Registers, Problem> {
        let mut x = [0; 31];
        x[0] = number as u64;
        let sp = guest::STACK + guest::STACK_PAGES * guest::PAGE;
        Ok(Registers { x, pc: guest::main as *const () as u64, sp: sp as u64, pstate: PSTATE })
    }

    fn load(&mut self, space: &Space<Self>) -> Result<(), Problem> {
        let registers = space.registers().map_err(|_| Problem("the root fits its register"))?;
        // SAFETY: they are about guests, and none runs.
        unsafe {
            write!("vtcr_el2", registers.vtcr_el2);
            write!("vttbr_el2", registers.vttbr_el2);
            write!("hcr_el2", registers.hcr_el2 | HCR_EL2);
            asm!("isb");
        }
        Ok(())
    }

    fn run(&mut self, vcpu: &mut Registers) -> Exit<stage2_4k::Report> {
        // SAFETY: the guest has memory of its own only, and `enter` keeps what is the hypervisor's.
        unsafe { enter(vcpu) };
        let report =
            stage2_4k::Report { esr_el2: read!("esr_el2"), far_el2: read!("far_el2"), hpfar_el2: read!("hpfar_el2") };
        match report.esr_el2 >> 26 {
            0x16 => Exit::Call(vcpu.x[0] as usize, vcpu.x[1] as usize),
            0x20 | 0x24 => Exit::Fault(report),
            _ => Exit::Other([report.esr_el2, report.far_el2, vcpu.pc]),
        }
    }

    /// Permission faults report the guest's virtual address only: its own tables, if it had any, would say where it led.
    fn resolve(&self, report: &stage2_4k::Report) -> GuestPhysAddr {
        // SAFETY: it only looks at the tables that are loaded.
        unsafe { asm!("at s1e1r, {}", "isb", in(reg) report.far_el2) };
        let page = read!("par_el1") & 0x000f_ffff_ffff_f000;
        GuestPhysAddr::from_usize((page | report.far_el2 & 0xfff) as usize)
    }

    /// The store instructions that `store_byte` and `store_word` are made of: STRB and STR with an address in a register.
    fn store(&self, vcpu: &Registers, space: &Space<Self>) -> Option<Store> {
        let instruction: u32 = space.read_obj(GuestPhysAddr::from_usize(vcpu.pc as usize)).ok()?;
        let is_store = instruction & 0xffff_fc00 == 0x3900_0000 || instruction & 0xffff_fc00 == 0xf900_0000;
        let register = instruction as usize & 31;
        is_store.then(|| Store { value: vcpu.x.get(register).copied().unwrap_or(0), instruction: 4 })
    }

    fn skip(&mut self, vcpu: &mut Registers, bytes: usize) {
        vcpu.pc += bytes as u64;
    }
}

/// Calls the hypervisor, in the guest.
pub fn call(number: usize, argument: usize) {
    // SAFETY: all that happens to the guest is that it goes on.
    unsafe { asm!("hvc #0", in("x0") number, in("x1") argument) };
}

/// Stores a byte, in the guest.
pub fn store_byte(address: usize, byte: u8) {
    // SAFETY: nothing is there that Rust knows of.
    unsafe { asm!("strb {:w}, [{}]", in(reg) byte, in(reg) address) };
}

/// Stores a word, in the guest.
pub fn store_word(address: usize, word: usize) {
    // SAFETY: as above.
    unsafe { asm!("str {}, [{}]", in(reg) word, in(reg) address) };
}

/// Writes a byte to the serial line.
pub fn put(byte: u8) {
    let register = |offset| core::ptr::with_exposed_provenance_mut::<u32>(UART + offset);
    // SAFETY: the registers of a PL011: while the transmit FIFO is full, wait.
    unsafe {
        while register(0x18).read_volatile() & 1 << 5 != 0 {}
        register(0).write_volatile(byte.into());
    }
}

/// Ends the machine by semihosting: SYS_EXIT with "application exit" is success.
pub fn end(passed: bool) -> ! {
    let block = [0x2_0026_u64, u64::from(!passed)];
    loop {
        // SAFETY: the debugger ends the machine.
        unsafe { asm!("hlt #0xf000", in("x0") 0x18, in("x1") &block) };
    }
}
