//! The batch append: order, retries, and what each kind of send does to the log and to older rows.

use suda_schema::MediaId;
use suda_schema::entry::{Attachment, Erased};
use suda_schema::limits::EDITS_PER_MESSAGE_MAX;

use super::*;

#[tokio::test]
async fn a_batch_keeps_its_order_and_gives_what_it_wrote() {
    let world = World::new(3).await;
    let channel = world.group().await;
    let before = world.head(channel).await.0;
    let (a, b) = (world.user(0), world.user(1));
    let batch = [publish(a, 1, message("one")), publish(b, 1, message("two")), publish(a, 2, message("three"))];
    let outcome = world.chat.append(channel, &batch).await.unwrap();
    let seqs: Vec<u64> = outcome.results.iter().map(|result| result.as_ref().unwrap().seq.0).collect();
    assert_eq!(seqs, [before + 1, before + 2, before + 3]);
    assert_eq!(outcome.head, Seq(before + 3));
    let stored = world.chat.read_log(channel, Seq(before), ALL).await.unwrap();
    assert_eq!(stored.entries, outcome.entries);
    let texts: Vec<Body> = stored.entries.iter().map(|entry| message_in(entry).body).collect();
    assert_eq!(texts, [text("one"), text("two"), text("three")]);
}

#[tokio::test]
async fn a_message_and_its_changes_in_one_batch() {
    let world = World::new(2).await;
    let channel = world.group().await;
    let (a, b) = (world.user(0), world.user(1));
    let at = world.head(channel).await.next();
    let batch = [
        publish(a, 1, message("secret one")),
        publish(a, 2, edit(at, "secret two")),
        publish(b, 1, react(at, "👍", true)),
        publish(b, 2, reply(at, "answer")),
        publish(a, 3, delete(at)),
        publish(b, 3, react(at, "👍", false)),
    ];
    let outcome = world.chat.append(channel, &batch).await.unwrap();
    let codes: Vec<_> = outcome.results.iter().map(|result| result.as_ref().err().map(|error| error.code)).collect();
    assert_eq!(codes, [None, None, None, None, None, Some(ErrorCode::ERASED)]);
    let erased = Body::Erased(Erased { seq: Seq(at.0 + 4), by: a });
    let message = world.message(channel, at).await;
    assert_eq!((&message.body, message.reactions.len(), message.edited.as_ref().unwrap().count), (&erased, 0, 1));
    assert_eq!(world.message(channel, Seq(at.0 + 3)).await.thread, Some(at));
    let written = outcome.entries.iter().map(|entry| entry.decode().unwrap()).collect::<Vec<_>>();
    let log = world.log(channel).await;
    assert!(log.ends_with(&written));
    assert!(!world.holds("secret").await);
}

#[tokio::test]
async fn a_retry_gets_the_entry_of_the_first_try() {
    let world = World::new(2).await;
    let channel = world.group().await;
    let (a, b) = (world.user(0), world.user(1));
    let first = world.chat.append(channel, &[publish(a, 7, message("once"))]).await.unwrap();
    let again = [publish(a, 7, message("once")), publish(b, 7, message("mine")), publish(b, 7, message("mine"))];
    let second = world.chat.append(channel, &again).await.unwrap();
    assert_eq!(second.results[0], first.results[0]);
    assert_eq!(second.results[1], second.results[2]);
    assert_ne!(second.results[1].as_ref().unwrap().seq, first.results[0].as_ref().unwrap().seq);
    assert_eq!(second.entries.len(), 1);
    world.chat.kick(a, channel, b).await.unwrap();
    let batch = [publish(b, 7, message("mine")), publish(b, 8, message("new"))];
    let kicked = world.chat.append(channel, &batch).await.unwrap();
    assert_eq!(kicked.results[0], second.results[1], "what was taken stays taken");
    assert_eq!(kicked.results[1].as_ref().unwrap_err().code, ErrorCode::NOT_FOUND);
    assert!(kicked.entries.is_empty());
}

