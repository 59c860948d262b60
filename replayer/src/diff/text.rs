//! Decides from the texts of two values whether they differ.
//!
//! What two runs cannot have in common is not a difference: numbers of objects, addresses, the
//! order of a set, a thread's number in the system. What one run does not know (`[...]`,
//! `… 8 more`, `<unread>`, an object by its class alone) may be anything, so it is not a difference
//! either.

/// Maximum depth of values within values that are compared. Deeper values count as equal.
const DEPTH_MAX: usize = 200;

/// Whether two texts, as written by [`render`](dashcam_schema::value::render), are of values that
/// differ. Without state, the contents of instances within other objects may be old, so they do not
/// count.
pub(super) fn differ(a: &str, b: &str, has_state: bool) -> bool {
    if a == b {
        return false;
    }
    let [a, b] = [a, b].map(|text| {
        let mut items = parse(text);
        if !has_state {
            items.iter_mut().flatten().for_each(|piece| drop_attributes(piece, true));
        }
        items
    });
    !lists(&a, &b, false)
}

/// Drops the attributes of instances within other objects.
fn drop_attributes(piece: &mut Piece, is_outermost: bool) {
    let Piece::Within(open, within) = piece else { return };
    if *open == '<' && !is_outermost {
        let is_attribute =
            |item: &Item| matches!(item.first(), Some(Piece::Plain(name)) if name.ends_with('='));
        within.retain(|item| !is_attribute(item) && !is_plain(item, "…") && more(item).is_none());
    }
    within.iter_mut().flatten().for_each(|piece| drop_attributes(piece, false));
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    /// Text between literals and brackets, without numbers of objects.
    Plain(String),
    /// A str or bytes literal, without addresses.
    Quoted(String),
    /// The contents of brackets, with the opening bracket.
    Within(char, Vec<Item>),
}

/// The text between two commas.
type Item = Vec<Piece>;

fn parse(text: &str) -> Vec<Item> {
    let mut parser = Parser { rest: text };
    let mut items = parser.items(None, 0);
    // An unmatched closing bracket ends the items; the rest is compared as plain text.
    if !parser.rest.is_empty() {
        items.push(vec![Piece::Plain(parser.rest.to_owned())]);
    }
    items
}

struct Parser<'a> {
    rest: &'a str,
}

/// Ends a piece of plain text, and adds it to the item.
fn end(plain: &mut String, item: &mut Item) {
    if plain.is_empty() {
        return;
    }
    let number = plain.trim_end_matches(':').trim_start();
    if number.parse().is_ok_and(is_address) {
        *plain = plain.replace(number, "address");
    }
    item.push(Piece::Plain(std::mem::take(plain)));
}

/// Whether an int looks like the address of an object or a thread, as `id()` returns.
pub(super) fn is_address(value: i64) -> bool {
    value % 8 == 0 && (0x5500_0000_0000..0x8000_0000_0000).contains(&value)
}

/// An attribute of `threading.Thread`: the number the system gave it.
pub(super) const NATIVE_ID: &str = "_native_id";

/// What `os.stat` returns, and the number of its fields before the three times, which are not a
/// difference.
const STAT_RESULT: &str = "os.stat_result";
const STAT_FIELDS: usize = 7;

impl Parser<'_> {
    fn items(&mut self, close: Option<char>, depth: usize) -> Vec<Item> {
        let mut items = Vec::new();
        let mut item = Item::new();
        let mut plain = String::new();
        let separator = if close == Some('>') { " " } else { ", " };
        while let Some(c) = self.rest.chars().next() {
            if Some(c) == close {
                break;
            }
            let is_length = plain == "…" && self.rest.starts_with(" (");
            if let Some(rest) = self.rest.strip_prefix(separator).filter(|_| !is_length) {
                self.rest = rest;
                end(&mut plain, &mut item);
                items.push(std::mem::take(&mut item));
                continue;
            }
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                '\'' | '"' => {
                    end(&mut plain, &mut item);
                    item.push(Piece::Quoted(without_addresses(self.literal(c))));
                }
                '[' | '(' | '{' | '<' if depth < DEPTH_MAX => {
                    let closing = match c {
                        '[' => ']',
                        '(' => ')',
                        '{' => '}',
                        _ => '>',
                    };
                    end(&mut plain, &mut item);
                    let within = self.items(Some(closing), depth + 1);
                    self.rest = self.rest.strip_prefix(closing).unwrap_or(self.rest);
                    item.push(Piece::Within(c, within));
                }
                // A value follows, which is a piece of its own.
                '=' | ':' => {
                    plain.push(c);
                    end(&mut plain, &mut item);
                }
                _ => plain.push(c),
            }
        }
        end(&mut plain, &mut item);
        if !item.is_empty() {
            items.push(item);
        }
        if close == Some('>') {
            items.retain(|item| !matches!(&item[..], [Piece::Plain(text)] if is_number(text)));
            if items.first().is_some_and(|item| is_plain(item, STAT_RESULT))
                && let Some([Piece::Within('(', fields)]) = items.get_mut(2).map(Vec::as_mut_slice)
            {
                fields.truncate(STAT_FIELDS);
            }
        }
        items
    }

    /// Reads a literal up to and including the quote that ends it. Returns it without the quote.
    fn literal(&mut self, quote: char) -> &str {
        let mut is_escaped = false;
        let end = self.rest.find(|c| {
            let ends = c == quote && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let (literal, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, ""),
        };
        self.rest = rest;
        literal
    }
}

