//! Rows, and how their contenders are measured.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::{frames, subject::Subject};

/// A job, and all who do it.
pub struct Row {
    /// What is done.
    pub work: &'static str,
    /// With which format.
    pub format: &'static str,
    /// Whether hardware sets accessed and dirty flags; `None` where that changes nothing.
    pub hardware: Option<bool>,
    /// What the figures are for: a page, a call.
    pub unit: &'static str,
    /// How many of them one run does.
    pub units: u64,
    /// The limit for this library, as a multiple of the hand-written loop.
    pub limit: f64,
    /// The hand-written loop first.
    pub contenders: Vec<Contender>,
}

impl Row {
    /// What tells it from all others of its format.
    pub fn title(&self) -> String {
        match self.hardware {
            Some(true) => format!("{}, A/D on", self.work),
            Some(false) => format!("{}, A/D off", self.work),
            None => self.work.to_owned(),
        }
    }

    /// What tells it from all others.
    pub fn name(&self) -> String {
        format!("{}: {}", self.format, self.title())
    }

    /// Whether it is among those that these words choose: all whose names contain all of them.
    pub fn is(&self, wanted: &[String]) -> bool {
        let name = self.name();
        wanted.iter().all(|word| name.contains(word.as_str()))
    }
}

/// Somebody who does a row's job.
pub struct Contender {
    /// The subject's name.
    pub name: &'static str,
    job: Box<dyn Fn(u64) -> Times>,
}

impl Contender {
    /// `job` does the work so often, and tells how long it took without preparation and cleaning up.
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

/// How long runs took.
pub struct Times {
    /// All together.
    pub total: Duration,
    /// The shortest: the one that no other program disturbed, if there is one.
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

/// How long `job` takes: by the clock on the wall, or by the thread's own, which does not go on while other programs have
/// the CPU, but takes longer to read.
pub fn timed(job: impl FnOnce()) -> Duration {
    let before = own_time();
    let time = measured(job);
    // That clock goes back now and then, where the machine is a virtual one.
    let own = own_time().checked_sub(before).filter(|own| !own.is_zero());
    own.map_or(time, |own| time.min(own))
}

/// How long this thread has run.
fn own_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// Instructions are counted inside this function, by its name.
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

/// So many short jobs are measured together, for the clock takes its time, too.
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
