//! Law 10, as far as entries go: generated code says what the interpreter says.

use crate::{
    Cause, Change, ClosedRange, Entry, FaultInfo, HostPhysAddr, Invalidation, Rights, Signal, Stage1Cause, Stage1Fault,
};
use std::prelude::rust_2024::*;
use tablewright_archdefs::model::Example;

use super::samples::{combinations, few_addresses, foreign_entries, levels, own_entries, random, some_attributes};
use super::{Case, Interpreted, Subject, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let (subject, reference) = (case.subject, case.reference);
    let geometry = subject.geometry();
    ensure!(geometry == reference.geometry(), "{geometry:?}, not {:?}", reference.geometry());
    ensure!(subject.invalid_cached() == reference.invalid_cached(), "one may cache invalid entries, the other not");
    for root in few_addresses(geometry.table_bits(geometry.top()), geometry.output_bits).into_iter().chain([1, 1 << 63])
    {
        for tag in [0, 1, 0xff, 0xffff, 0x1_0000, u32::MAX] {
            let (found, wanted) = (subject.registers(root, tag), reference.registers(root, tag));
            ensure!(found == wanted, "root {root:#x}, tag {tag:#x}: {found:#x?}, not {wanted:#x?}");
        }
    }
    let mut random = random();
    for _ in 0..2000 {
        let words = case.format.fault.as_ref().map_or(0, |fault| fault.registers.len());
        let report: Vec<u64> = (0..words).map(|_| random.u64(..) >> random.u32(..64)).collect();
        let (found, wanted) = (subject.fault(&report), reference.fault(&report));
        ensure!(found == wanted, "the report {report:#x?} says {found:x?}, not {wanted:x?}");
    }
    raised(case)?;
    invalidations(case)?;
    completions(case)?;
    results(case)?;
    machines(case)?;
    for level in levels(subject) {
        let sizes = (subject.page_sizes(level), reference.page_sizes(level));
        ensure!(sizes.0 == sizes.1, "level {level}: page sizes {:x?}, not {:x?}", sizes.0, sizes.1);
        // Entries at level 0 are for no tables.
        let of = |subject: &dyn Subject| if level > 0 { subject.table_accessed(level) } else { 0 };
        let accessed = (of(subject), of(reference));
        ensure!(
            accessed.0 == accessed.1,
            "level {level}: tables are marked by {:#x}, not {:#x}",
            accessed.0,
            accessed.1
        );
        let empty = (subject.empty(level), reference.empty(level));
        ensure!(empty.0 == empty.1, "level {level}: nothing is {:#x}, not {:#x}", empty.0, empty.1);
        for raw in own_entries(case, level).into_iter().chain(foreign_entries(case, level)) {
            let (found, wanted) = (subject.decode(level, raw), reference.decode(level, raw));
            ensure!(found == wanted, "level {level}: {raw:#x} is {found:x?}, not {wanted:x?}");
        }
        made(case, level)?;
        permitted(case, level)?;
    }
    Ok(())
}

