//! Files, and places in them.

/// A place in a file: byte offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Which file, as an index into the list of files read.
    pub file: u16,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The part of this place from byte `start` to byte `end`, counted from its first byte.
    #[must_use]
    pub fn part(self, start: usize, end: usize) -> Self {
        let offset = |bytes: usize| self.start.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        Self { file: self.file, start: offset(start), end: offset(end) }
    }
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path, as messages show it.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Whether it is one of this package's own formats, found without a file system.
    pub built_in: bool,
}

/// A place for people; line and column count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file's path.
    pub path: &'a str,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The files read for one format: its own first, then those it extends.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<File>,
}

impl Sources {
    /// Adds a file and returns the number that spans refer to it by.
    pub fn add(&mut self, file: File) -> u16 {
        self.files.push(file);
        u16::try_from(self.files.len() - 1).unwrap_or(u16::MAX)
    }

    /// All files, in the order they were read.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The file that a span lies in.
    #[must_use]
    pub fn file(&self, span: Span) -> Option<&File> {
        self.files.get(usize::from(span.file))
    }

    /// The text of a span; empty where the span does not fit its file.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.file(span).and_then(|file| file.text.get(span.start as usize..span.end as usize)).unwrap_or_default()
    }

    /// Where a span begins, by path, line and column.
    #[must_use]
    pub fn place(&self, span: Span) -> Option<Place<'_>> {
        let file = self.file(span)?;
        let before = file.text.get(..span.start as usize)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Some(Place {
            path: &file.path,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        })
    }
}
