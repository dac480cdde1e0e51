//! What every value of the bits of rights says, and which rights can be written, where a manual has a table of it.

use tablewright::{Attributes, Entry, MemoryType, Rights};

use crate::laws::{Interpreted, Subject};

/// AMD APM Vol. 2, Guest Mode Execute Trap Extension, GMET Page Configuration: NX and U/S, and whether code of the guest's
/// user and of its supervisor may run.
const GMET: [([u64; 2], [bool; 2]); 4] =
    [([1, 0], [false, false]), ([1, 1], [false, false]), ([0, 1], [true, false]), ([0, 0], [true, true])];

pub(super) fn check(format: &str, config: &str, subject: &Interpreted) -> Result<(), String> {
    match (format, config) {
        ("npt", "by-mode") => gmet(subject),
        _ => Ok(()),
    }
}

fn gmet(subject: &Interpreted) -> Result<(), String> {
    let mut sets = Vec::new();
    for (([nx, user], [by_user, by_supervisor]), writable) in GMET.into_iter().flat_map(|row| [(row, 0), (row, 1)]) {
        let given = [(by_user, Rights::UX), (by_supervisor, Rights::PX), (writable == 1, Rights::W)];
        let rights = given.into_iter().filter(|(given, _)| *given).fold(Rights::R, |all, (_, right)| all | right);
        let raw = 0x1234_5001 | nx << 63 | user << 2 | writable << 1;
        let found = match subject.decode(0, raw) {
            Entry::Leaf(leaf) => Some(leaf.attributes.rights),
            _ => None,
        };
        if found != Some(rights) {
            return Err(format!("{raw:#x} grants {found:?}, and should grant {rights:?}"));
        }
        sets.push(rights);
        // A table of the user's leaves it to the leaf who executes; one of the supervisor's would not.
        let limit = match subject.decode(1, raw) {
            Entry::Table(table) => Some(table.limit),
            _ => None,
        };
        let wanted = if nx == 1 { rights } else { rights | Rights::X };
        if limit != (user == 1).then_some(wanted) {
            return Err(format!("the table {raw:#x} leaves {limit:?} of {wanted:?}"));
        }
    }
    for asked in (0..=Rights::all().bits()).map(Rights::from_bits_truncate) {
        let written = subject.leaf(0, 12, 0x1234_5000, &Attributes::new(asked, MemoryType::WriteBack));
        if written.is_ok() != sets.contains(&asked) {
            return Err(format!("a page with {asked:?} becomes {written:x?}"));
        }
    }
    Ok(())
}
