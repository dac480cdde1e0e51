//! Memory types as AT reports them in PAR_EL1, for stage 1 and for both stages together.

use libtest_mimic::Failed;
use tablewright::{
    Attributes, ByName, Cause, ClosedRange, Error, Format, Level, Lookup, MemoryType, PageTable, Rights, Shareability,
    TableInfo, Tag, Translated, sim,
};
use tablewright_tests::conformance::{Judge, NestedJudge, Setup};
use tablewright_tests::mmu::aarch64::stage1::Stage1;
use tablewright_tests::mmu::deviations::{DEVICE_IS_FORCED, Deviation, NON_CACHEABLE_ORDERS};
use tablewright_tests::mmu::{Access, Chunk, Probe};

use crate::{stage1, two_stage};

/// Memory types with the values of PAR_EL1.ATTR for them, which are those of MAIR_ELx. Of Device memory, the strictest
/// comes first.
const MEMORY_TYPES: [(MemoryType, u64); 7] = [
    (MemoryType::WriteBack, 0xff),
    (MemoryType::WriteThrough, 0xbb),
    (MemoryType::NonCacheable, 0x44),
    (MemoryType::DeviceNGnRnE, 0x00),
    (MemoryType::DeviceNGnRE, 0x04),
    (MemoryType::DeviceNGRE, 0x08),
    (MemoryType::DeviceGRE, 0x0c),
];

/// How much memory the tables of a stage may take.
const TABLES: u64 = 8 << 20;
/// A page of every granule.
const PAGE: u64 = 64 << 10;

/// A table in simulated memory.
type Table<F> = PageTable<F, sim::Machine>;

/// Leaves of every size and type have their type, or the one taken in its place.
pub(crate) fn of_stage1<F: ByName>(setup: &Setup<F>, judge: &mut stage1::Qemu) -> Result<usize, Failed> {
    let format = setup.generated.format;
    let (geometry, machine) = (format.geometry(), sim::Machine::new(judge.ram().start, 2 * TABLES as usize));
    let mut table = PageTable::new(format, machine.clone(), Tag(1))?;
    let mut mapped = Vec::new();
    let mut next = 0_u64;
    let sizes = (0..geometry.levels).flat_map(|level| format.page_sizes(level).iter().collect::<Vec<_>>());
    for (size, (memory, byte)) in sizes.flat_map(|size| MEMORY_TYPES.map(|memory| (size, memory))) {
        let start = next.next_multiple_of(1 << size);
        if start >> geometry.input_bits.min(63) != 0 {
            break;
        }
        next = start + (1 << size);
        let range = ClosedRange::new(geometry.extend(start), geometry.extend(next - 1)).ok_or("a range")?;
        // MAIR_ELx need not have it, nor what would do instead.
        let Some(found) = map(&mut table, range, 0, memory)? else { continue };
        let found = byte_of(found)?;
        if memory == MemoryType::WriteBack && found != byte {
            return Err(format!("write-back memory became {found:#x}").into());
        }
        mapped.push((range.start(), found));
    }
    judge.judge(&dump(&table, &machine), &F::register_values(&table.registers()?).collect::<Vec<_>>(), &[]);
    faults(&mut judge.stage1, &format, geometry.extend(next))?;
    check(&mut judge.stage1, &format, &mapped, |par| par >> 56)
}

/// Every type of stage 1 over every type of stage 2.
pub(crate) fn of_both<G: ByName, N: ByName>(
    guest: &Setup<G>,
    nested: &Setup<N>,
    judge: &mut two_stage::Qemu,
) -> Result<usize, Failed> {
    let forced = nested.case.params.get("fwb") == Some(1);
    let geometry = guest.generated.format.geometry();
    let ram = judge.ram();
    // The guest sees memory where it is.
    let tables = ram.start + TABLES..ram.start + 2 * TABLES;
    let (own_machine, machine) =
        (sim::Machine::new(tables.start, TABLES as usize), sim::Machine::new(ram.start, TABLES as usize));
    let mut own = PageTable::new(guest.generated.format, own_machine.clone(), Tag(0))?;
    let mut below = PageTable::new(nested.generated.format, machine.clone(), Tag(1))?;
    let code = Stage1::OWN;
    for range in [code, tables.clone()] {
        let range = ClosedRange::from_start_size(range.start, range.end - range.start).ok_or("a range")?;
        map(&mut below, range, range.start(), MemoryType::WriteBack)?;
    }
    let types = MEMORY_TYPES.map(|(memory, _)| memory).into_iter().chain([MemoryType::Inherit]);
    let mut expected = Vec::new();
    let mut next = 0;
    for (memory, page) in types.zip((tables.end..).step_by(PAGE as usize)) {
        let Some(of_below) = map(&mut below, ClosedRange::around(page, 16), page, memory)? else { continue };
        for (memory, _) in MEMORY_TYPES {
            let start = geometry.extend(next);
            next += PAGE;
            let Some(of_own) = map(&mut own, ClosedRange::around(start, 16), page, memory)? else { continue };
            if !departure(of_own, of_below, forced).is_some_and(|departure| judge.deviates(departure)) {
                let byte = byte_of(combined(of_own, of_below, forced))?;
                // PAR_EL1.SH: what is not cacheable is outer shareable.
                expected.push((start, byte << 2 | if byte > 0x44 { 0b11 } else { 0b10 }));
            }
        }
    }
    judge.prepare(&guest.case);
    judge.begin(
        &[dump(&below, &machine), dump(&own, &own_machine)].concat(),
        &G::register_values(&own.registers()?).collect::<Vec<_>>(),
        &N::register_values(&below.registers()?).collect::<Vec<_>>(),
    );
    check(&mut judge.stage1, &guest.generated.format, &expected, |par| par >> 56 << 2 | par >> 7 & 0b11)
}

