//! Sorted lists without duplicates.

/// The members in ascending order, each once.
pub(crate) fn ascending<T: Ord>(mut members: Vec<T>) -> Vec<T> {
    members.sort_unstable();
    members.dedup();
    members
}
