//! What lies over the rest for a while.

use suda_client::schema::entry::Role;
use suda_client::{ChannelId, Seq, UserId};

use super::compose::Field;

/// What lies over the rest.
#[derive(Debug)]
pub(crate) enum Popup {
    /// Keys and commands, scrolled down by some lines.
    Help(usize),
    /// A question with a line to answer in.
    Prompt(Ask, Field),
    /// A question to be answered by yes or no.
    Confirm(Sure),
    /// Friends and requests; which one the cursor is on.
    Friends { rows: Option<Vec<(UserId, Tie)>>, at: usize },
    /// Members of the open conversation.
    Members { channel: ChannelId, rows: Option<Vec<(UserId, Role)>>, at: usize },
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Direct,
    Group,
    Befriend,
    Join,
    React(Seq),
}

/// What must be meant before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sure {
    Delete(ChannelId, Seq),
    Leave(ChannelId),
    LogOut,
}

/// What ties somebody to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tie {
    /// Asks to be a friend.
    Received,
    Friend,
    /// Was asked.
    Sent,
}

/// Reactions that take one key.
pub(crate) const REACTIONS: [&str; 8] = ["👍", "🎉", "😂", "😮", "😢", "🔥", "👀", "💜"];

impl Popup {
    /// Its rows and the place of the cursor, if it is a list.
    pub(crate) fn list(&mut self) -> Option<(usize, &mut usize)> {
        match self {
            Self::Friends { rows, at } => Some((rows.as_ref().map_or(0, Vec::len), at)),
            Self::Members { rows, at, .. } => Some((rows.as_ref().map_or(0, Vec::len), at)),
            _ => None,
        }
    }

    /// Who the cursor is on, if it is a list.
    pub(crate) fn user(&self) -> Option<UserId> {
        match self {
            Self::Friends { rows, at } => rows.as_ref()?.get(*at).map(|row| row.0),
            Self::Members { rows, at, .. } => rows.as_ref()?.get(*at).map(|row| row.0),
            _ => None,
        }
    }
}
