//! How output looks. Colours are always written; the stream drops them where nobody sees them.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

/// What a section is about.
pub(crate) const TITLE: Style = Style::new().bold();
/// What is right.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What one may want to look at.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What helps.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
/// What is there for completeness.
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

/// The characters of `text` that are seen.
fn visible(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}
