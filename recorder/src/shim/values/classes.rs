//! Classes and shapes by number, and names with what is withheld under them.

use crate::shim::callables::name_of;
use crate::shim::ffi::objects::{Layout, Plain, SharedKeys};
use crate::shim::ffi::standard::{FIELD_NAMES_MAX, form};
use crate::shim::ffi::{HiddenTypes, Obj};
use dashcam_schema::value::names::{Secrets, Withheld};
use dashcam_schema::value::words;
use dashcam_schema::value::{Form, Sort, Style};
use rustc_hash::FxHashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

const CACHE: usize = 1 << 12;
/// Longer keys of dicts are not taken for names.
const NAME_MAX: usize = 1 << 8;
/// With more classes than this, all are dropped at once; each takes some hundred bytes.
const KNOWN_MAX: usize = 1 << 14;
const UNDEFINED: u32 = u32::MAX;

#[inline(always)]
fn slot(address: usize) -> usize {
    (address >> 4 ^ address >> 14) & (CACHE - 1)
}

/// What is known of a class.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) layout: Rc<Layout>,
    /// [`UNDEFINED`] if it was not defined since the last epoch.
    pub(super) number: u32,
    name: String,
    form: Form,
    /// Shape of the instances that have these shared keys (none if their class has no dict).
    shape: Option<(Option<SharedKeys>, ShapeRef)>,
    /// For named tuples: what is withheld of each item, if anything is.
    pub(super) items: Option<Rc<[Withheld]>>,
}

impl Known {
    /// Whether objects hold so little, a text or two, that they are described wherever they occur.
    #[inline(always)]
    pub(super) fn is_small(&self) -> bool {
        matches!(
            self.form.style,
            Style::Member
                | Style::Arguments
                | Style::Uuid
                | Style::Path
                | Style::IPv4
                | Style::IPv6
        )
    }
}

/// The classes found so far.
#[derive(Default)]
pub(super) struct Classes {
    /// Places in `known`, by a class's address.
    cache: Vec<u32>,
    by_address: FxHashMap<usize, u32>,
    known: Vec<Known>,
    /// Number of classes defined since the last epoch.
    defined: u32,
    /// Definitions that are not in the ring yet.
    pub(super) fresh: Vec<u32>,
}

impl Classes {
    pub(super) fn begin_epoch(&mut self) {
        self.defined = 0;
        // Definitions of numbers that nothing has used.
        self.fresh.clear();
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
            self.by_address.clear();
            self.cache.clear();
        }
        for known in &mut self.known {
            (known.number, known.shape) = (UNDEFINED, None);
        }
    }

    /// Returns the place in `known` of a class, and defines the class if need be.
    #[inline]
    pub(super) fn find(&mut self, class: Obj<'_>, names: &Names) -> usize {
        if let Some(place) = self.cache.get(slot(class.address()))
            && let Some(known) = self.known.get(*place as usize)
            && known.layout.fits(class)
            && known.number != UNDEFINED
        {
            return *place as usize;
        }
        self.learn(class, names)
    }

    #[inline(always)]
    pub(super) fn known(&self, place: usize) -> &Known {
        &self.known[place]
    }

    #[cold]
    fn learn(&mut self, class: Obj<'_>, names: &Names) -> usize {
        self.cache.resize(CACHE, u32::MAX);
        let place = match self.by_address.get(&class.address()) {
            Some(place) => *place as usize,
            None => {
                let layout = Layout::of(class);
                self.known.push(Known {
                    number: UNDEFINED,
                    name: class.class_name(),
                    form: form(class, &layout),
                    shape: None,
                    items: names.withheld_items(class, &layout),
                    layout: Rc::new(layout),
                });
                self.by_address.insert(class.address(), self.known.len() as u32 - 1);
                self.known.len() - 1
            }
        };
        let known = &mut self.known[place];
        if !known.layout.fits(class) {
            // Another class is at the same address, or this one was changed, or it has no version.
            let (layout, name) = (Layout::of(class), class.class_name());
            let form = form(class, &layout);
            if !known.layout.is_like(&layout) || known.name != name || known.form != form {
                (known.number, known.name, known.shape) = (UNDEFINED, name, None);
                known.form = form;
            }
            known.items = names.withheld_items(class, &layout);
            known.layout = Rc::new(layout);
        }
        if known.number == UNDEFINED {
            known.number = self.defined;
            self.defined += 1;
            let exact = if known.layout.is_exact { words::EXACT } else { 0 };
            // A form may be large, while a class without one always has room.
            let has_form = known.form.style != Style::Plain && self.fresh.len() < FORMS_BEGIN_MAX;
            let style = if has_form { known.form.style as u32 } else { 0 };
            self.fresh.push(words::word(words::CLASS, known.number));
            self.fresh.push(known.layout.sort as u32 | exact | style << words::STYLE_SHIFT);
            put_name(&mut self.fresh, &known.name);
            if has_form {
                put_name(&mut self.fresh, &known.form.name);
                self.fresh.push(known.form.fields.len() as u32);
                known.form.fields.iter().for_each(|field| put_name(&mut self.fresh, field));
            }
        }
        self.cache[slot(class.address())] = place as u32;
        place
    }

    /// Returns the shape of instances with these shared keys, if it was set before.
    #[inline(always)]
    pub(super) fn shape(&self, place: usize, keys: Option<SharedKeys>) -> Option<ShapeRef> {
        self.known[place].shape.filter(|(known, _)| *known == keys).map(|(_, shape)| shape)
    }

    pub(super) fn set_shape(&mut self, place: usize, keys: Option<SharedKeys>, shape: ShapeRef) {
        self.known[place].shape = Some((keys, shape));
    }
}

