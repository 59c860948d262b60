//! The last rows: the status or command line, and the keys.

use super::{Theme, put};
use crate::replay::screen::keys::KEYS;
use crate::replay::screen::model::Model;
use crate::replay::screen::text::{cut, width, window};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::widgets::{Clear, Widget as _};

/// The largest number of rows of candidates.
const CANDIDATES: usize = 6;

/// Draws the status or the command line. Returns the position of the cursor.
pub(super) fn draw(
    buffer: &mut Buffer,
    area: Rect,
    model: &Model,
    theme: &Theme,
) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    let Rect { x, y, width: max, .. } = area;
    let Some(input) = &model.input else {
        let style = if model.status.is_error { theme.error() } else { Style::default() };
        put(buffer, x, y, max, &cut(&model.status.text, max.into()), style);
        return None;
    };
    candidates(buffer, area, &input.candidates, theme);
    put(buffer, x, y, max, ":", theme.key());
    let room = usize::from(max).saturating_sub(1);
    let before = width(input.before(), usize::MAX);
    // The cursor stays visible.
    let from = (before + 1).saturating_sub(room);
    put(
        buffer,
        x + 1,
        y,
        max.saturating_sub(1),
        &window(input.text(), from, room),
        Style::default(),
    );
    let at = u16::try_from(before.saturating_sub(from)).unwrap_or(0).min(max.saturating_sub(2));
    Some(Position::new(x + 1 + at, y))
}

/// Draws that a command is working.
pub(super) fn working(buffer: &mut Buffer, area: Rect, how_far: &str, theme: &Theme) {
    let text = cut(&format!("{how_far}; ^C ends it"), area.width.into());
    Clear.render(area, buffer);
    put(buffer, area.x, area.y, area.width, &text, theme.changed());
}

/// Draws the candidates for completion over the rows above the command line.
fn candidates(buffer: &mut Buffer, area: Rect, all: &[String], theme: &Theme) {
    let most = usize::from(area.y.min(u16::try_from(CANDIDATES).unwrap_or(0)));
    if all.is_empty() || most == 0 {
        return;
    }
    let wide = usize::from(area.width);
    let longest = all.iter().map(|one| width(one.trim_end(), wide)).max().unwrap_or(1) + 2;
    let across = (wide / longest).max(1);
    let needed = all.len().div_ceil(across);
    let shown = needed.min(most);
    let over = Rect { y: area.y - shown as u16, height: shown as u16, ..area };
    Clear.render(over, buffer);
    for (line, some) in all.chunks(across).take(shown).enumerate() {
        for (column, one) in some.iter().enumerate() {
            let x = over.x + (column * longest).min(wide) as u16;
            let room = over.right().saturating_sub(x);
            let text = cut(one.trim_end(), room.into());
            put(buffer, x, over.y + line as u16, room, &text, theme.key());
        }
    }
    if needed > shown {
        let text = format!(" and {} more", all.len() - shown * across);
        let taken = width(&text, wide) as u16;
        put(buffer, over.right() - taken, over.bottom() - 1, taken, &text, theme.faint());
    }
}

/// Draws the most important keys.
pub(super) fn keys(buffer: &mut Buffer, area: Rect, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let mut x = area.x;
    for (keys, name, _) in KEYS {
        let taken = keys.len() + name.len() + 1;
        if taken > usize::from(area.right() - x) {
            break;
        }
        x = put(buffer, x, area.y, area.right() - x, keys, theme.key());
        x = put(buffer, x, area.y, area.right() - x, &format!(" {name}  "), theme.faint());
    }
}
