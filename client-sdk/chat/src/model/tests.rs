//! Tests of the model, and what those of the view begin with.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use suda_client::schema::control::{Presence, Status as There};
use suda_client::schema::entry::{Body, Entry, Message, Reaction, Role, What};
use suda_client::schema::summary::{ChannelKind, ChannelSummary, MemberMark, Mute, Preview};
use suda_client::{ChannelId, ClientMsgId, Delivery, Item, Kind, Seq, Status, Update, User, UserId};

use super::conversation::{Aim, Receipt};
use super::popup::{Ask, Popup, Sure};
use super::say::{Cmd, Input, News, Whom};
use super::{Focus, Model};

pub(crate) const ME: UserId = UserId(1);
pub(crate) const LEE: UserId = UserId(2);
pub(crate) const MIN: UserId = UserId(3);
pub(crate) const DIRECT: ChannelId = ChannelId(10);
pub(crate) const GROUP: ChannelId = ChannelId(11);
/// 14:03 on a Thursday.
pub(crate) const NOW_MS: u64 = 1_790_258_580_000;

pub(crate) fn model() -> Model {
    Model::new("https://suda.example".to_owned(), TimeZone::UTC, NOW_MS, (90, 24))
}

pub(crate) fn news(model: &mut Model, news: News) -> Vec<Cmd> {
    model.input(Input::News(news))
}

