//! The story of two guests, each with its own address space, and what happens to their memory.
//!
//! Read [`tell`] from top to bottom. Everything here is the same on all machines; each chapter lets a guest run up to
//! its next call, and checks the result.

use alloc::string::String;

use tablewright::{
    AddrSpace, ClosedRange, DeviceAccess, FaultOutcome, Format, GuestMemoryAccessor, GuestPhysAddr, MappingFlags,
    PageBitmap, ReportError, SharedMemory, SpaceError, State, Tag,
};

use crate::guest::{self, Call, PAGE};
use crate::machine::{Exit, Machine, Problem, Space};
use crate::memory::{self, FrameHal};
use crate::say;

/// The console's name in the resolution of faults.
const CONSOLE: usize = 1;
/// The memory that is taken away and given back: the guest's pages 0 to 3.
const TAKEN: usize = guest::heap(3);
const TAKEN_PAGES: usize = (guest::heap(0) - TAKEN) / PAGE + 1;

const PAGE_BITS: u8 = PAGE.ilog2() as u8;
const HEAP_BYTES: usize = guest::HEAP_PAGES * PAGE;

const RW: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE);
const RX: MappingFlags = MappingFlags::READ.union(MappingFlags::EXECUTE);

/// The whole story, or why it ended early.
pub fn tell<M: Machine>(machine: &mut M) -> Result<(), Problem> {
    let before = memory::frames_in_use();
    // SAFETY: both guests run on this machine, and their spaces have its HAL.
    let shared = unsafe { SharedMemory::new(&FrameHal, guest::SHARED_PAGES * PAGE, PAGE_BITS, PAGE_BITS) };
    let shared = shared.map_err(|_| Problem("no memory"))?;
    let mut first = Guest::new(machine, 0, &shared, RW)?;
    let mut second = Guest::new(machine, 1, &shared.read_only(), MappingFlags::READ)?;

    for guest in [&mut first, &mut second] {
        say!("\nguest {}, {}", guest.number, guest.space);
        guest.uses_memory(machine)?;
    }
    say!("\nThey share memory.");
    first.until(machine, Call::Shared)?;
    let message = second.until(machine, Call::Shared)?;
    say!("guest 1 reads {message:#x} there");
    check(message == guest::MESSAGE, "the second guest reads what the first wrote")?;

    say!("\nThey write where they may not.");
    for guest in [&mut first, &mut second] {
        guest.is_refused(machine)?;
    }
    say!("\nMemory is taken away, and given back when it is missed.");
    for guest in [&mut first, &mut second] {
        guest.lends_memory(machine)?;
    }
    say!("\nA log of what they write.");
    for guest in [&mut first, &mut second] {
        guest.is_watched(machine)?;
    }
    say!("\nThe end.");
    // Its frames are freed with the last guest that maps them.
    drop(shared);
    for guest in [first, second] {
        guest.ends(machine)?;
    }
    let left = memory::frames_in_use() - before;
    say!("{left} frames are still in use");
    check(left == 0, "every frame comes back")
}

struct Guest<M: Machine> {
    number: usize,
    space: Space<M>,
    vcpu: M::Vcpu,
    /// What it wrote to the console since the last end of line.
    line: String,
    faults: Faults,
}

/// The number of faults, by how they were resolved, since this was last read.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    mapped: usize,
    denied: usize,
    missed: usize,
    console: usize,
}

impl<M: Machine> Guest<M> {
    /// A guest with its memory, ready to run.
    fn new(machine: &mut M, number: usize, shared: &SharedMemory, sharing: MappingFlags) -> Result<Self, Problem> {
        let mut space = AddrSpace::new_empty(machine.format()?, FrameHal, Tag(number as u32 + 1)).map_err(no_space)?;
        machine.load(&space)?;
        map_all(&mut space, shared, sharing).map_err(no_space)?;
        let vcpu = machine.boot(&space, number)?;
        Ok(Self { number, space, vcpu, line: String::new(), faults: Faults::default() })
    }

