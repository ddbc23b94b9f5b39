//! Requests that are well-formed, and ask for what can't be.

use serde_json::json;
use suda_schema::channel::{ChannelDown, ChannelUp, HistoryAt, HistoryQuery, Marks, NewEdit, Op};
use suda_schema::codec::Codec;
use suda_schema::control::{ChannelMark, ControlDown, ControlUp, PresenceQuery, Sync, SyncCursor};
use suda_schema::entry::{Body, Delete, React};
use suda_schema::open::Start;
use suda_schema::{ChannelId, CloseCode, ErrorCode, Seq, UserId};
use suda_tests::client::Kind;
use suda_tests::people::{Device, Hi};

use crate::{Scene, failed};

#[tokio::test(flavor = "multi_thread")]
async fn channels_and_places_that_are_not_there() {
    let mut scene = Scene::new().await;
    let mallory = scene.node.sign_up("mallory").await;
    let another = scene.node.log_in(&scene.kim).await;
    for kind in Kind::ALL {
        let mut device = Device::connect(&scene.node, kind, &mallory).await;
        for channel in [scene.channel, ChannelId(0), ChannelId(u64::MAX)] {
            for from in [Start::Tail(10), Start::After(Seq::ZERO)] {
                let closing = device.refused(channel, from).await.unwrap();
                assert_eq!(closing.code, CloseCode::REMOVED, "{kind:?}");
            }
            // A mark there changes nothing.
            let marks = Marks { delivered: Some(Seq(9)), read: Some(Seq(9)) };
            device.control.send(&ControlUp::Mark(ChannelMark { channel, marks })).await.unwrap();
        }
        device.ping().await.unwrap();

        let device = scene.kims(kind).await;
        for beyond in [1 << 40, u64::MAX] {
            // JSON has no larger numbers than 2^53.
            let beyond = if kind.codec() == Codec::Json { beyond.min((1 << 53) - 1) } else { beyond };
            let closing = device.refused(scene.channel, Start::After(Seq(beyond))).await.unwrap();
            assert_eq!(closing.code, CloseCode::CURSOR_AHEAD, "{kind:?}");
            let hi = Hi { user_cursor: Some(Seq(beyond)), sync_limit: 0 };
            let ahead = Device::try_connect(&scene.node, kind, &another, hi).await.unwrap();
            assert_eq!(ahead.welcome.user_cursor, ahead.welcome.user_head, "{kind:?}");
        }
        let mut view = device.attach(scene.channel, Start::Tail(u32::MAX)).await;
        assert_eq!(view.after, Seq::ZERO, "{kind:?}");
        let head = view.say("the newest").await.unwrap().seq;
        let page = |at, limit| ChannelUp::History(HistoryQuery { request: 7, at, limit, thread: None });
        let far = Seq((1 << 53) - 1);
        for (frame, wanted) in [
            (page(HistoryAt::After(far), 10), Err(ErrorCode::CURSOR_AHEAD)),
            (page(HistoryAt::Around(far), 10), Err(ErrorCode::CURSOR_AHEAD)),
            (page(HistoryAt::Newest, 0), Err(ErrorCode::INVALID)),
            (page(HistoryAt::Before(far), u16::MAX), Ok(head)),
            (page(HistoryAt::Around(Seq::ZERO), 1), Ok(Seq(1))),
            (page(HistoryAt::Time((1 << 53) - 1), 1), Ok(head)),
        ] {
            view.stream.send(&frame).await.unwrap();
            let answer = loop {
                match view.next().await.unwrap() {
                    ChannelDown::History(page) => break Ok(page.entries.last().map_or(Seq::ZERO, |entry| entry.seq)),
                    ChannelDown::HistoryFailed(failed) => break Err(failed.error.code),
                    _ => {}
                }
            };
            assert_eq!(answer, wanted, "{kind:?}: {frame:?}");
        }
        // A mark beyond the head is the head.
        view.stream.send(&ChannelUp::Mark(Marks { delivered: Some(far), read: Some(far) })).await.unwrap();
        loop {
            let path = format!("/v1/channels/{}", scene.channel);
            let read = scene.node.ask(&scene.kim, "GET", &path, None, 200).await["read"].as_u64();
            assert!(read <= Some(head.0), "{kind:?}");
            if read == Some(head.0) {
                break;
            }
        }
        for op in [
            Op::Edit(NewEdit { target: far, body: Body::Text("x".to_owned()), mentions: Vec::new() }),
            Op::Delete(Delete { target: far }),
            Op::React(React { target: far, emoji: "x".to_owned(), on: true }),
        ] {
            let id = view.op(op).await.unwrap();
            assert_eq!(view.answer(id).await.unwrap().unwrap_err().code, ErrorCode::NOT_FOUND, "{kind:?}");
        }
    }
    scene.others_are_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_pages_and_lists() {
    let mut scene = Scene::new().await;
    for kind in Kind::ALL {
        let hi = Hi { sync_limit: u16::MAX, user_cursor: None };
        let mut device = Device::try_connect(&scene.node, kind, &scene.kim, hi).await.unwrap();
        assert_eq!(device.page.as_ref().unwrap().channels.len(), 1, "{kind:?}");
        for limit in [0, 201, u16::MAX] {
            device.control.send(&ControlUp::Sync(Sync { request: 5, after: None, limit })).await.unwrap();
            assert_eq!(failed(&mut device).await, (5, ErrorCode::INVALID), "{kind:?}");
        }
        let after = Some(SyncCursor { last_at_ms: 0, channel: ChannelId(0) });
        device.control.send(&ControlUp::Sync(Sync { request: 6, after, limit: 1 })).await.unwrap();
        let page = |frame| if let ControlDown::SyncPage(page) = frame { Some(page) } else { None };
        assert!(device.wait_for(page).await.unwrap().channels.is_empty(), "{kind:?}");
        let users = vec![UserId(u64::MAX); 200];
        device.control.send(&ControlUp::Presence(PresenceQuery { request: 7, users: users.clone() })).await.unwrap();
        let list =
            |frame| if let ControlDown::Presence(list) = frame { (list.request == 7).then_some(list) } else { None };
        assert!(device.wait_for(list).await.unwrap().users.is_empty(), "{kind:?}");
        let users = [users, vec![UserId(1)]].concat();
        device.control.send(&ControlUp::Presence(PresenceQuery { request: 8, users })).await.unwrap();
        assert_eq!(failed(&mut device).await, (8, ErrorCode::TOO_LARGE), "{kind:?}");
        device.ping().await.unwrap();
    }
    let path = format!("/v1/channels/{}/entries", scene.channel);
    for query in ["limit=-1", "limit=0", "limit=65536", "before=-1", "after=x", "before=1&after=1"] {
        let answer = scene.node.call("GET", &format!("{path}?{query}"), Some(&scene.kim.access), None).await;
        assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("invalid")), "{query}");
    }
    scene.others_are_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_all_kinds() {
    let mut scene = Scene::new().await;
    let reader = Device::connect(&scene.node, Kind::Quic, &scene.lee).await;
    let mut heard = reader.attach(scene.channel, Start::Tail(0)).await;
    let good = [
        "👩‍👩‍👧‍👦🏳️‍🌈".to_owned(),
        "\u{202e}evil\u{202c} مرحبا שלום".to_owned(),
        "e\u{301}\u{327}".repeat(50),
        "\"\\/\u{8}\r\n\t\u{1}\u{7f}\u{feff}\u{ffff}".to_owned(),
        "x".repeat(100_000),
        "👋".repeat(100_000),
        "\u{1}".repeat(100_000),
    ];
    for kind in Kind::ALL {
        let device = scene.kims(kind).await;
        let mut view = device.attach(scene.channel, Start::Tail(0)).await;
        for text in &good {
            let ack = view
                .say(text)
                .await
                .unwrap_or_else(|error| panic!("{kind:?}: {:?}: {error:#}", &text.chars().take(9).collect::<String>()));
            heard.until(ack.seq).await.unwrap();
            assert!(heard.texts().last() == Some(&text.as_str()), "{kind:?}: it came otherwise");
        }
        let bad = [
            ("NUL \0 within".to_owned(), ErrorCode::INVALID),
            ("\0".to_owned(), ErrorCode::INVALID),
            ("\u{2003}\u{3000}\t\n".to_owned(), ErrorCode::INVALID),
            ("x".repeat(100_001), ErrorCode::TOO_LARGE),
            ("👋".repeat(100_001), ErrorCode::TOO_LARGE),
        ];
        for (text, wanted) in bad {
            let id = view.send(&text).await.unwrap();
            assert_eq!(view.answer(id).await.unwrap().unwrap_err().code, wanted, "{kind:?}");
        }
        // Longer than any frame may be. In JSON the same frame may be longer, because of what has to be escaped.
        let _ = view.send(&"x".repeat(if kind.codec() == Codec::Json { 8 << 20 } else { 1 << 20 })).await;
        let closing = view.closed().await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
        assert_eq!(closing.code, CloseCode::PROTOCOL_ERROR, "{kind:?}");
    }
    scene.others_are_unaffected().await;
}
