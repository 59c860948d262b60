//! The words of one event's values, before they go into the ring.

use crate::shim::ffi::objects::{Characters, Int};
use dashcam_schema::value::words::{self, GROUP_WORDS_MAX, SMALL_INT_LIMIT};

/// Words that are kept free to finish what has begun: the rest of one object, and the classes of
/// the objects that are due by then.
pub(super) const RESERVE: usize = 1 << 12;

const MASK: usize = GROUP_WORDS_MAX - 1;
const _: () = assert!(GROUP_WORDS_MAX.is_power_of_two());

/// Words, at most [`GROUP_WORDS_MAX`]. Putting more than fits overwrites the beginning, so code
/// that puts many checks [`Buffer::len`] first.
pub(super) struct Buffer {
    words: Box<[u32; GROUP_WORDS_MAX]>,
    len: usize,
    /// Where the part that has begun keeps its length; parts do not nest.
    part: usize,
    /// Where texts are encoded; as large as the longest so far.
    text: Vec<u8>,
}

impl Default for Buffer {
    fn default() -> Buffer {
        let words = vec![0; GROUP_WORDS_MAX].into_boxed_slice();
        // Invariant: it has the length that it was made with.
        #[allow(clippy::unwrap_used)]
        Buffer {
            words: words.try_into().unwrap(),
            len: 0,
            part: 0,
            text: Vec::with_capacity(1 << 10),
        }
    }
}

impl Buffer {
    #[inline(always)]
    pub(super) fn put(&mut self, word: u32) {
        self.words[self.len & MASK] = word;
        self.len += 1;
    }

    pub(super) fn set(&mut self, at: usize, word: u32) {
        self.words[at & MASK] = word;
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.len = len;
    }

    pub(super) fn words(&self) -> &[u32] {
        &self.words[..self.len.min(GROUP_WORDS_MAX)]
    }

    pub(super) fn since(&self, begin: usize) -> &[u32] {
        self.words().get(begin..).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn put_address(&mut self, tag: u8, address: usize) {
        self.put(words::word(tag, (address >> 32) as u32));
        self.put(address as u32);
    }

    #[inline(always)]
    pub(super) fn put_int(&mut self, value: i64) {
        if (-SMALL_INT_LIMIT..SMALL_INT_LIMIT).contains(&value) {
            self.put(words::word(words::SMALL_INT, value as u32));
        } else {
            self.put(words::word(words::INT, 0));
            self.put(value as u32);
            self.put((value >> 32) as u32);
        }
    }

    #[inline(always)]
    pub(super) fn put_float(&mut self, value: f64) {
        let bits = value.to_bits();
        self.put(words::word(words::FLOAT, 0));
        self.put(bits as u32);
        self.put((bits >> 32) as u32);
    }

    /// Puts a str of one character.
    pub(super) fn put_character(&mut self, character: u32) {
        let mut text = [0; 4];
        let length = encode(character, &mut text);
        self.put_text(words::STR, &text[..length]);
    }

    /// Puts a str or bytes that is a value.
    #[inline(always)]
    pub(super) fn put_text(&mut self, tag: u8, text: &[u8]) {
        self.put(words::word(tag, text.len() as u32));
        self.put_bytes(text);
    }

    #[inline(always)]
    fn put_bytes(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks::<4>();
        for word in whole {
            self.put(u32::from_le_bytes(*word));
        }
        // Not copied as bytes of unknown length, which would be a function call.
        match *rest {
            [a] => self.put(u32::from_le_bytes([a, 0, 0, 0])),
            [a, b] => self.put(u32::from_le_bytes([a, b, 0, 0])),
            [a, b, c] => self.put(u32::from_le_bytes([a, b, c, 0])),
            _ => {}
        }
    }

    /// Puts a part that is a text of `length` characters or bytes, of which `kept` is kept.
    pub(super) fn put_long_text(&mut self, kept: &[u8], length: u64) {
        let room = 4 * (GROUP_WORDS_MAX - RESERVE).saturating_sub(self.len);
        let kept = &kept[..kept.len().min(room)];
        self.put(words::word(words::TEXT, kept.len() as u32));
        self.put(length as u32);
        self.put((length >> 32) as u32);
        self.put_bytes(kept);
    }

    /// Puts a part that is the characters of a str, of which at most `max` are kept.
    pub(super) fn put_characters(&mut self, characters: &Characters<'_>, max: usize) {
        match characters {
            Characters::Ascii(text) => {
                self.put_long_text(&text[..text.len().min(max)], text.len() as u64);
            }
            Characters::Latin1(text) => {
                let codes = text.iter().take(max).map(|code| u32::from(*code));
                self.put_encoded(codes, text.len() as u64);
            }
            Characters::Two(text) => {
                let codes = text.iter().take(max).map(|code| u32::from(*code));
                self.put_encoded(codes, text.len() as u64);
            }
            Characters::Four(text) => {
                self.put_encoded(text.iter().take(max).copied(), text.len() as u64);
            }
        }
    }

    fn put_encoded(&mut self, codes: impl Iterator<Item = u32>, length: u64) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        for code in codes {
            let mut bytes = [0; 4];
            match encode(code, &mut bytes) {
                1 => text.push(bytes[0]),
                2 => text.extend_from_slice(&bytes[..2]),
                3 => text.extend_from_slice(&bytes[..3]),
                _ => text.extend_from_slice(&bytes),
            }
        }
        self.put_long_text(&text, length);
        self.text = text;
    }

