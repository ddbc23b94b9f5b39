//! Rounds of suda and of the bare loop that take turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use rustix::time::{ClockId, clock_gettime};
use suda_benches::push::Push;
use suda_schema::{ChannelId, Seq};
use suda_server::chat::push::{PushKind, PushToken};
use suda_server::clock::Clock;
use suda_server::notifier::{Alert, Notice, Notifier, Outcome, OutcomeLabel, Providers, PushMetrics, Show};
use suda_server::store::{Embedded, Store};

use crate::bare::Bare;
use crate::people::People;
use crate::stand_in::StandIn;

const ROUNDS: usize = 5;
/// Those who are away.
const PEOPLE: usize = 1_000;
/// How much is said to each of them in a round.
const TEXTS: usize = 4;
const CONNECTIONS: usize = 2;
/// Pushes under way.
const AT_ONCE: usize = 256;

/// What a round has used.
struct Used {
    time: Duration,
    cpu: Duration,
}

/// What is measured, once for each round.
struct Meter {
    began: Instant,
    cpu: Duration,
}

fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or(0))
}

impl Meter {
    fn begin() -> Self {
        Self { began: Instant::now(), cpu: cpu() }
    }

    fn end(&self) -> Used {
        Used { time: self.began.elapsed(), cpu: cpu().saturating_sub(self.cpu) }
    }
}

/// A push as most are.
pub(crate) fn notice() -> Notice {
    let now_ms = Clock::system().now_ms();
    let alert = Alert { title: "Kim".to_owned(), body: "x".repeat(128), ..Alert::default() };
    Notice {
        channel: ChannelId(7),
        seq: Seq(300),
        at_ms: now_ms,
        expires_at_ms: now_ms + 86_400_000,
        badge: 4,
        show: Show::Alert(alert),
    }
}

pub(crate) async fn measure(stand_in: &StandIn) -> Result<Vec<Push>> {
    let texts = if std::env::var_os("SUDA_BENCH_FULL").is_some() { 10 * TEXTS } else { TEXTS };
    let mut rows = Vec::new();
    for (kind, name) in [(PushKind::Apns, "APNs"), (PushKind::Fcm, "FCM"), (PushKind::Webpush, "Web Push")] {
        rows.push(alone(stand_in, kind, name, texts * PEOPLE).await?);
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let embedded = Store::embedded(Embedded::new(folder.path().join("store")), Clock::system())?;
    for (store, name) in [(Store::memory(), "in memory"), (embedded, "embedded")] {
        let people = People::over(store, PEOPLE).await?;
        for to_all in [false, true] {
            let what = if to_all { "a large channel" } else { "conversations" };
            let what = format!("APNs, from the outbox, {what}, store {name}");
            rows.push(from_outbox(stand_in, &people, to_all, texts, what).await?);
        }
    }
    Ok(rows)
}

impl Used {
    fn note(self, pushes: usize, per_second: &mut Vec<f64>, cpu_us: &mut Vec<f64>) {
        per_second.push(pushes as f64 / self.time.as_secs_f64());
        cpu_us.push(self.cpu.as_secs_f64() * 1e6 / pushes as f64);
    }
}

/// A round of the bare loop.
async fn bare_round(bare: &Bare, providers: &Providers, push: &PushToken, count: usize) -> Result<Used> {
    let request = providers.request(push, &notice()).await.context("no provider")?;
    let request = request.map_err(|outcome| anyhow::anyhow!("{outcome:?}"))?;
    let meter = Meter::begin();
    bare.send(&request, count, AT_ONCE).await?;
    Ok(meter.end())
}

async fn alone(stand_in: &StandIn, kind: PushKind, name: &str, count: usize) -> Result<Push> {
    let mut config = stand_in.config();
    (config.connections, config.streams) = (CONNECTIONS, AT_ONCE / CONNECTIONS);
    let providers = Arc::new(Providers::new(&config, Clock::system(), PushMetrics::default())?);
    let (bare, push) = (Bare::connect(stand_in, CONNECTIONS).await?, stand_in.token(kind));
    let mut row = Push { what: format!("{name}, sending alone"), ..Push::default() };
    for round in 0..=ROUNDS {
        let used = bare_round(&bare, &providers, &push, count).await?;
        let meter = Meter::begin();
        send(&providers, &push, count).await?;
        let own = meter.end();
        // The first one warms up.
        if round > 0 {
            used.note(count, &mut row.per_second.bare, &mut row.cpu_us.bare);
            own.note(count, &mut row.per_second.suda, &mut row.cpu_us.suda);
        }
    }
    say(&row);
    Ok(row)
}

/// Sends as many as the bare loop, from as many tasks.
async fn send(providers: &Arc<Providers>, push: &PushToken, count: usize) -> Result<()> {
    let task = |_| {
        let (providers, push) = (Arc::clone(providers), push.clone());
        tokio::spawn(async move {
            let (providers, push, notice) = (&providers, &push, &notice());
            let one = |number: usize| async move {
                let notice = Notice { seq: Seq(number as u64 + 1), ..notice.clone() };
                let outcome = providers.send(push, &notice, false).await;
                ensure!(outcome == Some(Outcome::Sent), "{outcome:?}");
                Ok(())
            };
            let all = stream::iter(0..count / CONNECTIONS).map(Ok);
            all.try_for_each_concurrent(AT_ONCE / CONNECTIONS, one).await
        })
    };
    for task in (0..CONNECTIONS).map(task).collect::<Vec<_>>() {
        task.await??;
    }
    Ok(())
}

async fn from_outbox(stand_in: &StandIn, people: &People, to_all: bool, texts: usize, what: String) -> Result<Push> {
    let (config, count) = (stand_in.config(), texts * PEOPLE);
    let providers = Providers::new(&config, Clock::system(), PushMetrics::default())?;
    let (bare, push) = (Bare::connect(stand_in, CONNECTIONS).await?, stand_in.token(PushKind::Apns));
    let mut row = Push { what, ..Push::default() };
    for round in 0..=ROUNDS {
        let used = bare_round(&bare, &providers, &push, count).await?;
        if to_all {
            people.say_to_all(texts).await?;
        } else {
            people.say(texts).await?;
        }
        let metrics = PushMetrics::default();
        let meter = Meter::begin();
        let notifier = Notifier::start(people.chat.clone(), 1, config.clone(), metrics.clone())?;
        let sent = OutcomeLabel { provider: "apns", outcome: "sent", reason: String::new() };
        while metrics.outcomes.get_or_create(&sent).get() < count as u64 {
            ensure!(meter.began.elapsed() < Duration::from_secs(120), "it does not end");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // With what is still to be written.
        notifier.stop().await;
        let own = meter.end();
        if round > 0 {
            used.note(count, &mut row.per_second.bare, &mut row.cpu_us.bare);
            own.note(count, &mut row.per_second.suda, &mut row.cpu_us.suda);
        }
    }
    say(&row);
    Ok(row)
}

fn say(Push { what, per_second, cpu_us }: &Push) {
    let [rate, bare_rate] = [per_second.suda(), per_second.bare()].map(Option::unwrap_or_default);
    let [own, bare] = [cpu_us.suda(), cpu_us.bare()].map(Option::unwrap_or_default);
    eprintln!(
        "{what}: {rate:.0} pushes/s (bare {bare_rate:.0}), {own:.1} µs of CPU each (bare {bare:.1}), {:.2} of the bare loop's pushes per CPU second",
        bare / own
    );
}
