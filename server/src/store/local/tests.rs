//! The committer over a backing that waits and fails when it is told to.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::backing::{Backing, Update, View};
use super::committer::Committer;
use super::memory::Memory;
use super::queue::{Queue, WAITING_MAX};
use super::{Driver, LocalEngine, Published};
use crate::clock::Clock;
use crate::store::{Metrics, Store, StoreError};

/// Rows in memory; each update waits for a word, and fails if that is an error.
struct Gated {
    memory: Memory,
    words: mpsc::Receiver<Result<(), StoreError>>,
    updates: Arc<AtomicUsize>,
    prepares: Arc<Mutex<VecDeque<StoreError>>>,
}

impl Backing for Gated {
    fn prepare(&mut self) -> Result<Option<Arc<dyn View>>, StoreError> {
        self.prepares.lock().unwrap().pop_front().map_or(Ok(None), Err)
    }

    fn write(&mut self, update: Update) -> Result<Arc<dyn View>, StoreError> {
        self.updates.fetch_add(1, Ordering::SeqCst);
        self.words.recv().unwrap_or(Ok(()))?;
        self.memory.write(update)
    }
}

struct Gate {
    /// Dropped before the store, which waits for its last update.
    words: mpsc::Sender<Result<(), StoreError>>,
    store: Store,
    updates: Arc<AtomicUsize>,
    prepares: Arc<Mutex<VecDeque<StoreError>>>,
}

type Asked = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

impl Gate {
    fn new() -> Self {
        let (clock, metrics) = (Clock::system(), Metrics::default());
        let (words, heard) = mpsc::channel();
        let (updates, prepares) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<VecDeque<_>>>::default());
        let memory = Memory::default();
        let published = Arc::new(Published::new(0, memory.view()));
        let backing = Gated { memory, words: heard, updates: Arc::clone(&updates), prepares: Arc::clone(&prepares) };
        let committer = Committer::new(Box::new(backing), Arc::clone(&published), clock.clone(), metrics.clone());
        let queue = Queue::start(committer, metrics.clone()).unwrap();
        let engine = LocalEngine::new(published, Driver::Queue(queue), clock.clone());
        Self { words, store: Store::new(Arc::new(engine), clock, metrics), updates, prepares }
    }

    /// Asks for a commit: it waits in the queue when this returns, if there is a place.
    async fn set(&self, key: impl ToString) -> Asked {
        let (txn, key) = (self.store.begin(), key.to_string());
        let mut asked: Asked = Box::pin(async move {
            txn.set(key, "");
            txn.commit().await
        });
        assert!(futures_util::poll!(&mut asked).is_pending());
        asked
    }

    /// Waits until so many updates have come to the backing.
    async fn updates(&self, count: usize) {
        let reached = async {
            while self.updates.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), reached).await.unwrap();
    }

    async fn has(&self, key: &str) -> bool {
        self.store.begin().get(key.as_bytes()).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn commits_gather_while_one_is_made_durable() {
    let gate = Gate::new();
    let mut asked = vec![gate.set("first").await];
    gate.updates(1).await;
    for n in 0..100 {
        asked.push(gate.set(n).await);
    }
    gate.words.send(Ok(())).unwrap();
    gate.words.send(Ok(())).unwrap();
    for commit in asked {
        commit.await.unwrap();
    }
    assert_eq!(gate.updates.load(Ordering::SeqCst), 2, "the hundred share one update");
}

#[tokio::test]
async fn nothing_is_seen_or_answered_before_it_is_durable() {
    let gate = Gate::new();
    let mut commit = gate.set("a").await;
    gate.updates(1).await;
    assert!(!gate.has("a").await && futures_util::poll!(&mut commit).is_pending());
    gate.words.send(Ok(())).unwrap();
    commit.await.unwrap();
    assert!(gate.has("a").await);
}

#[tokio::test]
async fn a_failed_update_fails_all_its_commits_and_nothing_else() {
    let gate = Gate::new();
    let watch = gate.store.read(async |txn| Ok::<_, StoreError>(txn.watch(b"b"))).await.unwrap();
    let full = StoreError::DiskFull { what: "on purpose".to_owned() };
    let first = gate.set("a").await;
    gate.updates(1).await;
    let (second, third) = (gate.set("b").await, gate.set("c").await);
    gate.words.send(Err(full.clone())).unwrap();
    gate.words.send(Err(StoreError::CommitUnknown)).unwrap();
    assert_eq!(first.await, Err(full));
    assert_eq!((second.await, third.await), (Err(StoreError::CommitUnknown), Err(StoreError::CommitUnknown)));
    assert!(!gate.has("a").await && !gate.has("b").await);
    gate.words.send(Ok(())).unwrap();
    gate.set("b").await.await.unwrap();
    watch.await.unwrap();
    assert!(gate.has("b").await);
}

#[tokio::test]
async fn who_only_watches_does_not_mind_that_writes_fail() {
    let gate = Gate::new();
    let full = StoreError::DiskFull { what: "on purpose".to_owned() };
    gate.prepares.lock().unwrap().push_back(full.clone());
    let (writer, watcher) = (gate.store.begin(), gate.store.begin());
    writer.set("a", "");
    let watch = watcher.watch(b"a");
    let (written, watched) = tokio::join!(writer.commit(), watcher.commit());
    assert_eq!((written, watched), (Err(full), Ok(())));
    gate.words.send(Ok(())).unwrap();
    gate.set("a").await.await.unwrap();
    watch.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded() {
    let gate = Gate::new();
    let first = gate.set("first").await;
    gate.updates(1).await;
    let mut waiting = Vec::new();
    for n in 0..WAITING_MAX {
        waiting.push(gate.set(n).await);
    }
    // The clock goes on by itself when everybody waits.
    let refused = gate.set("too many").await.await;
    assert!(matches!(refused, Err(StoreError::Unavailable { what }) if what.contains("too many")));
    assert_eq!(gate.store.metrics().queue_full.get(), 1);
    // All others are answered as before. The committer is a thread that a paused clock would not wait for.
    tokio::time::resume();
    drop(gate.words);
    for commit in waiting.into_iter().chain([first]) {
        commit.await.unwrap();
    }
}
