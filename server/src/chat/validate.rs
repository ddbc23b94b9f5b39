//! What a send may hold, judged before any transaction: every violation is an error that names the field.
//!
//! Text is kept as it was sent. Control and direction characters do no harm to the server and are the business of
//! whoever shows the text, so they stay; only NUL is refused, because too much software beyond us ends a text there.

use suda_schema::channel::{NewEdit, NewMessage, Op, Send};
use suda_schema::entry::{Attachment, Body, Opaque};
use suda_schema::limits::{
    ATTACHMENT_FIELD_BYTES_MAX, ATTACHMENTS_MAX, MENTIONS_MAX, OPAQUE_BYTES_MAX, OPAQUE_SCHEME_BYTES_MAX,
    REACTION_BYTES_MAX, TEXT_BYTES_MAX, TEXT_CHARS_MAX, TITLE_BYTES_MAX,
};

use super::ChatError;

/// Everything about a send that can be judged without the store.
pub(super) fn send(send: &Send) -> Result<(), ChatError> {
    match &send.op {
        Op::Message(message) => self::message(message),
        Op::Edit(edit) => self::edit(edit),
        Op::Delete(_) => Ok(()),
        Op::React(react) => emoji(&react.emoji),
        _ => Err(unknown_op()),
    }
}

/// What a newer client sends that this node does not know.
pub(super) fn unknown_op() -> ChatError {
    ChatError::invalid("op", "of a kind that this node does not know")
}

fn message(message: &NewMessage) -> Result<(), ChatError> {
    let NewMessage { body, reply_to: _, mentions, attachments } = message;
    self::body(body, !attachments.is_empty())?;
    count("mentions", mentions.len(), MENTIONS_MAX)?;
    count("attachments", attachments.len(), ATTACHMENTS_MAX)?;
    attachments.iter().try_for_each(attachment)
}

fn edit(edit: &NewEdit) -> Result<(), ChatError> {
    // Whether the message has attachments, and may so do without a text, is known once it is read.
    body(&edit.body, true)?;
    count("mentions", edit.mentions.len(), MENTIONS_MAX)
}

/// A body that somebody sends. The text may be empty, but not merely blank, beside attachments.
fn body(body: &Body, may_be_empty: bool) -> Result<(), ChatError> {
    match body {
        Body::Text(text) if text.is_empty() && may_be_empty => Ok(()),
        Body::Text(text) => self::text(text),
        Body::Opaque(opaque) => self::opaque(opaque),
        Body::Erased(_) => Err(ChatError::invalid("body", "`erased` is not for sending; send a `delete`")),
        _ => Err(ChatError::invalid("body", "of a kind that this node does not know")),
    }
}

fn text(text: &str) -> Result<(), ChatError> {
    bytes("text", text.len(), TEXT_BYTES_MAX)?;
    // A text with fewer bytes has fewer characters too.
    if text.len() > TEXT_CHARS_MAX && text.chars().count() > TEXT_CHARS_MAX {
        return Err(ChatError::TooLarge { field: "text", max: TEXT_CHARS_MAX, unit: "characters" });
    }
    no_nul("text", text)?;
    not_blank("text", text)
}

fn opaque(opaque: &Opaque) -> Result<(), ChatError> {
    bytes("opaque.scheme", opaque.scheme.len(), OPAQUE_SCHEME_BYTES_MAX)?;
    no_control("opaque.scheme", &opaque.scheme)?;
    not_blank("opaque.scheme", &opaque.scheme)?;
    bytes("opaque.bytes", opaque.bytes.len(), OPAQUE_BYTES_MAX)?;
    if opaque.bytes.is_empty() {
        return Err(ChatError::invalid("opaque.bytes", "empty"));
    }
    Ok(())
}

