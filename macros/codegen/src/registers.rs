//! Generates register values, and the masks of accessed and dirty states.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::{Expr, Node};
use tablewright_archdefs::model::{Facts, FixClass, Meaning, Register, RegisterField, Role};

use crate::fold::speaks;
use crate::locals::{bind, parameter};
use crate::members::{self, Shape};
use crate::scope::{Scope, Type, all_of, ident, int, is, not};
use crate::text::{plain, sentence};
use crate::{bits, literal};

/// `struct Registers`.
pub(crate) fn registers(scope: &Scope<'_>) -> TokenStream {
    let fields = scope.format.registers.iter().map(|register| {
        let name = ident(&register.name.value);
        let role = match register.role {
            Role::Root => "Holds the root; loading it activates an address space.",
            Role::Control => "Configures walks; loaded with the root.",
            Role::Bits => "These bits must be set; the others are not ours.",
        };
        let mut docs = vec![format!(" {}", register.doc.as_deref().map_or(role.into(), sentence)), String::new()];
        if register.doc.is_some() {
            docs.push(format!(" {role}"));
        }
        if register.narrow.is_some() {
            docs.push(" It cannot hold every address: a root beyond is refused.".into());
        }
        docs.extend(register.cite.as_deref().map(|cite| format!(" {}.", plain(cite))));
        if docs.last().is_some_and(String::is_empty) {
            docs.pop();
        }
        quote! {
            #(#[doc = #docs])*
            pub #name: u64,
        }
    });
    quote! {
        /// The values to load into the machine's registers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct Registers {
            #(#fields)*
        }
    }
}

/// `fn registers`.
pub(crate) fn method(scope: &Scope<'_>) -> TokenStream {
    let names = scope.format.registers.iter().map(|register| ident(&register.name.value));
    let (constants, steps): (Vec<_>, Vec<_>) =
        scope.format.registers.iter().map(|register| value(scope, register)).unzip();
    let mutable = steps.iter().any(|steps| !steps.is_empty()).then(|| quote!(mut));
    let fields = scope.format.registers.iter().flat_map(|register| &register.fields);
    let tagged = fields.into_iter().any(|field| speaks(&field.value, "tag"));
    let (tag, tag_value) = match tagged {
        true => (quote!(tag), Some(quote!(let tag = u64::from(tag.0);))),
        false => (quote!(_tag), None),
    };
    let body = bind(
        quote! {
            let root = root.as_usize() as u64;
            let alignment = self.geometry.table_bits(self.geometry.top());
            if root & codec::bits(alignment - 1, 0) != 0 || root > self.geometry.last_output() {
                return Err(Refusal::Address(root));
            }
            #tag_value
            #(#steps)*
            Ok(registers)
        },
        &[],
    );
    // Fields of a struct, so that a register's name cannot clash with another variable.
    quote! {
        fn registers(&self, root: HostPhysAddr, #tag: Tag) -> Result<Registers, Refusal> {
            let #mutable registers = Registers { #(#names: #constants),* };
            #body
        }
    }
}

