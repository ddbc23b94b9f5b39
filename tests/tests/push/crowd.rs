//! A large channel beside a conversation.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use suda_schema::summary::{ChannelKind, Mute};

use super::world::World;

/// Members of the channel, all of whom have asked to be told; `SUDA_PUSH_CROWD` says another number, such as 50000.
const MEMBERS: u64 = 3_000;

fn members() -> u64 {
    std::env::var("SUDA_PUSH_CROWD").map_or(MEMBERS, |number| number.parse().expect("a number of members"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_does_not_hold_up_one() {
    let crowd = members();
    let mut world = World::new().await;
    world.config.wait_ms = 100;
    let world = &world;
    let owner = world.person().await;
    let channel = world.channel(ChannelKind::Broadcast, owner, &[]).await;
    let code = &world.chat.make_invite(owner.user, channel).await.unwrap();
    let began = Instant::now();
    let join = |_| async move {
        let (person, _) = world.apple_person().await;
        world.chat.join(person.user, code).await.unwrap();
        world.chat.set_mute(person.user, channel, Mute::Off).await.unwrap();
    };
    stream::iter(0..crowd).for_each_concurrent(16, join).await;
    eprintln!("{crowd} members after {:?}", began.elapsed());
    let (lee, token) = world.apple_person().await;
    // In the same shard as the channel: that is where it could be held up.
    let direct = loop {
        let direct = world.direct(world.person().await, lee).await;
        if direct.0 % 16 == channel.0 % 16 {
            break direct;
        }
    };
    let peer = world.chat.members(lee.user, direct, None, 2).await.unwrap();
    let kim = peer.items.iter().map(|member| member.user).find(|user| *user != lee.user).unwrap();
    let kim = super::world::Person { user: kim, device: lee.device };
    let notifier = world.notifier(1);
    let began = Instant::now();
    world.say(channel, owner, "to everybody").await;
    let mut slowest = Duration::ZERO;
    world.until("the first of the crowd", || world.providers.count() > 0).await;
    let crowd_size = usize::try_from(crowd).unwrap();
    let mut number = 0;
    while world.providers.count() - number < crowd_size * 9 / 10 {
        let said_at = Instant::now();
        world.say(direct, kim, &format!("{number}")).await;
        number += 1;
        world.until("the direct one", || world.texts(&token).len() == number).await;
        slowest = slowest.max(said_at.elapsed());
    }
    assert!(number >= 3, "the crowd was told before {number} direct ones");
    let all = crowd_size + number;
    let began_waiting = Instant::now();
    while world.providers.count() < all {
        assert!(began_waiting.elapsed() < Duration::from_secs(240), "{} of {all}", world.providers.count());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rate = crowd as f64 / began.elapsed().as_secs_f64();
    eprintln!("the slowest of {number} direct ones took {slowest:?}; {rate:.0} pushes/s to the crowd");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert_eq!(world.providers.wrong(), Vec::<String>::new());
    notifier.stop().await;
}