fn attachment(attachment: &Attachment) -> Result<(), ChatError> {
    let Attachment { media: _, name, media_type, bytes: _, size_px: _, preview } = attachment;
    let preview = preview.as_deref().unwrap_or_default();
    for (field, value) in
        [("attachments.name", &**name), ("attachments.media_type", media_type), ("attachments.preview", preview)]
    {
        bytes(field, value.len(), ATTACHMENT_FIELD_BYTES_MAX)?;
        no_control(field, value)?;
    }
    Ok(())
}

/// A reaction: an emoji, or whatever short text the clients agree on.
pub(super) fn emoji(emoji: &str) -> Result<(), ChatError> {
    bytes("emoji", emoji.len(), REACTION_BYTES_MAX)?;
    no_control("emoji", emoji)?;
    not_blank("emoji", emoji)
}

/// The title of a group or a broadcast channel.
pub(super) fn title(title: &str) -> Result<(), ChatError> {
    bytes("title", title.len(), TITLE_BYTES_MAX)?;
    no_control("title", title)?;
    not_blank("title", title)
}

fn bytes(field: &'static str, len: usize, max: usize) -> Result<(), ChatError> {
    if len > max { Err(ChatError::TooLarge { field, max, unit: "bytes" }) } else { Ok(()) }
}

fn count(field: &'static str, len: usize, max: usize) -> Result<(), ChatError> {
    if len > max { Err(ChatError::TooLarge { field, max, unit: "items" }) } else { Ok(()) }
}

fn no_nul(field: &'static str, value: &str) -> Result<(), ChatError> {
    if value.contains('\0') { Err(ChatError::invalid(field, "holds a NUL character")) } else { Ok(()) }
}

fn no_control(field: &'static str, value: &str) -> Result<(), ChatError> {
    if value.chars().any(char::is_control) {
        return Err(ChatError::invalid(field, "holds a control character"));
    }
    Ok(())
}

