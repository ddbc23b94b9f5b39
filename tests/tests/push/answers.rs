//! What providers answer, and what comes of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use suda_server::chat::push::PushKind;
use suda_server::notifier::{ProviderLabel, dead};
use suda_tests::providers::Mood;

use super::world::{Person, World};

/// Google's way to say what is wrong.
fn google(status: u16, retry_after_s: Option<u64>, code: &str) -> Mood {
    Mood::Answer(status, retry_after_s, json!({ "error": { "details": [{ "errorCode": code }] } }))
}

fn apple(status: u16, retry_after_s: Option<u64>, reason: &str) -> Mood {
    Mood::Answer(status, retry_after_s, json!({ "reason": reason }))
}

/// Somebody with an address of each kind.
async fn reachable(world: &World) -> (Person, [String; 3]) {
    let (lee, apple) = world.apple_person().await;
    let tokens = [apple, "google".to_owned(), world.providers.subscribe("lee")];
    for (kind, token) in [(PushKind::Fcm, &tokens[1]), (PushKind::Webpush, &tokens[2])] {
        world.chat.register_push(lee.user, lee.device, kind, token).await.unwrap();
    }
    (lee, tokens)
}

fn when(world: &World, provider: &str) -> Vec<Instant> {
    let taken = world.providers.taken().into_iter();
    taken.filter(|taken| taken.provider == provider).map(|taken| taken.at).collect()
}

/// Each of these means not now: it is told, and once. Where the provider names a time, not before.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_now_is_taken_later_and_not_too_early() {
    let cases = [
        ("apns", apple(429, Some(1), "TooManyRequests"), 1),
        ("apns", apple(429, Some(1), "TooManyProviderTokenUpdates"), 1),
        ("apns", apple(500, None, "InternalServerError"), 0),
        ("apns", apple(503, Some(1), "Shutdown"), 1),
        ("fcm", google(429, Some(1), "QUOTA_EXCEEDED"), 1),
        ("fcm", google(503, Some(1), "UNAVAILABLE"), 1),
        ("fcm", google(500, None, "INTERNAL"), 0),
        ("fcm", google(401, None, "UNAUTHENTICATED"), 0),
        ("webpush", Mood::Answer(429, Some(1), Value::Null), 1),
        ("webpush", Mood::Answer(502, None, Value::Null), 0),
    ];
    for (provider, mood, seconds) in cases {
        let world = World::new().await;
        let (kim, (lee, _)) = (world.person().await, reachable(&world).await);
        let channel = world.direct(kim, lee).await;
        let notifier = world.notifier(1);
        world.providers.next(provider, mood.clone());
        world.say(channel, kim, "hello").await;
        world.taken(3).await;
        world.settle().await;
        assert_eq!(when(&world, provider).len() - usize::from(provider == "apns"), 1, "{mood:?}");
        let (late, others) = (when(&world, provider)[0], ["apns", "fcm", "webpush"].into_iter());
        let first = others.filter(|other| *other != provider).map(|other| when(&world, other)[0]).min().unwrap();
        let wait = late.saturating_duration_since(first);
        assert!(wait >= Duration::from_secs(seconds) * 9 / 10, "{mood:?}: after {wait:?}");
        // A token that Apple wants less often is not made more often, and one that Google has forgotten is made anew.
        assert_eq!(world.providers.signatures(), 2, "{mood:?}");
        assert_eq!(world.providers.logins(), if mood == google(401, None, "UNAUTHENTICATED") { 2 } else { 1 });
        assert_eq!(dead::list(&world.chat, None, 10).await.unwrap().dead, []);
        assert_eq!(world.providers.wrong(), Vec::<String>::new());
        notifier.stop().await;
    }
}

/// Each of these is about the address: it is removed, and nothing is given up.
#[tokio::test(flavor = "multi_thread")]
async fn answers_about_an_address_remove_it() {
    let invalid = json!({ "error": { "details": [
        { "errorCode": "INVALID_ARGUMENT" }, { "fieldViolations": [{ "field": "message.token" }] },
    ] } });
    let cases = [
        ("apns", apple(400, None, "BadDeviceToken")),
        ("apns", apple(410, None, "ExpiredToken")),
        ("fcm", google(404, None, "UNREGISTERED")),
        ("fcm", Mood::Answer(400, None, invalid)),
        ("webpush", Mood::Answer(404, None, Value::Null)),
        ("webpush", Mood::Answer(410, None, Value::Null)),
    ];
    for (provider, mood) in cases {
        let world = World::new().await;
        let (kim, (lee, _)) = (world.person().await, reachable(&world).await);
        let channel = world.direct(kim, lee).await;
        let notifier = world.notifier(1);
        world.providers.next(provider, mood.clone());
        world.say(channel, kim, "hello").await;
        let removed = || world.metrics.tokens_removed.get_or_create(&ProviderLabel { provider }).get() == 1;
        world.until("the removal", removed).await;
        world.settle().await;
        let left = world.chat.push_tokens(lee.user).await.unwrap();
        let left: Vec<PushKind> = left.into_iter().map(|(_, push)| push.kind).collect();
        let gone = match provider {
            "apns" => PushKind::Apns,
            "fcm" => PushKind::Fcm,
            _ => PushKind::Webpush,
        };
        assert!(left.len() == 2 && !left.contains(&gone), "{mood:?}: {left:?}");
        assert_eq!(dead::list(&world.chat, None, 10).await.unwrap().dead, []);
        notifier.stop().await;
    }
}

