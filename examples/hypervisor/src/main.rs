//! A hypervisor on bare metal with two guests: everything that guests' memory needs, from the machine's first
//! instruction until the last frame is freed.
//!
//! Start with `story.rs`, which says what happens to the guests and is the same on every machine. `guest.rs` is the
//! guests' program, `memory.rs` implements the library's HAL, and `machine/` enters guests on each kind of machine.
//! Page tables, register values, fault reports and invalidations come from the library.
//!
//! The log goes to the serial line. Its last line is the verdict; then the machine is shut down.

#![no_std]
#![no_main]

extern crate alloc;

mod guest;
mod machine;
mod memory;
mod story;

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use machine::{Machine, Problem};

/// Runs the whole story on a machine, then shuts it down.
fn run<M: Machine>(machine: Result<M, Problem>) -> ! {
    say!("A hypervisor on {}", M::NAME);
    let outcome = machine.and_then(|mut machine| story::tell(&mut machine));
    match outcome {
        Ok(()) => say!("verdict: passed"),
        Err(Problem(why)) => say!("verdict: FAILED: it does not hold that {why}"),
    }
    machine::end(outcome.is_ok())
}

/// Prints a line on the machine's serial line.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::print(core::format_args!($($text)*)) };
}

fn print(line: fmt::Arguments<'_>) {
    // It cannot fail.
    let _ = writeln!(Serial, "{line}");
}

struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(machine::put);
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("{info}");
    say!("verdict: FAILED: {}", info.message());
    machine::end(false)
}
