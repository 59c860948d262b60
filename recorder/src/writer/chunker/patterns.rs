//! Records that are word for word what they were the last time control went this way: most of a
//! derived recording. They are told by comparing words, and need not be taken apart.

use super::super::decode::address;
use super::Chunker;
use super::derive::{Derivation, Unsettled};
use dashcam_schema::EventKind;
use dashcam_schema::derive::automaton::EdgeId;
use dashcam_schema::record::{
    TAG_AT, TAG_CALLER, TAG_CODE, TAG_START_SUSPENDABLE, event_words, tag,
};

const WORDS: usize = 8;
/// Edges that are tried before the record is taken apart: all that are in a node's list.
const TRIED: usize = 8;
/// The words of the record that went over an edge last, with what stood before it. Compared all at
/// once, which takes fewer instructions than to look at only as many words as there are.
#[derive(Clone, Copy)]
pub(super) struct Pattern {
    /// 0 where `masks` is.
    words: [u32; WORDS],
    /// 0 for words that may be anything: times, addresses, and what is not part of the record. All
    /// ones for the others.
    masks: [u32; WORDS],
    /// 0 for the records of [`Chunker::repeat_rare`], where `rare_len` says it.
    len: u8,
    rare_len: u8,
    /// Of the event itself.
    tag: u8,
    /// The code object is among the words.
    has_code: bool,
}

/// Words at the end of a record with this tag that may be anything, and words after those; `None`
/// for kinds that carry more than that.
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
    /// None yet: fits no words that a record begins with.
    const NONE: Pattern = Pattern {
        words: [u32::MAX; WORDS],
        masks: [u32::MAX; WORDS],
        len: 0,
        rare_len: 0,
        tag: 0,
        has_code: false,
    };

    /// The pattern of an event of `kind` and the words before it since the last event; `None` if
    /// there is more in them than a pattern can tell.
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

/// One of the last words of a record of `len` words: from there it is known what they are, for what
/// stands before the event may differ.
#[inline(always)]
fn from_end_of(words: &[u32; WORDS], len: usize, from_end: usize) -> u32 {
    // The remainder changes nothing; it tells the compiler so.
    words[len.wrapping_sub(from_end) % WORDS]
}

impl Chunker {
    /// Takes in the records that `words` begin with as long as each is like the last one that went
    /// its way; says how many words they were. The last few words are never taken.
    #[inline]
    pub(in crate::writer) fn repeated(&mut self, words: &[u32]) -> usize {
        let mut taken = 0;
        // What belongs to the event to come is in the pattern, or this is no way for it.
        if self.derivation.as_ref().is_some_and(|d| d.is_between_events()) {
            while let Some(window) = words[taken..].first_chunk()
                && let len @ 1.. = self.repeat(window)
            {
                taken += len;
            }
        }
        taken
    }

    /// Takes in one such record; says how many words it was, or 0.
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
                derivation.go(id);
                self.take_in(id, tag, place, words, len);
                return len;
            }
            next = automaton.next(id);
        }
        0
    }

    /// The event at the end of the first `len` words, once the way there is in the chunk.
    #[inline(always)]
    fn take_in(&mut self, id: EdgeId, tag: u8, place: u32, words: &[u32; WORDS], len: usize) {
        let word = |from_end| from_end_of(words, len, from_end);
        let Some(kind) = EventKind::from_number(tag) else { return };
        self.costs.charge(self.code, kind);
        match kind {
            EventKind::CALL | EventKind::C_RETURN | EventKind::C_RAISE => {
                self.advance(word(2));
                self.note(id);
            }
            // An arm each: what the call stacks have to do for a known kind is little.
            EventKind::PY_START => {
                self.advance(word(1));
                self.tell(EventKind::PY_START, place, 0, 0, 0);
                self.told();
            }
            EventKind::PY_RETURN => {
                self.advance(word(1));
                self.tell(EventKind::PY_RETURN, place, 0, 0, 0);
                self.told();
            }
            EventKind::PY_YIELD => {
                self.advance(word(1));
                self.tell(EventKind::PY_YIELD, place, 0, 0, 0);
                self.told();
            }
            EventKind::PY_RESUME => {
                self.advance(word(3));
                let frame = address(word(2), word(1));
                let resumed = self.resumed(frame, id);
                self.tell(EventKind::PY_RESUME, place, 0, resumed, frame);
                self.told();
            }
            _ => self.note(id),
        }
    }

    /// The rest of [`Self::repeat`] for events with an exception and those that begin a call that
    /// may be suspended: here, so that the others are not slowed down by them.
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
        let place = self.go(id);
        self.costs.charge(self.code, kind.unwrap_or(EventKind::PY_START));
        match kind {
            None => {
                let frame = address(word(2), word(1));
                self.advance(word(3));
                self.begin_suspendable(frame);
                self.tell(EventKind::PY_START, place, 0, 0, frame);
                self.told();
            }
            Some(EventKind::STOP_ITERATION) => {
                self.name_exception(exception);
                self.note(id);
            }
            Some(kind) => {
                self.name_exception(exception);
                if kind.is_timed() {
                    self.advance(word(2));
                }
                self.tell(kind, place, exception, 0, 0);
                self.told();
            }
        }
        len
    }

    /// One more event, of which the call stacks need not know yet.
    #[inline(always)]
    fn note(&mut self, id: EdgeId) {
        if let Some(derivation) = self.derivation.as_deref_mut() {
            derivation.unsettled = Unsettled::Recorded(id);
        }
        self.len += 1;
    }

    /// One more event, of which the call stacks know.
    #[inline(always)]
    fn told(&mut self) {
        if let Some(derivation) = self.derivation.as_deref_mut() {
            derivation.unsettled = Unsettled::Nothing;
        }
        self.len += 1;
    }

    /// `words` are the event that was taken in last and what stood before it.
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
