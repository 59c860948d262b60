//! Rewrites statements that only count rows into statements about groups of rows.
//!
//! `SELECT kind, count(*) FROM events GROUP BY kind` becomes `SELECT kind, sum(rows_in_group) FROM
//! grouped_events(…) AS events GROUP BY kind` ([`crate::tables::Groups`]). This happens before
//! SQLite prepares the statement, because SQLite does not tell a virtual table that its rows are
//! only counted.
//!
//! The answer must be the same in every case, so only statements that are understood completely are
//! rewritten: any expression that is not listed here leaves the statement unchanged. The same holds
//! if the table cannot test a condition alone: then the new statement cannot be prepared, and the
//! old one is used.

mod expressions;

use crate::tables::{COUNT_NAME, COUNTABLE, call};
use dashcam_schema::tables::{Column, Type};
use expressions::{Expressions, is_name, literal, parsed};
use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, Ident, InTarget, JoinConstraint, JoinOperator,
    OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    UnaryOperator, VisitMut as _, VisitorMut, visit_expressions,
};
use sqlparser::dialect::SQLiteDialect;
use sqlparser::parser::{Parser, ParserOptions};
use std::ops::ControlFlow;

/// Returns the statement about groups that gives the same rows; `None` if there is none. `names`
/// are the names of the statement's columns. If there is a `run_id`, the statement is about that
/// run only. With `leaves_conditions`, the table has to test conditions with constants. Otherwise
/// SQLite tests them, and rows are grouped by the columns in them.
pub(super) fn of_groups(
    sql: &str,
    names: &[&str],
    run_id: Option<i64>,
    leaves_conditions: bool,
) -> Option<String> {
    let mut statements = parser(sql)?.parse_statements().ok()?;
    let [Statement::Query(query)] = &mut statements[..] else { return None };
    let mut rewriter =
        Rewriter { sql, names, run_id, leaves_conditions, depth: 0, has_changed: false };
    match query.visit(&mut rewriter) {
        ControlFlow::Continue(()) if rewriter.has_changed => Some(query.to_string()),
        _ => None,
    }
}

/// A parser of SQL text. It leaves doubled quotes within quotes as they are: if two quotes next to
/// each other were unescaped, they would be written as one.
fn parser(sql: &str) -> Option<Parser<'static>> {
    let options = ParserOptions::new().with_unescape(false);
    Parser::new(&SQLiteDialect {}).with_options(options).try_with_sql(sql).ok()
}

struct Rewriter<'a> {
    sql: &'a str,
    names: &'a [&'a str],
    run_id: Option<i64>,
    leaves_conditions: bool,
    /// The depth of nested queries, including the current one.
    depth: usize,
    has_changed: bool,
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        // A statement in which WITH redefines one of our tables is left unchanged.
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        let is_ours = |name: &Ident| COUNTABLE.iter().any(|table| is_name(name, table.name));
        match tables.into_iter().any(|table| is_ours(&table.alias.name)) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        let names = if self.depth == 0 { Some(self.names) } else { None };
        match &mut *query.body {
            // The first few distinct rows are found without reading everything.
            SetExpr::Select(select)
                if select.distinct.is_some()
                    && query.limit_clause.is_some()
                    && query.order_by.is_none() => {}
            SetExpr::Select(select) => self.select(select, query.order_by.as_mut(), names),
            other => self.each_select(other, names),
        }
        // A column without an alias is named after its text, which changes if counts in it are
        // rewritten.
        if let (SetExpr::Select(select), Some(names), true) =
            (&mut *query.body, names, self.has_changed)
            && select.projection.len() == names.len()
        {
            let before = select.projection.clone();
            let _ = self.name(&before, &mut select.projection, Some(names));
        }
        ControlFlow::Continue(())
    }
}

