use super::*;
use crate::replay::screen::input::{Input, Typed};
use crate::replay::screen::model::{Popup, Run, Status};
use crate::replay::screen::variables::locals;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use dashcam_replayer::debugger::reply::FrameReply;
use dashcam_replayer::store::SourceText;
use dashcam_replayer::timeline::{Here, Position};
use dashcam_schema::event::EventKind;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use std::rc::Rc;
use unicode_width::UnicodeWidthStr as _;

const PATH: &str = "/home/me/shop.py";

fn frame(depth: usize, qualname: &str, line: i64) -> FrameReply {
    FrameReply {
        depth,
        call_id: 100 - depth as u64,
        code_id: 10 - depth as i64,
        qualname: qualname.into(),
        path: PATH.into(),
        line: Some(line),
        source: None,
    }
}

/// A stop in a run of a thousand events.
fn model(source: &str) -> Model {
    let run = Run { first: 1, last: 1000, last_ns: 2_000_000, process_id: None, ended: None };
    let mut model = Model::new(run);
    (model.seq, model.fraction) = (500, 0.499);
    model.here = Some(Here {
        position: Position::new(500),
        kind: EventKind::LINE,
        process_id: 1,
        thread_id: 1,
        call_id: 100,
        task: None,
        code_id: 10,
        qualname: "Order.total".into(),
        path: PATH.into(),
        line: Some(3),
        time_ns: 1_000_000,
        depth: 2,
        value: None,
        exception: None,
        callable: None,
    });
    model.frames = vec![frame(0, "Order.total", 3), frame(1, "main", 9), frame(2, "<module>", 12)];
    model.source.path = PATH.into();
    model.source.text = Some(Rc::new(SourceText::new(source.into())));
    (model.source.current, model.source.cursor) = (Some(3), 3);
    model.source.breakpoints = vec![(4, 1)];
    model.variables.show(100, 499, locals(&[("self", "<Order>"), ("total", "3")]));
    model.variables.show(100, 500, locals(&[("self", "<Order>"), ("total", "7"), ("x", "1")]));
    model
}

const SOURCE: &str = "\
def total(self):
    total = 0
    for item in self.items:
        total += item.price
    return total
";

fn buffer(model: &mut Model, width: u16, height: u16, theme: &Theme) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, theme)).unwrap();
    terminal.backend().buffer().clone()
}

/// The rows of the screen, without spaces at their ends.
fn screen(model: &mut Model, width: u16, height: u16) -> Vec<String> {
    text(&buffer(model, width, height, &Theme::new(false)))
}

fn text(buffer: &Buffer) -> Vec<String> {
    let row = |y| {
        let (mut row, mut hidden) = (String::new(), 0);
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            assert!(!symbol.chars().any(char::is_control), "{symbol:?}");
            // A wide character is followed by a cell that is not visible.
            if hidden == 0 {
                row.push_str(symbol);
                hidden = symbol.width().max(1);
            }
            hidden -= 1;
        }
        assert!(row.width() <= buffer.area.width.into(), "{row:?} is too wide");
        row.trim_end().to_owned()
    };
    (0..buffer.area.height).map(row).collect()
}

fn fill(model: &mut Model, columns: usize) {
    model.strip.lay(columns, 1, 1000, 500);
    let names = [(8, "<module>"), (9, "main"), (10, "Order.total"), (7, "Order.add")];
    for column in 0..columns {
        let stack = match column {
            0..10 => vec![(98, 8)],
            10..30 => vec![(98, 8), (99, 9), (55, 7)],
            30..35 => vec![(98, 8), (99, 9)],
            _ => vec![(98, 8), (99, 9), (100, 10)],
        };
        model.strip.put(column, &stack, &names);
    }
}

