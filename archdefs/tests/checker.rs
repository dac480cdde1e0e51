//! Every claim the checker makes, by a file that breaks it.

mod common;

use common::findings;

/// A format without mistakes.
const TOY: &str = include_str!("toy.toml");

/// Replaces some text of the format (which must be there once) and snapshots what the checker says.
fn broken(name: &str, edits: &[(&str, &str)]) {
    let mut text = TOY.to_owned();
    for (from, to) in edits {
        assert_eq!(text.matches(from).count(), 1, "{name}: `{from}`");
        text = text.replacen(from, to, 1);
    }
    let found = findings("toy", &text);
    assert!(!found.is_empty(), "{name}: nothing was found");
    insta::assert_snapshot!(name, found);
}

macro_rules! broken {
    ($($name:ident: $($from:literal => $to:literal),+;)+) => {$(
        #[test]
        fn $name() {
            broken(stringify!($name), &[$(($from, $to)),+]);
        }
    )+};
}

#[test]
fn built_in_formats_are_without_mistakes() {
    for (name, text) in tablewright_archdefs::BUILTINS.iter().chain([&("toy", TOY)]) {
        let found = findings(name, text);
        assert!(found.is_empty(), "{found}");
    }
}

// Bits.
broken! {
    two_owners: "bits = 8" => "bits = 6";
    no_owner: "bits = \"10:9\"" => "bits = \"10\"";
    no_such_bit: "bits = \"63:pa_bits\"" => "bits = \"pa_bits+16:pa_bits\"";
    segment_upside_down: "bits = \"63:pa_bits\"" => "bits = \"46:pa_bits\"";
    test_of_many_values: "match = \"0 == 1 & 4 == 0\"" => "match = \"0 == 1 & 4 == 0 & 3 == 0 | 1\"", "bits = \"11:5, 3\"" => "bits = \"11:5\"";
}

/// A format of entries of 32 bits.
fn narrow() -> String {
    let edits = [
        ("stage = 2", "stage = 2\nentry_bits = 32"),
        ("\"40, 44..=48\", default = 48", "\"28..=32\", default = 32"),
        ("63:pa_bits", "31:pa_bits"),
        ("47:12 root", "31:12 root"),
        ("index_bits = 9", "index_bits = 10"),
        ("input_bits = 39", "input_bits = 42"),
        ("4K 2M", "4K 4M"),
    ];
    edits.into_iter().fold(include_str!("tiny.toml").to_owned(), |text, (from, to)| text.replace(from, to))
}

#[test]
fn entries_have_as_many_bits_as_the_file_says() {
    assert_eq!(findings("narrow", &narrow()), "");
    for (name, from, to) in [
        ("field_beyond_the_entry", "31:pa_bits", "39:pa_bits"),
        ("test_beyond_the_entry", "match = \"0 == 0\"", "match = \"0 == 0 & 32 == 0\""),
        ("empty_beyond_the_entry", "value = 0", "value = \"0x1_0000_0000\""),
        ("example_beyond_the_entry", "raw = \"0x1234_5007\"", "raw = \"0x1_1234_5007\""),
        ("no_such_width", "entry_bits = 32", "entry_bits = 16"),
    ] {
        insta::assert_snapshot!(name, findings("narrow", &narrow().replace(from, to)));
    }
}

