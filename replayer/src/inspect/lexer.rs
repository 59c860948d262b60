//! Splits an expression into names, numbers, strs and operators, as Python's tokenizer does.

use super::error::ParseError;
use num_bigint::BigInt;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(Box<str>),
    Int(BigInt),
    Float(f64),
    Str(Arc<[u8]>),
    Bytes(Arc<[u8]>),
    Sign(&'static str),
    End,
}

/// Longer ones first.
const SIGNS: [&str; 26] = [
    "==", "!=", "<=", ">=", "//", "**", "<<", ">>", ":=", "<", ">", "+", "-", "*", "/", "%", "(",
    ")", "[", "]", ",", ".", ":", "=", "{", "}",
];

/// Maximum number of digits of an int.
const DIGITS_MAX: usize = 4300;
/// Maximum length of an expression, in bytes.
const TEXT_MAX: usize = 1 << 16;

/// The tokens of a text, each with its begin and end in bytes.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize, usize)>, ParseError> {
    let mut lexer = Lexer { text, at: 0 };
    if text.len() > TEXT_MAX {
        return Err(lexer.error(0, "the expression is too long"));
    }
    let mut found = Vec::new();
    loop {
        let space = |c: char| c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\x0c';
        lexer.at = text.len() - lexer.rest().trim_start_matches(space).len();
        let begin = lexer.at;
        let token = lexer.token()?;
        let is_end = token == Token::End;
        found.push((token, begin, lexer.at));
        if is_end {
            return Ok(found);
        }
    }
}

