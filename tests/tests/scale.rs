//! Many channels of one user, many members of one channel.
//!
//! `SUDA_SCALE_MEMBERS` says how many members the second has, where three thousand are too many or too few.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use suda_schema::control::{ControlDown, ControlUp, Sync};
use suda_schema::limits::SYNC_PAGE_MAX;
use suda_schema::open::Start;
use suda_schema::{ChannelId, Seq};
use suda_tests::client::Kind;
use suda_tests::node::NodeProcess;
use suda_tests::people::{Device, Hi, Person};
use tokio::time::Instant;

const CHANNELS: usize = 1_000;
const FIRST_PAGE: u16 = 50;
/// On a debug build and a busy machine; it is one round trip.
const FIRST_PAGE_WITHIN: Duration = Duration::from_secs(5);
/// Of the members, so many look.
const LOOKING: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_channels_for_one_user() {
    let node = NodeProcess::start_with(&[("session.hint_ms", "100")]).await;
    let [kim, lee] = [node.sign_up("kim").await, node.sign_up("lee").await];
    let members = [&kim];
    let mut channels: Vec<ChannelId> = Vec::new();
    for some in (0..CHANNELS).collect::<Vec<_>>().chunks(32) {
        let titles: Vec<String> = some.iter().map(|number| format!("channel {number}")).collect();
        channels.extend(join_all(titles.iter().map(|title| node.group(&lee, title, &members))).await);
    }
    for kind in Kind::ALL {
        let begun = Instant::now();
        let hi = Hi { sync_limit: FIRST_PAGE, user_cursor: None };
        let mut device = Device::try_connect(&node, kind, &kim, hi).await.unwrap();
        let took = begun.elapsed();
        println!("{kind:?}: connected with the first {FIRST_PAGE} of {CHANNELS} channels in {took:.0?}");
        assert!(took < FIRST_PAGE_WITHIN, "{kind:?}: {took:?}");
        let first = device.page.take().unwrap();
        assert_eq!(first.channels.len(), usize::from(FIRST_PAGE));
        let (mut seen, mut next, mut request) = (first.channels, first.next, 0);
        while let Some(after) = next {
            request += 1;
            let sync = Sync { request, after: Some(after), limit: SYNC_PAGE_MAX };
            device.control.send(&ControlUp::Sync(sync)).await.unwrap();
            let page = |frame| match frame {
                ControlDown::SyncPage(page) if page.request == request => Some(Ok(page)),
                ControlDown::Failed(failed) => Some(Err(failed)),
                _ => None,
            };
            let page = device.wait_for(page).await.unwrap().unwrap();
            seen.extend(page.channels);
            next = page.next;
        }
        assert!(seen.is_sorted_by(|a, b| a.last_at_ms >= b.last_at_ms), "{kind:?}");
        let ids: HashSet<ChannelId> = seen.iter().map(|summary| summary.channel).collect();
        assert_eq!((seen.len(), &ids), (CHANNELS, &channels.iter().copied().collect()), "{kind:?}");

        // Something is said in some that nobody looks at: hints come, with exact counts.
        let talker = Device::connect(&node, Kind::Quic, &lee).await;
        let mut waited_for = HashSet::new();
        for &channel in channels.iter().step_by(100) {
            let ack = talker.attach(channel, Start::Tail(0)).await.say("hint").await.unwrap();
            waited_for.insert((channel, ack.seq));
        }
        let unread = Kind::ALL.iter().position(|other| *other == kind).unwrap() as u64 + 1;
        while !waited_for.is_empty() {
            let hints = |frame| if let ControlDown::Hints(hints) = frame { Some(hints.channels) } else { None };
            for hint in device.wait_for(hints).await.unwrap() {
                if waited_for.remove(&(hint.channel, hint.head)) {
                    assert_eq!(hint.unread, unread, "{kind:?}");
                    assert_eq!(hint.preview.unwrap().text, "hint", "{kind:?}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_channel_with_thousands_of_members() {
    let count: usize = std::env::var("SUDA_SCALE_MEMBERS").map_or(3_000, |members| members.parse().expect("a number"));
    let node = NodeProcess::start().await;
    let owner = node.sign_up("owner").await;
    let channel = node.broadcast(&owner, "news", &[]).await;
    let people = node.sign_up_all("member", count).await;
    let begun = Instant::now();
    for some in people.chunks(100) {
        let users: Vec<String> = some.iter().map(|person| person.user.to_string()).collect();
        let path = format!("/v1/channels/{channel}/members");
        node.ask(&owner, "POST", &path, Some(json!({ "users": users })), 204).await;
    }
    println!("{count} members were added in {:.1?}", begun.elapsed());
    let summary = |person: &Person| {
        let person = person.clone();
        let node = &node;
        async move { node.ask(&person, "GET", &format!("/v1/channels/{channel}"), None, 200).await }
    };
    assert_eq!(summary(&owner).await["members"], count + 1);

    let mut looking = Vec::new();
    let step = (count / LOOKING).max(1);
    for (person, kind) in people.iter().step_by(step).zip(Kind::ALL.into_iter().cycle()) {
        let device = Device::connect(&node, kind, person).await;
        let view = device.attach(channel, Start::Tail(0)).await;
        looking.push((device, view));
    }
    let poster = Device::connect(&node, Kind::Quic, &owner).await;
    let mut post = poster.attach(channel, Start::Tail(0)).await;
    let begun = Instant::now();
    let ack = post.say("to all of you").await.unwrap();
    let acked = begun.elapsed();
    for (device, view) in &mut looking {
        view.until(ack.seq).await.unwrap();
        assert_eq!(view.texts(), ["to all of you"], "{:?}", device.link.kind());
    }
    println!("posted in {acked:.0?}, with all {} who look after {:.0?}", looking.len(), begun.elapsed());
    // Those who do not look have it among their unread.
    for person in people.iter().step_by(count / 10) {
        let summary = summary(person).await;
        assert_eq!((&summary["unread"], &summary["head"]), (&json!(1), &json!(ack.seq)));
    }
    assert!(ack.seq > Seq::ZERO);
    // Joining and leaving makes no entries here: the log holds what was said.
    let mut whole = poster.attach(channel, Start::After(Seq::ZERO)).await;
    whole.until(ack.seq).await.unwrap();
    assert!(whole.entries.len() < 10, "{} entries", whole.entries.len());
}
