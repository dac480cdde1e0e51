//! What a hypervisor asks of a space if it has RAM and devices, and moves its guest to another machine.

use tablewright::{Attributes, Change, SpaceError};

use super::{Space, There};

/// What most operations come to.
pub(crate) type Outcome = Result<(), SpaceError>;

pub(crate) static USUAL: There<13> = There([
    // Memory and devices come and go.
    Space::map_linear as fn(&mut Space, _, _, Attributes) -> Outcome as *const (),
    Space::map_alloc as fn(&mut Space, _, _, Attributes, _) -> Outcome as *const (),
    Space::map_device as *const (),
    Space::unmap as *const (),
    Space::protect as fn(&mut Space, _, _, Change) -> Outcome as *const (),
    // The guest runs, under a tag that is its own for a while.
    Space::renew_tag as *const (),
    Space::handle_report as *const (),
    Space::handle_report_exclusive as *const (),
    Space::find_area as *const (),
    Space::translate as *const (),
    // It moves.
    Space::start_dirty_log as *const (),
    Space::harvest as *const (),
    Space::stop_dirty_log as *const (),
]);
