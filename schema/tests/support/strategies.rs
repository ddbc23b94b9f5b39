//! Any value of every type of the wire, for proptest.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use suda_schema::channel::*;
use suda_schema::control::*;
use suda_schema::entry::*;
use suda_schema::error::ERRORS;
use suda_schema::event::*;
use suda_schema::open::*;
use suda_schema::summary::*;
use suda_schema::{ChannelId, ClientMsgId, CloseCode, DeviceId, MediaId, Seq, UserId, WireError};

/// A strategy for a struct, from a strategy for each field.
macro_rules! structs {
    ($( $fn:ident -> $ty:ident { $($field:ident: $strategy:expr),+ $(,)? } )+) => {
        $( pub(crate) fn $fn() -> impl Strategy<Value = $ty> {
            ($($strategy,)+).prop_map(|($($field,)+)| $ty { $($field),+ })
        } )+
    };
}

fn seq() -> impl Strategy<Value = Seq> {
    any::<u64>().prop_map(Seq)
}
fn user() -> impl Strategy<Value = UserId> {
    any::<u64>().prop_map(UserId)
}
fn channel() -> impl Strategy<Value = ChannelId> {
    any::<u64>().prop_map(ChannelId)
}
fn device() -> impl Strategy<Value = DeviceId> {
    any::<u64>().prop_map(DeviceId)
}
fn media() -> impl Strategy<Value = MediaId> {
    any::<u64>().prop_map(MediaId)
}
fn client_msg_id() -> impl Strategy<Value = ClientMsgId> {
    any::<[u8; 16]>().prop_map(ClientMsgId)
}
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), ".{120,200}"]
}
fn activity() -> impl Strategy<Value = Activity> {
    prop_oneof![Just(Activity::Active), Just(Activity::Idle)]
}
fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Member), Just(Role::Poster), Just(Role::Admin), Just(Role::Owner)]
}
fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Offline), Just(Status::Idle), Just(Status::Online)]
}
fn channel_kind() -> impl Strategy<Value = ChannelKind> {
    prop_oneof![Just(ChannelKind::Direct), Just(ChannelKind::Group), Just(ChannelKind::Broadcast)]
}
fn mute() -> impl Strategy<Value = Mute> {
    prop_oneof![Just(Mute::Off), Just(Mute::MentionsOnly), any::<u64>().prop_map(Mute::Until)]
}
fn start() -> impl Strategy<Value = Start> {
    prop_oneof![seq().prop_map(Start::After), any::<u32>().prop_map(Start::Tail)]
}
fn history_at() -> impl Strategy<Value = HistoryAt> {
    prop_oneof![
        seq().prop_map(HistoryAt::Before),
        seq().prop_map(HistoryAt::After),
        seq().prop_map(HistoryAt::Around),
        Just(HistoryAt::Unread),
        any::<u64>().prop_map(HistoryAt::Time),
        Just(HistoryAt::Newest),
    ]
}
fn member_change() -> impl Strategy<Value = MemberChange> {
    prop_oneof![
        role().prop_map(MemberChange::Joined),
        Just(MemberChange::Left),
        Just(MemberChange::Kicked),
        Just(MemberChange::Banned),
        Just(MemberChange::Unbanned),
        role().prop_map(MemberChange::Role),
    ]
}
/// Only codes with a name: JSON says the others as `unknown`.
fn error() -> impl Strategy<Value = WireError> {
    let code = (0..ERRORS.len()).prop_map(|at| ERRORS[at].code);
    (code, text(), of(any::<u64>())).prop_map(|(code, message, retry_after_ms)| WireError {
        code,
        message,
        retry_after_ms,
    })
}