#[tokio::test]
async fn only_what_was_appended_rings() {
    let world = World::new(1).await;
    let channel = world.group().await;
    let a = world.user(0);
    world.rung.take();
    assert_eq!(code(world.chat.append(ChannelId(1), &[publish(a, 1, message("x"))]).await), ErrorCode::NOT_FOUND);
    assert_eq!(refusal(world.send(channel, a, message(" ")).await), ErrorCode::INVALID);
    assert!(world.rung.take().is_empty());
    world.say(channel, a, "x").await;
    assert_eq!(world.rung.take(), [Topic::Channel(channel)]);
}

#[tokio::test]
async fn a_refused_send_is_none_of_the_others_business() {
    let world = World::new(2).await;
    let channel = world.group().await;
    let (a, stranger) = (world.user(0), UserId(99));
    let batch = [
        publish(a, 1, message("\0")),
        publish(stranger, 1, message("let me in")),
        publish(a, 2, message(&"x".repeat(100_001))),
        publish(a, 3, edit(Seq(1), "a title is no message")),
        publish(a, 4, delete(Seq(9_999))),
        publish(a, 5, react(Seq(0), "👍", true)),
        publish(a, 6, reply(Seq(1), "to a title")),
        publish(a, 7, reply(Seq(9_999), "to nothing")),
        publish(a, 8, message("fine")),
    ];
    let outcome = world.chat.append(channel, &batch).await.unwrap();
    let codes: Vec<_> = outcome.results.iter().map(|result| result.as_ref().err().map(|error| error.code)).collect();
    let (invalid, not_found) = (Some(ErrorCode::INVALID), Some(ErrorCode::NOT_FOUND));
    let too_large = Some(ErrorCode::TOO_LARGE);
    assert_eq!(codes, [invalid, not_found, too_large, not_found, not_found, not_found, invalid, invalid, None]);
    assert_eq!(outcome.entries.len(), 1);
}

#[tokio::test]
async fn more_than_fits_in_a_transaction_goes_in_several() {
    let world = World::new(2).await;
    let channel = world.group().await;
    let a = world.user(0);
    let long = "x".repeat(100_000);
    let batch: Vec<_> = (0..70).map(|id| publish(a, id, message(&long))).collect();
    let outcome = world.chat.append(channel, &batch).await.unwrap();
    assert!(outcome.results.iter().all(Result::is_ok));
    assert_eq!(outcome.entries.len(), 70);
    let first = outcome.entries[0].seq.0;
    // Each of these rewrites a long row.
    let batch: Vec<_> =
        (0..70u64).map(|id| publish(a, 100 + u128::from(id), react(Seq(first + id), "👍", true))).collect();
    let outcome = world.chat.append(channel, &batch).await.unwrap();
    assert!(outcome.results.iter().all(Result::is_ok));
    assert!(outcome.entries.windows(2).all(|pair| pair[0].seq.next() == pair[1].seq));
    assert_eq!(world.message(channel, Seq(first + 69)).await.reactions[0].count, 1);
    let batch: Vec<_> = (0..600).map(|id| publish(a, 1_000 + id, message("short"))).collect();
    assert_eq!(world.chat.append(channel, &batch).await.unwrap().entries.len(), 600);
}

#[tokio::test]
async fn time_in_a_log_never_goes_backward() {
    let world = World::new(1).await;
    let channel = world.group().await;
    world.chat.clock().advance_ms(1_000);
    let later = world.send(channel, world.user(0), message("x")).await.unwrap().at_ms;
    let (chat, _) = testing::over(world.chat.store().clone(), Default::default());
    assert!(chat.clock().now_ms() < later);
    let outcome = chat.append(channel, &[publish(world.user(0), 1, message("y"))]).await.unwrap();
    assert_eq!(outcome.results[0].as_ref().unwrap().at_ms, later);
}

