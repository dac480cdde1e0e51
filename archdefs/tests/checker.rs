//! Every claim the checker makes, by a file that breaks it.

mod common;

use common::{findings, text};

/// Takes a built-in format, replaces some text (which must be there) and snapshots what the checker says.
fn broken(name: &str, format: &str, edits: &[(&str, &str)]) {
    let mut text = text(format).to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{name}: `{from}` is not in {format}");
        text = text.replacen(from, to, 1);
    }
    let found = findings(format, &text);
    assert!(!found.is_empty(), "{name}: nothing was found");
    insta::assert_snapshot!(name, found);
}

macro_rules! broken {
    ($($name:ident: $format:literal, [$($edit:expr),+ $(,)?];)+) => {$(
        #[test]
        fn $name() {
            broken(stringify!($name), $format, &[$($edit),+]);
        }
    )+};
}

#[test]
fn built_in_formats_are_without_mistakes() {
    for (name, text) in tablewright_archdefs::BUILTINS {
        let found = findings(name, text);
        assert!(found.is_empty(), "{found}");
    }
}

broken! {
    // bits
    two_owners: "ept", [("bits = \"6\"\noption = [\"0 combine", "bits = \"5\"\noption = [\"0 combine")];
    no_owner: "ept", [("bits = \"62, 59, 56:52, 11\"", "bits = \"62, 59, 56:52\"")];
    no_such_bit: "ept", [("bits = \"58\"", "bits = \"64\"")];
    segment_upside_down: "ept", [("bits = \"51:pa_bits\"", "bits = \"50:pa_bits\"")];

    // kinds
    two_kinds: "ept", [("match = [\"10, 2:0 != 0 if mode_based_execute\", \"2:0 != 0\"]", "match = \"0 == 0\"")];
    no_kind: "sv_x4", [("level = \"0\"\nmatch = \"0 == 1 & 3:1 == 0\"", "level = \"0\"\nmatch = \"0 == 1 & 3:1 == 0 & 4 == 1\"")];
    blocks_at_other_levels: "ept", [("is = \"leaf\"\nlevel = \"block\"", "is = \"leaf\"\nlevel = \"1\"")];
    empty_that_is_present: "ept", [("\"0\"]\n\n# ---- what", "\"1\"]\n\n# ---- what")];
    reads_back_as_a_table: "sv_x4", [("rights = [\"0b001 r\",", "rights = [\"0b000 none\", \"0b001 r\",")];

    // addresses
    address_hole: "ept", [("bits = \"pa_bits-1:leaf_bits\"", "bits = \"pa_bits-1:leaf_bits+1\"")];
    address_excess: "sv_x4", [("bits = \"53:10 <- 55:12\"", "bits = \"53:10 <- 54:11\"")];
    no_address: "ept", [("[fields.next_table]\nin = [\"table\"]\naddress = \"table\"", "[fields.next_table]\nin = [\"table\"]\nsoftware = true")];
    two_addresses: "ept", [("[fields.ignore_pat]\nin = [\"leaf\"]\nbits = \"6\"\noption = [\"0 combine-with-pat\", \"1 ignore-pat\"]", "[fields.ignore_pat]\nin = [\"leaf\"]\nbits = \"6\"\naddress = \"output\"")];

    // rows
    two_rows: "ept", [("\"0b100 x if execute_only\"", "\"0b101 x if execute_only\"")];
    row_too_wide: "ept", [("\"6 wb\"]", "\"6 wb\", \"8 wp\"]")];
    value_without_a_row: "ept", [("option = [\"0 combine-with-pat\", \"1 ignore-pat\"]", "option = [\"0 combine-with-pat\"]")];
    other_without_a_value: "ept", [("rights = [\"0 none\", \"1 accessed\"]", "rights = [\"0 none\", \"1 accessed\"]\nother = \"reserved\"")];
    row_that_no_entry_shows: "ept", [("rights = [\"0b001 r\",", "rights = [\"0b001 r\", \"0b000 none decode-only\",")];
    default_without_a_row: "ept", [("\"1 suppress-ve\"]\ndefault = \"1\"", "\"1 suppress-ve if access_dirty\"]\nother = \"unnamed\"\ndefault = \"1\"")];
    tables_without_every_right: "amd_iommu_v1", [("rights = [\"0b11 r w\", \"0b01 r\", \"0b10 w\", \"0b00 none\"]", "rights = [\"0b01 r\", \"0b10 w\", \"0b00 none\"]\nother = \"reserved\"")];

    // runs
    run_larger_than_its_table: "sv_x4", [("items = \"16\"", "items = \"1024\"")];
    run_that_looks_single: "sv_x4", [("single = \"63 == 0\"", "single = \"63 == 1\"")];
    mark_of_many_values: "sv_x4", [("mark = \"63 == 1 & 13:10 == 0b1000\"", "mark = \"63 == 1 & 13:10 != 0b1000\"")];

    // parameters
    unused_parameter: "ept", [("[levels]", "nobody = { type = \"bool\", bind = \"boot\", doc = \"nothing\" }\n\n[levels]")];
    never_legal: "ept", [("output_bits = \"pa_bits\"", "output_bits = \"pa_bits\"\nrequires = [\"pa_bits > 52\"]")];
    two_roots: "ept", [("[[kind]]", "[[root]]\nid = \"again\"\nlevels = \"5\"\nindex_bits = \"9\"\n\n[[kind]]")];
    item_never_used: "ept", [("is = [\"hardware if access_dirty\", \"ignored\"]", "is = [\"hardware if pa_bits > 52\", \"ignored\"]")];

    // configurations
    other_page_sizes: "ept", [("page_sizes = \"4K 2M\"", "page_sizes = \"4K 2M 1G\"")];
    illegal_configuration: "ept", [("input_bits = 57", "input_bits = 56")];
    unavailable_parameter: "stage2", [("granule = 12, levels = 3, input_bits = 40, pa_bits = 40", "granule = 12, levels = 3, input_bits = 40, pa_bits = 40, lpa")];

    // registers
    register_overlap: "ept", [("\"6 access_dirty = access_dirty\"", "\"5 access_dirty = access_dirty\"")];
    register_field_wider_than_roots: "sv_x4", [("\"57:44 vmid = tag\",\n    \"43:0 ppn", "\"57:45 vmid = tag\",\n    \"44:0 ppn")];
    register_value_too_wide: "ept", [("\"2:0 memory_type = 6\"", "\"1:0 memory_type = 6\"")];

    // several mistakes at once
    many_mistakes: "ept", [
        ("\"0b100 x if execute_only\"", "\"0b101 x if execute_only\""),
        ("bits = \"62, 59, 56:52, 11\"", "bits = \"62, 59, 56:52\""),
        ("page_sizes = \"4K 2M\"", "page_sizes = \"4K 1G\""),
    ];
}

#[test]
fn examples_that_do_not_hold() {
    let examples = r#"
[[example.entry]]
config = "server"
level = 0
raw = "0x0000_0000_1234_5037"
kind = "page"
address = "0x1234_6000"
rights = "r x"
memory = "uc"
cite = "nowhere"

[[example.entry]]
config = "server"
level = 0
raw = "0x0000_0000_1234_5032"
kind = "page"
cite = "nowhere"

[[example.edit]]
config = "server"
level = 0
old = "0x1037"
new = "0x2037"
needs_break = true
cite = "nowhere"

[[example.register]]
config = "server"
register = "eptp"
root = "0x1000"
tag = 0
raw = "0x105f"
cite = "nowhere"

[[example.fault]]
config = "server"
report = ["48", "0x1", "0x5000"]
address = "0x6000"
access = "write"
cause = "permission"
cite = "nowhere"
"#;
    let ept = text("ept");
    let cut = ept.find("[example]").or_else(|| ept.find("[[example")).unwrap();
    insta::assert_snapshot!(findings("ept", &format!("{}{examples}", &ept[..cut])));
}
