//! A live QEMU running a small program of ours, which does what we say over the process's own stdin and stdout.
//!
//! The program, here called the stub, knows three commands: put bytes into memory, show bytes of memory, and call code.
//! Everything else is *snippets*, a few instructions each, which the host places in a pool of memory and calls. A trap in
//! a snippet ends it: the stub answers every call with a report of the argument registers and of the machine's syndrome
//! registers. So a new register, TLB instruction or kind of access needs nothing new in the stub.
//!
//! The stub reaches stdin and stdout by semihosting, a debugger interface, where the architecture has that; a device would
//! need a driver, and lie in the way of the tables under test. Where there is none, stub and host share memory (`rings`).

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::process::{Child, ChildStderr, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::Chunk;
use super::rings::Ring;
use super::shared::SharedRam;
use crate::emulators::{Emulator, FindError};

/// Commands as the stub knows them: this word, an address, a length or the arguments of a call.
pub(super) const LOAD: u32 = 0;
/// Answered by the bytes.
pub(super) const DUMP: u32 = 1;

/// The size of a command in bytes.
pub(super) const COMMAND_BYTES: u32 = 48;

/// How long QEMU may take for one batch of commands before it counts as hung, unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many calls are under way at once. Commands and reports of so many fit into the pipes both ways: with more, both
/// sides could wait for the other to read.
const BATCH: usize = 256;

/// What a machine needs in order to start.
pub(super) struct Image<'a> {
    /// The arguments that choose machine and processor.
    pub(super) machine: &'a [String],
    /// The stub.
    pub(super) stub: &'a [u8],
    /// Where it goes.
    pub(super) base: u64,
    /// Where snippets go.
    pub(super) pool: Range<u64>,
    /// How it is talked to.
    pub(super) link: Link<'a>,
}

/// How host and stub talk.
pub(super) enum Link<'a> {
    /// Through QEMU's stdin and stdout, by semihosting.
    Semihosting,
    /// Through [`rings`](super::rings) at two addresses of memory that QEMU shares. What is loaded and dumped is whole
    /// 64-bit words then.
    Rings { ram: &'a SharedRam, to: u64, from: u64 },
}

/// A running QEMU, whose stub reports `WORDS` words per call.
pub(super) struct Session<const WORDS: usize> {
    watched: Arc<Mutex<Watched>>,
    to: BufWriter<Box<dyn Write + Send>>,
    from: BufReader<Box<dyn Read + Send>>,
    errors: ChildStderr,
    snippets: HashMap<Vec<u32>, u64>,
    pool: Range<u64>,
    free: u64,
    loaded: Vec<Range<u64>>,
}

/// A running QEMU, and since when it has been busy with something.
struct Watched {
    qemu: Child,
    busy: Option<Instant>,
    patience: Duration,
}

/// A snippet and its arguments.
pub(super) type Call<'a> = (&'a [u32], [u64; 4]);