fn not_blank(field: &'static str, value: &str) -> Result<(), ChatError> {
    if value.trim().is_empty() { Err(ChatError::invalid(field, "empty or only white space")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use suda_schema::entry::{Erased, React};
    use suda_schema::{ClientMsgId, ErrorCode, MediaId, Seq, UserId};

    use super::*;
    use crate::chat::tests::IntoOp;

    fn of(op: impl IntoOp) -> Result<(), (ErrorCode, String)> {
        let op = op.into_op();
        send(&Send { client_msg_id: ClientMsgId([0; 16]), op }).map_err(|error| {
            let wire = error.to_wire();
            (wire.code, wire.message)
        })
    }

    fn said(body: Body) -> NewMessage {
        NewMessage { body, reply_to: None, mentions: Vec::new(), attachments: Vec::new() }
    }

    fn text_of(text: impl Into<String>) -> NewMessage {
        said(Body::Text(text.into()))
    }

    fn picture() -> Attachment {
        let (name, media_type) = ("a.png".to_owned(), "image/png".to_owned());
        Attachment { media: MediaId(1), name, media_type, bytes: 1, size_px: Some((1, 1)), preview: None }
    }

    #[track_caller]
    fn refused(op: impl IntoOp, code: ErrorCode, field: &str) {
        let (got, message) = of(op).unwrap_err();
        assert_eq!(got, code, "{message}");
        assert!(message.starts_with(&format!("{field}:")), "{message}");
    }

    #[test]
    fn text_is_counted_in_characters_and_in_bytes() {
        assert_eq!(of(text_of("a".repeat(100_000))), Ok(()));
        refused(text_of("a".repeat(100_001)), ErrorCode::TOO_LARGE, "text");
        assert_eq!(of(text_of("🦀".repeat(100_000))), Ok(()));
        refused(text_of("é".repeat(100_001)), ErrorCode::TOO_LARGE, "text");
        refused(text_of("🦀".repeat(100_001)), ErrorCode::TOO_LARGE, "text");
    }

    #[test]
    fn blank_text_and_nul_are_refused_and_all_else_is_kept() {
        for blank in ["", " ", "\n\t\r ", "\u{3000}\u{2003}"] {
            refused(text_of(blank), ErrorCode::INVALID, "text");
        }
        refused(text_of("a\0b"), ErrorCode::INVALID, "text");
        for kept in ["שלום\u{202e}abc", "👩‍👩‍👧‍👦", "\u{7}bell", "\r\n.\r\n", "\u{feff}x", "수다"]
        {
            assert_eq!(of(text_of(kept)), Ok(()), "{kept:?}");
        }
    }

    #[test]
    fn a_picture_needs_no_words_but_blank_ones_help_nobody() {
        let with_picture = |text: &str| NewMessage { attachments: vec![picture()], ..text_of(text) };
        assert_eq!(of(with_picture("")), Ok(()));
        refused(with_picture("  "), ErrorCode::INVALID, "text");
    }

    #[test]
    fn lists_and_their_fields_have_limits() {
        let mentions = vec![UserId(1); 101];
        refused(NewMessage { mentions: mentions.clone(), ..text_of("x") }, ErrorCode::TOO_LARGE, "mentions");
        let edit = NewEdit { target: Seq(1), body: Body::Text("x".to_owned()), mentions };
        refused(edit, ErrorCode::TOO_LARGE, "mentions");
        let attachments = vec![picture(); 21];
        refused(NewMessage { attachments, ..text_of("x") }, ErrorCode::TOO_LARGE, "attachments");
        let long = || "x".repeat(257);
        for (field, attachment) in [
            ("attachments.name", Attachment { name: long(), ..picture() }),
            ("attachments.media_type", Attachment { media_type: long(), ..picture() }),
            ("attachments.preview", Attachment { preview: Some(long()), ..picture() }),
        ] {
            refused(NewMessage { attachments: vec![attachment], ..text_of("x") }, ErrorCode::TOO_LARGE, field);
        }
        let attachments = vec![Attachment { name: "a\nb".to_owned(), ..picture() }];
        refused(NewMessage { attachments, ..text_of("x") }, ErrorCode::INVALID, "attachments.name");
    }

    #[test]
    fn opaque_bodies_have_limits_of_their_own() {
        let opaque =
            |scheme: &str, len: usize| said(Body::Opaque(Opaque { scheme: scheme.to_owned(), bytes: vec![0; len] }));
        assert_eq!(of(opaque("mls/1", 400_000)), Ok(()));
        refused(opaque("mls/1", 400_001), ErrorCode::TOO_LARGE, "opaque.bytes");
        refused(opaque("mls/1", 0), ErrorCode::INVALID, "opaque.bytes");
        refused(opaque("", 1), ErrorCode::INVALID, "opaque.scheme");
        refused(opaque(&"x".repeat(65), 1), ErrorCode::TOO_LARGE, "opaque.scheme");
    }

    #[test]
    fn only_known_bodies_are_taken() {
        refused(said(Body::Erased(Erased { seq: Seq(1), by: UserId(1) })), ErrorCode::INVALID, "body");
        let unknown: NewMessage = serde_json::from_str(r#"{"body":{"hologram":{}}}"#).unwrap();
        refused(unknown, ErrorCode::INVALID, "body");
    }

    #[test]
    fn a_reaction_is_short() {
        let react = |emoji: &str| React { target: Seq(1), emoji: emoji.to_owned(), on: true };
        assert_eq!(of(react("👍🏽")), Ok(()));
        assert_eq!(of(react(":party:")), Ok(()));
        refused(react(""), ErrorCode::INVALID, "emoji");
        refused(react(" "), ErrorCode::INVALID, "emoji");
        refused(react("a\0"), ErrorCode::INVALID, "emoji");
        refused(react(&"x".repeat(65)), ErrorCode::TOO_LARGE, "emoji");
    }

    #[test]
    fn a_title_is_one_line() {
        assert!(title("수다 🗨").is_ok());
        for bad in ["", " ", "a\nb", &"x".repeat(401)] {
            assert!(title(bad).is_err(), "{bad:?}");
        }
    }
}
