//! Joining by link: whoever has the code may come in, unless banned. A channel has at most one code at a time; a new one
//! ends the old one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use suda_schema::entry::Role;
use suda_schema::summary::{ChannelKind, ChannelSummary};
use suda_schema::{ChannelId, MediaId, UserId};

use super::members::require_admin;
use super::roster::{let_in, member_count, open_log};
use super::row::{ChannelRow, PointerRow};
use super::{Chat, ChatError, Tx, channels, members, summary};
use crate::store::keys;

/// Bytes of randomness in a code: as hard to guess as a key.
const CODE_BYTES: usize = 16;
/// The longest text that is looked up as a code.
const CODE_CHARS_MAX: usize = 64;

/// What a code leads to, as shown before one joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitePreview {
    /// Where it leads.
    pub channel: ChannelId,
    /// What kind of channel that is.
    pub kind: ChannelKind,
    /// Its title.
    pub title: String,
    /// Its picture.
    pub picture: Option<MediaId>,
    /// How many members it has.
    pub members: u64,
}

impl Chat {
    /// Makes a code, and ends the one before. An admin's right.
    pub async fn make_invite(&self, by: UserId, channel: ChannelId) -> Result<String, ChatError> {
        let code = &URL_SAFE_NO_PAD.encode(self.clock().random::<CODE_BYTES>());
        self.run_idempotent(|tx| async move {
            let (row, _) = require_admin(&tx, channel, by).await?;
            replace(&tx, channel, row, Some(code.clone()));
            Ok(code.clone())
        })
        .await
    }

    /// Ends the channel's code; without one nothing changes. An admin's right.
    pub async fn revoke_invite(&self, by: UserId, channel: ChannelId) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move {
            let (row, _) = require_admin(&tx, channel, by).await?;
            replace(&tx, channel, row, None);
            Ok(())
        })
        .await
    }

    /// The channel's code, if it has one. An admin's right.
    pub async fn invite(&self, by: UserId, channel: ChannelId) -> Result<Option<String>, ChatError> {
        self.read(|tx| async move { Ok(require_admin(&tx, channel, by).await?.0.invite) }).await
    }

    /// What a code leads to.
    pub async fn look_at_invite(&self, code: &str) -> Result<InvitePreview, ChatError> {
        self.read(|tx| async move {
            let (channel, row) = resolve(&tx, code).await?;
            let members = member_count(&tx, channel).await?;
            Ok(InvitePreview { channel, kind: row.kind, title: row.title, picture: row.picture, members })
        })
        .await
    }

    /// Joins by a code. One who is a member already stays as they are.
    pub async fn join(&self, user: UserId, code: &str) -> Result<ChannelSummary, ChatError> {
        self.run_idempotent(|tx| async move {
            let (channel, row) = resolve(&tx, code).await?;
            if members::role_of(&tx, channel, user).await?.is_none() {
                let mut draft = open_log(&tx, channel, row.kind).await?;
                let_in(&tx, channel, &row, &mut draft, user, &[(user, Role::Member)]).await?;
                draft.write(&tx)?;
            }
            summary::require(&tx, user, channel).await
        })
        .await
    }
}

async fn resolve(tx: &Tx, code: &str) -> Result<(ChannelId, ChannelRow), ChatError> {
    if code.len() > CODE_CHARS_MAX {
        return Err(ChatError::NotFound("invite"));
    }
    let PointerRow { channel } = tx.row(&keys::invite(code)).await?.ok_or(ChatError::NotFound("invite"))?;
    let row = channels::find(tx, channel).await?.ok_or(ChatError::NotFound("invite"))?;
    Ok((channel, row))
}

fn replace(tx: &Tx, channel: ChannelId, row: ChannelRow, invite: Option<String>) {
    if let Some(old) = &row.invite {
        tx.clear(keys::invite(old));
    }
    if let Some(new) = &invite {
        tx.set_row(keys::invite(new), &PointerRow { channel });
    }
    tx.set_row(keys::channel(channel), &ChannelRow { invite, ..row });
}
