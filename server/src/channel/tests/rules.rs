//! The rules of the hub, one by one.

use suda_schema::{CloseCode, ErrorCode};

use super::*;

#[tokio::test]
async fn a_send_is_acknowledged_and_delivered_to_all_with_no_read_of_the_store() {
    let world = World::new(HubConfig::default()).await;
    let mut readers = vec![world.attach(0, None).await, world.attach(1, None).await, world.attach(1, None).await];
    for number in 0..20 {
        let seq = world.say(number % 3, "hello").await;
        for reader in &mut readers {
            assert_eq!(seqs(&read(reader, 1).await.0), [seq.0]);
        }
    }
    let metrics = world.hubs.metrics();
    assert!(world.hubs.at_rest(SOON).await);
    assert_eq!((metrics.sends.get(), metrics.deliveries.get(), metrics.deliveries_from_store.get()), (20, 60, 0));
    assert_eq!(metrics.refreshes.get(), 0, "the bell of an append of its own needs no look at the log");
    assert_eq!(metrics.attachments.get(), 3);
    drop(readers);
    assert_eq!(metrics.attachments.get(), 0);
}

#[tokio::test]
async fn a_delivery_allocates_nothing_and_takes_one_wake_at_most() {
    const READERS: usize = 100;
    let world = World::new(HubConfig::default()).await;
    let mut readers = Vec::new();
    for number in 0..READERS {
        readers.push(world.attach(number % 3, None).await);
    }
    for _ in 0..10 {
        let mut waiting: Vec<_> = readers.iter_mut().map(|reader| Box::pin(reader.next())).collect();
        for reader in &mut waiting {
            assert!(futures_util::poll!(reader).is_pending());
        }
        world.say(0, "hello").await;
        assert!(world.hubs.at_rest(SOON).await);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let allocated = allocation_counter::measure(|| {
            for reader in &mut waiting {
                assert!(matches!(reader.as_mut().poll(&mut cx), std::task::Poll::Ready(Out::Frame(_))));
            }
        });
        assert_eq!(allocated.count_total, 0);
    }
    let metrics = world.hubs.metrics();
    assert_eq!(metrics.deliveries.get(), 10 * READERS as u64);
    assert!(metrics.wakes.get() <= metrics.deliveries.get());
}

#[tokio::test]
async fn readers_of_one_batch_share_its_bytes() {
    let world = World::new(HubConfig::default()).await;
    let (mut one, mut other) = (world.attach(0, None).await, world.attach(1, None).await);
    world.say(2, "hello").await;
    let (Out::Frame(a), Out::Frame(b)) = (one.next().await, other.next().await) else { panic!("two frames") };
    assert_eq!(a.as_ptr(), b.as_ptr());
}

#[tokio::test]
async fn what_waits_while_a_commit_is_under_way_goes_in_one_batch() {
    let faults = Faults { seed: 3, delay_permille: 1_000, delay_ms_max: 20, ..Faults::default() };
    let world = Arc::new(World::faulty(faults, HubConfig::default()).await);
    let sends: Vec<_> = (0..200)
        .map(|number| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.say(number % 3, "hello").await })
        })
        .collect();
    let mut acked = Vec::new();
    for send in sends {
        acked.push(soon("an ack", send).await.unwrap().0);
    }
    acked.sort_unstable();
    let first = acked[0];
    assert_eq!(acked, (first..first + 200).collect::<Vec<_>>());
    let mut text = String::new();
    let mut registry = prometheus_client::registry::Registry::default();
    world.hubs.metrics().register(&mut registry);
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let batches: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("append_batch_sends_count "))
        .and_then(|count| count.parse().ok())
        .unwrap();
    assert!(batches <= 20, "200 sends took {batches} transactions");
}

#[tokio::test]
async fn a_full_queue_refuses_with_a_time_to_wait() {
    let faults = Faults { seed: 3, delay_permille: 1_000, delay_ms_max: 50, ..Faults::default() };
    let world =
        World::faulty(faults, HubConfig { queue_sends_max: 2, batch_sends_max: 1, ..HubConfig::default() }).await;
    let sends = (0..20).map(|_| world.hubs.publish(world.channel, world.publish(0, message("hello"))));
    let results = soon("answers", futures_util::future::join_all(sends)).await;
    let refused: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(!refused.is_empty());
    for error in &refused {
        assert_eq!(error.code, ErrorCode::OVERLOADED);
        assert!(error.retry_after_ms.is_some());
    }
    assert_eq!(world.hubs.metrics().queue_full.get(), refused.len() as u64);
}

#[tokio::test]
async fn a_store_that_fails_is_a_refusal_that_can_be_retried_by_the_same_id() {
    let faults = Faults { seed: 9, unknown_applied_permille: 400, unknown_dropped_permille: 200, ..Faults::default() };
    let world = World::faulty(faults, HubConfig::default()).await;
    let mut reader = world.attach(1, None).await;
    let publish = world.publish(0, message("once"));
    let mut acks = Vec::new();
    while acks.len() < 5 {
        acks.extend(world.hubs.publish(world.channel, publish.clone()).await.ok());
    }
    assert!(acks.windows(2).all(|pair| pair[0] == pair[1]));
    let (entries, _) = read(&mut reader, 1).await;
    assert_eq!(seqs(&entries), [acks[0].seq.0]);
    assert_eq!(world.head().await, acks[0].seq);
}

