//! Query plans: what SQLite asks of a scan, what a table takes over, and how a plan gets from
//! planning to scanning, as the text and number that SQLite carries from `xBestIndex` to `xFilter`.

use dashcam_schema::tables::Type;

/// How a column is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    Eq,
    /// One of several values, all handed over at once.
    In,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
    Glob,
}

const OPS: [(u8, Op); 8] = [
    (b'=', Op::Eq),
    (b'i', Op::In),
    (b'<', Op::Lt),
    (b'l', Op::Le),
    (b'>', Op::Gt),
    (b'g', Op::Ge),
    (b'~', Op::Like),
    (b'*', Op::Glob),
];

/// A value to compare with.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob,
}

/// A constraint that SQLite offers.
#[derive(Debug)]
pub struct Constraint {
    pub column: usize,
    pub op: Op,
    /// Whether the right side is certainly a text. Only then is a text column compared as text: in
    /// a comparison with a numeric column, SQLite converts the text.
    pub is_text: bool,
    /// The right side, if it is known to be an integer.
    pub integer: Option<i64>,
    /// Whether texts are compared bytewise, as the tables here do.
    pub is_binary: bool,
    /// Whether the table tests it. Set by [`Request::take`].
    pub taken: bool,
    /// Whether SQLite need not test it again.
    pub omit: bool,
}

/// What SQLite asks in `xBestIndex`, and the table's answer.
pub struct Request {
    pub constraints: Vec<Constraint>,
    /// Columns to sort by, and whether descending.
    pub order_by: Vec<(usize, bool)>,
    /// A bit for each column that is read.
    pub used: u64,
    /// How many of the passing rows are wanted, in the wanted order, if that is known.
    pub limit: Option<u64>,

    pub flags: Flags,
    /// Set if the scan produces only the rows that come first by a column.
    pub top: Option<Top>,
    pub order_consumed: bool,
    /// The table cannot be read with these constraints. SQLite has to find another plan or give up.
    pub is_refused: bool,
    pub cost: f64,
    pub rows: f64,
}

/// A number of rows that come first by a column, or last with [`Flags::DESCENDING`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Top {
    pub rows: u64,
    pub column: usize,
}

/// Bits that a plan passes to its scan.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Flags(pub i32);

impl Flags {
    /// Rows in descending order.
    pub const DESCENDING: Flags = Flags(1);
    /// Rows grouped by kind.
    pub const BY_KIND: Flags = Flags(2);
    /// Rows grouped by thread.
    pub const BY_THREAD: Flags = Flags(4);
    /// Rows grouped by code object.
    pub const BY_CODE: Flags = Flags(8);
    /// Rows grouped by any of these.
    pub const GROUPED: Flags = Flags(Flags::BY_KIND.0 | Flags::BY_THREAD.0 | Flags::BY_CODE.0);

    pub fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }
}

impl Request {
    /// Takes over all comparisons with `column`. `equal` and `range` are the shares of the rows
    /// that are expected to pass.
    ///
    /// Integers are compared exactly as SQLite does, whatever the type of the other side, so SQLite
    /// need not test them again. Texts are too, if the other side is a text and the collation is
    /// bytewise.
    pub fn take(&mut self, column: usize, r#type: Type, equal: f64, range: f64) {
        let compares = |c: &&mut Constraint| !matches!(c.op, Op::Like | Op::Glob);
        let constraints = self.constraints.iter_mut().filter(|c| c.column == column);
        for constraint in constraints.filter(compares) {
            let is_set = matches!(constraint.op, Op::Eq | Op::In);
            match r#type {
                Type::Integer => constraint.omit = true,
                _ if !is_set || !constraint.is_binary => continue,
                _ => constraint.omit = constraint.is_text && constraint.op == Op::Eq,
            }
            constraint.taken = true;
            let share = match constraint.op {
                Op::Eq => equal,
                Op::In => (4.0 * equal).min(1.0),
                _ => range,
            };
            self.rows *= share;
        }
    }

    /// Marks the patterns that `column` has to match as taken. SQLite tests them again.
    pub fn take_patterns(&mut self, column: usize) {
        let is_pattern = |c: &&mut Constraint| matches!(c.op, Op::Like | Op::Glob);
        let constraints = self.constraints.iter_mut().filter(|c| c.column == column);
        for constraint in constraints.filter(is_pattern) {
            constraint.taken = true;
            self.rows *= 0.25;
        }
    }

    /// Whether a taken constraint fixes this column to one value.
    pub fn is_fixed(&self, column: usize) -> bool {
        self.constraints.iter().any(|c| c.column == column && c.op == Op::Eq && c.taken)
    }

    /// Takes over sorting by a column and a small LIMIT, if no other constraint decides on the
    /// rows.
    pub fn take_top(&mut self, columns: &[usize], rows_max: u64) {
        let [(column, descending)] = self.order_by[..] else { return };
        let is_all = self.constraints.iter().all(|constraint| constraint.omit);
        if let Some(rows) = self.limit.filter(|rows| *rows <= rows_max)
            && is_all
            && columns.contains(&column)
        {
            self.top = Some(Top { rows, column });
            self.flags = if descending { Flags::DESCENDING } else { Flags::default() };
            self.order_consumed = true;
        }
    }

    /// Returns the text for `idxStr`: the columns used, the number of rows of [`Request::top`] and
    /// their column, then two bytes for each taken constraint.
    pub fn encode(&self) -> String {
        let Top { rows, column } = self.top.unwrap_or(Top { rows: 0, column: 0 });
        let mut text = format!("{:016x}{rows:016x}{column:02x}", self.used);
        for constraint in self.constraints.iter().filter(|c| c.taken) {
            let op = OPS.iter().find(|(_, op)| *op == constraint.op).map_or(b'=', |(c, _)| *c);
            text.push(char::from(b'a' + constraint.column as u8));
            text.push(char::from(op));
        }
        text
    }
}

/// What a scan has to produce.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub used: u64,
    pub flags: Flags,
    pub top: Option<Top>,
    /// Column, operator, and the values to compare with: one, or any number for [`Op::In`].
    pub constraints: Vec<(usize, Op, Vec<Value>)>,
}

impl Plan {
    /// Whether a column is read.
    pub fn uses(&self, column: usize) -> bool {
        self.used >> column & 1 == 1
    }
}

/// The contents of a text that [`Request::encode`] has written.
#[derive(Debug, PartialEq)]
pub struct Encoded {
    pub used: u64,
    pub top: Option<Top>,
    /// Column and operator of each argument.
    pub arguments: Vec<(usize, Op)>,
}

/// The inverse of [`Request::encode`].
pub fn decode(text: &str) -> Option<Encoded> {
    let (used, rest) = text.split_at_checked(16)?;
    let (rows, rest) = rest.split_at_checked(16)?;
    let (column, rest) = rest.split_at_checked(2)?;
    let pairs = rest.as_bytes().as_chunks::<2>().0.iter().map(|[column, op]| {
        let op = OPS.iter().find(|(c, _)| c == op)?.1;
        Some((usize::from(column.checked_sub(b'a')?), op))
    });
    let rows = u64::from_str_radix(rows, 16).ok()?;
    let column = usize::from_str_radix(column, 16).ok()?;
    Some(Encoded {
        used: u64::from_str_radix(used, 16).ok()?,
        top: (rows > 0).then_some(Top { rows, column }),
        arguments: pairs.collect::<Option<_>>()?,
    })
}
