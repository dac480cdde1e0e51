//! Lists everything that tables map. Tables read from a dump may be damaged or hostile, so this takes any contents.
//!
//! [`Bound::mappings`] visits the entries, [`Extents`] joins neighbouring entries that say the same, [`changes`]
//! compares two sets of tables. All three are iterators in the order of input addresses, so nothing is collected in
//! memory.
//!
//! [`Bound::mappings`]: crate::bound::Bound::mappings

mod changes;
mod extents;
mod visit;

pub use changes::{Change, changes};
pub use extents::{Content, Extent, Extents, Mapped};
pub use visit::{Finding, Mappings, TooLarge, Visited};
