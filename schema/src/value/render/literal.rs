//! Strs, bytes and floats as Python writes them.

use std::fmt::Write;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Whether `repr` writes a character as it is. Which characters are assigned depends on the version
/// of Unicode; this one is that of CPython 3.14.
pub(super) fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if c.is_ascii() => false,
        c => !matches!(
            c.general_category_group(),
            GeneralCategoryGroup::Other | GeneralCategoryGroup::Separator
        ),
    }
}

/// Returns the first code point of a text, and its number of bytes. Lone surrogates are encoded
/// like other code points, which UTF-8 forbids. A byte that begins no code point is U+FFFD.
pub(super) fn next_point(text: &[u8]) -> Option<(u32, usize)> {
    let bytes = match *text {
        [] => return None,
        [byte @ ..0x80, ..] => return Some((u32::from(byte), 1)),
        [0xed, high @ 0xa0..=0xbf, low @ 0x80..=0xbf, ..] => {
            return Some((0xd000 | u32::from(high & 0x3f) << 6 | u32::from(low & 0x3f), 3));
        }
        [0xc2..=0xdf, ..] => 2,
        [0xe0..=0xef, ..] => 3,
        [0xf0..=0xf4, ..] => 4,
        _ => 0,
    };
    let valid = text.get(..bytes).and_then(|bytes| std::str::from_utf8(bytes).ok());
    match valid.and_then(|valid| valid.chars().next()) {
        Some(c) => Some((u32::from(c), bytes)),
        None => Some((0xfffd, 1)),
    }
}

/// The quote that Python puts around a text: a double one only if that avoids escapes.
pub(super) fn quote(text: &[u8]) -> char {
    if text.contains(&b'\'') && !text.contains(&b'"') { '"' } else { '\'' }
}

/// Appends a code point of a str in these quotes.
pub(super) fn push_point(out: &mut String, point: u32, quote: char) {
    let written = match char::from_u32(point) {
        Some('\n') => out.write_str("\\n"),
        Some('\t') => out.write_str("\\t"),
        Some('\r') => out.write_str("\\r"),
        Some(c) if c == quote || c == '\\' => write!(out, "\\{c}"),
        Some(c) if is_printable(c) => out.write_char(c),
        _ if point < 0x100 => write!(out, "\\x{point:02x}"),
        _ if point < 0x10000 => write!(out, "\\u{point:04x}"),
        _ => write!(out, "\\U{point:08x}"),
    };
    debug_assert!(written.is_ok(), "a String takes all");
}

/// Appends a byte of a bytes in these quotes.
pub(super) fn push_byte(out: &mut String, byte: u8, quote: char) {
    // Bytes that are not ASCII are always escaped.
    let point = u32::from(byte);
    if byte.is_ascii() {
        push_point(out, point, quote);
    } else {
        out.push_str(&format!("\\x{point:02x}"));
    }
}

/// The text of a float. In a complex (`is_alone` is false), whole numbers have no `.0`.
fn number(value: f64, is_alone: bool) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    // Rust and Python both write the fewest digits that distinguish the float from its neighbours.
    // If two such texts are equally near, Rust may write either of them, but Python writes the even
    // one. Rust does so, too, if the number of digits is given.
    let shortest = format!("{value:e}");
    let decimals = shortest.split_once('e').map_or(0, |(digits, _)| digits.len().saturating_sub(2));
    let decimals = decimals.saturating_sub(usize::from(shortest.starts_with('-')));
    let nearest = format!("{value:.decimals$e}");
    let is_same = nearest.parse() == Ok(value);
    let scientific = if is_same { nearest } else { shortest };
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..16).contains(&exponent) {
        return format!("{digits}e{exponent:+03}");
    }
    let sign = if digits.starts_with('-') { "-" } else { "" };
    let mut digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    // At least one digit has to be before the point.
    let zeros = usize::try_from(-exponent).unwrap_or(0);
    digits.insert_str(0, &"0".repeat(zeros));
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    digits.extend(std::iter::repeat_n('0', whole.saturating_sub(digits.len())));
    let (whole, fraction) = digits.split_at(whole);
    match (fraction, is_alone) {
        ("", true) => format!("{sign}{whole}.0"),
        ("", false) => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    }
}

/// The `repr` of a float.
pub(super) fn float(value: f64) -> String {
    number(value, true)
}

/// The `repr` of a complex.
pub(super) fn complex(real: f64, imaginary: f64) -> String {
    let second = number(imaginary, false);
    if real == 0.0 && real.is_sign_positive() {
        return format!("{second}j");
    }
    let plus = if second.starts_with('-') { "" } else { "+" };
    format!("({}{plus}{second}j)", number(real, false))
}
