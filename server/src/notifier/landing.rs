//! What has come of telling somebody: what is written, held, given up or tried again.

use std::time::Duration;

use suda_schema::{DeviceId, UserId};

use super::commit::Effect;
use super::job::{Job, Landed, Ran, Reached};
use super::metrics::{ProviderLabel, ReasonLabel};
use super::outcome::Outcome;
use super::providers::name;
use super::rows::{CHECK, DeadRow, HeldKey, HeldRow, Lane, kind_of, shortened, what_for};
use super::shard::Shard;
use crate::chat::outbox::{OutboxRow, Told};
use crate::chat::push::PushToken;

/// Why something is held whose address turned out to be none any more.
const GONE: &str = "gone";

impl Shard {
    /// A job has ended.
    pub(super) fn landed(&mut self, landed: Landed) {
        let Landed { job, ran } = landed;
        let now_ms = self.ctx.chat.clock().now_ms();
        let own = job.held.as_ref().map(|(key, _)| *key);
        match (ran, own) {
            (Ran::Later(due_ms), Some(own)) => self.held.schedule(own.lane, due_ms),
            (Ran::Later(due_ms), None) => self.check_later(&job.row, job.user, due_ms),
            (Ran::Skip(why), own) => {
                self.ctx.metrics.skip(why);
                if let Some(own) = own {
                    if let (true, Some(kind)) = (why == "expired", kind_of(own.lane.what_for)) {
                        let push = PushToken { kind, token: String::new(), registered_at_ms: 0 };
                        self.bury(&job, own.lane.device, &push, why.to_owned());
                    }
                    self.free(own, now_ms);
                }
            }
            (Ran::Told(reached), own) => {
                let is_held =
                    |device: DeviceId, push: &PushToken| own.map(|own| own.lane) == Some(lane(&job, device, push));
                // What was to be tried again is no longer to be tried, or comes to be held anew below.
                let again = reached.iter().any(|(device, push, reached)| is_held(*device, push) && is_failed(reached));
                if let (Some(own), false) = (own, again) {
                    self.free(own, now_ms);
                }
                let sent = reached.iter().filter(|(.., reached)| matches!(reached, Reached::By(Outcome::Sent)));
                let sent: Vec<Lane> = sent.map(|(device, push, _)| lane(&job, *device, push)).collect();
                for (device, push, reached) in reached {
                    self.reached(&job, (device, push), reached, &sent, now_ms);
                }
            }
        }
        self.make_way(&job);
    }

    /// What came of telling somebody at one address. In the lanes of `sent` they were told at another one.
    fn reached(
        &mut self,
        job: &Job,
        (device, push): (DeviceId, PushToken),
        reached: Reached,
        sent: &[Lane],
        now_ms: u64,
    ) {
        let key = HeldKey { lane: lane(job, device, &push), seq: job.row.seq };
        let own = job.held.as_ref().filter(|(own, _)| *own == key).map(|(_, held)| held);
        let (failures, row) = (own.map_or(0, |held| held.failures), &job.row);
        let held = |due_ms, failures, why| HeldRow { row: OutboxRow::clone(row), due_ms, failures, why };
        match reached {
            Reached::Behind => self.hold(key, held(now_ms, 0, "behind".to_owned())),
            Reached::By(Outcome::Sent) => {
                let waited_ms = now_ms.saturating_sub(row.at_ms.saturating_add(self.ctx.config.wait_ms));
                self.ctx.metrics.seconds.observe(Duration::from_millis(waited_ms).as_secs_f64());
                if row.what != Told::Read {
                    self.writer.push(Effect::Pushed(row.channel, job.user, row.seq));
                }
            }
            Reached::By(Outcome::Gone(why, until_ms)) => {
                let provider = name(push.kind);
                tracing::debug!(provider, why, token = shortened(&push.token), "an address is none any more");
                self.ctx.metrics.tokens_removed.get_or_create(&ProviderLabel { provider }).inc();
                let until_ms = until_ms.unwrap_or(push.registered_at_ms);
                self.writer.push(Effect::Gone(job.user, device, push, until_ms));
                // The device may have got another one meanwhile, so it is looked at once more.
                if own.is_none_or(|held| held.why != GONE) && !sent.contains(&key.lane) {
                    let pause_ms = self.ctx.config.backoff.pause_ms(1, self.ctx.chat.clock());
                    self.hold(key, held(now_ms.saturating_add(pause_ms), failures, GONE.to_owned()));
                }
            }
            Reached::By(Outcome::Refused(why)) => self.bury(job, device, &push, why),
            Reached::By(Outcome::Later(why, after_ms) | Outcome::Down(why, after_ms)) => {
                let failures = failures.saturating_add(1);
                let pause_ms = match after_ms {
                    Some(0) if failures == 1 => 0,
                    after_ms => {
                        let backoff = self.ctx.config.backoff.pause_ms(failures, self.ctx.chat.clock());
                        backoff.max(after_ms.unwrap_or(0))
                    }
                };
                let due_ms = now_ms.saturating_add(pause_ms);
                if due_ms >= row.at_ms.saturating_add(self.ctx.config.useful_ms) {
                    self.bury(job, device, &push, why);
                    if own.is_some() {
                        self.free(key, now_ms);
                    }
                } else {
                    self.hold(key, held(due_ms, failures, why));
                }
            }
            Reached::By(Outcome::Blocked(until_ms)) => {
                let due_ms = until_ms.saturating_add(self.ctx.chat.clock().below(300));
                match own {
                    Some(_) => self.held.schedule(key.lane, due_ms),
                    None => self.hold(key, held(due_ms, failures, "blocked".to_owned())),
                }
            }
        }
    }

    fn bury(&mut self, job: &Job, device: DeviceId, push: &PushToken, why: String) {
        self.ctx.metrics.dead.get_or_create(&ReasonLabel { reason: why.clone() }).inc();
        let failures = job.held.as_ref().map_or(0, |(_, held)| held.failures).saturating_add(1);
        let (row, token) = (OutboxRow::clone(&job.row), shortened(&push.token));
        let dead = DeadRow { row, user: job.user, device, kind: push.kind, token, why, failures };
        let clock = self.ctx.chat.clock();
        let own = u64::from_le_bytes(clock.random());
        self.writer.push(Effect::Dead(clock.now_ms(), own, dead));
    }

    fn free(&mut self, key: HeldKey, now_ms: u64) {
        self.writer.push(Effect::Free(key));
        self.held.remove(key, now_ms);
    }

    pub(super) fn check_later(&mut self, row: &OutboxRow, user: UserId, due_ms: u64) {
        let lane = Lane { channel: row.channel, user, what_for: CHECK, device: DeviceId(0) };
        let held = HeldRow { row: row.clone(), due_ms, failures: 0, why: String::new() };
        self.hold(HeldKey { lane, seq: row.seq }, held);
    }

    fn hold(&mut self, key: HeldKey, held: HeldRow) {
        self.writer.push(Effect::Hold(key, held.clone()));
        self.held.insert(key, held);
    }
}

fn lane(job: &Job, device: DeviceId, push: &PushToken) -> Lane {
    Lane { channel: job.row.channel, user: job.user, what_for: what_for(push.kind), device }
}

/// Whether it is to be tried again.
fn is_failed(reached: &Reached) -> bool {
    matches!(reached, Reached::Behind | Reached::By(Outcome::Later(..) | Outcome::Down(..) | Outcome::Blocked(_)))
}
