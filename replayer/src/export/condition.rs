//! SQL conditions that consist only of filters.

use super::Filter;
use crate::tables::plan::{Op, Value};
use std::iter::Peekable;
use std::str::Chars;

/// The filters that an SQL condition consists of: comparisons of a column with an integer or text,
/// and `IN` with a list of these, joined by `AND`. `None` if it contains anything else.
pub(super) fn parse(sql: &str) -> Option<Vec<Filter>> {
    let mut words = Words { rest: sql.chars().peekable() };
    let mut filters = Vec::new();
    loop {
        filters.push(filter(&mut words)?);
        match words.next()? {
            Word::End => return Some(filters),
            Word::Name(name) if name == "and" => {}
            _ => return None,
        }
    }
}

fn filter(words: &mut Words<'_>) -> Option<Filter> {
    let Word::Name(column) = words.next()? else { return None };
    let op = match words.next()? {
        Word::Op(op) => op,
        Word::Name(name) if name == "in" => Op::In,
        _ => return None,
    };
    if op != Op::In {
        let Word::Value(value) = words.next()? else { return None };
        return Some(Filter { column, op, values: vec![value] });
    }
    let Word::Open = words.next()? else { return None };
    let mut values = Vec::new();
    loop {
        let Word::Value(value) = words.next()? else { return None };
        values.push(value);
        match words.next()? {
            Word::Comma => {}
            Word::Close => return Some(Filter { column, op, values }),
            _ => return None,
        }
    }
}

enum Word {
    /// In lower case, because SQL ignores the case of names.
    Name(String),
    Op(Op),
    Value(Value),
    Open,
    Comma,
    Close,
    End,
}

struct Words<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Words<'_> {
    /// The next word; `None` if it is not one of [`Word`].
    fn next(&mut self) -> Option<Word> {
        while self.rest.next_if(char::is_ascii_whitespace).is_some() {}
        let Some(first) = self.rest.next() else { return Some(Word::End) };
        Some(match first {
            '(' => Word::Open,
            ')' => Word::Close,
            ',' => Word::Comma,
            '=' => {
                self.rest.next_if_eq(&'=');
                Word::Op(Op::Eq)
            }
            '<' if self.rest.next_if_eq(&'=').is_some() => Word::Op(Op::Le),
            '>' if self.rest.next_if_eq(&'=').is_some() => Word::Op(Op::Ge),
            // `<>` and `<<` begin with the same character.
            '<' if !matches!(self.rest.peek(), Some('>' | '<')) => Word::Op(Op::Lt),
            '>' if self.rest.peek() != Some(&'>') => Word::Op(Op::Gt),
            '\'' => Word::Value(Value::Text(self.text()?)),
            '-' | '0'..='9' => Word::Value(Value::Integer(self.integer(first)?)),
            'a'..='z' | 'A'..='Z' | '_' => {
                let mut name = first.to_ascii_lowercase().to_string();
                let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
                while let Some(c) = self.rest.next_if(is_part) {
                    name.push(c.to_ascii_lowercase());
                }
                Word::Name(name)
            }
            _ => return None,
        })
    }

    /// The rest of a text after its opening quote.
    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.rest.next()? {
                '\'' if self.rest.next_if_eq(&'\'').is_some() => text.push('\''),
                '\'' => return Some(text),
                // SQLite ends a statement there.
                '\0' => return None,
                c => text.push(c),
            }
        }
    }

    /// The integer that begins with this character.
    fn integer(&mut self, first: char) -> Option<i64> {
        let mut digits = first.to_string();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        // 1.5, 1e3, 0x10 and 1_000 are not integers.
        let is_more = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '_');
        if self.rest.peek().is_some_and(is_more) {
            return None;
        }
        digits.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_joined_by_and() {
        let filter = |column: &str, op, values| Filter { column: column.to_owned(), op, values };
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(
            parse("kind = 'it''s' AND Line>=-3 and seq in (1, 2)and depth<4"),
            Some(vec![
                filter("kind", Op::Eq, vec![text("it's")]),
                filter("line", Op::Ge, vec![Value::Integer(-3)]),
                filter("seq", Op::In, vec![Value::Integer(1), Value::Integer(2)]),
                filter("depth", Op::Lt, vec![Value::Integer(4)]),
            ])
        );
    }

    #[test]
    fn anything_else_is_left_to_sqlite() {
        for sql in [
            "",
            "a",
            "a =",
            "a = b",
            "a = 1 or b = 2",
            "not a = 1",
            "a = 1.5",
            "a = 1e3",
            "a = 0x1",
            "a <> 1",
            "a << 1",
            "a >> 1",
            "a = 1 -- x",
            "a = \"x\"",
            "a in ()",
            "a in (1",
            "a = 'x",
            "a between 1 and 2",
            "a = 1 and",
            "a like 'x'",
            "a = 99999999999999999999",
            "a = - 1",
            "a is null",
            "a = 1)",
            "(a = 1)",
            "a = 1;",
            "é = 1",
            "a = 1 collate nocase",
        ] {
            assert_eq!(parse(sql), None, "{sql}");
        }
    }
}
