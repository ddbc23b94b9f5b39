//! Who may bring whom into a channel, and whether two who share a direct channel may talk.

use futures_util::future::try_join3;
use suda_schema::UserId;

use super::settings::{Audience, Settings};
use super::{ChatError, Tx, accounts, friends, roster, settings};

/// Whether one of the two users of a direct channel has blocked the other. The read conflicts with whoever blocks.
pub(super) async fn pair_is_blocked(tx: &Tx, pair: Option<(UserId, UserId)>) -> Result<bool, ChatError> {
    match pair {
        Some((one, other)) if one != other => Ok(friends::relation(tx, one, other).await?.is_blocked()),
        _ => Ok(false),
    }
}

/// Whether `by` may put `user` into a group or broadcast channel: an account that lives, no block either way, and what
/// the user's own settings say.
pub(super) async fn may_add(tx: &Tx, by: UserId, user: UserId) -> Result<(), ChatError> {
    allowed(tx, by, user, |settings| settings.invites_from, "this user can't be added by you; send an invite").await
}

/// Whether `by` may open a direct channel with `user`.
pub(super) async fn may_open_direct(tx: &Tx, by: UserId, user: UserId) -> Result<(), ChatError> {
    allowed(tx, by, user, |settings| settings.direct_from, "this user does not take messages from you").await
}

async fn allowed(
    tx: &Tx,
    by: UserId,
    user: UserId,
    audience: fn(&Settings) -> Audience,
    otherwise: &'static str,
) -> Result<(), ChatError> {
    let account = async { accounts::live(tx, user).await.map(drop) };
    let ((), relation, settings) = try_join3(account, friends::relation(tx, user, by), settings::get(tx, user)).await?;
    if relation.is_blocked() {
        return Err(ChatError::Blocked);
    }
    if relation.allows(audience(&settings)) { Ok(()) } else { Err(ChatError::Forbidden(otherwise)) }
}

/// Makes sure that there is such a user.
pub(super) async fn require_user(tx: &Tx, user: UserId) -> Result<(), ChatError> {
    accounts::live(tx, user).await.map(drop)
}

/// Tells the live views of two users' direct channel, if they have one, that one of the two has blocked the other, or
/// has taken it back.
pub(super) async fn blocking_changed(tx: &Tx, one: UserId, other: UserId) -> Result<(), ChatError> {
    if let Some(channel) = super::channels::direct_of(tx, one, other).await? {
        roster::rights_changed(tx, channel);
    }
    Ok(())
}
