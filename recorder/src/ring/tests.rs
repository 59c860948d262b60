use super::*;
use std::thread;

fn pair(capacity: usize) -> (Producer, Consumer) {
    let ring = Ring::on_heap(capacity);
    (Producer::new(ring, Clock::Monotonic), Consumer::new(ring))
}

#[test]
fn words_arrive_in_order_across_the_seam() {
    let (mut producer, mut consumer) = pair(64);
    let writer = thread::spawn(move || {
        for i in 0..100_000u32 {
            while !producer.has_room() {
                producer
                    .wait(16, || {
                        thread::yield_now();
                        Ok(1)
                    })
                    .unwrap();
            }
            producer.put(i);
            producer.publish();
        }
    });
    let mut words = Vec::new();
    while words.len() < 100_000 {
        if consumer.take(&mut words, 7).unwrap() == 0 {
            thread::yield_now();
        }
    }
    writer.join().unwrap();
    assert!(words.iter().copied().eq(0..100_000));
}

#[test]
fn unpublished_words_are_not_seen() {
    let (mut producer, mut consumer) = pair(64);
    producer.wait(16, || Ok(0)).unwrap();
    producer.put(1);
    let mut words = Vec::new();
    assert_eq!(consumer.take(&mut words, 10), Ok(0));
    producer.publish();
    assert_eq!(consumer.take(&mut words, 10), Ok(1));
}

#[test]
fn waiting_is_counted_and_ends_when_the_consumer_is_gone() {
    let (mut producer, consumer) = pair(16);
    producer.wait(16, || Ok(0)).unwrap();
    (0..16).for_each(|i| producer.put(i));
    producer.publish();
    let mut turns = 0;
    let gone = producer.wait(1, || {
        turns += 1;
        if turns == 3 { Err(Gone) } else { Ok(5) }
    });
    assert_eq!((gone, consumer.waited()), (Err(Gone), (1, 10)));
    consumer.close();
    assert_eq!(producer.wait(1, || unreachable!()), Err(Gone));
    assert_eq!(producer.wait(17, || unreachable!()), Err(Gone));
}

#[test]
fn a_head_beyond_the_capacity_is_corrupt() {
    let ring = Ring::on_heap(16);
    let mut consumer = Consumer::new(ring);
    ring.header.producer.head.store(17, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(consumer.take(&mut Vec::new(), 100), Err(Corrupt));
}

#[test]
fn room_is_checked_for_any_number_of_words() {
    let (mut producer, _consumer) = pair(16);
    producer.wait(8, || Ok(0)).unwrap();
    assert!(producer.room_for(16) && !producer.room_for(17));
}

#[test]
fn an_epoch_is_asked_for_by_counting() {
    let (producer, consumer) = pair(16);
    assert_eq!(producer.wanted_epoch(), 0);
    consumer.ask_for_epoch();
    consumer.ask_for_epoch();
    assert_eq!(producer.wanted_epoch(), 2);
}

#[test]
fn two_mappings_of_one_file_are_one_ring() {
    let (ring, file) = create(1024).unwrap();
    let other = attach(&file).unwrap();
    let mut producer = Producer::new(other, Clock::Tsc);
    producer.wait(2, || Ok(0)).unwrap();
    producer.put(7);
    producer.publish();
    let mut consumer = Consumer::new(ring);
    let mut words = Vec::new();
    consumer.take(&mut words, 10).unwrap();
    assert_eq!((words, consumer.clock()), (vec![7], Clock::Tsc));
    let empty = std::fs::File::open("/dev/null").unwrap();
    assert!(attach(&empty).is_err());
}