structs! {
    hello -> Hello {
        token: text(), client: text(), user_cursor: of(seq()), sync_limit: any::<u16>(), activity: activity(),
    }
    attach -> Attach { channel: channel(), from: start() }
    sync_cursor -> SyncCursor { last_at_ms: any::<u64>(), channel: channel() }
    sync -> Sync { request: any::<u32>(), after: of(sync_cursor()), limit: any::<u16>() }
    marks -> Marks { delivered: of(seq()), read: of(seq()) }
    channel_mark -> ChannelMark { channel: channel(), marks: marks() }
    presence_query -> PresenceQuery { request: any::<u32>(), users: vec(user(), 0..5) }
    presence -> Presence { user: user(), status: status(), last_active_at_ms: any::<u64>() }
    presence_list -> PresenceList { request: any::<u32>(), users: vec(presence(), 0..5) }
    preview -> Preview { seq: seq(), by: user(), at_ms: any::<u64>(), text: text() }
    hint -> Hint {
        channel: channel(), head: seq(), last_at_ms: any::<u64>(), unread: any::<u64>(), preview: of(preview()),
    }
    member_mark -> MemberMark { user: user(), delivered: seq(), read: seq() }
    typing -> Typing { channel: channel(), user: user(), for_ms: any::<u32>() }
    failed -> Failed { request: any::<u32>(), error: error() }
    opaque -> Opaque { scheme: text(), bytes: vec(any::<u8>(), 0..200) }
    erased -> Erased { seq: seq(), by: user() }
    edited -> Edited { seq: seq(), at_ms: any::<u64>(), count: any::<u32>() }
    reaction -> Reaction { emoji: text(), count: any::<u32>(), users: vec(user(), 0..4) }
    attachment -> Attachment {
        media: media(), name: text(), media_type: text(), bytes: any::<u64>(),
        size_px: of((any::<u32>(), any::<u32>())), preview: of(text()),
    }
    message -> Message {
        body: body(), reply_to: of(seq()), thread: of(seq()), mentions: vec(user(), 0..4),
        attachments: vec(attachment(), 0..3), edited: of(edited()), reactions: vec(reaction(), 0..3),
    }
    edit -> Edit { target: seq(), body: body(), mentions: vec(user(), 0..4) }
    react -> React { target: seq(), emoji: text(), on: any::<bool>() }
    new_message -> NewMessage {
        body: body(), reply_to: of(seq()), mentions: vec(user(), 0..4), attachments: vec(attachment(), 0..3),
    }
    new_edit -> NewEdit { target: seq(), body: body(), mentions: vec(user(), 0..4) }
    send -> Send { client_msg_id: client_msg_id(), op: op() }
    history_query -> HistoryQuery {
        request: any::<u32>(), at: history_at(), limit: any::<u16>(), thread: of(seq()),
    }
    entry -> Entry {
        seq: seq(), at_ms: any::<u64>(), by: user(), client_msg_id: of(client_msg_id()), what: what(),
    }
    history_page -> HistoryPage {
        request: any::<u32>(), entries: vec(entry(), 0..4), more_before: any::<bool>(), more_after: any::<bool>(),
    }
    history_failed -> HistoryFailed { request: any::<u32>(), error: error() }
    ack -> Ack { client_msg_id: client_msg_id(), seq: seq(), at_ms: any::<u64>() }
    refused -> Refused { client_msg_id: client_msg_id(), error: error() }
    user_entry -> UserEntry { seq: seq(), at_ms: any::<u64>(), event: user_event() }
    sync_page -> SyncPage {
        request: any::<u32>(), channels: vec(channel_summary(), 0..3), next: of(sync_cursor()),
    }
    read_moved -> ReadMoved { channel: channel(), read: seq(), unread: any::<u64>() }
    muted -> Muted { channel: channel(), mute: mute() }
    attached -> Attached { channel: channel_summary(), after: seq() }
    typing_in -> TypingIn { channel: channel(), on: any::<bool>() }
}

fn channel_summary() -> impl Strategy<Value = ChannelSummary> {
    let what = (channel(), channel_kind(), text(), of(media()), of(user()), role(), any::<u32>());
    let state = (seq(), any::<u64>(), seq(), any::<u64>(), mute(), of(preview()));
    (what, state).prop_map(|((channel, kind, title, picture, peer, role, members), state)| {
        let (head, last_at_ms, read, unread, mute, preview) = state;
        ChannelSummary {
            channel,
            kind,
            title,
            picture,
            peer,
            role,
            members,
            head,
            last_at_ms,
            read,
            unread,
            mute,
            preview,
        }
    })
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let who = (user(), device(), any::<u16>(), any::<u64>(), any::<u64>());
    (who, seq(), seq(), any::<u32>(), any::<u32>(), any::<u32>()).prop_map(
        |((user, device, node, server_time_ms, token_expires_at_ms), user_cursor, user_head, a, b, c)| Welcome {
            user,
            device,
            node,
            server_time_ms,
            token_expires_at_ms,
            user_cursor,
            user_head,
            heartbeat_ms: a,
            dead_after_ms: b,
            attachments_max: c,
        },
    )
}

fn closing() -> impl Strategy<Value = Closing> {
    (any::<u16>(), text(), of(any::<u64>())).prop_map(|(code, message, retry_after_ms)| Closing {
        code: CloseCode(code),
        message,
        retry_after_ms,
    })
}

pub(crate) fn body() -> impl Strategy<Value = Body> {
    prop_oneof![text().prop_map(Body::Text), opaque().prop_map(Body::Opaque), erased().prop_map(Body::Erased)]
}

pub(crate) fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        message().prop_map(What::Message),
        edit().prop_map(What::Edit),
        seq().prop_map(|target| What::Delete(Delete { target })),
        react().prop_map(What::React),
        (user(), member_change()).prop_map(|(user, change)| What::Member(Member { user, change })),
        text().prop_map(|title| What::Title(Title { title })),
        of(media()).prop_map(|media| What::Picture(Picture { media })),
    ]
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        new_message().prop_map(Op::Message),
        new_edit().prop_map(Op::Edit),
        seq().prop_map(|target| Op::Delete(Delete { target })),
        react().prop_map(Op::React),
    ]
}

