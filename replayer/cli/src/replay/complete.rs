//! Completes command lines.

use dashcam_replayer::debugger::{COMMANDS, Debugger};
use std::collections::BTreeSet;
use std::path::Path;

/// Names in a run that commands use.
#[derive(Default)]
pub(super) struct Words {
    paths: BTreeSet<String>,
    functions: BTreeSet<String>,
    exceptions: BTreeSet<String>,
}

/// The largest number of candidates. A longer list is not useful.
const CANDIDATES_MAX: usize = 200;

impl Words {
    pub(super) fn of(debugger: &Debugger) -> Words {
        let timeline = debugger.timeline();
        let directory = timeline.store().directory();
        let mut words = Words::default();
        let of_run = |run_id: i64| run_id == timeline.run_id();
        for process in directory.processes.values().filter(|process| of_run(process.run_id)) {
            for code in process.codes.values().filter_map(|index| directory.codes.get(*index)) {
                words.paths.extend(directory.texts.get(code.path).map(str::to_owned));
                words.functions.extend(directory.texts.get(code.qualname).map(str::to_owned));
            }
            let types = process.exception_types.values();
            words
                .exceptions
                .extend(types.filter_map(|id| directory.texts.get(*id)).map(str::to_owned));
        }
        for names in [&mut words.paths, &mut words.functions, &mut words.exceptions] {
            names.retain(|name| can_be_typed(name));
        }
        words
    }

    /// Returns where the word at the end of a line begins, and what it can be completed to,
    /// including the character after it.
    pub(super) fn complete(&self, debugger: &Debugger, line: &str) -> (usize, Vec<String>) {
        let start = line
            .rfind(char::is_whitespace)
            .map_or(0, |at| at + line[at..].chars().next().map_or(0, char::len_utf8));
        let (before, word) = line.split_at(start);
        let before: Vec<&str> = before.split_whitespace().collect();
        let mut candidates: Vec<String> = match before.as_slice() {
            [] => COMMANDS.iter().map(|(names, ..)| format!("{} ", names[0])).collect(),
            [command, before @ ..] => self.arguments(debugger, full(command), before, word),
        };
        candidates.retain(|candidate| candidate.starts_with(word) && candidate.trim_end() != word);
        candidates.truncate(CANDIDATES_MAX);
        (start, candidates)
    }

    fn arguments(
        &self,
        debugger: &Debugger,
        command: &str,
        before: &[&str],
        word: &str,
    ) -> Vec<String> {
        let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        match (command, before) {
            ("break", []) => {
                let mut all = words(&["exception ", "unhandled "]);
                all.extend(self.functions.iter().filter(|name| !name.starts_with('<')).cloned());
                all.extend(self.files(word));
                all
            }
            ("break", ["exception" | "unhandled"]) => {
                let short = |name: &String| name.rsplit('.').next().unwrap_or(name).to_owned();
                let full = word.contains('.');
                let names: BTreeSet<String> = self
                    .exceptions
                    .iter()
                    .map(|name| if full { name.clone() } else { short(name) })
                    .collect();
                names.into_iter().collect()
            }
            ("goto", []) => {
                let mut all = words(&["start", "end", "crash", "call "]);
                all.extend(self.files(word));
                all
            }
            ("follow", []) => words(&["thread", "task"]),
            ("thread", []) => {
                debugger.timeline().threads().iter().map(|(id, _)| id.to_string()).collect()
            }
            ("process", []) => {
                debugger.timeline().extents().iter().map(|of| of.process_id.to_string()).collect()
            }
            ("help", []) => COMMANDS.iter().map(|(names, ..)| names[0].to_owned()).collect(),
            ("watch" | "print" | "last-write" | "next-write" | "origin", []) => {
                let variables = debugger.locals(debugger.selected()).unwrap_or_default();
                let names: BTreeSet<String> =
                    variables.iter().map(|variable| variable.name.to_string()).collect();
                names.into_iter().filter(|name| can_be_typed(name)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Paths or file names, followed by a colon for the line.
    fn files(&self, word: &str) -> Vec<String> {
        if word.contains('/') {
            return self.paths.iter().map(|path| format!("{path}:")).collect();
        }
        let name = |path: &String| Some(Path::new(path).file_name()?.to_str()?.to_owned());
        let names: BTreeSet<String> = self.paths.iter().filter_map(name).collect();
        names.into_iter().map(|name| format!("{name}:")).collect()
    }
}

/// The prefix that all candidates have in common.
pub(super) fn common(candidates: &[String]) -> &str {
    let Some(first) = candidates.first() else { return "" };
    let agree = |length: usize, other: &String| {
        let same = first[..length].chars().zip(other.chars()).take_while(|(a, b)| a == b);
        same.map(|(c, _)| c.len_utf8()).sum()
    };
    &first[..candidates.iter().fold(first.len(), agree)]
}

/// The full name of a command.
fn full(word: &str) -> &str {
    let named = COMMANDS.iter().find(|(names, ..)| names.contains(&word));
    named.map_or(word, |(names, ..)| names[0])
}

fn can_be_typed(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_prefix_of_candidates() {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(common(&all(&["next ", "next-write "])), "next");
        assert_eq!(common(&all(&["año", "añadir"])), "añ");
        assert_eq!(common(&all(&["a", "b"])), "");
        assert_eq!(common(&[]), "");
    }
}
