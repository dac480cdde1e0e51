//! The operations of a space that few hypervisors need.

use tablewright::{Attributes, GuestMemoryAccessor, SharedMemory};

use super::{Space, There, usual::Outcome};

pub(crate) static OTHERS: There<14> = There([
    Space::map_shared as fn(&mut Space, _, &SharedMemory, Attributes) -> Outcome as *const (),
    Space::map_copy_on_write as fn(&mut Space, _, &SharedMemory, Attributes) -> Outcome as *const (),
    Space::clear as *const (),
    Space::split as *const (),
    Space::collapse as *const (),
    Space::reserve as *const (),
    Space::harvest_exclusive as *const (),
    Space::handle_fault as *const (),
    Space::fault_info as *const (),
    Space::query as *const (),
    Space::find_free_area as *const (),
    Space::statistics as *const (),
    <Space as GuestMemoryAccessor>::read_buffer as *const (),
    <Space as GuestMemoryAccessor>::write_buffer as *const (),
]);
