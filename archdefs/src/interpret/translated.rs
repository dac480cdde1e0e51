//! What the result of the machine's own instruction for a translation says.

use crate::bound::{Bound, kind};
use crate::eval::{Env, eval};
use crate::expr::Expr;
use crate::model::{At, Choices, FaultCause, MemoryType, Shareability};

/// What the result of the machine's own instruction for a translation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translated {
    /// It translates.
    To {
        /// Where the page is.
        address: u64,
        /// Its memory type; `None` if it has no name here.
        memory: Option<MemoryType>,
        /// Who shares it, if reported.
        shareability: Option<Shareability>,
    },
    /// It faults.
    Fault {
        /// What was wrong.
        cause: FaultCause,
        /// The level at which the walk ended, if reported.
        level: Option<u8>,
        /// Whether the fault is one of the second stage.
        second_stage: bool,
        /// Whether it was met while the tables of the first stage were walked.
        guest_walk: bool,
    },
}

impl Bound {
    /// Reads a result: the values of `[translated] registers`, in their order. `None` if their number is wrong, or if
    /// the format has no such instruction.
    pub fn translated(&self, registers: &[u64]) -> Option<Translated> {
        let translated = self.translated.as_ref().filter(|known| known.registers.len() == registers.len())?;
        let values = translated.registers.iter().zip(registers);
        let env = values.fold(self.env(), |env, (register, value)| env.with(&register.name.value, *value));
        let number = |choices: &Choices<Expr>| {
            let choice = kind::first(choices, &env).ok()??;
            eval(&choice.value, &env).ok()
        };
        Some(if eval(&translated.faulted.value, &env).ok()? == 0 {
            Translated::To {
                address: number(&translated.address).and_then(|address| u64::try_from(address).ok())?,
                memory: word(&translated.memory, &env),
                shareability: word(&translated.shareability, &env),
            }
        } else {
            let holds = |truth: &Option<At<Expr>>| {
                truth.as_ref().is_some_and(|truth| eval(&truth.value, &env).is_ok_and(|value| value != 0))
            };
            Translated::Fault {
                cause: word(&translated.cause, &env).unwrap_or(FaultCause::Unspecified),
                level: number(&translated.level).and_then(|level| u8::try_from(level).ok()),
                second_stage: holds(&translated.second_stage),
                guest_walk: holds(&translated.guest_walk),
            }
        })
    }
}

/// The first word whose condition holds.
fn word<T: Copy>(choices: &Choices<T>, env: &Env<'_>) -> Option<T> {
    kind::first(choices, env).ok().flatten().map(|choice| choice.value)
}
