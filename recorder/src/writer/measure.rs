//! Runs the stages of the writer one by one, on one thread, for the bench.

use super::chunker::Chunker;
use super::clock::Clock;
use super::decode::decode;
use super::encode::Encoder;
use super::outlet::{Batch, Outlet};
use crate::ring;
use crossbeam_channel::{Receiver, bounded};

/// A drain and an encoder, without ring, threads and database.
pub struct Stages {
    chunker: Chunker,
    encoder: Encoder,
    batches: Receiver<Batch>,
}

impl Stages {
    /// Returns stages that have read no words yet.
    ///
    /// # Errors
    /// If zstd cannot allocate its state.
    #[allow(clippy::new_without_default)]
    pub fn new() -> std::io::Result<Stages> {
        let (batch_sender, batches) = bounded(1024);
        let (spare_sender, spare) = bounded(1024);
        let outlet = Outlet { batches: batch_sender, spare };
        let chunker = Chunker::new(Clock::start(), outlet, 1, 0);
        Ok(Stages { chunker, encoder: Encoder::new(spare_sender, Default::default())?, batches })
    }

    /// Turns whole records into columns, and passes all of them on.
    pub fn drain(&mut self, words: &[u32]) {
        let used = decode(words, &mut self.chunker, ring::Clock::Monotonic);
        assert_eq!(used, Ok(words.len()));
        self.chunker.seal();
    }

    /// Encodes the columns of all chunks drained so far. Returns their size in bytes.
    pub fn encode(&mut self) -> usize {
        let mut bytes = 0;
        while let Ok(batch) = self.batches.try_recv() {
            bytes += self.encoder.encode(batch).chunk.map_or(0, |chunk| chunk.data.len());
        }
        bytes
    }
}
