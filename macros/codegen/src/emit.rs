//! Expressions as Rust code: types, conversions between them, and parentheses where they are needed.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use tablewright_archdefs::expr::{Expr, Node, Op};
use tablewright_archdefs::model::Domain;

use crate::scope::{Known, Scope, same};

/// Rust types of generated expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Type {
    /// `bool`.
    Bool,
    /// `u8`: counts of bits and levels.
    Byte,
    /// `i64`: intermediate values that may be negative.
    Signed,
    /// `u64`: register values and addresses.
    Word,
}

impl Type {
    /// The type in Rust.
    pub(crate) fn name(self) -> TokenStream {
        match self {
            Self::Bool => quote!(bool),
            Self::Byte => quote!(u8),
            Self::Signed => quote!(i64),
            Self::Word => quote!(u64),
        }
    }
}

impl Scope<'_> {
    /// Rust for `expr` as a value of type `want`.
    pub(crate) fn emit(&self, expr: &Expr, want: Type) -> TokenStream {
        let expr = self.fold(expr);
        self.convert(&expr, want, false)
    }

    /// As [`Scope::emit`], in parentheses if an operator beside it would bind tighter.
    pub(crate) fn emit_operand(&self, expr: &Expr, want: Type) -> TokenStream {
        let expr = self.fold(expr);
        self.convert(&expr, want, true)
    }

    /// As [`Scope::emit`] of a condition, for use beside `&&`.
    pub(crate) fn emit_conjunct(&self, expr: &Expr) -> TokenStream {
        let code = self.emit(expr, Type::Bool);
        parenthesize(code, matches!(self.fold(expr).node, Node::Binary(Op::OrElse, ..)))
    }

    fn convert(&self, expr: &Expr, want: Type, operand: bool) -> TokenStream {
        if let Node::Int(value) = expr.node {
            return match want {
                Type::Bool if value == 0 => quote!(false),
                Type::Bool => quote!(true),
                _ => crate::literal::number(value),
            };
        }
        let have = self.type_of(expr);
        let code = self.raw(expr, have);
        match (have, want) {
            _ if have == want => parenthesize(code, operand && compound(expr)),
            (_, Type::Bool) => parenthesize(quote!(#code != 0), operand),
            (_, want) => {
                let code = parenthesize(code, compound(expr));
                let want = want.name();
                parenthesize(quote!(#code as #want), operand)
            }
        }
    }

    fn raw(&self, expr: &Expr, have: Type) -> TokenStream {
        match &expr.node {
            Node::Int(value) => crate::literal::number(*value),
            Node::Name(name) => self.name(name),
            Node::Slice(name, high, low) => {
                let register = self.name(name);
                crate::bits::extract_constant(&register, *high, *low)
            }
            Node::Not(inner) => {
                let inner = self.convert(inner, Type::Bool, true);
                quote!(!#inner)
            }
            Node::Binary(op, left, right) => {
                if let Some(contained) = self.contained(*op, left, right) {
                    return contained;
                }
                let operand = match op {
                    Op::AndAlso | Op::OrElse => Type::Bool,
                    Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge => {
                        return self.compare(*op, left, right);
                    }
                    _ => have,
                };
                let shift = matches!(op, Op::Shl | Op::Shr);
                // A register may hold any value, so arithmetic on it must not panic.
                let wrapping = match op {
                    Op::Add => "wrapping_add",
                    Op::Sub => "wrapping_sub",
                    Op::Mul => "wrapping_mul",
                    _ => "",
                };
                let fits = |(low, high): (i128, i128)| low >= 0 && high <= u64::MAX.into();
                if have == Type::Word && !wrapping.is_empty() && !self.range(expr).is_some_and(fits) {
                    let (wrapping, argument) = (ident(wrapping), |expr| self.convert(expr, operand, false));
                    let (left, right) = (argument(left), argument(right));
                    return quote!(u64::#wrapping(#left, #right));
                }
                let left = self.side(left, *op, operand, false);
                let right = self.side(right, *op, if shift { Type::Byte } else { operand }, true);
                let op = symbol(*op);
                quote!(#left #op #right)
            }
        }
    }

    /// `low <= a && a <= high` as a range that `a` matches. (`contains` of a range cannot be called in a constant
    /// function.)
    fn contained(&self, op: Op, left: &Expr, right: &Expr) -> Option<TokenStream> {
        match (op, &left.node, &right.node) {
            (Op::AndAlso, Node::Binary(Op::Ge, a, low), Node::Binary(Op::Le, b, high)) if same(a, b) => {
                let literals = matches!((&low.node, &high.node), (Node::Int(_), Node::Int(_)));
                let want = if literals { self.type_of(a) } else { Type::Word };
                let [a, low, high] = [a, low, high].map(|expr| self.convert(expr, want, false));
                Some(if literals {
                    quote!(::core::matches!(#a, #low..=#high))
                } else {
                    quote!(codec::within(#a, #low, #high))
                })
            }
            _ => None,
        }
    }

    fn compare(&self, op: Op, left: &Expr, right: &Expr) -> TokenStream {
        let (a, b) = (self.type_of(left), self.type_of(right));
        if let (Type::Bool, Node::Int(value)) = (a, &right.node) {
            let left = self.convert(left, Type::Bool, true);
            return if (op == Op::Eq) == (*value != 0) { left } else { quote!(!#left) };
        }
        let operand = a.max(b).max(Type::Byte);
        // After a cast, `<` would begin generic arguments.
        let cast = op == Op::Lt && a != operand;
        let left = self.convert(left, operand, cast);
        let right = self.convert(right, operand, false);
        let op = symbol(op);
        quote!(#left #op #right)
    }

    /// One side of a binary operator, in parentheses if it binds looser than the operator (or as tightly, on the right).
    fn side(&self, expr: &Expr, op: Op, want: Type, right: bool) -> TokenStream {
        let looser = match &expr.node {
            Node::Binary(inner, ..) if self.type_of(expr) == want => {
                let associative = *inner == op && matches!(op, Op::AndAlso | Op::OrElse | Op::Add);
                // `&&` and `||` have the same precedence in Rust as in files, so mixing them needs no parentheses.
                precedence(*inner) > precedence(op)
                    || (right && precedence(*inner) == precedence(op) && !associative)
                    || (matches!(op, Op::Shl | Op::Shr) && precedence(*inner) != precedence(op))
            }
            _ => true,
        };
        self.convert(expr, want, looser)
    }

    fn name(&self, name: &str) -> TokenStream {
        if name == "block" {
            return quote!(block_level);
        }
        let ident = ident(name);
        if self.known(name).local.is_some() {
            return quote!(#ident);
        }
        let param = self.format.params.iter().any(|param| param.name.value == name);
        if param || name == "levels" || name == "input_bits" {
            return quote!(config.#ident);
        }
        match self.registers {
            Some(place) if !matches!(name, "level" | "block" | "leaf_bits" | "run_bits") => {
                let place = format_ident!("{place}");
                quote!(#place.#ident)
            }
            _ => quote!(#ident),
        }
    }

    fn type_of(&self, expr: &Expr) -> Type {
        match &expr.node {
            Node::Int(value) if (0..256).contains(value) => Type::Byte,
            Node::Int(value) if *value < 0 => Type::Signed,
            Node::Int(_) | Node::Slice(..) => Type::Word,
            Node::Name(name) if name == "block" => Type::Bool,
            Node::Name(name) => match (self.known(name), self.format.params.iter().find(|p| p.name.value == *name)) {
                (Known { local: Some(local), .. }, _) => local,
                (_, Some(param)) if param.domain == Domain::Bool => Type::Bool,
                (known, _) => known.range.map_or(Type::Word, range_type),
            },
            Node::Not(_) => Type::Bool,
            Node::Binary(op, left, right) => match op {
                Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::AndAlso | Op::OrElse => Type::Bool,
                Op::Shl => Type::Word,
                Op::Shr => self.type_of(left).max(Type::Byte),
                _ => {
                    let both = self.type_of(left).max(self.type_of(right)).max(Type::Byte);
                    match self.range(expr) {
                        Some(range) if both != Type::Word => both.max(range_type(range)),
                        _ => both,
                    }
                }
            },
        }
    }
}

/// The Rust type of a parameter.
pub(crate) fn param_type(domain: &Domain) -> Type {
    match domain {
        Domain::Bool => Type::Bool,
        Domain::Int(values) => {
            let bound = |value: Option<&i64>| i128::from(value.copied().unwrap_or(0));
            range_type((bound(values.first()), bound(values.last())))
        }
        Domain::Word => Type::Word,
    }
}

/// An identifier; a raw one where the name is a keyword of Rust.
pub(crate) fn ident(name: &str) -> Ident {
    const KEYWORDS: &[&str] = &[
        "as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "extern", "false", "fn", "for",
        "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "static",
        "struct", "trait", "true", "type", "unsafe", "use", "where", "while", "abstract", "become", "box", "do",
        "final", "macro", "override", "priv", "try", "typeof", "unsized", "virtual", "yield",
    ];
    if KEYWORDS.contains(&name) { Ident::new_raw(name, Span::call_site()) } else { Ident::new(name, Span::call_site()) }
}

fn range_type((low, high): (i128, i128)) -> Type {
    if low < 0 {
        Type::Signed
    } else if high < 256 {
        Type::Byte
    } else {
        Type::Word
    }
}

/// Whether the code of an expression has operators in it.
const fn compound(expr: &Expr) -> bool {
    matches!(expr.node, Node::Binary(..) | Node::Slice(..))
}

fn parenthesize(code: TokenStream, needed: bool) -> TokenStream {
    // A call with a path of two names needs none.
    let call = code.to_string().starts_with("u64 ::") && code.clone().into_iter().count() == 5;
    if needed && !call { quote!((#code)) } else { code }
}

fn precedence(op: Op) -> u8 {
    match op {
        Op::Mul => 0,
        Op::Add | Op::Sub => 1,
        Op::Shl | Op::Shr => 2,
        Op::And => 3,
        Op::Or => 4,
        Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge => 5,
        Op::AndAlso => 6,
        Op::OrElse => 7,
    }
}

fn symbol(op: Op) -> TokenStream {
    match op {
        Op::Mul => quote!(*),
        Op::Add => quote!(+),
        Op::Sub => quote!(-),
        Op::Shl => quote!(<<),
        Op::Shr => quote!(>>),
        Op::And => quote!(&),
        Op::Or => quote!(|),
        Op::Eq => quote!(==),
        Op::Ne => quote!(!=),
        Op::Lt => quote!(<),
        Op::Le => quote!(<=),
        Op::Gt => quote!(>),
        Op::Ge => quote!(>=),
        Op::AndAlso => quote!(&&),
        Op::OrElse => quote!(||),
    }
}
