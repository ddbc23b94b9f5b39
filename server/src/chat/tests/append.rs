//! The batch append.

use suda_schema::entry::Erased;

use super::*;

#[tokio::test]
async fn a_batch_keeps_its_order_and_gives_what_it_wrote() {
    let world = World::new(3).await;
    let channel = world.group().await;
    let before = world.log(channel).await.len() as u64;
    let (a, b) = (world.user(0), world.user(1));
    let batch = [publish(a, 1, message("one")), publish(b, 1, message("two")), publish(a, 2, message("three"))];
    let outcome = world.chat.append(channel, &batch).await.unwrap();
    let seqs: Vec<u64> = outcome.results.iter().map(|result| result.as_ref().unwrap().seq.0).collect();
    assert_eq!(seqs, [before + 1, before + 2, before + 3]);
    assert_eq!(outcome.head, Seq(before + 3));
    let stored = world.chat.read_log(channel, Seq(before), ALL).await.unwrap();
    assert_eq!(stored.entries, outcome.entries);
    let texts: Vec<Body> = stored
        .entries
        .iter()
        .map(|entry| match entry.decode().unwrap().what {
            What::Message(message) => message.body,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, [text("one"), text("two"), text("three")]);
}

#[tokio::test]
async fn a_message_and_its_changes_in_one_batch() {
    let world = World::new(2).await;
    let channel = world.group().await;
    let (a, b) = (world.user(0), world.user(1));
    let at = Seq(world.log(channel).await.len() as u64 + 1);
    let edit = |words| NewEdit { target: at, body: text(words), mentions: Vec::new() };
    let batch = [
        publish(a, 1, message("secret one")),
        publish(a, 2, edit("secret two")),
        publish(b, 1, react(at, "👍", true)),
        publish(b, 2, NewMessage { reply_to: Some(at), ..message("answer") }),
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
    assert!(!format!("{written:?}").contains("secret"));
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
    let kicked = world.chat.append(channel, &[publish(b, 7, message("mine")), publish(b, 8, message("new"))]).await;
    let kicked = kicked.unwrap();
    assert_eq!(kicked.results[0], second.results[1], "what was taken stays taken");
    assert_eq!(kicked.results[1].as_ref().unwrap_err().code, ErrorCode::NOT_FOUND);
    assert!(kicked.entries.is_empty());
    world.rung.take();
    assert_eq!(
        code(world.chat.append(ChannelId(1), &[]).await.and(world.chat.append(ChannelId(1), &again).await)),
        ErrorCode::NOT_FOUND
    );
    assert!(world.rung.take().is_empty());
    world.say(channel, a, "ring").await;
    assert_eq!(world.rung.take(), [Topic::Channel(channel)]);
}
