//! The committer on a thread of its own, behind a bounded queue: while one update is made durable, the next commits
//! gather, and all of them share the next one.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::committer::{Committer, Request};
use crate::store::{Metrics, StoreError};

/// The most commits that wait for the one that is being made durable. Further ones wait for a place.
pub(super) const WAITING_MAX: usize = 4_096;
/// So long at most.
const PLACE_WAIT_MS_MAX: u64 = 10_000;
/// The most commits in one update.
const BATCH_COMMITS_MAX: usize = 1_024;
/// An update ends with the commit that brings it to so many bytes.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// How often it is looked whether more have come, before the first is committed.
const GATHER_LOOKS_MAX: u32 = 5;
/// The pause before each look.
const GATHER_LOOK_US: u64 = 50;

pub(super) struct Queue {
    sender: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    metrics: Metrics,
}

impl Queue {
    pub(super) fn start(committer: Committer, metrics: Metrics) -> Result<Self, StoreError> {
        let (sender, requests) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("suda-commit".to_owned()).spawn(|| work(committer, requests));
        let thread = thread.map_err(|error| StoreError::Open { what: format!("no thread for commits: {error}") })?;
        Ok(Self { sender: Some(sender), thread: Some(thread), metrics })
    }

    pub(super) async fn submit(&self, request: Request) -> Result<(), StoreError> {
        let unavailable = |what: &str| StoreError::Unavailable { what: what.to_owned() };
        let Some(sender) = &self.sender else { return Err(unavailable("it is closed")) };
        match timeout(Duration::from_millis(PLACE_WAIT_MS_MAX), sender.send(request)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(unavailable("the thread for commits has ended")),
            Err(_) => {
                self.metrics.queue_full.inc();
                Err(unavailable("too many commits are waiting"))
            }
        }
    }
}

impl Drop for Queue {
    /// Whoever drops the store's last handle finds its files closed.
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn work(mut committer: Committer, mut requests: mpsc::Receiver<Request>) {
    let mut last_batch = 0;
    while let Some(first) = requests.blocking_recv() {
        gather(&requests, last_batch);
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        while batch.len() < BATCH_COMMITS_MAX
            && bytes < BATCH_BYTES_MAX
            && let Ok(next) = requests.try_recv()
        {
            bytes += next.bytes();
            batch.push(next);
        }
        last_batch = batch.len();
        committer.commit(batch);
    }
}

/// Those that were just answered tend to come again at once. Who takes only the first of them into the next update
/// makes the others wait for the one after it, and halves what goes into each: so this waits a moment for as many as
/// there were. A single writer never waits.
fn gather(requests: &mpsc::Receiver<Request>, last_batch: usize) {
    for _ in 0..GATHER_LOOKS_MAX {
        if requests.len() + 1 >= last_batch {
            break;
        }
        std::thread::sleep(Duration::from_micros(GATHER_LOOK_US));
    }
}
