//! The closed sets of words in format files, and what each word stands for.

use crate::model::{
    Bind, ByteOrder, Class, EditClass, Facts, FaultAccess, FaultCause, FixClass, InputExtension, Is, MemoryType, Other,
    Role, Scope, Shareability, Signal,
};

/// A closed set of words.
pub trait Word: Copy + PartialEq + 'static {
    /// What the words are, in the plural, for messages.
    const WHAT: &'static str;
    /// Every word with what it stands for.
    const WORDS: &'static [(&'static str, Self)];

    /// The word for it.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, meaning)| *meaning == self).map_or("", |(word, _)| word)
    }
}

/// The words of a closed set.
pub fn words<W: Word>() -> Vec<&'static str> {
    W::WORDS.iter().map(|(word, _)| *word).collect()
}

macro_rules! words {
    ($($type:ident, $what:literal: $($word:literal => $meaning:ident),+;)+) => {$(
        impl Word for $type {
            const WHAT: &'static str = $what;
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $type::$meaning)),+];
        }
    )+};
}

words! {
    Bind, "times of binding": "build" => Build, "boot" => Boot, "vm" => Vm;
    ByteOrder, "byte orders": "little" => Little, "big" => Big;
    InputExtension, "input extensions": "zero-extended" => Zero, "one-extended" => One,
        "sign-extended" => Sign;
    Is, "kinds": "invalid" => Invalid, "table" => Table, "leaf" => Leaf, "reserved" => Reserved;
    Class, "kinds": "invalid" => Invalid, "table" => Table, "page" => Page, "block" => Block, "reserved" => Reserved;
    Other, "treatments of other values": "reserved" => Reserved, "unnamed" => Unnamed;
    FixClass, "classes of bits": "must-be-zero" => MustBeZero, "must-be-one" => MustBeOne, "write-zero" => WriteZero,
        "write-one" => WriteOne, "ignored" => Ignored, "software" => Software, "hardware" => Hardware;
    EditClass, "classes of edits": "output" => Output, "memory" => Memory, "rights" => Rights,
        "restriction" => Restriction, "option" => Option, "size" => Size;
    Scope, "scopes": "address" => Address, "space" => Space, "all" => All;
    Signal, "signals": "write" => Write, "interrupt" => Interrupt, "consumed" => Consumed;
    Role, "roles": "root" => Root, "control" => Control, "bits" => Bits;
    FaultAccess, "accesses": "read" => Read, "write" => Write, "execute" => Execute, "none" => None;
    FaultCause, "causes": "not-mapped" => NotMapped, "permission" => Permission, "access-flag" => AccessFlag,
        "address-size" => AddressSize, "misconfigured" => Misconfigured, "external" => External,
        "unspecified" => Unspecified;
    Shareability, "domains": "non" => Non, "inner" => Inner, "outer" => Outer;
    MemoryType, "memory types": "inherit" => Inherit, "wb" => WriteBack, "wt" => WriteThrough, "wp" => WriteProtected,
        "wc" => WriteCombining, "nc" => NonCacheable, "uc" => Uncached, "device-nGnRnE" => DeviceNGnRnE,
        "device-nGnRE" => DeviceNGnRE, "device-nGRE" => DeviceNGRE, "device-GRE" => DeviceGRE;
}

impl Word for Facts {
    const WHAT: &'static str = "rights and states";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Facts::empty()),
        ("r", Facts::PR.union(Facts::UR)),
        ("w", Facts::PW.union(Facts::UW)),
        ("x", Facts::PX.union(Facts::UX)),
        ("pr", Facts::PR),
        ("pw", Facts::PW),
        ("px", Facts::PX),
        ("ur", Facts::UR),
        ("uw", Facts::UW),
        ("ux", Facts::UX),
        ("accessed", Facts::ACCESSED),
        ("dirty", Facts::DIRTY),
    ];
}

/// The truth values that conditions of `[access]` may name: what the access is, and what leaf and tables grant.
pub const ACCESS_TRUTHS: [&str; 11] =
    ["read", "write", "execute", "user", "granted", "pr", "pw", "px", "ur", "uw", "ux"];

/// The numbers that `[raise.*]` may name about a fault.
pub const FAULT_NUMBERS: [&str; 3] = ["address", "level", "entry"];

/// The causes of a fault that software met; exactly one of them is true.
pub const FAULT_CAUSES: [&str; 5] = ["input", "not_mapped", "reserved", "not_marked", "denied"];

/// The truth values that conditions of `[raise.*]` may name: the access, the cause, and what leaf and tables grant.
pub const FAULT_TRUTHS: [&str; 15] = [
    "read",
    "write",
    "execute",
    "user",
    "input",
    "not_mapped",
    "reserved",
    "not_marked",
    "denied",
    "pr",
    "pw",
    "px",
    "ur",
    "uw",
    "ux",
];
