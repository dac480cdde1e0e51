//! Sets of areas, and what a list of single addresses says of them.

use alloc::{vec, vec::Vec};

use super::*;
use crate::{Attributes, Change, MemoryType, Rights};

impl Joinable for char {
    fn join(&self, next: &Self) -> Option<Self> {
        (self == next).then_some(*self)
    }
}

fn range(start: u64, last: u64) -> ClosedRange {
    ClosedRange::new(start, last).unwrap()
}

fn set(areas: &[(u64, u64, char)]) -> MemorySet<char> {
    let mut set = MemorySet::default();
    for &(start, last, backend) in areas {
        set.insert(Area::new(range(start, last), Attributes::new(Rights::RW, MemoryType::WriteBack), backend)).unwrap();
    }
    set
}

fn shape(set: &MemorySet<char>) -> Vec<(u64, u64, char)> {
    set.iter().map(|area| (area.range().start(), area.range().last(), *area.backend())).collect()
}

#[test]
fn an_overlap_names_the_area_in_the_way() {
    let mut set = set(&[(10, 19, 'a'), (30, 39, 'b')]);
    let new = Area::new(range(19, 30), *set.find(10).unwrap().attributes(), 'c');
    assert_eq!(set.insert(new), Err(SpaceError::Overlap(range(10, 19))));
    assert_eq!(set.len(), 2);
}

#[test]
fn neighbours_of_one_piece_are_joined() {
    let set = set(&[(10, 19, 'a'), (30, 39, 'a'), (20, 29, 'a'), (40, 49, 'b')]);
    assert_eq!(shape(&set), [(10, 39, 'a'), (40, 49, 'b')]);
}

/// What comes beside an area that is of one piece with it is part of that at once, and takes no room: from above, from below,
/// where the area is the first of a node, and between two.
#[test]
fn what_neighbours_take_in_takes_no_room() {
    const COUNT: u64 = 200;
    let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
    let first = |number| if number % 3 == 0 { 'b' } else { 'a' };
    let areas: Vec<_> = (0..COUNT).map(|number| (10 * number + 4, 10 * number + 5, first(number))).collect();
    let ends = |offsets: [u64; 2]| (0..COUNT).flat_map(move |number| offsets.map(|offset| 10 * number + offset));
    for offsets in [[3, 6], [6, 3]] {
        let mut set = set(&areas);
        set.log(range(0, 20), true);
        set.shrink_to_fit();
        let room = set.capacity();
        for step in 0..3 {
            let beside = offsets.map(|offset| if offset < 4 { offset - step } else { offset + step });
            for start in ends(beside) {
                let area = Area::new(range(start, start), attributes, first(start / 10));
                set.fill(set.gap(area.range()).unwrap(), area);
                set.tree.check();
            }
        }
        assert_eq!((set.len() as u64, set.capacity()), (COUNT, room));
        let all: Vec<_> = (0..COUNT).map(|number| (10 * number + 1, 10 * number + 8, first(number))).collect();
        assert_eq!(shape(&set), all);

        // Of these, every third is like neither neighbour.
        for start in ends([9, 10]).filter(|start| *start < 10 * COUNT - 1) {
            let area = Area::new(range(start, start), attributes, first(start / 10));
            set.fill(set.gap(area.range()).unwrap(), area);
            set.tree.check();
        }
        assert_eq!(set.capacity(), room);
        let joined = |number: u64| number > 0 && first(number) == 'a' && first(number - 1) == 'a';
        assert_eq!(set.len() as u64, COUNT - (0..COUNT).filter(|&number| joined(number)).count() as u64);
        assert!(set.find(8).is_some_and(Area::is_logged) && !set.find(48).is_some_and(Area::is_logged));
    }
}

#[test]
fn the_largest_are_known_however_they_came() {
    let largest = |set: &MemorySet<char>| set.largest.map(|link| set.areas.get(link).map(|area| *area.backend()));
    let mut set = set(&[(0, 9, 'a'), (90, 94, 'b'), (80, 84, 'b')]);
    assert_eq!(largest(&set), [Some('a'), Some('b')]);
    // Before one, behind it, and between both.
    for start in [75, 95, 85] {
        let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
        set.insert(Area::new(range(start, start + 4), attributes, 'b')).unwrap();
    }
    assert_eq!(shape(&set), [(0, 9, 'a'), (75, 99, 'b')]);
    assert_eq!(largest(&set), [Some('b'), Some('a')]);
    set.remove(range(70, 100)).unwrap();
    assert_eq!(set.find(5).map(Area::backend), Some(&'a'));
    // What comes in its place is not in its place.
    set.insert(Area::new(range(200, 200), Attributes::new(Rights::RW, MemoryType::WriteBack), 'c')).unwrap();
    assert_eq!((set.find(80), set.find(200).map(Area::backend)), (None, Some(&'c')));
}

