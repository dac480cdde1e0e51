//! Rows of bits as text.

use super::Row;
use crate::Console;
use crate::failure::Result;
use crate::paint::{FAINT, TITLE, paint};

/// The most characters in a line.
const WIDTH: usize = 100;

pub(super) fn write(title: &str, params: &str, rows: &[Row], console: &mut Console<'_>) -> Result<()> {
    writeln!(console.out, "{}", paint(TITLE, title))?;
    writeln!(console.out, "{}", paint(FAINT, params))?;
    for row in rows {
        writeln!(console.out, "\n{}", paint(TITLE, &row.title))?;
        write!(console.out, "{}", boxes(row))?;
    }
    Ok(())
}

/// Boxes with the bits above the labels, as many side by side as fit.
fn boxes(row: &Row) -> String {
    let mut text = String::new();
    let (mut above, mut below) = (String::new(), String::from("|"));
    let mut flush = |above: &mut String, below: &mut String| {
        text.push_str(above.trim_end());
        text.push('\n');
        text.push_str(below);
        text.push('\n');
        above.clear();
        below.truncate(1);
    };
    for cell in &row.cells {
        let bits = if cell.high == cell.low { cell.high.to_string() } else { format!("{}:{}", cell.high, cell.low) };
        let width = bits.len().max(cell.label.chars().count()) + 2;
        if below.len() > 1 && below.chars().count() + width + 1 > WIDTH {
            flush(&mut above, &mut below);
        }
        above.push_str(&format!(" {bits:^width$}"));
        below.push_str(&format!("{:^width$}|", cell.label));
    }
    flush(&mut above, &mut below);
    text
}
