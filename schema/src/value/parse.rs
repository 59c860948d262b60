//! Parses the text of values that [`super::render`] writes.
//!
//! The input is the text, so that queries can get the parts of any value that a user sees in a
//! column, without a second way of reading chunks.

use super::render::is_variable;

/// The maximum nesting depth of values. A rendered value is not deeper: each level of objects is up
/// to three levels here, as in `<app.D object #1 deque([`.
pub(super) const DEPTH_MAX: usize = 3 * super::render::DEPTH_MAX + 10;

/// A value, and the part of the text that it was parsed from.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed<'a> {
    pub text: &'a str,
    pub node: Node<'a>,
}

/// Names and their values. The name `…` is that of [`Node::More`].
pub type Named<'a> = Vec<(String, Parsed<'a>)>;

/// The kind and the parts of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    None,
    True,
    False,
    /// `Ellipsis`, which is not `...`
    Ellipsis,
    NotImplemented,
    /// Decimal or hexadecimal; with the length in characters if it was cut.
    Int {
        kept: &'a str,
        length: Option<u64>,
    },
    /// Also `nan` and `inf`.
    Float,
    Complex,
    /// Lone surrogates are U+FFFD in `kept`, but unchanged in `literal`. With the length if it was
    /// cut.
    Str {
        kept: String,
        literal: &'a str,
        length: Option<u64>,
    },
    /// With the length if it was cut.
    Bytes {
        literal: &'a str,
        length: Option<u64>,
    },
    List(Vec<Parsed<'a>>),
    Tuple(Vec<Parsed<'a>>),
    /// A set that is not empty: the empty one is a [`Node::Call`].
    Set(Vec<Parsed<'a>>),
    /// If a key is [`Node::More`], its value is the same.
    Dict(Vec<(Parsed<'a>, Parsed<'a>)>),
    /// `frozenset({1})`, `ValueError('bad')`
    Call {
        name: &'a str,
        args: Vec<Parsed<'a>>,
        named: Named<'a>,
    },
    /// `<app.Point object #17 x=1>`; `held` is what it holds besides attributes.
    Instance {
        class: String,
        id: u64,
        held: Option<Box<Parsed<'a>>>,
        attributes: Named<'a>,
    },
    /// A member of an enumeration, `<Color.RED: 1>`. It has no name if it is a flags object without
    /// flags.
    Member {
        class: &'a str,
        name: Option<&'a str>,
        value: Box<Parsed<'a>>,
    },
    /// A text without parts: `<function f>`, `[...]`, `…`, `datetime.timezone.utc`
    Mark,
    /// `… 9 more`, among items or attributes.
    More(u64),
}

/// Parses a value; `None` if the text is not one that [`super::render`] writes.
pub fn value(text: &str) -> Option<Parsed<'_>> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let value = parser.value()?;
    (parser.at == text.len()).then_some(value)
}

/// Parses named values, such as a call's arguments: `a=1, b='x'`.
pub fn arguments(text: &str) -> Option<Named<'_>> {
    Parser { text, at: 0, depth: 0 }.fields(", ", "")
}

/// Whether a text begins like one of named values, of which there may be none.
pub fn is_arguments(text: &str) -> bool {
    let parser = Parser { text, at: 0, depth: 0 };
    text.is_empty() || parser.at_name() || parser.at_more()
}

/// Whether a text is a number in JSON. Finite decimal numbers as Python prints them are.
pub(super) fn is_number(text: &str) -> bool {
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

/// Whether a text is an int or float without its sign, including the floats that JSON does not
/// have.
fn is_part(text: &str) -> bool {
    matches!(text, "inf" | "nan") || (!text.starts_with('-') && is_number(text))
}

/// Whether a text is the part of a complex between its parentheses, or a complex without
/// parentheses.
fn is_complex(text: &str) -> bool {
    let Some(text) = text.strip_suffix('j') else { return false };
    let text = text.strip_prefix('-').unwrap_or(text);
    // The sign between the two parts is not the sign of an exponent.
    let between = text.match_indices(['+', '-']).map(|(at, _)| at);
    let mut between = between.filter(|at| !text[..*at].ends_with('e'));
    match between.next() {
        None => is_part(text),
        Some(at) => is_part(&text[..at]) && is_part(&text[at + 1..]),
    }
}

/// Whether a text is a hexadecimal int.
fn is_hexadecimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).strip_prefix("0x");
    digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// Whether a text is the name of a module's constant: `datetime.timezone.utc`.
