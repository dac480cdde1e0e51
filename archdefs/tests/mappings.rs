//! What is listed of tables is what walks find in them, however damaged they are.

mod common;

use std::collections::HashMap;

use common::{bound, bound_configs, load};
use proptest::prelude::*;
use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::interpret::{Attributes, Walk};
use tablewright_archdefs::mappings::{Content, Extent, Extents, Finding, Visited, changes};
use tablewright_archdefs::model::{Facts, MemoryType};

const TABLES: u64 = 5;

/// Tables in a row; the root is the first.
struct Memory<'a> {
    bound: &'a Bound,
    entries: HashMap<u64, u64>,
    root: u64,
    end: u64,
}

/// An entry to write: where, of what kind, and what its value comes from.
type Entry = (u64, u8, u64, u64);

impl<'a> Memory<'a> {
    fn new(bound: &'a Bound, entries: &[Entry]) -> Self {
        let root = 1 << bound.geometry.root_bits();
        let table = 1_u64 << bound.geometry.root_bits();
        let end = root * 2 + table * TABLES;
        let mut memory = Self { bound, entries: HashMap::new(), root, end };
        for &(slot, kind, target, noise) in entries {
            let level = (noise % u64::from(bound.geometry.levels)) as u8;
            // Most entries stand where walks begin.
            let size = bound.word.size;
            let slot = root + (((slot % ((end - root) >> size)) % if kind & 8 == 0 { 64 } else { u64::MAX }) << size);
            let raw = match kind % 8 {
                0..4 => bound.encode_table(level, (root + target % (TABLES + 1) * table) & !(table - 1)).ok(),
                4..7 => memory.leaf(level, target, noise),
                _ => Some(noise),
            };
            memory.entries.insert(slot, raw.unwrap_or(noise));
        }
        memory
    }

    fn leaf(&self, level: u8, target: u64, noise: u64) -> Option<u64> {
        let sizes = self.bound.page_sizes(level);
        let size = *sizes.get(noise as usize % sizes.len().max(1))?;
        let address = (target & self.bound.geometry.last_output()) >> size << size;
        let facts = if noise & 64 == 0 { Facts::PR | Facts::UR } else { Facts::RIGHTS };
        let attributes = Attributes { facts, memory: MemoryType::WriteBack, options: 0 };
        let items = self.bound.encode_leaf(level, size, address, &attributes).ok()?;
        items.get(noise as usize % items.len()).copied()
    }

    /// What is not written is empty; what is beyond cannot be read.
    fn read(&self, address: u64) -> Option<u64> {
        let there = (self.root..self.end).contains(&address);
        let empty = self.bound.empty(0).unwrap();
        there.then(|| load(self.bound, address, |slot| self.entries.get(&slot).copied().unwrap_or(empty)))
    }

    fn visited(&self) -> impl Iterator<Item = Visited> {
        self.bound.mappings(self.root, |address| self.read(address)).unwrap()
    }

    fn extents(&self) -> impl Iterator<Item = Extent> {
        Extents::new(self.visited().filter_map(|visited| Extent::of(self.bound, &visited, true)))
    }

    fn walk(&self, ia: u64) -> Walk {
        self.bound.walk(self.root, ia, |address| self.read(address))
    }
}

