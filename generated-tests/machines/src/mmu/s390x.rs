//! QEMU's s390 as a judge of tables for dynamic address translation.
//!
//! All RAM is shared with the host, which puts tables and questions into it. Loads and stores are made in another address
//! space than the one that the program's instructions come from, and so are fetches. The output address is seen in the memory
//! reached: each 64-bit word of RAM tells its own address. Its first half word is zero, which is no instruction, so that a
//! fetch that is let through ends in an exception of its own.
//!
//! Manual: z/Architecture Principles of Operation, SA22-7832, chapter 3, *Dynamic Address Translation*; chapter 6,
//! *Program interruptions*.

mod stub;

use std::io::{Read, Write};
use std::ops::Range;
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::qemu::StartError;
use super::shared::SharedRam;
use super::{Access, Chunk, Fault, FaultKind, Probe, Verdict};
use crate::emulators::Emulator;

/// How many questions there are, zero when they are answered; control registers 0, 1, 7 and 13; what to run, and its
/// operands; the questions, and answers.
const COUNT: u64 = 0x1_0000;
const CONTROLS: u64 = 0x1_0100;
const SNIPPET: u64 = 0x1_0200;
const OPERANDS: u64 = 0x1_0300;
const QUESTIONS: u64 = 0x10_0000;
const ANSWERS: u64 = 0x20_0000;
/// What to do, and where.
const QUESTION_BYTES: u64 = 16;
/// What was read, the interruption code, the translation-exception identification.
const ANSWER_BYTES: u64 = 24;
/// As many as there is room for.
const BATCH: usize = 0x8000;

/// What is free for tables and targets, of memory that begins at 0.
const RAM: Range<u64> = 0x8000_0000..0x8800_0000;

/// Control register 0: the clock comparator interrupts, for the program's pauses.
const CLOCK_COMPARATOR: u64 = 0x800;
/// An address-space-control element of real addresses.
const REAL_SPACE: u64 = 0x20;

/// Interruption codes.
const NONE: u64 = 0;
const OPERATION: u64 = 0x1;
const PROTECTION: u64 = 0x4;
const ADDRESSING: u64 = 0x5;
const SEGMENT_TRANSLATION: u64 = 0x10;
const PAGE_TRANSLATION: u64 = 0x11;
const TRANSLATION_SPECIFICATION: u64 = 0x12;
const ASCE_TYPE: u64 = 0x38;
const REGION_FIRST_TRANSLATION: u64 = 0x39;
const REGION_SECOND_TRANSLATION: u64 = 0x3a;
const REGION_THIRD_TRANSLATION: u64 = 0x3b;

/// How long QEMU may take before it counts as hung, and how long to look for its answer at once.
const PATIENCE: Duration = Duration::from_secs(60);
const EAGER: Duration = Duration::from_micros(50);

/// A running machine, and tables under test.
pub struct Machine {
    qemu: Child,
    ram: SharedRam,
    loaded: Vec<Range<u64>>,
}

