//! Words of the ring → calls of the chunker. Nothing is trusted: an invalid record ends the
//! recording there, and everything before it is kept.

use super::chunker::{Bad, Chunker};
use crate::ring;
use dashcam_schema::EventKind;
use dashcam_schema::record::{
    DEFINITION_BYTES_MAX, Definition, SAYS_NONE, TAG_AT, TAG_CALLER, TAG_CLOCK, TAG_CODE, TAG_COST,
    TAG_DEFINE, TAG_RUNNING, TAG_SPENT, TAG_START_SUSPENDABLE, TAG_THREAD, TAG_WIDE_PLACE,
    event_words, payload, tag,
};

/// Reads all whole records at the beginning of `words`. Returns how many words they have. The rest
/// is the beginning of one more record.
///
/// # Errors
/// The number of words before the bad record, and what is wrong with it.
pub(super) fn decode(
    words: &[u32],
    chunker: &mut Chunker,
    clock: ring::Clock,
) -> Result<usize, (usize, Bad)> {
    chunker.tidy();
    let mut at = 0;
    // Where the words that belong to the next event begin, if all of them are in `words`.
    let mut group = None;
    while at < words.len() {
        if chunker.is_full() {
            chunker.seal();
        }
        let omits_derived = chunker.omits_derived();
        if omits_derived {
            let taken = chunker.repeated(&words[at..]);
            if taken > 0 {
                at += taken;
                group = Some(at);
                if at == words.len() {
                    break;
                }
                if chunker.is_full() {
                    chunker.seal();
                }
            }
        }
        let (before, first) = (at, tag(words[at]));
        match record(&words[at..], chunker, clock) {
            Ok(0) => break,
            Ok(taken) => at += taken,
            Err(bad) => return Err((at, bad)),
        }
        if omits_derived {
            group = match first {
                TAG_CODE | TAG_CALLER | TAG_AT => group,
                0..=TAG_START_SUSPENDABLE => {
                    if let Some(begin) = group {
                        chunker.learn(&words[begin..at]);
                    }
                    Some(at)
                }
                // Most often a definition. If it is between two events, no words are missing.
                _ => group.filter(|begin| *begin == before).map(|_| at),
            };
        }
    }
    Ok(at)
}

/// Reads one record, or several plain events. Returns the number of words read; 0 if the record is
/// not complete yet.
#[inline(always)]
fn record(words: &[u32], chunker: &mut Chunker, clock: ring::Clock) -> Result<usize, Bad> {
    const LINE: u8 = EventKind::LINE.number();
    const INSTRUCTION: u8 = EventKind::INSTRUCTION.number();
    const JUMP: u8 = EventKind::JUMP.number();
    const BRANCH_RIGHT: u8 = EventKind::BRANCH_RIGHT.number();
    const CALL: u8 = EventKind::CALL.number();
    const C_RAISE: u8 = EventKind::C_RAISE.number();

    let (tag, place) = (tag(words[0]), payload(words[0]));
    if tag <= TAG_START_SUSPENDABLE && !chunker.has_context() {
        return Err("an event without a thread or code object");
    }
    // Only the frequent events are decoded here; `event` decodes all.
    match tag {
        LINE | INSTRUCTION if chunker.omits_derived() => Err("an event that should be derived"),
        LINE | INSTRUCTION => Ok(chunker.plain(words)),
        JUMP..=BRANCH_RIGHT => {
            let [_, target, ..] = *words else { return Ok(0) };
            chunker.branch(tag, place, target)?;
            Ok(2)
        }
        CALL..=C_RAISE => {
            let [_, ticks, callable, ..] = *words else { return Ok(0) };
            chunker.call(tag, place, ticks, callable)?;
            Ok(3)
        }
        TAG_CODE => chunker.set_code(place).map(|()| 1),
        TAG_CALLER => {
            let [_, code, ..] = *words else { return Ok(0) };
            chunker.caller(place, code)?;
            Ok(2)
        }
        0..=TAG_START_SUSPENDABLE => {
            match EventKind::from_number(tag).filter(|kind| kind.may_say_none()) {
                Some(kind) if place & SAYS_NONE != 0 => {
                    // Not before the record is complete: the rest may be read in another way.
                    if words.len() <= event_words(kind) {
                        return Ok(0);
                    }
                    chunker.says_none()?;
                    event(words, place & !SAYS_NONE, chunker)
                }
                _ => event(words, place, chunker),
            }
        }
        _ => other(words, tag, place, chunker, clock),
    }
}

