//! Every name of a recording once, so that rows carry a number instead of a copy.

use rustc_hash::FxHashMap;
use std::rc::Rc;

/// The number of a text in [`Texts`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TextId(u32);

impl TextId {
    /// No text: SQL's NULL.
    pub const NONE: TextId = TextId(u32::MAX);

    /// The number: dense from 0, except for [`TextId::NONE`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Texts by number. It only grows, and never moves a text, for as long as the store lives.
#[derive(Default)]
pub struct Texts {
    texts: Vec<Rc<str>>,
    index: FxHashMap<Rc<str>, TextId>,
}

impl Texts {
    pub(super) fn intern(&mut self, text: &str) -> TextId {
        if let Some(id) = self.index.get(text) {
            return *id;
        }
        let id = TextId(self.texts.len() as u32);
        let text: Rc<str> = text.into();
        self.texts.push(text.clone());
        self.index.insert(text, id);
        id
    }

    /// The text; `None` for [`TextId::NONE`].
    pub fn get(&self, id: TextId) -> Option<&str> {
        self.texts.get(id.0 as usize).map(|text| &**text)
    }

    /// The number of a text, if a row of the recording can hold the text.
    pub fn find(&self, text: &str) -> Option<TextId> {
        self.index.get(text).copied()
    }
}
