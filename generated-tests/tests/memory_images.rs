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
    /// A format whose tables stand there.
    format: &'static str,
}

const MACHINES: [Machine; 2] = [
    Machine {
        emulator: Emulator::QemuAarch64,
        arguments: "-machine virt -cpu max -m 16M",
        base: 0x4040_0000,
        format: "stage2_4k",
    },
    Machine {
        emulator: Emulator::QemuRiscv64,
        arguments: "-machine virt -cpu max -m 16M -bios none",
        base: 0x8040_0000,
        format: "sv_x4",
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
    /// Three tables from `base` on: a block, and pages that follow it.
    fn tables(&self) -> Vec<u8> {
        let Self { base, format, .. } = self;
        let mut memory = vec![0; 0x6000];
        let mut put = |at: usize, raw: u64| memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
        put(0x0000, encoded(&format!("encode {format} --table --level 2 --address {:x}", base + 0x4000)));
        put(0x4000, encoded(&format!("encode {format} --leaf --level 1 --address 8020_0000")));
        put(0x4008, encoded(&format!("encode {format} --table --level 1 --address {:x}", base + 0x5000)));
        for page in 0..4 {
            let address = 0x8040_0000 + page * 0x1000_u64;
            put(
                0x5000 + 8 * page as usize,
                encoded(&format!("encode {format} --leaf --rights r --address {address:x}")),
            );
        }
        memory
    }

    /// Loads `memory`, and has the emulator write all it has: as a core file, and the tables as they are.
    fn write(&self, folder: &Path, memory: &[u8]) -> bool {
        let Some(emulator) = require(self.emulator) else { return false };
        let path = |name: &str| folder.join(name).display().to_string();
        fs::write(path("tables"), memory).unwrap();
        let mut child = emulator
            .command()
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
    let Machine { base, format, .. } = machine;
    let path = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(fs::read(path("raw")).unwrap(), memory);
    let dump = |image: String| tool(&format!("dump {format} --root {base:x} --image {image}"));
    let (core, raw) = (dump(path("core")), dump(format!("{}@{base:x}", path("raw"))));
    assert_eq!(core, raw);
    assert_eq!(core.code, 0, "{}{}", core.out, core.err);
    let lines: Vec<&str> = core.out.lines().collect();
    let [block, pages] = lines.as_slice() else { panic!("{}", core.out) };
    assert!(block.contains("0000000..0x") && block.contains("-> 0x") && block.ends_with("1x2M"), "{block}");
    assert!(block.contains("80200000  r w x") && pages.contains("80400000  r ") && pages.ends_with("4x4K"), "{pages}");
    let walked = tool(&format!("walk {format} --root {base:x} --image {} 20_3123", path("core")));
    assert_eq!(walked.code, 0);
    assert!(walked.out.contains("0x20_3123 translates to 0x8040_3123, in 4K, r"), "{}", walked.out);
    let same = tool(&format!("dump {format} --root {base:x} --image {} --diff {}", path("core"), path("core")));
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
