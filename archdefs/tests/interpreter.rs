//! The interpreter against itself: what it encodes it decodes and walks, under every configuration of every format.

mod common;

use std::collections::HashMap;

use common::{bound_configs, format, load};
use tablewright_archdefs::bound::{Bound, Params};
use tablewright_archdefs::interpret::{Attributes, Decoded, Edit, FieldValue, LeafEntry, Refused, Walk};
use tablewright_archdefs::model::{Completion, Facts, FixClass, InputExtension, MemoryType, Signal};

const RW: Facts = Facts::PR.union(Facts::UR).union(Facts::PW).union(Facts::UW);
const R: Facts = Facts::PR.union(Facts::UR);

/// Read-only, or executable where reading cannot be had without, of a memory type that every format has or replaces.
fn read_only(bound: &Bound) -> Attributes {
    let only = |facts| Attributes { facts, memory: MemoryType::WriteBack, options: 0 };
    let fits = bound.encode_leaf(0, bound.geometry.page_bits, 0, &only(R)).is_ok();
    only(if fits { R } else { R | Facts::PX | Facts::UX })
}

fn leaf(bound: &Bound, level: u8, raw: u64) -> LeafEntry {
    match bound.decode(level, raw) {
        Decoded::Leaf(leaf) => leaf,
        other => panic!("{raw:#x} at level {level} under {}: {other:?}", bound.params),
    }
}

/// Output addresses of that alignment: zero, one in the middle, the highest.
fn addresses(bound: &Bound, size: u8) -> [u64; 3] {
    let highest = bound.geometry.last_output() >> size << size;
    [0, (highest / 3) >> size << size, highest]
}

#[test]
fn leaves_of_every_size_read_back() {
    for bound in bound_configs() {
        for level in 0..bound.geometry.levels {
            for size in bound.page_sizes(level) {
                for address in addresses(&bound, size) {
                    let items = bound.encode_leaf(level, size, address, &read_only(&bound)).unwrap();
                    for (index, &raw) in items.iter().enumerate() {
                        let leaf = leaf(&bound, level, raw);
                        let offset = index as u64 * (1 << size) / items.len() as u64;
                        assert_eq!(leaf.address | offset, address | offset, "{raw:#x} under {}", bound.params);
                        assert_eq!((leaf.size, leaf.items), (size, items.len() as u64));
                        assert_eq!(leaf.facts & Facts::RIGHTS, read_only(&bound).facts);
                    }
                }
            }
        }
    }
}

