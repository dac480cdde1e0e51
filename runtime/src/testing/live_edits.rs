//! Law 8: generated code, interpreter and the manual's examples judge an edit of a live entry alike.

use crate::{Edit, Entry};
use std::prelude::rust_2024::*;
use tablewright_archdefs::model::Example;

use super::samples::{foreign_entries, levels, own_entries};
use super::{Case, Subject, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let subject = case.subject;
    for example in &case.format.examples {
        if let Example::Edit(example) = example
            && example.config.value == case.config.id.value
        {
            let wanted = if example.needs_break { Edit::BreakBeforeMake } else { Edit::Direct };
            let found = subject.edit(example.level, example.old, example.new);
            let (old, new) = (example.old, example.new);
            ensure!(found == wanted, "{old:#x} to {new:#x} is {found:?}; the manual says {wanted:?}");
        }
    }
    for level in levels(subject) {
        let mut entries = own_entries(case, level);
        let reserved = |raw: &u64| matches!(subject.decode(level, *raw), Entry::Reserved(_));
        entries.extend(foreign_entries(case, level).into_iter().filter(reserved).take(2));
        for &old in &entries {
            for &new in &entries {
                let (found, wanted) = (subject.edit(level, old, new), case.reference.edit(level, old, new));
                ensure!(found == wanted, "level {level}: {old:#x} to {new:#x} is {found:?}, not {wanted:?}");
            }
            let same = subject.edit(level, old, old);
            ensure!(same == Edit::Direct, "level {level}: storing {old:#x} again needs a break");
            let cleared = subject.edit(level, old, subject.empty(level));
            ensure!(cleared == Edit::Direct, "level {level}: {old:#x} cannot be cleared in one store");
        }
    }
    Ok(())
}
