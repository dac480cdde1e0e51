//! The geometry of a bound format.

use super::kind::chosen;
use super::{BindError, Malformed, Params};
use crate::eval::{Env, eval};
use crate::expr::Expr;
use crate::model::{At, Format, InputExtension};

/// The geometry of one address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// log2 of the smallest page.
    pub page_bits: u8,
    /// Index bits of every level below the root.
    pub index_bits: u8,
    /// Number of levels; the root is at `levels - 1`.
    pub levels: u8,
    /// Width of an input address.
    pub input_bits: u8,
    /// Width of an output address.
    pub output_bits: u8,
    /// How input addresses are extended to 64 bits.
    pub extension: InputExtension,
}

impl Geometry {
    /// No format has more levels.
    pub const MAX_LEVELS: u8 = 8;

    /// # Errors
    ///
    /// [`BindError::Malformed`] if a width is no width or the levels below the root do not fit the input;
    /// [`BindError::Root`] if `levels` or `input_bits` is out of range.
    pub(crate) fn new(format: &Format, params: &Params) -> Result<Self, BindError> {
        let (page_bits, index_bits) = below_root(format, params)?;
        let wrong_root = || BindError::Root { levels: params.levels(), input_bits: params.input_bits() };
        let env = Env::new(params).with("page_bits", page_bits).with("index_bits", index_bits);
        let geometry = Self {
            page_bits,
            index_bits,
            levels: u8::try_from(params.levels()).map_err(|_| wrong_root())?,
            input_bits: u8::try_from(params.input_bits()).map_err(|_| wrong_root())?,
            output_bits: width(&format.levels.output_bits, &env)?,
            extension: chosen(&format.levels.input, &env, format.levels.page_bits.span)?.value,
        };
        let below = i64::from(page_bits) + i64::from(index_bits) * (params.levels() - 1);
        if geometry.levels == 0 || geometry.input_bits > 64 || below > params.input_bits() {
            return Err(wrong_root());
        }
        Ok(geometry)
    }

    /// The level of the root.
    pub const fn top(&self) -> u8 {
        self.levels - 1
    }

    /// log2 of what one entry at `level` spans.
    pub const fn entry_bits(&self, level: u8) -> u8 {
        self.page_bits + self.index_bits * level
    }

    /// Index bits at `level`: the root may be narrower or wider than the rest.
    pub const fn level_index_bits(&self, level: u8) -> u8 {
        if level == self.top() { self.input_bits - self.entry_bits(level) } else { self.index_bits }
    }

    /// log2 of the size and alignment of every table but the root.
    pub const fn table_bits(&self) -> u8 {
        self.index_bits + 3
    }

    /// log2 of the size and alignment of the root as we write it: a narrow one takes as much as any table.
    pub const fn root_bits(&self) -> u8 {
        let root = self.root_entries_bits();
        if root < self.table_bits() { self.table_bits() } else { root }
    }

    /// log2 of what the entries of the root take: others may put a narrow one wherever that is aligned to this.
    pub const fn root_entries_bits(&self) -> u8 {
        self.level_index_bits(self.top()) + 3
    }

    /// Which entry of its table at `level` translates `ia`.
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

/// `page_bits` and `index_bits`, which depend on build parameters only.
pub(crate) fn below_root(format: &Format, params: &Params) -> Result<(u8, u8), Malformed> {
    let env = Env::new(params);
    let page_bits = width(&format.levels.page_bits, &env)?;
    let env = env.with("page_bits", page_bits);
    Ok((page_bits, width(&format.levels.index_bits, &env)?))
}

fn width(expr: &At<Expr>, env: &Env<'_>) -> Result<u8, Malformed> {
    let value = eval(&expr.value, env)?;
    match u8::try_from(value) {
        Ok(bits @ 1..=64) => Ok(bits),
        _ => Err(Malformed::new(format!("{value} is no width from 1 to 64"), expr.span)),
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
