//! Aligns two sequences: finds which of their tokens correspond.
//!
//! A token has three hashes, from the most specific to the least: of all that happened, of the
//! place in the code with the arguments, and of the place in the code alone (`plain`). If the plain
//! hashes of two sequences are equal, both runs took the same path, and the tokens correspond one
//! to one whatever the values were. Otherwise the sequences are anchored at tokens that are unique
//! and equal in both by a more specific hash, so that an additional iteration in the middle of a
//! loop is found at its place. Between anchors, the alignment with the fewest insertions by plain
//! hash is used (Myers).

use rustc_hash::FxHashMap;
use std::ops::Range;

/// One element of a sequence, as hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// All that happened, values included.
    pub(super) whole: u64,
    /// The place in the code, and for a call its arguments (of objects only the class).
    pub(super) alike: u64,
    /// The place in the code.
    pub(super) plain: u64,
}

/// A part of an alignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// `count` tokens that correspond, from these indexes on.
    Both { a: usize, b: usize, count: usize },
    /// Tokens without a counterpart. One of the ranges may be empty.
    Apart { a: Range<usize>, b: Range<usize> },
}

/// Maximum number of insertions and deletions tried at once between two anchors. The rest is then
/// aligned in further parts.
const EDITS_MAX: usize = 512;
/// Not an index: a diagonal that cannot be reached.
const NOWHERE: isize = -1;

/// Aligns two sequences, in order and without gaps.
pub(super) fn align(a: &[Token], b: &[Token]) -> Vec<Part> {
    let mut parts = Parts::default();
    let plain = |tokens: &[Token]| tokens.iter().map(|token| token.plain).collect::<Vec<_>>();
    if plain(a) == plain(b) {
        parts.both(0, 0, a.len());
        return parts.0;
    }
    let hashes: [fn(&Token) -> u64; 2] = [|token| token.whole, |token| token.alike];
    anchored(a, b, (0, 0), &hashes, &mut parts);
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

/// Aligns parts of sequences that begin at the indexes `at_a` and `at_b` of the whole ones, by the
/// first of `hashes` and then recursively by the others.
fn anchored(
    a: &[Token],
    b: &[Token],
    (at_a, at_b): (usize, usize),
    hashes: &[fn(&Token) -> u64],
    out: &mut Parts,
) {
    let Some((hash, rest)) = hashes.split_first() else {
        return fewest(a, b, (at_a, at_b), out);
    };
    let same = |(a, b): &(&Token, &Token)| hash(a) == hash(b) && a.plain == b.plain;
    let first = a.iter().zip(b).take_while(same).count();
    let (a, b) = (&a[first..], &b[first..]);
    let last = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    let (a, b) = (&a[..a.len() - last], &b[..b.len() - last]);
    out.both(at_a, at_b, first);
    let (at_a, at_b) = (at_a + first, at_b + first);
    let (mut done_a, mut done_b) = (0, 0);
    for (i, j) in anchors(a, b, *hash) {
        anchored(&a[done_a..i], &b[done_b..j], (at_a + done_a, at_b + done_b), rest, out);
        out.both(at_a + i, at_b + j, 1);
        (done_a, done_b) = (i + 1, j + 1);
    }
    anchored(&a[done_a..], &b[done_b..], (at_a + done_a, at_b + done_b), rest, out);
    out.both(at_a + a.len(), at_b + b.len(), last);
}

/// The longest list of tokens that occur once in each sequence and in the same order in both.
fn anchors(a: &[Token], b: &[Token], hash: fn(&Token) -> u64) -> Vec<(usize, usize)> {
    // How often each token occurs in each sequence, and where.
    let mut seen: FxHashMap<u64, ([u32; 2], [usize; 2])> = FxHashMap::default();
    for (side, tokens) in [a, b].into_iter().enumerate() {
        for (at, token) in tokens.iter().enumerate() {
            let (counts, places) = seen.entry(hash(token)).or_default();
            counts[side] += 1;
            places[side] = at;
        }
    }
    let unique = |token: &Token| {
        let (counts, places) = seen.get(&hash(token))?;
        let is_one = *counts == [1, 1] && a[places[0]].plain == b[places[1]].plain;
        is_one.then_some((places[0], places[1]))
    };
    // The pairs are in the order of `a`; the longest subsequence that ascends in `b` is taken.
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

/// Aligns by plain hash, with the fewest insertions and deletions.
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

/// Aligns by Myers' greedy algorithm. Returns how many tokens of each were aligned, which is not
/// all of them if it would take too many edits.
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
    // An insertion leads here from the diagonal above, a deletion from the one below. Returns the
    // better index into `a`, if any, and whether it comes from an insertion.
    let step = |below: isize, above: isize, diagonal: isize| {
        let inserted = (above >= 0 && above - diagonal <= m).then_some((above, true));
        let deleted = (below >= 0 && below < n).then_some((below + 1, false));
        match (inserted, deleted) {
            (Some(inserted), Some(deleted)) if deleted.0 > inserted.0 => Some(deleted),
            (None, deleted) => deleted,
            (inserted, _) => inserted,
        }
    };
    // The furthest index into `a` on each diagonal; `history` has these before each edit.
    let mut reach = vec![NOWHERE; 2 * offset as usize + 1];
    reach[offset as usize + 1] = 0;
    let mut history: Vec<Vec<isize>> = Vec::new();
    let mut end = None;
    // The diagonal that came furthest with all edits used.
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
    // Goes back from the end and collects the runs of equal tokens, last first.
    let mut runs = Vec::new();
    for edit in (0..=edit).rev() {
        let known = &history[edit as usize];
        let get = |diagonal: isize| known[(diagonal + edit + 1) as usize];
        // Invariant: the index was reached, so an insertion or a deletion leads there.
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

    /// Makes tokens of words: the letter gives the plain hash, the number a value. `a1` and `a2`
    /// differ only in the value.
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
    fn equal_paths_correspond_whatever_the_values() {
        assert_eq!(show("a b1 c", "a b2 c"), "=3");
        assert_eq!(show("f1 f2 f3", "f2 f9 f3"), "=3");
        assert_eq!(show("", ""), "");
    }

    #[test]
    fn an_additional_iteration_is_found_at_its_place() {
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
    fn long_different_sequences_end_in_time() {
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