pub(crate) fn press(model: &mut Model, code: KeyCode) -> Vec<Cmd> {
    model.input(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

pub(crate) fn typed(model: &mut Model, text: &str) -> Vec<Cmd> {
    text.chars().flat_map(|char| press(model, KeyCode::Char(char))).collect()
}

fn with(model: &mut Model, char: char, modifiers: KeyModifiers) -> Vec<Cmd> {
    model.input(Input::Key(KeyEvent::new(KeyCode::Char(char), modifiers)))
}

pub(crate) fn user(user: UserId, handle: &str, display_name: &str) -> User {
    let json = serde_json::json!({
        "user": user, "handle": handle, "display_name": display_name, "bio": "", "status_text": "", "picture": null,
        "gone": false,
    });
    serde_json::from_value(json).unwrap()
}

pub(crate) fn row(channel: ChannelId, kind: ChannelKind, unread: u64) -> ChannelSummary {
    let peer = (kind == ChannelKind::Direct).then_some(LEE);
    let preview = Preview { seq: Seq(9), by: LEE, at_ms: NOW_MS - 60_000, text: "see you\nthere".to_owned() };
    ChannelSummary {
        channel,
        kind,
        title: if peer.is_some() { String::new() } else { "등산 Hiking".to_owned() },
        picture: None,
        peer,
        role: Role::Owner,
        members: 2,
        head: Seq(9),
        last_at_ms: NOW_MS - 60_000,
        read: Seq(9 - unread),
        unread,
        mute: Mute::Off,
        preview: Some(preview),
    }
}

pub(crate) fn item(seq: u64, by: UserId, what: What) -> Item {
    let at_ms = NOW_MS - 600_000 + seq * 1_000;
    Item::from(&Entry { seq: Seq(seq), at_ms, by, client_msg_id: None, what })
}

pub(crate) fn message(seq: u64, by: UserId, text: &str) -> Item {
    let (body, reply_to, thread, edited) = (Body::Text(text.to_owned()), None, None, None);
    let (mentions, attachments, reactions) = (Vec::new(), Vec::new(), Vec::new());
    item(seq, by, What::Message(Message { body, reply_to, thread, mentions, attachments, edited, reactions }))
}

/// The message in an item.
pub(crate) fn said(item: &mut Item) -> &mut Message {
    let What::Message(message) = &mut item.what else { panic!("a message") };
    message
}

/// One that has not reached the log.
pub(crate) fn pending(id: u8, text: &str, delivery: Delivery) -> Item {
    let mut item = message(100, ME, text);
    (item.seq, item.id, item.delivery) = (None, Some(ClientMsgId([id; 16])), delivery);
    item
}

pub(crate) fn update(items: Vec<Item>) -> Update {
    let mut update = Update::default();
    (update.reset, update.items) = (true, items);
    update
}

/// Logged in and online, with two conversations.
pub(crate) fn ready() -> Model {
    let mut model = model();
    news(&mut model, News::LoggedIn { user: ME });
    let status = Status::Online { kind: Kind::Quic, node: 1 };
    news(&mut model, News::Link { status, retry_at_ms: None, waiting: 0 });
    news(&mut model, News::Rows(vec![row(DIRECT, ChannelKind::Direct, 2), row(GROUP, ChannelKind::Group, 0)]));
    let people = [user(ME, "kim", "Kim"), user(LEE, "lee", "이수다"), user(MIN, "min", "Min\x1b[31m")];
    news(&mut model, News::People(people.to_vec()));
    let there = Presence { user: LEE, status: There::Online, last_active_at_ms: 0 };
    news(&mut model, News::Presence(vec![there]));
    model
}

/// The same with the direct conversation open.
pub(crate) fn talking(items: Vec<Item>) -> Model {
    let mut model = ready();
    assert_eq!(press(&mut model, KeyCode::Enter), [Cmd::Open(DIRECT)]);
    news(&mut model, News::Timeline(DIRECT, update(items)));
    model
}

fn a_few() -> Vec<Item> {
    vec![message(1, LEE, "one"), message(2, ME, "two"), message(3, LEE, "three"), message(4, ME, "four")]
}

fn draft(model: &Model) -> (&str, Aim) {
    let draft = &model.open.as_ref().unwrap().draft;
    (draft.field.text(), draft.aim)
}

#[test]
fn who_signs_in_is_asked_for_names_once() {
    let mut model = model();
    typed(&mut model, "kim");
    press(&mut model, KeyCode::Tab);
    typed(&mut model, "secret");
    let (handle, password) = ("kim".to_owned(), "secret".to_owned());
    assert_eq!(press(&mut model, KeyCode::Enter), [Cmd::SignIn { handle, password, is_new: false }]);
    news(&mut model, News::Denied("no\x1b such".to_owned()));
    assert_eq!(model.form.error.as_deref(), Some("no such"));
    assert_eq!(news(&mut model, News::LoggedIn { user: ME }), [Cmd::Friends, Cmd::LookUp(vec![ME])]);
    let rows = || vec![row(DIRECT, ChannelKind::Direct, 1)];
    assert_eq!(news(&mut model, News::Rows(rows())), [Cmd::LookUp(vec![LEE])], "known at the beginning: no bell");
    assert_eq!(news(&mut model, News::Rows(rows())), []);
    let stopped = Status::Stopped(suda_client::core::io::Stopped::LoggedOut);
    news(&mut model, News::Link { status: stopped, retry_at_ms: None, waiting: 0 });
    assert!(model.me.is_none() && model.rows.is_empty() && model.form.error.is_some());
}

#[test]
fn what_is_typed_is_sent_where_it_is_typed() {
    let mut model = talking(a_few());
    assert!(typed(&mut model, "hi").contains(&Cmd::Typing { channel: DIRECT, on: true }));
    model.input(Input::Paste("a\r\nb\x1b[2J".to_owned()));
    let sent = press(&mut model, KeyCode::Enter);
    let text = "hia\nb[2J".to_owned();
    assert_eq!(sent[0], Cmd::Send { channel: DIRECT, text: text.clone(), reply_to: None });
    assert_eq!(draft(&model), ("", Aim::New));
    // What was refused comes back, unless something else is being written.
    let refused = || News::NotSent { channel: DIRECT, text: Some(text.clone()), error: "no".to_owned() };
    news(&mut model, refused());
    assert_eq!(draft(&model).0, text);
    typed(&mut model, "!");
    news(&mut model, refused());
    assert_eq!(draft(&model).0, format!("{text}!"));
    // A draft waits where it was written.
    model.input(Input::Key(KeyEvent::new(KeyCode::Down, KeyModifiers::ALT)));
    assert_eq!((model.open.as_ref().unwrap().id, draft(&model).0), (GROUP, ""));
    with(&mut model, 'p', KeyModifiers::CONTROL);
    assert_eq!(draft(&model).0, format!("{text}!"));
}

#[test]
fn the_arrow_edits_the_last_message_of_ones_own() {
    let mut model = talking(a_few());
    press(&mut model, KeyCode::Up);
    assert_eq!(draft(&model), ("four", Aim::Edit(Seq(4))));
    press(&mut model, KeyCode::Esc);
    assert_eq!(draft(&model), ("", Aim::New));
    press(&mut model, KeyCode::Up);
    typed(&mut model, "!");
    let text = "four!".to_owned();
    assert_eq!(press(&mut model, KeyCode::Enter), [Cmd::Edit { channel: DIRECT, target: Seq(4), text }]);
    let mut model = talking(vec![message(1, LEE, "one")]);
    press(&mut model, KeyCode::Up);
    assert!(model.notice.as_ref().unwrap().is_bad);
}

#[test]
fn the_cursor_among_messages_says_which_is_meant() {
    let mut model = talking(a_few());
    for code in [KeyCode::Esc, KeyCode::Up, KeyCode::Up] {
        press(&mut model, code);
    }
    assert_eq!(model.open.as_ref().unwrap().selection().unwrap().seq, Some(Seq(2)));
    press(&mut model, KeyCode::Char('d'));
    assert!(matches!(model.popup, Some(Popup::Confirm(Sure::Delete(DIRECT, Seq(2))))));
    assert_eq!(press(&mut model, KeyCode::Char('n')), []);
    press(&mut model, KeyCode::Char('d'));
    assert_eq!(press(&mut model, KeyCode::Char('y')), [Cmd::Delete { channel: DIRECT, target: Seq(2) }]);
    press(&mut model, KeyCode::Char('+'));
    assert!(matches!(model.popup, Some(Popup::Prompt(Ask::React(Seq(2)), _))));
    let react = |on| Cmd::React { channel: DIRECT, target: Seq(2), emoji: "🎉".to_owned(), on };
    assert_eq!(press(&mut model, KeyCode::Char('2')), [react(true)]);
    // The same again takes it back.
    let mut items = a_few();
    said(&mut items[1]).reactions = vec![Reaction { emoji: "🎉".to_owned(), count: 1, users: vec![ME] }];
    news(&mut model, News::Timeline(DIRECT, update(items)));
    press(&mut model, KeyCode::Char('+'));
    assert_eq!(press(&mut model, KeyCode::Char('2')), [react(false)]);
    press(&mut model, KeyCode::Char('r'));
    assert_eq!((draft(&model), model.focus), (("", Aim::Reply(Seq(2))), Focus::Compose));
    typed(&mut model, "yes");
    let sent = Cmd::Send { channel: DIRECT, text: "yes".to_owned(), reply_to: Some(Seq(2)) };
    assert_eq!(press(&mut model, KeyCode::Enter)[0], sent);
}

#[test]
fn what_is_seen_is_read_and_only_that() {
    let mut model = ready();
    press(&mut model, KeyCode::Enter);
    let read = |cmds: &[Cmd]| cmds.iter().any(|cmd| matches!(cmd, Cmd::Read { .. }));
    model.input(Input::Focus(false));
    let items = || vec![message(8, LEE, "a"), message(9, LEE, "b")];
    assert!(!read(&news(&mut model, News::Timeline(DIRECT, update(items())))), "nobody is there");
    let cmds = model.input(Input::Focus(true));
    assert!(cmds.contains(&Cmd::Read { channel: DIRECT, seq: Seq(9) }));
    assert!(!read(&news(&mut model, News::Timeline(DIRECT, update(items())))), "once");
}

#[test]
fn a_bell_rings_for_what_is_new_and_neither_looked_at_nor_muted() {
    let rows =
        |direct: u64, group: u64| vec![row(DIRECT, ChannelKind::Direct, direct), row(GROUP, ChannelKind::Group, group)];
    let mut model = talking(a_few());
    let mut rings = |direct, group| news(&mut model, News::Rows(rows(direct, group))).contains(&Cmd::Bell);
    assert!(!rings(3, 0), "it is looked at");
    assert!(rings(0, 1));
    assert!(!rings(0, 1), "once");
    let mut muted = rows(0, 2);
    muted[1].mute = Mute::Until(Mute::FOREVER_MS);
    assert!(!news(&mut model, News::Rows(muted)).contains(&Cmd::Bell));
    assert_eq!(model.unread(), 0);
}

#[test]
fn going_back_gets_what_was_before_and_the_view_stays_where_it_is() {
    let many: Vec<Item> = (100..200).map(|seq| message(seq, LEE, &format!("m{seq}"))).collect();
    let mut model = talking(many);
    assert!(model.open.as_ref().unwrap().anchor.is_none());
    let mut asked = Vec::new();
    for _ in 0..20 {
        asked.extend(press(&mut model, KeyCode::PageUp));
    }
    assert_eq!(asked, [Cmd::Older(DIRECT)], "one page at a time");
    let at = model.open.as_ref().unwrap().anchor;
    let mut older = Update::default();
    older.items = (50..100).map(|seq| message(seq, LEE, "older")).collect();
    older.items.push(message(200, LEE, "new"));
    news(&mut model, News::Timeline(DIRECT, older));
    assert_eq!(model.open.as_ref().unwrap().anchor, at);
    news(&mut model, News::Older(DIRECT, Ok(false)));
    for _ in 0..20 {
        press(&mut model, KeyCode::PageDown);
    }
    assert!(model.open.as_ref().unwrap().anchor.is_none(), "at the end again");
}

#[test]
fn receipts_say_how_far_a_message_has_got() {
    let mut model = talking(a_few());
    let open = model.open.as_mut().unwrap();
    let mark = |user, delivered, read| MemberMark { user, delivered: Seq(delivered), read: Seq(read) };
    let receipt = |open: &super::Conversation| open.receipt(&open.items[3], ME);
    open.marks = vec![mark(ME, 9, 9), mark(LEE, 3, 2)];
    assert_eq!(receipt(open), Receipt::Sent);
    open.marks = vec![mark(LEE, 4, 2), mark(MIN, 4, 0)];
    assert_eq!(receipt(open), Receipt::Delivered(2));
    open.marks = vec![mark(LEE, 4, 4), mark(MIN, 4, 0)];
    assert_eq!(receipt(open), Receipt::Read(1));
    assert_eq!(open.receipt(&pending(1, "x", Delivery::Waiting), ME), Receipt::Waiting);
    assert_eq!(open.receipt(&pending(1, "x", Delivery::Sending), ME), Receipt::Sending);
}

#[test]
fn commands_do_what_they_say() {
    let mut model = talking(a_few());
    let mut run = |line: &str| {
        typed(&mut model, line);
        let cmds = press(&mut model, KeyCode::Enter);
        cmds.into_iter().find(|cmd| !matches!(cmd, Cmd::Typing { .. }))
    };
    assert_eq!(run("/dm @min"), Some(Cmd::Direct(Whom::Handle("min".to_owned()))));
    assert_eq!(
        run("/react 👍"),
        Some(Cmd::React { channel: DIRECT, target: Seq(3), emoji: "👍".to_owned(), on: true })
    );
    assert_eq!(run("/mute off"), Some(Cmd::Mute { channel: DIRECT, mute: Mute::Off }));
    assert_eq!(run("/leave"), None);
    assert_eq!(run("/nothing"), None);
    assert!(model.notice.as_ref().unwrap().text.contains("no such command: /nothing"));
    assert_eq!(draft(&model).0, "/nothing", "it can be mended");
    assert_eq!(with(&mut model, 'c', KeyModifiers::CONTROL), [Cmd::Quit]);
}

#[test]
fn who_is_not_in_a_conversation_any_more_does_not_see_it() {
    let mut model = talking(a_few());
    assert_eq!(news(&mut model, News::Gone(DIRECT)), [Cmd::Close]);
    assert!(model.open.is_none());
    let late = News::Timeline(DIRECT, update(a_few()));
    assert_eq!(news(&mut model, late), []);
    assert!(model.open.is_none());
}
