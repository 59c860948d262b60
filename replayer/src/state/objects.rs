//! What objects held at a position: the description that applies, and a copy of it that can be
//! written as text.

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

/// Limits of one copy: the number of objects, and the depth of objects within objects.
const OBJECTS_MAX: usize = 2000;
const DEPTH_MAX: u32 = 6;

/// The point in time at which objects are read.
#[derive(Debug, Clone)]
pub(super) struct Viewpoint {
    pub(super) process_id: i64,
    pub(super) instant: Instant,
    /// The instant after everything that is recorded with the next event. If an object's contents
    /// are not known before, but are described by then, it already had them.
    pub(super) until: Option<Instant>,
    /// The changes of objects in the window, and how many of its instructions come before this
    /// point.
    pub(super) changed: Option<(Rc<Changes>, usize)>,
}

/// A description of an object.
pub(super) struct Description {
    pub(super) groups: Rc<Groups>,
    pub(super) at: Moment,
}

impl Description {
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
    /// The description of an object that applies. With `until`, the object may be new, and
    /// described only later, but by that instant.
    pub(super) fn description(
        &self,
        viewpoint: &Viewpoint,
        id: ObjectId,
        until: Option<Instant>,
    ) -> Result<Option<Description>, Error> {
        if let Some(until) = until
            && let Some(next) = self.next_examination(viewpoint, id, until)?
        {
            return Ok(Some(next));
        }
        let last = self.last_description(viewpoint.process_id, id, viewpoint.instant)?;
        if let Some(until) = viewpoint.until
            && !last.as_ref().is_some_and(|description| description.has_contents(id))
            && let Some(next) = self.next_examination(viewpoint, id, until)?
        {
            return Ok(Some(next));
        }
        Ok(last)
    }

    /// The next description of an object up to an instant, if it shows what the object held before:
    /// it must come from examining the object, and not because the object was changed.
    fn next_examination(
        &self,
        viewpoint: &Viewpoint,
        id: ObjectId,
        until: Instant,
    ) -> Result<Option<Description>, Error> {
        // A description after a change does not show what the object held before it.
        let changed = viewpoint.changed.as_ref();
        let changed = changed.and_then(|(changes, executed)| changes.first(*executed, id));
        let until = changed.map_or(until, |described| until.min(described));
        for chunk in viewpoint.instant.chunk..=until.chunk {
            let Some(groups) = self.groups(chunk)? else { continue };
            let from = if chunk == viewpoint.instant.chunk { viewpoint.instant.at } else { 0 };
            let Some(at) = groups.values.next_description(id, from) else { continue };
            // Odd if the object was examined, even if this is the effect of a store. An object that
            // is examined again had been changed.
            let is_examination = at % 2 == 1 && !groups.examines_again(at as usize / 2, id);
            if is_examination && (Instant { chunk, at }) <= until {
                return Ok(Some(Description { groups, at }));
            }
            break;
        }
        Ok(None)
    }

    /// The last chunk of values of a process, up to `upto`, that describes an object.
    fn last_chunk(&self, process_id: i64, id: ObjectId, upto: usize) -> Option<usize> {
        let chunks = self.store.value_chunks();
        let key = (process_id, id);
        let is_of = |chunk: &usize| chunks.get(*chunk).is_some_and(|c| c.process_id == process_id);
        // The chunk in the cache is the last one in the range that was searched.
        let (known, from) = match self.caches.described.borrow().get(&key) {
            Some((found, end)) if found.is_none_or(|found| found <= upto) => (*found, *end),
            _ => (None, 0),
        };
        let mut later = (from..upto + 1).rev().take_while(is_of);
        let found = later.find(|chunk| chunks[*chunk].described.contains(id)).or(known);
        self.keep_described(key, (found, from.max(upto + 1)));
        found
    }

    /// The last description of an object at or before an instant.
    pub(super) fn last_description(
        &self,
        process_id: i64,
        id: ObjectId,
        instant: Instant,
    ) -> Result<Option<Description>, Error> {
        let mut next = Some(instant.chunk);
        while let Some(chunk) = next.and_then(|upto| self.last_chunk(process_id, id, upto)) {
            let at = if chunk == instant.chunk { instant.at } else { Moment::MAX };
            if let Some(groups) = self.groups(chunk)?
                && groups.values.next_description(id, 0).is_some_and(|first| first <= at)
            {
                return Ok(Some(Description { groups, at }));
            }
            next = chunk.checked_sub(1);
        }
        Ok(None)
    }
}

/// The depth of an object, and, if it may be new, the instant by which it is described.
type Reached = (u32, Option<Instant>);

/// Objects from several chunks, with texts, classes and shapes that are numbered anew.
#[derive(Default)]
pub(super) struct Copied {
    objects: FxHashMap<ObjectId, Object>,
    /// Objects whose contents are left out.
    stubs: FxHashMap<ObjectId, Object>,
    /// Objects that cannot be new, however they are reached.
    known: Rc<FxHashSet<ObjectId>>,
    texts: Vec<Box<[u8]>>,
    classes: Vec<Class>,
    shapes: Vec<Shape>,
    /// By chunk and the number in it.
    text_numbers: FxHashMap<(usize, TextNumber), TextNumber>,
    class_numbers: FxHashMap<(usize, ClassNumber), ClassNumber>,
    shape_numbers: FxHashMap<(usize, ShapeNumber), ShapeNumber>,
}

impl Copied {
    /// Copies values and what is known of the objects they lead to; returns the values as the copy
    /// has them. Nearer objects go before farther ones. Each value comes with the instant by which
    /// the objects it leads to are described, if they may be new.
    pub(super) fn add(
        &mut self,
        state: &State<'_>,
        viewpoint: &Viewpoint,
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
                // Objects that were last described in the same chunk follow each other, so that the
                // chunk is decoded only once.
                level = depth;
                queue.push_front((id, (depth, until)));
                let ids = queue.make_contiguous();
                let last = |id| state.last_chunk(viewpoint.process_id, id, viewpoint.instant.chunk);
                ids.sort_by_cached_key(|(id, _)| Reverse(last(*id)));
                continue;
            }
            if self.objects.contains_key(&id) {
                continue;
            }
            let until = self.until(id, until);
            let Some(description) = state.description(viewpoint, id, until)? else { continue };
            let Some(object) = description.object(id) else { continue };
            if depth > DEPTH_MAX || self.objects.len() >= OBJECTS_MAX {
                self.stub(&description.groups, object);
            } else {
                self.object(&description.groups, object, (depth + 1, until), &mut queue);
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
                // Without contents, it is written like a shallow reference.
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
            // The other items are not written.
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

    /// Keeps the class of an object, and the name of one that is written by its name.
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

    /// Marks the objects copied so far as known from before.
    pub(super) fn mark_known(&mut self) {
        self.known = Rc::new(self.objects.keys().copied().collect());
    }

    /// An empty copy with the same objects marked as known from before.
    pub(super) fn new_with_known(&self) -> Copied {
        Copied { known: self.known.clone(), ..Copied::default() }
    }

    /// `until`, the instant by which an object is described if it may be new; `None` if the object
    /// is known from before.
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
