//! What others see of a user: handle, names, picture; looked up by id or handle, and found by the beginning of a handle.

use serde::{Deserialize, Serialize};
use suda_schema::event::{UserEvent, UserRef};
use suda_schema::{MediaId, UserId};
use utoipa::ToSchema;

use super::accounts::{self, Account};
use super::friends;
use super::{Chat, ChatError, Tx, settings, user_log};
use crate::store::keys;

/// The most bytes in a handle; the fewest are [`HANDLE_BYTES_MIN`].
pub const HANDLE_BYTES_MAX: usize = 32;
/// The fewest bytes in a handle.
pub const HANDLE_BYTES_MIN: usize = 3;
/// The most characters in a name that is shown.
pub const DISPLAY_NAME_CHARS_MAX: usize = 64;
/// The most characters in what users say about themselves.
pub const BIO_CHARS_MAX: usize = 500;
/// The most characters in a status.
pub const STATUS_TEXT_CHARS_MAX: usize = 100;
/// The most bytes in the name of a language or of a time zone.
pub const LOCALE_BYTES_MAX: usize = 64;
/// The most users in one lookup.
pub const LOOKUP_MAX: usize = 200;
/// The most users that a search answers with.
pub const SEARCH_MAX: usize = 50;
/// How many handles a search looks at, most of which may not want to be found.
const SEARCH_ROWS_MAX: usize = 500;

/// What users say about themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// The name that is shown; never empty for an account that lives.
    pub display_name: String,
    /// About themselves.
    pub bio: String,
    /// What they do just now.
    pub status_text: String,
    /// Their picture.
    pub picture: Option<MediaId>,
    /// Their language, such as `ko-KR`; empty if they don't say.
    pub locale: String,
    /// Their time zone, such as `Asia/Seoul`; empty if they don't say. Only for themselves and for quiet hours.
    pub time_zone: String,
}

/// Changes to a profile; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProfileChange {
    /// A new name.
    pub display_name: Option<String>,
    /// A new text about themselves.
    pub bio: Option<String>,
    /// A new status.
    pub status_text: Option<String>,
    /// A new picture, or (`Some(None)`) none any more.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<MediaId>)]
    pub picture: Option<Option<MediaId>>,
    /// Another language.
    pub locale: Option<String>,
    /// Another time zone.
    pub time_zone: Option<String>,
}

/// A field that is there, even if it is null: told from one that is not there by `#[serde(default)]`.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<MediaId>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicUser {
    /// Who.
    pub user: UserId,
    /// Their handle; empty if they are gone.
    pub handle: String,
    /// The name that is shown; empty if they are gone.
    pub display_name: String,
    /// About themselves.
    pub bio: String,
    /// What they do just now.
    pub status_text: String,
    /// Their picture.
    pub picture: Option<MediaId>,
    /// Whether the account was deleted. What they wrote keeps its place, without its text.
    pub gone: bool,
}

impl PublicUser {
    pub(super) fn new(user: UserId, account: Account) -> Self {
        let gone = !account.is_live();
        let Account { handle, profile, .. } = account;
        Self {
            user,
            handle: if gone { String::new() } else { handle },
            display_name: profile.display_name,
            bio: profile.bio,
            status_text: profile.status_text,
            picture: profile.picture,
            gone,
        }
    }
}

/// A handle as it is stored: in lower case. Handles are `a-z`, `0-9`, `_` and `.`, so that no two of them look alike.
pub fn normalise_handle(handle: &str) -> Result<String, ChatError> {
    let handle = handle.to_ascii_lowercase();
    match handle.len() {
        HANDLE_BYTES_MIN..=HANDLE_BYTES_MAX if handle.bytes().all(is_of_handle) => Ok(handle),
        HANDLE_BYTES_MIN..=HANDLE_BYTES_MAX => Err(ChatError::invalid("handle", "may have only a-z, 0-9, _ and .")),
        _ => Err(ChatError::invalid("handle", "must have 3 to 32 characters")),
    }
}

fn is_of_handle(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.')
}

/// A text for people: without blanks around it, without control characters but line breaks where they make sense.
pub(super) fn clean(field: &'static str, text: &str, chars_max: usize, lines: bool) -> Result<String, ChatError> {
    let text = text.trim();
    if text.chars().nth(chars_max).is_some() {
        return Err(ChatError::TooLarge { field, max: chars_max, unit: "characters" });
    }
    if text.chars().any(|char| char.is_control() && !(lines && char == '\n')) {
        return Err(ChatError::invalid(field, "has control characters"));
    }
    Ok(text.to_owned())
}

/// A name such as of a language or time zone.
fn clean_name(field: &'static str, name: &str) -> Result<String, ChatError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
    if name.len() > LOCALE_BYTES_MAX {
        return Err(ChatError::TooLarge { field, max: LOCALE_BYTES_MAX, unit: "bytes" });
    }
    if !name.bytes().all(fits) {
        return Err(ChatError::invalid(field, "has characters that no such name has"));
    }
    Ok(name.to_owned())
}

