//! What a file may say that no code can be generated for.

use tablewright_archdefs::source::Span;

/// A reason why no code can be generated, and the place in the file that it lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Where.
    pub span: Span,
    /// Why.
    pub message: String,
}

impl Error {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }
}
