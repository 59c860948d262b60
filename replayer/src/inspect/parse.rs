//! Parses the supported part of Python's expressions: names, attributes, items, literals, slices,
//! comparisons, `and`, `or`, `not`, `x if y else z`, arithmetic, `len(x)` and `type(x)`.

use super::error::ParseError;
use super::lexer::{Token, error_at, tokens};
use super::path::{Path, PathStep};
use num_bigint::BigInt;
use std::sync::Arc;

/// A parsed expression, which can be evaluated at any position.
#[derive(Debug, Clone)]
pub struct Expression {
    /// The whole parsed text; spans refer to it.
    pub(super) text: Arc<str>,
    pub(super) ast: Ast,
}

#[derive(Debug, Clone)]
pub(super) struct Ast {
    pub(super) kind: Kind,
    /// Begin and end in the text, in bytes.
    pub(super) span: (usize, usize),
    /// Depth of the tree with this node as root.
    depth: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Name(Box<str>),
    None,
    Bool(bool),
    Ellipsis,
    Int(BigInt),
    Float(f64),
    Str(Arc<[u8]>),
    Bytes(Arc<[u8]>),
    Tuple(Vec<Ast>),
    List(Vec<Ast>),
    Attribute(Box<Ast>, Box<str>),
    Item(Box<Ast>, Box<Ast>),
    /// The sequence; start, stop and step.
    Slice(Box<Ast>, Box<[Option<Ast>; 3]>),
    /// The condition, the value if it is true, and the value if it is false.
    If(Box<[Ast; 3]>),
    Len(Box<Ast>),
    Type(Box<Ast>),
    Not(Box<Ast>),
    Negative(Box<Ast>),
    Positive(Box<Ast>),
    Arithmetic(Box<Ast>, Arithmetic, Box<Ast>),
    And(Vec<Ast>),
    Or(Vec<Ast>),
    /// The first operand, and each further operand with the operator before it.
    Compare(Box<Ast>, Vec<(Comparison, Ast)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
    Is,
    IsNot,
}

/// Maximum depth of expressions within expressions. Evaluation recurses as deeply.
const DEPTH_MAX: usize = 100;

const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// If the text is not a supported expression.
    pub fn parse(text: &str) -> Result<Expression, ParseError> {
        let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0 };
        let ast = parser.tuple()?;
        match parser.peek() {
            Token::End => Ok(Expression { text: text.into(), ast }),
            _ => Err(parser.unexpected()),
        }
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        self.shown(&self.ast)
    }

    /// A part of the expression as it was written.
    pub(super) fn shown(&self, ast: &Ast) -> &str {
        self.text.get(ast.span.0..ast.span.1).unwrap_or_default()
    }

    /// The expression as a path, if it is a name followed by attributes and items.
    pub fn path(&self) -> Option<Path> {
        let (mut ast, mut steps, mut ends) = (&self.ast, Vec::new(), Vec::new());
        loop {
            ends.push(ast.span.1);
            ast = match &ast.kind {
                Kind::Name(root) => {
                    steps.reverse();
                    ends.reverse();
                    let begin = ast.span.0;
                    let text = self.text.clone();
                    return Some(Path { root: root.clone(), steps, text, begin, ends });
                }
                Kind::Attribute(of, name) => {
                    steps.push(PathStep::Attribute(name.clone()));
                    of
                }
                Kind::Item(of, key) => {
                    let key = Expression { text: self.text.clone(), ast: (**key).clone() };
                    steps.push(PathStep::Item(key));
                    of
                }
                _ => return None,
            };
        }
    }
}

