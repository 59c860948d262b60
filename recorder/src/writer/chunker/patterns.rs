//! Recognises records that have the same words as the last time control took this edge. Most
//! records of a derived recording do. They are recognised by comparing words, and need not be
//! decoded.

use super::super::decode::address;
use super::Chunker;
use super::derive::{Derivation, Unsettled};
use dashcam_schema::EventKind;
use dashcam_schema::derive::automaton::EdgeId;
use dashcam_schema::record::{
    TAG_AT, TAG_CALLER, TAG_CODE, TAG_START_SUSPENDABLE, event_words, tag,
};

const WORDS: usize = 8;
/// How many edges are tried before the record is decoded: all that are in a node's list.
const TRIED: usize = 8;
/// The words of the event that took an edge last, with the records before it. All words are
/// compared at once, which takes fewer instructions than to compare only as many as there are.
#[derive(Clone, Copy)]
pub(super) struct Pattern {
    /// 0 where `masks` is 0.
    words: [u32; WORDS],
    /// 0 for words that may have any value: times, addresses, and words behind the record. All ones
    /// for the others.
    masks: [u32; WORDS],
    /// The number of words; 0 for the records of [`Chunker::repeat_rare`], whose number is in
    /// `rare_len`.
    len: u8,
    rare_len: u8,
    /// The tag of the event itself.
    tag: u8,
    /// The code object is among the words.
    has_code: bool,
}

/// Returns the number of words at the end of a record with this tag that may have any value, and
/// the number of fixed words after those; `None` for kinds whose records have no such form.
const fn free_words(tag: u8) -> Option<(usize, usize)> {
    let Some(kind) = EventKind::from_number(tag) else {
        return if tag == TAG_START_SUSPENDABLE { Some((3, 0)) } else { None };
    };
    match kind {
        EventKind::BRANCH | EventKind::BRANCH_LEFT | EventKind::BRANCH_RIGHT => Some((0, 0)),
        EventKind::CALL | EventKind::C_RETURN | EventKind::C_RAISE => Some((1, 1)),
        EventKind::PY_START | EventKind::PY_RETURN | EventKind::PY_YIELD => Some((1, 0)),
        EventKind::RAISE | EventKind::RERAISE | EventKind::EXCEPTION_HANDLED => Some((1, 0)),
        EventKind::STOP_ITERATION => Some((1, 0)),
        EventKind::PY_UNWIND => Some((2, 0)),
        EventKind::PY_RESUME => Some((3, 0)),
        _ => None,
    }
}

impl Pattern {
    /// A pattern that does not fit any words with which a record begins.
    const NONE: Pattern = Pattern {
        words: [u32::MAX; WORDS],
        masks: [u32::MAX; WORDS],
        len: 0,
        rare_len: 0,
        tag: 0,
        has_code: false,
    };

    /// Returns the pattern of an event of `kind` and the words before it since the last event;
    /// `None` if they contain more than a pattern can describe.
    fn of(kind: EventKind, words: &[u32]) -> Option<Pattern> {
        if words.len() > WORDS {
            return None;
        }
        let mut has_code = false;
        let mut at = 0;
        let tag = loop {
            match tag(*words.get(at)?) {
                TAG_CODE => (has_code, at) = (true, at + 1),
                TAG_CALLER => at += 2,
                TAG_AT => at += 1,
                tag => break tag,
            }
        };
        let (is_suspendable, start) = (tag == TAG_START_SUSPENDABLE, EventKind::PY_START);
        if tag != kind.number() && !(is_suspendable && kind == start) {
            return None;
        }
        let length = if is_suspendable { 4 } else { 1 + event_words(kind) };
        if words.len() != at + length {
            return None;
        }
        let (free, after) = free_words(tag)?;
        let len = words.len() as u8;
        let (len, rare_len) =
            if is_suspendable || kind.has_exception() { (0, len) } else { (len, 0) };
        let (none, masks) = ([0; WORDS], [0; WORDS]);
        let mut pattern = Pattern { words: none, masks, len, rare_len, tag, has_code };
        let free = (words.len() - after - free)..(words.len() - after);
        for (i, word) in words.iter().enumerate().filter(|(i, _)| !free.contains(i)) {
            (pattern.words[i], pattern.masks[i]) = (*word, u32::MAX);
        }
        Some(pattern)
    }

    #[inline(always)]
    fn fits(&self, words: &[u32; WORDS]) -> bool {
        let mut differing = 0;
        for ((word, own), mask) in words.iter().zip(&self.words).zip(&self.masks) {
            differing |= (word ^ own) & mask;
        }
        differing == 0
    }
}

/// Returns the word at distance `from_end` from the end of a record of `len` words. The meaning of
/// a word is known by its distance from the end, because the words before the event may differ.
#[inline(always)]
fn from_end_of(words: &[u32; WORDS], len: usize, from_end: usize) -> u32 {
    // The remainder does not change the index; it shows the compiler that it is in range.
    words[len.wrapping_sub(from_end) % WORDS]
}

impl Chunker {
    /// Adds the events at the beginning of `words` as long as each has the words of the last one on
    /// its edge. Returns the number of words read. The last few words are never read.
    #[inline]
    pub(in crate::writer) fn repeated(&mut self, words: &[u32]) -> usize {
        let mut taken = 0;
        // The records before an event are part of its pattern, so they must not have been read yet.
        if self.derivation.as_ref().is_some_and(|d| d.is_between_events()) {
            while let Some(window) = words[taken..].first_chunk()
                && let len @ 1.. = self.repeat(window)
            {
                taken += len;
            }
        }
        taken
    }