// Kinds.
broken! {
    two_kinds: "match = \"0 == 1\"\n" => "match = \"4 == 1\"\n";
    no_kind: "level = \"1.. - block\"" => "level = 1";
    blocks_at_other_levels: "level = \"block\"" => "level = 2";
    table_at_level_0: "level = \"1..\"\nmatch = \"0 == 1 & 4 == 0\"" => "match = \"0 == 1 & 4 == 0\"";
    empty_that_is_present: "\"0x8000_0000_0000_0000 if states\"" => "\"0x13 if states\"";
    reads_back_as_another_kind: "match = \"0 == 0\"" => "match = \"0 == 0 & 3:1 == 0..=7\"",
        "match = \"0 == 1 & 4 == 0\"" => "match = \"0 == 1 & 4 == 0 & 2:1 != 0\"",
        "match = \"0 == 1 & 4 == 1\"\n\n[empty]" => "match = \"0 == 1 & 4 == 1\"\n\n[[kind]]\nid = \"no-rights\"\nis = \"reserved\"\nlevel = \"1..\"\nmatch = \"0 == 1 & 4 == 0 & 2:1 == 0\"\n\n[empty]",
        "\"0b11 r w\", \"0b01 r\", \"0b00 none\"" => "\"0b11 r w\", \"0b01 r\", \"0b00 none\", \"0b10 w\"",
        "other = \"reserved\"\n\n[fields.accessed]" => "\n[fields.accessed]";
    one_value_of_no_kind: "match = \"0 == 1 & 4 == 0\"" => "match = \"0 == 1 & 4 == 0 & 63:0 != 0x1234_5001\"";
    one_value_of_two_kinds: "match = \"0 == 0\"" => "match = \"0 == 0\"\n\n[[kind]]\nid = \"shared\"\nis = \"invalid\"\nlevel = \"1..\"\nmatch = \"63:0 == 0x1234_5001\"";
    one_table_reads_as_nothing: "match = \"0 == 0\"" => "match = \"0 == 0\"\n\n[[kind]]\nid = \"shared\"\nis = \"invalid\"\nlevel = \"1..\"\nmatch = \"63:0 == 0x1234_5001\"",
        "match = \"0 == 1 & 4 == 0\"" => "match = \"0 == 1 & 4 == 0 & 63:0 != 0x1234_5001\"";
    too_many_patterns: "match = \"0 == 1 & 4 == 0\"" => "match = \"0 == 1 & 4 == 0 & 62:53 != 0 & 52:43 != 0 & 42:33 != 0 & 32:23 != 0 & 22:13 != 0\"";
}

/// The table that the empty value leads to is none of our own: that it reads as nothing is what it is for.
#[test]
fn the_table_that_nothing_leads_to_may_read_as_nothing() {
    let shared = "[[kind]]\nid = \"shared\"\nis = \"invalid\"\nlevel = \"1..\"\nmatch = \"63:0 == 0x1234_5001\"";
    let text = TOY
        .replacen("match = \"0 == 0\"", &format!("match = \"0 == 0\"\n\n{shared}"), 1)
        .replacen("match = \"0 == 1 & 4 == 0\"", "match = \"0 == 1 & 4 == 0 & 63:0 != 0x1234_5001\"", 1)
        .replacen(
            "value = [\"0x8000_0000_0000_0000 if states\", \"0\"]",
            "value = [\"0 if level == 0\", \"0x1234_5001\"]\ntable = \"0x1234_5000 if level > 0\"",
            1,
        );
    let found = findings("toy", &text);
    assert!(!found.contains("can be written so that it reads as"), "{found}");
}

// Addresses.
broken! {
    address_hole: "bits = \"pa_bits-1:leaf_bits\"" => "bits = \"pa_bits-2:leaf_bits\"";
    address_excess: "bits = \"pa_bits-1:12\"" => "bits = \"pa_bits-1:11\"";
    address_twice: "bits = \"pa_bits-1:12\"" => "bits = \"pa_bits-1:12, 11 <- 12\"";
    address_that_moves_by_a_parameter: "bits = \"pa_bits-1:12\"" => "bits = \"51:92-pa_bits <- pa_bits-1:40, 39:12\"",
        "bits = \"pa_bits-1:leaf_bits\"" => "bits = \"51:92-pa_bits <- pa_bits-1:40, 39:leaf_bits\"", "bits = \"63:pa_bits\"" => "bits = \"63:52, 91-pa_bits:40\"";
    no_address: "address = \"table\"" => "software = true";
    two_addresses: "bits = \"10:9\"\nsoftware = true" => "bits = \"10:9\"\naddress = \"output\"";
    next_level_too_wide: "[fields.next_table]" => "[fields.next_level]\nin = \"table\"\nbits = 3\nnext = 1\n\n[fields.next_table]", "bits = \"11:5, 3\"" => "bits = \"11:5\"";
    misplaced_field: "in = \"leaf\"\nbits = \"7:6\"" => "in = [\"leaf\", \"table\"]\nbits = \"7:6\"";
}

