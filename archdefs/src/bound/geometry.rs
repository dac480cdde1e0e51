//! The geometry of a bound format.

use super::kind::chosen;
use super::{BindError, Malformed, Params};
use crate::eval::{Env, eval};
use crate::expr::Expr;
use crate::model::{At, Format, InputExtension};
use crate::source::Span;

/// The geometry of one address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// log2 of the smallest page.
    pub page_bits: u8,
    /// Index bits of the tables below the root, by level. The levels at and above the highest root repeat the last
    /// value.
    pub index_bits: [u8; Self::MAX_LEVELS as usize],
    /// log2 of the bytes an entry takes.
    pub word_bits: u8,
    /// Number of levels; the root is at `levels - 1`.
    pub levels: u8,
    /// Width of an input address.
    pub input_bits: u8,
    /// Width of an output address.
    pub output_bits: u8,
    /// Width of an output address as some leaves may hold it: such leaves are decoded, but never written.
    pub decode_bits: u8,
    /// How input addresses are extended to 64 bits.
    pub extension: InputExtension,
}

impl Geometry {
    /// The most levels a format can have.
    pub const MAX_LEVELS: u8 = 8;

    /// log2 of the smallest frame that we allocate for a table.
    const FRAME_BITS: u8 = 12;

    /// # Errors
    ///
    /// [`BindError::Malformed`] if a width is not from 1 to 64 or the levels below the root do not fit the input;
    /// [`BindError::Root`] if `levels` or `input_bits` is out of range.
    pub(crate) fn new(format: &Format, params: &Params) -> Result<Self, BindError> {
        let below_root = BelowRoot::new(format, params)?;
        let wrong_root = || BindError::Root { levels: params.levels(), input_bits: params.input_bits() };
        let env = below_root.env(params);
        let output_bits = width(&format.levels.output_bits, &env)?;
        let decode_bits = format.levels.decode_bits.as_ref().map(|bits| width(bits, &env)).transpose()?;
        let geometry = Self {
            page_bits: below_root.page_bits,
            index_bits: below_root.index_bits,
            word_bits: format.word.size,
            levels: u8::try_from(params.levels()).map_err(|_| wrong_root())?,
            input_bits: u8::try_from(params.input_bits()).map_err(|_| wrong_root())?,
            output_bits,
            decode_bits: decode_bits.map_or(output_bits, |bits| bits.max(output_bits)),
            extension: chosen(&format.levels.input, &env, format.levels.page_bits.span)?.value,
        };
        let levels = 1..=Self::MAX_LEVELS;
        let below = below_root.root_entry_bits(params.levels());
        if !levels.contains(&geometry.levels) || geometry.input_bits > 64 || below > params.input_bits() {
            return Err(wrong_root());
        }
        Ok(geometry)
    }

    /// The level of the root.
    pub const fn top(&self) -> u8 {
        self.levels - 1
    }

    /// log2 of what one entry at `level` spans; no more than 64.
    pub const fn entry_bits(&self, level: u8) -> u8 {
        let (mut bits, mut below) = (self.page_bits, 0);
        while below < level && below < Self::MAX_LEVELS {
            bits = bits.saturating_add(self.index_bits[below as usize]);
            below += 1;
        }
        if bits > 64 { 64 } else { bits }
    }

    /// Index bits at `level`: the root may be narrower or wider than the tables below it.
    pub const fn level_index_bits(&self, level: u8) -> u8 {
        let end = if level == self.top() { self.input_bits } else { self.entry_bits(level + 1) };
        end - self.entry_bits(level)
    }

    /// log2 of the size and alignment of the tables at `level`, below the root.
    pub const fn table_bits(&self, level: u8) -> u8 {
        self.level_index_bits(level) + self.word_bits
    }

    /// log2 of the size and alignment of the root as we write it: a narrow one takes as much as any other table, and
    /// none takes less than the smallest frame.
    pub fn root_bits(&self) -> u8 {
        let below = &self.index_bits[..usize::from(self.top().max(1))];
        let index_bits = below.iter().copied().fold(self.level_index_bits(self.top()), u8::max);
        (index_bits + self.word_bits).max(Self::FRAME_BITS)
    }

    /// log2 of what the entries of the root take: hardware, and thus other software, may place a narrow root at any
    /// address aligned to this.
    pub const fn root_entries_bits(&self) -> u8 {
        self.level_index_bits(self.top()) + self.word_bits
    }

