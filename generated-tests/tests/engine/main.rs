//! Compares the engine with a plain model of what is mapped, on formats written by hand and on built-in ones.

mod crowded;
mod failures;
mod formats;
mod gathers;
mod hardware;
mod harvests;
mod live;
mod random;
mod ranges;
mod rig;
mod rules;
mod sinks;
mod traps;
mod witness;
