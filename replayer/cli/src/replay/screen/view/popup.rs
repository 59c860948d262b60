//! Text over everything else: help, and output of commands.

use super::{Theme, put, rows, title};
use crate::replay::screen::keys::KEYS;
use crate::replay::screen::model::Model;
use dashcam_replayer::debugger::{Reply, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Clear, Widget as _};

pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &mut Model, theme: &Theme) {
    let Some(popup) = &mut model.popup else { return };
    if area.height < 2 || area.width < 2 {
        return;
    }
    let width = area.width;
    let most = usize::from(area.height) - 1;
    let lines = popup.lines(width.into());
    let (count, height) = (lines.len(), lines.len().min(most));
    let top = popup.top.min(count - height);
    popup.top = top;
    let over = Rect { y: area.bottom() - height as u16 - 1, height: height as u16 + 1, ..area };
    Clear.render(over, buffer);
    let seen = match count > height {
        true => format!("lines {}-{} of {count} · Esc", top + 1, top + height),
        false => "Esc".to_owned(),
    };
    title(buffer, over, (&popup.title, &seen), true, theme);
    let body = Rect { y: over.y + 1, height: over.height - 1, ..over };
    for (y, line) in rows(body).zip(popup.lines(width.into()).iter().skip(top)) {
        put(buffer, body.x, y, body.width, line, Style::default());
    }
}

/// The text about keys and commands.
pub(crate) fn help() -> String {
    let keys: String = KEYS.iter().map(|(keys, _, does)| format!("{keys:<8} {does}\n")).collect();
    format!("{keys}\nCommands:\n{}", text::text(&Reply::Help))
}
