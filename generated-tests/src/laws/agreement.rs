//! Law 10, as far as entries go: generated code says what the interpreter says.

use tablewright::Change;

use super::samples::{all_attributes, few_addresses, foreign_entries, levels, own_entries, some_attributes};
use super::{Case, Subject, Verdict, ensure};

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
    for level in levels(subject) {
        let sizes = (subject.page_sizes(level), reference.page_sizes(level));
        ensure!(sizes.0 == sizes.1, "level {level}: page sizes {:x?}, not {:x?}", sizes.0, sizes.1);
        let empty = (subject.empty(level), reference.empty(level));
        ensure!(empty.0 == empty.1, "level {level}: nothing is {:#x}, not {:#x}", empty.0, empty.1);
        for raw in own_entries(case, level).into_iter().chain(foreign_entries(case, level)) {
            let (found, wanted) = (subject.decode(level, raw), reference.decode(level, raw));
            ensure!(found == wanted, "level {level}: {raw:#x} is {found:x?}, not {wanted:x?}");
        }
        made(case, level)?;
    }
    Ok(())
}

/// Both make the same entries, and refuse the same.
fn made(case: &Case<'_>, level: u8) -> Verdict {
    let (subject, reference) = (case.subject, case.reference);
    for size in subject.page_sizes(level).iter() {
        let outputs = few_addresses(size, subject.geometry().output_bits);
        for (attributes, oa) in all_attributes().zip(outputs.into_iter().cycle()) {
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
                let found = subject.rewrite(level, raw, &change);
                let wanted = reference.rewrite(level, raw, &change);
                let same = found.as_ref().ok() == wanted.as_ref().ok();
                ensure!(same, "level {level}: {raw:#x} changed to {new:x?}: {found:x?}, not {wanted:x?}");
            }
        }
    }
    Ok(())
}
