//! What a hub's task does: append what waits, and read what others have appended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use suda_schema::entry::{Entry, MemberChange, What};
use suda_schema::{Seq, WireError};

use super::batch::{DELETE_KIND, MEMBER_KIND, kind_of};
use super::hot;
use super::hub::{Hub, Job, Reply, Waiting};
use crate::chat::ChatError;
use crate::chat::append::{AppendOutcome, Publish};
use crate::chat::hot::Beside;
use crate::chat::row::StoredEntry;
use crate::store::StoreError;

/// How many rows of the tail are read anew after they were changed. If there are more, the tail forgets them instead.
const TOUCHED_MAX: usize = 16;
/// When the log is read again after that failed.
const REFRESH_AGAIN_MS: u64 = 500;

/// Does what there is to do in this channel, until there is nothing.
pub(super) async fn run(hub: Arc<Hub>) {
    let guard = Guard(Some(hub));
    let Some(hub) = &guard.0 else { return };
    let mut refreshed = false;
    while let Some(job) = hub.next_job(refreshed) {
        refreshed = matches!(job, Job::Refresh);
        match job {
            Job::Append(batch) => append(hub, batch).await,
            Job::Refresh => refresh(hub).await,
        }
    }
    hub.touch();
    guard.done();
}

/// Tells the hub if the task panics, so that the channel does not stand still.
struct Guard(Option<Arc<Hub>>);

impl Guard {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(hub) = self.0.take() {
            hub.abandoned();
        }
    }
}

async fn append(hub: &Arc<Hub>, batch: Vec<Waiting>) {
    let (sends, replies): (Vec<Publish>, Vec<Reply>) =
        batch.into_iter().map(|waiting| (waiting.publish, waiting.reply)).unzip();
    let metrics = &hub.shared.metrics;
    let begun = Instant::now();
    let beside = hot::hand_over(hub, &sends).await;
    let appended = hub.shared.log.append(hub.channel, &sends, beside).await;
    if !sends.is_empty() {
        metrics.commit_seconds.observe(begun.elapsed().as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        metrics.batch_sends.observe(sends.len() as f64);
    }
    if let Ok(outcome) = &appended {
        hub.hot.appended(outcome, !sends.is_empty());
    }
    match appended {
        Ok(outcome) => commit(hub, outcome, replies).await,
        // Sends that are too much for one transaction together may not be one by one.
        Err(ChatError::Store(StoreError::TooLarge { .. })) if sends.len() > 1 => {
            for (send, reply) in sends.iter().zip(replies) {
                match hub.shared.log.append(hub.channel, std::slice::from_ref(send), Beside::Nothing).await {
                    Ok(outcome) => commit(hub, outcome, vec![reply]).await,
                    Err(error) => refuse(hub, &error, vec![reply]),
                }
            }
        }
        Err(error) => refuse(hub, &error, replies),
    }
    hot::settle(hub).await;
}

fn refuse(hub: &Hub, error: &ChatError, replies: Vec<Reply>) {
    if !matches!(error, ChatError::NotFound(_)) {
        tracing::warn!(channel = %hub.channel, sends = replies.len(), %error, "could not append");
    }
    let error: WireError = error.to_wire();
    hub.shared.metrics.refused.get_or_create(&error.code.into()).inc_by(replies.len() as u64);
    for reply in replies {
        reply.send(Err(error.clone()));
    }
}

/// The batch is durable: tell its senders, and everybody else.
async fn commit(hub: &Arc<Hub>, outcome: AppendOutcome, replies: Vec<Reply>) {
    let AppendOutcome { results, entries, .. } = outcome;
    if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
        // The append rang the bell for its own entries: that ring is answered here.
        hub.handled_one();
        let behind = hub.tail().head().is_some_and(|head| head.next() < first.seq);
        let last = last.seq;
        if behind && hub.has_listeners() {
            // Somebody else has appended before: read both together.
            reply_all(hub, results, replies);
            hub.wake();
            return refresh(hub).await;
        }
        let touched = touched(hub, &entries);
        if !touched.is_empty() {
            // The senders need not wait for what readers get to see.
            reply_all(hub, results, replies);
            freshen(hub, touched).await;
            hub.with_tail(|tail| push_new(tail, &entries, last));
        } else {
            hub.with_tail(|tail| push_new(tail, &entries, last));
            reply_all(hub, results, replies);
        }
        hub.wake();
    } else {
        reply_all(hub, results, replies);
    }
}

/// Adds entries that follow on the tail, or with which it begins.
fn push_new(tail: &mut super::tail::Tail, entries: &[StoredEntry], last: Seq) {
    if tail.head().is_none_or(|head| head < last) {
        tail.push(entries);
    }
}

