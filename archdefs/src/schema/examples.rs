//! `[[build]]`, `[[config]]`, `[[example.*]]`.

use super::behaviour::{OF_PAGES, OF_WRITE};
use super::entries::MEMORY;
use super::form::Form::{
    Assignments, Code, Facts, Flag, Id, Level, Many, Name, Number, Reference, Rows, Sizes, Syntax, Text, Word,
};
use super::{CITE, Key, With, optional, required, with};
use crate::model::{Class, FaultAccess, FaultCause, Scope, Shareability, Signal};
use crate::words::words;

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
    optional("capability", Rows(CAPABILITY), "none", "machines and what they can do"),
    optional("invalidation", Rows(INVALIDATION), "none", "invalidations"),
    optional("completion", Rows(COMPLETION), "none", "commands that tell of completion"),
    optional("translated", Rows(TRANSLATED), "none", "results of the machine's own instruction for a translation"),
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
    optional("label", Syntax("number"), "not compared", "the manual's number of the level"),
    optional(
        "written",
        Flag,
        "`false`",
        "whether this is what is written for that meaning, with default options: of a run, one of the items",
    ),
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
    optional("guest_walk", Flag, "`false`", "whether the fault was met while the guest's own tables were walked"),
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

const CAPABILITY: &[Key] = &[
    required("config", Reference("a `[[config]]`"), "the build parameters, `levels` and `input_bits`"),
    required("registers", Many(&Number), "in the order of `[capabilities] registers`"),
    optional("set", Assignments, "all as by default", "the parameters that follow, as a `[[config]]` would set them"),
    CITE,
];

const TRANSLATED: &[Key] = &[
    IN_CONFIG,
    required("registers", Many(&Number), "in the order of `[translated] registers`"),
    optional("address", Number, "it faulted", "where the page is"),
    optional("memory", MEMORY, "it has no name", "its memory type"),
    optional("shareability", Word(words::<Shareability>), "not reported", "who shares it"),
    optional("cause", Word(words::<FaultCause>), "it did not fault", "what was wrong"),
    optional("level", Level, "not reported", "the level"),
    optional("second_stage", Flag, "`false`", "whether the fault is one of the second stage"),
    optional("guest_walk", Flag, "`false`", "whether it was met while the tables of the first stage were walked"),
    CITE,
];

const COMPLETION: &[Key] = &[
    IN_CONFIG,
    required("signal", Word(words::<Signal>), "how the device tells"),
    with("address", Number, OF_WRITE, "0", "where it writes"),
    with("data", Number, OF_WRITE, "0", "what it writes"),
    optional("command", Many(&Number), "it is refused", "the words of the command"),
    CITE,
];

/// Goes with the operation that does the invalidation.
const OF_OPERATION: With = &[("operation", None)];

const INVALIDATION: &[Key] = &[
    IN_CONFIG,
    required("scope", Word(words::<Scope>), "what must be invalidated: pages, everything of one tag, everything"),
    with("start", Number, OF_PAGES, "0", "where the first page starts"),
    with("pages", Number, OF_PAGES, "1", "how many pages there are"),
    with("page_bits", Number, OF_PAGES, "the smallest page's", "log2 of the size of the pages"),
    with("covers", Word(|| vec!["all", "leaf"]), OF_PAGES, "`all`", "whether tables changed, too, or leaves only"),
    optional("root", Number, "0", "the root table's address"),
    optional("tag", Number, "0", "the tag"),
    optional("operation", Reference("a `[[tlb]]`"), "there is none", "which operation does it"),
    with("times", Number, OF_OPERATION, "1", "how often it is done"),
    with("code", Many(&Code), OF_OPERATION, "not compared", "what is executed if it is done once, from first to last"),
    with(
        "operands",
        Many(&Syntax("register = number")),
        OF_OPERATION,
        "not compared",
        "the operands; of several times, one after the other, of as many as are given",
    ),
    with("descriptor", Many(&Number), OF_OPERATION, "not compared", "the words of the descriptor, likewise"),
    with("command", Many(&Number), OF_OPERATION, "not compared", "the words of the command, likewise"),
    with("at_entry", Syntax("control = number"), OF_OPERATION, "not compared", "what is told at the next entry"),
    with(
        "reach",
        Word(|| vec!["local", "broadcast"]),
        OF_OPERATION,
        "not compared",
        "whether it reaches this CPU or every CPU",
    ),
    CITE,
];