// Rows.
broken! {
    two_rows: "\"0b100 x if typed\"" => "\"0b101 x if typed\"";
    row_too_wide: "\"2 uc\"" => "\"2 uc\", \"4 wt\"";
    rows_too_wide: "\"2 uc\"" => "\"2 uc\", \"4 wt\", \"5 wp\", \"6 wc\"";
    row_of_what_no_configuration_has: "[levels]" => "control = { type = \"word\", bind = \"boot\", doc = \"what 3 is\" }\n\n[levels]", "\"2 uc\"" => "\"2 uc\", \"3 wt if control[5]\"";
    value_without_a_row: "\"0 local\", \"1 global\"" => "\"0 local if typed\", \"1 global\"";
    other_without_a_value: "\"1 accessed\"]" => "\"1 accessed\"]\nother = \"reserved\"";
    row_that_no_entry_shows: "match = \"0 == 0\"" => "match = \"else\"",
        "match = \"0 == 1\"\n" => "match = \"0 == 1 & 3:1 != 0\"\n",
        "match = \"0 == 1 & 4 == 1\"\n\n[[kind]]" => "match = \"0 == 1 & 4 == 1 & 3:1 != 0\"\n\n[[kind]]",
        "rights = [\"0b001 r\"" => "rights = [\"0b000 none decode-only\", \"0b001 r\"";
    default_without_a_row: "\"1 global\"]" => "\"1 global if typed\"]\nother = \"unnamed\"";
    state_without_a_mark: "\"0 none\", \"1 accessed\"" => "\"0 none if typed\", \"0 accessed if !typed\", \"1 accessed\"";
    state_of_two_fields: "bits = \"10:9\"\nsoftware = true" => "if = \"states\"\nbits = \"10:9\"\nrights = [\"0 none\", \"1 accessed\", \"2 none decode-only\", \"3 none decode-only\"]",
        "[[fix]]\nid = \"too-wide\"" => "[[fix]]\nid = \"10-9\"\nin = \"leaf\"\nif = \"!states\"\nbits = \"10:9\"\nis = \"software\"\n\n[[fix]]\nid = \"too-wide\"";
    mark_that_grants: "\"0b100 x if typed\"" => "\"0b010 r dirty\", \"0b100 x if typed\"";
    tables_without_every_right: "\"0b11 r w\", " => "\"0b11 r w decode-only\", ";
}

// Runs.
broken! {
    run_larger_than_its_table: "items = 16" => "items = 1024";
    run_that_looks_single: "single = \"11 == 0\"" => "single = \"11 == 1\"";
    mark_of_many_values: "15:12 == 0b0111" => "15:12 != 0b0111";
    item_with_a_field_elsewhere: "bits = \"7:6\"" => "bits = [\"8, 6 if leaf_bits == 16\", \"7:6\"]", "bits = 8" => "bits = [\"7 if leaf_bits == 16\", \"8\"]";
    item_without_a_field: "bits = \"10:9\"\nsoftware" => "if = \"leaf_bits != 16\"\nbits = \"10:9\"\nsoftware",
        "[[fix]]\nid = \"too-wide\"" => "[[fix]]\nid = \"10-9\"\nin = \"leaf\"\nif = \"leaf_bits == 16\"\nbits = \"10:9\"\nis = \"ignored\"\n\n[[fix]]\nid = \"too-wide\"";
    item_with_other_bits: "bits = 5\nis = \"ignored\"" => "bits = 5\nis = [\"software if leaf_bits == 16\", \"ignored\"]";
    two_runs_of_one_size: "[[run]]" => "[[run]]\nid = \"again\"\nlevel = 0\nitems = 16\nmark = \"11 == 1 & 15:12 == 0b1111\"\nsingle = \"11 == 0\"\naddresses = \"shared\"\n\n[[run]]";
}

