//! Draws the calls in a part of the run: one row per depth, one column per sample.

use super::{Theme, put, rows};
use crate::replay::screen::model::Model;
use crate::replay::screen::strip::OnStack;
use crate::replay::screen::text::cut;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let now: Vec<OnStack> =
        model.frames.iter().rev().map(|frame| (frame.call_id, frame.code_id)).collect();
    let at = model.strip.column(model.seq);
    let first = first_depth(model, &now, at, area);
    for (y, depth) in rows(area).zip(first..) {
        let here = |column: usize| call(model, &now, at, column, depth);
        let mut column = 0;
        while column < usize::from(area.width) {
            let what = here(column);
            let end = (column + 1..usize::from(area.width)).find(|next| here(*next) != what);
            let end = end.unwrap_or(area.width.into());
            let (x, wide) = (area.x + column as u16, (end - column) as u16);
            match what {
                What::Call((call, code_id)) => {
                    // The name of the current code object may not be among the samples.
                    let own = model.frames.iter().find(|frame| frame.call_id == call);
                    let name = own.map_or_else(|| model.strip.name(code_id), |own| &own.qualname);
                    span(buffer, Rect { x, y, width: wide, height: 1 }, name, code_id, theme);
                }
                What::Unreadable => {
                    put(buffer, x, y, wide, &"?".repeat(wide.into()), theme.error());
                }
                What::Unknown if depth == first => {
                    put(buffer, x, y, wide, &"·".repeat(wide.into()), theme.faint());
                }
                What::Nothing | What::Unknown => {}
            }
            column = end;
        }
    }
    if let Some(at) = at.and_then(|at| u16::try_from(at).ok()).filter(|at| *at < area.width) {
        let style = Style::new().add_modifier(Modifier::REVERSED);
        buffer.set_style(Rect { x: area.x + at, width: 1, ..area }, style);
    }
}

/// The depth of the first row. Calls that all columns share are left out, except the innermost of
/// them.
fn first_depth(model: &Model, now: &[OnStack], at: Option<usize>, area: Rect) -> usize {
    let own = at.map(|_| now).filter(|now| !now.is_empty());
    let others = (0..usize::from(area.width)).filter_map(|at| model.strip.sample(at)).flatten();
    let mut stacks = own.into_iter().chain(others);
    let Some(one) = stacks.next() else { return 0 };
    let (mut common, mut deepest) = (one.len(), one.len());
    for stack in stacks {
        let same = one.iter().zip(stack).take(common).take_while(|(a, b)| a == b);
        (common, deepest) = (same.count(), deepest.max(stack.len()));
    }
    common.saturating_sub(1).min(deepest.saturating_sub(area.height.into()))
}

/// The contents of a column at a depth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Call(OnStack),
    Nothing,
    Unknown,
    Unreadable,
}

fn call(model: &Model, now: &[OnStack], at: Option<usize>, column: usize, depth: usize) -> What {
    let sample = match at == Some(column) && !now.is_empty() {
        true => Some(Some(now)),
        false => model.strip.sample(column),
    };
    match sample {
        Some(Some(stack)) => stack.get(depth).map_or(What::Nothing, |call| What::Call(*call)),
        Some(None) => What::Unreadable,
        None if model.strip.seq(column) > model.run.last => What::Nothing,
        None => What::Unknown,
    }
}

/// Draws one call over its whole width.
fn span(buffer: &mut Buffer, area: Rect, name: &str, code_id: i64, theme: &Theme) {
    let style = theme.call(code_id);
    let fill = if theme.has_colours() { " " } else { "─" };
    put(buffer, area.x, area.y, area.width, "▏", style);
    let rest = area.width.saturating_sub(1);
    put(buffer, area.x + 1, area.y, rest, &fill.repeat(rest.into()), style);
    if rest >= 3 {
        put(buffer, area.x + 1, area.y, rest, &cut(name, rest.into()), style);
    }
}
