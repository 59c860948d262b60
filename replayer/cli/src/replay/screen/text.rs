//! Text of a recording as cells of a terminal: it cannot control the terminal, and every character
//! has the width that it has there.

use std::char::EscapeDefault;
use std::str::Chars;
use unicode_width::UnicodeWidthChar as _;

/// The distance of tab stops in cells.
const TAB: usize = 4;

/// Marks where text was cut off.
const CUT: char = '…';

/// Whether a character is invisible, but moves, reverses or hides others.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The characters that are shown, each with its width in cells.
struct Cells<'a> {
    chars: Chars<'a>,
    column: usize,
    /// Spaces of a tab that are still to be returned.
    spaces: usize,
    /// The rest of the escape for a character that is not shown.
    escape: Option<EscapeDefault>,
}

fn cells(text: &str) -> Cells<'_> {
    Cells { chars: text.chars(), column: 0, spaces: 0, escape: None }
}

impl Iterator for Cells<'_> {
    type Item = (char, usize);

    fn next(&mut self) -> Option<(char, usize)> {
        let (c, width) = loop {
            if self.spaces > 0 {
                self.spaces -= 1;
                break (' ', 1);
            }
            if let Some(c) = self.escape.as_mut().and_then(Iterator::next) {
                break (c, 1);
            }
            match self.chars.next()? {
                '\t' => self.spaces = TAB - self.column % TAB,
                c if is_hidden(c) => self.escape = Some(c.escape_default()),
                c => break (c, c.width().unwrap_or(0)),
            }
        };
        self.column += width;
        Some((c, width))
    }
}

/// The number of cells that a text takes, counted up to a limit.
pub(super) fn width(text: &str, max: usize) -> usize {
    let mut sum = 0;
    for (_, width) in cells(text) {
        sum += width;
        if sum >= max {
            return max;
        }
    }
    sum
}

/// The part of a text that fits into `max` cells. Cut-off text is marked.
pub(super) fn cut(text: &str, max: usize) -> String {
    window(text, 0, max)
}

/// The cells of a text from `from` on, as many as fit. Text that is cut off at the end is marked.
pub(super) fn window(text: &str, from: usize, max: usize) -> String {
    let mut shown = String::new();
    // The length of the text that fits together with the mark.
    let mut kept = 0;
    let (mut at, mut used) = (0, 0);
    for (c, width) in cells(text) {
        let start = at;
        at += width;
        if start < from {
            // The right half of a wide character.
            for _ in from..at {
                shown.push(' ');
                used += 1;
            }
            continue;
        }
        if used + width > max {
            shown.truncate(kept);
            if max > 0 {
                shown.push(CUT);
            }
            return shown;
        }
        shown.push(c);
        used += width;
        if used < max {
            kept = shown.len();
        }
    }
    shown
}

/// Wraps a text into at most `lines_max` lines of `max` cells. Words stay whole if possible.
pub(super) fn wrap(text: &str, max: usize, lines_max: usize) -> Vec<String> {
    let max = max.max(1);
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let (mut current, mut used) = (String::new(), 0);
        for (c, width) in cells(line.strip_suffix('\r').unwrap_or(line)) {
            if used + width > max && used > 0 {
                let space = current.rfind(' ').map_or(0, |at| at + 1);
                let word = current.split_off(if space > current.len() / 2 {
                    space
                } else {
                    current.len()
                });
                lines.push(std::mem::replace(&mut current, word));
                used = self::width(&current, max);
                if lines.len() >= lines_max {
                    return lines;
                }
            }
            current.push(c);
            used += width;
        }
        lines.push(current);
        if lines.len() >= lines_max {
            return lines;
        }
    }
    lines
}

/// Formats a number with thousands separators.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = if number < 0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats nanoseconds with a suitable unit.
pub(super) fn duration(ns: i64) -> String {
    let value = ns as f64;
    match ns.unsigned_abs() {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", value / 1e6),
        _ => format!("{:.2} s", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_raw() {
        assert_eq!(cut("a\x1b[31mb", 99), "a\\u{1b}[31mb");
        assert_eq!(cut("x\u{202e}y\u{9b}z\n", 99), "x\\u{202e}y\\u{9b}z\\n");
        assert_eq!(cut("a\tb\tc", 99), "a   b   c");
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        assert!(!cut(&all, usize::MAX).chars().any(is_hidden));
    }

    #[test]
    fn wide_characters_are_never_cut_in_half() {
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("日本語", 1), "…");
        assert_eq!(cut("日本語", 0), "");
        assert_eq!(window("日本語", 1, 9), " 本語");
        assert_eq!(window("abcdef", 2, 3), "cd…");
        assert_eq!(window("abc", 9, 3), "");
        assert_eq!(wrap("ab日c\nd", 3, 9), ["ab", "日c", "d"]);
        assert_eq!(wrap("日日", 1, 9), ["日", "日"]);
        assert_eq!(wrap("abcdef", 2, 2), ["ab", "cd"]);
        assert_eq!(wrap("who goes there", 8, 9), ["who goes", " there"]);
        assert_eq!(wrap("whoever goes", 10, 9), ["whoever ", "goes"]);
        assert_eq!((width("日a", 99), width("日a", 2)), (3, 2));
    }

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!(
            ["0", "999", "1,000", "-12,345,678"],
            [0, 999, 1000, -12_345_678].map(grouped)[..]
        );
        assert_eq!(duration(1_500_000), "1.5 ms");
        assert_eq!(duration(2_000_000_000), "2.00 s");
    }
}
