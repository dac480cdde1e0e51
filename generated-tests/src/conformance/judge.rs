//! The interface of a judge.

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
    /// Prepares for tables of this configuration.
    fn prepare(&mut self, _case: &Configured) {}

    /// Its name, if several judges have the same configurations.
    fn name(&self) -> Option<String> {
        None
    }

    /// The physical memory that is free for tables and what they map.
    fn ram(&self) -> Range<u64>;

    /// The number of bits of input addresses that can be probed.
    fn reach(&self) -> u8;

    /// Whether the model can make this access.
    fn may_ask(&self, _probe: &Probe) -> bool {
        true
    }

    /// A random access that the model can make, and whether it is a user's.
    fn draw(&self, random: &mut Rng) -> (Access, bool) {
        ([Access::Read, Access::Write, Access::Execute][random.usize(..3)], random.bool())
    }

    /// Whether the probe is allowed where leaf and tables grant these rights, with the model's controls as they are
    /// set.
    fn grants(&self, probe: &Probe, rights: Rights) -> bool {
        rights.contains(probes::needs(probe))
    }

    /// The values of these controls, in the order of the format's file; `None` if they are not known.
    fn controls(&self) -> Option<Vec<u64>> {
        None
    }

    /// The kind of fault when the probe faults at a leaf with these rights, or where nothing is mapped.
    fn fault(&self, probe: &Probe, mapped: Option<Rights>) -> FaultKind;

    /// The same where nothing is mapped, below tables that grant these rights.
    fn not_mapped(&self, probe: &Probe, _tables: Rights) -> FaultKind {
        self.fault(probe, None)
    }

    /// The kind of fault when a probe meets this illegal entry, under these parameters. By default there is only one
    /// kind.
    fn reserved(&self, _probe: &Probe, _params: &Params, _level: Level, _raw: u64) -> FaultKind {
        FaultKind::Misconfigured
    }

    /// The kind of fault when software must set the accessed or dirty state first.
    fn unmarked(&self) -> FaultKind {
        FaultKind::AccessFlag
    }

    /// Whether the model's CPU interprets this entry as the parameters say. It may lack a feature, or have one that the
    /// parameters do not and that cannot be turned off.
    fn can_judge(&self, _params: &Params, _level: Level, _raw: u64) -> bool {
        true
    }

    /// The deviation of the model from its manual that this entry shows.
    fn deviates(&self, _params: &Params, _level: Level, _raw: u64) -> Option<&'static Deviation> {
        None
    }

    /// What the report of a probe's fault says by the manual; parts that the architecture does not report are `None`.
    /// The whole is `None` if the report is not about this translation.
    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo>;

    /// Loads the tables and the registers, and makes all probes.
    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict>;
}
