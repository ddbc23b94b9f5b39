//! What is on the screen, line by line.

use crossterm::event::KeyCode;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use suda_client::schema::entry::{Body, Edited, Erased, Member, MemberChange, Reaction, Role, What};
use suda_client::schema::summary::{ChannelKind, MemberMark};
use suda_client::{Delivery, Seq, Status};

use super::draw;
use crate::model::Model;
use crate::model::say::{Input, News};
use crate::model::tests::*;

/// The lines of a screen.
fn screen(model: &Model) -> Vec<String> {
    let (columns, rows) = model.size;
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(model, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let lines: Vec<String> = (0..rows)
        .map(|y| {
            let (mut line, mut x) = (String::new(), 0);
            while x < columns {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                // A wide character takes the cell after it.
                x += u16::try_from(crate::text::width(symbol)).unwrap().max(1);
            }
            line.trim_end().to_owned()
        })
        .collect();
    if std::env::var_os("SUDA_LOOK").is_some() {
        println!("{}\n", lines.join("\n"));
    }
    lines
}

/// Where on the screen there is a line with this in it, without what is around it.
fn find(lines: &[String], text: &str) -> usize {
    lines.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text} in\n{}", lines.join("\n")))
}

#[test]
fn the_form_hides_the_password() {
    let mut model = model();
    typed(&mut model, "kim");
    press(&mut model, KeyCode::Tab);
    typed(&mut model, "비밀secret");
    let lines = screen(&model);
    assert!(lines[find(&lines, "Password")].contains("••••••••"));
    assert!(!lines.concat().contains("secret"));
    find(&lines, "https://suda.example");
    model.form.turn();
    find(&screen(&model), "Again");
}

#[test]
fn the_list_says_what_is_new_and_who_is_there() {
    let lines = screen(&ready());
    assert!(lines[0].contains("2 unread"));
    let at = find(&lines, "● 이수다");
    assert!(lines[at].contains("14:02"));
    assert!(lines[at + 1].contains("see you there") && lines[at + 1].contains(" 2 "));
    let at = find(&lines, "# 등산 Hiking");
    assert!(lines[at + 1].contains("이수다: see you there"));
    assert!(lines.last().unwrap().contains("● online via quic") && lines.last().unwrap().contains("@kim · F1 help"));
    // What stands beside the list begins in the same column in each line, however wide the characters are.
    let columns = lines.iter().filter_map(|line| line.split_once('│')).map(|(list, _)| crate::text::width(list));
    assert!(columns.clone().count() > 20 && columns.collect::<std::collections::BTreeSet<_>>().len() == 1);
}

#[test]
fn a_conversation_shows_everything_there_is_to_a_message() {
    let mut items = vec![
        item(1, LEE, What::Member(Member { user: ME, change: MemberChange::Joined(Role::Member) })),
        message(2, LEE, "first"),
        message(3, LEE, "second"),
        message(4, ME, "안녕하세요"),
        message(5, MIN, "gone"),
        message(6, ME, "the last"),
        pending(1, "on its way", Delivery::Waiting),
    ];
    items[0].at_ms -= 86_400_000;
    said(&mut items[2]).reply_to = Some(Seq(2));
    said(&mut items[3]).edited = Some(Edited { seq: Seq(7), at_ms: 0, count: 1 });
    said(&mut items[3]).reactions = vec![Reaction { emoji: "👍".to_owned(), count: 2, users: vec![LEE, ME] }];
    said(&mut items[4]).body = Body::Erased(Erased { seq: Seq(8), by: MIN });
    let mut model = talking(items);
    let marks = vec![MemberMark { user: LEE, delivered: Seq(6), read: Seq(4) }];
    news(&mut model, News::Beside { channel: DIRECT, typing: vec![LEE], marks });
    let lines = screen(&model);
    assert!(find(&lines, "Yesterday") < find(&lines, "이수다 added Kim"));
    assert!(find(&lines, "이수다 added Kim") < find(&lines, "── Today ──"));
    let at = find(&lines, "first");
    assert!(lines[at - 1].contains("이수다  13:53"));
    assert!(lines[at + 1].contains("┌ 이수다: first") && lines[at + 2].contains("second"), "no name twice");
    let at = find(&lines, "안녕하세요");
    assert!(lines[at].ends_with("안녕하세요 (edited)  ✓✓") && lines[at + 1].contains("👍 2"));
    find(&lines, "message deleted");
    assert!(lines[find(&lines, "the last")].ends_with("the last  ✓✓"));
    assert!(lines[find(&lines, "on its way")].ends_with("○ waiting"));
    find(&lines, "이수다 is typing …");
    find(&lines, "@lee  online");
}

