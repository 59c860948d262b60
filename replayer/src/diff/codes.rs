//! Finds which code objects of two runs are the same.
//!
//! Code objects are the same if path, qualified name and first line are. A path that only one run
//! has is paired with one of the other run that has the same source and file name, because a
//! checkout may be elsewhere. If the source changed, lines have moved, so code objects with the
//! same name are paired in their order. If the bytecode of a code object changed, its instructions
//! cannot be compared, only what it calls.

use super::hash::{mix, text};
use crate::store::mine::{glob, is_stdlib};
use crate::store::{Error, Store};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Code that is left out, as if it had not been recorded.
#[derive(Debug, Clone, Default)]
pub struct Exclude {
    /// Globs of paths or qualified names. A pattern without `*` and `?` is the name of a directory
    /// or file in the path, a qualified name or the beginning of one.
    pub patterns: Vec<String>,
    /// Leave out the standard library.
    pub stdlib: bool,
}

impl Exclude {
    fn has(&self, path: &str, qualname: &str) -> bool {
        // Whether a module is compiled or loaded depends on what is on the disk.
        path.starts_with("<frozen importlib")
            || self.stdlib && is_stdlib(path)
            || self.patterns.iter().any(|pattern| is_like(pattern, path, qualname))
    }
}

fn is_like(pattern: &str, path: &str, qualname: &str) -> bool {
    if pattern.contains(['*', '?']) {
        return glob(pattern, path) || glob(pattern, qualname);
    }
    let has_part = path.split('/').any(|part| part.strip_suffix(".py").unwrap_or(part) == pattern);
    let is_name =
        qualname.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    has_part || is_name || path == pattern || path.rsplit('/').next() == Some(pattern)
}

/// What the comparison needs to know of a code object.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Code {
    /// A hash that identifies the code object in both runs.
    pub(super) key: u64,
    /// Its bytecode is different in the other run.
    pub(super) is_changed: bool,
    pub(super) is_excluded: bool,
}

/// The code objects of one run, by index in the directory.
pub(super) type Codes = Vec<Code>;

/// A row of `code_objects`.
struct Row {
    /// Index in the directory.
    index: usize,
    path: String,
    qualname: String,
    first_line: i64,
    sha256: Option<String>,
    /// Hash of the bytecode.
    bytecode: u64,
}

/// The code objects of two runs, and the paths whose source differs.
pub(super) fn pair(
    (a, run_a): (&Store, i64),
    (b, run_b): (&Store, i64),
    exclude: &Exclude,
) -> Result<(Codes, Codes, Vec<String>), Error> {
    let (rows_a, mut rows_b) = (rows(a, run_a)?, rows(b, run_b)?);
    let files = |rows: &[Row]| -> BTreeMap<String, Option<String>> {
        rows.iter().map(|row| (row.path.clone(), row.sha256.clone())).collect()
    };
    let (files_a, files_b) = (files(&rows_a), files(&rows_b));
    let moved = moved(&files_a, &files_b);
    for row in &mut rows_b {
        if let Some(path) = moved.get(&row.path) {
            row.path.clone_from(path);
        }
    }
    let files_b = files(&rows_b);
    let changed: Vec<String> = files_a
        .iter()
        .filter(|(path, sha)| {
            let other = files_b.get(*path);
            sha.is_some() && other.is_some_and(|other| other.is_some() && other != *sha)
        })
        .map(|(path, _)| path.clone())
        .collect();
    let known = |rows: &[Row]| -> FxHashMap<(u64, u64), ()> {
        let keys = keys(rows, &changed);
        keys.iter().zip(rows).map(|(key, row)| ((*key, row.bytecode), ())).collect()
    };
    let (known_a, known_b) = (known(&rows_a), known(&rows_b));
    let codes = |store: &Store, rows: &[Row], other: &FxHashMap<(u64, u64), ()>| {
        let others: rustc_hash::FxHashSet<u64> = other.keys().map(|(key, _)| *key).collect();
        let mut codes = vec![Code::default(); store.directory().codes.len()];
        for (row, key) in rows.iter().zip(keys(rows, &changed)) {
            codes[row.index] = Code {
                key,
                is_changed: others.contains(&key) && !other.contains_key(&(key, row.bytecode)),
                is_excluded: exclude.has(&row.path, &row.qualname),
            };
        }
        codes
    };
    Ok((codes(a, &rows_a, &known_b), codes(b, &rows_b, &known_a), changed))
}

