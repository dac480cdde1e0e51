//! The module of a format file: its items, the errors in it, and what makes the compiler read it again when it changes.

use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream, Result};
use syn::{Attribute, Ident, LitStr, Token, Visibility, bracketed};
use tablewright_archdefs::{Diagnostics, Outline, Sources, Style};

/// `[runtime] #[attributes] pub mod name = "path"`
pub(crate) struct Module {
    runtime: TokenStream,
    attributes: Vec<Attribute>,
    visibility: Visibility,
    name: Ident,
    path: LitStr,
}

impl Parse for Module {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let runtime;
        bracketed!(runtime in input);
        let runtime = runtime.parse()?;
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        input.parse::<Token![mod]>()?;
        let name = input.parse()?;
        input.parse::<Token![=]>()?;
        let path = input.parse()?;
        input.parse::<Option<Token![;]>>()?;
        Ok(Self { runtime, attributes, visibility, name, path })
    }
}

/// The module, with an error beside it if there is one.
pub(crate) fn module(input: Module) -> TokenStream {
    let Module { runtime, attributes, visibility, name, path } = input;
    let file = generate(&path.value(), &runtime);
    let error = file.error.map(|message| quote_spanned!(path.span()=> ::core::compile_error!(#message);));
    let (items, tracked) = (file.items, file.read);
    quote! {
        // A crate may use only some of the items, and a format may name an architecture that Rust does not know.
        #(#attributes)*
        #[allow(dead_code, unexpected_cfgs, unreachable_pub)]
        #visibility mod #name {
            #items
            // A change of the file rebuilds the crate.
            #(const _: &[u8] = ::core::include_bytes!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #tracked));)*
        }
        #error
    }
}

/// What a format file is turned into.
struct Generated {
    /// The module's items: those of the format, or what stands in for them.
    items: TokenStream,
    /// Everything that is wrong with the file, as text.
    error: Option<String>,
    /// The files read, relative to the crate.
    read: Vec<String>,
}

/// Reads, checks and generates the format file at `path` in the crate that is being compiled.
fn generate(path: &str, runtime: &TokenStream) -> Generated {
    let crate_root = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    // Messages show paths relative to where the compiler runs, as its own messages do.
    let shown_from = std::env::current_dir().ok().filter(|current| crate_root.starts_with(current));
    let shown_from = shown_from.unwrap_or_else(|| crate_root.clone());
    let file = crate_root.join(path);
    let shown = file.strip_prefix(&shown_from).unwrap_or(&file).to_string_lossy().into_owned();
    let load = |path: &str| std::fs::read_to_string(shown_from.join(path)).map_err(|error| error.to_string());
    let text = match load(&shown) {
        Ok(text) => text,
        Err(error) => {
            let error = Some(format!("cannot read `{shown}`: {error}"));
            return Generated {
                items: tablewright_codegen::stub(&Outline::default(), runtime),
                error,
                read: Vec::new(),
            };
        }
    };
    let (sources, format) = tablewright_archdefs::read(&shown, &text, &load);
    let outside = sources.files().iter().filter(|file| !file.built_in);
    let read = outside.map(|file| from_crate(&crate_root, &shown_from.join(&file.path))).collect();
    let (items, problems) = match format {
        Err(problems) => (None, problems),
        Ok(format) => {
            (Some(tablewright_codegen::modules(&format, runtime)), tablewright_archdefs::check::check(&format))
        }
    };
    let stub = || tablewright_codegen::stub(&tablewright_archdefs::outline(&shown, &text, &load), runtime);
    let items = items.unwrap_or_else(stub);
    let error = (!problems.is_empty()).then(|| render(&problems, &sources));
    Generated { items, error, read }
}

/// The problems as text. The compiler puts `error: ` in front.
fn render(problems: &Diagnostics, sources: &Sources) -> String {
    let text = problems.render(sources, Style::Plain);
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

/// `file` as a path from the crate's root.
fn from_crate(crate_root: &Path, file: &Path) -> String {
    let mut base = crate_root;
    let mut up = String::new();
    loop {
        if let Ok(rest) = file.strip_prefix(base) {
            return format!("{up}{}", rest.to_string_lossy());
        }
        match base.parent() {
            Some(parent) => base = parent,
            None => return file.to_string_lossy().into_owned(),
        }
        up.push_str("../");
    }
}
