//! Expressions in a statement that counts: finds the columns that they use, and rewrites counts.

use super::sum;
use dashcam_schema::tables::Column;
use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    InTarget, UnaryOperator, Value, visit_expressions,
};
use std::ops::ControlFlow;

/// Functions of one row that always return the same value for the same arguments.
const FUNCTIONS: &[&str] = &[
    "abs",
    "coalesce",
    "format",
    "glob",
    "hex",
    "ifnull",
    "iif",
    "instr",
    "length",
    "like",
    "lower",
    "ltrim",
    "nullif",
    "printf",
    "quote",
    "replace",
    "round",
    "rtrim",
    "sign",
    "substr",
    "substring",
    "trim",
    "typeof",
    "unicode",
    "upper",
];

/// What is known about the expressions visited so far.
pub(super) struct Expressions {
    columns: &'static [Column],
    alias: Ident,
    /// Columns of the table that rows have to be grouped by, a bit each.
    pub(super) keys: u64,
    /// Columns, of any table, that are used outside of aggregates.
    pub(super) bare: Vec<(Option<Ident>, Ident)>,
    pub(super) has_aggregate: bool,
    /// There may be no row to count, and then the count is 0.
    pub(super) may_be_empty: bool,
    /// The visited expression is not evaluated per group, or is equal in all rows of a group.
    pub(super) is_grouped: bool,
    within_aggregate: bool,
}

impl Expressions {
    pub(super) fn new(columns: &'static [Column], alias: Ident) -> Expressions {
        Expressions {
            columns,
            alias,
            keys: 0,
            bare: Vec::new(),
            has_aggregate: false,
            may_be_empty: false,
            is_grouped: false,
            within_aggregate: false,
        }
    }

    /// The table's column with this name. `Some(None)` if the name may belong to another table or
    /// to a column of the result. `None` if it is not certain what it refers to.
    pub(super) fn find(&self, table: Option<&Ident>, name: &Ident) -> Option<Option<usize>> {
        let found = self.columns.iter().position(|column| is_name(name, column.name));
        match table {
            Some(table) if is_name(table, &self.alias.value) => found.map(Some),
            Some(_) => Some(None),
            None if ["rowid", "_rowid_", "oid"].iter().any(|rowid| is_name(name, rowid)) => None,
            // In double quotes, a name that is not a column is a text.
            None if found.is_none() && name.quote_style == Some('"') => None,
            None => Some(found),
        }
    }

    /// Adds a column that an expression uses.
    pub(super) fn column(&mut self, table: Option<&Ident>, name: &Ident) -> Option<()> {
        if let Some(column) = self.find(table, name)? {
            self.keys |= 1 << column;
        }
        if !self.within_aggregate && !self.is_grouped {
            self.bare.push((table.cloned(), name.clone()));
        }
        Some(())
    }

