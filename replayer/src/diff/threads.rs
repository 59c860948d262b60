//! Pairs the threads of two runs.

use super::reader::Reader;
use super::tree::Tree;
use rustc_hash::FxHashMap;

/// A thread of one run or of both.
pub(super) struct Thread {
    pub(super) name: String,
    /// Its numbers.
    pub(super) numbers: [Option<u32>; 2],
}

/// Whether threads with two names can be paired.
type Rule<'r> = &'r dyn Fn(&str, &str) -> bool;

/// Pairs threads by name, and threads with the same name in the order in which they began. The rest
/// is paired by name without digits (`Thread-5 (work)` and `Thread-6 (work)`).
pub(super) fn pair(
    readers: &[Option<Reader<'_>>; 2],
    trees: &[FxHashMap<u32, Tree>; 2],
) -> Vec<Thread> {
    let threads = |side: usize| {
        let mut threads: Vec<(i64, u32, String)> = trees[side]
            .iter()
            .map(|(number, tree)| {
                let first = tree.nodes.first().map_or(i64::MAX, |root| root.first);
                let reader = readers[side].as_ref();
                (first, *number, reader.map_or(String::new(), |reader| name(reader, *number)))
            })
            .collect();
        threads.sort_unstable();
        threads
    };
    let (a, mut b) = (threads(0), threads(1));
    let mut found: Vec<(i64, Thread)> = Vec::new();
    let mut left = a;
    let without_digits =
        |name: &str| name.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let exactly = |a: &str, b: &str| a == b;
    let alike = |a: &str, b: &str| without_digits(a) == without_digits(b);
    let rules: [Rule<'_>; 2] = [&exactly, &alike];
    for rule in rules {
        left.retain(|(first, number, name)| {
            let Some(at) = b.iter().position(|(.., other)| rule(name, other)) else { return true };
            let (_, other, _) = b.remove(at);
            let numbers = [Some(*number), Some(other)];
            found.push((*first, Thread { name: name.clone(), numbers }));
            false
        });
    }
    let only = |side: usize, (first, number, name)| {
        let mut numbers = [None, None];
        numbers[side] = Some(number);
        (first, Thread { name, numbers })
    };
    found.extend(left.into_iter().map(|thread| only(0, thread)));
    found.extend(b.into_iter().map(|thread| only(1, thread)));
    found.sort_by_key(|(first, _)| *first);
    found.into_iter().map(|(_, thread)| thread).collect()
}

fn name(reader: &Reader<'_>, number: u32) -> String {
    let id = reader.process.threads.get(&number);
    let thread = id.and_then(|id| reader.store.directory().threads.get(id));
    thread
        .and_then(|thread| thread.name.clone())
        .unwrap_or_else(|| "a thread without name".to_owned())
}