impl Rewriter<'_> {
    /// The parts of a UNION and the like, which have no order of their own.
    fn each_select(&mut self, part: &mut SetExpr, names: Option<&[&str]>) {
        match part {
            SetExpr::Select(select) => self.select(select, None, names),
            SetExpr::SetOperation { left, right, .. } => {
                self.each_select(left, names);
                self.each_select(right, names);
            }
            _ => {}
        }
    }

    fn select(
        &mut self,
        select: &mut Select,
        order_by: Option<&mut OrderBy>,
        names: Option<&[&str]>,
    ) {
        let mut copies = (select.clone(), order_by.as_deref().cloned());
        let done = Counting::of(&copies.0).and_then(|mut counting| {
            counting.leaves_conditions = self.leaves_conditions;
            counting.rewrite(&mut copies.0, copies.1.as_mut(), self.run_id)?;
            self.name(&select.projection, &mut copies.0.projection, names)
        });
        if done.is_some() {
            *select = copies.0;
            if let (Some(order_by), Some(copy)) = (order_by, copies.1) {
                *order_by = copy;
            }
            self.has_changed = true;
        }
    }

    /// Gives columns the names that they had before.
    fn name(
        &self,
        before: &[SelectItem],
        after: &mut [SelectItem],
        names: Option<&[&str]>,
    ) -> Option<()> {
        for (at, (before, item)) in before.iter().zip(after).enumerate() {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            let name = match (names, before) {
                (Some(names), _) => (*names.get(at)?).to_owned(),
                (
                    None,
                    SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)),
                ) => {
                    continue;
                }
                // SQLite names the column after its text in the statement.
                (None, before) => {
                    Some(before.to_string()).filter(|name| self.sql.contains(name))?
                }
            };
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: Ident::with_quote('"', name.replace('"', "\"\"")),
            };
        }
        Some(())
    }
}

/// A table whose rows can be counted in groups.
pub(super) struct Counted {
    pub(super) columns: &'static [Column],
    /// Columns that rows can be grouped by.
    keys: &'static [usize],
    /// The name of the table of its groups.
    groups: &'static str,
    /// The name that qualifies the table's columns.
    pub(super) alias: Ident,
}

/// A SELECT that counts the rows of one table.
struct Counting {
    table: Counted,
    /// The table's part of FROM, and its join in that part; `None` if it is the first of the part.
    at: (usize, Option<usize>),
    expressions: Expressions,
    leaves_conditions: bool,
    /// The columns of conditions that the table has to test, one entry per constraint.
    filters: Vec<usize>,
}

impl Counting {
    fn of(select: &Select) -> Option<Counting> {
        let mut found = None;
        for (part, from) in select.from.iter().enumerate() {
            let joined = from.joins.iter().enumerate().map(|(at, join)| (Some(at), &join.relation));
            for (join, factor) in std::iter::once((None, &from.relation)).chain(joined) {
                let (name, alias) = plain(factor)?;
                let is_it = |table: &&crate::tables::CountableTable| is_name(name, table.name);
                let Some(table) = COUNTABLE.iter().find(is_it) else { continue };
                if found.is_some() {
                    return None;
                }
                let (keys, groups) = (table.keys, table.groups);
                let columns = dashcam_schema::tables::find(table.name)?.columns;
                let table = Counted { columns, keys, groups, alias: alias.clone() };
                found = Some((table, (part, join)));
            }
        }
        let (table, at) = found?;
        // Rows that an outer join adds are counted too, but belong to no group.
        let is_first = at == (0, None);
        let joins = select.from.iter().flat_map(|from| &from.joins);
        let may_join = |join: &JoinOperator| match join {
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => true,
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => is_first,
            _ => false,
        };
        let expressions = Expressions::new(table.columns, table.alias.clone());
        let all = joins.map(|join| &join.join_operator).all(may_join);
        all.then_some(Counting {
            table,
            at,
            expressions,
            leaves_conditions: true,
            filters: Vec::new(),
        })
    }