fn reply_all(hub: &Hub, results: Vec<Result<suda_schema::channel::Ack, WireError>>, replies: Vec<Reply>) {
    let metrics = &hub.shared.metrics;
    for (reply, result) in replies.into_iter().zip(results) {
        match &result {
            Ok(_) => metrics.sends.inc(),
            Err(error) => metrics.refused.get_or_create(&error.code.into()).inc(),
        };
        reply.send(result);
    }
}

/// Finds out what the bell was rung for, and reads that.
pub(super) async fn refresh(hub: &Arc<Hub>) {
    let rings = hub.rings();
    let Some(head) = listened_head(hub) else { return hub.handled_to(rings) };
    hub.shared.metrics.refreshes.inc();
    match read_on(hub, head).await {
        // Where there is more to read, the rings stay unanswered and the next turn reads on.
        Ok(Reached::Part) => {}
        Ok(Reached::Head) => hub.handled_to(rings),
        Ok(Reached::Gone) | Err(ChatError::NotFound(_)) => {
            hub.handled_to(rings);
            hub.gone();
        }
        Err(error) => {
            tracing::warn!(channel = %hub.channel, %error, "could not read a channel's log");
            // The ring is taken as answered, and comes again; meanwhile sends get their answers.
            hub.handled_to(rings);
            let hub = Arc::clone(hub);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(REFRESH_AGAIN_MS)).await;
                hub.ring();
            });
        }
    }
}

/// How far the log was read.
enum Reached {
    Head,
    Part,
    /// The channel is no more.
    Gone,
}

/// Reads the log from where the tail ends.
async fn read_on(hub: &Arc<Hub>, head: Seq) -> Result<Reached, ChatError> {
    let Some(pulse) = hub.shared.log.pulse(hub.channel).await? else { return Ok(Reached::Gone) };
    hub.positions.pulse(hub, pulse.marks);
    if pulse.head <= head {
        return Ok(Reached::Head);
    }
    let config = &hub.shared.config;
    let page = hub.shared.log.after(hub.channel, head, config.tail_entries_max, config.tail_bytes_max).await?;
    removals(hub, &page.entries);
    freshen(hub, touched(hub, &page.entries)).await;
    hub.with_tail(|tail| tail.push(&page.entries));
    hub.wake();
    let reached = page.entries.last().map_or(page.head, |entry| entry.seq);
    Ok(if reached < page.head { Reached::Part } else { Reached::Head })
}

/// Where the tail ends, if somebody listens to it. If not, the tail forgets that, and whoever comes to listen next has
/// the log read from where they found its head.
fn listened_head(hub: &Hub) -> Option<Seq> {
    let head = || hub.tail().head().filter(|_| hub.has_listeners());
    // Said first and looked again after it: somebody may come just now.
    head()
        .or_else(|| {
            hub.miss();
            head()
        })
        .or_else(|| {
            hub.with_tail(|tail| {
                if !hub.has_listeners() {
                    tail.reset();
                }
            });
            None
        })
}

/// Ends the attachments of those whom these entries removed.
fn removals(hub: &Hub, entries: &[StoredEntry]) {
    for stored in entries.iter().filter(|entry| kind_of(&entry.bytes) == Some(MEMBER_KIND)) {
        let Ok(Entry { seq, what: What::Member(member), .. }) = stored.decode() else { continue };
        if matches!(member.change, MemberChange::Left | MemberChange::Kicked | MemberChange::Banned) {
            hub.removed(member.user, seq);
            hub.positions.forget(member.user);
        }
    }
}

/// The rows in the tail that these new entries have changed.
fn touched(hub: &Hub, entries: &[StoredEntry]) -> Vec<Seq> {
    let changes = entries.iter().filter_map(|entry| Some((entry.target?, kind_of(&entry.bytes) == Some(DELETE_KIND))));
    let tail = hub.tail();
    let mut touched: Vec<Seq> = changes.flat_map(|(target, deletes)| tail.touched_by(target, deletes)).collect();
    touched.sort_unstable();
    touched.dedup();
    touched
}

/// Brings rows of the tail to their current state, or has the tail forget them: a deleted text is given to nobody.
async fn freshen(hub: &Arc<Hub>, touched: Vec<Seq>) {
    let Some(&newest) = touched.last() else { return };
    let mut rows = Vec::with_capacity(touched.len().min(TOUCHED_MAX));
    if touched.len() <= TOUCHED_MAX {
        for &seq in &touched {
            match hub.shared.log.after(hub.channel, Seq(seq.0.saturating_sub(1)), 1, 1).await {
                Ok(page) => rows.extend(page.entries.into_iter().filter(|row| row.seq == seq).take(1)),
                Err(_) => break,
            }
        }
    }
    hub.with_tail(|tail| {
        if rows.len() == touched.len() {
            rows.iter().for_each(|row| tail.replace(row));
        } else {
            tail.forget_to(newest);
        }
    });
}
