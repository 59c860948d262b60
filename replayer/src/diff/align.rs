//! Which parts of two sequences belong together.
//!
//! A token has three faces, from the most telling to the plainest: all that happened, the same with
//! the same arguments, and the same place in the code. Sequences whose plain faces are equal took one
//! path, and belong together one by one whatever the values were. Others are anchored at what is
//! unique and equal in both by the more telling faces, so that one iteration more in the middle of a
//! loop is found where it is; between anchors, the fewest insertions by the plain face count (Myers).

use rustc_hash::FxHashMap;
use std::ops::Range;

/// One place of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// All that happened, values included.
    pub(super) whole: u64,
    /// The same code, and for a call arguments that are alike.
    pub(super) alike: u64,
    /// The same place in the code.
    pub(super) plain: u64,
}

/// What belongs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// So many, from these indexes on.
    Both { a: usize, b: usize, count: usize },
    /// What one has and the other has not. One of them may be empty.
    Apart { a: Range<usize>, b: Range<usize> },
}

/// More insertions and deletions between two anchors are not tried: what is left is taken in parts.
const EDITS_MAX: usize = 512;
/// No index: a diagonal that nothing leads to.
const NOWHERE: isize = -1;

/// Aligns two sequences, in order and without gaps.
pub(super) fn align(a: &[Token], b: &[Token]) -> Vec<Part> {
    let mut parts = Parts::default();
    let plain = |tokens: &[Token]| tokens.iter().map(|token| token.plain).collect::<Vec<_>>();
    if plain(a) == plain(b) {
        parts.both(0, 0, a.len());
        return parts.0;
    }
    let faces: [fn(&Token) -> u64; 2] = [|token| token.whole, |token| token.alike];
    anchored(a, b, (0, 0), &faces, &mut parts);
    parts.0
}

#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn both(&mut self, a: usize, b: usize, count: usize) {
        if count == 0 {
            return;
        }
        if let Some(Part::Both { a: first, b: other, count: known }) = self.0.last_mut()
            && (*first + *known, *other + *known) == (a, b)
        {
            *known += count;
            return;
        }
        self.0.push(Part::Both { a, b, count });
    }

    fn apart(&mut self, a: Range<usize>, b: Range<usize>) {
        if a.is_empty() && b.is_empty() {
            return;
        }
        if let Some(Part::Apart { a: first, b: other }) = self.0.last_mut() {
            (first.end, other.end) = (a.end, b.end);
            return;
        }
        self.0.push(Part::Apart { a, b });
    }
}

/// Sequences that begin at these indexes of the whole ones.
fn anchored(
    a: &[Token],
    b: &[Token],
    (at_a, at_b): (usize, usize),
    faces: &[fn(&Token) -> u64],
    out: &mut Parts,
) {
    let Some((face, rest)) = faces.split_first() else {
        return fewest(a, b, (at_a, at_b), out);
    };
    let same = |(a, b): &(&Token, &Token)| face(a) == face(b) && a.plain == b.plain;
    let first = a.iter().zip(b).take_while(same).count();
    let (a, b) = (&a[first..], &b[first..]);
    let last = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    let (a, b) = (&a[..a.len() - last], &b[..b.len() - last]);
    out.both(at_a, at_b, first);
    let (at_a, at_b) = (at_a + first, at_b + first);
    let (mut done_a, mut done_b) = (0, 0);
    for (i, j) in anchors(a, b, *face) {
        anchored(&a[done_a..i], &b[done_b..j], (at_a + done_a, at_b + done_b), rest, out);
        out.both(at_a + i, at_b + j, 1);
        (done_a, done_b) = (i + 1, j + 1);
    }
    anchored(&a[done_a..], &b[done_b..], (at_a + done_a, at_b + done_b), rest, out);
    out.both(at_a + a.len(), at_b + b.len(), last);
}

