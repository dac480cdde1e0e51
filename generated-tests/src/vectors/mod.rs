//! Hand-written vectors: what the manuals say of a format, said a second time where its own examples cannot.
//!
//! Nothing here reads a format's file. Fault reports are gone through by all their codes, with the bits set and clear
//! that play no part; the other vectors are single facts.

mod empty;
mod facts;
mod faults;
mod layouts;
mod limits;
mod raised;
mod registers;
mod rights;

use tablewright::testing::Configured;

use crate::laws::Interpreted;

/// Whether all vectors of a format hold; if not, which does not.
///
/// # Errors
///
/// A sentence about the first vector that does not hold.
pub fn hold(cases: &[(Interpreted, Configured)]) -> Result<(), String> {
    for (subject, case) in cases {
        let (name, config) = (&*case.format.name.value, &*case.config.id.value);
        let told = faults::check(name, subject);
        let raised = raised::check(name, subject);
        let facts = facts::check(name, config, subject);
        let rights = rights::check(name, config, subject);
        let limits = limits::check(name, config, case);
        let registers = registers::check(name, config, case);
        let empty = empty::check(name, config, case);
        let layouts = layouts::check(name, &case.bound);
        told.and(raised)
            .and(facts)
            .and(rights)
            .and(limits)
            .and(registers)
            .and(layouts)
            .and(empty)
            .map_err(|why| format!("{name}, {config}: {why}"))?;
    }
    Ok(())
}