impl Machine {
    /// Starts QEMU.
    ///
    /// # Errors
    ///
    /// [`StartError::Find`] if there is no QEMU that can be used, [`StartError::Io`] if it cannot be run.
    ///
    /// # Panics
    ///
    /// If the program in it does not answer.
    pub fn start() -> Result<Self, StartError> {
        let found = Emulator::QemuS390x.find()?;
        // Nothing is allocated there, and most of it is never touched.
        let ram = SharedRam::new(0, RAM.end, 0..0)?;
        let mut file = NamedTempFile::new()?;
        let (code, low) = stub::image();
        file.write_all(&code)?;
        // Until the program has begun, it has a question to answer.
        ram.word(COUNT).store(1, Ordering::Release);
        put(&ram, CONTROLS, &[CLOCK_COMPARATOR]);
        low.into_iter().for_each(|(address, words)| put(&ram, address, &words));
        let qemu = found
            .command()
            .args(["-M", "s390-ccw-virtio,memory-backend=ram", "-cpu", "max", "-m"])
            .arg(format!("{}M", RAM.end >> 20))
            .args(ram.arguments())
            .args(["-smp", "1", "-accel", "tcg", "-nodefaults", "-display", "none", "-no-reboot", "-bios"])
            .arg(file.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut machine = Self { qemu, ram, loaded: Vec::new() };
        machine.wait();
        Ok(machine)
    }

    /// The physical memory that is free for tables and targets.
    pub fn ram(&self) -> Range<u64> {
        RAM
    }

    /// Puts bytes into physical memory, in [`Machine::ram`].
    pub fn load(&mut self, chunks: &[Chunk]) {
        for (address, bytes) in chunks {
            self.loaded.push(*address..*address + bytes.len() as u64);
            let (words, rest) = bytes.as_chunks();
            assert!(rest.is_empty(), "only whole words are loaded");
            for (place, word) in self.ram.words(*address, words.len()).iter().zip(words) {
                place.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
            }
        }
    }

    /// Makes memory as it was before it was loaded.
    pub fn clear(&mut self) {
        for range in std::mem::take(&mut self.loaded) {
            for address in range.step_by(8) {
                self.ram.word(address).store(address.to_be(), Ordering::Relaxed);
            }
        }
    }

    /// Reads physical memory, whole words of it. Where nothing was loaded, it has what tells its address.
    pub fn dump(&self, address: u64, length: usize) -> Vec<u8> {
        let words = self.ram.words(address, length / 8);
        words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect()
    }

    /// Sets what translates, the address-space-control element and bits of control register 0, and empties the TLB.
    pub fn set(&mut self, control: u64, asce: u64) {
        put(&self.ram, CONTROLS, &[control | CLOCK_COMPARATOR, REAL_SPACE, asce, asce]);
        self.run(&stub::set(), [0; 2]);
    }

    /// Runs instructions, with values in r2 and r3.
    ///
    /// # Panics
    ///
    /// If they are too many, or end in an interruption.
    pub fn run(&mut self, code: &[u8], operands: [u64; 2]) {
        let mut snippet = [code, &stub::RETURN].concat();
        assert!(snippet.len() <= stub::SNIPPET_BYTES, "a snippet of {} bytes", code.len());
        snippet.resize(stub::SNIPPET_BYTES, 0);
        let words: Vec<u64> = snippet.as_chunks().0.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect();
        put(&self.ram, SNIPPET, &words);
        put(&self.ram, OPERANDS, &operands);
        let answers = self.ask(&[(stub::RUN, 0)]);
        assert!(answers[0][1] == NONE, "{code:02x?} was interrupted: {answers:x?}");
    }

    /// Asks each probe, by way of the TLB: what it answers is stale where a stale entry is used. There are no rights that
    /// depend on who asks.
    ///
    /// A probed page is really accessed, at the start of a word. A write stores a zero byte, which memory that tells its
    /// address has anyway there.
    pub fn probe(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        let question = |probe: &Probe| {
            let what = match probe.access {
                Access::Read => stub::READ,
                Access::Write => stub::WRITE,
                Access::Execute => stub::FETCH,
            };
            (what, probe.address & !7)
        };
        let questions: Vec<_> = probes.iter().map(question).collect();
        let answers = self.ask(&questions);
        // What was fetched tells its address, if it is read.
        let fetched = |answer: &[u64; 3]| answer[1] == OPERATION;
        let reads: Vec<_> = questions
            .iter()
            .zip(&answers)
            .filter_map(|((_, address), answer)| fetched(answer).then_some((stub::READ, *address)))
            .collect();
        let mut read = self.ask(&reads).into_iter();
        let answers =
            answers.into_iter().map(|answer| if fetched(&answer) { read.next().unwrap_or(answer) } else { answer });
        probes.iter().zip(answers).map(|(probe, answer)| verdict(probe, answer)).collect()
    }

    fn ask(&mut self, questions: &[(u64, u64)]) -> Vec<[u64; 3]> {
        let mut answers = Vec::with_capacity(questions.len());
        for batch in questions.chunks(BATCH) {
            let words: Vec<u64> = batch.iter().flat_map(|&(what, address)| [what, address]).collect();
            put(&self.ram, QUESTIONS, &words);
            self.ram.word(COUNT).store((batch.len() as u64).to_be(), Ordering::Release);
            self.wait();
            let words = self.ram.words(ANSWERS, 3 * batch.len()).as_chunks().0;
            let load = |word: &std::sync::atomic::AtomicU64| u64::from_be(word.load(Ordering::Relaxed));
            answers.extend(words.iter().map(|words: &[_; 3]| words.each_ref().map(load)));
        }
        answers
    }

    /// Waits until all questions are answered.
    fn wait(&mut self) {
        let start = Instant::now();
        while self.ram.word(COUNT).load(Ordering::Acquire) != 0 {
            if start.elapsed() < EAGER {
                std::hint::spin_loop();
                continue;
            }
            let ended = self.qemu.try_wait();
            if !matches!(ended, Ok(None)) || start.elapsed() > PATIENCE {
                let _ = self.qemu.kill();
                let mut said = String::new();
                let _ = self.qemu.stderr.take().map(|mut errors| errors.read_to_string(&mut said));
                panic!("QEMU was lost after {} s: {ended:?}\n{said}", start.elapsed().as_secs());
            }
            thread::sleep(EAGER);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell of errors.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Writes words as the machine reads them.
fn put(ram: &SharedRam, address: u64, words: &[u64]) {
    for (place, word) in ram.words(address, words.len()).iter().zip(words) {
        place.store(word.to_be(), Ordering::Relaxed);
    }
}

/// What an answer says.
fn verdict(probe: &Probe, [read, code, identification]: [u64; 3]) -> Verdict {
    let (kind, level) = match code {
        NONE => {
            let output = read | probe.address & 7;
            // Memory that was loaded does not tell its address.
            let told = RAM.contains(&output) && output & 0xfff == probe.address & 0xfff;
            return Verdict::Translated(told.then_some(output));
        }
        PROTECTION => (FaultKind::Permission, None),
        PAGE_TRANSLATION => (FaultKind::NotMapped, Some(0)),
        SEGMENT_TRANSLATION => (FaultKind::NotMapped, Some(1)),
        REGION_THIRD_TRANSLATION => (FaultKind::NotMapped, Some(2)),
        REGION_SECOND_TRANSLATION => (FaultKind::NotMapped, Some(3)),
        REGION_FIRST_TRANSLATION => (FaultKind::NotMapped, Some(4)),
        ASCE_TYPE => (FaultKind::NotMapped, None),
        TRANSLATION_SPECIFICATION => (FaultKind::Misconfigured, None),
        ADDRESSING => (FaultKind::Bus, None),
        _ => panic!("the probe went astray: {probe:x?}: interruption code {code:#x}"),
    };
    let report = vec![("interruption_code", code), ("translation_exception", identification)];
    Verdict::Fault(Fault { kind, level, report })
}
