//! Attributes as entry bits: generates the prototypes of leaves and rewrites.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::{Expr, Node};
use tablewright_archdefs::model::{Facts, Field, Meaning, Rows};

use crate::bits;
use crate::locals::{bind, parameter};
use crate::members::{self, Shape};
use crate::rows;
use crate::runs;
use crate::scope::{Scope, exclude, int, not, same};

/// The private methods that turn attributes into bits.
pub(crate) fn encoders(scope: &Scope<'_>) -> TokenStream {
    let rights = rights_bits(scope);
    let memory = memory_bits(scope);
    let options = quote! {
        if options.bits() & !layout.options != 0 {
            return Err(Refusal::Options(options));
        }
        Ok((layout.leaf_base & layout.options) ^ options.bits())
    };
    let options = bind(scope.places.resolve(options), &[]);
    let level = parameter(&options, "level");
    quote! {
        #rights
        #memory

        /// The bits of a leaf's options and software bits.
        const fn option_bits(&self, #level: Level, options: Options) -> Result<u64, Refusal> {
            #options
        }
    }
}

/// The two methods of every field with value rows.
pub(crate) fn row_methods(scope: &Scope<'_>) -> TokenStream {
    let leaf = members::fields(scope, Shape::Leaf);
    let table = members::fields(scope, Shape::Table);
    let on_leaf = |field: &Field| leaf.iter().any(|(_, other)| std::ptr::eq(*other, field));
    let on_table = |field: &Field| table.iter().any(|(_, other)| std::ptr::eq(*other, field));
    let methods = scope.format.fields.iter().map(|field| match &field.meaning {
        Meaning::Rights(rows) if on_leaf(field) || on_table(field) => {
            rows::rights_methods(scope, field, rows, on_leaf(field) && !shares_rights(scope, field))
        }
        Meaning::Memory(rows) if on_leaf(field) => rows::memory_methods(scope, field, rows),
        _ => TokenStream::new(),
    });
    quote!(#(#methods)*)
}

fn rights_bits(scope: &Scope<'_>) -> TokenStream {
    let mut steps = Vec::new();
    for group in rights_groups(scope) {
        if let [(when, field, rows)] = group.as_slice() {
            let method = rows::method(field, "value");
            let value = scope.choose(&field.bits, quote!(0), |map| bits::insert(scope, map, &quote!(value)));
            let stated = rows::stated_code(scope, rows);
            let step = quote! {
                let Some(value) = self.#method(facts) else { return None };
                spoken = spoken.union(#stated);
                bits |= #value;
            };
            steps.push((when.clone(), step));
        } else {
            steps.push((int(1), combined(scope, &group)));
        }
    }
    let steps = scope.guarded_all(steps);
    let implied = rows::implied(scope);
    let exact = match scope.format.implies.0.is_empty() {
        true => quote!(spoken.contains(wanted)),
        false => quote!(spoken.contains(wanted) && wanted.contains(#implied)),
    };
    let body = bind(
        quote! {
            let mut bits = 0;
            let mut spoken = #implied;
            #steps
            let wanted = facts.intersection(Facts::RWX);
            if #exact { Some(bits) } else { None }
        },
        &[],
    );
    let level = parameter(&body, "level");
    quote! {
        /// The bits of a leaf that grant exactly these rights, with these states where it keeps them.
        const fn rights_bits(&self, #level: Level, facts: Facts) -> Option<u64> {
            #body
        }
    }
}

/// A field of rights that a leaf may have, its condition and its rows.
type RightsField<'a> = (Expr, &'a Field, &'a Rows<Facts>);

/// The fields of rights that a leaf may have, grouped: fields that state the same rights and may occur in one leaf are
/// in one group.
fn rights_groups<'a>(scope: &Scope<'a>) -> Vec<Vec<RightsField<'a>>> {
    let mut groups: Vec<Vec<RightsField<'_>>> = Vec::new();
    for (when, field) in members::fields(scope, Shape::Leaf) {
        let Meaning::Rights(rows) = &field.meaning else { continue };
        let rights = |rows: &Rows<Facts>| rows::stated(rows).intersection(Facts::RIGHTS);
        let meets = |(other_when, _, other): &RightsField<'_>| {
            rights(rows).intersects(rights(other)) && !exclude(&when, other_when)
        };
        let (mut joined, apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| group.iter().any(meets));
        let group = joined.iter_mut().flat_map(std::mem::take).chain([(when.clone(), field, rows)]).collect();
        groups = apart.into_iter().chain([group]).collect();
    }
    groups
}

/// Whether another field states some of the same rights, so that the values of both are chosen together.
fn shares_rights(scope: &Scope<'_>, field: &Field) -> bool {
    let with = |group: &Vec<RightsField<'_>>| group.iter().any(|(_, member, _)| std::ptr::eq(*member, field));
    rights_groups(scope).iter().find(|group| with(group)).is_some_and(|group| group.len() > 1)
}

/// Statements that add the values of the fields of one group.
fn combined(scope: &Scope<'_>, group: &[RightsField<'_>]) -> TokenStream {
    let (mut tables, mut fields) = (TokenStream::new(), Vec::new());
    for (when, field, rows) in group {
        let name = rows::method(field, "choices");
        let values = rows::choices(scope, field, rows);
        tables.extend(quote!(let #name = [#(#values),*];));
        let stated = scope.if_else(when, rows::stated_code(scope, rows), quote!(Facts::NONE));
        let values = scope.if_else(when, quote!(#name.as_slice()), quote!(&[]));
        fields.push(quote!((#stated, #values)));
    }
    quote! {
        #tables
        let Some((all, value)) = codec::combine(facts, &[#(#fields),*]) else { return None };
        spoken = spoken.union(all);
        bits |= value;
    }
}

fn memory_bits(scope: &Scope<'_>) -> TokenStream {
    let fields = members::fields_that(scope, Shape::Leaf, |meaning| matches!(meaning, Meaning::Memory(_)));
    let value = memory_chain(
        scope,
        &fields,
        |field| {
            let method = rows::method(field, "value");
            let value = scope.choose(&field.bits, quote!(0), |map| bits::insert(scope, map, &quote!(value)));
            quote! {
                match self.#method(memory) {
                    Some(value) => Ok(#value),
                    None => Err(Refusal::Memory(memory)),
                }
            }
        },
        {
            let arms = rows::inherit_arms(&without(scope, &fields));
            quote!(match memory { #(#arms)* _ => Err(Refusal::Memory(memory)) })
        },
    );
    let body = bind(value, &[]);
    let level = parameter(&body, "level");
    quote! {
        /// The bits of a leaf for a memory type.
        const fn memory_bits(&self, #level: Level, memory: MemoryType) -> Result<u64, Refusal> {
            #body
        }
    }
}

/// The scope in which none of the conditions holds, as far as a condition is a single parameter.
fn without<'a>(scope: &Scope<'a>, fields: &[(Expr, &Field)]) -> Scope<'a> {
    fields.iter().fold(scope.clone(), |scope, (when, _)| match &when.node {
        Node::Name(name) => scope.with(name, 0),
        Node::Not(inner) => match &inner.node {
            Node::Name(name) => scope.with(name, 1),
            _ => scope,
        },
        _ => scope,
    })
}

/// `if a { .. } else if b { .. } else { otherwise }` over fields of which an entry has at most one.
pub(crate) fn memory_chain(
    scope: &Scope<'_>,
    fields: &[(Expr, &Field)],
    each: impl Fn(&Field) -> TokenStream,
    otherwise: TokenStream,
) -> TokenStream {
    let mut code = otherwise;
    for (index, (when, field)) in fields.iter().enumerate().rev() {
        // The last of two opposite conditions needs no test.
        let last = index + 1 == fields.len();
        let exhaustive = last && index > 0 && same(when, &not(fields[index - 1].0.clone()));
        code = if exhaustive { each(field) } else { scope.if_else(when, each(field), code) };
    }
    code
}

/// `fn prototype`.
pub(crate) fn prototype(scope: &Scope<'_>) -> TokenStream {
    let mark = (runs::slots(scope) > 0).then(|| {
        quote! {
            let mark = if size == layout.leaf_bits {
                layout.single.value
            } else {
                match codec::run_of(&layout.runs, size - layout.leaf_bits) {
                    Some(run) => run.mark.value,
                    None => return Err(Refusal::Size { level, size }),
                }
            };
        }
    });
    let marked = mark.is_some().then(|| quote!(| mark));
    let body = quote! {
        #mark
        let facts = Facts::new(attributes.rights, attributes.accessed, attributes.dirty);
        let Some(rights) = self.rights_bits(level, facts) else {
            return Err(Refusal::Rights(attributes.rights));
        };
        let memory = match self.memory_bits(level, attributes.memory) {
            Ok(memory) => memory,
            Err(refusal) => return Err(refusal),
        };
        let options = match self.option_bits(level, attributes.options) {
            Ok(options) => options,
            Err(refusal) => return Err(refusal),
        };
        let bits = layout.leaf_base & !layout.options | options | rights | memory #marked;
        Ok(Prototype { bits, level, size })
    };
    let body = bind(scope.places.resolve(body), &[]);
    quote! {
        /// Everything but the address of a leaf at `level` of size `1 << size`.
        ///
        /// # Errors
        ///
        /// [`Refusal::Size`], [`Refusal::Rights`], [`Refusal::Memory`] or [`Refusal::Options`] if the format cannot
        /// say it.
        pub const fn prototype(&self, level: Level, size: u8, attributes: &Attributes) -> Result<Prototype, Refusal> {
            if !self.page_sizes(level).contains(size) {
                return Err(Refusal::Size { level, size });
            }
            #body
        }
    }
}

/// `fn rewrite`.
pub(crate) fn rewrite(scope: &Scope<'_>) -> TokenStream {
    let body = quote! {
        let mut keep = u64::MAX;
        let mut set = 0;
        if let Some(rights) = change.rights {
            let bits = |marked| self.rights_bits(level, Facts::new(rights, marked, marked));
            let (unmarked, marked) = bits(false).zip(bits(true)).ok_or(Refusal::Rights(rights))?;
            let replaced = layout.rights & !(unmarked ^ marked);
            keep &= !replaced;
            set |= unmarked & replaced;
        }
        if let Some(memory) = change.memory {
            keep &= !layout.memory;
            set |= self.memory_bits(level, memory)?;
        }
        if let Some(options) = change.options {
            keep &= !layout.options;
            set |= self.option_bits(level, options)?;
        }
        Ok(Rewrite { keep, set })
    };
    let body = bind(scope.places.resolve(body), &[]);
    quote! {
        fn rewrite(&self, level: Level, change: &Change) -> Result<Rewrite, Refusal> {
            #body
        }
    }
}
