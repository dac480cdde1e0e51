//! Fields of registers do not overlap, each has one place, and their values fit. No bit of the root's address or of a
//! tag is lost.

use super::Checker;
use super::projection::Projection;
use crate::bound::{Bits, Geometry, Params, low_bits, whole_env};
use crate::diagnostics::Diagnostic;
use crate::eval::{eval, names};
use crate::expr::Expr;
use crate::interpret::{BoundRegisterField, register_fields};
use crate::model::{BitMap, RaisedRegister, Register, RegisterField, Role, Segment};
use crate::show;
use crate::source::Span;
use crate::visit::Part;

pub(super) fn check(checker: &mut Checker<'_>) {
    let format = checker.format;
    format.registers.iter().for_each(|register| one_place(checker, &register.name.value, &register.fields));
    let raised = || format.raise.iter().flat_map(|raise| &raise.registers);
    raised().for_each(|register| one_place(checker, &register.name.value, &register.fields));
    for params in &Projection::of_parts(format, |part| matches!(part, Part::Register | Part::Geometry)).cases(checker) {
        if let Ok(geometry) = Geometry::new(format, params) {
            raised().for_each(|register| apart(checker, params, &geometry, register));
            let of_root =
                format.registers.iter().flat_map(|register| self::register(checker, params, &geometry, register));
            let of_root: Vec<&Expr> = of_root.collect();
            root_is_held(checker, params, &geometry, &of_root);
            tag_is_held(checker, params, &geometry);
        }
    }
}

/// A code has the same bits in every row of its field. Addresses and tags may be placed according to their width.
fn one_place(checker: &mut Checker<'_>, register: &str, fields: &[RegisterField]) {
    let rows: Vec<&RegisterField> = fields.iter().filter(|field| is_code(field)).collect();
    for (index, row) in rows.iter().enumerate() {
        let first = rows[..index].iter().find(|first| first.name == row.name);
        if let Some(first) = first.filter(|first| bits(&first.bits) != bits(&row.bits)) {
            let message = format!("`{}` of `{register}` has two places", row.name);
            let label = |row: &RegisterField| format!("bits {} here", bits(&row.bits));
            let diagnostic = Diagnostic::new(message, row.span, label(row)).and(first.span, label(first));
            checker.findings.add(diagnostic.help("another field has another name"));
        }
    }
}

/// Fields of a report with different names do not overlap.
fn apart(checker: &mut Checker<'_>, params: &Params, geometry: &Geometry, register: &RaisedRegister) {
    let env = whole_env(params, geometry);
    let masks: Result<Vec<u64>, _> =
        register.fields.iter().map(|field| Bits::number(&field.bits, &env).map(|bits| bits.mask())).collect();
    let masks = match masks {
        Ok(masks) => masks,
        Err(problem) => return checker.malformed(params, &problem),
    };
    for (index, (field, mask)) in register.fields.iter().zip(&masks).enumerate() {
        let mut before = register.fields.iter().zip(&masks).take(index);
        let met = before.find(|(other, bits)| other.name != field.name && *bits & mask != 0);
        if let Some((other, bits)) = met {
            checker.findings.under(params, "report overlap", &[other.span, field.span], || {
                two_owners(&register.name.value, bits & mask, (&other.name, other.span), (&field.name, field.span))
            });
        }
    }
}

/// Two fields of a register own the same bits.
fn two_owners(register: &str, mask: u64, first: (&str, Span), second: (&str, Span)) -> Diagnostic {
    let message = format!("two owners for {} of `{register}`", show::named_bits(mask));
    let label = |name: &str| format!("`{name}`");
    Diagnostic::new(message, second.1, label(second.0)).and(first.1, label(first.0))
}

fn is_code(field: &RegisterField) -> bool {
    !has_name(&field.value, "root") && !has_name(&field.value, "tag")
}

pub(super) fn has_name(value: &Expr, wanted: &str) -> bool {
    let mut found = false;
    names(value, &mut |name, _| found |= name == wanted);
    found
}

/// The bits as text.
fn bits(map: &BitMap) -> String {
    let segment = |segment: &Segment| match &segment.from {
        None => format!("{}:{}", segment.high, segment.low),
        Some((high, low)) => format!("{}:{} <- {high}:{low}", segment.high, segment.low),
    };
    map.segments.iter().map(segment).collect::<Vec<_>>().join(", ")
}

