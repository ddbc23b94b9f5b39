//! What lies over the rest.

use ratatui::Frame;
use ratatui::layout::{Alignment, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};

use super::{bold, dim, list};
use crate::model::Model;
use crate::model::command::COMMANDS;
use crate::model::popup::{Ask, Popup, REACTIONS, Sure, Tie};
use crate::{page, text};

/// Keys, by where they count.
const KEYS: &[(&str, &[(&str, &str)])] = &[
    (
        "Everywhere",
        &[
            ("Tab", "between the list and the conversation"),
            ("Alt-↑ Alt-↓", "conversation above, below (or Ctrl-P, Ctrl-N)"),
            ("PgUp PgDn", "back and forth in the conversation"),
            ("Ctrl-R", "connect now"),
            ("Ctrl-L Ctrl-Z", "draw anew; to the shell"),
            ("Ctrl-C", "quit"),
        ],
    ),
    (
        "Writing",
        &[
            ("Enter", "send"),
            ("Alt-Enter Ctrl-J", "new line"),
            ("↑", "on an empty line: edit your last message"),
            ("Esc", "to the messages; or stop editing or replying"),
            ("Ctrl-W Ctrl-U", "delete a word, the line before the cursor"),
        ],
    ),
    (
        "Messages",
        &[("↑ ↓ g G", "move"), ("r  +", "reply, react"), ("e  d", "edit, delete"), ("Esc", "back to writing")],
    ),
    (
        "List",
        &[
            ("↑ ↓ Enter", "move, open"),
            ("n  c", "new conversation, create a group"),
            ("f  a", "friends, add a friend"),
            ("i  m", "join by a code, mute"),
            ("q", "quit"),
        ],
    ),
];

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, whole: Rect) {
    match &model.popup {
        None => {}
        Some(Popup::Help(at)) => help(*at, frame, whole),
        Some(Popup::Prompt(ask, field)) => {
            let (title, hint) = asked(*ask);
            let area = card(frame, whole, title, 60, 5);
            let room = usize::from(area.width).saturating_sub(3);
            let (lines, (_, column)) = field.lines(usize::from(u16::MAX));
            let cut = column.saturating_sub(room.saturating_sub(1));
            let written: String =
                text::clean_line(lines.first().copied().unwrap_or_default()).chars().skip(cut).collect();
            let lines = vec![
                Line::from(vec![Span::styled(" › ", Style::new().fg(Color::Green)), Span::raw(written)]),
                Line::default(),
                Line::styled(format!(" {hint}"), dim()),
            ];
            frame.render_widget(Paragraph::new(lines), area);
            let x = u16::try_from(3 + column - cut).unwrap_or(0);
            frame.set_cursor_position(Position::new((area.x + x).min(whole.width - 1), area.y));
        }
        Some(Popup::Confirm(sure)) => {
            let question = match sure {
                Sure::Delete(..) => "Delete this message for everybody?",
                Sure::Leave(_) => "Leave this conversation?",
                Sure::LogOut => "Log this device out? What it keeps here is deleted.",
            };
            let area = card(frame, whole, "Sure?", 56, 5);
            let keys = Line::styled(" y or Enter: yes · any other key: no", dim());
            frame.render_widget(Paragraph::new(vec![Line::raw(format!(" {question}")), Line::default(), keys]), area);
        }
        Some(Popup::Friends { rows, at }) => {
            let keys = "Enter write · a accept · x refuse, end · + add";
            let tied = |tie: &Tie| match tie {
                Tie::Received => Span::styled("asks to be your friend", Style::new().fg(Color::Yellow)),
                Tie::Friend => Span::styled("friend", dim()),
                Tie::Sent => Span::styled("you asked", dim()),
            };
            let rows = rows.as_ref().map(|rows| rows.iter().map(|(user, tie)| (*user, tied(tie))).collect());
            people(model, frame, whole, ("Friends", "No friends yet: + adds one", keys), rows, *at);
        }
        Some(Popup::Members { rows, at, .. }) => {
            let role = |role| Span::styled(page::role_name(role), dim());
            let rows = rows.as_ref().map(|rows| rows.iter().map(|(user, of)| (*user, role(*of))).collect());
            people(model, frame, whole, ("Members", "Nobody", "Enter write · a add as a friend"), rows, *at);
        }
    }
}

