//! Law 9: what the engine does with a format, against a plain model of memory.
//!
//! The table is on a simulated machine, whose MMU walks by the interpreted file and caches what it finds until that is
//! invalidated. Random ranges are mapped, unmapped and protected. After each step, every page must lead where the model
//! says; in the end, nothing but the root may be left.

use std::collections::BTreeMap;
use std::prelude::rust_2024::*;

use fastrand::Rng;
use tablewright_archdefs::bound::Bound;

use super::samples::random;
use super::{Case, Verdict, ensure};
use crate::sim::{Access, Machine, Mmu};
use crate::{Attributes, Change, ClosedRange, Error, Format, Lookup, MemoryType, PageTable, Rights, Tag};

/// How many steps.
const STEPS: usize = 150;
/// How many pages the model has at either end of the input addresses; less if there are not that many.
const PAGES: u64 = 1200;

pub(super) fn check(case: &Case<'_>) -> Verdict {
    case.subject.engine(&case.reference.0)
}

/// A page of the model: where it leads, with which rights.
type Model = BTreeMap<u64, (u64, Rights)>;

pub(super) fn run<F: Format>(format: F, bound: &Bound) -> Verdict {
    let machine = Machine::new(0x4000_0000, 64 << 20);
    let tag = Tag(1);
    let fail = |error: Error| error.to_string();
    let mut table = PageTable::new(format, machine.clone(), tag).map_err(fail)?;
    let mmu = Mmu::new(&machine, 1);
    mmu.load(tag, table.root(), bound.clone());
    let mut random = random();
    let mut model = Model::new();
    let sayable = sayable(&format);
    ensure!(!sayable.is_empty(), "a page can have none of the usual rights");
    for _ in 0..STEPS {
        let pages = pages(&format, &mut random);
        let range = range(&format, &pages);
        let attributes = sayable[random.usize(..sayable.len())];
        let rights = attributes.rights;
        let mut gather = table.gather();
        match random.u8(..4) {
            0 => {
                table.unmap(range, &mut gather).map_err(fail)?;
                model.retain(|page, _| !pages.contains(page));
            }
            1 => {
                let change = Change { rights: Some(rights), ..Change::default() };
                table.protect(range, &change, &mut gather).map_err(fail)?;
                model.range_mut(pages.clone()).for_each(|(_, leaf)| leaf.1 = rights);
            }
            _ => {
                // Next to a multiple of everything, or not: pages alone, or leaves of every size.
                let first = (pages.start() + random.u64(..3) * 8) % output_pages(&format);
                // SAFETY: nobody translates through this table but the MMU above, which accesses no memory.
                let mapped = unsafe { table.map(range, first << F::PAGE_BITS, &attributes, &mut gather) };
                let taken = model.range(pages.clone()).next().is_some();
                match mapped {
                    Err(Error::AlreadyMapped { .. }) if taken => {}
                    Err(Error::OutputOutOfRange { .. }) => {}
                    Ok(()) if !taken => model.extend(pages.zip(first..).map(|(page, to)| (page, (to, rights)))),
                    other => return Err(format!("mapping {range:x?}, of which some is taken: {taken}: {other:?}")),
                }
            }
        }
        drop(gather);
        compare(&table, &mmu, &machine, &model, &mut random)?;
    }
    let mut gather = table.gather();
    for end in [0, last_page(&format) - window(&format) + 1] {
        table.unmap(range(&format, &(end..=end + window(&format) - 1)), &mut gather).map_err(fail)?;
    }
    drop(gather);
    let left = table.tables().count();
    ensure!(left == 1, "{left} tables are left of an empty space");
    mmu.unload(tag);
    drop(table);
    ensure!(machine.used() == 0, "{} bytes were never freed", machine.used());
    let errors = machine.take_errors();
    ensure!(errors.is_empty(), "{errors:?}");
    Ok(())
}

/// Every page leads where the model says, and nothing stale was used.
fn compare<F: Format>(
    table: &PageTable<F, Machine>,
    mmu: &Mmu,
    machine: &Machine,
    model: &Model,
    random: &mut Rng,
) -> Verdict {
    mmu.check(machine);
    let violations = mmu.take_violations();
    ensure!(violations.is_empty(), "{violations:?}");
    for _ in 0..64 {
        let page = place(table.format(), random);
        let ia = table.geometry().extend(page << F::PAGE_BITS);
        let wanted = model.get(&page);
        let found = match table.query(ia) {
            Some(Lookup::Mapped(found)) => Some((found.output(ia) >> F::PAGE_BITS, found.attributes.rights)),
            _ => None,
        };
        ensure!(found.as_ref() == wanted, "{ia:#x} leads to {found:x?}, and not to {wanted:x?}");
        // The guest goes there too, and the MMU remembers what it finds.
        let needs = wanted.map_or(Rights::PR, |wanted| wanted.1);
        let reached = mmu.access(machine, table.tag(), ia, needs);
        let right = match (&reached, wanted) {
            (Some(Access::Translated(address)), Some((to, _))) => address >> F::PAGE_BITS == *to,
            (Some(Access::Fault(_)), None) => true,
            _ => false,
        };
        ensure!(right, "the MMU gets from {ia:#x} to {reached:x?}, and not to {wanted:x?}");
    }
    Ok(())
}

/// The usual rights that a page can have, with the first of the usual memory types that it can have.
fn sayable<F: Format>(format: &F) -> Vec<Attributes> {
    let rights = [Rights::RWX, Rights::RW, Rights::RX, Rights::R, Rights::PR | Rights::PW, Rights::PR];
    let with = |memory| {
        let all = rights.map(|rights| Attributes { accessed: true, dirty: true, ..Attributes::new(rights, memory) });
        all.into_iter().filter(|attributes| format.prototype(0, F::PAGE_BITS, attributes).is_ok()).collect()
    };
    [MemoryType::WriteBack, MemoryType::Inherit]
        .map(with)
        .into_iter()
        .find(|all: &Vec<_>| !all.is_empty())
        .unwrap_or_default()
}

fn last_page<F: Format>(format: &F) -> u64 {
    format.geometry().last_input() >> F::PAGE_BITS
}

fn output_pages<F: Format>(format: &F) -> u64 {
    format.geometry().last_output() >> F::PAGE_BITS
}

fn window<F: Format>(format: &F) -> u64 {
    PAGES.min(last_page(format) / 2 + 1)
}

/// A page near either end.
fn place<F: Format>(format: &F, random: &mut Rng) -> u64 {
    let page = random.u64(..window(format));
    if random.bool() { page } else { last_page(format) - page }
}

/// Some pages near either end.
fn pages<F: Format>(format: &F, random: &mut Rng) -> std::ops::RangeInclusive<u64> {
    let half = last_page(format) / 2;
    let start = place(format, random);
    let end = if start <= half { window(format) - 1 } else { last_page(format) };
    let few = if random.bool() { 20 } else { PAGES };
    start..=end.min(start + random.u64(..few))
}

fn range<F: Format>(format: &F, pages: &std::ops::RangeInclusive<u64>) -> ClosedRange {
    let geometry = format.geometry();
    let (start, last) = (pages.start() << F::PAGE_BITS, ((pages.end() + 1) << F::PAGE_BITS).wrapping_sub(1));
    let range = ClosedRange::new(geometry.extend(start), geometry.extend(last & geometry.last_input()));
    range.expect("the pages lie in one half of the input addresses")
}
