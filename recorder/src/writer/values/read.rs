//! Words of the ring of values → groups and objects. Nothing is trusted: an invalid record ends the
//! capture of values there, and everything before it is kept.
//!
//! A group is complete once its objects are complete. That is known when another record follows, or
//! when all published words have been taken. Until then its words are kept, because which object is
//! at an address is only known once the classes of the objects are. Most groups are followed by the
//! next group at once; their words need not be kept.
//!
//! This code runs for every value of the program, so it does not allocate for each.

use super::Records;
use super::identity::{Identities, Identity, Kind};
use dashcam_schema::value::words::{
    ATTRIBUTES, BYTES, CLASS, CONSTANT, DIGITS, EPOCH, EXACT, FLOAT, GROUP, GROUP_WORDS_MAX,
    INLINE_BYTES, INT, ITEMS, NEW, OBJECT, REFERENCE, SAME, SHALLOW, SHAPE, SHOWN, SMALL_INT, STR,
    STYLE_SHIFT, TEXT, payload, tag,
};
use dashcam_schema::value::{
    Class, ClassNumber, Form, GroupKind, Object, Part, Shape, ShapeNumber, Sort, Style, TextNumber,
    Value,
};
use rustc_hash::FxHasher;
use std::hash::Hasher;
use std::ops::Range;

/// Ordinals are below this; the database has signed numbers.
const ORDINAL_MAX: u64 = 1 << 62;
/// The number of 30-bit digits of the longest int that is written decimally, which takes time
/// proportional to their square. Python itself writes at most 4300 decimal digits.
const DECIMAL_MAX: usize = 480;

/// The largest number of values that [`few_values`] accepts.
const FEW: u32 = 64;

/// The reason why a record is invalid.
pub(super) type Bad = &'static str;

/// Why a record was not read.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    /// The record is not complete yet.
    More,
    Bad(Bad),
}

impl From<Bad> for Stop {
    fn from(bad: Bad) -> Stop {
        Stop::Bad(bad)
    }
}

type Read<T> = Result<T, Stop>;

/// How far [`Reader::read`] has read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// The number of words read, which are whole records.
    pub(super) used: usize,
    /// The last record begins an epoch.
    pub(super) is_epoch: bool,
    /// Reading stopped before a group, as requested by [`Reader::stop_at_group`].
    pub(super) is_stop: bool,
}

/// A value as it was read.
#[derive(Debug, Clone, Copy)]
enum Raw<'a> {
    Ready(Value),
    Str(Short<'a>),
    Bytes(Short<'a>),
    Object(u64),
    Shallow(u64),
}

/// A text of at most [`INLINE_BYTES`].
#[derive(Debug, Clone, Copy)]
struct Short<'a> {
    words: &'a [u32],
    length: usize,
}

/// The constants by payload, as in [`constant`](dashcam_schema::value::words::constant).
const CONSTANTS: [Value; 8] = [
    Value::Unbound,
    Value::None,
    Value::False,
    Value::True,
    Value::Ellipsis,
    Value::NotImplemented,
    Value::Redacted,
    Value::Unread,
];

const SHORT_WORDS: usize = INLINE_BYTES.div_ceil(4);

impl Short<'_> {
    /// The text's bytes, followed by padding.
    fn bytes(&self) -> [u8; INLINE_BYTES] {
        let mut bytes = [0; INLINE_BYTES];
        for (to, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(self.words) {
            *to = word.to_le_bytes();
        }
        bytes
    }
}

/// A part of an object.
#[derive(Debug)]
enum RawPart {
    /// A range of `bytes`, and the length of the whole text.
    Text {
        text: Range<usize>,
        length: u64,
    },
    /// A range of `values`, and the number of all items.
    Items {
        items: Range<usize>,
        length: u64,
    },
    /// How many of the items are shown.
    Shown(u64),
    Attributes {
        shape: usize,
        values: Range<usize>,
    },
}

#[derive(Debug)]
struct RawObject {
    address: u64,
    class: usize,
    identity: Identity,
    parts: Range<usize>,
    contents: u32,
}

