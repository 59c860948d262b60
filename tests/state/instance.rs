//! Parses the text of an instance: `<app.Point object #17 x=1 y='a b'>`.
//!
//! It is compared as text, not as JSON: `(1,)` and `[1]` are the same there.

/// Returns class and attributes, in their order; `None` if the text is not that of an instance.
pub(crate) fn parse(text: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let (class, rest) = text.strip_prefix('<')?.strip_suffix('>')?.split_once(" object #")?;
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let begins = begins(rest);
    let ends = begins.iter().skip(1).map(|begin| begin - 1).chain([rest.len()]);
    let attributes = begins.iter().zip(ends).map(|(begin, end)| rest[*begin..end].split_once('='));
    Some((class, attributes.collect::<Option<_>>()?))
}

/// Returns where names of attributes begin: after spaces that are not within quotes or brackets.
fn begins(text: &str) -> Vec<usize> {
    let (mut found, mut depth, mut quote, mut is_escaped) = (Vec::new(), 0, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if is_escaped => is_escaped = false,
            (Some(_), '\\') => is_escaped = true,
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[' | '{' | '<') => depth += 1,
            (None, ')' | ']' | '}' | '>') => depth -= 1,
            (None, ' ') if depth == 0 && is_attribute(&text[at + 1..]) => found.push(at + 1),
            _ => {}
        }
    }
    found
}

/// Whether the text begins with a name and `=`. `… 3 more` and `(300 characters)` do not.
fn is_attribute(text: &str) -> bool {
    let name = text.split('=').next().unwrap_or_default();
    name.len() < text.len()
        && !name.is_empty()
        && name.chars().all(|c| c == '_' || c.is_alphanumeric())
}

#[test]
fn attributes_are_separated() {
    let text = r#"<a.f.<locals>.P object #17 x=1 s='it\'s y=2 "' t='a'… (9 characters) o=<Q object #3 x=(1, 2)>>"#;
    let attributes = vec![
        ("x", "1"),
        ("s", r#"'it\'s y=2 "'"#),
        ("t", "'a'… (9 characters)"),
        ("o", "<Q object #3 x=(1, 2)>"),
    ];
    assert_eq!(parse(text), Some(("a.f.<locals>.P", attributes)));
    assert_eq!(parse("<P object #1>"), Some(("P", vec![])));
    assert_eq!(parse("[1]"), None);
}
