//! The command after which all before it are complete.

use super::Refused;
use crate::bound::Bound;
use crate::eval::{eval, holds};
use crate::model::Signal;

impl Bound {
    /// The words of the command that is complete, and tells so by `signal`, only when all before it are. With
    /// [`Signal::Write`] it makes the device write `data` at `address`; other signals take neither.
    ///
    /// # Errors
    ///
    /// [`Refused::Signal`] if there is no such command, [`Refused::Address`] if the address is too wide or not aligned, or
    /// stands for none,
    /// [`Refused::Data`] if the data is too wide.
    pub fn completion(&self, signal: Signal, address: u64, data: u64) -> Result<Vec<u64>, Refused> {
        let none = Refused::Signal;
        let env = self.env();
        let exists = |when| holds(when, &env).unwrap_or(false);
        let all = self.completions.iter().filter(|completion| completion.signal == signal);
        let completion = all.into_iter().find(|completion| exists(completion.when.as_ref())).ok_or(none)?;
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
