//! A conversation: its title, its messages, who types, and what is being written.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use suda_client::schema::control::Status;
use suda_client::schema::summary::ChannelKind;

use super::{apart, bold, dim, list};
use crate::areas::{MARK, Talk};
use crate::model::conversation::{Aim, Conversation};
use crate::model::{Focus, Model};
use crate::{page, text};

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, areas: Talk, whole: Rect) {
    let Some(open) = &model.open else {
        let area = areas.page.intersection(whole);
        let middle = Rect { y: area.y + area.height / 3, height: area.height - area.height / 3, ..area };
        let hint = ["수다", "", "Enter opens a conversation", "n writes to somebody", "F1 lists all keys"];
        frame.render_widget(Paragraph::new(hint.map(Line::from).to_vec()).style(dim()).centered(), middle);
        return;
    };
    frame.render_widget(Paragraph::new(title(model, areas.title.width)), areas.title.intersection(whole));
    messages(model, open, frame, areas.page.intersection(whole));
    let typing = Line::styled(typing(model, open), dim().add_modifier(Modifier::ITALIC));
    frame.render_widget(Paragraph::new(typing), areas.typing.intersection(whole));
    frame.render_widget(Paragraph::new(aim(model, open, areas.rule.width)), areas.rule.intersection(whole));
    write(model, open, frame, areas.write, whole);
}

fn title(model: &Model, cells: u16) -> Line<'static> {
    let Some(row) = model.open_row() else { return Line::styled(" …", dim()) };
    let about = match (row.kind, row.peer) {
        (ChannelKind::Direct, Some(peer)) if Some(peer) != model.me => {
            let there = match model.people.presence.get(&peer) {
                Some(presence) if presence.status == Status::Online => "online".to_owned(),
                Some(presence) if presence.status == Status::Idle => "idle".to_owned(),
                Some(presence) if presence.last_active_at_ms > 0 => {
                    let at = page::time(presence.last_active_at_ms, &model.zone);
                    format!("last seen {} {}", page::day(presence.last_active_at_ms, model), at.strftime("%H:%M"))
                }
                _ => String::new(),
            };
            format!("@{}  {there}", model.people.handle(peer))
        }
        (ChannelKind::Direct, _) => String::new(),
        _ if row.members == 1 => "1 member".to_owned(),
        _ => format!("{} members", row.members),
    };
    let muted = if model.is_muted(row) { "muted " } else { "" };
    let name = text::shorten(&model.title(row), usize::from(cells).saturating_sub(6 + muted.len()));
    let room = usize::from(cells).saturating_sub(text::width(&name) + 6 + muted.len());
    let about = Span::styled(format!("  {}", text::shorten(&about, room)), dim());
    let left = vec![Span::raw(" "), list::sign(model, row), Span::raw(" "), Span::styled(name, bold()), about];
    apart(left, vec![Span::styled(muted, dim())], cells)
        .style(Style::new().add_modifier(Modifier::UNDERLINED).underline_color(Color::DarkGray))
}

fn messages(model: &Model, open: &Conversation, frame: &mut Frame<'_>, area: Rect) {
    let shown = page::visible(model, open, area.width, area.height);
    if open.items.is_empty() {
        let online = model.link.status.is_online();
        let text = if online { "Nothing said yet." } else { "Nothing here yet; it comes when there is a connection." };
        frame.render_widget(Paragraph::new(Line::styled(text, dim()).centered()), area);
        return;
    }
    let selected = open.selected.and_then(|key| open.index(key));
    let mut lines: Vec<Line<'static>> = Vec::new();
    let empty = usize::from(area.height).saturating_sub(shown.lines.len());
    for at in 0..empty {
        let is_top = at + 1 == empty && open.loading;
        lines.push(if is_top { Line::styled("loading …", dim()).centered() } else { Line::default() });
    }
    for (item, line) in shown.lines {
        let is_selected = selected == Some(item) && model.focus == Focus::Messages;
        lines.push(if is_selected { line.patch_style(Style::new().add_modifier(Modifier::REVERSED)) } else { line });
    }
    frame.render_widget(Paragraph::new(lines), area);
    if shown.below > 0 {
        let label = format!(" ↓ {} more ", shown.below);
        let wide = u16::try_from(text::width(&label)).unwrap_or(0).min(area.width);
        let corner = Rect { x: area.right() - wide, y: area.bottom().saturating_sub(1), width: wide, height: 1 };
        let style = Style::new().fg(Color::Black).bg(Color::Gray);
        frame.render_widget(Paragraph::new(label).style(style), corner.intersection(area));
    }
}

