//! Address spaces on the simulated machine: what each operation promises, mistakes that others have made, failing
//! allocations, and random programs compared with a plain model.

// The engine's tests use all of it; here two of its formats and its walker would be idle.
#[allow(dead_code)]
#[path = "../engine/witness.rs"]
mod witness;

mod areas;
mod backends;
mod caches;
mod corrupted;
mod costs;
mod cuts;
mod enlarge;
mod failures;
mod faults;
mod formats;
mod free;
mod guest_memory;
mod guest_tables;
mod handing_on;
mod hostile_tables;
mod large;
mod live;
mod machine;
mod migration;
mod mixed;
mod moving;
mod negotiated;
mod nested;
mod populated;
mod random;
mod replaced;
mod reports;
mod rig;
mod shared;
mod shy;
mod statistics;
mod traps;
mod whole_again;
