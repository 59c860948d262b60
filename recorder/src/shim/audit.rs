//! Notices what has no event of its own: the program starts other processes and interpreters, or
//! changes the events of our tool. CPython reports the former to audit hooks, even from code that
//! is not recorded. Our hook cannot be removed, and the program cannot see it.

use super::ffi::{self, Obj};
use super::{follow, monitoring, neighbours, state};
use dashcam_schema::loss::LossKind;
use pyo3::ffi::PyObject;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many arguments of a command are kept, and how many characters of it.
const WORDS_MAX: usize = 64;
const COMMAND_MAX: usize = 200;
/// How many bytes of a file are read to find out whether it is a script.
const SHEBANG_MAX: usize = 256;

/// Programs that run what their arguments name.
const LAUNCHERS: [&str; 28] = [
    "sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "busybox", "env", "nice", "ionice", "nohup",
    "timeout", "time", "stdbuf", "setsid", "xargs", "sudo", "su", "chroot", "taskset", "flock",
    "strace", "gdb", "valgrind", "perf", "uv", "xvfb-run",
];

/// How many other interpreters CPython reported when they were made, and how many when they ended.
/// CPython 3.13 and later do not report that one is made.
static MADE: AtomicU64 = AtomicU64::new(0);
static GONE: AtomicU64 = AtomicU64::new(0);

/// Whether the hook is installed.
static IS_WATCHING: AtomicBool = AtomicBool::new(false);

/// Installs the hook. It stays until the interpreter ends.
pub(super) fn watch() {
    if IS_WATCHING.swap(true, Ordering::Relaxed) {
        return;
    }
    // SAFETY: the function has the right signature and is never unloaded. If a hook of the
    // program's raises an exception, CPython does not add this one.
    if unsafe { ffi::PySys_AddAuditHook(hook, std::ptr::null_mut()) } != 0 {
        ffi::clear_error();
    }
}

