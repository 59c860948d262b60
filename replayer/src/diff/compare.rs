//! Two threads side by side: into what differs, past what does not.

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

/// Differences in code that is not one's own, beyond the limit, before it is given up to look for some that is.
const PASSED_OVER_MAX: u64 = 1000;
/// Items of a call that are aligned at once.
const WINDOW: usize = 1 << 14;
/// Calls of a gap that are named, by where they come from.
const EXTRAS_MAX: usize = 8;
/// So far from its place among an event's values one of the other run's is looked for.
const SEARCHED: usize = 1000;

/// Something of both runs.
pub(super) type Two<T> = [T; 2];

/// What differs, by positions.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) what: What,
    /// Where to look.
    pub(super) seqs: Two<i64>,
    /// How often the like was met further on.
    pub(super) more: u64,
    /// It is in one's own code.
    pub(super) is_mine: bool,
}

#[derive(Debug)]
pub(super) enum What {
    Value { name: Name, texts: Two<Option<String>> },
    Path { gap: Box<Gap> },
}

/// What a value that differs is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Argument(Box<str>),
    Result,
    Yielded,
    Sent,
    Exception,
    Variable(Box<str>),
    /// Into an attribute, or an item with a key.
    Attribute(Box<str>),
    Item(Box<str>),
    /// The key itself.
    Key,
}

/// What one run has and the other has not.
#[derive(Debug, Default)]
pub(super) struct Gap {
    /// The last item before that both have.
    pub(super) before: Option<Two<i64>>,
    pub(super) sides: Two<Own>,
    /// The first item afterwards that both have.
    pub(super) after: Option<Two<i64>>,
}

/// One run's part of a gap.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) first: Option<Item>,
    /// The plain face of the last.
    last: u64,
    pub(super) items: u64,
    /// Calls by node's code object, with the first of each.
    pub(super) extras: Vec<(u64, i64, u64)>,
    /// Calls beyond those.
    pub(super) others: u64,
}

pub(super) struct Comparer<'r, 'a> {
    pub(super) readers: Two<&'r Reader<'a>>,
    pub(super) limit: usize,
    pub(super) found: Vec<Found>,
    /// By what is alike, the index in `found`.
    known: FxHashMap<u64, usize>,
    /// There were more than the limit in one's own code, or far more in other.
    pub(super) has_more: bool,
    /// Differences in other code that were met, and passed over because there are enough of them.
    pub(super) passed_over: u64,
    /// Told the position in the first run.
    tick: &'r dyn Fn(i64) -> Result<(), Error>,
}

/// One pair of calls.
struct Level {
    items: Two<Items>,
    windows: Two<Vec<Item>>,
    parts: VecDeque<Part>,
    /// Done of the first of `parts`.
    done: usize,
    /// What is taken from the windows when all parts are done.
    taken: Two<usize>,
    before: Option<Two<i64>>,
    /// Nodes of the calls that came right before, if such did.
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

    fn level(&self, trees: Two<Rc<Tree>>, nodes: Two<u32>) -> Result<Option<Level>, Error> {
        let mut items = Vec::new();
        for (side, (tree, mut node)) in trees.into_iter().zip(nodes).enumerate() {
            let reader = self.readers[side];
            let mut tree = tree;
            if !tree.knows(node)
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
                let came = std::mem::replace(&mut level.child, [a.child, b.child]);
                if a.values != b.values
                    && !(self.is_unwound(level, 0, came[0])?
                        && self.is_unwound(level, 1, came[1])?)
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

    /// Reads on, past what is the same, and aligns what comes then.
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
        // What stands apart at the end of a window may belong to what comes after it.
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

    /// Adds what stands apart to the gap.
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

    /// Ends the gap, if there is one, before what both have again.
    fn close(&mut self, level: &mut Level, after: Option<Two<i64>>) -> Result<(), Error> {
        let Some(mut gap) = level.gap.take() else { return Ok(()) };
        gap.after = after;
        // Both stood at one branch: what they held by then tells why they part.
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

    /// Whether a call was left by an exception, which its caller has next.
    fn is_unwound(&self, level: &Level, side: usize, child: Option<u32>) -> Result<bool, Error> {
        let node = child.and_then(|child| level.items[side].tree.nodes.get(child as usize));
        let Some(node) = node else { return Ok(false) };
        let last = self.readers[side].locate(node.last)?;
        Ok(last.is_some_and(|(view, index)| view.kind(index) == Some(EventKind::PY_UNWIND)))
    }

    /// Whether a call is of one's own code; so is what a thread begins with.
    fn is_mine(&self, level: &Level) -> bool {
        level.items[0].code.is_none_or(|code| self.readers[0].is_mine(code))
    }

    /// Those in one's own code and those in other each have the limit, so that the ones do not take the
    /// other's places.
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
        // Of a call within, only what the caller held; the rest is found in the call.
        let is_wanted = |is_callers: bool| is_callers == a.child.is_some();
        let mut met: Two<Vec<Told>> = Default::default();
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
                    let surely = if has_state { (hash, true) } else { values::surely(&value) };
                    met[side].push((value.label, value.code, hash, surely));
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
        let mut used = vec![false; met[1].len()];
        for (at, (label, _, hash, surely)) in met[0].iter().enumerate() {
            // Most stand at the same place; of hostile ones, not all are searched.
            let is_it = |other: &usize| {
                met[1].get(*other).is_some_and(|told| told.0 == *label) && !used[*other]
            };
            let near = at.saturating_sub(SEARCHED)..used.len().min(at + SEARCHED);
            let other = Some(at).filter(is_it).or_else(|| near.into_iter().find(is_it));
            let Some(other) = other else { continue };
            used[other] = true;
            let (_, _, other_hash, other_surely) = met[1][other];
            // What may have been told long before is no proof.
            let is_known = surely.0 != other_surely.0 || surely.1 && other_surely.1;
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
            let owner = met[0][at].1;
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
                // Its key comes right before it.
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

    /// The text of one of the values that came with an event.
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
        reader.each_value(&view, index, code, |met| {
            if met.is_callers == is_callers {
                if at == wanted {
                    text = Some(met.text());
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

/// A value with an event: what it is, whose code object's, its hash, and what is [sure](values::surely).
type Told = (Label, u32, u64, (u64, bool));

enum Step {
    On,
    /// Into these nodes.
    Into(Two<u32>),
    Done,
}