#[test]
fn a_hole_cuts_an_area_in_two() {
    let mut set = set(&[(10, 19, 'a')]);
    set.remove(range(13, 15)).unwrap();
    assert_eq!(shape(&set), [(10, 12, 'a'), (16, 19, 'a')]);
    assert!(set.find(14).is_none());
}

#[test]
fn only_a_hole_takes_room() {
    let mut set = set(&[(10, 19, 'a'), (20, 29, 'b'), (30, 39, 'a')]);
    set.areas.shrink_to_fit();
    let room = |set: &MemorySet<char>| set.areas.capacity();
    set.remove(range(15, 32)).unwrap();
    assert_eq!((shape(&set), room(&set)), (vec![(10, 14, 'a'), (33, 39, 'a')], 3));
    set.remove(range(12, 12)).unwrap();
    assert_eq!((shape(&set), room(&set)), (vec![(10, 11, 'a'), (13, 14, 'a'), (33, 39, 'a')], 3));
    set.remove(range(14, 40)).unwrap();
    assert_eq!(shape(&set), [(10, 11, 'a'), (13, 13, 'a')]);
}

#[test]
fn room_that_was_reserved_stays_when_the_last_area_goes() {
    let mut set = set(&[(10, 19, 'a'), (20, 29, 'b')]);
    assert_eq!(set.reserve(7), Ok(()));
    set.remove(ClosedRange::FULL).unwrap();
    assert!(set.is_empty() && set.areas.capacity() >= 7);
}

/// In which order areas may come, or go.
const ORDERS: [fn(u64, u64) -> u64; 4] = [
    |number, _| number,
    |number, count| count - 1 - number,
    // From both ends; from the middle.
    |number, count| if number.is_multiple_of(2) { number / 2 } else { count - 1 - number / 2 },
    |number, count| if number.is_multiple_of(2) { (count + number) / 2 } else { (count - 1 - number) / 2 },
];

#[test]
fn nodes_are_few_in_whatever_order_areas_come_and_go() {
    const COUNT: u64 = 1500;
    let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
    let one = |number: u64| range(2 * number, 2 * number);
    for come in ORDERS {
        // All go but every `stay`th.
        for (go, stay) in ORDERS.into_iter().flat_map(|go| [10, 100, u64::MAX].map(|stay| (go, stay))) {
            let mut set = MemorySet::default();
            for number in 0..COUNT {
                set.insert(Area::new(one(come(number, COUNT)), attributes, 'a')).unwrap();
            }
            set.tree.check();
            for number in (0..COUNT).map(|number| go(number, COUNT)).filter(|number| number % stay != 0) {
                set.remove(one(number)).unwrap();
                if number % 16 == 1 {
                    assert!(set.tree.check() <= 1 + set.len() / 2);
                }
            }
            set.tree.check();
            assert_eq!(set.len() as u64, COUNT.div_ceil(stay));
        }
    }
}

/// The first of all goes, which is written where nodes lead to others, and then some come that start before it.
#[test]
fn what_comes_before_the_first_is_found() {
    let mut set = MemorySet::default();
    let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
    let one = |number: u64| range(2 * number, 2 * number);
    let insert =
        |set: &mut MemorySet<char>, number| assert_eq!(set.insert(Area::new(one(number), attributes, 'a')), Ok(()));
    (1000..1100).for_each(|number| insert(&mut set, number));
    for count in [1, 20, 300] {
        let first = set.iter().next().unwrap().range().start() / 2;
        assert_eq!(set.remove(one(first)), Ok(()));
        for number in first - count..first {
            insert(&mut set, number);
            set.tree.check();
        }
    }
    assert_eq!(set.len(), 100 + 321 - 3);
}

