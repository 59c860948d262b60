//! Compares two threads: goes into calls that differ and skips those that do not.

use super::align::{Part, align};
use super::hash::mix;
use super::items::{Item, Items};
use super::reader::Reader;
use super::text::{differ, without_addresses};
use super::tree::{self, Tree};
use super::values::{self, Label};
use crate::store::Error;
use dashcam_schema::event::EventKind;
use dashcam_schema::value::GroupKind;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

/// Maximum number of differences in other than the user's own code, beyond the limit, before the
/// search for differences in the user's own code ends.
const PASSED_OVER_MAX: u64 = 1000;
/// Number of items of a call that are aligned at once.
const WINDOW: usize = 1 << 14;
/// Maximum number of functions whose calls in a gap are listed.
const EXTRAS_MAX: usize = 8;
/// Maximum distance between the places of two corresponding values among the values of their
/// events.
const SEARCHED: usize = 1000;

/// The same thing for each of the two runs.
pub(super) type Two<T> = [T; 2];

/// A difference, by positions.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) what: What,
    /// Its position in each run.
    pub(super) seqs: Two<i64>,
    /// Number of similar differences found later.
    pub(super) more: u64,
    /// It is in the user's own code.
    pub(super) is_mine: bool,
}

/// The kind of a difference.
#[derive(Debug)]
pub(super) enum What {
    Value { name: Name, texts: Two<Option<String>> },
    Path { gap: Box<Gap> },
}

/// Which value differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Argument(Box<str>),
    Result,
    Yielded,
    Sent,
    Exception,
    Variable(Box<str>),
    /// The value stored into this attribute, or into the item with this key.
    Attribute(Box<str>),
    Item(Box<str>),
    /// The key of a stored item, or the name of a stored attribute.
    Key,
}

/// Items that only one run has, or that differ in both.
#[derive(Debug, Default)]
pub(super) struct Gap {
    /// The last item before the gap that both runs have.
    pub(super) before: Option<Two<i64>>,
    pub(super) sides: Two<GapSide>,
    /// The first item after the gap that both runs have.
    pub(super) after: Option<Two<i64>>,
}

/// One run's part of a gap.
#[derive(Debug, Default)]
pub(super) struct GapSide {
    pub(super) first: Option<Item>,
    /// The plain hash of the last item.
    last: u64,
    pub(super) items: u64,
    /// Calls by function: the plain hash, the `seq` of the first one, and their number.
    pub(super) extras: Vec<(u64, i64, u64)>,
    /// Number of calls of further functions.
    pub(super) others: u64,
}

pub(super) struct Comparer<'r, 'a> {
    pub(super) readers: Two<&'r Reader<'a>>,
    pub(super) limit: usize,
    pub(super) found: Vec<Found>,
    /// The index in `found` by a key that similar differences share.
    known: FxHashMap<u64, usize>,
    /// There were more differences than the limit in the user's own code, or far more in other
    /// code.
    pub(super) has_more: bool,
    /// Number of differences in other code that were skipped because there are enough of them.
    pub(super) passed_over: u64,
    /// Called with the position in the first run.
    tick: &'r dyn Fn(i64) -> Result<(), Error>,
}

/// A pair of corresponding calls that is being compared.
struct Level {
    items: Two<Items>,
    windows: Two<Vec<Item>>,
    parts: VecDeque<Part>,
    /// Number of items of the first of `parts` that are done.
    done: usize,
    /// Number of items to remove from the windows when all parts are done.
    taken: Two<usize>,
    /// The last item that both runs have.
    before: Option<Two<i64>>,
    /// The nodes of the items right before, if these were calls.
    child: Two<Option<u32>>,
    gap: Option<Gap>,
}

impl<'r, 'a> Comparer<'r, 'a> {
    pub(super) fn new(
        readers: Two<&'r Reader<'a>>,
        limit: usize,
        tick: &'r dyn Fn(i64) -> Result<(), Error>,
    ) -> Comparer<'r, 'a> {
        let known = FxHashMap::default();
        let found = Vec::new();
        Comparer { readers, limit, found, known, has_more: false, passed_over: 0, tick }
    }

