//! The first frame of every stream says what the stream is for.

use serde::{Deserialize, Serialize};

use crate::append_only::append_only;
use crate::{ChannelId, Seq};

append_only! {
    /// The first frame of a stream, from the client. Only clients open streams.
    pub enum Open {
        /// The control stream: the first stream of a link, exactly one.
        0 "control" Control(Hello),
        /// A live view of one channel.
        1 "attach" Attach(Attach),
    }
}

/// Who is calling. Answered by `welcome`, or by `closing`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The access token.
    pub token: String,
    /// Name and version of the client program, for the operator's statistics.
    #[serde(default)]
    pub client: String,
    /// The device's cursor in the user's own log; `None` begins at its head.
    pub user_cursor: Option<Seq>,
    /// How many channels the first sync page should have; 0 for no sync.
    #[serde(default)]
    pub sync_limit: u16,
    /// Whether somebody is at the device.
    #[serde(default)]
    pub activity: Activity,
}

/// Whether somebody is at the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Somebody is looking.
    #[default]
    Active,
    /// Nobody is: a hidden tab, an app in the background.
    Idle,
}

/// Begin or resume a view of a channel. Answered by `attached`, or by `closed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attach {
    /// Which channel.
    pub channel: ChannelId,
    /// From where.
    pub from: Start,
}

/// Where an attachment's entries begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Resume: everything after this cursor, however long ago; 0 is the whole log.
    After(Seq),
    /// The newest so many entries (0: only what comes from now on), then what comes.
    Tail(u32),
}
