use super::{ALICE, AT_MS, BOB, CHANNEL, CLIENT_MSG_ID, SEQ, Samples, entry, error};
use crate::channel::{
    Ack, Attached, ChannelDown, ChannelUp, DatagramDown, DatagramUp, Entries, HistoryAt, HistoryFailed, HistoryPage,
    HistoryQuery, Marks, MemberMarks, NewEdit, NewMessage, Op, Refused, Send, SetTyping, TypingIn,
};
use crate::control::{Closing, Typing};
use crate::entry::{Body, Delete, React, Role};
use crate::summary::{ChannelKind, ChannelSummary, MemberMark, Mute, Preview};
use crate::{CloseCode, MediaId, Seq};

impl Samples for Op {
    const NAME: &'static str = "op";
    fn samples() -> Vec<(&'static str, Self)> {
        let full = NewMessage {
            body: entry::text(),
            reply_to: Some(Seq(1_039)),
            mentions: vec![BOB],
            attachments: entry::attachments(),
        };
        vec![
            ("message", Self::Message(new_message(entry::text()))),
            ("message.full", Self::Message(full)),
            ("edit", Self::Edit(NewEdit { target: SEQ, body: entry::text(), mentions: vec![BOB] })),
            ("delete", Self::Delete(Delete { target: SEQ })),
            ("react", Self::React(React { target: SEQ, emoji: "👍".to_owned(), on: true })),
        ]
    }
}

impl Samples for ChannelUp {
    const NAME: &'static str = "channel_up";
    fn samples() -> Vec<(&'static str, Self)> {
        let send = |op| Self::Send(Send { client_msg_id: CLIENT_MSG_ID, op });
        let history = |at, thread| Self::History(HistoryQuery { request: 3, at, limit: 50, thread });
        let mut samples = vec![
            ("mark", Self::Mark(Marks { delivered: None, read: Some(SEQ) })),
            ("mark.both", Self::Mark(Marks { delivered: Some(SEQ), read: Some(Seq(1_040)) })),
            ("typing", Self::Typing(SetTyping { on: true })),
            ("history", history(HistoryAt::Before(SEQ), None)),
            ("history.after", history(HistoryAt::After(Seq::ZERO), None)),
            ("history.around", history(HistoryAt::Around(Seq(500)), None)),
            ("history.unread", history(HistoryAt::Unread, None)),
            ("history.time", history(HistoryAt::Time(AT_MS), None)),
            ("history.newest", history(HistoryAt::Newest, None)),
            ("history.thread", history(HistoryAt::Newest, Some(Seq(1_001)))),
        ];
        let names = ["send", "send.full", "send.edit", "send.delete", "send.react"];
        samples.extend(names.into_iter().zip(Op::samples().into_iter().map(|(_, op)| send(op))));
        samples
    }
}

impl Samples for ChannelDown {
    const NAME: &'static str = "channel_down";
    fn samples() -> Vec<(&'static str, Self)> {
        let history =
            HistoryPage { request: 3, entries: vec![entry::short_entry()], more_before: true, more_after: false };
        let removed = Closing {
            code: CloseCode::REMOVED,
            message: "you were removed from this channel".to_owned(),
            retry_after_ms: None,
        };
        let mark = MemberMark { user: BOB, delivered: SEQ, read: Seq(1_040) };
        vec![
            ("attached", Self::Attached(Attached { channel: group(), after: Seq(1_000) })),
            ("attached.direct", Self::Attached(Attached { channel: direct(), after: Seq::ZERO })),
            ("entries", Self::Entries(Entries { entries: vec![entry::short_entry()] })),
            ("entries.all", Self::Entries(Entries { entries: entry::entries() })),
            ("ack", Self::Ack(Ack { client_msg_id: CLIENT_MSG_ID, seq: SEQ, at_ms: AT_MS })),
            ("refused", Self::Refused(Refused { client_msg_id: CLIENT_MSG_ID, error: error() })),
            ("marks", Self::Marks(MemberMarks { members: vec![mark] })),
            ("typing", Self::Typing(typing())),
            ("history", Self::History(history)),
            ("history_failed", Self::HistoryFailed(HistoryFailed { request: 3, error: error() })),
            ("closed", Self::Closed(removed)),
        ]
    }
}

impl Samples for DatagramUp {
    const NAME: &'static str = "datagram_up";
    fn samples() -> Vec<(&'static str, Self)> {
        vec![("typing", Self::Typing(TypingIn { channel: CHANNEL, on: true }))]
    }
}

impl Samples for DatagramDown {
    const NAME: &'static str = "datagram_down";
    fn samples() -> Vec<(&'static str, Self)> {
        vec![("typing", Self::Typing(typing()))]
    }
}

pub(super) fn typing() -> Typing {
    Typing { channel: CHANNEL, user: BOB, for_ms: 6_000 }
}

pub(super) fn preview() -> Preview {
    Preview { seq: SEQ, by: ALICE, at_ms: AT_MS, text: "See you at noon?".to_owned() }
}

pub(super) fn group() -> ChannelSummary {
    ChannelSummary {
        channel: CHANNEL,
        kind: ChannelKind::Group,
        title: "Lunch".to_owned(),
        picture: Some(MediaId(362_387_878_182_912)),
        peer: None,
        role: Role::Admin,
        members: 4,
        head: SEQ,
        last_at_ms: AT_MS,
        read: Seq(1_030),
        unread: 7,
        mute: Mute::Off,
        preview: Some(preview()),
    }
}

pub(super) fn direct() -> ChannelSummary {
    ChannelSummary {
        kind: ChannelKind::Direct,
        title: String::new(),
        picture: None,
        peer: Some(BOB),
        role: Role::Member,
        members: 2,
        mute: Mute::Until(Mute::FOREVER_MS),
        ..group()
    }
}

pub(super) fn broadcast() -> ChannelSummary {
    ChannelSummary {
        kind: ChannelKind::Broadcast,
        title: "News".to_owned(),
        members: 50_000,
        head: Seq::ZERO,
        read: Seq::ZERO,
        unread: 0,
        mute: Mute::MentionsOnly,
        preview: None,
        ..group()
    }
}

fn new_message(body: Body) -> NewMessage {
    NewMessage { body, reply_to: None, mentions: Vec::new(), attachments: Vec::new() }
}
