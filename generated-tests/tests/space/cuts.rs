//! Areas with attributes that the format encodes alike: the space still keeps them apart.

use tablewright::{Attributes, Change, MemoryType, Rights, SpaceError};

use crate::formats::ept;
use crate::rig::{distant, gpa};

/// EPT has one encoding for both.
const COMBINING: MemoryType = MemoryType::WriteCombining;
const NOT_CACHED: Change = Change { rights: None, memory: Some(MemoryType::NonCacheable), options: None };

#[test]
fn unmapping_areas_that_were_cut_is_all_or_nothing() {
    let mut failed = 0;
    loop {
        let mut rig = ept("baseline");
        let (page, block) = (rig.page(), rig.block());
        let attributes = Attributes::new(Rights::RW, COMBINING);
        rig.space.map_linear(gpa(0), distant(8 * block, 2 * block), attributes).unwrap();
        for start in [page, block + page] {
            rig.space.protect(gpa(start), page, NOT_CACHED).unwrap();
        }
        assert_eq!(rig.space.areas().len(), 5);
        let before = rig.state();
        rig.machine.fail_allocation(failed);
        let result = rig.space.unmap(gpa(0), block + page);
        if rig.machine.cancel_failure() {
            assert_eq!(result, Ok(()));
            break;
        }
        assert!(matches!(result, Err(SpaceError::Table(_) | SpaceError::Area { .. })), "{result:?}");
        assert!(rig.state() == before, "frame {failed} failed, and something changed");
        failed += 1;
    }
}

#[test]
fn clearing_areas_that_were_cut_takes_no_frames() {
    let mut rig = ept("baseline");
    let (page, block) = (rig.page(), rig.block());
    let attributes = Attributes::new(Rights::RW, COMBINING);
    rig.space.map_linear(gpa(0), distant(8 * block, block), attributes).unwrap();
    rig.space.protect(gpa(page), page, NOT_CACHED).unwrap();
    rig.machine.fail_allocation(0);
    assert_eq!(rig.space.clear(), Ok(()));
    assert!(rig.machine.cancel_failure());
}

#[test]
fn a_cut_that_takes_a_frame_too_many_leaves_no_trace() {
    let mut rig = ept("baseline");
    let (page, block) = (rig.page(), rig.block());
    let attributes = Attributes::new(Rights::RW, COMBINING);
    rig.space.map_linear(gpa(0), distant(8 * block, block), attributes).unwrap();
    let before = rig.state();
    // It changes nothing: nothing is cut.
    rig.space.protect(gpa(page), page, Change { memory: Some(COMBINING), ..NOT_CACHED }).unwrap();
    assert!(rig.state() == before);
    rig.machine.fail_allocation(0);
    assert!(rig.space.protect(gpa(page), page, NOT_CACHED).is_err());
    assert!(rig.state() == before);
}
