//! Reactions. A message's row shows them gathered; a small row each says who has reacted with what, so that the count
//! is exact however many there are, and reacting twice is reacting once.

use suda_schema::entry::{Body, React, Reaction, What};
use suda_schema::limits::{REACTION_USERS_MAX, REACTIONS_PER_MESSAGE_MAX};
use suda_schema::{ChannelId, ClientMsgId, Seq, UserId};

use super::draft::Draft;
use super::targets::Targets;
use super::{ChatError, Tx};
use crate::store::keys;

/// Adds a reaction or takes it back. One that changes nothing still makes an entry, so that every send that was taken
/// has one; it leaves the message as it is.
pub(super) fn react(
    tx: &Tx,
    channel: ChannelId,
    draft: &mut Draft,
    targets: &mut Targets,
    (user, client_msg_id): (UserId, ClientMsgId),
    react: &React,
) -> Result<(Seq, u64), ChatError> {
    let (_, message) = draft.message(react.target)?;
    if matches!(message.body, Body::Erased(_)) {
        return Err(ChatError::Erased);
    }
    let is_new = react.on && !message.reactions.iter().any(|reaction| reaction.emoji == react.emoji);
    if is_new && message.reactions.len() >= REACTIONS_PER_MESSAGE_MAX {
        let max = REACTIONS_PER_MESSAGE_MAX as u64;
        return Err(ChatError::LimitReached { what: "different reactions to one message", max });
    }
    if targets.set_reacted(react, user) {
        draft.change(react.target, |message| gather(&mut message.reactions, react, user))?;
        let key = keys::reaction(channel, react.target, &react.emoji, user);
        if react.on {
            tx.set(key, Vec::new());
        } else {
            tx.clear(key);
        }
    }
    Ok(draft.push(user, Some(client_msg_id), What::React(react.clone())))
}

/// Changes the gathered reactions by one.
fn gather(reactions: &mut Vec<Reaction>, react: &React, user: UserId) {
    let emoji = &react.emoji;
    if react.on {
        match reactions.iter_mut().find(|reaction| reaction.emoji == *emoji) {
            Some(reaction) => {
                reaction.count = reaction.count.saturating_add(1);
                if reaction.users.len() < REACTION_USERS_MAX {
                    reaction.users.push(user);
                }
            }
            None => reactions.push(Reaction { emoji: emoji.clone(), count: 1, users: vec![user] }),
        }
    } else if let Some(reaction) = reactions.iter_mut().find(|reaction| reaction.emoji == *emoji) {
        reaction.count = reaction.count.saturating_sub(1);
        reaction.users.retain(|other| *other != user);
        reactions.retain(|reaction| reaction.count > 0);
    }
}
