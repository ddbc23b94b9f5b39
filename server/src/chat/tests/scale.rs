//! What must not grow with the size of a channel, or of a user's list of channels.

use super::*;

#[tokio::test]
async fn a_message_to_many_costs_what_a_message_to_few_costs() {
    let mut world = World::new(1).await;
    let channel = world.channel(ChannelKind::Broadcast).await;
    let owner = world.user(0);
    let mut costs = Vec::new();
    for members in [2, 600] {
        while world.users.len() < members {
            let mut new = Vec::new();
            for _ in 0..100.min(members - world.users.len()) {
                new.push(world.join_in().await);
            }
            world.chat.add_members(owner, channel, &new).await.unwrap();
        }
        // The first message of all leaves a row more.
        world.say(channel, owner, "warm").await;
        let before = world.rows().await.len();
        world.say(channel, owner, "news").await;
        costs.push(world.rows().await.len() - before);
    }
    assert_eq!(costs, [3, 3], "the entry, its retry id, and the sender's count");
    assert_eq!(world.chat.channel(owner, channel).await.unwrap().members, 600);
    assert_eq!(world.chat.channel(world.user(599), channel).await.unwrap().unread, 2);
    world.chat.delete_channel(owner, channel).await.unwrap();
    assert!(world.chat.joined_channels(world.user(599)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_thousand_channels_are_listed_in_pages() {
    let world = World::new(2).await;
    let (a, b) = (world.user(0), world.user(1));
    for _ in 0..1_000 {
        world.chat.clock().advance_ms(1);
        world.channel(ChannelKind::Broadcast).await;
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let synced = world.chat.sync(b, after, 200).await.unwrap();
        assert_eq!(synced.channels.len(), 1_000);
        seen.extend(synced.page.channels.iter().map(|summary| (summary.last_at_ms, summary.channel)));
        after = synced.page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(seen.len() == 1_000 && seen.windows(2).all(|pair| pair[0] > pair[1]));
    world.chat.erase_user_from_channels(a).await.unwrap();
    assert!(world.chat.joined_channels(b).await.unwrap().is_empty());
}
