//! The registers that activate a root table.

use super::Refused;
use crate::bound::{Bits, Bound, Malformed};
use crate::eval::{Env, eval, holds, names};
use crate::model::{RegisterField, Role};
use crate::source::Span;

/// A register's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterValue {
    /// The register.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The value.
    pub value: u64,
}

impl Bound {
    /// The values of all registers for the tables under `root`, with the tag that their translations carry.
    ///
    /// # Errors
    ///
    /// [`Refused::Address`] if the root is too wide or not aligned, [`Refused::Tag`] if the tag is too wide.
    pub fn registers(&self, root: u64, tag: u64) -> Result<Vec<RegisterValue>, Refused> {
        self.fits(root, self.geometry.root_bits())?;
        let env = self.env().with("root", root).with("tag", tag);
        let mut values = Vec::new();
        for register in &self.registers {
            // In a format that the checker has passed, every register can be evaluated.
            let fields = register_fields(&register.fields, &env).unwrap_or_default();
            let mut value = 0;
            for field in fields {
                value |= field.placed().ok_or(if field.of_tag { Refused::Tag(tag) } else { Refused::Address(root) })?;
            }
            values.push(RegisterValue { name: register.name.value.clone(), role: register.role, value });
        }
        Ok(values)
    }
}

/// The fields of a register whose conditions hold; of several with one name, the first. `env` has the names that they
/// use.
pub(crate) fn register_fields(fields: &[RegisterField], env: &Env<'_>) -> Result<Vec<BoundRegisterField>, Malformed> {
    let mut bound: Vec<BoundRegisterField> = Vec::new();
    for field in fields {
        if bound.iter().all(|known| known.name != field.name) && holds(field.when.as_ref(), env)? {
            bound.push(BoundRegisterField::bind(field, env)?);
        }
    }
    Ok(bound)
}

/// A field of a register, bound.
pub(crate) struct BoundRegisterField {
    pub(crate) name: String,
    pub(crate) bits: Bits,
    pub(crate) value: i128,
    pub(crate) of_tag: bool,
    pub(crate) span: Span,
}

impl BoundRegisterField {
    fn bind(field: &RegisterField, env: &Env<'_>) -> Result<Self, Malformed> {
        let mut of_tag = false;
        names(&field.value, &mut |name, _| of_tag |= name == "tag");
        Ok(Self {
            name: field.name.clone(),
            bits: Bits::number(&field.bits, env)?,
            value: eval(&field.value, env)?,
            of_tag,
            span: field.span,
        })
    }

    /// The value in its place, if it fits.
    pub(crate) fn placed(&self) -> Option<u64> {
        let value = u64::try_from(self.value).ok()?;
        self.bits.holds(value).then(|| self.bits.insert(value))
    }
}
