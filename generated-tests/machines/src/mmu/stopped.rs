//! A machine of QEMU's whose CPUs do nothing: its memory and the registers of its devices are read and written from
//! outside, so that a device can be driven without a program for its machine.
//!
//! Its time is counted in instructions, and goes on to what a device waits for as soon as no CPU has any.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::emulators::Found;

/// How long an answer may take: whoever waits for a machine that hangs is told.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stopped machine.
pub struct Stopped {
    watched: Arc<Mutex<Watched>>,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    errors: File,
    /// How much of it was heard of.
    heard: u64,
    /// Commands that are not sent yet.
    writes: Vec<String>,
}

struct Watched {
    qemu: Child,
    /// Since when it owes an answer.
    asked: Option<Instant>,
}

impl Stopped {
    /// Starts a machine, by the arguments that choose it and its devices, and that leave its CPUs without work.
    ///
    /// # Errors
    ///
    /// If QEMU cannot be run.
    pub fn start(found: &Found, machine: &[&str]) -> io::Result<Self> {
        let errors = tempfile::tempfile()?;
        let mut qemu = found
            .command()
            .args(machine)
            .args(["-accel", "tcg", "-icount", "shift=0,sleep=off", "-nodefaults", "-no-user-config"])
            .args(["-display", "none", "-serial", "none", "-monitor", "none", "-qtest", "stdio", "-qtest-log", "none"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone()?)
            .spawn()?;
        let (Some(to), Some(from)) = (qemu.stdin.take(), qemu.stdout.take()) else {
            unreachable!("both were asked for as pipes");
        };
        let watched = Arc::new(Mutex::new(Watched { qemu, asked: None }));
        let watch = Arc::downgrade(&watched);
        thread::spawn(move || while_alive(&watch));
        Ok(Self { watched, to, from: BufReader::new(from), errors, heard: 0, writes: Vec::new() })
    }

    /// 4 or 8 bytes at a physical address.
    ///
    /// # Panics
    ///
    /// If the machine is gone.
    pub fn read(&mut self, address: u64, bytes: usize) -> u64 {
        self.read_all(&[(address, bytes)])[0]
    }

    /// The same at several addresses, one after the other.
    ///
    /// # Panics
    ///
    /// If the machine is gone.
    pub fn read_all(&mut self, places: &[(u64, usize)]) -> Vec<u64> {
        let read = |&(address, bytes): &(u64, usize)| format!("read{} {address:#x}", suffix(bytes));
        let answers = self.exchange(places.iter().map(read).collect());
        let number = |answer: &String| u64::from_str_radix(answer.strip_prefix("OK 0x")?, 16).ok();
        answers.iter().map(|answer| number(answer).unwrap_or_else(|| panic!("{answer} at {places:x?}"))).collect()
    }

    /// Writes 4 or 8 bytes at a physical address, before anything is read.
    pub fn write(&mut self, address: u64, bytes: usize, value: u64) {
        self.writes.push(format!("write{} {address:#x} {value:#x}", suffix(bytes)));
    }

    /// Writes words that follow each other, as [`Stopped::write`] does.
    pub fn write_words(&mut self, address: u64, words: &[u64]) {
        let digits: String = words.iter().map(|word| format!("{:016x}", word.swap_bytes())).collect();
        self.writes.push(format!("write {address:#x} {:#x} 0x{digits}", 8 * words.len()));
    }

    /// Writes 4 bytes to an I/O port, before anything is read.
    pub fn write_port(&mut self, port: u16, value: u32) {
        self.writes.push(format!("outl {port:#x} {value:#x}"));
    }

    /// Waits until everything is written.
    ///
    /// # Panics
    ///
    /// If the machine is gone.
    pub fn settle(&mut self) {
        self.exchange(Vec::new());
    }

    /// What QEMU has said on its stderr since this was asked last.
    ///
    /// # Panics
    ///
    /// If what it says cannot be kept.
    pub fn complaints(&mut self) -> String {
        let length = self.errors.metadata().expect("a file of ours").len();
        let mut said = vec![0; (length - self.heard) as usize];
        self.errors.read_exact_at(&mut said, self.heard).expect("a file of ours");
        self.heard = length;
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Sends the writes and then these questions, all at once, as a round trip takes far longer than a command. Returns the
    /// answers to the questions.
    fn exchange(&mut self, questions: Vec<String>) -> Vec<String> {
        let written = self.writes.len();
        let commands = [std::mem::take(&mut self.writes), questions].concat();
        let lines: String = commands.iter().map(|command| format!("{command}\n")).collect();
        lock(&self.watched).asked = Some(Instant::now());
        let sent = self.to.write_all(lines.as_bytes());
        let answers = sent.and_then(|()| (&mut self.from).lines().take(commands.len()).collect::<io::Result<Vec<_>>>());
        lock(&self.watched).asked = None;
        let Some(mut answers) = answers.ok().filter(|answers| answers.len() == commands.len()) else {
            panic!("QEMU was lost at {commands:?}: {}", self.last_words())
        };
        for (command, answer) in commands.iter().zip(&answers) {
            assert!(answer.starts_with("OK"), "{command}: {answer}");
        }
        answers.split_off(written)
    }

    fn last_words(&mut self) -> String {
        let qemu = &mut lock(&self.watched).qemu;
        let (mut said, ended) = (String::new(), qemu.kill().and_then(|()| qemu.wait()));
        // What cannot be read is not there.
        let _ = self.errors.rewind().and_then(|()| self.errors.read_to_string(&mut said));
        format!("{ended:?}\n{said}")
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let qemu = &mut lock(&self.watched).qemu;
        // It may have ended by itself.
        let _ = qemu.kill().and_then(|()| qemu.wait());
    }
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends a machine that does not answer.
fn while_alive(watched: &Weak<Mutex<Watched>>) {
    while let Some(watched) = watched.upgrade() {
        let mut watched = lock(&watched);
        if watched.asked.is_some_and(|since| since.elapsed() > PATIENCE) {
            // What went before is told by whoever waits.
            let _ = watched.qemu.kill();
        }
        drop(watched);
        thread::sleep(Duration::from_secs(1));
    }
}

fn suffix(bytes: usize) -> char {
    match bytes {
        4 => 'l',
        8 => 'q',
        _ => panic!("registers have 4 or 8 bytes"),
    }
}