/// Tokens that are once in each and in the same order in both, as many as there are.
fn anchors(a: &[Token], b: &[Token], face: fn(&Token) -> u64) -> Vec<(usize, usize)> {
    // How often in each, and where.
    let mut seen: FxHashMap<u64, ([u32; 2], [usize; 2])> = FxHashMap::default();
    for (side, tokens) in [a, b].into_iter().enumerate() {
        for (at, token) in tokens.iter().enumerate() {
            let (counts, places) = seen.entry(face(token)).or_default();
            counts[side] += 1;
            places[side] = at;
        }
    }
    let unique = |token: &Token| {
        let (counts, places) = seen.get(&face(token))?;
        let is_one = *counts == [1, 1] && a[places[0]].plain == b[places[1]].plain;
        is_one.then_some((places[0], places[1]))
    };
    // In the order of the first; the longest that ascends in the second.
    let pairs: Vec<_> = a.iter().filter_map(unique).collect();
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![usize::MAX; pairs.len()];
    for (at, (_, j)) in pairs.iter().enumerate() {
        let place = ends.partition_point(|end| pairs[*end].1 < *j);
        if place > 0 {
            before[at] = ends[place - 1];
        }
        if place == ends.len() { ends.push(at) } else { ends[place] = at }
    }
    let last = ends.last().copied();
    let chain = std::iter::successors(last, |at| Some(before[*at]).filter(|at| *at != usize::MAX));
    let mut found: Vec<_> = chain.map(|at| pairs[at]).collect();
    found.reverse();
    found
}

/// By plain faces, with the fewest insertions and deletions.
fn fewest(mut a: &[Token], mut b: &[Token], (mut at_a, mut at_b): (usize, usize), out: &mut Parts) {
    let same = |(a, b): &(&Token, &Token)| a.plain == b.plain;
    while !a.is_empty() && !b.is_empty() {
        let first = a.iter().zip(b).take_while(same).count();
        out.both(at_a, at_b, first);
        (a, b, at_a, at_b) = (&a[first..], &b[first..], at_a + first, at_b + first);
        let last = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
        let (inner_a, inner_b) = (&a[..a.len() - last], &b[..b.len() - last]);
        let (done_a, done_b) = edits(inner_a, inner_b, (at_a, at_b), out);
        let is_done = (done_a, done_b) == (inner_a.len(), inner_b.len());
        (a, b, at_a, at_b) = (&a[done_a..], &b[done_b..], at_a + done_a, at_b + done_b);
        if is_done {
            out.both(at_a, at_b, last);
            return;
        }
    }
    out.apart(at_a..at_a + a.len(), at_b..at_b + b.len());
}

/// Myers' greedy algorithm; gives how far it came if it takes too many edits.
fn edits(
    a: &[Token],
    b: &[Token],
    (at_a, at_b): (usize, usize),
    out: &mut Parts,
) -> (usize, usize) {
    if a.is_empty() || b.is_empty() {
        out.apart(at_a..at_a + a.len(), at_b..at_b + b.len());
        return (a.len(), b.len());
    }
    let (n, m) = (a.len() as isize, b.len() as isize);
    let bound = (a.len() + b.len()).min(EDITS_MAX) as isize;
    let offset = bound + 1;
    let same = |x: isize, y: isize| a[x as usize].plain == b[y as usize].plain;
    // From the diagonal above an insertion leads here, from the one below a deletion: which index of
    // `a` that gives, if any, and whether it is an insertion.
    let step = |below: isize, above: isize, diagonal: isize| {
        let inserted = (above >= 0 && above - diagonal <= m).then_some((above, true));
        let deleted = (below >= 0 && below < n).then_some((below + 1, false));
        match (inserted, deleted) {
            (Some(inserted), Some(deleted)) if deleted.0 > inserted.0 => Some(deleted),
            (None, deleted) => deleted,
            (inserted, _) => inserted,
        }
    };
    // The furthest index into `a` on each diagonal, and what it was before each edit.
    let mut reach = vec![NOWHERE; 2 * offset as usize + 1];
    reach[offset as usize + 1] = 0;
    let mut history: Vec<Vec<isize>> = Vec::new();
    let mut end = None;
    // Of those that used up all edits, the one that came furthest.
    let mut best = (0, 0, 0);
    'all: for edit in 0..=bound {
        let (low, high) = ((offset - edit - 1) as usize, (offset + edit + 1) as usize);
        history.push(reach[low..=high].to_vec());
        for diagonal in (-edit..=edit).step_by(2) {
            let at = (offset + diagonal) as usize;
            let Some((mut x, _)) = step(reach[at - 1], reach[at + 1], diagonal) else {
                reach[at] = NOWHERE;
                continue;
            };
            while x < n && x - diagonal < m && same(x, x - diagonal) {
                x += 1;
            }
            reach[at] = x;
            if (x, x - diagonal) == (n, m) {
                end = Some((edit, diagonal, x));
                break 'all;
            }
            if edit == bound && 2 * x - diagonal > best.2 {
                best = (diagonal, x, 2 * x - diagonal);
            }
        }
    }
    let (edit, mut diagonal, mut x) = end.unwrap_or((bound, best.0, best.1));
    let stop = (x as usize, (x - diagonal) as usize);
    // Back from the end: the runs that are equal, last first.
    let mut runs = Vec::new();
    for edit in (0..=edit).rev() {
        let known = &history[edit as usize];
        let get = |diagonal: isize| known[(diagonal + edit + 1) as usize];
        // Invariant: it was reached, so one of both leads there.
        let Some((from, inserts)) = step(get(diagonal - 1), get(diagonal + 1), diagonal) else {
            break;
        };
        runs.push((from as usize, (from - diagonal) as usize, (x - from) as usize));
        (diagonal, x) = if inserts { (diagonal + 1, from) } else { (diagonal - 1, from - 1) };
    }
    let (mut done_a, mut done_b) = (0, 0);
    for (i, j, count) in runs.into_iter().rev() {
        out.apart(at_a + done_a..at_a + i, at_b + done_b..at_b + j);
        out.both(at_a + i, at_b + j, count);
        (done_a, done_b) = (i + count, j + count);
    }
    out.apart(at_a + done_a..at_a + stop.0, at_b + done_b..at_b + stop.1);
    stop
}

