//! A node as its operator has it: the commands beside `suda serve`, and what keeps it from starting.

#![expect(clippy::unwrap_used, reason = "in a test, what must be there is there")]

mod admin;
mod metrics;
mod running;
