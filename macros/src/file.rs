//! From a path to generated items, and every file that had to be read.

use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use tablewright_archdefs::Outline;

use crate::render;

/// What a file gives.
pub(crate) struct Generated {
    /// The module's items: those of the format, or what stands in for them.
    pub(crate) items: TokenStream,
    /// Everything that is wrong with the file, as text.
    pub(crate) error: Option<String>,
    /// The files read, relative to the crate.
    pub(crate) read: Vec<String>,
}

/// Reads, checks and generates the format file at `path` in the crate that is being compiled.
pub(crate) fn generate(path: &str, runtime: &TokenStream) -> Generated {
    let crate_root = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    // Messages show paths from where the compiler runs, as its own messages do.
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
