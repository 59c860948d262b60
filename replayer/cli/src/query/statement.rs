//! Finds the ends of SQL statements.

/// How a text ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// It contains only spaces and comments.
    Empty,
    /// It ends with a semicolon, perhaps followed by spaces and comments.
    Complete,
    /// It ends within a statement.
    Open,
    /// It ends within quotes or a multi-line comment.
    Within,
}

/// Returns how a text ends.
pub(super) fn end(text: &str) -> End {
    let mut end = End::Empty;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            _ if rest.starts_with("--") => rest.find('\n').map_or("", |at| &rest[at..]),
            _ if rest.starts_with("/*") => match rest[2..].find("*/") {
                Some(at) => &rest[at + 4..],
                None => return End::Within,
            },
            ';' => {
                end = if end == End::Empty { End::Empty } else { End::Complete };
                after
            }
            // A doubled quote ends one text and begins the next, which has the same effect.
            '\'' | '"' | '`' | '[' => {
                end = End::Open;
                let close = if first == '[' { ']' } else { first };
                match after.find(close) {
                    Some(at) => &after[at + 1..],
                    None => return End::Within,
                }
            }
            _ if first.is_whitespace() => after,
            _ => {
                end = End::Open;
                after
            }
        };
    }
    end
}

/// Splits a text into statements without their semicolons. The last may be incomplete.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices(';') {
        if end(&text[begin..=at]) != End::Within && end(&text[begin..=at]) != End::Open {
            statements.push(&text[begin..at]);
            begin = at + 1;
        }
    }
    statements.push(&text[begin..]);
    statements.retain(|statement| end(statement) != End::Empty);
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_with_a_semicolon_outside_of_quotes() {
        for (text, expected) in [
            ("", End::Empty),
            ("  -- nothing\n", End::Empty),
            (";", End::Empty),
            ("select 1", End::Open),
            ("select 1;", End::Complete),
            ("select 1; -- done", End::Complete),
            ("select 1; select", End::Open),
            ("select ';'", End::Open),
            ("select ';", End::Within),
            ("select 'it''s';", End::Complete),
            ("select \"a;b", End::Within),
            ("select [a;b];", End::Complete),
            ("select /* ; ", End::Within),
            ("select 1 -- ;", End::Open),
            ("select 1 -- '\n;", End::Complete),
        ] {
            assert_eq!(end(text), expected, "{text}");
        }
    }

    #[test]
    fn splits_statements() {
        assert_eq!(split("select 1; select ';' ; -- end"), ["select 1", " select ';' "]);
        assert_eq!(split("select 1 -- ;\n, 2"), ["select 1 -- ;\n, 2"]);
        assert_eq!(split(" ; "), Vec::<&str>::new());
    }
}
