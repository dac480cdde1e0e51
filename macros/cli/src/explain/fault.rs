//! Explains a fault report.

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::model::FaultAccess;
use tablewright_archdefs::show;
use tablewright_archdefs::words::Word;

use super::entry::Manual;
use crate::Console;
use crate::failure::{Failure, Outcome, Result};
use crate::format::Found;
use crate::paint::{FAINT, TITLE, WARN, columns, paint};

pub(super) fn explain(found: &Found, bound: &Bound, report: &[u64], console: &mut Console<'_>) -> Result {
    let Some(fault) = &found.format.fault else {
        return Err(
            Failure::new("this format does not say how faults are reported").help("it has no `[fault]` section")
        );
    };
    let names: Vec<&str> = fault.registers.iter().map(|register| register.name.value.as_str()).collect();
    if names.len() != report.len() {
        let message = format!("a report has {} values, and there are {}", names.len(), report.len());
        return Err(Failure::new(message).help(format!("in this order: {}", names.join(" "))));
    }
    writeln!(console.out, "{}", paint(TITLE, found.title()))?;
    writeln!(console.out, "{}\n", paint(FAINT, bound.params.changes(&found.format)))?;
    let values = names.iter().zip(report).map(|(name, value)| [(*name).into(), show::hex(*value), paint(FAINT, value)]);
    write!(console.out, "{}", columns(&values.collect::<Vec<_>>()))?;
    let Some(info) = bound.fault(report) else {
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
    let level = match info.level {
        Some(level) => match bound.level(level) {
            Some(here) => format!("{level} ({} in the manual)", here.label),
            None => format!("{level}, which these parameters do not have"),
        },
        None => "not reported".into(),
    };
    let width = info.width.map_or("not reported".into(), |width| format!("{width} bytes"));
    let walk =
        if info.guest_walk { "met while the guest's own tables were walked" } else { "met by the access itself" };
    let rows = [
        ["address".into(), address],
        ["access".into(), access.into()],
        ["cause".into(), info.cause.word().into()],
        ["level".into(), level],
        ["width".into(), width],
        ["where".into(), walk.into()],
    ];
    write!(console.out, "\n{}", columns(&rows))?;
    let mut manual = Manual::default();
    manual.number(fault.cite.as_deref());
    write!(console.out, "{}", manual.list())?;
    Ok(Outcome::Yes)
}
