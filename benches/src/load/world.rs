//! Devices, their accounts and links, and the channels they talk in.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use suda_client::schema::error::Retry;
use suda_client::{Channel, Client, Config, Error, ErrorCode, Event, Network, Seq, Status, UserId};
use tokio::task::JoinSet;

use crate::args::{Args, Scenario, seconds};
use crate::checker::{Checker, Room};
use crate::meter::{Meter, add};
use crate::server::Server;
use crate::usage::Usage;

/// How many members are added in one call.
const MEMBERS_AT_ONCE: usize = 100;
/// What to wait before trying something again, where the server does not say.
const AGAIN_AFTER: Duration = Duration::from_millis(300);
/// How many messages of one device may wait to be sent: more than there are at any rate that can be meant.
const OUTBOX_MAX: usize = 1_000_000;
const OUTBOX_BYTES_MAX: usize = 1 << 30;
/// How many sends of one device in one channel are on their way, where no limit on rates can have them change places.
const SENDS_IN_FLIGHT: usize = 16;
/// How often it is looked whether everybody has attached.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One device. Its number is its place.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) client: Client,
    pub(crate) is_slow: bool,
}

/// A device in a channel.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) device: usize,
    pub(crate) channel: Channel,
}

/// A channel of the run.
#[derive(Debug)]
pub(crate) struct Place {
    /// The seq of the last entry from before the run.
    pub(crate) after: Seq,
    pub(crate) room: Room,
    pub(crate) seats: Vec<Seat>,
}

/// What making the devices has cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) took: Duration,
    /// Of this process, before the first device and after the last.
    pub(crate) before: Usage,
    pub(crate) after: Usage,
}

/// Makes all devices: each with an account and a link.
pub(crate) async fn devices(args: &Args, url: &str, meter: &Arc<Meter>) -> Result<(Vec<Device>, Cost)> {
    let (before, began) = (Usage::own()?, Instant::now());
    let (prefix, mut networks) = (args.handle_prefix(), HashMap::new());
    let mut to_make = Vec::with_capacity(args.devices);
    for number in 0..args.devices {
        let is_slow = args.is_slow(number);
        let key = (is_slow, number / args.devices_per_socket);
        let network = match networks.get(&key) {
            Some(network) => Network::clone(network),
            None => {
                let network = if is_slow { Network::slow(args.slow_bytes)? } else { Network::new()? };
                networks.insert(key, network.clone());
                network
            }
        };
        to_make.push((format!("{prefix}{number}"), network, is_slow));
    }
    let one = |(handle, network, is_slow): (String, Network, bool)| async move {
        let client = Client::builder(url)
            .device("suda-load")
            .config(config(args))
            .network(network)
            .connect()
            .await
            .context("a client")?;
        account(&client, &handle, &args.password).await.with_context(|| format!("the account {handle}"))?;
        add(&meter.totals.devices);
        let dialing = Instant::now();
        client.online().await.with_context(|| format!("the link of {handle}"))?;
        meter.connect.record(dialing.elapsed());
        add(&meter.totals.online);
        anyhow::Ok(Device { client, is_slow })
    };
    let making = stream::iter(to_make).map(one).buffered(args.at_once).try_collect();
    let devices: Vec<Device> = tokio::time::timeout(seconds(args.setup_seconds), making)
        .await
        .context("the devices are not made in time")??;
    Ok((devices, Cost { took: began.elapsed(), before, after: Usage::own()? }))
}

fn config(args: &Args) -> Config {
    let mut config = Config::default();
    config.client_name = concat!("suda-load/", env!("CARGO_PKG_VERSION")).to_owned();
    config.transports = vec![args.transport.kind()];
    config.delivered_marks = !args.no_marks;
    config.sends_in_flight = args.sends_in_flight.unwrap_or(match args.start {
        true => SENDS_IN_FLIGHT.max(args.in_flight.unwrap_or(0)),
        false => 1,
    });
    (config.outbox_max, config.outbox_bytes_max) = (OUTBOX_MAX, OUTBOX_BYTES_MAX);
    config
}

/// Makes an account or, if there is one by this name, logs in to it.
async fn account(client: &Client, handle: &str, password: &str) -> Result<()> {
    let mut known = false;
    loop {
        let answer = match known {
            false => client.sign_up(handle, password).await,
            true => client.login(handle, password).await,
        };
        match answer {
            Ok(_) => return Ok(()),
            Err(error) if !known && error.code() == Some(ErrorCode::CONFLICT) => known = true,
            Err(error) => wait_or_give_up(error).await?,
        }
    }
}

/// Waits, where trying again can help.
async fn wait_or_give_up(error: Error) -> Result<()> {
    static SAID: std::sync::Once = std::sync::Once::new();
    if error.retry() != Retry::Later {
        return Err(error.into());
    }
    if error.code() == Some(ErrorCode::RATE_LIMITED) {
        SAID.call_once(|| {
            eprintln!("the server limits how often accounts are made from one address: this takes long (see --help)");
        });
    }
    tokio::time::sleep(error.retry_after_ms().map_or(AGAIN_AFTER, Duration::from_millis)).await;
    Ok(())
}

