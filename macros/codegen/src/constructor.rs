//! Generates `Format::new`, which checks the parameters and computes everything that depends on them.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::{Expr, Op};
use tablewright_archdefs::model::{Domain, InputExtension, Param};
use tablewright_archdefs::show;

use crate::places::Place;
use crate::scope::{Scope, Type, ident, int, is, join, not};
use crate::{format, grant};

/// `fn new`: every parameter, every rule, the root, then the layouts.
pub(crate) fn constructor(scope: &Scope<'_>) -> TokenStream {
    let params = scope.open_params().filter_map(|param| check_param(scope, param));
    let rules = scope.format.levels.requires.iter().filter_map(|rule| {
        let folded = scope.fold(&rule.value);
        if is(&folded, 1) {
            return None;
        }
        let (broken, message) = (scope.emit(&not(folded), Type::Bool), rule.value.to_string());
        Some(quote!(if #broken { return Err(ConfigError::Rule(#message)); }))
    });
    let root = roots(scope);
    let word = format::word(scope.format.word);
    let output_bits = scope.emit(&scope.format.levels.output_bits.value, Type::Byte);
    let extension = scope.choose(&scope.format.levels.input, quote!(Extension::Zero), |input| match input {
        InputExtension::Zero => quote!(Extension::Zero),
        InputExtension::One => quote!(Extension::One),
        InputExtension::Sign => quote!(Extension::Sign),
    });
    let cached = scope.choose(&scope.format.live.invalid_cached, quote!(false), |value| scope.emit(value, Type::Bool));
    let has_common = scope.places.any(Place::Common);
    let [make_common, with_common, common] =
        [quote!(let common = Common::new(config);), quote!(&common,), quote!(common,)]
            .map(|code| has_common.then_some(code));
    let fields = quote!(config: *config, geometry, invalid_cached: #cached, #common layouts);
    let result = match grant::unresolved(scope) {
        None => quote!(Ok(Self { #fields })),
        Some(first_writes) => quote! {
            let mut format = Self { #fields, #first_writes };
            format.first_writes = format.resolved_first_writes();
            Ok(format)
        },
    };
    quote! {
        /// Checks the parameters and resolves them.
        ///
        /// # Errors
        ///
        /// [`ConfigError`] names the parameter or the rule that it breaks.
        pub const fn new(config: &Config) -> Result<Self, ConfigError> {
            #(#params)*
            #root
            #(#rules)*
            let geometry = Geometry::new(<#word as EntryWord>::SIZE, Self::ENTRY_BITS, levels, input_bits, #output_bits, #extension);
            #make_common
            let top = config.levels - 1;
            // Levels above the root repeat the root's layout, and nothing reads them.
            let mut layouts = [Layout::new(config, #with_common top); codec::LEVELS];
            let mut level = 0;
            while level < top {
                layouts[codec::index(level)] = Layout::new(config, #with_common level);
                level += 1;
            }
            #result
        }
    }
}

fn check_param(scope: &Scope<'_>, param: &Param) -> Option<TokenStream> {
    let (name, text) = (ident(&param.name.value), &param.name.value);
    let when = param.when.as_ref().map_or(int(1), |when| scope.fold(when));
    let legal = match &param.domain {
        Domain::Bool | Domain::Word => None,
        Domain::Int(values) => {
            let pattern = ranges(values);
            let wrong = quote!(!::core::matches!(config.#name, #pattern));
            Some((wrong, quote!(return Err(ConfigError::Value { param: #text, value: config.#name as i64 });)))
        }
    };
    if is(&when, 1) {
        return legal.map(|(wrong, refuse)| quote!(if #wrong { #refuse }));
    }
    let condition = when.to_string();
    let refuse = quote!(return Err(ConfigError::Unavailable { param: #text, condition: #condition }););
    let is_set = if param.domain == Domain::Bool { quote!(config.#name) } else { quote!(config.#name != 0) };
    Some(match legal {
        None => {
            let unavailable = scope.emit_conjunct(&not(when));
            quote!(if #is_set && #unavailable { #refuse })
        }
        Some((wrong, refuse_value)) => {
            let available = scope.emit(&when, Type::Bool);
            quote!(if #available { if #wrong { #refuse_value } } else if #is_set { #refuse })
        }
    })
}

/// Ascending numbers as a pattern: `36..=52 | 56`.
fn ranges(values: &[i64]) -> TokenStream {
    let text = show::set(values).replace(", ", " | ");
    text.parse().unwrap_or_default()
}

/// The check that a root of some shape has the levels and input bits asked for.
fn roots(scope: &Scope<'_>) -> TokenStream {
    let roots = scope.format.roots.iter().map(|root| {
        let (levels, bits) = (ranges(&root.levels.value), ranges(&root.index_bits.value));
        let shape = quote!(::core::matches!((levels, root_bits), (#levels, #bits)));
        (root.when.as_ref().map_or(int(1), |when| scope.fold(when)), shape)
    });
    let roots: Vec<_> = roots.filter(|(when, _)| !is(when, 0)).collect();
    let exists = roots.iter().map(|(when, shape)| match is(when, 1) {
        true => shape.clone(),
        false => {
            let when = scope.emit_conjunct(when);
            quote!((#when && #shape))
        }
    });
    // Several roots of one shape share a message, which names the conditions of all.
    let mut needs: Vec<(TokenStream, Expr)> = Vec::new();
    for (when, shape) in roots.iter().filter(|(when, _)| !is(when, 1)) {
        match needs.iter_mut().find(|(known, _)| known.to_string() == shape.to_string()) {
            Some((_, need)) => *need = join(Op::OrElse, need.clone(), when.clone()),
            None => needs.push((shape.clone(), when.clone())),
        }
    }
    let needs = needs.into_iter().map(|(shape, condition)| {
        let condition = condition.to_string();
        quote!(if #shape { return Err(ConfigError::RootNeeds { levels, input_bits, condition: #condition }); })
    });
    quote! {
        let (levels, input_bits) = (config.levels, config.input_bits);
        let root_bits = input_bits as i32 - Self::ENTRY_BITS[codec::index(levels.wrapping_sub(1))] as i32;
        if !(#(#exists)||*) {
            #(#needs)*
            return Err(ConfigError::Root { levels, input_bits });
        }
    }
}
