//! Law 4: what an entry was asked to say it says exactly, or it was refused.

use std::collections::HashMap;
use std::prelude::rust_2024::*;

use crate::{Attributes, Change, Edit, Entry, Leaf, Level, MemoryType, Options, Refusal, Rights};
use tablewright_archdefs::bound::Shape;

use super::samples::{combinations, few_addresses, levels, some_attributes};
use super::{Case, Subject, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let subject = case.subject;
    for level in levels(subject) {
        for size in subject.page_sizes(level).iter() {
            let mut shown = HashMap::new();
            for asked in combinations(subject, level, size) {
                if let Some(memory) = round_trip(subject, level, size, &asked)? {
                    shown.insert(asked.memory, memory);
                }
            }
            ensure!(!shown.is_empty(), "level {level}: nothing of 2^{size} bytes can be mapped");
            for (asked, memory) in &shown {
                let own = memory == asked || !shown.values().any(|shown| shown == asked);
                ensure!(own, "level {level}: asked for {asked:?}, which there is, a leaf has {memory:?}");
            }
            options(case, level, size)?;
            changes(subject, level, size)?;
        }
    }
    Ok(())
}

/// Makes a leaf with these attributes and gives the memory type it then has; `None` if it is refused. It shows the
/// rights exactly, and of the rest what it can, so that the attributes that it shows make the same leaf.
fn round_trip(subject: &dyn Subject, level: Level, size: u8, asked: &Attributes) -> Result<Option<MemoryType>, String> {
    let oa = few_addresses(size, subject.geometry().output_bits)[2];
    let items = match subject.leaf(level, size, oa, asked) {
        Ok(items) => items,
        Err(Refusal::Rights(rights)) if rights == asked.rights => return Ok(None),
        Err(Refusal::Memory(memory)) if memory == asked.memory => return Ok(None),
        Err(refusal) => return Err(format!("level {level}, {asked:x?}: refused for another reason: {refusal}")),
    };
    for raw in ends(&items) {
        let shown = decoded(subject, level, raw)?.attributes;
        let exact = shown.rights == asked.rights && shown.options == asked.options;
        ensure!(exact, "level {level}: {raw:#x} was made for {asked:x?}, and shows {shown:x?}");
        let again = subject.leaf(level, size, oa, &shown);
        ensure!(again.as_ref() == Ok(&items), "level {level}: {raw:#x} shows {shown:x?}, which makes {again:x?}");
    }
    Ok(Some(decoded(subject, level, items[0])?.attributes.memory))
}

/// Each bit that is the caller's reads back.
fn options(case: &Case<'_>, level: Level, size: u8) -> Verdict {
    let subject = case.subject;
    let oa = few_addresses(size, subject.geometry().output_bits)[2];
    let Some(attributes) = some_attributes(subject, level, size).first().copied() else {
        return Ok(());
    };
    let items = subject.leaf(level, size, oa, &attributes).map_err(text)?;
    let mut attributes = decoded(subject, level, items[0])?.attributes;
    let offered = option_bits(case, level, size);
    for bit in 0..64 {
        attributes.options = Options::from_bits(1 << bit);
        match subject.leaf(level, size, oa, &attributes) {
            Err(Refusal::Options(_)) => {}
            Err(refusal) => return Err(format!("level {level}, option bit {bit}: {refusal}")),
            Ok(items) => {
                ensure!(offered >> bit & 1 == 1, "level {level}: bit {bit} is no option, and was taken");
                let shown = decoded(subject, level, items[0])?.attributes;
                ensure!(shown == attributes, "level {level}: made for {attributes:x?}, shows {shown:x?}");
            }
        }
    }
    Ok(())
}

/// By the file.
fn option_bits(case: &Case<'_>, level: Level, size: u8) -> u64 {
    let Some(level) = case.reference.0.level(level) else {
        return 0;
    };
    let run = level.runs.iter().find(|run| run.run_bits == size).map(|run| &run.shape);
    run.or(level.leaf.as_ref()).map_or(0, Shape::option_bits)
}

