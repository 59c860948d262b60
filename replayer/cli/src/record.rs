//! `dashcam record`: executes `dashcam-recorder`, which is installed beside this program.

use anyhow::{Context as _, anyhow};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

const PROGRAM: &str = "dashcam-recorder";

#[derive(clap::Args)]
pub(super) struct Args {
    /// Arguments for dashcam-recorder
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub(super) arguments: Vec<OsString>,
}

/// The recorder: beside this program, or found in PATH.
pub(super) fn sibling() -> PathBuf {
    let sibling = std::env::current_exe().ok().map(|exe| exe.with_file_name(PROGRAM));
    sibling.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(PROGRAM))
}

pub(super) fn run(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<u8> {
    let program = sibling();
    let mut command = Command::new(&program);
    command.args(arguments);
    signals::keep(&mut command);
    // Returns only on failure.
    let error = command.exec();
    Err(match error.kind() {
        ErrorKind::NotFound => anyhow!(
            "{PROGRAM} is neither beside this program nor on PATH; `pip install dashcam` brings both"
        ),
        _ => anyhow!("{}: {error}", program.display()),
    })
}

/// Returns the options of dashcam-recorder as it describes them: an array of objects.
pub(super) fn options() -> anyhow::Result<serde_json::Value> {
    let program = sibling();
    let output = Command::new(&program).arg("--describe-options").output();
    let output = output.with_context(|| program.display().to_string())?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("the options of {PROGRAM}"))
}

/// Restores the signal dispositions that `dashcam` was started with, because the recorded program
/// must start with them.
#[allow(unsafe_code)]
mod signals {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Rust's runtime ignores broken pipes at its start, so the disposition is read before that.
    static IGNORES_BROKEN_PIPES: AtomicBool = AtomicBool::new(false);

    #[used]
    #[unsafe(link_section = ".init_array")]
    static AT_LOAD: extern "C" fn() = at_load;

    extern "C" fn at_load() {
        // SAFETY: plain data that the system fills; nothing is changed.
        let is_ignored = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGPIPE, std::ptr::null(), &mut action);
            action.sa_sigaction == libc::SIG_IGN
        };
        IGNORES_BROKEN_PIPES.store(is_ignored, Ordering::Relaxed);
    }

    /// Undoes what std changes about signals before it executes a command.
    pub(super) fn keep(command: &mut Command) {
        let is_ignored = IGNORES_BROKEN_PIPES.load(Ordering::Relaxed);
        let broken_pipe = if is_ignored { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: a set that the system fills; the closure makes only system calls.
        unsafe {
            let mut blocked: libc::sigset_t = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut blocked);
            command.pre_exec(move || {
                libc::pthread_sigmask(libc::SIG_SETMASK, &blocked, std::ptr::null_mut());
                libc::signal(libc::SIGPIPE, broken_pipe);
                Ok(())
            });
        }
    }
}
