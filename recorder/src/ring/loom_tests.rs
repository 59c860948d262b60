//! Checks every interleaving of the shipped producer and consumer, on a tiny ring.
//! `RUSTFLAGS="--cfg loom" cargo test -p dashcam-recorder --release ring`

use super::*;
use loom::thread;

/// Checks all interleavings with at most three preemptions: bugs in such small programs need one or
/// two. The bound is what loom's documentation recommends; without one, a spinning wait has
/// infinitely many interleavings.
fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(check);
}

/// Sends records of two words, `(i, !i)`, so that a torn or reordered record is noticed.
fn run(capacity: usize, records: u32) {
    model(move || {
        let ring = Ring::on_heap(capacity);
        let producer = thread::spawn(move || {
            let mut producer = Producer::new(ring, Clock::Monotonic);
            for i in 0..records {
                producer
                    .wait(2, || {
                        thread::yield_now();
                        Ok(1)
                    })
                    .unwrap();
                producer.put(i);
                producer.put(!i);
                producer.publish();
            }
        });
        let mut consumer = Consumer::new(ring);
        let mut words = Vec::new();
        while words.len() < 2 * records as usize {
            if consumer.take(&mut words, 4).unwrap() == 0 {
                thread::yield_now();
            }
            assert!(words.len() % 2 == 0, "half a record was published");
        }
        producer.join().unwrap();
        for (i, record) in words.chunks(2).enumerate() {
            assert_eq!(record, [i as u32, !(i as u32)]);
        }
    });
}

#[test]
fn records_arrive_whole_and_in_order() {
    run(4, 3);
}

#[test]
fn a_full_ring_is_not_overwritten() {
    run(2, 3);
}

#[test]
fn closing_ends_the_wait() {
    model(|| {
        let ring = Ring::on_heap(2);
        let producer = thread::spawn(move || {
            let mut producer = Producer::new(ring, Clock::Monotonic);
            // Refused at once if the ring is closed already.
            if producer.wait(2, || Ok(0)).is_ok() {
                producer.put(0);
                producer.put(1);
                producer.publish();
            }
            let end = producer.wait(2, || {
                thread::yield_now();
                Ok(1)
            });
            assert_eq!(end, Err(Gone));
        });
        Consumer::new(ring).close();
        producer.join().unwrap();
    });
}
