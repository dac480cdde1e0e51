//! Reads the hardware's fault reports.

use super::access::with_values;
use crate::bound::{Bound, kind};
use crate::eval::eval;
use crate::expr::Expr;
use crate::model::{Choices, FaultAccess, FaultCause};

/// What a fault report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultInfo {
    /// The input address; if `None`, it must be resolved from the guest's virtual address.
    pub address: Option<u64>,
    /// What the access was.
    pub access: FaultAccess,
    /// What was wrong.
    pub cause: FaultCause,
    /// The level the walk ended at, if reported.
    pub level: Option<u8>,
    /// How many bytes the access moves, if reported.
    pub width: Option<u8>,
    /// Whether the fault was met while the guest's own tables were walked.
    pub guest_walk: bool,
}

impl Bound {
    /// Reads a report: the values of `[fault] registers`, in their order; missing ones count as 0. `None` if the report
    /// is about something other than a fault of this translation, or if the format describes no reports.
    pub fn fault(&self, report: &[u64]) -> Option<FaultInfo> {
        let fault = self.fault.as_ref()?;
        let env = with_values(self.env(), &fault.registers, report);
        if eval(&fault.when.value, &env).ok()? == 0 {
            return None;
        }
        let number = |choices: &Choices<Expr>| {
            let choice = kind::first(choices, &env).ok()??;
            eval(&choice.value, &env).ok()
        };
        let access = kind::first(&fault.access, &env).ok().flatten();
        let cause = kind::first(&fault.cause, &env).ok().flatten();
        let guest_walk = fault.guest_walk.as_ref().map(|walk| eval(&walk.value, &env));
        Some(FaultInfo {
            address: number(&fault.address).and_then(|address| u64::try_from(address).ok()),
            access: access.map_or(FaultAccess::None, |choice| choice.value),
            cause: cause.map_or(FaultCause::Unspecified, |choice| choice.value),
            level: number(&fault.level).and_then(|level| u8::try_from(level).ok()),
            width: number(&fault.width).and_then(|width| u8::try_from(width).ok()),
            guest_walk: guest_walk.is_some_and(|walk| walk.is_ok_and(|walk| walk != 0)),
        })
    }
}
