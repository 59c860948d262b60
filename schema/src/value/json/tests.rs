use proptest::prelude::*;

use super::*;
use crate::value::parse::DEPTH_MAX;

/// Arguments of functions in C.
#[test]
fn several_values_are_an_array() {
    assert_eq!(value_json("1, 'x'").unwrap(), "[1,\"x\"]");
    assert_eq!(value_json("[1], 2, key=None, n=3").unwrap(), "[[1],2,{\"key\":null,\"n\":3}]");
    assert_eq!(value_json("1, key=[2]").unwrap(), "[1,{\"key\":[2]}]");
}

#[test]
fn other_texts_are_refused() {
    for text in [
        " ",
        "x",
        "1 ",
        "1,",
        "01",
        "1.",
        "+1",
        "--1",
        "1e",
        "0x",
        "'",
        "'a",
        "'\\q'",
        "'\\ud8'",
        "'\n'",
        "[",
        "[1",
        "[1,2]",
        "[1, ]",
        "[1 2]",
        "[a=1]",
        "(1",
        "{1: }",
        "{1: 2, 3}",
        "{1, 2: 3}",
        "f(",
        "1(2)",
        "a..b()",
        "<",
        "<a",
        "<'a",
        "a=",
        "a=1,b=2",
        "a=1, 2",
        "1, 2,",
        "'a'… (x characters)",
        "'a'… (1 bytes)",
        "[… x more]",
        "(1+2)",
        "(1+j)",
        "(1++2j)",
        "nano",
        "b'",
        "none",
    ] {
        assert_eq!(value_json(text), None, "{text}");
    }
}

#[test]
fn depth_is_bounded() {
    for open in ["[", "(", "{", "f(", "{1: ", "<a object #1 ", "<a object #1 x=", "x=["] {
        assert_eq!(value_json(&open.repeat(100_000)), None);
    }
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(value_json(&deep(DEPTH_MAX)).is_some());
    assert_eq!(value_json(&deep(DEPTH_MAX + 1)), None);
}

#[test]
fn strings_are_escaped() {
    assert_eq!(
        value_json(r"'\x00\x1f\\\'\U0001f600'").as_deref(),
        Some("\"\\u0000\\u001f\\\\'😀\"")
    );
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in any::<String>()) {
        let _ = value_json(&text);
    }

    /// Texts that are almost valid. If they are accepted, the result is JSON.
    #[test]
    fn almost_valid_texts(tokens in proptest::collection::vec(proptest::sample::select(vec![
        "1", "-", "0x1", "1.5", "e+1", "j", "'a'", "\"", "'", "b'a'", "\\x00", "None", "nan", "a", "=", "a=1",
        "[", "]", "(", ")", "{", "}", ", ", ",", ": ", "<", ">", " ", "…", "… 3 more", "… (3 characters)",
        "… (3 bytes)", " object #", "<a object #1", "<class ", "set(", "frozenset({", "deque([", "array(",
        "defaultdict(", "Counter(", "ValueError(", "...", "[...]", "é", "<unread>",
    ]), 0..12)) {
        if let Some(json) = value_json(&tokens.concat()) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{} {}", tokens.concat(), json);
        }
    }
}
