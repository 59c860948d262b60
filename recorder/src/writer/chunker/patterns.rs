//! Records that are word for word what they were the last time control went this way: most of a
//! derived recording. They are told by comparing words, and need not be taken apart.

use super::Chunker;
use dashcam_schema::EventKind;
use dashcam_schema::chunk::EVENTS_MAX;
use dashcam_schema::derive::automaton::EdgeId;
use dashcam_schema::record::{TAG_CALLER, TAG_CODE, event_words, tag};

const WORDS: usize = 8;
/// Edges that are tried before the record is taken apart.
const TRIED: usize = 4;

/// The words of the record that went over an edge last, with what stood before it.
#[derive(Clone, Copy, Default)]
pub(super) struct Pattern {
    words: [u32; WORDS],
    /// 0: none yet.
    len: u8,
    /// Bit per word that may be anything: times and addresses.
    free: u8,
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
        pattern.words[..words.len()].copy_from_slice(words);
        pattern.len = words.len() as u8;
        let free = (words.len() - after - free)..(words.len() - after);
        free.for_each(|i| pattern.free |= 1 << i);
        Some(pattern)
    }

    #[inline(always)]
    fn fits(&self, words: &[u32]) -> bool {
        let len = usize::from(self.len);
        len > 0
            && len <= words.len()
            && (0..len).all(|i| self.words[i] == words[i] || self.free >> i & 1 == 1)
    }
}

impl Chunker {
    /// Takes in the record that `words` begin with if it is like the last one that went this way;
    /// says how many words it was, or 0.
    #[inline(always)]
    pub(in crate::writer) fn repeated(&mut self, words: &[u32]) -> usize {
        let Some(derivation) = &self.derivation else { return 0 };
        if !derivation.is_between_events() {
            return 0;
        }
        let mut id = derivation.automaton.first(derivation.stacks.top());
        for _ in 0..TRIED {
            let Some(found) = id else { return 0 };
            if let Some(pattern) = derivation.patterns.get(found as usize)
                && pattern.fits(words)
            {
                let edge = derivation.automaton.edge(found);
                if !pattern.has_code && self.code != edge.step.code {
                    return 0;
                }
                let (kind, len) = (pattern.kind, usize::from(pattern.len));
                self.code = edge.step.code;
                return self.repeat(found, kind, &words[..len]);
            }
            id = derivation.automaton.next(found);
        }
        0
    }

    #[inline(always)]
    fn repeat(&mut self, id: EdgeId, kind: u8, words: &[u32]) -> usize {
        let events = self.derivation.as_ref().map_or(0, |d| d.automaton.edge(id).events as usize);
        if self.len + events > EVENTS_MAX {
            self.seal();
        }
        let place = self.go(id);
        let len = words.len();
        let Some(kind) = EventKind::from_number(kind) else { return 0 };
        match kind {
            EventKind::CALL | EventKind::C_RETURN | EventKind::C_RAISE => {
                self.advance(words[len - 2]);
                self.push(kind.number(), place);
            }
            EventKind::PY_START | EventKind::PY_RETURN | EventKind::PY_YIELD => {
                self.advance(words[len - 1]);
                self.apply(kind, place, 0, 0, 0);
            }
            EventKind::PY_RESUME => {
                self.advance(words[len - 3]);
                let frame = u64::from(words[len - 2]) | u64::from(words[len - 1]) << 32;
                self.resume_call(kind, place, None, frame, id);
            }
            _ => self.push(kind.number(), place),
        }
        len
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
