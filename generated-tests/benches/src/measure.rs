//! Rows, and how their contenders are measured.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::{frames, subject::Subject};

/// A job with all contenders that do it.
pub struct Row {
    /// The name of the job.
    pub work: &'static str,
    /// The name of the format.
    pub format: &'static str,
    /// Whether hardware sets accessed and dirty flags; `None` where that changes nothing.
    pub hardware: Option<bool>,
    /// The unit of the figures: a page, a call.
    pub unit: &'static str,
    /// The number of units in one run.
    pub units: u64,
    /// The limit for this library, as a multiple of the hand-written loop.
    pub limit: f64,
    /// The contenders, the hand-written loop first.
    pub contenders: Vec<Contender>,
}

impl Row {
    /// A name that is unique in its format.
    pub fn title(&self) -> String {
        match self.hardware {
            Some(true) => format!("{}, A/D on", self.work),
            Some(false) => format!("{}, A/D off", self.work),
            None => self.work.to_owned(),
        }
    }

    /// A name that is unique among all rows.
    pub fn name(&self) -> String {
        format!("{}: {}", self.format, self.title())
    }

    /// Whether its name contains all of these words.
    pub fn is(&self, wanted: &[String]) -> bool {
        let name = self.name();
        wanted.iter().all(|word| name.contains(word.as_str()))
    }
}

/// One way to do a row's job.
pub struct Contender {
    /// The subject's name.
    pub name: &'static str,
    job: Box<dyn Fn(u64) -> Times>,
}

impl Contender {
    /// `job` does the work the given number of times, and returns how long it took without preparation and clean-up.
    pub fn new<S: Subject>(job: impl Fn(u64) -> Times + 'static) -> Self {
        Self { name: S::NAME, job: Box::new(job) }
    }

    /// Does the work `runs` times.
    pub fn run(&self, runs: u64) -> Times {
        frames::open();
        let before = frames::left();
        let times = (self.job)(runs);
        assert_eq!(frames::left(), before, "{} loses frames", self.name);
        times
    }
}

/// The duration of some runs.
pub struct Times {
    /// Their sum.
    pub total: Duration,
    /// The shortest, which other programs have disturbed least.
    pub best: Duration,
}

impl FromIterator<Duration> for Times {
    fn from_iter<T: IntoIterator<Item = Duration>>(times: T) -> Self {
        times.into_iter().fold(Self { total: Duration::ZERO, best: Duration::MAX }, |all, time| Self {
            total: all.total + time,
            best: all.best.min(time),
        })
    }
}

/// The duration of `job` by wall-clock time, or by the thread's CPU time, which excludes other programs but takes
/// longer to read.
pub fn timed(job: impl FnOnce()) -> Duration {
    let before = own_time();
    let time = measured(job);
    // On virtual machines, the thread's clock sometimes goes back.
    let own = own_time().checked_sub(before).filter(|own| !own.is_zero());
    own.map_or(time, |own| time.min(own))
}

/// The CPU time of this thread.
fn own_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// Callgrind counts instructions inside this function, which it finds by name.
#[inline(never)]
fn measured(job: impl FnOnce()) -> Duration {
    let start = Instant::now();
    job();
    start.elapsed()
}

/// Measures `job` on a new subject each time, prepared by `prepare` and cleaned up by `clean`.
pub fn each<S: Subject>(
    runs: u64,
    mut prepare: impl FnMut(&mut S),
    mut job: impl FnMut(&mut S),
    mut clean: impl FnMut(&mut S),
) -> Times {
    (0..runs)
        .map(|_| {
            let mut subject = S::new();
            prepare(&mut subject);
            let time = timed(|| job(&mut subject));
            clean(&mut subject);
            time
        })
        .collect()
}

/// How many short jobs are measured together, as reading the clock takes time, too.
pub const BATCH: usize = 16;

/// As [`each`], for [`BATCH`] subjects at once.
pub fn batch<S: Subject>(runs: u64, mut prepare: impl FnMut(&mut S), mut job: impl FnMut(&mut S)) -> Times {
    (0..runs)
        .map(|_| {
            let mut subjects: [S; BATCH] = std::array::from_fn(|_| S::new());
            subjects.iter_mut().for_each(&mut prepare);
            timed(|| subjects.iter_mut().for_each(&mut job))
        })
        .collect()
}

/// Measures `job` on one subject, undone by `undo` each time.
pub fn repeat<S: Subject>(
    runs: u64,
    prepare: impl FnOnce(&mut S),
    mut job: impl FnMut(&mut S),
    mut undo: impl FnMut(&mut S),
) -> Times {
    let mut subject = S::new();
    prepare(&mut subject);
    (0..runs)
        .map(|_| {
            let time = timed(|| job(&mut subject));
            undo(&mut subject);
            time
        })
        .collect()
}
