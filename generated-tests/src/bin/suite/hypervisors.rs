//! The example hypervisors, on the machines that they are for.
//!
//! Each tells its story on the serial line, ends the machine by itself, and says in its last line whether all held.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tablewright_tests::emulators::{self, Emulator, Found, require};

use crate::bare_metal::toolchain;
use crate::step::{Outcome, run, workspace};

const EXAMPLE: &str = "examples/hypervisor";

const PASSED: &str = "verdict: passed";

/// A story takes a second; a machine that hangs says nothing of why.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine that an emulator provides.
struct Machine {
    feature: &'static str,
    target: &'static str,
    emulator: Emulator,
    arguments: &'static [&'static str],
}

const AARCH64: Machine = Machine {
    feature: "aarch64",
    target: "aarch64-unknown-none-softfloat",
    emulator: Emulator::QemuAarch64,
    arguments: &["-M", "virt,virtualization=on", "-semihosting-config", "enable=on,target=native"],
};

const RISCV64: Machine = Machine {
    feature: "riscv64",
    target: "riscv64imac-unknown-none-elf",
    emulator: Emulator::QemuRiscv64,
    arguments: &["-M", "virt", "-bios", "none"],
};

/// The same on every machine.
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
        self.tell(&found)
    }

    /// Runs it, and prints what it says as it comes.
    fn tell(&self, found: &Found) -> Outcome {
        let image = workspace().join(format!("{EXAMPLE}/target/{}/debug/hypervisor", self.target));
        let mut command = found.command();
        command.args(self.arguments).args(COMMON).arg(image).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{found}: {error}"))?;
        let outcome = watch(&mut child);
        // It may have ended by itself.
        let _ = child.kill();
        let status = child.wait().map_err(|error| format!("{found}: {error}"))?;
        match outcome {
            Ok(last) if last == PASSED && status.success() => Ok(()),
            Ok(last) => Err(format!("{found}: {status}, and the last line was: {last}")),
            Err(last) => Err(format!("{found}: killed after {} s; the last line was: {last}", PATIENCE.as_secs())),
        }
    }
}

/// The last line that the machine prints before it ends; an error if it does not end.
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