// Parameters, roots, configurations.
broken! {
    unused_parameter: "[levels]" => "nobody = { type = \"bool\", bind = \"boot\", doc = \"nothing\" }\n\n[levels]";
    never_legal: "levels == 3 || pa_bits >= 44" => "pa_bits > 48";
    two_roots: "levels = 4\nindex_bits = 11" => "levels = \"3..=4\"\nindex_bits = \"9, 11\"";
    root_too_deep: "levels = 4\nindex_bits = 11" => "levels = \"4, 9\"\nindex_bits = 11";
    root_never_used: "levels = 4\nindex_bits = 11" => "levels = 4\nindex_bits = 11\nif = \"pa_bits == 40\"", "id = \"wide\"\nset = \"levels = 4, input_bits = 50" => "id = \"wide\"\nset = \"levels = 3, input_bits = 39";
    item_never_used: "\"ignored if states\"" => "\"ignored if pa_bits > 48\"";
    other_page_sizes: "page_sizes = \"4K 64K\"" => "page_sizes = \"4K 64K 2M\"";
    illegal_size: "input_bits = 50" => "input_bits = 48";
    broken_rule: "input_bits = 50, pa_bits = 44" => "input_bits = 50, pa_bits = 40";
    levels_never_reached: "levels = 4\nindex_bits = 11" => "levels = \"4..=5\"\nindex_bits = 11", "levels == 3 || pa_bits >= 44\"]" => "levels == 3 || pa_bits >= 44\", \"input_bits <= 50\"]";
    index_bits_never_reached: "levels = 4\nindex_bits = 11" => "levels = 4\nindex_bits = \"11..=17\"", "levels == 3 || pa_bits >= 44\"]" => "levels == 3 || pa_bits >= 44\", \"input_bits <= 50\"]";
    compared_with_what_it_never_is: "levels == 3 || pa_bits >= 44" => "levels == 3 || pa_bits >= 43";
    index_bits_of_no_level: "index_bits = 9\nblocks" => "index_bits = \"level\"\nblocks";
    index_bits_never_used: "index_bits = 9\nblocks" => "index_bits = [\"9 if level < 4\", \"8\"]\nblocks";
    index_bits_that_differ: "index_bits = 9\nblocks" => "index_bits = [\"8 if level == 0\", \"9\"]\nblocks", "\"3:1 levels = levels\"" => "\"3:1 levels = levels + index_bits - 9\"";
    index_bits_without_a_choice: "index_bits = 9\nblocks" => "index_bits = \"9 if level == 0\"\nblocks";
    run_larger_than_its_smaller_table: "index_bits = 9\nblocks" => "index_bits = [\"3 if level == 0\", \"9\"]\nblocks";
    rules_without_effect: "levels == 3 || pa_bits >= 44\"]" => "levels == 3 || pa_bits >= 44\", \"typed <= states\", \"levels <= 4\", \"pa_bits > 40 || levels != 4\"]";
    unavailable_parameter: "pa_bits = 44, states, typed" => "pa_bits = 44, typed";
}

/// A rule has an effect if it excludes one value, even where ranges are so wide that other claims try a few.
#[test]
fn a_rule_may_exclude_a_single_value() {
    let text = TOY.replacen("\"40, 44..=48\"", "\"40..=48\"", 1).replacen(
        "pa_bits >= 44\"]",
        "pa_bits >= 44\", \"pa_bits != 36 + 10 * states\"]",
        1,
    );
    assert!(text.contains("40..=48") && text.contains("10 * states"));
    assert_eq!(findings("toy", &text), "");
}

