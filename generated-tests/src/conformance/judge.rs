//! What a judge is asked.

use std::ops::Range;

use fastrand::Rng;
use tablewright::{FaultInfo, Level, Rights};
use tablewright_archdefs::bound::Params;

use super::probes;
use crate::formats::Configured;
use crate::mmu::deviations::Deviation;
use crate::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

/// An MMU model that can walk tables of some formats, and what its architecture's manual says of faults. Nothing in it
/// may come from the formats' files.
pub trait Judge {
    /// Whose tables come next.
    fn prepare(&mut self, _case: &Configured) {}

    /// Its name, where several judge the same configurations.
    fn name(&self) -> Option<String> {
        None
    }

    /// The physical memory that is free for tables and what they map.
    fn ram(&self) -> Range<u64>;

    /// Input addresses of at most so many bits can be probed.
    fn reach(&self) -> u8;

    /// Whether the model has such an access.
    fn may_ask(&self, _probe: &Probe) -> bool {
        true
    }

    /// A random access, and whether it is a user's: where the model has few of them, one that it has.
    fn draw(&self, random: &mut Rng) -> (Access, bool) {
        ([Access::Read, Access::Write, Access::Execute][random.usize(..3)], random.bool())
    }

    /// Whether leaf and tables that grant these rights let the probe through, as the model's controls are set.
    fn grants(&self, probe: &Probe, rights: Rights) -> bool {
        rights.contains(probes::needs(probe))
    }

    /// These controls, in the order in which the format's file names them; `None`: they are not known.
    fn controls(&self) -> Option<Vec<u64>> {
        None
    }

    /// What the model calls it when the probe faults, where a leaf with these rights or nothing is mapped.
    fn fault(&self, probe: &Probe, mapped: Option<Rights>) -> FaultKind;

    /// The same where nothing is mapped below tables that grant these rights.
    fn not_mapped(&self, probe: &Probe, _tables: Rights) -> FaultKind {
        self.fault(probe, None)
    }

    /// What the model calls it when a probe meets this illegal entry under some parameters. Where nothing else is said,
    /// entries are illegal in one way only.
    fn reserved(&self, _probe: &Probe, _params: &Params, _level: Level, _raw: u64) -> FaultKind {
        FaultKind::Misconfigured
    }

    /// What the model calls it when software has to set the accessed or dirty state first.
    fn unmarked(&self) -> FaultKind {
        FaultKind::AccessFlag
    }

    /// Whether the model's CPU can read this entry as the parameters say: it may have a feature that they lack and that
    /// nothing turns off, or lack one.
    fn can_judge(&self, _params: &Params, _level: Level, _raw: u64) -> bool {
        true
    }

    /// The departure of the model from its manual that shows in this entry.
    fn deviates(&self, _params: &Params, _level: Level, _raw: u64) -> Option<&'static Deviation> {
        None
    }

    /// What can be known from the report of a fault that a probe met; what the architecture does not report is `None`.
    /// `None` altogether: the fault is not one of this translation.
    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo>;

    /// Loads the tables and the registers, and asks all probes.
    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict>;
}
