//! A format that extends another.

use tablewright_archdefs::model::{Format, LevelTerm, Meaning};
use tablewright_archdefs::{Diagnostics, Sources, Style, check, read};

const TINY: &str = include_str!("tiny.toml");

/// Reads a child of `tiny.toml`, which stands in another folder.
fn child(text: &str) -> (Sources, Format) {
    let (sources, format) = read("formats/child.toml", text, &|path| match path {
        "formats/../tiny.toml" => Ok(TINY.to_owned()),
        _ => Err(format!("asked for {path}")),
    });
    let format = format.unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(&sources, Style::Plain)));
    (sources, format)
}

fn ids<T>(items: &[T], id: impl Fn(&T) -> &str) -> Vec<&str> {
    items.iter().map(id).collect()
}

#[test]
fn a_child_replaces_removes_and_adds() {
    let (sources, format) = child(
        r#"
[format]
extends = "../tiny.toml"
name = "child"
remove = ["fields.access", "fix.page-4", "fix.table-4", "example"]

[params]
huge = { type = "bool", bind = "vm", doc = "2 MiB blocks, where wanted" }
wide = { type = "bool", bind = "boot", doc = "wider" }

[levels]
label = "2 - level"

[[kind]]
id = "page"
is = "leaf"
level = "0..=1"
match = "0 == 1"

[fields.permissions]
in = "leaf"
bits = "3:1"
rights = ["1 r", "7 r w x"]
other = "reserved"
"#,
    );
    assert_eq!((format.name.value.as_str(), format.title.as_str()), ("child", "A made-up format with three levels"));
    assert_eq!(ids(&format.params, |param| &param.name.value), ["huge", "pa_bits", "wide"]);
    assert_eq!(format.params[0].default, 0);
    assert_eq!(format.levels.label.value.to_string(), "2 - level");
    assert_eq!(format.levels.page_bits.value.to_string(), "12");
    assert_eq!(ids(&format.kinds, |kind| &kind.id.value), ["not-present", "page", "block", "table", "table-only"]);
    assert_eq!(format.kinds[1].level.plus, [LevelTerm::Range(0, Some(1))]);
    assert_eq!(ids(&format.fields, |field| &field.name.value), ["output", "next_table", "permissions"]);
    assert!(matches!(&format.fields[2].meaning, Meaning::Rights(rows) if rows.rows.len() == 2));
    assert_eq!(ids(&format.fixes, |fix| &fix.id.value), ["too-wide", "block-low", "leaf-low", "table-low"]);
    assert!(format.examples.is_empty());

    let paths: Vec<_> = sources.files().iter().map(|file| (file.path.as_str(), file.built_in)).collect();
    assert_eq!(paths, [("formats/child.toml", false), ("formats/../tiny.toml", false)]);
    let place = sources.place(format.fields[2].name.span).unwrap();
    assert_eq!((place.path, place.line, place.column), ("formats/child.toml", 20, 9));
    assert_eq!(sources.place(format.fields[0].name.span).unwrap().path, "formats/../tiny.toml");
}

#[test]
fn a_built_in_format_can_be_a_parent() {
    let (sources, format) = child("[format]\nextends = \"ept\"\nname = \"mine\"\n[memory]\nfallback = []\n");
    assert_eq!(format.name.value, "mine");
    assert!(format.fallbacks.is_empty());
    assert_eq!(sources.files()[1].path, "<built-in>/ept.toml");
    assert!(sources.files()[1].built_in);
}

#[test]
fn a_parameter_goes_with_what_gives_it_its_value() {
    let (_, parent) = tablewright_archdefs::read_builtin("stage2").expect("a built-in format");
    let parent = parent.expect("it is correct");
    let (_, format) = child(
        "[format]\nextends = \"stage2\"\nname = \"narrow\"\nremove = [\"params.vmid16\", \"registers\", \"config\", \"example\"]\n",
    );
    let names = |format: &Format| -> Vec<String> {
        let values = format.capabilities.iter().flat_map(|capabilities| &capabilities.values);
        values.map(|value| value.param.value.clone()).collect()
    };
    let mut expected = names(&parent);
    expected.retain(|name| name != "vmid16");
    assert_eq!(names(&format), expected);
    assert!(expected.len() < names(&parent).len());
}

#[test]
fn a_child_may_allow_less() {
    let (_, format) = child(
        "[format]\nextends = \"ept\"\nname = \"narrow\"\nremove = [\"config.five-level\"]\n\
         [params]\npa_bits = { type = \"int\", bind = \"boot\", values = \"36..=46\", doc = \"width\" }\n",
    );
    assert!(format.examples.len() > 10, "only the examples of the removed configuration are gone");
    assert_eq!(check(&format), Diagnostics::default());
}
