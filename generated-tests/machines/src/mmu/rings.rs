//! Talking to a stub by way of memory that it shares with us, for machines that have no semihosting: a ring of bytes each
//! way.
//!
//! A ring is two 64-bit words, how many bytes were written to it and how many were read from it, and a page further on
//! [`BYTES`] of bytes. All that is transferred comes in whole 64-bit words.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::shared::SharedRam;

/// How much a ring holds.
pub(super) const BYTES: u64 = 64 << 10;

/// Where in a ring are: the count of what was written, the count of what was read, the bytes.
pub(super) const WRITTEN: u64 = 0;
pub(super) const READ: u64 = 8;
pub(super) const DATA: u64 = 0x1000;

/// How long to look again and again, before looking only now and then.
const EAGER: Duration = Duration::from_micros(30);

/// Our end of a ring.
pub(super) struct Ring {
    pub(super) ram: SharedRam,
    /// Where it begins.
    pub(super) at: u64,
    /// Whether there is still somebody at the other end.
    pub(super) alive: Box<dyn Fn() -> bool + Send>,
}

impl Ring {
    fn count(&self, which: u64) -> u64 {
        self.ram.word(self.at + which).load(Ordering::Acquire)
    }

    /// Waits until the count of the other end is another than `old`, and returns it.
    fn wait(&self, which: u64, old: u64) -> io::Result<u64> {
        let start = Instant::now();
        loop {
            let count = self.count(which);
            if count != old {
                return Ok(count);
            }
            if start.elapsed() < EAGER {
                std::hint::spin_loop();
            } else if (self.alive)() {
                thread::sleep(EAGER);
            } else {
                return Err(ErrorKind::BrokenPipe.into());
            }
        }
    }

    fn word(&self, count: u64) -> &std::sync::atomic::AtomicU64 {
        self.ram.word(self.at + DATA + count % BYTES)
    }
}

/// Only whole words can be read.
impl Read for Ring {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let words = into.as_chunks_mut().0;
        if words.is_empty() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let read = self.count(READ);
        let written = self.wait(WRITTEN, read)?;
        let mut now = read;
        for word in words {
            if now == written {
                break;
            }
            *word = self.word(now).load(Ordering::Relaxed).to_le_bytes();
            now += 8;
        }
        self.ram.word(self.at + READ).store(now, Ordering::Release);
        Ok((now - read) as usize)
    }
}

/// Only whole words can be written.
impl Write for Ring {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (words, rest) = bytes.as_chunks();
        if words.is_empty() || !rest.is_empty() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let written = self.count(WRITTEN);
        // It is full where the two counts are so far apart.
        let end = self.wait(READ, written.wrapping_sub(BYTES))?.wrapping_add(BYTES);
        let mut now = written;
        for word in words {
            if now == end {
                break;
            }
            self.word(now).store(u64::from_le_bytes(*word), Ordering::Relaxed);
            now += 8;
        }
        self.ram.word(self.at + WRITTEN).store(now, Ordering::Release);
        Ok((now - written) as usize)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