/// The model's deviation that this combination shows.
fn departure(own: MemoryType, below: MemoryType, forced: bool) -> Option<&'static Deviation> {
    let reorders = [MemoryType::DeviceNGRE, MemoryType::DeviceGRE];
    let meet = |one, other| one == MemoryType::NonCacheable && reorders.contains(&other);
    match forced {
        true => (is_device(own) && is_device(below)).then_some(&DEVICE_IS_FORCED),
        false => (meet(own, below) || meet(below, own)).then_some(&NON_CACHEABLE_ORDERS),
    }
}

/// The type that results from both stages (Arm ARM, AArch64.S2CombineS1MemAttrs and AArch64.S2ApplyFWBMemAttrs).
fn combined(own: MemoryType, below: MemoryType, forced: bool) -> MemoryType {
    let rank = |memory| MEMORY_TYPES.iter().position(|(known, _)| *known == memory);
    match (is_device(own), is_device(below)) {
        _ if forced && below == MemoryType::WriteBack => below,
        _ if forced && below == MemoryType::Inherit => own,
        (true, true) if rank(own) < rank(below) => own,
        (true, true) | (false, true) => below,
        (true, false) => own,
        // The one that caches less.
        (false, false) if rank(own) > rank(below) => own,
        (false, false) => below,
    }
}

/// Maps a range, and says of which type it is then; `None` if the table has neither that nor another that would do.
fn map<F: Format>(
    table: &mut Table<F>,
    range: ClosedRange,
    oa: u64,
    memory: MemoryType,
) -> Result<Option<MemoryType>, Failed> {
    let mut gather = table.gather();
    // SAFETY: nobody translates through the table but MMU models, in memory of their own.
    match unsafe { table.map(range, oa, &Attributes::new(Rights::RW, memory), &mut gather) } {
        Err(Error::Refused { .. }) if memory != MemoryType::WriteBack => return Ok(None),
        result => result?,
    }
    gather.flush();
    match table.query(range.start()) {
        Some(Lookup::Mapped(mapping)) => Ok(Some(mapping.attributes.memory)),
        _ => Err("it was mapped".into()),
    }
}

fn is_device(memory: MemoryType) -> bool {
    byte_of(memory).is_ok_and(|byte| byte < 0x10)
}

fn byte_of(memory: MemoryType) -> Result<u64, Failed> {
    let found = MEMORY_TYPES.iter().find(|(known, _)| *known == memory);
    found.map(|(_, byte)| *byte).ok_or_else(|| format!("{memory:?} is no type of Arm's").into())
}

fn dump<F: Format>(table: &Table<F>, machine: &sim::Machine) -> Vec<Chunk> {
    let chunk = |info: TableInfo| (info.address.as_usize() as u64, machine.dump(info.address, info.size));
    table.tables().map(chunk).collect()
}

/// What is not mapped faults, as the format reads PAR_EL1, too.
fn faults<F: Format>(stage1: &mut Stage1, format: &F, address: u64) -> Result<(), Failed> {
    let pars = stage1.translate(&[Probe { address, access: Access::Read, user: false }]);
    let wanted = |level| Translated::Fault { cause: Cause::NotMapped, level, second_stage: false, guest_walk: false };
    for par in pars {
        // FST: a translation fault at level 0 to 3, by the manual's count.
        let status = par >> 1 & 0x3f;
        if par & 1 == 0 || status >> 2 != 1 {
            return Err(format!("{address:#x} is not mapped, but PAR_EL1 is {par:#x}").into());
        }
        let (found, level) = (format.translated(&[par]), Some(3 - (status & 3) as Level));
        if found != Some(wanted(level)) {
            return Err(format!("PAR_EL1 {par:#x} is read as {found:x?}").into());
        }
    }
    Ok(())
}

/// What the format reads in PAR_EL1 after a translation that did not fault is what stands there.
fn reads<F: Format>(format: &F, par: u64) -> Result<(), Failed> {
    let memory = MEMORY_TYPES.iter().find(|(_, byte)| *byte == par >> 56);
    let wanted = Translated::To {
        address: par & 0xf_ffff_ffff_f000,
        memory: memory.map_or(MemoryType::Unnamed, |(memory, _)| *memory),
        shareability: match par >> 7 & 0b11 {
            0b00 => Some(Shareability::Non),
            0b10 => Some(Shareability::Outer),
            0b11 => Some(Shareability::Inner),
            _ => None,
        },
    };
    match format.translated(&[par]) {
        found if found == Some(wanted) => Ok(()),
        found => Err(format!("PAR_EL1 {par:#x} is read as {found:x?}, not as {wanted:x?}").into()),
    }
}

/// Whether AT reports this for each address.
fn check<F: Format>(
    stage1: &mut Stage1,
    format: &F,
    expected: &[(u64, u64)],
    tells: fn(u64) -> u64,
) -> Result<usize, Failed> {
    let probe = |&(address, _): &(u64, u64)| Probe { address, access: Access::Read, user: false };
    let probes: Vec<Probe> = expected.iter().map(probe).collect();
    let pars = stage1.translate(&probes);
    pars.iter().filter(|par| **par & 1 == 0).try_for_each(|par| reads(format, *par))?;
    match expected.iter().zip(pars).find(|((_, told), par)| par & 1 != 0 || tells(*par) != *told) {
        Some(((address, told), par)) => {
            Err(format!("{address:#x}: PAR_EL1 is {par:#x}, which does not tell {told:#x}").into())
        }
        None => Ok(expected.len()),
    }
}
