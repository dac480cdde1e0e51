//! A shape: which field or fix owns each bit of one kind of entry, at one level, for an entry alone or an item of a
//! run.

use std::sync::Arc;

use super::geometry::low_bits;
use super::kind::{self, BoundKind, BoundTest, chosen};
use super::levels::Place;
use super::{Bits, Malformed};
use crate::eval::{Env, eval, holds};
use crate::model::{Class, Facts, Field, Fix, FixClass, Format, Meaning, MemoryType, Other, Row, Rows};
use crate::source::Span;

/// The layout of one kind of entry.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Table, page or block.
    pub class: Class,
    /// Its fields, in the order of the file.
    pub fields: Vec<BoundField>,
    /// Every other bit, in the order of the file.
    pub fixes: Vec<BoundFix>,
    /// The tests that tell items of a run from other leaves: of an item its run's `mark`, of any other leaf every
    /// run's `single`.
    pub marks: Vec<BoundTest>,
    /// The tests of the `[[kind]]` rows that make an entry this.
    pub tested: Vec<BoundTest>,
    /// The bits that the encoder writes in every such entry: marks, fixed bits and fields, and tested bits without
    /// another owner.
    pub constant: u64,
}

/// A field of a shape.
#[derive(Clone, Debug)]
pub struct BoundField {
    /// Its name.
    pub name: Arc<str>,
    /// Its bits.
    pub bits: Bits,
    /// What it means.
    pub meaning: BoundMeaning,
    /// Its name's place.
    pub span: Span,
    /// The place of the bit map that holds here.
    pub choice: Span,
}

/// What a field means here.
#[derive(Clone, Debug)]
pub enum BoundMeaning {
    /// Where a leaf maps to.
    Output,
    /// Where the next table is.
    Table,
    /// The level of the next table, plus this.
    NextLevel(i64),
    /// Rights and states: the rows, and every right and state that some row states.
    Rights(BoundRows<Facts>, Facts),
    /// The memory type.
    Memory(BoundRows<MemoryType>),
    /// Named values, and the one that is written by default.
    Option(BoundRows<Arc<str>>, u64),
    /// Free for software.
    Software,
    /// A value that is always written, and the place of the choice that gives it.
    Fixed(u64, Span),
}

/// The value rows of a field that exist here.
#[derive(Clone, Debug)]
pub struct BoundRows<T> {
    /// The rows, in order of preference for writing.
    pub rows: Vec<BoundRow<T>>,
    /// What a value without a row is.
    pub other: Other,
}

/// A value row.
#[derive(Clone, Debug)]
pub struct BoundRow<T> {
    /// The field's value.
    pub value: u64,
    /// What it means.
    pub meaning: T,
    /// Whether it is understood but never written.
    pub decode_only: bool,
    /// Where it stands.
    pub span: Span,
}

impl<T> BoundRows<T> {
    /// Of a field of `width` bits.
    fn bind<S>(rows: &Rows<S>, width: u8, env: &Env<'_>, meaning: impl Fn(&S) -> T) -> Result<Self, Malformed> {
        let register = match &rows.through {
            Some(register) if width > 3 => {
                return Err(Malformed::new(
                    format!("{width} bits pick more than the eight bytes of this"),
                    register.span,
                ));
            }
            Some(register) => Some(eval(&register.value, env)?),
            None => None,
        };
        let mut bound = Vec::new();
        for Row { value, meaning: word, decode_only, when, span } in &rows.rows {
            if holds(when.as_ref(), env)? {
                let row = |value| BoundRow { value, meaning: meaning(word), decode_only: *decode_only, span: *span };
                match register {
                    None => bound.push(row(*value)),
                    Some(register) => bound.extend(bytes(register, width, *value).map(row)),
                }
            }
        }
        let named = || (0..1 << width.min(3)).all(|value| bound.iter().any(|row| row.value == value));
        let other = if register.is_some() && !named() { Other::Unnamed } else { rows.other };
        Ok(Self { rows: bound, other })
    }

    /// The row of a value.
    pub fn get(&self, value: u64) -> Option<&BoundRow<T>> {
        self.rows.iter().find(|row| row.value == value)
    }