// What is there for nothing.
broken! {
    fallback_for_what_has_a_row: "\"nc -> uc if !typed\"" => "\"nc -> uc if typed\"", "\"inherit -> wb\"" => "\"inherit -> wb\", \"uc -> wb if huge\"";
    implied_and_denied: "stage = 2\n" => "stage = 2\nimplies = \"r\"\n";
    implied_never: "stage = 2\n" => "stage = 2\nimplies = [\"ux if levels == 2\", \"px if typed && !states\"]\n";
    no_ordinary_memory: "\"0 wb\"" => "\"0 wt\"";
    no_ordinary_memory_by_fallbacks: "memory = [\"0 wb\", \"1 nc if typed\", \"2 uc\"]\nother = \"reserved\"" => "value = 0", "\"nc -> uc if !typed\", \"inherit -> wb\"" => "\"wb -> uc\", \"uc -> wb\"";
    execute_feature_without_code: "stage = 2\n" => "stage = 2\nexecute_feature = \"arm-el2\"\n", "code = \"0x01\"" => "at_entry = \"flush = 1\"";
}

// Registers.
broken! {
    register_field_of_two_places: "\"3:1 levels = levels\"" => "\"3:1 levels = 3 if levels == 3\", \"4:1 levels = levels\"";
    capability_that_cannot_be: "[fault]" => "[capabilities]\nregisters = [\"id\"]\nvalues = [\"pa_bits = 43 if id[0]\", \"huge = 2\", \"pa_bits = 44\"]\n\n[fault]";
    capability_fields_that_meet: "[fault]" => "[capabilities]\nregisters = [\"id\"]\nvalues = [\"pa_bits = 44 if id[3:0] >= 2\", \"pa_bits = 40 if id[2:0] == 1\", \"huge = id[4]\"]\n\n[fault]";
    report_overlap: "[fault]" => "[raise.report]\nfields = [\"3:0 what = 1\", \"2 write = write\"]\n\n[raise.address]\nfields = \"63:0 address = address\"\n\n[fault]";
    report_field_of_two_places: "[fault]" => "[raise.report]\nfields = [\"1:0 what = 1 if write\", \"2:0 what = 3\"]\n\n[raise.address]\nfields = \"63:0 address = address\"\n\n[fault]";
    report_without_a_value: "[fault]" => "[raise.report]\nfields = \"0 write = write\"\n\n[fault]";
    register_overlap: "\"3:1 levels = levels\"" => "\"3:0 levels = levels\"";
    register_value_too_wide: "\"3:1 levels = levels\"" => "\"2:1 levels = levels\"";
    root_too_wide: "\"47:12 root = root >> 12\"" => "\"31:12 root = root >> 12\"";
    root_cut_off: "\"47:12 root = root >> 12\"" => "\"31:12 root = root[31:12]\"";
    root_cut_off_of_a_narrow_register: "\"47:12 root = root >> 12\"" => "\"31:12 root = root[31:12]\"", "role = \"root\"" => "role = \"root\"\nnarrow = true";
    root_below_its_bits: "\"47:12 root = root >> 12\"" => "\"47:13 root = root >> 13\"";
    root_in_no_field: "\"47:12 root = root >> 12\"" => "\"47:12 root = 0\"";
    tag_cut_by_a_slice: "\"63:56 space = tag\"" => "\"63:56 space = tag[7:0]\"";
    tag_cut_by_a_mask: "\"63:56 space = tag\"" => "\"63:56 space = tag & 0xff\"";
    tag_without_its_lowest_bit: "\"63:56 space = tag\"" => "\"63:56 space = tag >> 1\"";
    tag_cut_in_an_invalidation: "code = \"0x01\"" => "code = \"0x01\"\n\n[[tlb]]\nid = \"space\"\nscope = \"space\"\ncode = \"0x02\"\noperands = [\"a0 = tag[6:0]\", \"a1 = 3\"]";
    limit_with_nothing_beyond: "code = \"0x01\"" => "code = \"0x01\"\n\n[[tlb]]\nid = \"page\"\nscope = \"address\"\nlimit = 8\ncommand = [\"1\", \"ia\"]";
    tag_cut_in_a_command: "code = \"0x01\"" => "code = \"0x01\"\n\n[[tlb]]\nid = \"space\"\nscope = \"space\"\ncommand = [\"1\", \"tag << 58\"]";
    address_cut_in_a_command: "code = \"0x01\"" => "code = \"0x01\"\n\n[[tlb]]\nid = \"page\"\nscope = \"address\"\ncommand = [\"1 | tag << 8\", \"ia[37:12] << 12\"]";
    parts_that_meet_in_a_command: "code = \"0x01\"" => "code = \"0x01\"\n\n[[tlb]]\nid = \"page\"\nscope = \"address\"\ncommand = [\"0x41 | tag << 4\", \"ia | leaf_bits << 8\"]";
    parts_that_meet_in_an_operand: "code = \"0x01\"" => "code = \"0x01\"\n\n[[tlb]]\nid = \"page\"\nscope = \"address\"\ncode = \"0x02\"\noperands = \"a0 = tag << 32 | ia >> 12\"";
    parts_that_meet_in_a_completion: "[registers.root]" => "[[completion]]\nid = \"done\"\nsignal = \"write\"\naddress = \"47:2\"\ndata = 16\ncommand = [\"1 | data << 4\", \"address >> 2 | 1 << 45\"]\n\n[registers.root]";
    narrow_but_for_the_root: "\"3:1 levels = levels\"" => "\"2:1 levels = levels\"", "role = \"root\"" => "role = \"root\"\nnarrow = true", "\"47:12 root = root >> 12\"" => "\"31:12 root = root >> 12\"";
    narrow_without_effect: "role = \"root\"" => "role = \"root\"\nnarrow = true";
    register_field_never_used: "\"0 enable = 1\"" => "\"0 enable = 1\", \"0 enable = 0 if huge\"";
}