    /// Compares two threads.
    pub(super) fn run(&mut self, trees: Two<Rc<Tree>>) -> Result<(), Error> {
        let [a, b] = [0, 1].map(|side: usize| trees[side].nodes.first().map(|root| root.whole));
        if a == b {
            return Ok(());
        }
        let mut levels: Vec<Level> = self.level(trees, [0, 0])?.into_iter().collect();
        while let Some(level) = levels.last_mut() {
            if self.has_more {
                return Ok(());
            }
            match self.step(level)? {
                Step::On => {}
                Step::Into(nodes) => {
                    let trees = [0, 1].map(|side: usize| level.items[side].tree.clone());
                    levels.extend(self.level(trees, nodes)?);
                }
                Step::Done => {
                    levels.pop();
                }
            }
        }
        Ok(())
    }

    /// Begins to compare two nodes.
    fn level(&self, trees: Two<Rc<Tree>>, nodes: Two<u32>) -> Result<Option<Level>, Error> {
        let mut items = Vec::new();
        for (side, (tree, mut node)) in trees.into_iter().zip(nodes).enumerate() {
            let reader = self.readers[side];
            let mut tree = tree;
            if !tree.keeps_children_of(node)
                && let Some(found) = tree.nodes.get(node as usize)
            {
                let of = Some((tree.thread, found.first..=found.last));
                let mut trees = tree::read(reader, of, |_| (self.tick)(found.first))?;
                let Some(part) = trees.remove(&tree.thread) else { return Ok(None) };
                (tree, node) = (Rc::new(part), 1);
            }
            let Some(found) = Items::new(reader, tree, node)? else { return Ok(None) };
            items.push(found);
        }
        let Ok(items) = items.try_into() else { return Ok(None) };
        Ok(Some(Level {
            items,
            windows: Default::default(),
            parts: VecDeque::new(),
            done: 0,
            taken: [0, 0],
            before: None,
            child: [None, None],
            gap: None,
        }))
    }

    fn step(&mut self, level: &mut Level) -> Result<Step, Error> {
        match level.parts.front() {
            None => self.refill(level),
            Some(Part::Apart { a, b }) => {
                let (a, b) = (a.clone(), b.clone());
                level.parts.pop_front();
                level.child = [None, None];
                self.widen(level, [a, b])?;
                Ok(Step::On)
            }
            Some(Part::Both { a, b, count }) => {
                let (i, j) = (a + level.done, b + level.done);
                level.done += 1;
                if level.done >= *count {
                    level.parts.pop_front();
                    level.done = 0;
                }
                let (Some(a), Some(b)) = (level.windows[0].get(i), level.windows[1].get(j)) else {
                    return Ok(Step::On);
                };
                let (a, b) = (*a, *b);
                let seqs = [a.seq, b.seq];
                self.close(level, Some(seqs))?;
                level.before = Some(seqs);
                let previous = std::mem::replace(&mut level.child, [a.child, b.child]);
                if a.values != b.values
                    && !(self.is_unwound(level, 0, previous[0])?
                        && self.is_unwound(level, 1, previous[1])?)
                {
                    self.values(level, &a, &b)?;
                }
                match (a.child, b.child) {
                    (Some(x), Some(y)) if a.whole != b.whole => Ok(Step::Into([x, y])),
                    _ => Ok(Step::On),
                }
            }
        }
    }

