//! Keys.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::command::{self, Command};
use super::compose::{Edit, Field};
use super::conversation::{Aim, key as item_key};
use super::popup::{Ask, Popup, REACTIONS, Sure};
use super::say::{Cmd, Whom};
use super::{Focus, Model};
use crate::areas::Areas;
use crate::page;
use suda_client::schema::limits::TEXT_BYTES_MAX;
use suda_client::schema::summary::Mute;

/// What joins several emoji to one.
const JOINER: char = '\u{200d}';

impl Model {
    pub(super) fn key(&mut self, key: KeyEvent) {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if ctrl => return self.cmds.push(Cmd::Quit),
            KeyCode::Char('z') if ctrl => return self.cmds.push(Cmd::Suspend),
            KeyCode::Char('l') if ctrl => return self.cmds.push(Cmd::Redraw),
            KeyCode::Char('r') if ctrl && self.me.is_some() => return self.cmds.push(Cmd::Reconnect),
            KeyCode::F(1) => {
                let is_help = matches!(self.popup, Some(Popup::Help(_)));
                self.popup = (!is_help).then_some(Popup::Help(0));
                return;
            }
            _ => {}
        }
        if self.popup.is_some() {
            return self.popup_key(key);
        }
        if self.me.is_none() {
            return self.form_key(key);
        }
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Up if alt => return self.step_conversation(true),
            KeyCode::Down if alt => return self.step_conversation(false),
            KeyCode::Char('p') if ctrl => return self.step_conversation(true),
            KeyCode::Char('n') if ctrl => return self.step_conversation(false),
            KeyCode::Tab | KeyCode::BackTab => {
                self.focus = match self.focus {
                    Focus::List if self.open.is_some() => Focus::Compose,
                    _ => Focus::List,
                };
                return;
            }
            KeyCode::PageUp => return self.scroll(true),
            KeyCode::PageDown => return self.scroll(false),
            _ => {}
        }
        match self.focus {
            Focus::List => self.list_key(key),
            Focus::Compose => self.compose_key(key),
            Focus::Messages => self.messages_key(key),
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
        let text = crate::text::clean(text);
        let line = || text.replace('\n', " ");
        if let Some(Popup::Prompt(_, field)) = &mut self.popup {
            field.insert(&line());
        } else if self.popup.is_some() {
        } else if self.me.is_none() {
            self.form.field().insert(text.lines().next().unwrap_or_default());
        } else if let Some(open) = self.open.as_mut().filter(|_| self.focus != Focus::List) {
            if open.draft.field.text().len() + text.len() > TEXT_BYTES_MAX {
                return self.say("That is more than one message can hold.", true);
            }
            open.draft.field.insert(&text);
            self.focus = Focus::Compose;
        }
    }

    fn form_key(&mut self, key: KeyEvent) {
        match key.code {
            KeyCode::Enter => {
                let cmd = self.form.enter();
                self.cmds.extend(cmd);
            }
            KeyCode::Tab | KeyCode::Down => self.form.step(false),
            KeyCode::BackTab | KeyCode::Up => self.form.step(true),
            KeyCode::Char('t') if key.modifiers.contains(KeyModifiers::CONTROL) => self.form.turn(),
            KeyCode::Char('n') if key.modifiers.contains(KeyModifiers::CONTROL) => self.form.turn(),
            _ if self.form.busy => {}
            _ => {
                edit(self.form.field(), key);
            }
        }
    }

    fn list_key(&mut self, key: KeyEvent) {
        let at = self.row.and_then(|row| self.row_index(row)).unwrap_or(0);
        let mut to =
            |at: usize| self.row = self.rows.get(at.min(self.rows.len().saturating_sub(1))).map(|row| row.channel);
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => to(at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => to(at + 1),
            KeyCode::Home | KeyCode::Char('g') => to(0),
            KeyCode::End | KeyCode::Char('G') => to(usize::MAX),
            KeyCode::Enter | KeyCode::Right | KeyCode::Char('l') => {
                if let Some(row) = self.row {
                    self.show(row);
                }
            }
            KeyCode::Esc if self.open.is_some() => self.focus = Focus::Compose,
            KeyCode::Char('n') => self.ask(Ask::Direct),
            KeyCode::Char('c') => self.ask(Ask::Group),
            KeyCode::Char('a') => self.ask(Ask::Befriend),
            KeyCode::Char('i') => self.ask(Ask::Join),
            KeyCode::Char('f') => self.run(Command::Friends),
            KeyCode::Char('m') => self.turn_mute(),
            KeyCode::Char('?') => self.popup = Some(Popup::Help(0)),
            KeyCode::Char('q') => self.cmds.push(Cmd::Quit),
            _ => {}
        }
    }

    fn turn_mute(&mut self) {
        let Some(row) = self.row.and_then(|row| self.row_index(row)).and_then(|at| self.rows.get(at)) else { return };
        let mute = if self.is_muted(row) { Mute::Off } else { Mute::Until(Mute::FOREVER_MS) };
        self.cmds.push(Cmd::Mute { channel: row.channel, mute });
    }

    fn ask(&mut self, ask: Ask) {
        self.popup = Some(Popup::Prompt(ask, Field::default()));
    }

    /// To the conversation above or below the open one.
    fn step_conversation(&mut self, up: bool) {
        let from = self.open.as_ref().map(|open| open.id).or(self.row);
        let at = from.and_then(|id| self.row_index(id));
        let to = match (at, up) {
            (None, _) => 0,
            (Some(at), true) => at.saturating_sub(1),
            (Some(at), false) => at + 1,
        };
        if let Some(id) = self.rows.get(to).map(|row| row.channel) {
            self.show(id);
        }
    }

    /// A page up or down.
    fn scroll(&mut self, up: bool) {
        let Some(area) = Areas::of(self).talk.map(|talk| talk.page) else { return };
        let Some(open) = &self.open else { return };
        let rows = usize::from(area.height.saturating_sub(2).max(1));
        let anchor = page::scrolled(self, open, area.width, area.height, rows, up);
        if let Some(open) = &mut self.open {
            // What could not be fetched is asked for again.
            open.complete &= !up || open.items.first().is_some_and(|item| item.seq == Some(suda_client::Seq(1)));
            open.anchor = anchor;
            open.selected = None;
        }
    }

    fn compose_key(&mut self, key: KeyEvent) {
        let cells = Areas::of(self).talk.map_or(40, |talk| usize::from(talk.write.width));
        let Some(open) = &mut self.open else {
            self.focus = Focus::List;
            return;
        };
        let alt_or_ctrl = key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SHIFT | KeyModifiers::CONTROL);
        let draft = &mut open.draft;
        let had_joined = draft.field.text().contains(JOINER);
        match key.code {
            KeyCode::Enter if alt_or_ctrl => draft.field.insert("\n"),
            KeyCode::Char('j') if key.modifiers.contains(KeyModifiers::CONTROL) => draft.field.insert("\n"),
            KeyCode::Enter => {
                self.cmds.extend(had_joined.then_some(Cmd::Redraw));
                return self.submit();
            }
            KeyCode::Esc if draft.aim != Aim::New => {
                if matches!(draft.aim, Aim::Edit(_)) {
                    draft.field.take();
                }
                draft.aim = Aim::New;
            }
            KeyCode::Esc => {
                self.focus = Focus::Messages;
                open.select(true);
                if open.selected.is_none() {
                    self.focus = Focus::List;
                }
                return self.show_selected();
            }
            KeyCode::Up if draft.field.is_empty() && draft.aim == Aim::New => {
                return self.run(Command::Edit(String::new()));
            }
            KeyCode::Up => drop(draft.field.move_row(cells, false)),
            KeyCode::Down => drop(draft.field.move_row(cells, true)),
            _ => {
                edit(&mut draft.field, key);
            }
        }
        // Terminals don't agree on what a half-written emoji of many takes: what they leave behind is wiped away.
        if had_joined || draft.field.text().contains(JOINER) {
            self.cmds.push(Cmd::Redraw);
        }
        let types = !draft.field.is_empty() && !draft.field.text().starts_with('/') && draft.aim == Aim::New;
        self.cmds.push(Cmd::Typing { channel: open.id, on: types });
    }

    fn submit(&mut self) {
        let Some(open) = &mut self.open else { return };
        let channel = open.id;
        let aim = open.draft.aim;
        if open.draft.field.text().trim().is_empty() {
            return;
        }
        if let Aim::Edit(target) = aim {
            let text = open.draft.field.take();
            open.draft.aim = Aim::New;
            self.cmds.push(Cmd::Edit { channel, target, text });
            return;
        }
        match command::parse(open.draft.field.text(), self.now_ms) {
            Err(error) => self.say(error, true),
            Ok(Command::Say(text)) => {
                let reply_to = if let Aim::Reply(seq) = aim { Some(seq) } else { None };
                (open.anchor, open.selected, open.read_before) = (None, None, None);
                open.draft = super::Draft::default();
                self.notice = None;
                self.cmds.push(Cmd::Send { channel, text, reply_to });
                self.cmds.push(Cmd::Typing { channel, on: false });
            }
            Ok(command) => {
                open.draft.field.take();
                self.run(command);
            }
        }
    }

    fn messages_key(&mut self, key: KeyEvent) {
        let Some(open) = &mut self.open else {
            self.focus = Focus::List;
            return;
        };
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => open.select(true),
            KeyCode::Down | KeyCode::Char('j') => open.select(false),
            KeyCode::Home | KeyCode::Char('g') => open.selected = open.items.first().and_then(item_key),
            KeyCode::End | KeyCode::Char('G') => open.selected = open.items.last().and_then(item_key),
            KeyCode::Char('r') | KeyCode::Enter => return self.begin_reply(),
            KeyCode::Char('e') => return self.run(Command::Edit(String::new())),
            KeyCode::Char('d') | KeyCode::Delete => return self.run(Command::Delete),
            KeyCode::Char('+') | KeyCode::Char('a') => return self.ask_reaction(),
            KeyCode::Char('?') => return self.popup = Some(Popup::Help(0)),
            KeyCode::Esc | KeyCode::Char('i') | KeyCode::Char('q') => {
                (open.selected, self.focus, open.anchor) = (None, Focus::Compose, None);
                return;
            }
            _ => return,
        }
        self.show_selected();
    }

    /// Scrolls to where the cursor is.
    pub(super) fn show_selected(&mut self) {
        let Some(area) = Areas::of(self).talk.map(|talk| talk.page) else { return };
        let Some(open) = &self.open else { return };
        let anchor = page::showing_selected(self, open, area.width, area.height);
        if let Some(open) = &mut self.open {
            open.anchor = anchor;
        }
    }

    fn popup_key(&mut self, key: KeyEvent) {
        let Some(popup) = &mut self.popup else { return };
        match (key.code, &mut *popup) {
            (KeyCode::Esc, _) => self.popup = None,
            (KeyCode::Char('q' | '?'), Popup::Help(_)) => self.popup = None,
            (KeyCode::Up | KeyCode::Char('k'), Popup::Help(at)) => *at = at.saturating_sub(1),
            (KeyCode::Down | KeyCode::Char('j'), Popup::Help(at)) => *at = at.saturating_add(1).min(100),
            (KeyCode::PageUp, Popup::Help(at)) => *at = at.saturating_sub(10),
            (KeyCode::PageDown | KeyCode::Char(' '), Popup::Help(at)) => *at = at.saturating_add(10).min(100),
            (_, Popup::Help(_)) => {}
            (KeyCode::Char('y' | 'Y') | KeyCode::Enter, Popup::Confirm(sure)) => {
                let sure = *sure;
                self.popup = None;
                self.cmds.push(match sure {
                    Sure::Delete(channel, target) => Cmd::Delete { channel, target },
                    Sure::Leave(channel) => Cmd::Leave(channel),
                    Sure::LogOut => Cmd::LogOut,
                });
            }
            (_, Popup::Confirm(_)) => self.popup = None,
            (_, Popup::Prompt(..)) => self.prompt_key(key),
            (KeyCode::Char('q'), _) => self.popup = None,
            (code, _) => self.people_key(code),
        }
    }

    fn prompt_key(&mut self, key: KeyEvent) {
        let Some(Popup::Prompt(ask, field)) = &mut self.popup else { return };
        let ask = *ask;
        match (key.code, ask) {
            (KeyCode::Char(char @ '1'..='8'), Ask::React(_)) if field.is_empty() => {
                let at = usize::try_from(u32::from(char) - u32::from('1')).unwrap_or(0);
                self.popup = None;
                self.answered(ask, REACTIONS.get(at).copied().unwrap_or_default());
            }
            (KeyCode::Enter, _) => {
                let text = field.take();
                self.popup = None;
                if !text.trim().is_empty() {
                    self.answered(ask, text.trim());
                }
            }
            _ => {
                edit(field, key);
            }
        }
    }

    /// Keys in a list of people.
    fn people_key(&mut self, code: KeyCode) {
        let Some(popup) = &mut self.popup else { return };
        let user = popup.user();
        let is_friends = matches!(popup, Popup::Friends { .. });
        let Some((len, at)) = popup.list() else { return };
        match (code, user) {
            (KeyCode::Up | KeyCode::Char('k'), _) => *at = at.saturating_sub(1),
            (KeyCode::Down | KeyCode::Char('j'), _) => *at = (*at + 1).min(len.saturating_sub(1)),
            (KeyCode::Char('+'), _) if is_friends => self.ask(Ask::Befriend),
            (KeyCode::Enter, Some(user)) => {
                self.popup = None;
                self.cmds.push(Cmd::Direct(Whom::User(user)));
            }
            (KeyCode::Char('a'), Some(user)) if is_friends => self.cmds.push(Cmd::Accept(Whom::User(user))),
            (KeyCode::Char('a'), Some(user)) => self.cmds.push(Cmd::Befriend(Whom::User(user))),
            (KeyCode::Char('x') | KeyCode::Delete, Some(user)) if is_friends => {
                self.cmds.push(Cmd::Unfriend(Whom::User(user)));
            }
            _ => {}
        }
    }
}

