//! The values of an entry as a set of cubes: split only as far as the tests of `[[kind]]` distinguish them.

use crate::bound::BoundKind;

/// The most cubes to go through.
pub(super) const MOST_CUBES: usize = 1 << 16;

/// The entries with `value` in the bits of `mask`, whatever their other bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Cube {
    pub(super) mask: u64,
    pub(super) value: u64,
}

impl Cube {
    pub(super) const fn new(mask: u64, value: u64) -> Self {
        Self { mask, value: value & mask }
    }

    /// Whether some entry is in both.
    pub(super) const fn meets(self, other: Self) -> bool {
        (self.value ^ other.value) & self.mask & other.mask == 0
    }
}

/// Cubes in each of which every row of `[[kind]]` matches all entries or none, by their lowest entries. `None` if they
/// are too many.
pub(super) fn split(kinds: &[BoundKind]) -> Option<Vec<Cube>> {
    let mut cubes = Vec::new();
    let mut left = vec![Cube::new(0, 0)];
    while let Some(cube) = left.pop() {
        match undecided(kinds, cube) {
            None => cubes.push(cube),
            Some(bit) => {
                let mask = cube.mask | bit;
                left.extend([Cube::new(mask, cube.value | bit), Cube::new(mask, cube.value)]);
            }
        }
        if cubes.len() + left.len() > MOST_CUBES {
            return None;
        }
    }
    cubes.sort_unstable_by_key(|cube| cube.value);
    Some(cubes)
}

/// The highest free bit of the cube that may decide whether some row matches; `None` if all are decided.
fn undecided(kinds: &[BoundKind], cube: Cube) -> Option<u64> {
    kinds.iter().filter_map(|kind| kind.tests.as_deref()).find_map(|tests| {
        let mut open = 0;
        for test in tests {
            match test.holds_for_all(cube.mask, cube.value) {
                Some(false) => return None,
                Some(true) => {}
                None => open |= test.bits.mask() & !cube.mask,
            }
        }
        (open != 0).then(|| 1 << (63 - open.leading_zeros()))
    })
}
