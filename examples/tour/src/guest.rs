//! A guest's memory: what a hypervisor does from boot to shutdown.

use std::error::Error;

use tablewright::{
    AddrSpace, Alloc, Format, GuestMemoryAccessor, GuestPhysAddr, Hal, HostRegion, MappingFlags, Rights, Tag, sim,
};

use crate::machine::Hardware;
use crate::report;

const MIB: usize = 1 << 20;

const ROM: GuestPhysAddr = GuestPhysAddr::from_usize(0x0010_0000);
const CONSOLE: GuestPhysAddr = GuestPhysAddr::from_usize(0x0900_0000);
const NIC: GuestPhysAddr = GuestPhysAddr::from_usize(0x0a00_0000);
const RAM: GuestPhysAddr = GuestPhysAddr::from_usize(0x4000_0000);
const HEAP: GuestPhysAddr = GuestPhysAddr::from_usize(0x8000_0000);
const NOWHERE: GuestPhysAddr = GuestPhysAddr::from_usize(0xf000_0000);

/// Takes a guest from start to end, with the format of a TOML file, in the configuration that a row of it names.
///
/// # Errors
///
/// Any error of the library; none is expected.
pub(crate) fn tour<F: Format>(
    file: &str,
    row: &str,
    mut config: F::Config,
    set: impl Fn(&mut F::Config, &str, i64) -> bool,
) -> Result<(), Box<dyn Error>> {
    for (param, value) in sim::built_in(file, row)?.params.iter() {
        if !set(&mut config, param, value) {
            return Err(format!("{file}: `{param}` cannot be {value}").into());
        }
    }
    let tag = Tag(7);
    let hardware = Hardware::new(tag);
    let machine = hardware.machine.clone();

    // The host allocates the guest's 64 MiB of RAM in one piece, so that large pages fit.
    let backing = machine.allocate(26).ok_or("no memory for the guest")?;
    // SAFETY: it was just allocated, is used for nothing else, and freed only after the guest is gone.
    let ram = unsafe { HostRegion::ram(backing, 64 * MIB) }.ok_or("no region")?;
    // SAFETY: nothing is at this address in the simulated machine; on a real one it would be a network card of which
    // the host makes no use.
    let nic = unsafe { HostRegion::device(0x3000_0000.into(), MIB) }.ok_or("no region")?;

    let (read, write, execute) = (MappingFlags::READ, MappingFlags::WRITE, MappingFlags::EXECUTE);
    let mut space = AddrSpace::<F, _>::new_empty(F::new(&config)?, machine.clone(), tag)?;
    hardware.load(&space, file, row)?;
    report::title(&space, row);

    space.map_linear(RAM, ram, read | write | execute)?;
    space.map(HEAP, 16 * MIB, read | write, Alloc::LAZY)?;
    space.map_alloc(ROM, 0x1_0000, read | execute, true)?;
    space.map_device(CONSOLE, 0x1000, 1)?;
    space.map_linear(NIC, nic, read | write | MappingFlags::DEVICE)?;
    report::layout(&space);
    report::registers(&space)?;

    println!("\nThe guest runs, and some of its accesses fault:");
    for (address, needs, what) in [
        (RAM + 0x123_4560, Rights::W, "store to RAM"),
        (HEAP + 0x5008, Rights::W, "store to memory not yet allocated"),
        (HEAP + 0x5010, Rights::R, "load from the same page"),
        (ROM + 0x40, Rights::X, "fetch from the ROM"),
        (ROM + 0x40, Rights::W, "store to the ROM"),
        (CONSOLE, Rights::W, "store to the console's data register"),
        (NIC + 0x10, Rights::R, "load from the network card"),
        (NOWHERE, Rights::R, "load from an address where nothing is"),
    ] {
        report::access(address, needs, what, &hardware.access(&space, address, needs));
    }

    println!("\nThe hypervisor reads and writes guest memory:");
    let greeting = *b"across a page boundary";
    let across = HEAP + 0x5ff8;
    space.write_buffer(across, &greeting)?;
    let mut back = [0; 22];
    space.read_buffer(across, &mut back)?;
    println!("  {:?}: wrote and read back {:?}", across, String::from_utf8_lossy(&back));
    let refused = space.write_obj(ROM, 0_u32).err().ok_or("the ROM was written")?;
    println!("  {ROM:?}: {refused}");

    println!("\nA hole of 64 KiB is cut into RAM, and 64 KiB more become read-only:");
    machine.take_log();
    let before = report::Tables::of(&space);
    space.unmap(RAM + 5 * MIB, 0x1_0000)?;
    space.protect(RAM + 9 * MIB, 0x1_0000, read)?;
    report::change(before, &space, &machine.take_log());
    hardware.check()?;
    for (address, needs, what) in [
        (RAM + 5 * MIB, Rights::R, "load from the hole"),
        (RAM + 5 * MIB + 0x1_0000, Rights::R, "load from behind the hole"),
        (RAM + 9 * MIB, Rights::W, "store where it is read-only now"),
    ] {
        report::access(address, needs, what, &hardware.access(&space, address, needs));
    }

    println!("\nThe way to an address in RAM, entry by entry:");
    report::walk(&space, RAM + 6 * MIB);
    println!("\nAll that is mapped:");
    report::mappings(&space);
    println!("\nThe tables:");
    report::tables(&space);

    hardware.unload();
    drop(space);
    // SAFETY: allocated above with this size, and the guest is gone.
    unsafe { machine.free(backing, 26) };
    match machine.used() {
        0 => println!("\nThe guest is gone, and all memory is back.\n"),
        left => return Err(format!("{left} bytes were not given back").into()),
    }
    Ok(())
}