/// Why a machine did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// There is no QEMU that can be used.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The stub could not be handed over, or QEMU not be run.
    #[error("starting QEMU: {0}")]
    Io(#[from] io::Error),
    /// QEMU ran, but the stub did not answer.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// QEMU ended, or hung and was killed, before it answered.
#[derive(Debug, Error)]
#[error("QEMU was lost after {} s at: {command}\n{said}", after.as_secs())]
pub struct Lost {
    /// The command that it did not answer.
    pub command: String,
    /// How long it took, which tells whether it hung.
    pub after: Duration,
    /// What it printed on stderr, and how it ended.
    pub said: String,
}

/// Why instructions that a test had run did not come to their end.
#[derive(Debug, Error)]
pub enum RunError {
    /// They trapped, with these syndrome registers.
    #[error("a trap: {0:x?}")]
    Trap(Vec<(&'static str, u64)>),
    /// They ended the emulator, or did not end.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// A command, and where the answer goes.
enum Command<'a> {
    Load { address: u64, bytes: &'a [u8] },
    Dump { address: u64, into: &'a mut [u8] },
    Call { snippet: &'a [u32], at: u64, arguments: [u64; 4], report: &'a mut [u8] },
}

impl<const WORDS: usize> Session<WORDS> {
    /// Starts QEMU, and waits until the stub answers to a call of the snippet `nothing`.
    pub(super) fn start(emulator: Emulator, image: &Image<'_>, nothing: &[u32]) -> Result<Self, StartError> {
        // QEMU reads the file while it starts; the stub's answer shows that it has.
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(image.stub)?;
        let mut child = emulator
            .find()?
            .command()
            .args(image.machine)
            .args(["-smp", "1", "-accel", "tcg", "-nodefaults", "-display", "none", "-serial", "none"])
            .args(["-monitor", "none", "-device"])
            .arg(format!("loader,file={},addr={:#x},force-raw=on", file.path().display(), image.base))
            .args(image.link.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (Some(to), Some(from), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three were asked for as pipes");
        };
        let watched = Arc::new(Mutex::new(Watched { qemu: child, busy: None, patience: PATIENCE }));
        let ring = |ram: &SharedRam, at| {
            let watched = Arc::clone(&watched);
            Box::new(Ring { ram: ram.clone(), at, alive: Box::new(move || alive(&watched)) })
        };
        let (to, from): (Box<dyn Write + Send>, Box<dyn Read + Send>) = match image.link {
            Link::Semihosting => (Box::new(to), Box::new(from)),
            Link::Rings { ram, to, from } => (ring(ram, to), ring(ram, from)),
        };
        thread::spawn({
            let watched = Arc::downgrade(&watched);
            move || watch(&watched)
        });
        let mut session = Self {
            watched,
            to: BufWriter::new(to),
            from: BufReader::new(from),
            errors,
            snippets: HashMap::new(),
            free: image.pool.start,
            pool: image.pool.clone(),
            loaded: Vec::new(),
        };
        session.try_call(nothing, [0; 4])?;
        Ok(session)
    }

    /// Sets how long QEMU may take for a batch of commands.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.watched().patience = patience;
    }

    /// Puts bytes into memory.
    pub(super) fn load(&mut self, chunks: &[Chunk]) {
        for (address, bytes) in chunks {
            self.loaded.push(*address..*address + bytes.len() as u64);
            self.exchange(&mut [Command::Load { address: *address, bytes }]).unwrap_or_else(lost);
        }
    }

    /// The pages that were loaded since the last time this was asked, as few ranges.
    pub(super) fn take_loaded(&mut self) -> Vec<Range<u64>> {
        let mut loaded = std::mem::take(&mut self.loaded);
        loaded.sort_by_key(|range| range.start);
        let mut pages: Vec<Range<u64>> = Vec::new();
        for range in loaded {
            let (start, end) = (range.start & !0xfff, range.end.next_multiple_of(0x1000));
            match pages.last_mut().filter(|last| start <= last.end) {
                Some(last) => last.end = last.end.max(end),
                None => pages.push(start..end),
            }
        }
        pages
    }

    /// Shows bytes of memory.
    pub(super) fn dump(&mut self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.exchange(&mut [Command::Dump { address, into: &mut bytes }]).unwrap_or_else(lost);
        bytes
    }

    /// Calls a snippet.
    pub(super) fn call(&mut self, snippet: &[u32], arguments: [u64; 4]) -> [u64; WORDS] {
        self.try_call(snippet, arguments).unwrap_or_else(lost)
    }

    /// Calls snippets one after the other, and waits for their reports only now and then: a round trip to QEMU takes far
    /// longer than a snippet.
    pub(super) fn call_all(&mut self, calls: &[Call<'_>]) -> Vec<[u64; WORDS]> {
        let mut reports = Vec::with_capacity(calls.len());
        for batch in calls.chunks(BATCH) {
            let mut bytes = vec![[[0; 8]; WORDS]; batch.len()];
            let mut commands = Vec::with_capacity(batch.len());
            for (&(snippet, arguments), report) in batch.iter().zip(&mut bytes) {
                let at = self.place(snippet).unwrap_or_else(lost);
                commands.push(Command::Call { snippet, at, arguments, report: report.as_flattened_mut() });
            }
            self.exchange(&mut commands).unwrap_or_else(lost);
            reports.extend(bytes.into_iter().map(|words| words.map(u64::from_le_bytes)));
        }
        reports
    }

    /// Calls a snippet that may end the emulator.
    pub(super) fn try_call(&mut self, snippet: &[u32], arguments: [u64; 4]) -> Result<[u64; WORDS], Lost> {
        let at = self.place(snippet)?;
        let mut bytes = [[0; 8]; WORDS];
        self.exchange(&mut [Command::Call { snippet, at, arguments, report: bytes.as_flattened_mut() }])?;
        Ok(bytes.map(u64::from_le_bytes))
    }

    /// As [`Session::try_call`], and does something else while the snippet runs.
    pub(super) fn call_meanwhile(
        &mut self,
        snippet: &[u32],
        arguments: [u64; 4],
        meanwhile: impl FnOnce(),
    ) -> Result<[u64; WORDS], Lost> {
        let at = self.place(snippet)?;
        let mut bytes = [[0; 8]; WORDS];
        let mut call = [Command::Call { snippet, at, arguments, report: bytes.as_flattened_mut() }];
        self.exchange_meanwhile(&mut call, meanwhile)?;
        Ok(bytes.map(u64::from_le_bytes))
    }

    /// The address of a snippet, which is loaded if it is not in the pool.
    pub(super) fn place(&mut self, snippet: &[u32]) -> Result<u64, Lost> {
        if let Some(&address) = self.snippets.get(snippet) {
            return Ok(address);
        }
        let mut bytes: Vec<u8> = snippet.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        if self.free + bytes.len() as u64 > self.pool.end {
            self.snippets.clear();
            self.free = self.pool.start;
        }
        let address = self.free;
        self.exchange(&mut [Command::Load { address, bytes: &bytes }])?;
        self.free += bytes.len() as u64;
        self.snippets.insert(snippet.to_vec(), address);
        Ok(address)
    }

    /// Sends commands, then reads their answers.
    fn exchange(&mut self, commands: &mut [Command<'_>]) -> Result<(), Lost> {
        self.exchange_meanwhile(commands, || {})
    }

    fn exchange_meanwhile(&mut self, commands: &mut [Command<'_>], meanwhile: impl FnOnce()) -> Result<(), Lost> {
        let start = Instant::now();
        self.watched().busy = Some(start);
        let mut result = commands.iter().try_for_each(|command| self.send(command)).and_then(|()| self.to.flush());
        if result.is_ok() {
            meanwhile();
        }
        let mut answered = 0;
        while let (Ok(()), Some(command)) = (&result, commands.get_mut(answered)) {
            result = match command {
                Command::Load { .. } => Ok(()),
                Command::Dump { into: answer, .. } | Command::Call { report: answer, .. } => {
                    self.from.read_exact(answer)
                }
            };
            answered += usize::from(result.is_ok());
        }
        self.watched().busy = None;
        let command = commands.get(answered).or(commands.last()).map(Command::to_string).unwrap_or_default();
        result.map_err(|_| Lost { command, after: start.elapsed(), said: self.last_words() })
    }

    fn send(&mut self, command: &Command<'_>) -> io::Result<()> {
        let words = match command {
            Command::Load { address, bytes } => [LOAD.into(), *address, bytes.len() as u64, 0, 0, 0],
            Command::Dump { address, into } => [DUMP.into(), *address, into.len() as u64, 0, 0, 0],
            Command::Call { at, arguments: [a, b, c, d], .. } => [u64::MAX, *at, *a, *b, *c, *d],
        };
        self.to.write_all(words.map(u64::to_le_bytes).as_flattened())?;
        match command {
            Command::Load { bytes, .. } => self.to.write_all(bytes),
            Command::Dump { .. } | Command::Call { .. } => Ok(()),
        }
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_words(&mut self) -> String {
        // It closed its pipes, so it is as good as dead; but waiting for it must not hang.
        let _ = self.watched().qemu.kill();
        let mut said = String::new();
        let _ = self.errors.read_to_string(&mut said);
        let status = self.watched().qemu.wait();
        match status {
            Ok(status) => said + &status.to_string(),
            Err(error) => said + &error.to_string(),
        }
    }
}

impl<const WORDS: usize> Drop for Session<WORDS> {
    fn drop(&mut self) {
        let mut watched = self.watched();
        // It may have ended by itself; there is nobody to tell of errors.
        let _ = watched.qemu.kill();
        let _ = watched.qemu.wait();
    }
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load { address, bytes } => {
                write!(f, "load {} bytes at {address:#x}", bytes.len())
            }
            Self::Dump { address, into } => write!(f, "dump {} bytes at {address:#x}", into.len()),
            Self::Call { snippet, arguments, .. } => write!(f, "call {snippet:08x?} with {arguments:x?}"),
        }
    }
}

impl Link<'_> {
    fn arguments(&self) -> &[&str] {
        match self {
            Self::Semihosting => &["-semihosting-config", "enable=on,target=native"],
            Self::Rings { .. } => &[],
        }
    }
}

/// Whether QEMU still runs.
fn alive(watched: &Mutex<Watched>) -> bool {
    let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
    matches!(watched.qemu.try_wait(), Ok(None))
}

/// Kills QEMU when commands take too long. Looks now and then, for as long as the session lives: waking another thread
/// for each command would cost more than the command.
fn watch(watched: &Weak<Mutex<Watched>>) {
    while let Some(watched) = watched.upgrade() {
        let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.busy.is_some_and(|since| since.elapsed() > watched.patience) {
            let _ = watched.qemu.kill();
        }
        drop(watched);
        thread::sleep(Duration::from_secs(1));
    }
}

/// A test cannot go on without its emulator.
pub(super) fn lost<T>(error: Lost) -> T {
    panic!("{error}")
}
