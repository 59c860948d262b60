//! Finds the Python that runs the program, and the shim for it.

use crate::program::Launch;
use anyhow::{Context, Result, bail};
use dashcam_recorder::writer::sys::{self, Signals};
use std::ffi::OsStr;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The library that loads the shim into the program. It is in the folder of the package.
pub(crate) const LIBRARY: &str = "_inject.abi3.so";

/// Returns the interpreter: the one asked for, or else that of the virtual environment, the one
/// that dashcam was installed with, or the shell's.
pub(crate) fn find(asked_for: Option<&OsStr>) -> Result<PathBuf> {
    if let Some(name) = asked_for {
        let path = if name.as_bytes().contains(&b'/') { Some(name.into()) } else { on_path(name) };
        let shown = name.to_string_lossy();
        return match path {
            Some(path) if is_executable(&path) => Ok(path),
            Some(path) if path.exists() => bail!("{shown}: not an executable file"),
            _ => bail!("{shown}: no such interpreter"),
        };
    }
    let active = std::env::var_os("VIRTUAL_ENV").map(|folder| PathBuf::from(folder).join("bin"));
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()));
    let named = |folder: PathBuf| [folder.join("python"), folder.join("python3")];
    active
        .into_iter()
        .chain(beside)
        .flat_map(named)
        .find(|path| is_executable(path))
        .or_else(|| on_path("python3".as_ref()))
        .or_else(|| on_path("python".as_ref()))
        .context("no Python found; name one with --python")
}

pub(crate) fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

pub(crate) fn on_path(name: &OsStr) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| is_executable(path))
}

/// A program that prints an interpreter's version and the folder of its `dashcam` package. An
/// interpreter may have to run it before it runs the program.
const QUESTIONS: &str = "\
import sys
print('dashcam', sys.implementation.name, *sys.version_info[:2])
try:
    import dashcam
    print(dashcam.__path__[0])
except Exception:
    pass
";

/// A check of an interpreter that goes on while other things are prepared: asking the interpreter
/// takes as long as running an empty program.
pub(crate) struct Inquiry {
    path: PathBuf,
    package: Option<PathBuf>,
    asked: Option<Child>,
}

impl Inquiry {
    /// Begins the check. The interpreter is started only if its version or the package cannot be
    /// found out without it.
    pub(crate) fn begin(launch: &Launch, mask: Signals) -> Result<Inquiry> {
        let package = beside_us();
        // Which interpreter another command starts is not known.
        let path = &match launch {
            Launch::Python { python, .. } => python.clone(),
            Launch::Command { .. } if package.is_some() => PathBuf::new(),
            Launch::Command { .. } => find(None)?,
        };
        if is_static(path) {
            let shown = path.display();
            bail!(
                "{shown} is linked statically, so nothing can be loaded into it; name another with --python"
            );
        }
        let is_known = path.as_os_str().is_empty() || is_new_enough_by_name(path);
        let asked = if package.is_some() && is_known {
            None
        } else {
            let mut command = Command::new(path);
            command.args(["-I", "-c", QUESTIONS]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            sys::before_exec(&mut command, move || {
                mask.restore();
                Ok(())
            });
            let shown = path.display();
            Some(command.spawn().with_context(|| format!("{shown} cannot be run"))?)
        };
        Ok(Inquiry { path: path.to_owned(), package, asked })
    }

    /// Ends the check. Returns the folder of the `dashcam` package for this interpreter.
    pub(crate) fn end(self) -> Result<PathBuf> {
        let mut package = self.package;
        if let Some(child) = self.asked {
            let output = child.wait_with_output()?;
            let stdout = String::from_utf8_lossy(&output.stdout);
            let mut lines = stdout.lines();
            let shown = self.path.display();
            if !lines.next().is_some_and(is_new_enough) {
                bail!("{shown} is not CPython 3.12 or newer; name another with --python");
            }
            package = package.or_else(|| lines.next().map(PathBuf::from).filter(|p| is_package(p)));
        }
        package.with_context(|| {
            let shown = self.path.display();
            format!("the dashcam package was not found; {shown} -m pip install dashcam")
        })
    }
}

/// Whether this first line of the answer is that of a CPython with `sys.monitoring`.
fn is_new_enough(answer: &str) -> bool {
    let words: Vec<&str> = answer.split(' ').collect();
    let ["dashcam", "cpython", major, minor] = words[..] else { return false };
    matches!((major.parse::<u32>(), minor.parse::<u32>()), (Ok(major), Ok(minor)) if (major, minor) >= (3, 12))
}

/// Whether the file is an executable program called `python3.12` or newer. A script of that name
/// does not count, because it may run anything.
fn is_new_enough_by_name(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let minor = name.strip_prefix("python3.").and_then(|minor| minor.parse::<u32>().ok());
    let is_elf = || {
        let mut magic = [0; 4];
        let read = std::fs::File::open(&path).and_then(|mut file| file.read_exact(&mut magic));
        read.is_ok() && magic == *b"\x7fELF"
    };
    minor.is_some_and(|minor| minor >= 12) && is_elf()
}

/// Whether the file is a program that the system starts without a dynamic linker: no segment names
/// one. False for a file that cannot be read or is not a 64-bit program of this system; starting it
/// is left to the system.
fn is_static(path: &Path) -> bool {
    const INTERPRETER: u32 = 3;
    let Ok(mut file) = std::fs::File::open(path) else { return false };
    let mut header = [0; 64];
    if file.read_exact(&mut header).is_err() || header[..6] != *b"\x7fELF\x02\x01" {
        return false;
    }
    let number = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let (size, count) = (number(54), number(56));
    // Invariant: eight bytes of 64.
    let start = u64::from_le_bytes(header[32..40].try_into().unwrap_or_default());
    // Entries of another size are of another format.
    if size != 56 || file.seek(SeekFrom::Start(start)).is_err() {
        return false;
    }
    let mut table = vec![0; size * count];
    if file.read_exact(&mut table).is_err() {
        return false;
    }
    table.chunks(size).all(|segment| segment[..4] != INTERPRETER.to_le_bytes())
}

fn is_package(folder: &Path) -> bool {
    folder.join("_shim.abi3.so").exists() && folder.join(LIBRARY).exists()
}

/// Returns the folder of the package that was installed with this program. One shim fits every
/// interpreter, so the package need not be in the environment of the one that runs the program.
fn beside_us() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    let prefix = exe.parent()?.parent()?;
    for library in ["lib", "lib64"] {
        for entry in std::fs::read_dir(prefix.join(library)).into_iter().flatten().flatten() {
            if !entry.file_name().as_bytes().starts_with(b"python3") {
                continue;
            }
            for packages in ["site-packages", "dist-packages"] {
                let folder = entry.path().join(packages).join("dashcam");
                if is_package(&folder) {
                    return Some(folder);
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_other_interpreters_are_refused() {
        assert!(is_new_enough("dashcam cpython 3 12") && is_new_enough("dashcam cpython 3 14"));
        for answer in ["dashcam cpython 3 11", "dashcam pypy 3 12", "3.9.2", ""] {
            assert!(!is_new_enough(answer), "{answer}");
        }
    }
}
