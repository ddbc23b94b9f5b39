//! Those who read, and those who send.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use suda_client::schema::entry::{Body, What};
use suda_client::{Channel, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::args::{Args, Scenario};
use crate::checker::{Checker, Room, View};
use crate::meter::{Meter, Said, add};
use crate::world::{Device, Place};

/// What everything is counted in and judged by.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) meter: Arc<Meter>,
    pub(crate) checker: Arc<Checker>,
}

/// One who sends, and where.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    device: u32,
    channel: Channel,
    room: Room,
}

/// Somebody who looks at a channel: what the checker knows them by.
#[derive(Debug)]
pub(crate) struct Reader {
    device: usize,
    is_slow: bool,
    view: View,
    channel: Channel,
    after: suda_client::Seq,
}

/// Everybody who reads. To be told before anything is sent.
pub(crate) fn readers(devices: &[Device], places: &[Place], checker: &mut Checker) -> Vec<Reader> {
    let mut readers = Vec::new();
    for place in places {
        for seat in &place.seats {
            let is_slow = devices.get(seat.device).is_some_and(|device| device.is_slow);
            let view = checker.add_view(place.room, !is_slow);
            let (device, channel) = (seat.device, seat.channel.clone());
            readers.push(Reader { device, is_slow, view, channel, after: place.after });
        }
    }
    readers
}

/// Everybody who sends, in the order in which they take turns.
pub(crate) fn senders(args: &Args, places: &[Place]) -> Vec<Sender> {
    let alone = matches!(args.scenario, Scenario::FanOut | Scenario::SlowReaders);
    let most = places.iter().map(|place| place.seats.len()).max().unwrap_or(0);
    let rounds = if alone { 1 } else { most };
    let mut senders = Vec::new();
    // First the first of each channel, then the second of each …
    for round in 0..rounds {
        for place in places {
            if let Some(seat) = place.seats.get(round) {
                let device = u32::try_from(seat.device).unwrap_or(u32::MAX);
                senders.push(Sender { device, channel: seat.channel.clone(), room: place.room });
            }
        }
    }
    senders
}

/// Reads until it is stopped.
pub(crate) fn read(readers: Vec<Reader>, run: &Run) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for reader in readers {
        let Run { meter, checker } = run.clone();
        tasks.spawn(async move {
            let mut entries = reader.channel.entries(reader.after);
            while let Some(entry) = entries.next().await {
                let said: Option<Said> = match &entry.what {
                    What::Message(message) => match &message.body {
                        Body::Text(text) => meter.read(text),
                        _ => None,
                    },
                    _ => None,
                };
                checker.saw(&reader.view, !reader.is_slow, entry.seq.0, said.map(|said| said.stamp));
                // How long it takes a sender to see itself is no delivery.
                if let Some(said) = said
                    && usize::try_from(said.stamp.sender) != Ok(reader.device)
                {
                    meter.delivered(said, reader.is_slow);
                }
            }
        });
    }
    tasks
}

fn fire(
    sender: &Sender,
    run: &Run,
    runtime: &tokio::runtime::Handle,
    intended: Instant,
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
) {
    let Run { meter, checker } = run.clone();
    let is_measured = meter.is_measuring.load(Ordering::Relaxed);
    let stamp = checker.sends(sender.room, sender.device, permit);
    add(&meter.totals.sent);
    let sending = sender.channel.send(meter.text(stamp, intended, is_measured, bytes));
    let room = sender.room;
    runtime.spawn(async move {
        match sending.await {
            Ok(ack) => {
                add(&meter.totals.acked);
                if is_measured {
                    add(&meter.totals.measured_acked);
                    meter.ack.record(intended.elapsed());
                }
                checker.acked(room, stamp, ack.seq.0);
            }
            // The run is over.
            Err(Error::Stopped(_)) => {}
            Err(error) => checker.refused(room, stamp, &error.to_string()),
        }
    });
}

/// Sends at times that wait for nobody, and says when measuring begins and ends.
///
/// On a thread of its own: the runtime's timers are a millisecond coarse, and its threads may be busy with the very work
/// that is to be timed.
pub(crate) fn paced(args: &Args, senders: Vec<Sender>, run: &Run) -> Result<std::thread::JoinHandle<()>> {
    let (rate, bytes) = (args.rate, args.bytes);
    let (warm_up, lasts) = (args.warm_up_seconds, args.warm_up_seconds + args.seconds);
    let (run, runtime) = (run.clone(), tokio::runtime::Handle::current());
    let pace = move || {
        let began = Instant::now();
        for (number, sender) in (0u32..).zip(senders.iter().cycle()) {
            let due = f64::from(number) / rate;
            if due >= lasts {
                break;
            }
            let intended = began + Duration::from_secs_f64(due);
            std::thread::sleep(intended.saturating_duration_since(Instant::now()));
            run.meter.is_measuring.store(due >= warm_up, Ordering::Relaxed);
            fire(sender, &run, &runtime, intended, bytes, None);
        }
    };
    std::thread::Builder::new().name("pace".to_owned()).spawn(pace).context("a thread")
}

/// Sends whenever one of so many places on the way is free, until it is stopped.
pub(crate) fn unpaced(args: &Args, in_flight: usize, senders: Vec<Sender>, run: &Run) -> JoinSet<()> {
    let (places, bytes, run) = (Arc::new(Semaphore::new(in_flight)), args.bytes, run.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let runtime = tokio::runtime::Handle::current();
        for sender in senders.iter().cycle() {
            // It is never closed.
            let Ok(permit) = Arc::clone(&places).acquire_owned().await else { return };
            fire(sender, &run, &runtime, Instant::now(), bytes, Some(permit));
            tokio::task::consume_budget().await;
        }
    });
    tasks
}