/// A register may be narrower than an address, if it says so.
#[test]
fn a_narrow_register_holds_what_it_can() {
    let text = TOY.replacen("\"47:12 root = root >> 12\"", "\"35:12 root = root >> 12\"", 1).replacen(
        "role = \"root\"",
        "role = \"root\"\nnarrow = true",
        1,
    );
    assert_ne!(text, TOY);
    assert_eq!(findings("toy", &text), "");
}

// Lists of which the first that holds is taken.
broken! {
    operation_never_taken: "code = \"0x01\"" => "code = \"0x01\"\n\n[[tlb]]\nid = \"again\"\nscope = \"all\"\nif = \"huge\"\ncode = \"0x02\"";
    operation_behind_a_broadcast: "code = \"0x01\"" => "code = \"0x01\"\n\n[[tlb]]\nid = \"everywhere\"\nscope = \"all\"\nreach = \"broadcast\"\ncode = \"0x02\"";
    operation_behind_two: "code = \"0x01\"" => "if = \"huge\"\ncode = \"0x01\"\n\n[[tlb]]\nid = \"small\"\nscope = \"all\"\nif = \"!huge\"\ncode = \"0x02\"\n\n[[tlb]]\nid = \"again\"\nscope = \"all\"\nif = \"typed\"\ncode = \"0x03\"";
    operation_that_never_exists: "code = \"0x01\"" => "if = \"typed && !states\"\ncode = \"0x01\"";
    completion_never_taken: "[registers.root]" => "[[completion]]\nid = \"done\"\nsignal = \"consumed\"\ncommand = 1\n\n[[completion]]\nid = \"again\"\nsignal = \"consumed\"\nif = \"states\"\ncommand = 2\n\n[registers.root]";
    fallback_never_taken: "\"inherit -> wb\"" => "\"inherit -> wb\", \"inherit -> uc if huge\"";
    break_said_twice: "\"size\", \"memory\"" => "\"size\", \"memory\", \"size if huge\"";
    hardware_never_taken: "invalid_cached = false" => "invalid_cached = false\nhardware = [\"true if states\", \"false if typed\", \"false\"]";
    access_never_reported: "\"write if report[1] == 1\"" => "\"write if report[2:1] != 0\", \"none if report[1] == 1\"";
    cause_said_twice: "\"permission if report[2] == 1\"" => "\"permission if report > 7\", \"external if report > 7\"";
    right_never_asked_for: "[fault]" => "[access]\nregisters = [\"mode\"]\nallowed = [\"false if user && mode[0]\", \"granted if write || !user\", \"false if !user && mode[1]\", \"granted\"]\n\n[fault]";
    report_never_made: "[fault]" => "[raise.report]\nfields = [\"0 fault = 1\", \"1 write = 1 if write\", \"1 write = 0 if write && user\", \"2 denied = denied\"]\n\n[raise.address]\nfields = \"63:0 address = address\"\n\n[fault]";
    report_of_no_fault: "[fault]" => "[raise.report]\nif = \"level == 4\"\nfields = \"0 fault = 1\"\n\n[raise.address]\nif = \"not_mapped && denied\"\nfields = \"63:0 address = address\"\n\n[fault]";
    report_with_two_conditions: "[fault]" => "[raise.report]\nif = \"input\"\nfields = \"0 fault = 1\"\n\n[raise.address]\nif = \"!input && write\"\nfields = \"63:0 address = address\"\n\n[fault]";
    report_of_another_fault: "[fault]" => "[raise.report]\nif = \"not_mapped || reserved\"\nfields = [\"3:0 cause = 1 if not_mapped\", \"3:0 cause = 2 if reserved && level < 4\", \"3:0 cause = 3\", \"4 global = 1 if denied && scope == 1\"]\n\n[raise.address]\nfields = \"63:0 address = address\"\n\n[fault]";
    capability_never_taken: "[fault]" => "[capabilities]\nregisters = [\"id\"]\nvalues = [\"huge = id[0] if id[1]\", \"pa_bits = 44\", \"pa_bits = 40 if id[2]\", \"huge = 1 if id[1] && pa_bits == 44\"]\n\n[fault]";
}

