//! Generates `decode`: the meaning of any value of an entry, whoever wrote it.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use tablewright_archdefs::model::{Facts, Field, FixClass, Meaning, Other, Rows};

use crate::address::AddressMap;
use crate::attributes::memory_chain;
use crate::locals::{bind, parameter};
use crate::members::{self, Shape};
use crate::rows;
use crate::runs;
use crate::scope::{Scope, Type, all_of, int, is, not};
use crate::{bits, literal};
use tablewright_archdefs::expr::Expr;

/// The private methods behind `decode`.
pub(crate) fn decoders(scope: &Scope<'_>) -> TokenStream {
    let leaf = leaf(scope);
    let facts = leaf_facts(scope);
    let table = table(scope);
    let run = (runs::slots(scope) > 0).then(|| {
        let body = quote! {
            match layout.runs.iter().find(|run| run.mark.matches(raw)) {
                Some(run) => Some(run.items),
                None if layout.single.matches(raw) => Some(0),
                None => None,
            }
        };
        let body = bind(scope.places.resolve(body), &[]);
        let level = parameter(&body, "level");
        quote! {
            /// log2 of the number of items of the run that a leaf belongs to; `None` if its mark is illegal.
            fn run(&self, #level: Level, raw: u64) -> Option<u8> {
                #body
            }
        }
    });
    quote! {
        #run
        #leaf
        #facts
        #table
    }
}

