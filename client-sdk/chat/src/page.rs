//! The lines of a conversation, and which of them are on the screen.
//!
//! Lines are laid out from the end of the view upwards, so that a key costs what is shown and not what is known.

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use suda_client::schema::entry::{Body, MemberChange, Message, Role, What};
use suda_client::{Item, UserId};

use crate::model::Model;
use crate::model::conversation::{Anchor, Conversation, Receipt, key};
use crate::text;

/// Messages of one sender within so long stand under one name.
const TOGETHER_MS: u64 = 300_000;
/// The most lines of one message that are shown.
const LINES_MAX: usize = 2_000;
/// The colours of names.
const COLOURS: [Color; 6] =
    [Color::Cyan, Color::Magenta, Color::Yellow, Color::Blue, Color::LightRed, Color::LightMagenta];

/// What is on the screen.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Each line, and the item it is of.
    pub(crate) lines: Vec<(usize, Line<'static>)>,
    /// The first line of the first item is among them.
    pub(crate) is_at_top: bool,
    /// How many items are below it.
    pub(crate) below: usize,
}

/// What is on a screen of this size.
pub(crate) fn visible(model: &Model, open: &Conversation, cells: u16, rows: u16) -> Page {
    let rows = usize::from(rows);
    let Some((mut at, mut skip)) = end(model, open, cells) else { return Page { is_at_top: true, ..Page::default() } };
    let mut page = Page { below: open.items.len() - 1 - at, ..Page::default() };
    loop {
        let block = block(model, open, at, cells);
        let shown = block.len().saturating_sub(skip);
        page.lines.extend(block.into_iter().take(shown).rev().map(|line| (at, line)));
        if page.lines.len() >= rows {
            page.is_at_top = at == 0 && page.lines.len() == rows;
            break;
        }
        if at == 0 {
            page.is_at_top = true;
            break;
        }
        (at, skip) = (at - 1, 0);
    }
    page.lines.truncate(rows);
    page.lines.reverse();
    page
}

/// The item at which the view ends, and how many of its lines are below.
fn end(model: &Model, open: &Conversation, cells: u16) -> Option<(usize, usize)> {
    let last = open.items.len().checked_sub(1)?;
    let anchored = open.anchor.and_then(|anchor| Some((open.index(anchor.key)?, anchor.below)));
    let (at, below) = anchored.unwrap_or((last, 0));
    Some((at, below.min(block(model, open, at, cells).len().saturating_sub(1))))
}

/// Where the view ends when it has moved by some lines.
pub(crate) fn scrolled(
    model: &Model,
    open: &Conversation,
    cells: u16,
    rows: u16,
    by: usize,
    up: bool,
) -> Option<Anchor> {
    let from = end(model, open, cells)?;
    let moved = if up { upwards(model, open, cells, from, by) } else { downwards(model, open, cells, from, by) };
    let moved = filled(model, open, cells, rows, moved);
    anchor(open, moved)
}

/// Where the view ends so that the item with the cursor is in it.
pub(crate) fn showing_selected(model: &Model, open: &Conversation, cells: u16, rows: u16) -> Option<Anchor> {
    let Some(at) = open.selected.and_then(|key| open.index(key)) else { return open.anchor };
    let page = visible(model, open, cells, rows);
    let (first, last) = (page.lines.first().map_or(0, |line| line.0), page.lines.last().map_or(0, |line| line.0));
    let height = block(model, open, at, cells).len();
    let shown = page.lines.iter().filter(|line| line.0 == at).count();
    if shown == height || (shown == usize::from(rows)) {
        return open.anchor;
    }
    let place = if at <= first && at < last || at < first {
        downwards(model, open, cells, (at, height), usize::from(rows))
    } else {
        (at, 0)
    };
    anchor(open, filled(model, open, cells, rows, place))
}

fn anchor(open: &Conversation, (at, below): (usize, usize)) -> Option<Anchor> {
    if at + 1 >= open.items.len() && below == 0 {
        return None;
    }
    Some(Anchor { key: key(open.items.get(at)?)?, below })
}

fn upwards(
    model: &Model,
    open: &Conversation,
    cells: u16,
    (mut at, below): (usize, usize),
    by: usize,
) -> (usize, usize) {
    let mut below = below + by;
    loop {
        let height = block(model, open, at, cells).len();
        if below < height {
            return (at, below);
        }
        if at == 0 {
            return (0, height.saturating_sub(1));
        }
        (at, below) = (at - 1, below - height);
    }
}

fn downwards(
    model: &Model,
    open: &Conversation,
    cells: u16,
    (mut at, mut below): (usize, usize),
    by: usize,
) -> (usize, usize) {
    let mut left = by;
    while left > below {
        left -= below;
        if at + 1 >= open.items.len() {
            return (at, 0);
        }
        at += 1;
        below = block(model, open, at, cells).len();
    }
    (at, below - left)
}

