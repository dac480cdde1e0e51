//! `[live]`, `[memory]`, `[[tlb]]`, `[[completion]]`, `[registers.*]`, `[capabilities]`, `[fault]`,
//! `[translated]`, `[access]`, `[raise.*]`.

use super::entries::MEMORY as MEMORY_TYPE;
use super::form::Form::{Choices, Code, Condition, Expression, Flag, Guarded, Id, Many, Number, Syntax, Word};
use super::{CITE, DOC, Form, Key, Presence, With, one_of, optional, required, with};
use crate::model::{EditClass, FaultAccess, FaultCause, Role, Scope, Shareability, Signal};
use crate::words::words;

pub(super) const LIVE: &[Key] = &[
    required(
        "invalid_cached",
        Choices(&Condition),
        "whether an MMU may cache an entry that is not present, so that mapping needs an invalidation, too",
    ),
    optional(
        "hardware",
        Choices(&Condition),
        "no",
        "whether the MMU sets the accessed and dirty states by itself, so that an entry may change at any moment; \
         elsewhere an access that would have to set them faults",
    ),
    required("break", Many(&Guarded(&Word(words::<EditClass>))), "the edits that need break-before-make; `[]` is none"),
    CITE,
];

pub(super) const MEMORY: &[Key] = &[required(
    "fallback",
    Many(&Guarded(&Syntax("asked -> taken"))),
    "the memory type taken in place of one that has no row; followed repeatedly",
)];

/// Goes with an invalidation that is executed.
const EXECUTED: With = &[("code", None)];
/// Goes with an invalidation that is done page by page.
pub(super) const OF_PAGES: With = &[("scope", Some("address"))];

pub(super) const TLB: &[Key] = &[
    required("id", Id, "its id"),
    required("scope", Word(words::<Scope>), "what it reaches: one page, everything of one tag, everything"),
    with("reach", Word(|| vec!["local", "broadcast"]), EXECUTED, "`local`", "this CPU, or every CPU"),
    with(
        "covers",
        Word(|| vec!["all", "leaf"]),
        OF_PAGES,
        "`all`",
        "whether it drops what is cached of tables, too, or of leaves only",
    ),
    with(
        "context",
        Word(|| vec!["operand", "loaded"]),
        EXECUTED,
        "`operand`",
        "whether operands name the tag, or it acts on the one that is loaded",
    ),
    with("limit", Number, OF_PAGES, "none", "above this many pages the scope `space` is used instead"),
    optional("if", Condition, "always", "where it exists"),
    with("before", Many(&Code), EXECUTED, "none", "executed once, before"),
    one_of("code", Many(&Code), "executed with the operands, for scope `address` once per page"),
    with("after", Many(&Code), EXECUTED, "none", "executed once, after"),
    one_of(
        "at_entry",
        Syntax("control = number"),
        "nothing is executed: each CPU that runs the guest must leave it, and invalidates when it enters it again with \
         this value in the control of this name, of which the HAL is told. Not with scope `address`",
    ),
    one_of(
        "command",
        Many(&Expression),
        "nothing is executed: the words of a command for the queue of a device, of which the HAL is told, for scope \
         `address` once per page",
    ),
    with(
        "operands",
        Many(&Syntax("register = number")),
        EXECUTED,
        "none",
        "machine registers and their values; `&descriptor` is the address of the descriptor",
    ),
    with(
        "descriptor",
        Many(&Expression),
        &[("operands", None)],
        "none",
        "words in memory, for `&descriptor`; in them `root` is the value of the register with role `root`",
    ),
    DOC,
    CITE,
];

/// Goes with a command that makes the device write.
pub(super) const OF_WRITE: With = &[("signal", Some("write"))];

/// A key that goes with `signal = "write"`.
const fn of_write(name: &'static str, form: Form, absent: Option<&'static str>, meaning: &'static str) -> Key {
    let presence = Presence::With { keys: OF_WRITE, absent };
    Key { name, form, presence, meaning }
}