fn leaf(scope: &Scope<'_>) -> TokenStream {
    let output = AddressMap::of(scope, Shape::Leaf).gather();
    let fields = fields(scope, Shape::Leaf);
    let fixes = fixes(scope, Shape::Leaf);
    let implied = rows::implied(scope);
    let runs = runs::slots(scope) > 0;
    let shared = scope.format.runs.iter().any(|run| run.shared);
    let run = runs.then(|| {
        let (size, rule) = (shared_size(scope), scope.format.runs.first().map(|run| &run.id.value));
        quote! {
            let Some(items) = self.run(level, raw) else {
                return Entry::Reserved(#rule);
            };
            #size
        }
    });
    let (size, items) = if runs {
        (quote!(layout.leaf_bits + items), quote!(1 << items))
    } else {
        (quote!(layout.leaf_bits), quote!(1))
    };
    let address = if shared { quote!((#output) & !codec::bits(leaf_bits - 1, 0)) } else { output };
    let body = quote! {
        #run
        #fields
        #fixes
        let facts = grants.of_leaf(#implied);
        Entry::Leaf(Leaf {
            address: #address,
            size: #size,
            items: #items,
            attributes: Attributes {
                rights: facts.rights(),
                memory,
                accessed: facts.contains(Facts::ACCESSED),
                dirty: facts.contains(Facts::DIRTY),
                options: Options::from_bits((raw ^ layout.leaf_base) & layout.options),
            },
        })
    };
    let body = bind(scope.places.resolve(body), if shared { &["leaf_bits"] } else { &[] });
    quote! {
        /// A leaf's content.
        fn decode_leaf(&self, level: Level, raw: u64) -> Entry {
            #body
        }
    }
}

/// The method that reads a leaf's rights and states, and nothing else.
fn leaf_facts(scope: &Scope<'_>) -> TokenStream {
    let mut steps = Vec::new();
    for (when, field) in members::fields(scope, Shape::Leaf) {
        if let Meaning::Rights(rows) = &field.meaning {
            let value = scope.choose(&field.bits, quote!(0), |map| bits::extract(scope, map, &quote!(raw)));
            let (method, stated) = (rows::method(field, "facts"), rows::stated_code(scope, rows));
            steps.push((when, quote!(grants.field(#stated, self.#method(#value)?);)));
        }
    }
    let mutable = (!steps.is_empty()).then(|| quote!(mut));
    let steps = scope.guarded_all(steps);
    let implied = rows::implied(scope);
    let body = bind(
        quote! {
            let #mutable grants = Grants::new();
            #steps
            Some(grants.of_leaf(#implied))
        },
        &[],
    );
    let (level, raw) = (parameter(&body, "level"), parameter(&body, "raw"));
    quote! {
        /// The rights and states of a leaf; `None` if these are illegal.
        #[inline]
        fn leaf_facts(&self, #level: Level, #raw: u64) -> Option<Facts> {
            #body
        }
    }
}

/// `fn rights`.
pub(crate) fn rights() -> TokenStream {
    quote! {
        #[inline]
        fn rights(&self, level: Level, raw: u64) -> Rights {
            self.leaf_facts(level, raw).map_or(Rights::empty(), Facts::rights)
        }
    }
}

/// Binds `leaf_bits` to the size of a whole run for items that share its address.
fn shared_size(scope: &Scope<'_>) -> Option<TokenStream> {
    let runs = &scope.format.runs;
    runs.iter().any(|run| run.shared).then(|| {
        if runs.iter().all(|run| run.shared) {
            return quote!(let leaf_bits = layout.leaf_bits + items;);
        }
        let shared = runs
            .iter()
            .filter(|run| run.shared)
            .flat_map(|run| &run.items.value)
            .map(|items| literal::number(items.ilog2().into()));
        quote!(let leaf_bits = layout.leaf_bits + if matches!(items, #(#shared)|*) { items } else { 0 };)
    })
}

fn table(scope: &Scope<'_>) -> TokenStream {
    let address = AddressMap::of(scope, Shape::Table).gather();
    let scope = &scope.above_level_0();
    let fields = fields(scope, Shape::Table);
    let fixes = fixes(scope, Shape::Table);
    let skips =
        !members::fields_that(scope, Shape::Table, |meaning| matches!(meaning, Meaning::NextLevel(_))).is_empty();
    let level = if skips { quote!(next) } else { quote!(level.saturating_sub(1)) };
    let body = quote! {
        #fields
        #fixes
        Entry::Table(DecodedTable { address: #address, level: #level, limit: grants.of_table() })
    };
    let body = bind(scope.places.resolve(body), &[]);
    quote! {
        /// A table entry's content.
        fn decode_table(&self, level: Level, raw: u64) -> Entry {
            #body
        }
    }
}

/// Statements that read all fields, in the order of the file, so that the first illegal one is named.
fn fields(scope: &Scope<'_>, shape: Shape) -> TokenStream {
    let fields = members::fields(scope, shape);
    let has = |wanted: fn(&Meaning) -> bool| fields.iter().any(|(_, field)| wanted(&field.meaning));
    let mutable = has(|meaning| matches!(meaning, Meaning::Rights(_))).then(|| quote!(mut));
    let mut typed: Vec<_> =
        fields.iter().filter(|(_, field)| matches!(field.meaning, Meaning::Memory(_))).cloned().collect();
    let untyped = (shape == Shape::Leaf && typed.is_empty()).then(|| quote!(let memory = MemoryType::Inherit;));
    let mut steps = Vec::new();
    for (when, field) in &fields {
        let value = scope.choose(&field.bits, quote!(0), |map| bits::extract(scope, map, &quote!(raw)));
        let name = &field.name.value;
        let step = match &field.meaning {
            Meaning::Rights(rows) => grants(scope, field, rows, value),
            Meaning::Memory(_) => {
                // All fields of the memory type are read at the place of the first, as an entry has at most one.
                let all = std::mem::take(&mut typed);
                steps.push((int(1), if all.is_empty() { TokenStream::new() } else { memory(scope, &all) }));
                continue;
            }
            Meaning::Option(rows, _) if rows.other == Other::Reserved => illegal_option(scope, rows, value, name),
            Meaning::NextLevel(plus) => {
                let plus = literal::number((*plus).into());
                let step = quote! {
                    let next = ((#value) as Level).wrapping_sub(#plus);
                    if next >= level {
                        return Entry::Reserved(#name);
                    }
                };
                steps.push((int(1), step));
                continue;
            }
            _ => TokenStream::new(),
        };
        steps.push((when.clone(), step));
    }
    let steps = scope.guarded_all(steps);
    quote! {
        let #mutable grants = Grants::new();
        #untyped
        #steps
    }
}

/// Statements that read the memory type from whichever of its fields the entry has.
fn memory(scope: &Scope<'_>, fields: &[(Expr, &Field)]) -> TokenStream {
    let read = |field: &Field| {
        let value = scope.choose(&field.bits, quote!(0), |map| bits::extract(scope, map, &quote!(raw)));
        let method = rows::method(field, "type");
        quote!(self.#method(#value))
    };
    if let [(when, field)] = fields
        && is(when, 1)
    {
        let (read, name) = (read(field), &field.name.value);
        return quote! {
            let Some(memory) = #read else {
                return Entry::Reserved(#name);
            };
        };
    }
    let each = |field: &Field| {
        let (read, name) = (read(field), &field.name.value);
        quote!((#read, #name))
    };
    let read = memory_chain(scope, fields, each, quote!((Some(MemoryType::Inherit), "")));
    quote! {
        let (memory, rule) = #read;
        let Some(memory) = memory else {
            return Entry::Reserved(rule);
        };
    }
}

/// Adds what the field grants. A value without a row makes the entry reserved.
fn grants(scope: &Scope<'_>, field: &Field, rows: &Rows<Facts>, value: TokenStream) -> TokenStream {
    let (method, name, stated) = (rows::method(field, "facts"), &field.name.value, rows::stated_code(scope, rows));
    quote! {
        let Some(facts) = self.#method(#value) else {
            return Entry::Reserved(#name);
        };
        grants.field(#stated, facts);
    }
}

fn illegal_option(scope: &Scope<'_>, rows: &Rows<String>, value: TokenStream, name: &str) -> TokenStream {
    let arms = rows.rows.iter().map(|row| {
        let value = literal::number(row.value.into());
        let when = row.when.as_ref().map(|when| scope.emit(when, Type::Bool)).map(|when| quote!(if #when));
        quote!(#value #when => {})
    });
    quote!(match #value { #(#arms)* _ => return Entry::Reserved(#name), })
}

/// Statements that check the bits that hardware checks.
fn fixes(scope: &Scope<'_>, shape: Shape) -> TokenStream {
    let mut code = Vec::new();
    for fix in &scope.format.fixes {
        let when = members::has_fix(scope, shape, fix);
        if is(&when, 0) {
            continue;
        }
        let mask = scope.choose(&fix.bits, quote!(0), |map| bits::mask(scope, map));
        let id = &fix.id.value;
        let mut earlier = Vec::new();
        for (condition, class) in scope.choices(&fix.is) {
            let raw = match class {
                FixClass::MustBeZero => Some(quote!(raw)),
                FixClass::MustBeOne => Some(quote!(!raw)),
                _ => None,
            };
            if let Some(raw) = raw {
                let whole = [when.clone()].into_iter().chain(earlier.iter().cloned().map(not)).chain(condition.clone());
                let whole = scope.fold(&all_of(whole));
                if scope.choices(&fix.bits).len() > 1 {
                    let check = quote! {
                        let checked = #mask;
                        if #raw & checked != 0 {
                            return Entry::Reserved(#id);
                        }
                    };
                    code.push((whole, check));
                } else {
                    let alternatives = mask
                        .clone()
                        .into_iter()
                        .any(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '|'));
                    let mask = if alternatives { quote!((#mask)) } else { mask.clone() };
                    let when = (!is(&whole, 1)).then(|| scope.emit_conjunct(&whole)).map(|when| quote!(#when &&));
                    code.push((int(1), quote!(if #when #raw & #mask != 0 { return Entry::Reserved(#id); })));
                }
            }
            earlier.extend(condition);
        }
    }
    scope.guarded_all(code)
}