#[tokio::test]
async fn an_edit_shows_in_the_message_and_in_the_preview() {
    let world = World::new(3).await;
    let channel = world.group().await;
    let (a, b) = (world.user(0), world.user(1));
    let seq = world.say(channel, a, "before").await;
    assert_eq!(refusal(world.send(channel, b, edit(seq, "mine now")).await), ErrorCode::FORBIDDEN);
    let mentioning = NewEdit { mentions: vec![b, UserId(99), b], ..edit(seq, "after") };
    let ack = world.send(channel, a, mentioning).await.unwrap();
    let message = world.message(channel, seq).await;
    assert_eq!((message.body, message.mentions), (text("after"), vec![b]));
    let edited = message.edited.unwrap();
    assert_eq!((edited.seq, edited.at_ms, edited.count), (ack.seq, ack.at_ms, 1));
    let summary = world.chat.channel(b, channel).await.unwrap();
    assert_eq!(summary.preview.unwrap().text, "after");
    assert_eq!(summary.unread, 1, "an edit is no message");
    assert_eq!(refusal(world.send(channel, a, edit(seq, "")).await), ErrorCode::INVALID);
    for _ in 1..EDITS_PER_MESSAGE_MAX {
        world.send(channel, a, edit(seq, "again")).await.unwrap();
    }
    assert_eq!(refusal(world.send(channel, a, edit(seq, "once more")).await), ErrorCode::LIMIT_REACHED);
    world.send(channel, a, delete(seq)).await.unwrap();
    assert!(!world.holds("again").await);
    assert_eq!(refusal(world.send(channel, a, edit(seq, "from the dead")).await), ErrorCode::ERASED);
}

#[tokio::test]
async fn a_deletion_leaves_nothing_of_the_message() {
    let world = World::new(3).await;
    let channel = world.group().await;
    let (owner, b, c) = (world.user(0), world.user(1), world.user(2));
    let long = format!("needle {}", "🦀".repeat(99_000));
    let attachment = Attachment {
        media: MediaId(1),
        name: "needle.png".to_owned(),
        media_type: "image/png".to_owned(),
        bytes: 1,
        size_px: None,
        preview: Some("needle".to_owned()),
    };
    let new = NewMessage { attachments: vec![attachment], mentions: vec![c], ..message(&long) };
    let seq = world.send(channel, b, new).await.unwrap().seq;
    world.send(channel, b, edit(seq, &format!("needle again {}", "y".repeat(90_000)))).await.unwrap();
    world.send(channel, c, react(seq, "👍", true)).await.unwrap();
    assert!(world.holds("needle").await);
    assert_eq!(refusal(world.send(channel, c, delete(seq)).await), ErrorCode::FORBIDDEN);
    let ack = world.send(channel, owner, delete(seq)).await.unwrap();
    assert!(!world.holds("needle").await);
    let message = world.message(channel, seq).await;
    assert_eq!(message.body, Body::Erased(Erased { seq: ack.seq, by: owner }));
    assert!(message.mentions.is_empty() && message.attachments.is_empty() && message.reactions.is_empty());
    let summary = world.chat.channel(c, channel).await.unwrap();
    assert_eq!((summary.preview.unwrap().text.as_str(), summary.unread), ("", 1));
    assert_eq!(refusal(world.send(channel, b, delete(seq)).await), ErrorCode::ERASED);
    assert_eq!(refusal(world.send(channel, b, react(seq, "👍", true)).await), ErrorCode::ERASED);
    let answer = world.send(channel, b, reply(seq, "what was it?")).await.unwrap().seq;
    assert_eq!(world.message(channel, answer).await.thread, Some(seq));
}

#[tokio::test]
async fn a_reaction_counts_once_for_each_user() {
    let world = World::new(2).await;
    let channel = world.group().await;
    let (a, b) = (world.user(0), world.user(1));
    let seq = world.say(channel, a, "hello").await;
    for (user, emoji, on) in [(a, "👍", true), (a, "👍", true), (b, "👍", true), (b, "🎉", true), (b, "x", false)]
    {
        world.send(channel, user, react(seq, emoji, on)).await.unwrap();
    }
    let shown = |message: Message| -> Vec<_> {
        message.reactions.into_iter().map(|reaction| (reaction.emoji, reaction.count, reaction.users)).collect()
    };
    let reactions = shown(world.message(channel, seq).await);
    assert_eq!(reactions, [("👍".to_owned(), 2, vec![a, b]), ("🎉".to_owned(), 1, vec![b])]);
    let batch = [
        publish(a, 1, react(seq, "👍", false)),
        publish(a, 2, react(seq, "👍", false)),
        publish(b, 1, react(seq, "🎉", false)),
        publish(b, 2, react(seq, "🎉", true)),
        publish(b, 3, react(seq, "🎉", false)),
    ];
    assert!(world.chat.append(channel, &batch).await.unwrap().results.iter().all(Result::is_ok));
    assert_eq!(shown(world.message(channel, seq).await), [("👍".to_owned(), 1, vec![b])]);
}