    fn rewrite(
        mut self,
        select: &mut Select,
        order_by: Option<&mut OrderBy>,
        run_id: Option<i64>,
    ) -> Option<()> {
        let is_distinct = match &select.distinct {
            None => false,
            Some(Distinct::Distinct) => true,
            Some(_) => return None,
        };
        let GroupByExpr::Expressions(group_by, modifiers) = &select.group_by else { return None };
        let has_groups = !group_by.is_empty();
        if !modifiers.is_empty() || select.qualify.is_some() || !select.named_window.is_empty() {
            return None;
        }
        self.expressions.may_be_empty = !has_groups;
        let groups = self.group_by(group_by.clone(), &select.projection)?;

        // Outside of aggregates, selected expressions have to be equal in all rows of a group.
        for (at, item) in select.projection.iter_mut().enumerate() {
            let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item
            else {
                return None;
            };
            self.expressions.is_grouped = groups.items.contains(&at);
            self.expressions.visit(expr)?;
        }
        self.expressions.is_grouped = false;
        if let Some(having) = &mut select.having {
            self.expressions.visit(having)?;
        }
        if let Some(order_by) = order_by {
            let OrderByKind::Expressions(order) = &mut order_by.kind else { return None };
            for order in order {
                self.expressions.visit(&mut order.expr)?;
            }
        }
        let is_counting = has_groups || self.expressions.has_aggregate;
        if !is_counting && !is_distinct {
            return None;
        }
        if is_counting {
            let columns = std::mem::take(&mut self.expressions.bare);
            let is_same = |name: &(Option<Ident>, Ident)| self.is_same(select, &groups, name);
            columns.iter().all(is_same).then_some(())?;
        }

        self.expressions.is_grouped = true;
        for join in select.from.iter_mut().flat_map(|from| &mut from.joins) {
            let (JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::CrossJoin(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)) = &mut join.join_operator
            else {
                return None;
            };
            match constraint {
                JoinConstraint::On(expr) => self.tested_by_sqlite(expr)?,
                JoinConstraint::Using(names) => {
                    for name in names {
                        self.expressions.column(None, name.0.first()?.as_ident()?)?;
                    }
                }
                JoinConstraint::None => {}
                JoinConstraint::Natural | JoinConstraint::UsingAlias(..) => return None,
            }
        }
        if let Some(selection) = &mut select.selection {
            self.conditions(selection)?;
        }
        let alias = self.table.alias.clone();
        if let Some(run_id) = run_id {
            let of_run = parsed(&format!("{alias}.run_id = {run_id}"))?;
            self.filters.push(self.table.columns.iter().position(|c| c.name == "run_id")?);
            select.selection = Some(match select.selection.take() {
                None => of_run,
                Some(before) => Expr::BinaryOp {
                    left: Box::new(Expr::Nested(Box::new(before))),
                    op: BinaryOperator::And,
                    right: Box::new(of_run),
                },
            });
        }
        let keys = self.expressions.keys;
        let may_be_key =
            |column: usize| keys >> column & 1 == 0 || self.table.keys.contains(&column);
        if !(0..self.table.columns.len()).all(may_be_key) {
            return None;
        }
        let filters = self.filters.iter().filter(|column| keys >> **column & 1 == 0).count();
        let (part, join) = self.at;
        let from = &mut select.from[part];
        let factor = match join {
            None => &mut from.relation,
            Some(join) => &mut from.joins[join].relation,
        };
        *factor = table(&format!("{} AS {alias}", call(self.table.groups, keys, filters)))?;
        Some(())
    }

