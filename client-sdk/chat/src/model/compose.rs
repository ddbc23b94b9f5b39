//! A field of text with a cursor: one line or many.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::text;

/// Text being written. The cursor is a byte's place, always between two characters as people see them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Field {
    text: String,
    cursor: usize,
}

impl Field {
    /// With a text, and the cursor behind it.
    pub(crate) fn with(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What is in it; it is empty after.
    pub(crate) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    fn before(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    fn after(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }

    pub(crate) fn insert(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    fn left_of(&self) -> usize {
        self.before().grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn right_of(&self) -> usize {
        self.cursor + self.after().graphemes(true).next().map_or(0, str::len)
    }

    fn word_left(&self) -> usize {
        let words = self.before().unicode_word_indices();
        words.map(|(at, _)| at).next_back().unwrap_or(0)
    }

    fn word_right(&self) -> usize {
        let word = self.after().unicode_word_indices().next();
        word.map_or(self.text.len(), |(at, word)| self.cursor + at + word.len())
    }

    fn line_begin(&self) -> usize {
        self.before().rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.after().find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    /// Does what a key of editing says.
    pub(crate) fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Left => self.cursor = self.left_of(),
            Edit::Right => self.cursor = self.right_of(),
            Edit::WordLeft => self.cursor = self.word_left(),
            Edit::WordRight => self.cursor = self.word_right(),
            Edit::Begin => self.cursor = self.line_begin(),
            Edit::End => self.cursor = self.line_end(),
            Edit::Backspace => self.cut(self.left_of(), self.cursor),
            Edit::Delete => self.cut(self.cursor, self.right_of()),
            Edit::CutWord => self.cut(self.word_left(), self.cursor),
            Edit::CutToBegin => self.cut(self.line_begin(), self.cursor),
            Edit::CutToEnd => self.cut(self.cursor, self.line_end()),
        }
    }

    /// The lines as they are shown, and the cursor's row and column among them.
    pub(crate) fn lines(&self, cells: usize) -> (Vec<&str>, (usize, usize)) {
        let lines = text::wrap(&self.text, cells);
        let of = |(begin, end): &(usize, usize)| self.text.get(*begin..*end).unwrap_or_default();
        let row = lines.iter().rposition(|(begin, _)| *begin <= self.cursor).unwrap_or(0);
        let begin = lines.get(row).map_or(0, |line| line.0);
        let column = text::width(self.text.get(begin..self.cursor).unwrap_or_default());
        (lines.iter().map(of).collect(), (row, column.min(cells.saturating_sub(1))))
    }

    /// A row up or down as shown; whether there was one.
    pub(crate) fn move_row(&mut self, cells: usize, down: bool) -> bool {
        let (lines, (row, column)) = self.lines(cells);
        let to = if down { row + 1 } else { row.wrapping_sub(1) };
        let Some(line) = lines.get(to) else { return false };
        let mut used = 0;
        let begin = text::wrap(&self.text, cells).get(to).map_or(0, |line| line.0);
        let mut at = begin;
        for grapheme in line.graphemes(true) {
            used += text::width(grapheme);
            if used > column {
                break;
            }
            at += grapheme.len();
        }
        self.cursor = at;
        true
    }
}

/// A key of editing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    Left,
    Right,
    WordLeft,
    WordRight,
    Begin,
    End,
    Backspace,
    Delete,
    CutWord,
    CutToBegin,
    CutToEnd,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editing_goes_by_what_people_see_as_characters() {
        let mut field = Field::with("a👩‍👩‍👧한");
        field.edit(Edit::Left);
        field.edit(Edit::Backspace);
        assert_eq!(field.text(), "a한");
        field.insert("é");
        field.edit(Edit::Delete);
        assert_eq!(field.text(), "aé");
        field.edit(Edit::Right);
        field.edit(Edit::CutToBegin);
        assert!(field.is_empty());
        field.edit(Edit::Backspace);
        field.edit(Edit::Left);
        assert_eq!(field, Field::default());
    }

    #[test]
    fn words_are_cut_and_stepped_over() {
        let mut field = Field::with("one two, three");
        field.edit(Edit::CutWord);
        assert_eq!(field.text(), "one two, ");
        field.edit(Edit::WordLeft);
        field.edit(Edit::CutToEnd);
        assert_eq!(field.text(), "one ");
        field.edit(Edit::Begin);
        field.edit(Edit::WordRight);
        field.insert("!");
        assert_eq!(field.take(), "one! ");
    }

    #[test]
    fn the_cursor_is_found_in_wrapped_lines() {
        let mut field = Field::with("안녕하세요 hello\nx");
        let (lines, at) = field.lines(10);
        assert_eq!((lines, at), (vec!["안녕하세요 ", "hello", "x"], (2, 1)));
        assert!(field.move_row(10, false));
        assert_eq!(field.lines(10).1, (1, 1));
        assert!(field.move_row(10, false));
        assert_eq!(field.lines(10).1, (0, 0));
        assert!(!field.move_row(10, false));
    }
}
