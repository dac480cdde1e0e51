//! An address space in one format, with all that a hypervisor can ask of it or with the least: what is measured is how large
//! it is, so nothing runs it. Memory and format are those of the bare-metal example.

#![no_std]
#![no_main]

extern crate alloc;

#[cfg(feature = "all")]
mod all;
#[path = "../../../examples/bare-metal/src/frames.rs"]
mod frames;
#[path = "../../../examples/bare-metal/src/machine.rs"]
mod machine;

use core::{hint::black_box, panic::PanicInfo};

use frames::{FrameHal, Heap};
use machine::{Format, config};
use tablewright::AddrSpace;

#[global_allocator]
static HEAP: Heap = Heap;

type Space = AddrSpace<Format, FrameHal>;

/// Where execution would start.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    let _ = black_box(<Format as tablewright::Format>::new(&config()));
    let _ = black_box(least());
    #[cfg(feature = "all")]
    let _ = black_box((all::changes(), all::questions()));
    loop {
        core::hint::spin_loop();
    }
}

/// What there is in any case: a space is made, goes into registers, and is dropped.
fn least() -> [*const (); 3] {
    [Space::new_empty as *const (), Space::registers as *const (), core::ptr::drop_in_place::<Space> as *const ()]
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