#[cfg(test)]
mod tests {
    use super::{Part, Token, align};
    use proptest::prelude::*;

    /// `a` is a plain token, `a1` one with a value, so that `a1` and `a2` differ in it.
    fn tokens(text: &str) -> Vec<Token> {
        let token = |word: &str| {
            let plain = u64::from(word.as_bytes()[0]);
            let value: u64 = word[1..].parse().unwrap_or(0);
            let whole = plain << 32 | value;
            Token { whole, alike: whole, plain }
        };
        text.split_whitespace().map(token).collect()
    }

    fn show(a: &str, b: &str) -> String {
        let part = |part: Part| match part {
            Part::Both { count, .. } => format!("={count}"),
            Part::Apart { a, b } => format!("-{}+{}", a.len(), b.len()),
        };
        let parts = align(&tokens(a), &tokens(b)).into_iter().map(part);
        parts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn one_path_belongs_together_whatever_the_values() {
        assert_eq!(show("a b1 c", "a b2 c"), "=3");
        assert_eq!(show("f1 f2 f3", "f2 f9 f3"), "=3");
        assert_eq!(show("", ""), "");
    }

    #[test]
    fn an_iteration_more_is_found_where_it_is() {
        assert_eq!(show("l f1 l f2 l f4 e", "l f1 l f2 l f3 l f4 e"), "=5 -0+2 =2");
        assert_eq!(show("l l l e", "l l l l e"), "=3 -0+1 =1");
        assert_eq!(show("l f1 l f2 e", "l f1 e"), "=2 -2+0 =1");
    }

    #[test]
    fn a_branch_replaces() {
        assert_eq!(show("a t x y j b", "a u z j b"), "=1 -3+2 =2");
        assert_eq!(show("a", "b"), "-1+1");
        assert_eq!(show("a b", ""), "-2+0");
    }

    #[test]
    fn long_and_unlike_ends_in_time() {
        let word = |seed: u64| move |i: u64| (((i * seed) >> 3) % 23).to_string();
        let text = |seed: u64| {
            let names = (0..6000u64).map(word(seed));
            let letter = |n: String| char::from(b'a' + n.parse::<u8>().unwrap()).to_string();
            names.map(letter).collect::<Vec<_>>().join(" ")
        };
        let (a, b) = (tokens(&text(7)), tokens(&text(11)));
        covers(&a, &b);
    }

    fn covers(a: &[Token], b: &[Token]) {
        let (mut i, mut j) = (0, 0);
        for part in align(a, b) {
            match part {
                Part::Both { a: x, b: y, count } => {
                    assert_eq!((x, y), (i, j));
                    for k in 0..count {
                        assert_eq!(a[x + k].plain, b[y + k].plain);
                    }
                    (i, j) = (i + count, j + count);
                }
                Part::Apart { a: x, b: y } => {
                    assert_eq!((x.start, y.start), (i, j));
                    (i, j) = (x.end, y.end);
                }
            }
        }
        assert_eq!((i, j), (a.len(), b.len()));
    }

    proptest! {
        #[test]
        fn covers_both(a in "([a-d][0-3] ){0,40}", b in "([a-d][0-3] ){0,40}") {
            covers(&tokens(&a), &tokens(&b));
        }
    }
}
