//! All events of the process in one row, with the current position and the part that the strip shows.

use super::{Theme, put};
use crate::replay::screen::model::{Focus, Model};
use crate::replay::screen::text::{cut, duration, grouped, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let label = label(model, area.width);
    let taken = width(&label, area.width.into()) as u16;
    let wide = area.width - taken;
    let end = u64::from(wide.saturating_sub(1));
    let (first, last) = (model.run.first, model.run.last);
    let column = |seq: i64| {
        let of = (last.saturating_sub(first)).max(1) as u64;
        let past = seq.saturating_sub(first).clamp(0, of as i64) as u64;
        // The arithmetic is wide enough for any position.
        u16::try_from(u128::from(past) * u128::from(end) / u128::from(of)).unwrap_or(0)
    };
    let strip = &model.strip;
    let shown = column(strip.start)..=column(strip.seq(strip.columns));
    for x in 0..wide {
        let (glyph, style) = match x {
            x if x == column(model.seq) => ("●", theme.breakpoint()),
            x if shown.contains(&x) => ("━", Style::default()),
            _ => ("─", theme.faint()),
        };
        put(buffer, area.x + x, area.y, 1, glyph, style);
    }
    let style = theme.title(super::has_focus(model, Focus::Strip));
    put(buffer, area.x + wide, area.y, taken, &cut(&label, taken.into()), style);
}

fn label(model: &Model, room: u16) -> String {
    let process = model.run.process_id.map_or(String::new(), |id| format!(" process {id} ·"));
    let percent = format!("{process} {:.1}%", 100.0 * model.fraction);
    let ended = model.run.ended.as_ref().map_or(String::new(), |how| format!(" · {how}"));
    let time = model.here.as_ref().map_or(String::new(), |here| {
        format!(" · {} of {}", duration(here.time_ns), duration(model.run.last_ns))
    });
    let events = format!(" of {} events", grouped(model.run.last - model.run.first + 1));
    match room {
        0..60 => percent,
        60..100 => format!("{percent}{time}"),
        _ => format!("{percent}{events}{time}{ended}"),
    }
}
