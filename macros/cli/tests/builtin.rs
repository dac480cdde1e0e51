//! What the runtime has for each built-in format is what is generated from its file.
//!
//! `BLESS=1 cargo test -p tablewright-cli --test builtin` writes the files anew. It is a test of this package, which does
//! not need the runtime, so that what no longer compiles can still be written anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tablewright_archdefs::{BUILTINS, read_builtin};
use tablewright_cli::run;

/// The modules of all built-in formats, and the file of each.
fn modules() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/src/formats");
    let mut modules = Vec::new();
    for (name, _) in BUILTINS {
        let (_, format) = read_builtin(name).expect("it is built in");
        let format = format.expect("it has no mistakes");
        let builds: Vec<_> = format.builds.iter().map(|build| build.name.value.clone()).collect();
        let names = if builds.is_empty() { vec![format.name.value] } else { builds };
        let folder = folder.join(&format.architecture);
        modules.extend(names.into_iter().map(|name| (name.clone(), folder.join(name).with_extension("rs"))));
    }
    modules
}

#[test]
fn generated_code_is_current() {
    for (name, path) in modules() {
        let path = path.to_str().expect("paths are plain");
        let command = ["expand", &name, "--runtime", "crate"];
        if std::env::var_os("BLESS").is_some() {
            fs::write(path, run(&command).out).expect("it can be written");
        }
        let ran = run(&[&command[..], &["--check", path]].concat());
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    }
}

#[test]
fn no_file_is_left_of_a_format_that_is_gone() {
    let generated: BTreeSet<_> = modules().into_iter().map(|(_, path)| path).collect();
    let folders: BTreeSet<_> = generated.iter().filter_map(|path| path.parent()).collect();
    let files = folders.into_iter().flat_map(|folder| fs::read_dir(folder).expect("the folder is there"));
    let there: BTreeSet<_> = files.map(|file| file.expect("it can be listed").path()).collect();
    assert_eq!(there, generated);
}
