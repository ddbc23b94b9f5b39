//! The committer on a thread of its own, behind a bounded queue: while one update is made durable, the next commits
//! gather, and all of them share the next one.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::committer::{Committer, Request};
use crate::store::{Metrics, StoreError};

/// The most commits that wait for the one that is being made durable. Further ones wait for a place.
const WAITING_MAX: usize = 4_096;
/// So long at most.
const PLACE_WAIT_MS_MAX: u64 = 10_000;
/// The most commits in one update.
const BATCH_COMMITS_MAX: usize = 1_024;
/// An update ends with the commit that brings it to so many bytes.
const BATCH_BYTES_MAX: usize = 16 << 20;

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
    while let Some(first) = requests.blocking_recv() {
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        while batch.len() < BATCH_COMMITS_MAX
            && bytes < BATCH_BYTES_MAX
            && let Ok(next) = requests.try_recv()
        {
            bytes += next.bytes();
            batch.push(next);
        }
        committer.commit(batch);
    }
}