pub(super) fn address(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// Reads any event. Its place may differ from the one in its word.
fn event(words: &[u32], place: u32, chunker: &mut Chunker) -> Result<usize, Bad> {
    let tag = tag(words[0]);
    let Some(kind) = EventKind::from_number(tag) else {
        let [_, ticks, low, high, ..] = *words else { return Ok(0) };
        if tag != TAG_START_SUSPENDABLE {
            return Err("a wide place without an event");
        }
        chunker.start(place, ticks, Some(address(low, high)));
        return Ok(4);
    };
    let length = 1 + event_words(kind);
    if words.len() < length {
        return Ok(0);
    }
    if chunker.omits_derived() && matches!(kind, EventKind::LINE | EventKind::INSTRUCTION) {
        return Err("an event that should be derived");
    }
    match (kind, &words[1..length]) {
        (EventKind::PY_START, [ticks]) => chunker.start(place, *ticks, None),
        (EventKind::PY_RETURN, [ticks]) => chunker.leave(place, *ticks),
        (EventKind::PY_YIELD, [ticks]) => chunker.suspend(place, *ticks),
        (EventKind::PY_RESUME, [ticks, low, high]) => {
            chunker.resume(kind, place, *ticks, None, address(*low, *high))?;
        }
        (EventKind::PY_THROW, [ticks, exception, low, high]) => {
            chunker.resume(kind, place, *ticks, Some(*exception), address(*low, *high))?;
        }
        (EventKind::PY_UNWIND, [ticks, exception]) => {
            chunker.exception(kind, place, Some(*ticks), *exception)?;
        }
        (EventKind::STOP_ITERATION, [exception]) => chunker.stop_iteration(place, *exception)?,
        (_, [ticks, callable]) => chunker.call(tag, place, *ticks, *callable)?,
        (_, [exception]) if kind.has_exception() => {
            chunker.exception(kind, place, None, *exception)?;
        }
        (_, [target]) => chunker.branch(tag, place, *target)?,
        (_, []) if chunker.omits_derived() => return Err("an event that should be derived"),
        (_, []) => chunker.bare(tag, place),
        _ => return Err("an event of unknown form"),
    }
    Ok(length)
}

/// Reads a record that is not an event.
#[cold]
fn other(
    words: &[u32],
    tag: u8,
    payload: u32,
    chunker: &mut Chunker,
    clock: ring::Clock,
) -> Result<usize, Bad> {
    match tag {
        TAG_THREAD => chunker.set_thread(payload).map(|()| 1),
        TAG_CLOCK => {
            let [_, low, high, ..] = *words else { return Ok(0) };
            chunker.set_ticks(address(low, high), clock);
            Ok(3)
        }
        TAG_COST => {
            let [_, ticks, ..] = *words else { return Ok(0) };
            chunker.measured(ticks, payload);
            Ok(2)
        }
        TAG_SPENT => {
            let [_, low, high, ..] = *words else { return Ok(0) };
            chunker.spent(address(low, high));
            Ok(3)
        }
        TAG_WIDE_PLACE => {
            let [_, place, ref rest @ ..] = *words else { return Ok(0) };
            if rest.is_empty() {
                return Ok(0);
            }
            if !chunker.has_context() {
                return Err("an event without a thread or code object");
            }
            let taken = event(rest, place, chunker)?;
            Ok(if taken == 0 { 0 } else { 2 + taken })
        }
        TAG_AT => {
            chunker.at(payload);
            Ok(1)
        }
        TAG_DEFINE => define(words, payload as usize, chunker),
        TAG_RUNNING => {
            let [_, code, low, high, ..] = *words else { return Ok(0) };
            chunker.running(payload, code, address(low, high))?;
            Ok(4)
        }
        _ => Err("an unknown tag"),
    }
}

fn define(words: &[u32], length: usize, chunker: &mut Chunker) -> Result<usize, Bad> {
    if length == 0 || length > DEFINITION_BYTES_MAX / 4 + 2 {
        return Err("a definition of impossible length");
    }
    let Some(body) = words.get(1..1 + length) else { return Ok(0) };
    let bytes: Vec<u8> = body[1..].iter().flat_map(|word| word.to_le_bytes()).collect();
    let byte_count = body[0] as usize;
    if byte_count > bytes.len() || bytes.len() - byte_count > 3 {
        return Err("a definition of impossible length");
    }
    let config = bincode::config::standard().with_limit::<DEFINITION_BYTES_MAX>();
    match bincode::decode_from_slice::<Definition, _>(&bytes[..byte_count], config) {
        Ok((definition, used)) if used == byte_count => {
            chunker.define(definition, byte_count)?;
            Ok(1 + length)
        }
        _ => Err("a definition that cannot be decoded"),
    }
}
