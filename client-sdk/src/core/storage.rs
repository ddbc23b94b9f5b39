//! What is kept beyond the life of the app.
//!
//! The core says what is to be kept; where, is the [`Storage`]'s affair. What fails to be kept is told as
//! [`Event::StorageFailed`](super::io::Event::StorageFailed), and the client goes on without.

use serde::{Deserialize, Serialize};
use suda_schema::entry::Entry;
use suda_schema::summary::ChannelSummary;
use suda_schema::{ChannelId, ClientMsgId, DeviceId, Seq, UserId};

use super::outbox::Pending;

/// Something could not be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StorageError(pub String);

/// What there was when the app ended, but for the channels' entries.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Saved {
    /// The state that was put last.
    pub state: Option<State>,
    /// The sends that were added to the outbox and not removed, in the order they were added.
    pub outbox: Vec<Pending>,
    /// The login that was put last, as the driver has it.
    pub login: Option<Vec<u8>>,
}

/// The small things.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// Whose it all is.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// How far the user's own log has been read.
    pub user_cursor: Seq,
    /// The list of channels.
    pub channels: Vec<ChannelSummary>,
    /// Whether the list was complete.
    pub complete: bool,
    /// When the list was last known to be up to date, by the server's clock.
    pub live_ms: u64,
    /// Read marks that the server has not confirmed.
    pub reads: Vec<(ChannelId, Seq)>,
}

/// Keeps what it is given, in the order it is given.
pub trait Storage: Send {
    /// What there was.
    fn load(&mut self) -> Result<Saved, StorageError>;
    /// The newest entries of a channel that are kept, in order. A gap among them is allowed; what comes before it is
    /// worth nothing then.
    fn entries(&mut self, channel: ChannelId) -> Result<Vec<Entry>, StorageError>;
    /// Keeps entries: such that follow what is there or come before it.
    fn put_entries(&mut self, channel: ChannelId, entries: &[Entry]) -> Result<(), StorageError>;
    /// Forgets the entries of a channel.
    fn forget(&mut self, channel: ChannelId) -> Result<(), StorageError>;
    /// Keeps the state in place of the one before.
    fn put_state(&mut self, state: &State) -> Result<(), StorageError>;
    /// Keeps a send. It should survive whatever happens to the app from now on.
    fn outbox_add(&mut self, pending: &Pending) -> Result<(), StorageError>;
    /// A send was answered.
    fn outbox_remove(&mut self, channel: ChannelId, id: ClientMsgId) -> Result<(), StorageError>;
    /// Keeps a login in place of the one before, or none. It is as good as a password.
    fn put_login(&mut self, login: Option<&[u8]>) -> Result<(), StorageError>;
    /// Forgets everything but the login.
    fn clear(&mut self) -> Result<(), StorageError>;
    /// Whether anything is kept at all: if not, the core does not put together what would be thrown away.
    fn keeps(&self) -> bool {
        true
    }
}

/// Keeps nothing: the core's own memory is all there is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Volatile;

impl Storage for Volatile {
    fn load(&mut self) -> Result<Saved, StorageError> {
        Ok(Saved::default())
    }
    fn entries(&mut self, _: ChannelId) -> Result<Vec<Entry>, StorageError> {
        Ok(Vec::new())
    }
    fn put_entries(&mut self, _: ChannelId, _: &[Entry]) -> Result<(), StorageError> {
        Ok(())
    }
    fn forget(&mut self, _: ChannelId) -> Result<(), StorageError> {
        Ok(())
    }
    fn put_state(&mut self, _: &State) -> Result<(), StorageError> {
        Ok(())
    }
    fn outbox_add(&mut self, _: &Pending) -> Result<(), StorageError> {
        Ok(())
    }
    fn outbox_remove(&mut self, _: ChannelId, _: ClientMsgId) -> Result<(), StorageError> {
        Ok(())
    }
    fn put_login(&mut self, _: Option<&[u8]>) -> Result<(), StorageError> {
        Ok(())
    }
    fn clear(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
    fn keeps(&self) -> bool {
        false
    }
}
