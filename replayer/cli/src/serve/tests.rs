use super::tagged;
use serde_json::json;

#[test]
fn values_can_be_rebuilt() {
    for (text, expected) in [
        ("None", json!(null)),
        ("-3", json!(-3)),
        ("1.0", json!(1.0)),
        ("nan", json!({"float": "nan"})),
        ("9223372036854775808", json!({"int": "9223372036854775808"})),
        ("0xff", json!({"int": "0xff"})),
        ("(1-2j)", json!({"complex": "(1-2j)"})),
        ("'[...] … 9 more'", json!("[...] … 9 more")),
        (r"'a\ud800'", json!({"str": r"'a\ud800'"})),
        (r"b'\x00'", json!({"bytes": r"b'\x00'"})),
        ("[1, 'a']", json!([1, "a"])),
        ("(1,)", json!({"tuple": [1]})),
        ("{1}", json!({"set": [1]})),
        ("set()", json!({"set": []})),
        ("frozenset({1})", json!({"frozenset": [1]})),
        ("{}", json!({"dict": []})),
        ("{1: 2, (3,): 'a'}", json!({"dict": [[1, 2], [{"tuple": [3]}, "a"]]})),
        ("deque([1], maxlen=3)", json!({"deque": [1], "maxlen": 3})),
        ("bytearray(b'a')", json!({"bytearray": {"bytes": "b'a'"}})),
        ("OrderedDict({'a': 1})", json!({"OrderedDict": [["a", 1]]})),
        ("Ellipsis", json!({"constant": "Ellipsis"})),
    ] {
        assert_eq!(tagged::value(text), expected, "{text}");
    }
}

#[test]
fn incomplete_values_are_recorded() {
    for (text, kind) in [
        ("[1, … 9 more]", Some("list")),
        ("(… 9 more)", Some("tuple")),
        ("set(… 9 more)", Some("set")),
        ("{1, … 9 more}", Some("set")),
        ("frozenset({… 9 more})", Some("frozenset")),
        ("frozenset({1, … 9 more})", Some("frozenset")),
        ("{'a': 1, … 9 more}", Some("dict")),
        ("{… 9 more}", Some("dict")),
        ("deque([1, … 9 more])", Some("deque")),
        ("bytearray(b'a'… (9 bytes))", Some("bytearray")),
        ("'abc'… (9 characters)", Some("str")),
        ("b'abc'… (9 bytes)", Some("bytes")),
        ("123… (9 characters)", Some("int")),
        ("0x12… (9 characters)", Some("int")),
        ("[...]", Some("list")),
        ("(...)", Some("tuple")),
        ("{...}", None),
        ("...", None),
        ("…", None),
        ("set(...)", Some("set")),
        ("Counter({...})", Some("Counter")),
        ("defaultdict(<class 'int'>, {'a': 1})", Some("defaultdict")),
        ("array('i', [1])", Some("array")),
        ("<redacted>", None),
        ("<unread>", None),
        ("<function f>", Some("function")),
        ("<set object #3 (1,)>", Some("set")),
        ("ValueError('bad')", Some("ValueError")),
        ("this is no value", None),
    ] {
        let value = tagged::value(text);
        assert_eq!(value["recorded"], json!([0, text.chars().count()]), "{text}: {value}");
        assert_eq!(value.get("type").and_then(|t| t.as_str()), kind, "{text}: {value}");
    }
}

#[test]
fn parts_have_their_place_in_the_text() {
    let value = tagged::value("['ü', <app.P object #3 x=[1, … 2 more]>]");
    let expected = json!(["ü", {
        "recorded": [6, 39], "type": "app.P", "object_id": 3,
        "attributes": [["x", {
            "recorded": [25, 38], "type": "list", "items": [1], "length": 3,
        }]],
    }]);
    assert_eq!(value, expected);
    let arguments = tagged::arguments("a=1, b='x', … 3 more");
    assert_eq!(arguments, json!({"names": [["a", 1], ["b", "x"]], "more": 3}));
    assert_eq!(tagged::arguments(""), json!({"names": [], "more": 0}));
}