/// Checks a register's fields. The value of a root field grows with the root's address, so if the highest fits, all do.
/// Returns the values that depend on the root.
fn register<'a>(
    checker: &mut Checker<'a>,
    params: &Params,
    geometry: &Geometry,
    register: &'a Register,
) -> Vec<&'a Expr> {
    let root = geometry.last_output() & !low_bits(u64::MAX, geometry.root_bits());
    let env = whole_env(params, geometry).with("root", root).with("tag", 0);
    let fields = match register_fields(&register.fields, &env) {
        Ok(fields) => fields,
        Err(problem) => {
            checker.malformed(params, &problem);
            return Vec::new();
        }
    };
    // The values with the root elsewhere show which depend on it.
    let elsewhere = register_fields(&register.fields, &env.clone().with("root", 0)).unwrap_or_default();
    let at_zero = |field: &BoundRegisterField| elsewhere.iter().find(|other| other.span == field.span);
    let of_root = |field: &BoundRegisterField| at_zero(field).is_some_and(|other| other.value != field.value);
    let mut owned = 0;
    for field in &fields {
        checker.used.insert(field.span);
        if field.placed().is_none() {
            // In a narrow register, only the root's address may be too large.
            match register.narrow {
                Some(narrow) if of_root(field) && at_zero(field).is_some_and(|field| field.placed().is_some()) => {
                    checker.used.insert(narrow);
                }
                _ => too_wide(checker, params, field, of_root(field).then_some(root)),
            }
        }
        let mask = field.bits.mask();
        let met = fields.iter().find(|other| owned & other.bits.mask() & mask != 0);
        if let Some(other) = met.filter(|_| owned & mask != 0) {
            checker.findings.under(params, "register overlap", &[other.span, field.span], || {
                let both = other.bits.mask() & mask;
                two_owners(&register.name.value, both, (&other.name, other.span), (&field.name, field.span))
            });
        }
        owned |= mask;
    }
    let spans: Vec<Span> = fields.iter().filter(|field| of_root(field)).map(|field| field.span).collect();
    register.fields.iter().filter(|field| spans.contains(&field.span)).map(|field| &field.value).collect()
}

/// Reports a value that does not fit its field; `root` is the root table's address, if the value depends on it.
fn too_wide(checker: &mut Checker<'_>, params: &Params, field: &BoundRegisterField, root: Option<u64>) {
    checker.findings.under(params, "register value", &[field.span], || {
        let value = if field.value < 0 { field.value.to_string() } else { format!("{:#x}", field.value) };
        let bits = show::named_bits(field.bits.mask());
        let message = format!("{value} of `{}` does not fit {bits}", field.name);
        match root {
            None => Diagnostic::new(message, field.span, ""),
            Some(root) => Diagnostic::new(message, field.span, format!("with the root table at {root:#x}"))
                .help("if the register cannot hold every address, `narrow = true` says so: higher roots are refused"),
        }
    });
}

/// Every bit of the root's address changes the value of some field: a bit in no register would be lost. (A value that
/// does not fit its field is refused elsewhere.)
fn root_is_held(checker: &mut Checker<'_>, params: &Params, geometry: &Geometry, of_root: &[&Expr]) {
    let Some(holder) = checker.format.registers.iter().find(|register| register.role == Role::Root) else { return };
    let env = whole_env(params, geometry).with("tag", 0);
    let values = |root: u64| {
        let env = env.clone().with("root", root);
        of_root.iter().map(|value| eval(value, &env).ok()).collect::<Vec<_>>()
    };
    let of_zero = values(0);
    if let Some(bit) = (geometry.root_bits()..geometry.output_bits).find(|bit| values(1 << bit) == of_zero) {
        checker.findings.under(params, "register root", &[holder.name.span], || {
            let message = format!("bit {bit} of the root table's address is in no register");
            Diagnostic::new(message, holder.name.span, "this register holds the address")
        });
    }
}

/// In a format with tags, every bit of the tag changes the value of some field: two tags with the same registers would
/// share translations. (A tag that does not fit its field is refused at run time.)
fn tag_is_held(checker: &mut Checker<'_>, params: &Params, geometry: &Geometry) {
    let registers = &checker.format.registers;
    let env = whole_env(params, geometry).with("root", 0);
    let values = |tag: u64| {
        let env = env.clone().with("tag", tag);
        let fields = registers.iter().flat_map(|register| register_fields(&register.fields, &env).unwrap_or_default());
        fields.map(|field| (field.span, field.value)).collect::<Vec<_>>()
    };
    let of_zero = values(0);
    let mut fields = registers.iter().flat_map(|register| &register.fields);
    let is_there = |field: &RegisterField| of_zero.iter().any(|(span, _)| *span == field.span);
    let Some(holder) = fields.find(|field| has_name(&field.value, "tag") && is_there(field)) else { return };
    if let Some(bit) = (0..u32::BITS).find(|bit| values(1 << bit) == of_zero) {
        checker.findings.under(params, "register tag", &[holder.span], || {
            let message = format!("bit {bit} of the tag is in no register");
            Diagnostic::new(message, holder.span, "this field holds the tag")
                .help("give the field the whole `tag`: one that does not fit is refused")
        });
    }
}