/// An error at a byte of a text.
pub(super) fn error_at(text: &str, at: usize, message: impl Into<String>) -> ParseError {
    let before = text.get(..at).unwrap_or(text);
    ParseError { message: message.into(), column: before.chars().count() + 1 }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, at: usize, message: impl Into<String>) -> ParseError {
        error_at(self.text, at, message)
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        let rest = self.rest();
        let mut chars = rest.chars();
        let (Some(first), second) = (chars.next(), chars.next()) else { return Ok(Token::End) };
        let is_number = first.is_ascii_digit()
            || (first == '.' && second.is_some_and(|second| second.is_ascii_digit()));
        if is_number {
            return self.number();
        }
        if is_word(first) || first == '\'' || first == '"' {
            let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
            if rest[word.len()..].starts_with(['\'', '"']) {
                return self.string(word);
            }
            self.at += word.len();
            return Ok(Token::Name(word.into()));
        }
        match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            Some(sign) => {
                self.at += sign.len();
                Ok(Token::Sign(sign))
            }
            None => Err(self.error(self.at, format!("unexpected {first:?}"))),
        }
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        let begin = self.at;
        let rest = self.rest();
        let mut last = ' ';
        let is_based = rest.len() > 1
            && matches!(&rest.as_bytes()[..2], [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B']);
        let is_part = |c: char| {
            let follows_e = !is_based && matches!(last, 'e' | 'E');
            last = c;
            is_word(c) || c == '.' || (follows_e && (c == '+' || c == '-'))
        };
        let mut is_part = is_part;
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        self.at += end;
        let wrong = || error_at(self.text, begin, format!("{word:?} is no number"));
        let is_spaced = !word.ends_with('_')
            && !word.contains("__")
            && !word.contains("._")
            && !word.contains("_.");
        if !is_spaced {
            return Err(wrong());
        }
        let digits: String = word.chars().filter(|c| *c != '_').collect();
        let lower = digits.to_ascii_lowercase();
        let (radix, plain) = match lower.get(..2) {
            Some("0x") => (16, &lower[2..]),
            Some("0o") => (8, &lower[2..]),
            Some("0b") => (2, &lower[2..]),
            _ => (10, &*lower),
        };
        if radix != 10 || plain.bytes().all(|byte| byte.is_ascii_digit()) {
            let has_zeros =
                radix == 10 && plain.starts_with('0') && plain.bytes().any(|b| b != b'0');
            let is_fine = !has_zeros
                && plain.len() <= DIGITS_MAX
                && plain.starts_with(|c: char| c.is_digit(radix));
            let value = BigInt::parse_bytes(plain.as_bytes(), radix).filter(|_| is_fine);
            return value.map(Token::Int).ok_or_else(wrong);
        }
        if lower.ends_with('j') {
            return Err(self.error(begin, "complex numbers are not computed with"));
        }
        let is_float = lower.bytes().all(|byte| byte.is_ascii_digit() || b".e+-".contains(&byte));
        let value = lower.parse().ok().filter(|_| is_float);
        value.map(Token::Float).ok_or_else(wrong)
    }

    fn string(&mut self, prefix: &str) -> Result<Token, ParseError> {
        let begin = self.at;
        let lower = prefix.to_ascii_lowercase();
        let (is_bytes, is_raw) = match &*lower {
            "" | "u" => (false, false),
            "r" => (false, true),
            "b" => (true, false),
            "br" | "rb" => (true, true),
            _ => {
                return Err(
                    self.error(begin, format!("strs with {prefix:?} before them are not read"))
                );
            }
        };
        let body = self.text.get(begin + prefix.len()..).unwrap_or_default();
        let quote = if body.starts_with('"') { '"' } else { '\'' };
        let triple = if quote == '"' { "\"\"\"" } else { "'''" };
        let close = if body.starts_with(triple) { triple } else { &triple[..1] };
        self.at = begin + prefix.len() + close.len();
        let mut out = Vec::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(close) {
                self.at += close.len();
                break;
            }
            let Some(c) = rest.chars().next().filter(|c| *c != '\n' || close.len() == 3) else {
                return Err(self.error(begin, "a str that does not end"));
            };
            if is_bytes && !c.is_ascii() {
                return Err(self.error(self.at, "bytes can only contain ASCII"));
            }
            self.at += c.len_utf8();
            match c {
                '\\' if is_raw => {
                    out.push(b'\\');
                    if let Some(next) = self.rest().chars().next() {
                        self.at += next.len_utf8();
                        push_point(&mut out, next.into());
                    }
                }
                '\\' => self.escape(is_bytes, &mut out)?,
                c => push_point(&mut out, c.into()),
            }
        }
        Ok(if is_bytes { Token::Bytes(out.into()) } else { Token::Str(out.into()) })
    }

    /// Reads an escape sequence whose backslash has been read, and appends what it means to `out`.
    fn escape(&mut self, is_bytes: bool, out: &mut Vec<u8>) -> Result<(), ParseError> {
        let begin = self.at - 1;
        let Some(c) = self.rest().chars().next() else {
            return Err(self.error(begin, "a str that does not end"));
        };
        self.at += c.len_utf8();
        let simple = match c {
            '\n' => return Ok(()),
            '\\' | '\'' | '"' => c,
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '0'..='7' => {
                let rest = self.text.get(begin + 1..).unwrap_or_default();
                let digits = rest.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                self.at = begin + 1 + digits;
                let value = u32::from_str_radix(&rest[..digits], 8).unwrap_or(0);
                match is_bytes {
                    true => out.push((value & 0xff) as u8),
                    false => push_point(out, value),
                }
                return Ok(());
            }
            'x' | 'u' | 'U' if c == 'x' || !is_bytes => {
                let count = match c {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let digits = self.rest().get(..count);
                let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                let Some(value) = value.filter(|value| *value < 0x11_0000) else {
                    return Err(
                        self.error(begin, format!("\\{c} needs {count} hexadecimal digits"))
                    );
                };
                self.at += count;
                match is_bytes {
                    true => out.push(value as u8),
                    false => push_point(out, value),
                }
                return Ok(());
            }
            'N' if !is_bytes => return Err(self.error(begin, "\\N is not read here")),
            other => {
                out.push(b'\\');
                other
            }
        };
        push_point(out, simple.into());
        Ok(())
    }
}

/// Appends a code point in UTF-8. Lone surrogates are encoded like others, as in recordings.
pub(super) fn push_point(out: &mut Vec<u8>, point: u32) {
    match char::from_u32(point) {
        Some(c) => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        None => out.extend([
            0xe0 | (point >> 12 & 0xf) as u8,
            0x80 | (point >> 6 & 0x3f) as u8,
            0x80 | (point & 0x3f) as u8,
        ]),
    }
}
