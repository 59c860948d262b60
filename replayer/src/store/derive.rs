//! The bytecode that a derived recording's events follow from, read when first needed.

use super::{Directory, Process};
use dashcam_schema::bytecode::code::Code;
use dashcam_schema::bytecode::lines::LineTable;
use dashcam_schema::bytecode::opcodes::Version;
use dashcam_schema::chunk::code_xxh3;
use dashcam_schema::derive::automaton::Codes;
use rusqlite::{Connection, OptionalExtension as _};

/// The code objects of one process.
pub(super) struct Bytecode<'a> {
    pub(super) process: &'a Process,
    pub(super) directory: &'a Directory,
    pub(super) connection: &'a Connection,
}

impl Codes for Bytecode<'_> {
    /// `None` also if the row is damaged: then the events of the chunk do not add up.
    fn code(&self, number: u32) -> Option<&Code> {
        let code = &self.directory.codes[*self.process.codes.get(&number)?];
        let version = Version::from_magic(self.process.magic?)?;
        let read = || read(self.connection, code.code_id, version);
        self.directory.once(&code.bytecode, read)
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