/// No form is begun after this many words of definitions.
pub(super) const FORMS_BEGIN_MAX: usize = 1 << 13;
/// The most words of a form: the names of its fields and its own.
pub(super) const FORM_WORDS: usize = (FIELD_NAMES_MAX + 2) * DEFINITION_WORDS;
/// Longer names are cut.
const NAME_BYTES: usize = 252;
/// The most words of the definition of a class, or of one name of a shape.
pub(super) const DEFINITION_WORDS: usize = 3 + NAME_BYTES.div_ceil(4);

fn put_name(words: &mut Vec<u32>, name: &str) {
    let end = (0..=name.len().min(NAME_BYTES)).rev().find(|end| name.is_char_boundary(*end));
    let name = &name[..end.unwrap_or(0)];
    words.push(name.len() as u32);
    let (whole, rest) = name.as_bytes().as_chunks::<4>();
    words.extend(whole.iter().map(|word| u32::from_le_bytes(*word)));
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        words.push(u32::from_le_bytes(last));
    }
}

/// A shape by number.
#[derive(Clone, Copy)]
pub(super) struct ShapeRef {
    pub(super) number: u32,
    pub(super) count: u32,
    /// Some of the values under its names are withheld.
    pub(super) hides: bool,
}

/// A name of an attribute.
pub(super) enum Name<'n, 'a> {
    Text(&'n str),
    Object(Option<Obj<'a>>),
}

impl Name<'_, '_> {
    /// Returns a hash of the name. Equal names may have different hashes if one is a text and the
    /// other an object.
    fn hash(&self) -> u64 {
        let text = match self {
            Name::Text(text) => Some((*text).to_owned()),
            Name::Object(None) => None,
            Name::Object(Some(name)) => match name.is_str().then(|| name.text_hash()).flatten() {
                Some(hash) => return hash,
                None => name.text(1 << 12).map(|(text, _)| text),
            },
        };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        hasher.finish()
    }

    fn text(&self) -> String {
        match self {
            Name::Text(text) => (*text).to_owned(),
            Name::Object(name) => {
                let text = name.and_then(|name| name.text(1 << 12));
                text.map_or_else(|| "?".to_owned(), |(text, _)| text)
            }
        }
    }
}

/// Hands names to a function, in order.
pub(super) type EachName<'n> = dyn Fn(&mut dyn FnMut(Name<'_, '_>)) + 'n;

/// Names of attributes, keys and callables.
pub(super) struct Names {
    hidden: HiddenTypes,
    secrets: Secrets,
    /// By hash of a key: what of its values is withheld. Entries of 0 are empty.
    keys: Box<[(u64, Withheld)]>,
    by_hash: FxHashMap<u64, ShapeRef>,
    /// Per shape, what is withheld of the values of its names.
    hides: Vec<Box<[Withheld]>>,
    /// Definitions that are not in the ring yet.
    pub(super) fresh: Vec<u32>,
}

impl Names {
    pub(super) fn new(hidden: HiddenTypes, redacted: &[String]) -> Names {
        Names {
            hidden,
            secrets: Secrets::new(redacted.iter().map(|pattern| &**pattern)),
            keys: vec![(0, Withheld::Nothing); CACHE].into(),
            by_hash: FxHashMap::default(),
            hides: Vec::new(),
            fresh: Vec::new(),
        }
    }

    pub(super) fn begin_epoch(&mut self) {
        self.by_hash.clear();
        self.hides.clear();
        self.fresh.clear();
    }

    /// Returns what must not be recorded of the values of a variable, attribute or key of this
    /// name.
    pub(super) fn withheld(&self, name: &str) -> Withheld {
        self.secrets.of(name)
    }

    /// The same for the items of named tuples of a class; `None` for others.
    fn withheld_items(&self, class: Obj<'_>, layout: &Layout) -> Option<Rc<[Withheld]>> {
        if layout.sort != Sort::Tuple || layout.is_exact {
            return None;
        }
        let names = class.field_names();
        let items: Rc<[Withheld]> = names.iter().map(|name| self.withheld(name)).collect();
        items.iter().any(|withheld| *withheld != Withheld::Nothing).then_some(items)
    }

    /// The same for a key of a dict.
    #[inline]
    pub(super) fn withheld_key(&mut self, key: Obj<'_>) -> Withheld {
        if !key.is_str() {
            return match key.plain() {
                Plain::Bytes(name) if name.len() <= NAME_MAX => {
                    self.secrets.of(&String::from_utf8_lossy(name))
                }
                _ => Withheld::Nothing,
            };
        }
        // A key has its hash computed, and equal hashes of different texts do not occur by chance.
        let hash = key.text_hash().unwrap_or(0);
        let place = hash as usize & (CACHE - 1);
        if hash != 0 && self.keys[place].0 == hash {
            return self.keys[place].1;
        }
        let name = key.text(NAME_MAX);
        let withheld = name.map_or(Withheld::Nothing, |(name, _)| self.secrets.of(&name));
        self.keys[place] = (hash, withheld);
        withheld
    }

    /// Returns the shape with these names, and defines it if need be. `each` hands out the names in
    /// order, and may be called twice.
    pub(super) fn shape(&mut self, each: &EachName<'_>) -> ShapeRef {
        let (mut hash, mut count) = (0xcbf2_9ce4_8422_2325u64, 0);
        each(&mut |name| {
            hash = (hash.rotate_left(5) ^ name.hash()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            count += 1;
        });
        if let Some(known) = self.by_hash.get(&hash)
            && known.count == count
        {
            return *known;
        }
        let mut names = Vec::new();
        each(&mut |name| names.push(name.text()));
        let hides: Box<[Withheld]> = names.iter().map(|name| self.withheld(name)).collect();
        let number = self.hides.len() as u32;
        let shape = ShapeRef {
            number,
            count,
            hides: hides.iter().any(|hides| *hides != Withheld::Nothing),
        };
        self.hides.push(hides);
        self.by_hash.insert(hash, shape);
        self.fresh.push(words::word(words::SHAPE, number));
        self.fresh.push(count);
        names.iter().for_each(|name| put_name(&mut self.fresh, name));
        shape
    }

    /// Returns what is withheld of the attribute at this place of a shape.
    #[inline(always)]
    pub(super) fn hides(&self, shape: ShapeRef, at: usize) -> Withheld {
        if !shape.hides {
            return Withheld::Nothing;
        }
        let hides = self.hides.get(shape.number as usize).and_then(|hides| hides.get(at));
        hides.copied().unwrap_or_default()
    }

    /// Returns the name that describes a function, class, module or generator.
    #[cold]
    pub(super) fn of(&self, object: Obj<'_>, sort: Sort) -> String {
        match sort {
            Sort::Class => object.class_name(),
            Sort::Module => object.module_name(),
            Sort::Generator => object.generator_name(),
            _ => name_of(object, &self.hidden),
        }
    }
}
