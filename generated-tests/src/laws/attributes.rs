//! Law 4: what an entry was asked to say it says exactly, or it was refused.

use tablewright::{Attributes, Change, Entry, Leaf, Level, Options, Refusal};
use tablewright_archdefs::bound::{BoundMeaning, Shape};

use super::samples::{all_attributes, few_addresses, levels, some_attributes};
use super::{Case, Subject, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let subject = case.subject;
    for level in levels(subject) {
        for size in subject.page_sizes(level).iter() {
            let mut made = 0;
            for attributes in all_attributes() {
                made += usize::from(round_trip(subject, level, size, &attributes)?);
            }
            ensure!(made > 0, "level {level}: nothing of 2^{size} bytes can be mapped");
            options(case, level, size)?;
            changes(subject, level, size)?;
        }
    }
    Ok(())
}

/// Whether a leaf with these attributes exists. If so, it shows them: rights exactly, and of the rest what it can,
/// so that the attributes it shows make the same leaf.
fn round_trip(subject: &dyn Subject, level: Level, size: u8, asked: &Attributes) -> Result<bool, String> {
    let oa = few_addresses(size, subject.geometry().output_bits)[2];
    let items = match subject.leaf(level, size, oa, asked) {
        Ok(items) => items,
        Err(Refusal::Rights(rights)) if rights == asked.rights => return Ok(false),
        Err(Refusal::Memory(memory)) if memory == asked.memory => return Ok(false),
        Err(refusal) => return Err(format!("level {level}, {asked:x?}: refused for another reason: {refusal}")),
    };
    for &raw in &items {
        let shown = decoded(subject, level, raw)?.attributes;
        let rights = shown.rights == asked.rights && shown.options == asked.options;
        ensure!(rights, "level {level}: {raw:#x} was made for {asked:x?}, and shows {shown:x?}");
        let again = subject.leaf(level, size, oa, &shown);
        ensure!(again.as_ref() == Ok(&items), "level {level}: {raw:#x} shows {shown:x?}, which makes {again:x?}");
        if shown.memory == asked.memory {
            continue;
        }
        // Something was taken in its place: then nothing has the type asked for.
        for other in some_attributes(subject, level, size) {
            let own = decoded(subject, level, subject.leaf(level, size, oa, &other).map_err(text)?[0])?;
            ensure!(own.attributes.memory != asked.memory, "level {level}: {raw:#x} has no {:?}", asked.memory);
        }
    }
    Ok(true)
}

/// Each bit that is the caller's reads back.
fn options(case: &Case<'_>, level: Level, size: u8) -> Verdict {
    let subject = case.subject;
    let Some(mut attributes) = some_attributes(subject, level, size).first().copied() else {
        return Ok(());
    };
    let oa = few_addresses(size, subject.geometry().output_bits)[2];
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

fn option_bits(case: &Case<'_>, level: Level, size: u8) -> u64 {
    let Some(level) = case.reference.0.level(level) else {
        return 0;
    };
    let run = level.runs.iter().find(|run| run.run_bits == size).map(|run| &run.shape);
    let shape: Option<&Shape> = run.or(level.leaf.as_ref());
    let fields = shape.into_iter().flat_map(|shape| &shape.fields);
    let options = fields.filter(|field| matches!(field.meaning, BoundMeaning::Option(..) | BoundMeaning::Software));
    options.fold(0, |bits, field| bits | field.bits.mask())
}

/// A leaf that is changed shows the change, and is otherwise what it was.
fn changes(subject: &dyn Subject, level: Level, size: u8) -> Verdict {
    let oa = few_addresses(size, subject.geometry().output_bits)[2];
    let some = some_attributes(subject, level, size);
    for old in &some {
        for new in &some {
            for &raw in &subject.leaf(level, size, oa, old).map_err(text)? {
                let was = decoded(subject, level, raw)?;
                let wanted = decoded(subject, level, subject.leaf(level, size, oa, new).map_err(text)?[0])?.attributes;
                let change = Change { rights: Some(new.rights), memory: Some(new.memory), options: Some(new.options) };
                let raw = subject.rewrite(level, raw, &change).map_err(text)?;
                let is = decoded(subject, level, raw)?;
                let same = (is.address, is.size) == (was.address, was.size)
                    && (is.attributes.rights, is.attributes.memory, is.attributes.options)
                        == (wanted.rights, wanted.memory, wanted.options);
                ensure!(same, "level {level}: {was:x?}, changed to {new:x?}, is {is:x?}");
            }
        }
    }
    Ok(())
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