    /// Adds one such event. Returns the number of words read; 0 if no pattern fits.
    #[inline(always)]
    fn repeat(&mut self, words: &[u32; WORDS]) -> usize {
        let Some(derivation) = self.derivation.as_deref_mut() else { return 0 };
        let Derivation { automaton, stacks, patterns, .. } = derivation;
        let mut next = automaton.first(stacks.top());
        for _ in 0..TRIED {
            let Some(id) = next else { return 0 };
            if let Some(pattern) = patterns.get(id as usize)
                && pattern.fits(words)
            {
                let edge = automaton.edge(id);
                if !pattern.has_code && self.code != edge.step.code
                    || self.len + edge.events as usize > self.limit
                {
                    return 0;
                }
                self.code = edge.step.code;
                let (tag, len, place) = (pattern.tag, usize::from(pattern.len), edge.place);
                if len == 0 {
                    return self.repeat_rare(id, words);
                }
                self.len += edge.events as usize - 1;
                derivation.take_edge(id);
                self.add_event(id, tag, place, words, len);
                return len;
            }
            next = automaton.next(id);
        }
        0
    }

    /// Adds the event at the end of the first `len` words, once the derived events before it are in
    /// the chunk.
    #[inline(always)]
    fn add_event(&mut self, id: EdgeId, tag: u8, place: u32, words: &[u32; WORDS], len: usize) {
        let word = |from_end| from_end_of(words, len, from_end);
        let Some(kind) = EventKind::from_number(tag) else { return };
        self.costs.charge(self.code, kind);
        match kind {
            EventKind::CALL | EventKind::C_RETURN | EventKind::C_RAISE => {
                self.advance(word(2));
                self.push_unapplied(id);
            }
            // One arm for each kind: with a constant kind, the call stacks have little to do.
            EventKind::PY_START => {
                self.advance(word(1));
                self.apply_to_calls(EventKind::PY_START, place, 0, 0, 0);
                self.push_applied();
            }
            EventKind::PY_RETURN => {
                self.advance(word(1));
                self.apply_to_calls(EventKind::PY_RETURN, place, 0, 0, 0);
                self.push_applied();
            }
            EventKind::PY_YIELD => {
                self.advance(word(1));
                self.apply_to_calls(EventKind::PY_YIELD, place, 0, 0, 0);
                self.push_applied();
            }
            EventKind::PY_RESUME => {
                self.advance(word(3));
                let frame = address(word(2), word(1));
                let resumed = self.resumed(frame, id);
                self.apply_to_calls(EventKind::PY_RESUME, place, 0, resumed, frame);
                self.push_applied();
            }
            _ => self.push_unapplied(id),
        }
    }

    /// The rest of [`Self::repeat`] for events with an exception and events that begin a call that
    /// may be suspended. It is a function of its own so that other events are not slowed down.
    #[inline(never)]
    fn repeat_rare(&mut self, id: EdgeId, words: &[u32; WORDS]) -> usize {
        let Some(derivation) = &self.derivation else { return 0 };
        let Pattern { rare_len, tag, .. } = derivation.patterns[id as usize];
        let len = usize::from(rare_len);
        if len == 0 {
            return 0;
        }
        let word = |from_end| from_end_of(words, len, from_end);
        let kind = EventKind::from_number(tag);
        let exception = word(1);
        if kind.is_some() && self.check_exception(exception).is_err() {
            return 0;
        }
        let place = self.take_edge(id);
        self.costs.charge(self.code, kind.unwrap_or(EventKind::PY_START));
        match kind {
            None => {
                let frame = address(word(2), word(1));
                self.advance(word(3));
                self.begin_suspendable(frame);
                self.apply_to_calls(EventKind::PY_START, place, 0, 0, frame);
                self.push_applied();
            }
            Some(EventKind::STOP_ITERATION) => {
                self.name_exception(exception);
                self.push_unapplied(id);
            }
            Some(kind) => {
                self.name_exception(exception);
                if kind.is_timed() {
                    self.advance(word(2));
                }
                self.apply_to_calls(kind, place, exception, 0, 0);
                self.push_applied();
            }
        }
        len
    }

    /// Counts one more event, which need not be applied to the call stacks yet.
    #[inline(always)]
    fn push_unapplied(&mut self, id: EdgeId) {
        if let Some(derivation) = self.derivation.as_deref_mut() {
            derivation.unsettled = Unsettled::Recorded(id);
        }
        self.len += 1;
    }

    /// Counts one more event, which has been applied to the call stacks.
    #[inline(always)]
    fn push_applied(&mut self) {
        if let Some(derivation) = self.derivation.as_deref_mut() {
            derivation.unsettled = Unsettled::Nothing;
        }
        self.len += 1;
    }

    /// Learns the pattern of the edge taken last. `words` are the words of its event and of the
    /// records before it.
    pub(in crate::writer) fn learn(&mut self, words: &[u32]) {
        let Some(derivation) = &mut self.derivation else { return };
        let id = derivation.last_edge;
        let edge = derivation.automaton.edge(id);
        let Some(kind) = EventKind::from_number(edge.step.kind) else { return };
        if edge.is_desync {
            return;
        }
        if let Some(pattern) = Pattern::of(kind, words) {
            let patterns = &mut derivation.patterns;
            if id as usize >= patterns.len() {
                patterns.resize(id as usize + 256, Pattern::NONE);
            }
            patterns[id as usize] = pattern;
        }
    }
}