/// What a key does in a field; whether it does something.
fn edit(field: &mut Field, key: KeyEvent) -> bool {
    let (ctrl, alt) = (key.modifiers.contains(KeyModifiers::CONTROL), key.modifiers.contains(KeyModifiers::ALT));
    let edit = match key.code {
        KeyCode::Left | KeyCode::Char('b') if ctrl || alt => {
            if key.code == KeyCode::Char('b') && ctrl {
                Edit::Left
            } else {
                Edit::WordLeft
            }
        }
        KeyCode::Right | KeyCode::Char('f') if ctrl || alt => {
            if key.code == KeyCode::Char('f') && ctrl {
                Edit::Right
            } else {
                Edit::WordRight
            }
        }
        KeyCode::Left => Edit::Left,
        KeyCode::Right => Edit::Right,
        KeyCode::Home => Edit::Begin,
        KeyCode::End => Edit::End,
        KeyCode::Backspace if ctrl || alt => Edit::CutWord,
        KeyCode::Backspace => Edit::Backspace,
        KeyCode::Delete => Edit::Delete,
        KeyCode::Char('h') if ctrl => Edit::Backspace,
        KeyCode::Char('a') if ctrl => Edit::Begin,
        KeyCode::Char('e') if ctrl => Edit::End,
        KeyCode::Char('d') if ctrl => Edit::Delete,
        KeyCode::Char('w') if ctrl => Edit::CutWord,
        KeyCode::Char('u') if ctrl => Edit::CutToBegin,
        KeyCode::Char('k') if ctrl => Edit::CutToEnd,
        KeyCode::Char(char) if !ctrl && !alt && !char.is_control() => {
            field.insert(char.encode_utf8(&mut [0; 4]));
            return true;
        }
        _ => return false,
    };
    field.edit(edit);
    true
}
