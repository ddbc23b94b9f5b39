//! Pushes, from the append to a stand-in for the provider that checks what the real one does.

#![allow(clippy::unwrap_used, clippy::panic)]

mod answers;
mod crowd;
mod failing;
mod processes;
mod tokens;
mod told;
mod world;
