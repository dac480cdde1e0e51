//! Finds the value of a name from the values of expressions.

use crate::eval::{Env, eval, names};
use crate::expr::Expr;

/// The number that `name` must stand for so that the expressions have these values; `None` if none names it. In
/// `nowhere` the name is 0. Each bit is found on its own, because files shift and mask addresses, tags and data but do
/// not calculate with them.
pub(super) fn solve(values: &[(&Expr, u64)], name: &'static str, nowhere: &Env<'_>) -> Option<u64> {
    let mut solution = None;
    for (formula, value) in values {
        let mut of_name = false;
        names(formula, &mut |known, _| of_name |= known == name);
        if !of_name {
            continue;
        }
        let value = i128::from(*value);
        let found = solution.get_or_insert(0);
        let base = eval(formula, nowhere).unwrap_or(0);
        for bit in 0..64 {
            let there = nowhere.clone().with(name, 1_u64 << bit);
            let moved = eval(formula, &there).unwrap_or(0) ^ base;
            if moved != 0 && value & moved == moved {
                *found |= 1 << bit;
            }
        }
    }
    solution
}