/// Both make the same reports of faults, and these say what the fault was.
fn raised(case: &Case<'_>) -> Verdict {
    let (subject, reference) = (case.subject, case.reference);
    let registers = case.format.access.as_ref().map_or(0, |access| access.registers.len());
    if case.format.raise.is_none() {
        return Ok(());
    }
    let all = levels(subject).flat_map(|level| own_entries(case, level).into_iter().map(move |raw| (level, raw)));
    let is_leaf = |(level, raw): &(u8, u64)| matches!(reference.decode(*level, *raw), Entry::Leaf(_));
    let leaves: Vec<(u8, u64)> = all.filter(is_leaf).collect();
    let mut random = random();
    for _ in 0..2000 {
        let access = Rights::RWX.iter().nth(random.usize(..6)).unwrap_or_default();
        let (cause, told): (_, &[Cause]) = match random.u8(..5) {
            0 => (Stage1Cause::Input, &[Cause::NotMapped]),
            1 => (Stage1Cause::NotMapped, &[Cause::NotMapped]),
            2 => (Stage1Cause::Reserved(""), &[Cause::Misconfigured, Cause::AddressSize, Cause::NotMapped]),
            3 => (Stage1Cause::NotMarked, &[Cause::AccessFlag, Cause::NotMapped]),
            _ => (Stage1Cause::Denied, &[Cause::Permission]),
        };
        let level = random.u8(..subject.geometry().levels);
        let leaf = matches!(cause, Stage1Cause::NotMarked | Stage1Cause::Denied);
        let leaves = leaves.iter().filter(|(of, _)| leaf && *of == level).collect::<Vec<_>>();
        let entry = if leaves.is_empty() { random.u64(..) } else { leaves[random.usize(..leaves.len())].1 };
        let unheard_of = cause == Stage1Cause::NotMarked && reference.0.hardware;
        if leaf && leaves.is_empty() || unheard_of {
            continue;
        }
        let (address, granted) = (random.u64(..) >> random.u32(..64), Rights::from_bits_truncate(random.u8(..)));
        // Registers of 32 bits are wide enough where addresses have no more.
        let is_input = cause != Stage1Cause::Input;
        let address = if is_input { subject.geometry().extend(address) } else { address };
        let fault = Stage1Fault { address, access, cause, level, entry, granted };
        let controls: Vec<u64> = (0..registers).map(|_| random.u64(..)).collect();
        let (found, wanted) = (subject.raise(&fault, &controls), reference.raise(&fault, &controls));
        ensure!(found == wanted, "of {fault:x?} the report is {found:x?}, not {wanted:x?}");
        let Some(report) = found else { continue };
        let read = subject.fault(&report);
        let Some(FaultInfo { address: at, access: done, cause: why, level: here, .. }) = read else {
            // A regime of one level of privilege has no users.
            ensure!(
                access.intersects(Rights::U),
                "`[raise]` makes the report {report:#x?} of {fault:#x?}, which is none of such faults, says `[fault]`"
            );
            continue;
        };
        // Where nothing can forbid a fetch, it is told as a read; what is not for some level, perhaps not as what.
        let same = at.is_none_or(|at| at == address)
            && (done.contains(access) || done.is_empty() || access.intersects(Rights::X) && done == Rights::R)
            && (why == Cause::Unspecified || told.contains(&why))
            && (!is_input || here.is_none_or(|here| here == level));
        ensure!(
            same,
            "`[raise]` makes the report {report:#x?} of {fault:#x?}, but `[fault]` reads another from it: {read:#x?}"
        );
    }
    Ok(())
}

/// Both take the same commands, and tell the same at entries.
fn invalidations(case: &Case<'_>) -> Verdict {
    let (subject, reference) = (case.subject, case.reference);
    for leaf_only in [false, true] {
        let limits = (subject.invalidation_limit(leaf_only), reference.invalidation_limit(leaf_only));
        ensure!(limits.0 == limits.1, "{} operations are too many, not {}", limits.0, limits.1);
    }
    let mut random = random();
    let mut sets = vec![Invalidation::Space, Invalidation::All];
    for _ in 0..200 {
        let granule = random.u8(subject.geometry().page_bits..40);
        let start = random.u64(..) >> random.u32(0..64) >> granule << granule;
        let pages = random.u64(0..4) << random.u32(0..9);
        let last = start.saturating_add(((pages + 1) << granule) - 1);
        let range = ClosedRange::new(start, last).ok_or("an empty range")?;
        sets.push(Invalidation::Range { range, leaf_only: random.bool(), granule });
    }
    for (set, tag) in sets.iter().zip([0, 1, 0xffff].into_iter().cycle()) {
        let (found, wanted) = (subject.commands(tag, set), reference.commands(tag, set));
        ensure!(found == wanted, "tag {tag:#x}, {set:x?}: commands {found:x?}, not {wanted:x?}");
        let (found, wanted) = (subject.at_entry(tag, set), reference.at_entry(tag, set));
        ensure!(found == wanted, "tag {tag:#x}, {set:x?}: {found:x?} at entry, not {wanted:x?}");
    }
    Ok(())
}

/// Both read the same from results of the machine's own instruction for a translation.
fn results(case: &Case<'_>) -> Verdict {
    let words = case.format.translated.as_ref().map_or(0, |translated| translated.registers.len());
    let mut random = random();
    for _ in 0..2000 {
        let registers: Vec<u64> = (0..words).map(|_| random.u64(..) >> random.u32(..64)).collect();
        let (found, wanted) = (case.subject.translated(&registers), case.reference.translated(&registers));
        ensure!(found == wanted, "the result {registers:#x?} says {found:x?}, not {wanted:x?}");
    }
    Ok(())
}

/// Both tell of completion by the same commands, and refuse the same.
fn completions(case: &Case<'_>) -> Verdict {
    let mut random = random();
    let mut signals = vec![Signal::Interrupt, Signal::Consumed];
    for _ in 0..200 {
        let address = random.u64(..) >> random.u32(0..64) >> random.u32(0..4) << random.u32(0..4);
        let (address, data) = (HostPhysAddr::from_usize(address as usize), random.u64(..) >> random.u32(0..64));
        signals.push(Signal::Write { address, data });
    }
    for signal in signals {
        let (found, wanted) = (case.subject.completion(signal), case.reference.completion(signal));
        ensure!(found == wanted, "{signal:x?}: the command {found:x?}, not {wanted:x?}");
    }
    Ok(())
}

