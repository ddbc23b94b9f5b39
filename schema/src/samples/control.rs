use super::{ALICE, AT_MS, BOB, CHANNEL, DEVICE, SEQ, Samples, channel, error, event};
use crate::channel::Marks;
use crate::control::{
    Authenticate, Authenticated, ChannelMark, Closing, ControlDown, ControlUp, Failed, GoAway, Hint, Hints, Ping, Pong,
    Presence, PresenceList, PresenceQuery, SetActivity, Status, Sync, SyncCursor, SyncPage, TokenExpiring, UserEntries,
    Welcome,
};
use crate::open::{Activity, Attach, Hello, Open, Start};
use crate::{CloseCode, Seq};

impl Samples for Open {
    const NAME: &'static str = "open";
    fn samples() -> Vec<(&'static str, Self)> {
        let hello = Hello {
            token: token(),
            client: "suda-chat/0.1.0".to_owned(),
            user_cursor: Some(Seq(88)),
            sync_limit: 50,
            activity: Activity::Active,
        };
        let first = Hello { user_cursor: None, activity: Activity::Idle, ..hello.clone() };
        let attach = |from| Self::Attach(Attach { channel: CHANNEL, from });
        vec![
            ("control", Self::Control(hello)),
            ("control.first", Self::Control(first)),
            ("attach", attach(Start::After(Seq(1_000)))),
            ("attach.tail", attach(Start::Tail(50))),
        ]
    }
}

impl Samples for ControlUp {
    const NAME: &'static str = "control_up";
    fn samples() -> Vec<(&'static str, Self)> {
        let marks = Marks { delivered: Some(SEQ), read: None };
        vec![
            ("ping", Self::Ping(Ping { nonce: 17 })),
            ("authenticate", Self::Authenticate(Authenticate { token: token() })),
            ("activity", Self::Activity(SetActivity { activity: Activity::Idle })),
            ("sync", Self::Sync(Sync { request: 1, after: Some(cursor()), limit: 50 })),
            ("sync.first", Self::Sync(Sync { request: 1, after: None, limit: 200 })),
            ("mark", Self::Mark(ChannelMark { channel: CHANNEL, marks })),
            ("presence", Self::Presence(PresenceQuery { request: 2, users: vec![ALICE, BOB] })),
        ]
    }
}

impl Samples for ControlDown {
    const NAME: &'static str = "control_down";
    fn samples() -> Vec<(&'static str, Self)> {
        let page = SyncPage { request: 1, channels: vec![channel::group(), channel::direct()], next: Some(cursor()) };
        let last = SyncPage { request: 0, channels: vec![channel::broadcast()], next: None };
        let hint =
            Hint { channel: CHANNEL, head: SEQ, last_at_ms: AT_MS, unread: 8, preview: Some(channel::preview()) };
        let presence = |user, status| Presence { user, status, last_active_at_ms: AT_MS };
        let users = vec![presence(ALICE, Status::Online), presence(BOB, Status::Idle)];
        let gone = vec![presence(BOB, Status::Offline)];
        let expired = Closing {
            code: CloseCode::TOKEN_EXPIRED,
            message: "the access token ran out".to_owned(),
            retry_after_ms: None,
        };
        let full = Closing {
            code: CloseCode::OVERLOADED,
            message: "too many handshakes in flight".to_owned(),
            retry_after_ms: Some(2_000),
        };
        vec![
            ("welcome", Self::Welcome(welcome())),
            ("pong", Self::Pong(Pong { nonce: 17, server_time_ms: AT_MS })),
            ("authenticated", Self::Authenticated(Authenticated { expires_at_ms: AT_MS + 900_000 })),
            ("sync_page", Self::SyncPage(page)),
            ("sync_page.last", Self::SyncPage(last)),
            ("user_entries", Self::UserEntries(UserEntries { entries: event::entries() })),
            ("hints", Self::Hints(Hints { channels: vec![hint] })),
            ("presence", Self::Presence(PresenceList { request: 2, users })),
            ("presence.change", Self::Presence(PresenceList { request: 0, users: gone })),
            ("typing", Self::Typing(channel::typing())),
            ("go_away", Self::GoAway(GoAway { delay_ms: 4_200 })),
            ("token_expiring", Self::TokenExpiring(TokenExpiring { in_ms: 60_000 })),
            ("failed", Self::Failed(Failed { request: 2, error: error() })),
            ("closing", Self::Closing(expired)),
            ("closing.later", Self::Closing(full)),
        ]
    }
}

fn welcome() -> Welcome {
    Welcome {
        user: ALICE,
        device: DEVICE,
        node: 1,
        server_time_ms: AT_MS,
        token_expires_at_ms: AT_MS + 900_000,
        user_cursor: Seq(88),
        user_head: Seq(90),
        heartbeat_ms: 5_000,
        dead_after_ms: 30_000,
        attachments_max: 64,
    }
}

fn cursor() -> SyncCursor {
    SyncCursor { last_at_ms: AT_MS, channel: CHANNEL }
}

fn token() -> String {
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIzNjIzIn0.c2lnbmF0dXJl".to_owned()
}
