//! The declarations of all tables and columns: name, type, unit and a sentence. The DDL, the output
//! of `dashcam schema` and the declarations of the virtual tables are made from them.

use xxhash_rust::xxh3::Xxh3;

/// A column's SQL type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    Integer,
    Text,
    Blob,
}

impl Type {
    /// The name in SQL.
    pub const fn sql(self) -> &'static str {
        match self {
            Type::Integer => "INTEGER",
            Type::Text => "TEXT",
            Type::Blob => "BLOB",
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub r#type: Type,
    /// What follows the type in the DDL: `PRIMARY KEY`, `NOT NULL` …
    pub constraint: &'static str,
    /// The meaning of its values, with the unit.
    pub sentence: &'static str,
}

/// A table or view.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub name: &'static str,
    pub sentence: &'static str,
    pub columns: &'static [Column],
    /// Table constraints and options, which follow the columns in the DDL.
    pub constraint: &'static str,
    pub options: &'static str,
    pub indexes: &'static [&'static str],
    /// Whether the replayer computes it from chunks or other tables, so that it is not in the file.
    pub is_virtual: bool,
    /// The query, if it is a view.
    pub view: Option<&'static str>,
    /// Whether it is for the recorder and the replayer, not for users.
    pub is_internal: bool,
}

impl Table {
    /// Whether it takes arguments, which are hidden columns: `stack_at(run_id, seq)`.
    pub fn has_arguments(&self) -> bool {
        self.columns.iter().any(|column| column.constraint == "HIDDEN")
    }

    /// Returns `CREATE TABLE` for an ordinary table, or the declaration of a virtual one.
    pub fn ddl(&self) -> String {
        let mut columns: Vec<String> = self
            .columns
            .iter()
            .map(|c| {
                format!("{} {} {}", c.name, c.r#type.sql(), c.constraint).trim_end().to_owned()
            })
            .collect();
        if !self.constraint.is_empty() {
            columns.push(self.constraint.to_owned());
        }
        let ddl = format!(
            "CREATE TABLE {} (\n  {}\n) {}",
            self.name,
            columns.join(",\n  "),
            self.options
        );
        ddl.trim_end().to_owned()
    }
}

/// The table with this name.
pub fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// Returns the statements that create the tables of an empty recording.
pub fn create() -> String {
    let mut sql = String::new();
    for table in TABLES.iter().filter(|table| !table.is_virtual) {
        sql.push_str(&table.ddl());
        sql.push_str(";\n");
        for index in table.indexes {
            sql.push_str(index);
            sql.push_str(";\n");
        }
    }
    sql.push_str(&create_views());
    sql
}

/// Returns the statements that create a view for each virtual table without arguments. A client
/// that has not loaded dashcam's SQLite extension finds the view instead of the table. Reading the
/// view fails with a message that says what to do.
pub fn create_views() -> String {
    let is_plain = |table: &&Table| table.is_virtual && !table.has_arguments();
    TABLES.iter().filter(is_plain).map(Table::explaining_view).collect()
}

/// The column of an ordinary table with the [`RowHash`] of the columns before it, and of [later
/// columns](Table::later_columns).
pub const ROW_HASH: &str = "row_xxh3";

/// Computes the hash of a row of an ordinary table from the columns before [`ROW_HASH`] in order,
/// then the later columns up to the last one that is not NULL. `chunks` and `value_chunks` have
/// hashes of their own.
#[derive(Default)]
pub struct RowHash(Xxh3);

impl RowHash {
    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.0.update(&[tag]);
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    pub fn null(&mut self) {
        self.tagged(0, &[]);
    }

    pub fn integer(&mut self, value: i64) {
        self.tagged(1, &value.to_le_bytes());
    }

    pub fn real(&mut self, value: f64) {
        self.tagged(2, &value.to_le_bytes());
    }

    pub fn text(&mut self, value: &[u8]) {
        self.tagged(3, value);
    }

    pub fn blob(&mut self, value: &[u8]) {
        self.tagged(4, value);
    }