#[tokio::test]
async fn reactions_have_limits_and_the_count_goes_on() {
    let mut world = World::with(100, |config| config.limits.group_members_max = 150).await;
    let channel = world.group().await;
    let more = [world.join_in().await, world.join_in().await];
    world.chat.add_members(world.user(0), channel, &more).await.unwrap();
    let seq = world.say(channel, world.user(0), "hello").await;
    let batch: Vec<_> = world.users.iter().map(|&user| publish(user, 1, react(seq, "👍", true))).collect();
    world.chat.append(channel, &batch).await.unwrap();
    let reaction = world.message(channel, seq).await.reactions.remove(0);
    assert_eq!((reaction.count, reaction.users.len()), (102, 100));
    // One that is counted but not listed is taken back, and can't be twice.
    for _ in 0..2 {
        world.send(channel, more[1], react(seq, "👍", false)).await.unwrap();
    }
    let reaction = world.message(channel, seq).await.reactions.remove(0);
    assert_eq!((reaction.count, reaction.users.len()), (101, 100));
    let batch: Vec<_> = (0..32).map(|n| publish(more[0], 100 + n, react(seq, &format!("e{n}"), true))).collect();
    let outcome = world.chat.append(channel, &batch).await.unwrap();
    assert_eq!(outcome.results.iter().filter(|result| result.is_ok()).count(), 31);
    assert_eq!(outcome.results[31].as_ref().unwrap_err().code, ErrorCode::LIMIT_REACHED);
}

#[tokio::test]
async fn threads_are_found_by_the_server_and_mentions_are_members() {
    let world = World::new(3).await;
    let channel = world.group().await;
    let (a, b) = (world.user(0), world.user(1));
    let root = world.say(channel, a, "root").await;
    let first = world.send(channel, b, reply(root, "first")).await.unwrap().seq;
    let mentions = vec![b, UserId(77), a, b];
    let second = world.send(channel, a, NewMessage { mentions, ..reply(first, "second") }).await.unwrap().seq;
    let message = world.message(channel, second).await;
    assert_eq!((message.reply_to, message.thread, message.mentions), (Some(first), Some(root), vec![b, a]));
}

#[tokio::test]
async fn the_outbox_has_a_row_for_each_message_where_somebody_takes_them() {
    let world = World::with(2, |config| config.limits.push_outbox = true).await;
    let channel = world.group().await;
    let (a, b) = (world.user(0), world.user(1));
    let notes = world.chat.open_direct(a, a).await.unwrap().channel;
    world.say(notes, a, "to myself").await;
    assert!(world.outbox().await.is_empty());
    let batch = [publish(a, 1, message("one")), publish(b, 1, message("two")), publish(a, 2, react(Seq(1), "x", true))];
    world.chat.append(channel, &batch).await.unwrap();
    let seq = world.head(channel).await;
    world.send(channel, a, NewMessage { mentions: vec![b], ..reply(seq, "three") }).await.unwrap();
    let rows = world.outbox().await;
    let seen: Vec<_> = rows.iter().map(|row| (row.seq.0, row.by, row.mentions.clone(), row.answers)).collect();
    let seq = seq.0;
    assert_eq!(seen, [(seq - 1, a, vec![], None), (seq, b, vec![], None), (seq + 1, a, vec![b], Some(b))]);
    let quiet = World::new(2).await;
    quiet.say(quiet.group().await, quiet.user(0), "one").await;
    assert!(quiet.outbox().await.is_empty());
}
