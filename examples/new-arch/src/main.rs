//! A new architecture in a crate of its own. The format is `arch/lpae.toml`, the stage 2 of 32-bit Arm; no Rust code,
//! here or elsewhere, knows its entries. The code below is what any hypervisor does with any format.

tablewright::page_table_format! { pub mod lpae = "arch/lpae.toml" }

#[cfg(test)]
tablewright::format_tests! { mod laws = "arch/lpae.toml": crate::lpae }

use std::error::Error;

use tablewright::sim::Machine;
use tablewright::{AddrSpace, Entry, Format as _, GuestPhysAddr, Hal as _, HostRegion, MappingFlags, Rights, Tag};

const RAM: GuestPhysAddr = GuestPhysAddr::from_usize(0x8000_0000);
const CONSOLE: GuestPhysAddr = GuestPhysAddr::from_usize(0x1c09_0000);
const RAM_SIZE: usize = 48 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    // A machine with 128 MiB of memory at 1 GiB, of which 64 MiB are set aside for the guest.
    let machine = Machine::new(0x4000_0000, 128 << 20);
    let backing = machine.allocate(26).ok_or("no memory for the guest")?;
    // SAFETY: it was just allocated, is used for nothing else, and outlives the guest.
    let ram = unsafe { HostRegion::ram(backing, RAM_SIZE) }.ok_or("no region")?;

    let format = lpae::Format::new(&lpae::Config::new(3, 40))?;
    let mut guest = AddrSpace::<_, _>::new_empty(format, machine, Tag(5))?;
    guest.map_linear(RAM, ram, MappingFlags::READ | MappingFlags::WRITE | MappingFlags::EXECUTE)?;
    guest.map_device(CONSOLE, 0x1000, 0)?;
    println!("{guest}\n");

    println!("To enter the guest, load:\n  {:x?}\n", guest.registers()?);

    let address = RAM + 0x123_4560;
    let reached = guest.translate(address).ok_or("the guest's memory is not mapped")?;
    println!("{address:?} is at {reached:?}:");
    walk(&guest, address);

    // A store to the console, as the CPU reports it: a data abort of the guest, translation fault at the last level.
    let report = lpae::Report { hsr: 0x9380_0047, hpfar: 0x1c_0900, hdfar: 0xf880_0018, hifar: 0 };
    let address = guest.fault_info(&report)?.fault_guest_paddr;
    println!("\nThe guest stores to {address:?}:\n  {:?}", guest.handle_fault(address, Rights::W));
    Ok(())
}

/// Prints each entry on the way to `address`.
fn walk(guest: &AddrSpace<lpae::Format, Machine>, address: GuestPhysAddr) {
    let table = guest.page_table();
    let (mut level, mut at) = (table.geometry().top(), table.root().as_usize() as u64);
    loop {
        let index = table.geometry().index(level, address.as_usize() as u64);
        let Some(raw) = table.hal().read_word(at + 8 * index as u64) else { return };
        print!("  level {level}, table {at:#x}, entry {index:3}: {raw:#018x}  ");
        match table.format().decode(level, raw) {
            Entry::Table(next) => {
                println!("table at {:#x}", next.address);
                (level, at) = (next.level, next.address);
            }
            Entry::Leaf(leaf) => {
                let (size, attributes) = (1_u64 << leaf.size >> 20, leaf.attributes);
                println!("{size} MiB at {:#x}, {}, {:?}", leaf.address, attributes.rights, attributes.memory);
                return;
            }
            other => return println!("{other:?}"),
        }
    }
}
