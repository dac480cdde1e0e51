//! A hypervisor on bare metal, with two guests: what a guest's memory takes, from the first instruction of the machine to
//! the last frame that comes back.
//!
//! Start with `story.rs`: what happens to the guests, the same on every machine. `guest.rs` is what the guests do,
//! `memory.rs` what the library is told of the machine's memory, and `machine/` how each kind of machine enters a guest.
//! Page tables, register values, fault reports and invalidations are the library's.
//!
//! The log is on the serial line. The last line is the verdict, and the machine ends with it.

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

/// Tells the whole story on a machine, then ends it.
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