#[test]
fn ascending_areas_fill_their_nodes() {
    let mut set = MemorySet::default();
    let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
    (0..15 * 15 * 15).for_each(|number| {
        set.insert(Area::new(range(2 * number, 2 * number), attributes, 'a')).unwrap();
    });
    assert_eq!(set.tree.check(), 15 * 15 + 15 + 1);
}

#[test]
fn what_is_reserved_is_not_asked_for_again() {
    let one = |start| Area::new(range(start, start), Attributes::new(Rights::RW, MemoryType::WriteBack), 'a');
    // Also where the first of them makes the tree higher: an area that is inserted asks for what a higher tree could take.
    for (before, more) in (0..300).flat_map(|before| [(before, 1), (before, 2), (before, 3), (before, 20)]) {
        let mut set = MemorySet::default();
        (0..before).for_each(|number| set.insert(one(100 * number)).unwrap());
        set.shrink_to_fit();
        set.reserve(more as usize).unwrap();
        let reserved = set.capacity();
        (0..more).for_each(|number| set.insert(one(100 * before / 2 + 2 * number + 1)).unwrap());
        assert_eq!(set.capacity(), reserved, "it grew after `reserve`: {more} after {before}");
    }
}

#[test]
fn what_is_reserved_is_enough_where_all_nodes_are_divided() {
    let mut set = MemorySet::default();
    let insert = |set: &mut MemorySet<char>, start| {
        let area = Area::new(range(start, start), Attributes::new(Rights::RW, MemoryType::WriteBack), 'a');
        set.fill(set.gap(area.range()).unwrap(), area);
    };
    set.reserve(15 * 256).unwrap();
    (0..15 * 256).for_each(|number| insert(&mut set, 4 * number));
    set.shrink_to_fit();
    set.reserve(256).unwrap();
    let reserved = set.capacity();
    // One into each leaf, which are all full.
    (0..256).for_each(|number| insert(&mut set, 60 * number + 2));
    assert_eq!(set.capacity(), reserved, "it grew outside `reserve`");
    assert!(set.tree.check() > 2 * 256);
}

#[test]
fn what_is_reserved_is_enough_for_any_order() {
    let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
    for order in ORDERS {
        for (before, more) in [(0, 1000), (400, 1000), (2000, 10), (256, 1), (0, 3)] {
            let mut set = MemorySet::default();
            for number in 0..before {
                set.insert(Area::new(range(10_000 * number, 10_000 * number), attributes, 'a')).unwrap();
            }
            set.shrink_to_fit();
            set.reserve(more as usize).unwrap();
            let reserved = set.capacity();
            assert!(reserved[0] <= 4 + before as usize + 2 * more as usize, "{reserved:?}");
            for number in (0..more).map(|number| order(number, more)) {
                let place = range(before * 5000 + 2 * number + 1, before * 5000 + 2 * number + 1);
                set.fill(set.gap(place).unwrap(), Area::new(place, attributes, 'a'));
                // What comes and goes again takes nothing for good.
                set.remove_from(set.place(place.start()), place);
                set.fill(set.gap(place).unwrap(), Area::new(place, attributes, 'a'));
            }
            assert_eq!(set.capacity(), reserved, "it grew outside `reserve`");
        }
    }
}

/// Numbers below what is asked for, always the same ones.
fn numbers() -> impl FnMut(u64) -> u64 {
    let mut state = 1_u64;
    move |below| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) % below
    }
}

