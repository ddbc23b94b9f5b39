//! Attachments: how they begin, what they give, how they end.

use bytes::Bytes;
use suda_schema::channel::{ChannelDown, HistoryAt, HistoryQuery, Marks};
use suda_schema::control::{ControlDown, Ping};
use suda_schema::open::{Attach, Open, Start};
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, CloseCode, ErrorCode, Seq};
use suda_server::channel::HubConfig;
use suda_server::chat::append::Publish;
use suda_server::link::pair::PairConfig;
use suda_server::rate::Rate;
use suda_server::session::SessionConfig;

use super::world::*;

#[tokio::test]
async fn an_attachment_catches_up_and_goes_on_live_in_both_codecs() {
    for config in [PairConfig::default(), json()] {
        let hubs = HubConfig { tail_entries_max: 5, ..HubConfig::default() };
        let world = World::with(SessionConfig::default(), hubs);
        let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
        let channel = world.group(&[kim.user, lee.user]).await;
        for number in 0..40 {
            let send = world.message(&format!("message {number}"));
            world.hubs.publish(channel, Publish { user: kim.user, device: kim.device, send }).await.unwrap();
        }
        let head = world.head(channel).await;
        let client = world.connect_as(&lee, config, |_| {}).await;
        let (mut all, attached) = client.attach(channel, Start::After(Seq::ZERO)).await;
        assert_eq!((attached.after, attached.channel.head, attached.channel.unread), (Seq::ZERO, head, 40));
        assert_eq!(all.seqs(usize::try_from(head.0).unwrap()).await, (1..=head.0).collect::<Vec<_>>());
        let other = world.connect_as(&kim, config, |_| {}).await;
        let (mut some, attached) = other.attach(channel, Start::Tail(3)).await;
        assert_eq!(attached.after, Seq(head.0 - 3));
        assert_eq!(some.seqs(3).await, [head.0 - 2, head.0 - 1, head.0]);
        some.say(world.message("live")).await;
        assert_eq!(all.seqs(1).await, [head.0 + 1]);
        assert_eq!(some.seqs(1).await, [head.0 + 1]);
    }
}

#[tokio::test]
async fn the_whole_log_and_only_what_comes_are_starts_too() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    let channel = world.group(&[kim.user]).await;
    let head = world.head(channel).await;
    let client = world.connect(&kim).await;
    assert_eq!(client.attach(channel, Start::Tail(u32::MAX)).await.1.after, Seq::ZERO);
    assert_eq!(client.attach(channel, Start::Tail(0)).await.1.after, head);
    assert_eq!(client.attach(channel, Start::After(head)).await.1.after, head);
}

#[tokio::test]
async fn an_attach_that_can_not_be_is_refused_with_a_reason() {
    let config = SessionConfig { attachments_max: 1, ..SessionConfig::default() };
    let world = World::with_sessions(config);
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let (mine, foreign) = (world.group(&[kim.user]).await, world.group(&[lee.user]).await);
    let head = world.head(mine).await;
    let client = world.connect(&kim).await;
    for channel in [foreign, ChannelId(1), ChannelId(u64::MAX)] {
        client.ask(channel, Start::Tail(5)).await.closed_with(CloseCode::REMOVED).await;
    }
    client.ask(mine, Start::After(head.next())).await.closed_with(CloseCode::CURSOR_AHEAD).await;
    client.ask(mine, Start::After(Seq(u64::MAX))).await.closed_with(CloseCode::CURSOR_AHEAD).await;
    let _view = client.view(mine).await;
    let second = world.group(&[kim.user]).await;
    client.ask(second, Start::Tail(0)).await.closed_with(CloseCode::TOO_MANY_ATTACHMENTS).await;
}

#[tokio::test]
async fn the_same_channel_again_replaces_the_older_attachment() {
    let world = World::with_sessions(SessionConfig { attachments_max: 1, ..SessionConfig::default() });
    let kim = world.sign_up("kim").await;
    let channel = world.group(&[kim.user]).await;
    let client = world.connect(&kim).await;
    let mut older = client.view(channel).await;
    let mut newer = client.view(channel).await;
    older.closed_with(CloseCode::DETACHED).await;
    newer.say(world.message("hello")).await;
    newer.ack().await;
}

