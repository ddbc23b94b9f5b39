//! Whom a topic concerns, so that other nodes are told where those people are.
//!
//! A session registers its user's own topic for its node, and little else. Where few people are concerned, whoever writes
//! looks up where each of them is: members of direct and group channels, and those who see a user come and go. That is many
//! reads for a message, but sessions begin and end far more often than there is anything to hear of most of what they could
//! listen to, and a registration is written twice. A broadcast channel has too many members to look each up: sessions
//! register it.

use futures_util::future::try_join;
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, UserId};

use super::row::ChannelRow;
use super::{ChatError, Topic, Tx, friends};
use crate::store::keys;

/// Who is to hear of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Whoever has registered the topic itself.
    Registered,
    /// These users, wherever their own topic is registered.
    Users(Vec<UserId>),
}

/// Whether all members of such a channel are looked up.
pub(super) fn is_of_members(kind: ChannelKind) -> bool {
    matches!(kind, ChannelKind::Direct | ChannelKind::Group)
}

/// Who is to hear of a topic. The reads conflict with whoever comes to be concerned.
pub async fn of(tx: &Tx, topic: Topic) -> Result<Audience, ChatError> {
    match topic {
        Topic::User(_) => Ok(Audience::Registered),
        Topic::Channel(channel) => of_channel(tx, channel).await,
        Topic::Presence(user) => Ok(Audience::Users(watchers(tx, user).await?)),
    }
}

async fn of_channel(tx: &Tx, channel: ChannelId) -> Result<Audience, ChatError> {
    // What a channel's kind and pair are, they are for ever.
    let Some(row) = tx.row_snapshot::<ChannelRow>(&keys::channel(channel)).await? else {
        return Ok(Audience::Registered);
    };
    if let Some((one, other)) = row.pair {
        return Ok(Audience::Users(vec![one, other]));
    }
    if !is_of_members(row.kind) {
        return Ok(Audience::Registered);
    }
    let members = tx.all_rows(keys::members(channel)).await?;
    Ok(Audience::Users(users(&members)?))
}

/// Friends, and partners in direct channels: all who may have a user's presence before them, and perhaps some more.
async fn watchers(tx: &Tx, user: UserId) -> Result<Vec<UserId>, ChatError> {
    let friends = tx.all_rows(keys::listed_after(user, friends::List::Friends.number(), None));
    let (mut rows, partners) = try_join(friends, tx.all_rows(keys::partners(user))).await?;
    rows.extend(partners);
    let mut watchers = users(&rows)?;
    watchers.sort_unstable();
    watchers.dedup();
    Ok(watchers)
}

/// The users at the end of these keys.
fn users(rows: &[(bytes::Bytes, bytes::Bytes)]) -> Result<Vec<UserId>, ChatError> {
    rows.iter().map(|(key, _)| keys::last_number(key).map(UserId).ok_or(ChatError::BadRow("list of users"))).collect()
}
