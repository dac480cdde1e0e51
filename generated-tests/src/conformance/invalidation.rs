//! What a gather asks to be invalidated, as the machine's instructions: read from the format's file, since generated
//! code executes its own only on bare metal.

use tablewright::{Invalidation, Tag};
use tablewright_archdefs::eval::{Env, eval, holds};
use tablewright_archdefs::model::{Code, Operand, Scope, TlbOp};

use crate::formats::Configured;

/// Instructions that follow each other, and what the registers hold that they read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instructions {
    /// The instructions.
    pub words: Vec<u32>,
    /// Registers, by the names that the file has, and their values.
    pub operands: Vec<(String, u64)>,
}

/// The instructions that invalidate `set`: for each page, or for the space where that is too many, or for everything.
///
/// # Panics
///
/// If the format has none, or not of whole words.
pub(super) fn instructions(case: &Configured, root: u64, tag: Tag, set: &Invalidation) -> Vec<Instructions> {
    let find = |scope: Scope, leaf_only: bool| {
        let exists = |op: &&TlbOp| holds(op.when.as_ref(), &environment(case, root, tag, 0)).expect("a condition");
        let fits = |op: &&TlbOp| op.scope == scope && (leaf_only || !op.leaf_only);
        let mut ops: Vec<&TlbOp> = case.format.tlb.iter().filter(exists).filter(fits).collect();
        // What reaches every CPU first, and what does no more than it has to.
        ops.sort_by_key(|op| (leaf_only && !op.leaf_only, !op.broadcast));
        ops.first().copied()
    };
    if let Invalidation::Range { range, leaf_only, granule } = set
        && let Some(op) = find(Scope::Address, *leaf_only)
        && op.limit.is_none_or(|limit| range.span() >> granule < limit)
    {
        let pages = (0..=range.span() >> granule).map(|page| range.start() + (page << granule));
        let each = pages.map(|ia| with_operands(case, op, &op.code, &environment(case, root, tag, ia)));
        let fixed = |code| Instructions { words: words(code), operands: Vec::new() };
        return [fixed(&op.before)].into_iter().chain(each).chain([fixed(&op.after)]).collect();
    }
    let op = find(Scope::Space, false).or_else(|| find(Scope::All, false)).expect("an invalidation");
    let code: Vec<Code> = [&op.before[..], &op.code, &op.after].concat();
    vec![with_operands(case, op, &code, &environment(case, root, tag, 0))]
}

fn environment<'a>(case: &'a Configured, root: u64, tag: Tag, ia: u64) -> Env<'a> {
    let geometry = case.bound.geometry;
    let env = Env::new(&case.params).with("page_bits", geometry.page_bits).with("index_bits", geometry.index_bits);
    env.with("root", root).with("tag", tag.0).with("ia", ia)
}

fn with_operands(case: &Configured, op: &TlbOp, code: &[Code], env: &Env<'_>) -> Instructions {
    let operand = |operand: &Operand| {
        let name = &case.format.name.value;
        let expression = operand.value.as_ref().unwrap_or_else(|| panic!("{name} has descriptors in memory"));
        let value = eval(expression, env).ok().and_then(|value| u64::try_from(value).ok());
        (operand.register.clone(), value.expect("a number"))
    };
    Instructions { words: words(code), operands: op.operands.iter().map(operand).collect() }
}

fn words(code: &[Code]) -> Vec<u32> {
    let word = |unit: &Code| match unit {
        Code::Word(word) => *word,
        Code::Byte(byte) => panic!("{byte:#04x} is no whole instruction"),
    };
    code.iter().map(word).collect()
}
