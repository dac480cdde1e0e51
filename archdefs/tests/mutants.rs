//! Changes each bit number of a format file by one, and counts the changes that reader, checker and examples notice.

mod common;

use common::{findings, text};

/// The keys whose strings hold bit numbers.
const KEYS: [&str; 5] = ["bits", "match", "mark", "single", "fields"];

/// The text with the number at `at` one higher.
fn mutant(text: &str, at: std::ops::Range<usize>) -> String {
    let number: u64 = text[at.clone()].parse().unwrap();
    format!("{}{}{}", &text[..at.start], number + 1, &text[at.end..])
}

/// The places of all decimal numbers in the strings of such keys, but for those that are part of a word.
fn numbers(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut in_list = false;
    for line in text.split_inclusive('\n') {
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        if KEYS.contains(&key) || in_list {
            in_list = !line.contains(']') && (in_list || line.trim_end().ends_with('['));
            let quoted = line.split('"').scan(0, |at, part| {
                let here = *at;
                *at += part.len() + 1;
                Some((here, part))
            });
            for (at, part) in quoted.skip(1).step_by(2) {
                found.extend(numbers_of(part).map(|range| start + at + range.start..start + at + range.end));
            }
        }
        start += line.len();
    }
    found
}

fn numbers_of(part: &str) -> impl Iterator<Item = std::ops::Range<usize>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut at = 0;
    for word in part.split(|c: char| !is_word(c)) {
        if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
            words.push(at..at + word.len());
        }
        at += word.len() + 1;
    }
    words.into_iter()
}

fn score(name: &str, floor: usize) {
    let text = text(name);
    let mutants = numbers(text);
    let mut survivors = Vec::new();
    for at in &mutants {
        let mutated = mutant(text, at.clone());
        if findings(name, &mutated).is_empty() {
            let line = text[..at.start].matches('\n').count();
            survivors.push(format!("{name}.toml:{}: {}", line + 1, mutated.lines().nth(line).unwrap()));
        }
    }
    let noticed = (mutants.len() - survivors.len()) * 100 / mutants.len();
    println!("{name}: {} mutants, {noticed} % noticed", mutants.len());
    survivors.iter().for_each(|survivor| println!("  survives: {survivor}"));
    assert!(noticed >= floor, "{name}: only {noticed} % noticed");
}

#[test]
fn ept() {
    score("ept", 96);
}

#[test]
fn long_mode() {
    score("long_mode", 96);
}

#[test]
fn npt() {
    score("npt", 96);
}

#[test]
fn vtd_first_stage() {
    score("vtd_first_stage", 94);
}

#[test]
fn vtd_second_stage() {
    score("vtd_second_stage", 94);
}

#[test]
fn sv() {
    score("sv", 96);
}

#[test]
fn sv_x4() {
    score("sv_x4", 90);
}

#[test]
fn amd_iommu_v1() {
    score("amd_iommu_v1", 96);
}

#[test]
fn stage2() {
    score("stage2", 95);
}