/// The constant bits of a register, and the statements that add the others.
fn value(scope: &Scope<'_>, register: &Register) -> (TokenStream, TokenStream) {
    let name = ident(&register.name.value);
    let mut constant = 0;
    let mut steps = Vec::new();
    for fields in of_one_name(&register.fields) {
        if let [field] = fields.as_slice()
            && condition(scope, field).node == Node::Int(1)
            && let Some(value) = scope.constant(&field.value).and_then(|value| u64::try_from(value).ok())
            && let Some(bits) = bits::place(scope, &field.bits, value)
        {
            constant |= bits;
            continue;
        }
        if fields.iter().all(|field| scope.constant(&field.value) == Some(0)) {
            continue;
        }
        if fields.iter().all(|field| refusal(&field.value).is_none()) {
            let mut code = quote!(0);
            for field in fields.iter().rev() {
                code = scope.if_else(&condition(scope, field), placed(scope, field), code);
            }
            steps.push(quote!(registers.#name |= #code;));
            continue;
        }
        let mut code = TokenStream::new();
        for field in fields.iter().rev() {
            code = scope.if_else(&condition(scope, field), checked(scope, register, field), code);
        }
        steps.push(code);
    }
    (literal::hex(constant), quote!(#(#steps)*))
}

/// The fields of a register, grouped by name: of each group, the first whose condition holds applies.
pub(crate) fn of_one_name(fields: &[RegisterField]) -> Vec<Vec<&RegisterField>> {
    let mut groups: Vec<Vec<&RegisterField>> = Vec::new();
    for field in fields {
        match groups.iter_mut().find(|group| group.iter().any(|known| known.name == field.name)) {
            Some(group) => group.push(field),
            None => groups.push(vec![field]),
        }
    }
    groups
}

/// The condition under which a field of a register exists.
pub(crate) fn condition(scope: &Scope<'_>, field: &RegisterField) -> Expr {
    field.when.as_ref().map_or(int(1), |when| scope.fold(when))
}

/// A field's value in its bits.
pub(crate) fn placed(scope: &Scope<'_>, field: &RegisterField) -> TokenStream {
    match scope.constant(&field.value).and_then(|value| u64::try_from(value).ok()) {
        Some(value) => bits::insert_constant(scope, &field.bits, value),
        None => bits::insert(scope, &field.bits, &scope.emit(&field.value, Type::Word)),
    }
}

/// Statements that add a field's value, or refuse it if the caller's root or tag is too large for the field.
fn checked(scope: &Scope<'_>, register: &Register, field: &RegisterField) -> TokenStream {
    let (name, refusal) = (ident(&register.name.value), refusal(&field.value));
    let value = scope.emit(&field.value, Type::Word);
    let (binding, value) = match field.value.node {
        Node::Name(_) => (None, value),
        _ => (Some(quote!(let value = #value;)), quote!(value)),
    };
    let bits = bits::insert(scope, &field.bits, &value);
    // A field whose width depends on parameters fits every root, as the checker proves, unless the register is narrow.
    let may_exceed =
        bits::held(scope, &field.bits).is_some() || register.narrow.is_some() || speaks(&field.value, "tag");
    let check = may_exceed.then(|| {
        let outside = bits::outside(scope, &field.bits);
        quote! {
            if #value & #outside != 0 {
                return Err(#refusal);
            }
        }
    });
    quote! {
        #binding
        #check
        registers.#name |= #bits;
    }
}

/// The refusal for a value that does not fit, if it comes from the caller.
fn refusal(value: &Expr) -> Option<TokenStream> {
    if speaks(value, "tag") {
        Some(quote!(Refusal::Tag(Tag(tag as u32))))
    } else {
        speaks(value, "root").then(|| quote!(Refusal::Address(root)))
    }
}

/// `fn table_accessed`, if hardware writes into table entries.
pub(crate) fn table_accessed(scope: &Scope<'_>) -> Option<TokenStream> {
    let (mut always, mut steps) = (Vec::new(), Vec::new());
    for fix in &scope.format.fixes {
        let mask = scope.choose(&fix.bits, quote!(0), |map| bits::mask(scope, map));
        let mut earlier = vec![members::has_fix(scope, Shape::Table, fix)];
        for (condition, class) in scope.choices(&fix.is) {
            let when = scope.fold(&all_of(earlier.iter().cloned().chain(condition.clone())));
            if *class == FixClass::Hardware && is(&when, 1) {
                always.push(mask.clone());
            } else if *class == FixClass::Hardware && !is(&when, 0) {
                steps.push((when, quote!(accessed |= #mask;)));
            }
            earlier.extend(condition.map(not));
        }
    }
    let has_steps = !steps.is_empty();
    if always.is_empty() && !has_steps {
        return None;
    }
    let always = if always.is_empty() { quote!(0) } else { quote!(#(#always)|*) };
    let steps = scope.guarded_all(steps);
    let body = if has_steps { quote!(let mut accessed = #always; #steps accessed) } else { always };
    let body = bind(body, &[]);
    let level = parameter(&body, "level");
    Some(quote! {
        #[inline]
        fn table_accessed(&self, #level: Level) -> u64 {
            #body
        }
    })
}

/// `fn accessed_dirty`.
pub(crate) fn accessed_dirty(scope: &Scope<'_>) -> TokenStream {
    let hardware = scope.choose(&scope.format.live.hardware, quote!(false), |value| scope.emit(value, Type::Bool));
    let mut steps = Vec::new();
    for (when, field) in members::fields_that(scope, Shape::Leaf, |meaning| matches!(meaning, Meaning::Rights(_))) {
        let Meaning::Rights(rows) = &field.meaning else { continue };
        let mut statements = Vec::new();
        for (state, mask_name, value_name) in [
            (Facts::ACCESSED, quote!(accessed_mask), quote!(accessed_value)),
            (Facts::DIRTY, quote!(dirty_mask), quote!(dirty_value)),
        ] {
            if let Some((mask, value)) = rows.mark(state) {
                let mask = scope.choose(&field.bits, quote!(0), |map| bits::insert_constant(scope, map, mask));
                let value = scope.choose(&field.bits, quote!(0), |map| bits::insert_constant(scope, map, value));
                statements.push(quote! {
                    states.#mask_name = #mask;
                    states.#value_name = #value;
                });
            }
        }
        if !statements.is_empty() {
            steps.push((when, quote!(#(#statements)*)));
        }
    }
    let mutable = (!steps.is_empty()).then(|| quote!(mut));
    let steps = scope.guarded_all(steps);
    let body = bind(
        quote! {
            let #mutable states = AccessedDirty { hardware: #hardware, ..AccessedDirty::default() };
            #steps
            states
        },
        &[],
    );
    let level = parameter(&body, "level");
    quote! {
        #[inline]
        fn accessed_dirty(&self, #level: Level) -> AccessedDirty {
            #body
        }
    }
}
