//! What objects held at a position: the telling that counts, and a copy of it that can be written.

use super::bindings::Held;
use super::caches::State;
use super::groups::{Groups, Instant};
use super::window::Changes;
use crate::store::Error;
use dashcam_schema::value::chunk::Moment;
use dashcam_schema::value::render::Objects;
use dashcam_schema::value::{
    Class, ClassNumber, Object, ObjectId, Part, Shape, ShapeNumber, Sort, TextNumber, Value,
};
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::rc::Rc;

/// Objects in one copy, and objects within objects.
const OBJECTS_MAX: usize = 2000;
const DEPTH_MAX: u32 = 6;

/// From where in time objects are seen.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    pub(super) process_id: i64,
    pub(super) instant: Instant,
    /// When the event that comes next has been told of: what nothing was known of, and is told of by
    /// then, was so already.
    pub(super) until: Option<Instant>,
    /// The changes of objects in the window, and how many of its instructions came before.
    pub(super) changed: Option<(Rc<Changes>, usize)>,
}

/// A telling of an object.
pub(super) struct Telling {
    pub(super) groups: Rc<Groups>,
    pub(super) at: Moment,
}

impl Telling {
    pub(super) fn object(&self, id: ObjectId) -> Option<Object> {
        self.groups.values.object(id, self.at)
    }

    /// Whether more than its class is known.
    fn has_contents(&self, id: ObjectId) -> bool {
        self.object(id).is_some_and(|object| {
            object.text.is_some() || object.items.is_some() || object.attributes.is_some()
        })
    }
}

impl State<'_> {
    /// The telling of an object that counts. `until`: it may be new, and told of only later, but
    /// by then.
    pub(super) fn telling(
        &self,
        sight: &Sight,
        id: ObjectId,
        until: Option<Instant>,
    ) -> Result<Option<Telling>, Error> {
        if let Some(until) = until
            && let Some(next) = self.next_look(sight, id, until)?
        {
            return Ok(Some(next));
        }
        let last = self.last_telling(sight.process_id, id, sight.instant)?;
        if let Some(until) = sight.until
            && !last.as_ref().is_some_and(|telling| telling.has_contents(id))
            && let Some(next) = self.next_look(sight, id, until)?
        {
            return Ok(Some(next));
        }
        Ok(last)
    }

    /// How an object was, as it is told next and up to an instant: by looking at it, and not because
    /// it has been changed.
    fn next_look(
        &self,
        sight: &Sight,
        id: ObjectId,
        until: Instant,
    ) -> Result<Option<Telling>, Error> {
        // What is told after it is changed is not how it was.
        let changed = sight.changed.as_ref();
        let changed = changed.and_then(|(changes, executed)| changes.first(*executed, id));
        let until = changed.map_or(until, |told| until.min(told));
        for chunk in sight.instant.chunk..=until.chunk {
            let Some(groups) = self.groups(chunk)? else { continue };
            let from = if chunk == sight.instant.chunk { sight.instant.at } else { 0 };
            let Some(at) = groups.values.next_telling(id, from) else { continue };
            // Odd if told by looking, and not as the effect of a store. What was looked at
            // again had been changed.
            let is_look = at % 2 == 1 && !groups.looks_again_at(at as usize / 2, id);
            if is_look && (Instant { chunk, at }) <= until {
                return Ok(Some(Telling { groups, at }));
            }
            break;
        }
        Ok(None)
    }

    /// The last chunk of values of a process, up to one, that tells of an object.
    fn last_chunk(&self, process_id: i64, id: ObjectId, upto: usize) -> Option<usize> {
        let chunks = self.store.value_chunks();
        let key = (process_id, id);
        let is_of = |chunk: &usize| chunks.get(*chunk).is_some_and(|c| c.process_id == process_id);
        // What was found is the last up to where it was looked for.
        let (known, from) = match self.caches.told.borrow().get(&key) {
            Some((found, looked)) if found.is_none_or(|found| found <= upto) => (*found, *looked),
            _ => (None, 0),
        };
        let mut later = (from..upto + 1).rev().take_while(is_of);
        let found = later.find(|chunk| chunks[*chunk].told.contains(id)).or(known);
        self.keep_told(key, (found, from.max(upto + 1)));
        found
    }

    /// The last telling of an object at an instant or before.
    pub(super) fn last_telling(
        &self,
        process_id: i64,
        id: ObjectId,
        instant: Instant,
    ) -> Result<Option<Telling>, Error> {
        let mut next = Some(instant.chunk);
        while let Some(chunk) = next.and_then(|upto| self.last_chunk(process_id, id, upto)) {
            let at = if chunk == instant.chunk { instant.at } else { Moment::MAX };
            if let Some(groups) = self.groups(chunk)?
                && groups.values.next_telling(id, 0).is_some_and(|first| first <= at)
            {
                return Ok(Some(Telling { groups, at }));
            }
            next = chunk.checked_sub(1);
        }
        Ok(None)
    }
}

