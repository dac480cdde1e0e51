//! What names stand for while code is generated: constants where the build fixes them, places in the generated code
//! elsewhere.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::{format_ident, quote};
use tablewright_archdefs::expr::{Expr, Node, Op};
use tablewright_archdefs::model::{Choices, Domain, Format, Param};

/// Names and their meaning. Cheap to clone: a narrower scope is a clone with more constants.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    /// The format that code is generated for.
    pub(crate) format: &'a Format,
    /// Where the registers of expressions live: a struct of the generated code.
    registers: Option<&'static str>,
    constants: BTreeMap<String, i128>,
    ranges: BTreeMap<String, (i128, i128)>,
}

/// Rust types of generated expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Type {
    /// `bool`.
    Bool,
    /// `u8`: counts of bits and levels.
    Byte,
    /// `i64`: what may be negative on the way.
    Signed,
    /// `u64`: register values and addresses.
    Word,
}

impl<'a> Scope<'a> {
    /// The scope of a module: its build parameters are constants.
    pub(crate) fn new(format: &'a Format, build: &BTreeMap<String, i128>) -> Self {
        let mut scope = Self { format, registers: None, constants: build.clone(), ranges: BTreeMap::new() };
        for (name, expr) in [("page_bits", &format.levels.page_bits), ("index_bits", &format.levels.index_bits)] {
            // The checker has made sure that these depend on build parameters only.
            if let Some(value) = scope.constant(&expr.value) {
                scope.constants.insert(name.into(), value);
            }
        }
        for param in &format.params {
            // Nowhere available under this build.
            if param.when.as_ref().is_some_and(|when| is(&scope.fold(when), 0)) {
                scope.constants.insert(param.name.value.clone(), 0);
            }
            let range = match &param.domain {
                Domain::Bool => (0, 1),
                Domain::Int(values) => {
                    (values.first().copied().unwrap_or(0).into(), values.last().copied().unwrap_or(0).into())
                }
            };
            scope.ranges.insert(param.name.value.clone(), range);
        }
        let levels = || format.roots.iter().flat_map(|root| &root.levels.value);
        let top = levels().copied().max().unwrap_or(1).into();
        let bottom = levels().copied().min().unwrap_or(1).into();
        scope.ranges.insert("levels".into(), (bottom, top));
        scope.ranges.insert("level".into(), (0, top - 1));
        scope.ranges.insert("input_bits".into(), (1, 64));
        let page_bits = scope.number("page_bits").into();
        scope.ranges.insert("leaf_bits".into(), (page_bits, 63));
        scope.ranges.insert("run_bits".into(), (page_bits, 63));
        scope.ranges.insert("block".into(), (0, 1));
        scope
    }

    /// This scope, with a name made constant.
    pub(crate) fn with(&self, name: &str, value: i128) -> Self {
        let mut scope = self.clone();
        scope.constants.insert(name.into(), value);
        scope
    }

    /// This scope at level 0, where the size of a leaf is known.
    pub(crate) fn at_level_0(&self) -> Self {
        self.with("level", 0).with("block", 0).with("leaf_bits", self.number("page_bits").into())
    }

    /// This scope above level 0.
    pub(crate) fn above_level_0(&self) -> Self {
        let mut scope = self.clone();
        if let Some(range) = scope.ranges.get_mut("level") {
            range.0 = 1;
        }
        scope
    }

    /// This scope, with registers that live in the value `place` of the generated code.
    pub(crate) fn with_registers(&self, place: &'static str) -> Self {
        let mut scope = self.clone();
        scope.registers = Some(place);
        scope
    }