pub(super) const COMPLETION: &[Key] = &[
    required("id", Id, "its id"),
    required(
        "signal",
        Word(words::<Signal>),
        "how the device tells that this command, and with it all before it, is complete: it writes data of the caller's \
         at an address of the caller's; an interrupt of its own; the head of the queue passes the command only then",
    ),
    optional("if", Condition, "always", "where it exists"),
    of_write("address", Syntax("high:low"), None, "the bits that the caller's address can have: the others must be 0"),
    of_write("nonzero", Flag, Some("`false`"), "whether the address 0 stands for none, so that it is refused"),
    of_write("data", Number, None, "the number of bits of the caller's data, 1 to 64"),
    required("command", Many(&Expression), "its words"),
    DOC,
    CITE,
];

pub(super) const REGISTER: &[Key] = &[
    required(
        "role",
        Word(words::<Role>),
        "holds the root table's address; configures walks; only these bits of it are ours, and must be set",
    ),
    required(
        "fields",
        Many(&Guarded(&Syntax("bits name = number"))),
        "its fields; of several with one name the first whose condition holds. Bits without a field are 0",
    ),
    optional(
        "narrow",
        Flag,
        "`false`",
        "whether it cannot hold every address that a table may have: a root table beyond is refused",
    ),
    DOC,
    CITE,
];

/// A register that the caller reads, optionally with a description.
const READING: Form = Syntax("name: doc");

pub(super) const CAPABILITIES: &[Key] = &[
    required(
        "registers",
        Many(&READING),
        "the registers, as expressions name them, and what they are; `: doc` may be missing",
    ),
    required(
        "values",
        Many(&Guarded(&Syntax("param = number"))),
        "of each parameter the first that holds; where none does, the parameter keeps its default",
    ),
    CITE,
];

pub(super) const FAULT: &[Key] = &[
    required(
        "registers",
        Many(&READING),
        "the registers of the report, as in `[capabilities]`, in the order in which callers pass them",
    ),
    required("when", Condition, "whether a report is of a fault of this translation at all"),
    required(
        "address",
        Choices(&Expression),
        "the input address; where none holds, it must be resolved from the guest's virtual address",
    ),
    required("access", Choices(&Word(words::<FaultAccess>)), "what the access was; `none`: not reported"),
    required(
        "cause",
        Choices(&Word(words::<FaultCause>)),
        "what was wrong; `external`: a bus error on the walk; `unspecified`: not reported",
    ),
    optional(
        "level",
        Choices(&Expression),
        "not reported",
        "the level (0 is the leaf-most); where none holds, it is not reported",
    ),
    optional(
        "width",
        Choices(&Expression),
        "not reported",
        "how many bytes the access moves, so that a device can be emulated; where none holds, it is not reported",
    ),
    optional("guest_walk", Condition, "never", "whether the fault was met while the guest's own tables were walked"),
    CITE,
];

pub(super) const TRANSLATED: &[Key] = &[
    required(
        "registers",
        Many(&READING),
        "the registers of the result, as in `[capabilities]`, in the order in which callers pass them",
    ),
    required("faulted", Condition, "whether the translation faulted"),
    required("address", Choices(&Expression), "if not: where the page is"),
    required("memory", Choices(&MEMORY_TYPE), "its memory type; where none holds, it has no name"),
    optional(
        "shareability",
        Choices(&Word(words::<Shareability>)),
        "not reported",
        "who shares it: nobody, the inner or the outer shareable domain",
    ),
    required("cause", Choices(&Word(words::<FaultCause>)), "if it did: what was wrong, as in `[fault]`"),
    optional(
        "level",
        Choices(&Expression),
        "not reported",
        "the level (0 is the leaf-most), of the stage that faulted; where none holds, it is not reported",
    ),
    optional("second_stage", Condition, "never", "whether the fault is one of the second stage"),
    optional("guest_walk", Condition, "never", "whether it was met while the tables of the first stage were walked"),
    CITE,
];

pub(super) const RAISE: &[Key] = &[
    optional("if", Condition, "always", "where there is such a report at all: of other faults it is another"),
    required(
        "fields",
        Many(&Guarded(&Syntax("bits name = number"))),
        "its fields; of several with one name the first whose condition holds. Bits without a field are 0",
    ),
    DOC,
    CITE,
];

pub(super) const ACCESS: &[Key] = &[
    required(
        "registers",
        Many(&READING),
        "the registers that do, as in `[capabilities]`, in the order in which callers pass them",
    ),
    required(
        "allowed",
        Choices(&Condition),
        "whether the access is allowed; where no condition of a choice holds, it is not",
    ),
    CITE,
];