/// How deep an object lies, and if it may be new, by when it is told of.
type Reached = (u32, Option<Instant>);

/// Objects out of several chunks, with numbers of their own.
#[derive(Default)]
pub(super) struct Copied {
    objects: FxHashMap<ObjectId, Object>,
    /// Those whose contents are left out.
    stubs: FxHashMap<ObjectId, Object>,
    /// Those that cannot be new, however they are reached.
    known: Rc<FxHashSet<ObjectId>>,
    texts: Vec<Box<[u8]>>,
    classes: Vec<Class>,
    shapes: Vec<Shape>,
    /// By chunk and the number there.
    text_numbers: FxHashMap<(usize, TextNumber), TextNumber>,
    class_numbers: FxHashMap<(usize, ClassNumber), ClassNumber>,
    shape_numbers: FxHashMap<(usize, ShapeNumber), ShapeNumber>,
}

impl Copied {
    /// Copies values and what is known of the objects they lead to; gives the values back as the
    /// copy has them. Nearer objects go before farther ones. With each value comes by when the
    /// objects it leads to are told of, if they may be new.
    pub(super) fn add(
        &mut self,
        state: &State<'_>,
        sight: &Sight,
        values: &[(Held, Option<Instant>)],
    ) -> Result<Vec<Value>, Error> {
        let (mut queue, mut level) = (VecDeque::new(), 0);
        let mut copied = Vec::with_capacity(values.len());
        for (held, until) in values {
            let Some(groups) = state.groups(held.chunk)? else {
                copied.push(Value::Unread);
                continue;
            };
            copied.push(self.value(&groups, held.value, (0, *until), &mut queue));
        }
        while let Some((id, (depth, until))) = queue.pop_front() {
            if depth > level {
                // Those that were told of in one chunk after each other: it is decoded once.
                level = depth;
                queue.push_front((id, (depth, until)));
                let ids = queue.make_contiguous();
                let last = |id| state.last_chunk(sight.process_id, id, sight.instant.chunk);
                ids.sort_by_cached_key(|(id, _)| Reverse(last(*id)));
                continue;
            }
            if self.objects.contains_key(&id) {
                continue;
            }
            let until = self.until(id, until);
            let Some(telling) = state.telling(sight, id, until)? else { continue };
            let Some(object) = telling.object(id) else { continue };
            if depth > DEPTH_MAX || self.objects.len() >= OBJECTS_MAX {
                self.stub(&telling.groups, object);
            } else {
                self.object(&telling.groups, object, (depth + 1, until), &mut queue);
            }
        }
        Ok(copied)
    }

    fn value(
        &mut self,
        groups: &Groups,
        value: Value,
        at: Reached,
        queue: &mut VecDeque<(ObjectId, Reached)>,
    ) -> Value {
        match value {
            Value::Str(number) => Value::Str(self.text(groups, number)),
            Value::Bytes(number) => Value::Bytes(self.text(groups, number)),
            Value::Object(id) | Value::Shallow(id) => {
                queue.push_back((id, at));
                // Writing it falls back on what a shallow one shows.
                Value::Object(id)
            }
            other => other,
        }
    }

