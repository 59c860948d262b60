//! Values taken apart, from the text that [`super::render`] writes.
//!
//! From the text, so that what a user sees in a column is what can be taken apart: queries get at
//! values without a second way of reading chunks.

use super::render::is_variable;

/// Values within values. A value that is rendered is at most so deep: each level of objects is up to
/// three here, as in `<app.D object #1 deque([`.
pub(super) const DEPTH_MAX: usize = 3 * super::render::DEPTH_MAX + 10;

/// A value, and the part of the text it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed<'a> {
    pub text: &'a str,
    pub node: Node<'a>,
}

/// Names, and what they name. The name `…` is that of [`Node::More`].
pub type Named<'a> = Vec<(String, Parsed<'a>)>;

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    None,
    True,
    False,
    /// `Ellipsis`, which is not `...`
    Ellipsis,
    NotImplemented,
    /// Decimal or hexadecimal. If it was cut, with its length in characters.
    Int {
        kept: &'a str,
        length: Option<u64>,
    },
    /// `nan` and `inf` as well.
    Float,
    Complex,
    /// Lone surrogates are U+FFFD in `kept`; `literal` has them. If it was cut, with its length.
    Str {
        kept: String,
        literal: &'a str,
        length: Option<u64>,
    },
    /// If it was cut, with its length.
    Bytes {
        literal: &'a str,
        length: Option<u64>,
    },
    List(Vec<Parsed<'a>>),
    Tuple(Vec<Parsed<'a>>),
    /// Not the empty one.
    Set(Vec<Parsed<'a>>),
    /// A key that is [`Node::More`] has itself for its value.
    Dict(Vec<(Parsed<'a>, Parsed<'a>)>),
    /// `frozenset({1})`, `ValueError('bad')`
    Call {
        name: &'a str,
        args: Vec<Parsed<'a>>,
        named: Named<'a>,
    },
    /// `<app.Point object #17 x=1>`, with what it holds besides attributes.
    Instance {
        class: String,
        id: u64,
        held: Option<Box<Parsed<'a>>>,
        attributes: Named<'a>,
    },
    /// A member of an enumeration, `<Color.RED: 1>`; without a name, flags of which none is set.
    Member {
        class: &'a str,
        name: Option<&'a str>,
        value: Box<Parsed<'a>>,
    },
    /// What has a name or a mark only: `<function f>`, `[...]`, `…`, `datetime.timezone.utc`
    Mark,
    /// `… 9 more`, among what is there.
    More(u64),
}

/// Takes a value apart; nothing if the text is not one of [`super::render`].
pub fn value(text: &str) -> Option<Parsed<'_>> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let value = parser.value()?;
    (parser.at == text.len()).then_some(value)
}

/// Takes named values apart, such as a call's arguments: `a=1, b='x'`.
pub fn arguments(text: &str) -> Option<Named<'_>> {
    Parser { text, at: 0, depth: 0 }.fields(", ", "")
}

/// Whether a text is that of named values, of which there may be none.
pub fn is_arguments(text: &str) -> bool {
    let parser = Parser { text, at: 0, depth: 0 };
    text.is_empty() || parser.at_name() || parser.at_more()
}

/// Whether it is the JSON of a number, of which Python's are a part.
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

/// Whether it is the name of a module's constant: `datetime.timezone.utc`.
fn is_constant(word: &str) -> bool {
    word.contains('.') && word.split('.').all(is_variable)
}

fn is_constant_or_hex(word: &str) -> bool {
    is_constant(word) || is_hexadecimal(word)
}

/// What stands between braces.
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

    /// The value here.
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

    /// Values up to the bracket that closes them.
    fn unnamed(&mut self, close: &str) -> Option<Vec<Parsed<'a>>> {
        let (values, named) = self.values(close)?;
        named.is_empty().then_some(values)
    }

    /// Values up to the bracket that closes them, and apart from them those that are named.
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

    /// What follows a name and `(`.
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

    fn more(&mut self) -> Option<Parsed<'a>> {
        let begin = self.at;
        self.expect("… ")?;
        let more = self.take_while(|c| c.is_ascii_digit()).parse().ok()?;
        self.expect(" more")?;
        Some(Parsed { text: &self.text[begin..self.at], node: Node::More(more) })
    }

    /// A str's text, with `…` where it was cut.
    fn str(&mut self) -> Option<String> {
        let mut text = self.literal()?;
        if self.cut("characters")?.is_some() {
            text.push('…');
        }
        Some(text)
    }

    /// The length in `… (9 characters)`, if that is here; nothing if it is there but wrong.
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
