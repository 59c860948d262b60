//! Looks up names among the globals of a frame.
//!
//! A recording has the variables of frames. A global is bound by the module's code, or by a
//! function of the module that declares the name `global`. All these bindings are recorded, and the
//! last one gives the value. The value is certain only if no other module has the same code, and
//! nothing else can have bound the name:
//!
//! - The file's code ran as a module exactly once.
//! - No source text of the run sets an attribute of that name, except of `self` and `cls`, or sets
//!   it by its name in quotes (`setattr`, `patch`, `globals()`): the attribute may be the module's.

use super::error::InspectError;
use super::snapshot::Snapshot;
use crate::state::{Handle, Unbound};
use crate::store::Error;
use rusqlite::OptionalExtension as _;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// A run and a name, or a process and a path.
type Key = (i64, Box<str>);

/// By run and name: where the name is set as an attribute, if anywhere. Kept while the recording is
/// open.
#[derive(Default)]
struct SetElsewhere(RefCell<FxHashMap<Key, Option<String>>>);

/// A row of `code_objects`.
struct Code {
    path: String,
    kind: String,
}

impl Snapshot<'_> {
    /// The value that a name is bound to among the globals of the frame.
    pub(super) fn global(&self, name: &str) -> Result<Handle, InspectError> {
        let frame = self.graph().frame();
        let code = self.code(frame.process_id, frame.code)?;
        let is_module = code.as_ref().is_some_and(|code| code.kind == "module");
        let mut globals = self.variables().iter().filter(|named| named.scope == "global");
        let own = globals.find(|named| *named.name == *name);
        let mut others = self.graph().others().filter(|(_, scope, _)| *scope == "global");
        let unbound = others.find(|(other, ..)| *other == name).map(|(.., why)| why);
        let Some(code) = code else { return Err(self.unknown_name(name, std::iter::empty())) };
        // The values of the running frame include what other frames have bound.
        if self.depth == 0 {
            match (own, unbound) {
                (Some(own), _) => return self.known(own.value, name),
                (None, Some(Unbound::Unbound)) => {
                    return Err(InspectError::Missing(format!("{name} is not bound here")));
                }
                (None, Some(Unbound::Unknown)) if is_module => {
                    return Err(InspectError::Unknown(format!("{name} was not recorded")));
                }
                _ => {}
            }
        }
        let binders = self.binders(frame.process_id, &code.path)?;
        let mut binding = binders.functions(name);
        if is_module && binding.is_empty() {
            return match own {
                Some(own) => self.known(own.value, name),
                None => Err(match unbound {
                    Some(Unbound::Unbound) => {
                        InspectError::Missing(format!("{name} is not bound here"))
                    }
                    Some(Unbound::Unknown) => {
                        InspectError::Unknown(format!("{name} was not recorded"))
                    }
                    None => self.unknown_name(name, std::iter::empty()),
                }),
            };
        }
        if !binders.binds(name) {
            return Err(self.unknown_name(name, binders.names.iter().map(|name| &**name)));
        }
        let uncertain = |why: &str| {
            InspectError::Unknown(format!(
                "{name} is a global, and its value here is not certain: {why}"
            ))
        };
        let [module] = binders.modules[..] else {
            return Err(uncertain(&format!("{} is the code of several modules", code.path)));
        };
        if code.path.starts_with('<') || !self.ran_once(frame.process_id, module)? {
            return Err(uncertain(&format!(
                "{} may have run as a module more than once",
                code.path
            )));
        }
        if let Some(place) = self.set_elsewhere(name)? {
            return Err(uncertain(&format!("{place} may have set it from outside")));
        }
        binding.push(module);
        let at = (self.run_id, self.seq);
        match self.state.last_binding(self.graph(), at, &binding, name)? {
            Some(last) => match last.value {
                Some(value) => self.known(value, name),
                None => Err(InspectError::Missing(format!("{name} is not bound here"))),
            },
            None => Err(InspectError::Unknown(format!("{name} was not recorded"))),
        }
    }

    /// Whether the frame or its module has a variable of this name, bound or not.
    pub(super) fn stores(&self, name: &str) -> bool {
        let own = self.variables().iter().any(|named| *named.name == *name)
            || self.graph().others().any(|(other, ..)| other == name);
        let frame = self.graph().frame();
        let in_module = || {
            let code = self.code(frame.process_id, frame.code).ok().flatten();
            let binders = code.map(|code| self.binders(frame.process_id, &code.path));
            // If the binders cannot be read, the module may have the variable.
            binders.is_none_or(|binders| binders.map_or(true, |binders| binders.binds(name)))
        };
        own || in_module()
    }

    /// Whether the frame runs the body of a class.
    pub(super) fn is_class_body(&self) -> bool {
        let frame = self.graph().frame();
        let code = self.code(frame.process_id, frame.code);
        code.is_ok_and(|code| code.is_some_and(|code| code.kind == "class"))
    }

    fn explain(&self, error: &rusqlite::Error) -> InspectError {
        Error::from_sqlite(self.store.path(), error).into()
    }

    fn code(&self, process_id: i64, number: u32) -> Result<Option<Code>, InspectError> {
        let sql = "SELECT path, kind FROM main.code_objects WHERE process_id = ? AND number = ?";
        let read = || {
            let mut statement = self.store.connection().prepare_cached(sql)?;
            let row = statement.query_row([process_id, number.into()], |row| {
                Ok(Code { path: row.get(0)?, kind: row.get(1)? })
            });
            row.optional()
        };
        read().map_err(|error| self.explain(&error))
    }

    /// The code objects of a file that bind globals.
    fn binders(&self, process_id: i64, path: &str) -> Result<Rc<Binders>, InspectError> {
        let known = self.store.keep::<KnownBinders>();
        let key = (process_id, Box::from(path));
        if let Some(found) = known.0.borrow().get(&key) {
            return Ok(found.clone());
        }
        let sql = "SELECT number, kind FROM main.code_objects
                   WHERE process_id = ? AND path = ? AND names <> '[]' ORDER BY number";
        let read = || -> rusqlite::Result<Vec<(u32, String)>> {
            let mut statement = self.store.connection().prepare_cached(sql)?;
            let rows = statement.query_map(rusqlite::params![process_id, path], |row| {
                Ok((row.get(0)?, row.get(1)?))
            });
            rows?.collect()
        };
        let mut found = Binders::default();
        let process = self.store.directory().processes.get(&process_id);
        for (number, kind) in read().map_err(|error| self.explain(&error))? {
            let variables = process.and_then(|process| self.store.variables(process, number));
            let slots = variables.map_or(&[][..], |variables| variables.stores.all());
            let globals = slots.iter().filter_map(|slot| {
                let variables = variables?;
                variables.name(*slot).filter(|_| variables.scope(*slot) == "global")
            });
            if kind == "module" {
                found.modules.push(number);
                found.names.extend(globals.map(Into::into));
            } else {
                found.functions.extend(globals.map(|global| (global.into(), number)));
            }
        }
        let found = Rc::new(found);
        known.0.borrow_mut().insert(key, found.clone());
        Ok(found)
    }

    /// Whether a code object was entered exactly once.
    fn ran_once(&self, process_id: i64, number: u32) -> Result<bool, InspectError> {
        let sql = "SELECT sum(count) FROM main.event_counts JOIN main.code_objects USING (code_id)
                   WHERE event_counts.process_id = ? AND number = ?
                     AND event_counts.kind = 'PY_START'";
        let read = || -> rusqlite::Result<Option<i64>> {
            let mut statement = self.store.connection().prepare_cached(sql)?;
            statement.query_row([process_id, number.into()], |row| row.get(0))
        };
        Ok(read().map_err(|error| self.explain(&error))? == Some(1))
    }

    /// The first place where a source text of the run sets an attribute of this name, or sets the
    /// name in another way than by binding it.
    fn set_elsewhere(&self, name: &str) -> Result<Option<String>, InspectError> {
        let known = self.store.keep::<SetElsewhere>();
        let key = (self.run_id, Box::from(name));
        if let Some(found) = known.0.borrow().get(&key) {
            return Ok(found.clone());
        }
        let sql = "SELECT path, source FROM main.files WHERE file_id IN
                       (SELECT file_id FROM main.code_objects WHERE run_id = ?)
                     AND instr(source, ?) > 0 ORDER BY file_id";
        let read = || -> rusqlite::Result<Option<String>> {
            let mut statement = self.store.connection().prepare_cached(sql)?;
            let mut rows = statement.query(rusqlite::params![self.run_id, name])?;
            while let Some(row) = rows.next()? {
                let source: String = row.get(1)?;
                if let Some(line) = source.lines().position(|line| sets(line, name)) {
                    let path: String = row.get(0)?;
                    return Ok(Some(format!("line {} of {path}", line + 1)));
                }
            }
            Ok(None)
        };
        let found = read().map_err(|error| self.explain(&error))?;
        known.0.borrow_mut().insert(key, found.clone());
        Ok(found)
    }
}

