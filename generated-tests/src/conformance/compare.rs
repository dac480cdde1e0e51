//! Compares what library, interpreter and model say about one probe with what is expected.

use tablewright::{FaultInfo, Lookup, Rights};
use tablewright_archdefs::interpret::Walk;

use crate::mmu::{Fault, FaultKind, Probe, Verdict};

/// One probe, with everything that was said about it.
pub(super) struct Case<'a> {
    pub(super) probe: &'a Probe,
    /// The output address and the rights that are expected there.
    pub(super) expected: Option<(u64, Rights)>,
    /// Whether these rights allow the probe.
    pub(super) granted: bool,
    pub(super) library: Option<Lookup>,
    pub(super) walk: Walk,
    /// The model's answer, if one was asked.
    pub(super) verdict: Option<&'a Verdict>,
    /// The kind of fault that the model reports if this faults.
    pub(super) fault: FaultKind,
    /// If it faulted: what its report says by the manual, and what was read from it.
    pub(super) told: Vec<(Option<FaultInfo>, Option<FaultInfo>)>,
}

impl Case<'_> {
    /// What is wrong, and whose answer it is.
    pub(super) fn complaints(&self) -> Vec<String> {
        let read = self.told.iter().all(|(told, read)| told == read);
        let checks = [
            ("library", self.library()),
            ("interpreter", self.interpreter()),
            ("MMU", self.mmu()),
            ("reading of the fault report", read),
        ];
        let wrong = checks.into_iter().filter(|(_, right)| !right);
        wrong
            .map(|(who, _)| {
                let Self { probe, expected, library, walk, verdict, told, .. } = self;
                format!(
                    "the {who} is wrong about {probe:x?}, which is expected to map to {expected:x?}\n\
                     library: {library:x?}\ninterpreter: {walk:x?}\nMMU: {verdict:x?}\n\
                     its report, and how it was read: {told:x?}"
                )
            })
            .collect()
    }

    fn library(&self) -> bool {
        let found = match &self.library {
            Some(Lookup::Mapped(mapping)) => Some((mapping.output(self.probe.address), mapping.attributes.rights)),
            Some(Lookup::Hole(_)) | None => None,
        };
        found == self.expected
    }

    fn interpreter(&self) -> bool {
        match &self.walk {
            Walk::Translated(translation) => {
                let rights = Rights::from_bits_truncate(translation.facts.bits());
                self.expected == Some((translation.address, rights))
            }
            Walk::NotMapped { .. } | Walk::InputTooWide => self.expected.is_none(),
            Walk::Reserved { .. } | Walk::ReadFailed { .. } => false,
        }
    }

    fn mmu(&self) -> bool {
        let Some(verdict) = self.verdict else {
            return true;
        };
        match (self.expected, verdict) {
            (_, Verdict::Fault(fault)) => !self.granted && fault.kind == self.fault && self.level_agrees(fault),
            (Some((oa, rights)), Verdict::Translated(seen)) => {
                let readable = rights.contains(if self.probe.user { Rights::UR } else { Rights::PR });
                self.granted && seen.map_or(!readable, |seen| seen == oa)
            }
            (None, Verdict::Translated(_)) => false,
        }
    }

    /// Whether the walk ended at the level that the model reports, if it reports one.
    fn level_agrees(&self, fault: &Fault) -> bool {
        let level = match &self.walk {
            Walk::Translated(translation) => Some(translation.level),
            Walk::NotMapped { level } => Some(*level),
            _ => None,
        };
        fault.level.is_none() || level.is_none() || fault.level == level
    }
}
