//! Which texts are expressions.

use super::{Expression, Path, PathStep};
use proptest::prelude::*;

#[test]
fn parse_errors_have_a_message_and_a_column() {
    let refused = [
        ("", "an expression is missing at column 1"),
        ("a b", "unexpected b at column 3"),
        ("a = 1", "= binds; == compares at column 3"),
        ("f(1)", "only len() and type() can be called: no code is run at column 2"),
        ("a.b(", "only len() and type() can be called: no code is run at column 4"),
        ("len(a", ") is missing at column 6"),
        ("a[1:2:3:4]", "a slice has three parts at most at column 9"),
        ("a[1", "] is missing at column 4"),
        ("a.", "the name of an attribute is missing at column 3"),
        ("a.if", "the name of an attribute is missing at column 3"),
        ("lambda: 1", "lambda is not understood here at column 1"),
        ("x if y", "else is missing at column 7"),
        ("2 ** 3", "** is not computed here at column 3"),
        ("'abc", "a str that does not end at column 1"),
        ("f'{x}'", "strs with \"f\" before them are not read at column 1"),
        ("'a' b'b'", "str and bytes do not mix at column 5"),
        ("b'\u{e9}'", "bytes can only contain ASCII at column 3"),
        ("'\\x1'", "\\x needs 2 hexadecimal digits at column 2"),
        ("012", "\"012\" is no number at column 1"),
        ("1__0", "\"1__0\" is no number at column 1"),
        ("0x", "\"0x\" is no number at column 1"),
        ("1.2.3", "\"1.2.3\" is no number at column 1"),
        ("3j", "complex numbers are not computed with at column 1"),
        ("a not b", "expected in after not at column 7"),
        ("{1}", "sets and dicts are not written here at column 1"),
        ("\u{e9}t\u{e9} ==", "the expression ends too early at column 7"),
        ("a $ b", "unexpected '$' at column 3"),
    ];
    for (text, message) in refused {
        let error = Expression::parse(text).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some(message), "{text}");
    }
}

#[test]
fn depth_is_bounded() {
    let deep = [
        "(".repeat(100_000),
        "[".repeat(100_000),
        "a[".repeat(60_000),
        format!("a{}", "[1]".repeat(20_000)),
        format!("a{}", ".b".repeat(30_000)),
        format!("{}a", "-".repeat(60_000)),
        format!("{}a", "not ".repeat(15_000)),
        format!("1{}", "+1".repeat(30_000)),
        "a".repeat(1 << 20),
        "(((1+1)+1)+1)".repeat(1000),
    ];
    for text in deep {
        assert!(Expression::parse(&text).is_err(), "{:.20}", text);
    }
    assert!(Expression::parse(&format!("a{}", "[1]".repeat(90))).is_ok());
    // A list may be long.
    assert!(Expression::parse(&format!("a in [{}]", "1, ".repeat(10_000))).is_ok());
}

#[test]
fn a_path_is_a_name_and_steps() -> Result<(), super::ParseError> {
    let path = Path::parse(" order.items[i + 1].price ")?;
    assert_eq!((&*path.root, path.text()), ("order", "order.items[i + 1].price"));
    let steps = path.steps.iter().map(|step| match step {
        PathStep::Attribute(name) => format!(".{name}"),
        PathStep::Item(key) => format!("[{}]", key.text()),
    });
    assert_eq!(steps.collect::<Vec<_>>(), [".items", "[i + 1]", ".price"]);
    assert!(Path::parse("len(x)").is_err());
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_panic(text in ".{0,60}") {
        let _ = Expression::parse(&text);
    }

    #[test]
    fn any_tokens_are_parsed_without_panic(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "a", ".", "[", "]", "(", ")", ",", "1", "1.5", "'x'", "\\", "'", "\"\"\"", "not", "in",
                "is", "and", "or", "-", "+", "==", "<", "len", "type", "...", "0x1f", "\\u12", "b'", " ",
                "_", "e5", "\u{e9}", "None",
            ]),
            0..30,
        )
    ) {
        let text = tokens.concat();
        if let Err(error) = Expression::parse(&text) {
            prop_assert!(error.column <= text.chars().count() + 1);
        }
    }
}
