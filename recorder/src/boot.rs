//! What the recorder process tells a shim that is about to start, as one environment variable.
//! `recorder/inject` reads its beginning, and removes it before the program could see it.

use dashcam_schema::record::{DEFINITION_BYTES_MAX, Mode};
use dashcam_schema::value::names::USUAL;
use dashcam_schema::value::{Capture, Limits};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// Name of the environment variable.
pub const VARIABLE: &str = "DASHCAM_BOOT";

/// What is captured if nobody says what.
pub const DEFAULT_CAPTURE: Capture = Capture::State;
/// The largest limits on values that may be asked for.
pub const LIMITS_MAX: Limits =
    Limits { string: 1 << 16, items: 10_000, depth: 16, objects: OBJECTS_MAX as u32, digits: 4300 };
/// Objects that are looked at for one event at the most.
pub const OBJECTS_MAX: usize = 256;

/// Our descriptors are numbered from the first of these on that can be had, so that the program gets the
/// low numbers it would have had. A small RLIMIT_NOFILE rules the higher ones out.
pub const HIGH_FDS: [i32; 5] = [200, 100, 50, 10, 3];

/// Names whose values are not to leave the program: these, and those that always should not,
/// unless the user says otherwise.
pub fn redacted(patterns: &[String], no_defaults: bool) -> Vec<String> {
    let defaults = (!no_defaults).then(|| USUAL.to_owned());
    let patterns = patterns.iter().map(|pattern| pattern.to_lowercase());
    defaults.into_iter().chain(patterns).collect()
}

/// Sent through the control socket by the recorder before the program starts. The process that reads
/// it is the one that is recorded.
pub const TOKEN: u8 = b'T';
/// Sent through the control socket by the shim: recording cannot start, and the program runs without;
/// what follows, up to a line feed, is the reason.
pub const REFUSED: u8 = b'E';
/// Sent through the control socket in its place where the process is the interpreter that was to be recorded
/// ([`Boot::is_direct`]) and never could be: it ends before the program starts.
pub const UNSTARTED: u8 = b'X';
/// Sent through the control socket by the shim: the program that is about to run is recorded.
pub const BOOTED: u8 = b'B';
/// Sent through the control socket by a Python that found no [`TOKEN`]: another one is recorded.
pub const OTHER: u8 = b'O';
/// Sent through the control socket by the shim: no more events will come.
pub const STOPPED: u8 = b'S';
/// Sent by the recorder in answer to [`STOPPED`]: everything is in the database.
pub const STORED: u8 = b'D';
/// Sent by the recorder in answer to [`STOPPED`]: a part is missing. The rest is the reason, which it
/// has said to the user already.
pub const FAILED: u8 = b'F';
/// Sent by the recorder behind `dashcam.record()` while it works on an answer.
pub const WORKING: u8 = b'.';
/// Sent to the recorder behind `dashcam.record()`: recording cannot start; there was no run.
pub const ABANDONED: u8 = b'A';
/// The program waits this long for the recorder, unless the user says otherwise.
pub const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(5);

/// Where to find the ring, and what to record.
#[derive(Debug, Clone, PartialEq, Eq, Default, bincode::Encode, bincode::Decode)]
pub struct Boot {
    /// Inherited descriptor of the ring's memfd.
    pub ring_fd: i32,
    /// Inherited descriptor of a Unix stream socket whose other end the recorder process holds
    /// as long as it lives.
    pub control_fd: i32,
    /// Tells that socket from another file that has its number by now.
    pub control_inode: u64,
    /// The recorder's process id.
    pub recorder_pid: u32,
    /// The recorder's child is the interpreter itself, and nobody else is to be recorded.
    pub is_direct: bool,
    pub filter: Filter,
    /// Which events are asked for; the shim may have to record [`Mode::Direct`] all the same.
    pub mode: Mode,
    pub capture: Capture,
    /// What calls of C code are handed is left out.
    pub no_c_arguments: bool,
    /// Inherited descriptor of the memfd of the ring that values go through; -1 if there is none,
    /// as without capture.
    pub values_fd: i32,
    pub limits: Limits,
    /// Variables, attributes and keys whose names contain one of these, whatever the case, are left
    /// out.
    pub redact: Vec<String>,
    /// The program waits so many nanoseconds for the recorder; then it goes on unrecorded.
    pub max_wait_ns: u64,
    /// Folder of the `dashcam` package whose shim is to be loaded.
    pub package: String,
}

/// Which code objects to record.
#[derive(Debug, Clone, PartialEq, Eq, Default, bincode::Encode, bincode::Decode)]
pub struct Filter {
    /// Module names or path globs; empty means everything.
    pub include: Vec<String>,
    /// Module names or path globs.
    pub exclude: Vec<String>,
    /// Leave out the standard library, frozen modules included.
    pub no_stdlib: bool,
}

impl Boot {
    /// The variable's value. `package` is the folder byte for byte.
    pub fn to_variable(&self, package: &OsStr) -> OsString {
        // Invariant: encoding plain data into a Vec cannot fail.
        let bytes = bincode::encode_to_vec(self, bincode::config::standard()).unwrap_or_default();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let pid = i64::from(self.recorder_pid);
        let recorder = if self.is_direct { pid } else { -pid };
        let Boot { ring_fd, control_fd, control_inode, values_fd, .. } = self;
        // In front and readable: what is needed before the shim is loaded.
        let mut value: OsString =
            format!("{control_fd}:{control_inode}:{recorder}:{ring_fd}:{values_fd}:{hex}:").into();
        value.push(package);
        value
    }

    /// What a variable's value says; `None` if a recorder did not write it.
    pub fn from_variable(value: &OsStr) -> Option<Boot> {
        let digits = value.as_bytes().split(|byte| *byte == b':').nth(5)?;
        let bytes: Option<Vec<u8>> = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let config = bincode::config::standard().with_limit::<DEFINITION_BYTES_MAX>();
        Some(bincode::decode_from_slice(&bytes?, config).ok()?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_environment() {
        let boot = Boot {
            ring_fd: 3,
            filter: Filter { include: vec!["app.*".into()], ..Filter::default() },
            mode: Mode::Verify,
            capture: Capture::Calls,
            values_fd: -1,
            redact: redacted(&["PIN".to_owned()], false),
            ..Boot::default()
        };
        assert_eq!(boot.redact, [USUAL, "pin"]);
        let value = boot.to_variable(OsStr::from_bytes(b"/a:\xff"));
        assert!(value.as_bytes().ends_with(b":/a:\xff"));
        assert_eq!(Boot::from_variable(&value), Some(boot));
        for bad in ["3:zz", "1:2:3:4:5:zz:/a", "1:2:3:4:5:é:/a", "1:2:3:4:5::/a"] {
            assert_eq!(Boot::from_variable(bad.as_ref()), None, "{bad}");
        }
    }
}
