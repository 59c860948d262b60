//! Reads from the source text what the bytecode does not show of calls and functions: which
//! arguments have names, and the parameters.

use std::ops::Range;

/// An argument of a call, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    Positional,
    Named(Box<str>),
    /// `*more` or `**more`
    Starred,
}

/// A parameter of a function, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: Box<str>,
    pub(super) has_default: bool,
    pub(super) is_keyword_only: bool,
}

/// The arguments of a call. The text must be the whole call; `None` if it is not a call.
pub(super) fn arguments(text: &str) -> Option<Vec<Written>> {
    let masked = mask(text.trim_end().as_bytes());
    let open = opening(&masked, masked.len().checked_sub(1)?)?;
    let mut written = Vec::new();
    for part in parts(&masked, open + 1..masked.len() - 1) {
        let plain = trimmed(&masked, part);
        if plain.is_empty() {
            continue;
        }
        let text = &masked[plain.clone()];
        let length = word(text);
        let rest = text[length..].trim_ascii_start();
        written.push(match text {
            [b'*', ..] => Written::Starred,
            _ if length > 0 && rest.first() == Some(&b'=') && rest.get(1) != Some(&b'=') => {
                Written::Named(String::from_utf8_lossy(&text[..length]).into())
            }
            _ => Written::Positional,
        });
    }
    Some(written)
}

/// The parameters of a function that is defined in the text, except `*args` and `**kwargs`.
pub(super) fn parameters(text: &str, name: &str) -> Option<Vec<Parameter>> {
    let masked = mask(text.as_bytes());
    let mut from = 0;
    let open = loop {
        let at = from + find(&masked[from..], b"def ")?;
        from = at + 4;
        let starts = at == 0 || !is_word(masked[at - 1]);
        let rest = &masked[from..];
        let after = rest.iter().position(|byte| *byte != b' ')? + from;
        if starts && &masked[after..after + word(&masked[after..])] == name.as_bytes() {
            let mut next = after + name.len();
            if masked.get(next) == Some(&b'[') {
                next = closing(&masked, next)? + 1;
            }
            break (masked.get(next) == Some(&b'(')).then_some(next)?;
        }
    };
    let close = closing(&masked, open)?;
    let (mut parameters, mut is_keyword_only) = (Vec::new(), false);
    for part in parts(&masked, open + 1..close) {
        let text = &masked[trimmed(&masked, part)];
        match text {
            [] | [b'/'] | [b'*', b'*', ..] => continue,
            [b'*', ..] => {
                is_keyword_only = true;
                continue;
            }
            _ => {}
        }
        let has_default = (0..text.len()).any(|at| {
            let is_part = |at: Option<&u8>| at.is_some_and(|byte| b"=<>!:".contains(byte));
            text[at] == b'='
                && !is_part(text.get(at + 1))
                && !is_part(at.checked_sub(1).and_then(|at| text.get(at)))
        });
        let name = String::from_utf8_lossy(&text[..word(text)]).into();
        parameters.push(Parameter { name, has_default, is_keyword_only });
    }
    Some(parameters)
}

/// The keys of a dict display, as `repr()` writes them. The text must be the whole display. `None`
/// if not all keys are simple literals.
pub(super) fn keys(text: &str) -> Option<Vec<Box<str>>> {
    let text = text.trim();
    let masked = mask(text.as_bytes());
    if masked.first() != Some(&b'{') || closing(&masked, 0) != Some(masked.len() - 1) {
        return None;
    }
    let mut keys = Vec::new();
    for part in parts(&masked, 1..masked.len() - 1) {
        let part = trimmed(&masked, part);
        if part.is_empty() {
            continue;
        }
        let colon = masked[part.clone()].iter().position(|byte| *byte == b':')?;
        keys.push(literal(text.get(part.start..part.start + colon)?)?);
    }
    Some(keys)
}

/// The name at the end of an expression such as `order.total`.
pub(super) fn last_name(text: &str) -> Option<&str> {
    let text = text.trim_end();
    let bytes = text.as_bytes();
    let start = bytes.iter().rposition(|byte| !is_word(*byte)).map_or(0, |at| at + 1);
    text.get(start..)
        .filter(|name| !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()))
}

/// A literal as `repr()` writes it, if it is a simple one.
pub(super) fn literal(text: &str) -> Option<Box<str>> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !digits.starts_with('0'));
    if is_number || matches!(text, "None" | "True" | "False") {
        return Some(text.into());
    }
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let is_simple = !inner.contains(['\\', '\'', '"', '\n']) && inner.is_ascii();
    is_simple.then(|| format!("'{inner}'").into())
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 128
}