    /// Pages get their frames when they are first used.
    fn uses_memory(&mut self, machine: &mut M) -> Result<(), Problem> {
        let before = memory::frames_in_use();
        let used = self.until(machine, Call::Used)?;
        let (faults, frames) = (self.faults(), memory::frames_in_use() - before);
        say!(
            "guest {} uses {used:#x} bytes: {} faults, {frames} frames for data and tables",
            self.number,
            faults.mapped
        );
        check(used == guest::USED * PAGE, "the guest finds in its memory what it wrote")?;
        // Its stack is used for the first time here, too.
        check(faults.mapped > guest::USED, "each page that is used faults once")?;
        check(faults.console > 0, "the guest prints")?;
        check(faults.denied + faults.missed == 0, "the guest keeps to its memory")
    }

    fn is_refused(&mut self, machine: &mut M) -> Result<(), Problem> {
        let unchanged = self.until(machine, Call::Tried)?;
        check(self.faults().denied == 1, "a store to read-only memory is denied")?;
        check(unchanged == 1, "a store that is denied changes nothing")
    }

    /// Takes memory away and gives it back, as for a balloon driver.
    fn lends_memory(&mut self, machine: &mut M) -> Result<(), Problem> {
        let kept = self.until(machine, Call::Offer)?;
        check(kept != 0, "there is something in the memory that is taken")?;
        self.faults();
        let before = memory::frames_in_use();
        self.change(machine, |space| space.unmap(gpa(TAKEN), TAKEN_PAGES * PAGE))?;
        let back = before - memory::frames_in_use();
        say!("guest {} lends {TAKEN_PAGES} pages: {back} frames come back", self.number);
        check(back >= 4, "the frames of what is unmapped come back")?;
        let found = self.until(machine, Call::Returned)?;
        check(self.faults().missed == 1, "memory that was taken is missed once")?;
        check(found == 0, "memory that is given back is empty")
    }

    /// Logs which pages the guest writes, as migration needs.
    fn is_watched(&mut self, machine: &mut M) -> Result<(), Problem> {
        self.until(machine, Call::Watch)?;
        // What was written before the log begins is not in it.
        self.change(machine, |space| space.start_dirty_log(gpa(guest::HEAP), HEAP_BYTES))?;
        self.until(machine, Call::Wrote)?;
        let words = self.written(machine)?;
        let page_of = |number: usize| (guest::heap(number) - guest::HEAP) / PAGE;
        let written = |page: usize| words[page / 64] >> (page % 64) & 1 == 1;
        for page in (0..guest::HEAP_PAGES).filter(|&page| written(page)) {
            say!("guest {} wrote to {:#x}", self.number, guest::HEAP + page * PAGE);
        }
        let logged = guest::LOGGED.map(page_of);
        let right = (0..guest::HEAP_PAGES).all(|page| written(page) == logged.contains(&page));
        check(right, "the log has what was written, and nothing else")?;
        self.change(machine, |space| space.stop_dirty_log(gpa(guest::HEAP), HEAP_BYTES))
    }

    fn ends(mut self, machine: &mut M) -> Result<(), Problem> {
        self.until(machine, Call::Done)?;
        say!("guest {}, {}", self.number, self.space);
        // It is dropped while its registers are loaded, so that invalidations act on it.
        machine.load(&self.space)
    }

    /// The pages of the heap that were written to since the last time, a bit for each.
    fn written(&mut self, machine: &mut M) -> Result<[u64; guest::HEAP_PAGES / 64], Problem> {
        let mut words = [0; guest::HEAP_PAGES / 64];
        let heap = ClosedRange::from_start_size(guest::HEAP as u64, HEAP_BYTES as u64);
        let mut pages = heap
            .and_then(|heap| PageBitmap::new(heap, PAGE_BITS, &mut words))
            .ok_or(Problem("no bitmap for the heap"))?;
        self.change(machine, |space| space.harvest_exclusive(State::Dirty, &mut pages))?;
        Ok(words)
    }

    /// Changes the space.
    fn change(
        &mut self,
        machine: &mut M,
        change: impl FnOnce(&mut Space<M>) -> Result<(), SpaceError>,
    ) -> Result<(), Problem> {
        machine.load(&self.space)?;
        change(&mut self.space).map_err(no_space)
    }

