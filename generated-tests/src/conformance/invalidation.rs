//! The machine's instructions for the invalidations of a gather. They are taken from the format's file, as generated
//! code executes its own only on bare metal.

use tablewright::{Invalidation, Tag};
use tablewright_archdefs::interpret::{Means, Stale};
use tablewright_archdefs::model::Code;

use crate::formats::Configured;

/// A sequence of instructions, with the values of the registers that they read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instructions {
    /// The instructions.
    pub words: Vec<u32>,
    /// Registers, by their names in the file, and their values.
    pub operands: Vec<(String, u64)>,
}

/// The instructions that invalidate `set`: for each page, or for the space where that is too many, or for everything.
///
/// # Panics
///
/// If the format has no such instructions, or not as whole words.
pub(super) fn instructions(case: &Configured, root: u64, tag: Tag, set: &Invalidation) -> Vec<Instructions> {
    let stale = match set {
        Invalidation::All => Stale::All,
        Invalidation::Space => Stale::Space,
        Invalidation::Range { range, leaf_only, granule } => {
            Stale::Pages { start: range.start(), last: range.last(), leaf_only: *leaf_only, page_bits: *granule }
        }
    };
    let chosen = case.bound.invalidation(Means::Code, &stale).expect("an invalidation");
    let name = &case.format.name.value;
    let each = (0..chosen.times).map(|index| {
        let round = case.bound.round(&chosen, index, root, tag.0.into()).expect("registers for the root");
        let in_memory = |register: &str| panic!("{name} has a descriptor in memory, at {register}");
        let operands = round.operands.into_iter().map(|(register, value)| {
            let value = value.unwrap_or_else(|| in_memory(&register));
            (register, value)
        });
        Instructions { words: words(&chosen.op.code), operands: operands.collect() }
    });
    let fixed = |code| Instructions { words: words(code), operands: Vec::new() };
    [fixed(&chosen.op.before)].into_iter().chain(each).chain([fixed(&chosen.op.after)]).collect()
}

fn words(code: &[Code]) -> Vec<u32> {
    let bytes: Vec<u8> = code
        .iter()
        .flat_map(|unit| match unit {
            Code::Word(word) => word.to_le_bytes().to_vec(),
            Code::Byte(byte) => vec![*byte],
        })
        .collect();
    let (words, rest) = bytes.as_chunks();
    assert!(rest.is_empty(), "{code:02x?} are no whole words");
    words.iter().map(|word| u32::from_le_bytes(*word)).collect()
}