#[test]
fn nothing_that_somebody_wrote_reaches_the_terminal_as_it_is() {
    let evil = "a\x1b[2J\x1b]0;title\x07\u{202e}txt\u{9b}5n";
    let mut items = vec![
        message(1, MIN, evil),
        item(2, LEE, What::Title(suda_client::schema::entry::Title { title: evil.to_owned() })),
    ];
    said(&mut items[0]).reactions = vec![Reaction { emoji: "\x1b[31m👍".to_owned(), count: 1, users: vec![] }];
    let mut model = talking(items);
    let mut rows = vec![row(DIRECT, ChannelKind::Direct, 0), row(GROUP, ChannelKind::Group, 0)];
    rows[1].title = evil.to_owned();
    rows[1].preview.as_mut().unwrap().text = evil.to_owned();
    news(&mut model, News::Rows(rows));
    news(&mut model, News::Failed(evil.to_owned()));
    let text = screen(&model).concat();
    assert!(text.contains("a[2J]0;titletxt5n"));
    assert!(!text.chars().any(|char| char.is_control() || ('\u{202a}'..='\u{202e}').contains(&char)));
}

#[test]
fn new_messages_are_under_a_line_and_long_ones_are_broken() {
    let items = vec![message(7, LEE, "old"), message(8, LEE, &"많은 말 ".repeat(30)), message(9, LEE, "fresh")];
    let model = talking(items);
    let lines = screen(&model);
    assert!(find(&lines, "old") < find(&lines, " new ") && find(&lines, " new ") < find(&lines, "많은 말"));
    assert!(lines.iter().filter(|line| line.contains("많은 말")).count() > 2);
    assert!(lines.iter().all(|line| crate::text::width(line) <= 90));
}

#[test]
fn the_status_counts_down() {
    let mut model = talking(vec![message(1, ME, "x")]);
    let status = Status::Waiting { until_ms: 0 };
    news(&mut model, News::Link { status, retry_at_ms: Some(NOW_MS + 4_200), waiting: 3 });
    assert!(screen(&model).last().unwrap().starts_with(" ◌ reconnecting in 5 s  3 to be sent"));
    model.input(Input::Tick(NOW_MS + 3_000));
    assert!(screen(&model).last().unwrap().starts_with(" ◌ reconnecting in 2 s"));
    model.input(Input::Tick(NOW_MS + 5_000));
    assert!(screen(&model).last().unwrap().starts_with(" ◌ reconnecting …"));
}

#[test]
fn popups_show_what_can_be_done() {
    let mut model = talking(vec![message(1, LEE, "x")]);
    press(&mut model, KeyCode::F(1));
    find(&screen(&model), "Alt-Enter Ctrl-J");
    press(&mut model, KeyCode::Esc);
    typed(&mut model, "/friends");
    press(&mut model, KeyCode::Enter);
    let list = |user| serde_json::from_value(serde_json::json!([{ "user": user, "since_ms": 0 }])).unwrap();
    news(&mut model, News::Friends { friends: list(LEE), received: list(MIN), sent: Vec::new() });
    let lines = screen(&model);
    let at = find(&lines, "Min[31m");
    assert!(lines[at].contains("asks to be your friend") && lines[at + 1].contains("이수다  @lee"), "first who asks");
    assert!(lines.last().unwrap().contains("1 friend request · @kim"));
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Char('+'));
    find(&screen(&model), "1 👍  2 🎉");
}

#[test]
fn every_size_is_drawn() {
    let items = (1..40).map(|seq| message(seq, if seq % 3 == 0 { ME } else { LEE }, "안녕 hello\n👩‍👩‍👧 there")).collect();
    let mut model = talking(items);
    typed(&mut model, "여러 줄 many words that wrap around more than once in a narrow terminal");
    for columns in [1, 2, 8, 19, 20, 21, 40, 71, 72, 73, 200] {
        for rows in [1, 2, 5, 6, 7, 8, 12, 60] {
            model.input(Input::Resize(columns, rows));
            for code in [KeyCode::PageUp, KeyCode::F(1)] {
                press(&mut model, code);
                screen(&model);
            }
            press(&mut model, KeyCode::Esc);
            press(&mut model, KeyCode::PageDown);
            screen(&model);
        }
    }
    // Narrow: one of the two at a time.
    model.input(Input::Resize(50, 16));
    assert!(!screen(&model).concat().contains('│'));
    press(&mut model, KeyCode::Tab);
    let lines = screen(&model);
    find(&lines, "# 등산 Hiking");
    assert!(!lines.concat().contains("many words"));
}

#[test]
fn a_frame_is_whole_over_wide_characters() {
    let items = (1..40).map(|seq| message(seq, LEE, "가나다라마바사아자차카타파하".repeat(4).as_str())).collect();
    let mut model = talking(items);
    press(&mut model, KeyCode::F(1));
    for columns in 78..100 {
        model.input(Input::Resize(columns, 24));
        let lines = screen(&model);
        assert!(lines[1..22].iter().all(|line| line.matches('│').count() >= 2), "{columns}");
    }
}
