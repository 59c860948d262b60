//! The source text of files, as it was when they ran.

use super::{Error, Store};
use dashcam_schema::bytecode::spans::Span;
use rusqlite::OptionalExtension as _;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// Number of files whose text is kept.
const FILES_MAX: usize = 64;

/// The lines of a file.
pub struct SourceText {
    text: String,
    /// The offset at which each line begins.
    starts: Vec<usize>,
}

impl SourceText {
    /// Splits a text into lines.
    pub fn new(text: String) -> SourceText {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        let mut starts: Vec<usize> = starts.collect();
        if starts.last() == Some(&text.len()) {
            starts.pop();
        }
        SourceText { text, starts }
    }

    /// A line, counted from 1, without its line ending.
    pub fn line(&self, line: usize) -> Option<&str> {
        let at = line.checked_sub(1)?;
        let start = *self.starts.get(at)?;
        let end = self.starts.get(at + 1).copied().unwrap_or(self.text.len());
        Some(self.text.get(start..end)?.trim_end_matches(['\n', '\r']))
    }

    /// The part of the text that a span covers; `None` if the text has no such part.
    pub fn part(&self, span: Span) -> Option<&str> {
        let start = *self.starts.get((span.line as usize).checked_sub(1)?)?;
        let end = *self.starts.get((span.end_line as usize).checked_sub(1)?)?;
        let start = start.checked_add(span.column as usize)?;
        self.text.get(start..end.checked_add(span.end_column as usize)?)
    }

    /// The text from a line on; lines are counted from 1.
    pub fn from_line(&self, line: usize) -> Option<&str> {
        self.text.get(*self.starts.get(line.checked_sub(1)?)?..)
    }

    /// The number of lines.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are no lines.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }
}

#[derive(Default)]
pub(super) struct Sources {
    /// The `file_id` by `code_id`.
    files: RefCell<FxHashMap<i64, Option<i64>>>,
    texts: RefCell<FxHashMap<i64, Option<Rc<SourceText>>>>,
}

impl Store {
    /// The source of the file that a code object is in; `None` if it was not kept.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn source_of(&self, code_id: i64) -> Result<Option<Rc<SourceText>>, Error> {
        let explain = |error| Error::from_sqlite(&self.path, &error);
        let known = self.sources.files.borrow().get(&code_id).copied();
        let file = match known {
            Some(file) => file,
            None => {
                let sql = "SELECT file_id FROM main.code_objects WHERE code_id = ?";
                let file: Option<Option<i64>> = self
                    .connection
                    .query_row(sql, [code_id], |row| row.get(0))
                    .optional()
                    .map_err(explain)?;
                self.sources.files.borrow_mut().insert(code_id, file.flatten());
                file.flatten()
            }
        };
        let Some(file) = file else { return Ok(None) };
        if let Some(text) = self.sources.texts.borrow().get(&file) {
            return Ok(text.clone());
        }
        let sql = "SELECT source FROM main.files WHERE file_id = ?";
        let text: Option<Option<String>> = self
            .connection
            .query_row(sql, [file], |row| {
                let bytes = row.get_ref(0)?.as_bytes_or_null().unwrap_or_default();
                Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
            })
            .optional()
            .map_err(explain)?;
        let text = text.flatten().map(|text| Rc::new(SourceText::new(text)));
        let mut texts = self.sources.texts.borrow_mut();
        if texts.len() >= FILES_MAX {
            texts.clear();
        }
        texts.insert(file, text.clone());
        Ok(text)
    }
}
