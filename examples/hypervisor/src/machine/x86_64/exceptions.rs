//! What the hypervisor's own exceptions do: the machine says which it was and ends, where it would start over otherwise.

use alloc::boxed::Box;
use core::arch::{asm, global_asm};

// A stub for each exception, 16 bytes apart. It pushes the number below what the CPU has pushed.
global_asm!(
    "
    .section .text
    .balign 16
exceptions:
    .set    number, 0
    .rept   {COUNT}
    .balign 16
    push    number
    jmp     exception
    .set    number, number + 1
    .endr
exception:
    mov     rdi, rsp
    and     rsp, -16
    call    {own_exception}
    ",
    COUNT = const COUNT,
    own_exception = sym own_exception,
);

/// How many exceptions there are, and gates for them.
const COUNT: usize = 32;
/// The selector of 64-bit code.
const CODE: u64 = 0x18;
/// An interrupt gate, present.
const GATE: u64 = 0x8e00;

unsafe extern "C" {
    #[link_name = "exceptions"]
    static STUBS: [[u8; 16]; COUNT];
}

/// Prepares for them, once there is memory to allocate.
pub fn catch() {
    let stubs = (&raw const STUBS).addr() as u64;
    let gates: [[u64; 2]; COUNT] = core::array::from_fn(|number| {
        let stub = stubs + 16 * number as u64;
        [stub & 0xffff | CODE << 16 | GATE << 32 | (stub & 0xffff_0000) << 32, stub >> 32]
    });
    let table =
        Register { limit: size_of_val(&gates) as u16 - 1, base: Box::leak(Box::new(gates)).as_ptr().addr() as u64 };
    // SAFETY: the table stays, and its gates lead to code that does not return.
    unsafe { asm!("lidt [{}]", in(reg) &raw const table, options(readonly, nostack)) };
}

/// What GDTR and IDTR hold.
#[derive(Default)]
#[repr(C, packed)]
struct Register {
    limit: u16,
    base: u64,
}

/// Where the tables of segments and of exceptions are: an exit of Intel's loads them anew.
pub fn tables() -> [u64; 2] {
    let (mut segments, mut exceptions) = (Register::default(), Register::default());
    // SAFETY: each writes one register's content.
    unsafe {
        asm!("sgdt [{}]", in(reg) &raw mut segments, options(nostack));
        asm!("sidt [{}]", in(reg) &raw mut exceptions, options(nostack));
    }
    [segments.base, exceptions.base]
}

/// `pushed`: the number of the exception; an error code, if it has one; where it happened, and more.
extern "C" fn own_exception(pushed: &[u64; 3]) -> ! {
    let address: u64;
    // SAFETY: reading it has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack)) };
    let [number, first, second] = pushed;
    panic!("an exception of the hypervisor's own: {number}, {first:#x}, {second:#x}; {address:#x} in CR2")
}
