//! The memory of a hypervisor on ARMv7, in tables that no Rust here or elsewhere knows.

tablewright::page_table_format! { pub mod hyp = "arch/hyp.toml" }

#[cfg(test)]
tablewright::format_tests! { mod laws = "arch/hyp.toml": crate::hyp }

use std::error::Error;

use tablewright::sim::Machine;
use tablewright::{AddrSpace, Hal as _, HostRegion, MappingFlags, Tag};

const IMAGE: usize = 0x8000_0000;
const CONSOLE: usize = 0x1c09_0000;

fn main() -> Result<(), Box<dyn Error>> {
    // A machine with 64 MiB of memory at 4 GiB, which Hyp mode could not reach without its tables.
    let machine = Machine::new(0x1_0000_0000, 64 << 20);
    let image = machine.allocate(22).ok_or("no memory for the image")?;
    // SAFETY: it was just allocated, and is used for nothing else.
    let image = unsafe { HostRegion::ram(image, 4 << 20) }.ok_or("no region")?;
    // SAFETY: nobody else uses this device.
    let console = unsafe { HostRegion::device(CONSOLE.into(), 0x1000) }.ok_or("no region")?;

    let format = hyp::Format::new(&hyp::Config::new(3, 32))?;
    let mut space = AddrSpace::<_, _>::new_empty(format, machine, Tag(0))?;
    let rw = MappingFlags::READ | MappingFlags::WRITE;
    space.map_linear(IMAGE.into(), image, rw)?;
    space.map_linear(CONSOLE.into(), console, rw | MappingFlags::DEVICE)?;
    // The first 64 KiB of the image are code.
    space.protect(IMAGE.into(), 0x1_0000, MappingFlags::READ | MappingFlags::EXECUTE)?;
    println!("{space}\n");
    println!("{:x?}\n", space.registers()?);

    // A store to its own code, as the CPU reports it.
    let report = hyp::Report { hsr: 0x9600_004f, hdfar: 0x8000_0123, hifar: 0 };
    println!("{:x?}\n{:?}", space.fault_info(&report)?, space.handle_report(&report)?);
    Ok(())
}