/// Both make the same of identification registers: those of the examples with a bit wrong, and random ones.
fn machines(case: &Case<'_>) -> Verdict {
    let Some(capabilities) = &case.format.capabilities else { return Ok(()) };
    let count = capabilities.registers.len();
    let mut random = random();
    let mut machines: Vec<Vec<u64>> = (0..1000).map(|_| (0..count).map(|_| random.u64(..)).collect()).collect();
    for example in &case.format.examples {
        if let Example::Capability(example) = example {
            for _ in 0..100 {
                let mut registers = example.registers.clone();
                registers
                    .iter_mut()
                    .take(count)
                    .for_each(|register| *register ^= u64::from(random.bool()) << random.u8(..64));
                machines.push(registers);
            }
        }
    }
    for registers in machines {
        let wanted = case.reference.of_machine(case, &registers).unwrap_or_default();
        let found = case.subject.of_machine(case, &registers).unwrap_or_default();
        // What no parameter can hold is cut to its width.
        let same = |(name, value): &(String, i64)| {
            wanted.iter().any(|(known, wanted)| known == name && (wanted == value || !(0..256).contains(wanted)))
        };
        ensure!(!found.is_empty() && found.iter().all(same), "{registers:#x?}: {found:?}, not {wanted:?}");
    }
    Ok(())
}

/// Both allow the same accesses through the same leaves, whatever the registers hold.
fn permitted(case: &Case<'_>, level: u8) -> Verdict {
    let (subject, reference) = (case.subject, case.reference);
    let registers = case.format.access.as_ref().map_or(0, |access| access.registers.len());
    let mut random = random();
    for raw in own_entries(case, level).into_iter().chain(foreign_entries(case, level)) {
        let Entry::Leaf(leaf) = reference.decode(level, raw) else { continue };
        let granted = leaf.attributes.rights & Rights::from_bits_truncate(random.u8(..) | random.u8(..));
        let controls: Vec<u64> = (0..registers).map(|_| random.u64(..)).collect();
        for access in Rights::RWX.iter().chain([Rights::RW]) {
            let found = subject.permits(level, raw, granted, access, &controls);
            let wanted = reference.permits(level, raw, granted, access, &controls);
            let place = || format!("level {level}: {raw:#x}, of which {granted} is left, under {controls:#x?}");
            ensure!(found == wanted, "{}: {access} is allowed: {found}, not {wanted}", place());
        }
    }
    Ok(())
}

/// Both make the same entries, and refuse the same.
fn made(case: &Case<'_>, level: u8) -> Verdict {
    let (subject, reference) = (case.subject, case.reference);
    for size in subject.page_sizes(level).iter() {
        let outputs = few_addresses(size, subject.geometry().output_bits);
        for (attributes, oa) in combinations(reference, level, size).into_iter().zip(outputs.into_iter().cycle()) {
            let found = subject.leaf(level, size, oa, &attributes);
            let wanted = reference.leaf(level, size, oa, &attributes);
            let same = found.as_ref().ok() == wanted.as_ref().ok();
            ensure!(same, "level {level}, 2^{size} bytes at {oa:#x} with {attributes:x?}: {found:x?}, not {wanted:x?}");
        }
        let some = some_attributes(subject, level, size);
        for (old, new) in some.iter().zip(some.iter().rev()) {
            let Ok(items) = subject.leaf(level, size, outputs[2], old) else { continue };
            let change = Change { rights: Some(new.rights), memory: Some(new.memory), options: Some(new.options) };
            for raw in items {
                let (found, wanted) = (subject.rewrite(level, raw, &change), reference.rewrite(level, raw, &change));
                let same = match (&found, &wanted) {
                    (Ok(found), Ok(wanted)) => same_but_for_states(reference, level, *found, *wanted),
                    _ => found.is_err() && wanted.is_err(),
                };
                ensure!(same, "level {level}: {raw:#x} changed to {new:x?}: {found:x?}, not {wanted:x?}");
            }
        }
    }
    Ok(())
}

/// Whether two leaves say the same, but that the first may claim to be accessed or dirty where the second is not: a
/// change that is applied blindly cannot always tell.
fn same_but_for_states(reference: &Interpreted, level: u8, found: u64, wanted: u64) -> bool {
    let (Entry::Leaf(mut found), Entry::Leaf(wanted)) =
        (reference.decode(level, found), reference.decode(level, wanted))
    else {
        return false;
    };
    found.attributes.accessed &= wanted.attributes.accessed;
    found.attributes.dirty &= wanted.attributes.dirty;
    found == wanted
}
