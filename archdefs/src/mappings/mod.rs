//! Everything that tables map, whatever is in them: tables that were read from a dump may be damaged or hostile.
//!
//! [`Bound::mappings`] visits the entries, [`Extents`] joins neighbours that say the same, [`changes`] compares two sets
//! of tables. All three are iterators in the order of input addresses, so that nothing is collected.
//!
//! [`Bound::mappings`]: crate::bound::Bound::mappings

mod changes;
mod extents;
mod visit;

pub use changes::{Change, changes};
pub use extents::{Content, Extent, Extents, Mapped};
pub use visit::{Finding, Mappings, TooLarge, Visited};