/// The numbers of the code objects of a file that bind globals.
#[derive(Default)]
struct Binders {
    modules: Vec<u32>,
    /// Names that the modules bind.
    names: Vec<Box<str>>,
    /// Names that functions declare `global` and bind, each with the code object.
    functions: Vec<(Box<str>, u32)>,
}

impl Binders {
    /// The code objects other than the module's that bind a name.
    fn functions(&self, name: &str) -> Vec<u32> {
        let of_name = self.functions.iter().filter(|(bound, _)| **bound == *name);
        of_name.map(|(_, code)| *code).collect()
    }

    fn binds(&self, name: &str) -> bool {
        let mut names = self.names.iter().chain(self.functions.iter().map(|(name, _)| name));
        names.any(|bound| **bound == *name)
    }
}

/// By process and path. Kept while the recording is open.
#[derive(Default)]
struct KnownBinders(RefCell<FxHashMap<Key, Rc<Binders>>>);

/// Whether a line of source may set a name of a module in another way than by binding it there.
fn sets(line: &str, name: &str) -> bool {
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        if before.ends_with(is_word) || after.starts_with(is_word) {
            return false;
        }
        if after.starts_with(['\'', '"']) && before.ends_with(['\'', '"', '.']) {
            let ways = ["setattr", "patch", "globals", "__dict__", "vars("];
            return ways.iter().any(|way| line.contains(way));
        }
        let Some(of) = before.strip_suffix('.') else { return false };
        let base = of.rfind(|c| !is_word(c)).map_or(of, |at| &of[at + 1..]);
        if matches!(base, "self" | "cls") && !of.trim_end_matches(base).ends_with('.') {
            return false;
        }
        let after = after.trim_start();
        let operator =
            after.trim_start_matches(['+', '-', '*', '/', '%', '&', '|', '^', '@', '<', '>']);
        let is_augmented = operator.len() < after.len();
        let is_compared = operator.starts_with("==")
            || (is_augmented && after.starts_with(['<', '>']) && after.len() - operator.len() == 1);
        operator.starts_with('=') && !is_compared
    })
}

#[cfg(test)]
mod tests {
    use super::sets;

    #[test]
    fn lines_that_may_set_a_name_from_outside() {
        for line in [
            "config.LIMIT = 3",
            "app.config.LIMIT += 1",
            "self.config.LIMIT=2",
            "app.LIMIT <<= 1",
            "setattr(config, 'LIMIT', 3)",
            "monkeypatch.setattr(\"app.config.LIMIT\", 3)",
            "globals()['LIMIT'] = 3",
        ] {
            assert!(sets(line, "LIMIT"), "{line}");
        }
        for line in [
            "LIMIT = 3",
            "x = config.LIMIT",
            "if config.LIMIT == 3:",
            "if config.LIMIT <= 3:",
            "if config.LIMIT >= 3:",
            "self.LIMIT = 3",
            "config.LIMITS = 3",
            "config.MY_LIMIT = 3",
            "__all__ = ['LIMIT']",
            "print(f'{config.LIMIT}')",
        ] {
            assert!(!sets(line, "LIMIT"), "{line}");
        }
    }
}