/// The audit hook. CPython calls it for every audit event in every interpreter. Most are ignored.
unsafe extern "C" fn hook(
    event: *const c_char,
    arguments: *mut PyObject,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: events have names that end with NUL.
    let event = unsafe { CStr::from_ptr(event) }.to_bytes();
    let read: fn(&[Obj<'_>]) -> Missed = match event {
        // They are recorded, or say themselves why not.
        b"subprocess.Popen" | b"os.exec" | b"os.posix_spawn" | b"os.system" if follow::is_on() => {
            return 0;
        }
        b"subprocess.Popen" | b"os.exec" => started,
        b"os.posix_spawn" => spawned,
        b"os.system" => system,
        b"cpython.PyInterpreterState_New" => interpreter,
        b"cpython.PyInterpreterState_Clear" => end,
        b"sys.settrace" => trace,
        b"import" => import,
        // A program that embeds Python may initialize it again.
        b"cpython._PySys_ClearAuditHooks" => {
            IS_WATCHING.store(false, Ordering::Relaxed);
            return 0;
        }
        _ => return 0,
    };
    // Another interpreter may have a GIL of its own.
    if !ffi::interpreter::is_main() {
        if event == b"cpython.PyInterpreterState_Clear" {
            GONE.fetch_add(1, Ordering::Relaxed);
        }
        return 0;
    }
    if arguments.is_null() {
        return 0;
    }
    // SAFETY: a tuple that lives as long as this call; the GIL is held.
    let arguments = unsafe { Obj::borrowed(arguments) }.tuple_items().unwrap_or_default();
    // A panic must not reach the program.
    if let Ok(Some((kind, detail))) = catch_unwind(|| read(&arguments)) {
        // SAFETY: the GIL is held. No callback is running, because nothing that the shim calls
        // raises these audit events.
        let state = unsafe { state::current() };
        if state.is_recording() {
            state.lose(kind, 1, &detail);
        }
    }
    0
}

/// A loss, if there is one, and its detail.
type Missed = Option<(LossKind, String)>;

/// The arguments of `subprocess.Popen`, `os.posix_spawn` and `os.exec` begin with the program and
/// the words of its command.
fn started(arguments: &[Obj<'_>]) -> Missed {
    let [program, words, ..] = arguments else { return None };
    Some((LossKind::ChildNotRecorded, command(*program, *words)?))
}

/// `os.posix_spawn`. What `subprocess` starts this way was reported already, as `subprocess.Popen`.
fn spawned(arguments: &[Obj<'_>]) -> Missed {
    let module = ffi::current_globals().and_then(|globals| globals.dict_get(c"__name__"));
    if module.and_then(Obj::ascii) == Some("subprocess") { None } else { started(arguments) }
}

fn system(arguments: &[Obj<'_>]) -> Missed {
    let text = arguments.first()?.command_word(COMMAND_MAX).unwrap_or_else(|| "?".to_owned());
    let runs_python = mentions_python(&text) || is_script(first_word(&text));
    runs_python.then_some((LossKind::ChildNotRecorded, text))
}

fn interpreter(_: &[Obj<'_>]) -> Missed {
    MADE.fetch_add(1, Ordering::Relaxed);
    Some((LossKind::InterpreterNotRecorded, String::new()))
}

fn trace(_: &[Obj<'_>]) -> Missed {
    // SAFETY: as in `hook`.
    if unsafe { state::current() }.is_recording() {
        neighbours::before_trace();
    }
    None
}

fn import(arguments: &[Obj<'_>]) -> Missed {
    let name = arguments.first().and_then(|name| name.ascii());
    if name.is_some_and(|name| name == "greenlet" || name.starts_with("greenlet.")) {
        // SAFETY: as in `hook`.
        let state = unsafe { state::current() };
        if state.is_recording() {
            state.follow_greenlets();
        }
    }
    None
}

/// The main interpreter is about to end.
fn end(_: &[Obj<'_>]) -> Missed {
    let (made, gone) = (MADE.load(Ordering::Relaxed), GONE.load(Ordering::Relaxed));
    // SAFETY: as in `hook`.
    let state = unsafe { state::current() };
    if gone > made && state.is_recording() {
        state.lose(LossKind::InterpreterNotRecorded, gone - made, "");
    }
    let kind = monitoring::find_fault()?;
    // SAFETY: as in `hook`.
    let state = unsafe { state::current() };
    if state.is_recording() {
        state.lose_events(kind);
    }
    None
}

/// Returns the command of a process that is started, if it seems to run Python.
pub(super) fn command(program: Obj<'_>, words: Obj<'_>) -> Option<String> {
    let name = program.command_word(COMMAND_MAX);
    let words: Vec<Option<String>> = match words.command_words(WORDS_MAX) {
        Some(words) => words.into_iter().map(|word| word.command_word(COMMAND_MAX)).collect(),
        None => vec![words.command_word(COMMAND_MAX)],
    };
    let shown = |word: &Option<String>| word.clone().unwrap_or_else(|| "?".to_owned());
    // `os.execvp` tries one folder after another.
    let is_missing = |name: &String| name.starts_with('/') && !Path::new(name).exists();
    if name.as_ref().is_some_and(is_missing) {
        return None;
    }
    let runs_python = match &name {
        // For example a path object, whose text only the program's code could produce.
        None => true,
        Some(name) if is_python(name) || is_script(name) => true,
        Some(name) if LAUNCHERS.contains(&file_name(name)) => words
            .iter()
            .skip(1)
            .flatten()
            .any(|word| mentions_python(word) || is_script(first_word(word))),
        Some(_) => false,
    };
    runs_python.then(|| {
        let command = words.iter().map(shown).collect::<Vec<_>>().join(" ");
        cut(if words.is_empty() { shown(&name) } else { command })
    })
}

fn cut(command: String) -> String {
    match command.char_indices().nth(COMMAND_MAX) {
        Some((end, _)) => format!("{}…", &command[..end]),
        None => command,
    }
}

fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Whether the name of a program is that of a Python, or of the one that is running.
fn is_python(program: &str) -> bool {
    static OWN: OnceLock<Option<String>> = OnceLock::new();
    let own = OWN.get_or_init(|| {
        Some(std::env::current_exe().ok()?.file_name()?.to_string_lossy().into_owned())
    });
    let name = file_name(program);
    name.starts_with("python") || name.starts_with("pypy") || own.as_deref() == Some(name)
}

/// Whether a command for a shell names a Python.
fn mentions_python(command: &str) -> bool {
    let is_end = |c: char| !c.is_alphanumeric() && !"/._-+~".contains(c);
    command.split(is_end).any(|word| !word.is_empty() && is_python(word))
}

fn first_word(command: &str) -> &str {
    command.split_whitespace().next().unwrap_or("")
}

/// Whether a program is a script that Python runs.
fn is_script(program: &str) -> bool {
    let Some(path) = find(program) else { return false };
    let is_file = std::fs::metadata(&path).is_ok_and(|about| about.is_file());
    let mut start = Vec::new();
    let read = |file: File| file.take(SHEBANG_MAX as u64).read_to_end(&mut start).is_ok();
    if !is_file || !File::open(path).is_ok_and(read) || !start.starts_with(b"#!") {
        return false;
    }
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    mentions_python(&String::from_utf8_lossy(line))
}

/// The file that the name of a program stands for.
fn find(program: &str) -> Option<PathBuf> {
    if program.is_empty() || program.contains('/') {
        return Some(Path::new(program).to_owned()).filter(|path| !path.as_os_str().is_empty());
    }
    let path = std::env::var_os("PATH")?;
    let name = OsStr::from_bytes(program.as_bytes());
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_are_recognized_by_their_names() {
        assert!(is_python("/usr/bin/python3.13") && is_python("pypy3") && !is_python("/bin/true"));
        assert!(mentions_python("cd /tmp && /opt/python3 -m x") && mentions_python("a;python b"));
        assert!(!mentions_python("ls -l /usr/lib/jython"));
    }
}
