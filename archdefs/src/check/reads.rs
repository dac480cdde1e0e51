//! The registers, fields and facts that conditions read beside parameters, and every combination of values they can
//! have.

use std::collections::BTreeMap;

use super::preferences::{Knows, Preference};
use crate::bound::{Params, low_bits};
use crate::expr::{Expr, Node};
use crate::linear::Linear;
use crate::model::{Bind, BitMap, Domain, Format};
use crate::words::{ACCESS_TRUTHS, FAULT_CAUSES, FAULT_TRUTHS};

/// The most bits that conditions may read for every combination to be tried.
const MOST_BITS: u32 = 14;

/// The names that expressions may use for properties of an address space.
const SPACE: [&str; 4] = ["levels", "input_bits", "page_bits", "index_bits"];

/// The names that conditions read, each with the bits that they read of it.
pub(super) struct Reads<'a> {
    bits: BTreeMap<&'a str, u64>,
    knows: Knows,
}

impl<'a> Reads<'a> {
    /// `None` if there are too many combinations of values to try, of what is read or of a parameter.
    pub(super) fn new(format: &Format, list: &Preference<'a>) -> Option<Self> {
        let mut reads = Self { bits: BTreeMap::new(), knows: list.knows };
        list.conditions().try_for_each(|condition| reads.add(format, condition))?;
        (reads.width() <= MOST_BITS).then_some(reads)
    }

    fn add(&mut self, format: &Format, expr: &'a Expr) -> Option<()> {
        match &expr.node {
            Node::Int(_) => {}
            Node::Not(inner) => self.add(format, inner)?,
            Node::Binary(_, left, right) => {
                self.add(format, left)?;
                self.add(format, right)?;
            }
            Node::Name(name) | Node::Slice(name, ..) => {
                if let Some(param) = format.params.iter().find(|param| param.name.value == *name) {
                    let is_listed = param.domain != Domain::Word;
                    return (is_listed && (self.knows != Knows::Build || param.bind == Bind::Build)).then_some(());
                }
                if SPACE.contains(&name.as_str()) {
                    return (self.knows != Knows::Build).then_some(());
                }
                let bits = match &expr.node {
                    Node::Slice(_, high, low) => low_bits(u64::MAX, high + 1 - low) << low,
                    _ => self.whole(format, name),
                };
                *self.bits.entry(name).or_default() |= bits;
            }
        }
        Some(())
    }

    /// The bits that can be set in the value of this name.
    fn whole(&self, format: &Format, name: &str) -> u64 {
        let truths: &[&str] = match self.knows {
            Knows::Space | Knows::Build => return u64::MAX,
            Knows::Access => &ACCESS_TRUTHS,
            Knows::Fault => &FAULT_TRUTHS,
        };
        if truths.contains(&name) {
            return 1;
        }
        if self.is_level(name) {
            let top = format.roots.iter().flat_map(|root| &root.levels.value).max().map_or(0, |levels| levels - 1);
            return u64::try_from(top).map_or(0, |top| u64::MAX.unbounded_shr(top.leading_zeros()));
        }
        let field = format.fields.iter().find(|field| field.name.value == name);
        let choices = field.iter().flat_map(|field| &field.bits.0);
        let width = choices.map(|choice| width(&choice.value)).try_fold(0, |widest, width| Some(widest.max(width?)));
        match width {
            Some(width) if field.is_some() => low_bits(u64::MAX, width),
            _ => u64::MAX,
        }
    }

    fn is_level(&self, name: &str) -> bool {
        self.knows == Knows::Fault && name == "level"
    }

    fn width(&self) -> u32 {
        self.bits.values().map(|bits| bits.count_ones()).sum()
    }

    /// Every combination of values that can be read: each name with its value.
    pub(super) fn contents(&self, params: &Params) -> impl Iterator<Item = Vec<(&'a str, u64)>> {
        let levels = params.levels();
        (0..1_u64 << self.width())
            .map(|content| self.content(content))
            .filter(move |read| self.is_possible(read, levels))
    }

    /// Distributes the bits of `content` over what is read.
    fn content(&self, mut content: u64) -> Vec<(&'a str, u64)> {
        let mut take = |bits: u64| {
            let ones = (0..u64::BITS).map(|bit| 1 << bit).filter(|bit| bits & bit != 0);
            ones.fold(0, |value, bit| {
                let is_set = content & 1 != 0;
                content >>= 1;
                if is_set { value | bit } else { value }
            })
        };
        self.bits.iter().map(|(name, bits)| (*name, take(*bits))).collect()
    }

    /// A fault is met at a level that there is, and has one cause.
    fn is_possible(&self, read: &[(&str, u64)], levels: i64) -> bool {
        if self.knows != Knows::Fault {
            return true;
        }
        let causes = || read.iter().filter(|(name, _)| FAULT_CAUSES.contains(name));
        let one_cause = match causes().filter(|(_, is)| *is == 1).count() {
            0 => causes().count() < FAULT_CAUSES.len(),
            true_ones => true_ones == 1,
        };
        let level = read.iter().find(|(name, _)| self.is_level(name));
        one_cause && level.is_none_or(|(_, level)| i128::from(*level) < levels.into())
    }
}

/// The number of bits in a field's value, if parameters do not change it.
fn width(map: &BitMap) -> Option<u8> {
    let widths = map.segments.iter().map(|segment| {
        let bits = Linear::of(&segment.high)?.minus(&Linear::of(&segment.low)?)?.constant()? + 1;
        u8::try_from(bits).ok().filter(|_| segment.from.is_none())
    });
    widths.sum()
}
