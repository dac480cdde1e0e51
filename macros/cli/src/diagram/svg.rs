//! Rows of bits as a picture.

use std::fmt::Write;

use super::Row;

/// The width of a bit.
const BIT: usize = 22;
/// The width of a letter.
const LETTER: usize = 7;
/// The space around everything.
const MARGIN: usize = 16;
/// The height of a line of text.
const LINE: usize = 18;

const STYLE: &str = "text { font: 12px sans-serif; fill: #222 } .title { font-weight: bold; font-size: 14px } \
    .bit { font-size: 10px; fill: #666 } .label { text-anchor: middle; dominant-baseline: central } \
    rect { stroke: #444; stroke-width: 1 } .page { fill: #fff; stroke: none } \
    .field { fill: #cfe3ff } .fixed { fill: #e4e4e4 } .free { fill: #fff } .kind { fill: #ffe4b8 }";

/// Draws the rows one below the other. Labels too long for their bits are turned.
pub(super) fn drawing(title: &str, params: &str, rows: &[Row]) -> String {
    let mut body = String::new();
    let mut y = MARGIN + LINE;
    let _ = writeln!(body, "<text class=\"title\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escape(title));
    y += LINE;
    let _ = writeln!(body, "<text x=\"{MARGIN}\" y=\"{y}\">{}</text>", escape(params));
    for row in rows {
        y += 2 * LINE;
        let _ = writeln!(body, "<text class=\"title\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escape(&row.title));
        y += LINE;
        y += draw(row, y, &mut body);
    }
    let (width, height) = (64 * BIT + 2 * MARGIN, y + MARGIN);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\">\n<style>{STYLE}</style>\n<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n\
         {body}</svg>\n"
    )
}

/// Draws a row with its top at `y`; returns its height.
fn draw(row: &Row, y: usize, body: &mut String) -> usize {
    let turned = |label: &str, bits: usize| label.chars().count() * LETTER > bits * BIT;
    let bits = |cell: &super::Cell| usize::from(cell.high - cell.low) + 1;
    let longest =
        row.cells.iter().filter(|cell| turned(&cell.label, bits(cell))).map(|cell| cell.label.chars().count());
    let height = longest.max().map_or(LINE + 12, |longest| longest * LETTER + 12);
    for cell in &row.cells {
        let x = MARGIN + (63 - usize::from(cell.high)) * BIT;
        let width = bits(cell) * BIT;
        let (right, above) = (x + width, y - 4);
        let _ = writeln!(body, "<text class=\"bit\" x=\"{}\" y=\"{above}\">{}</text>", x + 2, cell.high);
        if cell.high != cell.low {
            let anchor = right - 2;
            let _ = writeln!(
                body,
                "<text class=\"bit\" text-anchor=\"end\" x=\"{anchor}\" y=\"{above}\">{}</text>",
                cell.low
            );
        }
        let _ = writeln!(
            body,
            "<g><title>{}</title><rect class=\"{}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>",
            escape(&cell.remark),
            cell.role,
        );
        let (middle, centre) = (x + width / 2, y + height / 2);
        let turn = if turned(&cell.label, bits(cell)) {
            format!(" transform=\"rotate(-90 {middle} {centre})\"")
        } else {
            String::new()
        };
        let _ = writeln!(
            body,
            "<text class=\"label\" x=\"{middle}\" y=\"{centre}\"{turn}>{}</text></g>",
            escape(&cell.label)
        );
    }
    height
}

fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML cannot represent these characters.
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
        escaped
    })
}