#[tokio::test]
async fn attaching_too_often_is_refused_with_a_time_to_wait() {
    let attaches = Rate::new(2, 1.0);
    let world = World::with_sessions(SessionConfig { attaches, ..SessionConfig::default() });
    let kim = world.sign_up("kim").await;
    let channel = world.group(&[kim.user]).await;
    let client = world.connect(&kim).await;
    client.view(channel).await;
    client.view(channel).await;
    let closing = client.ask(channel, Start::Tail(0)).await.closed().await;
    assert_eq!((closing.code, closing.retry_after_ms), (CloseCode::OVERLOADED, Some(1_000)));
}

#[tokio::test]
async fn who_finishes_the_stream_gets_the_answers_that_are_due_and_then_the_end() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    let channel = world.group(&[kim.user]).await;
    let client = world.connect(&kim).await;
    let mut view = client.view(channel).await;
    let sends: Vec<_> = (0..10).map(|_| world.message("bye")).collect();
    for send in &sends {
        view.say(send.clone()).await;
    }
    view.writer.finish();
    for send in &sends {
        assert_eq!(view.ack().await.client_msg_id, send.client_msg_id);
    }
    view.closed_with(CloseCode::DETACHED).await;
}

#[tokio::test]
async fn removed_members_and_deleted_channels_end_attachments_and_nothing_follows() {
    for kind in [ChannelKind::Group, ChannelKind::Broadcast] {
        let world = World::new();
        let (kim, lee, max) = (world.sign_up("kim").await, world.sign_up("lee").await, world.sign_up("max").await);
        let channel = world.channel(kind, &[kim.user, lee.user, max.user]).await;
        let client = world.connect(&lee).await;
        let other = world.connect(&max).await;
        let (mut view, mut stays) = (client.view(channel).await, other.view(channel).await);
        world.chat.kick(kim.user, channel, lee.user).await.unwrap();
        view.closed_with(CloseCode::REMOVED).await;
        client.ask(channel, Start::Tail(0)).await.closed_with(CloseCode::REMOVED).await;
        // Back again, and out by oneself.
        world.chat.add_members(kim.user, channel, &[lee.user]).await.unwrap();
        let mut view = client.view(channel).await;
        world.chat.leave(lee.user, channel).await.unwrap();
        view.closed_with(CloseCode::REMOVED).await;
        world.chat.delete_channel(kim.user, channel).await.unwrap();
        let closing = stays
            .expect("the end", |frame| if let ChannelDown::Closed(closing) = frame { Some(closing) } else { None })
            .await;
        assert_eq!(closing.code, CloseCode::CHANNEL_GONE);
    }
}

#[tokio::test]
async fn streams_that_begin_wrongly_are_told_and_harm_nobody() {
    let world = World::with_sessions(SessionConfig { hello_within_ms: 100, ..SessionConfig::default() });
    let kim = world.sign_up("kim").await;
    let channel = world.group(&[kim.user]).await;
    let mut client = world.connect(&kim).await;
    let mut view = client.view(channel).await;
    for bytes in [&b"\x01\xff"[..], b"\xff\xff\xff\xff\x0f", b"\x02\x01\x01", b"\x80\x80\x80\x80\x80\x01"] {
        let (reader, mut writer) = client.link.open().await.unwrap();
        writer.write(Bytes::copy_from_slice(bytes)).await.unwrap();
        writer.finish();
        let mut stream = View::of(reader, writer);
        stream.closed_with(CloseCode::PROTOCOL_ERROR).await;
    }
    // A purpose that only a newer version knows: the stream is given up, the link goes on.
    let (reader, mut writer) = client.link.open().await.unwrap();
    writer.write(Bytes::from_static(b"\x01\x63")).await.unwrap();
    assert_eq!(View::of(reader, writer).try_next().await, None);
    // Nothing at all.
    let (reader, writer) = client.link.open().await.unwrap();
    View::of(reader, writer).closed_with(CloseCode::HANDSHAKE_TIMEOUT).await;
    view.say(world.message("still here")).await;
    view.ack().await;
    client.say(Ping { nonce: 1 }).await;
    client.expect("pong", |frame| matches!(frame, ControlDown::Pong(_)).then_some(())).await;
}

#[tokio::test]
async fn a_second_control_stream_ends_the_link() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    let mut client = world.connect(&kim).await;
    client.stream(&Open::Control(say_hello(&kim))).await;
    client.closed_with(CloseCode::PROTOCOL_ERROR).await;
}