/// What a parameter is found out to be need not be legal beside the others as they are then.
#[test]
fn what_a_machine_tells_may_depend_on_what_it_told() {
    let values = "[\"states = id[0]\", \"typed = id[1] if states\", \"typed = 1 if !states && id[2]\"]";
    let capabilities = format!("[capabilities]\nregisters = [\"id\"]\nvalues = {values}\n\n[fault]");
    let text = TOY.replacen("[fault]", &capabilities, 1);
    assert_ne!(text, TOY);
    assert_eq!(findings("toy", &text), "");
}

// Completions.
broken! {
    command_too_wide: "[registers.root]" => "[[completion]]\nid = \"done\"\nsignal = \"write\"\naddress = \"63:2\"\ndata = 33\ncommand = [\"data << 32\", \"address\"]\n\n[registers.root]";
    completion_example: "[registers.root]" => "[[completion]]\nid = \"done\"\nsignal = \"write\"\naddress = \"63:2\"\ndata = 32\ncommand = [\"data << 32\", \"address\"]\n\n[[example.completion]]\nconfig = \"plain\"\nsignal = \"write\"\naddress = 8\ndata = 7\ncommand = [7, 8]\n\n[[example.completion]]\nconfig = \"plain\"\nsignal = \"write\"\naddress = 6\ncommand = [0, 6]\n\n[registers.root]";
}

// Examples.
broken! {
    entry_example: "rights = \"r w\"\nmemory = \"wb\"" => "rights = \"r x\"\nmemory = \"uc\"";
    entry_example_of_another_kind: "raw = \"0x1234_5107\"" => "raw = \"0x1234_5105\"";
    run_example: "run = 16" => "run = 8";
    edit_example: "needs_break = true" => "needs_break = false";
    register_example: "raw = \"0x0700_0001_2345_6007\"" => "raw = \"0x0700_0001_2345_6005\"";
    register_example_of_a_root_within_a_page: "root = \"0x1_2345_6000\"" => "root = \"0x1_2345_6020\"";
    fault_example: "access = \"write\"\ncause = \"not-mapped\"" => "access = \"read\"\ncause = \"permission\"";
}

// Several mistakes at once.
broken! {
    many_mistakes: "\"0b100 x if typed\"" => "\"0b101 x if typed\"", "bits = \"10:9\"" => "bits = \"10\"",
        "page_sizes = \"4K 64K\"" => "page_sizes = \"4K\"", "\"3:1 levels = levels\"" => "\"3:0 levels = levels\"";
}