    /// Puts a part that is an int, of which about `max` decimal digits are kept at most.
    pub(super) fn put_digits(&mut self, value: &Int<'_>, max: u32) {
        let small;
        let (is_negative, digits) = match value {
            Int::Long { is_negative, digits } => (*is_negative, *digits),
            Int::Small(value) => {
                let rest = value.unsigned_abs();
                small = [0, 30, 60].map(|shift| (rest >> shift) as u32 & 0x3fff_ffff);
                let used = small.iter().rposition(|digit| *digit != 0).map_or(1, |last| last + 1);
                (*value < 0, &small[..used])
            }
        };
        // 30 bits are nine decimal digits and a little.
        let kept = digits.len().min(max as usize / 9 + 1).max(1);
        self.put(words::word(words::DIGITS, kept as u32));
        self.put(is_negative.into());
        self.put(digits.len() as u32);
        digits[digits.len() - kept..].iter().for_each(|digit| self.put(*digit));
    }

    /// Begins a part that consists of items.
    #[inline]
    pub(super) fn begin_part(&mut self) {
        self.part = self.len;
        (0..3).for_each(|_| self.put(0));
    }

    /// Ends the part: `kept` items were kept of `length`.
    #[inline]
    pub(super) fn end_part(&mut self, kept: usize, length: u64) {
        let at = self.part;
        self.set(at, words::word(words::ITEMS, kept as u32));
        self.set(at + 1, length as u32);
        self.set(at + 2, (length >> 32) as u32);
    }
}

/// Encodes a character as UTF-8, lone surrogates as if they were characters. Returns the length.
#[inline(always)]
fn encode(code: u32, text: &mut [u8; 4]) -> usize {
    let tail = |shift: u32| (code >> shift & 0x3f) as u8 | 0x80;
    match code {
        0..0x80 => {
            text[0] = code as u8;
            1
        }
        0x80..0x800 => {
            (text[0], text[1]) = ((code >> 6) as u8 | 0xc0, tail(0));
            2
        }
        0x800..0x1_0000 => {
            (text[0], text[1], text[2]) = ((code >> 12) as u8 | 0xe0, tail(6), tail(0));
            3
        }
        _ => {
            *text = [(code >> 18) as u8 & 7 | 0xf0, tail(12), tail(6), tail(0)];
            4
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(characters: &Characters<'_>, max: usize) -> (Vec<u8>, u64) {
        let mut buffer = Buffer::default();
        buffer.put_characters(characters, max);
        let words = buffer.words();
        let bytes: Vec<u8> = words[3..].iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(words::tag(words[0]), words::TEXT);
        let count = words::payload(words[0]) as usize;
        assert_eq!(bytes.len(), count.next_multiple_of(4));
        (bytes[..count].to_vec(), u64::from(words[1]))
    }

    #[test]
    fn characters_of_every_width_are_utf_8() {
        assert_eq!(text(&Characters::Ascii(b"abcde"), 3), (b"abc".to_vec(), 5));
        assert_eq!(text(&Characters::Latin1(b"a\xe9"), 9), ("aé".into(), 2));
        assert_eq!(text(&Characters::Two(&[0x20ac, 0x35]), 9), ("€5".into(), 2));
        assert_eq!(text(&Characters::Four(&[0x1f600]), 9), ("😀".into(), 1));
        assert_eq!(text(&Characters::Two(&[0xdc80]), 9), (vec![0xed, 0xb2, 0x80], 1));
    }

    #[test]
    fn the_most_significant_digits_are_kept() {
        let mut buffer = Buffer::default();
        buffer.put_digits(&Int::Long { is_negative: true, digits: &[1, 2, 3, 4] }, 10);
        assert_eq!(buffer.words(), [words::word(words::DIGITS, 2), 1, 4, 3, 4]);
    }
}
