//! `dashcam sqlite-extension`: prints the path of the extension for other SQLite clients.

use anyhow::{Context, bail};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

#[derive(clap::Args)]
#[command(after_help = "\
Example: the tables of a recording in SQLite's own shell
  sqlite3 dashcam.db -cmd \".load $(dashcam sqlite-extension)\" \"SELECT count(*) FROM events\"")]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> anyhow::Result<u8> {
    let program = std::env::current_exe().context("the path of this program is not known")?;
    let Some(path) = find(&program) else {
        bail!(
            "{}: there is no extension beside it; it comes with the Python package: pip install dashcam",
            program.display()
        );
    };
    let mut out = super::output::stdout();
    writeln!(out, "{}", path.display())?;
    out.flush()?;
    Ok(0)
}

/// The file's name in the Python package, and as cargo builds it.
const FILES: [&str; 2] = ["dashcam_sqlite.abi3.so", "libdashcam_sqlite.so"];

/// The extension that was installed with a program; the newest if several Pythons share a folder.
fn find(program: &Path) -> Option<PathBuf> {
    let folder = program.parent()?;
    let prefix = folder.parent()?;
    let mut places = vec![folder.to_owned(), prefix.join("dashcam")];
    for libraries in ["lib", "lib64", "local/lib"] {
        for python in folders(&prefix.join(libraries)) {
            places
                .extend(["site-packages", "dist-packages"].map(|p| python.join(p).join("dashcam")));
        }
    }
    let paths = places.iter().flat_map(|place| FILES.map(|file| place.join(file)));
    let found = paths.filter(|path| path.is_file());
    let modified = |path: &PathBuf| path.metadata().and_then(|about| about.modified()).ok();
    found.max_by_key(|path| modified(path).unwrap_or(SystemTime::UNIX_EPOCH))
}

/// The folders of Pythons in a folder of libraries.
fn folders(libraries: &Path) -> Vec<PathBuf> {
    let Ok(entries) = libraries.read_dir() else { return Vec::new() };
    let entries = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    entries.filter(|path| path.file_name().is_some_and(is_python)).collect()
}

fn is_python(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"python3")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_where_pip_puts_it() {
        for place in [
            "bin",
            "dashcam",
            "lib/python3.13/site-packages/dashcam",
            "local/lib/python3.12/dist-packages/dashcam",
        ] {
            let prefix = tempfile::tempdir().unwrap();
            let program = prefix.path().join("bin/dashcam");
            assert_eq!(find(&program), None);
            std::fs::create_dir_all(prefix.path().join(place)).unwrap();
            let file = prefix.path().join(place).join(FILES[0]);
            std::fs::write(&file, "").unwrap();
            assert_eq!(find(&program), Some(file));
        }
    }
}