/// The length of the name at the beginning of a text.
fn word(text: &[u8]) -> usize {
    text.iter().position(|byte| !is_word(*byte)).unwrap_or(text.len())
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The text with strings and comments blanked out.
fn mask(text: &[u8]) -> Vec<u8> {
    let mut masked = text.to_vec();
    let mut at = 0;
    while at < text.len() {
        let end = match text[at] {
            b'#' => {
                text[at..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |n| at + n)
            }
            b'\'' | b'"' => string(text, at),
            _ => {
                at += 1;
                continue;
            }
        };
        let with = if text[at] == b'#' { b' ' } else { b'"' };
        masked[at..end].fill(with);
        at = end;
    }
    masked
}

/// The end of the string that begins with the quote at an index.
fn string(text: &[u8], open: usize) -> usize {
    let quote = text[open];
    let is_triple = text[open..].starts_with(&[quote; 3]);
    let close: &[u8] = if is_triple { &[quote; 3] } else { &[quote] };
    let before = text[..open].iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).take(2);
    let before: Vec<u8> = before.map(u8::to_ascii_lowercase).collect();
    let is_format = before.contains(&b'f') || before.contains(&b't');
    let (mut at, mut braces) = (open + close.len(), 0);
    while at < text.len() {
        match text[at] {
            b'\\' if braces == 0 => at += 1,
            b'{' if is_format && braces == 0 && text.get(at + 1) == Some(&b'{') => at += 1,
            b'{' if is_format => braces += 1,
            b'}' if braces > 0 => braces -= 1,
            b'\'' | b'"' if braces > 0 && !text[at..].starts_with(close) => {
                at = string(text, at);
                continue;
            }
            // From 3.12 on, strings within braces may use the same quotes.
            b'\'' | b'"' if braces > 0 => {
                at = string(text, at);
                continue;
            }
            _ if braces == 0 && text[at..].starts_with(close) => return at + close.len(),
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// The index of the bracket that closes the one at an index.
fn closing(masked: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in masked.iter().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The index of the bracket that opens the one closed at an index, which must be `)`.
fn opening(masked: &[u8], close: usize) -> Option<usize> {
    if masked.get(close) != Some(&b')') {
        return None;
    }
    let mut depth = 0;
    for at in (0..=close).rev() {
        match masked[at] {
            b')' | b']' | b'}' => depth += 1,
            b'(' | b'[' | b'{' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The parts between commas. Commas between the parameters of a `lambda` do not count.
fn parts(masked: &[u8], range: Range<usize>) -> Vec<Range<usize>> {
    let (mut parts, mut start) = (Vec::new(), range.start);
    let (mut depth, mut lambdas, mut at) = (0, 0, range.start);
    while at < range.end {
        match masked[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b',' if depth == 0 && lambdas == 0 => {
                parts.push(start..at);
                start = at + 1;
            }
            b':' if depth == 0 && lambdas > 0 => lambdas -= 1,
            byte if depth == 0 && is_word(byte) => {
                let length = word(&masked[at..range.end]);
                lambdas += usize::from(&masked[at..at + length] == b"lambda");
                at += length;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    parts.push(start..range.end);
    parts
}

fn trimmed(masked: &[u8], part: Range<usize>) -> Range<usize> {
    let is_text = |at: &usize| !masked[*at].is_ascii_whitespace() && masked[*at] != b'\\';
    let Some(start) = part.clone().find(is_text) else { return part.start..part.start };
    let end = part.clone().rev().find(is_text).map_or(part.end, |last| last + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_distinguished() {
        let named = |name: &str| Written::Named(name.into());
        let of = |text| arguments(text).unwrap_or_default();
        use Written::{Positional, Starred};
        assert_eq!(of("f(1, b=2, *c, **d)"), [Positional, named("b"), Starred, Starred]);
        assert_eq!(of("f(x == 1, y=(1, 2), z = g(a=1),)"), [Positional, named("y"), named("z")]);
        assert_eq!(of("f(lambda a, b=1: a, key=lambda x, y: x)"), [Positional, named("key")]);
        assert_eq!(
            of("f('a, b)', f\"{d['x']}, (\", # c, d\n g=1)"),
            [Positional, Positional, named("g")]
        );
        assert_eq!(of("a(1)(2, (b := 3))"), [Positional, Positional]);
        assert_eq!(of("f()"), []);
        assert_eq!(arguments("f"), None);
        assert_eq!(arguments(""), None);
    }

    #[test]
    fn parameters_are_found() {
        let text = "@deco(lambda: 1)\ndef f[T](self, a: int = 3, /, b=\"x, y\", *args, c, d=4, **more): pass";
        let found = parameters(text, "f").unwrap_or_default();
        let plain: Vec<_> =
            found.iter().map(|p| (&*p.name, p.has_default, p.is_keyword_only)).collect();
        let expected = [
            ("self", false, false),
            ("a", true, false),
            ("b", true, false),
            ("c", false, true),
            ("d", true, true),
        ];
        assert_eq!(plain, expected);
        assert_eq!(parameters("lambda x: 1", "<lambda>"), None);
    }

    #[test]
    fn keys_of_displays() {
        let found = keys("{'a': 1, \"b\": {2: 3}, 4: x,}");
        assert_eq!(found.as_deref(), Some(&["'a'".into(), "'b'".into(), "4".into()][..]));
        assert_eq!(keys("{a: 1}"), None);
        assert_eq!(keys("{**a}"), None);
    }

    #[test]
    fn any_text_is_read_without_panic() {
        for text in
            ["f(", ")", "f('", "def ", "def f", "def f(", "f\"{", "\u{e9}(\u{e9}=1)", "def f[("]
        {
            arguments(text);
            keys(text);
            parameters(text, "f");
            last_name(text);
            literal(text);
        }
    }

    #[test]
    fn literals_as_repr_writes_them() {
        assert_eq!(literal("\"a\"").as_deref(), Some("'a'"));
        assert_eq!(literal("-17").as_deref(), Some("-17"));
        assert_eq!(literal("'a' 'b'"), None);
        assert_eq!(literal("x"), None);
        assert_eq!(last_name("self.order.total"), Some("total"));
    }
}
