//! The words that the shim writes into the ring for values.
//!
//! A record is one word of tag and payload, as in [`crate::record`], followed by the words that its
//! tag requires. Addresses are two words: bits 32.. in the payload, bits 0..32 in the next word.
//!
//! | tag | payload | words after |
//! |---|---|---|
//! | [`GROUP`] | [`GroupKind`](super::GroupKind) | low 32 bits of the ordinal; number of values; the values |
//! | [`OBJECT`] | address | address; number of the class, with [`NEW`] added if it is certainly not the object described before at this address, or [`SAME`] if it certainly is; number of parts; the parts |
//! | [`CLASS`] | number | [`Sort`](super::Sort), with [`EXACT`] added if it is the builtin class itself, and the [`Style`](super::Style) shifted by [`STYLE_SHIFT`]; bytes of the name; the name; if the style is not `Plain`: the form's name in the same way, the number of its fields, and each field in the same way |
//! | [`SHAPE`] | number | number of names; each name: its bytes, and the name |
//! | [`EPOCH`] | 0 | low 32 bits of the next group's ordinal; high 32 bits |
//!
//! Objects are described right after the group that refers to them, if they were not described
//! since the last [`EPOCH`], or hold something else since. At an epoch, classes and shapes are
//! numbered from 0 again, so the records between two epochs can be read by themselves.
//!
//! A value:
//!
//! | tag | payload | words after |
//! |---|---|---|
//! | [`CONSTANT`] | one of [`constant`] | |
//! | [`SMALL_INT`] | 26 bits, two's complement | |
//! | [`INT`] | 0 | low word, high word |
//! | [`FLOAT`] | 0 | low word, high word of the IEEE 754 double |
//! | [`STR`] | bytes of UTF-8, lone surrogates encoded in the same way | the text |
//! | [`BYTES`] | bytes | the bytes |
//! | [`REFERENCE`] | address | address |
//! | [`SHALLOW`] | address | address |
//!
//! A part of an object:
//!
//! | tag | payload | words after |
//! |---|---|---|
//! | [`TEXT`] | bytes | real length, low and high word; the text |
//! | [`DIGITS`] | digits kept | 1 if negative; real number of digits; the digits of 30 bits each, least significant first; only the most significant ones if not all were kept |
//! | [`ITEMS`] | values kept | real length, low and high word; the values |
//! | [`SHOWN`] | how many of the items are printed with the object, if not all that are kept | |
//! | [`ATTRIBUTES`] | values | number of the shape; the values |
//!
//! Texts are padded to whole words with zero bytes.

pub use crate::record::{payload, tag, word};

pub const GROUP: u8 = 1;
pub const OBJECT: u8 = 2;
pub const CLASS: u8 = 3;
pub const SHAPE: u8 = 4;
pub const EPOCH: u8 = 5;

pub const CONSTANT: u8 = 16;
pub const SMALL_INT: u8 = 17;
pub const INT: u8 = 18;
pub const FLOAT: u8 = 19;
pub const STR: u8 = 20;
pub const BYTES: u8 = 21;
pub const REFERENCE: u8 = 22;
pub const SHALLOW: u8 = 23;

pub const TEXT: u8 = 32;
pub const DIGITS: u8 = 33;
pub const ITEMS: u8 = 34;
pub const ATTRIBUTES: u8 = 35;
pub const SHOWN: u8 = 36;

/// Added to the sort of a class if it is the builtin class itself.
pub const EXACT: u32 = 1 << 8;

/// The position of the bits for the style of a class's form.
pub const STYLE_SHIFT: u32 = 16;

/// Added to the number of an object's class: the object that was at this address no longer exists.
pub const NEW: u32 = 1 << 31;
/// Added to the number of an object's class: it is the object that was at this address before,
/// although it was of another class.
pub const SAME: u32 = 1 << 30;

/// Payloads of [`CONSTANT`].
pub mod constant {
    pub const UNBOUND: u32 = 0;
    pub const NONE: u32 = 1;
    pub const FALSE: u32 = 2;
    pub const TRUE: u32 = 3;
    pub const ELLIPSIS: u32 = 4;
    pub const NOT_IMPLEMENTED: u32 = 5;
    pub const REDACTED: u32 = 6;
    pub const UNREAD: u32 = 7;
}

/// The maximum size in words of the records of one event, definitions included.
pub const GROUP_WORDS_MAX: usize = 1 << 16;
/// A str or bytes of at most this many bytes is a value; a longer one is an object.
pub const INLINE_BYTES: usize = 24;
/// The smallest int that is not a [`SMALL_INT`].
pub const SMALL_INT_LIMIT: i64 = 1 << 25;
