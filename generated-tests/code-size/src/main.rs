//! All that a hypervisor can ask of an address space in one format: what is measured is how large it is, so nothing runs
//! it. Memory and format are those of the bare-metal example.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "../../../examples/bare-metal/src/frames.rs"]
mod frames;
#[path = "../../../examples/bare-metal/src/machine.rs"]
mod machine;

use core::{hint::black_box, panic::PanicInfo};

use frames::{FrameHal, Heap};
use machine::{Format, config};
use tablewright::{AddrSpace, Attributes, Change, GuestMemoryAccessor, SharedMemory, SpaceError};

#[global_allocator]
static HEAP: Heap = Heap;

type Space = AddrSpace<Format, FrameHal>;

/// Where execution would start.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    let _ = black_box(<Format as tablewright::Format>::new(&config()));
    let _ = black_box(changes());
    let _ = black_box(questions());
    loop {
        core::hint::spin_loop();
    }
}

/// What most operations come to.
type Outcome = Result<(), SpaceError>;

/// What changes a space.
fn changes() -> [*const (); 16] {
    [
        Space::new_empty as *const (),
        core::ptr::drop_in_place::<Space> as *const (),
        Space::map_linear as fn(&mut Space, _, _, Attributes) -> Outcome as *const (),
        Space::map_alloc as fn(&mut Space, _, _, Attributes, _) -> Outcome as *const (),
        Space::map_shared as fn(&mut Space, _, &SharedMemory, Attributes) -> Outcome as *const (),
        Space::map_copy_on_write as fn(&mut Space, _, &SharedMemory, Attributes) -> Outcome as *const (),
        Space::map_device as *const (),
        Space::unmap as *const (),
        Space::clear as *const (),
        Space::protect as fn(&mut Space, _, _, Change) -> Outcome as *const (),
        Space::split as *const (),
        Space::collapse as *const (),
        Space::start_dirty_log as *const (),
        Space::stop_dirty_log as *const (),
        Space::reserve as *const (),
        Space::harvest_exclusive as *const (),
    ]
}

/// What is asked while the guest runs.
fn questions() -> [*const (); 13] {
    [
        Space::registers as *const (),
        Space::handle_report as *const (),
        Space::handle_report_exclusive as *const (),
        Space::handle_fault as *const (),
        Space::fault_info as *const (),
        Space::harvest as *const (),
        Space::translate as *const (),
        Space::query as *const (),
        Space::find_area as *const (),
        Space::find_free_area as *const (),
        Space::statistics as *const (),
        <Space as GuestMemoryAccessor>::read_buffer as *const (),
        <Space as GuestMemoryAccessor>::write_buffer as *const (),
    ]
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
