//! Completes a statement: tables, columns, functions and keywords.

use super::shell::COMMANDS;
use dashcam_replayer::sql::FUNCTIONS;
use dashcam_schema::tables::{self, TABLES, Table};
use regex::Regex;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The largest number of candidates. A longer list is not useful.
const CANDIDATES_MAX: usize = 200;

const KEYWORDS: &[&str] = &[
    "ALL",
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COLLATE",
    "CROSS",
    "CURRENT",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "ESCAPE",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FILTER",
    "FOLLOWING",
    "FROM",
    "FULL",
    "GLOB",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "INTERSECT",
    "IS",
    "ISNULL",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MATERIALIZED",
    "NATURAL",
    "NOT",
    "NOTNULL",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PLAN",
    "PRECEDING",
    "QUERY",
    "RANGE",
    "RECURSIVE",
    "REGEXP",
    "RIGHT",
    "ROW",
    "ROWS",
    "SELECT",
    "THEN",
    "UNBOUNDED",
    "UNION",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// The words that can be completed.
pub(super) struct Words {
    /// SQLite's own functions and ours.
    functions: BTreeSet<String>,
}

impl Words {
    pub(super) fn new(connection: &Connection) -> Words {
        let read = connection.prepare("SELECT DISTINCT name FROM pragma_function_list").and_then(
            |mut statement| statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>(),
        );
        let mut functions: BTreeSet<String> = read.unwrap_or_default();
        functions.extend(FUNCTIONS.iter().map(|function| function.name.to_owned()));
        functions.retain(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()));
        Words { functions }
    }

    /// Returns where the word at the end of the text begins, and what it can be completed to.
    pub(super) fn complete(&self, text: &str) -> (usize, Vec<String>) {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let start = text.trim_end_matches(is_part).len();
        let (before, word) = text.split_at(start);
        let first = before.trim_start();
        if first.starts_with('.') {
            let (start, candidates) = of_command(text);
            return (start, chosen(candidates, &text[start..]));
        }
        if is_quoted(before) {
            return (start, Vec::new());
        }
        let candidates = match before.strip_suffix('.') {
            Some(before) => {
                let start = before.trim_end_matches(is_part).len();
                columns_of(&before[start..], text)
            }
            None => self.all(text, word),
        };
        (start, chosen(candidates, word))
    }

    fn all(&self, text: &str, word: &str) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        // Columns of the tables that the statement names come first.
        let mut named: Vec<&Table> = users().filter(|table| names(text, table.name)).collect();
        if named.is_empty() {
            named = users().collect();
        }
        let columns: BTreeSet<&str> =
            named.iter().flat_map(|table| table.columns).map(|column| column.name).collect();
        all.extend(columns.into_iter().map(str::to_owned));
        all.extend(users().map(written));
        all.extend(self.functions.iter().map(|name| format!("{name}(")));
        let is_lower = word.chars().all(|c| !c.is_uppercase());
        all.extend(KEYWORDS.iter().map(|keyword| match is_lower {
            true => keyword.to_ascii_lowercase(),
            false => (*keyword).to_owned(),
        }));
        let mut seen = BTreeSet::new();
        all.retain(|candidate| seen.insert(candidate.clone()));
        all
    }
}

/// The candidates that begin with a word.
fn chosen(mut candidates: Vec<String>, word: &str) -> Vec<String> {
    let lower = word.to_lowercase();
    candidates.retain(|candidate| candidate.to_lowercase().starts_with(&lower));
    candidates.retain(|candidate| candidate != word);
    candidates.truncate(CANDIDATES_MAX);
    candidates
}

/// Completes commands and their arguments.
fn of_command(text: &str) -> (usize, Vec<String>) {
    let start = text.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let command = text.split_whitespace().next().filter(|_| start > 0);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let candidates = match command {
        None => COMMANDS
            .iter()
            .map(|(name, arguments, _)| match arguments.is_empty() {
                true => (*name).to_owned(),
                false => format!("{name} "),
            })
            .collect(),
        Some(".schema") => users().map(|table| table.name.to_owned()).collect(),
        Some(".mode") => words(&["table", "csv", "json", "jsonl"]),
        Some(".run") => words(&["all"]),
        Some(_) => Vec::new(),
    };
    (start, candidates)
}

fn users() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().filter(|table| !table.is_internal)
}

/// The text of a table in a statement: with a bracket if it has arguments.
fn written(table: &Table) -> String {
    format!("{}{}", table.name, if table.has_arguments() { "(" } else { "" })
}

/// Whether a statement names a table.
fn names(text: &str, table: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|word| word.eq_ignore_ascii_case(table))
}

/// The columns of the name before a dot, which is a table or its alias.
fn columns_of(name: &str, text: &str) -> Vec<String> {
    static ALIAS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)\b(\w+)\s*(?:\([^()]*\))?\s+(?:as\s+)?(\w+)").ok());
    let lower = name.to_ascii_lowercase();
    let table = tables::find(&lower).or_else(|| {
        let mut found = ALIAS.iter().flat_map(|alias| alias.captures_iter(text));
        found.find_map(|found| {
            let table = tables::find(&found[1].to_ascii_lowercase());
            table.filter(|_| found[2].eq_ignore_ascii_case(name))
        })
    });
    // If the alias is not defined yet, all columns are candidates.
    let columns: BTreeSet<&str> = match table {
        Some(table) => table.columns.iter().map(|column| column.name).collect(),
        None => users().flat_map(|table| table.columns).map(|column| column.name).collect(),
    };
    columns.into_iter().map(str::to_owned).collect()
}

/// Whether a text ends within quotes or a comment.
fn is_quoted(text: &str) -> bool {
    super::statement::end(text) == super::statement::End::Within
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(text: &str) -> (String, Vec<String>) {
        let connection = Connection::open_in_memory().unwrap();
        let (start, found) = Words::new(&connection).complete(text);
        (text[..start].to_owned(), found)
    }

    #[test]
    fn tables_columns_functions_and_keywords() {
        assert_eq!(complete("sele").1, ["select"]);
        assert_eq!(complete("SELE").1, ["SELECT"]);
        assert!(complete("select * from call").1.contains(&"calls".to_owned()));
        assert!(complete("select * from call").1.contains(&"call_tree(".to_owned()));
        assert!(complete("select medi").1.contains(&"median(".to_owned()));
        assert!(
            complete("select jso").1.contains(&"json_each".to_owned())
                || complete("select jso").1.iter().any(|name| name.starts_with("json"))
        );
        let (before, found) = complete("select c.dura from calls c where c.dura");
        assert_eq!(before, "select c.dura from calls c where c.");
        assert_eq!(found, ["duration_ns"]);
        assert_eq!(complete("select c.dura").1, ["duration_ns"]);
        assert_eq!(complete("select * from variables where val").1[0], "value");
        assert_eq!(complete("select 'cal").1, Vec::<String>::new());
    }

    #[test]
    fn columns_of_a_function_by_its_name() {
        let (_, found) = complete("select * from call_tree(1, 2) t where t.lev");
        assert_eq!(found, ["level"]);
    }

    #[test]
    fn commands() {
        assert_eq!(complete(".sch").1, [".schema "]);
        assert_eq!(complete(".qu").1, [".quit"]);
        assert_eq!(complete(".mode js").1, ["json", "jsonl"]);
        assert!(complete(".schema cal").1.contains(&"calls".to_owned()));
    }
}
