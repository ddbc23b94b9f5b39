//! What a channel's log costs in process, no link between: pages of history, the resume of a gap, fan-out through a hub, and
//! sends as the log and the number of channels grow. Each beside the least that does the same: the store's own range reads, a
//! broadcast channel of tokio's.
//!
//! Small unless `SUDA_BENCH_FULL` is set.

mod fan_out;
mod growth;
mod reading;
mod world;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    reading::history_page,
    reading::resume,
    fan_out::fan_out,
    growth::by_history,
    growth::by_channels,
    growth::by_members
);
criterion_main!(benches);
