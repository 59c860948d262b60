//! The picture in the README shows the full screen as it is. `make picture` draws it anew.

use super::Terminal;
use dashcam_tests::{Python, Recording, program, tests_path};
use std::fmt::Write as _;

const COLS: u16 = 110;
const ROWS: u16 = 28;
/// Width and height of a character, in pixels.
const CELL: (f32, f32) = (8.4, 18.0);
const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d7dae0";
/// The sixteen colours of a terminal.
const PALETTE: [&str; 16] = [
    "#16181d", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf",
    "#5c6370", "#e06c75", "#98c379", "#e5c07b", "#7fc1ff", "#c678dd", "#56b6c2", "#ffffff",
];

#[test]
fn the_readme_shows_the_full_screen() {
    let script = program("demo/orders.py");
    let recording = Recording::new(&Python::any(), ["--no-stdlib".into(), script.into_os_string()]);
    let mut terminal = Terminal::replay(&recording, (COLS, ROWS), &[], &[]);
    terminal.sees(&["event 1"]);
    terminal.press(":break orders.py:47\r");
    terminal.sees(&["breakpoint 1: orders.py:47"]);
    terminal.press("c");
    terminal.sees(&["47 ->", "percent = 0", "coupon = 'WELCOME'", "stack", "variables"]);
    let screen = terminal.screen.screen();
    let path = tests_path("../docs/replay.svg");
    if std::env::var_os("DASHCAM_PICTURE").is_some() {
        std::fs::write(&path, svg(screen)).unwrap();
    }
    let drawn = text_of(&std::fs::read_to_string(&path).unwrap());
    // Numbers of events, times and colours of calls differ between interpreters.
    let lines = |text: &str| -> Vec<String> {
        let panes = text.lines().skip(1).filter(|line| line.contains('│'));
        panes.map(|line| line.trim_end().to_owned()).collect()
    };
    assert!(lines(&drawn).len() > 15, "{drawn}");
    let seen = screen.contents();
    assert_eq!(lines(&drawn), lines(&seen), "make picture draws docs/replay.svg anew\n{seen}");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

/// Returns foreground, background, and whether the text is bold.
fn style(cell: &vt100::Cell) -> (String, String, bool) {
    let colour = |colour: vt100::Color, default: &str| match colour {
        vt100::Color::Default => default.to_owned(),
        vt100::Color::Idx(index) => PALETTE[usize::from(index) % PALETTE.len()].to_owned(),
        vt100::Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    };
    let (fore, back) = (colour(cell.fgcolor(), FOREGROUND), colour(cell.bgcolor(), BACKGROUND));
    if cell.inverse() { (back, fore, cell.bold()) } else { (fore, back, cell.bold()) }
}

/// Returns a screen as a picture: a rectangle and a text for each stretch of one style.
fn svg(screen: &vt100::Screen) -> String {
    let (width, height) = (f32::from(COLS) * CELL.0, f32::from(ROWS) * CELL.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {:.0}\" font-family=\"ui-monospace, \
         'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n",
        width + 24.0,
        height + 24.0,
    );
    for row in 0..ROWS {
        let mut col = 0;
        while col < COLS {
            let Some(first) = screen.cell(row, col) else { break };
            let now = style(first);
            let begin = col;
            let mut text = String::new();
            while let Some(cell) = screen.cell(row, col).filter(|cell| style(cell) == now) {
                text.push_str(if cell.has_contents() { cell.contents() } else { " " });
                col += 1;
            }
            put(&mut svg, (row, begin, col), &now, &text);
        }
        svg.push('\n');
    }
    svg + "</svg>\n"
}

fn put(
    svg: &mut String,
    (row, begin, end): (u16, u16, u16),
    (fore, back, is_bold): &(String, String, bool),
    text: &str,
) {
    let (x, y) = (12.0 + f32::from(begin) * CELL.0, 12.0 + f32::from(row) * CELL.1);
    let width = f32::from(end - begin) * CELL.0;
    if back != BACKGROUND {
        let height = CELL.1;
        let _ = write!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{back}\"/>"
        );
    }
    let weight = if *is_bold { " font-weight=\"bold\"" } else { "" };
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // The text is stretched to the cells it fills, whatever font there is.
    let _ = write!(
        svg,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
         fill=\"{fore}\"{weight} xml:space=\"preserve\">{escaped}</text>",
        y + 13.5
    );
}

/// Returns the text of a picture, as the screen showed it.
fn text_of(svg: &str) -> String {
    let mut text = String::new();
    for line in svg.lines().skip(2) {
        for part in line.split("xml:space=\"preserve\">").skip(1) {
            text.push_str(part.split("</text>").next().unwrap_or_default());
        }
        text.push('\n');
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
