//! The list of conversations.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use suda_client::schema::control::Status;
use suda_client::schema::summary::{ChannelKind, ChannelSummary};

use super::{apart, bold, dim};
use crate::model::{Focus, Model};
use crate::{page, text};

/// How many rows a conversation takes.
const ROWS: usize = 2;

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let [head, rest] = split(area);
    let unread = model.unread();
    let count = if unread > 0 { format!("{unread} unread ") } else { String::new() };
    let title = apart(vec![Span::styled(" suda", bold())], vec![Span::styled(count, dim())], head.width);
    frame.render_widget(Paragraph::new(title), head);
    if model.rows.is_empty() {
        let hint =
            ["", " No conversations yet.", "", " n  write to somebody", " c  create a group", " a  add a friend"];
        frame.render_widget(Paragraph::new(hint.map(Line::from).to_vec()).style(dim()), rest);
        return;
    }
    let fits = (usize::from(rest.height) / ROWS).max(1);
    let at = model.row.and_then(|row| model.row_index(row)).unwrap_or(0);
    // The cursor stays in sight, with what is around it.
    let first = at.saturating_sub(fits / 2).min(model.rows.len().saturating_sub(fits));
    let shown = model.rows.iter().skip(first).take(fits + 1);
    let lines: Vec<Line<'static>> = shown.flat_map(|row| lines(model, row, rest.width)).collect();
    frame.render_widget(Paragraph::new(lines), rest);
}

fn split(area: Rect) -> [Rect; 2] {
    let head = Rect { height: area.height.min(1), ..area };
    [head, Rect { y: area.y + head.height, height: area.height - head.height, ..area }]
}

/// The sign before a name: whether somebody is there, or what kind of channel it is.
pub(super) fn sign(model: &Model, row: &ChannelSummary) -> Span<'static> {
    match (row.kind, row.peer) {
        (ChannelKind::Direct, peer) if peer == model.me => Span::styled("✎", dim()),
        (ChannelKind::Direct, Some(peer)) => presence(model, peer),
        (ChannelKind::Broadcast, _) => Span::styled("»", dim()),
        _ => Span::styled("#", dim()),
    }
}

pub(super) fn presence(model: &Model, user: suda_client::UserId) -> Span<'static> {
    match model.people.presence.get(&user).map(|presence| presence.status) {
        Some(Status::Online) => Span::styled("●", Style::new().fg(Color::Green)),
        Some(Status::Idle) => Span::styled("◐", Style::new().fg(Color::Yellow)),
        _ => Span::styled("○", dim()),
    }
}

fn lines(model: &Model, row: &ChannelSummary, cells: u16) -> [Line<'static>; ROWS] {
    let is_open = model.open.as_ref().is_some_and(|open| open.id == row.channel);
    let is_at = model.row == Some(row.channel);
    let muted = model.is_muted(row);
    let has_news = row.unread > 0;
    let width = usize::from(cells);
    let when = when(model, row.last_at_ms);
    let name_style = if has_news && !muted { bold() } else { Style::new() };
    let name = text::shorten(&model.title(row), width.saturating_sub(6 + text::width(&when)));
    let mark = if is_open { Span::styled("▌", Style::new().fg(Color::Green)) } else { Span::raw(" ") };
    let first = apart(
        vec![mark.clone(), sign(model, row), Span::raw(" "), Span::styled(name, name_style)],
        vec![Span::styled(format!("{when} "), dim())],
        cells,
    );
    let count = match (has_news, muted) {
        (false, false) => Span::raw(""),
        (false, true) => Span::styled("muted ", dim()),
        (true, true) => Span::styled(format!("{} muted ", row.unread), dim()),
        (true, false) => Span::styled(
            format!(" {} ", row.unread),
            Style::new().fg(Color::Black).bg(Color::Green).add_modifier(Modifier::BOLD),
        ),
    };
    let room = width.saturating_sub(4 + count.width() + 1);
    let preview = Span::styled(text::shorten(&preview(model, row), room), dim());
    let tail = if has_news && !muted { vec![count, Span::raw(" ")] } else { vec![count] };
    let second = apart(vec![mark, Span::raw("  "), preview], tail, cells);
    let style = match (is_at, model.focus) {
        (true, Focus::List) => Style::new().add_modifier(Modifier::REVERSED),
        _ => Style::new(),
    };
    [first.style(style), second.style(style)]
}

fn preview(model: &Model, row: &ChannelSummary) -> String {
    let Some(preview) = &row.preview else { return "nothing said yet".to_owned() };
    let said = match text::clean_line(&preview.text) {
        text if text.is_empty() => "…".to_owned(),
        text => text,
    };
    match row.kind {
        _ if Some(preview.by) == model.me && row.peer != model.me => format!("you: {said}"),
        ChannelKind::Direct => said,
        _ => format!("{}: {said}", model.people.name(preview.by)),
    }
}

fn when(model: &Model, at_ms: u64) -> String {
    if at_ms == 0 {
        return String::new();
    }
    let (at, now) = (page::time(at_ms, &model.zone), page::time(model.now_ms, &model.zone));
    let format = if at.date() == now.date() {
        "%H:%M"
    } else if at.date().year() == now.date().year() {
        "%-d %b"
    } else {
        "%Y"
    };
    at.strftime(format).to_string()
}
