//! The form to sign in or up.

use ratatui::Frame;
use ratatui::layout::{Alignment, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Wrap};

use super::{bold, dim};
use crate::model::Model;
use crate::model::form::LABELS;
use crate::text;

const WIDTH: u16 = 46;
const HEIGHT: u16 = 13;
/// The columns of a label.
const LABEL: usize = 11;

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let (width, height) = (WIDTH.min(area.width), HEIGHT.min(area.height));
    let card = Rect::new(area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(dim())
        .title(Line::styled(" suda 수다 ", bold()))
        .title_alignment(Alignment::Center)
        .title_bottom(
            Line::styled(format!(" {} ", text::shorten(&text::clean_line(&model.url), 40)), dim()).centered(),
        );
    let inner = block.inner(card);
    frame.render_widget(block, card);
    let form = &model.form;
    let tab = |label: &'static str, is_it: bool| {
        let style = if is_it { bold().add_modifier(Modifier::REVERSED) } else { dim() };
        Span::styled(format!(" {label} "), style)
    };
    let mut lines = vec![
        Line::default(),
        Line::from(vec![Span::raw("  "), tab("Sign in", !form.is_new), Span::raw(" "), tab("Sign up", form.is_new)]),
        Line::default(),
    ];
    let room = usize::from(inner.width).saturating_sub(LABEL + 4);
    for (at, field) in form.fields.iter().enumerate().take(form.len()) {
        let (written, (_, column)) = field.lines(usize::from(u16::MAX));
        let written = written.first().copied().unwrap_or_default();
        let (shown, column) = match at {
            0 => (text::clean_line(written), column),
            _ => {
                let before = written.chars().scan(0, |cells, char| {
                    *cells += text::width(&char.to_string());
                    Some(*cells)
                });
                ("•".repeat(written.chars().count()), before.take_while(|cells| *cells <= column).count())
            }
        };
        let has_keys = at == form.at && !form.busy;
        let mark = if has_keys { "› " } else { "  " };
        let cut = column.saturating_sub(room.saturating_sub(1));
        let shown: String = shown.chars().skip(cut).take(room).collect();
        let label = LABELS.get(at).copied().unwrap_or_default();
        let style = Style::new().add_modifier(Modifier::UNDERLINED).underline_color(Color::DarkGray);
        lines.push(Line::from(vec![
            Span::styled(mark, Style::new().fg(Color::Green)),
            Span::styled(format!("{label:<LABEL$}"), if has_keys { bold() } else { dim() }),
            Span::styled(format!("{shown:<room$}"), style),
        ]));
        if has_keys && model.popup.is_none() {
            let x = u16::try_from(2 + LABEL + column - cut).unwrap_or(0);
            let y = u16::try_from(3 + at).unwrap_or(0);
            frame.set_cursor_position(Position::new(
                (inner.x + x).min(area.right() - 1),
                (inner.y + y).min(area.bottom() - 1),
            ));
        }
    }
    lines.push(Line::default());
    lines.push(match (&form.error, form.busy) {
        (_, true) => Line::styled("  One moment …", Style::new().fg(Color::Yellow)),
        (Some(error), _) => Line::styled(format!("  {error}"), Style::new().fg(Color::LightRed)),
        _ => Line::styled("  Enter goes on · Tab moves", dim()),
    });
    if form.error.is_none() {
        let other = if form.is_new { "sign in" } else { "make an account" };
        lines.push(Line::styled(format!("  Ctrl-T to {other} · Ctrl-C quits"), dim()));
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), inner);
}