    /// The parameters that are fields of `Config`: those that this build leaves open, in the order of the file.
    pub(crate) fn open_params(&self) -> impl Iterator<Item = &'a Param> + use<'a, '_> {
        self.format.params.iter().filter(|param| !self.constants.contains_key(&param.name.value))
    }

    /// The parameters that this build fixes, and their values.
    pub(crate) fn fixed_params(&self) -> impl Iterator<Item = (&'a Param, i128)> + use<'a, '_> {
        let value = |param: &'a Param| self.constants.get(&param.name.value).map(|value| (param, *value));
        self.format.params.iter().filter_map(value)
    }

    /// A constant that fits a byte; 0 if it is unknown, which the checker has refused.
    pub(crate) fn number(&self, name: &str) -> u8 {
        self.constants.get(name).and_then(|value| u8::try_from(*value).ok()).unwrap_or(0)
    }

    /// The greatest number of levels of any root.
    pub(crate) fn most_levels(&self) -> u8 {
        u8::try_from(self.ranges["levels"].1).unwrap_or(u8::MAX)
    }

    /// `expr` with constants put in and computed.
    pub(crate) fn fold(&self, expr: &Expr) -> Expr {
        let node = match &expr.node {
            Node::Name(name) => match self.constants.get(name) {
                Some(value) => Node::Int(*value),
                None => expr.node.clone(),
            },
            Node::Not(inner) => negate(self.fold(inner)),
            Node::Binary(op, left, right) => {
                let (left, right) = (self.fold(left), self.fold(right));
                match self.decided(*op, &left, &right) {
                    Some(truth) => Node::Int(truth.into()),
                    None => binary(*op, left, right),
                }
            }
            node => node.clone(),
        };
        Expr { node, span: expr.span }
    }

    /// The value of `expr`, if it is the same whatever the remaining names are.
    pub(crate) fn constant(&self, expr: &Expr) -> Option<i128> {
        match self.fold(expr).node {
            Node::Int(value) => Some(value),
            _ => Linear::of(&self.fold(expr)).and_then(|linear| linear.constant()),
        }
    }

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
        let mut code = None;
        for (when, item) in self.choices(choices).into_iter().rev() {
            let item = value(item);
            let same = |code: &TokenStream| code.to_string() == item.to_string();
            code = Some(match when {
                Some(_) if same(code.as_ref().unwrap_or(&otherwise)) => item,
                None => item,
                Some(when) => self.if_else(&when, item, code.unwrap_or_else(|| otherwise.clone())),
            });
        }
        code.unwrap_or(otherwise)
    }

    /// Rust for `expr` as a value of type `want`.
    pub(crate) fn emit(&self, expr: &Expr, want: Type) -> TokenStream {
        let expr = self.fold(expr);
        self.convert(&expr, want, false)
    }

    /// As [`Scope::emit`], in parentheses where an operator beside it would otherwise take it apart.
    pub(crate) fn emit_operand(&self, expr: &Expr, want: Type) -> TokenStream {
        let expr = self.fold(expr);
        self.convert(&expr, want, true)
    }

    /// As [`Scope::emit`] of a condition, for use beside `&&`.
    pub(crate) fn emit_conjunct(&self, expr: &Expr) -> TokenStream {
        let code = self.emit(expr, Type::Bool);
        parenthesize(code, matches!(self.fold(expr).node, Node::Binary(Op::OrElse, ..)))
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

    /// `if when { then } else { otherwise }`, the positive condition first, with the branch alone that is always taken;
    /// an `if` in `otherwise` becomes an `else if`.
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
        if otherwise.is_empty() {
            quote!(if #when { #then })
        } else if is_if(&otherwise) {
            quote!(if #when { #then } else #otherwise)
        } else {
            quote!(if #when { #then } else { #otherwise })
        }
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
            (Type::Bool, Type::Byte) => quote!(u8::from(#code)),
            (Type::Bool | Type::Byte, Type::Word) => quote!(u64::from(#code)),
            (Type::Bool | Type::Byte, Type::Signed) => quote!(i64::from(#code)),
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
                let left = self.side(left, *op, operand, false);
                let right = self.side(right, *op, if shift { Type::Byte } else { operand }, true);
                // A register may hold anything: no arithmetic on it may panic.
                let wrapping = match op {
                    Op::Add => "wrapping_add",
                    Op::Sub => "wrapping_sub",
                    Op::Mul => "wrapping_mul",
                    _ => "",
                };
                let fits = |(low, high): (i128, i128)| low >= 0 && high <= u64::MAX.into();
                if have == Type::Word && !wrapping.is_empty() && !self.range(expr).is_some_and(fits) {
                    let wrapping = ident(wrapping);
                    let left = parenthesize(left.clone(), left.into_iter().count() > 1);
                    return quote!(#left.#wrapping(#right));
                }
                let op = symbol(*op);
                quote!(#left #op #right)
            }
        }
    }

    /// `low <= a && a <= high` as a range that contains `a`.
    fn contained(&self, op: Op, left: &Expr, right: &Expr) -> Option<TokenStream> {
        match (op, &left.node, &right.node) {
            (Op::AndAlso, Node::Binary(Op::Ge, a, low), Node::Binary(Op::Le, b, high)) if same(a, b) => {
                let want = self.type_of(a);
                let [a, low, high] = [a, low, high].map(|expr| self.convert(expr, want, true));
                Some(quote!((#low..=#high).contains(&#a)))
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
        let left = self.convert(left, operand, false);
        let right = self.convert(right, operand, false);
        let op = symbol(op);
        quote!(#left #op #right)
    }

    /// One side of a binary operator, in parentheses if it binds looser than the operator (or as tightly, on the right).
    fn side(&self, expr: &Expr, op: Op, want: Type, right: bool) -> TokenStream {
        let looser = match &expr.node {
            Node::Binary(inner, ..) if self.type_of(expr) == want => {
                let associative = *inner == op && matches!(op, Op::AndAlso | Op::OrElse | Op::Add);
                // Rust asks for parentheses around mixed `&&` and `||` in style only; the precedence is as here.
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
            Node::Name(name) => match self.format.params.iter().find(|p| p.name.value == *name) {
                Some(param) if param.domain == Domain::Bool => Type::Bool,
                _ => match self.ranges.get(name) {
                    Some(range) => range_type(*range),
                    None => Type::Word,
                },
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

    /// Whether a comparison comes out the same for all legal values.
    fn decided(&self, op: Op, left: &Expr, right: &Expr) -> Option<bool> {
        let (a, b) = (self.range(left)?, self.range(right)?);
        let (below, above) = (a.1 < b.0, a.0 > b.1);
        let (at_most, at_least) = (a.1 <= b.0, a.0 >= b.1);
        let (yes, no) = match op {
            Op::Lt => (below, at_least),
            Op::Le => (at_most, above),
            Op::Gt => (above, at_most),
            Op::Ge => (at_least, below),
            Op::Eq => (false, below || above),
            Op::Ne => (below || above, false),
            _ => return None,
        };
        (yes || no).then_some(yes)
    }

    /// Bounds of an expression's value, if they are known.
    fn range(&self, expr: &Expr) -> Option<(i128, i128)> {
        match &expr.node {
            Node::Int(value) => Some((*value, *value)),
            Node::Name(name) => self.ranges.get(name).copied(),
            Node::Slice(_, high, low) if high >= low => Some((0, (1 << (high - low + 1)) - 1)),
            Node::Binary(op, left, right) => {
                let (a, b) = (self.range(left)?, self.range(right)?);
                match op {
                    Op::Add => Some((a.0 + b.0, a.1 + b.1)),
                    Op::Sub => Some((a.0 - b.1, a.1 - b.0)),
                    Op::Mul if a.0 >= 0 && b.0 >= 0 => Some((a.0 * b.0, a.1 * b.1)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
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

/// The Rust type of a parameter.
pub(crate) fn param_type(domain: &Domain) -> Type {
    match domain {
        Domain::Bool => Type::Bool,
        Domain::Int(values) => {
            let bound = |value: Option<&i64>| i128::from(value.copied().unwrap_or(0));
            range_type((bound(values.first()), bound(values.last())))
        }
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

/// Whether `expr` is the constant `value`.
pub(crate) fn is(expr: &Expr, value: i128) -> bool {
    expr.node == Node::Int(value)
}

/// Whether two expressions are alike, wherever they stand.
pub(crate) fn same(a: &Expr, b: &Expr) -> bool {
    a.to_string() == b.to_string()
}

/// `all` taken together with `&&`, folded.
pub(crate) fn all_of(conditions: impl IntoIterator<Item = Expr>) -> Expr {
    conditions.into_iter().reduce(|a, b| Expr { span: a.span, node: binary(Op::AndAlso, a, b) }).unwrap_or(int(1))
}

/// An integer as an expression.
pub(crate) fn int(value: i128) -> Expr {
    Expr { node: Node::Int(value), span: Default::default() }
}

/// A name as an expression.
pub(crate) fn name(name: &str) -> Expr {
    Expr { node: Node::Name(name.into()), span: Default::default() }
}

/// `left op right`, folded.
pub(crate) fn join(op: Op, left: Expr, right: Expr) -> Expr {
    Expr { span: left.span, node: binary(op, left, right) }
}

/// `!expr`, folded.
pub(crate) fn not(expr: Expr) -> Expr {
    Expr { span: expr.span, node: negate(expr) }
}

fn negate(expr: Expr) -> Node {
    match expr.node {
        Node::Int(value) => Node::Int((value == 0).into()),
        Node::Not(inner) => inner.node,
        _ => Node::Not(Box::new(expr)),
    }
}

fn binary(op: Op, left: Expr, right: Expr) -> Node {
    match (&left.node, &right.node, op) {
        (Node::Int(a), Node::Int(b), _) => {
            if let Some(value) = compute(op, *a, *b) {
                return Node::Int(value);
            }
        }
        (Node::Int(0), _, Op::AndAlso) | (_, Node::Int(0), Op::AndAlso) => return Node::Int(0),
        (Node::Int(0), _, Op::OrElse) => return right.node,
        (_, Node::Int(0), Op::OrElse) => return left.node,
        (Node::Int(_), _, Op::AndAlso) => return right.node,
        (_, Node::Int(_), Op::AndAlso) => return left.node,
        (Node::Int(_), _, Op::OrElse) | (_, Node::Int(_), Op::OrElse) => return Node::Int(1),
        (_, Node::Int(0), Op::Add | Op::Sub | Op::Shl | Op::Shr | Op::Or) => return left.node,
        _ => {}
    }
    Node::Binary(op, Box::new(left), Box::new(right))
}

fn compute(op: Op, a: i128, b: i128) -> Option<i128> {
    let shift = u32::try_from(b).ok().filter(|shift| *shift < 127);
    Some(match op {
        Op::Mul => a.checked_mul(b)?,
        Op::Add => a.checked_add(b)?,
        Op::Sub => a.checked_sub(b)?,
        Op::Shl => a << shift?,
        Op::Shr => a >> shift?,
        Op::And => a & b,
        Op::Or => a | b,
        Op::Eq => (a == b).into(),
        Op::Ne => (a != b).into(),
        Op::Lt => (a < b).into(),
        Op::Le => (a <= b).into(),
        Op::Gt => (a > b).into(),
        Op::Ge => (a >= b).into(),
        Op::AndAlso => (a != 0 && b != 0).into(),
        Op::OrElse => (a != 0 || b != 0).into(),
    })
}

/// `constant + sum of factor * name`: the form in which two positions can be subtracted.
pub(crate) struct Linear {
    constant: i128,
    terms: BTreeMap<String, i128>,
}

impl Linear {
    /// The linear form of `expr`, if it has one.
    pub(crate) fn of(expr: &Expr) -> Option<Self> {
        match &expr.node {
            Node::Int(value) => Some(Self { constant: *value, terms: BTreeMap::new() }),
            Node::Name(name) => Some(Self { constant: 0, terms: BTreeMap::from([(name.clone(), 1)]) }),
            Node::Binary(Op::Add, a, b) => Some(Self::of(a)?.plus(Self::of(b)?, 1)),
            Node::Binary(Op::Sub, a, b) => Some(Self::of(a)?.plus(Self::of(b)?, -1)),
            Node::Binary(Op::Mul, a, b) => {
                let (a, b) = (Self::of(a)?, Self::of(b)?);
                match (a.constant(), b.constant()) {
                    (Some(factor), _) => Some(Self { constant: 0, terms: BTreeMap::new() }.plus(b, factor)),
                    (_, Some(factor)) => Some(Self { constant: 0, terms: BTreeMap::new() }.plus(a, factor)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn plus(mut self, other: Self, factor: i128) -> Self {
        self.constant += factor * other.constant;
        for (name, count) in other.terms {
            *self.terms.entry(name).or_default() += factor * count;
        }
        self.terms.retain(|_, count| *count != 0);
        self
    }

    /// Its value, if no name is left.
    pub(crate) fn constant(&self) -> Option<i128> {
        self.terms.is_empty().then_some(self.constant)
    }
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

/// Whether the code is one `if` with all its branches, and nothing more.
fn is_if(code: &TokenStream) -> bool {
    let mut tokens = code.clone().into_iter();
    matches!(tokens.next(), Some(TokenTree::Ident(word)) if word == "if") && branches_end(tokens)
}

/// Whether nothing follows the last branch of an `if` whose condition comes next.
fn branches_end(mut tokens: impl Iterator<Item = TokenTree>) -> bool {
    let braces = |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    if !tokens.any(|token| braces(&token)) {
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

/// Whether the code of an expression has operators in it.
const fn compound(expr: &Expr) -> bool {
    matches!(expr.node, Node::Binary(..) | Node::Slice(..))
}

fn parenthesize(code: TokenStream, needed: bool) -> TokenStream {
    if needed { quote!((#code)) } else { code }
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
