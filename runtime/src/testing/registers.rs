//! Nothing is lost of what is loaded to activate tables: each root and each tag is refused, or is in the registers, when
//! the file's fields are read back.

use std::prelude::rust_2024::*;
use tablewright_archdefs::model::Role;

use super::samples::{addresses, below};
use super::{Case, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let geometry = case.subject.geometry();
    let align = geometry.table_bits(geometry.top());
    let is_narrow = case.format.registers.iter().any(|register| register.narrow.is_some());
    let untagged = fate(case, 0, 0)? == Fate::Untagged;
    for root in addresses(align, geometry.output_bits) {
        for tag in [0, 1] {
            let refused = fate(case, root, tag)? == Fate::Refused;
            ensure!(!refused || is_narrow, "the root {root:#x} is refused beside the tag {tag}");
        }
    }
    // A frame may be larger than a table has to be.
    let index_bits = geometry.level_index_bits(geometry.top());
    let aligned = (0..geometry.top()).map(|level| geometry.level_index_bits(level)).fold(index_bits, u8::max)
        + case.reference.0.word.size;
    let unfit = (0..aligned).chain(geometry.output_bits..64).map(|bit| 1 << bit);
    for root in unfit.chain([below(aligned), u64::MAX]) {
        ensure!(case.subject.registers(root, 0).is_none(), "the root {root:#x} is not refused");
    }
    let all_below = (0..=u32::BITS).map(|bits| below(bits as u8) as u32);
    for tag in (0..u32::BITS).map(|bit| 1 << bit).chain(all_below) {
        let refused = fate(case, 0, tag)? == Fate::Refused;
        // Where tags have no place, none is too large for it.
        ensure!(!(refused && untagged), "the tag {tag:#x} is refused, and no register holds one");
    }
    Ok(())
}

/// What registers do with a root and a tag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Refused,
    Held,
    /// The root is held, and no register has a place for tags.
    Untagged,
}

/// What becomes of a root and a tag.
///
/// # Errors
///
/// What the registers hold in their place.
fn fate(case: &Case<'_>, root: u64, tag: u32) -> Result<Fate, String> {
    let Some(registers) = case.subject.registers(root, tag) else { return Ok(Fate::Refused) };
    let (mut found, mut found_tag) = (None, None);
    for (name, raw) in registers {
        let Some(Ok(report)) = case.reference.0.explain_register(&name, raw) else {
            return Err(format!("nobody can read `{name}`"));
        };
        ensure!(report.others == 0, "{raw:#x} in `{name}` has bits of no field: {:#x}", report.others);
        // One may have the upper bits, and another the lower ones.
        found = found.into_iter().chain(report.root).reduce(|all, part| all | part);
        found_tag = found_tag.into_iter().chain(report.tag).reduce(|all, part| all | part);
    }
    let has_place = case.format.registers.iter().any(|register| register.role == Role::Root);
    ensure!(found == has_place.then_some(root), "the root {root:#x} with the tag {tag:#x} became {found:x?}");
    let wanted = u64::from(tag);
    ensure!(
        found_tag.is_none_or(|found| found == wanted),
        "the tag {tag:#x} of the root {root:#x} became {found_tag:x?}"
    );
    Ok(if found_tag.is_some() { Fate::Held } else { Fate::Untagged })
}
