//! Taking along and erasing all that a user has said.

use suda_schema::entry::Role;

use super::*;

#[tokio::test]
async fn an_account_that_goes_leaves_no_words_behind() {
    let world = World::new(3).await;
    let [a, b, c] = [0, 1, 2].map(|index| world.user(index));
    let group = world.group().await;
    let left = world.group().await;
    let broadcast = world.channel(ChannelKind::Broadcast).await;
    let direct = world.chat.open_direct(a, b).await.unwrap().channel;
    let notes = world.chat.open_direct(a, a).await.unwrap().channel;
    for channel in [group, left, broadcast, direct, notes] {
        for n in 0..130 {
            world.say(channel, a, &format!("needle {n}")).await;
        }
    }
    let edited = world.head(group).await;
    world.send(group, a, edit(edited, "needle again")).await.unwrap();
    let deleted = Seq(edited.0 - 1);
    world.send(group, a, delete(deleted)).await.unwrap();
    let kept = world.say(group, b, "kept words").await;
    let kept_too = world.say(direct, b, "kept too").await;
    world.chat.leave(a, left).await.unwrap();

    world.chat.erase_user_from_channels(a).await.unwrap();
    assert!(!world.holds("needle").await);
    assert!(world.holds("kept words").await && world.holds("kept too").await);
    assert!(world.chat.joined_channels(a).await.unwrap().is_empty());
    assert!(world.chat.channels_written_by(a, ChannelId(0)).await.unwrap().is_empty());
    assert_eq!(world.chat.pulse(notes).await.unwrap(), None);
    assert_eq!(world.chat.pulse(broadcast).await.unwrap(), None, "nobody else could post");
    assert_eq!(world.chat.channel(b, group).await.unwrap().role, Role::Owner);
    assert_eq!(world.chat.channel(b, direct).await.unwrap().peer, Some(a));
    assert_eq!(refusal(world.send(direct, b, message("hello?")).await), ErrorCode::FORBIDDEN);
    assert!(!world.chat.member_state(direct, b).await.unwrap().unwrap().can_post);
    world.send(direct, b, delete(kept_too)).await.unwrap();
    assert_eq!(world.message(group, kept).await.body, text("kept words"));
    // What was there keeps its seq, and each deletion is said once.
    let log = world.log(group).await;
    let deletions = log.iter().filter(|entry| matches!(entry.what, What::Delete(_))).count();
    let erased = log.iter().filter(|entry| match &entry.what {
        What::Message(message) => matches!(message.body, Body::Erased(_)),
        _ => false,
    });
    assert_eq!((deletions, erased.count()), (130, 130));
    let head = world.head(group).await;
    world.chat.erase_user_from_channels(a).await.unwrap();
    assert_eq!(world.head(group).await, head, "again changes nothing");
    assert_eq!(world.chat.channel(c, group).await.unwrap().members, 2);
}

#[tokio::test]
async fn own_messages_are_read_in_pages_also_after_leaving() {
    let world = World::new(2).await;
    let channel = world.group().await;
    let (a, b) = (world.user(0), world.user(1));
    let mut own = Vec::new();
    for n in 0..10 {
        own.push(world.say(channel, b, &format!("{n}")).await);
        world.say(channel, a, "not mine").await;
    }
    world.chat.leave(b, channel).await.unwrap();
    assert_eq!(world.chat.channels_written_by(b, ChannelId(0)).await.unwrap(), [channel]);
    let (mut seen, mut after) = (Vec::new(), Some(Seq::ZERO));
    while let Some(seq) = after {
        let page = world.chat.messages_of(b, channel, seq, PageLimit { rows: 3, bytes: 1 << 20 }).await.unwrap();
        seen.extend(page.entries.iter().map(|entry| entry.seq));
        after = page.next;
    }
    assert_eq!(seen, own);
    let one = world.chat.messages_of(b, channel, Seq::ZERO, PageLimit { rows: 5, bytes: 1 }).await.unwrap();
    assert_eq!((one.entries.len(), one.next), (1, Some(own[0])));
}
