//! Which part of the screen is for what.

use ratatui::layout::Rect;

use crate::model::{Focus, Model};

/// With fewer columns than this, the list and a conversation are not shown side by side.
const BESIDE_MIN: u16 = 72;
/// The most rows of what is being written.
const WRITE_ROWS_MAX: u16 = 8;
/// The columns before what is being written.
pub(crate) const MARK: u16 = 2;

/// The parts of the screen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Areas {
    pub(crate) list: Option<Rect>,
    /// Between the list and the conversation.
    pub(crate) line: Option<Rect>,
    pub(crate) talk: Option<Talk>,
    pub(crate) status: Rect,
}

/// The parts of a conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Talk {
    pub(crate) title: Rect,
    pub(crate) page: Rect,
    /// Who types.
    pub(crate) typing: Rect,
    /// Above what is being written: what for.
    pub(crate) rule: Rect,
    pub(crate) write: Rect,
}

impl Areas {
    pub(crate) fn of(model: &Model) -> Self {
        let (columns, rows) = model.size;
        let main = Rect::new(0, 0, columns, rows.saturating_sub(1));
        let status = Rect::new(0, main.height, columns, rows - main.height);
        let is_wide = columns >= BESIDE_MIN;
        let on_list = model.open.is_none() || model.focus == Focus::List;
        let (list, right) = match (is_wide, on_list) {
            (true, _) => {
                let width = (columns / 3).clamp(24, 36);
                let list = Rect { width, ..main };
                (Some(list), Some(Rect { x: width + 1, width: columns - width - 1, ..main }))
            }
            (false, true) => (Some(main), None),
            (false, false) => (None, Some(main)),
        };
        let line = list.filter(|_| is_wide).map(|list| Rect { x: list.width, width: 1, ..main });
        Self { list, line, talk: right.map(|area| Talk::of(model, area)), status }
    }
}

impl Talk {
    fn of(model: &Model, area: Rect) -> Self {
        let cells = area.width.saturating_sub(MARK + 1).max(2);
        let lines = model.open.as_ref().map_or(1, |open| open.draft.field.lines(usize::from(cells)).0.len());
        let most = WRITE_ROWS_MAX.min(area.height / 3).max(1);
        let height = u16::try_from(lines).unwrap_or(u16::MAX).clamp(1, most);
        let row = |y: u16, height: u16| {
            let y = y.min(area.height);
            Rect { y: area.y + y, height: height.min(area.height - y), ..area }
        };
        let page = area.height.saturating_sub(height + 3);
        let write = row(page + 3, height);
        Self {
            title: row(0, 1),
            page: row(1, page),
            typing: row(page + 1, 1),
            rule: row(page + 2, 1),
            write: Rect { x: write.x + MARK.min(write.width), width: cells.min(write.width), ..write },
        }
    }
}