fn asked(ask: Ask) -> (&'static str, String) {
    match ask {
        Ask::Direct => ("New conversation", "with whom? Their handle".to_owned()),
        Ask::Group => ("New group", "a title and members: Hiking @kim @lee".to_owned()),
        Ask::Befriend => ("Add a friend", "their handle".to_owned()),
        Ask::Join => ("Join", "the code of an invitation".to_owned()),
        Ask::React(_) => {
            let keys = REACTIONS.iter().enumerate().map(|(at, emoji)| format!("{} {emoji}", at + 1));
            ("React", keys.collect::<Vec<_>>().join("  "))
        }
    }
}

/// Makes room in the middle, and a frame around it: what is within.
fn card(frame: &mut Frame<'_>, whole: Rect, title: &str, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(whole.width), height.min(whole.height));
    let area = Rect::new((whole.width - width) / 2, (whole.height - height) / 2, width, height);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .title(Line::styled(format!(" {title} "), bold()))
        .title_alignment(Alignment::Center);
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    // A wide character that reaches under the frame would be drawn over it.
    for y in area.top()..area.bottom() {
        if let Some(cell) = area.x.checked_sub(1).and_then(|x| frame.buffer_mut().cell_mut((x, y)))
            && text::width(cell.symbol()) > 1
        {
            cell.set_symbol(" ");
        }
    }
    frame.render_widget(block, area);
    inner
}

fn people(
    model: &Model,
    frame: &mut Frame<'_>,
    whole: Rect,
    (title, nobody, keys): (&str, &str, &str),
    rows: Option<Vec<(suda_client::UserId, Span<'static>)>>,
    at: usize,
) {
    let count = rows.as_ref().map_or(1, Vec::len);
    let height = u16::try_from(count.clamp(1, 16) + 4).unwrap_or(20);
    let area = card(frame, whole, title, 56, height);
    let fits = usize::from(area.height).saturating_sub(2).max(1);
    let mut lines = Vec::new();
    match rows {
        None => lines.push(Line::styled(" …", dim())),
        Some(rows) if rows.is_empty() => lines.push(Line::styled(format!(" {nobody}"), dim())),
        Some(rows) => {
            let first = at.saturating_sub(fits - 1);
            for (index, (user, what)) in rows.into_iter().enumerate().skip(first).take(fits) {
                let (name, handle) = (model.people.name(user), model.people.handle(user));
                let left = vec![
                    Span::raw(" "),
                    list::presence(model, user),
                    Span::raw(format!(" {}", text::shorten(&name, 20))),
                    Span::styled(format!("  @{}", text::shorten(&handle, 16)), dim()),
                ];
                let line = super::apart(left, vec![what, Span::raw(" ")], area.width);
                let style = if index == at { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
                lines.push(line.style(style));
            }
        }
    }
    while lines.len() + 1 < usize::from(area.height) {
        lines.push(Line::default());
    }
    lines.push(Line::styled(format!(" {keys} · Esc"), dim()));
    frame.render_widget(Paragraph::new(lines), area);
}

fn help(at: usize, frame: &mut Frame<'_>, whole: Rect) {
    let mut lines = Vec::new();
    let mut row = |key: String, text: &str| {
        let key = Span::styled(format!("   {key:<24}"), Style::new().fg(Color::Cyan));
        lines.push(Line::from(vec![key, Span::raw(text.to_owned())]));
    };
    for (title, keys) in KEYS {
        row(String::new(), "");
        row(format!("\u{1}{title}"), "");
        keys.iter().for_each(|(key, text)| row((*key).to_owned(), text));
    }
    row(String::new(), "");
    row("\u{1}Commands, written like messages".to_owned(), "");
    COMMANDS.iter().for_each(|(name, takes, text)| row(format!("/{name} {takes}"), text));
    for line in &mut lines {
        if let Some(title) = line.spans.first().and_then(|span| span.content.trim_start().strip_prefix('\u{1}')) {
            *line = Line::styled(format!(" {}", title.trim_end()), bold());
        }
    }
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = card(frame, whole, "Help · ↑ ↓ scroll · Esc", 76, height.min(whole.height.saturating_sub(1)));
    let most = lines.len().saturating_sub(usize::from(area.height));
    let lines: Vec<_> = lines.into_iter().skip(at.min(most)).collect();
    frame.render_widget(Paragraph::new(lines), area);
}
