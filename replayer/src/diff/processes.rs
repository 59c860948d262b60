//! Pairs the processes of two runs.
//!
//! The first processes are a pair. The processes that the two of a pair started are paired with each
//! other: those with the same command line in the order in which they were started.

use super::Run;
use crate::store::Process;

/// A process of one run or of both.
pub(super) type Pair<'a> = [Option<&'a Process>; 2];

/// Whether processes with two command lines can be paired.
type Rule<'r> = &'r dyn Fn(&str, &str) -> bool;

/// The processes of two runs, each after the one that started it.
pub(super) fn pair<'a>(runs: [Run<'a>; 2]) -> Vec<Pair<'a>> {
    let all = runs.map(|run| run.store.directory().processes_of(run.run_id));
    let mut pairs = Vec::new();
    // A file may have been cut so that a parent is missing.
    let is_known = |side: usize, id: i64| all[side].iter().any(|of| of.process_id == id);
    let first = [0, 1].map(|side: usize| {
        let is_first = |of: &&&Process| !of.parent.is_some_and(|parent| is_known(side, parent));
        all[side].iter().filter(is_first).copied().collect::<Vec<_>>()
    });
    let [a, b] = first;
    let count = a.len().max(b.len());
    let mut left: Vec<Pair<'_>> =
        (0..count).map(|at| [a.get(at).copied(), b.get(at).copied()]).rev().collect();
    while let Some(pair) = left.pop() {
        // A damaged file may have a process that started itself.
        if pairs.contains(&pair.map(|of| of.map(|of| of.process_id))) {
            continue;
        }
        pairs.push(pair.map(|of| of.map(|of| of.process_id)));
        let started = [0, 1].map(|side: usize| started_by(&all[side], pair[side]));
        left.extend(matched(started).into_iter().rev());
    }
    let of = |side: usize, id: Option<i64>| {
        all[side].iter().find(|of| Some(of.process_id) == id).copied()
    };
    pairs.into_iter().map(|[a, b]| [of(0, a), of(1, b)]).collect()
}

/// The processes that a process started, in order: the system numbers processes as they are started,
/// and begins anew at some number.
fn started_by<'a>(all: &[&'a Process], parent: Option<&Process>) -> Vec<&'a Process> {
    let Some(parent) = parent else { return Vec::new() };
    let is_child = |of: &&&Process| of.parent == Some(parent.process_id);
    let mut found: Vec<_> = all.iter().filter(is_child).copied().collect();
    found.sort_by_key(|of| (of.pid < parent.pid, of.pid, of.process_id));
    found
}

/// Pairs processes by command line, then by command line without digits (numbers of descriptors,
/// names of temporary files), then by program and number of arguments.
fn matched<'a>([a, mut b]: [Vec<&'a Process>; 2]) -> Vec<Pair<'a>> {
    let exactly = |a: &str, b: &str| a == b;
    let without_digits =
        |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let alike = |a: &str, b: &str| without_digits(a) == without_digits(b);
    let words = |text: &str| serde_json::from_str::<Vec<String>>(text).unwrap_or_default();
    let roughly = |a: &str, b: &str| {
        let (a, b) = (words(a), words(b));
        a.len() == b.len() && a.first() == b.first()
    };
    let rules: [Rule<'_>; 3] = [&exactly, &alike, &roughly];
    let mut partners: Vec<Option<&Process>> = vec![None; a.len()];
    for rule in rules {
        for (one, partner) in a.iter().zip(&mut partners).filter(|(_, partner)| partner.is_none()) {
            let found = b.iter().position(|other| rule(&one.command, &other.command));
            *partner = found.map(|at| b.remove(at));
        }
    }
    let pairs = a.into_iter().zip(partners).map(|(one, other)| [Some(one), other]);
    pairs.chain(b.into_iter().map(|other| [None, Some(other)])).collect()
}
