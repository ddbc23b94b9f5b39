//! What a link and an attachment cost while they wait. Not a law of nature, but more should be noticed.

use super::{attach, run, session};

fn run_size<A, B, F>(_: fn(A, B) -> F) -> usize {
    size_of::<F>()
}

fn serve_size<'a, A: 'a, B: 'a, C: 'a, F>(_: fn(&'a A, &'a mut B, &'a mut C) -> F) -> usize {
    size_of::<F>()
}

fn open_size<A, B, C, D, F>(_: fn(A, B, C, D) -> F) -> usize {
    size_of::<F>()
}

fn write_size<A, B, C, D, E, F>(_: fn(A, B, C, D, E) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn what_waits_is_small() {
    let link = run_size(run::run) + serve_size(run::serve) + size_of::<session::Session>();
    assert!(link <= 2_048, "a link's task and state take {link} bytes");
    let attachment = open_size(attach::open) + write_size(attach::write);
    assert!(attachment <= 1_792, "an attachment's two tasks take {attachment} bytes");
}
