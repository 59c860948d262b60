//! Decides what `dashcam record` starts: a Python with a program, or a command that is or starts a
//! Python.

use crate::args::Options;
use crate::interpreter::{find, is_executable, on_path};
use anyhow::Result;
use dashcam_schema::value::names::Secrets;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// There is no file or command of that name to run. We end with status 2, as `python` does.
#[derive(Debug, thiserror::Error)]
#[error("{}: no such file, and no such command on PATH", .0.display())]
pub(crate) struct Missing(PathBuf);

/// A program to start.
pub(crate) enum Launch {
    Python {
        python: PathBuf,
        /// The options of Python, then the program and its arguments.
        words: Vec<OsString>,
    },
    Command {
        words: Vec<OsString>,
    },
}

/// The kind of file that a word on the command line names.
enum Named {
    /// A file or folder that Python runs.
    Script,
    Command,
}

impl Launch {
    pub(crate) fn of(options: &Options) -> Result<Launch> {
        let words = &options.program;
        let is_python = options.python.is_some() || options.python_args.is_some();
        let is_command = match words.first().filter(|first| !is_option(first)) {
            Some(first) => match named(Path::new(first), is_python)? {
                Named::Command => !is_python,
                Named::Script => false,
            },
            None => false,
        };
        if is_command {
            return Ok(Launch::Command { words: words.clone() });
        }
        let own = options.python_args.iter().flatten();
        let words = own.chain(words).cloned().collect();
        let python = options.python.as_ref().or(options.own_python.as_ref());
        Ok(Launch::Python { python: find(python.map(OsString::as_os_str))?, words })
    }

    /// Whether the process that is started is the Python to be recorded.
    pub(crate) fn is_direct(&self) -> bool {
        matches!(self, Launch::Python { .. })
    }

    pub(crate) fn command(&self) -> Command {
        let (program, words) = match self {
            Launch::Python { python, words } => (python.as_os_str(), &words[..]),
            Launch::Command { words } => (words[0].as_os_str(), &words[1..]),
        };
        let mut command = Command::new(program);
        command.args(words);
        command
    }

    /// Returns the program that is started, for a message.
    pub(crate) fn shown(&self) -> String {
        self.command().get_program().to_string_lossy().into_owned()
    }

    fn words(&self) -> &[OsString] {
        match self {
            Launch::Python { words, .. } | Launch::Command { words } => words,
        }
    }

    /// Returns the words as a JSON array, with secrets redacted.
    pub(crate) fn json(&self, secrets: &Secrets) -> String {
        let words = self.words().iter().map(|word| word.to_string_lossy().into_owned());
        serde_json::json!(secrets.without(words)).to_string()
    }

    /// Returns the argument of `-c`, if there is one.
    pub(crate) fn code(&self) -> Option<String> {
        let words = match self {
            Launch::Python { words, .. } => &words[..],
            Launch::Command { words } if is_python(words[0].as_ref()) => &words[1..],
            Launch::Command { .. } => return None,
        };
        code(words)
    }
}

/// Whether the word is an option, not the name of a file; `-` is standard input.
fn is_option(word: &OsStr) -> bool {
    word.as_bytes().starts_with(b"-")
}

fn is_python(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"python"))
}

/// Returns the argument of `-c` if Python finds that option in these words of its command line.
fn code(words: &[OsString]) -> Option<String> {
    let mut words = words.iter().map(|word| word.as_bytes());
    while let Some(word) = words.next() {
        let letters = word.strip_prefix(b"-").filter(|letters| !letters.is_empty())?;
        if letters == b"-check-hash-based-pycs" {
            words.next();
        } else if !letters.starts_with(b"-") {
            let Some(at) = letters.iter().position(|letter| b"cmXW".contains(letter)) else {
                continue;
            };
            let attached = &letters[at + 1..];
            let value = if attached.is_empty() { words.next()? } else { attached };
            match letters[at] {
                b'c' => return Some(String::from_utf8_lossy(value).into_owned()),
                b'm' => return None,
                _ => {}
            }
        }
    }
    None
}

/// Returns `Script` if Python could run the file, else `Command` if the system could.
fn named(path: &Path, is_python: bool) -> Result<Named, Missing> {
    let has_folder = path.as_os_str().as_bytes().contains(&b'/');
    let is_on_path = || !has_folder && !is_python && on_path(path.as_os_str()).is_some();
    let Ok(about) = path.metadata() else {
        return if is_on_path() { Ok(Named::Command) } else { Err(Missing(path.to_owned())) };
    };
    // A folder that is not a program, but has the same name as a command.
    if about.is_dir() && !path.join("__main__.py").exists() && is_on_path() {
        return Ok(Named::Command);
    }
    let is_command = about.is_file() && is_executable(path) && !runs_in_python(path);
    Ok(if is_command { Named::Command } else { Named::Script })
}

/// Whether Python runs the file. False for a file that only the system can run, and for a script
/// that belongs to an environment of its own.
fn runs_in_python(path: &Path) -> bool {
    if path.extension().is_some_and(|end| end.as_bytes().starts_with(b"py")) {
        return true;
    }
    let mut start = [0; 512];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut start));
    let start = &start[..read.unwrap_or(0)];
    let Some(line) = start.strip_prefix(b"#!") else { return !start.starts_with(b"\x7fELF") };
    let line =
        String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default());
    let mut words = line.split_whitespace().map(Path::new);
    let Some(first) = words.next() else { return true };
    if first.ends_with("env") {
        return words.any(is_python);
    }
    // A script that an installer puts into an environment's `bin` belongs to the Python there.
    is_python(first) && first.parent() != path.parent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_found_behind_options() {
        let found = |line: &str| code(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for (line, expected) in [
            ("-c pass", Some("pass")),
            ("-cpass x", Some("pass")),
            ("-X dev -W error -Ic pass", Some("pass")),
            ("-Xdev -c pass", Some("pass")),
            ("--check-hash-based-pycs always -c pass", Some("pass")),
            ("-m pkg -c pass", None),
            ("a.py -c pass", None),
            ("- -c pass", None),
            ("-X -c pass", None),
        ] {
            assert_eq!(found(line).as_deref(), expected, "{line}");
        }
    }
}