/// Further down, if there are not lines enough above to fill the view.
fn filled(model: &Model, open: &Conversation, cells: u16, rows: u16, (at, below): (usize, usize)) -> (usize, usize) {
    let mut have = block(model, open, at, cells).len().saturating_sub(below);
    for above in (0..at).rev() {
        if have >= usize::from(rows) {
            break;
        }
        have += block(model, open, above, cells).len();
    }
    downwards(model, open, cells, (at, below), usize::from(rows).saturating_sub(have))
}

fn dim() -> Style {
    Style::new().fg(Color::DarkGray)
}

pub(crate) fn colour(user: UserId) -> Color {
    let hash = (user.0 ^ (user.0 >> 22)) % COLOURS.len() as u64;
    usize::try_from(hash).ok().and_then(|at| COLOURS.get(at)).copied().unwrap_or(Color::Cyan)
}

pub(crate) fn time(at_ms: u64, zone: &TimeZone) -> ZonedDateTime {
    let at = i64::try_from(at_ms).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    at.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(zone.clone())
}

pub(crate) fn day(at_ms: u64, model: &Model) -> String {
    let (day, today) = (time(at_ms, &model.zone).date(), time(model.now_ms, &model.zone).date());
    if day == today {
        "Today".to_owned()
    } else if today.yesterday().is_ok_and(|yesterday| yesterday == day) {
        "Yesterday".to_owned()
    } else {
        day.strftime("%A, %-d %B %Y").to_string()
    }
}

/// A line across, with something in its middle.
fn rule(label: &str, cells: usize, style: Style) -> Line<'static> {
    let label = text::shorten(&format!(" {label} "), cells);
    let left = cells.saturating_sub(text::width(&label));
    let (before, after) = (left / 2, left - left / 2);
    Line::styled(format!("{}{label}{}", "─".repeat(before), "─".repeat(after)), style)
}

/// The lines of an item, with what stands before it.
fn block(model: &Model, open: &Conversation, at: usize, cells: u16) -> Vec<Line<'static>> {
    let cells = usize::from(cells).max(8);
    let Some(item) = open.items.get(at) else { return Vec::new() };
    let before = at.checked_sub(1).and_then(|before| open.items.get(before));
    let mut lines = Vec::new();
    let day_of = |item: &Item| time(item.at_ms, &model.zone).date();
    if before.is_none_or(|before| day_of(before) != day_of(item)) {
        lines.push(rule(&day(item.at_ms, model), cells, dim()));
    }
    let is_new = |item: &Item| open.read_before.is_some_and(|read| item.seq.is_some_and(|seq| seq > read));
    if is_new(item) && before.is_some_and(|before| !is_new(before)) {
        lines.push(rule("new", cells, Style::new().fg(Color::Red)));
    }
    match &item.what {
        What::Message(message) => {
            let together = lines.is_empty()
                && before.is_some_and(|before| {
                    matches!(before.what, What::Message(_))
                        && before.by == item.by
                        && item.at_ms.saturating_sub(before.at_ms) < TOGETHER_MS
                });
            if !together {
                if lines.is_empty() && before.is_some() {
                    lines.push(Line::default());
                }
                lines.push(header(model, item, cells));
            }
            say(model, open, item, message, cells, &mut lines);
        }
        what => {
            let text = text::shorten(&happened(model, item, what), cells);
            lines.push(Line::styled(text, dim().add_modifier(Modifier::ITALIC)).centered());
        }
    }
    lines
}

fn header(model: &Model, item: &Item, cells: usize) -> Line<'static> {
    let colour = if Some(item.by) == model.me { Color::Green } else { colour(item.by) };
    let name = text::shorten(&model.people.name(item.by), cells.saturating_sub(8));
    let at = time(item.at_ms, &model.zone).strftime("%H:%M").to_string();
    Line::from(vec![
        Span::styled(name, Style::new().fg(colour).add_modifier(Modifier::BOLD)),
        Span::styled(format!("  {at}"), dim()),
    ])
}

