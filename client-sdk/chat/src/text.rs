//! Text for a terminal: what others wrote is made harmless, and measured in cells.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// How many characters without a width may follow each other: accents need a few, noise wants hundreds.
const MARKS_MAX: usize = 8;
/// What a tab becomes.
const TAB: &str = "    ";

/// Text of somebody else as it may be shown: lines, without anything that a terminal obeys or that turns the writing
/// around.
pub(crate) fn clean(text: &str) -> String {
    let (mut out, mut marks, mut was_return) = (String::with_capacity(text.len()), 0, false);
    for char in text.chars() {
        let after_return = std::mem::replace(&mut was_return, char == '\r');
        match char {
            '\n' if after_return => {}
            '\n' | '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{b}' | '\u{c}' => {
                out.push('\n');
                marks = 0;
            }
            '\t' => out.push_str(TAB),
            char if is_harmful(char) => {}
            char => {
                let has_width = unicode_width::UnicodeWidthChar::width(char).unwrap_or(0) > 0;
                marks = if has_width { 0 } else { marks + 1 };
                if marks <= MARKS_MAX {
                    out.push(char);
                }
            }
        }
    }
    out
}

/// The same on one line, for names, titles and previews.
pub(crate) fn clean_line(text: &str) -> String {
    clean(text).split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Controls, and what is not seen but changes what is.
fn is_harmful(char: char) -> bool {
    char.is_control()
        || matches!(char,
            // Direction: marks, embeddings, overrides, isolates.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Nothing at all, to hide in: joiners of emoji and of Persian and Indian scripts are not among these.
            | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{ad}'
            // Tags, and private use, which some terminal fonts draw as parts of their own frame.
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

/// How many cells a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Not more than so many cells, with an ellipsis if something was cut.
pub(crate) fn shorten(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let (mut out, mut used) = (String::new(), 0);
    for grapheme in text.graphemes(true) {
        used += width(grapheme);
        if used + 1 > cells {
            break;
        }
        out.push_str(grapheme);
    }
    if cells > 0 {
        out.push('…');
    }
    out
}

/// Text broken into lines of at most so many cells: between words where there are any, otherwise between characters.
/// Each is given by where in the text it begins and ends.
pub(crate) fn wrap(text: &str, cells: usize) -> Vec<(usize, usize)> {
    let cells = cells.max(2);
    let (mut lines, mut begin) = (Vec::new(), 0);
    for line in text.split('\n') {
        wrap_line(line, begin, cells, &mut lines);
        begin += line.len() + 1;
    }
    lines
}

fn wrap_line(line: &str, offset: usize, cells: usize, lines: &mut Vec<(usize, usize)>) {
    let (mut begin, mut used) = (0, 0);
    // The last place at which the line may be broken: where the next one begins, and the cells up to there.
    let mut breaking: Option<(usize, usize)> = None;
    for (at, grapheme) in line.grapheme_indices(true) {
        let wide = width(grapheme);
        let blank = grapheme == " ";
        if used + wide > cells && at > begin && !blank {
            let (next, before) = breaking.take().filter(|(next, _)| *next > begin).unwrap_or((at, used));
            lines.push((offset + begin, offset + next));
            (begin, used) = (next, used - before);
        }
        used += wide;
        let end = at + grapheme.len();
        // After a blank, and around characters as wide as those of China, Japan and Korea.
        if blank || (wide == 2 && used <= cells) {
            breaking = Some((end, used));
        }
    }
    lines.push((offset + begin, offset + line.len()));
}

/// The same as pieces of the text, without the blanks at their ends.
pub(crate) fn wrapped(text: &str, cells: usize) -> Vec<&str> {
    let lines = wrap(text, cells).into_iter();
    lines.map(|(begin, end)| text.get(begin..end).unwrap_or_default().trim_end_matches(' ')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(clean("a\x1b[2J\x1b]0;owned\x07b\u{9b}31mc\x08\x7f"), "a[2J]0;ownedb31mc");
        assert_eq!(clean("pay\u{202e}evil\u{202c} \u{2066}x\u{2069}\u{200f}"), "payevil x");
        assert_eq!(clean("one\r\ntwo\rthree\u{2028}four"), "one\ntwo\nthree\nfour");
        assert_eq!(clean("\tx\u{feff}\u{200b}"), "    x");
        assert_eq!(clean_line("  a\n\n b\t"), "a b");
        for code in 0..=0x9f {
            let char = char::from_u32(code).unwrap();
            assert!(clean(&char.to_string()).chars().all(|char| char == '\n' || !char.is_control()), "{code:x}");
        }
    }

    #[test]
    fn scripts_and_emoji_stay_whole_and_noise_does_not() {
        for text in ["안녕하세요", "👩‍👩‍👧", "é e\u{301}", "می‌خواهم", "שלום", "❤\u{fe0f}"]
        {
            assert_eq!(clean(text), text);
        }
        let noise = format!("a{}b", "\u{336}".repeat(500));
        assert_eq!(clean(&noise).chars().count(), 2 + MARKS_MAX);
    }

    #[test]
    fn lines_break_between_words_and_fit() {
        assert_eq!(wrapped("the quick brown fox", 10), ["the quick", "brown fox"]);
        assert_eq!(wrapped("abcdefghijkl", 5), ["abcde", "fghij", "kl"]);
        assert_eq!(wrapped("a abcdefghijkl", 5), ["a", "abcde", "fghij", "kl"]);
        assert_eq!(wrapped("안녕하세요", 5), ["안녕", "하세", "요"]);
        assert_eq!(wrapped("one\n\ntwo", 80), ["one", "", "two"]);
        assert_eq!(wrapped("", 80), [""]);
        assert_eq!(wrapped("12345 ", 5), ["12345"]);
        for cells in 2..30 {
            let text = "some words 그리고 한국어도, verylongwordwithoutanyblank 👩‍👩‍👧 end";
            assert!(wrapped(text, cells).iter().all(|line| width(line) <= cells), "{cells}");
            let whole: String = wrap(text, cells).iter().map(|(begin, end)| &text[*begin..*end]).collect();
            assert_eq!(whole, text);
        }
    }

    #[test]
    fn shortening_counts_cells() {
        assert_eq!(shorten("hello", 5), "hello");
        assert_eq!(shorten("hello!", 5), "hell…");
        assert_eq!(shorten("안녕하세요", 6), "안녕…");
        assert_eq!(shorten("x", 0), "");
    }
}
