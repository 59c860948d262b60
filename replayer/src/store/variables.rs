//! The variables of a code object: their names, and where they are stored.

use super::{Code, Process, Store};
use dashcam_schema::bytecode::branches::Branches;
use dashcam_schema::bytecode::code::Control;
use dashcam_schema::bytecode::opcodes::Version;
use dashcam_schema::bytecode::stores::{Place, Slot, Stores};
use dashcam_schema::chunk::code_xxh3;
use dashcam_schema::record::Mode;
use rusqlite::{Connection, OptionalExtension as _};

/// The variables of a code object.
pub struct Variables {
    pub stores: Stores,
    /// Names of the slots in a frame.
    fast: Box<[Box<str>]>,
    /// `co_names`
    names: Box<[Box<str>]>,
    /// Number of slots, from 0 on, that hold arguments.
    pub arguments: usize,
    /// Whether the code's own namespace is the globals.
    is_module: bool,
}

impl Variables {
    /// The name of the variable in a slot; `None` if the code object has no such variable.
    pub fn name(&self, slot: Slot) -> Option<&str> {
        let (names, at) = match self.stores.place(slot) {
            Place::Fast(at) => (&self.fast, at),
            Place::Name(at) | Place::Global(at) => (&self.names, at),
        };
        names.get(at as usize).map(|name| &**name)
    }

    /// The scope of the variable in a slot: `local`, `global`, or `cell` if functions share it.
    pub fn scope(&self, slot: Slot) -> &'static str {
        match self.stores.place(slot) {
            Place::Fast(_) if self.is_cell(slot) => "cell",
            Place::Name(_) if self.is_module => "global",
            Place::Fast(_) | Place::Name(_) => "local",
            Place::Global(_) => "global",
        }
    }

    /// Whether a slot holds a cell, and the variable is in that cell.
    pub fn is_cell(&self, slot: Slot) -> bool {
        self.stores.cells().binary_search(&slot).is_ok()
    }
}

impl Store {
    /// The variables of a process's code object; `None` if there is no such code object, or it
    /// cannot be read, which is noted.
    pub fn variables(&self, process: &Process, code: u32) -> Option<&Variables> {
        let code = &self.directory.codes[*process.codes.get(&code)?];
        let variables = self.directory.once(&code.variables, || {
            let Some(version) = process.magic.and_then(Version::from_magic) else {
                return Ok(None);
            };
            read(&self.connection, code, version, process.mode)
        });
        if variables.is_none() && code.variables.get().is_some() {
            let path = self.path.display();
            let line = format!("{path}: code object {}: its variables are unknown", code.code_id);
            self.damage.borrow_mut().entry(-code.code_id).or_insert(line);
            self.noted.set(self.noted.get() + 1);
        }
        variables
    }
}

fn read(
    db: &Connection,
    code: &Code,
    version: Version,
    mode: Mode,
) -> rusqlite::Result<Option<Variables>> {
    let sql = "SELECT first_line, line_table, bytecode, exception_table, code_xxh3,
                      argument_names, variable_names, names, kind
               FROM main.code_objects WHERE code_id = ?";
    let read = db.prepare_cached(sql)?.query_row([code.code_id], |row| {
        let blob = |column: usize| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_blob()?);
        let (bytecode, exceptions) = (blob(2)?, blob(3)?);
        let (first_line, hash): (u32, i64) = (row.get(0)?, row.get(4)?);
        if hash != code_xxh3(first_line, [blob(1)?, bytecode, exceptions]) {
            return Ok(None);
        }
        let names = |column: usize| {
            let names: String = row.get(column)?;
            Ok::<_, rusqlite::Error>(serde_json::from_str::<Box<[Box<str>]>>(&names).ok())
        };
        let (Some(arguments), Some(fast), Some(names)) = (names(5)?, names(6)?, names(7)?) else {
            return Ok(None);
        };
        let kind: String = row.get(8)?;
        let branches = match mode {
            Mode::Derived => Control::of(version, bytecode).branches,
            Mode::Direct | Mode::Verify => Branches::default(),
        };
        let slots = fast.len() as u32;
        Ok(Some(Variables {
            stores: Stores::new(version, bytecode, exceptions, slots, &names, &branches),
            arguments: arguments.len().min(fast.len()),
            is_module: kind == "module",
            fast,
            names,
        }))
    });
    Ok(read.optional()?.flatten())
}
