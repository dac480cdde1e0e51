//! Whether an access is allowed.

use crate::bound::{Bound, kind};
use crate::eval::{Env, eval};
use crate::model::{Facts, Reading};
use crate::words::Word;

impl Bound {
    /// Whether accesses that need the rights `access` are allowed through the leaf `raw` at `level`, where leaf and
    /// tables together grant `granted`. `registers` are the values of `[access] registers`, in their order; missing
    /// ones count as 0.
    pub fn permits(&self, level: u8, raw: u64, granted: Facts, access: Facts, registers: &[u64]) -> bool {
        let needed = (access & Facts::RIGHTS).iter();
        needed.into_iter().all(|right| self.permits_one(level, raw, granted, right, registers))
    }

    fn permits_one(&self, level: u8, raw: u64, granted: Facts, right: Facts, registers: &[u64]) -> bool {
        let Some(access) = &self.access else { return granted.contains(right) };
        let one_of = |rights: Facts| i128::from(rights.contains(right));
        let env = self
            .with_leaf(level, raw, granted, &access.fields)
            .with("granted", granted.contains(right))
            .with("user", one_of(Facts::UR | Facts::UW | Facts::UX))
            .with("read", one_of(Facts::PR | Facts::UR))
            .with("write", one_of(Facts::PW | Facts::UW))
            .with("execute", one_of(Facts::PX | Facts::UX));
        let env = with_values(env, &access.registers, registers);
        let choice = kind::first(&access.allowed, &env).ok().flatten();
        choice.is_some_and(|choice| eval(&choice.value, &env).is_ok_and(|allowed| allowed != 0))
    }

    /// The names known to expressions about the leaf `raw`: those known at every level, the rights in `granted`, and
    /// `fields`.
    pub(super) fn with_leaf<'a>(&'a self, level: u8, raw: u64, granted: Facts, fields: &'a [String]) -> Env<'a> {
        let rights =
            Facts::WORDS.iter().filter(|(_, fact)| fact.bits().count_ones() == 1 && Facts::RIGHTS.contains(*fact));
        let env = rights.fold(self.env(), |env, (word, one)| env.with(word, granted.contains(*one)));
        let leaf = self.level(level).and_then(|level| level.leaf_shape(raw));
        fields.iter().fold(env, |env, name| {
            let mut fields = leaf.iter().flat_map(|(_, shape)| &shape.fields);
            let field = fields.find(|field| *field.name == **name);
            env.with(name, field.map_or(0, |field| field.bits.extract(raw)))
        })
    }
}

/// Adds the values of registers, in their order; missing ones count as 0.
pub(super) fn with_values<'a>(env: Env<'a>, registers: &'a [Reading], values: &[u64]) -> Env<'a> {
    let values = values.iter().copied().chain(std::iter::repeat(0));
    registers.iter().zip(values).fold(env, |env, (register, value)| env.with(&register.name.value, value))
}