/// The group being read, with its texts and values one after the other.
#[derive(Debug, Default)]
struct Pending {
    group: Option<(u64, GroupKind, Range<usize>)>,
    objects: Vec<RawObject>,
    parts: Vec<RawPart>,
    /// The words of values as they were received, checked to be whole values.
    values: Vec<u32>,
    bytes: Vec<u8>,
    /// The number of words read of the group so far. If it is 0, everything else here is empty.
    words: usize,
}

impl Pending {
    fn clear(&mut self) {
        self.group = None;
        self.objects.clear();
        self.parts.clear();
        self.values.clear();
        self.bytes.clear();
        self.words = 0;
    }

    /// Appends the words of values. Returns their range.
    fn keep(&mut self, values: &[u32]) -> Range<usize> {
        let begin = self.values.len();
        self.values.extend_from_slice(values);
        begin..self.values.len()
    }
}

/// Recent short texts and their numbers in the chunk: the same names and keys occur again and
/// again. Each text has one place.
struct Texts {
    places: Box<[Option<KnownText>; 1 << TEXT_BITS]>,
}

#[derive(Clone, Copy)]
struct KnownText {
    words: [u32; SHORT_WORDS],
    length: u32,
    number: TextNumber,
}

/// The number of places of [`Texts`], as a power of two.
const TEXT_BITS: u32 = 9;

impl Default for Texts {
    fn default() -> Texts {
        Texts { places: Box::new([None; 1 << TEXT_BITS]) }
    }
}

