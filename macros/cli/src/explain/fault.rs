//! Explains a fault report.

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::model::FaultAccess;
use tablewright_archdefs::show;
use tablewright_archdefs::words::Word;

use super::entry::Manual;
use super::report;
use crate::Console;
use crate::failure::{Failure, Outcome, Result};
use crate::format::Found;
use crate::paint::{WARN, columns, paint};

pub(super) fn explain(found: &Found, bound: &Bound, values: &[u64], console: &mut Console<'_>) -> Result {
    let Some(fault) = &found.format.fault else {
        return Err(
            Failure::new("this format does not say how faults are reported").help("it has no `[fault]` section")
        );
    };
    let names: Vec<&str> = fault.registers.iter().map(|register| register.name.value.as_str()).collect();
    report::count("a report", &names, values)?;
    report::begin(found, bound, &names, values, console)?;
    let Some(info) = bound.fault(values) else {
        let condition = found.sources.text(fault.when.span);
        writeln!(console.out, "\n{}: `{condition}` does not hold", paint(WARN, "not a fault of this translation"))?;
        writeln!(console.out, "  (numbers are read as hexadecimal: 48 is written 0x30)")?;
        return Ok(Outcome::No);
    };
    let address = match info.address {
        Some(address) => show::hex(address),
        None => "not reported: resolve the guest's virtual address".into(),
    };
    let access = if info.access == FaultAccess::None { "not reported" } else { info.access.word() };
    let width = info.width.map_or("not reported".into(), |width| format!("{width} bytes"));
    let rows = [
        ["address".into(), address],
        ["access".into(), access.into()],
        ["cause".into(), info.cause.word().into()],
        ["level".into(), report::level(bound, info.level)],
        ["width".into(), width],
        ["where".into(), report::place(info.guest_walk, "the guest's own tables")],
    ];
    write!(console.out, "\n{}", columns(&rows))?;
    let mut manual = Manual::default();
    manual.number(fault.cite.as_deref());
    write!(console.out, "{}", manual.list())?;
    Ok(Outcome::Yes)
}
