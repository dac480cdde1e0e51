//! What the value of a key looks like.

use super::Key;
use std::fmt;

/// What the value of a key looks like.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Free text.
    Text,
    /// A name in Rust.
    Name,
    /// The id of a row.
    Id,
    /// The name or id of something else in the file; the text says of what.
    Reference(&'static str),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// A literal number.
    Number,
    /// A literal number, or a truth value.
    NumberOrTruth,
    /// An expression with a number as its value.
    Expression,
    /// An expression that is true or false.
    Condition,
    /// The number of a level.
    Level,
    /// A set of levels.
    LevelSet,
    /// A set of numbers.
    Set,
    /// Page sizes.
    Sizes,
    /// Bits of an entry.
    BitMap,
    /// Tests on an entry.
    Match,
    /// Rights and states.
    Facts,
    /// Values of parameters.
    Assignments,
    /// A unit of machine code.
    Code,
    /// A short syntax of its own, shown as a pattern.
    Syntax(&'static str),
    /// `"form [if condition]"`.
    Guarded(&'static Self),
    /// One, or a list of them.
    Many(&'static Self),
    /// A choice list.
    Choices(&'static Self),
    /// Value rows whose meaning has this form.
    ValueRows(&'static Self),
    /// A table with these keys: `[key]`.
    Table(&'static [Key]),
    /// Tables with names that the file chooses: `[key.name]`.
    Named(&'static [Key]),
    /// Rows: `[[key]]`.
    Rows(&'static [Key]),
}

impl Form {
    /// The keys of the table or tables, if it is one.
    #[must_use]
    pub const fn keys(self) -> &'static [Key] {
        match self {
            Self::Table(keys) | Self::Named(keys) | Self::Rows(keys) => keys,
            _ => &[],
        }
    }
}

/// The form in the words of `README.md`, as Markdown.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Name => "name",
            Self::Id => "id",
            Self::Reference(what) => return write!(f, "name of {what}"),
            Self::Flag => "`true` or `false`",
            Self::Word(words) => {
                let words: Vec<String> = words().iter().map(|word| format!("`{word}`")).collect();
                return f.write_str(&words.join(", "));
            }
            Self::Number | Self::Expression => "number",
            Self::NumberOrTruth => "number or truth value",
            Self::Condition => "condition",
            Self::Level => "level",
            Self::LevelSet => "level set",
            Self::Set => "set",
            Self::Sizes => "page sizes, ascending",
            Self::BitMap => "bit map",
            Self::Match => "match",
            Self::Facts => "rights and states",
            Self::Assignments => "assignments",
            Self::Code => "unit of machine code",
            Self::Syntax(syntax) => return write!(f, "`\"{syntax}\"`"),
            Self::Guarded(form) => return write!(f, "{form} `[if condition]`"),
            Self::Many(form) => return write!(f, "one or many: {form}"),
            Self::Choices(form) => return write!(f, "choices of {form}"),
            Self::ValueRows(form) => return write!(f, "value rows of {form}"),
            Self::Table(_) => "table",
            Self::Named(_) => "named tables",
            Self::Rows(_) => "rows",
        })
    }
}