#[test]
fn everything_is_shown_where_there_is_room() {
    let mut model = model(SOURCE);
    model.status = Status::info("breakpoint 1");
    fill(&mut model, 80);
    let shown = screen(&mut model, 80, 24).join("\n");
    let expected = "\
shop.py:3 Order.total ────────────── event 500 │variables ───────── Order.total
 1    def total(self):                         │  self = <Order>
 2        total = 0                            │* total = 7
 3 ->     for item in self.items:              │+ x = 1
●4            total += item.price              │
 5        return total                         │
                                               │
                                               │
                                               │
                                               │
                                               │
                                               │
                                               │
                                               │
                                               │stack ──────────────── thread 1
                                               │  #2 <module> shop.py:12
                                               │  #1 main shop.py:9
                                               │> #0 Order.total shop.py:3
▏<module>───────────────────────────────────────────────────────────────────────
          ▏main─────────────────────────────────────────────────────────────────
          ▏Order.add──────────     ▏Order.total─────────────────────────────────
━━━━━━━━━━━━━━━━━━━━━━━━━━●━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 49.9% · 1.0 ms of 2.0 ms
s step  n next  f finish  S N F back  c C continue  u d frames  b break
breakpoint 1";
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn less_important_parts_are_left_out_first() {
    let parts = |width, height| {
        let shown = screen(&mut model(SOURCE), width, height).join("\n");
        let parts = ["-> ", "variables ─", "stack ─", "━", "▏", "s step"];
        parts.map(|part| shown.contains(part))
    };
    assert_eq!(parts(120, 40), [true, true, true, true, true, true]);
    assert_eq!(parts(60, 20), [true, true, true, true, true, true]);
    assert_eq!(parts(40, 12), [true, true, false, true, false, false]);
    assert_eq!(parts(40, 10), [true, true, false, false, false, false]);
    assert_eq!(parts(39, 10), [true, false, false, false, false, false]);
    let smallest = ["shop.py:3 Order.total ──", " 3 ->     for item in s…", ""];
    assert_eq!(screen(&mut model(SOURCE), 24, 3), smallest);
}

#[test]
fn no_size_and_no_text_does_harm() {
    let hostile = "\x1b[2J\tx = '日本語'  # \u{202e}reversed\u{7}\n".repeat(50);
    let widths = [0, 1, 2, 3, 5, 8, 20, 39, 40, 41, 59, 75, 76, 77, 120, 300];
    let heights = [0, 1, 2, 3, 4, 9, 10, 11, 12, 15, 16, 20, 31, 70];
    for (width, height) in widths.into_iter().flat_map(|w| heights.map(|h| (w, h))) {
        let mut model = model(&hostile);
        model.frames[0].qualname = "\x1b]0;title\x07日本".into();
        model.status = Status::error("\x1b[31mred");
        let evil = [("\x1b[5m", "'日本語'"), ("y", "\u{9b}31m")];
        model.variables.show(100, 501, locals(&evil));
        fill(&mut model, width.into());
        screen(&mut model, width, height);
        model.input = Some(Input::new("print \x1b[日本語"));
        let input = model.input.as_mut().unwrap();
        input.candidates = vec!["\x1b[31m".into(), "日本語".into(), "x".repeat(100)];
        screen(&mut model, width, height);
        model.popup = Some(Popup::new("\x1b[31m", &hostile));
        model.popup.as_mut().unwrap().go(i64::MAX);
        screen(&mut model, width, height);
        model.here = None;
        model.frames.clear();
        model.source.text = None;
        screen(&mut model, width, height);
    }
}

#[test]
fn long_files_are_scrolled_at_once() {
    let lines: String = (1..=10_000).map(|n| format!("x{n} = {n}\n")).collect();
    let mut model = model(&lines);
    for cursor in [1, 9_999, 5_000, 5_001, 5_020, 4_000, 10_000] {
        model.source.cursor = cursor;
        let shown = screen(&mut model, 80, 24).join("\n");
        assert!(shown.contains(&format!("x{cursor} = {cursor}")), "{cursor} in\n{shown}");
    }
    model.source.go(i64::MAX);
    assert_eq!(model.source.cursor, 10_000);
    model.source.go(i64::MIN);
    assert_eq!(model.source.cursor, 1);
}

#[test]
fn without_colours_there_are_none() {
    let colours = |theme: &Theme| {
        let mut model = model(SOURCE);
        fill(&mut model, 80);
        model.status = Status::error("no");
        let buffer = buffer(&mut model, 80, 24, theme);
        buffer.content().iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(colours(&Theme::new(true)));
    assert!(!colours(&Theme::new(false)));
}

#[test]
fn the_command_line_stays_in_sight() {
    let mut model = model(SOURCE);
    let mut input = Input::new("print ");
    for _ in 0..30 {
        let key = KeyEvent::new(KeyCode::Char('日'), KeyModifiers::NONE);
        assert_eq!(input.key(key, &[]), Typed::Edited);
    }
    input.candidates = vec!["self ".into(), "total ".into()];
    model.input = Some(input);
    let mut terminal = Terminal::new(TestBackend::new(40, 12)).unwrap();
    terminal.draw(|frame| draw(frame, &mut model, &Theme::new(false))).unwrap();
    let cursor = terminal.backend().cursor_position();
    assert_eq!((cursor.x, cursor.y), (39, 11));
    let rows = text(terminal.backend().buffer());
    assert_eq!(rows[10], "self   total");
    assert!(rows[11].starts_with(':') && rows[11].ends_with('日'), "{}", rows[11]);
}

#[test]
fn a_long_command_is_shown_over_the_last_screen() {
    let mut model = model(SOURCE);
    let drawn = buffer(&mut model, 80, 24, &Theme::new(false));
    let mut terminal = Terminal::new(TestBackend::new(70, 20)).unwrap();
    let theme = Theme::new(false);
    terminal.draw(|frame| working(frame, &drawn, "12% of the recording read", &theme)).unwrap();
    let rows = text(terminal.backend().buffer());
    assert!(rows[0].starts_with("shop.py:3 Order.total"));
    assert_eq!(rows[19], "12% of the recording read; ^C ends it");
}

#[test]
fn a_change_is_scrolled_to_unless_one_selects() {
    let names: Vec<String> = (0..90).map(|number| format!("v{number}")).collect();
    let values = |changed: usize| {
        let value = |at| if at == changed { "'changed'" } else { "0" };
        let all: Vec<_> = names.iter().enumerate().map(|(at, name)| (&**name, value(at))).collect();
        locals(&all)
    };
    let mut model = model(SOURCE);
    model.variables.show(100, 501, values(90));
    assert!(!screen(&mut model, 100, 30).join("\n").contains("v70"));
    model.variables.show(100, 502, values(70));
    assert!(screen(&mut model, 100, 30).join("\n").contains("* v70 = 'changed'"));
    model.focus = Focus::Variables;
    assert!(!screen(&mut model, 100, 30).join("\n").contains("v70"), "v0 is selected");
}