    fn object(
        &mut self,
        groups: &Groups,
        object: Object,
        within: Reached,
        queue: &mut VecDeque<(ObjectId, Reached)>,
    ) {
        let mut values = |copied: &mut Copied, values: Vec<Value>| {
            let each = values.into_iter();
            each.map(|value| copied.value(groups, value, within, queue)).collect::<Vec<_>>()
        };
        let class = self.class(groups, object.class);
        let is_dict = self.classes.get(class as usize).is_some_and(|c| c.sort == Sort::Dict);
        let items = object.items.map(|Part { mut kept, length }| {
            // The others are not written.
            if let Some(shown) = object.shown {
                kept.truncate((shown as usize) << u32::from(is_dict));
            }
            Part { kept: values(self, kept), length }
        });
        let attributes = object
            .attributes
            .map(|(shape, attributes)| (self.shape(groups, shape), values(self, attributes)));
        let text = object.text.map(|text| Part { kept: self.text(groups, text.kept), ..text });
        let id = object.id;
        self.objects.insert(id, Object { id, class, text, items, shown: None, attributes });
    }

    /// Keeps the class, and the name of what goes by one.
    fn stub(&mut self, groups: &Groups, object: Object) {
        let class = self.class(groups, object.class);
        let sort = self.classes.get(class as usize).map(|class| class.sort);
        let has_name =
            matches!(sort, Some(Sort::Function | Sort::Class | Sort::Module | Sort::Generator));
        let text = object.text.filter(|_| has_name);
        let text = text.map(|text| Part { kept: self.text(groups, text.kept), ..text });
        self.stubs.insert(object.id, Object { id: object.id, class, text, ..Object::default() });
    }

    fn text(&mut self, groups: &Groups, number: TextNumber) -> TextNumber {
        *self.text_numbers.entry((groups.index, number)).or_insert_with(|| {
            self.texts.push(groups.values.text(number).into());
            self.texts.len() as u32 - 1
        })
    }

    fn class(&mut self, groups: &Groups, number: ClassNumber) -> ClassNumber {
        *self.class_numbers.entry((groups.index, number)).or_insert_with(|| {
            let Some(class) = groups.values.classes().get(number as usize) else { return u32::MAX };
            self.classes.push(class.clone());
            self.classes.len() as u32 - 1
        })
    }

    fn shape(&mut self, groups: &Groups, number: ShapeNumber) -> ShapeNumber {
        *self.shape_numbers.entry((groups.index, number)).or_insert_with(|| {
            let Some(shape) = groups.values.shapes().get(number as usize) else { return u32::MAX };
            self.shapes.push(shape.clone());
            self.shapes.len() as u32 - 1
        })
    }

    /// Takes note that what has been copied so far was there before.
    pub(super) fn know(&mut self) {
        self.known = Rc::new(self.objects.keys().copied().collect());
    }

    /// An empty copy that knows the same of what was there before.
    pub(super) fn another(&self) -> Copied {
        Copied { known: self.known.clone(), ..Copied::default() }
    }

    /// By when an object is told of, if it may be new by how it was reached.
    pub(super) fn until(&self, id: ObjectId, until: Option<Instant>) -> Option<Instant> {
        until.filter(|_| !self.known.contains(&id))
    }

    /// The name of an object's class.
    pub(super) fn class_of(&self, id: ObjectId) -> Option<&str> {
        let object = self.objects.get(&id).or_else(|| self.stubs.get(&id))?;
        self.classes.get(object.class as usize).map(|class| &*class.name)
    }
}

impl Objects for Copied {
    fn object(&self, id: ObjectId, _: Moment) -> Option<Cow<'_, Object>> {
        self.objects.get(&id).or_else(|| self.stubs.get(&id)).map(Cow::Borrowed)
    }

    fn text(&self, number: TextNumber) -> &[u8] {
        self.texts.get(number as usize).map_or(&[], |text| text)
    }

    fn class(&self, number: ClassNumber) -> Option<&Class> {
        self.classes.get(number as usize)
    }

    fn shape(&self, number: ShapeNumber) -> Option<&Shape> {
        self.shapes.get(number as usize)
    }
}
