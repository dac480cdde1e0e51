//! Runs the example hypervisors on emulated machines.
//!
//! Each writes its story to the serial line, shuts the machine down, and says in the last line whether all checks held.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use object::Endianness;
use object::elf::PT_LOAD;
use object::read::elf::{ElfFile64, ProgramHeader as _};
use tablewright_tests::emulators::{self, Emulator, Found, require};
use tablewright_tests::mmu::pc::{self, Board, Output};

use crate::bare_metal::toolchain;
use crate::step::{Outcome, run, workspace};

const EXAMPLE: &str = "examples/hypervisor";

const PASSED: &str = "verdict: passed";

/// The time limit. A story takes a second; a machine that hangs would not end by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine that an emulator provides.
struct Machine {
    feature: &'static str,
    target: &'static str,
    emulator: Emulator,
    boot: Boot,
    /// The emulator's exit status if all checks held.
    status: i32,
}

/// How the image gets into the machine.
enum Boot {
    /// The emulator loads it, with these arguments.
    Kernel(&'static [&'static str]),
    /// It is the firmware of a PC with this processor.
    Firmware(&'static str),
}

const AARCH64: Machine = Machine {
    feature: "aarch64",
    target: "aarch64-unknown-none-softfloat",
    emulator: Emulator::QemuAarch64,
    boot: Boot::Kernel(&["-M", "virt,virtualization=on", "-semihosting-config", "enable=on,target=native"]),
    status: 0,
};

const RISCV64: Machine = Machine {
    feature: "riscv64",
    target: "riscv64imac-unknown-none-elf",
    emulator: Emulator::QemuRiscv64,
    boot: Boot::Kernel(&["-M", "virt", "-bios", "none"]),
    status: 0,
};

const NPT: Machine = Machine {
    feature: "x86_64",
    target: "x86_64-unknown-none",
    emulator: Emulator::QemuX86,
    boot: Boot::Firmware("max"),
    status: 1,
};

/// Bochs has only one exit status.
const EPT: Machine = Machine { emulator: Emulator::Bochs, boot: Boot::Firmware("corei7_haswell_4770"), ..NPT };

/// The address of the image of a PC's firmware, which ends at 4 GiB.
const ROM: u64 = 0xfff0_0000;

/// The same wherever QEMU loads a kernel.
const COMMON: [&str; 10] =
    ["-cpu", "max", "-m", "256M", "-nodefaults", "-display", "none", "-serial", "stdio", "-kernel"];

/// The one at EL2.
pub(crate) fn aarch64() -> Outcome {
    AARCH64.test()
}

/// The one in HS-mode.
pub(crate) fn riscv64() -> Outcome {
    RISCV64.test()
}

/// The one with AMD's nested page tables.
pub(crate) fn npt() -> Outcome {
    NPT.test()
}

/// The one with Intel's extended page tables.
pub(crate) fn ept() -> Outcome {
    EPT.test()
}

impl Machine {
    fn test(&self) -> Outcome {
        let manifest = format!("{EXAMPLE}/Cargo.toml");
        let mut build = Command::new("cargo");
        build.args(toolchain(self.target)?);
        build.args(["build", "--manifest-path", &manifest, "--target", self.target, "--features", self.feature]);
        run(&mut build)?;
        if self.emulator.find().is_err()
            && let Err(error) = emulators::install()
        {
            println!("{error}");
        }
        let Some(found) = require(self.emulator) else { return Ok(()) };
        self.tell(&found).map_err(|why| format!("{found}: {why}"))
    }

    /// Runs it, and prints its output as it comes.
    fn tell(&self, found: &Found) -> Outcome {
        let image = workspace().join(format!("{EXAMPLE}/target/{}/debug/hypervisor", self.target));
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut command = match self.boot {
            Boot::Kernel(arguments) => {
                let mut command = found.command();
                command.args(arguments).args(COMMON).arg(image).stdin(Stdio::null());
                command
            }
            Boot::Firmware(model) => {
                let rom = firmware(&image).map_err(|why| format!("{}: {why}", image.display()))?;
                let board = Board { model, memory: 256, rom: &rom };
                let mut command =
                    pc::command(found, &board, Output::Serial, folder.path()).map_err(|error| error.to_string())?;
                command.stderr(Stdio::null());
                command
            }
        };
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        let outcome = watch(&mut child);
        // It may have ended by itself.
        let _ = child.kill();
        let status = child.wait().map_err(|error| error.to_string())?;
        match outcome {
            Ok(last) if last == PASSED && status.code() == Some(self.status) => Ok(()),
            Ok(last) => Err(format!("{status}, and the last line was: {last}")),
            Err(last) => Err(format!("killed after {} s; the last line was: {last}", PATIENCE.as_secs())),
        }
    }
}

/// The ROM that an image is linked for.
fn firmware(image: &Path) -> Result<Vec<u8>, String> {
    let bytes = fs::read(image).map_err(|error| error.to_string())?;
    let file = ElfFile64::<Endianness>::parse(&*bytes).map_err(|error| error.to_string())?;
    let mut rom = vec![0; (1 << 32) - ROM as usize];
    for segment in file.elf_program_headers().iter().filter(|segment| segment.p_type.get(file.endian()) == PT_LOAD) {
        let contents = segment.data(file.endian(), &*bytes).map_err(|()| "truncated")?;
        let start = segment.p_paddr.get(file.endian()).wrapping_sub(ROM) as usize;
        let place =
            start.checked_add(contents.len()).and_then(|end| rom.get_mut(start..end)).ok_or("not in the ROM")?;
        place.copy_from_slice(contents);
    }
    Ok(rom)
}

/// The verdict, or the last line of a machine that ends without one. An error if it does not end.
fn watch(child: &mut Child) -> Result<String, String> {
    let (lines, heard) = mpsc::channel();
    let serial = child.stdout.take();
    thread::spawn(move || {
        let all = serial.into_iter().flat_map(|serial| BufReader::new(serial).lines()).map_while(Result::ok);
        all.for_each(|line| drop(lines.send(line)));
    });
    let end = Instant::now() + PATIENCE;
    let mut last = String::new();
    loop {
        match heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
            // Later lines are the emulator's own.
            Ok(_) if last.starts_with("verdict") => {}
            Ok(line) => {
                println!("   {line}");
                line.trim_end().clone_into(&mut last);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => return Err(last),
        }
    }
    // The serial line is closed, so the emulator is about to end; the machine's verdict is its status.
    while Instant::now() < end {
        match child.try_wait() {
            Ok(None) => thread::sleep(Duration::from_millis(10)),
            _ => return Ok(last),
        }
    }
    Err(last)
}
