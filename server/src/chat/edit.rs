//! Edits and deletions: a new entry says that it happened, and the message's own row becomes what it is now.
//!
//! A deletion really erases. The text leaves the message's row and the rows of all its edits, with mentions,
//! attachments, reactions and the preview; what stays is that there was a message, and who took it away.

use suda_schema::channel::NewEdit;
use suda_schema::entry::{Body, Delete, Edit, Edited, Entry, Erased, What};
use suda_schema::limits::EDITS_PER_MESSAGE_MAX;
use suda_schema::{ChannelId, ClientMsgId, Seq, UserId};

use super::draft::Draft;
use super::row::EditRow;
use super::targets::Targets;
use super::{ChatError, Tx};
use crate::store::keys;

/// Replaces the text of one's own message.
pub(super) fn edit(
    tx: &Tx,
    channel: ChannelId,
    draft: &mut Draft,
    targets: &mut Targets,
    (user, client_msg_id): (UserId, ClientMsgId),
    new: &NewEdit,
) -> Result<(Seq, u64), ChatError> {
    let (author, message) = draft.message(new.target)?;
    if author != user {
        return Err(ChatError::Forbidden("only its author may edit a message"));
    }
    if matches!(message.body, Body::Erased(_)) {
        return Err(ChatError::Erased);
    }
    if matches!(&new.body, Body::Text(text) if text.is_empty()) && message.attachments.is_empty() {
        return Err(ChatError::invalid("text", "empty or only white space"));
    }
    let count = message.edited.as_ref().map_or(0, |edited| edited.count).saturating_add(1);
    if usize::try_from(count).is_ok_and(|count| count > EDITS_PER_MESSAGE_MAX) {
        return Err(ChatError::LimitReached { what: "edits of one message", max: EDITS_PER_MESSAGE_MAX as u64 });
    }
    let mentions = targets.members_of(&new.mentions);
    let what = What::Edit(Edit { target: new.target, body: new.body.clone(), mentions: mentions.clone() });
    let (seq, at_ms) = draft.push(user, Some(client_msg_id), what);
    draft.change(new.target, |message| {
        message.body = new.body.clone();
        message.mentions = mentions;
        message.edited = Some(Edited { seq, at_ms, count });
    })?;
    let row = EditRow { at_ms, msgs: draft.head().msgs, client_msg_id: Some(client_msg_id) };
    tx.set_row(keys::edit(channel, new.target, seq), &row);
    targets.add_edit(new.target, seq, row);
    Ok((seq, at_ms))
}

/// Deletes a message. Whether `by` may is the caller's to have checked, except that it can be deleted only once.
pub(super) fn delete(
    tx: &Tx,
    channel: ChannelId,
    draft: &mut Draft,
    targets: &mut Targets,
    (by, client_msg_id): (UserId, Option<ClientMsgId>),
    target: Seq,
) -> Result<(Seq, u64), ChatError> {
    let (author, message) = draft.message(target)?;
    if matches!(message.body, Body::Erased(_)) {
        return Err(ChatError::Erased);
    }
    let (seq, at_ms) = draft.push(by, client_msg_id, What::Delete(Delete { target }));
    let erased = Body::Erased(Erased { seq, by });
    draft.change(target, |message| {
        message.body = erased.clone();
        message.mentions.clear();
        message.attachments.clear();
        message.reactions.clear();
    })?;
    for (edit_seq, row) in targets.take_edits(target) {
        let what = What::Edit(Edit { target, body: erased.clone(), mentions: Vec::new() });
        let EditRow { at_ms, msgs, client_msg_id } = row;
        draft.replace(msgs, Entry { seq: edit_seq, at_ms, by: author, client_msg_id, what });
    }
    for side in [keys::edits(channel, target), keys::reactions(channel, target)] {
        tx.clear_range(side.begin(), side.end());
    }
    Ok((seq, at_ms))
}
