//! The variables of the selected frame. Changes are marked.

use super::{Theme, has_focus, put, row, rows, scrolled, title};
use crate::replay::screen::model::{Focus, Model};
use crate::replay::screen::text::wrap;
use crate::replay::screen::variables::{Mark, Row, Variables};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &mut Model, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let is_focused = has_focus(model, Focus::Variables);
    let frame = model.frame().map_or("", |frame| &frame.qualname);
    title(buffer, area, ("variables", frame), is_focused, theme);
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let variables = &mut model.variables;
    if let Some(note) = &variables.note {
        let lines = wrap(note, body.width.into(), body.height.into());
        for (y, line) in rows(body).zip(lines) {
            put(buffer, body.x, y, body.width, &line, theme.faint());
        }
        return;
    }
    let (height, count) = (usize::from(body.height), variables.rows.len());
    variables.top = match is_focused {
        true => scrolled(variables.top, variables.selected, height, count),
        false => with_a_change(variables, height).min(count.saturating_sub(height)),
    };
    let shown = variables.rows.iter().enumerate().skip(variables.top);
    for (y, (at, variable)) in rows(body).zip(shown) {
        let (mark, style) = match variable.mark {
            Mark::Same => (' ', Style::default()),
            Mark::New => ('+', theme.changed()),
            Mark::Changed(_) => ('*', theme.changed()),
        };
        let style = match at == variables.selected && is_focused {
            true => style.patch(theme.selected(true)),
            false => style,
        };
        row(buffer, body, y, &line(mark, variable, body.width.into()), style);
    }
}

/// The first row to show, so that at least one changed variable is visible.
fn with_a_change(variables: &Variables, height: usize) -> usize {
    let is_changed = |row: &Row| row.mark != Mark::Same;
    let (top, count) = (variables.top.min(variables.rows.len()), variables.rows.len());
    match variables.rows.iter().position(is_changed) {
        Some(first) if !variables.rows[top..].iter().take(height).any(is_changed) => {
            scrolled(top, first, height, count)
        }
        _ => top,
    }
}

/// The row of a variable, with only as much of its value as can be visible.
fn line(mark: char, variable: &Row, max: usize) -> String {
    let some = |text: &str| text.chars().take(max + 1).collect::<String>();
    format!("{mark} {} = {}", some(&variable.name), some(&variable.value))
}

/// Everything about a variable.
pub(crate) fn all_of(row: &Row) -> String {
    let object = row.object_id.map_or(String::new(), |id| format!(", object {id}"));
    let before = match &row.mark {
        Mark::Same => String::new(),
        Mark::New => "\n\nit was not bound when this call was last shown".to_owned(),
        Mark::Changed(Some(value)) => format!("\n\nbefore:\n{value}"),
        Mark::Changed(None) => "\n\nit had another value before".to_owned(),
    };
    format!("{} ({}{object})\n\n{}{before}", row.name, row.scope, row.value)
}
