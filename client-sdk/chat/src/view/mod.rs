//! Draws the model. Looks at it, and at nothing else.

mod form;
mod list;
mod popup;
mod talk;
#[cfg(test)]
mod tests;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use suda_client::Status;
use suda_client::core::io::Stopped;

use crate::areas::Areas;
use crate::model::Model;
use crate::text;

/// Draws everything.
pub(crate) fn draw(model: &Model, frame: &mut Frame<'_>) {
    // What the terminal has just become counts, not what the model was told last.
    let whole = frame.area();
    if whole.width < 20 || whole.height < 6 {
        frame.render_widget(Paragraph::new("too small"), whole);
        return;
    }
    let areas = Areas::of(model);
    if model.me.is_none() {
        form::draw(model, frame, whole.intersection(Rect { y: 0, height: areas.status.y, ..whole }));
    } else {
        if let Some(area) = areas.list {
            list::draw(model, frame, area.intersection(whole));
        }
        if let Some(line) = areas.line {
            let bar = vec![Line::styled("│", dim()); usize::from(line.height)];
            frame.render_widget(Paragraph::new(bar), line.intersection(whole));
        }
        if let Some(talk) = areas.talk {
            talk::draw(model, frame, talk, whole);
        }
    }
    status(model, frame, areas.status.intersection(whole));
    popup::draw(model, frame, whole);
}

fn dim() -> Style {
    Style::new().fg(Color::DarkGray)
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The connection in words, and how it looks.
fn link(model: &Model) -> (String, Color) {
    let link = &model.link;
    match link.status {
        Status::Online { kind, .. } => (format!("● online via {kind}"), Color::Green),
        Status::Connecting => ("◌ connecting …".to_owned(), Color::Yellow),
        Status::Waiting { .. } => {
            let left_ms = link.retry_at_ms.unwrap_or(0).saturating_sub(model.now_ms);
            match left_ms.div_ceil(1_000) {
                0 => ("◌ reconnecting …".to_owned(), Color::Yellow),
                seconds => (format!("◌ reconnecting in {seconds} s"), Color::Yellow),
            }
        }
        Status::Stalled { kind } => (format!("◌ no answer via {kind}, reconnecting …"), Color::Yellow),
        Status::Stopped(Stopped::ByApp | Stopped::LoggedOut) => ("○ not connected".to_owned(), Color::DarkGray),
        Status::Stopped(Stopped::Replaced) => ("○ connected elsewhere: Ctrl-R to come back".to_owned(), Color::Red),
        Status::Stopped(_) => ("○ the server closed the connection: Ctrl-R".to_owned(), Color::Red),
        _ => ("…".to_owned(), Color::DarkGray),
    }
}

fn status(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let base = Style::new().bg(Color::Black).fg(Color::Gray);
    let (state, colour) = link(model);
    let mut left = vec![Span::styled(format!(" {state}"), base.fg(colour))];
    if model.link.waiting > 0 {
        left.push(Span::styled(format!("  {} to be sent", model.link.waiting), base.fg(Color::Yellow)));
    }
    let used: usize = left.iter().map(Span::width).sum();
    let room = usize::from(area.width).saturating_sub(used + 3);
    let (note, style) = match &model.notice {
        Some(notice) => (notice.text.clone(), base.fg(if notice.is_bad { Color::LightRed } else { Color::White })),
        None => {
            let who = model.me.map(|me| model.people.handle(me)).unwrap_or_default();
            let requests = match model.requests {
                0 => String::new(),
                1 => "1 friend request · ".to_owned(),
                more => format!("{more} friend requests · "),
            };
            let who = if who.is_empty() { String::new() } else { format!("@{who} · ") };
            (format!("{requests}{who}F1 help"), base)
        }
    };
    let note = text::shorten(&note, room);
    let gap = usize::from(area.width).saturating_sub(used + text::width(&note) + 1);
    left.push(Span::styled(" ".repeat(gap), base));
    left.push(Span::styled(format!("{note} "), style));
    frame.render_widget(Paragraph::new(Line::from(left)).style(base), area);
}

/// A line whose end is held to the right.
fn apart(left: Vec<Span<'static>>, right: Vec<Span<'static>>, cells: u16) -> Line<'static> {
    let used: usize = left.iter().chain(&right).map(Span::width).sum();
    let gap = Span::raw(" ".repeat(usize::from(cells).saturating_sub(used)));
    Line::from([left, vec![gap], right].concat())
}
