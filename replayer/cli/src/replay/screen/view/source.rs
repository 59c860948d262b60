//! The current position, and the source around it.

use super::{Theme, has_focus, put, rows, scrolled, title};
use crate::replay::screen::model::{Focus, Model};
use crate::replay::screen::text::{grouped, window};
use dashcam_replayer::debugger::text::{carried, place};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &mut Model, theme: &Theme) {
    let event = format!("event {}", grouped(model.seq));
    title(buffer, area, (&position(model), &event), has_focus(model, Focus::Source), theme);
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if area.height == 0 || body.is_empty() {
        return;
    }
    let source = &mut model.source;
    let Some(text) = source.text.clone() else {
        let why = if source.path.is_empty() { "" } else { "the source was not kept" };
        put(buffer, body.x, body.y, body.width, why, theme.faint());
        return;
    };
    let height = usize::from(body.height);
    let cursor = (source.cursor as usize).saturating_sub(1);
    // A cursor that comes from far away is shown in the middle.
    let top = (source.top as usize).saturating_sub(1);
    let is_far = cursor + height < top || cursor > top + 2 * height || source.top == 0;
    let top = if is_far { cursor.saturating_sub(height / 2) } else { top };
    let top = scrolled(top, cursor, height, text.len());
    source.top = u32::try_from(top + 1).unwrap_or(u32::MAX);
    let digits = text.len().max(1).ilog10() as usize + 1;
    for (y, number) in rows(body).zip(source.top..=source.len()) {
        let is_current = source.current == Some(number);
        let has_breakpoint = source.breakpoints.iter().any(|(line, _)| *line == number);
        let did_run = source.ran.as_ref().is_none_or(|ran| ran.contains(&number));
        let mark = if is_current { "->" } else { "  " };
        let point = if has_breakpoint { "●" } else { " " };
        let x = put(buffer, body.x, y, body.width, point, theme.breakpoint());
        let style = if did_run { Style::default() } else { theme.faint() };
        let left = body.right() - x;
        let x = put(buffer, x, y, left, &format!("{number:>digits$} {mark} "), style);
        let left = body.right().saturating_sub(x);
        let line = text.line(number as usize).unwrap_or_default();
        put(buffer, x, y, left, &window(line, source.left, left.into()), Style::default());
        let row = Rect { x: body.x + 1, y, width: body.width - 1, height: 1 };
        if is_current {
            buffer.set_style(row, theme.current());
        } else if number == source.cursor {
            buffer.set_style(row, theme.selected(model.focus == Focus::Source));
        }
    }
}

/// The current position as one line.
fn position(model: &Model) -> String {
    let Some(here) = &model.here else { return "this event cannot be read".to_owned() };
    match model.frame().filter(|frame| frame.depth > 0) {
        Some(frame) => {
            format!("{} {} (#{})", place(&frame.path, frame.line), frame.qualname, frame.depth)
        }
        None => {
            let carried = carried(here).map_or(String::new(), |what| format!(" {what}"));
            format!("{} {}{carried}", place(&here.path, here.line), here.qualname)
        }
    }
}