pub(crate) fn user_event() -> impl Strategy<Value = UserEvent> {
    let channel_ref = || channel().prop_map(|channel| ChannelRef { channel });
    let user_ref = || user().prop_map(|user| UserRef { user });
    let device_ref = || device().prop_map(|device| DeviceRef { device });
    prop_oneof![
        channel_ref().prop_map(UserEvent::ChannelJoined),
        channel_ref().prop_map(UserEvent::ChannelLeft),
        read_moved().prop_map(UserEvent::Read),
        muted().prop_map(UserEvent::Muted),
        user_ref().prop_map(UserEvent::FriendRequest),
        user_ref().prop_map(UserEvent::FriendAdded),
        user_ref().prop_map(UserEvent::FriendRemoved),
        user_ref().prop_map(UserEvent::Blocked),
        user_ref().prop_map(UserEvent::Unblocked),
        device_ref().prop_map(UserEvent::DeviceAdded),
        device_ref().prop_map(UserEvent::DeviceRemoved),
        user_ref().prop_map(UserEvent::ProfileChanged),
        user_ref().prop_map(UserEvent::FriendRequestSent),
    ]
}

pub(crate) fn open() -> impl Strategy<Value = Open> {
    prop_oneof![hello().prop_map(Open::Control), attach().prop_map(Open::Attach)]
}

pub(crate) fn control_up() -> impl Strategy<Value = ControlUp> {
    prop_oneof![
        any::<u64>().prop_map(|nonce| ControlUp::Ping(Ping { nonce })),
        text().prop_map(|token| ControlUp::Authenticate(Authenticate { token })),
        activity().prop_map(|activity| ControlUp::Activity(SetActivity { activity })),
        sync().prop_map(ControlUp::Sync),
        channel_mark().prop_map(ControlUp::Mark),
        presence_query().prop_map(ControlUp::Presence),
    ]
}

pub(crate) fn control_down() -> impl Strategy<Value = ControlDown> {
    let pong = (any::<u64>(), any::<u64>());
    prop_oneof![
        welcome().prop_map(ControlDown::Welcome),
        pong.prop_map(|(nonce, server_time_ms)| ControlDown::Pong(Pong { nonce, server_time_ms })),
        any::<u64>().prop_map(|expires_at_ms| ControlDown::Authenticated(Authenticated { expires_at_ms })),
        sync_page().prop_map(ControlDown::SyncPage),
        vec(user_entry(), 0..5).prop_map(|entries| ControlDown::UserEntries(UserEntries { entries })),
        vec(hint(), 0..4).prop_map(|channels| ControlDown::Hints(Hints { channels })),
        presence_list().prop_map(ControlDown::Presence),
        typing().prop_map(ControlDown::Typing),
        any::<u32>().prop_map(|delay_ms| ControlDown::GoAway(GoAway { delay_ms })),
        any::<u64>().prop_map(|in_ms| ControlDown::TokenExpiring(TokenExpiring { in_ms })),
        failed().prop_map(ControlDown::Failed),
        closing().prop_map(ControlDown::Closing),
    ]
}

pub(crate) fn channel_up() -> impl Strategy<Value = ChannelUp> {
    prop_oneof![
        send().prop_map(ChannelUp::Send),
        marks().prop_map(ChannelUp::Mark),
        any::<bool>().prop_map(|on| ChannelUp::Typing(SetTyping { on })),
        history_query().prop_map(ChannelUp::History),
    ]
}

pub(crate) fn entries() -> impl Strategy<Value = Vec<Entry>> {
    vec(entry(), 0..5)
}

pub(crate) fn channel_down() -> impl Strategy<Value = ChannelDown> {
    prop_oneof![
        attached().prop_map(ChannelDown::Attached),
        entries().prop_map(|entries| ChannelDown::Entries(Entries { entries })),
        ack().prop_map(ChannelDown::Ack),
        refused().prop_map(ChannelDown::Refused),
        vec(member_mark(), 0..5).prop_map(|members| ChannelDown::Marks(MemberMarks { members })),
        typing().prop_map(ChannelDown::Typing),
        history_page().prop_map(ChannelDown::History),
        history_failed().prop_map(ChannelDown::HistoryFailed),
        closing().prop_map(ChannelDown::Closed),
    ]
}

pub(crate) fn datagram_up() -> impl Strategy<Value = DatagramUp> {
    typing_in().prop_map(DatagramUp::Typing)
}

pub(crate) fn datagram_down() -> impl Strategy<Value = DatagramDown> {
    typing().prop_map(DatagramDown::Typing)
}
