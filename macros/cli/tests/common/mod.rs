//! What the tests of this package share.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::PathBuf;

use tablewright_cli::{Ran, run};
use tempfile::TempDir;

/// A folder of files to run the tool on.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name).to_str().unwrap().into()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the tool; the folder is `DIR/` in arguments and in what comes of it.
    pub(crate) fn run(&self, line: &str) -> Ran {
        let folder = format!("{}/", self.0.path().to_str().unwrap());
        let arguments: Vec<_> = line.split_whitespace().map(|word| word.replace("DIR/", &folder)).collect();
        let ran = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        Ran { out: ran.out.replace(&folder, "DIR/"), err: ran.err.replace(&folder, "DIR/"), ..ran }
    }

    /// What a person sees of it.
    pub(crate) fn show(&self, line: &str) -> String {
        let ran = self.run(line);
        format!("{}{}exit code {}", ran.out, ran.err, ran.code)
    }
}

/// Memory from an address on.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) base: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Image {
    pub(crate) fn new(base: u64, size: usize) -> Self {
        Self { base, bytes: vec![0; size] }
    }

    pub(crate) fn entry(&mut self, address: u64, raw: u64) {
        let at = (address - self.base) as usize;
        self.bytes[at..at + 8].copy_from_slice(&raw.to_le_bytes());
    }
}

/// Tables of EPT from 0x1000_0000 on: mappings of all sizes, and every defect there is.
pub(crate) fn damaged_ept() -> Image {
    let root = 0x1000_0000;
    let mut image = Image::new(root, 0x4000);
    let entries = [
        (0x0000, 0x1000_1007),
        // The root itself, a table a second time, and one that is not there.
        (0x0008, 0x1000_0007),
        (0x0010, 0x1000_1007),
        (0x0018, 0x2_0000_0007),
        (0x1000, 0x1000_2007),
        (0x1008, 0x4000_00b3),
        // Below this, nothing can be executed.
        (0x2000, 0x1000_3003),
        (0x2008, 0x8000_00b7),
        // Write without read.
        (0x2010, 0x82),
    ];
    for (offset, raw) in entries {
        image.entry(root + offset, raw);
    }
    for index in 0..20 {
        let attributes = if index < 16 { 0x37 } else { 0x71 };
        image.entry(root + 0x3000 + index * 8, (0x9000_0000 + index * 0x1000) | attributes);
    }
    image
}

/// An ELF core file with these parts of memory, as QEMU writes it.
pub(crate) fn core_file(parts: &[&Image]) -> Vec<u8> {
    core_file_of(false, parts)
}

/// That of a machine of either byte order.
pub(crate) fn core_file_of(big_endian: bool, parts: &[&Image]) -> Vec<u8> {
    let mut elf = b"\x7fELF\x02".to_vec();
    elf.extend([1 + u8::from(big_endian), 1]);
    elf.resize(16, 0);
    let put = |elf: &mut Vec<u8>, size: usize, values: &[u64]| {
        for value in values {
            let mut bytes = value.to_le_bytes();
            if big_endian {
                bytes[..size].reverse();
            }
            elf.extend(&bytes[..size]);
        }
    };
    // ET_CORE, x86-64, version 1, no entry, program headers at 64, no sections, no flags.
    put(&mut elf, 2, &[4, 62]);
    put(&mut elf, 4, &[1]);
    put(&mut elf, 8, &[0, 64, 0]);
    put(&mut elf, 4, &[0]);
    put(&mut elf, 2, &[64, 56, parts.len() as u64, 0, 0, 0]);
    let mut offset = 64 + 56 * parts.len() as u64;
    for part in parts {
        let size = part.bytes.len() as u64;
        put(&mut elf, 4, &[1, 0]);
        put(&mut elf, 8, &[offset, 0, part.base, size, size, 0]);
        offset += size;
    }
    parts.iter().for_each(|part| elf.extend(&part.bytes));
    elf
}