    /// Reads more items, skips those that are the same in both, and aligns the following ones.
    fn refill(&mut self, level: &mut Level) -> Result<Step, Error> {
        for side in [0, 1] {
            level.windows[side].drain(..level.taken[side]);
        }
        level.taken = [0, 0];
        loop {
            for side in [0, 1] {
                let Level { items, windows, .. } = level;
                items[side].fill(self.readers[side], &mut windows[side], WINDOW)?;
            }
            let [a, b] = &mut level.windows;
            if let Some(item) = a.first() {
                (self.tick)(item.seq)?;
            }
            let same = a.iter().zip(b.iter()).take_while(|(a, b)| a.is_same(b)).count();
            let Some(last) = same.checked_sub(1) else { break };
            let (first, last) = ([a[0].seq, b[0].seq], [a[last].seq, b[last].seq]);
            a.drain(..same);
            b.drain(..same);
            self.close(level, Some(first))?;
            level.before = Some(last);
            level.child = [None, None];
        }
        let [a, b] = &level.windows;
        if a.is_empty() && b.is_empty() {
            self.close(level, None)?;
            return Ok(Step::Done);
        }
        let tokens = |items: &[Item]| items.iter().map(Item::token).collect::<Vec<_>>();
        let mut parts = align(&tokens(a), &tokens(b));
        let is_all = level.items.iter().all(Items::is_done);
        // Items without a counterpart at the end of a window may correspond to later ones.
        let has_both = parts.iter().any(|part| matches!(part, Part::Both { .. }));
        if !is_all && has_both {
            while let Some(Part::Apart { .. }) = parts.last() {
                parts.pop();
            }
        }
        level.taken = match parts.last() {
            Some(Part::Both { a, b, count }) => [a + count, b + count],
            Some(Part::Apart { a, b }) => [a.end, b.end],
            None => [a.len(), b.len()],
        };
        level.parts = parts.into();
        Ok(Step::On)
    }