impl Texts {
    fn number(&mut self, text: Short<'_>, records: &mut impl Records) -> TextNumber {
        let mut words = [0; SHORT_WORDS];
        words.iter_mut().zip(text.words).for_each(|(to, word)| *to = *word);
        let length = text.length as u32;
        // The fraction of the golden ratio spreads hashes that differ in a few bits.
        let mix = |hash: u64, word: &u32| {
            (hash.rotate_left(5) ^ u64::from(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let hash = text.words.iter().fold(length.into(), mix);
        let place = &mut self.places[(hash >> (64 - TEXT_BITS)) as usize];
        match place {
            Some(known) if known.length == length && known.words == words => known.number,
            _ => {
                let number = records.text(&text.bytes()[..text.length]);
                *place = Some(KnownText { words, length, number });
                number
            }
        }
    }
}

/// A class or shape, with its number in the chunk if it has one already.
struct Defined<T, N> {
    it: T,
    number: Option<N>,
}

/// Reads records. It keeps what has to be known from one record to the next.
#[derive(Default)]
pub(super) struct Reader {
    /// The last ordinal read.
    ordinal: u64,
    /// By the ring's numbers.
    classes: Vec<(Defined<Class, ClassNumber>, Kind)>,
    shapes: Vec<Defined<Shape, ShapeNumber>>,
    pending: Pending,
    known: Known,
    /// Values of the group or object being emitted.
    resolved: Vec<Value>,
    /// The number of objects forgotten, until the caller resets it.
    pub(super) forgotten: u64,
    stops: bool,
}

/// The tables by which values are resolved.
#[derive(Default)]
struct Known {
    identities: Identities,
    texts: Texts,
}

impl Known {
    /// Appends values in the form that chunks have. The words must be whole values.
    fn append(
        &mut self,
        words: &[u32],
        to: &mut Vec<Value>,
        records: &mut impl Records,
    ) -> Range<usize> {
        let begin = to.len();
        for raw in Whole(words) {
            to.push(match raw {
                Raw::Ready(value) => value,
                Raw::Str(text) => Value::Str(self.texts.number(text, records)),
                Raw::Bytes(text) => Value::Bytes(self.texts.number(text, records)),
                Raw::Object(address) => Value::Object(self.identities.at(address)),
                Raw::Shallow(address) => Value::Shallow(self.identities.at(address)),
            });
        }
        begin..to.len()
    }
}

impl Reader {
    /// Reads the whole records at the beginning of `words`, up to an epoch. The rest is the
    /// beginning of one more record, or the records after the epoch.
    ///
    /// # Errors
    /// The number of words before the bad record, and what is wrong with it. The group before it is
    /// complete.
    pub(super) fn read(
        &mut self,
        words: &[u32],
        records: &mut impl Records,
    ) -> Result<Progress, (usize, Bad)> {
        let mut used = 0;
        while used < words.len() {
            if self.stops && tag(words[used]) == GROUP {
                self.stops = false;
                self.complete(records);
                return Ok(Progress { used, is_epoch: false, is_stop: true });
            }
            if !self.stops {
                used += self.lone_groups(&words[used..], records);
            }
            let is_epoch = tag(words[used]) == EPOCH;
            match self.record(&words[used..], records) {
                Ok(taken) => used += taken,
                Err(Stop::More) if words.len() - used <= GROUP_WORDS_MAX => break,
                Err(stop) => {
                    self.complete(records);
                    let bad = if let Stop::Bad(bad) = stop { bad } else { "a record without end" };
                    return Err((used, bad));
                }
            }
            if is_epoch {
                return Ok(Progress { used, is_epoch, is_stop: false });
            }
        }
        Ok(Progress { used, is_epoch: false, is_stop: false })
    }

    /// Makes [`Reader::read`] stop before the next group: the records up to there belong to the
    /// group before.
    pub(super) fn stop_at_group(&mut self) {
        self.stops = true;
    }

    /// The ordinal of the last group or epoch.
    pub(super) fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// Forgets the numbers of the chunk, which has been sealed: they are not valid in the next one.
    pub(super) fn sealed(&mut self) {
        self.classes.iter_mut().for_each(|(class, _)| class.number = None);
        self.shapes.iter_mut().for_each(|shape| shape.number = None);
        self.known.texts.places.fill(None);
    }

    /// Reads groups that are followed by another group, so that no objects belong to them. Most
    /// groups are like that. Returns the number of words read. Groups that may be invalid are left
    /// to [`Reader::record`], which returns what is wrong.
    fn lone_groups(&mut self, words: &[u32], records: &mut impl Records) -> usize {
        let mut rest = words;
        while let [head, low, count, after @ ..] = rest
            && tag(*head) == GROUP
            && let Some(kind) = u8::try_from(payload(*head)).ok().and_then(GroupKind::from_number)
            && let Some((values, next)) = few_values(after, *count)
            && next.first().is_some_and(|next| tag(*next) == GROUP)
        {
            let ahead = low.wrapping_sub(self.ordinal as u32);
            let ordinal = self.ordinal + u64::from(ahead);
            if ahead > u32::MAX / 2 || ordinal >= ORDINAL_MAX {
                break;
            }
            self.complete(records);
            self.ordinal = ordinal;
            self.forgotten += self.known.identities.forget();
            self.resolved.clear();
            self.known.append(values, &mut self.resolved, records);
            records.group(ordinal, kind, &self.resolved);
            if kind.is_store() {
                records.store(kind, &self.resolved);
            }
            rest = next;
        }
        words.len() - rest.len()
    }

    /// Reads one record. Returns the number of words read.
    fn record(&mut self, words: &[u32], records: &mut impl Records) -> Read<usize> {
        let mut cursor = Cursor { words, at: 0 };
        let (tag, payload) = cursor.tagged()?;
        match tag {
            GROUP => {
                let kind = u8::try_from(payload).ok().and_then(GroupKind::from_number);
                let kind = kind.ok_or("a group of unknown kind")?;
                let (low, count) = (cursor.word()?, cursor.count()?);
                self.complete(records);
                // Ordinals ascend. Their low 32 bits tell how far.
                let ahead = low.wrapping_sub(self.ordinal as u32);
                if ahead > u32::MAX / 2 {
                    return Err("a group before the one before".into());
                }
                let values = cursor.values(count)?;
                self.advance(self.ordinal + u64::from(ahead))?;
                self.pending.group = Some((self.ordinal, kind, self.pending.keep(values)));
            }
            OBJECT => {
                if self.pending.group.is_none() {
                    return Err("an object without a group".into());
                }
                self.object(&mut cursor, payload)?;
            }
            CLASS => {
                if payload as usize != self.classes.len() {
                    return Err("a class that is not the next one".into());
                }
                let sort = cursor.word()?;
                let is_exact = sort & EXACT != 0;
                let style = u8::try_from(sort >> STYLE_SHIFT).ok().and_then(Style::from_number);
                let style = style.ok_or("a class of unknown style")?;
                let sort = sort & !EXACT & ((1 << STYLE_SHIFT) - 1);
                let sort = u8::try_from(sort).ok().and_then(Sort::from_number);
                let sort = sort.ok_or("a class of unknown sort")?;
                let name = cursor.name()?;
                let mut form = Form { style, ..Form::default() };
                if style != Style::Plain {
                    form.name = cursor.name()?;
                    let count = cursor.count()?;
                    form.fields = (0..count).map(|_| cursor.name()).collect::<Read<_>>()?;
                }
                let class = Class { name, sort, is_exact, form };
                let kind = Kind::of(&class);
                self.classes.push((Defined { it: class, number: None }, kind));
            }
            SHAPE => {
                if payload as usize != self.shapes.len() {
                    return Err("a shape that is not the next one".into());
                }
                let count = cursor.count()?;
                let names = (0..count).map(|_| cursor.name()).collect::<Read<Vec<String>>>()?;
                self.shapes.push(Defined { it: Shape { names }, number: None });
            }
            EPOCH => {
                let ordinal = cursor.long()?;
                self.complete(records);
                if ordinal < self.ordinal {
                    return Err("an epoch before the group before".into());
                }
                self.advance(ordinal)?;
                self.classes.clear();
                self.shapes.clear();
            }
            _ => return Err("an unknown tag".into()),
        }
        self.pending.words += cursor.at;
        if self.pending.words > 2 * GROUP_WORDS_MAX {
            return Err("a group without end".into());
        }
        Ok(cursor.at)
    }

    fn advance(&mut self, ordinal: u64) -> Read<()> {
        if ordinal >= ORDINAL_MAX {
            return Err("an impossible ordinal".into());
        }
        self.ordinal = ordinal;
        Ok(())
    }

    /// Reads an object of the group being read. If the object is not complete, nothing of it is
    /// kept.
    fn object(&mut self, cursor: &mut Cursor<'_>, payload: u32) -> Read<()> {
        let Pending { parts, values, bytes, .. } = &mut self.pending;
        let before = (parts.len(), values.len(), bytes.len());
        let result = self.whole_object(cursor, payload);
        if result.is_err() {
            let Pending { parts, values, bytes, .. } = &mut self.pending;
            parts.truncate(before.0);
            values.truncate(before.1);
            bytes.truncate(before.2);
        }
        result
    }

    fn whole_object(&mut self, cursor: &mut Cursor<'_>, payload: u32) -> Read<()> {
        let address = cursor.address(payload)?;
        let class = cursor.word()?;
        let identity = match class {
            _ if class & NEW != 0 => Identity::New,
            _ if class & SAME != 0 => Identity::Same,
            _ => Identity::Unknown,
        };
        let class = (class & !(NEW | SAME)) as usize;
        let Some((Defined { it: Class { sort, .. }, .. }, _)) = self.classes.get(class) else {
            return Err("an object of an undefined class".into());
        };
        let is_str = matches!(sort, Sort::Str | Sort::Fields);
        let is_dict = *sort == Sort::Dict;
        let pending = &mut self.pending;
        let first_part = pending.parts.len();
        let mut hasher = FxHasher::default();
        let (mut has_text, mut has_items, mut has_attributes) = (false, false, false);
        let mut has_shown = false;
        for _ in 0..cursor.count()? {
            let (tag, payload) = cursor.tagged()?;
            let begin = cursor.at - 1;
            let is_twice = match tag {
                TEXT | DIGITS => std::mem::replace(&mut has_text, true),
                ITEMS => std::mem::replace(&mut has_items, true),
                ATTRIBUTES => std::mem::replace(&mut has_attributes, true),
                // Refers to the items, which come next.
                SHOWN => std::mem::replace(&mut has_shown, true) || has_items,
                _ => return Err("a part of unknown form".into()),
            };
            if is_twice {
                return Err("two parts of one form".into());
            }
            let part = match tag {
                TEXT => {
                    let length = cursor.long()?;
                    let text = pending.text(cursor, payload)?;
                    // A character has at most four bytes.
                    let least = if is_str { text.len().div_ceil(4) } else { text.len() };
                    if length < least as u64 {
                        return Err("a text longer than its stated length".into());
                    }
                    hash_words(&cursor.words[begin..cursor.at], &mut hasher);
                    RawPart::Text { text, length }
                }
                DIGITS => {
                    let (is_negative, all) = (cursor.word()? == 1, cursor.word()?);
                    let kept = bounded(payload)?;
                    let digits = cursor.take(kept)?;
                    if all < payload || kept == 0 || digits.iter().any(|digit| digit >> 30 != 0) {
                        return Err("impossible digits".into());
                    }
                    hash_words(&cursor.words[begin..cursor.at], &mut hasher);
                    let (text, length) = written(is_negative, digits, all);
                    RawPart::Text { text: pending.append(text.as_bytes()), length }
                }
                ITEMS => {
                    let length = cursor.long()?;
                    let items = cursor.values(bounded(payload)?)?;
                    let kept = u64::from(payload);
                    if is_dict && !kept.is_multiple_of(2) || length < kept >> u32::from(is_dict) {
                        return Err("more items than the stated number".into());
                    }
                    hasher.write_u64(length);
                    hash_values(items, &mut hasher);
                    RawPart::Items { items: pending.keep(items), length }
                }
                SHOWN => RawPart::Shown(payload.into()),
                _ => {
                    let shape = cursor.word()? as usize;
                    let values = cursor.values(bounded(payload)?)?;
                    match self.shapes.get(shape) {
                        Some(shape) if shape.it.names.len() == payload as usize => {}
                        Some(_) => return Err("attributes that do not fit their shape".into()),
                        None => return Err("attributes of an undefined shape".into()),
                    }
                    // Attributes are not hashed: they may change even if the rest of the object
                    // cannot.
                    RawPart::Attributes { shape, values: pending.keep(values) }
                }
            };
            pending.parts.push(part);
        }
        if has_shown && !has_items {
            return Err("a number of shown items without items".into());
        }
        let parts = first_part..pending.parts.len();
        let contents = hasher.finish() as u32;
        pending.objects.push(RawObject { address, class, identity, parts, contents });
        Ok(())
    }

    /// Emits the group that was read last, which is complete.
    #[inline]
    pub(super) fn complete(&mut self, records: &mut impl Records) {
        if self.pending.words > 0 {
            if let Some((ordinal, kind, values)) = self.pending.group.take() {
                self.emit(ordinal, kind, values, records);
            }
            self.pending.clear();
        }
    }

    /// Emits the pending group, its objects, and its store.
    #[inline(never)]
    fn emit(
        &mut self,
        ordinal: u64,
        kind: GroupKind,
        values: Range<usize>,
        records: &mut impl Records,
    ) {
        self.forgotten += self.known.identities.forget();
        let Reader { pending, known, resolved, classes, shapes, .. } = self;
        for object in &pending.objects {
            let kind = classes[object.class].1;
            known.identities.describe(object.address, kind, object.contents, object.identity);
        }
        resolved.clear();
        known.append(&pending.values[values.clone()], resolved, records);
        records.group(ordinal, kind, resolved);
        for object in &pending.objects {
            let (class, _) = &mut classes[object.class];
            let class = *class.number.get_or_insert_with(|| records.class(class.it.clone()));
            let id = known.identities.at(object.address);
            resolved.clear();
            let (mut text, mut items, mut attributes, mut shown) = (None, None, None, None);
            for part in &pending.parts[object.parts.clone()] {
                match part {
                    RawPart::Text { text: kept, length } => {
                        let kept = records.text(&pending.bytes[kept.clone()]);
                        text = Some(Part { kept, length: *length });
                    }
                    RawPart::Items { items: words, length } => {
                        let kept = known.append(&pending.values[words.clone()], resolved, records);
                        items = Some(Part { kept, length: *length });
                    }
                    RawPart::Shown(count) => shown = Some(*count),
                    RawPart::Attributes { shape, values } => {
                        let shape = &mut shapes[*shape];
                        let number =
                            *shape.number.get_or_insert_with(|| records.shape(shape.it.clone()));
                        let values = &pending.values[values.clone()];
                        attributes = Some((number, known.append(values, resolved, records)));
                    }
                }
            }
            let items = items.map(|Part { kept, length }| Part { kept: &resolved[kept], length });
            let attributes = attributes.map(|(shape, values)| (shape, &resolved[values]));
            records.object(&Object { id, class, text, items, shown, attributes });
        }
        if kind.is_store() {
            resolved.clear();
            known.append(&pending.values[values], resolved, records);
            records.store(kind, resolved);
        }
    }
}

/// Reads words from front to back.
struct Cursor<'a> {
    words: &'a [u32],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Read<&'a [u32]> {
        let words = self.words.get(self.at..self.at + count).ok_or(Stop::More)?;
        self.at += count;
        Ok(words)
    }

    fn word(&mut self) -> Read<u32> {
        Ok(self.take(1)?[0])
    }

    fn tagged(&mut self) -> Read<(u8, u32)> {
        let word = self.word()?;
        Ok((tag(word), payload(word)))
    }

    fn long(&mut self) -> Read<u64> {
        Ok(u64::from(self.word()?) | u64::from(self.word()?) << 32)
    }

    fn address(&mut self, payload: u32) -> Read<u64> {
        Ok(u64::from(payload) << 32 | u64::from(self.word()?))
    }

    fn count(&mut self) -> Read<usize> {
        let count = self.word()?;
        bounded(count)
    }

    /// Appends the bytes of a text, without its padding.
    fn text(&mut self, length: u32, to: &mut Vec<u8>) -> Read<()> {
        let length = length as usize;
        if length > 4 * GROUP_WORDS_MAX {
            return Err("an impossible length".into());
        }
        let words = self.take(length.div_ceil(4))?;
        let end = to.len() + length;
        to.reserve(4 * words.len());
        words.iter().for_each(|word| to.extend_from_slice(&word.to_le_bytes()));
        to.truncate(end);
        Ok(())
    }

    /// Returns the words of `count` values, which are complete and valid.
    fn values(&mut self, count: usize) -> Read<&'a [u32]> {
        let begin = self.at;
        for _ in 0..count {
            let first = *self.words.get(self.at).ok_or(Stop::More)?;
            self.at += value_words(first)?;
        }
        self.words.get(begin..self.at).ok_or(Stop::More)
    }

    fn name(&mut self) -> Read<String> {
        let length = self.word()?;
        let mut bytes = Vec::new();
        self.text(length, &mut bytes)?;
        // Names may contain lone surrogates, which are replaced. Names that differ only by those
        // need not be distinguished.
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}

/// The number of words of a value that begins with this word.
fn value_words(first: u32) -> Result<usize, Bad> {
    let payload = payload(first) as usize;
    match tag(first) {
        CONSTANT if payload < CONSTANTS.len() => Ok(1),
        CONSTANT => Err("an unknown constant"),
        SMALL_INT => Ok(1),
        INT | FLOAT => Ok(3),
        STR | BYTES if payload <= INLINE_BYTES => Ok(1 + payload.div_ceil(4)),
        STR | BYTES => Err("a long text that is not an object"),
        REFERENCE | SHALLOW => Ok(2),
        _ => Err("a value of unknown form"),
    }
}

/// Splits off the words of `count` values, if these are few, complete and valid.
fn few_values(words: &[u32], count: u32) -> Option<(&[u32], &[u32])> {
    if count > FEW {
        return None;
    }
    let mut end = 0;
    for _ in 0..count {
        end += value_words(*words.get(end)?).ok()?;
    }
    words.split_at_checked(end)
}

/// Iterates over the values of words that were checked to be whole values.
struct Whole<'a>(&'a [u32]);

impl<'a> Iterator for Whole<'a> {
    type Item = Raw<'a>;

