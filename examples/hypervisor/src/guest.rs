//! The guests' program: an operating system of thirty lines. It runs in the guest and has only the guest's memory.
//!
//! It is the same code on every machine. Each guest has a copy of the image's code and constants where the image was
//! linked, which it can execute but not change; it has no writable statics, only its stack and the memory below.

use core::fmt::{self, Write};

use crate::machine::{self, GUEST_BASE};

/// Memory that is allocated when it is first used.
pub const HEAP: usize = GUEST_BASE + 0x1000_0000;
/// Memory that both guests have: the first may write it, the second may not.
pub const SHARED: usize = GUEST_BASE + 0x1100_0000;
/// A device that prints the bytes that are written to it.
pub const CONSOLE: usize = GUEST_BASE + 0x1200_0000;
/// The stack, and above it a page for what a machine needs in order to start.
pub const STACK: usize = GUEST_BASE + 0x1300_0000;

/// Size of a page.
pub const PAGE: usize = 0x1000;
/// Sizes in pages.
pub const HEAP_PAGES: usize = 512;
pub const SHARED_PAGES: usize = 4;
pub const STACK_PAGES: usize = 8;

/// How many pages of its heap a guest uses: not the first, and not all in the order of their addresses.
pub const USED: usize = 16;
/// The pages that are written while the hypervisor keeps a log.
pub const LOGGED: [usize; 3] = [2, 7, 12];
/// The message from the first guest to the second.
pub const MESSAGE: usize = 0x600d_cafe;

/// A guest's calls to the hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Call {
    /// I used so many bytes of the heap, and found them as I left them.
    Used,
    /// I have written the message to the shared memory, or read this from it.
    Shared,
    /// I tried to write where I may not, and this is there now.
    Tried,
    /// Take what memory you need; this is what I have in it.
    Offer,
    /// I went back to memory that was taken from me, and found this.
    Returned,
    /// Watch what I write.
    Watch,
    /// I have written.
    Wrote,
    /// I am done.
    Done,
}

impl Call {
    const ALL: [Self; 8] =
        [Self::Used, Self::Shared, Self::Tried, Self::Offer, Self::Returned, Self::Watch, Self::Wrote, Self::Done];

    /// The call with a number. A guest may pass any number.
    pub fn of(number: usize) -> Option<Self> {
        Self::ALL.get(number).copied()
    }
}

/// The whole life of the guest with this number.
pub extern "C" fn main(number: usize) -> ! {
    let _ = writeln!(Console, "I am guest {number}, and my code is at {:?}", main as extern "C" fn(usize) -> !);

    for page in 0..USED {
        write(heap(page), value(number, page));
    }
    let right = (0..USED).filter(|&page| read(heap(page)) == value(number, page)).count();
    call(Call::Used, right * PAGE);

    if number == 0 {
        write(SHARED + 8, MESSAGE);
    }
    call(Call::Shared, read(SHARED + 8));

    // The first guest tries to change its own code, the second the first one's message.
    let forbidden = if number == 0 { main as *const () as usize & !7 } else { SHARED + 8 };
    let before = read(forbidden);
    machine::store_word(forbidden, !before);
    call(Call::Tried, (read(forbidden) == before).into());

    // The CPU holds the translation when the page is taken away. If it were not invalidated, the guest would find the
    // old content.
    call(Call::Offer, read(heap(1)));
    call(Call::Returned, read(heap(1)));

    call(Call::Watch, 0);
    for page in LOGGED {
        write(heap(page), page);
    }
    call(Call::Wrote, LOGGED.len());

    let _ = writeln!(Console, "Goodbye");
    call(Call::Done, 0);
    loop {
        core::hint::spin_loop();
    }
}

/// The address of the `number`th page that is used of the heap: every other, from the end on.
pub const fn heap(number: usize) -> usize {
    HEAP + (HEAP_PAGES - 1 - 2 * number) * PAGE
}

/// The value that the guest first writes there.
fn value(guest: usize, page: usize) -> usize {
    (guest + 1) << 32 | page
}

fn call(call: Call, argument: usize) {
    machine::call(call as usize, argument);
}

fn read(address: usize) -> usize {
    // SAFETY: a word of the guest's memory, where no Rust object is.
    unsafe { core::ptr::with_exposed_provenance::<usize>(address).read_volatile() }
}

fn write(address: usize, value: usize) {
    // SAFETY: as for `read`.
    unsafe { core::ptr::with_exposed_provenance_mut::<usize>(address).write_volatile(value) }
}

/// The driver of the device.
struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| machine::store_byte(CONSOLE, byte));
        Ok(())
    }
}
