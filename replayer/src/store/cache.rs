//! The chunks used last, up to a bound on their memory.

use super::chunk::Chunk;
use std::rc::Rc;

const BYTES_MAX: usize = 64 << 20;

/// Chunks by their index in the store, the one used last at the end.
#[derive(Default)]
pub(super) struct Cache {
    chunks: Vec<(usize, Rc<Chunk>)>,
}

impl Cache {
    pub(super) fn get(&mut self, index: usize) -> Option<Rc<Chunk>> {
        let at = self.chunks.iter().rposition(|(i, _)| *i == index)?;
        let entry = self.chunks.remove(at);
        let chunk = entry.1.clone();
        self.chunks.push(entry);
        Some(chunk)
    }

    /// Chunks grow as their columns are decoded, so sizes are added up anew each time.
    pub(super) fn put(&mut self, index: usize, chunk: Rc<Chunk>) {
        self.chunks.push((index, chunk));
        let mut total = 0;
        let keep = self.chunks.iter().rev().take_while(|(_, chunk)| {
            total += chunk.size();
            total <= BYTES_MAX
        });
        // The newest stays, however large.
        let keep = keep.count().max(1);
        self.chunks.drain(..self.chunks.len() - keep);
    }
}
