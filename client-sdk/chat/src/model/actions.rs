//! What commands and answers do.

use suda_client::schema::entry::{Message, What};
use suda_client::schema::summary::ChannelKind;
use suda_client::{ChannelId, Item, Seq};

use super::command::{self, Command};
use super::compose::Field;
use super::conversation::{Aim, is_alive};
use super::popup::{Ask, Popup, Sure};
use super::say::{Cmd, Whom};
use super::{Focus, Model};

impl Model {
    /// What was typed into a prompt.
    pub(super) fn answered(&mut self, ask: Ask, text: &str) {
        let one = text.trim_start_matches('@').to_owned();
        match ask {
            Ask::Direct => self.run(Command::Direct(one)),
            Ask::Befriend => self.run(Command::Befriend(one)),
            Ask::Join => self.run(Command::Join(one)),
            Ask::Group => match command::group(text) {
                Ok(command) => self.run(command),
                Err(error) => self.say(error, true),
            },
            Ask::React(target) => self.react(target, text),
        }
    }

    pub(super) fn run(&mut self, command: Command) {
        match command {
            Command::Say(_) => {}
            Command::Help => self.popup = Some(Popup::Help(0)),
            Command::Quit => self.cmds.push(Cmd::Quit),
            Command::LogOut => self.popup = Some(Popup::Confirm(Sure::LogOut)),
            Command::Direct(handle) => self.cmds.push(Cmd::Direct(Whom::Handle(handle))),
            Command::Group { title, handles } => self.cmds.push(Cmd::Group { title, handles }),
            Command::Join(code) => self.cmds.push(Cmd::Join(code)),
            Command::Befriend(handle) => self.cmds.push(Cmd::Befriend(Whom::Handle(handle))),
            Command::Accept(handle) => self.cmds.push(Cmd::Accept(Whom::Handle(handle))),
            Command::Unfriend(handle) => self.cmds.push(Cmd::Unfriend(Whom::Handle(handle))),
            Command::Friends => {
                self.popup = Some(Popup::Friends { rows: None, at: 0 });
                self.cmds.push(Cmd::Friends);
            }
            Command::Name(name) => self.cmds.push(Cmd::Name(name)),
            command => match self.open.as_ref().map(|open| open.id) {
                Some(channel) => self.run_here(channel, command),
                None => self.say("Open a conversation first.", true),
            },
        }
    }

    /// Commands about the open conversation.
    fn run_here(&mut self, channel: ChannelId, command: Command) {
        match command {
            Command::Edit(text) => self.edit(channel, text),
            Command::Delete => match self.mine() {
                Some(target) => self.popup = Some(Popup::Confirm(Sure::Delete(channel, target))),
                None => self.say("There is no message of yours to delete.", true),
            },
            Command::React(emoji) => match self.theirs() {
                Some(target) => self.react(target, &emoji),
                None => self.say("There is no message to react to.", true),
            },
            Command::Reply(text) => match self.theirs() {
                Some(seq) => self.cmds.push(Cmd::Send { channel, text, reply_to: Some(seq) }),
                None => self.say("There is no message to reply to.", true),
            },
            Command::Members => {
                self.popup = Some(Popup::Members { channel, rows: None, at: 0 });
                self.cmds.push(Cmd::Members(channel));
            }
            Command::Add(handles) => self.cmds.push(Cmd::AddMembers { channel, handles }),
            Command::Remove(handle) => self.cmds.push(Cmd::Remove { channel, whom: Whom::Handle(handle) }),
            Command::Title(title) => self.cmds.push(Cmd::Title { channel, title }),
            Command::Invite => self.cmds.push(Cmd::Invite(channel)),
            Command::Mute(mute) => self.cmds.push(Cmd::Mute { channel, mute }),
            Command::Leave if self.open_row().is_some_and(|row| row.kind == ChannelKind::Direct) => {
                self.say("A direct conversation can't be left; /mute silences it.", true);
            }
            Command::Leave => self.popup = Some(Popup::Confirm(Sure::Leave(channel))),
            _ => {}
        }
    }

    /// The message that the cursor is on, or else the user's last.
    fn mine(&self) -> Option<Seq> {
        let (open, me) = (self.open.as_ref()?, self.me?);
        let is_mine = |item: &Item| item.by == me;
        match open.selection() {
            Some(item) => item.seq.filter(|_| is_alive(item)),
            None => open.last(is_mine)?.seq,
        }
    }

    /// The message that the cursor is on, or else the last of somebody else, or else the last.
    fn theirs(&self) -> Option<Seq> {
        let (open, me) = (self.open.as_ref()?, self.me?);
        if let Some(item) = open.selection() {
            return item.seq.filter(|_| is_alive(item));
        }
        open.last(|item| item.by != me).or_else(|| open.last(|_| true))?.seq
    }

    fn edit(&mut self, channel: ChannelId, text: String) {
        let me = self.me;
        let target = self.mine().and_then(|seq| self.open.as_ref()?.message(seq));
        let target = target.filter(|item| Some(item.by) == me);
        let Some((target, old)) = target.and_then(|item| Some((item.seq?, item.text()?.to_owned()))) else {
            return self.say("There is no message of yours to edit.", true);
        };
        if !text.is_empty() {
            return self.cmds.push(Cmd::Edit { channel, target, text });
        }
        if let Some(open) = &mut self.open {
            (open.draft.aim, open.draft.field, open.selected) = (Aim::Edit(target), Field::with(old), None);
            self.focus = Focus::Compose;
        }
    }

    pub(super) fn begin_reply(&mut self) {
        let target = self.theirs();
        if let (Some(open), Some(target)) = (&mut self.open, target) {
            if matches!(open.draft.aim, Aim::Edit(_)) {
                open.draft.field.take();
            }
            (open.draft.aim, open.selected, open.anchor) = (Aim::Reply(target), None, None);
            self.focus = Focus::Compose;
        }
    }

    pub(super) fn ask_reaction(&mut self) {
        if let Some(target) = self.theirs() {
            self.popup = Some(Popup::Prompt(Ask::React(target), Field::default()));
        }
    }

    /// Reacts, or takes it back.
    fn react(&mut self, target: Seq, emoji: &str) {
        let Some((open, me)) = self.open.as_ref().zip(self.me) else { return };
        let has = open.message(target).is_some_and(|item| match &item.what {
            What::Message(Message { reactions, .. }) => {
                reactions.iter().any(|reaction| reaction.emoji == emoji && reaction.users.contains(&me))
            }
            _ => false,
        });
        self.cmds.push(Cmd::React { channel: open.id, target, emoji: emoji.to_owned(), on: !has });
    }
}
