//! What goes wrong, and what comes of it.

use std::time::{Duration, Instant};

use serde_json::json;
use suda_server::chat::push::PushKind;
use suda_server::notifier::{NotifierConfig, dead};
use suda_tests::providers::Mood;

use super::world::World;

/// `SUDA_PUSH_DOWN_S=180` is the long form, with the pauses that a node has by default.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_gets_all_of_it_later_in_order_and_without_a_storm() {
    let mut world = World::new().await;
    let long = std::env::var("SUDA_PUSH_DOWN_S").ok().map(|seconds| seconds.parse().expect("a number of seconds"));
    if long.is_some() {
        let NotifierConfig { backoff, breaker, .. } = NotifierConfig::default();
        (world.config.backoff, world.config.breaker) = (backoff, breaker);
    }
    let world = &world;
    let kim = world.person().await;
    let mut pairs = Vec::new();
    for _ in 0..20 {
        let (lee, token) = world.apple_person().await;
        pairs.push((world.direct(kim, lee).await, token));
    }
    let (google, _) = (world.person().await, ());
    world.chat.register_push(google.user, google.device, PushKind::Fcm, "google").await.unwrap();
    let with_google = world.direct(kim, google).await;
    world.providers.set("apns", Mood::Answer(503, None, json!({ "reason": "ServiceUnavailable" })));
    let notifier = world.notifier(1);
    let said: Vec<String> = (0..10).map(|number| format!("message {number}")).collect();
    for text in &said {
        for (channel, _) in &pairs {
            world.say(*channel, kim, text).await;
        }
    }
    world.say(with_google, kim, "not held up").await;
    world.until("Google's", || world.providers.count() == 1).await;
    tokio::time::sleep(Duration::from_secs(long.unwrap_or(3))).await;
    let in_vain = world.providers.requests();
    assert!(in_vain < 200, "{in_vain} requests to a provider that is down");
    world.providers.set("apns", Mood::Well);
    let began = Instant::now();
    // The breaker may have to be waited for, and then a held one.
    let NotifierConfig { backoff, breaker, .. } = &world.config;
    let patience = Duration::from_millis(breaker.open_ms_max + backoff.most_ms) + Duration::from_secs(30);
    world.until_within(patience, "all of it", || world.providers.count() >= 201).await;
    println!("{in_vain} requests while it was down; all was told {:?} after", began.elapsed());
    for (_, token) in &pairs {
        assert_eq!(world.texts(token), said);
    }
    world.settle().await;
    assert_eq!(world.providers.count(), 202, "none is sent twice");
    // Each lane sends its next when the one before is taken.
    assert!(world.providers.most_at_once() <= 21, "{} at once", world.providers.most_at_once());
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_end_are_made_anew() {
    let world = World::new().await;
    let (kim, (lee, token)) = (world.person().await, world.apple_person().await);
    let channel = world.direct(kim, lee).await;
    let notifier = world.notifier(1);
    for (number, mood) in (1..).zip([
        Mood::GoAway,
        Mood::Reset,
        Mood::Garbage,
        Mood::Answer(429, Some(1), json!({ "reason": "TooManyRequests" })),
        Mood::Answer(403, None, json!({ "reason": "ExpiredProviderToken" })),
        Mood::Slow(Duration::from_millis(500)),
        Mood::Well,
    ]) {
        world.providers.next("apns", mood);
        world.say(channel, kim, &format!("{number}")).await;
        world.until("the next", || world.providers.visible(&token) == number).await;
    }
    let mut texts = world.texts(&token);
    texts.dedup();
    assert_eq!(texts, ["1", "2", "3", "4", "5", "6", "7"]);
    assert!(world.providers.connections() >= 3);
    assert_eq!(world.providers.wrong(), Vec::<String>::new());
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_kept_and_can_be_sent_again() {
    let mut world = World::new().await;
    world.config.useful_ms = 3_000;
    let (kim, (lee, token)) = (world.person().await, world.apple_person().await);
    let channel = world.direct(kim, lee).await;
    world.providers.next("apns", Mood::Answer(400, None, json!({ "reason": "BadTopic" })));
    let notifier = world.notifier(1);
    world.say(channel, kim, "refused").await;
    world.until("a request", || world.providers.requests() == 1).await;
    world.settle().await;
    let letters = dead::list(&world.chat, None, 10).await.unwrap().dead;
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason.as_str(), letters[0].user), ("BadTopic", lee.user));
    assert!(!letters[0].token.contains(&token));
    let which = dead::Which { reason: Some("BadTopic".to_owned()), ..dead::Which::default() };
    assert_eq!(dead::requeue(&world.chat, &which).await.unwrap(), 1);
    world.until("it", || world.texts(&token) == ["refused"]).await;
    assert_eq!(dead::list(&world.chat, None, 10).await.unwrap().dead, []);
    // What is worth nothing any more is given up.
    world.providers.set("apns", Mood::Answer(503, None, json!({})));
    world.say(channel, kim, "too late").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let letters = dead::list(&world.chat, None, 10).await.unwrap().dead;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(dead::purge(&world.chat, &dead::Which::default()).await.unwrap(), 1);
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_notifier_dies_another_takes_over_and_nothing_is_shown_twice() {
    let world = World::new().await;
    let kim = world.person().await;
    let mut pairs = Vec::new();
    for _ in 0..32 {
        let (lee, token) = world.apple_person().await;
        pairs.push((world.direct(kim, lee).await, token));
    }
    // It is taken, and the answer does not come before the end.
    world.providers.set("apns", Mood::Reset);
    let (first, second) = (world.notifier(1), world.notifier(2));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for (channel, _) in &pairs {
        world.say(*channel, kim, "hello").await;
    }
    world.until("something", || world.providers.count() >= 4).await;
    drop(first);
    world.providers.set("apns", Mood::Well);
    let all = || pairs.iter().all(|(_, token)| world.providers.visible(token) == 1);
    world.until("all of it", all).await;
    for (channel, _) in &pairs {
        world.say(*channel, kim, "again").await;
    }
    world.until("all of it", || pairs.iter().all(|(_, token)| world.providers.visible(token) == 2)).await;
    second.stop().await;
    // What was let go is taken at once.
    let third = world.notifier(3);
    for (channel, _) in &pairs {
        world.say(*channel, kim, "once more").await;
    }
    world.until("all of it", || pairs.iter().all(|(_, token)| world.providers.visible(token) == 3)).await;
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_cannot_make_the_node_call_inside_its_network() {
    let mut world = World::new().await;
    world.config.webpush.as_mut().unwrap().exempt.0.clear();
    let (kim, lee) = (world.person().await, world.person().await);
    let browser = world.providers.subscribe("lee");
    let by_name = browser.replace("127.0.0.1", "localhost");
    for subscription in [&browser, &by_name] {
        world.chat.register_push(lee.user, lee.device, PushKind::Webpush, subscription).await.unwrap();
    }
    let channel = world.direct(kim, lee).await;
    world.say(channel, kim, "hello").await;
    let notifier = world.notifier(1);
    world.settle().await;
    let letters = dead::list(&world.chat, None, 10).await.unwrap().dead;
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(letters.iter().all(|letter| letter.reason == "address_forbidden"), "{letters:?}");
    assert!(world.providers.taken().iter().all(|taken| taken.provider != "webpush"));
    let plain = browser.replace("https://", "http://");
    assert!(world.chat.register_push(lee.user, lee.device, PushKind::Webpush, &plain).await.is_err());
    notifier.stop().await;
}
