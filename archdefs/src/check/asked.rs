//! The values that invalidations and completions are given at run time (addresses, tags, data), tried one bit at a
//! time. That is enough, because files shift and mask these values but do not calculate with them.

use crate::bound::Bound;
use crate::eval::{Env, eval, holds};
use crate::expr::Expr;
use crate::model::{Completion, Scope, TlbOp};

/// The values to try in the words of one invalidation or completion.
pub(super) struct Asked<'a> {
    /// All values 0.
    nothing: Env<'a>,
    bits: Vec<Bit<'a>>,
}

/// One bit of one value set.
struct Bit<'a> {
    /// The name of the value that the bit belongs to.
    of: &'static str,
    bit: u8,
    env: Env<'a>,
}

impl<'a> Asked<'a> {
    /// Of an invalidation, for each size of page: every bit of tags that registers hold, and of input addresses.
    pub(super) fn of_invalidation(bound: &'a Bound, operation: &TlbOp) -> Vec<Self> {
        let geometry = &bound.geometry;
        let sizes = match operation.scope {
            Scope::Address => (0..geometry.levels).flat_map(|level| bound.page_sizes(level)).collect(),
            Scope::Space | Scope::All => vec![geometry.page_bits],
        };
        let of_size = |size| {
            let nothing = bound.env().with("ia", geometry.extend(0)).with("tag", 0).with("root", 0);
            let tags = (0..u32::BITS as u8).filter(|bit| bound.registers(0, 1 << bit).is_ok());
            let pages = (size..geometry.input_bits).map(|bit| (bit, geometry.extend(1 << bit)));
            Self::new(nothing.with("leaf_bits", size)).and("tag", tags.map(|bit| (bit, 1 << bit))).and("ia", pages)
        };
        sizes.into_iter().map(of_size).collect()
    }

    /// Of a completion: every bit of its address and of its data.
    pub(super) fn of_completion(bound: &'a Bound, completion: &Completion) -> Self {
        let most = completion.record.map_or((0, 0), |record| (record.address_mask(), record.last_data()));
        let bits =
            |most: u64| (0..u64::BITS as u8).map(|bit| (bit, 1 << bit)).filter(move |(_, value)| most & value != 0);
        let nothing = bound.env().with("address", 0).with("data", 0);
        Self::new(nothing).and("address", bits(most.0)).and("data", bits(most.1))
    }

    fn new(nothing: Env<'a>) -> Self {
        Self { nothing, bits: Vec::new() }
    }

    fn and(mut self, of: &'static str, bits: impl Iterator<Item = (u8, u64)>) -> Self {
        let nothing = &self.nothing;
        self.bits.extend(bits.map(|(bit, value)| Bit { of, bit, env: nothing.clone().with(of, value) }));
        self
    }

    /// A bit of the value `what` on which none of these expressions depends.
    pub(super) fn unsaid(&self, what: &str, by: &[&Expr]) -> Option<u8> {
        let said = |env| by.iter().map(|expr| word(expr, env)).collect::<Vec<_>>();
        let of_nothing = said(&self.nothing);
        self.bits.iter().filter(|bit| bit.of == what).find(|bit| said(&bit.env) == of_nothing).map(|bit| bit.bit)
    }

    /// The bits that may be set in the expression's value.
    pub(super) fn bits_of(&self, expr: &Expr) -> u64 {
        let envs = self.bits.iter().map(|bit| &bit.env).chain([&self.nothing]);
        envs.filter_map(|env| word(expr, env)).fold(0, |bits, value| bits | value)
    }
}

/// The value as a word in memory, which keeps its lowest 64 bits.
fn word(expr: &Expr, env: &Env<'_>) -> Option<u64> {
    eval(expr, env).ok().map(|value| value as u64)
}

/// The invalidations that exist under the parameters.
pub(super) fn invalidations(bound: &Bound) -> impl Iterator<Item = &TlbOp> {
    bound.tlb.iter().filter(|op| holds(op.when.as_ref(), &bound.env()).unwrap_or(false))
}

/// The completions that exist under the parameters.
pub(super) fn completions(bound: &Bound) -> impl Iterator<Item = &Completion> {
    bound.completions.iter().filter(|completion| holds(completion.when.as_ref(), &bound.env()).unwrap_or(false))
}

/// Every expression that an invalidation is given to the hardware by.
pub(super) fn words(operation: &TlbOp) -> impl Iterator<Item = &Expr> {
    let operands = operation.operands.iter().chain(&operation.at_entry).filter_map(|operand| operand.value.as_ref());
    operands.chain(operation.descriptor.iter().chain(&operation.command).map(|word| &word.value))
}