fn is_constant(word: &str) -> bool {
    word.contains('.') && word.split('.').all(is_variable)
}

fn is_constant_or_hex(word: &str) -> bool {
    is_constant(word) || is_hexadecimal(word)
}

/// The contents of braces.
enum Items<'a> {
    Values(Vec<Parsed<'a>>),
    Pairs(Vec<(Parsed<'a>, Parsed<'a>)>),
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

    /// Parses the value at the current position.
    fn value(&mut self) -> Option<Parsed<'a>> {
        if self.depth >= DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let begin = self.at;
        let node = self.node();
        self.depth -= 1;
        node.map(|node| Parsed { text: &self.text[begin..self.at], node })
    }

    fn node(&mut self) -> Option<Node<'a>> {
        let begin = self.at;
        if ["[...]", "(...)", "{...}", "...", "…"].into_iter().any(|shown| self.eat(shown)) {
            return Some(Node::Mark);
        }
        match self.peek()? {
            '\'' | '"' => {
                let kept = self.literal()?;
                let literal = &self.text[begin..self.at];
                Some(Node::Str { kept, literal, length: self.cut("characters")? })
            }
            '[' => {
                self.at += 1;
                self.unnamed("]").map(Node::List)
            }
            '(' => self.tuple(),
            '{' => {
                self.at += 1;
                Some(match self.set_or_dict()? {
                    Items::Values(items) => Node::Set(items),
                    Items::Pairs(pairs) => Node::Dict(pairs),
                })
            }
            '<' => self.angle(),
            '-' | '0'..='9' => self.number(),
            'b' if self.rest().starts_with("b'") || self.rest().starts_with("b\"") => {
                self.at += 1;
                self.literal()?;
                let literal = &self.text[begin..self.at];
                Some(Node::Bytes { literal, length: self.cut("bytes")? })
            }
            _ => self.word(),
        }
    }

    /// `None`, `nan`, `ValueError('bad')`
    fn word(&mut self) -> Option<Node<'a>> {
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
            "None" => Some(Node::None),
            "True" => Some(Node::True),
            "False" => Some(Node::False),
            "Ellipsis" => Some(Node::Ellipsis),
            "NotImplemented" => Some(Node::NotImplemented),
            "nan" | "inf" => Some(Node::Float),
            "nanj" | "infj" => Some(Node::Complex),
            _ => {
                // `re.IGNORECASE|re.DOTALL`
                let mut is_constant = is_constant(word);
                while is_constant && self.eat("|") {
                    let next = self.take_while(|c| c == '_' || c == '.' || c.is_alphanumeric());
                    is_constant = is_constant_or_hex(next);
                }
                is_constant.then_some(Node::Mark)
            }
        }
    }

    /// `<Color.RED: 1>`
    fn member(&mut self) -> Option<Node<'a>> {
        self.expect("<")?;
        let head =
            self.take_while(|c| !matches!(c, ':' | '<' | '>' | '\'' | '"' | '=' | ';' | '('));
        self.expect(": ")?;
        let value = Box::new(self.value()?);
        self.expect(">")?;
        let (class, name) = match head.split_once('.') {
            Some((class, name)) => (class, Some(name)),
            None => (head, None),
        };
        is_variable(class).then_some(Node::Member { class, name, value })
    }

    fn number(&mut self) -> Option<Node<'a>> {
        let mut last = ' ';
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
        if is_hexadecimal(word) || (is_number(word) && !word.contains(['.', 'e'])) {
            return Some(Node::Int { kept: word, length: self.cut("characters")? });
        }
        match word {
            _ if is_number(word) => Some(Node::Float),
            "-inf" => Some(Node::Float),
            _ => is_complex(word).then_some(Node::Complex),
        }
    }

    fn tuple(&mut self) -> Option<Node<'a>> {
        self.at += 1;
        let (inside, _) = self.rest().split_once(')')?;
        if inside.contains(['+', '-']) && is_complex(inside) {
            self.at += inside.len() + 1;
            return Some(Node::Complex);
        }
        self.unnamed(")").map(Node::Tuple)
    }

    /// Parses values up to the closing bracket. None of them may have a name.
    fn unnamed(&mut self, close: &str) -> Option<Vec<Parsed<'a>>> {
        let (values, named) = self.values(close)?;
        named.is_empty().then_some(values)
    }

    /// Parses values up to the closing bracket. Returns those without and those with names.
    fn values(&mut self, close: &str) -> Option<(Vec<Parsed<'a>>, Named<'a>)> {
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
                values.push(self.more()?);
            } else if self.at_name() {
                named.push(self.field()?);
            } else {
                values.push(self.value()?);
            }
        }
        Some((values, named))
    }

    fn set_or_dict(&mut self) -> Option<Items<'a>> {
        let (mut values, mut pairs) = (Vec::new(), Vec::new());
        while !self.eat("}") {
            if !(values.is_empty() && pairs.is_empty()) {
                self.expect(", ")?;
            }
            if self.at_more() {
                let more = self.more()?;
                match values.is_empty() {
                    true => pairs.push((more.clone(), more)),
                    false => values.push(more),
                }
                continue;
            }
            let value = self.value()?;
            if self.eat(": ") {
                pairs.push((value, self.value()?));
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

    /// Parses the rest of a call after its name and `(`.
    fn call(&mut self, name: &'a str) -> Option<Node<'a>> {
        let is_name = name.split('.').all(|part| {
            is_variable(part.strip_prefix('<').and_then(|p| p.strip_suffix('>')).unwrap_or(part))
        });
        if !is_name {
            return None;
        }
        let (args, named) = self.values(")")?;
        Some(Node::Call { name, args, named })
    }

    /// `<app.Point object #17 x=1>`, `<function f>`
    fn angle(&mut self) -> Option<Node<'a>> {
        let begin = self.at;
        if let Some((name, id)) = self.head() {
            return self.instance(name, id);
        }
        self.at = begin;
        if let Some(member) = self.member() {
            return Some(member);
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
                return Some(Node::Mark);
            }
        }
    }

    /// `<app.Point object #17`, the beginning of an instance and of nothing else.
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

    /// Parses the rest of an instance after its head.
    fn instance(&mut self, class: String, id: u64) -> Option<Node<'a>> {
        let (mut held, mut attributes) = (None, Vec::new());
        if !self.eat(">") {
            self.expect(" ")?;
            if !self.at_name() && !self.at_more() {
                held = Some(Box::new(self.value()?));
                if !self.rest().starts_with('>') {
                    self.expect(" ")?;
                }
            }
            attributes = self.fields(" ", ">")?;
        }
        Some(Node::Instance { class, id, held, attributes })
    }

    /// `x=1 y=2>`, or `x=1, y=2` up to the end of the text.
    fn fields(&mut self, between: &str, close: &str) -> Option<Named<'a>> {
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
                fields.push(("…".to_owned(), self.more()?));
            } else {
                fields.push(self.field()?);
            }
        }
    }

    /// `x=1`
    fn field(&mut self) -> Option<(String, Parsed<'a>)> {
        let name = self.name()?;
        Some((name, self.value()?))
    }

    /// Whether `name=` is at the current position.
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

    /// Whether `… 9 more` is at the current position.
    fn at_more(&self) -> bool {
        let number = self.rest().strip_prefix("… ");
        number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    }

    fn more(&mut self) -> Option<Parsed<'a>> {
        let begin = self.at;
        self.expect("… ")?;
        let more = self.take_while(|c| c.is_ascii_digit()).parse().ok()?;
        self.expect(" more")?;
        Some(Parsed { text: &self.text[begin..self.at], node: Node::More(more) })
    }

    /// Parses a str. Returns its text, followed by `…` if it was cut.
    fn str(&mut self) -> Option<String> {
        let mut text = self.literal()?;
        if self.cut("characters")?.is_some() {
            text.push('…');
        }
        Some(text)
    }

    /// Parses the length in `… (9 characters)`. Returns `Some(None)` if there is no such text here,
    /// and `None` if it is malformed.
    fn cut(&mut self, unit: &str) -> Option<Option<u64>> {
        if !self.eat("… (") {
            return Some(None);
        }
        let length = self.take_while(|c| c.is_ascii_digit()).parse().ok()?;
        self.expect(" ")?;
        self.expect(unit)?;
        self.expect(")")?;
        Some(Some(length))
    }

    /// Parses a text in quotes.
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
