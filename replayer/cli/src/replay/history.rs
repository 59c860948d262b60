//! The history of typed lines, in a file that both modes share.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The largest number of lines that are kept.
const LINES_MAX: usize = 1000;
/// A larger file was not written by us.
const BYTES_MAX: u64 = 1 << 20;

/// The lines, the last at the end. If they cannot be read or written, that is not an error: they
/// are then lost at the end of the session.
#[derive(Default)]
pub(crate) struct History {
    path: Option<PathBuf>,
    lines: Vec<String>,
}

impl History {
    /// Opens the current user's history file with this name.
    pub(crate) fn open(name: &str) -> History {
        let absolute = |name: &str| {
            std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
        };
        let state = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
        state.map_or_else(History::default, |state| History::at(state.join("dashcam").join(name)))
    }

    fn at(path: PathBuf) -> History {
        let mut lines = read(&path).unwrap_or_default();
        if lines.len() > 2 * LINES_MAX {
            lines.drain(..lines.len() - LINES_MAX);
            // Written to another file first, because another session may be reading.
            let beside = path.with_extension(std::process::id().to_string());
            let written = writer(&beside, true)
                .and_then(|mut file| file.write_all((lines.join("\n") + "\n").as_bytes()))
                .and_then(|()| std::fs::rename(&beside, &path));
            if written.is_err() {
                let _ = std::fs::remove_file(&beside);
            }
        }
        History { path: Some(path), lines }
    }

    /// The lines, the latest at the end.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Adds a line, unless it is equal to the last one.
    pub(crate) fn add(&mut self, line: &str) {
        let line = line.trim();
        let is_odd = line.is_empty() || line.chars().any(char::is_control);
        if is_odd || self.lines.last().is_some_and(|last| last == line) {
            return;
        }
        self.lines.push(line.to_owned());
        if let Some(path) = &self.path {
            // At once and in one write: the session may be killed, and others may write too.
            let _ = append(path, &format!("{line}\n"));
        }
    }
}

fn read(path: &Path) -> Option<Vec<String>> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(BYTES_MAX).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let is_fine = |line: &&str| !line.is_empty() && !line.chars().any(char::is_control);
    Some(text.lines().filter(is_fine).map(str::to_owned).collect())
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    writer(path, false)?.write_all(line.as_bytes())
}

/// Opens the file for writing; only the user can read it.
fn writer(path: &Path, is_new: bool) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).create_new(is_new).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn lines_are_kept_for_the_next_session() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/history");
        let mut history = History::at(path.clone());
        for line in ["step", " next ", "next", "", "p \x1b[2J", "where"] {
            history.add(line);
        }
        assert_eq!(history.lines(), ["step", "next", "where"]);
        assert_eq!(History::at(path.clone()).lines(), ["step", "next", "where"]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let lines: Vec<String> = (0..2 * LINES_MAX + 1).map(|at| format!("goto {at}")).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        assert_eq!(History::at(path.clone()).lines().len(), LINES_MAX);
        let kept = History::at(path);
        assert_eq!(kept.lines().len(), LINES_MAX);
        assert_eq!(kept.lines().last().unwrap(), &format!("goto {}", 2 * LINES_MAX));
    }
}