/// What a list of single addresses says of many areas, in many nodes.
#[test]
fn many_areas_are_what_their_addresses_say() {
    const ADDRESSES: u64 = 4000;
    let mut addresses = [None; ADDRESSES as usize];
    let mut set: MemorySet<char> = MemorySet::default();
    let mut random = numbers();
    let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
    let mut most = 0;
    for step in 0..20_000 {
        // Often at the ends, which nodes further up know least of.
        let start = match random(4) {
            0 => set.iter().next().map_or(0, |first| first.range().start()).saturating_sub(random(6)),
            1 => set.iter().last().map_or(0, |last| last.range().last() + random(4)).min(ADDRESSES - 1),
            _ => random(ADDRESSES),
        };
        // Now and then a large part goes, so that nodes empty and are put together.
        let length = if step % 1000 == 999 { 1500 } else { 1 + random(3) };
        let range = range(start, (start + length).min(ADDRESSES) - 1);
        let part = start as usize..=range.last() as usize;
        let room = set.reserve(2);
        assert_eq!(room, Ok(()));
        let before = set.capacity();
        match random(4) {
            0 => {
                set.remove_from(set.place(range.start()), range);
                addresses[part].fill(None);
            }
            1 => {
                let rights = if random(2) == 0 { Rights::R } else { Rights::RW };
                let change = Change { rights: Some(rights), ..Change::default() };
                assert_eq!(set.change(range, &change), Ok(()));
                addresses[part].iter_mut().flatten().for_each(|(_, all)| *all = rights);
            }
            _ => {
                let backend = if random(2) == 0 { 'a' } else { 'b' };
                let free = addresses[part.clone()].iter().all(Option::is_none);
                let gap = set.gap(range);
                assert_eq!(gap.is_some(), free);
                if let Some(gap) = gap {
                    set.fill(gap, Area::new(range, attributes, backend));
                    addresses[part].fill(Some((backend, Rights::RW)));
                }
            }
        }
        assert_eq!(set.capacity(), before, "it grew outside `reserve`");
        assert_eq!(set.len(), set.iter().count());
        most = most.max(set.len());
        if step % 50 == 0 {
            let found: Vec<_> = (0..ADDRESSES)
                .map(|address| set.find(address).map(|area| (*area.backend(), area.attributes().rights)))
                .collect();
            assert_eq!(found, addresses);
            let ranges: Vec<_> = set.iter().map(Area::range).collect();
            assert!(ranges.is_sorted_by(|a, b| a.last() < b.start()), "{ranges:?}");
            let mut pairs = set.iter().zip(set.iter().skip(1));
            assert!(pairs.all(|(area, next)| area.join(next).is_none()), "not joined: {set:?}");
            set.tree.check();
            assert_eq!(
                set.overlapping(range).count(),
                ranges.iter().filter(|r| r.intersection(&range).is_some()).count()
            );
        }
    }
    assert!(most > 500, "only {most} areas at once");
}

/// Areas become one while the walk over them goes on, and nodes with few of them are put together meanwhile.
#[test]
fn many_areas_change_at_once() {
    const ADDRESSES: u64 = 300;
    let mut random = numbers();
    let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
    let change = |rights| Change { rights: Some(rights), ..Change::default() };
    for _ in 0..400 {
        let [one_in, length] = [2 + random(6), 1 + random(40)];
        let mut set: MemorySet<char> = MemorySet::default();
        let mut addresses = [None; ADDRESSES as usize];
        for (start, all) in (0..).zip(&mut addresses) {
            let rights = if start % 2 == 0 { Rights::R } else { Rights::RW };
            let backend = if start / length % 2 == 0 { 'a' } else { 'b' };
            set.insert(Area::new(range(start, start), attributes.with(&change(rights)), backend)).unwrap();
            *all = Some((backend, rights));
        }
        // So that there is little in nodes here and there.
        let sparse = random(ADDRESSES);
        for address in sparse..ADDRESSES.min(sparse + random(40)) {
            if random(one_in) > 0 {
                set.remove(range(address, address)).unwrap();
                addresses[address as usize] = None;
            }
        }
        for rights in [Rights::R, Rights::RW] {
            let start = random(ADDRESSES);
            let changed = range(start, start + random(ADDRESSES - start));
            set.change(changed, &change(rights)).unwrap();
            let part = &mut addresses[start as usize..=changed.last() as usize];
            part.iter_mut().flatten().for_each(|(_, all)| *all = rights);
            let found: Vec<_> = (0..ADDRESSES)
                .map(|address| set.find(address).map(|area| (*area.backend(), area.attributes().rights)))
                .collect();
            assert_eq!(found, addresses);
            let mut pairs = set.iter().zip(set.iter().skip(1));
            assert!(pairs.all(|(area, next)| area.join(next).is_none()), "not joined: {set:?}");
            set.tree.check();
        }
    }
}

