//! What goes into the model, and what it wants done.

use std::collections::BTreeMap;

use crossterm::event::KeyEvent;
use suda_client::schema::control::Presence;
use suda_client::schema::summary::{ChannelSummary, MemberMark, Mute};
use suda_client::{ChannelId, Listed, Member, Seq, Status, Update, User, UserId};

/// Something has happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this many columns and rows.
    Resize(u16, u16),
    /// The terminal came to the front, or went from it.
    Focus(bool),
    /// The time of day.
    Tick(u64),
    /// From the client.
    News(News),
}

/// From the client.
#[derive(Debug)]
pub(crate) enum News {
    /// The connection, and when the next attempt is.
    Link { status: Status, retry_at_ms: Option<u64>, waiting: usize },
    /// Somebody is logged in.
    LoggedIn { user: UserId },
    /// Nobody is, any more.
    LoggedOut,
    /// Signing in or up has failed.
    Denied(String),
    /// The list of channels, and who is known to be there.
    Rows(Vec<ChannelSummary>),
    /// Who is who.
    People(Vec<User>),
    /// Who is there.
    Presence(Vec<Presence>),
    /// A conversation's messages.
    Timeline(ChannelId, Update),
    /// What else there is to it.
    Beside { channel: ChannelId, typing: Vec<UserId>, marks: Vec<MemberMark> },
    /// An older page came: whether there is more before it.
    Older(ChannelId, Result<bool, String>),
    /// A conversation is to be shown: it was just made.
    Show(ChannelId),
    /// The user is not in it any more.
    Gone(ChannelId),
    /// Something was not sent.
    NotSent { channel: ChannelId, text: Option<String>, error: String },
    /// Members of a channel.
    Members(ChannelId, Vec<Member>),
    /// Friends, those who ask, those who were asked.
    Friends { friends: Vec<Listed>, received: Vec<Listed>, sent: Vec<Listed> },
    /// Somebody asks to be a friend.
    FriendRequest(UserId),
    /// Something for the status line.
    Said(String),
    /// Something for the status line that did not work.
    Failed(String),
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cmd {
    /// Log in, or make an account first.
    SignIn { handle: String, password: String, is_new: bool },
    /// Log this device out.
    LogOut,
    /// Look at a conversation.
    Open(ChannelId),
    /// Look at none.
    Close,
    /// Send a message.
    Send { channel: ChannelId, text: String, reply_to: Option<Seq> },
    /// Give one's message another text.
    Edit { channel: ChannelId, target: Seq, text: String },
    /// Delete a message.
    Delete { channel: ChannelId, target: Seq },
    /// Add a reaction or take it back.
    React { channel: ChannelId, target: Seq, emoji: String, on: bool },
    /// Say that one types, or not.
    Typing { channel: ChannelId, on: bool },
    /// Everything up to here was read.
    Read { channel: ChannelId, seq: Seq },
    /// Get the page before.
    Older(ChannelId),
    /// Ask who these are.
    LookUp(Vec<UserId>),
    /// Open the direct channel with somebody.
    Direct(Whom),
    /// Make a group.
    Group { title: String, handles: Vec<String> },
    /// Join by an invitation.
    Join(String),
    /// Make an invitation.
    Invite(ChannelId),
    /// Ask to be a friend.
    Befriend(Whom),
    /// Accept such a request.
    Accept(Whom),
    /// Refuse it, or end a friendship.
    Unfriend(Whom),
    /// Read the friends.
    Friends,
    /// Read the members.
    Members(ChannelId),
    /// Add members.
    AddMembers { channel: ChannelId, handles: Vec<String> },
    /// Remove one.
    Remove { channel: ChannelId, whom: Whom },
    /// Leave.
    Leave(ChannelId),
    /// Give a channel another title.
    Title { channel: ChannelId, title: String },
    /// Give oneself another name.
    Name(String),
    /// Say what a channel notifies of.
    Mute { channel: ChannelId, mute: Mute },
    /// Somebody is at the device, or not.
    Active(bool),
    /// Connect now.
    Reconnect,
    /// Ring the terminal's bell.
    Bell,
    /// Draw everything anew.
    Redraw,
    /// Let the shell have the terminal for a while.
    Suspend,
    /// End.
    Quit,
}

/// Somebody, by handle or id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whom {
    Handle(String),
    User(UserId),
}

/// Who is who, and who is there.
#[derive(Debug, Default)]
pub(crate) struct People {
    pub(crate) known: BTreeMap<UserId, User>,
    pub(crate) presence: BTreeMap<UserId, Presence>,
    asked: std::collections::BTreeSet<UserId>,
}

impl People {
    /// How somebody is called, as it may be shown.
    pub(crate) fn name(&self, user: UserId) -> String {
        let Some(person) = self.known.get(&user) else { return "…".to_owned() };
        if person.gone {
            return "deleted account".to_owned();
        }
        let name = crate::text::clean_line(&person.display_name);
        if name.is_empty() { crate::text::clean_line(&person.handle) } else { name }
    }

    /// Their handle, as it may be shown.
    pub(crate) fn handle(&self, user: UserId) -> String {
        self.known.get(&user).map(|person| crate::text::clean_line(&person.handle)).unwrap_or_default()
    }

    /// Of these, who is to be asked about.
    pub(crate) fn unknown(&mut self, users: impl Iterator<Item = UserId>) -> Vec<UserId> {
        let mut unknown: Vec<UserId> = users.filter(|user| user.0 != 0 && self.asked.insert(*user)).collect();
        unknown.sort_unstable();
        unknown
    }

    /// Nobody has been asked about: names may be others by now.
    pub(crate) fn ask_again(&mut self) {
        self.asked.clear();
    }

    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}
