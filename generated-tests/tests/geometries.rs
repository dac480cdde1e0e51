//! Formats whose tables are unlike those of the built-in ones: the laws hold for them, too.

use tablewright::Geometry;
use tablewright_archdefs::bound;

tablewright::page_table_format! { pub mod linear = "arch/linear.toml" }
tablewright::format_tests! { mod linear_laws = "arch/linear.toml": crate::linear }

tablewright::page_table_format! { pub mod small = "arch/small.toml" }
tablewright::format_tests! { mod small_laws = "arch/small.toml": crate::small }

#[test]
fn what_the_checker_accepts_the_engine_has_place_for() {
    assert_eq!(usize::from(bound::Geometry::MAX_LEVELS), Geometry::MAX_LEVELS);
}
