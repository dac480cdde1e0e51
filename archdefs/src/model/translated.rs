//! What the machine's own instruction for a translation leaves in registers.

use super::{At, Choices, FaultCause, MemoryType, Reading};
use crate::expr::Expr;

/// `[translated]`: how the result of the machine's own instruction for a translation is read.
#[derive(Clone, Debug)]
pub struct Translated {
    /// The registers of the result.
    pub registers: Vec<Reading>,
    /// Whether the translation faulted.
    pub faulted: At<Expr>,
    /// Where the page is, if it did not.
    pub address: Choices<Expr>,
    /// Its memory type; no item: one without a name here.
    pub memory: Choices<MemoryType>,
    /// Who shares it; no item: not reported.
    pub shareability: Choices<Shareability>,
    /// What was wrong, if it faulted.
    pub cause: Choices<FaultCause>,
    /// The level, in this project's numbering; no item: not reported.
    pub level: Choices<Expr>,
    /// Whether the fault is one of the second stage.
    pub second_stage: Option<At<Expr>>,
    /// Whether it was met while the tables of the first stage were walked.
    pub guest_walk: Option<At<Expr>>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// Who shares memory coherently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shareability {
    /// `non`: nobody else.
    Non,
    /// `inner`: those of the inner shareable domain.
    Inner,
    /// `outer`: those of the outer shareable domain.
    Outer,
}
