//! Who is told, and what.

use suda_schema::channel::{NewMessage, Op};
use suda_schema::entry::{Body, Opaque, React};
use suda_schema::open::Activity;
use suda_schema::summary::{ChannelKind, Mute};
use suda_server::chat::profile::ProfileChange;
use suda_server::chat::push::PushKind;
use suda_server::chat::settings::{QuietHours, SettingsChange};

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_is_away_is_told_once_on_each_device() {
    let world = World::new().await;
    let (kim, (lee, apple)) = (world.person().await, world.apple_person().await);
    let browser = world.providers.subscribe("lee");
    world.chat.register_push(lee.user, lee.device, PushKind::Fcm, "google-token").await.unwrap();
    world.chat.register_push(lee.user, lee.device, PushKind::Webpush, &browser).await.unwrap();
    let notifier = world.notifier(1);
    let channel = world.direct(kim, lee).await;
    let seq = world.say(channel, kim, "hello").await;
    world.taken(3).await;
    world.settle().await;
    let taken: Vec<_> =
        world.providers.taken().into_iter().filter(|taken| taken.payload.to_string().contains("hello")).collect();
    assert_eq!(taken.len(), 3, "{taken:?}");
    let of = |provider| taken.iter().find(|taken| taken.provider == provider).unwrap().payload.clone();
    let apns = of("apns");
    assert_eq!(apns["aps"]["alert"]["body"], "hello");
    assert_eq!(apns["aps"]["badge"], 1);
    assert_eq!(apns["aps"]["thread-id"], channel.to_string());
    assert_eq!((&apns["suda"]["channel"], &apns["suda"]["seq"]), (&channel.to_string().into(), &seq.0.into()));
    assert_eq!(of("fcm")["android"]["notification"]["body"], "hello");
    assert_eq!(of("webpush")["body"], "hello");
    assert_eq!(world.texts(&apple), ["hello"]);
    assert_eq!(world.providers.logins(), 1);
    assert_eq!(world.providers.wrong(), Vec::<String>::new());
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_or_has_read_it_is_not_told() {
    let world = World::new().await;
    let (kim, (online, online_token)) = (world.person().await, world.apple_person().await);
    let ((reader, reader_token), (lost, lost_token)) = (world.apple_person().await, world.apple_person().await);
    let (idle, idle_token) = world.apple_person().await;
    world.is(online, Some(Activity::Active)).await;
    world.is(lost, Some(Activity::Active)).await;
    world.is(idle, Some(Activity::Idle)).await;
    let notifier = world.notifier(1);
    let people = [online, reader, lost, idle];
    let channel = world.channel(ChannelKind::Group, kim, &people).await;
    let seq = world.say(channel, kim, "hello").await;
    world.delivered(channel, online, seq).await;
    world.delivered(channel, idle, seq).await;
    world.read(channel, reader, seq).await;
    world.settle().await;
    for token in [&online_token, &reader_token, &lost_token, &idle_token] {
        assert_eq!(world.texts(token), Vec::<String>::new());
    }
    // Its link was dead all along: what it did not fetch is pushed when that is found out. Before what comes after it.
    world.is(lost, None).await;
    world.say(channel, kim, "again").await;
    world.until("the lost one", || world.texts(&lost_token).len() == 2).await;
    assert_eq!(world.texts(&lost_token), ["hello", "again"]);
    // Nobody has been at it for long enough.
    world.until("the idle one", || world.texts(&idle_token).len() == 2).await;
    assert_eq!(world.texts(&idle_token), ["hello", "again"]);
    world.until("the reader", || world.texts(&reader_token) == ["again"]).await;
    assert_eq!(world.texts(&online_token), Vec::<String>::new());
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutes_blocks_and_quiet_hours_are_kept() {
    let world = World::new().await;
    let kim = world.person().await;
    let mut people = Vec::new();
    for _ in 0..5 {
        people.push(world.apple_person().await);
    }
    let members: Vec<_> = people.iter().map(|(person, _)| *person).collect();
    let channel = world.channel(ChannelKind::Group, kim, &members).await;
    let [muted, mentions, answered, blocking, quiet] = members[..] else { panic!("five") };
    world.chat.set_mute(muted.user, channel, Mute::Until(Mute::FOREVER_MS)).await.unwrap();
    world.chat.set_mute(mentions.user, channel, Mute::MentionsOnly).await.unwrap();
    world.chat.set_mute(answered.user, channel, Mute::MentionsOnly).await.unwrap();
    world.chat.block(blocking.user, kim.user).await.unwrap();
    let all_day = QuietHours { from_minute: 0, to_minute: 0, days: 127 };
    let change = SettingsChange { quiet_hours: Some(Some(all_day)), ..SettingsChange::default() };
    world.chat.change_settings(quiet.user, &change).await.unwrap();
    let notifier = world.notifier(1);
    world.say(channel, kim, "nobody").await;
    let theirs = world.say(channel, answered, "mine").await;
    let all = members.iter().map(|person| person.user).collect();
    world.send(channel, kim, "mentioned", None, all).await;
    world.send(channel, kim, "answered", Some(theirs), Vec::new()).await;
    world.until("the answer", || world.texts(&people[2].1).len() == 2).await;
    world.settle().await;
    let texts = |at: usize| world.texts(&people[at].1);
    assert_eq!(texts(0), Vec::<String>::new());
    assert_eq!(texts(1), ["mentioned"]);
    assert_eq!(texts(2), ["mentioned", "answered"]);
    assert_eq!(texts(3), ["mine"]);
    assert_eq!(texts(4), Vec::<String>::new());
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_badge_is_exact_and_what_was_read_is_taken_away() {
    let world = World::new().await;
    let (kim, (lee, token)) = (world.person().await, world.apple_person().await);
    let notifier = world.notifier(1);
    let direct = world.direct(kim, lee).await;
    let group = world.channel(ChannelKind::Group, kim, &[lee]).await;
    let muted = world.channel(ChannelKind::Group, kim, &[lee]).await;
    world.chat.set_mute(lee.user, muted, Mute::Until(Mute::FOREVER_MS)).await.unwrap();
    world.say(muted, kim, "not counted").await;
    let badges = || {
        let taken = world.providers.taken();
        let mine = taken.iter().filter(|taken| taken.token == token);
        mine.map(|taken| taken.payload["aps"]["badge"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let first = world.say(direct, kim, "one").await;
    world.until("one", || badges() == [1]).await;
    world.say(group, kim, "two").await;
    world.until("two", || badges() == [1, 2]).await;
    // On another device; this one is told to take it away.
    world.read(direct, lee, first).await;
    world.until("the dismissal", || badges() == [1, 2, 1]).await;
    let last = world.providers.taken().pop().unwrap();
    assert_eq!(last.payload["suda"]["type"], "read");
    assert_eq!(last.payload["suda"]["seq"], first.0);
    assert_eq!(last.payload["aps"]["alert"], serde_json::Value::Null);
    world.say(group, kim, "three").await;
    world.until("three", || badges() == [1, 2, 1, 2]).await;
    // What nobody was told of needs no taking away.
    world.read(muted, lee, suda_schema::Seq(3)).await;
    let target = world.say(direct, lee, "mine").await;
    world.op(direct, kim, Op::React(React { target, emoji: "👍".to_owned(), on: true })).await;
    world.until("the reaction", || badges().len() == 5).await;
    let last = world.providers.taken().pop().unwrap();
    assert_eq!(last.payload["aps"]["alert"]["loc-key"], "SUDA_REACTION");
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_where_nothing_is_to_be_shown() {
    let world = World::new().await;
    let (kim, (lee, token)) = (world.person().await, world.apple_person().await);
    let change = SettingsChange { push_preview: Some(false), ..SettingsChange::default() };
    world.chat.change_settings(lee.user, &change).await.unwrap();
    let channel = world.direct(kim, lee).await;
    world.say(channel, kim, "secret").await;
    let notifier = world.notifier(1);
    world.taken(1).await;
    let payload = world.providers.taken().pop().unwrap().payload;
    assert_eq!(payload["aps"]["alert"]["loc-key"], "SUDA_NEW_MESSAGE", "{token}");
    assert!(!payload.to_string().contains("secret") && !payload.to_string().contains("user_"));
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_broadcast_are_told_if_they_have_asked_for_it() {
    let world = World::new().await;
    let owner = world.person().await;
    let [(asked, asked_token), (silent, silent_token)] = [world.apple_person().await, world.apple_person().await];
    let channel = world.channel(ChannelKind::Broadcast, owner, &[asked, silent]).await;
    world.chat.set_mute(asked.user, channel, Mute::Off).await.unwrap();
    let notifier = world.notifier(1);
    world.say(channel, owner, "to everybody").await;
    world.until("the one who has asked", || world.texts(&asked_token) == ["to everybody"]).await;
    world.settle().await;
    assert_eq!(world.texts(&silent_token), Vec::<String>::new());
    // Whoever is mentioned is told.
    world.send(channel, owner, "to you", None, vec![silent.user]).await;
    world.until("the one who is mentioned", || world.texts(&silent_token) == ["to you"]).await;
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_are_those_of_the_users_time_zone() {
    let world = World::new().await;
    let kim = world.person().await;
    // The two hours around now, as clocks in Honolulu show them, where there is no summer time.
    let minute = i64::try_from(world.chat.clock().now_ms() / 60_000).unwrap();
    let of_day = |minute: i64| u16::try_from(minute.rem_euclid(1_440)).unwrap();
    let there = minute - 600;
    let hours = QuietHours { from_minute: of_day(there - 60), to_minute: of_day(there + 60), days: 127 };
    let mut tokens = Vec::new();
    let notifier = world.notifier(1);
    for zone in ["Pacific/Honolulu", "Asia/Seoul"] {
        let (lee, token) = world.apple_person().await;
        let profile = ProfileChange { time_zone: Some(zone.to_owned()), ..ProfileChange::default() };
        world.chat.change_profile(lee.user, &profile).await.unwrap();
        let change = SettingsChange { quiet_hours: Some(Some(hours)), ..SettingsChange::default() };
        world.chat.change_settings(lee.user, &change).await.unwrap();
        let channel = world.direct(kim, lee).await;
        world.say(channel, kim, zone).await;
        tokens.push(token);
    }
    world.until("Seoul", || world.texts(&tokens[1]) == ["Asia/Seoul"]).await;
    world.settle().await;
    assert_eq!(world.texts(&tokens[0]), Vec::<String>::new());
    notifier.stop().await;
}

/// On all platforms what was read elsewhere is taken away; on browsers only where the operator wants it.
#[tokio::test(flavor = "multi_thread")]
async fn google_and_browsers_take_away_what_was_read_elsewhere() {
    for dismiss in [true, false] {
        let mut world = World::new().await;
        world.config.webpush.as_mut().unwrap().dismiss = dismiss;
        let (kim, lee) = (world.person().await, world.person().await);
        let browser = world.providers.subscribe("lee");
        for (kind, token) in [(PushKind::Fcm, "google"), (PushKind::Webpush, &*browser)] {
            world.chat.register_push(lee.user, lee.device, kind, token).await.unwrap();
        }
        let notifier = world.notifier(1);
        let channel = world.direct(kim, lee).await;
        let seq = world.say(channel, kim, "hello").await;
        world.taken(2).await;
        world.settle().await;
        world.read(channel, lee, seq).await;
        let read = || -> Vec<_> {
            let taken = world.providers.taken().into_iter();
            taken.filter(|taken| taken.collapse_id.starts_with("r-")).collect()
        };
        let count = if dismiss { 2 } else { 1 };
        world.until("the dismissal", || read().len() == count).await;
        world.settle().await;
        let read = read();
        assert_eq!(read.len(), count, "{read:?}");
        for taken in &read {
            let data = if taken.provider == "fcm" { &taken.payload["data"] } else { &taken.payload };
            assert_eq!(
                (&data["type"], data["seq"].to_string().trim_matches('"')),
                (&"read".into(), &*seq.0.to_string())
            );
            assert_eq!(data["badge"].to_string().trim_matches('"'), "0");
            assert!(taken.payload["android"]["notification"].is_null() && taken.payload["title"].is_null());
        }
        assert_eq!(world.providers.wrong(), Vec::<String>::new());
        notifier.stop().await;
    }
}

/// What only the clients can read says nothing, and the app is asked to make something of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_clients_can_read_is_not_said() {
    let world = World::new().await;
    let (kim, (lee, token)) = (world.person().await, world.apple_person().await);
    let notifier = world.notifier(1);
    let channel = world.direct(kim, lee).await;
    let body = Body::Opaque(Opaque { scheme: "mls/1".to_owned(), bytes: b"sealed words".to_vec() });
    let message = NewMessage { body, reply_to: None, mentions: Vec::new(), attachments: Vec::new() };
    world.op(channel, kim, Op::Message(message)).await;
    world.taken(1).await;
    let payload = world.providers.taken().pop().unwrap().payload;
    assert_eq!(
        payload["aps"]["alert"],
        serde_json::json!({ "loc-key": "SUDA_NEW_MESSAGE", "loc-args": [] }),
        "{token}"
    );
    assert_eq!(payload["aps"]["mutable-content"], 1);
    notifier.stop().await;
}