    /// The rows that an encoder may choose.
    pub fn writable(&self) -> impl Iterator<Item = &BoundRow<T>> {
        self.rows.iter().filter(|row| !row.decode_only)
    }

    /// Whether the value makes an entry reserved.
    pub fn forbids(&self, value: u64) -> bool {
        self.other == Other::Reserved && self.get(value).is_none()
    }
}

/// The values of a field of `width` bits that select a byte of `register` for which `wanted` holds.
fn bytes(register: i128, width: u8, wanted: u64) -> impl Iterator<Item = u64> {
    (0..1 << width).filter(move |index| register >> (8 * index) & 0xff == i128::from(wanted))
}

/// Bits owned by a row of `[[fix]]`.
#[derive(Clone, Debug)]
pub struct BoundFix {
    /// Its id.
    pub id: Arc<str>,
    /// The bits.
    pub mask: u64,
    /// What they are.
    pub is: FixClass,
    /// Its id's place.
    pub span: Span,
    /// The place of the bit map that holds here.
    pub choice: Span,
    /// The place of the class that holds here.
    pub is_choice: Span,
}

impl BoundFix {
    /// Whether hardware refuses `raw` because of these bits.
    pub fn forbids(&self, raw: u64) -> bool {
        match self.is {
            FixClass::MustBeZero => raw & self.mask != 0,
            FixClass::MustBeOne => raw & self.mask != self.mask,
            _ => false,
        }
    }

    const fn written(&self) -> u64 {
        match self.is {
            FixClass::MustBeOne | FixClass::WriteOne => self.mask,
            _ => 0,
        }
    }
}

