//! The command-line tool reads memory as QEMU writes it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use tablewright_cli::{Ran, run};
use tablewright_tests::emulators::{Emulator, require};

/// A machine whose memory is written to files, without a CPU having run.
struct Machine {
    emulator: Emulator,
    arguments: &'static str,
    /// Where in its memory tables may stand.
    base: u64,
    /// A format whose tables stand there,
    format: &'static str,
    /// two sets of rights that it has,
    rights: [&'static str; 2],
    /// the level of its root, the bytes that an entry takes, and log2 of what one at level 1 spans.
    top: u8,
    word: usize,
    block: u8,
}

const MACHINES: [Machine; 4] = [
    Machine {
        emulator: Emulator::QemuAarch64,
        arguments: "-machine virt -cpu max -m 16M",
        base: 0x4040_0000,
        format: "stage2_4k",
        rights: ["r w x", "r"],
        top: 2,
        word: 8,
        block: 21,
    },
    Machine {
        emulator: Emulator::QemuRiscv64,
        arguments: "-machine virt -cpu max -m 16M -bios none",
        base: 0x8040_0000,
        format: "sv_x4",
        rights: ["r w x", "r"],
        top: 2,
        word: 8,
        block: 21,
    },
    // Its core file is one of 32 bits.
    Machine {
        emulator: Emulator::QemuRiscv32,
        arguments: "-machine virt -cpu max -m 16M -bios none",
        base: 0x8040_0000,
        format: "sv32",
        rights: ["r w ux", "r"],
        top: 1,
        word: 4,
        block: 22,
    },
    // This one, too, but that the machine has memory up to 4 GiB: then QEMU makes it one of 64 bits.
    Machine {
        emulator: Emulator::QemuX86,
        arguments: "-machine pc -cpu max -m 16M -bios nothing",
        base: 0x40_0000,
        format: "legacy --set pse",
        rights: ["r w x", "r x"],
        top: 1,
        word: 4,
        block: 22,
    },
];

fn tool(line: &str) -> Ran {
    run(&line.split_whitespace().collect::<Vec<_>>())
}

/// The entry that the tool makes.
fn encoded(line: &str) -> u64 {
    let ran = tool(line);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{line}");
    u64::from_str_radix(&ran.out.trim().replace("0x", "").replace('_', ""), 16).unwrap()
}

impl Machine {
    /// Where the root is.
    fn root(&self) -> u64 {
        if self.top > 1 { self.base } else { self.base + 0x4000 }
    }

    /// Tables from `base` on, as many as there are levels: a block, and pages that follow it.
    fn tables(&self) -> Vec<u8> {
        let Self { base, format, rights: [all, some], top, word, .. } = *self;
        let [all, some] = [all, some].map(|rights| rights.replace(' ', ","));
        let mut memory = vec![0; 0x6000];
        let mut put = |at: usize, raw: u64| memory[at..at + word].copy_from_slice(&raw.to_le_bytes()[..word]);
        if top > 1 {
            put(0x0000, encoded(&format!("encode {format} --table --level {top} --address {:x}", base + 0x4000)));
        }
        put(0x4000, encoded(&format!("encode {format} --leaf --level 1 --rights {all} --address 8040_0000")));
        put(0x4000 + word, encoded(&format!("encode {format} --table --level 1 --address {:x}", base + 0x5000)));
        for page in 0..4 {
            let address = 0x8080_0000 + page * 0x1000_u64;
            put(
                0x5000 + word * page as usize,
                encoded(&format!("encode {format} --leaf --rights {some} --address {address:x}")),
            );
        }
        memory
    }

    /// Loads `memory`, and has the emulator write all it has: as a core file, and the tables as they are.
    fn write(&self, folder: &Path, memory: &[u8]) -> bool {
        let Some(emulator) = require(self.emulator) else { return false };
        let path = |name: &str| folder.join(name).display().to_string();
        fs::write(path("tables"), memory).unwrap();
        // For machines that do not start without a firmware.
        fs::write(path("nothing"), [0; 0x1_0000]).unwrap();
        let mut child = emulator
            .command()
            .current_dir(folder)
            .args(self.arguments.split_whitespace())
            .args(["-S", "-display", "none", "-nodefaults", "-monitor", "stdio"])
            .arg("-device")
            .arg(format!("loader,file={},addr={:#x},force-raw=on", path("tables"), self.base))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut monitor = child.stdin.take().unwrap();
        writeln!(monitor, "dump-guest-memory {}", path("core")).unwrap();
        writeln!(monitor, "pmemsave {:#x} {:#x} \"{}\"", self.base, memory.len(), path("raw")).unwrap();
        writeln!(monitor, "quit").unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && folder.join("raw").exists(), "{said}");
        true
    }
}

fn agrees(machine: &Machine) {
    let folder = tempfile::tempdir().unwrap();
    let memory = machine.tables();
    if !machine.write(folder.path(), &memory) {
        return;
    }
    let Machine { base, format, rights: [all, some], block, .. } = machine;
    let root = machine.root();
    let path = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(fs::read(path("raw")).unwrap(), memory);
    let dump = |image: String| tool(&format!("dump {format} --root {root:x} --image {image}"));
    let (core, raw) = (dump(path("core")), dump(format!("{}@{base:x}", path("raw"))));
    assert_eq!(core, raw);
    assert_eq!(core.code, 0, "{}{}", core.out, core.err);
    let lines: Vec<&str> = core.out.lines().collect();
    let [first, pages] = lines.as_slice() else { panic!("{}", core.out) };
    let whole = format!("1x{}M", 1 << (block - 20));
    assert!(
        first.contains("0000000..0x") && first.contains(&format!("80400000  {all} ")) && first.ends_with(&whole),
        "{first}"
    );
    assert!(pages.contains(&format!("80800000  {some} ")) && pages.ends_with("4x4K"), "{pages}");
    let inside = (1 << block) + 0x3123;
    let walked = tool(&format!("walk {format} --root {root:x} --image {} {inside:x}", path("core")));
    assert_eq!(walked.code, 0);
    let said = format!("0x{:x}_3123 translates to 0x8080_3123, in 4K, {some}", inside >> 16);
    assert!(walked.out.contains(&said), "{}", walked.out);
    let same = tool(&format!("dump {format} --root {root:x} --image {} --diff {}", path("core"), path("core")));
    assert_eq!((same.code, same.out.as_str()), (0, ""));
}

#[test]
fn memory_of_an_aarch64_machine() {
    agrees(&MACHINES[0]);
}

#[test]
fn memory_of_a_riscv64_machine() {
    agrees(&MACHINES[1]);
}

#[test]
fn memory_of_a_riscv32_machine() {
    agrees(&MACHINES[2]);
}

#[test]
fn memory_of_an_x86_machine_in_32_bits() {
    agrees(&MACHINES[3]);
}
