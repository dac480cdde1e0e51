//! Generates `Config`: the boot and VM parameters, their defaults, and their values from identification registers.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::model::{Domain, Param};

use crate::locals::parameter;
use crate::scope::{Scope, Type, ident, int, is, param_type};
use crate::{config_docs, literal, readings};

/// `struct Config` and its constructors.
pub(crate) fn config(scope: &Scope<'_>) -> TokenStream {
    let fields = scope.open_params().map(|param| {
        let (name, ty, docs) =
            (ident(&param.name.value), param_type(&param.domain).name(), config_docs::param(scope, param));
        quote! {
            #(#[doc = #docs])*
            pub #name: #ty,
        }
    });
    let names = scope.open_params().map(|param| ident(&param.name.value));
    let defaults = scope.open_params().map(default);
    let unavailable = scope.open_params().filter_map(|param| {
        let when = scope.fold(param.when.as_ref()?);
        (!is(&when, 1) && param.default != 0).then(|| {
            let name = ident(&param.name.value);
            let when = scope.emit(&crate::scope::not(when), Type::Bool);
            let zero = zero(param);
            quote!(if #when { config.#name = #zero; })
        })
    });
    let unavailable: Vec<_> = unavailable.collect();
    let whole = quote!(Self { #(#names: #defaults,)* levels, input_bits });
    let body = if unavailable.is_empty() {
        whole
    } else {
        quote! {
            let mut config = #whole;
            #(#unavailable)*
            config
        }
    };
    let capabilities = capabilities(scope);
    let roots = config_docs::roots(scope);
    let [levels, input_bits] = ["levels", "input_bits"].map(|name| config_docs::rules(scope, name));
    let [levels, input_bits] =
        [levels, input_bits].map(|rules| rules.into_iter().flat_map(|rules| [String::new(), rules]));
    quote! {
        #(#[doc = #roots])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct Config {
            #(#fields)*
            /// Number of levels.
            #(#[doc = #levels])*
            pub levels: u8,
            /// Width of an input address.
            #(#[doc = #input_bits])*
            pub input_bits: u8,
        }

        impl Config {
            /// The defaults of every parameter.
            pub const fn new(levels: u8, input_bits: u8) -> Self {
                #body
            }
        }

        #capabilities
    }
}

fn default(param: &Param) -> TokenStream {
    match (&param.domain, param.default) {
        (Domain::Bool, 0) => quote!(false),
        (Domain::Bool, _) => quote!(true),
        (Domain::Int(_), value) => literal::number(value.into()),
        (Domain::Word, value) => literal::hex(value.cast_unsigned()),
    }
}

fn zero(param: &Param) -> TokenStream {
    match param.domain {
        Domain::Bool => quote!(false),
        Domain::Int(_) | Domain::Word => quote!(0),
    }
}

fn capabilities(scope: &Scope<'_>) -> TokenStream {
    let capabilities = scope.format.capabilities.as_ref();
    let fields = readings::fields(capabilities.map_or(&[], |capabilities| &capabilities.registers));
    let values: Vec<_> = capabilities.iter().flat_map(|capabilities| &capabilities.values).collect();
    let register_scope = scope.with_registers("capabilities");
    let assignments = scope.open_params().filter_map(|param| {
        let rows: Vec<_> = values.iter().filter(|row| row.param.value == param.name.value).collect();
        if rows.is_empty() {
            return None;
        }
        let name = ident(&param.name.value);
        let ty = param_type(&param.domain);
        let mut code = quote!(config.#name);
        for row in rows.iter().rev() {
            let value = match ty {
                Type::Byte => match scope.constant(&row.value) {
                    Some(value) => literal::number(value),
                    None => {
                        let value = register_scope.emit_operand(&row.value, Type::Word);
                        quote!(#value as u8)
                    }
                },
                ty => register_scope.emit(&row.value, ty),
            };
            let when = row.when.as_ref().map_or(int(1), |when| scope.fold(when));
            code = register_scope.if_else(&when, value, code);
        }
        Some(quote!(config.#name = #code;))
    });
    // Last, because whether a parameter is available may depend on any other.
    let said = |param: &&Param| values.iter().any(|row| row.param.value == param.name.value);
    let unavailable = scope.open_params().filter(said).filter_map(|param| {
        let when = scope.fold(param.when.as_ref()?);
        (!is(&when, 1)).then(|| {
            let (name, zero) = (ident(&param.name.value), zero(param));
            let unavailable = scope.emit(&crate::scope::not(when), Type::Bool);
            quote!(if #unavailable { config.#name = #zero; })
        })
    });
    let body = quote! {
        let mut config = Self::new(levels, input_bits);
        #(#assignments)*
        #(#unavailable)*
        config
    };
    let body = if values.is_empty() { quote!(Self::new(levels, input_bits)) } else { body };
    let parameter = parameter(&body, "capabilities");
    let docs = match capabilities {
        Some(capabilities) => readings::docs("What tells what the machine can do", capabilities.cite.as_deref()),
        None => vec![" What tells what the machine can do: no register that the format's file names.".into()],
    };
    quote! {
        #(#[doc = #docs])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Capabilities {
            #fields
        }

        impl Config {
            /// What the machine can do, and the defaults of everything else. If it has no such tables at all,
            /// [`Format::new`] refuses them.
            pub const fn from_capabilities(#parameter: &Capabilities, levels: u8, input_bits: u8) -> Self {
                #body
            }
        }
    }
}
