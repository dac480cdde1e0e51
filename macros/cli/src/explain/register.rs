//! Explains the value of a register.

use tablewright_archdefs::bound::{Bound, Params};
use tablewright_archdefs::explain::RegisterReport;
use tablewright_archdefs::model::{Config, Role};
use tablewright_archdefs::show;

use super::entry::{Manual, value};
use super::report::title;
use crate::Console;
use crate::failure::{Failure, Outcome, Result};
use crate::format::Found;
use crate::paint::{TITLE, WARN, columns, paint};

pub(super) fn explain(found: &Found, bound: &Bound, name: &str, raw: u64, console: &mut Console<'_>) -> Result {
    let names: Vec<&str> = found.format.registers.iter().map(|register| register.name.value.as_str()).collect();
    let Some(report) = bound.explain_register(name, raw) else {
        return Err(Failure::unknown(format!("there is no register `{name}`"), name, "registers", names.into_iter()));
    };
    let report = report.map_err(|malformed| found.malformed(&malformed))?;
    let register = found.format.registers.iter().find(|register| register.name.value == name);
    let doc = register.and_then(|register| register.doc.as_ref()).map_or_else(String::new, |doc| format!(": {doc}"));
    title(found, bound, console)?;
    writeln!(console.out, "{} in {}{doc}", paint(TITLE, show::hex(raw)), paint(TITLE, name))?;
    if let Some(root) = report.root {
        let table =
            format!("table of level {}, {} bytes", bound.geometry.top(), 1_u64 << bound.geometry.root_entries_bits());
        writeln!(console.out, "  root  {}  ({table})", show::hex(root))?;
    }
    if let Some(tag) = report.tag {
        writeln!(console.out, "  tag   {tag}")?;
    }
    write!(console.out, "{}", fields(&report))?;
    if report.others != 0 {
        let bits = show::named_bits(report.others);
        let remark = if report.role == Role::Bits { "also set, and not ours" } else { "set, and of no field" };
        writeln!(console.out, "  {}: {bits}", paint(WARN, remark))?;
    }
    if !report.agrees() {
        writeln!(console.out, "  {}", paint(WARN, other_params(found, bound, name, raw)))?;
    }
    let mut manual = Manual::default();
    manual.number(register.and_then(|register| register.cite.as_deref()));
    write!(console.out, "{}", manual.list())?;
    Ok(Outcome::Yes)
}

fn fields(report: &RegisterReport) -> String {
    let rows = report.parts.iter().map(|part| {
        let width = part.bits.count_ones();
        let verdict = match part.expected {
            _ if part.agrees() => format!("= {}", part.formula),
            Some(expected) => {
                paint(WARN, format!("with these parameters {}", value(expected, width)))
                    + &format!(" = {}", part.formula)
            }
            None => paint(WARN, format!("{} does not fit", part.formula)),
        };
        [show::bits(part.bits), part.name.clone(), value(part.value, width), verdict]
    });
    columns(&rows.collect::<Vec<_>>())
}

/// The parameters that give a register this value, as options of the command line.
fn other_params(found: &Found, bound: &Bound, name: &str, raw: u64) -> String {
    let format = &found.format;
    let fits = |params: &Params| {
        let report = Bound::new(format, params).ok().and_then(|bound| bound.explain_register(name, raw));
        report.is_some_and(|report| report.is_ok_and(|report| report.agrees()))
    };
    let of_config = |config: &Config| Params::of_config(format, config).is_ok_and(|params| fits(&params));
    let configs = format.configs.iter().filter(|config| of_config(config));
    let of_size = |size: &(i64, i64)| {
        bound.params.with(format, &[("levels", size.0), ("input_bits", size.1)]).is_ok_and(|params| fits(&params))
    };
    let sizes = bound.params.sizes(format).unwrap_or_default().into_iter().filter(of_size);
    let sizes = sizes.map(|(levels, input_bits)| format!("`--set levels={levels},input_bits={input_bits}`"));
    let options: Vec<_> = sizes.chain(configs.map(|config| format!("`--config {}`", config.id.value))).collect();
    match options.as_slice() {
        [] => "no configuration of the file gives this value: try other parameters with `--set`".into(),
        options => format!("it fits {}", options.join(", ")),
    }
}