    /// Visits an expression, and makes its counts sum the rows of groups. `None` if it contains
    /// anything that is not understood.
    pub(super) fn visit(&mut self, expr: &mut Expr) -> Option<()> {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                let (table, name) = name(expr)?;
                self.column(table.as_ref(), &name)
            }
            Expr::Value(_) => literal(expr).map(|_| ()),
            Expr::Nested(inner)
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::UnaryOp { expr: inner, .. }
            | Expr::Cast { expr: inner, .. } => self.visit(inner),
            Expr::BinaryOp { left, right, .. } => {
                self.visit(left)?;
                self.visit(right)
            }
            Expr::Between { expr, low, high, .. } => {
                [expr, low, high].into_iter().try_for_each(|part| self.visit(part))
            }
            Expr::Like { expr, pattern, escape_char: None, .. } => {
                self.visit(expr)?;
                self.visit(pattern)
            }
            Expr::In { expr, target: InTarget::List(list), .. } => {
                self.visit(expr)?;
                list.iter_mut().try_for_each(|item| self.visit(item))
            }
            Expr::Subquery(query) => {
                // It may use the current row. Its own counts were rewritten before.
                let _ = visit_expressions(&**query, |part| {
                    if let Some((table, name)) = name(part)
                        && let Some(Some(column)) = self.find(table.as_ref(), &name)
                    {
                        self.keys |= 1 << column;
                        if !self.within_aggregate && !self.is_grouped {
                            self.bare.push((table, name));
                        }
                    }
                    ControlFlow::<()>::Continue(())
                });
                Some(())
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let ends = operand.iter_mut().chain(else_result);
                ends.map(|part| &mut **part).try_for_each(|part| self.visit(part))?;
                conditions.iter_mut().try_for_each(|when| {
                    self.visit(&mut when.condition)?;
                    self.visit(&mut when.result)
                })
            }
            Expr::Function(_) => self.function(expr),
            _ => None,
        }
    }

    fn function(&mut self, expr: &mut Expr) -> Option<()> {
        let Expr::Function(function) = expr else { return None };
        let Function { name, args: FunctionArguments::List(list), filter, .. } = function else {
            return None;
        };
        let is_usual = function.over.is_none()
            && function.within_group.is_empty()
            && function.null_treatment.is_none()
            && !function.uses_odbc_syntax
            && matches!(function.parameters, FunctionArguments::None)
            && list.clauses.is_empty();
        let [name] = &name.0[..] else { return None };
        let name = name.as_ident()?.value.to_ascii_lowercase();
        if !is_usual {
            return None;
        }
        let is_distinct = match list.duplicate_treatment {
            None => false,
            Some(DuplicateTreatment::Distinct) => true,
            Some(DuplicateTreatment::All) => return None,
        };
        let is_aggregate =
            name == "count" || ["min", "max"].contains(&&*name) && list.args.len() == 1;
        if !is_aggregate && (is_distinct || filter.is_some() || !FUNCTIONS.contains(&&*name)) {
            return None;
        }
        if is_aggregate {
            if self.within_aggregate {
                return None;
            }
            self.has_aggregate = true;
            self.within_aggregate = true;
        }
        let mut counted = None;
        for argument in &mut list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => {
                    self.visit(argument)?;
                    counted = Some(argument.clone());
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "count" => {}
                _ => return None,
            }
        }
        if let Some(filter) = filter {
            self.visit(filter)?;
        }
        if is_aggregate {
            self.within_aggregate = false;
        }
        if name == "count" && !is_distinct {
            if list.args.len() > 1 {
                return None;
            }
            let mut text = sum(&self.alias, counted.as_ref());
            if let Some(filter) = filter {
                text = format!("{text} FILTER (WHERE {filter})");
            }
            if self.may_be_empty || filter.is_some() {
                text = format!("coalesce({text}, 0)");
            }
            *expr = parsed(&text)?;
        }
        Some(())
    }
}

/// The name of a column and its qualifier.
pub(super) fn name(expr: &Expr) -> Option<(Option<Ident>, Ident)> {
    match expr {
        Expr::Identifier(name) => Some((None, name.clone())),
        Expr::CompoundIdentifier(parts) => match &parts[..] {
            [table, name] => Some((Some(table.clone()), name.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// Whether SQLite treats two names as equal.
pub(super) fn is_name(name: &Ident, other: &str) -> bool {
    name.value.eq_ignore_ascii_case(other)
}

/// Parses an expression.
pub(super) fn parsed(text: &str) -> Option<Expr> {
    super::parser(text)?.parse_expr().ok()
}

/// The text of a constant that SQLite reads in the same way.
pub(super) fn literal(expr: &Expr) -> Option<String> {
    let Expr::Value(value) = expr else { return None };
    match &value.value {
        Value::Number(number, false) => Some(number.clone()),
        Value::SingleQuotedString(text) => Some(text.clone()),
        Value::Null => Some(String::new()),
        Value::Placeholder(name) => Some(name.clone()),
        _ => None,
    }
}

/// Whether it is a constant that is compared with a number as a number.
pub(super) fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => {
            matches!(value.value, Value::Number(_, false) | Value::Placeholder(_))
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => is_number(expr),
        _ => false,
    }
}

/// Whether it is certainly a text.
pub(super) fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}
