//! Runs Bochs on a firmware image: the image in, what it writes to the debug port out.
//!
//! Bochs is started for each run; there is no session. It has to be built with VMX, and for a terminal that is not its
//! standard output: Debian's and Ubuntu's packages are.

use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use crate::emulators::{FindError, Found, Version};

/// Why a run gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no Bochs that can be used.
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
    #[error("Bochs hung while it ran {what} (killed after {} s); its log ends:\n{log}", time_limit.as_secs())]
    Hung {
        /// What was being run.
        what: String,
        /// How long it was given.
        time_limit: Duration,
        /// The end of the log.
        log: String,
    },
    /// It ended without all the results.
    #[error("Bochs ended early ({status}) while it ran {what}; its log ends:\n{log}")]
    Failed {
        /// What was being run.
        what: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of the log.
        log: String,
    },
}

/// Where Bochs departs from the manual: what it says there is no judgement on the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// Bit 12 of an EPT entry that maps 2 MiB or 1 GiB is not checked. The manual reserves it (SDM volume 3, *Format of
    /// an EPT Page-Directory Entry that Maps a 2-MByte Page*: bits 20:12 must be 0, and likewise for 1 GiB).
    BlockBit12,
    /// With mode-based execute control, the right of user-mode fetches is bit 13 of the qualification of a violation by
    /// a data access. The manual has it in bit 6 (SDM volume 3, *Exit Qualification for EPT Violations*).
    UserExecuteInBit13,
}

impl Deviation {
    /// Whether it is known in a version.
    #[must_use]
    pub fn is_in(self, version: Version) -> bool {
        match self {
            Self::BlockBit12 => true,
            Self::UserExecuteInBit13 => version == (3, 0),
        }
    }
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The name of the processor model, as `bochs --help cpu` lists them.
    pub model: &'a str,
    /// Size of memory in MiB.
    pub memory: u64,
    /// The firmware: at most 2 MiB, ending at 4 GiB. It powers off by writing `Shutdown` to port 0x8900.
    pub rom: &'a [u8],
    /// The word that precedes the results on port 0xe9; the emulator writes there too.
    pub magic: u64,
    /// How many words of results there are after it.
    pub results: usize,
    /// How long it may take. Bochs starts in less than a second.
    pub time_limit: Duration,
    /// For messages: what this run is for.
    pub what: &'a str,
}

/// Runs a firmware image to its end, and gives the words that it wrote.
///
/// # Errors
///
/// [`Error::Io`], [`Error::Hung`], [`Error::Failed`].
pub fn run(bochs: &Found, run: &Run<'_>) -> Result<Vec<u64>, Error> {
    let folder = tempfile::tempdir().map_err(io_error("a folder for Bochs"))?;
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).map_err(io_error(&format!("write {name}")))
    };
    write("rom.bin", run.rom)?;
    write("vga.bin", &[0; 32 << 10])?;
    write("bochsrc", configuration(run).as_bytes())?;
    // For the debugger, where it is built in: without this it would wait for a person.
    write("commands", b"c\nq\n")?;
    let output = fs::File::create(folder.path().join("output")).map_err(io_error("create output"))?;
    let mut child = bochs
        .command()
        .args(["-q", "-f", "bochsrc", "-rc", "commands"])
        .current_dir(&folder)
        .env("TERM", "vt100")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .map_err(io_error(&format!("start {bochs}")))?;
    let status = wait(&mut child, run.time_limit).map_err(io_error("wait for Bochs"))?;
    let log = || log_tail(&folder.path().join("log"));
    let Some(status) = status else {
        return Err(Error::Hung { what: run.what.to_owned(), time_limit: run.time_limit, log: log() });
    };
    let output = fs::read(folder.path().join("output")).map_err(io_error("read output"))?;
    results(&output, run).ok_or_else(|| Error::Failed { what: run.what.to_owned(), status, log: log() })
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

/// A PC with a processor, memory, firmware, and as little else as Bochs can do with.
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
