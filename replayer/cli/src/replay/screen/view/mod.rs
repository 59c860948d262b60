//! Draws the screen: a file per part, and the layout of the parts that fit.

mod bar;
mod command;
mod popup;
mod source;
mod stack;
mod strip;
mod theme;
mod variables;

pub(super) use popup::help;
pub(super) use theme::Theme;
pub(super) use variables::all_of;

use super::model::{Focus, Model};
use super::text::{cut, width};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// The smallest size for more parts than the source.
const LEAST: (u16, u16) = (40, 10);
/// From this width on, the stack and the variables are beside the source.
const WIDE: u16 = 76;

/// The areas of the parts. Parts that do not fit are empty.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Areas {
    source: Rect,
    variables: Rect,
    stack: Rect,
    /// The line between the source and the parts beside it.
    between: Rect,
    strip: Rect,
    bar: Rect,
    status: Rect,
    keys: Rect,
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, theme: &Theme) {
    let area = frame.area();
    let areas = areas(area, model);
    model.strip.lay(area.width.into(), model.run.first, model.run.last, model.seq);
    let buffer = frame.buffer_mut();
    source::draw(buffer, areas.source, model, theme);
    variables::draw(buffer, areas.variables, model, theme);
    stack::draw(buffer, areas.stack, model, theme);
    for y in rows(areas.between) {
        put(buffer, areas.between.x, y, 1, "│", theme.faint());
    }
    strip::draw(buffer, areas.strip, model, theme);
    bar::draw(buffer, areas.bar, model, theme);
    command::keys(buffer, areas.keys, theme);
    popup::draw(buffer, above(area, areas.status), model, theme);
    if let Some(cursor) = command::draw(buffer, areas.status, model, theme) {
        frame.set_cursor_position(cursor);
    }
}

/// Draws that a command is working, over the last drawn screen.
pub(super) fn working(frame: &mut Frame<'_>, drawn: &Buffer, how_far: &str, theme: &Theme) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    for position in area.intersection(drawn.area).positions() {
        if let (Some(cell), Some(before)) = (buffer.cell_mut(position), drawn.cell(position)) {
            cell.clone_from(before);
        }
    }
    let last = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
    command::working(buffer, last, how_far, theme);
}

/// The rows above another area.
fn above(area: Rect, below: Rect) -> Rect {
    Rect { height: below.y.saturating_sub(area.y), ..area }
}

fn areas(area: Rect, model: &Model) -> Areas {
    let mut areas = Areas::default();
    let mut left = area;
    let mut from_bottom = |height: u16| {
        let height = height.min(left.height);
        left.height -= height;
        Rect { y: left.y + left.height, height, ..left }
    };
    // One row always remains for the position.
    areas.status = if area.height > 1 { from_bottom(1) } else { Rect::default() };
    if area.width < LEAST.0 || area.height < LEAST.1 {
        areas.source = left;
        return areas;
    }
    areas.keys = from_bottom(u16::from(area.height >= 16));
    areas.bar = from_bottom(u16::from(area.height >= 12));
    areas.strip = from_bottom((area.height.saturating_sub(12) / 4).min(8));
    let stack = u16::try_from(model.frames.len()).unwrap_or(u16::MAX).saturating_add(1);
    let variables = match &model.variables.note {
        Some(_) => 2,
        None => u16::try_from(model.variables.rows.len()).unwrap_or(u16::MAX).saturating_add(1),
    };
    if area.width >= WIDE {
        let beside = (area.width * 2 / 5).clamp(30, 90);
        areas.source = Rect { width: left.width - beside - 1, ..left };
        areas.between = Rect { x: areas.source.right(), width: 1, ..left };
        let right = Rect { x: areas.between.right(), width: beside, ..left };
        // The stack gets the space that the variables leave, but at least two fifths.
        let least = stack.min(right.height * 2 / 5).max(2);
        let below = stack.clamp(least, (right.height.saturating_sub(variables)).max(least));
        areas.variables = Rect { height: right.height - below, ..right };
        areas.stack = Rect { y: areas.variables.bottom(), height: below, ..right };
        return areas;
    }
    let of = |part: u16, wanted: u16| (left.height / part).max(3).min(wanted.max(2));
    let stack = if left.height >= 13 { of(5, stack) } else { 0 };
    let variables = of(3, variables);
    areas.source = Rect { height: left.height - stack - variables, ..left };
    areas.variables = Rect { y: areas.source.bottom(), height: variables, ..left };
    areas.stack = Rect { y: areas.variables.bottom(), height: stack, ..left };
    areas
}

fn rows(area: Rect) -> std::ops::Range<u16> {
    area.y..area.bottom()
}

/// Writes text without control characters, as much as fits.
fn put(buffer: &mut Buffer, x: u16, y: u16, max: u16, text: &str, style: Style) -> u16 {
    buffer.set_stringn(x, y, text, max.into(), style).0
}

/// Writes a row of a recording's text, and applies the style to the whole row.
fn row(buffer: &mut Buffer, area: Rect, y: u16, text: &str, style: Style) {
    let max = area.width.into();
    put(buffer, area.x, y, area.width, &cut(text, max), Style::default());
    buffer.set_style(Rect { y, height: 1, ..area }, style);
}

/// Writes the title of a part into its first row. `right` is left out if it does not fit.
fn title(
    buffer: &mut Buffer,
    area: Rect,
    (left, right): (&str, &str),
    is_focused: bool,
    theme: &Theme,
) {
    if area.is_empty() {
        return;
    }
    let style = theme.title(is_focused);
    let fill = "─".repeat(area.width.into());
    put(buffer, area.x, area.y, area.width, &fill, style);
    let room = usize::from(area.width);
    let end = put(buffer, area.x, area.y, area.width, &cut(left, room), style);
    let end = put(buffer, end, area.y, area.right() - end, " ", style);
    let wide = width(right, room) + 2;
    if !right.is_empty() && usize::from(area.right() - end) > wide {
        let x = area.right() - wide as u16;
        put(buffer, x, area.y, wide as u16, &format!(" {} ", cut(right, room)), style);
    }
}

/// The first row to show, so that row `at` is visible.
fn scrolled(top: usize, at: usize, height: usize, of: usize) -> usize {
    let margin = (height / 4).min(3);
    let low = at.saturating_add(margin + 1).saturating_sub(height);
    let high = at.saturating_sub(margin);
    top.clamp(low.min(high), high).min(of.saturating_sub(height))
}

/// Whether a part has the focus.
fn has_focus(model: &Model, focus: Focus) -> bool {
    model.focus == focus && model.input.is_none() && model.popup.is_none()
}

#[cfg(test)]
mod tests;
