//! The mistakes in a file, and how they are shown.

use crate::source::{Sources, Span};
use annotate_snippets::{AnnotationKind, Element, Group, Level, Renderer, Snippet};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in one sentence.
    pub message: String,
    /// The places involved, the mistake itself first, each with a label (which may be empty).
    pub labels: Vec<(Span, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A mistake at a place.
    #[must_use]
    pub fn new(message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Self { message: message.into(), labels: vec![(span, label.into())], help: None }
    }

    /// Adds another place involved.
    #[must_use]
    pub fn and(mut self, span: Span, label: impl Into<String>) -> Self {
        self.labels.push((span, label.into()));
        self
    }

    /// Adds advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Where the mistake is.
    pub(crate) fn place(&self) -> Span {
        self.labels.first().map_or(Span::default(), |label| label.0)
    }
}

/// All mistakes found in one run: sorted by place, none twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

/// How [`Diagnostics::render`] draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Style {
    /// Text only.
    #[default]
    Plain,
    /// With a terminal's colours.
    Coloured,
}

impl Diagnostics {
    /// The mistakes, one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mistakes as text with snippets of the files, each place as `path:line:column`.
    #[must_use]
    pub fn render(&self, sources: &Sources, style: Style) -> String {
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Coloured => Renderer::styled(),
        };
        let mut text = String::new();
        for diagnostic in &self.0 {
            text.push_str(&renderer.render(&[group(diagnostic, sources)]));
            text.push_str("\n\n");
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl From<Vec<Diagnostic>> for Diagnostics {
    fn from(mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by(|a, b| (a.place(), &a.message).cmp(&(b.place(), &b.message)));
        diagnostics.dedup_by(|a, b| a.place() == b.place() && a.message == b.message);
        Self(diagnostics)
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One snippet for each file that has a label, in the order of the labels.
fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let mut group = Group::with_title(Level::ERROR.primary_title(&*diagnostic.message));
    let mut done = Vec::new();
    for (span, _) in &diagnostic.labels {
        let Some(file) = sources.file(*span).filter(|_| !done.contains(&span.file)) else { continue };
        done.push(span.file);
        let annotations = diagnostic.labels.iter().enumerate().filter(|(_, (other, _))| other.file == span.file).map(
            |(index, (span, label))| {
                let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                let annotation = kind.span(within(*span, &file.text));
                if label.is_empty() { annotation } else { annotation.label(&**label) }
            },
        );
        group = group.element(Snippet::source(&*file.text).path(&*file.path).annotations(annotations));
    }
    match &diagnostic.help {
        Some(help) => group.element(Element::Message(Level::HELP.message(&**help))),
        None => group,
    }
}

/// The span as a range that surely lies in the text, on the boundaries of characters.
fn within(span: Span, text: &str) -> std::ops::Range<usize> {
    let start = text.floor_char_boundary(span.start as usize);
    let end = text.ceil_char_boundary(span.end as usize);
    start..end.max(start)
}