/// Each of these is about what we say: it is kept for the operator, and the address stays. No redirect is followed.
#[tokio::test(flavor = "multi_thread")]
async fn answers_about_the_push_give_it_up_and_keep_the_address() {
    let cases = [
        ("apns", apple(400, None, "BadTopic"), "BadTopic"),
        ("apns", apple(413, None, "PayloadTooLarge"), "PayloadTooLarge"),
        ("apns", apple(418, None, "whatever it likes"), "status_418"),
        ("fcm", google(400, None, "INVALID_ARGUMENT"), "INVALID_ARGUMENT"),
        ("fcm", google(403, None, "SENDER_ID_MISMATCH"), "SENDER_ID_MISMATCH"),
        ("webpush", Mood::Answer(307, None, Value::Null), "status_307"),
        ("webpush", Mood::Answer(413, None, Value::Null), "status_413"),
    ];
    let world = World::new().await;
    let (kim, (lee, _)) = (world.person().await, reachable(&world).await);
    let channel = world.direct(kim, lee).await;
    let notifier = world.notifier(1);
    for (number, (provider, mood, reason)) in cases.into_iter().enumerate() {
        world.providers.next(provider, mood);
        world.say(channel, kim, "hello").await;
        // The two others, and the witness.
        world.taken(number * 3 + 2).await;
        world.settle().await;
        let letters = dead::list(&world.chat, None, 10).await.unwrap().dead;
        assert_eq!(letters.last().map(|letter| letter.reason.as_str()), Some(reason));
        assert_eq!(letters.len(), number + 1, "{letters:?}");
    }
    assert_eq!(world.chat.push_tokens(lee.user).await.unwrap().len(), 3);
    notifier.stop().await;
}

/// Google's token is made anew before it ends, and not for each push.
#[tokio::test(flavor = "multi_thread")]
async fn googles_token_is_kept_and_renewed_early() {
    let world = World::new().await;
    let (kim, lee) = (world.person().await, world.person().await);
    world.chat.register_push(lee.user, lee.device, PushKind::Fcm, "google").await.unwrap();
    let channel = world.direct(kim, lee).await;
    let notifier = world.notifier(1);
    // It is renewed five minutes before its end: two seconds from now.
    world.providers.let_logins_end_after(Duration::from_secs(302));
    let began = Instant::now();
    let mut number = 0;
    while world.providers.logins() < 2 {
        number += 1;
        world.say(channel, kim, "hello").await;
        world.taken(number).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(1_900), "{:?}", began.elapsed());
    assert!(number >= 4, "{number} pushes");
    assert_eq!(world.providers.wrong(), Vec::<String>::new());
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_are_under_way_than_connections_have_room_for() {
    let mut world = World::new().await;
    (world.config.connections, world.config.streams) = (2, 3);
    world.providers.set("apns", Mood::Slow(Duration::from_millis(30)));
    let kim = world.person().await;
    let notifier = world.notifier(1);
    for _ in 0..40 {
        let (lee, _) = world.apple_person().await;
        let channel = world.direct(kim, lee).await;
        world.say(channel, kim, "hello").await;
    }
    world.taken(40).await;
    assert_eq!((world.providers.most_at_once(), world.providers.connections()), (6, 2));
    notifier.stop().await;
}

/// An app under development has its token from the sandbox.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_the_sandbox_go_to_the_sandbox() {
    let mut world = World::new().await;
    world.config.apns.as_mut().unwrap().sandbox_url = world.providers.other_url();
    let (kim, (lee, token)) = (world.person().await, world.apple_person().await);
    world.chat.register_push(lee.user, lee.device, PushKind::Apns, &format!("sandbox:{token}")).await.unwrap();
    let channel = world.direct(kim, lee).await;
    let notifier = world.notifier(1);
    world.say(channel, kim, "hello").await;
    world.taken(2).await;
    let mut hosts: Vec<String> = world.providers.taken().into_iter().map(|taken| taken.host).collect();
    hosts.sort();
    assert_eq!(hosts, ["127.0.0.1", "localhost"]);
    // One team's token serves both.
    assert_eq!(world.providers.signatures(), 1);
    notifier.stop().await;
}
