//! Generates code for a sample of mutants, for the crate in `generated-tests/recompiled`, which checks that the
//! interpreter and generated code treat a changed file alike.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use tablewright_archdefs::check::check;
use tablewright_archdefs::model::Format;
use tablewright_archdefs::{BUILTINS, read};

use super::{Mutant, Noticed, Witnesses, mutants};

/// How many mutants are tried for each that is wanted: many contradict themselves, so that no code can be generated.
const TRIES: usize = 200;

/// Source text with the code of `count` mutants of each built-in format, and the list of them.
///
/// # Errors
///
/// A text that says what could not be read or generated, or that too few mutants are free of contradictions.
pub fn source(of_each: usize, seed: u64) -> Result<String, String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut modules = TokenStream::new();
    let mut list = TokenStream::new();
    for (name, text) in BUILTINS {
        let (witnesses, mutants) = (Witnesses::of(name)?, mutants(text));
        let mut drawn = Vec::new();
        for _ in 0..TRIES {
            let index = random.usize(..mutants.len());
            if drawn.len() < of_each
                && !drawn.contains(&index)
                && let Some(format) = without_contradiction(&mutants[index])
            {
                let module = format_ident!("{}_{}", name, index);
                let (code, row) = compiled(name, &module, &format, &mutants[index], &witnesses)?;
                modules.extend(code);
                list.extend(row);
                drawn.push(index);
            }
        }
        if drawn.len() < of_each {
            return Err(format!("only {} mutants of {name} are without contradiction", drawn.len()));
        }
    }
    Ok(quote! { #modules const MUTANTS: &[Mutant] = &[#list]; }.to_string())
}

/// The format, if its file can be read, and only its examples contradict it.
fn without_contradiction(mutant: &Mutant) -> Option<Format> {
    let none = |_: &str| Err("there are no other files".to_owned());
    let format = read("mutant.toml", &mutant.text, &none).1.ok()?;
    let mut alone = format.clone();
    alone.examples.clear();
    check(&alone).is_empty().then_some(format)
}

/// The code of a mutant in a module of its own, and its row of the list.
fn compiled(
    name: &str,
    module: &proc_macro2::Ident,
    format: &Format,
    mutant: &Mutant,
    witnesses: &Witnesses,
) -> Result<(TokenStream, TokenStream), String> {
    let shown = format!("{name}.toml:{}: {}", mutant.line, mutant.name);
    let items = tablewright_codegen::modules(format, &quote!(::tablewright));
    let builds = format.builds.iter().map(|build| {
        let build = format_ident!("{}", build.name.value);
        quote!(crate::#module::#build)
    });
    let paths = if format.builds.is_empty() { vec![quote!(crate::#module)] } else { builds.collect() };
    let law = match witnesses.noticed(&mutant.text) {
        Some(Noticed::Law(law)) => quote!(Some(#law)),
        _ => quote!(None),
    };
    let text = &mutant.text;
    let code = quote! {
        #[allow(dead_code, missing_docs, unexpected_cfgs, unreachable_pub)]
        mod #module { #items }
    };
    let row = quote! {
        Mutant {
            name: #shown,
            law: #law,
            text: #text,
            modules: &[#(|params| {
                Some(tablewright::generated_format!(#paths, params)?.map(tablewright::testing::subject))
            }),*],
        },
    };
    Ok((code, row))
}