/// Does something again until it is done or can't be.
async fn persist<T, F: Future<Output = Result<T, Error>>>(act: impl Fn() -> F) -> Result<T> {
    loop {
        match act().await {
            Ok(done) => return Ok(done),
            Err(error) => wait_or_give_up(error).await?,
        }
    }
}

/// Makes the channels of a scenario, has everybody look at theirs, and waits until all see the present.
pub(crate) async fn places(args: &Args, devices: &[Device], checker: &mut Checker) -> Result<Vec<Place>> {
    let size = match args.scenario {
        Scenario::Idle => return Ok(Vec::new()),
        Scenario::FanOut | Scenario::SlowReaders => devices.len(),
        Scenario::Groups | Scenario::Storm => args.group_size.min(devices.len()),
        Scenario::OneToOne => 2,
    };
    let all: Vec<usize> = (0..devices.len()).collect();
    // One that would be alone joins those before.
    let mut parties: Vec<Vec<usize>> = all.chunks(size).map(<[usize]>::to_vec).collect();
    if let [.., before, alone] = parties.as_mut_slice()
        && alone.len() == 1
        && args.scenario != Scenario::OneToOne
    {
        before.append(alone);
    }
    parties.retain(|party| party.len() > 1);
    let one = |party| place(args, devices, party);
    let making = stream::iter(parties).map(one).buffered(args.at_once).try_collect::<Vec<_>>();
    let made =
        tokio::time::timeout(seconds(args.setup_seconds), making).await.context("the channels take too long")??;
    let mut places = Vec::with_capacity(made.len());
    for (after, seats) in made {
        places.push(Place { after, room: checker.add_room(after.0), seats });
    }
    let attaching = async {
        for place in &places {
            for seat in &place.seats {
                while seat.channel.cursor() < place.after {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
    };
    tokio::time::timeout(seconds(args.setup_seconds), attaching).await.context("attaching takes too long")?;
    Ok(places)
}

async fn place(args: &Args, devices: &[Device], party: Vec<usize>) -> Result<(Seq, Vec<Seat>)> {
    let client = |number: usize| devices.get(number).map(|device| &device.client).context("a device");
    let owner = client(*party.first().context("nobody")?)?;
    let others: Vec<UserId> = party.iter().skip(1).map(|number| Ok(client(*number)?.user())).collect::<Result<_>>()?;
    let channel = match (args.scenario, others.as_slice()) {
        (Scenario::OneToOne, [other]) => persist(|| owner.direct(*other)).await?,
        (Scenario::Groups | Scenario::Storm, _) => persist(|| owner.create_group("load", &[])).await?,
        _ => persist(|| owner.create_broadcast("load", &[])).await?,
    };
    if args.scenario != Scenario::OneToOne {
        for some in others.chunks(MEMBERS_AT_ONCE) {
            persist(|| channel.add_members(some)).await?;
        }
    }
    // What comes after this one belongs to the run.
    let after = persist(|| channel.send("suda-load begins").into_future()).await?.seq;
    let mut seats = Vec::with_capacity(party.len());
    for number in party {
        seats.push(Seat { device: number, channel: client(number)?.channel(channel.id()) });
    }
    Ok((after, seats))
}

/// Counts who is online, and how often a link is lost.
pub(crate) fn watch(devices: &[Device], meter: &Arc<Meter>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for device in devices {
        let (mut events, meter) = (device.client.events(), Arc::clone(meter));
        tasks.spawn(async move {
            let mut was_online = true;
            while let Some(event) = events.next().await {
                let Event::Status(status) = event else { continue };
                let is_online = matches!(status, Status::Online { .. } | Status::Stalled { .. });
                if is_online && !was_online {
                    add(&meter.totals.online);
                }
                if !is_online && was_online {
                    meter.totals.online.fetch_sub(1, Ordering::Relaxed);
                    add(&meter.totals.links_lost);
                }
                was_online = is_online;
            }
        });
    }
    tasks
}

/// All devices lose their links at once, and come back.
pub(crate) async fn storm(
    devices: &[Device],
    meter: &Arc<Meter>,
    server: Option<&mut Server>,
    within: Duration,
) -> Result<()> {
    let mut waiting = JoinSet::new();
    let began = Instant::now();
    for device in devices {
        let (mut events, meter) = (device.client.events(), Arc::clone(meter));
        waiting.spawn(async move {
            let mut was_away = false;
            while let Some(event) = events.next().await {
                match event {
                    Event::Status(Status::Online { .. }) if was_away => {
                        meter.reconnect.record(began.elapsed());
                        return true;
                    }
                    Event::Status(status) => was_away |= !status.is_online(),
                    _ => {}
                }
            }
            false
        });
    }
    if let Some(server) = server {
        tokio::task::block_in_place(|| server.kill_and_restart())?;
    } else {
        devices.iter().for_each(|device| device.client.disconnect());
        devices.iter().for_each(|device| device.client.reconnect());
    }
    let returning = async {
        while let Some(back) = waiting.join_next().await {
            ensure!(back?, "a client has ended");
        }
        Ok(())
    };
    tokio::time::timeout(within, returning).await.context("not all devices came back in time")?
}
