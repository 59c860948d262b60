//! `dashcam._arrow`: the output of `dashcam export arrow` as an Arrow C stream.
//!
//! With the C stream, Arrow libraries pass data to each other without copying it and without
//! knowing each other:
//! <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>. No Python code
//! runs while a stream is read, so it can be read in any thread.
#![cfg(feature = "python")]

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_ipc::reader::StreamReader;
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Arrow streams of a program's output.
#[pymodule]
mod _arrow {
    use super::*;

    /// Runs a command, with `input` on its standard input, and returns the Arrow IPC stream that it
    /// writes as a capsule `arrow_array_stream`. Raises RuntimeError with the last line that it
    /// wrote on standard error if it fails.
    #[pyfunction]
    fn stream(
        py: Python<'_>,
        command: Vec<std::ffi::OsString>,
        input: Vec<u8>,
    ) -> PyResult<Bound<'_, PyCapsule>> {
        let output = py.detach(|| Output::of(&command, &input)).map_err(PyRuntimeError::new_err)?;
        let stream = FFI_ArrowArrayStream::new(Box::new(output));
        // The stream is released with the capsule, unless a consumer has taken it over.
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    /// Like `stream`, but returns only the columns, as a capsule `arrow_schema`.
    #[pyfunction]
    fn schema(
        py: Python<'_>,
        command: Vec<std::ffi::OsString>,
        input: Vec<u8>,
    ) -> PyResult<Bound<'_, PyCapsule>> {
        let output = py.detach(|| Output::of(&command, &input)).map_err(PyRuntimeError::new_err)?;
        let schema = FFI_ArrowSchema::try_from(&*output.schema());
        let schema = schema.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }
}

/// The output of a command.
struct Output {
    running: Running,
    reader: StreamReader<BufReader<ChildStdout>>,
    is_over: bool,
}

/// A running command. It is killed when its output is no longer read.
struct Running {
    child: Child,
    /// Its standard error.
    errors: File,
    /// The process that started it. A fork of that process must not kill it.
    parent: u32,
}

impl Output {
    /// Starts a command and reads its columns. The error is a line that says why that failed.
    fn of(command: &[std::ffi::OsString], input: &[u8]) -> Result<Output, String> {
        let failed = |error: std::io::Error| {
            let program = command.first().map(|word| word.to_string_lossy());
            format!("{} cannot be run: {error}", program.unwrap_or_default())
        };
        let (program, arguments) = command.split_first().ok_or("no command")?;
        let errors = tempfile::tempfile().map_err(failed)?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut running = Running { child, errors, parent: std::process::id() };
        // A command that ends without reading its input reports the reason.
        let _ = stdin.map(|mut stdin| stdin.write_all(input));
        let stdout = stdout.ok_or("no standard output")?;
        match StreamReader::try_new(BufReader::with_capacity(1 << 16, stdout), None) {
            Ok(reader) => Ok(Output { running, reader, is_over: false }),
            Err(error) => Err(running.failure().unwrap_or_else(|| error.to_string())),
        }
    }
}

impl Iterator for Output {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        match self.reader.next() {
            Some(Ok(batch)) => Some(Ok(batch)),
            // A stream that was cut short ends like a complete one: the exit status decides.
            other => {
                self.is_over = true;
                match (self.running.failure(), other) {
                    (Some(line), _) => Some(Err(ArrowError::ExternalError(line.into()))),
                    (None, other) => other,
                }
            }
        }
    }
}

impl RecordBatchReader for Output {
    fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }
}

impl Running {
    /// Waits until the command ends. If it failed, returns its last line on standard error.
    fn failure(&mut self) -> Option<String> {
        match self.child.wait() {
            Ok(status) if status.success() => return None,
            Ok(_) => {}
            Err(error) => return Some(error.to_string()),
        }
        let mut text = Vec::new();
        let read = self.errors.rewind().and_then(|()| self.errors.read_to_end(&mut text));
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().rev().find(|line| !line.trim().is_empty());
        match (read, line) {
            (Ok(_), Some(line)) => Some(line.trim_start_matches("dashcam: ").to_owned()),
            _ => Some("the program dashcam ended unexpectedly".to_owned()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::process::id() == self.parent {
            // The command only reads, so nothing is lost. It may have ended already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
