//! What the identity half promises, over a store in memory, also one that fails on purpose.

mod accounts;
mod devices;
mod external;
mod friends;
mod leaving;
mod operator;
mod presence;
mod profiles;

use suda_schema::event::UserEvent;
use suda_schema::{Seq, UserId};

use super::Chat;

/// What the log of a user says, from its beginning.
async fn events(chat: &Chat, user: UserId) -> Vec<UserEvent> {
    let page = chat.user_log_after(user, Seq::ZERO, 500).await.unwrap();
    page.entries.into_iter().map(|entry| entry.event).collect()
}

/// The same without the devices that came and went.
async fn events_of_others(chat: &Chat, user: UserId) -> Vec<UserEvent> {
    let mut events = events(chat, user).await;
    events.retain(|event| !matches!(event, UserEvent::DeviceAdded(_) | UserEvent::DeviceRemoved(_)));
    events
}
