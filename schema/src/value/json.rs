//! Values as JSON, from the text that [`super::render`] writes.
//!
//! From the text, so that what a user sees in a column is what can be taken apart: queries get at
//! values without a second way of reading chunks.
//!
//! | text | JSON |
//! |---|---|
//! | `None`, `True`, `1`, `1.5`, `'a'` | `null`, `true`, `1`, `1.5`, `"a"` |
//! | `nan`, `inf`, `1j`, `b'a'`, `Ellipsis` | the text as a string |
//! | list, tuple, set, frozenset, deque, array | array |
//! | dict, defaultdict, OrderedDict, Counter | object; keys that are no strs by their text |
//! | `a=1, b='x'` | `{"a":1,"b":"x"}` |
//! | `<app.Point object #17 x=1>` | `{"type":"app.Point","object_id":17,"x":1}`, and as `"value"` what it holds besides attributes |
//! | `ValueError('bad')` | `{"type":"ValueError","args":["bad"]}` |
//! | `<function f>`, `[...]` | the text as a string |
//! | `'abc'… (9 characters)` | `"abc…"` |
//! | `[1, … 9 more]`, `{'a': 1, … 9 more}` | `[1,"… 9 more"]`, `{"a":1,"…":9}` |
//!
//! An attribute that has the name of one of our own keys gets a dot before its name: `".type"`.
//! JSON has no lone surrogates: they become U+FFFD.

use super::render::is_variable;

/// Values within values. A value that is rendered is at most so deep: each level of objects is up to
/// three here, as in `<app.D object #1 deque([`.
const DEPTH_MAX: usize = 3 * super::render::DEPTH_MAX + 10;

/// The JSON of a value or of named values; nothing if the text is not one of [`super::render`].
pub fn value_json(text: &str) -> Option<String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    if text.is_empty() || parser.at_name() || parser.at_more() {
        // Arguments, of which there may be none.
        let fields = parser.fields(", ", "")?;
        return Some(object(&fields));
    }
    let value = parser.value()?;
    (parser.at == text.len()).then_some(value)
}

/// Appends a JSON string.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out
}

fn array(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

fn object(fields: &[(String, String)]) -> String {
    let mut out = String::from("{");
    for (at, (name, value)) in fields.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_string(&mut out, name);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    out
}

/// The name of an attribute beside our own keys.
fn beside_own(name: String, own: &[&str]) -> String {
    // What already has dots gets one more, so that no two names become the same.
    match own.contains(&name.trim_start_matches('.')) {
        true => format!(".{name}"),
        false => name,
    }
}

/// Whether it is the JSON of a number, of which Python's are a part.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (text, exponent) = match text.split_once('e') {
        Some((text, exponent)) => (text, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (text, "0"),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let has_zeros = whole.len() > 1 && whole.starts_with('0');
    digits(whole) && !has_zeros && digits(fraction) && digits(exponent)
}

/// Whether it is a float or an int without its sign, or one of the floats JSON does not have.
fn is_part(text: &str) -> bool {
    matches!(text, "inf" | "nan") || (!text.starts_with('-') && is_number(text))
}

/// Whether it is what stands between the parentheses of a complex, or a complex that needs none.
fn is_complex(text: &str) -> bool {
    let Some(text) = text.strip_suffix('j') else { return false };
    let text = text.strip_prefix('-').unwrap_or(text);
    // The sign between both parts is not one of an exponent.
    let between = text.match_indices(['+', '-']).map(|(at, _)| at);
    let mut between = between.filter(|at| !text[..*at].ends_with('e'));
    match between.next() {
        None => is_part(text),
        Some(at) => is_part(&text[..at]) && is_part(&text[at + 1..]),
    }
}

/// Whether it is an int written in hexadecimal.
fn is_hexadecimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).strip_prefix("0x");
    digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// Whether what was in parentheses can be what a class of containers is made of.