    #[inline]
    fn next(&mut self) -> Option<Raw<'a>> {
        let (first, after) = self.0.split_first()?;
        let payload = payload(*first);
        let long = |low: &u32, high: &u32| u64::from(*low) | u64::from(*high) << 32;
        let (raw, rest) = match (tag(*first), after) {
            (CONSTANT, _) => (Raw::Ready(*CONSTANTS.get(payload as usize)?), after),
            // The payload's highest bit is the sign.
            (SMALL_INT, _) => {
                (Raw::Ready(Value::Int(i64::from((payload << 6).cast_signed() >> 6))), after)
            }
            (INT, [low, high, rest @ ..]) => {
                (Raw::Ready(Value::Int(long(low, high).cast_signed())), rest)
            }
            (FLOAT, [low, high, rest @ ..]) => {
                (Raw::Ready(Value::Float(f64::from_bits(long(low, high)))), rest)
            }
            (REFERENCE, [low, rest @ ..]) => (Raw::Object(long(low, &payload)), rest),
            (SHALLOW, [low, rest @ ..]) => (Raw::Shallow(long(low, &payload)), rest),
            (tag @ (STR | BYTES), _) => {
                let length = payload as usize;
                let (words, rest) = after.split_at_checked(length.div_ceil(4))?;
                let text = Short { words, length };
                (if tag == STR { Raw::Str(text) } else { Raw::Bytes(text) }, rest)
            }
            _ => return None,
        };
        self.0 = rest;
        Some(raw)
    }
}