#[tokio::test]
async fn the_hub_hears_of_what_is_appended_elsewhere() {
    let world = World::new(HubConfig::default()).await;
    let mut reader = world.attach(1, None).await;
    let head = world.head().await.0;
    world.chat.set_title(world.users[0], world.channel, "a new title").await.unwrap();
    assert_eq!(seqs(&read(&mut reader, 1).await.0), [head + 1]);
    world.chat.append(world.channel, &[world.publish(0, message("by another node"))]).await.unwrap();
    assert_eq!(seqs(&read(&mut reader, 1).await.0), [head + 2]);
    assert_eq!(world.say(0, "here").await.0, head + 3);
    assert_eq!(seqs(&read(&mut reader, 1).await.0), [head + 3]);
    assert_eq!(world.hubs.metrics().deliveries_from_store.get(), 0, "the hub read it once for all");
}

#[tokio::test]
async fn what_happens_while_an_attachment_begins_is_heard() {
    let world = World::new(HubConfig::default()).await;
    let elsewhere = async |text: &str| {
        world.chat.append(world.channel, &[world.publish(0, message(text))]).await.unwrap();
        assert!(world.hubs.at_rest(SOON).await);
    };
    // To a hub that does not know where the log ends, and to one that has known it while somebody listened.
    for _ in 0..2 {
        elsewhere("before").await;
        let mut reader = world.hubs.attach(world.channel, world.users[1], Codec::Binary).unwrap();
        let summary = world.chat.channel(world.users[1], world.channel).await.unwrap();
        elsewhere("between").await;
        reader.begin(summary.head, summary.head, &[]);
        assert_eq!(seqs(&read(&mut reader, 1).await.0), [summary.head.0 + 1]);
        world.say(2, "after").await;
        assert_eq!(seqs(&read(&mut reader, 1).await.0), [summary.head.0 + 2]);
    }
}

#[tokio::test]
async fn one_who_is_behind_pages_from_the_store_and_joins_the_tail() {
    let world = World::new(HubConfig { tail_entries_max: 4, ..HubConfig::default() }).await;
    for number in 0..50 {
        world.say(number % 3, "hello").await;
    }
    let head = world.head().await.0;
    let mut reader = world.attach(0, Some(Seq::ZERO)).await;
    let (entries, _) = read(&mut reader, usize::try_from(head).unwrap()).await;
    assert_eq!(seqs(&entries), (1..=head).collect::<Vec<_>>());
    assert!(world.hubs.metrics().deliveries_from_store.get() > 0);
    let seq = world.say(0, "live").await.0;
    assert_eq!(seqs(&read(&mut reader, 1).await.0), [seq]);
    assert_eq!(world.hubs.metrics().lagging.get(), 0);
}