    /// Runs the guest until it makes this call; returns the call's argument.
    fn until(&mut self, machine: &mut M, wanted: Call) -> Result<usize, Problem> {
        machine.load(&self.space)?;
        loop {
            match machine.run(&mut self.vcpu) {
                Exit::Call(number, argument) if Call::of(number) == Some(wanted) => return Ok(argument),
                Exit::Call(number, argument) => {
                    say!("guest {} calls {:?} with {argument:#x}", self.number, Call::of(number));
                    return Err(Problem("the guest calls for something else"));
                }
                Exit::Fault(report) => self.fault(machine, &report)?,
                Exit::Other(words) => {
                    say!("guest {}: {words:#x?}", self.number);
                    return Err(Problem("the guest does what this hypervisor does not know"));
                }
            }
        }
    }

    /// Handles an access that was not translated.
    fn fault(&mut self, machine: &mut M, report: &<M::Format as Format>::Report) -> Result<(), Problem> {
        let outcome = match self.space.handle_report(report) {
            Ok(outcome) => outcome,
            Err(ReportError::NoAddress(info)) => self.space.handle_fault(machine.resolve(report), info.access),
            Err(error) => {
                say!("guest {}: {error}: {report:#x?}", self.number);
                return Err(Problem("the fault is none that a guest can cause"));
            }
        };
        match outcome {
            FaultOutcome::Mapped | FaultOutcome::Marked | FaultOutcome::Spurious => self.faults.mapped += 1,
            FaultOutcome::Device(DeviceAccess { handle: CONSOLE, offset: 0, .. }) => {
                self.faults.console += 1;
                let byte = self.skip_store(machine)?;
                self.print(byte as u8);
            }
            FaultOutcome::Denied => {
                self.faults.denied += 1;
                let value = self.skip_store(machine)?;
                say!("guest {} may not store {value:#x}: {report:#x?}", self.number);
            }
            FaultOutcome::NotMapped => {
                self.faults.missed += 1;
                say!("guest {} misses memory: {report:#x?}", self.number);
                self.change(machine, |space| space.map_alloc(gpa(TAKEN), TAKEN_PAGES * PAGE, RW, false))?;
            }
            outcome => {
                say!("guest {}: {outcome:?}: {report:#x?}", self.number);
                return Err(Problem("a fault that nothing can be done about"));
            }
        }
        Ok(())
    }

    /// Lets the guest continue after the store at which it stopped; returns the value to be stored.
    fn skip_store(&mut self, machine: &mut M) -> Result<u64, Problem> {
        let store = machine.store(&self.vcpu, &self.space).ok_or(Problem("an instruction of another kind"))?;
        machine.skip(&mut self.vcpu, store.instruction);
        Ok(store.value)
    }

    /// The console.
    fn print(&mut self, byte: u8) {
        if byte == b'\n' {
            say!("guest {} says: {}", self.number, self.line);
            self.line.clear();
        } else {
            self.line.push(char::from(byte));
        }
    }

    fn faults(&mut self) -> Faults {
        core::mem::take(&mut self.faults)
    }
}

/// The layout of a guest's memory.
fn map_all<F: Format>(
    space: &mut AddrSpace<F, FrameHal>,
    shared: &SharedMemory,
    sharing: MappingFlags,
) -> Result<(), SpaceError> {
    space.map_alloc(gpa(guest::HEAP), HEAP_BYTES, RW, false)?;
    space.map_alloc(gpa(guest::STACK), guest::STACK_PAGES * PAGE, RW, false)?;
    space.map_shared(gpa(guest::SHARED), shared, sharing)?;
    space.map_device(gpa(guest::CONSOLE), PAGE, CONSOLE)?;
    // The program is writable until it is loaded.
    let program = memory::program();
    let start = gpa(program.as_ptr().addr());
    space.map_alloc(start, program.len(), RW, false)?;
    space.write_buffer(start, program).map_err(|_| SpaceError::NoMemory)?;
    space.protect(start, program.len(), RX)
}

fn gpa(address: usize) -> GuestPhysAddr {
    GuestPhysAddr::from_usize(address)
}

fn no_space(error: SpaceError) -> Problem {
    say!("{error}");
    Problem("a space cannot be what it should")
}

fn check(holds: bool, what: &'static str) -> Result<(), Problem> {
    if holds { Ok(()) } else { Err(Problem(what)) }
}
