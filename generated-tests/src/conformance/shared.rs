//! Judges that several tests share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libtest_mimic::{Failed, Trial};
use tablewright::ByName;

use super::{Judge, Setup};

/// The number of probes that were judged, by configuration and property.
pub type Counts = BTreeMap<(String, &'static str), u64>;

/// A judge that all its tests share. The first of them starts it.
pub struct Shared<J>(Arc<Lazy<J>>);

struct Lazy<J> {
    judge: OnceLock<Mutex<J>>,
    counts: Mutex<Counts>,
    start: Box<dyn Fn() -> J + Send + Sync>,
}

impl<J> Clone for Shared<J> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<J> Shared<J> {
    /// A judge to be started by `start`.
    pub fn new(start: impl Fn() -> J + Send + Sync + 'static) -> Self {
        Self(Arc::new(Lazy { judge: OnceLock::new(), counts: Mutex::default(), start: Box::new(start) }))
    }

    /// What was judged so far.
    pub fn counts(&self) -> Counts {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A test that asks the judge about a configuration, and returns how many probes showed that a property holds.
    pub fn trial<F: ByName>(
        &self,
        setup: &Setup<F>,
        (test, property): (&str, &'static str),
        ask: impl FnOnce(&Setup<F>, &mut J) -> Result<usize, Failed> + Send + 'static,
    ) -> Trial
    where
        J: Judge + Send + 'static,
    {
        let (name, setup) = (setup.name.clone(), setup.clone());
        self.trial_of(name, (test, property), move |judge| {
            judge.prepare(&setup.case);
            ask(&setup, judge)
        })
    }

    /// As [`Self::trial`] for judges of any kind, under this name.
    pub(super) fn trial_of(
        &self,
        name: String,
        (test, property): (&str, &'static str),
        ask: impl FnOnce(&mut J) -> Result<usize, Failed> + Send + 'static,
    ) -> Trial
    where
        J: Send + 'static,
    {
        let shared = self.clone();
        Trial::test(format!("{name}/{test}"), move || {
            let probes = shared.with(ask)?;
            let mut counts = shared.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry((name, property)).or_default() += probes as u64;
            Ok(())
        })
    }

    fn with<T>(&self, ask: impl FnOnce(&mut J) -> T) -> T {
        let judge = self.0.judge.get_or_init(|| Mutex::new((self.0.start)()));
        // A failed test leaves the model usable.
        ask(&mut judge.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