/// A name to be shown; an empty one becomes the handle.
pub(super) fn clean_display_name(name: &str, handle: &str) -> Result<String, ChatError> {
    let name = clean("display_name", name, DISPLAY_NAME_CHARS_MAX, false)?;
    Ok(if name.is_empty() { handle.to_owned() } else { name })
}

impl Profile {
    fn changed(self, change: &ProfileChange, handle: &str) -> Result<Self, ChatError> {
        fn or<T>(
            new: Option<&String>,
            old: T,
            clean: impl FnOnce(&str) -> Result<T, ChatError>,
        ) -> Result<T, ChatError> {
            new.map_or(Ok(old), |new| clean(new))
        }
        Ok(Self {
            display_name: or(change.display_name.as_ref(), self.display_name, |new| clean_display_name(new, handle))?,
            bio: or(change.bio.as_ref(), self.bio, |new| clean("bio", new, BIO_CHARS_MAX, true))?,
            status_text: or(change.status_text.as_ref(), self.status_text, |new| {
                clean("status_text", new, STATUS_TEXT_CHARS_MAX, false)
            })?,
            picture: change.picture.unwrap_or(self.picture),
            locale: or(change.locale.as_ref(), self.locale, |new| clean_name("locale", new))?,
            time_zone: or(change.time_zone.as_ref(), self.time_zone, |new| clean_name("time_zone", new))?,
        })
    }
}

impl Chat {
    /// One's own profile, with what others don't see.
    pub async fn own_profile(&self, me: UserId) -> Result<(PublicUser, Profile), ChatError> {
        let account = self.read(|tx| async move { accounts::live(&tx, me).await }).await?;
        let profile = account.profile.clone();
        Ok((PublicUser::new(me, account), profile))
    }

    /// Changes one's own profile.
    pub async fn change_profile(&self, me: UserId, change: &ProfileChange) -> Result<Profile, ChatError> {
        self.run_idempotent(|tx| async move {
            let mut account = accounts::live(&tx, me).await?;
            let before = account.profile.clone();
            account.profile = account.profile.changed(change, &account.handle)?;
            if account.profile != before {
                accounts::put(&tx, me, &account);
                user_log::append(&tx, me, &[UserEvent::ProfileChanged(UserRef { user: me })]).await?;
            }
            Ok(account.profile)
        })
        .await
    }

    /// Users by id, in the order asked for; ids that never were are left out.
    pub async fn users(&self, ids: &[UserId]) -> Result<Vec<PublicUser>, ChatError> {
        if ids.len() > LOOKUP_MAX {
            return Err(ChatError::TooLarge { field: "users", max: LOOKUP_MAX, unit: "ids" });
        }
        self.read(|tx| async move {
            let mut users = Vec::with_capacity(ids.len());
            for &user in ids {
                users.extend(accounts::get(&tx, user).await?.map(|account| PublicUser::new(user, account)));
            }
            Ok(users)
        })
        .await
    }

    /// The user with this handle, if they let `viewer` find them.
    pub async fn user_by_handle(&self, viewer: UserId, handle: &str) -> Result<PublicUser, ChatError> {
        let handle = &normalise_handle(handle).map_err(|_| ChatError::NotFound("user"))?;
        self.read(|tx| async move {
            let user = accounts::by_handle(&tx, handle).await?.ok_or(ChatError::NotFound("user"))?;
            findable(&tx, viewer, user).await?.ok_or(ChatError::NotFound("user"))
        })
        .await
    }

    /// Users whose handle begins so, in order of their handles, at most `limit` and at most [`SEARCH_MAX`].
    pub async fn search_users(
        &self,
        viewer: UserId,
        beginning: &str,
        limit: usize,
    ) -> Result<Vec<PublicUser>, ChatError> {
        let beginning = beginning.to_ascii_lowercase();
        let possible = (1..=HANDLE_BYTES_MAX).contains(&beginning.len()) && beginning.bytes().all(is_of_handle);
        if !possible {
            return Ok(Vec::new());
        }
        let beginning = &beginning;
        let limit = limit.clamp(1, SEARCH_MAX);
        self.read(|tx| async move {
            let rows = tx.range(keys::handles_beginning(beginning).limit(SEARCH_ROWS_MAX)).await?.rows;
            let mut found = Vec::new();
            for (_, value) in rows {
                let user = accounts::user_of_handle(&value)?;
                found.extend(findable(&tx, viewer, user).await?);
                if found.len() >= limit {
                    break;
                }
            }
            Ok(found)
        })
        .await
    }
}

/// The user, if they are there and let `viewer` find them.
async fn findable(tx: &Tx, viewer: UserId, user: UserId) -> Result<Option<PublicUser>, ChatError> {
    let Some(account) = accounts::get(tx, user).await?.filter(Account::is_live) else { return Ok(None) };
    let relation = friends::relation(tx, user, viewer).await?;
    let may = viewer == user || relation.allows(settings::get(tx, user).await?.find_by_handle);
    Ok(may.then(|| PublicUser::new(user, account)))
}
