//! Explains a queue's command that reports completion.

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::model::{Completion, Signal};
use tablewright_archdefs::show;
use tablewright_archdefs::words::Word;

use super::entry::Manual;
use super::report;
use crate::Console;
use crate::failure::{Failure, Outcome, Result};
use crate::format::Found;
use crate::paint::{FAINT, WARN, columns, paint};

pub(super) fn explain(found: &Found, bound: &Bound, words: &[u64], console: &mut Console<'_>) -> Result {
    let known: Vec<&Completion> = bound.completions().collect();
    let Some(longest) = known.iter().map(|completion| completion.command.len()).max() else {
        return Err(Failure::new("this format has no command that tells of completion with these parameters")
            .help("it has no `[[completion]]`, or none whose condition holds"));
    };
    let names: Vec<String> = (0..longest).map(|index| format!("word{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    report::count("a command", &names, words)?;
    report::begin(found, bound, &names, words, console)?;
    let Some(report) = bound.explain_completion(words) else {
        writeln!(console.out, "\n{}; these are:", paint(WARN, "no command that tells of completion"))?;
        let form = |completion: &&Completion| {
            let words = completion.command.iter().map(|word| format!("`{}`", found.sources.text(word.span)));
            [completion.id.value.clone(), words.collect::<Vec<_>>().join(", ")]
        };
        write!(console.out, "{}", columns(&known.iter().map(form).collect::<Vec<_>>()))?;
        return Ok(Outcome::No);
    };
    let completion = report.completion;
    let mut rows = vec![
        ["command".into(), completion.id.value.clone(), paint(FAINT, completion.doc.as_deref().unwrap_or_default())],
        ["signal".into(), completion.signal.word().into(), paint(FAINT, tells(completion.signal))],
    ];
    if let Some((address, data)) = report.record {
        rows.push(["address".into(), show::hex(address), String::new()]);
        rows.push(["data".into(), show::hex(data), paint(FAINT, data)]);
    }
    write!(console.out, "\n{}", columns(&rows))?;
    let mut manual = Manual::default();
    manual.number(completion.cite.as_deref());
    write!(console.out, "{}", manual.list())?;
    Ok(Outcome::Yes)
}

fn tells(signal: Signal) -> &'static str {
    match signal {
        Signal::Write => "once all commands before it are complete, the device writes the data at the address",
        Signal::Interrupt => "once all commands before it are complete, the device interrupts",
        Signal::Consumed => "the head of the queue passes it once all commands before it are complete",
    }
}
