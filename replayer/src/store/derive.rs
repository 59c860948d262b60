//! The bytecode that the events of a derived recording follow from, read when it is first needed.

use super::{Directory, Process, Store, directory};
use dashcam_schema::bytecode::code::Code;
use dashcam_schema::bytecode::lines::{LineTable, NO_LINE};
use dashcam_schema::bytecode::opcodes::Version;
use dashcam_schema::chunk::code_xxh3;
use dashcam_schema::derive::automaton::Codes;
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::BTreeSet;

/// The code objects of one process.
pub(super) struct Bytecode<'a> {
    pub(super) process: &'a Process,
    pub(super) directory: &'a Directory,
    pub(super) connection: &'a Connection,
}

impl Codes for Bytecode<'_> {
    /// `None` also if the row is damaged: the events of the chunk do not add up then.
    fn code(&self, number: u32) -> Option<&Code> {
        let code = &self.directory.codes[*self.process.codes.get(&number)?];
        let version = Version::from_magic(self.process.magic?)?;
        let read = || read(self.connection, code.code_id, version);
        self.directory.once(&code.bytecode, read)
    }
}

impl Store {
    /// The lines of a code object that have a LINE event when they are executed.
    pub fn executable_lines(&self, process: &Process, code: &directory::Code) -> BTreeSet<i64> {
        let version = process.magic.and_then(Version::from_magic);
        let read = || read(&self.connection, code.code_id, version?).ok().flatten();
        let Some(bytecode) = code.bytecode.get_or_init(read) else {
            // The bytecode of this interpreter is not known: take every line that an instruction
            // has.
            let lines = self.lines(code).map_or(&[][..], |table| table.by_unit());
            let lines = lines.iter().filter(|line| ![0, NO_LINE].contains(*line));
            return lines.map(|line| i64::from(*line)).collect();
        };
        let units = bytecode.units().iter().filter(|unit| unit.has_line_event);
        units.map(|unit| i64::from(unit.line)).collect()
    }
}

fn read(db: &Connection, code_id: i64, version: Version) -> rusqlite::Result<Option<Code>> {
    let sql = "SELECT first_line, line_table, bytecode, exception_table, code_xxh3
               FROM main.code_objects WHERE code_id = ?";
    let read = db.prepare_cached(sql)?.query_row([code_id], |row| {
        let blob = |column: usize| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_blob()?);
        let (first_line, lines) = (row.get(0)?, blob(1)?);
        let (bytecode, exceptions) = (blob(2)?, blob(3)?);
        let hash: i64 = row.get(4)?;
        if hash != code_xxh3(first_line, [lines, bytecode, exceptions]) || bytecode.is_empty() {
            return Ok(None);
        }
        let lines = LineTable::decode(lines, first_line);
        Ok(Some(Code::new(version, bytecode, exceptions, &lines)))
    });
    Ok(read.optional()?.flatten())
}
