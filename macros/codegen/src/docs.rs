//! Documentation of generated items: a table of bits for each kind of entry, with the manual's sections.

use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{BitMap, ByteOrder, Choices, Class, Field, FixClass, Format, Meaning, Rows};
use tablewright_archdefs::show;
use tablewright_archdefs::words::Word;

use crate::members::{self, Shape};
use crate::scope::{Scope, is};
use crate::text;

/// The documentation of a format's module.
pub(crate) fn module(format: &Format, title: &str) -> Vec<String> {
    let mut docs = vec![
        format!(" {}.", text::plain(title)),
        String::new(),
        format!(" {}.", text::plain(&format.cite)),
        String::new(),
        " Start at [`Config`], make a [`Format`] of it, and give that to the page table.".into(),
    ];
    let bits = format.word.bits();
    if bits < 64 {
        docs.extend([String::new(), format!(" An entry has {bits} bits.")]);
    }
    if format.word.order == ByteOrder::Big {
        let stored = " Entries are big-endian in memory, where what `to_be` makes of their bits stands.";
        docs.extend([String::new(), stored.into()]);
    }
    docs
}

/// A table of the bits of a kind of entry, from the highest down.
pub(crate) fn bit_table(scope: &Scope<'_>, class: Class) -> Vec<String> {
    let shape = if class == Class::Table { Shape::Table } else { Shape::Leaf };
    let mut rows = Vec::new();
    for (when, field) in members::fields(scope, shape) {
        let cite = &text::plain(field.cite.as_deref().unwrap_or_default());
        let meaning = cell(&meaning(field), condition(scope, &when));
        rows.push((
            highest(scope, class, &field.bits),
            row(&[&text::bits(scope, &field.bits), &format!("`{}`", field.name.value), &meaning, cite]),
        ));
    }
    for fix in &scope.format.fixes {
        let when = members::has_fix(scope, shape, fix);
        if !is(&when, 0) {
            let cite = &text::plain(fix.cite.as_deref().unwrap_or_default());
            let meaning = cell(&fix_meaning(scope, &fix.is), condition(scope, &when));
            rows.push((
                highest(scope, class, &fix.bits),
                row(&[&text::bits(scope, &fix.bits), &format!("`{}`", fix.id.value), &meaning, cite]),
            ));
        }
    }
    rows.sort_by_key(|(highest, _)| std::cmp::Reverse(*highest));
    let header = [" | bits | name | meaning | manual |".into(), " |---|---|---|---|".into()];
    header.into_iter().chain(rows.into_iter().map(|(_, row)| row)).collect()
}

/// A row of a table.
pub(crate) fn row(cells: &[&str]) -> String {
    // A vertical bar would end the cell.
    format!(" | {} |", cells.join(" | ").replace("||", "or"))
}

fn cell(meaning: &str, condition: Option<String>) -> String {
    match condition {
        Some(condition) => format!("{meaning}, if `{condition}`"),
        None => meaning.into(),
    }
}

/// A condition as text, `None` if it always holds.
pub(crate) fn condition(scope: &Scope<'_>, when: &Expr) -> Option<String> {
    let when = scope.fold(when);
    (!is(&when, 1)).then(|| when.to_string())
}

/// The highest bit of a field when every parameter has its default. Rows are sorted by it.
fn highest(scope: &Scope<'_>, class: Class, bits: &Choices<BitMap>) -> i128 {
    let mut scope = scope.clone();
    for param in &scope.format.params {
        scope = scope.with(&param.name.value, param.default.into());
    }
    // For a page, these are known.
    if class != Class::Page {
        scope = scope.with("level", 1).with("leaf_bits", 20);
    }
    let choices = scope.choices(bits);
    let segment = choices.first().and_then(|(_, map)| map.segments.first());
    segment.and_then(|segment| scope.constant(&segment.high)).unwrap_or(0)
}

/// What a field means, in a few words.
pub(crate) fn meaning(field: &Field) -> String {
    let what = match &field.meaning {
        Meaning::Output => "output address".into(),
        Meaning::Table => "address of the next table".into(),
        Meaning::NextLevel(_) => "level of the next table".into(),
        Meaning::Software => "free for software".into(),
        Meaning::Fixed(_) => "always written alike".into(),
        Meaning::Memory(Rows { through: Some(register), .. }) => {
            format!("which byte of `{}` says the memory type", register.value)
        }
        Meaning::Rights(_) | Meaning::Memory(_) | Meaning::Option(..) => {
            let words = words(field);
            let width = words.iter().map(|(value, _)| format!("{value:#b}").len()).max().unwrap_or(0);
            let words = words.into_iter().map(|(value, word)| format!("{value:#0width$b} {word}"));
            words.collect::<Vec<_>>().join(", ")
        }
    };
    match &field.doc {
        Some(doc) => format!("{}: {what}", text::plain(doc)),
        None => what,
    }
}

/// The values of a field and the words for them.
pub(crate) fn words(field: &Field) -> Vec<(u64, String)> {
    fn rows<T>(rows: &Rows<T>, word: impl Fn(&T) -> String) -> Vec<(u64, String)> {
        rows.rows.iter().map(|row| (row.value, word(&row.meaning))).collect()
    }
    match &field.meaning {
        Meaning::Rights(values) => rows(values, |facts| show::facts(*facts)),
        // The meaning of a value depends on the register.
        Meaning::Memory(Rows { through: Some(_), .. }) => Vec::new(),
        Meaning::Memory(values) => rows(values, |memory| memory.word().into()),
        Meaning::Option(values, _) => rows(values, Clone::clone),
        _ => Vec::new(),
    }
}

fn fix_meaning(scope: &Scope<'_>, classes: &Choices<FixClass>) -> String {
    let items = scope.choices(classes).into_iter().map(|(when, class)| {
        let word = show::fix(*class);
        match when {
            Some(when) => format!("{word} if `{}`", when),
            None => word.into(),
        }
    });
    items.collect::<Vec<_>>().join(", else ")
}
