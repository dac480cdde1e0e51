//! Generates access by name, for tools and tests that read names from a file or a command line.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::model::{Domain, Reading};

use crate::literal;
use crate::scope::{Scope, Type, ident, param_type};

/// `Config::set` and `Config::by_name`, `Registers::by_name`, `Report::by_name`, `from_values` of the types that hold
/// registers, and the implementation of the trait for all of these.
pub(crate) fn named(scope: &Scope<'_>) -> TokenStream {
    let config = config(scope);
    let format = scope.format;
    let registers: Vec<&str> = format.registers.iter().map(|register| register.name.value.as_str()).collect();
    let registers = by_name("Registers", &registers);
    let reported = names(format.fault.as_ref().map_or(&[], |fault| &fault.registers));
    let report_by_name = by_name("Report", &reported);
    let report = from_values("Report", "A report from", &reported);
    let capabilities = names(format.capabilities.as_ref().map_or(&[], |capabilities| &capabilities.registers));
    let capabilities = from_values("Capabilities", "These from", &capabilities);
    let controls = names(format.access.as_ref().map_or(&[], |access| &access.registers));
    let controls = from_values("Controls", "These from", &controls);
    let implementation = implementation();
    quote! {
        #config
        #registers
        #report
        #report_by_name
        #controls
        #capabilities
        #implementation
    }
}

/// `impl ByName`: the same for generic code.
fn implementation() -> TokenStream {
    quote! {
        impl ByName for Format {
            fn config(levels: u8, input_bits: u8) -> Config {
                Config::new(levels, input_bits)
            }

            fn set(config: &mut Config, name: &str, value: i64) -> bool {
                config.set(name, value)
            }

            fn parameters(config: &Config) -> impl Iterator<Item = (&'static str, i64)> {
                config.by_name().into_iter()
            }

            fn of_machine(registers: &[u64], levels: u8, input_bits: u8) -> Option<Config> {
                let capabilities = Capabilities::from_values(registers.try_into().ok()?);
                Some(Config::from_capabilities(&capabilities, levels, input_bits))
            }

            fn register_values(registers: &Registers) -> impl Iterator<Item = (&'static str, u64)> {
                registers.by_name().into_iter()
            }

            fn report(registers: &[u64]) -> Option<Report> {
                registers.try_into().ok().map(Report::from_values)
            }

            fn report_values(report: &Report) -> impl Iterator<Item = (&'static str, u64)> {
                report.by_name().into_iter()
            }

            fn controls(registers: &[u64]) -> Option<Controls> {
                registers.try_into().ok().map(Controls::from_values)
            }
        }
    }
}

fn config(scope: &Scope<'_>) -> TokenStream {
    let bound = scope.fixed_params().map(|(param, value)| {
        let (text, value) = (&param.name.value, literal::number(value));
        quote!(#text => return value == #value,)
    });
    let pairs = scope.open_params().map(|param| {
        let (name, field) = (&param.name.value, ident(&param.name.value));
        match param.domain {
            Domain::Word => quote!((#name, self.#field.cast_signed())),
            Domain::Bool | Domain::Int(_) => quote!((#name, self.#field as i64)),
        }
    });
    let count = literal::number(scope.open_params().count() as i128 + 2);
    let free = scope.open_params().map(|param| (&param.name.value, param_type(&param.domain)));
    let words: Vec<_> = scope.open_params().filter(|param| param.domain == Domain::Word).collect();
    let words: Vec<_> = words.iter().map(|param| param.name.value.as_str()).collect();
    let (levels, input_bits) = ("levels".to_owned(), "input_bits".to_owned());
    let fields = free.chain([(&levels, Type::Byte), (&input_bits, Type::Byte)]).map(|(name, ty)| {
        let field = ident(name);
        match ty {
            Type::Bool => quote!(#name => self.#field = value != 0,),
            _ if words.contains(&name.as_str()) => quote!(#name => self.#field = value.cast_unsigned(),),
            ty => {
                let ty = ty.name();
                quote! {
                    #name => match #ty::try_from(value) {
                        Ok(value) => self.#field = value,
                        Err(_) => return false,
                    },
                }
            }
        }
    });
    quote! {
        impl Config {
            /// Sets a parameter by its name; 0 and 1 stand for false and true. Whether the value is legal, the format's
            /// constructor says.
            ///
            /// `false` if there is no such parameter, it cannot hold the value, or it is fixed to another one.
            pub fn set(&mut self, name: &str, value: i64) -> bool {
                match name {
                    #(#bound)*
                    #(#fields)*
                    _ => return false,
                }
                true
            }

            /// Each parameter's name and value, as [`Config::set`] takes them.
            pub const fn by_name(&self) -> [(&'static str, i64); #count] {
                [#(#pairs,)* ("levels", self.levels as i64), ("input_bits", self.input_bits as i64)]
            }
        }
    }
}

fn names(registers: &[Reading]) -> Vec<&str> {
    registers.iter().map(|register| register.name.value.as_str()).collect()
}

/// `by_name` of a type that has a field for each of `registers`.
fn by_name(name: &str, registers: &[&str]) -> TokenStream {
    let name = ident(name);
    let count = literal::number(registers.len() as i128);
    let fields = registers.iter().map(|register| ident(register));
    quote! {
        impl #name {
            /// Each register's name and value.
            pub const fn by_name(&self) -> [(&'static str, u64); #count] {
                [#((#registers, self.#fields)),*]
            }
        }
    }
}

/// `from_values` of a type that has a field for each of `registers`.
fn from_values(name: &str, what: &str, registers: &[&str]) -> TokenStream {
    let doc = format!(" {what} its registers' values, in the order of the fields.");
    let name = ident(name);
    let names: Vec<_> = registers.iter().map(|register| ident(register)).collect();
    let count = literal::number(names.len() as i128);
    quote! {
        impl #name {
            #[doc = #doc]
            pub const fn from_values([#(#names),*]: [u64; #count]) -> Self {
                Self { #(#names),* }
            }
        }
    }
}
