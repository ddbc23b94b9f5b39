//! The client's network thread: started once in a process, and stopped before the process ends.
//!
//! This is the one file with `unsafe`: the client library demands that whoever starts the thread promises to stop it
//! before its destructors run, and a type can't make that promise for a `static`.
#![allow(unsafe_code, reason = "see above")]

use std::sync::{Mutex, PoisonError};

use foundationdb::api::{FdbApiBuilder, NetworkAutoStop};

use super::errors;
use crate::store::StoreError;

enum Network {
    NotStarted,
    Runs(#[expect(dead_code, reason = "held to be dropped")] NetworkAutoStop),
    /// It can't be tried again in the same process.
    Failed(StoreError),
    Stopped,
}

static NETWORK: Mutex<Network> = Mutex::new(Network::NotStarted);

/// Starts the network thread, if it does not run yet.
pub(super) fn once() -> Result<(), StoreError> {
    let mut network = NETWORK.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(*network, Network::NotStarted) {
        *network = start().map_or_else(Network::Failed, Network::Runs);
    }
    match &*network {
        Network::Runs(_) => Ok(()),
        Network::Failed(error) => Err(error.clone()),
        Network::NotStarted | Network::Stopped => {
            Err(StoreError::Open { what: "the process is ending; FoundationDB's client has stopped".to_owned() })
        }
    }
}

fn start() -> Result<NetworkAutoStop, StoreError> {
    let builder = FdbApiBuilder::default().build().map_err(errors::library)?;
    // SAFETY: `stop_at_exit` has it dropped before the process ends.
    let network = unsafe { builder.boot() }.map_err(errors::library)?;
    stop_at_exit();
    Ok(network)
}

/// Has the thread stopped when the process ends. To be called again after the client has been used: the library makes
/// some of its globals at their first use, and what is registered last at exit runs first, so that the thread must be
/// registered after them to end before them.
pub(super) fn stop_at_exit() {
    // SAFETY: `stop` is a plain function that does not unwind.
    unsafe { libc::atexit(stop) };
}

extern "C" fn stop() {
    let mut network = NETWORK.lock().unwrap_or_else(PoisonError::into_inner);
    let network = std::mem::replace(&mut *network, Network::Stopped);
    // In a thread of its own: the main thread's thread-locals, which the client uses, are gone by now.
    let _ = std::thread::spawn(move || drop(network)).join();
}