/// A leaf that is changed shows the change, and is otherwise what it was.
fn changes(subject: &dyn Subject, level: Level, size: u8) -> Verdict {
    let oa = few_addresses(size, subject.geometry().output_bits)[2];
    let some = some_attributes(subject, level, size);
    for old in some.iter().take(8) {
        for new in &some {
            for raw in ends(&subject.leaf(level, size, oa, old).map_err(text)?) {
                let was = decoded(subject, level, raw)?;
                let wanted = decoded(subject, level, subject.leaf(level, size, oa, new).map_err(text)?[0])?.attributes;
                let change = Change { rights: Some(new.rights), memory: Some(new.memory), options: Some(new.options) };
                let changed = subject.rewrite(level, raw, &change).map_err(text)?;
                let is = decoded(subject, level, changed)?;
                let same = (is.address, is.size) == (was.address, was.size)
                    && (is.attributes.rights, is.attributes.memory, is.attributes.options)
                        == (wanted.rights, wanted.memory, wanted.options);
                ensure!(same, "level {level}: {was:x?}, changed to {new:x?}, is {is:x?}");
                unbroken(subject, level, raw, &change)?;
                granted(subject, level, raw, new)?;
            }
        }
    }
    Ok(())
}

/// Where no leaf has to be broken for a change of one attribute, this one has not.
fn unbroken(subject: &dyn Subject, level: Level, raw: u64, change: &Change) -> Verdict {
    let &Change { rights, memory, options } = change;
    let none = Change::default();
    for change in [Change { rights, ..none }, Change { memory, ..none }, Change { options, ..none }, *change] {
        // One attribute alone may be what no leaf says.
        let Ok(new) = subject.rewrite(level, raw, &change) else { continue };
        let direct = subject.edit(level, raw, new) == Edit::Direct;
        ensure!(direct || subject.may_break(&change), "level {level}: {change:?} breaks {raw:#x}, to {new:#x}");
    }
    Ok(())
}

/// The short way to more rights leads to the same leaf as the long one, in one store.
fn granted(subject: &dyn Subject, level: Level, raw: u64, more: &Attributes) -> Verdict {
    let was = decoded(subject, level, raw)?;
    let rights = was.attributes.rights | more.rights;
    let Some(new) = subject.grant(level, raw, more.rights, more.dirty) else { return Ok(()) };
    let says = |states: Attributes| {
        let wanted = Attributes { rights, ..states };
        decoded(subject, level, subject.leaf(level, was.size, was.address, &wanted).map_err(text)?[0])
    };
    let used = Attributes { accessed: true, dirty: was.attributes.dirty || more.dirty, ..was.attributes };
    let (is, wanted) = (decoded(subject, level, new)?, says(used)?);
    ensure!(is == wanted, "level {level}: {raw:#x}, granted {more:x?}, is {is:x?}");
    let direct = subject.edit(level, raw, new) == Edit::Direct;
    ensure!(direct, "level {level}: {raw:#x} must be broken to be granted {more:x?}");
    if level == 0 { first_write(subject, raw, &was, more.rights) } else { Ok(()) }
}

/// The shortest way, for the first write to a page, leads to the same, and is there for each page that is write-protected.
fn first_write(subject: &dyn Subject, raw: u64, was: &Leaf, rights: Rights) -> Verdict {
    let (had, all) = (was.attributes.rights, was.attributes.rights | rights);
    let granted = subject.grant(0, raw, rights, true);
    let protected = matches!(had, Rights::R | Rights::RX) && rights.contains(Rights::W) && all == had | Rights::W;
    let Some(written) = subject.first_write(raw, rights) else {
        let known = protected && was.attributes.accessed && was.items == 1 && granted.is_some();
        ensure!(!known, "{raw:#x} is write-protected, and it is not known what the first write makes of it");
        return Ok(());
    };
    ensure!(
        Some(written.raw) == granted,
        "{raw:#x}, granted {rights:?}, is {granted:x?}, but {written:x?} if it is written"
    );
    ensure!(written.had_right == had.contains(Rights::W), "{raw:#x} had {had:?} before {written:x?}");
    let Leaf { attributes, .. } = decoded(subject, 0, written.raw)?;
    ensure!(written.is_complete == attributes.rights.contains(Rights::RWX), "{attributes:x?} after {written:x?}");
    Ok(())
}

/// The first and the last.
fn ends(items: &[u64]) -> [u64; 2] {
    [items[0], items[items.len() - 1]]
}

fn decoded(subject: &dyn Subject, level: Level, raw: u64) -> Result<Leaf, String> {
    match subject.decode(level, raw) {
        Entry::Leaf(leaf) => Ok(leaf),
        entry => Err(format!("level {level}: {raw:#x} was made as a leaf, and is {entry:x?}")),
    }
}

fn text(refusal: Refusal) -> String {
    refusal.to_string()
}
