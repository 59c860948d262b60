//! The chunks that were used last, up to a limit on their memory, and the errors of those that
//! cannot be read.

use super::{Chunk, Error};
use dashcam_schema::FormatError;
use dashcam_schema::value::chunk::Values;
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Bytes of memory for the decoded chunks of one kind.
const BYTES_MAX: usize = 64 << 20;

/// Something that reports how many bytes of memory it takes now.
pub(super) trait Measured {
    fn size(&self) -> usize;
}

impl Measured for Chunk {
    fn size(&self) -> usize {
        Chunk::size(self)
    }
}

impl Measured for Values {
    fn size(&self) -> usize {
        Values::size(self)
    }
}

/// Decoded chunks of one kind, by their index in the store.
pub(super) struct Cache<T> {
    /// The one used last is at the end.
    chunks: RefCell<Vec<(usize, Rc<T>)>>,
    /// The errors of chunks that were found to be damaged, so that they are not read again.
    unreadable: RefCell<FxHashMap<usize, FormatError>>,
    bytes_max: Cell<usize>,
}

impl<T> Default for Cache<T> {
    fn default() -> Cache<T> {
        Cache {
            chunks: RefCell::default(),
            unreadable: RefCell::default(),
            bytes_max: Cell::new(BYTES_MAX),
        }
    }
}

impl<T: Measured> Cache<T> {
    /// Uses only one part of the memory, which is divided into `parts`.
    pub(super) fn share(&self, parts: usize) {
        self.bytes_max.set(BYTES_MAX / parts.max(1));
    }

    /// The chunk with this index, read if it is not cached; `damaged` makes the error for a chunk
    /// that was found to be damaged before.
    ///
    /// # Errors
    /// Those of `read` and `damaged`.
    pub(super) fn get_or_read(
        &self,
        index: usize,
        damaged: impl FnOnce(FormatError) -> Error,
        read: impl FnOnce() -> Result<Rc<T>, Error>,
    ) -> Result<Rc<T>, Error> {
        if let Some(chunk) = self.get(index) {
            return Ok(chunk);
        }
        if let Some(source) = self.unreadable.borrow().get(&index) {
            return Err(damaged(source.clone()));
        }
        let result = read();
        match &result {
            Ok(chunk) => self.put(index, chunk.clone()),
            Err(Error::Chunk { source, .. } | Error::Values { source, .. }) => {
                self.unreadable.borrow_mut().insert(index, source.clone());
            }
            Err(_) => {}
        }
        result
    }

    fn get(&self, index: usize) -> Option<Rc<T>> {
        let mut chunks = self.chunks.borrow_mut();
        let at = chunks.iter().rposition(|(i, _)| *i == index)?;
        let entry = chunks.remove(at);
        let chunk = entry.1.clone();
        chunks.push(entry);
        Some(chunk)
    }

    /// Adds a chunk. Chunks grow as their columns are decoded, so sizes are added up again each
    /// time.
    fn put(&self, index: usize, chunk: Rc<T>) {
        let mut chunks = self.chunks.borrow_mut();
        chunks.push((index, chunk));
        let mut total = 0;
        let keep = chunks.iter().rev().take_while(|(_, chunk)| {
            total += chunk.size();
            total <= self.bytes_max.get()
        });
        // The newest chunk stays, whatever its size.
        let keep = keep.count().max(1);
        let dropped = chunks.len() - keep;
        chunks.drain(..dropped);
    }
}
