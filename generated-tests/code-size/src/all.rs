//! All that can be asked of a space.

use tablewright::{Attributes, Change, GuestMemoryAccessor, SharedMemory, SpaceError};

use super::Space;

/// What most operations come to.
type Outcome = Result<(), SpaceError>;

/// What changes a space.
pub(crate) fn changes() -> [*const (); 14] {
    [
        Space::map_linear as fn(&mut Space, _, _, Attributes) -> Outcome as *const (),
        Space::map_alloc as fn(&mut Space, _, _, Attributes, _) -> Outcome as *const (),
        Space::map_shared as fn(&mut Space, _, &SharedMemory, Attributes) -> Outcome as *const (),
        Space::map_copy_on_write as fn(&mut Space, _, &SharedMemory, Attributes) -> Outcome as *const (),
        Space::map_device as *const (),
        Space::unmap as *const (),
        Space::clear as *const (),
        Space::protect as fn(&mut Space, _, _, Change) -> Outcome as *const (),
        Space::split as *const (),
        Space::collapse as *const (),
        Space::start_dirty_log as *const (),
        Space::stop_dirty_log as *const (),
        Space::reserve as *const (),
        Space::harvest_exclusive as *const (),
    ]
}

/// What is asked while the guest runs.
pub(crate) fn questions() -> [*const (); 12] {
    [
        Space::handle_report as *const (),
        Space::handle_report_exclusive as *const (),
        Space::handle_fault as *const (),
        Space::fault_info as *const (),
        Space::harvest as *const (),
        Space::translate as *const (),
        Space::query as *const (),
        Space::find_area as *const (),
        Space::find_free_area as *const (),
        Space::statistics as *const (),
        <Space as GuestMemoryAccessor>::read_buffer as *const (),
        <Space as GuestMemoryAccessor>::write_buffer as *const (),
    ]
}
