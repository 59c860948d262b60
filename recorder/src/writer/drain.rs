//! The drain thread: empties the ring until it is told that the program has ended and nothing is
//! left in the ring.

use super::chunker::Chunker;
use super::commit::Health;
use super::decode::decode;
use crate::ring::Consumer;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use dashcam_schema::loss::LossKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many words are taken at a time: so few that they stay in the processor's cache until they
/// are decoded.
pub(super) const WORDS: usize = 1 << 15;
/// Events wait at most this long for their chunk to fill. A reader does not see them in the
/// meantime, nor after the recorder's sudden death.
const CHUNK_AGE: Duration = Duration::from_millis(250);
/// How long a thread waits for more words. A producer at full speed fills a hundredth of a ring in
/// that time.
const NAP: Duration = Duration::from_millis(1);
/// How long it waits after a while without events.
const LONG_NAP: Duration = Duration::from_millis(5);

/// An order to a thread that empties a ring.
pub(super) enum Order {
    /// Empty the ring, and notify the sender once all of it is in the database.
    Flush(Sender<()>),
    /// The program has ended: empty the ring and end.
    Finish,
}

/// The error that the recording ends before the program does.
pub(super) struct End;

/// Decides how long a thread that empties a ring waits for more words.
#[derive(Default)]
pub(super) struct Pace {
    /// How many times in a row the ring was found empty.
    idle: u32,
}

impl Pace {
    /// Waits a little for an order, and longer if there were no words for a while. Returns
    /// [`Order::Finish`] if the sender of orders is gone.
    pub(super) fn wait(&mut self, orders: &Receiver<Order>, taken: usize) -> Option<Order> {
        self.idle = if taken == 0 { self.idle.saturating_add(1) } else { 0 };
        let nap = if self.idle < 1000 { NAP } else { LONG_NAP };
        match orders.recv_timeout(nap) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Order::Finish),
        }
    }
}

pub(super) struct Drain {
    pub(super) consumer: Consumer,
    pub(super) chunker: Chunker,
    pub(super) orders: Receiver<Order>,
    pub(super) health: Arc<Health>,
}

impl Drain {
    /// Runs until [`Order::Finish`], or until the sender of orders is gone.
    pub(super) fn run(mut self) {
        let is_finished = self.drain().is_ok();
        self.consumer.close();
        let (waits, waited_ns) = self.consumer.waited();
        if waits > 0 {
            self.chunker.lose(LossKind::Waited, waited_ns, format!("{waits} times"));
        }
        if self.consumer.is_given_up() {
            let words = "the recorder or the database was held up for longer than --max-wait";
            self.chunker.lose(LossKind::GaveUp, 1, words.to_owned());
        }
        self.chunker.seal();
        // If the drain ended early, orders to flush still need an answer.
        while !is_finished && let Ok(Order::Flush(stored)) = self.orders.recv() {
            self.chunker.flush(stored);
        }
    }

    fn drain(&mut self) -> Result<(), End> {
        let mut words = Vec::with_capacity(2 * WORDS);
        let mut sealed = Instant::now();
        let mut pace = Pace::default();
        loop {
            let taken = self.step(&mut words)?;
            if sealed.elapsed() >= CHUNK_AGE {
                sealed = Instant::now();
                if self.chunker.has_news() {
                    self.chunker.seal();
                }
            }
            if taken == WORDS {
                continue;
            }
            match pace.wait(&self.orders, taken) {
                None => {}
                Some(Order::Flush(stored)) => {
                    self.empty(&mut words)?;
                    self.chunker.flush(stored);
                }
                Some(Order::Finish) => {
                    if self.empty(&mut words).is_ok() && !words.is_empty() {
                        self.bad("half a record");
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Takes and decodes one batch. Returns the number of words taken. Between two calls, `words`
    /// holds the beginning of a record.
    fn step(&mut self, words: &mut Vec<u32>) -> Result<usize, End> {
        if self.health.has_failed() {
            return Err(End);
        }
        let Ok(taken) = self.consumer.take(words, WORDS) else {
            self.bad("the ring's positions are invalid");
            return Err(End);
        };
        if taken == 0 {
            return Ok(0);
        }
        match decode(words, &mut self.chunker, self.consumer.clock()) {
            Ok(used) => {
                words.drain(..used);
                self.chunker.recalibrate();
                Ok(taken)
            }
            Err((at, bad)) => {
                let word = words.get(at).copied().unwrap_or(0);
                self.bad(&format!("{bad} (first word {word:#010x})"));
                Err(End)
            }
        }
    }

    fn empty(&mut self, words: &mut Vec<u32>) -> Result<(), End> {
        while self.step(words)? > 0 {}
        Ok(())
    }

    fn bad(&mut self, what: &str) {
        self.chunker.lose(LossKind::BadRecord, 1, what.to_owned());
    }
}
