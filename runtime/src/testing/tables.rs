//! Law 2: an entry made for a table leads to that table, and limits nothing below it.

use crate::{Entry, Rights, Table};
use std::prelude::rust_2024::*;

use super::samples::{addresses, below, levels};
use super::{Case, Glance, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let subject = case.subject;
    let geometry = subject.geometry();
    for level in levels(subject).skip(1) {
        let align = geometry.table_bits(level - 1);
        let nothing = case.reference.0.empty_table(level);
        for address in addresses(align, geometry.output_bits).into_iter().filter(|&address| nothing != Some(address)) {
            let raw = subject
                .table(level, address)
                .map_err(|refusal| format!("level {level}, table {address:#x}: {refusal}"))?;
            let wanted = Entry::Table(Table { address, level: level - 1, limit: Rights::all() });
            let found = subject.decode(level, raw);
            ensure!(found == wanted, "level {level}: {raw:#x} was made as {wanted:x?}, and decodes as {found:x?}");
            let glance = subject.glance(level, raw);
            ensure!(glance == Glance::Table(address), "level {level}: {raw:#x} seems to be {glance:x?}");
            let link = subject.link(level, raw);
            ensure!(link == Some(address), "level {level}: {raw:#x} seems to lead to {link:x?}");
        }
        // A frame may be larger than a table has to be.
        let aligned = geometry.level_index_bits(level - 1) + case.reference.0.word.size;
        let unfit = (geometry.page_bits..aligned).chain(geometry.output_bits..64).map(|bit| 1 << bit);
        for address in unfit.chain(nothing).chain([below(geometry.page_bits), u64::MAX]) {
            ensure!(subject.table(level, address).is_err(), "level {level}: a table at {address:#x} is not refused");
        }
    }
    Ok(())
}
