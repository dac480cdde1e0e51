//! `[[build]]`, `[[config]]`, `[[example.*]]`.

use super::entries::MEMORY;
use super::form::Form::{Assignments, Facts, Flag, Id, Level, Many, Name, Number, Reference, Rows, Sizes, Text, Word};
use super::form::words;
use super::{CITE, Key, optional, required};
use crate::model::{Class, FaultAccess, FaultCause};

const IN_CONFIG: Key = required("config", Reference("a `[[config]]`"), "the parameters");
const LEVEL: Key = required("level", Level, "where it stands");

pub(super) const BUILD: &[Key] = &[
    required("name", Name, "the module's name"),
    optional("title", Text, "the format's", "for documentation"),
    required("set", Assignments, "the build parameters"),
];

pub(super) const CONFIG: &[Key] = &[
    required("id", Id, "its id"),
    required("set", Assignments, "all parameters, build parameters too; `levels` and `input_bits` must be among them"),
    required("page_sizes", Sizes, "the sizes that leaves and runs have under it, restated by hand"),
];

pub(super) const EXAMPLE: &[Key] = &[
    optional("entry", Rows(ENTRY), "none", "entries"),
    optional("edit", Rows(EDIT), "none", "live edits"),
    optional("register", Rows(REGISTER), "none", "values of registers"),
    optional("fault", Rows(FAULT), "none", "fault reports"),
    optional("access", Rows(ACCESS), "none", "accesses"),
];

const ENTRY: &[Key] = &[
    IN_CONFIG,
    LEVEL,
    required("raw", Number, "the entry"),
    required("kind", Word(words::<Class>), "what it is"),
    optional("address", Number, "not compared", "output or table address"),
    optional(
        "rights",
        Facts,
        "not compared",
        "of a leaf, what it grants by itself; of a table, what it leaves of the rights that its fields speak of",
    ),
    optional("memory", MEMORY, "not compared", "its memory type"),
    optional("run", Number, "not compared", "the number of items of its run"),
    CITE,
];

const EDIT: &[Key] = &[
    IN_CONFIG,
    LEVEL,
    required("old", Number, "the entry before"),
    required("new", Number, "the entry after"),
    optional("needs_break", Flag, "`false`", "whether it needs break-before-make"),
    CITE,
];

const REGISTER: &[Key] = &[
    IN_CONFIG,
    required("register", Reference("a register"), "which register"),
    required("root", Number, "the root table's address"),
    required("tag", Number, "the tag"),
    required("raw", Number, "the register's value"),
    CITE,
];

const FAULT: &[Key] = &[
    IN_CONFIG,
    required("report", Many(&Number), "the registers, in the order of `[fault] registers`"),
    optional("address", Number, "not reported", "the input address"),
    required("access", Word(words::<FaultAccess>), "what the access was"),
    required("cause", Word(words::<FaultCause>), "what was wrong"),
    optional("level", Level, "not reported", "the level"),
    optional("width", Number, "not reported", "how many bytes the access moves"),
    CITE,
];

const ACCESS: &[Key] = &[
    IN_CONFIG,
    LEVEL,
    required("raw", Number, "the leaf"),
    optional("tables", Facts, "every right", "the rights that the tables on the way leave"),
    required("access", Facts, "the right that the access needs: `pr` .. `ux`; of several, each must be allowed"),
    required("registers", Many(&Number), "in the order of `[access] registers`"),
    optional("allowed", Flag, "`false`", "whether it is allowed"),
    CITE,
];
