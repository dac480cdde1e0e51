//! A machine of QEMU's whose CPUs do not run: its memory and the registers of its devices are read and written from
//! outside, so that a device can be driven without a program for its machine.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::emulators::Found;

/// How long a machine lives at most: whoever waits for one that hangs is told.
const LIFE: Duration = Duration::from_secs(60);

/// A stopped machine.
pub struct Stopped {
    qemu: Arc<Mutex<Child>>,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// When it is dropped, the watch over the machine ends.
    _watch: Sender<()>,
}

impl Stopped {
    /// Starts a machine, by the arguments that choose it and its devices.
    ///
    /// # Errors
    ///
    /// If QEMU cannot be run.
    pub fn start(found: &Found, machine: &[&str]) -> io::Result<Self> {
        let mut qemu = found
            .command()
            .args(machine)
            .args(["-S", "-accel", "tcg", "-nodefaults", "-display", "none", "-serial", "none", "-monitor", "none"])
            .args(["-qtest", "stdio", "-qtest-log", "none"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (Some(to), Some(from)) = (qemu.stdin.take(), qemu.stdout.take()) else {
            unreachable!("both were asked for as pipes");
        };
        let qemu = Arc::new(Mutex::new(qemu));
        let (watch, ended) = mpsc::channel();
        let watched = Arc::clone(&qemu);
        thread::spawn(move || {
            if ended.recv_timeout(LIFE) == Err(RecvTimeoutError::Timeout) {
                // What went before is told by whoever waits.
                let _ = watched.lock().unwrap_or_else(PoisonError::into_inner).kill();
            }
        });
        Ok(Self { qemu, to, from: BufReader::new(from), _watch: watch })
    }

    /// 4 or 8 bytes at a physical address.
    ///
    /// # Panics
    ///
    /// If the machine is gone.
    pub fn read(&mut self, address: u64, bytes: usize) -> u64 {
        let answer = self.ask(&format!("read{} {address:#x}", suffix(bytes)));
        let number = answer.strip_prefix("OK 0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.unwrap_or_else(|| panic!("at {address:#x}: {answer}"))
    }

    /// Writes 4 or 8 bytes at a physical address.
    ///
    /// # Panics
    ///
    /// If the machine is gone.
    pub fn write(&mut self, address: u64, bytes: usize, value: u64) {
        let answer = self.ask(&format!("write{} {address:#x} {value:#x}", suffix(bytes)));
        assert_eq!(answer, "OK", "at {address:#x}");
    }

    fn ask(&mut self, question: &str) -> String {
        let mut answer = String::new();
        let asked = writeln!(self.to, "{question}").and_then(|()| self.from.read_line(&mut answer));
        if !matches!(asked, Ok(1..)) {
            panic!("QEMU was lost at `{question}`: {}", self.last_words());
        }
        answer.trim_end().to_owned()
    }

    fn last_words(&mut self) -> String {
        let mut qemu = self.qemu.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut said, ended) = (String::new(), qemu.kill().and_then(|()| qemu.wait()));
        // What cannot be read is not there.
        let _ = qemu.stderr.take().map(|mut errors| errors.read_to_string(&mut said));
        format!("{ended:?}\n{said}")
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let mut qemu = self.qemu.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself.
        let _ = qemu.kill().and_then(|()| qemu.wait());
    }
}

fn suffix(bytes: usize) -> char {
    match bytes {
        4 => 'l',
        8 => 'q',
        _ => panic!("registers have 4 or 8 bytes"),
    }
}