/// A walk to an address of `extent` finds what it says.
fn agrees(memory: &Memory<'_>, extent: &Extent, ia: u64) {
    let context = || format!("{ia:#x} of {extent:#x?} under {}", memory.bound.params);
    match (&extent.content, memory.walk(ia)) {
        (Content::Mapped(to), Walk::Translated(walked)) => {
            assert_eq!(to.output.wrapping_add(ia - extent.first), walked.address, "{}", context());
            assert_eq!((to.facts, to.memory), (walked.facts, walked.memory), "{}", context());
            assert!(to.sizes.is_empty() || to.sizes.contains_key(&walked.size), "{}", context());
        }
        (Content::Reserved { level, rule, .. }, Walk::Reserved { level: walked, rule: said }) => {
            assert_eq!((*level, rule), (walked, &said), "{}", context());
        }
        (Content::Unreadable { level, .. }, Walk::ReadFailed { level: walked, .. }) => {
            assert_eq!(*level, walked, "{}", context());
        }
        // Whatever walks find there, they find where the table was listed.
        (Content::Loop { .. } | Content::Shared { .. }, _) => {}
        (_, walked) => panic!("{walked:?} at {}", context()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn lists_agree_with_walks(
        config in any::<prop::sample::Index>(),
        entries in prop::collection::vec(any::<Entry>(), 0..200),
    ) {
        let configs: Vec<_> = bound_configs().collect();
        let memory = Memory::new(config.get(&configs), &entries);
        let geometry = memory.bound.geometry;
        let steps = memory.visited().count() as u64;
        prop_assert!(steps <= u64::from(geometry.levels) * ((memory.end - memory.root) >> memory.bound.word.size) + 8, "{steps} steps");
        let mut next = Some(geometry.extend(0));
        let mut end = geometry.extend(0);
        for extent in memory.extents() {
            let middle = extent.first + (extent.last - extent.first) / 2;
            for ia in [extent.first, middle, extent.last] {
                agrees(&memory, &extent, ia);
            }
            let begin = next.expect("nothing comes after the last address");
            prop_assert!(begin <= extent.first, "{begin:#x} {extent:#x?}");
            for outside in [begin, extent.first.wrapping_sub(1)] {
                if geometry.accepts(outside) && (begin..extent.first).contains(&outside) {
                    prop_assert!(matches!(memory.walk(outside), Walk::NotMapped { .. }), "{outside:#x}");
                }
            }
            next = extent.last.checked_add(1);
            end = extent.last;
        }
        prop_assert!(geometry.accepts(end));
        prop_assert_eq!(changes(memory.extents(), memory.extents()).count(), 0);
    }

    #[test]
    fn differences_are_where_walks_differ(
        config in any::<prop::sample::Index>(),
        entries in prop::collection::vec(any::<Entry>(), 1..40),
        edit in any::<Entry>(),
    ) {
        let configs: Vec<_> = bound_configs().collect();
        let old = Memory::new(config.get(&configs), &entries);
        let new = Memory::new(config.get(&configs), &[entries.as_slice(), &[edit]].concat());
        for change in changes(old.extents(), new.extents()) {
            for (memory, content) in [(&old, change.old), (&new, change.new)] {
                match content {
                    Some(content) => {
                        let extent = Extent { first: change.first, last: change.last, content };
                        agrees(memory, &extent, extent.first);
                        agrees(memory, &extent, extent.last);
                    }
                    None => {
                        let walk = memory.walk(change.first);
                        prop_assert!(matches!(walk, Walk::NotMapped { .. }), "{walk:?}");
                    }
                }
            }
        }
    }
}

/// Tables of `ept`, each filled with pointers to the next; the last has pages.
fn fan(tables: u64, memory: &mut HashMap<u64, u64>, bound: &Bound) {
    for table in 0..tables {
        for index in 0..512 {
            let level = (tables - 1 - table) as u8;
            let raw = match level {
                0 => 0x40_0037 | index << 12,
                _ => bound.encode_table(level, 0x1000 * (table + 2)).unwrap(),
            };
            memory.insert(0x1000 * (table + 1) + index * 8, raw);
        }
    }
}

#[test]
fn a_table_that_is_reached_often_is_listed_once() {
    let bound = bound("ept", "server");
    let mut memory = HashMap::new();
    fan(4, &mut memory, &bound);
    let mut mappings = bound.mappings(0x1000, |address| memory.get(&address).copied()).unwrap();
    assert_eq!(mappings.by_ref().count(), 4 * 512);
    assert_eq!(mappings.tables(), 4);
    let visited = bound.mappings(0x1000, |address| memory.get(&address).copied()).unwrap();
    let extents: Vec<_> = Extents::new(visited.filter_map(|visited| Extent::of(&bound, &visited, true))).collect();
    assert_eq!(extents.len(), 4, "{extents:#x?}");
    let shared = |level, first| Content::Shared { level, table: 0x1000 * (5 - u64::from(level)), first };
    assert_eq!(extents[1].content, shared(1, 0));
    assert_eq!(extents[3], Extent { first: 1 << 39, last: (1 << 48) - 1, content: shared(3, 0) });
}

#[test]
fn a_table_that_points_to_itself_is_not_followed() {
    let bound = bound("ept", "server");
    let visited = bound.mappings(0x1000, |_| Some(0x1007)).unwrap();
    let findings: Vec<_> = visited.map(|visited| visited.finding).collect();
    assert_eq!(findings.len(), 512);
    assert!(findings.iter().all(|finding| matches!(finding, Finding::Loop(table) if table.address == 0x1000)));
}

#[test]
fn what_cannot_be_read_is_one_line() {
    let bound = bound("ept", "server");
    let visited = bound.mappings(0x1000, |_| None).unwrap();
    let extents: Vec<_> = visited.filter_map(|visited| Extent::of(&bound, &visited, true)).collect();
    let content = Content::Unreadable { level: 3, slot: 0x1000 };
    assert_eq!(extents, [Extent { first: 0, last: (1 << 48) - 1, content }]);
}

#[test]
fn pages_of_several_sizes_are_one_mapping() {
    let bound = bound("ept", "server");
    // A block of 2 MiB, and a table of pages that goes on where it ends.
    let read = |address: u64| match address {
        0x1000 => Some(0x2007),
        0x2000 => Some(0x3007),
        0x3000 => Some(0x4000_00b7),
        0x3008 => Some(0x4007),
        0x4000..0x5000 => Some(0x4020_0037 | ((address & 0xfff) << 9)),
        _ => Some(0),
    };
    let visited = bound.mappings(0x1000, read).unwrap();
    let extents: Vec<_> = Extents::new(visited.filter_map(|visited| Extent::of(&bound, &visited, true))).collect();
    let [Extent { first: 0, last: 0x3f_ffff, content: Content::Mapped(to) }] = extents.as_slice() else {
        panic!("{extents:#x?}");
    };
    assert_eq!(to.output, 0x4000_0000);
    assert_eq!(to.sizes, [(12, 2 << 20), (21, 2 << 20)].into());
}

#[test]
fn a_run_with_a_wrong_item_is_a_defect() {
    let bound = bound("stage2", "4k-40");
    let attributes = Attributes { facts: Facts::RIGHTS, memory: MemoryType::WriteBack, options: 0 };
    let items = bound.encode_leaf(0, 16, 0x8000_0000, &attributes).unwrap();
    let extents = |items: Vec<u64>| {
        let read = move |address: u64| match address {
            0x1_0000 => Some(0x2_0003),
            0x2_0000 => Some(0x3_0003),
            0x3_0000..0x3_0080 => items.get((address & 0xfff) as usize / 8).copied(),
            _ => Some(0),
        };
        let visited: Vec<_> = bound.mappings(0x1_0000, read).unwrap().collect();
        let extents = visited.iter().filter_map(|visited| Extent::of(&bound, visited, true));
        Extents::new(extents).collect::<Vec<_>>()
    };
    let whole = extents(items.clone());
    assert_eq!(whole.len(), 1, "{whole:#x?}");
    assert!(!whole[0].content.is_defect());
    for wrong in [0, items[5] ^ 1 << 52, items[6], items[5] ^ 1 << 7] {
        let mut items = items.clone();
        items[5] = wrong;
        let found = extents(items);
        assert!(found.iter().any(|extent| extent.content.is_defect()), "{wrong:#x}: {found:#x?}");
    }
}
