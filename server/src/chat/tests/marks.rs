//! Marks, unread counts, mute, and the list of channels.

use suda_schema::control::SyncCursor;
use suda_schema::event::{ReadMoved, UserEvent};
use suda_schema::summary::{MemberMark, Mute};

use super::*;
use crate::chat::marks::Marked;

fn read(seq: u64) -> Marks {
    Marks { read: Some(Seq(seq)), delivered: None }
}

fn delivered(seq: u64) -> Marks {
    Marks { delivered: Some(Seq(seq)), read: None }
}

impl World {
    async fn mark(&self, user: UserId, device: u64, channel: ChannelId, marks: Marks) -> Marked {
        let device = Some(DeviceId(device));
        self.chat.mark(user, device, &[(channel, marks)]).await.unwrap().remove(0).unwrap()
    }

    async fn reads_told(&self, user: UserId) -> Vec<ReadMoved> {
        let page = self.chat.user_log_after(user, Seq::ZERO, 500).await.unwrap();
        let reads = page.entries.into_iter().filter_map(|entry| match entry.event {
            UserEvent::Read(moved) => Some(moved),
            _ => None,
        });
        reads.collect()
    }
}

#[tokio::test]
async fn reading_moves_forward_and_counts_what_is_left() {
    let world = World::new(2).await;
    let (a, b) = (world.user(0), world.user(1));
    let channel = world.chat.open_direct(a, b).await.unwrap().channel;
    for n in 0..4 {
        world.say(channel, a, &format!("{n}")).await;
        world.say(channel, b, &format!("own {n}")).await;
        world.send(channel, a, react(Seq(1), "x", n % 2 == 0)).await.unwrap();
    }
    let marked = world.mark(b, 1, channel, read(1)).await;
    assert_eq!(marked, Marked { read: Seq(1), delivered: Seq(1), unread: 3 });
    assert_eq!(world.mark(b, 1, channel, read(5)).await.unread, 2, "one's own and reactions don't count");
    assert_eq!(world.mark(b, 1, channel, read(3)).await, Marked { read: Seq(5), delivered: Seq(5), unread: 2 });
    assert_eq!(world.mark(b, 1, channel, read(u64::MAX)).await.read, Seq(12), "no further than the head");
    assert_eq!(world.chat.channel(b, channel).await.unwrap().unread, 0);
    let moves: Vec<_> = world.reads_told(b).await.iter().map(|moved| (moved.read.0, moved.unread)).collect();
    assert_eq!(moves, [(1, 3), (5, 2), (12, 0)]);
    world.say(channel, a, "new").await;
    world.say(channel, b, "answer").await;
    assert_eq!(world.chat.channel(b, channel).await.unwrap().unread, 1, "sending is not reading");
}

#[tokio::test]
async fn delivered_is_the_furthest_of_the_devices() {
    let world = World::new(2).await;
    let channel = world.group().await;
    let (a, b) = (world.user(0), world.user(1));
    let start = world.head(channel).await.0;
    for n in 0..6 {
        world.say(channel, a, &format!("{n}")).await;
    }
    assert_eq!(world.mark(b, 1, channel, delivered(start + 4)).await.delivered, Seq(start + 4));
    assert_eq!(world.mark(b, 2, channel, delivered(start + 2)).await.delivered, Seq(start + 4));
    assert_eq!(world.mark(b, 2, channel, delivered(999)).await.delivered, Seq(start + 6));
    let marked = world.mark(b, 2, channel, Marks::default()).await;
    assert_eq!((marked.read, marked.unread), (Seq(start), 6));
    let of_device = async |device| {
        let key = keys::cursor(b, DeviceId(device), channel);
        let key = &key;
        let value = world.chat.read(|tx| async move { Ok(tx.get(key).await?) }).await.unwrap().unwrap();
        u64::from_le_bytes(value[..].try_into().unwrap())
    };
    assert_eq!((of_device(1).await, of_device(2).await), (start + 4, start + 6));
    assert!(world.reads_told(b).await.is_empty());
}

#[tokio::test]
async fn members_see_marks_and_are_rung_where_there_are_few() {
    let world = World::with(4, |config| config.limits.marks_members_max = 3).await;
    let (a, b) = (world.user(0), world.user(1));
    let big = world.group().await;
    let small = world.chat.open_direct(a, b).await.unwrap().channel;
    for channel in [big, small] {
        world.say(channel, a, "hello").await;
    }
    world.rung.take();
    let pulse = world.chat.pulse(big).await.unwrap();
    world.mark(b, 1, big, read(99)).await;
    assert_eq!(world.rung.take(), [Topic::User(b)]);
    assert_eq!(world.chat.pulse(big).await.unwrap(), pulse);
    assert!(world.chat.member_marks(big).await.unwrap().is_empty());
    let before = world.chat.pulse(small).await.unwrap().unwrap();
    world.mark(b, 1, small, delivered(1)).await;
    assert_eq!(world.rung.take(), [Topic::Channel(small)]);
    world.mark(b, 1, small, read(1)).await;
    assert_eq!(world.rung.take(), [Topic::Channel(small), Topic::User(b)]);
    world.mark(b, 1, small, read(1)).await;
    assert!(world.rung.take().is_empty(), "nothing new");
    let after = world.chat.pulse(small).await.unwrap().unwrap();
    assert_eq!((after.marks, after.rights, after.head), (before.marks + 2, before.rights, before.head));
    let mark = |user, seq| MemberMark { user, delivered: Seq(seq), read: Seq(seq) };
    assert_eq!(world.chat.member_marks(small).await.unwrap(), [mark(a, 0), mark(b, 1)]);
}

