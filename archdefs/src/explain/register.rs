//! Explains a register's value: its fields, and the root table and tag in it.

use super::solve::solve;
use crate::bound::{Bound, Malformed};
use crate::eval::eval;
use crate::expr::Expr;
use crate::interpret::register_fields;
use crate::model::{Register, Role};
use crate::source::Span;

/// What a register's value says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterReport {
    /// What it is for.
    pub role: Role,
    /// Its fields, from the highest bit down.
    pub parts: Vec<RegisterPart>,
    /// The bits that are set and belong to no field.
    pub others: u64,
    /// The root table's address, if a field holds it.
    pub root: Option<u64>,
    /// The tag, if a field holds it.
    pub tag: Option<u64>,
}

/// A field of a register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterPart {
    /// Its name.
    pub name: String,
    /// Its bits.
    pub bits: u64,
    /// Its value.
    pub value: u64,
    /// The value that the parameters, the root and the tag call for; `None` if that cannot be computed.
    pub expected: Option<u64>,
    /// The expression that gives it, as the file has it.
    pub formula: String,
}

impl RegisterReport {
    /// Whether the parameters give this value with some root and some tag.
    pub fn agrees(&self) -> bool {
        (self.role == Role::Bits || self.others == 0) && self.parts.iter().all(RegisterPart::agrees)
    }
}

impl RegisterPart {
    /// Whether the value is the one that the parameters call for.
    pub fn agrees(&self) -> bool {
        self.expected == Some(self.value)
    }
}

impl Bound {
    /// What `raw` in the register `name` says; `None` if the format has no such register.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if a field cannot be evaluated under these parameters.
    pub fn explain_register(&self, name: &str, raw: u64) -> Option<Result<RegisterReport, Malformed>> {
        let register = self.registers.iter().find(|register| register.name.value == name)?;
        Some(self.register_report(register, raw))
    }

    fn register_report(&self, register: &Register, raw: u64) -> Result<RegisterReport, Malformed> {
        let nowhere = self.env().with("root", 0).with("tag", 0);
        let fields: Vec<_> = register_fields(&register.fields, &nowhere)?;
        let values: Vec<(&Expr, u64)> =
            fields.iter().filter_map(|field| Some((formula(register, field.span)?, field.bits.extract(raw)))).collect();
        let root = solve(&values, "root", &nowhere);
        let tag = solve(&values, "tag", &nowhere);
        let here = self.env().with("root", root.unwrap_or(0)).with("tag", tag.unwrap_or(0));
        let mut parts = Vec::new();
        for field in &fields {
            let Some(formula) = formula(register, field.span) else { continue };
            let expected = eval(formula, &here).ok().and_then(|value| u64::try_from(value).ok());
            parts.push(RegisterPart {
                name: field.name.clone(),
                bits: field.bits.mask(),
                value: field.bits.extract(raw),
                expected: expected.filter(|value| field.bits.holds(*value)),
                formula: formula.to_string(),
            });
        }
        parts.sort_by_key(|part| part.bits.leading_zeros());
        let owned = parts.iter().fold(0, |mask, part| mask | part.bits);
        Ok(RegisterReport { role: register.role, parts, others: raw & !owned, root, tag })
    }
}

fn formula(register: &Register, span: Span) -> Option<&Expr> {
    register.fields.iter().find(|field| field.span == span).map(|field| &field.value)
}
