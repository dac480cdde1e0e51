//! Finds tests that exclude each other.

use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{BitMap, Is, Test, TestValue};

use super::Pattern;
use crate::bits;
use crate::members::in_levels;
use crate::scope::{Scope, is};

/// Whether no entry that passes `test` is a leaf above level 0.
pub(super) fn excludes_leaves(scope: &Scope<'_>, test: &Test) -> bool {
    let leaves: Vec<_> = scope.format.kinds.iter().filter(|row| row.is == Is::Leaf).collect();
    (1..scope.most_levels()).all(|level| {
        let scope = scope.with("level", level.into());
        let Some((mask, value)) = Pattern::of_test(&scope, test).and_then(|pattern| pattern.fixed) else {
            return false;
        };
        leaves.iter().filter(|row| !is(&in_levels(&scope, &row.level), 0)).all(|row| {
            row.matches.as_ref().is_some_and(|matches| {
                scope
                    .choices(matches)
                    .iter()
                    .all(|(_, matches)| matches.0.iter().any(|leaf| contradicts(&scope, leaf, mask, value)))
            })
        })
    })
}

/// Whether no entry with `raw & mask == value` passes `test`.
fn contradicts(scope: &Scope<'_>, test: &Test, mask: u64, value: u64) -> bool {
    let Some(bits) = bits::fixed_mask(scope, &test.bits) else {
        return false;
    };
    let Some(alternatives) = alternatives(scope, &test.bits, &test.values) else {
        return false;
    };
    if test.negated {
        bits & !mask == 0 && alternatives.contains(&(value & bits))
    } else {
        alternatives.iter().all(|alternative| (alternative ^ value) & bits & mask != 0)
    }
}

/// The entry bits of each of a test's alternatives, if they are constant and not too many.
fn alternatives(scope: &Scope<'_>, map: &BitMap, values: &[TestValue]) -> Option<Vec<u64>> {
    let number = |expr: &Expr| scope.constant(expr).and_then(|value| u64::try_from(value).ok());
    let mut all = Vec::new();
    for value in values {
        match value {
            TestValue::Ones => all.push(bits::fixed_mask(scope, map)?),
            TestValue::Value(value) => all.push(bits::place(scope, map, number(value)?)?),
            TestValue::Range(from, to) => {
                let (from, to) = (number(from)?, number(to)?);
                if to.saturating_sub(from) > 64 {
                    return None;
                }
                for value in from..=to {
                    all.push(bits::place(scope, map, value)?);
                }
            }
        }
    }
    Some(all)
}
