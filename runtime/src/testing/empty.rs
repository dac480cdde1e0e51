//! Law 7: the value for nothing is nothing, and holds no address but that of a table that stands for nothing.

use crate::Entry;
use std::prelude::rust_2024::*;

use super::samples::{below, levels, some_attributes};
use super::{Case, Glance, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let subject = case.subject;
    let geometry = subject.geometry();
    for level in levels(subject) {
        let empty = subject.empty(level);
        let (entry, glance) = (subject.decode(level, empty), subject.glance(level, empty));
        ensure!(entry == Entry::Invalid, "level {level}: nothing is {empty:#x}, which is {entry:x?}");
        ensure!(glance == Glance::Absent, "level {level}: nothing is {empty:#x}, which seems to be {glance:x?}");
        let link = if level > 0 { subject.link(level, empty) } else { None };
        ensure!(link.is_none(), "level {level}: nothing is {empty:#x}, which seems to lead to {link:x?}");
        for size in subject.page_sizes(level).iter() {
            for attributes in some_attributes(subject, level, size) {
                let made = |oa| subject.leaf(level, size, oa, &attributes).map_err(|refusal| refusal.to_string());
                let address_bits = made(0)?[0] ^ made(below(geometry.output_bits) & !below(size))?[0];
                let leads_on = case.reference.0.empty_table(level).is_some();
                ensure!(
                    leads_on || empty & address_bits == 0,
                    "level {level}: nothing is {empty:#x}, which holds an address"
                );
                let glance = subject.glance(level, made(0)?[0]);
                ensure!(glance != Glance::Absent, "level {level}: a leaf at output address 0 seems to be nothing");
            }
        }
    }
    Ok(())
}
