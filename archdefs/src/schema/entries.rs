//! `[[kind]]`, `[empty]`, `[fields.*]`, `[[run]]`, `[[fix]]`.

use super::form::Form;
use super::form::Form::{
    BitMap, Choices, Condition, Expression, Facts, Flag, Id, LevelSet, Many, Match, Number, Set, Syntax, ValueRows,
    Word,
};
use super::{CITE, DOC, Key, Presence, one_of, optional, required};
use crate::model::{FixClass, Is, MemoryType, Other};
use crate::words::words;

const LEVEL: Key = optional("level", LevelSet, "all", "the levels it is at");
const IF: Key = optional("if", Condition, "always", "where it exists");
const BITS: Key = required("bits", Choices(&BitMap), "where it is");
const IN: Key = required(
    "in",
    Many(&Word(|| vec!["leaf", "page", "block", "table"])),
    "the kinds of entries that have it; `leaf` is `page` and `block`",
);

pub(super) const KIND: &[Key] = &[
    required("id", Id, "its id"),
    required("is", Word(words::<Is>), "what an entry that matches is"),
    LEVEL,
    required(
        "match",
        Choices(&Match),
        "what the entry must match; `else` is whatever no other row of its level matches",
    ),
    IF,
    CITE,
];

pub(super) const EMPTY: &[Key] = &[
    required("value", Choices(&Expression), "the entry written for \"nothing\"; must be `invalid` at every level"),
    optional(
        "table",
        Choices(&Expression),
        "where walks do not stop at such an entry: the address of the table that it leads to, which the caller keeps and \
         fills with what stands for nothing below. No other table is there",
        "walks stop",
    ),
];

pub(super) const FIELD: &[Key] = &[
    IN,
    LEVEL,
    IF,
    BITS,
    one_of(
        "address",
        Word(|| vec!["output", "table"]),
        "the field holds an address: where a leaf maps to, or where the next table is",
    ),
    one_of(
        "next",
        Number,
        "the field holds the level of the next table plus this number, which may be negative (`next = 1`: manuals that \
         count from 1); tables may then skip levels, whose index bits must be zero in the address; what is no lower \
         level makes the entry reserved",
    ),
    one_of("rights", ValueRows(&Facts), "on a leaf what it grants, on a table what it leaves of the rights below"),
    one_of("memory", ValueRows(&MEMORY), "the memory type of a leaf"),
    Key {
        name: "through",
        form: Expression,
        presence: Presence::With { keys: &[("memory", None)], absent: Some("the field itself says the type") },
        meaning: "a 64-bit value, as a rule a parameter of type `word`: the field's value picks a byte of it (byte 0 is \
                  the lowest), and the rows are of that byte. A byte without a row has no name; there is no `other`",
    },
    one_of("option", ValueRows(&Syntax("word")), "something that a caller may choose"),
    one_of("software", Flag, "free for software"),
    one_of("value", Choices(&Expression), "always written so; any value is accepted"),
    Key {
        name: "other",
        form: Word(words::<Other>),
        presence: Presence::With {
            keys: &[("rights", None), ("memory", None), ("option", None)],
            absent: Some("every value has a row"),
        },
        meaning: "what a value without a row is: illegal, so that the entry is reserved; or legal without a name here. \
                  Must be absent if every value has a row",
    },
    Key {
        name: "default",
        form: Number,
        presence: Presence::With { keys: &[("option", None)], absent: Some("that of the first row") },
        meaning: "the value written if the caller does not choose; must have a row",
    },
    DOC,
    CITE,
];

/// A memory type.
pub(super) const MEMORY: Form = Word(words::<MemoryType>);

pub(super) const RUN: &[Key] = &[
    required("id", Id, "its id"),
    LEVEL,
    required("items", Set, "the possible numbers of items: powers of two from 2"),
    IF,
    required("mark", Match, "what an item of a run shows"),
    required("single", Match, "what a leaf shows that is no item of a run"),
    optional(
        "addresses",
        Word(|| vec!["each", "shared"]),
        "`each`",
        "whether each item holds its own address, or all hold that of the run's start",
    ),
    CITE,
];

pub(super) const FIX: &[Key] = &[
    required("id", Id, "its id"),
    IN,
    LEVEL,
    IF,
    BITS,
    required("is", Choices(&Word(words::<FixClass>)), "what they are"),
    CITE,
];