impl Shape {
    /// Binds the fields and fixes of `class` at `place`; `env` knows `level`, `leaf_bits` and `run_bits`. What cannot
    /// be evaluated is added to `problems` and left out.
    pub(super) fn bind(
        format: &Format,
        class: Class,
        place: &Place<'_>,
        env: &Env<'_>,
        kinds: &[BoundKind],
        marks: Vec<BoundTest>,
        problems: &mut Vec<Malformed>,
    ) -> Self {
        let mut fields = Vec::new();
        for field in &format.fields {
            if field.classes.contains(&class) && place.is_in(&field.level) {
                match BoundField::bind(field, env) {
                    Ok(bound) => fields.extend(bound),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        let mut fixes = Vec::new();
        for fix in &format.fixes {
            if fix.classes.contains(&class) && place.is_in(&fix.level) {
                match BoundFix::bind(fix, env) {
                    Ok(bound) => fixes.extend(bound),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        let rows = kinds.iter().filter(|row| class.is_made_by(row.is));
        let tested = rows.filter_map(|row| row.tests.clone()).flatten().collect();
        let mut shape = Self { class, fields, fixes, marks, tested, constant: 0 };
        shape.constant = shape.constant();
        shape
    }

    fn constant(&self) -> u64 {
        let fixed = self.fields.iter().filter_map(|field| match field.meaning {
            BoundMeaning::Fixed(value, _) => Some(field.bits.insert(value)),
            _ => None,
        });
        let fixes = self.fixes.iter().map(BoundFix::written);
        let marks = self.marks.iter().filter_map(BoundTest::written);
        let owned = self.owned();
        let tested = self.tested.iter().filter_map(BoundTest::written).map(|bits| bits & !owned);
        fixed.chain(fixes).chain(marks).chain(tested).fold(0, |constant, bits| constant | bits)
    }

    /// The bits that a field, a fix or a mark owns.
    pub fn owned(&self) -> u64 {
        let fields = self.fields.iter().fold(0, |mask, field| mask | field.bits.mask());
        let fixes = self.fixes.iter().fold(0, |mask, fix| mask | fix.mask);
        fields | fixes | kind::tested_bits(&self.marks)
    }

    /// The bits in which a caller's options are chosen: those of option fields, and all that are free for software.
    pub fn option_bits(&self) -> u64 {
        let chosen = |field: &&BoundField| matches!(field.meaning, BoundMeaning::Option(..) | BoundMeaning::Software);
        let options = self.fields.iter().filter(chosen).map(|field| field.bits.mask());
        let free = self.fixes.iter().filter(|fix| fix.is == FixClass::Software).map(|fix| fix.mask);
        options.chain(free).fold(0, |mask, bits| mask | bits)
    }

    /// The rights and states that some field of it states.
    pub fn speaks(&self) -> Facts {
        let spoken = self.fields.iter().filter_map(|field| match field.meaning {
            BoundMeaning::Rights(_, speaks) => Some(speaks),
            _ => None,
        });
        spoken.fold(Facts::empty(), Facts::union)
    }

    /// The option bits where the caller asks for nothing.
    pub fn default_options(&self) -> u64 {
        let defaults = self.fields.iter().map(|field| match field.meaning {
            BoundMeaning::Option(_, default) => field.bits.insert(default),
            _ => 0,
        });
        defaults.fold(0, |bits, default| bits | default)
    }
}

impl Class {
    /// Whether entries that match a row of `[[kind]]` with this `is` may be of this class.
    pub fn is_made_by(self, is: crate::model::Is) -> bool {
        use crate::model::Is;
        match self {
            Self::Invalid => is == Is::Invalid,
            Self::Table => is == Is::Table,
            Self::Page | Self::Block => is == Is::Leaf,
            Self::Reserved => is == Is::Reserved,
        }
    }
}

impl BoundField {
    fn bind(field: &Field, env: &Env<'_>) -> Result<Option<Self>, Malformed> {
        if !holds(field.when.as_ref(), env)? {
            return Ok(None);
        }
        let choice = chosen(&field.bits, env, field.name.span)?;
        let bits = match field.meaning {
            Meaning::Output | Meaning::Table => Bits::address(&choice.value, env)?,
            _ => Bits::number(&choice.value, env)?,
        };
        let meaning = match &field.meaning {
            Meaning::Output => BoundMeaning::Output,
            Meaning::Table => BoundMeaning::Table,
            Meaning::NextLevel(plus) => BoundMeaning::NextLevel(*plus),
            Meaning::Rights(rows) => {
                let rows = BoundRows::bind(rows, bits.width(), env, |facts| *facts)?;
                let speaks = rows.rows.iter().fold(Facts::empty(), |all, row| all | row.meaning);
                BoundMeaning::Rights(rows, speaks)
            }
            Meaning::Memory(rows) => BoundMeaning::Memory(BoundRows::bind(rows, bits.width(), env, |memory| *memory)?),
            Meaning::Option(rows, default) => {
                BoundMeaning::Option(BoundRows::bind(rows, bits.width(), env, |name| name.as_str().into())?, *default)
            }
            Meaning::Software => BoundMeaning::Software,
            Meaning::Fixed(choices) => {
                let choice = chosen(choices, env, field.name.span)?;
                let value = eval(&choice.value, env)?;
                let fit = u64::try_from(value).ok().filter(|value| low_bits(*value, bits.width()) == *value);
                let misfit = || Malformed::new(format!("{value} does not fit {} bits", bits.width()), choice.span);
                BoundMeaning::Fixed(fit.ok_or_else(misfit)?, choice.span)
            }
        };
        Ok(Some(Self {
            name: field.name.value.as_str().into(),
            bits,
            meaning,
            span: field.name.span,
            choice: choice.span,
        }))
    }

    /// Whether this field's value makes `raw` reserved.
    pub fn forbids(&self, raw: u64) -> bool {
        let value = self.bits.extract(raw);
        match &self.meaning {
            BoundMeaning::Rights(rows, _) => rows.forbids(value),
            BoundMeaning::Memory(rows) => rows.forbids(value),
            BoundMeaning::Option(rows, _) => rows.forbids(value),
            _ => false,
        }
    }
}

impl BoundFix {
    fn bind(fix: &Fix, env: &Env<'_>) -> Result<Option<Self>, Malformed> {
        if !holds(fix.when.as_ref(), env)? {
            return Ok(None);
        }
        let choice = chosen(&fix.bits, env, fix.id.span)?;
        let is = chosen(&fix.is, env, fix.id.span)?;
        Ok(Some(Self {
            id: fix.id.value.as_str().into(),
            mask: Bits::number(&choice.value, env)?.mask(),
            is: is.value,
            span: fix.id.span,
            choice: choice.span,
            is_choice: is.span,
        }))
    }
}
