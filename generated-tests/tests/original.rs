//! What `runtime/ORIGINAL.md` names must exist: each item of the library, and each test.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Rust sources under `directory`, as one text.
fn sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The cells of each row, headings aside.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines = page.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| shown by |"));
    lines.map(|line| line.trim_matches('|').split(" | ").collect()).collect()
}

fn page() -> String {
    fs::read_to_string(root().join("runtime/ORIGINAL.md")).expect("the page")
}

/// Whether `text` declares `name`.
fn declares(text: &str, name: &str) -> bool {
    let keywords = ["fn", "struct", "enum", "trait", "type", "mod"];
    keywords.iter().any(|keyword| {
        let declaration = format!("{keyword} {name}");
        let ends =
            |at: usize| text[at + declaration.len()..].starts_with(|next: char| !next.is_alphanumeric() && next != '_');
        text.match_indices(&declaration).any(|(at, _)| ends(at))
    })
}

/// The test named `target::file::function`, or `target::function` where the target is one file; a test that runs in each
/// format is named without the format.
fn is_test(name: &str) -> bool {
    let (file, function) = match name.split("::").collect::<Vec<_>>().as_slice() {
        ["dropin", file, function] => (format!("examples/axaddrspace/tests/{file}"), *function),
        [target, file, function] => (format!("generated-tests/tests/{target}/{file}"), *function),
        [target, function] => (format!("generated-tests/tests/{target}"), *function),
        _ => return false,
    };
    let Ok(text) = fs::read_to_string(root().join(file + ".rs")) else { return false };
    // By hand, by a macro for each format (named in its list, too), or by one that takes the name.
    declares(&text, function)
        && (text.contains(&format!("#[test]\nfn {function}(")) || text.matches(function).count() > 1)
        || text.contains(&format!("    {function}: "))
}

#[test]
fn every_row_names_tests_that_exist() {
    let page = page();
    let rows = rows(&page);
    assert!(rows.len() > 20);
    for row in rows {
        let tests: Vec<&str> = row.last().map(|cell| quoted(cell).collect()).unwrap_or_default();
        assert!(!tests.is_empty(), "no test shows {}", row[0]);
        for test in tests {
            assert!(is_test(test), "{}: there is no test {test}", row[0]);
        }
    }
}

#[test]
fn every_item_that_is_named_exists() {
    let (page, mut library) = (page(), String::new());
    sources(&root().join("runtime/src"), &mut library);
    sources(&root().join("macros/codegen/src"), &mut library);
    for row in rows(&page) {
        for item in quoted(row[1]) {
            assert!(item.split("::").all(|part| declares(&library, part)), "there is no `{item}`");
        }
    }
}

#[test]
fn what_does_not_exist_is_found_out() {
    assert!(!is_test("space::areas::no_such_test") && !is_test("space::no_such_file::a") && !is_test("a"));
    assert!(is_test("invalidation::amd_iommus_have_commands"));
    assert!(!is_test("invalidation::no_such_test") && !is_test("no_such_file::a"));
    assert!(is_test("space::areas::the_rest_of_an_area"));
    assert!(!declares("fn longer_name() {}", "longer") && declares("fn longer() {}", "longer"));
}
