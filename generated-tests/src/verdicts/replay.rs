//! Compares an interpretation of a format's file with recorded verdicts.

use tablewright::{Rights, Stage1Cause, Stage1Fault};
use tablewright_archdefs::bound::Shape;
use tablewright_archdefs::interpret::{Translation, Walk};
use tablewright_archdefs::model::Facts;

use super::{Outcome, Recorded, Tables, short};
use crate::conformance::needs;
use crate::laws::{Interpreted, Subject};
use crate::mmu::{Access, Probe};

/// The result of the access by the file.
enum Expected {
    Reaches(u64),
    /// Rights are missing.
    Denied,
    /// A state is missing that software must set.
    Unmarked,
    NotMapped,
    Reserved,
}

/// Whether the format gives the recorded result for this access.
pub fn agrees(format: &Interpreted, fault_registers: &[&str], tables: &Tables, recorded: &Recorded) -> bool {
    // The last entry read is the leaf, if there is one.
    let mut last = 0;
    let read = |at| recorded.words.get(&at).copied();
    let walk = format.0.walk_from(format.0.start(tables.root), recorded.probe.address, read, |step| last = step.raw);
    let (expected, here) = match &walk {
        Walk::Translated(translation) => {
            (through(format, translation, last, tables.controls.as_deref(), &recorded.probe), translation.level)
        }
        Walk::NotMapped { level } => (Expected::NotMapped, *level),
        Walk::Reserved { level, .. } => (Expected::Reserved, *level),
        // The MMU's walk did not lead there.
        Walk::InputTooWide | Walk::ReadFailed { .. } => return false,
    };
    match &recorded.outcome {
        Outcome::Translated(seen) => {
            matches!(expected, Expected::Reaches(address) if seen.is_none_or(|seen| seen == address))
        }
        Outcome::Faulted { kind, level, report, told } => {
            let cause = match expected {
                Expected::Reaches(_) | Expected::Denied => Stage1Cause::Denied,
                Expected::Unmarked => Stage1Cause::NotMarked,
                Expected::NotMapped => Stage1Cause::NotMapped,
                Expected::Reserved => Stage1Cause::Reserved(""),
            };
            let kind = match (&**kind, expected) {
                (_, Expected::Reaches(_)) => false,
                ("Misconfigured" | "AddressSize", expected) => matches!(expected, Expected::Reserved),
                ("Permission", expected) => matches!(expected, Expected::Denied),
                ("AccessFlag", expected) => matches!(expected, Expected::Unmarked),
                // The model does not say which of them it is.
                _ => true,
            };
            let values: Vec<u64> = fault_registers.iter().map(|name| report.get(*name).copied().unwrap_or(0)).collect();
            let read = format.fault(&values).as_ref().map(short);
            let granted = match &walk {
                Walk::Translated(translation) => Rights::from_bits_truncate(translation.facts.bits()),
                _ => Rights::empty(),
            };
            let (address, access) = (recorded.probe.address, needs(&recorded.probe));
            let fault = Stage1Fault { address, access, cause, level: here, entry: last, granted };
            let raised = format.raise(&fault, tables.controls.as_deref().unwrap_or_default());
            // The emulator has no report if it does not survive the access.
            let raised = read.is_none() || raised.is_none_or(|raised| reports(fault_registers, &raised, &values));
            kind && level.is_none_or(|level| level == here) && read == *told && raised
        }
    }
}

/// Whether the MMU's report is the expected one, except for two deviations of QEMU: it does not report that an entry
/// with a reserved bit is present ([`RESERVED_NOT_PRESENT`](crate::mmu::deviations::RESERVED_NOT_PRESENT)), and it
/// reports NR for a page that this privilege level may not access
/// ([`NR_BEFORE_LEVEL`](crate::mmu::deviations::NR_BEFORE_LEVEL)).
fn reports(registers: &[&str], raised: &[u64], seen: &[u64]) -> bool {
    let departs = |name: &str, raised: u64, seen: u64| match name {
        "error_code" => raised & 0b1001 == 0b1001 && seen | 1 == raised,
        "estat" => (raised, seen) == (7 << 16, 5 << 16),
        _ => false,
    };
    let values = raised.iter().zip(seen);
    registers.iter().zip(values).all(|(name, (raised, seen))| raised == seen || departs(name, *raised, *seen))
}

/// The result of an access to a leaf. A missing accessed state is reported before missing rights, and a missing dirty
/// state after both.
fn through(
    format: &Interpreted,
    translation: &Translation,
    leaf: u64,
    controls: Option<&[u64]>,
    probe: &Probe,
) -> Expected {
    let Translation { address, level, facts, .. } = *translation;
    let (granted, needs) = (Rights::from_bits_truncate(facts.bits()), needs(probe));
    let allowed = match controls {
        Some(controls) => format.permits(level, leaf, granted, needs, controls),
        None => granted.contains(needs),
    };
    // A state that no field holds cannot be missing.
    let shape = format.0.level(level).and_then(|level| level.leaf.as_ref());
    let kept = shape.map_or(Facts::empty(), Shape::speaks);
    let missing = |state: Facts| !format.0.hardware && kept.contains(state) && !facts.contains(state);
    if missing(Facts::ACCESSED) {
        Expected::Unmarked
    } else if !allowed {
        Expected::Denied
    } else if probe.access == Access::Write && missing(Facts::DIRTY) {
        Expected::Unmarked
    } else {
        Expected::Reaches(address)
    }
}
