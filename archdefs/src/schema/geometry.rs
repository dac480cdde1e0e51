//! `[format]`, `[params]`, `[levels]`, `[[root]]`.

use super::form::Form::{
    Choices, Condition, Expression, Facts, Guarded, Id, LevelSet, Many, Name, NumberOrTruth, Set, Syntax, Text, Word,
};
use super::{CITE, Key, Presence, optional, required};
use crate::model::{Bind, ByteOrder, InputExtension};
use crate::words::words;

pub(super) const FORMAT: &[Key] = &[
    required("name", Name, "the format's name"),
    required("title", Text, "for documentation"),
    required("architecture", Text, "the value of `cfg(target_arch)` on which generated instructions run"),
    optional(
        "execute_feature",
        Text,
        "none",
        "the feature of the runtime without which code runs where these instructions are not allowed",
    ),
    optional("entry_bits", Word(|| vec!["32", "64"]), "64", "how many bits an entry has"),
    optional(
        "byte_order",
        Word(words::<ByteOrder>),
        "`little`",
        "which byte of an entry comes first in memory; everything in the file is the value, whatever the order",
    ),
    required("stage", Word(|| vec!["1", "2"]), "stage of translation"),
    required("cite", Text, "the manual"),
    optional("implies", Choices(&Facts), "none", "rights that every leaf grants, because no field speaks of them"),
    optional(
        "extends",
        Text,
        "none",
        "the parent: a built-in format, or a path; see [Extending a format](#extending-a-format)",
    ),
    optional(
        "remove",
        Many(&Syntax("section.name")),
        "none",
        "what of the parent is left out; see [Extending a format](#extending-a-format)",
    ),
];

pub(super) const PARAM: &[Key] = &[
    required(
        "type",
        Word(|| vec!["bool", "int", "word"]),
        "a truth value, a number, or the 64-bit content of a register that entries or expressions refer to",
    ),
    Key {
        name: "values",
        form: Set,
        presence: Presence::With { keys: &[("type", Some("int"))], absent: None },
        meaning: "the legal values",
    },
    required(
        "bind",
        Word(words::<Bind>),
        "when it gets its value: one generated module for each value (a granule); once the machine has started \
         (features of the CPU); for each address space",
    ),
    optional("default", NumberOrTruth, "`false`; the lowest value; 0", "its value where nobody says otherwise"),
    optional("if", Condition, "always", "where it can be anything but 0; elsewhere it is 0 (false)"),
    required("doc", Text, "what it is"),
    CITE,
];

pub(super) const LEVELS: &[Key] = &[
    required("page_bits", Expression, "log2 of the smallest page"),
    required("index_bits", Choices(&Expression), "index bits of the tables below the root, at each `level`"),
    required(
        "blocks",
        Many(&Guarded(&LevelSet)),
        "the levels above 0 that may hold blocks: the union of all whose conditions hold; `[]` is none",
    ),
    required("label", Expression, "the manual's number of `level`"),
    required(
        "input",
        Choices(&Word(words::<InputExtension>)),
        "what the bits above `input_bits` must be; `one-extended` is the upper half where two roots share the input \
         addresses",
    ),
    required("output_bits", Expression, "width of an output address"),
    optional(
        "decode_bits",
        Expression,
        "`output_bits`",
        "width of an output address that is read, where some leaves hold more than others: what is beyond `output_bits` is \
         never written",
    ),
    optional(
        "requires",
        Many(&Condition),
        "none",
        "what must hold of the parameters, `levels` and `input_bits` together; other combinations are illegal",
    ),
];

pub(super) const ROOT: &[Key] = &[
    required("id", Id, "its id"),
    required("levels", Set, "the numbers of levels that this shape is for"),
    required(
        "index_bits",
        Set,
        "the root's index bits: fewer than below (narrow), as many, or more (wide, concatenated)",
    ),
    optional("if", Condition, "always", "where it is legal"),
];
