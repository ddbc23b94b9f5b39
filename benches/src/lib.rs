//! What the benchmarks and the page that shows them have in common: the figures, where they lie, and what a server uses.

pub mod figures;
pub mod push;
pub mod usage;