/// Checks the count of something that has at least one word, of which a group cannot have more than
/// its number of words.
fn bounded(count: u32) -> Read<usize> {
    let count = count as usize;
    if count > GROUP_WORDS_MAX { Err("an impossible length".into()) } else { Ok(count) }
}

impl Pending {
    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        begin..self.bytes.len()
    }

    fn text(&mut self, cursor: &mut Cursor<'_>, length: u32) -> Read<Range<usize>> {
        let begin = self.bytes.len();
        cursor.text(length, &mut self.bytes)?;
        Ok(begin..self.bytes.len())
    }
}

/// Hashes values. A shallow reference has the hash of any other reference to the object: whether
/// the object was examined is not part of what is held.
fn hash_values(words: &[u32], hasher: &mut FxHasher) {
    for raw in Whole(words) {
        match raw {
            Raw::Object(address) | Raw::Shallow(address) => hasher.write_u64(address),
            Raw::Str(text) | Raw::Bytes(text) => hasher.write(&text.bytes()[..text.length]),
            Raw::Ready(Value::Int(int)) => hasher.write_i64(int),
            Raw::Ready(Value::Float(float)) => hasher.write_u64(float.to_bits()),
            Raw::Ready(_) => hasher.write_u8(0),
        }
    }
}

fn hash_words(words: &[u32], hasher: &mut FxHasher) {
    words.iter().for_each(|word| hasher.write_u32(*word));
}

