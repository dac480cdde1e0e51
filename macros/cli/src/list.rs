//! `tablewright list`.

use tablewright_archdefs::model::{Bind, ByteOrder, Domain, Param};
use tablewright_archdefs::words::Word;
use tablewright_archdefs::{BUILTINS, Summary, show};

use crate::Console;
use crate::failure::{Outcome, Result};
use crate::format::Found;
use crate::paint::{FAINT, TITLE, columns, paint};

/// List formats with their parameters, page sizes, and widths of addresses
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tablewright list                 every built-in format
  tablewright list stage2_4k       one of them
  tablewright list arch/mine.toml  one of your own")]
pub(crate) struct Args {
    /// Only these: built-in formats or builds, or paths of TOML files
    #[arg(value_name = "FORMAT")]
    formats: Vec<String>,
}

pub(crate) fn run(args: &Args, console: &mut Console<'_>) -> Result {
    let names: Vec<&str> = match args.formats.as_slice() {
        [] => BUILTINS.iter().map(|(name, _)| *name).collect(),
        formats => formats.iter().map(String::as_str).collect(),
    };
    for (index, name) in names.into_iter().enumerate() {
        let found = Found::noting(name, console)?;
        if index > 0 {
            writeln!(console.out)?;
        }
        format(&found, console)?;
    }
    Ok(Outcome::Yes)
}

fn format(found: &Found, console: &mut Console<'_>) -> Result<()> {
    let format = &found.format;
    let name = found.build().map_or(&format.name.value, |build| &build.name.value);
    writeln!(console.out, "{}  {}", paint(TITLE, name), found.title())?;
    let summary = Summary::new(format, found.build());
    let set = |numbers: &std::collections::BTreeSet<i64>| show::set(&numbers.iter().copied().collect::<Vec<_>>());
    let output = summary.output_bits.map_or_else(String::new, |(least, most)| match least == most {
        true => format!("{least} bits"),
        false => format!("{least} to {most} bits"),
    });
    let sizes: Vec<_> = summary.page_sizes.iter().map(|size| show::size(*size)).collect();
    let extensions: Vec<_> = format.levels.input.0.iter().map(|choice| choice.value.word()).collect();
    let ids: Vec<_> = found.configs().map(|config| config.id.value.as_str()).collect();
    let builds: Vec<_> = format.builds.iter().map(|build| build.name.value.as_str()).collect();
    let width = if format.word.bits() < 64 { ", entries of 32 bits" } else { "" };
    let order = if format.word.order == ByteOrder::Big { ", big-endian" } else { "" };
    let mut facts = vec![
        ["architecture".into(), format!("{}, stage {}{width}{order}", format.architecture, format.stage)],
        ["levels".into(), set(&summary.levels)],
        ["input".into(), format!("{} bits, {}", set(&summary.input_bits), extensions.join(" or "))],
        ["output".into(), output],
        ["pages".into(), sizes.join(" ")],
        ["configs".into(), ids.join(", ")],
    ];
    if found.build().is_none() && !builds.is_empty() {
        facts.insert(0, ["builds".into(), builds.join(", ")]);
    }
    let rows: Vec<_> = facts.into_iter().map(|[what, text]| [paint(FAINT, what), text]).collect();
    write!(console.out, "{}", columns(&rows))?;
    let is_free = |param: &&Param| found.build().is_none() || param.bind != Bind::Build;
    let params: Vec<_> = format.params.iter().filter(is_free).map(param).collect();
    if !params.is_empty() {
        writeln!(console.out, "  {}", paint(FAINT, "parameters, their values and defaults"))?;
        write!(console.out, "{}", columns(&params))?;
    }
    Ok(())
}

fn param(param: &Param) -> [String; 4] {
    let (values, default) = match &param.domain {
        Domain::Bool => (String::new(), (param.default != 0).to_string()),
        Domain::Int(values) => (show::set(values), param.default.to_string()),
        Domain::Word => ("64 bits".into(), show::hex(param.default.cast_unsigned())),
    };
    let when = param.when.as_ref().map_or_else(String::new, |when| format!(" (needs {when})"));
    let bind = if param.bind == Bind::Build { " (one module for each)" } else { "" };
    [format!("  {}", param.name.value), values, default, format!("{}{when}{bind}", param.doc)]
}