#[tokio::test]
async fn marks_come_in_batches() {
    let world = World::new(2).await;
    let (a, b) = (world.user(0), world.user(1));
    let mut marks = Vec::new();
    for _ in 0..3 {
        let channel = world.group().await;
        world.say(channel, a, "x").await;
        marks.push((channel, read(99)));
    }
    marks.push((ChannelId(5), read(1)));
    marks.extend([(marks[0].0, read(1)); 100]);
    let results = world.chat.mark(b, None, &marks).await.unwrap();
    assert_eq!(results.len(), marks.len());
    assert!(results[..3].iter().all(|result| result.as_ref().is_ok_and(|marked| marked.unread == 0)));
    assert!(matches!(results[3], Err(ChatError::NotFound(_))));
    assert_eq!(world.reads_told(b).await.len(), 3);
}

#[tokio::test]
async fn who_comes_back_has_nothing_to_catch_up_with() {
    let world = World::new(2).await;
    let channel = world.group().await;
    let (a, b) = (world.user(0), world.user(1));
    world.say(channel, b, "mine").await;
    world.chat.leave(b, channel).await.unwrap();
    world.say(channel, a, "missed").await;
    world.chat.add_members(a, channel, &[b]).await.unwrap();
    assert_eq!(world.chat.channel(b, channel).await.unwrap().unread, 0);
    world.say(channel, b, "back").await;
    world.say(channel, a, "welcome").await;
    assert_eq!(world.chat.channel(b, channel).await.unwrap().unread, 1);
}

#[tokio::test]
async fn muting_is_told_to_the_own_devices() {
    let world = World::new(2).await;
    let channel = world.group().await;
    let b = world.user(1);
    world.rung.take();
    for _ in 0..2 {
        world.chat.set_mute(b, channel, Mute::MentionsOnly).await.unwrap();
    }
    assert_eq!(world.rung.take(), [Topic::User(b)]);
    assert_eq!(world.chat.channel(b, channel).await.unwrap().mute, Mute::MentionsOnly);
    assert_eq!(world.chat.channel(world.user(0), channel).await.unwrap().mute, Mute::Off);
    assert_eq!(code(world.chat.set_mute(UserId(99), channel, Mute::Off).await), ErrorCode::NOT_FOUND);
}

#[tokio::test]
async fn channels_are_listed_by_activity_in_pages() {
    let world = World::new(2).await;
    let (a, b) = (world.user(0), world.user(1));
    let mut channels = Vec::new();
    for n in 0..7 {
        // Some are of the same moment.
        world.chat.clock().advance_ms(n % 2);
        channels.push(world.group().await);
    }
    world.chat.clock().advance_ms(1);
    world.say(channels[2], a, "newest").await;
    let mut expected: Vec<_> = channels.iter().rev().copied().filter(|channel| *channel != channels[2]).collect();
    expected.insert(0, channels[2]);
    let (mut listed, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let synced = world.chat.sync(b, after, 3).await.unwrap();
        assert_eq!(synced.channels.len(), 7);
        listed.extend(synced.page.channels);
        pages += 1;
        after = synced.page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((listed.iter().map(|summary| summary.channel).collect::<Vec<_>>(), pages), (expected, 3));
    assert_eq!((listed[0].unread, listed[0].preview.as_ref().unwrap().text.as_str()), (1, "newest"));
    let end = Some(SyncCursor { last_at_ms: 0, channel: ChannelId(0) });
    let last = world.chat.sync(b, end, 3).await.unwrap().page;
    assert_eq!((last.channels.len(), last.next), (0, None));
    assert!(world.chat.sync(UserId(99), None, 3).await.unwrap().page.channels.is_empty());
    let hint = world.chat.hint(b, channels[2]).await.unwrap().unwrap();
    assert_eq!((hint.unread, hint.preview.unwrap().by), (1, a));
    assert_eq!(world.chat.hint(UserId(99), channels[2]).await.unwrap(), None);
}

#[tokio::test]
async fn a_preview_is_short() {
    let world = World::new(1).await;
    let channel = world.group().await;
    world.say(channel, world.user(0), &"🦀".repeat(1_000)).await;
    let preview = world.chat.channel(world.user(0), channel).await.unwrap().preview.unwrap();
    assert_eq!(preview.text, "🦀".repeat(160));
}
