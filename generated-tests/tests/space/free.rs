//! Finding free ranges of addresses.

use tablewright::{ClosedRange, Format};

use crate::formats::in_every_format;
use crate::rig::{RW, Rig, gpa};

in_every_format! {
    free_areas_are_found
    free_areas_are_between_limits
}

/// A space with areas at pages 0 to 2 and 4, and where else it is told.
fn with_areas<F: Format>(rig: &mut Rig<F>, more: &[usize]) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 3 * page, RW, false).unwrap();
    for number in [4].iter().chain(more) {
        rig.space.map_alloc(gpa(number * page), page, RW, false).unwrap();
    }
}

fn free_areas_are_found<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    let from = |start: usize| ClosedRange::new(start as u64, u64::MAX).unwrap();
    with_areas(&mut rig, &[]);
    assert_eq!(rig.space.find_free_area(from(0), page, 0), Some(gpa(3 * page)));
    assert_eq!(rig.space.find_free_area(from(0), page + 1, 0), Some(gpa(5 * page)));
    assert_eq!(rig.space.find_free_area(from(page), block, block.ilog2() as u8), Some(gpa(block)));
    assert_eq!(rig.space.find_free_area(from(2 * block), page, 0), Some(gpa(2 * block)));
    // Gaps that have no multiple of the alignment are passed over, and so are areas between such multiples.
    for number in [8, 10, 13] {
        rig.space.map_alloc(gpa(number * page), page, RW, false).unwrap();
    }
    let four = page.ilog2() as u8 + 2;
    assert_eq!(rig.space.find_free_area(from(5 * page), page, four), Some(gpa(12 * page)));
    assert_eq!(rig.space.find_free_area(from(5 * page), 2 * page, four), Some(gpa(16 * page)));
}

/// Limits need be no multiples of anything.
fn free_areas_are_between_limits<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    with_areas(&mut rig, &[8, 10, 13]);
    let found = |start: usize, last: usize, align: u8| {
        rig.space.find_free_area(ClosedRange::new(start as u64, last as u64).unwrap(), 2 * page, align)
    };
    assert_eq!(found(5 * page, 7 * page - 1, 0), Some(gpa(5 * page)));
    assert_eq!(found(5 * page, 7 * page - 2, 0), None);
    assert_eq!(found(5 * page + 1, 8 * page - 1, 0), Some(gpa(6 * page)));
    assert_eq!(found(6 * page + 1, 14 * page, 0), Some(gpa(11 * page)));
    assert_eq!(found(0, 5 * page - 1, 0), None);
    let four = page.ilog2() as u8 + 2;
    assert_eq!([found(0, 18 * page - 1, four), found(0, 18 * page - 2, four)], [Some(gpa(16 * page)), None]);
    // What lies beyond the space is no room.
    let end = rig.space.end().as_usize();
    assert_eq!(found(end - 2 * page, usize::MAX, 0), Some(gpa(end - 2 * page)));
    assert_eq!(found(end - page, usize::MAX, 0), None);
}
