//! Runs an emulated PC on a firmware image: the image in, what it writes to the debug port out.
//!
//! The emulator is started for each run; there is no session. Bochs has to be built with VMX and SVM, and for a terminal
//! that is not its standard output: Debian's and Ubuntu's packages are.

use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
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

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The processor model: a name that `bochs --help cpu` lists, or what QEMU's `-cpu` takes.
    pub model: &'a str,
    /// Size of memory in MiB.
    pub memory: u64,
    /// The firmware: at most 2 MiB, ending at 4 GiB. It powers off by writing `Shutdown` to port 0x8900 (Bochs) or
    /// anything to port 0xf4 (QEMU).
    pub rom: &'a [u8],
    /// The word that precedes the results on port 0xe9; what goes there shares its file with the emulator's own words.
    pub magic: u64,
    /// How many words of results there are after it.
    pub results: usize,
    /// How long it may take. An emulator starts in less than a second.
    pub time_limit: Duration,
    /// For messages: what this run is for.
    pub what: &'a str,
}

/// Runs a firmware image to its end, and gives the words that it wrote.
///
/// # Errors
///
/// [`Error::Io`], [`Error::Hung`], [`Error::Failed`].
pub fn run(found: &Found, run: &Run<'_>) -> Result<Vec<u64>, Error> {
    let folder = tempfile::tempdir().map_err(io_error("a folder for the emulator"))?;
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).map_err(io_error(&format!("write {name}")))
    };
    let create = |name: &str| fs::File::create(folder.path().join(name)).map_err(io_error(&format!("create {name}")));
    write("rom.bin", run.rom)?;
    let mut command = found.command();
    let emulator = found.emulator;
    if emulator == Emulator::Bochs {
        write("vga.bin", &[0; 32 << 10])?;
        write("bochsrc", configuration(run).as_bytes())?;
        // For the debugger, where it is built in: without this it would wait for a person.
        write("commands", b"c\nq\n")?;
        command.args(["-q", "-f", "bochsrc", "-rc", "commands"]).env("TERM", "vt100").stderr(Stdio::null());
    } else {
        command.args(qemu_arguments(run)).stderr(create("log")?);
    }
    let mut child = command
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(create("output")?)
        .spawn()
        .map_err(io_error(&format!("start {found}")))?;
    let status = wait(&mut child, run.time_limit).map_err(io_error("wait for the emulator"))?;
    let log = || log_tail(&folder.path().join("log"));
    let what = || run.what.to_owned();
    let Some(status) = status else {
        return Err(Error::Hung { emulator, what: what(), time_limit: run.time_limit, log: log() });
    };
    let output = fs::read(folder.path().join("output")).map_err(io_error("read output"))?;
    results(&output, run).ok_or_else(|| Error::Failed { emulator, what: what(), status, log: log() })
}

/// The words after the magic one, if they are all there.
fn results(output: &[u8], run: &Run<'_>) -> Option<Vec<u64>> {
    let magic = run.magic.to_le_bytes();
    let start = output.windows(magic.len()).position(|bytes| bytes == magic)? + magic.len();
    let bytes = output.get(start..start + run.results * 8)?;
    bytes.chunks_exact(8).map(|word| word.try_into().ok().map(u64::from_le_bytes)).collect()
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

/// A PC with a processor, memory, firmware, and nothing else.
fn qemu_arguments(run: &Run<'_>) -> Vec<String> {
    let fixed = "-nodefaults -no-user-config -display none -no-reboot -machine pc,accel=tcg -bios rom.bin \
                 -debugcon stdio -device isa-debug-exit,iobase=0xf4";
    let own = ["-cpu".to_owned(), run.model.to_owned(), "-m".to_owned(), format!("{}M", run.memory)];
    fixed.split(' ').map(str::to_owned).chain(own).collect()
}

/// The same with as little else as Bochs can do with.
fn configuration(run: &Run<'_>) -> String {
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
port_e9_hack: enabled=1
# Without these, Bochs 2.7 does not start where there is no sound card.
plugin_ctrl: speaker=0, parallel=0, serial=0, gameport=0, biosdev=0, extfpuirq=0, iodebug=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
log: log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
",
        model = run.model,
        memory = run.memory
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
