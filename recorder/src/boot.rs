//! The settings that the recorder process passes to a shim that is about to start, in one
//! environment variable. `recorder/inject` reads the variable's beginning, and removes the variable
//! before the program can see it.

use dashcam_schema::record::{DEFINITION_BYTES_MAX, Mode};
use dashcam_schema::value::names::USUAL;
use dashcam_schema::value::{Capture, Limits};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// Name of the environment variable.
pub const VARIABLE: &str = "DASHCAM_BOOT";

/// The capture level if the user names none.
pub const DEFAULT_CAPTURE: Capture = Capture::State;
/// The largest limits on values that the user may set.
pub const LIMITS_MAX: Limits =
    Limits { string: 1 << 16, items: 10_000, depth: 16, objects: OBJECTS_MAX as u32, digits: 4300 };
/// The largest number of objects that may be examined for one event.
pub const OBJECTS_MAX: usize = 256;

/// Our descriptors get numbers from the first of these that the system grants, so that the program
/// gets the low numbers it has without us. A small RLIMIT_NOFILE rules out the higher ones.
pub const HIGH_FDS: [i32; 5] = [200, 100, 50, 10, 3];

/// The names whose values must not leave the program: `patterns` in lower case, preceded by the
/// default ones unless `no_defaults`.
pub fn redacted(patterns: &[String], no_defaults: bool) -> Vec<String> {
    let defaults = (!no_defaults).then(|| USUAL.to_owned());
    let patterns = patterns.iter().map(|pattern| pattern.to_lowercase());
    defaults.into_iter().chain(patterns).collect()
}

/// Sent through the control socket by the recorder before the program starts. The process that
/// reads it is the one that is recorded.
pub const TOKEN: u8 = b'T';
/// Sent through the control socket by the shim: recording cannot start, and the program runs
/// unrecorded. The reason follows, up to a line feed.
pub const REFUSED: u8 = b'E';
/// Sent through the control socket in place of [`REFUSED`] if the process is the interpreter that
/// was to be recorded ([`Boot::is_direct`]) and no program can be recorded in it: the process ends
/// before the program starts.
pub const UNSTARTED: u8 = b'X';
/// Sent through the control socket by the shim: the program that is about to run is recorded.
pub const BOOTED: u8 = b'B';
/// Sent through the control socket by a Python that found no [`TOKEN`]: another Python is recorded.
pub const OTHER: u8 = b'O';
/// Sent through the control socket by the shim: no more events will come.
pub const STOPPED: u8 = b'S';
/// Sent by the recorder in answer to [`STOPPED`]: everything is in the database.
pub const STORED: u8 = b'D';
/// Sent by the recorder in answer to [`STOPPED`]: a part is missing. The rest is the reason, which
/// the recorder has already shown to the user.
pub const FAILED: u8 = b'F';
/// Sent by the recorder behind `dashcam.record()` while it works on an answer.
pub const WORKING: u8 = b'.';
/// Sent to the recorder behind `dashcam.record()`: recording cannot start; there was no run.
pub const ABANDONED: u8 = b'A';
/// How long the program waits for the recorder, unless the user sets another time.
pub const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(5);

/// Where to find the ring, and what to record.
#[derive(Debug, Clone, PartialEq, Eq, Default, bincode::Encode, bincode::Decode)]
pub struct Boot {
    /// Inherited descriptor of the ring's memfd.
    pub ring_fd: i32,
    /// Inherited descriptor of a Unix stream socket whose other end the recorder process holds
    /// as long as it lives.
    pub control_fd: i32,
    /// The socket's inode, by which it is told apart from another file that has its number by now.
    pub control_inode: u64,
    /// The recorder's process id.
    pub recorder_pid: u32,
    /// The recorder's child is the interpreter itself, and no other process is to be recorded.
    pub is_direct: bool,
    pub filter: Filter,
    /// The mode that the user chose. The shim may have to use [`Mode::Direct`] nevertheless.
    pub mode: Mode,
    pub capture: Capture,
    /// The arguments of calls of C code are not recorded.
    pub no_c_arguments: bool,
    /// Inherited descriptor of the memfd of the ring for values; -1 if there is none, as at capture
    /// level `flow`.
    pub values_fd: i32,
    pub limits: Limits,
    /// Values of variables, attributes and keys whose names contain one of these, in any case, are
    /// redacted.
    pub redact: Vec<String>,
    /// How many nanoseconds the program waits for the recorder; then it goes on unrecorded.
    pub max_wait_ns: u64,
    /// Name of the socket at which processes that the program starts join the recording; empty if
    /// they are not recorded.
    pub socket: String,
    /// Size of the rings that they make, in MiB.
    pub ring_mib: u32,
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
    /// Returns the variable's value. `package` is the package's folder, byte for byte.
    pub fn to_variable(&self, package: &OsStr) -> OsString {
        // Invariant: encoding plain data into a Vec cannot fail.
        let bytes = bincode::encode_to_vec(self, bincode::config::standard()).unwrap_or_default();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let pid = i64::from(self.recorder_pid);
        let recorder = if self.is_direct { pid } else { -pid };
        let Boot { ring_fd, control_fd, control_inode, values_fd, socket, .. } = self;
        // The fields that are needed before the shim is loaded come first, in plain text.
        let mut value: OsString = format!(
            "{control_fd}:{control_inode}:{recorder}:{ring_fd}:{values_fd}:{socket}:{hex}:"
        )
        .into();
        value.push(package);
        value
    }

    /// Decodes a variable's value; `None` if no recorder wrote it. `recorder/inject` replaces the
    /// first fields for processes that the program starts: their `control_fd` is -1, and they have
    /// to join the recording first.
    pub fn from_variable(value: &OsStr) -> Option<Boot> {
        let mut fields = value.as_bytes().split(|byte| *byte == b':');
        let joins = fields.next()? == b"-1";
        let digits = fields.nth(5)?;
        let bytes: Option<Vec<u8>> = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let config = bincode::config::standard().with_limit::<DEFINITION_BYTES_MAX>();
        let boot: Boot = bincode::decode_from_slice(&bytes?, config).ok()?.0;
        Some(if joins { boot.for_joining() } else { boot })
    }

    /// Whether these are the settings of a process that joins the recording of another: that other
    /// one has a socket with an inode.
    pub fn has_joined(&self) -> bool {
        self.control_inode == 0 && !self.socket.is_empty()
    }

    /// The same settings without the descriptors of another process.
    pub fn for_joining(self) -> Boot {
        Boot {
            ring_fd: -1,
            control_fd: -1,
            control_inode: 0,
            values_fd: -1,
            is_direct: false,
            ..self
        }
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
        assert_eq!(Boot::from_variable(&value), Some(boot.clone()));
        let text = value.to_string_lossy();
        let rest = text.splitn(6, ':').last().unwrap_or_default();
        let child = Boot::from_variable(format!("-1:0:-9:-1:-1:{rest}").as_ref());
        assert_eq!(child, Some(boot.for_joining()));
        for bad in ["3:zz", "1:2:3:4:5:s:zz:/a", "1:2:3:4:5:s:é:/a", "1:2:3:4:5:s::/a"] {
            assert_eq!(Boot::from_variable(bad.as_ref()), None, "{bad}");
        }
    }
}