fn is_container(json: &str) -> bool {
    json.starts_with(['[', '{']) || matches!(json, r#""[...]""# | r#""{...}""# | r#""…""#)
}

/// Names or keys, and the JSON of what they name.
type Pairs = Vec<(String, String)>;

/// What stands between braces.
enum Items {
    Values(Vec<String>),
    Pairs(Pairs),
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        let is_there = self.rest().starts_with(token);
        if is_there {
            self.at += token.len();
        }
        is_there
    }

    fn expect(&mut self, token: &str) -> Option<()> {
        self.eat(token).then_some(())
    }

    fn take_while(&mut self, mut is_part: impl FnMut(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// The JSON of the value here.
    fn value(&mut self) -> Option<String> {
        if self.depth >= DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let value = self.value_within();
        self.depth -= 1;
        value
    }

    fn value_within(&mut self) -> Option<String> {
        let begin = self.at;
        for shown in ["[...]", "(...)", "{...}", "...", "…"] {
            if self.eat(shown) {
                return Some(string(shown));
            }
        }
        match self.peek()? {
            '\'' | '"' => {
                let text = self.str()?;
                Some(string(&text))
            }
            '[' => {
                self.at += 1;
                self.unnamed("]")
            }
            '(' => self.tuple(),
            '{' => {
                self.at += 1;
                Some(match self.set_or_dict()? {
                    Items::Values(items) => array(&items),
                    Items::Pairs(pairs) => object(&pairs),
                })
            }
            '<' => self.angle(),
            '-' | '0'..='9' => self.number(),
            'b' if self.rest().starts_with("b'") || self.rest().starts_with("b\"") => {
                self.at += 1;
                self.literal()?;
                let kept = &self.text[begin..self.at];
                Some(match self.cut("bytes")? {
                    true => string(&format!("{kept}…")),
                    false => string(kept),
                })
            }
            _ => self.word(),
        }
    }

    /// `None`, `nan`, `ValueError('bad')`
    fn word(&mut self) -> Option<String> {
        let mut depth = 0;
        let word = self.take_while(|c| {
            match c {
                '<' => depth += 1,
                '>' => depth -= 1,
                c => return c == '_' || c == '.' || c.is_alphanumeric(),
            }
            depth >= 0
        });
        if self.eat("(") {
            return self.call(word);
        }
        match word {
            "None" => Some("null".to_owned()),
            "True" => Some("true".to_owned()),
            "False" => Some("false".to_owned()),
            "Ellipsis" | "NotImplemented" | "nan" | "inf" | "nanj" | "infj" => Some(string(word)),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<String> {
        let mut last = ' ';
        let begin = self.at;
        let word = self.take_while(|c| {
            let is_first = last == ' ';
            let is_part = match c {
                '-' => is_first || last == 'e',
                '+' => last == 'e',
                c => c == '.' || c.is_ascii_alphanumeric(),
            };
            last = c;
            is_part
        });
        let is_int = is_hexadecimal(word) || (is_number(word) && !word.contains(['.', 'e']));
        if is_int && self.cut("characters")? {
            return Some(string(&format!("{word}…")));
        }
        if is_number(word) {
            return Some(word.to_owned());
        }
        let is_text = is_hexadecimal(word) || word == "-inf" || is_complex(word);
        is_text.then(|| string(&self.text[begin..self.at]))
    }

    fn tuple(&mut self) -> Option<String> {
        self.at += 1;
        let (inside, _) = self.rest().split_once(')')?;
        if inside.contains(['+', '-']) && is_complex(inside) {
            let text = &self.text[self.at - 1..self.at + inside.len() + 1];
            self.at += inside.len() + 1;
            return Some(string(text));
        }
        self.unnamed(")")
    }

    /// Values up to the bracket that closes them.
    fn unnamed(&mut self, close: &str) -> Option<String> {
        let (values, named) = self.values(close)?;
        named.is_empty().then(|| array(&values))
    }

    /// Values up to the bracket that closes them, and apart from them those that are named.
    fn values(&mut self, close: &str) -> Option<(Vec<String>, Pairs)> {
        let (mut values, mut named) = (Vec::new(), Vec::new());
        while !self.eat(close) {
            if !(values.is_empty() && named.is_empty()) {
                self.expect(",")?;
                // A tuple of one.
                if close == ")" && values.len() == 1 && self.eat(close) {
                    break;
                }
                self.expect(" ")?;
            }
            if self.at_more() {
                let more = self.more()?;
                values.push(string(&format!("… {more} more")));
            } else if self.at_name() {
                named.push(self.field()?);
            } else {
                values.push(self.value()?);
            }
        }
        Some((values, named))
    }

    fn set_or_dict(&mut self) -> Option<Items> {
        let (mut values, mut pairs) = (Vec::new(), Vec::new());
        while !self.eat("}") {
            if !(values.is_empty() && pairs.is_empty()) {
                self.expect(", ")?;
            }
            if self.at_more() {
                let more = self.more()?;
                match values.is_empty() {
                    true => pairs.push(("…".to_owned(), more.to_string())),
                    false => values.push(string(&format!("… {more} more"))),
                }
                continue;
            }
            let begin = self.at;
            let text = match self.peek()? {
                '\'' | '"' => Some(self.str()?),
                _ => None,
            };
            // What was read already is not read once more.
            let value = match &text {
                Some(text) => string(text),
                None => self.value()?,
            };
            let key = text.unwrap_or_else(|| self.text[begin..self.at].to_owned());
            if self.eat(": ") {
                pairs.push((key, self.value()?));
            } else {
                values.push(value);
            }
            if !(values.is_empty() || pairs.is_empty()) {
                return None;
            }
        }
        match values.is_empty() {
            true => Some(Items::Pairs(pairs)),
            false => Some(Items::Values(values)),
        }
    }

    /// What follows a name and `(`.
    fn call(&mut self, name: &str) -> Option<String> {
        let is_name = name.split('.').all(|part| {
            is_variable(part.strip_prefix('<').and_then(|p| p.strip_suffix('>')).unwrap_or(part))
        });
        if !is_name {
            return None;
        }
        let (args, named) = self.values(")")?;
        let held = match (name, &args[..]) {
            ("set" | "frozenset" | "deque", []) => Some("[]"),
            ("OrderedDict" | "Counter", []) => Some("{}"),
            ("array", [_]) => Some("[]"),
            ("set" | "frozenset", [args]) if args.starts_with("\"… ") => {
                return Some(format!("[{args}]"));
            }
            ("set" | "frozenset" | "deque" | "OrderedDict" | "Counter", [held])
                if is_container(held) =>
            {
                Some(&**held)
            }
            ("set" | "frozenset", [held]) if held == "\"...\"" => {
                return Some(string(&format!("{name}(...)")));
            }
            ("array", [_, held]) if held.starts_with(['[', '"']) => Some(&**held),
            ("defaultdict", [_, held]) if is_container(held) => Some(&**held),
            _ => None,
        };
        if let Some(held) = held {
            return Some(held.to_owned());
        }
        let mut fields = vec![("type".to_owned(), string(name)), ("args".to_owned(), array(&args))];
        let own = ["type", "args"];
        fields.extend(named.into_iter().map(|(name, value)| (beside_own(name, &own), value)));
        Some(object(&fields))
    }

    /// `<app.Point object #17 x=1>`, `<function f>`
    fn angle(&mut self) -> Option<String> {
        let begin = self.at;
        if let Some((name, id)) = self.head() {
            return self.instance(&name, id);
        }
        self.at = begin;
        let mut depth = 0;
        loop {
            match self.peek()? {
                '\'' | '"' => {
                    self.str()?;
                    continue;
                }
                '<' => depth += 1,
                '>' => depth -= 1,
                c if c < ' ' => return None,
                _ => {}
            }
            self.at += self.peek()?.len_utf8();
            if depth == 0 {
                return Some(string(&self.text[begin..self.at]));
            }
        }
    }

    /// `<app.Point object #17`, which only an instance begins with.
    fn head(&mut self) -> Option<(String, u64)> {
        const OBJECT: &str = " object #";
        self.expect("<")?;
        let name = match self.peek()? {
            '\'' | '"' => self.str()?,
            _ => {
                let mut depth = 0;
                let rest = self.rest();
                let end = rest.char_indices().find(|(at, c)| {
                    match c {
                        '<' => depth += 1,
                        '>' => depth -= 1,
                        _ => {}
                    }
                    // Names with quotes are written in quotes.
                    let is_end = depth < 0 || matches!(c, '\'' | '"');
                    is_end || (depth == 0 && rest[*at..].starts_with(OBJECT))
                });
                self.at += end?.0;
                rest[..end?.0].to_owned()
            }
        };
        self.expect(OBJECT)?;
        let id = self.take_while(|c| c.is_ascii_digit()).parse().ok()?;
        Some((name, id))
    }

    /// What follows the head of an instance.
    fn instance(&mut self, name: &str, id: u64) -> Option<String> {
        let mut fields =
            vec![("type".to_owned(), string(name)), ("object_id".to_owned(), id.to_string())];
        if !self.eat(">") {
            self.expect(" ")?;
            if !self.at_name() && !self.at_more() {
                fields.push(("value".to_owned(), self.value()?));
                if !self.rest().starts_with('>') {
                    self.expect(" ")?;
                }
            }
            let own = ["type", "object_id", "value"];
            let attributes = self.fields(" ", ">")?;
            fields.extend(
                attributes.into_iter().map(|(name, value)| (beside_own(name, &own), value)),
            );
        }
        Some(object(&fields))
    }

    /// `x=1 y=2>`, or `x=1, y=2` up to the end of the text.
    fn fields(&mut self, between: &str, close: &str) -> Option<Pairs> {
        let mut fields = Vec::new();
        loop {
            let is_end = if close.is_empty() { self.rest().is_empty() } else { self.eat(close) };
            if is_end {
                return Some(fields);
            }
            if !fields.is_empty() {
                self.expect(between)?;
            }
            if self.at_more() {
                fields.push(("…".to_owned(), self.more()?.to_string()));
            } else {
                fields.push(self.field()?);
            }
        }
    }

    /// `x=1`
    fn field(&mut self) -> Option<(String, String)> {
        let name = self.name()?;
        Some((name, self.value()?))
    }

    /// Whether a `name=` is here.
    fn at_name(&self) -> bool {
        Parser { text: self.text, at: self.at, depth: self.depth }.name().is_some()
    }

    fn name(&mut self) -> Option<String> {
        let name = match self.peek()? {
            '\'' | '"' => self.literal()?,
            _ => {
                let name = self.take_while(|c| c == '_' || c == '.' || c.is_alphanumeric());
                is_variable(name).then(|| name.to_owned())?
            }
        };
        self.expect("=")?;
        Some(name)
    }

    /// Whether `… 9 more` is here.
    fn at_more(&self) -> bool {
        let number = self.rest().strip_prefix("… ");
        number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    }

    fn more(&mut self) -> Option<u64> {
        self.expect("… ")?;
        let more = self.take_while(|c| c.is_ascii_digit()).parse().ok()?;
        self.expect(" more")?;
        Some(more)
    }

    /// A str's text, with `…` where it was cut.
    fn str(&mut self) -> Option<String> {
        let mut text = self.literal()?;
        if self.cut("characters")? {
            text.push('…');
        }
        Some(text)
    }

    /// Whether `… (9 characters)` is here; nothing if it is there but wrong.
    fn cut(&mut self, unit: &str) -> Option<bool> {
        if !self.eat("… (") {
            return Some(false);
        }
        self.take_while(|c| c.is_ascii_digit()).parse::<u64>().ok()?;
        self.expect(" ")?;
        self.expect(unit)?;
        self.expect(")")?;
        Some(true)
    }

    /// What stands in quotes.
    fn literal(&mut self) -> Option<String> {
        let quote = self.peek()?;
        self.at += quote.len_utf8();
        let mut text = String::new();
        loop {
            let c = self.peek()?;
            self.at += c.len_utf8();
            match c {
                c if c == quote => return Some(text),
                '\\' => text.push(self.escaped()?),
                c if c < ' ' => return None,
                c => text.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        let digits = match c {
            '\\' | '\'' | '"' => return Some(c),
            'n' => return Some('\n'),
            't' => return Some('\t'),
            'r' => return Some('\r'),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return None,
        };
        let number = self.rest().get(..digits)?;
        if !number.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        self.at += digits;
        let point = u32::from_str_radix(number, 16).ok()?;
        match point {
            0xd800..=0xdfff => Some(char::REPLACEMENT_CHARACTER),
            point => char::from_u32(point),
        }
    }
}

#[cfg(test)]
mod tests;
