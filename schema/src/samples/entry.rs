use super::{ALICE, AT_MS, BOB, CLIENT_MSG_ID, SEQ, Samples};
use crate::entry::{
    Attachment, Body, Delete, Edit, Edited, Entry, Erased, Member, MemberChange, Message, Opaque, Picture, React,
    Reaction, Role, Title, What,
};
use crate::{MediaId, Seq};

impl Samples for Body {
    const NAME: &'static str = "body";
    fn samples() -> Vec<(&'static str, Self)> {
        vec![
            ("text", text()),
            ("text.unicode", Self::Text("수다 떨자 👋🏽 \u{202e}rtl\u{202c} \"quoted\" \u{0} \n".to_owned())),
            ("opaque", Self::Opaque(Opaque { scheme: "mls/1".to_owned(), bytes: vec![0, 1, 2, 0xfd, 0xfe, 0xff] })),
            ("erased", erased()),
        ]
    }
}

impl Samples for What {
    const NAME: &'static str = "what";
    fn samples() -> Vec<(&'static str, Self)> {
        let member = |change| Self::Member(Member { user: BOB, change });
        let edit = |body| Self::Edit(Edit { target: Seq(1_040), body, mentions: vec![BOB] });
        let react = |on| Self::React(React { target: Seq(1_040), emoji: "❤️".to_owned(), on });
        vec![
            ("message", Self::Message(message(text()))),
            ("message.full", Self::Message(full_message())),
            ("message.erased", Self::Message(message(erased()))),
            ("edit", edit(text())),
            ("edit.erased", edit(erased())),
            ("delete", Self::Delete(Delete { target: Seq(1_040) })),
            ("react", react(true)),
            ("react.off", react(false)),
            ("member.joined", member(MemberChange::Joined(Role::Member))),
            ("member.left", member(MemberChange::Left)),
            ("member.kicked", member(MemberChange::Kicked)),
            ("member.banned", member(MemberChange::Banned)),
            ("member.unbanned", member(MemberChange::Unbanned)),
            ("member.poster", member(MemberChange::Role(Role::Poster))),
            ("member.admin", member(MemberChange::Role(Role::Admin))),
            ("member.owner", member(MemberChange::Role(Role::Owner))),
            ("title", Self::Title(Title { title: "Lunch".to_owned() })),
            ("picture", Self::Picture(Picture { media: Some(MediaId(362_387_878_182_912)) })),
            ("picture.none", Self::Picture(Picture { media: None })),
        ]
    }
}

/// One entry around each specimen of [`What`], in a row.
pub(super) fn entries() -> Vec<Entry> {
    What::samples().into_iter().zip(1..).map(|((_, what), seq)| entry(Seq(seq), what)).collect()
}

pub(super) fn short_entry() -> Entry {
    entry(SEQ, What::Message(message(text())))
}

fn entry(seq: Seq, what: What) -> Entry {
    let by_a_device = matches!(what, What::Message(_) | What::Edit(_) | What::Delete(_) | What::React(_));
    Entry { seq, at_ms: AT_MS, by: ALICE, client_msg_id: by_a_device.then_some(CLIENT_MSG_ID), what }
}

pub(super) fn text() -> Body {
    Body::Text("See you at noon?".to_owned())
}

pub(super) fn attachments() -> Vec<Attachment> {
    let photo = Attachment {
        media: MediaId(362_387_878_182_913),
        name: "menu.png".to_owned(),
        media_type: "image/png".to_owned(),
        bytes: 48_213,
        size_px: Some((1_170, 2_532)),
        preview: Some("LEHV6nWB2yk8pyo0adR*.7kCMdnj".to_owned()),
    };
    let file = Attachment {
        media: MediaId(362_387_878_182_914),
        name: "prices.csv".to_owned(),
        media_type: "text/csv".to_owned(),
        bytes: 0,
        size_px: None,
        preview: None,
    };
    vec![photo, file]
}

fn message(body: Body) -> Message {
    Message {
        body,
        reply_to: None,
        thread: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
        edited: None,
        reactions: Vec::new(),
    }
}

fn full_message() -> Message {
    Message {
        reply_to: Some(Seq(1_039)),
        thread: Some(Seq(1_001)),
        mentions: vec![ALICE, BOB],
        attachments: attachments(),
        edited: Some(Edited { seq: Seq(1_041), at_ms: AT_MS, count: 2 }),
        reactions: vec![Reaction { emoji: "👍".to_owned(), count: 2, users: vec![BOB, ALICE] }],
        ..message(text())
    }
}

fn erased() -> Body {
    Body::Erased(Erased { seq: Seq(1_041), by: BOB })
}