    /// The value for the column.
    pub fn finish(&self) -> i64 {
        self.0.digest().cast_signed()
    }
}

/// Returns, for each ordinary table with rows of runs, its name and a query for the number of a
/// run's rows in it.
pub fn count_rows() -> impl Iterator<Item = (&'static str, String)> {
    TABLES.iter().filter_map(|table| {
        let has = |name| table.columns.iter().any(|column| column.name == name);
        let of_run = match table.name {
            "runs" => return None,
            _ if table.is_virtual => return None,
            _ if has("run_id") => "run_id = ?",
            _ if has("process_id") => {
                "process_id IN (SELECT process_id FROM processes WHERE run_id = ?)"
            }
            // `files` has rows that several runs share.
            _ => return None,
        };
        Some((table.name, format!("SELECT count(*) FROM {} WHERE {of_run}", table.name)))
    })
}

impl Table {
    /// The columns that are always part of a row's [`RowHash`]. None if rows have no such hash, or
    /// one of another kind.
    pub fn hashed_columns(&self) -> &'static [Column] {
        self.around_hash().0
    }

    /// The columns that a later version of the format added to the table. Older files may not have
    /// them. Rows that were written before have NULL there, and a hash without these columns.
    pub fn later_columns(&self) -> &'static [Column] {
        self.around_hash().1
    }

    fn around_hash(&self) -> (&'static [Column], &'static [Column]) {
        let is_other = matches!(self.name, "chunks" | "value_chunks");
        match self.columns.iter().position(|column| column.name == ROW_HASH) {
            Some(at) if !is_other => (&self.columns[..at], &self.columns[at + 1..]),
            _ => (&[], &[]),
        }
    }

    /// Returns the statement for the view that is in the file in place of a virtual table. It has
    /// the table's columns, so that clients that list columns keep working. Whatever is selected
    /// from it, SQLite calls `json_each` first. That fails because its second argument is not a
    /// JSON path, and the message repeats the argument. All columns come from `json_each`, since
    /// SQLite would evaluate a condition on a constant before the call. `+` prevents SQLite from
    /// drawing conclusions from two columns being the same.
    fn explaining_view(&self) -> String {
        let name = self.name;
        let columns: Vec<String> =
            self.columns.iter().map(|column| format!("+value AS {}", column.name)).collect();
        format!(
            "CREATE VIEW IF NOT EXISTS {name} AS SELECT {} FROM json_each('[]', '{name} is decoded by \
             dashcam and no table of the file: ask dashcam query, or load the SQLite extension whose \
             path dashcam sqlite-extension prints');\n",
            columns.join(", "),
        )
    }

    /// Returns the statements that add the columns missing from a file's table.
    pub fn upgrade(&self, existing: &[String]) -> String {
        let missing = self.later_columns().iter().filter(|c| !existing.iter().any(|e| e == c.name));
        missing
            .map(|c| {
                let column = format!("{} {} {}", c.name, c.r#type.sql(), c.constraint);
                format!("ALTER TABLE {} ADD COLUMN {};\n", self.name, column.trim_end())
            })
            .collect()
    }

    /// The columns that identify a row.
    fn key(&self) -> Vec<&'static str> {
        let names = self.constraint.strip_prefix("PRIMARY KEY (").and_then(|k| k.strip_suffix(')'));
        match names {
            Some(names) if self.options == "WITHOUT ROWID" => names.split(", ").collect(),
            _ => vec!["rowid"],
        }
    }
}

/// Returns the statements for triggers that keep the hashes of rows up to date when a connection
/// writes. The connection must have an SQL function `row_xxh3` that returns the [`RowHash`] of its
/// arguments.
pub fn hash_triggers() -> String {
    let mut sql = String::new();
    for table in TABLES.iter().filter(|table| !table.is_virtual) {
        let names: Vec<&str> = table.hashed_columns().iter().map(|column| column.name).collect();
        if names.is_empty() {
            continue;
        }
        let name = table.name;
        let later = table.later_columns().iter().map(|column| column.name);
        let all: Vec<&str> = names.iter().copied().chain(later).collect();
        let new: Vec<String> = all.iter().map(|name| format!("NEW.{name}")).collect();
        let hash = |columns: usize| format!("{ROW_HASH}({})", new[..columns].join(", "));
        // Rows from before the later columns keep the hash they had.
        let hash_of_row =
            (names.len() + 1..=all.len()).fold(hash(names.len()), |without, columns| {
                format!("iif({} IS NULL, {without}, {})", new[columns - 1], hash(columns))
            });
        let key: Vec<String> = table.key().iter().map(|k| format!("{k} = NEW.{k}")).collect();
        for event in ["INSERT".to_owned(), format!("UPDATE OF {}", all.join(", "))] {
            let kind = &event[..6];
            sql.push_str(&format!(
                "CREATE TEMP TRIGGER {name}_{kind} AFTER {event} ON main.{name} BEGIN \
                 UPDATE {name} SET {ROW_HASH} = {hash_of_row} WHERE {}; END;\n",
                key.join(" AND "),
            ));
        }
    }
    sql
}