#[test]
fn whatever_can_be_asked_for_is_refused_or_reads_back() {
    let memory = [MemoryType::Inherit, MemoryType::WriteBack, MemoryType::NonCacheable, MemoryType::DeviceNGnRE];
    for bound in bound_configs() {
        for rights in 0..64 {
            for memory in memory {
                let facts = Facts::from_bits_retain(rights) | Facts::ACCESSED;
                match bound.encode_leaf(0, bound.geometry.page_bits, 0, &Attributes { facts, memory, options: 0 }) {
                    Ok(items) => {
                        let leaf = leaf(&bound, 0, items[0]);
                        assert_eq!(leaf.facts & Facts::RIGHTS, facts & Facts::RIGHTS, "under {}", bound.params);
                        assert_eq!(leaf.options, 0);
                        let fallback = bound.fallbacks.iter().any(|(from, _)| *from == memory);
                        assert!(leaf.memory == Some(memory) || fallback, "{memory:?} under {}", bound.params);
                    }
                    Err(Refused::Rights(refused)) => assert_eq!(refused, facts & Facts::RIGHTS),
                    Err(Refused::Memory(refused)) => assert_eq!(refused, memory),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}

#[test]
fn bits_that_must_be_zero_make_an_entry_reserved() {
    for bound in bound_configs() {
        for level in &bound.levels {
            let Some(shape) = &level.leaf else { continue };
            let raw = bound.encode_leaf(level.level, level.entry_bits, 0, &read_only(&bound)).unwrap()[0];
            let plain = leaf(&bound, level.level, raw);
            for fix in &shape.fixes {
                for bit in (0..64).filter(|bit| fix.mask >> bit & 1 == 1) {
                    let flipped = bound.decode(level.level, raw ^ 1 << bit);
                    match fix.is {
                        FixClass::MustBeZero | FixClass::MustBeOne => {
                            assert_eq!(flipped, Decoded::Reserved(fix.id.clone()))
                        }
                        FixClass::Software => {
                            assert_eq!(flipped, Decoded::Leaf(LeafEntry { options: 1 << bit, ..plain }));
                        }
                        _ => assert_eq!(flipped, Decoded::Leaf(plain), "bit {bit} of `{}`", fix.id),
                    }
                }
            }
        }
    }
}

/// Tables in memory, one after the other, and the leaves that were put into them.
struct Tables<'a> {
    bound: &'a Bound,
    memory: HashMap<u64, u64>,
    root: u64,
    next: u64,
}

impl<'a> Tables<'a> {
    fn new(bound: &'a Bound) -> Self {
        let root = 1 << bound.geometry.root_bits();
        Self { bound, memory: HashMap::new(), root, next: root * 2 }
    }

    fn map(&mut self, ia: u64, to_level: u8, items: &[u64]) {
        let mut table = self.root;
        for level in (to_level + 1..self.bound.geometry.levels).rev() {
            let slot = table + (self.bound.geometry.index(level, ia) << self.bound.word.size);
            table = match self.memory.get(&slot).map(|&raw| self.bound.decode(level, raw)) {
                Some(Decoded::Table(next)) => next.address,
                _ => {
                    let next = self.next;
                    self.next += 1 << self.bound.geometry.root_bits();
                    self.memory.insert(slot, self.bound.encode_table(level, next).unwrap());
                    next
                }
            };
        }
        let first = table + (self.bound.geometry.index(to_level, ia) << self.bound.word.size);
        for (index, &raw) in items.iter().enumerate() {
            self.memory.insert(first + ((index as u64) << self.bound.word.size), raw);
        }
    }

    /// What is not written is empty.
    fn walk(&self, ia: u64) -> Walk {
        let empty = self.bound.empty(0).unwrap();
        let entry = |slot| self.memory.get(&slot).copied().unwrap_or(empty);
        self.bound.walk(self.root, ia, |address| Some(load(self.bound, address, entry)))
    }
}

#[test]
fn walks_find_what_was_mapped_and_nothing_else() {
    for bound in bound_configs() {
        for level in 0..bound.geometry.levels {
            for size in bound.page_sizes(level) {
                let mut tables = Tables::new(&bound);
                // The last address of the lower half, if there are two.
                let half = u8::from(bound.geometry.extension == InputExtension::Sign);
                let last = u64::MAX >> (64 - bound.geometry.input_bits + half);
                let ia = bound.geometry.extend(last >> size << size);
                let address = addresses(&bound, size)[1];
                tables.map(ia, level, &bound.encode_leaf(level, size, address, &read_only(&bound)).unwrap());
                for offset in [0, 8, (1 << size) / 2 + 8, (1 << size) - 1] {
                    match tables.walk(ia + offset) {
                        Walk::Translated(to) => {
                            assert_eq!(to.address, address + offset, "2^{size} under {}", bound.params);
                            assert_eq!(
                                (to.level, to.size, to.facts & Facts::RIGHTS),
                                (level, size, read_only(&bound).facts)
                            );
                        }
                        other => panic!("{other:?} at {ia:#x} + {offset:#x} under {}", bound.params),
                    }
                }
                if ia > 0 {
                    assert!(matches!(tables.walk(ia - 1), Walk::NotMapped { .. }));
                }
                if bound.geometry.input_bits < 64 {
                    let beyond = if bound.geometry.extension == InputExtension::One { last } else { last + 1 };
                    assert_eq!(tables.walk(beyond), Walk::InputTooWide);
                }
            }
        }
    }
}

#[test]
fn tables_limit_the_rights_below() {
    let ept = common::bound("ept", "server");
    let mut tables = Tables::new(&ept);
    let all = Attributes { facts: Facts::RIGHTS, memory: MemoryType::WriteBack, options: 0 };
    tables.map(0x1000, 0, &ept.encode_leaf(0, 12, 0x5000, &all).unwrap());
    let root_entry = tables.root;
    // Bits 2:0 are read, write and execute.
    tables.memory.entry(root_entry).and_modify(|raw| *raw = *raw & !0b111 | 0b001);
    let Walk::Translated(to) = tables.walk(0x1000) else { panic!() };
    assert_eq!(to.facts & Facts::RIGHTS, R);
    // Write without read is a misconfiguration.
    tables.memory.entry(root_entry).and_modify(|raw| *raw = *raw & !0b111 | 0b010);
    assert_eq!(tables.walk(0x1000), Walk::Reserved { level: 3, rule: "access".into() });
}

#[test]
fn a_read_that_fails_ends_the_walk() {
    let ept = common::bound("ept", "server");
    assert_eq!(ept.walk(0x1000, 0, |_| None), Walk::ReadFailed { level: 3, address: 0x1000 });
}

#[test]
fn tables_that_skip_levels_check_the_skipped_bits() {
    let iommu = common::bound("amd_iommu_v1", "three-level");
    let mut memory = HashMap::new();
    // Bits 11:9 of an entry at the third level say that the next table is of the first.
    memory.insert(0x1000, 0x6000_0000_0000_2201_u64);
    memory.insert(0x2000 + 8, 0x6000_0000_1234_5001);
    let walk = |ia| iommu.walk(0x1000, ia, |address| Some(memory.get(&address).copied().unwrap_or(0)));
    assert!(matches!(walk(0x1000), Walk::Translated(to) if to.address == 0x1234_5000));
    assert_eq!(walk(0x20_1000), Walk::NotMapped { level: 2 });
}

#[test]
fn hardware_states_may_change_without_a_break() {
    let stage2 = common::bound("stage2", "4k-40");
    let clean = Attributes { facts: RW, memory: MemoryType::WriteBack, options: 0 };
    let marked = Attributes { facts: RW | Facts::ACCESSED | Facts::DIRTY, ..clean };
    let encode = |attributes: &Attributes, address| stage2.encode_leaf(0, 12, address, attributes).unwrap()[0];
    assert_eq!(stage2.edit(0, encode(&clean, 0), encode(&marked, 0)), Edit::Direct);
    assert_eq!(stage2.edit(0, encode(&clean, 0), encode(&clean, 0x1000)), Edit::BreakBeforeMake);
    assert_eq!(stage2.edit(0, encode(&clean, 0), stage2.empty(0).unwrap()), Edit::Direct);
}

#[test]
fn illegal_parameters_are_refused_by_name() {
    let ept = format("ept");
    let legal = Params::named(&ept, "server").unwrap();
    let with = |name, value| {
        let mut params = legal.clone();
        params.set(name, value).unwrap();
        Bound::new(&ept, &params).unwrap_err().to_string()
    };
    insta::assert_snapshot!(with("pa_bits", 53), @"parameter `pa_bits` cannot be 53");
    insta::assert_snapshot!(with("huge_2m", 2), @"parameter `huge_2m` cannot be 2");
    insta::assert_snapshot!(with("levels", 3), @"no root has 3 levels and 48 input bits");
    insta::assert_snapshot!(with("input_bits", 200), @"no root has 4 levels and 200 input bits");
    assert!(Params::named(&ept, "nobody").is_err());
}

#[test]
fn fields_are_listed_with_their_meanings() {
    let toy = common::bound_text(include_str!("toy.toml"), "wide");
    let fields = toy.fields(0, 0x1234_7b49);
    let line = |field: &FieldValue| format!("{} {:#x} {}", field.name, field.value, field.meaning);
    insta::assert_snapshot!(fields.iter().map(line).collect::<Vec<_>>().join("\n"), @r"
    access 0x4 x
    accessed 0x0 none
    memory_type 0x1 nc
    scope 0x1 global
    owner 0x1 free for software
    output 0x12340000 0x1234_0000
    ");
}

/// The stages of one device have one queue; as they extend different formats, each file says what its commands are.
#[test]
fn both_stages_of_a_device_complete_alike() {
    for [first, second] in [["vtd_first_stage", "vtd_second_stage"], ["riscv_iommu_first_stage", "riscv_iommu"]] {
        let rows = |name| {
            let rows = format(name).completions;
            let row = |row: Completion| {
                let words: Vec<String> = row.command.iter().map(|word| word.value.to_string()).collect();
                (row.id.value, row.signal, row.when.map(|when| when.to_string()), row.record, words)
            };
            rows.into_iter().map(row).collect::<Vec<_>>()
        };
        assert!(rows(first).iter().any(|row| row.1 == Signal::Write));
        assert_eq!(rows(first), rows(second), "{first}, {second}");
    }
}
