//! Addresses that change, and those that are none any more.

use std::time::Duration;

use serde_json::json;
use suda_server::chat::push::PushKind;
use suda_server::notifier::ProviderLabel;
use suda_tests::providers::Mood;

use super::world::{Person, World};

/// The device has another token from now on; the old one is none any more.
async fn rotate(world: &World, person: Person, old: &str) -> String {
    let new = format!("{old}ff");
    world.chat.register_push(person.user, person.device, PushKind::Apns, &new).await.unwrap();
    world.providers.forget(old, world.chat.clock().now_ms() + 60_000);
    new
}

/// The tokens of somebody's devices.
async fn tokens(world: &World, person: Person) -> Vec<String> {
    let known = world.chat.push_tokens(person.user).await.unwrap();
    known.into_iter().map(|(_, push)| push.token).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_to_a_token_that_was_replaced_goes_to_the_new_one() {
    let world = World::new().await;
    let kim = world.person().await;
    let notifier = world.notifier(1);
    let mut people = Vec::new();
    for _ in 0..8 {
        let (lee, old) = world.apple_person().await;
        people.push((lee, world.direct(kim, lee).await, old));
    }
    for (_, channel, _) in &people {
        world.say(*channel, kim, "before").await;
    }
    world.taken(8).await;
    world.providers.set("apns", Mood::Busy);
    for text in ["one", "two", "three"] {
        for (_, channel, _) in &people {
            world.say(*channel, kim, text).await;
        }
    }
    // The first of each is under way to the old token.
    world.until("eight under way", || world.providers.requests() == 16).await;
    let mut new = Vec::new();
    for (lee, _, old) in &people {
        new.push(rotate(&world, *lee, old).await);
    }
    world.providers.set("apns", Mood::Well);
    world.until("all of it", || new.iter().all(|token| world.texts(token).len() >= 3)).await;
    for (_, channel, _) in &people {
        world.say(*channel, kim, "after").await;
    }
    world.until("what came after", || new.iter().all(|token| world.texts(token).len() >= 4)).await;
    world.settle().await;
    for ((lee, _, old), new) in people.iter().zip(&new) {
        assert_eq!(world.texts(old), ["before"]);
        assert_eq!(world.texts(new), ["one", "two", "three", "after"]);
        assert_eq!(tokens(&world, *lee).await, std::slice::from_ref(new));
    }
    assert_eq!(world.providers.wrong(), Vec::<String>::new());
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_change_while_much_is_said_lose_nothing() {
    let world = World::new().await;
    let kim = world.person().await;
    world.providers.set("apns", Mood::Slow(Duration::from_millis(15)));
    let notifier = world.notifier(1);
    let mut people = Vec::new();
    for _ in 0..10 {
        let (lee, token) = world.apple_person().await;
        people.push((lee, world.direct(kim, lee).await, vec![token]));
    }
    let said: Vec<String> = (0..30).map(|number| format!("{number}")).collect();
    for (number, text) in said.iter().enumerate() {
        for (at, (lee, channel, tokens)) in people.iter_mut().enumerate() {
            world.say(*channel, kim, text).await;
            // Three times, each at another moment.
            if number % 10 == at {
                let new = rotate(&world, *lee, tokens.last().unwrap()).await;
                tokens.push(new);
            }
        }
    }
    let shown = |tokens: &[String]| -> Vec<String> {
        let mut texts: Vec<String> = tokens.iter().flat_map(|token| world.texts(token)).collect();
        texts.dedup();
        texts
    };
    world.until("all of it", || people.iter().all(|(.., tokens)| shown(tokens).len() >= said.len())).await;
    world.settle().await;
    for (lee, _, tokens) in &people {
        assert_eq!(shown(tokens), said);
        assert_eq!(self::tokens(&world, *lee).await, tokens[tokens.len() - 1..]);
    }
    notifier.stop().await;
}

/// Apple says of a token that it is bad, and gives no time; meanwhile the device has said that it is good.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_that_was_registered_again_meanwhile_stays() {
    let world = World::new().await;
    let (kim, (lee, token), (lim, bad)) =
        (world.person().await, world.apple_person().await, world.apple_person().await);
    let notifier = world.notifier(1);
    world.providers.set("apns", Mood::Busy);
    for person in [lee, lim] {
        let channel = world.direct(kim, person).await;
        world.say(channel, kim, "hello").await;
    }
    world.until("two under way", || world.providers.requests() == 2).await;
    world.chat.register_push(lee.user, lee.device, PushKind::Apns, &token).await.unwrap();
    for _ in 0..2 {
        world.providers.next("apns", Mood::Answer(400, None, json!({ "reason": "BadDeviceToken" })));
    }
    // What those that wait are answered.
    world.providers.set("apns", Mood::Well);
    world.until("it", || world.texts(&token) == ["hello"]).await;
    world.settle().await;
    assert_eq!(tokens(&world, lee).await, [token]);
    assert_eq!((tokens(&world, lim).await, world.texts(&bad)), (vec![], vec![]));
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_none_any_more_are_removed_unless_registered_since() {
    let world = World::new().await;
    let (kim, (lee, token), (lim, late)) =
        (world.person().await, world.apple_person().await, world.apple_person().await);
    let browser = world.providers.subscribe("lee");
    world.chat.register_push(lee.user, lee.device, PushKind::Webpush, &browser).await.unwrap();
    world.chat.register_push(lee.user, lee.device, PushKind::Fcm, "google").await.unwrap();
    let now_ms = world.chat.clock().now_ms();
    world.providers.forget(&token, now_ms + 1_000);
    world.providers.forget("google", 0);
    world.providers.forget("lee", 0);
    world.providers.forget(&late, now_ms - 60_000);
    let notifier = world.notifier(1);
    for person in [lee, lim] {
        let channel = world.direct(kim, person).await;
        world.say(channel, kim, "hello").await;
    }
    world.until("four requests", || world.providers.requests() >= 4).await;
    world.settle().await;
    assert_eq!(world.chat.push_tokens(lee.user).await.unwrap(), []);
    assert_eq!(world.chat.push_tokens(lim.user).await.unwrap().len(), 1);
    assert_eq!(world.metrics.tokens_removed.get_or_create(&ProviderLabel { provider: "fcm" }).get(), 1);
    // One was looked at once more, in vain, and then given up. The witness has one.
    assert_eq!(world.providers.requests(), 4 + 1 + 1);
    notifier.stop().await;
}
