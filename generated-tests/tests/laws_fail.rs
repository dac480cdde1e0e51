//! Each law fails when a format breaks it: for each, one change to a format's file.

use tablewright_archdefs::bound::{Bound, Params};
use tablewright_archdefs::{Style, builtin, read};
use tablewright_tests::formats::configured;
use tablewright_tests::generated;
use tablewright_tests::laws::{AGREEMENT, Case, ENGINE, Interpreted, LAWS};

/// Law, format, configuration, what its file says, and what is wrong in its place.
const BREACHES: &[(&str, &str, &str, &str, &str)] = &[
    ("radix", "ept", "server", "bits = \"pa_bits-1:12\"", "bits = \"pa_bits-1:21\""),
    ("table_round_trip", "ept", "server", "bits = \"pa_bits-1:12\"", "bits = \"pa_bits-2:12\""),
    ("leaf_sweep", "ept", "server", "bits = \"pa_bits-1:leaf_bits\"", "bits = \"pa_bits-2:leaf_bits\""),
    ("attribute_round_trip", "ept", "server", "bits = \"5:3\"", "bits = \"4:2\""),
    ("page_sizes", "ept", "server", "\"2 if huge_1g\"", "\"3 if huge_1g\""),
    (
        "totality",
        "ept",
        "server",
        "in = [\"table\"]\nbits = \"6:3\"\nis = \"must-be-zero\"",
        "in = [\"table\"]\nbits = \"6:3\"\nis = \"ignored\"",
    ),
    (
        "empty",
        "ept",
        "server",
        "\"0x8000_0000_0000_0000 if suppress_ve\", \"0\"",
        "\"0x8000_0000_0000_0000 if suppress_ve\", \"1\"",
    ),
    ("live_edits", "ept", "server", "break = [\"size if !size_change_safe\"]", "break = []"),
    ("registers", "npt", "server", "31:0 asid = tag", "31:0 asid = tag & 0xffff"),
    ("commands", "riscv_iommu", "sv39x4", "0x2_0000_0081 | tag << 44", "0x2_0000_0081 | tag << 52"),
    ("examples", "ept", "server", "\"6 wb\"", "\"7 wb\""),
    ("agreement", "ept", "server", "walk_length = levels - 1", "walk_length = levels"),
];

#[test]
fn each_law_is_broken_once() {
    let broken: Vec<&str> = BREACHES.iter().map(|(law, ..)| *law).collect();
    let laws: Vec<&str> = LAWS.iter().chain([&AGREEMENT]).map(|law| law.name).collect();
    assert_eq!(broken, laws);
}

#[test]
fn each_breach_is_noticed() {
    for &(name, format, config, right, wrong) in BREACHES {
        let text = builtin(format).unwrap();
        assert_eq!(text.matches(right).count(), 1, "{name}: {right:?} is not once in {format}.toml");
        let (sources, broken) = read("broken.toml", &text.replace(right, wrong), &|_| Err(String::new()));
        let broken = broken.unwrap_or_else(|problems| panic!("{}", problems.render(&sources, Style::Plain)));
        let subject = Interpreted(Bound::new(&broken, &Params::named(&broken, config).unwrap()).unwrap());

        let right = configured(format).into_iter().find(|case| case.config.id.value == config).unwrap();
        let reference = &Interpreted(right.bound);
        let law = LAWS.iter().chain([&AGREEMENT]).find(|law| law.name == name).unwrap();
        let case = Case { subject: reference, reference, format: &right.format, config: &right.config };
        assert_eq!((law.check)(&case), Ok(()));
        let verdict = (law.check)(&Case { subject: &subject, ..case });
        assert!(verdict.is_err(), "{name} does not notice {wrong:?}");
    }
}

/// The engine writes by the true file, and the MMU reads by a wrong one.
#[test]
fn the_law_of_the_engine_is_broken_too() {
    let text = builtin("ept").unwrap().replace("bits = \"pa_bits-1:12\"", "bits = \"pa_bits-1:13\"");
    let broken = read("broken.toml", &text, &|_| Err(String::new())).1.expect("it can be read");
    let broken = Interpreted(Bound::new(&broken, &Params::named(&broken, "server").unwrap()).unwrap());
    let right = configured("ept").into_iter().find(|case| case.config.id.value == "server").unwrap();
    let subject = generated!(tablewright::x86_64::ept, right.params).unwrap().unwrap();
    let case = |reference| Case { subject: &subject, reference, format: &right.format, config: &right.config };
    let reference = Interpreted(right.bound.clone());
    assert_eq!((ENGINE.check)(&case(&reference)), Ok(()));
    assert!((ENGINE.check)(&case(&broken)).is_err());
}