    /// Adds items without a counterpart to the gap.
    fn widen(&mut self, level: &mut Level, ranges: Two<Range<usize>>) -> Result<(), Error> {
        let before = level.before;
        let gap = level.gap.get_or_insert_with(|| Gap { before, ..Gap::default() });
        for (side, range) in ranges.into_iter().enumerate() {
            let part = &mut gap.sides[side];
            for item in level.windows[side].get(range).unwrap_or_default() {
                part.first.get_or_insert(*item);
                part.last = item.plain;
                part.items += 1;
                if item.child.is_some() {
                    match part.extras.iter().position(|(plain, ..)| *plain == item.plain) {
                        Some(at) => part.extras[at].2 += 1,
                        None if part.extras.len() < EXTRAS_MAX => {
                            part.extras.push((item.plain, item.seq, 1));
                        }
                        None => part.others += 1,
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends the gap, if there is one, and reports it. `after` is the next item that both runs have.
    fn close(&mut self, level: &mut Level, after: Option<Two<i64>>) -> Result<(), Error> {
        let Some(mut gap) = level.gap.take() else { return Ok(()) };
        gap.after = after;
        // Both runs were at the same branch: values that differ there explain why they part.
        if let [Some(a), Some(b)] = [0, 1].map(|side: usize| gap.sides[side].first)
            && self.is_one_branch(&a, &b)?
            && a.values != b.values
        {
            self.values(level, &a, &b)?;
        }
        let plain = |side: usize| gap.sides[side].first.map_or(0, |item: Item| item.plain);
        let code = level.items[0].code.map_or(0, |code| self.readers[0].code(code).key);
        let ends = mix(gap.sides[0].last, gap.sides[1].last);
        let key = mix(mix(code, plain(0)), mix(plain(1), ends));
        let seq = |side: usize| {
            let first = gap.sides[side].first.map(|item| item.seq);
            let after = gap.after.map(|after| after[side]);
            first.or(after).or(gap.before.map(|before| before[side])).unwrap_or(0)
        };
        let seqs = [seq(0), seq(1)];
        let is_mine = self.is_mine(level);
        self.report(key, is_mine, || What::Path { gap: gap.into() }, seqs);
        Ok(())
    }

    /// Whether two items are events of the same branch.
    fn is_one_branch(&self, a: &Item, b: &Item) -> Result<bool, Error> {
        let mut places = Vec::new();
        for (side, item) in [a, b].into_iter().enumerate() {
            let Some((view, index)) = self.readers[side].locate(item.seq)? else {
                return Ok(false);
            };
            if let Some(unit) = view.branch(index)? {
                let known = view.context(index).known;
                places.push((known.key, known.is_changed, unit));
            }
        }
        Ok(matches!(places[..], [a, b] if a == b && !a.1))
    }

    /// Whether a call was left by an exception, which is the caller's next event.
    fn is_unwound(&self, level: &Level, side: usize, child: Option<u32>) -> Result<bool, Error> {
        let node = child.and_then(|child| level.items[side].tree.nodes.get(child as usize));
        let Some(node) = node else { return Ok(false) };
        let last = self.readers[side].locate(node.last)?;
        Ok(last.is_some_and(|(view, index)| view.kind(index) == Some(EventKind::PY_UNWIND)))
    }

    /// Whether a call is of the user's own code. The outermost level of a thread counts as that.
    fn is_mine(&self, level: &Level) -> bool {
        level.items[0].code.is_none_or(|code| self.readers[0].is_mine(code))
    }

    /// Adds a difference, unless there are too many. The limit applies separately to differences in
    /// the user's own code and in other code, so that one kind does not take the places of the
    /// other.
    fn report(&mut self, key: u64, is_mine: bool, what: impl FnOnce() -> What, seqs: Two<i64>) {
        let alike = self.found.iter().filter(|found| found.is_mine == is_mine).count();
        if let Some(known) = self.known.get(&key) {
            self.found[*known].more += 1;
        } else if alike < self.limit {
            self.known.insert(key, self.found.len());
            self.found.push(Found { what: what(), seqs, more: 0, is_mine });
        } else if is_mine || self.passed_over >= PASSED_OVER_MAX {
            self.has_more = true;
        } else {
            self.passed_over += 1;
        }
    }

    /// Finds which of the values that came with two events differ.
    fn values(&mut self, level: &Level, a: &Item, b: &Item) -> Result<(), Error> {
        let both = [a, b];
        let codes = [level.items[0].code, level.items[1].code];
        // For a call, only the caller's values are compared here; the others when the call is
        // compared.
        let is_wanted = |is_callers: bool| is_callers == a.child.is_some();
        let mut hashed: Two<Vec<HashedValue>> = Default::default();
        let has_state = self.readers[0].has_state;
        let mut kind = None;
        let mut raised: Two<Option<String>> = [None, None];
        for side in [0, 1] {
            let reader = self.readers[side];
            let Some((view, index)) = reader.locate(both[side].seq)? else { return Ok(()) };
            kind = view.kind(index);
            reader.each_value(&view, index, codes[side], |value| {
                if is_wanted(value.is_callers) {
                    let hash = values::hash(&value, true, has_state);
                    let certain =
                        if has_state { (hash, true) } else { values::certain_hash(&value) };
                    hashed[side].push((value.label, value.code, hash, certain));
                }
            })?;
            if kind == Some(EventKind::RAISE)
                && let Some((name, message)) = reader.exception(&view, index)?
            {
                raised[side] = Some(match message {
                    "" => name.to_owned(),
                    message => format!("{name}: {message}"),
                });
            }
        }
        let seqs = [a.seq, b.seq];
        let code = codes[0].map_or(0, |code| self.readers[0].code(code).key);
        let is_mine = self.is_mine(level);
        let clean = |text: &Option<String>| text.as_deref().map(without_addresses);
        let has_message = clean(&raised[0]) != clean(&raised[1]);
        if has_message {
            let key = mix(mix(code, a.plain), 2);
            let what = What::Value { name: Name::Exception, texts: raised };
            self.report(key, is_mine, || what, seqs);
        }
        let mut differing = Vec::new();
        let mut used = vec![false; hashed[1].len()];
        for (at, (label, _, hash, certain)) in hashed[0].iter().enumerate() {
            // Most values are at the same place in both. The search is limited, for hostile
            // recordings.
            let is_it = |other: &usize| {
                hashed[1].get(*other).is_some_and(|value| value.0 == *label) && !used[*other]
            };
            let near = at.saturating_sub(SEARCHED)..used.len().min(at + SEARCHED);
            let other = Some(at).filter(is_it).or_else(|| near.into_iter().find(is_it));
            let Some(other) = other else { continue };
            used[other] = true;
            let (_, _, other_hash, other_certain) = hashed[1][other];
            // Parts that may have been described long before do not prove a difference.
            let is_known = certain.0 != other_certain.0 || certain.1 && other_certain.1;
            if other_hash != *hash && is_known {
                differing.push((*label, at, other));
            }
        }
        for (label, at, other) in differing {
            let texts = [
                self.text(0, a.seq, codes[0], (a.child.is_some(), at))?,
                self.text(1, b.seq, codes[1], (a.child.is_some(), other))?,
            ];
            let [Some(one), Some(two)] = &texts else { continue };
            if !differ(one, two, self.readers[0].has_state) || label == Label::Raised && has_message
            {
                continue;
            }
            let owner = hashed[0][at].1;
            let name = match label {
                Label::Argument(number) => Name::Argument(self.readers[0].argument(owner, number)),
                Label::Result if kind == Some(EventKind::PY_YIELD) => Name::Yielded,
                Label::Result => Name::Result,
                Label::Sent => Name::Sent,
                Label::Raised => Name::Exception,
                Label::Variable(slot) => {
                    let variables = self.readers[0].variables(owner);
                    let name = variables.and_then(|variables| variables.name(slot));
                    Name::Variable(name.unwrap_or("?").into())
                }
                // The key is the value right before it.
                Label::Stored(kind) => {
                    let key = (a.child.is_some(), at.saturating_sub(1));
                    let key = self.text(0, a.seq, codes[0], key)?.unwrap_or_default();
                    if self.readers[0].is_ignored_key(&key) {
                        continue;
                    }
                    match kind {
                        GroupKind::SetAttribute => Name::Attribute(key.trim_matches('\'').into()),
                        _ => Name::Item(key.into()),
                    }
                }
                Label::Key(_) => Name::Key,
            };
            let named = match &name {
                Name::Argument(name) | Name::Variable(name) | Name::Attribute(name) => {
                    super::hash::text(name)
                }
                _ => a.plain,
            };
            let key = mix(mix(code, named), 3 + discriminant(&name));
            let what = What::Value { name, texts };
            self.report(key, is_mine, || what, seqs);
        }
        Ok(())
    }

    /// The text of one of the values of an event, by its index.
    fn text(
        &self,
        side: usize,
        seq: i64,
        code: Option<u32>,
        (is_callers, wanted): (bool, usize),
    ) -> Result<Option<String>, Error> {
        let reader = self.readers[side];
        let Some((view, index)) = reader.locate(seq)? else { return Ok(None) };
        let (mut at, mut text) = (0, None);
        reader.each_value(&view, index, code, |found| {
            if found.is_callers == is_callers {
                if at == wanted {
                    text = Some(found.text());
                }
                at += 1;
            }
        })?;
        Ok(text)
    }
}

fn discriminant(name: &Name) -> u64 {
    match name {
        Name::Argument(_) => 0,
        Name::Result => 1,
        Name::Yielded => 2,
        Name::Sent => 3,
        Name::Exception => 4,
        Name::Variable(_) => 5,
        Name::Attribute(_) => 6,
        Name::Item(_) => 7,
        Name::Key => 8,
    }
}

/// A value of an event: its role, the code object it belongs to, its hash, and its
/// [`certain_hash`](values::certain_hash).
type HashedValue = (Label, u32, u64, (u64, bool));

/// What to do next in a comparison of two calls.
enum Step {
    /// Continue.
    On,
    /// Compare these nodes.
    Into(Two<u32>),
    Done,
}
