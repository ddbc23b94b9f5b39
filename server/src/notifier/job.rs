//! Telling one person of one thing, on all their devices: what is known of them is read just before it is sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use suda_schema::{DeviceId, UserId};

use super::Context;
use super::decide::{Patience, Verdict, decide};
use super::lease::Lease;
use super::outcome::Outcome;
use super::payload::Notice;
use super::rows::{CHECK, HeldKey, HeldRow, Lane, kind_of, what_for};
use crate::chat::ChatError;
use crate::chat::outbox::{OutboxRow, Told};
use crate::chat::push::PushToken;
use crate::chat::telling::{Facts, Words};

/// What is known of somebody is good for so long.
const FRESH_MS: u64 = 300;
/// How long the store is left alone after an error.
pub(super) const STORE_PAUSE: Duration = Duration::from_millis(500);

/// Somebody is to be told of something.
pub(super) struct Job {
    pub(super) row: Arc<OutboxRow>,
    pub(super) user: UserId,
    /// The row of the outbox that it is a part of.
    pub(super) of: Option<Bytes>,
    /// The one that was held and is tried again.
    pub(super) held: Option<(HeldKey, HeldRow)>,
    pub(super) words: Option<Arc<Words>>,
    /// What was known of them at this time.
    pub(super) facts: Option<(Facts, u64)>,
    pub(super) is_bulk: bool,
}

