//! Records that are word for word what they were the last time control went this way: most of a
//! derived recording. They are told by comparing words, and need not be taken apart.

use super::Chunker;
use super::derive::{Derivation, Unsettled};
use dashcam_schema::EventKind;
use dashcam_schema::chunk::EVENTS_MAX;
use dashcam_schema::derive::automaton::EdgeId;
use dashcam_schema::record::{TAG_CALLER, TAG_CODE, event_words, tag};

const WORDS: usize = 8;
/// Edges that are tried before the record is taken apart.
const TRIED: usize = 4;

/// The words of the record that went over an edge last, with what stood before it. Compared all at
/// once, which takes fewer instructions than to look at only as many words as there are.
#[derive(Clone, Copy, Default)]
pub(super) struct Pattern {
    /// 0 where `masks` is.
    words: [u32; WORDS],
    /// 0 for words that may be anything: times, addresses, and what is not part of the record. All
    /// ones for the others.
    masks: [u32; WORDS],
    /// 0: none yet.
    len: u8,
    kind: u8,
    /// The code object is among the words.
    has_code: bool,
}

/// Words at the end of a record of this kind that may be anything, and words after those; `None`
/// for kinds that carry more than that.
const fn free_words(kind: EventKind) -> Option<(usize, usize)> {
    match kind {
        EventKind::BRANCH | EventKind::BRANCH_LEFT | EventKind::BRANCH_RIGHT => Some((0, 0)),
        EventKind::CALL | EventKind::C_RETURN | EventKind::C_RAISE => Some((1, 1)),
        EventKind::PY_START | EventKind::PY_RETURN | EventKind::PY_YIELD => Some((1, 0)),
        EventKind::PY_RESUME => Some((3, 0)),
        _ => None,
    }
}

impl Pattern {
    /// The pattern of an event of `kind` and the words before it since the last event; `None` if
    /// there is more in them than a pattern can tell.
    fn of(kind: EventKind, words: &[u32]) -> Option<Pattern> {
        let (free, after) = free_words(kind)?;
        let event = words.len().checked_sub(1 + event_words(kind))?;
        if words.len() > WORDS || tag(words[event]) != kind.number() {
            return None;
        }
        let mut has_code = false;
        let mut at = 0;
        while at < event {
            match tag(words[at]) {
                TAG_CODE => (has_code, at) = (true, at + 1),
                TAG_CALLER => at += 2,
                _ => return None,
            }
        }
        let mut pattern = Pattern { kind: kind.number(), has_code, ..Pattern::default() };
        pattern.len = words.len() as u8;
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
        differing == 0 && self.len > 0
    }
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
                    || self.len + edge.events as usize > EVENTS_MAX
                {
                    return 0;
                }
                self.code = edge.step.code;
                let (kind, len, place) = (pattern.kind, usize::from(pattern.len), edge.place);
                self.len += edge.events as usize - 1;
                derivation.go(id);
                self.take_in(id, kind, place, words, len);
                return len;
            }
            next = automaton.next(id);
        }
        0
    }

    /// The event at the end of the first `len` words, once the way there is in the chunk.
    #[inline(always)]
    fn take_in(&mut self, id: EdgeId, kind: u8, place: u32, words: &[u32; WORDS], len: usize) {
        // From the end, for what stands before the event may differ. The mask changes nothing.
        let word = |from_end: usize| words[len.wrapping_sub(from_end) % WORDS];
        let Some(kind) = EventKind::from_number(kind) else { return };
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
                let frame = u64::from(word(2)) | u64::from(word(1)) << 32;
                let resumed = self.resumed(frame, id);
                self.tell(EventKind::PY_RESUME, place, 0, resumed, frame);
                self.told();
            }
            _ => self.note(id),
        }
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
                patterns.resize(id as usize + 256, Pattern::default());
            }
            patterns[id as usize] = pattern;
        }
    }
}
