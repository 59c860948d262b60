//! Escapes text of a recorded program before it is shown to a person.

use std::borrow::Cow;

/// Escapes control characters: a recording must not control the terminal or reverse the text beside
/// it.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if is_command(c) { printable.extend(c.escape_default()) } else { printable.push(c) }
    }
    printable
}

/// Whether a terminal obeys a character instead of showing it: C0, C1, characters that set the
/// writing direction, and line separators.
pub(crate) fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Escapes characters that a terminal obeys as `\u` and four digits, which mean the same in JSON.
/// Newlines stay: they occur only between values.
pub(crate) fn json_printable(json: &str) -> Cow<'_, str> {
    let is_meant = |c: char| is_command(c) && c != '\n';
    if !json.chars().any(is_meant) {
        return json.into();
    }
    let escape = |c: char| match is_meant(c) {
        // All of these have at most four digits.
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    json.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_commands_the_terminal() {
        let text = "a\u{1b}[31m \u{9b}31m \u{202e}txt \u{2066}x\u{2069}é漢";
        let shown = "a\\u{1b}[31m \\u{9b}31m \\u{202e}txt \\u{2066}x\\u{2069}é漢";
        assert_eq!(super::printable(text), shown);
        let json = super::json_printable("{\n\"a\": \"\u{9b}x\"\n}");
        assert_eq!(json, "{\n\"a\": \"\\u009bx\"\n}");
    }
}
