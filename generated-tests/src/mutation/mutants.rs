//! Makes mutants: files with one number, value or level changed.

/// A file with one thing changed.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The line, from 1.
    pub line: usize,
    /// The change and its place, as the list of survivors names it: `kind.page: match = "0 == {1 -> 0}"`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Sections that do not describe the format, or that restate it by hand, and are thus witnesses.
const RESTATED: &[&str] = &["format", "config", "build", "example"];
/// Keys whose values are for people or are names.
const PROSE: &[&str] = &["doc", "cite", "title", "id", "name"];

/// Words, each with another of its kind that could stand in its place.
const WORDS: &[(&str, &str)] = &[
    // Classes of bits, and of other values.
    ("must-be-zero", "ignored"),
    ("must-be-one", "ignored"),
    ("write-zero", "must-be-zero"),
    ("write-one", "must-be-one"),
    ("ignored", "must-be-zero"),
    ("software", "must-be-zero"),
    ("hardware", "must-be-zero"),
    ("reserved", "unnamed"),
    ("unnamed", "reserved"),
    // Addresses: of a run, and beyond the input.
    ("shared", "each"),
    ("each", "shared"),
    ("zero-extended", "sign-extended"),
    ("one-extended", "zero-extended"),
    ("sign-extended", "zero-extended"),
    // Entries and sets of levels.
    ("leaf", "table"),
    ("table", "leaf"),
    ("page", "block"),
    ("block", "page"),
    // Rights and states.
    ("r", "w"),
    ("w", "x"),
    ("x", "r"),
    ("pr", "ur"),
    ("pw", "uw"),
    ("px", "ux"),
    ("ur", "pr"),
    ("uw", "pw"),
    ("ux", "px"),
    ("accessed", "dirty"),
    ("dirty", "accessed"),
    // Memory types.
    ("inherit", "wb"),
    ("wb", "wt"),
    ("wt", "wp"),
    ("wp", "wc"),
    ("wc", "nc"),
    ("nc", "uc"),
    ("uc", "nc"),
    ("device-nGnRnE", "device-nGnRE"),
    ("device-nGnRE", "device-nGRE"),
    ("device-nGRE", "device-GRE"),
    ("device-GRE", "device-nGnRnE"),
    // Accesses and causes of faults.
    ("read", "write"),
    ("write", "read"),
    ("execute", "read"),
    ("not-mapped", "permission"),
    ("permission", "not-mapped"),
    ("access-flag", "permission"),
    ("address-size", "misconfigured"),
    ("misconfigured", "not-mapped"),
    ("external", "unspecified"),
    ("unspecified", "external"),
    // Invalidations and edits.
    ("address", "space"),
    ("space", "all"),
    ("all", "space"),
    ("local", "broadcast"),
    ("broadcast", "local"),
    ("output", "size"),
    ("memory", "rights"),
    ("rights", "memory"),
    ("restriction", "rights"),
    ("option", "memory"),
    ("size", "output"),
    ("true", "false"),
    ("false", "true"),
];

/// Every file that differs from `text` in one number or one of some words.
pub fn mutants(text: &str) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    let (mut section, mut id) = ("", "");
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let end = start + line.len();
        let (key, value) = line.split_once('=').map_or(("", line), |(key, value)| (key.trim(), value));
        if line.starts_with('[') {
            section = line.trim_end().trim_matches(['[', ']']);
            id = "";
        } else if key == "id" {
            id = value.trim().trim_matches('"');
        }
        let restated = RESTATED.contains(&section.split('.').next().unwrap_or_default());
        if !line.starts_with('[') && !restated && !PROSE.contains(&key) {
            let place = if id.is_empty() { section.to_owned() } else { format!("{section}.{id}") };
            let code = code(line);
            for (at, length, new) in changes(code) {
                let (before, was, after) = (&line[..at], &line[at..at + length], &line[at + length..]);
                let shown = code[at + length..].trim_end();
                mutants.push(Mutant {
                    line: index + 1,
                    name: format!("{place}: {}{{{was} -> {new}}}{shown}", before.trim_start()),
                    text: [&text[..start], before, &new, after, &text[end..]].concat(),
                });
            }
        }
        start = end;
    }
    mutants
}

/// A line without its comment, and without what is documentation at its end: `doc = "an address"`, or that of
/// registers, `"cr2: an address"`.
fn code(line: &str) -> &str {
    let comment = line.match_indices('#').find(|(at, _)| !quoted(line, *at)).map_or(line.len(), |(at, _)| at);
    let doc = line.find("doc = ").unwrap_or(line.len());
    let of_register = line.match_indices(": ").find(|(at, _)| quoted(line, *at)).map_or(line.len(), |(at, _)| at);
    &line[..comment.min(doc).min(of_register)]
}

/// Whether this place is in a string.
fn quoted(line: &str, at: usize) -> bool {
    line[..at].matches('"').count() % 2 == 1
}

/// The place, length and replacement of everything that can be changed in a line.
fn changes(line: &str) -> Vec<(usize, usize, String)> {
    let mut changes = Vec::new();
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut rest = 0;
    while let Some(from) = line[rest..].find(of_word).map(|at| rest + at) {
        let to = line[from..].find(|c| !of_word(c)).map_or(line.len(), |at| from + at);
        let word = &line[from..to];
        rest = to;
        // `22:16 reserved = 0` is a field of that name.
        let is_name = line[to..].starts_with(" = ");
        if let Some((_, other)) = WORDS.iter().find(|(known, _)| *known == word && quoted(line, from) && !is_name) {
            changes.push((from, word.len(), (*other).to_owned()));
        }
        // `pa_bits-1` is a name, a sign and a number.
        let from = if word.starts_with(|c: char| c.is_ascii_digit()) {
            from
        } else {
            from + word.rfind('-').map_or(word.len(), |at| at + 1)
        };
        changes.extend(others(&line[from..to]).into_iter().map(|new| (from, to - from, new)));
    }
    changes
}

/// Numbers next to a number: one bit off where it is a pattern, one more and one less where it is a quantity.
fn others(word: &str) -> Vec<String> {
    let digits = word.replace('_', "");
    let pattern = |radix, prefix: &str| u64::from_str_radix(digits.trim_start_matches(prefix), radix).ok();
    if digits.starts_with("0x") {
        pattern(16, "0x").map(|value| format!("{:#x}", value ^ 1)).into_iter().collect()
    } else if digits.starts_with("0b") {
        pattern(2, "0b").map(|value| format!("{:#b}", value ^ 1)).into_iter().collect()
    } else {
        let value = digits.parse::<u64>().ok();
        let near = value.map(|value| [Some(value + 1), value.checked_sub(1)]);
        near.into_iter().flatten().flatten().map(|value| value.to_string()).collect()
    }
}
