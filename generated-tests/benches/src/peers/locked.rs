//! A lock, so that several CPUs can use a library that needs `&mut`.

use std::sync::{Mutex, PoisonError};

use crate::subject::{Lazy, Shared, Subject};

/// A subject behind a lock.
pub struct Locked<S>(Mutex<S>);

impl<S: Subject> Subject for Locked<S> {
    const NAME: &'static str = S::NAME;

    fn new() -> Self {
        Self(Mutex::new(S::new()))
    }
}

impl<S: Lazy> Locked<S> {
    fn own(&mut self) -> &mut S {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Lazy> Lazy for Locked<S> {
    fn lazy(&mut self, ia: u64, size: u64) {
        self.own().lazy(ia, size);
    }

    fn fault(&mut self, ia: u64) -> bool {
        self.own().fault(ia)
    }

    fn release(&mut self, ia: u64, size: u64) {
        self.own().release(ia, size);
    }
}

impl<S: Lazy + Send> Shared for Locked<S> {
    fn fault_shared(&self, ia: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fault(ia)
    }
}