/// Returns an int of 30-bit digits, least significant first, as text, and the length of the text if
/// all of `all` digits were there. The missing digits are the least significant ones.
fn written(is_negative: bool, digits: &[u32], all: u32) -> (String, u64) {
    let sign = if is_negative { "-" } else { "" };
    let missing = u64::from(all) - digits.len() as u64;
    let length = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
    let digits = &digits[..length];
    if missing == 0 && length <= DECIMAL_MAX {
        let text = format!("{sign}{}", decimal(digits));
        let length = text.len() as u64;
        return (text, length);
    }
    // Hexadecimal digits are counted from bit 0 of the whole int, so the text is the beginning of
    // its hexadecimal form.
    let missing_bits = 30 * missing;
    let top_bits = digits.last().map_or(0, |digit| 32 - digit.leading_zeros());
    let bits = missing_bits + (30 * length.saturating_sub(1)) as u64 + u64::from(top_bits);
    let bit = |at: u64| {
        let at = at - missing_bits;
        digits.get((at / 30) as usize).is_some_and(|digit| digit >> (at % 30) & 1 == 1)
    };
    let all = bits.div_ceil(4).max(1);
    let mut text = format!("{sign}0x");
    for nibble in (missing_bits.div_ceil(4)..all).rev() {
        let value = (0..4).fold(0, |value, i| value | u32::from(bit(4 * nibble + i)) << i);
        text.extend(char::from_digit(value, 16));
    }
    (text, all + 2 + sign.len() as u64)
}

fn decimal(digits: &[u32]) -> String {
    const STEP: u64 = 1_000_000_000;
    let mut rest = digits.to_vec();
    let mut groups = Vec::new();
    while let Some(last) = rest.iter().rposition(|digit| *digit != 0) {
        rest.truncate(last + 1);
        let mut remainder = 0;
        for digit in rest.iter_mut().rev() {
            let value = remainder << 30 | u64::from(*digit);
            *digit = (value / STEP) as u32;
            remainder = value % STEP;
        }
        groups.push(remainder);
    }
    let Some(first) = groups.pop() else { return "0".to_owned() };
    let rest = groups.iter().rev().map(|group| format!("{group:09}"));
    std::iter::once(first.to_string()).chain(rest).collect()
}

#[cfg(test)]
mod tests;
