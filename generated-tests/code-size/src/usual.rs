//! The operations that a hypervisor needs with RAM, devices and live migration.

use tablewright::{Attributes, Change, SpaceError};

use super::{Space, There};

/// The result of most operations.
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
    // It migrates.
    Space::start_dirty_log as *const (),
    Space::harvest as *const (),
    Space::stop_dirty_log as *const (),
]);
