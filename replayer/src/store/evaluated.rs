//! How a code object is evaluated: its instructions, and the source they are for.

use super::{Code, Process, Store};
use dashcam_schema::bytecode::evaluation::Evaluation;
use dashcam_schema::bytecode::opcodes::Version;
use dashcam_schema::bytecode::spans::Spans;
use dashcam_schema::chunk::code_xxh3;
use rusqlite::{Connection, OptionalExtension as _};

/// `co_flags`: the last arguments are `*args` and `**kwargs`.
const VARARGS: i64 = 4;
const VARKEYWORDS: i64 = 8;

/// How a code object is evaluated.
pub struct Evaluated {
    pub evaluation: Evaluation,
    pub spans: Spans,
    /// `co_names`, if the code binds any of them.
    pub names: Box<[Box<str>]>,
    /// Plain name, such as `total`.
    pub name: Box<str>,
    pub kind: Box<str>,
    pub first_line: u32,
    flags: i64,
}

impl Evaluated {
    /// Whether there is a `*args`.
    pub fn has_varargs(&self) -> bool {
        self.flags & VARARGS != 0
    }

    /// Whether there is a `**kwargs`.
    pub fn has_varkeywords(&self) -> bool {
        self.flags & VARKEYWORDS != 0
    }

    /// Whether calling it makes a generator or coroutine.
    pub fn suspends(&self) -> bool {
        matches!(&*self.kind, "generator" | "coroutine" | "async_generator")
    }
}

impl Store {
    /// How a process's code object is evaluated; `None` if there is no such code object, or it
    /// cannot be read.
    pub fn evaluated(&self, process: &Process, code: u32) -> Option<&Evaluated> {
        let code = &self.directory.codes[*process.codes.get(&code)?];
        let version = Version::from_magic(process.magic?)?;
        self.directory.once(&code.evaluated, || read(&self.connection, code, version))
    }
}

fn read(db: &Connection, code: &Code, version: Version) -> rusqlite::Result<Option<Evaluated>> {
    let sql = "SELECT first_line, line_table, bytecode, exception_table, code_xxh3,
                      names, name, kind, flags
               FROM main.code_objects WHERE code_id = ?";
    let read = db.prepare_cached(sql)?.query_row([code.code_id], |row| {
        let blob = |column: usize| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_blob()?);
        let (lines, bytecode, exceptions) = (blob(1)?, blob(2)?, blob(3)?);
        let (first_line, hash): (u32, i64) = (row.get(0)?, row.get(4)?);
        if hash != code_xxh3(first_line, [lines, bytecode, exceptions]) {
            return Ok(None);
        }
        let names: String = row.get(5)?;
        let (name, kind): (String, String) = (row.get(6)?, row.get(7)?);
        Ok(Some(Evaluated {
            evaluation: Evaluation::new(version, bytecode, exceptions),
            spans: Spans::decode(lines, first_line),
            names: serde_json::from_str(&names).unwrap_or_default(),
            name: name.into(),
            kind: kind.into(),
            first_line,
            flags: row.get(8)?,
        }))
    });
    Ok(read.optional()?.flatten())
}
