//! The stack, with the outermost frame at the top, like a traceback.

use super::{Theme, has_focus, row, rows, scrolled, title};
use crate::replay::screen::model::{Focus, Model};
use dashcam_replayer::debugger::text::place;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let is_focused = has_focus(model, Focus::Stack);
    let thread = model.here.as_ref().map(|here| format!("thread {}", here.thread_id));
    title(buffer, area, ("stack", &thread.unwrap_or_default()), is_focused, theme);
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let height = usize::from(body.height);
    let selected = model.frames.len().saturating_sub(model.selected + 1);
    let top = model.frames.len().saturating_sub(height);
    let top = scrolled(top, selected, height, model.frames.len());
    for (y, frame) in rows(body).zip(model.frames.iter().rev().skip(top)) {
        let is_selected = frame.depth == model.selected;
        let mark = if is_selected { '>' } else { ' ' };
        let text = format!(
            "{mark} #{} {} {}",
            frame.depth,
            frame.qualname,
            place(&frame.path, frame.line)
        );
        let style = if is_selected { theme.selected(is_focused) } else { Style::default() };
        row(buffer, body, y, &text, style);
    }
}