fn rows(store: &Store, run_id: i64) -> Result<Vec<Row>, Error> {
    let index: FxHashMap<i64, usize> =
        store.directory().codes.iter().enumerate().map(|(at, code)| (code.code_id, at)).collect();
    let sql = "SELECT code_id, c.path, qualname, first_line, sha256, bytecode, exception_table
               FROM code_objects c LEFT JOIN files USING (file_id)
               WHERE run_id = ? ORDER BY c.path, qualname, first_line, code_id";
    let read = || -> rusqlite::Result<Vec<Row>> {
        let mut statement = store.connection().prepare(sql)?;
        let mut rows = statement.query([run_id])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let Some(index) = index.get(&row.get(0)?) else { continue };
            let lossy = |column: usize| -> rusqlite::Result<String> {
                let bytes = row.get_ref(column)?.as_bytes_or_null().ok().flatten();
                Ok(String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned())
            };
            let bytes = |column: usize| -> rusqlite::Result<u64> {
                let bytes = row.get_ref(column)?.as_bytes_or_null().ok().flatten();
                Ok(super::hash::bytes(bytes.unwrap_or_default()))
            };
            found.push(Row {
                index: *index,
                path: lossy(1)?,
                qualname: lossy(2)?,
                first_line: row.get(3).unwrap_or(0),
                sha256: row.get(4).unwrap_or(None),
                bytecode: mix(bytes(5)?, bytes(6)?),
            });
        }
        Ok(found)
    };
    read().map_err(|error| Error::from_sqlite(store.path(), &error))
}

/// Paths of the second run that are paired with other paths of the first.
fn moved(
    a: &BTreeMap<String, Option<String>>,
    b: &BTreeMap<String, Option<String>>,
) -> FxHashMap<String, String> {
    fn name(path: &str) -> &str {
        path.rsplit('/').next().unwrap_or(path)
    }
    let mut unmatched: FxHashMap<(&str, &str), Vec<&str>> = FxHashMap::default();
    for (path, sha) in a.iter().filter(|(path, _)| !b.contains_key(*path)) {
        if let Some(sha) = sha {
            unmatched.entry((sha, name(path))).or_default().push(path);
        }
    }
    let mut moved = FxHashMap::default();
    for (path, sha) in b.iter().filter(|(path, _)| !a.contains_key(*path)) {
        let Some(sha) = sha else { continue };
        let Some(places) = unmatched.get_mut(&(&**sha, name(path))) else { continue };
        // Of several paths, the one with the longest common end: `a/__init__.py` and
        // `b/__init__.py` may have the same source.
        let common = |place: &&str| {
            let parts = place.rsplit('/').zip(path.rsplit('/'));
            parts.take_while(|(a, b)| a == b).count()
        };
        let best = (0..places.len()).max_by_key(|at| (common(&places[*at]), usize::MAX - at));
        if let Some(best) = best {
            moved.insert(path.clone(), places.remove(best).to_owned());
        }
    }
    moved
}

/// A key for each row. Rows are sorted by path, name and line.
fn keys(rows: &[Row], changed: &[String]) -> Vec<u64> {
    let mut keys: Vec<u64> = Vec::with_capacity(rows.len());
    let mut count: FxHashMap<(&str, &str), (u64, i64)> = FxHashMap::default();
    for row in rows {
        let place = match changed.binary_search(&row.path).is_ok() {
            false => row.first_line as u64,
            // The index among the definitions of this name. Definitions on the same line count as
            // one.
            true => {
                let (number, line) =
                    count.entry((&row.path, &row.qualname)).or_insert((0, row.first_line));
                if *line != row.first_line {
                    (*number, *line) = (*number + 1, row.first_line);
                }
                *number
            }
        };
        keys.push(mix(mix(text(&row.path), text(&row.qualname)), place));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::{glob, is_like, is_stdlib};

    #[test]
    fn patterns() {
        assert!(glob("*/app.py", "/a/b/app.py") && !glob("*/app.py", "/a/app.pyc"));
        assert!(glob("a?c*", "abc") && glob("*", "") && !glob("?", ""));
        assert!(is_like("vendored", "/x/vendored/y.py", "f"));
        assert!(is_like("Order", "/x/y.py", "Order.total") && !is_like("Ord", "/x/y.py", "Order"));
        assert!(is_like("y", "/x/y.py", "f") && is_like("y.py", "/x/y.py", "f"));
        assert!(is_stdlib("/usr/lib/python3.13/json/__init__.py"));
        assert!(!is_stdlib("/v/lib/python3.13/site-packages/x.py") && !is_stdlib("/a/x.py"));
    }
}
