//! Reads from the headers of an ELF core file which physical memory it holds.

use object::elf::{ET_CORE, FileHeader32, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

use crate::failure::{Failure, Result};

/// A part of a core file that is memory.
pub(super) struct Load {
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// The memory that a core file holds, by its headers.
pub(super) fn loads(path: &str, head: &[u8]) -> Result<Vec<Load>> {
    if head.starts_with(b"KDUMP   ") || head.starts_with(b"makedumpfile") {
        let help = "write it as an ELF file: QEMU's `dump-guest-memory FILE` without `-z`, `-l`, `-s`";
        return Err(Failure::new(format!("`{path}` is a compressed dump")).help(help));
    }
    let loads = match FileKind::parse(head) {
        Ok(FileKind::Elf64) => loads_of::<FileHeader64<Endianness>>(head),
        Ok(FileKind::Elf32) => loads_of::<FileHeader32<Endianness>>(head),
        _ => {
            let help = format!("if it is raw memory, say where it begins: `{path}@0x8000_0000`");
            return Err(Failure::new(format!("`{path}` is no ELF core file")).help(help));
        }
    };
    let loads = loads.map_err(|why| {
        let help = format!(
            "a core file has it all in its headers; to read it as raw memory, say where it begins: `{path}@0x0`"
        );
        Failure::new(format!("`{path}`: {why}")).help(help)
    })?;
    let has_no_addresses = loads.len() > 1 && loads.iter().all(|load| load.address == 0);
    if loads.is_empty() || has_no_addresses {
        let help = "the core file of a machine is needed, not that of a process: QEMU's `dump-guest-memory FILE`";
        return Err(Failure::new(format!("`{path}` holds no physical memory")).help(help));
    }
    Ok(loads)
}

fn loads_of<Header: FileHeader<Endian = Endianness>>(head: &[u8]) -> std::result::Result<Vec<Load>, String> {
    let told = |error: object::read::Error| format!("damaged ELF headers: {error}");
    let header = Header::parse(head).map_err(told)?;
    let endian = header.endian().map_err(told)?;
    if header.e_type(endian) != ET_CORE {
        return Err("an ELF file, but no core file".into());
    }
    let program_headers = header.program_headers(endian, head).map_err(told)?;
    let mut loads = Vec::new();
    for header in program_headers.iter().filter(|header| header.p_type(endian) == PT_LOAD) {
        let (address, size): (u64, u64) = (header.p_paddr(endian).into(), header.p_filesz(endian).into());
        if size > header.p_memsz(endian).into() {
            return Err(format!("damaged ELF headers: the segment at {address:#x} is larger than its memory"));
        }
        loads.push(Load { address, offset: header.p_offset(endian).into(), size });
    }
    loads.retain(|load| load.size > 0);
    Ok(loads)
}
