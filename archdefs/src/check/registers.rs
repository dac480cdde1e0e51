//! Fields of registers do not meet, each is at one place, and their values fit.

use super::Checker;
use super::projection::Projection;
use crate::bound::{Geometry, Params, low_bits, whole_env};
use crate::diagnostics::Diagnostic;
use crate::eval::names;
use crate::interpret::{BoundRegisterField, register_fields};
use crate::model::{BitMap, Register, RegisterField, Segment};
use crate::show;
use crate::visit::Part;

pub(super) fn check(checker: &mut Checker<'_>) {
    let format = checker.format;
    format.registers.iter().for_each(|register| one_place(checker, register));
    for params in &Projection::of_parts(format, |part| matches!(part, Part::Register | Part::Geometry)).cases(checker) {
        if let Ok(geometry) = Geometry::new(format, params) {
            for register in &format.registers {
                self::register(checker, params, &geometry, register);
            }
        }
    }
}

/// A code has the same bits in every row of its field. Addresses and tags may be spread as their width asks for.
fn one_place(checker: &mut Checker<'_>, register: &Register) {
    let rows: Vec<&RegisterField> = register.fields.iter().filter(|field| is_code(field)).collect();
    for (index, row) in rows.iter().enumerate() {
        let first = rows[..index].iter().find(|first| first.name == row.name);
        if let Some(first) = first.filter(|first| bits(&first.bits) != bits(&row.bits)) {
            let message = format!("`{}` of `{}` has two places", row.name, register.name.value);
            let label = |row: &RegisterField| format!("bits {} here", bits(&row.bits));
            let diagnostic = Diagnostic::new(message, row.span, label(row)).and(first.span, label(first));
            checker.findings.add(diagnostic.help("another field has another name"));
        }
    }
}

fn is_code(field: &RegisterField) -> bool {
    let mut is_code = true;
    names(&field.value, &mut |name, _| is_code &= !matches!(name, "root" | "tag"));
    is_code
}

/// The bits as text.
fn bits(map: &BitMap) -> String {
    let segment = |segment: &Segment| match &segment.from {
        None => format!("{}:{}", segment.high, segment.low),
        Some((high, low)) => format!("{}:{} <- {high}:{low}", segment.high, segment.low),
    };
    map.segments.iter().map(segment).collect::<Vec<_>>().join(", ")
}

/// The value of a root field grows with the root, so that the highest one shows whether all fit.
fn register(checker: &mut Checker<'_>, params: &Params, geometry: &Geometry, register: &Register) {
    let root = geometry.last_output() & !low_bits(u64::MAX, geometry.root_bits());
    let env = whole_env(params, geometry).with("root", root).with("tag", 0);
    let fields = match register_fields(register, &env) {
        Ok(fields) => fields,
        Err(problem) => return checker.malformed(params, &problem),
    };
    // Only some values depend on where the root is.
    let elsewhere = register_fields(register, &env.clone().with("root", 0)).unwrap_or_default();
    let of_root = |field: &BoundRegisterField| {
        elsewhere.iter().any(|other| other.span == field.span && other.value != field.value)
    };
    let mut owned = 0;
    for field in &fields {
        checker.used.insert(field.span);
        if field.placed().is_none() {
            checker.findings.under(params, "register value", &[field.span], || {
                let value = if field.value < 0 { field.value.to_string() } else { format!("{:#x}", field.value) };
                let message =
                    format!("{value} of `{}` does not fit {}", field.name, show::named_bits(field.bits.mask()));
                let label = if of_root(field) { format!("with the root table at {root:#x}") } else { String::new() };
                Diagnostic::new(message, field.span, label)
            });
        }
        let mask = field.bits.mask();
        let met = fields.iter().find(|other| owned & other.bits.mask() & mask != 0);
        if let Some(other) = met.filter(|_| owned & mask != 0) {
            checker.findings.under(params, "register overlap", &[other.span, field.span], || {
                let bits = show::named_bits(other.bits.mask() & mask);
                let message = format!("two owners for {bits} of `{}`", register.name.value);
                let label = |field: &BoundRegisterField| format!("`{}`", field.name);
                Diagnostic::new(message, field.span, label(field)).and(other.span, label(other))
            });
        }
        owned |= mask;
    }
}
