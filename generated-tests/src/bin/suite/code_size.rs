//! Measures the code size of an address space, with every operation, with those that most hypervisors need, and with
//! the fewest possible, in the format of each machine.

use std::fs;

use object::{Object as _, ObjectSection as _};

use crate::bare_metal::{TARGETS, release};
use crate::step::{Outcome, workspace};

/// The program that is measured; it is never run.
const PROBE: &str = "generated-tests/code-size";

/// The limit for its size with every operation, in bytes, `core` and a small allocator included.
const LIMIT: u64 = 32 << 10;

/// Builds the program for every target, and prints its code size.
pub(crate) fn measure() -> Outcome {
    let mut larger = Vec::new();
    for (target, feature) in TARGETS {
        let size = |features: &str| {
            release(PROBE, target, features)?;
            text(&format!("{PROBE}/target/{target}/release/code-size"))
        };
        let (least, usual, all) =
            (size(feature)?, size(&format!("{feature},usual"))?, size(&format!("{feature},all"))?);
        println!(
            "   {target}: .text has {all} bytes; {usual} if a guest has RAM and devices, and is moved to another machine;"
        );
        println!("      {least} if a space is only made, entered and dropped");
        if all > LIMIT {
            larger.push(target);
        }
    }
    if larger.is_empty() { Ok(()) } else { Err(format!("more than {LIMIT} bytes: {}", larger.join(", "))) }
}

/// The size of the code in a file.
fn text(image: &str) -> Result<u64, String> {
    let bytes = fs::read(workspace().join(image)).map_err(|error| format!("{image}: {error}"))?;
    let file = object::File::parse(&*bytes).map_err(|error| format!("{image}: {error}"))?;
    file.section_by_name(".text").map(|section| section.size()).ok_or_else(|| format!("{image}: no .text"))
}
