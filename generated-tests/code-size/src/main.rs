//! A program whose size is measured; it is never run. It uses an address space in one format: with every operation,
//! with those that most hypervisors need, or with the fewest possible. Memory and format are those of the bare-metal
//! example.

#![no_std]
#![no_main]

extern crate alloc;

#[cfg(feature = "all")]
mod all;
#[path = "../../../examples/bare-metal/src/frames.rs"]
mod frames;
#[path = "../../../examples/bare-metal/src/machine.rs"]
mod machine;
#[cfg(feature = "usual")]
mod usual;

use core::{hint::black_box, panic::PanicInfo};

use frames::{FrameHal, Heap};
use machine::{Format, config};
use tablewright::AddrSpace;

#[global_allocator]
static HEAP: Heap = Heap;

type Space = AddrSpace<Format, FrameHal>;

/// The functions whose code is counted. Listing them adds no code.
struct There<const N: usize>([*const (); N]);

// SAFETY: nobody calls them.
unsafe impl<const N: usize> Sync for There<N> {}

/// The fewest operations: a space is made, its register values are computed, and it is dropped.
static LEAST: There<3> = There([
    Space::new_empty as *const (),
    Space::registers as *const (),
    core::ptr::drop_in_place::<Space> as *const (),
]);

/// Where execution would start.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    let _ = black_box(<Format as tablewright::Format>::new(&config()));
    black_box(&LEAST.0);
    #[cfg(feature = "usual")]
    black_box(&usual::USUAL.0);
    #[cfg(feature = "all")]
    black_box(&all::OTHERS.0);
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