#[tokio::test]
async fn a_deleted_text_is_not_given_out_of_the_tail() {
    let world = World::new(HubConfig::default()).await;
    let before = world.head().await;
    let _keeps_the_tail = world.attach(2, None).await;
    let target = world.say(0, "secret one").await;
    world.send(0, edit(target, "secret two")).await.unwrap();
    world.send(1, react(target, "👍", true)).await.unwrap();
    world.send(0, delete(target)).await.unwrap();
    assert!(world.hubs.at_rest(SOON).await);
    let mut reader = world.attach(1, Some(before)).await;
    let (entries, _) = read(&mut reader, 4).await;
    assert_eq!(entries.iter().filter_map(text).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(world.hubs.metrics().deliveries_from_store.get(), 0, "the rows were replaced in the tail");
}

#[tokio::test]
async fn who_is_removed_gets_nothing_after_it() {
    let world = World::new(HubConfig::default()).await;
    let (mut kicked, mut stays) = (world.attach(2, None).await, world.attach(1, None).await);
    world.chat.kick(world.users[0], world.channel, world.users[2]).await.unwrap();
    let seq = world.say(0, "in private").await;
    let (entries, ended) = read(&mut kicked, 100).await;
    assert_eq!(ended.unwrap().code, CloseCode::REMOVED);
    assert_eq!(seqs(&entries), [0; 0]);
    assert_eq!(seqs(&read(&mut stays, 2).await.0), [seq.0 - 1, seq.0]);
    // Back again: what ended the old attachment does not end the new one.
    world.chat.add_members(world.users[0], world.channel, &[world.users[2]]).await.unwrap();
    let mut back = world.attach(2, Some(Seq(seq.0 - 2))).await;
    assert_eq!(seqs(&read(&mut back, 3).await.0), [seq.0 - 1, seq.0, seq.0 + 1]);
}

#[tokio::test]
async fn a_deleted_channel_ends_its_attachments() {
    let world = World::new(HubConfig::default()).await;
    let mut reader = world.attach(1, None).await;
    world.chat.delete_channel(world.users[0], world.channel).await.unwrap();
    assert_eq!(read(&mut reader, 100).await.1.unwrap().code, CloseCode::CHANNEL_GONE);
    let refused = world.hubs.publish(world.channel, world.publish(0, message("hello"))).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NOT_FOUND);
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_sends() {
    let world = World::new(HubConfig::default()).await;
    let mut attachment = world.attach(0, None).await;
    let handle = attachment.handle();
    let sends: Vec<Send> = (0..30).map(|_| world.publish(0, message("hello")).send).collect();
    for (number, send) in sends.iter().enumerate() {
        if number % 3 == 0 {
            handle.refuse(send.client_msg_id, WireError::new(ErrorCode::RATE_LIMITED, "too often"));
        } else {
            handle.send(DeviceId(1), send.clone());
        }
    }
    let mut answered = Vec::new();
    while answered.len() < sends.len() {
        let Out::Frame(bytes) = soon("an answer", attachment.next()).await else { continue };
        for frame in frames(&bytes) {
            match frame {
                ChannelDown::Ack(ack) => answered.push((ack.client_msg_id, true)),
                ChannelDown::Refused(refused) => answered.push((refused.client_msg_id, false)),
                _ => {}
            }
        }
    }
    let expected = sends.iter().enumerate().map(|(number, send)| (send.client_msg_id, number % 3 != 0));
    assert_eq!(answered, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn sends_in_flight_are_bounded_by_making_the_reader_wait() {
    let world = World::new(HubConfig { in_flight_max: 2, ..HubConfig::default() }).await;
    let mut attachment = world.attach(0, None).await;
    let handle = attachment.handle();
    handle.send(DeviceId(1), world.publish(0, message("one")).send);
    soon("room", handle.room()).await;
    handle.send(DeviceId(1), world.publish(0, message("two")).send);
    assert!(futures_util::poll!(Box::pin(handle.room())).is_pending());
    assert_eq!(read(&mut attachment, 2).await.0.len(), 2);
    soon("room", handle.room()).await;
}

#[tokio::test]
async fn positions_are_told_when_they_move() {
    let world = World::new(HubConfig { marks_interval_ms: 1, ..HubConfig::default() }).await;
    let mut attachment = world.attach(0, None).await;
    let seq = world.say(0, "hello").await;
    read(&mut attachment, 1).await;
    let marks = suda_schema::channel::Marks { delivered: Some(seq), read: None };
    for result in world.chat.mark(world.users[1], Some(DeviceId(5)), &[(world.channel, marks)]).await.unwrap() {
        result.unwrap();
    }
    let Out::News(news) = soon("news", attachment.next()).await else { panic!("news") };
    let frame = news.frame(Codec::Binary);
    let [ChannelDown::Marks(marks)] = &frames(&frame)[..] else { panic!("marks") };
    assert_eq!(
        marks.members.iter().map(|mark| (mark.user, mark.delivered)).collect::<Vec<_>>(),
        [(world.users[1], seq)]
    );
}

#[tokio::test]
async fn typing_reaches_the_others_and_is_not_kept_for_long() {
    let world = World::new(HubConfig { news_max: 3, ..HubConfig::default() }).await;
    let (typist, mut other) = (world.attach(0, None).await, world.attach(1, None).await);
    for _ in 0..10 {
        typist.handle().typing(6_000, &[].into());
    }
    let mut told = 0;
    while let Some(out) = other.try_next() {
        let Out::News(news) = out else { panic!("news") };
        told += u32::from(news.typist() == Some(world.users[0]));
    }
    // One who is too slow misses typing, and is given the members' positions anew.
    assert_eq!(told, 0);
    assert_eq!(world.hubs.metrics().news_missed.get(), 7);
    typist.handle().typing(0, &[].into());
    assert!(matches!(other.try_next(), Some(Out::News(_))));
    typist.handle().typing(0, &[world.users[1]].into());
    assert!(other.try_next().is_none(), "hidden from one whom the typist has blocked");
}

#[tokio::test]
async fn hubs_are_bounded_and_unused_ones_make_room() {
    let world = World::new(HubConfig { hubs_max: 1, ..HubConfig::default() }).await;
    let attachment = world.attach(0, None).await;
    let peer = world.chat.open_direct(world.users[0], world.users[1]).await.unwrap().channel;
    let refused = world.hubs.publish(peer, world.publish(0, message("hello"))).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::OVERLOADED);
    assert_eq!(world.hubs.metrics().hubs_full.get(), 1);
    drop(attachment);
    assert!(world.hubs.at_rest(SOON).await);
    soon("room for another hub", async {
        while world.hubs.publish(peer, world.publish(0, message("hello"))).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(world.hubs.count(), 1);
}

#[tokio::test]
async fn all_tails_together_are_bounded() {
    let world = World::new(HubConfig { tails_bytes_max: 3_000, ..HubConfig::default() }).await;
    let _attached = world.attach(0, None).await;
    for _ in 0..50 {
        world.say(0, &"x".repeat(200)).await;
    }
    assert!(world.hubs.metrics().tail_bytes.get() <= 3_000);
}
