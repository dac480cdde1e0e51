//! The command after which all before it are complete.

use super::Refused;
use crate::bound::Bound;
use crate::eval::{eval, holds};
use crate::model::{Completion, Signal};
use crate::words::Word;

impl Bound {
    /// The rows of `[[completion]]` that are taken under these parameters, one for each signal.
    pub fn completions(&self) -> impl Iterator<Item = &Completion> {
        let exists = |completion: &&Completion| holds(completion.when.as_ref(), &self.env()).unwrap_or(false);
        Signal::WORDS.iter().filter_map(move |(_, signal)| {
            self.completions.iter().filter(exists).find(|completion| completion.signal == *signal)
        })
    }

    /// The words of the command that is complete, and is reported by `signal`, only when all commands before it are
    /// complete. With [`Signal::Write`] it makes the device write `data` at `address`; other signals take neither.
    ///
    /// # Errors
    ///
    /// [`Refused::Signal`] if there is no such command, [`Refused::Address`] if the address is too wide or not aligned,
    /// or is 0 where that means "none", [`Refused::Data`] if the data is too wide.
    pub fn completion(&self, signal: Signal, address: u64, data: u64) -> Result<Vec<u64>, Refused> {
        let none = Refused::Signal;
        let completion = self.completions().find(|completion| completion.signal == signal).ok_or(none)?;
        if let Some(record) = &completion.record {
            if !record.reaches(address) {
                return Err(Refused::Address(address));
            }
            if data > record.last_data() {
                return Err(Refused::Data(data));
            }
        }
        let env = self.env().with("address", address).with("data", data);
        let word = |expr| eval(expr, &env).ok().and_then(|value| u64::try_from(value).ok());
        // In a format that the checker has passed, every word fits.
        completion.command.iter().map(|expr| word(&expr.value)).collect::<Option<_>>().ok_or(none)
    }
}