/// What came of it.
pub(super) enum Ran {
    Skip(&'static str),
    Later(u64),
    Told(Vec<(DeviceId, PushToken, Reached)>),
}

/// What came of it on one device.
pub(super) enum Reached {
    /// An earlier one waits: this one comes after it.
    Behind,
    By(Outcome),
}

/// A job that is over.
pub(super) struct Landed {
    pub(super) job: Job,
    pub(super) ran: Ran,
}

impl Job {
    /// Runs it. `behind` are the lanes in which something is held.
    pub(super) async fn run(mut self, ctx: Arc<Context>, behind: Vec<Lane>, all_behind: bool) -> Landed {
        let ran = loop {
            match self.try_run(&ctx, &behind, all_behind).await {
                Ok(ran) => break ran,
                Err(error) => {
                    tracing::warn!(%error, "somebody can't be told yet");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        };
        Landed { job: self, ran }
    }

    async fn try_run(&mut self, ctx: &Context, behind: &[Lane], all_behind: bool) -> Result<Ran, ChatError> {
        let now_ms = ctx.chat.clock().now_ms();
        let row = Arc::clone(&self.row);
        if row.at_ms.saturating_add(ctx.config.useful_ms) <= now_ms {
            return Ok(Ran::Skip("expired"));
        }
        let fresh = self.facts.take().filter(|(_, at_ms)| now_ms < at_ms + FRESH_MS);
        let (facts, badge) = match fresh {
            Some((facts, _)) => (facts, ctx.chat.push_badge(self.user).await?),
            None => ctx.chat.push_facts_and_badge(&row, self.user).await?,
        };
        let is_check = self.held.as_ref().is_some_and(|(key, _)| key.lane.what_for == CHECK);
        let patience =
            Patience { idle_ms: ctx.config.idle_ms, recheck_ms: if is_check { 0 } else { ctx.config.recheck_ms } };
        match decide(&row, &facts, now_ms, patience) {
            Verdict::Tell => {}
            // It was to be told already, and has only been waiting for the provider.
            Verdict::Later(_) if self.held.is_some() && !is_check => {}
            Verdict::Later(due_ms) => return Ok(Ran::Later(due_ms)),
            Verdict::Skip(why) => return Ok(Ran::Skip(why)),
        }
        if self.words.is_none() && row.what != Told::Read {
            self.words = ctx.chat.push_words(&row).await?.map(Arc::new);
        }
        let words = self.words.as_deref();
        let Some(notice) = Notice::new(&row, words, facts.preview, badge, ctx.config.useful_ms) else {
            return Ok(Ran::Skip("gone"));
        };
        let targets: Vec<(DeviceId, PushToken)> = facts.tokens.into_iter().filter(|at| self.is_target(at)).collect();
        if targets.is_empty() {
            return Ok(Ran::Skip("no_address"));
        }
        let send = |(device, push): (DeviceId, PushToken)| {
            let lane = Lane { channel: row.channel, user: self.user, what_for: what_for(push.kind), device };
            let waits = all_behind || behind.contains(&lane);
            let (notice, is_bulk) = (&notice, self.is_bulk);
            async move {
                if waits {
                    return Some((device, push, Reached::Behind));
                }
                let outcome = ctx.providers.send(&push, notice, is_bulk).await?;
                Some((device, push, Reached::By(outcome)))
            }
        };
        let reached = futures_util::future::join_all(targets.into_iter().map(send)).await;
        Ok(Ran::Told(reached.into_iter().flatten().collect()))
    }

    fn is_target(&self, (device, push): &(DeviceId, PushToken)) -> bool {
        match (&self.held, &self.row.what) {
            (Some((key, _)), _) if key.lane.what_for != CHECK => {
                *device == key.lane.device && Some(push.kind) == kind_of(key.lane.what_for)
            }
            (_, Told::Again { device: only, kind, .. }) => device == only && push.kind == *kind,
            _ => true,
        }
    }
}

/// What was found out about a row of the outbox, or one page of those whom it is for.
pub(super) struct Decided {
    pub(super) key: Bytes,
    pub(super) words: Option<Arc<Words>>,
    pub(super) tell: Vec<Facts>,
    pub(super) later: Vec<(UserId, u64)>,
    /// As of when.
    pub(super) at_ms: u64,
    /// Where to go on, if there are more.
    pub(super) next: Option<UserId>,
    pub(super) is_bulk: bool,
}

pub(super) async fn decide_page(
    ctx: Arc<Context>,
    lease: Arc<Lease>,
    key: Bytes,
    row: Arc<OutboxRow>,
    words: Option<Arc<Words>>,
) -> Decided {
    loop {
        match try_decide(&ctx, &key, &row, words.clone()).await {
            Ok(decided) => return decided,
            Err(error) => {
                tracing::warn!(%error, valid = lease.is_valid(), "it can't be read who is to be told");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }
}

async fn try_decide(
    ctx: &Context,
    key: &Bytes,
    row: &OutboxRow,
    mut words: Option<Arc<Words>>,
) -> Result<Decided, ChatError> {
    let at_ms = ctx.chat.clock().now_ms();
    let mut decided = Decided {
        key: key.clone(),
        words: None,
        tell: Vec::new(),
        later: Vec::new(),
        at_ms,
        next: None,
        is_bulk: row.after.is_some(),
    };
    if row.at_ms.saturating_add(ctx.config.useful_ms) <= at_ms {
        ctx.metrics.skip("expired");
        return Ok(decided);
    }
    if words.is_none() && row.what != Told::Read {
        words = ctx.chat.push_words(row).await?.map(Arc::new);
        if words.is_none() {
            ctx.metrics.skip("gone");
            return Ok(decided);
        }
    }
    let users = match row.what {
        Told::Message => {
            let page = ctx.chat.push_members(row.channel, row.after, ctx.config.page_users).await?;
            decided.next = page.users.last().copied().filter(|_| page.more);
            decided.is_bulk |= page.more;
            page.users
        }
        Told::Reaction { to, .. } => vec![to],
        Told::Read => vec![row.by],
        Told::Again { user, .. } => vec![user],
    };
    let patience = Patience { idle_ms: ctx.config.idle_ms, recheck_ms: ctx.config.recheck_ms };
    for facts in ctx.chat.push_facts(row, &users).await? {
        match decide(row, &facts, at_ms, patience) {
            Verdict::Tell => decided.tell.push(facts),
            Verdict::Later(due_ms) => decided.later.push((facts.user, due_ms)),
            Verdict::Skip(why) => ctx.metrics.skip(why),
        }
    }
    decided.words = words;
    Ok(decided)
}