    /// The index of the entry that translates `ia` in its table at `level`.
    pub const fn index(&self, level: u8, ia: u64) -> u64 {
        low_bits(shift_right(ia, self.entry_bits(level)), self.level_index_bits(level))
    }

    /// Whether `ia` is an input address: whether its upper bits are as [`Geometry::extension`] says.
    pub const fn accepts(&self, ia: u64) -> bool {
        match self.extension {
            InputExtension::Zero => shift_right(ia, self.input_bits) == 0,
            InputExtension::One => shift_right(!ia, self.input_bits) == 0,
            InputExtension::Sign => {
                let upper = shift_right(ia, self.input_bits - 1);
                upper == 0 || upper == shift_right(u64::MAX, self.input_bits - 1)
            }
        }
    }

    /// The input address whose low [`Geometry::input_bits`] bits are those of `ia`.
    pub const fn extend(&self, ia: u64) -> u64 {
        let low = low_bits(ia, self.input_bits);
        let ones = match self.extension {
            InputExtension::Zero => false,
            InputExtension::One => true,
            InputExtension::Sign => shift_right(low, self.input_bits - 1) == 1,
        };
        if ones { low | !low_bits(u64::MAX, self.input_bits) } else { low }
    }

    /// The highest output address.
    pub const fn last_output(&self) -> u64 {
        low_bits(u64::MAX, self.output_bits)
    }
}

/// The sizes of pages and of the tables below the root. They depend on build parameters only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BelowRoot {
    /// log2 of the smallest page.
    pub(crate) page_bits: u8,
    /// As [`Geometry::index_bits`].
    pub(crate) index_bits: [u8; Geometry::MAX_LEVELS as usize],
    /// The items of the file that give them.
    pub(crate) choices: [Span; Geometry::MAX_LEVELS as usize],
}

impl BelowRoot {
    pub(crate) fn new(format: &Format, params: &Params) -> Result<Self, Malformed> {
        let env = Env::new(params);
        let page_bits = width(&format.levels.page_bits, &env)?;
        let env = env.with("page_bits", page_bits);
        let most_levels = format.roots.iter().flat_map(|root| &root.levels.value).copied().max().unwrap_or(1);
        let mut index_bits = [0; Geometry::MAX_LEVELS as usize];
        let mut choices = [Span::default(); Geometry::MAX_LEVELS as usize];
        let (mut bits, mut span) = (0, Span::default());
        for (level, place) in (0..).zip(index_bits.iter_mut().zip(&mut choices)) {
            if level == 0 || level < most_levels - 1 {
                let env = env.clone().with("level", level);
                let choice = chosen(&format.levels.index_bits, &env, format.levels.page_bits.span)?;
                (bits, span) = (checked(eval(&choice.value, &env)?, choice.span)?, choice.span);
            }
            (*place.0, *place.1) = (bits, span);
        }
        Ok(Self { page_bits, index_bits, choices })
    }

    /// The names known to expressions that do not depend on a level.
    pub(crate) fn env<'a>(&self, params: &'a Params) -> Env<'a> {
        Env::new(params).with("page_bits", self.page_bits).with("index_bits", self.index_bits[0])
    }

    /// log2 of what an entry of the root spans in a tree of `levels` levels.
    pub(crate) fn root_entry_bits(&self, levels: i64) -> i64 {
        let below = usize::try_from(levels.saturating_sub(1)).unwrap_or(0);
        i64::from(self.page_bits) + self.index_bits.iter().take(below).copied().map(i64::from).sum::<i64>()
    }
}

fn width(expr: &At<Expr>, env: &Env<'_>) -> Result<u8, Malformed> {
    checked(eval(&expr.value, env)?, expr.span)
}

fn checked(value: i128, span: Span) -> Result<u8, Malformed> {
    match u8::try_from(value) {
        Ok(bits @ 1..=64) => Ok(bits),
        _ => Err(Malformed::new(format!("{value} is no width from 1 to 64"), span)),
    }
}

/// `value >> by`, where `by` may be 64.
pub(crate) const fn shift_right(value: u64, by: u8) -> u64 {
    if by >= 64 { 0 } else { value >> by }
}

/// The low `bits` bits of `value`; `bits` may be 64.
pub(crate) const fn low_bits(value: u64, bits: u8) -> u64 {
    if bits >= 64 { value } else { value & ((1 << bits) - 1) }
}
