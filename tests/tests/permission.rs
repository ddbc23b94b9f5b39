//! Promise 6, in all its ways: whoever loses a permission gets not one frame more, on links that are open, within a second.

// Clippy's own exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use serde_json::json;
use suda_schema::channel::ChannelDown;
use suda_schema::control::{ControlDown, ControlUp, PresenceQuery, SetActivity, Status};
use suda_schema::entry::What;
use suda_schema::open::{Activity, Start};
use suda_schema::{CloseCode, ErrorCode, Seq, UserId};
use suda_tests::client::Kind;
use suda_tests::node::NodeProcess;
use suda_tests::people::{Device, Hi, PASSWORD, Person, View};
use tokio::time::Instant;

/// What is promised.
const WITHIN: Duration = Duration::from_secs(1);
/// How often the other side goes on talking after that.
const AFTER: usize = 5;

/// A device on its link, looking at a channel.
struct Watcher {
    kind: Kind,
    device: Device,
    view: View,
}

async fn watch(node: &NodeProcess, kind: Kind, who: &Person, channel: suda_schema::ChannelId) -> Watcher {
    let device = Device::connect(node, kind, who).await;
    let view = device.attach(channel, Start::Tail(0)).await;
    Watcher { kind, device, view }
}

impl Watcher {
    /// The link must be closed by now with this, and nothing may have come that was said later.
    async fn cut_off(mut self, since: Instant, code: CloseCode, last: Seq) {
        let kind = self.kind;
        let closing = self.device.closing().await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
        let took = since.elapsed();
        assert_eq!(closing.code, code, "{kind:?}");
        assert!(took < WITHIN, "{kind:?}: it took {took:?}");
        let ended = self.device.link.closed().await;
        assert_eq!(ended.link_code(), Some(code), "{kind:?}: {ended:?}");
        while self.view.next().await.is_ok() {}
        assert!(self.view.cursor <= last, "{kind:?}: it saw {:?} after {last:?}", self.view.cursor);
    }

    /// The attachment must be closed by now with this; the link goes on.
    async fn put_out(&mut self, since: Instant, code: CloseCode, last: Seq) {
        let kind = self.kind;
        let closing = self.view.closed().await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
        let took = since.elapsed();
        assert_eq!(closing.code, code, "{kind:?}");
        assert!(took < WITHIN, "{kind:?}: it took {took:?}");
        assert!(self.view.cursor <= last, "{kind:?}: it saw {:?} after {last:?}", self.view.cursor);
        self.device.ping().await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
    }
}

/// A room of an owner, a guest and a talker, and the guest's devices on every transport.
struct Scene {
    node: NodeProcess,
    owner: Person,
    guest: Person,
    channel: suda_schema::ChannelId,
    _talker: Device,
    talk: View,
}

impl Scene {
    async fn new() -> Self {
        let node = NodeProcess::start().await;
        let [owner, guest] = [node.sign_up("owner").await, node.sign_up("guest").await];
        let channel = node.group(&owner, "room", &[&guest]).await;
        let talker = Device::connect(&node, Kind::Quic, &owner).await;
        let talk = talker.attach(channel, Start::Tail(0)).await;
        Self { node, owner, guest, channel, _talker: talker, talk }
    }

    /// A device of the guest's on each transport, all of them looking.
    async fn watchers(&mut self) -> (Vec<Watcher>, Vec<Person>) {
        let (mut watchers, mut devices) = (Vec::new(), Vec::new());
        for kind in Kind::ALL {
            let device = self.node.log_in(&self.guest).await;
            watchers.push(watch(&self.node, kind, &device, self.channel).await);
            devices.push(device);
        }
        let said = self.talk.say("heard by all").await.unwrap();
        for watcher in &mut watchers {
            watcher.view.until(said.seq).await.unwrap();
        }
        (watchers, devices)
    }

    /// Goes on talking to those who are left.
    async fn talk_on(&mut self) {
        for _ in 0..AFTER {
            self.talk.say("for those who may").await.unwrap();
        }
    }