#[tokio::test]
async fn garbage_on_an_attachment_ends_it_alone() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    let (one, other) = (world.group(&[kim.user]).await, world.group(&[kim.user]).await);
    let client = world.connect(&kim).await;
    let mut fine = client.view(other).await;
    for bytes in [&b"\x02\x00\xff"[..], b"\xff\xff\xff\xff\x0f", b"\x03\x02\x01\x00", b"\x81\x80\x40"] {
        let mut view = client.view(one).await;
        view.say_raw(bytes).await;
        view.closed_with(CloseCode::PROTOCOL_ERROR).await;
    }
    let mut half = client.view(one).await;
    half.say_raw(b"\x09\x00").await;
    half.writer.finish();
    half.closed_with(CloseCode::PROTOCOL_ERROR).await;
    let mut newer = client.view(one).await;
    newer.say_raw(b"\x03\x7fab").await;
    newer.say(world.message("skipped")).await;
    newer.ack().await;
    fine.say(world.message("unaffected")).await;
    fine.ack().await;
}

#[tokio::test]
async fn history_is_paged_and_its_errors_are_told() {
    for config in [PairConfig::default(), json()] {
        let world = World::new();
        let kim = world.sign_up("kim").await;
        let channel = world.group(&[kim.user]).await;
        let client = world.connect_as(&kim, config, |_| {}).await;
        let mut view = client.view(channel).await;
        for number in 0..10 {
            view.say(world.message(&format!("message {number}"))).await;
            view.ack().await;
        }
        let head = world.head(channel).await;
        let query = |request, at, limit| HistoryQuery { request, at, limit, thread: None };
        view.say(query(1, HistoryAt::Before(head), 3)).await;
        let page =
            view.expect("a page", |frame| if let ChannelDown::History(page) = frame { Some(page) } else { None }).await;
        let seqs: Vec<u64> = page.entries.iter().map(|entry| entry.seq.0).collect();
        assert_eq!((page.request, seqs), (1, vec![head.0 - 3, head.0 - 2, head.0 - 1]));
        assert!(page.more_before && page.more_after);
        for (at, limit, code) in [
            (HistoryAt::Newest, 0, ErrorCode::INVALID),
            (HistoryAt::After(Seq(u64::MAX)), 5, ErrorCode::CURSOR_AHEAD),
            (HistoryAt::Around(head.next()), 5, ErrorCode::CURSOR_AHEAD),
        ] {
            view.say(query(2, at, limit)).await;
            let failed =
                view.expect("a refusal", |frame| {
                    if let ChannelDown::HistoryFailed(failed) = frame { Some(failed) } else { None }
                })
                .await;
            assert_eq!((failed.request, failed.error.code), (2, code));
        }
    }
}

#[tokio::test]
async fn members_positions_come_first_and_then_as_they_move() {
    let world = World::with(
        SessionConfig { mark_delivered_ms: 1, mark_read_ms: 1, ..SessionConfig::default() },
        HubConfig { marks_interval_ms: 1, ..HubConfig::default() },
    );
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let channel = world.group(&[kim.user, lee.user]).await;
    let client = world.connect(&kim).await;
    let other = world.connect(&lee).await;
    let mut view = client.view(channel).await;
    let marks = |frame| if let ChannelDown::Marks(marks) = frame { Some(marks.members) } else { None };
    assert_eq!(view.expect("all positions", marks).await.len(), 2);
    let mut reads = other.view(channel).await;
    view.say(world.message("read this")).await;
    let seq = view.ack().await.seq;
    reads.seqs(1).await;
    reads.say(Marks { delivered: Some(seq), read: None }).await;
    soon("delivered", async {
        loop {
            let moved = view.expect("positions", marks).await;
            if moved.iter().any(|mark| mark.user == lee.user && mark.delivered == seq && mark.read < seq) {
                return;
            }
        }
    })
    .await;
    reads.say(Marks { delivered: None, read: Some(Seq(u64::MAX)) }).await;
    soon("read", async {
        loop {
            let moved = view.expect("positions", marks).await;
            if moved.iter().any(|mark| mark.user == lee.user && mark.read == seq) {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_attach_stream_may_be_opened_before_welcome_is_read() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    let channel = world.group(&[kim.user]).await;
    let link = world.dial(PairConfig::default());
    let (reader, mut writer) = link.open().await.unwrap();
    writer.write(suda_schema::codec::Codec::Binary.encode(&Open::Control(say_hello(&kim)))).await.unwrap();
    let client = Client::of(link, reader, writer);
    let attach = Open::Attach(Attach { channel, from: Start::Tail(0) });
    let mut view = client.stream(&attach).await;
    assert!(matches!(view.next().await, ChannelDown::Attached(_)));
}
