//! Runs an emulated PC on a firmware image: the image in, what it writes out.
//!
//! The emulator is started for each run; there is no session. Bochs has to be built with VMX and SVM, and for a terminal
//! that is not its standard output: Debian's and Ubuntu's packages are.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use crate::emulators::{Emulator, FindError, Found};

/// Why a run gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no emulator that can be used.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A file or the process could not be handled.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The time limit passed, and the process was killed.
    #[error("{emulator} hung while it ran {what} (killed after {} s); its log ends:\n{log}", time_limit.as_secs())]
    Hung {
        /// Which one.
        emulator: Emulator,
        /// What was being run.
        what: String,
        /// How long it was given.
        time_limit: Duration,
        /// The end of the log.
        log: String,
    },
    /// It ended without all the results.
    #[error("{emulator} ended early ({status}) while it ran {what}; its log ends:\n{log}")]
    Failed {
        /// Which one.
        emulator: Emulator,
        /// What was being run.
        what: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of the log.
        log: String,
    },
}

/// A PC: a processor, memory, firmware, a way to say something, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Board<'a> {
    /// The processor model: a name that `bochs --help cpu` lists, or what QEMU's `-cpu` takes.
    pub model: &'a str,
    /// Size of memory in MiB.
    pub memory: u64,
    /// The firmware: at most 2 MiB, ending at 4 GiB. It powers off by writing `Shutdown` to port 0x8900 (Bochs) or
    /// anything to port 0xf4 (QEMU).
    pub rom: &'a [u8],
}

/// A device to which firmware can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The first serial line, which is the emulator's standard output: for what is to be seen as it comes. Both emulators
    /// make a system call for each byte.
    Serial,
    /// The first ATA disk, of so many sectors of 512 bytes: the file `disk` in the folder.
    Disk {
        /// How many.
        sectors: u64,
    },
}

/// The name of the file that is the disk.
const DISK: &str = "disk";
/// Bytes that are written at once.
pub(super) const SECTOR: u64 = 512;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// On what.
    pub board: Board<'a>,
    /// The word that is on the disk before the results, and again after the last of them.
    pub magic: u64,
    /// How many words of results there are.
    pub results: usize,
    /// How long it may take. An emulator starts in less than a second.
    pub time_limit: Duration,
    /// For messages: what this run is for.
    pub what: &'a str,
}

/// A command that starts a PC, with its files in a folder that must stay until it ends. Bochs's log is there, too.
///
/// # Errors
///
/// [`Error::Io`]
pub fn command(found: &Found, board: &Board<'_>, output: Output, folder: &Path) -> Result<Command, Error> {
    let write =
        |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).map_err(io_error(&format!("write {name}")));
    write("rom.bin", board.rom)?;
    if let Output::Disk { sectors } = output {
        let disk = fs::File::create(folder.join(DISK)).and_then(|disk| disk.set_len(sectors * SECTOR));
        disk.map_err(io_error("make a disk"))?;
    }
    let mut command = found.command();
    if found.emulator == Emulator::Bochs {
        write("vga.bin", &[0; 32 << 10])?;
        write("bochsrc", configuration(board, output).as_bytes())?;
        // For the debugger, where it is built in: without this it would wait for a person.
        write("commands", b"c\nq\n")?;
        command.args(["-q", "-f", "bochsrc", "-rc", "commands"]).env("TERM", "vt100");
    } else {
        command.args(qemu_arguments(board, output));
    }
    command.current_dir(folder).stdin(Stdio::null());
    Ok(command)
}

/// Runs a firmware image to its end, and gives the words that it wrote.
///
/// # Errors
///
/// [`Error::Io`], [`Error::Hung`], [`Error::Failed`].
pub fn run(found: &Found, run: &Run<'_>) -> Result<Vec<u64>, Error> {
    let folder = tempfile::tempdir().map_err(io_error("a folder for the emulator"))?;
    let create = |name: &str| fs::File::create(folder.path().join(name)).map_err(io_error(&format!("create {name}")));
    // The results between two magic words, and an end that begins a sector of its own.
    let sectors = (run.results as u64 + 2).div_ceil(SECTOR / 8) + 1;
    let mut command = command(found, &run.board, Output::Disk { sectors }, folder.path())?;
    let emulator = found.emulator;
    let errors = if emulator == Emulator::Bochs { Stdio::null() } else { create("log")?.into() };
    let mut child =
        command.stdout(Stdio::null()).stderr(errors).spawn().map_err(io_error(&format!("start {found}")))?;
    let status = wait(&mut child, run.time_limit).map_err(io_error("wait for the emulator"))?;
    let log = || log_tail(&folder.path().join("log"));
    let what = || run.what.to_owned();
    let Some(status) = status else {
        return Err(Error::Hung { emulator, what: what(), time_limit: run.time_limit, log: log() });
    };
    let disk = fs::read(folder.path().join(DISK)).map_err(io_error("read the disk"))?;
    results(&disk, run).ok_or_else(|| Error::Failed { emulator, what: what(), status, log: log() })
}

/// The words between the magic ones, if both are there.
fn results(disk: &[u8], run: &Run<'_>) -> Option<Vec<u64>> {
    let mut words = disk.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
    words.next().filter(|first| *first == run.magic)?;
    let results: Vec<u64> = words.by_ref().take(run.results).collect();
    (words.next() == Some(run.magic)).then_some(results)
}

/// Waits for the end, or kills the process and gives `None`.
fn wait(child: &mut Child, time_limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + time_limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn qemu_arguments(board: &Board<'_>, output: Output) -> Vec<String> {
    let fixed = "-nodefaults -no-user-config -display none -no-reboot -machine pc,accel=tcg -bios rom.bin \
                 -device isa-debug-exit,iobase=0xf4";
    let output = match output {
        Output::Serial => ["-serial", "stdio"],
        Output::Disk { .. } => ["-drive", &format!("file={DISK},format=raw,if=ide")],
    };
    let own = ["-cpu", board.model, "-m", &format!("{}M", board.memory)];
    let own = output.into_iter().chain(own).map(str::to_owned);
    fixed.split(' ').map(str::to_owned).chain(own).collect()
}

/// The same with as little else as Bochs can do with.
fn configuration(board: &Board<'_>, output: Output) -> String {
    let (output, serial) = match output {
        Output::Serial => ("com1: enabled=1, mode=file, dev=/dev/stdout", 1),
        Output::Disk { .. } => (&*format!("ata0-master: type=disk, path={DISK}, mode=flat, cylinders=0"), 0),
    };
    format!(
        "\
config_interface: textconfig
# The screen is a pseudo-terminal that nobody looks at. The server of `rfb` dies where two of them start at once: both
# bind port 5900, and the one that cannot listen there can bind no other.
display_library: term
cpu: model={model}, count=1, ips=200000000, reset_on_triple_fault=0
memory: guest={memory}, host={memory}
romimage: file=rom.bin
vgaromimage: file=vga.bin
{output}
# Without these, Bochs 2.7 does not start where there is no sound card.
plugin_ctrl: speaker=0, parallel=0, serial={serial}, gameport=0, biosdev=0, extfpuirq=0, iodebug=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
log: log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
",
        model = board.model,
        memory = board.memory
    )
}

fn log_tail(log: &Path) -> String {
    let log = fs::read(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn io_error(what: &str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { what: what.to_owned(), source }
}
