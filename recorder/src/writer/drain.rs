//! The drain thread: empties the ring, until told that the program has come to an end and
//! nothing is left in it.

use super::chunker::Chunker;
use super::commit::Health;
use super::decode::decode;
use crate::ring::Consumer;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use dashcam_schema::loss::LossKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Words taken at a time: they stay in the processor's cache until they are decoded.
pub(super) const WORDS: usize = 1 << 15;
/// Events wait at most this long for their chunk to fill: what a reader meanwhile, or after the
/// recorder's sudden death, does not see.
const CHUNK_AGE: Duration = Duration::from_millis(250);
/// A producer at full speed fills a hundredth of a ring meanwhile.
const NAP: Duration = Duration::from_millis(1);
/// After a while without events.
const LONG_NAP: Duration = Duration::from_millis(5);

/// What the drain is told from outside.
pub(super) enum Order {
    /// Empty the ring and see that it is all in the database; then tell the sender.
    Flush(Sender<()>),
    /// The program has ended: empty the ring and end.
    Finish,
}

/// The recording ends before the program does.
pub(super) struct End;

/// How long a thread that empties a ring waits for more.
#[derive(Default)]
pub(super) struct Pace {
    /// Looks in a row that found nothing.
    idle: u32,
}

impl Pace {
    /// Waits a little for an order, longer where there were no words for a while. Without anybody to
    /// give orders it is time to finish.
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
    /// Runs until [`Order::Finish`], or until whoever gives orders is gone.
    pub(super) fn run(mut self) {
        let is_told = self.drain().is_ok();
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
        // Ended early; there still are orders to answer.
        while !is_told && let Ok(Order::Flush(stored)) = self.orders.recv() {
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

    /// Takes and decodes one batch; says how many words it was. `words` holds the beginning of a
    /// record between two calls.
    fn step(&mut self, words: &mut Vec<u32>) -> Result<usize, End> {
        if self.health.has_failed() {
            return Err(End);
        }
        let Ok(taken) = self.consumer.take(words, WORDS) else {
            self.bad("the ring's positions make no sense");
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
