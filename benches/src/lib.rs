//! What the benchmarks and the page that shows them have in common: the figures, and where they lie.

pub mod figures;