/// Some touch the one before and some do not, and some have several addresses, up to the very last address.
#[test]
fn areas_change_at_once_whether_they_touch_or_not() {
    const ADDRESSES: u64 = 400;
    let mut random = numbers();
    let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
    let change = |rights| Change { rights: Some(rights), ..Change::default() };
    for round in 0..200 {
        let base = if round % 2 == 0 { 0 } else { u64::MAX - (ADDRESSES - 1) };
        let [touch, longest, kinds] = [1 + random(6), 1 + random(4), 1 + random(2)];
        let mut set: MemorySet<char> = MemorySet::default();
        let mut addresses = [None; ADDRESSES as usize];
        let mut start = random(3);
        while start < ADDRESSES {
            let last = (start + random(longest)).min(ADDRESSES - 1);
            let rights = if random(3) == 0 { Rights::R } else { Rights::RW };
            let backend = if random(kinds) == 0 { 'a' } else { 'b' };
            let area = Area::new(range(base + start, base + last), attributes.with(&change(rights)), backend);
            assert_eq!(set.insert(area), Ok(()));
            addresses[start as usize..=last as usize].fill(Some((backend, rights)));
            start = last + 1 + u64::from(random(touch) > 0);
        }
        for _ in 0..6 {
            let rights = [Rights::R, Rights::RW, Rights::RX][random(3) as usize];
            let start = random(ADDRESSES);
            let last = if random(2) == 0 { ADDRESSES - 1 } else { start + random(ADDRESSES - start) };
            assert_eq!(set.change(range(base + start, base + last), &change(rights)), Ok(()));
            addresses[start as usize..=last as usize].iter_mut().flatten().for_each(|(_, all)| *all = rights);
            let found: Vec<_> = (0..ADDRESSES)
                .map(|address| set.find(base + address).map(|area| (*area.backend(), area.attributes().rights)))
                .collect();
            assert_eq!(found, addresses);
            let mut pairs = set.iter().zip(set.iter().skip(1));
            assert!(pairs.all(|(area, next)| area.range().last() < next.range().start() && area.join(next).is_none()));
            set.tree.check();
        }
    }
}

#[test]
fn many_areas_go_at_once() {
    for count in [2, 15, 16, 17, 300] {
        let last = 10 * (count - 1);
        let all: Vec<_> = (0..count).map(|number| (10 * number, 10 * number + 4, 'a')).collect();
        for (gone, left) in [
            (range(5, last - 1), vec![(0, 4, 'a'), (last, last + 4, 'a')]),
            (range(2, last), vec![(0, 1, 'a'), (last + 1, last + 4, 'a')]),
            (range(0, last + 3), vec![(last + 4, last + 4, 'a')]),
            (ClosedRange::FULL, vec![]),
        ] {
            let mut set = set(&all);
            set.remove(gone).unwrap();
            assert_eq!((shape(&set), set.len()), (left.clone(), left.len()), "{count}");
            set.tree.check();
        }
    }
}

#[test]
fn a_change_cuts_and_taking_it_back_joins() {
    let mut set = set(&[(10, 19, 'a'), (20, 29, 'b')]);
    let rights = |rights| Change { rights: Some(rights), ..Change::default() };
    set.change(range(15, 24), &rights(Rights::R)).unwrap();
    assert_eq!(shape(&set), [(10, 14, 'a'), (15, 19, 'a'), (20, 24, 'b'), (25, 29, 'b')]);
    set.change(range(0, 100), &rights(Rights::RW)).unwrap();
    assert_eq!(shape(&set), [(10, 19, 'a'), (20, 29, 'b')]);
}

#[test]
fn the_ends_of_the_space_are_ordinary() {
    let mut set = set(&[(0, u64::MAX, 'a')]);
    set.remove(range(u64::MAX, u64::MAX)).unwrap();
    set.remove(range(0, 0)).unwrap();
    assert_eq!(shape(&set), [(1, u64::MAX - 1, 'a')]);
    assert!(set.find_free(2, 0, ClosedRange::FULL).is_none());
    assert_eq!(set.find_free(1, 0, range(5, u64::MAX)), Some(range(u64::MAX, u64::MAX)));
}

#[test]
fn free_ranges_are_aligned() {
    let set = set(&[(0, 19, 'a'), (40, 69, 'b')]);
    assert_eq!(set.find_free(8, 4, ClosedRange::FULL), Some(range(32, 39)));
    assert_eq!(set.find_free(16, 4, ClosedRange::FULL), Some(range(80, 95)));
    assert_eq!(set.find_free(16, 4, range(0, 94)), None);
}
