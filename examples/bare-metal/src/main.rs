//! The smallest program that manages a guest's memory on a machine without an operating system.
//!
//! It makes an address space in the target's own format, maps, touches and unmaps memory, and computes the values for
//! the machine's root registers; it does not enter a guest. Building it shows that the library, with its generated
//! invalidations, compiles and links for these targets.

#![no_std]
#![no_main]

extern crate alloc;

mod frames;
mod machine;

use core::panic::PanicInfo;

use frames::{FrameHal, Heap};
use machine::{Format, config};
use tablewright::{AddrSpace, GuestPhysAddr, MappingFlags, Rights, SpaceError, Tag};

#[global_allocator]
static HEAP: Heap = Heap;

/// Where execution starts; the boot loader or the firmware has set up a stack.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    let registers = guest_memory();
    // A hypervisor loads them here and enters the guest.
    core::hint::black_box(&registers);
    loop {
        core::hint::spin_loop();
    }
}

/// A guest with 64 KiB of memory, most of it allocated on first use.
fn guest_memory() -> Result<<Format as tablewright::Format>::Registers, SpaceError> {
    let format = Format::new(&config()).map_err(tablewright::Error::from)?;
    let mut space: AddrSpace<Format, FrameHal> = AddrSpace::new_empty(format, FrameHal, Tag(1))?;

    let ram = GuestPhysAddr::from_usize(0x8000_0000);
    space.map_alloc(ram, 0x1_0000, MappingFlags::READ | MappingFlags::WRITE | MappingFlags::EXECUTE, false)?;

    // What the guest's first store would cause, and a store to a page that was unmapped again.
    core::hint::black_box(space.handle_fault(ram, Rights::W));
    space.unmap(ram, 0x1000)?;
    core::hint::black_box(space.handle_fault(ram, Rights::W));

    Ok(space.registers().map_err(|refusal| tablewright::Error::Refused { level: 0, refusal })?)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
