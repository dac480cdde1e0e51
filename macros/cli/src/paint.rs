//! The styles of output. Colours are always written; the stream removes them where they are not wanted.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

/// Titles.
pub(crate) const TITLE: Style = Style::new().bold();
/// What is as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What may need a look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// Advice.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
/// What is of less interest.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// `text` in `style`.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Rows as lines with aligned columns, indented by two.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| visible(&row[column])).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(widths) {
            let padding = width - visible(cell);
            if width > 0 {
                let _ = write!(line, " {cell}{:padding$} ", "");
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The number of visible characters in `text`.
fn visible(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}
