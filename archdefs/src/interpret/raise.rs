//! Makes the report of a fault that software meets while it walks tables.

use super::access::with_values;
use super::{Decoded, register_fields};
use crate::bound::Bound;
use crate::eval::holds;
use crate::model::Facts;

/// A fault that software met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// The input address.
    pub address: u64,
    /// The rights that the access needs.
    pub access: Facts,
    /// Why it is not allowed.
    pub why: Why,
    /// The level of the entry that stops it.
    pub level: u8,
    /// That entry; 0 if none was read.
    pub entry: u64,
    /// The rights that leaf and tables together grant, if there is a leaf.
    pub granted: Facts,
}

/// Why an access is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The address is not an input address of the tables.
    Input,
    /// Nothing is mapped there.
    NotMapped,
    /// The entry is reserved.
    Reserved,
    /// A state is missing that hardware does not set.
    NotMarked,
    /// A right is missing.
    Denied,
}

impl Bound {
    /// Why the entry `raw` at `level` stops an access that needs the right `access`; `None` if it lets it pass. The
    /// tables on the way grant the rights `tables`; `controls` are as for [`Bound::raise`].
    pub fn stops(&self, level: u8, raw: u64, tables: Facts, access: Facts, controls: &[u64]) -> Option<Why> {
        let leaf = match self.decode(level, raw) {
            Decoded::Invalid => return Some(Why::NotMapped),
            Decoded::Reserved(_) => return Some(Why::Reserved),
            Decoded::Table(_) => return None,
            Decoded::Leaf(leaf) => leaf,
        };
        let states = self.level(level)?.leaf_shape(raw).map_or(Facts::empty(), |(_, shape)| shape.speaks());
        let is_missing = |state| !self.hardware && (states - leaf.facts).contains(state);
        // Hardware that reports access flag faults reports them before permission faults.
        if is_missing(Facts::ACCESSED) {
            return Some(Why::NotMarked);
        }
        if !self.permits(level, raw, leaf.facts & Facts::RIGHTS & tables, access, controls) {
            return Some(Why::Denied);
        }
        let writes = access.intersects(Facts::PW | Facts::UW);
        (writes && is_missing(Facts::DIRTY)).then_some(Why::NotMarked)
    }

    /// The report of a fault: the values of `[fault] registers`, in their order. `controls` are those of `[access]
    /// registers`, likewise; missing ones count as 0. `None` if hardware makes no such report, or the format does not
    /// describe it.
    pub fn raise(&self, met: &Met, controls: &[u64]) -> Option<Vec<u64>> {
        let (raise, fault) = (self.raise.as_ref()?, self.fault.as_ref()?);
        self.level(met.level)?;
        let any = |rights: Facts| met.access.intersects(rights);
        let leaf = if matches!(met.why, Why::NotMarked | Why::Denied) { met.entry } else { 0 };
        let env = self
            .with_leaf(met.level, leaf, met.granted, &raise.fields)
            .with("address", met.address)
            .with("level", met.level)
            .with("entry", met.entry)
            .with("read", any(Facts::PR | Facts::UR))
            .with("write", any(Facts::PW | Facts::UW))
            .with("execute", any(Facts::PX | Facts::UX))
            .with("user", any(Facts::UR | Facts::UW | Facts::UX))
            .with("input", met.why == Why::Input)
            .with("not_mapped", met.why == Why::NotMapped)
            .with("reserved", met.why == Why::Reserved)
            .with("not_marked", met.why == Why::NotMarked)
            .with("denied", met.why == Why::Denied);
        let known = self.access.as_ref().map_or(&[][..], |access| &access.registers);
        let env = with_values(env, known, controls);
        let value = |name: &str| {
            let register = raise.registers.iter().find(|register| register.name.value == name)?;
            if !holds(register.when.as_ref(), &env).ok()? {
                return None;
            }
            let fields = register_fields(&register.fields, &env).ok()?;
            Some(fields.iter().fold(0, |value, field| value | field.bits.insert(field.value as u64)))
        };
        fault.registers.iter().map(|register| value(&register.name.value)).collect()
    }
}