    /// The columns that a GROUP BY names: of tables, and of the result.
    fn group_by(&mut self, group_by: Vec<Expr>, projection: &[SelectItem]) -> Option<GroupedBy> {
        let mut groups = GroupedBy::default();
        self.expressions.is_grouped = true;
        for mut expr in group_by {
            let alias = |item: &SelectItem| match (item, &expr) {
                (SelectItem::ExprWithAlias { alias, .. }, Expr::Identifier(name)) => {
                    is_name(name, &alias.value)
                }
                (
                    SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. },
                    expr,
                ) => *item == *expr,
                _ => false,
            };
            if let Some(number) = literal(&expr) {
                groups.items.push(number.parse::<usize>().ok()?.checked_sub(1)?);
            } else {
                groups.items.extend(projection.iter().position(alias));
            }
            self.expressions.visit(&mut expr)?;
            groups.columns.extend(expressions::name(&expr));
        }
        for item in &groups.items {
            let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) =
                projection.get(*item)?
            else {
                return None;
            };
            groups.columns.extend(expressions::name(expr));
        }
        // Grouping by an aggregate is an error, which SQLite reports.
        (!self.expressions.has_aggregate).then_some(groups)
    }

    /// Whether a column is equal in all rows of a group: because it is grouped by, or because it
    /// belongs to the single row of another table that a column grouped by refers to.
    fn is_same(
        &self,
        select: &Select,
        groups: &GroupedBy,
        (table, column): &(Option<Ident>, Ident),
    ) -> bool {
        let is_grouped = |name: &Ident| groups.columns.iter().any(|(_, c)| is_name(c, &name.value));
        if is_grouped(column) {
            return true;
        }
        let is_alias = |item: &SelectItem| match item {
            SelectItem::ExprWithAlias { alias, .. } => is_name(alias, &column.value),
            _ => false,
        };
        if table.is_none() && select.projection.iter().any(is_alias) {
            return true;
        }
        let ours = self.table.columns.iter().any(|ours| is_name(column, ours.name));
        let is_ours = match table {
            Some(table) => is_name(table, &self.table.alias.value),
            None => ours,
        };
        if is_ours {
            return false;
        }
        let joins = select.from.iter().flat_map(|from| &from.joins);
        let mut others = joins.filter_map(|join| {
            let (name, alias) = plain(&join.relation)?;
            let declared = dashcam_schema::tables::find(&name.value.to_ascii_lowercase())?;
            let has = declared.columns.iter().any(|c| is_name(column, c.name));
            let is_it = table.as_ref().is_none_or(|table| is_name(table, &alias.value));
            (has && is_it).then_some((declared, join))
        });
        let (Some((declared, join)), None) = (others.next(), others.next()) else { return false };
        let key = declared.columns.iter().find(|c| c.constraint == "PRIMARY KEY");
        let (JoinOperator::Join(JoinConstraint::Using(names))
        | JoinOperator::Inner(JoinConstraint::Using(names))
        | JoinOperator::Left(JoinConstraint::Using(names))
        | JoinOperator::LeftOuter(JoinConstraint::Using(names))) = &join.join_operator
        else {
            return false;
        };
        key.is_some_and(|key| {
            let mut names = names.iter().filter_map(|name| name.0.first()?.as_ident());
            names.any(|name| is_name(name, key.name) && is_grouped(name))
        })
    }

    /// Leaves conditions to the table if it can test them. The columns of other conditions become
    /// keys.
    fn conditions(&mut self, expr: &mut Expr) -> Option<()> {
        match expr {
            Expr::Nested(inner) => self.conditions(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.conditions(left)?;
                self.conditions(right)
            }
            other => match self.decided_by_table(other).filter(|_| self.leaves_conditions) {
                Some((column, constraints)) => {
                    self.filters.extend(std::iter::repeat_n(column, constraints));
                    Some(())
                }
                None => self.tested_by_sqlite(other),
            },
        }
    }

    /// Adds a condition that SQLite tests. SQLite must not split an OR into several scans: it
    /// merges their rows by rowid, and groups have none.
    fn tested_by_sqlite(&mut self, expr: &mut Expr) -> Option<()> {
        self.expressions.visit(expr)?;
        let has_or = visit_expressions(expr, |part| match part {
            Expr::BinaryOp { op: BinaryOperator::Or, .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        if has_or.is_break() {
            *expr = Expr::UnaryOp {
                op: UnaryOperator::Plus,
                expr: Box::new(Expr::Nested(Box::new(expr.clone()))),
            };
        }
        Some(())
    }

    /// For a comparison of a column with constants: the column, and the number of constraints that
    /// SQLite makes of it.
    fn decided_by_table(&self, expr: &Expr) -> Option<(usize, usize)> {
        let of_type = |expr: &Expr, wanted| {
            let (table, name) = expressions::name(expr)?;
            let column = self.expressions.find(table.as_ref(), &name)??;
            (self.table.columns[column].r#type == wanted).then_some(column)
        };
        let is_number = |expr: &Expr| expressions::is_number(expr);
        match expr {
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right }
                if expressions::is_text(right) =>
            {
                Some((of_type(left, Type::Text)?, 1))
            }
            Expr::BinaryOp {
                left,
                op:
                    BinaryOperator::Eq
                    | BinaryOperator::Lt
                    | BinaryOperator::LtEq
                    | BinaryOperator::Gt
                    | BinaryOperator::GtEq,
                right,
            } if is_number(right) => Some((of_type(left, Type::Integer)?, 1)),
            Expr::Between { expr, negated: false, low, high }
                if is_number(low) && is_number(high) =>
            {
                Some((of_type(expr, Type::Integer)?, 2))
            }
            Expr::In { expr, target: InTarget::List(list), negated: false, .. }
                if !list.is_empty() && list.iter().all(is_number) =>
            {
                Some((of_type(expr, Type::Integer)?, 1))
            }
            _ => None,
        }
    }
}

/// What the rows are grouped by.
#[derive(Default)]
struct GroupedBy {
    /// Columns of the result, from 0.
    items: Vec<usize>,
    /// Columns of tables, with their qualifiers.
    columns: Vec<(Option<Ident>, Ident)>,
}

/// The name of a table that stands in FROM with at most an alias, and the name that qualifies its
/// columns.
fn plain(factor: &TableFactor) -> Option<(&Ident, &Ident)> {
    let TableFactor::Table { name, alias, args: None, .. } = factor else { return None };
    let [name] = &name.0[..] else { return None };
    let name = name.as_ident()?;
    let alias = alias.as_ref();
    if alias.is_some_and(|alias| !alias.columns.is_empty()) {
        return None;
    }
    Some((name, alias.map_or(name, |alias| &alias.name)))
}

/// Parses a part of FROM.
fn table(text: &str) -> Option<TableFactor> {
    parser(text)?.parse_table_factor().ok()
}

/// The text of the sum of the rows in the groups of a table.
pub(super) fn sum(alias: &Ident, of: Option<&Expr>) -> String {
    match of {
        None => format!("sum({alias}.{COUNT_NAME})"),
        Some(expr) => {
            format!("sum(CASE WHEN {expr} IS NULL THEN 0 ELSE {alias}.{COUNT_NAME} END)")
        }
    }
}