    /// The head as it is now.
    async fn head(&self) -> Seq {
        let path = format!("/v1/channels/{}", self.channel);
        Seq(self.node.ask(&self.owner, "GET", &path, None, 200).await["head"].as_u64().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_is_cut_off() {
    let mut scene = Scene::new().await;
    let (watchers, devices) = scene.watchers().await;
    for (watcher, device) in watchers.into_iter().zip(&devices) {
        let since = Instant::now();
        scene.node.ask(&scene.guest, "DELETE", &format!("/v1/devices/{}", device.device), None, 204).await;
        let last = scene.head().await;
        scene.talk_on().await;
        watcher.cut_off(since, CloseCode::DEVICE_REVOKED, last).await;
        // Its token is worth nothing any more.
        let kind = Kind::WebSocket;
        assert!(Device::try_connect(&scene.node, kind, device, Hi::default()).await.is_err());
        assert_eq!(scene.node.call("GET", "/v1/me", Some(&device.access), None).await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_cuts_off_all_other_devices() {
    let mut scene = Scene::new().await;
    let (watchers, devices) = scene.watchers().await;
    let mut own = Device::connect(&scene.node, Kind::WebTransport, &scene.guest).await;
    let since = Instant::now();
    let change = json!({ "old": PASSWORD, "new": "another horse battery" });
    let login = scene.node.ask(&scene.guest, "PUT", "/v1/account/password", Some(change), 200).await;
    let last = scene.head().await;
    assert_eq!(login["logged_out"].as_array().unwrap().len(), devices.len());
    scene.talk_on().await;
    for watcher in watchers {
        watcher.cut_off(since, CloseCode::DEVICE_REVOKED, last).await;
    }
    // The device that changed it goes on with its new token.
    let renewed = scene.guest.with(&login);
    let token = renewed.access.clone();
    let frame = ControlUp::Authenticate(suda_schema::control::Authenticate { token });
    if own.control.send(&frame).await.is_err() || own.ping().await.is_err() {
        own = Device::connect(&scene.node, Kind::WebTransport, &renewed).await;
        own.ping().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_is_cut_off() {
    let mut scene = Scene::new().await;
    let (watchers, _) = scene.watchers().await;
    let since = Instant::now();
    scene.node.ask(&scene.guest, "DELETE", "/v1/account", Some(json!({ "password": PASSWORD })), 204).await;
    let last = scene.head().await;
    scene.talk_on().await;
    for watcher in watchers {
        watcher.cut_off(since, CloseCode::ACCOUNT_GONE, last).await;
    }
    assert_eq!(scene.node.call("GET", "/v1/me", Some(&scene.guest.access), None).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_kicked_or_banned_sees_nothing_more() {
    let mut scene = Scene::new().await;
    for way in ["members", "bans"] {
        let (mut watchers, _) = scene.watchers().await;
        let path = format!("/v1/channels/{}/{way}/{}", scene.channel, scene.guest.user);
        let since = Instant::now();
        scene.node.ask(&scene.owner, if way == "bans" { "PUT" } else { "DELETE" }, &path, None, 204).await;
        let last = scene.head().await;
        scene.talk_on().await;
        for watcher in &mut watchers {
            watcher.put_out(since, CloseCode::REMOVED, last).await;
            // Nor may it come back, or send.
            let refused = watcher.device.refused(scene.channel, Start::Tail(1)).await.unwrap();
            assert!(refused.code == CloseCode::REMOVED, "{:?}: {refused:?}", watcher.kind);
        }
        let add = json!({ "users": [scene.guest.user.to_string()] });
        let members = format!("/v1/channels/{}/members", scene.channel);
        if way == "bans" {
            let answer = scene.node.call("POST", &members, Some(&scene.owner.access), Some(&add)).await;
            assert_eq!(answer.status, 403, "{answer:?}");
            scene.node.ask(&scene.owner, "DELETE", &path, None, 204).await;
        }
        scene.node.ask(&scene.owner, "POST", &members, Some(add), 204).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_channel_is_gone_for_all() {
    let mut scene = Scene::new().await;
    let (mut watchers, _) = scene.watchers().await;
    let last = scene.head().await;
    let since = Instant::now();
    scene.node.ask(&scene.owner, "DELETE", &format!("/v1/channels/{}", scene.channel), None, 204).await;
    for watcher in &mut watchers {
        watcher.put_out(since, CloseCode::CHANNEL_GONE, last).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_blocked_can_say_nothing_more() {
    let node = NodeProcess::start().await;
    let kim = node.sign_up("kim").await;
    for kind in Kind::ALL {
        let lee = node.sign_up(&format!("lee_{kind:?}").to_lowercase()).await;
        let channel = node.direct(&kim, &lee).await;
        let mut mine = watch(&node, Kind::Quic, &kim, channel).await;
        let mut theirs = watch(&node, kind, &lee, channel).await;
        let said = theirs.view.say("hello").await.unwrap();
        mine.view.until(said.seq).await.unwrap();
        node.ask(&kim, "PUT", &format!("/v1/blocks/{}", lee.user), None, 204).await;
        for watcher in [&mut theirs, &mut mine] {
            let id = watcher.view.send("after the block").await.unwrap();
            let error = watcher.view.answer(id).await.unwrap().unwrap_err();
            assert_eq!(error.code, ErrorCode::BLOCKED, "{kind:?}");
        }
        // Nothing of it is in the log, and typing does not come through.
        let typing = suda_schema::channel::ChannelUp::Typing(suda_schema::channel::SetTyping { on: true });
        theirs.view.stream.send(&typing).await.unwrap();
        while let Some(frame) = mine.view.next_within(Duration::from_millis(300)).await.unwrap() {
            assert!(!matches!(frame, ChannelDown::Typing(_) | ChannelDown::Entries(_)), "{kind:?}: {frame:?}");
        }
        // Taken back, it goes on where it was.
        node.ask(&kim, "DELETE", &format!("/v1/blocks/{}", lee.user), None, 204).await;
        let again = theirs.view.say("hello again").await.unwrap();
        assert_eq!(again.seq, said.seq.next(), "{kind:?}");
        mine.view.until(again.seq).await.unwrap();
    }
}

/// What a device is told of somebody's presence, without having asked.
async fn sees(device: &mut Device, user: UserId) -> Status {
    let told = device.wait_for(|frame| match frame {
        ControlDown::Presence(list) if list.request == 0 => list.users.iter().find(|seen| seen.user == user).copied(),
        _ => None,
    });
    told.await.unwrap().status
}

/// What it is told when it asks, and how often it was told unasked before that. From then on it is told of changes.
async fn asks(device: &mut Device, user: UserId) -> (Option<Status>, usize) {
    let mut unasked = 0;
    let query = PresenceQuery { request: 7, users: vec![user] };
    device.control.send(&ControlUp::Presence(query)).await.unwrap();
    let answer = device.wait_for(|frame| match frame {
        ControlDown::Presence(list) if list.request == 7 => Some(list.users.first().map(|seen| seen.status)),
        ControlDown::Presence(_) => {
            unasked += 1;
            None
        }
        _ => None,
    });
    (answer.await.unwrap(), unasked)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_blocked_sees_nobody_come_and_go_until_it_is_taken_back() {
    let node = NodeProcess::start().await;
    let [kim, witness] = [node.sign_up("kim").await, node.sign_up("witness").await];
    node.direct(&kim, &witness).await;
    let mut mine = Device::connect(&node, Kind::Quic, &kim).await;
    mine.ping().await.unwrap();
    let mut witness = Device::connect(&node, Kind::Quic, &witness).await;
    // Others see it a moment after it has connected.
    let is_seen = async { while asks(&mut witness, kim.user).await.0 != Some(Status::Online) {} };
    tokio::time::timeout(Duration::from_secs(10), is_seen).await.expect("kim is online");
    for kind in Kind::ALL {
        let lee = node.sign_up(&format!("lee_{kind:?}").to_lowercase()).await;
        node.direct(&kim, &lee).await;
        let mut before = Device::connect(&node, kind, &lee).await;
        assert_eq!(asks(&mut before, kim.user).await.0, Some(Status::Online), "{kind:?}");
        node.ask(&kim, "PUT", &format!("/v1/blocks/{}", lee.user), None, 204).await;
        assert_eq!(sees(&mut before, kim.user).await, Status::Offline, "{kind:?}");
        // One that connects only now is told no more than the other.
        let mut meanwhile = Device::connect(&node, kind, &node.log_in(&lee).await).await;
        assert_eq!(asks(&mut meanwhile, kim.user).await, (None, 0), "{kind:?}");
        for (activity, status) in [(Activity::Idle, Status::Idle), (Activity::Active, Status::Online)] {
            mine.control.send(&ControlUp::Activity(SetActivity { activity })).await.unwrap();
            while sees(&mut witness, kim.user).await != status {}
        }
        for device in [&mut before, &mut meanwhile] {
            assert_eq!(asks(device, kim.user).await, (None, 0), "{kind:?}");
        }
        node.ask(&kim, "DELETE", &format!("/v1/blocks/{}", lee.user), None, 204).await;
        for device in [&mut before, &mut meanwhile] {
            assert_eq!(sees(device, kim.user).await, Status::Online, "{kind:?}");
        }
    }
}

/// A reader with a changed role loses nothing but the right to say something.
#[tokio::test(flavor = "multi_thread")]
async fn a_poster_that_no_longer_is_may_only_read() {
    let node = NodeProcess::start().await;
    let [owner, guest] = [node.sign_up("owner").await, node.sign_up("guest").await];
    let channel = node.broadcast(&owner, "news", &[&guest]).await;
    let role = format!("/v1/channels/{channel}/members/{}/role", guest.user);
    for kind in Kind::ALL {
        let mut watcher = watch(&node, kind, &guest, channel).await;
        let id = watcher.view.send("may I?").await.unwrap();
        assert_eq!(watcher.view.answer(id).await.unwrap().unwrap_err().code, ErrorCode::FORBIDDEN, "{kind:?}");
        node.ask(&owner, "PUT", &role, Some(json!({ "role": "poster" })), 204).await;
        let said = watcher.view.say("I may").await.unwrap();
        node.ask(&owner, "PUT", &role, Some(json!({ "role": "member" })), 204).await;
        let id = watcher.view.send("still?").await.unwrap();
        assert_eq!(watcher.view.answer(id).await.unwrap().unwrap_err().code, ErrorCode::FORBIDDEN, "{kind:?}");
        watcher.view.until(said.seq).await.unwrap();
        let last = watcher.view.entries.iter().rfind(|entry| matches!(entry.what, What::Message(_))).unwrap();
        assert_eq!(last.seq, said.seq, "{kind:?}");
    }
}
