//! Chooses the invalidation for what has changed, and computes its words.

use crate::bound::Bound;
use crate::eval::{Env, eval, holds};
use crate::expr::Expr;
use crate::model::{At, Operand, Role, Scope, TlbOp};

/// What must be invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// Pages from `start` to `last`.
    Pages {
        /// The first address.
        start: u64,
        /// The last one.
        last: u64,
        /// Whether only leaves changed, so that cached table entries still hold.
        leaf_only: bool,
        /// log2 of the size of the pages.
        page_bits: u8,
    },
    /// Everything under the tag.
    Space,
    /// Everything under every tag.
    All,
}

/// How an invalidation is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// By instructions.
    Code,
    /// By commands for a device.
    Command,
    /// By a control that a CPU reads when it enters the guest again.
    Entry,
}

impl Means {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Code, Self::Command, Self::Entry];

    /// The means of `op`.
    pub const fn of(op: &TlbOp) -> Self {
        if op.at_entry.is_some() {
            Self::Entry
        } else if op.command.is_empty() {
            Self::Code
        } else {
            Self::Command
        }
    }
}

/// An operation that was chosen, and how often it is done.
#[derive(Clone, Copy, Debug)]
pub struct Invalidation<'a> {
    /// The operation.
    pub op: &'a TlbOp,
    /// How often: once for each page, or once in all.
    pub times: u64,
    start: u64,
    page_bits: u8,
}

/// The values for one round of an [`Invalidation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Machine registers and their values; `None` stands for the address of the descriptor.
    pub operands: Vec<(String, Option<u64>)>,
    /// The words of the descriptor in memory.
    pub descriptor: Vec<u64>,
    /// The words of the command.
    pub command: Vec<u64>,
    /// The control that is set at the next entry, and its value.
    pub at_entry: Option<(String, Option<u64>)>,
}

impl Bound {
    /// The operation that invalidates what is `stale` by these means; `None` if the format has none. One that reaches
    /// every CPU is preferred, and one that drops no more than necessary.
    pub fn invalidation(&self, means: Means, stale: &Stale) -> Option<Invalidation<'_>> {
        let env = self.env();
        let find = |wanted: &dyn Fn(&TlbOp) -> bool| {
            let exists = |op: &&TlbOp| holds(op.when.as_ref(), &env).unwrap_or(false);
            let ops = self.tlb.iter().filter(|op| Means::of(op) == means && wanted(op)).filter(exists);
            ops.min_by_key(|op| !op.broadcast)
        };
        let whole = |scope| {
            let op = find(&|op| op.scope == scope)?;
            Some(Invalidation { op, times: 1, start: 0, page_bits: 0 })
        };
        let space = || whole(Scope::Space).or_else(|| whole(Scope::All));
        match *stale {
            Stale::All => whole(Scope::All),
            Stale::Space => space(),
            Stale::Pages { start, last, leaf_only, page_bits } => {
                let page_bits = page_bits.clamp(self.geometry.page_bits, 63);
                let pages = |covers: bool| find(&|op| op.scope == Scope::Address && op.leaf_only == covers);
                let leaves = if leaf_only { pages(true) } else { None };
                let Some(op) = leaves.or_else(|| pages(false)) else { return space() };
                let more = last.saturating_sub(start) >> page_bits;
                match op.limit {
                    Some(limit) if more >= limit => space(),
                    _ => Some(Invalidation { op, times: more + 1, start, page_bits }),
                }
            }
        }
    }

    /// The number of pages above which operations by address give way to one for the whole space, where only leaves
    /// changed or tables, too: `u64::MAX` if they never do, 0 if there are none.
    pub fn invalidation_limit(&self, leaf_only: bool) -> u64 {
        let env = self.env();
        let pages = |covers: bool| {
            let of_pages = |op: &&TlbOp| op.scope == Scope::Address && op.leaf_only == covers;
            let exists = |op: &&TlbOp| holds(op.when.as_ref(), &env).unwrap_or(false);
            self.tlb.iter().filter(of_pages).filter(exists).min_by_key(|op| !op.broadcast)
        };
        let leaves = if leaf_only { pages(true) } else { None };
        leaves.or_else(|| pages(false)).map_or(0, |op| op.limit.unwrap_or(u64::MAX))
    }

    /// The values for the round of `invalidation` with this index (from 0), for the translations under `root` with
    /// `tag`; `None` if the root's register cannot hold these.
    pub fn round(&self, invalidation: &Invalidation<'_>, index: u64, root: u64, tag: u64) -> Option<Round> {
        let op = invalidation.op;
        // In a descriptor, `root` stands for the value of the root's register.
        let root = match op.descriptor.is_empty() {
            true => root,
            false => {
                let registers = self.registers(root, tag).ok()?;
                registers.iter().find(|register| register.role == Role::Root).map_or(root, |register| register.value)
            }
        };
        let ia = invalidation.start.wrapping_add(index << invalidation.page_bits);
        let env = self.env().with("ia", ia).with("tag", tag).with("root", root);
        let env = &env.with("leaf_bits", invalidation.page_bits);
        let words = |words: &[At<Expr>]| words.iter().map(|word| word_of(&word.value, env)).collect::<Option<_>>();
        Some(Round {
            operands: op.operands.iter().map(|operand| value_of(operand, env)).collect::<Option<_>>()?,
            descriptor: words(&op.descriptor)?,
            command: words(&op.command)?,
            at_entry: match &op.at_entry {
                Some(control) => Some(value_of(control, env)?),
                None => None,
            },
        })
    }
}

fn value_of(operand: &Operand, env: &Env<'_>) -> Option<(String, Option<u64>)> {
    let value = match &operand.value {
        Some(value) => Some(word_of(value, env)?),
        None => None,
    };
    Some((operand.register.clone(), value))
}

/// The value as a register or a word of memory holds it: its lowest 64 bits.
fn word_of(expr: &Expr, env: &Env<'_>) -> Option<u64> {
    eval(expr, env).ok().map(|value| value as u64)
}