/// Whether a text is the number of an object, such as `#17`.
fn is_number(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The text without the addresses that Python's own `repr` writes.
pub(super) fn without_addresses(text: &str) -> String {
    const MARK: &str = " at 0x";
    let mut parts = text.split(MARK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(MARK);
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    out
}

fn is_plain(item: &[Piece], wanted: &str) -> bool {
    matches!(item, [Piece::Plain(text)] if text == wanted)
}

/// The number of items left out, if an item is such as `… 8 more`.
fn more(item: &[Piece]) -> Option<u64> {
    let [Piece::Plain(text)] = item else { return None };
    text.strip_prefix("… ")?.strip_suffix(" more")?.parse().ok()
}

/// Whether two lists of items may be the same; the items of sets, in any order.
fn lists(a: &[Item], b: &[Item], are_sets: bool) -> bool {
    let (more_a, more_b) = (a.last().and_then(|item| more(item)), b.last().and_then(|i| more(i)));
    let a = &a[..a.len() - usize::from(more_a.is_some())];
    let b = &b[..b.len() - usize::from(more_b.is_some())];
    let length =
        |kept: &[Item], more: Option<u64>| more.unwrap_or(0).checked_add(kept.len() as u64);
    if length(a, more_a) != length(b, more_b) {
        return false;
    }
    if !are_sets {
        return a.iter().zip(b).all(|(a, b)| items(a, b));
    }
    // Which items of a set were kept is random.
    if more_a.is_some() || more_b.is_some() {
        return true;
    }
    let sorted = |items: &[Item]| {
        let mut items = items.to_vec();
        items.iter_mut().for_each(sort_sets);
        items.sort_unstable();
        items
    };
    sorted(a).iter().zip(&sorted(b)).all(|(a, b)| items(a, b))
}

/// Whether the contents of braces are values, not pairs.
fn is_set(within: &[Item]) -> bool {
    let is_pair = |item: &Item| {
        item.iter().any(|piece| matches!(piece, Piece::Plain(text) if text.ends_with(':')))
    };
    !within.iter().any(is_pair)
}

fn sort_sets(item: &mut Item) {
    for piece in item {
        if let Piece::Within(open, within) = piece {
            within.iter_mut().for_each(sort_sets);
            if *open == '{' && is_set(within) {
                within.sort_unstable();
            }
        }
    }
}

/// Whether two items may be the same: a value, after its name or key if it has one.
fn items(a: &[Piece], b: &[Piece]) -> bool {
    let is_native_id = |item: &[Piece]| {
        let name = item.first();
        matches!(name, Some(Piece::Plain(name)) if name.strip_suffix('=') == Some(NATIVE_ID))
    };
    if is_native_id(a) && is_native_id(b) {
        return true;
    }
    let mut rest = (a, b);
    loop {
        let (a, b) = rest;
        if is_anything(a) || is_anything(b) {
            return true;
        }
        if let Some(past) = skip_class_only(a, b) {
            rest = past;
            continue;
        }
        if let Some((b, a)) = skip_class_only(b, a) {
            rest = (a, b);
            continue;
        }
        rest = match (a, b) {
            ([], []) => return true,
            ([x, a @ ..], [y, b @ ..]) if pieces(x, y) => (a, b),
            _ => return false,
        };
    }
}

/// Whether an item may be any value: `<unread>`, `<object #3>`, `…`.
fn is_anything(value: &[Piece]) -> bool {
    let value = match value {
        // After a key's colon.
        [Piece::Plain(space), rest @ ..] if space == " " => rest,
        value => value,
    };
    match value {
        [Piece::Within('<', within)] => match &within[..] {
            [one] => is_plain(one, "unread") || is_plain(one, "object"),
            _ => false,
        },
        value => is_plain(value, "…") || is_plain(value, "...") || is_plain(value, " …"),
    }
}

/// If `a` begins with an object of which only the class is known, and `b` with the full text of an
/// object of that class (`slice(1, 2)`, `KeyError('x')`, a str): the rest of each.
fn skip_class_only<'p>(a: &'p [Piece], b: &'p [Piece]) -> Option<(&'p [Piece], &'p [Piece])> {
    let [Piece::Within(open, within), a @ ..] = a else { return None };
    if *open == '{' && is_unknown(within) {
        return match b {
            [Piece::Plain(set), Piece::Within('(', none), b @ ..] if none.is_empty() => {
                (set == "set").then_some((a, b))
            }
            _ => None,
        };
    }
    let [class, object] = &within[..] else { return None };
    let [Piece::Plain(class)] = &class[..] else { return None };
    if *open != '<' || !is_plain(object, "object") {
        return None;
    }
    let (is_it, b) = match b {
        [Piece::Plain(bytes), Piece::Quoted(_), b @ ..] => (bytes == "b" && class == "bytes", b),
        [Piece::Quoted(_), b @ ..] => (class == "str", b),
        [Piece::Plain(name), Piece::Within('(', _), b @ ..] => {
            (name == class || class.rsplit('.').next() == Some(name), b)
        }
        [Piece::Plain(_), b @ ..] => (class == "int" || class == "complex", b),
        [Piece::Within('<', within), b @ ..] => {
            let name = within.first();
            let is_function = name.is_some_and(|name| is_plain(name, "function"));
            (is_function && (class.contains("function") || class.contains("method")), b)
        }
        [Piece::Within(open, _), b @ ..] => match open {
            '[' => (class == "list", b),
            '(' => (class == "tuple" || class == "complex", b),
            _ => (class == "set" || class == "dict", b),
        },
        [] => (false, b),
    };
    // Skips the length of a str or bytes that was cut.
    let b = match b {
        [Piece::Plain(dots), Piece::Within('(', _), rest @ ..] if dots == "… " => rest,
        b => b,
    };
    is_it.then_some((a, b))
}

fn pieces(a: &Piece, b: &Piece) -> bool {
    match (a, b) {
        (Piece::Within(x, a), Piece::Within(y, b)) if x == y => match x {
            '<' => objects(a, b),
            // `[...]` is a list with any contents.
            _ if is_unknown(a) || is_unknown(b) => true,
            _ => lists(a, b, *x == '{' && is_set(a) && is_set(b)),
        },
        _ => a == b,
    }
}

fn is_unknown(within: &[Item]) -> bool {
    matches!(within, [one] if is_plain(one, "...") || is_plain(one, "…"))
}

/// Whether two instances may be the same, such as `app.Point object x=1 y=2`. On one side, all but
/// the class may be missing.
fn objects(a: &[Item], b: &[Item]) -> bool {
    let is_class = |items: &[Item]| items.len() == 2 && is_plain(&items[1], "object");
    let mut pairs = a.iter().zip(b);
    let is_cut = |item: &Item| is_plain(item, "…");
    let same =
        pairs.by_ref().take_while(|(a, b)| !is_cut(a) && !is_cut(b)).all(|(a, b)| items(a, b));
    let is_cut = a.iter().chain(b).any(is_cut);
    same && (a.len() == b.len() || is_cut || is_class(a) || is_class(b))
}

#[cfg(test)]
mod tests {
    fn differ(a: &str, b: &str) -> bool {
        super::differ(a, b, true)
    }

    #[test]
    fn without_state_instances_within_others_do_not_count() {
        let one = "<a.B object #1 x=1 y=<a.C object #2 z=1>>";
        let two = "<a.B object #1 x=1 y=<a.C object #2 z=2 u=1>>";
        assert!(differ(one, two) && !super::differ(one, two, false));
        assert!(super::differ(one, &two.replace("x=1", "x=2"), false));
        assert!(super::differ("[<a.B object #1>]", "[<a.C object #1>]", false));
        assert!(super::differ("<a.B object #1 x=[1]>", "<a.B object #1 x=[2]>", false));
    }

    #[test]
    fn times_of_files_are_not_a_difference() {
        let stat = |size: u32, time: u32| {
            format!(
                "<os.stat_result object #5 (16877, 1, 2, 2, 0, 0, {size}, {time}, {time}, {time})>"
            )
        };
        assert!(!differ(&stat(40, 100), &stat(40, 200)));
        assert!(differ(&stat(40, 100), &stat(41, 200)));
        assert!(!differ(&format!("[{}]", stat(1, 1)), &format!("[{}]", stat(1, 2))));
    }

    #[test]
    fn values_differ() {
        for (a, b) in [
            ("1", "2"),
            ("'a'", "'b'"),
            ("[1, 2]", "[1, 3]"),
            ("[1, 2]", "[1, 2, 3]"),
            ("{'a': 1}", "{'a': 2}"),
            ("{1, 2}", "{1, 3}"),
            ("<app.Point object #1 x=1>", "<app.Point object #1 x=2>"),
            ("<app.Point object #1 x=1>", "<app.Line object #1 x=1>"),
            ("<app.Point object #1>", "<app.Line object #1>"),
            ("[1, … 8 more]", "[1, … 9 more]"),
            ("[2, … 8 more]", "[1, … 8 more]"),
            ("'abc'… (9 characters)", "'abc'… (10 characters)"),
            ("[...]", "3"),
            ("<slice object #1>", "range(1, 2)"),
            (
                "<a.B object #1 x=<str object #1> y=1>",
                "<a.B object #1 x='abc'… (900 characters) y=2>",
            ),
            ("140464874164576", "7"),
            ("140464874164577", "140464874164579"),
            ("'#1'", "'#2'"),
            ("ValueError('a')", "KeyError('a')"),
            ("{'a': [...], 'b': 1}", "{'a': [1], 'b': 2}"),
            ("x=1, y=2", "x=1, y=3"),
        ] {
            assert!(differ(a, b), "{a} {b}");
            assert!(differ(b, a), "{b} {a}");
        }
    }

    #[test]
    fn numbers_addresses_and_order_of_sets_are_not_a_difference() {
        for (a, b) in [
            ("<app.Point object #1 x=1>", "<app.Point object #22 x=1>"),
            (
                "[<app.Point object #1 x=<a.B object #2>>]",
                "[<app.Point object #9 x=<a.B object #4>>]",
            ),
            ("{'a', 'b', 'c'}", "{'c', 'a', 'b'}"),
            ("frozenset({(1, 2), (3, 4)})", "frozenset({(3, 4), (1, 2)})"),
            ("{'a', … 60 more}", "{'b', … 60 more}"),
            ("'<B object at 0x7f12ab>'", "'<B object at 0x7fffab>'"),
            ("<generator object g #4>", "<generator object g #5>"),
            ("{94054646139632: 1}", "{93888394014496: 1}"),
            ("{140464874164576, 3}", "{3, 140464922082176}"),
            (
                "<t.T object #1 _ident=140317011712896 _native_id=3>",
                "<t.T object #1 _ident=140317011712888 _native_id=4>",
            ),
            ("<function f>", "<function f>"),
        ] {
            assert!(!differ(a, b), "{a} {b}");
        }
    }

    #[test]
    fn unknown_values_may_be_anything() {
        for (a, b) in [
            ("[...]", "[1, 2]"),
            ("{...}", "{'a': 1}"),
            ("<unread>", "3"),
            ("{'a': <unread>}", "{'a': 3}"),
            ("<slice object #1>", "slice(1, 2, None)"),
            ("<app.Bad object #1>", "app.Bad('x')"),
            ("<collections.deque object #1>", "deque([1])"),
            ("<str object #1>", "'abc'… (900 characters)"),
            (
                "<a.B object #1 x=<str object #1> y=1>",
                "<a.B object #1 x='abc'… (900 characters) y=1>",
            ),
            ("{<str object #1>: 1}", "{'a': 1}"),
            ("{...}", "set()"),
            ("<builtin_function_or_method object #1>", "<function hash>"),
            ("<object #4>", "[1]"),
            ("<app.Point object #1>", "<app.Point object #2 x=1>"),
            ("[1, [...]]", "[1, [2, 3]]"),
            ("<app.P object #1 a=[...] b=1>", "<app.P object #2 a=[1] b=1>"),
            ("[1, 2, 3, … 2 more]", "[1, 2, 3, 4, 5]"),
        ] {
            assert!(!differ(a, b), "{a} {b}");
            assert!(!differ(b, a), "{b} {a}");
        }
    }

    #[test]
    fn any_text_is_compared_without_panic() {
        for text in ["", "[[[", "]]]", "'", "'\\", ">", "<", ", ", "{'a", "#", " #", "x="] {
            assert!(!differ(text, text));
            let _ = differ(text, "[1]");
        }
        let deep = "[".repeat(100_000);
        assert!(!differ(&deep, &deep));
        let _ = differ(&deep, &format!("{deep}1"));
    }
}