fn typing(model: &Model, open: &Conversation) -> String {
    let names: Vec<String> =
        open.typing.iter().filter(|user| Some(**user) != model.me).map(|user| model.people.name(*user)).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!(" {one} is typing …"),
        [one, two] => format!(" {one} and {two} are typing …"),
        [one, rest @ ..] => format!(" {one} and {} others are typing …", rest.len()),
    }
}

/// The line above what is being written.
fn aim(model: &Model, open: &Conversation, cells: u16) -> Line<'static> {
    let cells = usize::from(cells);
    let label = match (model.focus, open.draft.aim) {
        (Focus::Messages, _) => "r reply · + react · e edit · d delete · Esc back".to_owned(),
        (_, Aim::New) => String::new(),
        (_, Aim::Edit(_)) => "editing · Esc to leave it as it was".to_owned(),
        (_, Aim::Reply(seq)) => {
            let to = open.message(seq).map(|item| {
                let said = item.text().map(text::clean_line).unwrap_or_default();
                format!("{}: {said}", model.people.name(item.by))
            });
            format!("reply to {} · Esc", text::shorten(&to.unwrap_or_default(), cells.saturating_sub(24)))
        }
    };
    if label.is_empty() {
        return Line::styled("─".repeat(cells), dim());
    }
    let label = text::shorten(&label, cells.saturating_sub(4));
    let rest = cells.saturating_sub(text::width(&label) + 3);
    Line::from(vec![
        Span::styled("─ ", dim()),
        Span::styled(label, Style::new().fg(Color::Yellow)),
        Span::styled(format!(" {}", "─".repeat(rest)), dim()),
    ])
}

fn write(model: &Model, open: &Conversation, frame: &mut Frame<'_>, area: Rect, whole: Rect) {
    let has_keys = model.focus == Focus::Compose;
    let mark = Rect { x: area.x.saturating_sub(MARK), width: MARK, height: 1, ..area };
    let style = if has_keys { Style::new().fg(Color::Green).add_modifier(Modifier::BOLD) } else { dim() };
    frame.render_widget(Paragraph::new(Span::styled("› ", style)), mark.intersection(whole));
    let (lines, (row, column)) = open.draft.field.lines(usize::from(area.width));
    if open.draft.field.is_empty() {
        let hint = match model.focus {
            Focus::Compose => "Write a message",
            Focus::Messages => "Esc to write",
            Focus::List => "Tab to write",
        };
        frame.render_widget(Paragraph::new(hint).style(dim()), area.intersection(whole));
    }
    let height = usize::from(area.height);
    let first = row.saturating_sub(height.saturating_sub(1));
    let shown: Vec<Line<'_>> =
        lines.iter().skip(first).take(height).map(|line| Line::from(text::clean(line))).collect();
    if !open.draft.field.is_empty() {
        frame.render_widget(Paragraph::new(shown), area.intersection(whole));
    }
    if has_keys && model.popup.is_none() {
        let (x, y) = (u16::try_from(column).unwrap_or(0), u16::try_from(row - first).unwrap_or(0));
        frame.set_cursor_position(Position::new((area.x + x).min(whole.width - 1), (area.y + y).min(whole.height - 1)));
    }
}
