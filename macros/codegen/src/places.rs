//! Where the parts of a layout are kept: as a constant if nothing changes a part, in `Common` if only parameters do,
//! and in the `Layout` of each level if it differs between levels.

use std::collections::BTreeMap;

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{format_ident, quote};

use crate::locals::{mentions, varies_by_level};

/// Where a part of a layout is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// In a constant of `Layout`.
    Constant,
    /// In `Common`.
    Common,
    /// In `Layout`.
    Level,
}

/// The places of all parts of a layout, by their names.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<String, Place>);

impl Places {
    /// Finds a place for a part with the code `code`; `changed` says whether statements complete it.
    pub(crate) fn add(&mut self, name: &Ident, code: &TokenStream, changed: bool) {
        // A part computed from others is kept no earlier than these are known.
        let of_others = self.of(code);
        let place = if varies_by_level(code) {
            Place::Level
        } else if changed || mentions(code, "config") {
            Place::Common
        } else {
            Place::Constant
        };
        self.0.insert(name.to_string(), place.max(of_others));
    }

    /// Where a part is.
    pub(crate) fn place(&self, name: &Ident) -> Place {
        self.0.get(&name.to_string()).copied().unwrap_or(Place::Level)
    }

    /// Whether any part is kept there.
    pub(crate) fn any(&self, place: Place) -> bool {
        self.0.values().any(|other| *other == place)
    }

    /// The first place at which all parts of `layout` that `code` reads are known.
    fn of(&self, code: &TokenStream) -> Place {
        let mut place = Place::Constant;
        self.replace(code.clone(), &mut |found, _| {
            place = place.max(found);
            None
        });
        place
    }

    /// `code`, which reads all parts from `layout`, changed to read each from its place.
    pub(crate) fn resolve(&self, code: TokenStream) -> TokenStream {
        self.replace(code, &mut |place, name| match place {
            Place::Constant => {
                let name = constant(name);
                Some(quote!(Layout::#name))
            }
            Place::Common => Some(quote!(common.#name)),
            Place::Level => None,
        })
    }

    /// `code` with each `layout.name` of a known part replaced by what `by` returns, if it returns anything.
    fn replace(&self, code: TokenStream, by: &mut dyn FnMut(Place, &Ident) -> Option<TokenStream>) -> TokenStream {
        let mut tokens = code.into_iter().peekable();
        let mut replaced = TokenStream::new();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) => {
                    let mut inner = Group::new(group.delimiter(), self.replace(group.stream(), by));
                    inner.set_span(group.span());
                    replaced.extend([TokenTree::Group(inner)]);
                }
                TokenTree::Ident(layout) if layout == "layout" && tokens.peek().is_some_and(is_dot) => {
                    let dot = tokens.next();
                    let name = tokens.next();
                    let known = match &name {
                        Some(TokenTree::Ident(name)) => self.0.get(&name.to_string()).map(|place| (*place, name)),
                        _ => None,
                    };
                    match known.and_then(|(place, name)| by(place, name)) {
                        Some(code) => replaced.extend(code),
                        None => replaced.extend([Some(TokenTree::Ident(layout)), dot, name].into_iter().flatten()),
                    }
                }
                token => replaced.extend([token]),
            }
        }
        replaced
    }
}

/// The constant for a part.
pub(crate) fn constant(name: &Ident) -> Ident {
    format_ident!("{}", name.to_string().to_uppercase())
}

fn is_dot(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == '.')
}