macro_rules! is {
    (virtual_table virtual_table) => {
        true
    };
    (virtual_table view) => {
        true
    };
    (internal internal) => {
        true
    };
    ($a:ident $b:ident) => {
        false
    };
}

/// Returns the query of a view. It is declared where tables have their constraints.
const fn view(kind: &str, query: &'static str) -> Option<&'static str> {
    if matches!(kind.as_bytes(), b"view") { Some(query) } else { None }
}

macro_rules! tables {
    ($all:ident $(
        $kind:ident $name:ident $sentence:literal {
            $($column:ident $type:ident $constraint:literal $text:literal)*
        } $(: $constraint_of_table:literal $options:literal [$($index:literal)*])?
    )*) => {
        pub(super) const $all: &[Table] = &[$(Table {
            name: stringify!($name),
            sentence: $sentence,
            columns: &[$(Column {
                name: stringify!($column),
                r#type: Type::$type,
                constraint: $constraint,
                sentence: $text,
            }),*],
            constraint: concat!($($constraint_of_table)?),
            options: concat!($($options)?),
            indexes: &[$($($index),*)?],
            is_virtual: is!(virtual_table $kind),
            view: view(stringify!($kind), concat!($($constraint_of_table)?)),
            is_internal: is!(internal $kind),
        }),*];
    };
}

mod questions;

/// All tables.
pub static TABLES: &[Table] = &ALL;

const ALL: [Table; DECLARED.len() + questions::QUESTIONS.len()] = {
    let (declared, questions) = (DECLARED, questions::QUESTIONS);
    let mut all = [declared[0]; DECLARED.len() + questions::QUESTIONS.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < declared.len() { declared[at] } else { questions[at - declared.len()] };
        at += 1;
    }
    all
};

tables! {
    DECLARED
    table runs "One row per recorded run of a program." {
        run_id Integer "PRIMARY KEY" "Number of the run in this file, from 1."
        started_at Text "NOT NULL" "When the recording began, ISO 8601 in UTC."
        ended_at Text "" "When it ended, ISO 8601 in UTC; NULL while recording."
        status Text "NOT NULL" "recording, complete, or interrupted (killed by a signal, or the recorder died)."
        command Text "NOT NULL" "The command line, as a JSON array of strings."
        cwd Text "NOT NULL" "Directory the program was started in."
        hostname Text "NOT NULL" "Name of the machine."
        python_version Text "" "Version of the interpreter, such as 3.13.0."
        platform Text "" "The interpreter's sys.platform and machine."
        capture Text "NOT NULL" "Capture level: flow (no values), calls (arguments, results and exceptions) or state (also what variables and objects hold)."
        events_by Text "NOT NULL" "How events were obtained: derived (LINE, INSTRUCTION, JUMP and most branches are derived from the other events), direct (a callback for every event) or verify (direct, and compared with the derived events)."
        quirks Text "" "Peculiarities of the interpreter and its configuration, as a JSON array of sentences."
        dashcam_version Text "NOT NULL" "Version of dashcam that recorded it."
        event_count Integer "NOT NULL DEFAULT 0" "Events in the recording."
        lost_count Integer "NOT NULL DEFAULT 0" "Sum of the losses that are not of severity info."
        exit_code Integer "" "The program's exit status; NULL if a signal ended it or it has not ended."
        exit_signal Integer "" "Number of the signal that ended the program."
        row_counts Text "" "Number of its rows in each of the other tables when it ended, as a JSON object by table; NULL while recording."
        row_xxh3 Integer "" "Hash of the columns before it, and of those after it that are not NULL."
        uuid Text "" "Identifies the run among all runs of all machines: a UUID of version 7. For a run recorded before runs had UUIDs, it is derived from the columns started_at, hostname, cwd, command and run_id."
    }
    table processes "One row per process of a run." {
        process_id Integer "PRIMARY KEY" "Number of the process in this file."
        run_id Integer "NOT NULL REFERENCES runs" "Run it belongs to."
        pid Integer "" "The operating system's id, reused by it."
        parent_process_id Integer "REFERENCES processes" "Process that started it; NULL for the first."
        command Text "" "Its command line, as a JSON array of strings."
        started_ns Integer "NOT NULL" "When recording of the process began, in nanoseconds of the system's clock since the run began."
        ended_ns Integer "" "When it ended, in nanoseconds of the system's clock since the run began."
        exit_code Integer "" "Its exit status."
        exit_signal Integer "" "Number of the signal that ended it."
        magic Integer "" "Number of the bytecode's version: the first two bytes of importlib.util.MAGIC_NUMBER."
        covers_to Integer "" "Values of all events with ordinals below this one, and of the instructions before it, are stored; NULL if none are. When the run has ended, this is one more than the number of ordinals."
        value_chunk_count Integer "" "Number of chunks of values of the process; NULL if there are none."
        row_xxh3 Integer "" "Hash of the columns before it, and of those after it up to the last that is not NULL."
        own_python_version Text "" "Version of its interpreter, such as 3.13.0; NULL if it is that of the run."
        own_events_by Text "" "How its events were obtained: derived, direct or verify; NULL if it is that of the run."
        own_capture Text "" "Its capture level: flow, calls or state; NULL if it is that of the run."
    } : "" "" ["CREATE INDEX processes_of_run ON processes (run_id)"]
    table threads "One row per thread that ran recorded code; a greenlet counts as one." {
        thread_id Integer "PRIMARY KEY" "Number of the thread in this file."
        process_id Integer "NOT NULL REFERENCES processes" "Process it belongs to."
        native_id Integer "" "The operating system's thread id, reused by it."
        name Text "" "Its name in Python, such as MainThread; NULL for a thread Python did not start."
        number Integer "NOT NULL" "Its number in chunks."
        row_xxh3 Integer "" "Hash of the columns before it."
    } : "" "" ["CREATE UNIQUE INDEX threads_by_number ON threads (process_id, number)"]
    table files "One row per source file and version of it." {
        file_id Integer "PRIMARY KEY" "Number of the file in this recording file."
        path Text "NOT NULL" "co_filename, made absolute."
        sha256 Text "" "SHA-256 of the source text, in hexadecimal; NULL if the source could not be read."
        source Text "" "The source text; NULL if it could not be read."
        row_xxh3 Integer "" "Hash of the columns before it."
    } : "" "" ["CREATE UNIQUE INDEX files_by_content ON files (path, coalesce(sha256, ''))"]
    table code_objects "One row per code object that ran: functions, modules, class bodies." {
        code_id Integer "PRIMARY KEY" "Number of the code object in this file."
        run_id Integer "NOT NULL REFERENCES runs" "Run it ran in."
        file_id Integer "REFERENCES files" "Its source file."
        path Text "NOT NULL" "The file's path."
        qualname Text "NOT NULL" "Qualified name, such as Order.total."
        name Text "NOT NULL" "Plain name, such as total."
        first_line Integer "NOT NULL" "Line where its definition begins."
        kind Text "NOT NULL" "module, function, generator, coroutine, async_generator, class, lambda or comprehension."
        argument_names Text "NOT NULL" "Names of the arguments, as a JSON array of strings."
        variable_names Text "NOT NULL" "Names of locals, cells and free variables, as a JSON array of strings."
        names Text "NOT NULL DEFAULT '[]'" "co_names if the code binds names in a namespace, else empty; as a JSON array of strings."
        process_id Integer "NOT NULL REFERENCES processes" "Process it ran in."
        number Integer "NOT NULL" "Its number in chunks."
        flags Integer "NOT NULL" "co_flags."
        line_table Blob "NOT NULL" "co_linetable: lines by code unit."
        bytecode Blob "NOT NULL" "co_code, from which the events that were not recorded are derived."
        exception_table Blob "NOT NULL" "co_exceptiontable."
        code_xxh3 Integer "NOT NULL" "Hash of first_line, line_table, bytecode and exception_table."
        row_xxh3 Integer "" "Hash of the columns before it."
    } : "" "" ["CREATE UNIQUE INDEX code_objects_by_number ON code_objects (process_id, number)"
        "CREATE INDEX code_objects_by_name ON code_objects (qualname)"]
    virtual_table events "Every event, in order; decoded from chunks as it is read." {
        run_id Integer "" "Run."
        seq Integer "" "Position: unique in the run, increasing, the same every time; not dense."
        process_id Integer "" "Process."
        thread_id Integer "" "Thread."
        time_ns Integer "" "Nanoseconds of the program's own time since the run began: the time of the system's clock without the time that recording took. The clock is read at PY_START, PY_RESUME, PY_RETURN, PY_YIELD, PY_THROW, PY_UNWIND, CALL and C_*; other events have the last reading."
        kind Text "" "Name of the event in sys.monitoring, such as LINE."
        code_id Integer "" "Code object it happened in."
        offset Integer "" "Offset of the instruction, in bytes; NULL for LINE, which carries none."
        line Integer "" "Line of the source; NULL where the instruction has none."
        target_offset Integer "" "Where JUMP and BRANCH* go, in bytes."
        target_line Integer "" "Line of the target."
        callable Text "" "What CALL and C_* call, such as len, list.append or json.dumps."
        exception Text "" "Type of the exception the event carries."
        value Text "" "PY_START, and CALL of a function written in C: the arguments; PY_RETURN and PY_YIELD: the value; PY_RESUME: the value sent; RAISE: the exception; as repr() writes them. NULL at capture level flow."
        wall_ns Integer "" "Nanoseconds of the system's clock since the run began. Accurate to a few microseconds, because the time that recording took is spread evenly over the events of a chunk."
    }
    virtual_table calls "Every call of a Python function; a generator or coroutine is one call however often suspended." {
        run_id Integer "" "Run."
        call_id Integer "" "seq of the event that began it."
        parent_call_id Integer "" "Call it was made from; NULL for a thread's outermost."
        process_id Integer "" "Process."
        thread_id Integer "" "Thread it began in."
        depth Integer "" "Calls below it on the stack when it began."
        code_id Integer "" "Code object called."
        qualname Text "" "Its qualified name."
        path Text "" "Its file."
        call_line Integer "" "Line of the caller; NULL for a thread's outermost."
        start_seq Integer "" "Event that began it."
        end_seq Integer "" "Event that ended it; NULL if open."
        start_ns Integer "" "When it began, in nanoseconds since the run began."
        end_ns Integer "" "When it ended, in nanoseconds since the run began; NULL if open."
        duration_ns Integer "" "end_ns - start_ns, suspensions included; NULL if open."
        self_ns Integer "" "Nanoseconds it was the innermost call of its thread."
        exit Text "" "return, unwind (by an exception), or open (no end recorded)."
        arguments Text "" "Its arguments, a=1, b='x', as repr() writes them; NULL at capture level flow."
        result Text "" "What it returned, as repr() writes it; NULL if it did not return, and at capture level flow."
        exception Text "" "Type of the exception that unwound it."
    }
    virtual_table c_calls "Every call of a function, method or class written in C." {
        run_id Integer "" "Run."
        seq Integer "" "CALL event that began it."
        end_seq Integer "" "C_RETURN or C_RAISE event that ended it; NULL if open."
        process_id Integer "" "Process."
        thread_id Integer "" "Thread."
        call_id Integer "" "Call it was made from."
        code_id Integer "" "Code object it was made from."
        path Text "" "File it was made from."
        line Integer "" "Line it was made from."
        callable Text "" "What was called, such as open, list.append or sqlite3.Cursor.execute."
        arguments Text "" "Its arguments, 'a', 2, key=c, as repr() writes them; for a method the object comes first. NULL at capture level flow; with --no-c-arguments; if a Python function gets the arguments, which is a call of its own (a class with an __init__ in Python, partial); and if they could not be found (f(*x) where x is not a variable)."
        result Text "" "What it returned, as repr() writes it, if the program then stored it in a variable, attribute or item, returned it, yielded it, or passed it to the next function in C; else NULL. NULL also if it did not return."
        exception Text "" "Type of the exception it raised."
        start_ns Integer "" "When it began, in nanoseconds since the run began."
        duration_ns Integer "" "How long it took; NULL if open."
    }
    virtual_table exceptions "Every exception raised in Python code, once however far it travels." {
        run_id Integer "" "Run."
        seq Integer "" "Event that raised it."
        process_id Integer "" "Process."
        thread_id Integer "" "Thread."
        call_id Integer "" "Call it was raised in."
        type Text "" "Its class, with the module unless built in or of __main__."
        message Text "" "Its str(), if computing that needs no user code."
        code_id Integer "" "Code object it was raised in."
        path Text "" "File it was raised in."
        line Integer "" "Line it was raised on."
        outcome Text "" "handled (by Python code: handled_seq), swallowed (by C code, such as hasattr or a for loop: swallowed_by), thread (it ended a thread or an asyncio task), program (it ended the program), or in flight (when the recording ended). Unhandled are thread and program."
        swallowed_by Text "" "What stopped it, such as hasattr, list, for or __del__; NULL unless outcome is swallowed."
        handled_seq Integer "" "EXCEPTION_HANDLED event of the handler that ended it; NULL if no Python code handled it."
        handled_line Integer "" "Line where the handler begins: the first except clause of the try, or the first line of its finally block."
        arguments Text "" "Its args, as repr() writes them; NULL at capture level flow."
        cause Text "" "Its __cause__: the exception given with from. NULL if it had none, and at capture level flow."
        context Text "" "Its __context__: the exception that was being handled when it was raised. NULL if it had none, and at capture level flow."
        is_mine Integer "" "1 if your own code raised or handled it: code outside the standard library, installed packages and frozen modules (or as --mine says); else 0."
    }
    virtual_table variables "Every binding of a variable, in order, at capture level state: arguments at PY_START, and what instructions store." {
        run_id Integer "" "Run."
        seq Integer "" "INSTRUCTION event that binds or unbinds it; PY_START for an argument."
        process_id Integer "" "Process."
        thread_id Integer "" "Thread."
        call_id Integer "" "Call whose variable it is, or that binds a global."
        scope Text "" "local, global, or cell (shared by functions)."
        name Text "" "Its name."
        line Integer "" "Line of the instruction."
        value Text "" "What it holds from then on, as repr() writes it; NULL if it was unbound."
        object_id Integer "" "The object it holds, the same number wherever it turns up in the process; NULL for None, small values such as numbers and short texts, and where it was unbound."
    }
    virtual_table mutations "Every change of an object in place, in order, at capture level state: by instructions and by code written in C." {
        run_id Integer "" "Run."
        seq Integer "" "INSTRUCTION event that changes it, or C_RETURN or C_RAISE of the C function that changed it."
        process_id Integer "" "Process."
        thread_id Integer "" "Thread."
        call_id Integer "" "Call that changes it."
        line Integer "" "Line of the instruction."
        object_id Integer "" "The object."
        type Text "" "Its class, with the module unless built in or of __main__."
        operation Text "" "set attribute, delete attribute, set item, delete item, set slice, delete slice, in place, or what was called, such as list.append."
        key Text "" "Name of the attribute; key, index or member of a set, as repr() writes it; NULL if the whole object changes. A change of several items has a row for each of them, if the items keep their places."
        value Text "" "The new value, as repr() writes it; the whole object afterwards if the change is not of a single item or attribute; NULL if something was deleted."
    }
    virtual_table stack_at "Stack of an event's thread: SELECT * FROM stack_at(run_id, seq)." {
        depth Integer "" "0 for the innermost frame."
        call_id Integer "" "Call."
        code_id Integer "" "Code object."
        qualname Text "" "Its qualified name."
        path Text "" "Its file."
        line Integer "" "Line the frame stands at."
        run_id Integer "HIDDEN" "First argument: run."
        seq Integer "HIDDEN" "Second argument: event."
    }
    virtual_table locals_at "Variables that are bound just before an event, at capture level state: SELECT * FROM locals_at(run_id, seq), or locals_at(run_id, seq, depth)." {
        depth Integer "" "Frame on the stack, 0 for the innermost."
        scope Text "" "local, global, or cell (shared by functions)."
        name Text "" "Name of the variable."
        value Text "" "What it holds, as repr() writes it."
        object_id Integer "" "The object it holds; NULL for None and small values such as numbers and short texts."
        run_id Integer "HIDDEN" "First argument: run."
        seq Integer "HIDDEN" "Second argument: event."
        frame Integer "HIDDEN" "Third argument, if not all frames are wanted: depth."
    }
    virtual_table object_at "What an object held just before an event, at capture level state: SELECT * FROM object_at(run_id, object_id, seq)." {
        object_id Integer "" "The object."
        type Text "" "Its class, with the module unless built in or of __main__."
        value Text "" "What it held, as repr() writes it."
        run_id Integer "HIDDEN" "First argument: run."
        object Integer "HIDDEN" "Second argument: object_id."
        seq Integer "HIDDEN" "Third argument: event."
    }
    table event_counts "Numbers of events. They are stored, so no event has to be decoded." {
        run_id Integer "NOT NULL REFERENCES runs" "Run."
        process_id Integer "NOT NULL REFERENCES processes" "Process."
        thread_id Integer "NOT NULL REFERENCES threads" "Thread."
        kind Text "NOT NULL" "Event kind."
        code_id Integer "NOT NULL REFERENCES code_objects" "Code object."
        count Integer "NOT NULL" "Events."
        row_xxh3 Integer "" "Hash of the columns before it."
    } : "PRIMARY KEY (run_id, process_id, thread_id, code_id, kind)" "WITHOUT ROWID" []
    table line_counts "How often each line ran." {
        run_id Integer "NOT NULL REFERENCES runs" "Run."
        path Text "NOT NULL" "File."
        line Integer "NOT NULL" "Line."
        count Integer "NOT NULL" "LINE events on it."
        row_xxh3 Integer "" "Hash of the columns before it."
    } : "PRIMARY KEY (run_id, path, line)" "WITHOUT ROWID" []
    table branch_counts "How often each branch was taken." {
        run_id Integer "NOT NULL REFERENCES runs" "Run."
        path Text "NOT NULL" "File."
        line Integer "NOT NULL" "Line of the branch; 0 where the instruction has none."
        code_id Integer "NOT NULL REFERENCES code_objects" "Code object."
        offset Integer "NOT NULL" "Offset of the branch instruction, in bytes."
        taken Integer "NOT NULL" "Times control went to the jump's target."
        not_taken Integer "NOT NULL" "Times control went on with the next instruction."
        row_xxh3 Integer "" "Hash of the columns before it."
    } : "PRIMARY KEY (run_id, path, line, code_id, offset)" "WITHOUT ROWID" []
    table function_totals "Calls and time per function." {
        run_id Integer "NOT NULL REFERENCES runs" "Run."
        code_id Integer "NOT NULL REFERENCES code_objects" "Code object."
        path Text "NOT NULL" "File."
        qualname Text "NOT NULL" "Qualified name."
        calls Integer "NOT NULL" "Calls that ended."
        unwinds Integer "NOT NULL" "Those of them that an exception ended."
        total_ns Integer "NOT NULL" "Nanoseconds from start to end, recursive calls counted once."
        self_ns Integer "NOT NULL" "Nanoseconds on top of the stack."
        row_xxh3 Integer "" "Hash of the columns before it."
    } : "PRIMARY KEY (run_id, code_id)" "WITHOUT ROWID" []
    table losses "What was not recorded, and what recording cost." {
        run_id Integer "NOT NULL REFERENCES runs" "Run."
        process_id Integer "REFERENCES processes" "Process."
        kind Text "NOT NULL" "Kind of loss."
        severity Text "NOT NULL" "info (nothing is missing), loss or error."
        count Integer "NOT NULL" "Amount, in the unit of the kind."
        first_seq Integer "" "Position of the first occurrence."
        detail Text "NOT NULL" "What happened, in a sentence, and what is known about it."
        row_xxh3 Integer "" "Hash of the columns before it."
    } : "PRIMARY KEY (run_id, process_id, kind)" "" []
    internal callables "Names that CALL and C_* events refer to." {
        process_id Integer "NOT NULL REFERENCES processes" "Process."
        number Integer "NOT NULL" "Its number in chunks."
        name Text "NOT NULL" "Name of the callable."
        row_xxh3 Integer "" "Hash of the columns before it."
    } : "PRIMARY KEY (process_id, number)" "WITHOUT ROWID" []
    internal exception_types "Names of exception classes that chunks refer to." {
        process_id Integer "NOT NULL REFERENCES processes" "Process."
        number Integer "NOT NULL" "Its number in chunks."
        name Text "NOT NULL" "Name of the class."
        row_xxh3 Integer "" "Hash of the columns before it."
    } : "PRIMARY KEY (process_id, number)" "WITHOUT ROWID" []
    internal event_kinds "Event kinds of a later CPython, by the number chunks use." {
        process_id Integer "NOT NULL REFERENCES processes" "Process."
        number Integer "NOT NULL" "Its number in chunks."
        name Text "NOT NULL" "CPython's name for it."
        row_xxh3 Integer "" "Hash of the columns before it."
    } : "PRIMARY KEY (process_id, number)" "WITHOUT ROWID" []
    internal chunks "The compressed events, with columns by which a query can skip a chunk without decompressing it." {
        chunk_id Integer "PRIMARY KEY" "Number of the chunk in this file."
        run_id Integer "NOT NULL REFERENCES runs" "Run."
        process_id Integer "NOT NULL REFERENCES processes" "Process."
        first_seq Integer "NOT NULL" "seq of its first event; those of the other events follow without gaps."
        event_count Integer "NOT NULL" "Events in it."
        first_ns Integer "NOT NULL" "Earliest time of its events, in nanoseconds of the program's own time since the run began."
        last_ns Integer "NOT NULL" "Latest time of its events."
        first_wall_ns Integer "NOT NULL" "Time of the system's clock at first_ns: the program's own time plus the time that recording took before."
        last_wall_ns Integer "NOT NULL" "Time of the system's clock at last_ns."
        kinds Integer "NOT NULL" "Bit mask of the event kinds that occur."
        first_ordinal Integer "NOT NULL" "Number of recorded events of kinds other than LINE, JUMP and INSTRUCTION before it in its process."
        threads Blob "NOT NULL" "Numbers of its threads, ascending, u32 little endian."
        codes Blob "NOT NULL" "Numbers of its code objects, ascending, u32 little endian."
        header_xxh3 Integer "NOT NULL" "Hash of the chunk's header, as stored in data."
        row_xxh3 Integer "NOT NULL" "Hash of the columns from run_id to header_xxh3."
        data Blob "NOT NULL" "The chunk; see FORMAT.md."
    } : "" "" ["CREATE UNIQUE INDEX chunks_of_run ON chunks (run_id, first_seq)"]
    internal value_chunks "The compressed values that came with events." {
        value_chunk_id Integer "PRIMARY KEY" "Number of the chunk of values in this file."
        run_id Integer "NOT NULL REFERENCES runs" "Run."
        process_id Integer "NOT NULL REFERENCES processes" "Process."
        number Integer "NOT NULL" "Number of the chunk among the chunks of values of its process, from 0."
        covers_from Integer "NOT NULL" "It has all values of events with ordinals from this one on; values of earlier events are in earlier chunks."
        covers_to Integer "NOT NULL" "The ordinal where that ends, exclusive: covers_from of the next chunk."
        first_ordinal Integer "NOT NULL" "Ordinal of the first event with values in it."
        last_ordinal Integer "NOT NULL" "Ordinal of the last event with values in it."
        group_count Integer "NOT NULL" "Events with values in it."
        told Blob "NOT NULL" "The objects that it describes; see FORMAT.md."
        header_xxh3 Integer "NOT NULL" "Hash of the chunk's header, as stored in data."
        row_xxh3 Integer "NOT NULL" "Hash of the columns from run_id to header_xxh3."
        data Blob "NOT NULL" "The chunk; see FORMAT.md."
    } : "" "" ["CREATE INDEX value_chunks_of_process ON value_chunks (run_id, process_id, first_ordinal)"]
}
