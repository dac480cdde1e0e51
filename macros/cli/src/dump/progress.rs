//! Shows how far a long dump has come.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use tablewright_archdefs::bound::Bound;

/// The time before the first report, and between reports.
const PACE: Duration = Duration::from_millis(500);

/// How far a dump has come.
pub(super) struct Progress {
    /// When to show it next; `None` if no terminal shows it.
    next: Option<Instant>,
    input_bits: u8,
    shown: bool,
}

impl Progress {
    pub(super) fn new(bound: &Bound, shows: bool) -> Self {
        let next = shows.then(|| Instant::now() + PACE);
        Self { next, input_bits: bound.geometry.input_bits, shown: false }
    }

    /// Records that everything before this input address is done.
    pub(super) fn at(&mut self, ia: u64, err: &mut dyn Write) -> io::Result<()> {
        let Some(next) = self.next.filter(|next| Instant::now() >= *next) else { return Ok(()) };
        self.next = Some(next.max(Instant::now()) + PACE);
        self.shown = true;
        let done = u128::from(ia) & ((1 << self.input_bits) - 1);
        let percent = (done * 100) >> self.input_bits;
        write!(err, "\r{percent:3} % of the input addresses, at {ia:#x}\x1b[K")?;
        err.flush()
    }

    /// Removes what was shown.
    pub(super) fn clear(&mut self, err: &mut dyn Write) -> io::Result<()> {
        if std::mem::take(&mut self.shown) {
            write!(err, "\r\x1b[K")?;
        }
        Ok(())
    }
}
