//! `dashcam record`: becomes `dashcam-recorder`, which lies beside it.

use anyhow::anyhow;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

const PROGRAM: &str = "dashcam-recorder";

#[derive(clap::Args)]
pub(super) struct Args {
    /// What dashcam-recorder is to be given
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub(super) arguments: Vec<OsString>,
}

/// The recorder: beside this program, or wherever PATH has it.
pub(super) fn sibling() -> PathBuf {
    let sibling = std::env::current_exe().ok().map(|exe| exe.with_file_name(PROGRAM));
    sibling.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(PROGRAM))
}

pub(super) fn run(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<u8> {
    let program = sibling();
    // Comes back only if it fails.
    let error = Command::new(&program).args(arguments).exec();
    Err(match error.kind() {
        ErrorKind::NotFound => anyhow!(
            "{PROGRAM} is neither beside this program nor on PATH; `pip install dashcam` brings both"
        ),
        _ => anyhow!("{}: {error}", program.display()),
    })
}
