//! Code under conditions, as a person would write it: no test of a condition that is decided, and no two branches with
//! the same code side by side.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::quote;
use tablewright_archdefs::expr::{Expr, Node, Op};
use tablewright_archdefs::model::Choices;

use crate::scope::{Scope, Type, is, join, not, same};

impl Scope<'_> {
    /// The items whose conditions may hold, in order, with their conditions; the last one's is `None` if it always
    /// holds.
    pub(crate) fn choices<'c, T>(&self, choices: &'c Choices<T>) -> Vec<(Option<Expr>, &'c T)> {
        let mut items = Vec::new();
        for choice in &choices.0 {
            match choice.when.as_ref().map(|when| self.fold(when)) {
                None => {
                    items.push((None, &choice.value));
                    break;
                }
                Some(when) if is(&when, 0) => {}
                Some(when) if is(&when, 1) => {
                    items.push((None, &choice.value));
                    break;
                }
                Some(when) => items.push((Some(when), &choice.value)),
            }
        }
        items
    }

    /// `if a { x } else if b { y } else { z }` over a choice list; `otherwise` where no item holds.
    pub(crate) fn choose<T>(
        &self,
        choices: &Choices<T>,
        otherwise: TokenStream,
        mut value: impl FnMut(&T) -> TokenStream,
    ) -> TokenStream {
        let items = self.choices(choices).into_iter().map(|(when, item)| (when, value(item)));
        self.branch(items.collect(), otherwise)
    }

    /// The same, for items that are code already.
    fn branch(&self, items: Vec<(Option<Expr>, TokenStream)>, otherwise: TokenStream) -> TokenStream {
        let mut branches: Vec<(Option<Expr>, TokenStream)> = Vec::new();
        for (when, item) in items {
            match (branches.last_mut(), when) {
                // Neighbours with the same code become one branch.
                (Some((Some(before), last)), Some(when)) if last.to_string() == item.to_string() => {
                    *before = join(Op::OrElse, before.clone(), when);
                }
                (_, when) => branches.push((when, item)),
            }
        }
        let mut code = None;
        for (when, item) in branches.into_iter().rev() {
            let same = |code: &TokenStream| code.to_string() == item.to_string();
            code = Some(match when {
                Some(_) if same(code.as_ref().unwrap_or(&otherwise)) => item,
                None => item,
                Some(when) => self.if_else(&when, item, code.unwrap_or_else(|| otherwise.clone())),
            });
        }
        code.unwrap_or(otherwise)
    }

    /// `if when { statements }`, or the statements alone where `when` always holds; nothing where it never does.
    pub(crate) fn guarded(&self, when: &Expr, statements: TokenStream) -> TokenStream {
        self.if_else(when, statements, TokenStream::new())
    }

    /// Statements under conditions, in order; neighbours under the same condition, or opposite ones, share an `if`.
    pub(crate) fn guarded_all(&self, items: Vec<(Expr, TokenStream)>) -> TokenStream {
        let mut code = TokenStream::new();
        let mut items = items.into_iter().filter(|(_, statements)| !statements.is_empty()).peekable();
        while let Some((when, mut then)) = items.next() {
            while let Some((_, more)) = items.next_if(|(other, _)| same(other, &when)) {
                then.extend(more);
            }
            let otherwise = match items.peek() {
                Some((other, _)) if same(other, &not(when.clone())) => items.next().map(|(_, code)| code),
                _ => None,
            };
            code.extend(self.if_else(&when, then, otherwise.unwrap_or_default()));
        }
        code
    }

    /// `if when { then } else { otherwise }`, with the positive condition first. If one branch is always taken, it
    /// stands alone; an `if` in `otherwise` becomes an `else if`.
    pub(crate) fn if_else(&self, when: &Expr, then: TokenStream, otherwise: TokenStream) -> TokenStream {
        let when = self.fold(when);
        if is(&when, 1) {
            return then;
        }
        if is(&when, 0) {
            return otherwise;
        }
        if let (Node::Not(positive), false) = (&when.node, otherwise.is_empty() || is_if(&otherwise)) {
            return self.if_else(positive, otherwise, then);
        }
        let when = self.emit(&when, Type::Bool);
        let otherwise = not_again(&when, otherwise);
        if otherwise.is_empty() {
            quote!(if #when { #then })
        } else if is_if(&otherwise) {
            quote!(if #when { #then } else #otherwise)
        } else {
            quote!(if #when { #then } else { #otherwise })
        }
    }
}

/// Simplifies `code` where `when` is false: if it is an `if` with the same condition, only what follows its `else`
/// remains.
fn not_again(when: &TokenStream, code: TokenStream) -> TokenStream {
    if !is_if(&code) {
        return code;
    }
    let mut tokens = code.clone().into_iter().skip(1);
    let condition: TokenStream = tokens.by_ref().take_while(|token| !is_block(token)).collect();
    if condition.to_string() != when.to_string() {
        return code;
    }
    match (tokens.next(), tokens.next()) {
        (Some(_), Some(TokenTree::Group(block))) => block.stream(),
        (Some(_), Some(word)) => [word].into_iter().chain(tokens).collect(),
        _ => TokenStream::new(),
    }
}

fn is_block(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

/// Whether the code is a single `if` with its branches.
fn is_if(code: &TokenStream) -> bool {
    let mut tokens = code.clone().into_iter();
    matches!(tokens.next(), Some(TokenTree::Ident(word)) if word == "if") && branches_end(tokens)
}

/// Whether nothing follows the last branch of an `if` whose condition comes next.
fn branches_end(mut tokens: impl Iterator<Item = TokenTree>) -> bool {
    if !tokens.any(|token| is_block(&token)) {
        return false;
    }
    match (tokens.next(), tokens.next()) {
        (None, _) => true,
        (Some(TokenTree::Ident(word)), Some(TokenTree::Group(_))) if word == "else" => tokens.next().is_none(),
        (Some(TokenTree::Ident(word)), Some(TokenTree::Ident(next))) if word == "else" && next == "if" => {
            branches_end(&mut tokens as &mut dyn Iterator<Item = TokenTree>)
        }
        _ => false,
    }
}
