//! What registers say: which memory type a leaf has, whether an access is allowed, which half of the addresses a root
//! translates.

mod common;

use tablewright_archdefs::bound::{Bound, Params};
use tablewright_archdefs::interpret::{Attributes, Decoded, Refused, Walk};
use tablewright_archdefs::model::{Facts, Format, MemoryType};
use tablewright_archdefs::{Style, check, read};

const TINY: &str = include_str!("tiny.toml");

/// A child of `tiny.toml`: bits 7:5 of a leaf pick a byte of `types`, bit 8 is a key.
const CHILD: &str = r#"
[format]
extends = "tiny.toml"
name = "child"

[params]
types = { type = "word", bind = "boot", default = "0xff00_0000_0000_0306", doc = "memory types" }
upper = { type = "bool", bind = "vm", doc = "the upper half" }

[levels]
input = ["one-extended if upper", "zero-extended"]

[fields.memory]
in = "leaf"
bits = "7:5"
through = "types"
memory = ["6 wb", "0 uc", "0xff nc decode-only", "1 wt"]

[memory]
fallback = ["nc -> wt", "wt -> uc"]

[fields.key]
in = "leaf"
bits = "8"
option = ["0 open", "1 locked"]

[[fix]]
id = "leaf-low"
in = "leaf"
bits = "11:9"
is = "software"

[registers.types]
role = "control"
fields = "63:0 types = types"

[access]
registers = ["control", "locks"]
allowed = ["false if write && locks >> key & 1 == 1", "pr || ur if control[0] && read", "granted"]

[[config]]
id = "other"
set = "levels = 3, input_bits = 39, types = 0x0106_0101_0101_0101, upper, !huge"
page_sizes = "4K"

[example]
access = [
    { config = "plain", level = 0, raw = "0x1234_5003", access = "ur", registers = [0, 0], allowed = true },
    { config = "plain", level = 0, raw = "0x1234_5003", access = "uw", registers = [0, 0], allowed = false },
]
"#;

fn child() -> Format {
    let load = |path: &str| if path == "tiny.toml" { Ok(TINY.to_owned()) } else { Err("not here".to_owned()) };
    let (sources, format) = read("child.toml", CHILD, &load);
    let format = format.unwrap_or_else(|mistakes| panic!("{}", mistakes.render(&sources, Style::Plain)));
    let found = check(&format);
    assert!(found.is_empty(), "{}", found.render(&sources, Style::Plain));
    format
}

fn bound(config: &str) -> Bound {
    let format = child();
    Bound::new(&format, &Params::named(&format, config).unwrap()).unwrap()
}

fn memory(bound: &Bound, raw: u64) -> Option<MemoryType> {
    match bound.decode(0, raw) {
        Decoded::Leaf(leaf) => leaf.memory,
        other => panic!("{raw:#x}: {other:?}"),
    }
}

fn leaf(bound: &Bound, memory: MemoryType) -> Result<u64, Refused> {
    let facts = Facts::PR | Facts::UR;
    Ok(bound.encode_leaf(0, 12, 0x1000, &Attributes { facts, memory, options: 0 })?[0])
}

#[test]
fn a_leaf_has_the_memory_type_that_its_register_says() {
    let bound = bound("plain");
    assert_eq!(memory(&bound, 0x1003), Some(MemoryType::WriteBack));
    assert_eq!(memory(&bound, 0x1023), None, "byte 1 has no row");
    assert_eq!(memory(&bound, 0x1043), Some(MemoryType::Uncached));
    assert_eq!(memory(&bound, 0x10e3), Some(MemoryType::NonCacheable), "byte 7, at the top of the register");
}

#[test]
fn the_first_byte_of_a_type_is_picked_or_a_fallback() {
    let plain = bound("plain");
    assert_eq!(leaf(&plain, MemoryType::WriteBack), Ok(0x1003));
    assert_eq!(leaf(&plain, MemoryType::NonCacheable), Ok(0x1043), "there is no wt, so uc: byte 2");
    assert_eq!(leaf(&plain, MemoryType::Inherit), Err(Refused::Memory(MemoryType::Inherit)));
    let other = bound("other");
    assert_eq!(leaf(&other, MemoryType::WriteBack), Ok(0x10c3), "byte 6");
    assert_eq!(leaf(&other, MemoryType::NonCacheable), Ok(0x1003), "wt: byte 0");
    assert_eq!(leaf(&other, MemoryType::Uncached), Err(Refused::Memory(MemoryType::Uncached)));
}

#[test]
fn the_register_has_all_its_bits() {
    let values = bound("plain").registers(0x1000, 0).unwrap();
    assert!(values.iter().any(|value| value.name == "types" && value.value == 0xff00_0000_0000_0306));
}

#[test]
fn registers_allow_and_deny() {
    let bound = bound("plain");
    let (open, locked) = (0x1007, 0x1107);
    let permits = |raw, granted, access, registers: &[u64]| bound.permits(0, raw, granted, access, registers);
    let all = Facts::RIGHTS;
    assert!(permits(open, all, Facts::UW, &[0, 0b10]));
    assert!(!permits(locked, all, Facts::UW, &[0, 0b10]));
    assert!(permits(locked, all, Facts::UR, &[0, 0b10]));
    assert!(!permits(locked, all, Facts::UR | Facts::PW, &[0, 0b10]), "both are needed");
    assert!(!permits(open, Facts::PR, Facts::UR, &[0, 0]));
    assert!(permits(open, Facts::PR, Facts::UR, &[1, 0]), "a register allows more than the leaf");
    assert!(!permits(open, Facts::PX, Facts::UX, &[1, 0]));
}

#[test]
fn the_upper_root_translates_the_upper_half() {
    let read = |_: u64| Some(0);
    let upper = bound("other");
    assert_eq!(upper.walk(0, 0xffff_ff80_0000_0000, read), Walk::NotMapped { level: 2 });
    assert_eq!(upper.walk(0, u64::MAX, read), Walk::NotMapped { level: 2 });
    assert_eq!(upper.walk(0, 0, read), Walk::InputTooWide);
    assert_eq!(upper.walk(0, 0xffff_ff7f_ffff_ffff, read), Walk::InputTooWide);
    assert_eq!(bound("plain").walk(0, 0xffff_ff80_0000_0000, read), Walk::InputTooWide);
}
