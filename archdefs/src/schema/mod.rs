//! The schema of a format file: every section and key, what its value looks like, and what it means.
//!
//! All of that is stated only here. The reader takes the keys from here; the JSON Schema in `schema/` and the tables of
//! `README.md` are made from it, and tests keep both current. To add a key, add a row to one of the tables in the
//! modules below, read it in the module of `reader` with the same name, and write both files anew: `BLESS=1 cargo test
//! -p tablewright-archdefs --test schema`.

mod behaviour;
mod entries;
mod examples;
mod form;
mod geometry;

pub use form::Form;
use form::Form::{Named, Rows, Table, Text};

/// A key of a table, or a section of the file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value looks like.
    pub form: Form,
    /// Whether it must be there.
    pub presence: Presence,
    /// What it means, as Markdown.
    pub meaning: &'static str,
}

/// Keys, each with the word that must be its value, if one is required.
pub type With = &'static [(&'static str, Option<&'static str>)];

/// The keys as Markdown: ``` `code`, `scope = "address"` ```.
#[must_use]
pub fn show(keys: With) -> String {
    let one = |(key, word): &(&str, Option<&str>)| match word {
        Some(word) => format!("`{key} = \"{word}\"`"),
        None => format!("`{key}`"),
    };
    keys.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Whether a key must be there.
#[derive(Clone, Copy, Debug)]
pub enum Presence {
    /// It must.
    Required,
    /// It may be missing; the text says what that means.
    Optional(&'static str),
    /// Exactly one of the keys of its table that have this presence must be there.
    OneOf,
    /// It is allowed only together with another key.
    With {
        /// One of these keys must be there.
        keys: With,
        /// What its absence means; `None` if it must be there with these keys.
        absent: Option<&'static str>,
    },
}

const fn required(name: &'static str, form: Form, meaning: &'static str) -> Key {
    Key { name, form, presence: Presence::Required, meaning }
}

const fn optional(name: &'static str, form: Form, absent: &'static str, meaning: &'static str) -> Key {
    Key { name, form, presence: Presence::Optional(absent), meaning }
}

const fn one_of(name: &'static str, form: Form, meaning: &'static str) -> Key {
    Key { name, form, presence: Presence::OneOf, meaning }
}

const fn with(name: &'static str, form: Form, keys: With, absent: &'static str, meaning: &'static str) -> Key {
    Key { name, form, presence: Presence::With { keys, absent: Some(absent) }, meaning }
}

/// `cite`, which many tables have.
const CITE: Key = optional("cite", Text, "none", "the manual's section");
/// `doc`, where it may be missing.
const DOC: Key = optional("doc", Text, "none", "for documentation");

/// The sections of a file.
pub const FILE: &[Key] = &[
    required("format", Table(geometry::FORMAT), "what the file describes"),
    optional("params", Named(geometry::PARAM), "none", "what varies between machines or address spaces"),
    required("levels", Table(geometry::LEVELS), "the geometry"),
    required("root", Rows(geometry::ROOT), "the legal shapes of the root table"),
    required("kind", Rows(entries::KIND), "what an entry is, by level"),
    required("empty", Table(entries::EMPTY), "what is written for \"nothing\""),
    optional("fields", Named(entries::FIELD), "none", "bits with a meaning"),
    optional("run", Rows(entries::RUN), "none", "adjacent items that form one larger entry, aligned to its size"),
    optional("fix", Rows(entries::FIX), "none", "bits that no field or run has"),
    required("live", Table(behaviour::LIVE), "how entries that an MMU may be using are changed"),
    optional("memory", Table(behaviour::MEMORY), "no fallbacks", "what to do about memory types without a row"),
    optional("tlb", Rows(behaviour::TLB), "none", "invalidations"),
    optional(
        "completion",
        Rows(behaviour::COMPLETION),
        "none",
        "how a device's queue tells that commands are complete",
    ),
    optional("registers", Named(behaviour::REGISTER), "none", "the registers that activate a root table"),
    optional(
        "capabilities",
        Table(behaviour::CAPABILITIES),
        "none",
        "how the CPU's identification registers give the parameters",
    ),
    optional("fault", Table(behaviour::FAULT), "none", "how the hardware's report of a fault is read"),
    optional(
        "translated",
        Table(behaviour::TRANSLATED),
        "none",
        "how the result of the machine's own instruction for a translation is read",
    ),
    optional("access", Table(behaviour::ACCESS), "rights alone", "what modifies rights at the time of an access"),
    optional(
        "raise",
        Named(behaviour::RAISE),
        "none",
        "the report of a fault that software meets as it walks the tables",
    ),
    optional("build", Rows(examples::BUILD), "one module", "one generated module for each choice of build parameters"),
    optional("config", Rows(examples::CONFIG), "none", "the parameters that tests and documentation run through"),
    optional("example", Table(examples::EXAMPLE), "none", "raw values and their meaning"),
];

/// The tables of the schema, each with its path in a file: `format`, `params.*`, `root[]`, `example.entry[]`.
#[must_use]
pub fn tables() -> Vec<(String, &'static [Key])> {
    let mut found = Vec::new();
    collect("", FILE, &mut found);
    found
}

fn collect(prefix: &str, keys: &'static [Key], found: &mut Vec<(String, &'static [Key])>) {
    for key in keys {
        let (path, keys) = match key.form {
            Table(keys) => (format!("{prefix}{}", key.name), keys),
            Named(keys) => (format!("{prefix}{}.*", key.name), keys),
            Rows(keys) => (format!("{prefix}{}[]", key.name), keys),
            _ => continue,
        };
        collect(&format!("{path}."), keys, found);
        found.push((path, keys));
    }
}
