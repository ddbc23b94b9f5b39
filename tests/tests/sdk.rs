//! The SDK with a real node, over each transport.

use suda_client::core::io::Stopped;
use suda_client::schema::channel::HistoryAt;
use suda_client::schema::control::Status as Presence;
use suda_client::schema::error::Retry;
use suda_client::{
    Audience, Delivery, Error, ErrorCode, Event, MediaId, ProfileChange, PushKind, QuietHours, Seq, SettingsChange,
    Status,
};
use suda_tests::node::NodeProcess;
use suda_tests::people::PASSWORD;
use suda_tests::sdk::{KINDS, builder, event, example_binary, shows, sign_up, texts, within};

#[tokio::test(flavor = "multi_thread")]
async fn two_talk_over_each_transport() {
    let node = NodeProcess::start().await;
    for kind in KINDS {
        let [a, b] = ["kim", "lee"].map(|name| format!("{name}_{kind}"));
        let (kim, lee) = (sign_up(&node, &a, &[kind]).await, sign_up(&node, &b, &[kind]).await);
        assert_eq!(kim.transport(), Some(kind));
        let here = within(kim.direct(lee.user())).await.unwrap();
        let there = within(lee.direct(kim.user())).await.unwrap();
        let ack = within(here.send("hello 👋").into_future()).await.unwrap();
        shows(&there, |shown| texts(shown) == ["hello 👋"]).await;

        within(there.react(ack.seq, "👍", true).into_future()).await.unwrap();
        within(here.edit(ack.seq, "hello!").into_future()).await.unwrap();
        let shown = shows(&there, |shown| texts(shown) == ["hello!"]).await;
        assert_eq!(shown.iter().filter(|item| item.seq == Some(ack.seq)).count(), 1);
        let mut events = kim.events();
        there.mark_read(ack.seq);
        let read = || here.marks().iter().any(|mark| mark.user == lee.user() && mark.read >= ack.seq);
        event(&mut events, |_| read().then_some(())).await;
        there.set_typing(true);
        event(&mut events, |_| (here.typing() == [lee.user()]).then_some(())).await;
        within(here.delete(ack.seq).into_future()).await.unwrap();
        shows(&there, |shown| texts(shown).is_empty()).await;

        // What can't be is refused, with a reason.
        let error = within(here.edit(Seq(1 << 40), "nothing").into_future()).await.unwrap_err();
        assert_eq!((error.code(), error.retry()), (Some(ErrorCode::NOT_FOUND), Retry::Never));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_are_shown_at_once_and_keep_their_order() {
    const SENDS: usize = 60;
    let node = NodeProcess::start().await;
    let kim = sign_up(&node, "kim", &KINDS).await;
    let notes = within(kim.direct(kim.user())).await.unwrap();
    let mut entries = notes.entries(Seq::ZERO);
    shows(&notes, |_| true).await;
    kim.disconnect();
    let sending: Vec<_> = (0..SENDS).map(|number| notes.send(format!("{number}"))).collect();
    let shown = notes.items();
    assert_eq!(texts(&shown).len(), SENDS);
    assert!(shown.iter().filter(|item| item.text().is_some()).all(|item| item.delivery == Delivery::Waiting));
    assert_eq!(kim.outbox_len(), SENDS);
    kim.reconnect();
    let mut last = Seq::ZERO;
    for ack in sending {
        let ack = within(ack.into_future()).await.unwrap();
        assert!(ack.seq > last);
        last = ack.seq;
    }
    assert_eq!(kim.outbox_len(), 0);
    let mut got = Vec::new();
    while entries.cursor() < last {
        let entry = within(entries.next()).await.unwrap();
        got.extend(suda_tests::people::text_of(&entry).map(str::to_owned));
    }
    assert_eq!(got, (0..SENDS).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_a_group_friends_presence_and_devices() {
    let node = NodeProcess::start().await;
    let (kim, lee) = (sign_up(&node, "kim", &KINDS).await, sign_up(&node, "lee", &KINDS).await);
    let (mut kims, mut lees) = (kim.events(), lee.events());
    // Friends.
    let found = within(kim.users().by_handle("lee")).await.unwrap();
    assert_eq!(found.user, lee.user());
    within(kim.friends().request(lee.user())).await.unwrap();
    event(&mut lees, |event| matches!(event, Event::User(_)).then_some(())).await;
    assert_eq!(within(lee.friends().received()).await.unwrap()[0].user, kim.user());
    within(lee.friends().accept(kim.user())).await.unwrap();
    event(&mut kims, |event| matches!(event, Event::User(_)).then_some(())).await;
    let there = within(kim.ask_presence(&[lee.user()])).await.unwrap();
    assert_eq!(there[0].status, Presence::Online);
    lee.set_active(false);
    event(&mut kims, |_| (kim.presence(lee.user())?.status == Presence::Idle).then_some(())).await;
    // A group that lee does not look at: the list tells.
    let group = within(kim.create_group("room", &[lee.user()])).await.unwrap();
    let list =
        |list: Vec<suda_client::schema::summary::ChannelSummary>| list.into_iter().find(|row| row.title == "room");
    event(&mut lees, |_| list(lee.channels())).await;
    within(group.send("first").into_future()).await.unwrap();
    within(group.send("second").into_future()).await.unwrap();
    event(&mut lees, |_| list(lee.channels()).filter(|row| row.unread == 2)).await;
    let there = lee.channel(group.id());
    let shown = shows(&there, |shown| texts(shown) == ["first", "second"]).await;
    assert_eq!(there.summary().unwrap().unread, 2);
    there.mark_read(shown.last().unwrap().seq.unwrap());
    assert_eq!(there.summary().unwrap().unread, 0);
    assert_eq!(within(group.members()).await.unwrap().len(), 2);
    within(group.set_title("den")).await.unwrap();
    event(&mut lees, |_| there.summary().filter(|row| row.title == "den")).await;
    // Removed: what waits is refused, and the channel is gone.
    within(group.remove_member(lee.user())).await.unwrap();
    event(&mut lees, |event| (event == Event::ChannelGone(group.id())).then_some(())).await;
    assert!(lee.channels().iter().all(|row| row.channel != group.id()));
    let error = within(there.send("too late").into_future()).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never, "{error}");
    // Devices.
    let second = builder(&node, &KINDS).connect().await.unwrap();
    within(second.login("kim", PASSWORD)).await.unwrap();
    within(second.online()).await.unwrap();
    assert_eq!(within(kim.devices().list()).await.unwrap().len(), 2);
    let mut seconds = second.events();
    within(kim.devices().log_out(second.device_id())).await.unwrap();
    let why = event(&mut seconds, |_| if let Status::Stopped(why) = second.status() { Some(why) } else { None }).await;
    assert_eq!(why, Stopped::LoggedOut);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_paged_back() {
    const SENDS: u64 = 230;
    let node = NodeProcess::start().await;
    let kim = sign_up(&node, "kim", &KINDS).await;
    let notes = within(kim.direct(kim.user())).await.unwrap();
    let mut last = None;
    for number in 0..SENDS {
        last = Some(notes.send(format!("{number}")));
    }
    let last = within(last.unwrap().into_future()).await.unwrap();
    // Another device sees the newest first.
    let late = builder(&node, &KINDS).connect().await.unwrap();
    within(late.login("kim", PASSWORD)).await.unwrap();
    let notes = within(late.direct(late.user())).await.unwrap();
    let shown = shows(&notes, |shown| shown.last().is_some_and(|item| item.seq == Some(last.seq))).await;
    assert!((40..60).contains(&texts(&shown).len()), "{}", shown.len());
    let mut pages = 0;
    while within(notes.load_older(100)).await.unwrap() {
        pages += 1;
    }
    assert_eq!(pages, 1);
    let items = notes.items();
    assert_eq!(texts(&items), (0..SENDS).map(|number| number.to_string()).collect::<Vec<_>>());
    let page = within(notes.history(HistoryAt::Around(Seq(100)), 5)).await.unwrap();
    assert_eq!(page.entries.len(), 5);
    // A reader that wants everything gets it, held in memory or not.
    let mut entries = notes.entries(Seq::ZERO);
    for seq in 1..=last.seq.0 {
        assert_eq!(within(entries.next()).await.unwrap().seq, Seq(seq));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_profiles_pictures_and_push_tokens() {
    let node = NodeProcess::start().await;
    let (kim, lee) = (sign_up(&node, "kim", &KINDS).await, sign_up(&node, "lee", &KINDS).await);
    let account = kim.account();
    assert_eq!(within(account.settings()).await.unwrap().direct_from, Audience::Everyone);
    let quiet = QuietHours { from_minute: 22 * 60, to_minute: 7 * 60, days: 0b0111_1111 };
    let change = SettingsChange {
        direct_from: Some(Audience::Nobody),
        push_preview: Some(false),
        quiet_hours: Some(Some(quiet)),
        ..SettingsChange::default()
    };
    let changed = within(account.change_settings(&change)).await.unwrap();
    assert_eq!((changed.direct_from, changed.push_preview), (Audience::Nobody, false));
    let error = within(lee.direct(kim.user())).await.unwrap_err();
    assert_eq!((error.code(), error.retry()), (Some(ErrorCode::FORBIDDEN), Retry::Never));
    // What is not named stays, and what is taken away is gone.
    within(account.change_settings(&SettingsChange { quiet_hours: Some(None), ..Default::default() })).await.unwrap();
    let now = within(account.settings()).await.unwrap();
    assert_eq!((now.quiet_hours, now.direct_from), (None, Audience::Nobody));
    let bad = SettingsChange { quiet_hours: Some(Some(QuietHours { days: 255, ..quiet })), ..Default::default() };
    assert_eq!(within(account.change_settings(&bad)).await.unwrap_err().code(), Some(ErrorCode::INVALID));

    let change = ProfileChange { time_zone: Some("Asia/Seoul".to_owned()), picture: Some(None), ..Default::default() };
    within(kim.users().change_me(&change)).await.unwrap();
    let profile = within(kim.users().my_profile()).await.unwrap();
    assert_eq!((profile.time_zone.as_str(), profile.picture), ("Asia/Seoul", None));
    let picture = Some(MediaId(1));
    within(kim.users().change_me(&ProfileChange { picture: Some(picture), ..Default::default() })).await.unwrap();
    assert_eq!(within(lee.users().by_handle("kim")).await.unwrap().picture, picture);
    let mut kims = kim.events();
    let group = within(kim.create_group("room", &[])).await.unwrap();
    within(group.set_picture(picture)).await.unwrap();
    event(&mut kims, |_| group.summary().filter(|row| row.picture == picture)).await;
    within(group.set_picture(None)).await.unwrap();
    event(&mut kims, |_| group.summary().filter(|row| row.picture.is_none())).await;

    let devices = kim.devices();
    within(devices.register_push(PushKind::Fcm, "a-token")).await.unwrap();
    within(devices.register_push(PushKind::Fcm, "a-token")).await.unwrap();
    within(devices.unregister_push(PushKind::Fcm, "a-token")).await.unwrap();
    within(devices.unregister_push(PushKind::Fcm, "a-token")).await.unwrap();
    let error = within(devices.register_push(PushKind::Webpush, "")).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_an_export_and_the_end_of_an_account() {
    const ANOTHER: &str = "another password";
    let node = NodeProcess::start().await;
    let kim = sign_up(&node, "kim", &KINDS).await;
    let notes = within(kim.direct(kim.user())).await.unwrap();
    within(notes.send("to be taken along").into_future()).await.unwrap();
    let second = builder(&node, &KINDS).connect().await.unwrap();
    within(second.login("kim", PASSWORD)).await.unwrap();
    within(second.online()).await.unwrap();

    let account = kim.account();
    let error = within(account.change_password("wrong", ANOTHER)).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::WRONG_CREDENTIALS));
    let before = kim.current_login().unwrap();
    let mut seconds = second.events();
    within(account.change_password(PASSWORD, ANOTHER)).await.unwrap();
    assert_ne!(kim.current_login().unwrap().access, before.access);
    event(&mut seconds, |_| matches!(second.status(), Status::Stopped(_)).then_some(())).await;
    // This device goes on, by HTTP and on its link.
    within(kim.users().me()).await.unwrap();
    within(notes.send("still here").into_future()).await.unwrap();
    kim.disconnect();
    kim.reconnect();
    within(kim.online()).await.unwrap();

    let (mut kinds, mut texts) = (Vec::new(), String::new());
    let mut export = within(account.export()).await.unwrap();
    while let Some(part) = within(export.next()).await.unwrap() {
        kinds.push(part["kind"].as_str().unwrap().to_owned());
        texts += &part.to_string();
    }
    assert_eq!(kinds[0], "account");
    assert!(texts.contains("to be taken along") && texts.contains("still here"), "{texts}");

    let error = within(account.delete(Some("wrong"))).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::WRONG_CREDENTIALS));
    within(account.delete(Some(ANOTHER))).await.unwrap();
    assert!(kim.current_login().is_none());
    assert_eq!(within(account.settings()).await.unwrap_err(), Error::NotLoggedIn);
    let error = within(kim.login("kim", ANOTHER)).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::WRONG_CREDENTIALS));
}

/// The example of the documentation, as its reader would run it.
#[tokio::test(flavor = "multi_thread")]
async fn the_twenty_line_example_talks() {
    let node = NodeProcess::start().await;
    node.sign_up("kim").await;
    let lee = sign_up(&node, "lee", &KINDS).await;
    let mut lees = lee.events();
    let mut example = tokio::process::Command::new(example_binary().unwrap());
    example.args([&format!("http://{}", node.http_addr()), "kim", "lee"]);
    let running = example.kill_on_drop(true).output();
    let answering = async {
        let channel = within(async {
            loop {
                match lee.channels().first() {
                    Some(row) => return lee.channel(row.channel),
                    None => drop(lees.next().await),
                }
            }
        })
        .await;
        shows(&channel, |shown| texts(shown) == ["Hello, lee!"]).await;
        within(channel.send("Hello, kim!").into_future()).await.unwrap();
    };
    let (output, ()) = tokio::join!(within(running), answering);
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "lee: Hello, kim!\n");
}