fn say(
    model: &Model,
    open: &Conversation,
    item: &Item,
    message: &Message,
    cells: usize,
    lines: &mut Vec<Line<'static>>,
) {
    if let Some(seq) = message.reply_to {
        let quoted = open.message(seq).map(|item| {
            let said = item.text().map(text::clean_line).unwrap_or_else(|| "…".to_owned());
            format!("{}: {said}", model.people.name(item.by))
        });
        let quoted = quoted.unwrap_or_else(|| "an earlier message".to_owned());
        lines.push(Line::styled(text::shorten(&format!("  ┌ {quoted}"), cells), dim()));
    }
    let (said, style) = match &message.body {
        Body::Text(text) => (text::clean(text), Style::new()),
        Body::Erased(_) => ("message deleted".to_owned(), dim().add_modifier(Modifier::ITALIC)),
        Body::Opaque(opaque) => {
            (format!("[encrypted: {}]", text::clean_line(&opaque.scheme)), dim().add_modifier(Modifier::ITALIC))
        }
        _ => ("[something that this version can't show]".to_owned(), dim()),
    };
    let style = if item.seq.is_none() { style.fg(Color::Gray) } else { style };
    let room = cells.saturating_sub(3);
    if !said.is_empty() || message.attachments.is_empty() {
        let wrapped = text::wrapped(&said, room);
        lines.extend(
            wrapped.into_iter().take(LINES_MAX).map(|line| Line::from(Span::styled(format!("  {line}"), style))),
        );
    }
    for attachment in &message.attachments {
        let kib = attachment.bytes.div_ceil(1_024);
        let line = format!("  ⌸ {} ({kib} KiB)", text::clean_line(&attachment.name));
        lines.push(Line::styled(text::shorten(&line, cells), Style::new().fg(Color::Blue)));
    }
    let marks = marks(model, open, item, message);
    let wide: usize = marks.iter().map(Span::width).sum();
    match lines.last_mut().filter(|line| line.width() + wide <= cells) {
        Some(line) => line.spans.extend(marks),
        None => lines.push(Line::from([vec![Span::raw(" ")], marks].concat())),
    }
    reactions(model, message, cells, lines);
}

/// What stands behind a message: whether it was edited, and how far one's own has got.
fn marks(model: &Model, open: &Conversation, item: &Item, message: &Message) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let is_erased = matches!(message.body, Body::Erased(_));
    if item.changing {
        spans.push(Span::styled(" (changing …)", dim()));
    } else if message.edited.is_some() && !is_erased {
        spans.push(Span::styled(" (edited)", dim()));
    }
    let Some(me) = model.me.filter(|me| *me == item.by && !is_erased) else { return spans };
    let is_last = open.items.iter().rev().find(|item| item.by == me && matches!(item.what, What::Message(_)));
    let is_last = is_last.is_some_and(|last| key(last) == key(item));
    let (sign, word, style) = match open.receipt(item, me) {
        Receipt::Waiting => ("○", "waiting".to_owned(), Style::new().fg(Color::Yellow)),
        Receipt::Sending => ("◌", "sending".to_owned(), dim()),
        Receipt::Sent => ("✓", "sent".to_owned(), dim()),
        Receipt::Delivered(count) => ("✓✓", many("delivered", count), dim()),
        Receipt::Read(count) => ("✓✓", many("read", count), Style::new().fg(Color::Green)),
    };
    let is_whole = is_last || item.seq.is_none();
    spans.push(Span::styled(if is_whole { format!("  {sign} {word}") } else { format!("  {sign}") }, style));
    spans
}

fn many(word: &str, count: usize) -> String {
    if count > 1 { format!("{word} by {count}") } else { word.to_owned() }
}

fn reactions(model: &Model, message: &Message, cells: usize, lines: &mut Vec<Line<'static>>) {
    let mut line = Line::default();
    for reaction in &message.reactions {
        let is_mine = model.me.is_some_and(|me| reaction.users.contains(&me));
        let style = if is_mine { Style::new().fg(Color::Green).add_modifier(Modifier::BOLD) } else { dim() };
        let emoji = text::shorten(&text::clean_line(&reaction.emoji), 12);
        let span = Span::styled(format!("  {emoji} {}", reaction.count), style);
        if line.width() + span.width() > cells && !line.spans.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        line.spans.push(span);
    }
    if !line.spans.is_empty() {
        lines.push(line);
    }
}

/// Something that is no message, in words.
fn happened(model: &Model, item: &Item, what: &What) -> String {
    let name = |user: UserId| model.people.name(user);
    let by = name(item.by);
    match what {
        What::Member(member) => {
            let (user, is_self) = (name(member.user), member.user == item.by);
            match member.change {
                MemberChange::Joined(_) if is_self => format!("{user} joined"),
                MemberChange::Joined(_) => format!("{by} added {user}"),
                MemberChange::Left => format!("{user} left"),
                MemberChange::Kicked => format!("{by} removed {user}"),
                MemberChange::Banned => format!("{by} banned {user}"),
                MemberChange::Unbanned => format!("{by} lets {user} in again"),
                MemberChange::Role(role) => format!("{by} made {user} {}", role_name(role)),
            }
        }
        What::Title(title) => format!("{by} called it “{}”", text::clean_line(&title.title)),
        What::Picture(_) => format!("{by} changed the picture"),
        _ => "something that this version can't show".to_owned(),
    }
}

pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Poster => "poster",
        Role::Admin => "admin",
        Role::Owner => "owner",
    }
}