/// The contents of brackets.
enum Subscript {
    Key(Ast),
    /// Start, stop and step.
    Slice(Box<[Option<Ast>; 3]>),
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Token, usize, usize)>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn current(&self) -> &(Token, usize, usize) {
        // Invariant: the last token is `End`, and `advance` does not go past it.
        &self.tokens[self.at]
    }

    fn peek(&self) -> &Token {
        &self.current().0
    }

    fn begin(&self) -> usize {
        self.current().1
    }

    /// The end of the previous token.
    fn end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |at| self.tokens[at].2)
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn eat(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Token::Sign(found) if *found == sign);
        if is_it {
            self.advance();
        }
        is_it
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.peek(), Token::Name(found) if **found == *word);
        if is_it {
            self.advance();
        }
        is_it
    }

    fn expect(&mut self, sign: &str) -> Result<(), ParseError> {
        match self.eat(sign) {
            true => Ok(()),
            false => Err(self.error(match self.peek() {
                Token::End => format!("{sign} is missing"),
                _ => format!("expected {sign}"),
            })),
        }
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        error_at(self.text, self.begin(), message)
    }

    fn unexpected(&self) -> ParseError {
        let (token, begin, end) = self.current();
        let shown = self.text.get(*begin..*end).unwrap_or_default();
        self.error(match token {
            Token::End if self.at == 0 => "an expression is missing".to_owned(),
            Token::End => "the expression ends too early".to_owned(),
            Token::Sign("=") => "= binds; == compares".to_owned(),
            Token::Sign("**" | "<<" | ">>" | ":=") => format!("{shown} is not computed here"),
            Token::Sign("(") => "only len() and type() can be called: no code is run".to_owned(),
            Token::Sign("{" | "}") => "sets and dicts are not written here".to_owned(),
            Token::Name(word) if KEYWORDS.contains(&&**word) => {
                format!("{word} is not understood here")
            }
            _ => format!("unexpected {shown}"),
        })
    }

    fn make(&self, begin: usize, kind: Kind) -> Result<Ast, ParseError> {
        let deepest = |parts: &[Ast]| parts.iter().map(|ast| ast.depth).max().unwrap_or(0);
        let within = match &kind {
            Kind::Tuple(parts) | Kind::List(parts) | Kind::And(parts) | Kind::Or(parts) => {
                deepest(parts)
            }
            Kind::Attribute(of, _)
            | Kind::Len(of)
            | Kind::Type(of)
            | Kind::Not(of)
            | Kind::Negative(of)
            | Kind::Positive(of) => of.depth,
            Kind::Item(a, b) | Kind::Arithmetic(a, _, b) => a.depth.max(b.depth),
            Kind::Slice(of, parts) => {
                parts.iter().flatten().map(|ast| ast.depth).max().unwrap_or(0).max(of.depth)
            }
            Kind::If(parts) => deepest(&**parts),
            Kind::Compare(first, others) => {
                others.iter().map(|(_, ast)| ast.depth).max().unwrap_or(0).max(first.depth)
            }
            _ => 0,
        };
        match within < DEPTH_MAX {
            true => Ok(Ast { kind, span: (begin, self.end()), depth: within + 1 }),
            false => Err(error_at(self.text, begin, "too deep")),
        }
    }

    /// An expression, or several separated by commas: a tuple.
    fn tuple(&mut self) -> Result<Ast, ParseError> {
        let begin = self.begin();
        let first = self.expression()?;
        if !self.eat(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while !matches!(self.peek(), Token::End | Token::Sign(")" | "]")) {
            items.push(self.expression()?);
            if !self.eat(",") {
                break;
            }
        }
        self.make(begin, Kind::Tuple(items))
    }

    fn expression(&mut self) -> Result<Ast, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("too deep"));
        }
        let found = self.conditional();
        self.depth -= 1;
        found
    }

    /// `x if y else z`
    fn conditional(&mut self) -> Result<Ast, ParseError> {
        let begin = self.begin();
        let then = self.disjunction()?;
        if !self.eat_word("if") {
            return Ok(then);
        }
        let condition = self.disjunction()?;
        if !self.eat_word("else") {
            return Err(self.error("else is missing"));
        }
        let other = self.expression()?;
        self.make(begin, Kind::If(Box::new([condition, then, other])))
    }

    fn subscript(&mut self) -> Result<Subscript, ParseError> {
        let mut parts = [None, None, None];
        let mut at = 0;
        loop {
            if self.eat(":") {
                at += 1;
                if at == 3 {
                    return Err(self.error("a slice has three parts at most"));
                }
            } else if matches!(self.peek(), Token::Sign("]")) && at > 0 {
                return Ok(Subscript::Slice(Box::new(parts)));
            } else if parts[at].is_none() {
                let part = if at == 0 { self.tuple()? } else { self.expression()? };
                if at == 0 && !matches!(self.peek(), Token::Sign(":")) {
                    return Ok(Subscript::Key(part));
                }
                parts[at] = Some(part);
            } else {
                return Err(self.unexpected());
            }
        }
    }

    fn disjunction(&mut self) -> Result<Ast, ParseError> {
        let begin = self.begin();
        let mut parts = vec![self.conjunction()?];
        while self.eat_word("or") {
            parts.push(self.conjunction()?);
        }
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => self.make(begin, Kind::Or(parts)),
        }
    }

    fn conjunction(&mut self) -> Result<Ast, ParseError> {
        let begin = self.begin();
        let mut parts = vec![self.inversion()?];
        while self.eat_word("and") {
            parts.push(self.inversion()?);
        }
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => self.make(begin, Kind::And(parts)),
        }
    }

    /// Any number of `not`, and a comparison.
    fn inversion(&mut self) -> Result<Ast, ParseError> {
        let mut begins = Vec::new();
        loop {
            let begin = self.begin();
            if !self.eat_word("not") {
                break;
            }
            begins.push(begin);
        }
        let mut ast = self.comparison()?;
        for begin in begins.into_iter().rev() {
            ast = self.make(begin, Kind::Not(ast.into()))?;
        }
        Ok(ast)
    }

    fn comparison(&mut self) -> Result<Ast, ParseError> {
        let begin = self.begin();
        let first = self.binary(0)?;
        let mut others = Vec::new();
        while let Some(how) = self.comparison_operator()? {
            others.push((how, self.binary(0)?));
        }
        match others.is_empty() {
            true => Ok(first),
            false => self.make(begin, Kind::Compare(first.into(), others)),
        }
    }

    fn comparison_operator(&mut self) -> Result<Option<Comparison>, ParseError> {
        let how = match self.peek() {
            Token::Sign("==") => Comparison::Equal,
            Token::Sign("!=") => Comparison::NotEqual,
            Token::Sign("<") => Comparison::Less,
            Token::Sign("<=") => Comparison::LessEqual,
            Token::Sign(">") => Comparison::Greater,
            Token::Sign(">=") => Comparison::GreaterEqual,
            Token::Name(word) if **word == *"in" => Comparison::In,
            Token::Name(word) if **word == *"is" => Comparison::Is,
            Token::Name(word) if **word == *"not" => Comparison::NotIn,
            _ => return Ok(None),
        };
        self.advance();
        if how == Comparison::NotIn && !self.eat_word("in") {
            return Err(self.error("expected in after not"));
        }
        let is_not = how == Comparison::Is && self.eat_word("not");
        Ok(Some(if is_not { Comparison::IsNot } else { how }))
    }

    /// Sums at level 0, products at level 1.
    fn binary(&mut self, level: u8) -> Result<Ast, ParseError> {
        let operand = |parser: &mut Self| match level {
            0 => parser.binary(1),
            _ => parser.unary(),
        };
        let begin = self.begin();
        let mut left = operand(self)?;
        loop {
            let how = match (level, self.peek()) {
                (0, Token::Sign("+")) => Arithmetic::Add,
                (0, Token::Sign("-")) => Arithmetic::Subtract,
                (1, Token::Sign("*")) => Arithmetic::Multiply,
                (1, Token::Sign("/")) => Arithmetic::Divide,
                (1, Token::Sign("//")) => Arithmetic::FloorDivide,
                (1, Token::Sign("%")) => Arithmetic::Modulo,
                _ => return Ok(left),
            };
            self.advance();
            let right = operand(self)?;
            left = self.make(begin, Kind::Arithmetic(left.into(), how, right.into()))?;
        }
    }

    fn unary(&mut self) -> Result<Ast, ParseError> {
        let mut signs = Vec::new();
        while let Token::Sign(sign @ ("-" | "+")) = *self.peek() {
            signs.push((self.begin(), sign));
            self.advance();
        }
        let mut ast = self.postfix()?;
        for (begin, sign) in signs.into_iter().rev() {
            let of = ast.into();
            let kind = if sign == "-" { Kind::Negative(of) } else { Kind::Positive(of) };
            ast = self.make(begin, kind)?;
        }
        Ok(ast)
    }

    fn postfix(&mut self) -> Result<Ast, ParseError> {
        let begin = self.begin();
        let mut ast = self.atom()?;
        loop {
            if self.eat(".") {
                let name = match self.peek() {
                    Token::Name(name) if !KEYWORDS.contains(&&**name) => name.clone(),
                    _ => return Err(self.error("the name of an attribute is missing")),
                };
                self.advance();
                ast = self.make(begin, Kind::Attribute(ast.into(), name))?;
            } else if self.eat("[") {
                let key = self.subscript()?;
                self.expect("]")?;
                let kind = match key {
                    Subscript::Slice(parts) => Kind::Slice(ast.into(), parts),
                    Subscript::Key(key) => Kind::Item(ast.into(), key.into()),
                };
                ast = self.make(begin, kind)?;
            } else {
                return Ok(ast);
            }
        }
    }

    fn atom(&mut self) -> Result<Ast, ParseError> {
        let begin = self.begin();
        let kind = match self.peek().clone() {
            Token::Int(value) => Kind::Int(value),
            Token::Float(value) => Kind::Float(value),
            Token::Str(_) | Token::Bytes(_) => return self.strings(begin),
            Token::Name(name) => match &*name {
                "None" => Kind::None,
                "True" => Kind::Bool(true),
                "False" => Kind::Bool(false),
                "len" | "type" if matches!(self.after(), Token::Sign("(")) => {
                    self.advance();
                    self.advance();
                    let of = Box::new(self.expression()?);
                    self.expect(")")?;
                    let kind = if *name == *"len" { Kind::Len(of) } else { Kind::Type(of) };
                    return self.make(begin, kind);
                }
                word if KEYWORDS.contains(&word) => return Err(self.unexpected()),
                _ => Kind::Name(name),
            },
            Token::Sign("(") => return self.parenthesis(begin),
            Token::Sign("[") => {
                self.advance();
                let mut items = Vec::new();
                while !matches!(self.peek(), Token::Sign("]")) {
                    items.push(self.expression()?);
                    if !self.eat(",") {
                        break;
                    }
                }
                self.expect("]")?;
                return self.make(begin, Kind::List(items));
            }
            Token::Sign(".") if self.eat(".") && self.eat(".") && self.eat(".") => {
                return self.make(begin, Kind::Ellipsis);
            }
            Token::Sign(_) | Token::End => return Err(self.unexpected()),
        };
        self.advance();
        self.make(begin, kind)
    }

    fn after(&self) -> &Token {
        self.tokens.get(self.at + 1).map_or(&Token::End, |(token, ..)| token)
    }

    fn parenthesis(&mut self, begin: usize) -> Result<Ast, ParseError> {
        self.advance();
        if self.eat(")") {
            return self.make(begin, Kind::Tuple(Vec::new()));
        }
        let Ast { kind, .. } = self.tuple()?;
        self.expect(")")?;
        // The text of the node includes the parentheses.
        self.make(begin, kind)
    }

    /// Adjacent string literals, which form one.
    fn strings(&mut self, begin: usize) -> Result<Ast, ParseError> {
        let (mut all, mut kind) = (Vec::new(), None);
        loop {
            let (is_bytes, text) = match self.peek() {
                Token::Str(text) => (false, text),
                Token::Bytes(text) => (true, text),
                _ => break,
            };
            if kind.is_some_and(|kind| kind != is_bytes) {
                return Err(self.error("str and bytes do not mix"));
            }
            kind = Some(is_bytes);
            all.extend_from_slice(text);
            self.advance();
        }
        let kind = if kind == Some(true) { Kind::Bytes(all.into()) } else { Kind::Str(all.into()) };
        self.make(begin, kind)
    }
}
