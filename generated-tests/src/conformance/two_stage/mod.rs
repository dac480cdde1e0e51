//! A guest's own tables under nested ones, both built by the library: which stage faults, what is reported, and what
//! the MMU marks in each.
//!
//! The nested tables map the guest's memory, and its tables, in pieces; some have fewer rights, and some are missing.

mod marks;
mod programs;
mod stages;

use std::ops::Range;

use fastrand::Rng;
use libtest_mimic::{Failed, Trial};
use tablewright::{ByName, FaultInfo, Rights};

use super::probes::needs;
use super::{LAYOUTS, Layout, Setup, Shared};
use crate::formats::Configured;
use crate::mmu::{Chunk, Fault, FaultKind, Probe, Verdict};
use stages::Stages;

/// A judge of both stages at once.
pub trait NestedJudge {
    /// Prepares for a guest with tables of this configuration.
    fn prepare(&mut self, _guest: &Configured) {}

    /// The physical memory that is free for tables and what they map.
    fn ram(&self) -> Range<u64>;

    /// The number of bits of the guest's own addresses that can be probed.
    fn reach(&self) -> u8;

    /// The range that the nested tables must map one to one, readable and executable, for the judge's own code.
    fn own_code(&self) -> Range<u64> {
        0..0
    }

    /// Whether the model is right about a probe where the guest's own tables grant these rights.
    fn may_ask(&self, _probe: &Probe, _own: Rights) -> bool {
        true
    }

    /// Whether these rights in the guest's own tables allow the probe.
    fn grants(&self, probe: &Probe, own: Rights) -> bool {
        own.contains(needs(probe))
    }

    /// Whether a fault is one of the nested tables.
    fn is_nested(&self, fault: &Fault) -> bool;

    /// The kind of fault when the nested tables grant only these rights, or map nothing.
    fn nested_fault(&self, mapped: Option<Rights>) -> FaultKind;

    /// The kind of fault when the guest's own tables grant only these rights, or map nothing.
    fn own_fault(&self, mapped: Option<Rights>) -> FaultKind {
        if mapped.is_some() { FaultKind::Permission } else { FaultKind::NotMapped }
    }

    /// The kind of fault in either stage when software must set the accessed state first.
    fn unmarked(&self) -> FaultKind {
        FaultKind::AccessFlag
    }

    /// The rights that the nested tables must grant for a probe that the guest's own tables allow by these rights.
    fn needs(&self, probe: &Probe, _own: Rights) -> Rights {
        needs(probe)
    }

    /// The rights that the nested tables must grant for a walk to read an entry of the guest's own tables.
    fn walk_needs(&self) -> Rights {
        Rights::R
    }

    /// The same if hardware then marks that entry. If this needs the right to write, it also makes the page dirty.
    fn mark_needs(&self) -> Rights {
        Rights::W
    }

    /// Whether hardware may mark a leaf accessed although it refuses the access for lack of a right.
    fn may_mark_refused(&self) -> bool {
        false
    }

    /// The part of what is known about a fault of the nested tables that its report contains.
    fn told(&self, known: FaultInfo) -> FaultInfo {
        known
    }

    /// Makes all probes, and reads some words of physical memory afterwards.
    fn judge(&mut self, asked: &Asked<'_>) -> (Vec<Verdict>, Vec<u64>);
}

/// A question to a judge.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// All tables, at physical addresses.
    pub image: &'a [Chunk],
    /// The registers of the guest's own tables.
    pub guest: &'a [(&'static str, u64)],
    /// The physical address of the guest's root.
    pub guest_root: u64,
    /// The registers of the nested tables.
    pub nested: &'a [(&'static str, u64)],
    /// Probes of the guest's own addresses.
    pub probes: &'a [Probe],
    /// Addresses of words to read, in order.
    pub peek: &'a [u64],
}

/// The layouts of the guest's own tables.
const OWN: [&str; 5] = ["every_size", "every_right", "parts_protected", "random_1", "random_2"];

/// A test for each layout of the guest's own tables.
pub fn two_stage_trials<G: ByName, N: ByName, J: NestedJudge + Send + 'static>(
    guest: &Setup<G>,
    nested: &Setup<N>,
    judge: &Shared<J>,
) -> Vec<Trial> {
    let layouts = LAYOUTS.iter().filter(|layout| OWN.contains(&layout.name));
    let trial = |(seed, layout): (usize, &'static Layout)| {
        two_stage_trial((guest, nested), judge, (layout.name, "two stages"), move |guest, nested, judge| {
            let mut random = Rng::with_seed(seed as u64);
            Stages::new(guest, nested, judge, layout.make, &mut random)?.conform(judge)
        })
    };
    layouts.enumerate().map(trial).collect()
}

/// A test that asks the judge about both stages, and returns how many probes showed that a property holds.
pub fn two_stage_trial<G: ByName, N: ByName, J: NestedJudge + Send + 'static>(
    (guest, nested): (&Setup<G>, &Setup<N>),
    judge: &Shared<J>,
    test: (&str, &'static str),
    ask: impl FnOnce(&Setup<G>, &Setup<N>, &mut J) -> Result<usize, Failed> + Send + 'static,
) -> Trial {
    let (guest, nested) = (guest.clone(), nested.clone());
    let name = format!("{} under {}", guest.name, nested.name);
    judge.trial_of(name, test, move |judge| ask(&guest, &nested, judge))
}

/// Words at these addresses, by a reader of bytes.
pub fn read_words(addresses: &[u64], mut read: impl FnMut(u64, usize) -> Vec<u8>) -> Vec<u64> {
    let runs = addresses.chunk_by(|one, next| one + 8 == *next);
    let bytes: Vec<u8> = runs.flat_map(|run| read(run[0], 8 * run.len())).collect();
    bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
}
