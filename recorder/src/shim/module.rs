//! The Python module `dashcam._shim`.

use super::ffi::{self, Interpreter};
use super::state::{self, Derivation, State};
use super::values::{Values, Wanted};
use super::{audit, follow, fork, memory, monitoring, neighbours};
use crate::boot::{
    BOOTED, Boot, DEFAULT_CAPTURE, DEFAULT_MAX_WAIT, Filter, HIGH_FDS, LIMITS_MAX, REFUSED,
    UNSTARTED,
};
use crate::filter::Judge;
use crate::ring;
use dashcam_schema::bytecode::opcodes::Version;
use dashcam_schema::loss::LossKind;
use dashcam_schema::record::{Definition, Mode};
use dashcam_schema::value::names::USUAL;
use dashcam_schema::value::{Capture, Limits};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCFunction;
use std::ffi::{CStr, OsStr, c_char};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once};

/// What [`prepare`] left for the program's first frame, and the mode that the user asked for.
static PREPARED: Mutex<Option<(Boot, Mode)>> = Mutex::new(None);

/// In-process half of the dashcam recorder.
#[pymodule]
mod _shim {
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEFAULT_CAPTURE", DEFAULT_CAPTURE.name())?;
        module.add("DEFAULT_MAX_WAIT", DEFAULT_MAX_WAIT.as_secs_f64())?;
        module.add("LIMITS", numbers(Limits::default()))?;
        module.add("LIMITS_MAX", numbers(LIMITS_MAX))?;
        module.add("REDACTED", vec![USUAL])?;
        load()
    }

    /// Makes a ring of `mib` MiB (a power of two) and returns its descriptor.
    #[pyfunction]
    fn create_ring(mib: usize) -> PyResult<RawFd> {
        let words = (mib << 20) / 4;
        if !words.is_power_of_two() || mib > 1024 {
            return Err(PyRuntimeError::new_err("the ring's size must be a power of two MiB"));
        }
        let (ring, file) = ring::create(words)?;
        // The mapping was needed to write the header; `start` makes its own.
        // SAFETY: neither end of this mapping was made.
        unsafe { ring::unmap(ring) };
        Ok(file.into_raw_fd())
    }

    /// Starts recording this process into a ring that a recorder process drains, and values into
    /// another ring, if `values_fd` is not -1. Takes the descriptors over and closes them in any
    /// case.
    #[pyfunction]
    #[allow(clippy::too_many_arguments)]
    fn start(
        py: Python<'_>,
        ring_fd: RawFd,
        control_fd: RawFd,
        recorder_pid: u32,
        include: Vec<String>,
        exclude: Vec<String>,
        no_stdlib: bool,
        package: String,
        events: &str,
        capture: &str,
        values_fd: RawFd,
        limits: (u32, u32, u32, u32, u32),
        redact: Vec<String>,
        no_c_arguments: bool,
        max_wait: f64,
    ) -> PyResult<()> {
        let filter = Filter { include, exclude, no_stdlib };
        let mode = Mode::from_name(events);
        let known_capture = Capture::from_name(capture);
        let (string, items, depth, objects, digits) = limits;
        let boot = Boot {
            ring_fd,
            control_fd,
            recorder_pid,
            filter,
            mode: mode.unwrap_or_default(),
            capture: known_capture.unwrap_or_default(),
            values_fd,
            limits: Limits { string, items, depth, objects, digits },
            redact,
            no_c_arguments,
            max_wait_ns: (max_wait * 1e9) as u64,
            package,
            ..Boot::default()
        };
        let descriptors = Descriptors::of(&boot);
        if mode.is_none() {
            return Err(PyValueError::new_err("events must be 'derived', 'direct' or 'verify'"));
        }
        if known_capture.is_none() {
            return Err(PyValueError::new_err("capture must be 'flow', 'calls' or 'state'"));
        }
        if is_recording() {
            return Err(PyRuntimeError::new_err("already recording"));
        }
        refuse_jit(py, boot.capture, boot.mode)?;
        monitoring::take_tool(py)?;
        begin(py, &boot, boot.mode, &descriptors, true).inspect_err(|_| take_back(py))
    }

    /// Stops recording. The caller still has to notify the recorder process. False if nothing was
    /// being recorded.
    #[pyfunction]
    fn stop(py: Python<'_>) -> PyResult<bool> {
        // SAFETY: Python code calls us with the GIL held.
        let state = unsafe { state::current() };
        let was_recording = state.is_recording();
        // When the interpreter ends, so do its tools.
        let loss = match Interpreter::running() {
            Some(_) => monitoring::release_tool(py)?,
            None => None,
        };
        // SAFETY: as above. `release_tool` ran Python code, so the reference is taken again.
        let state = unsafe { state::current() };
        if let Some(kind) = loss.filter(|_| was_recording) {
            state.lose_events(kind);
        }
        state.end();
        Ok(was_recording)
    }

    /// Whether events are being recorded in this process.
    #[pyfunction]
    pub(super) fn is_recording() -> bool {
        // SAFETY: Python code calls us with the GIL held.
        unsafe { state::current() }.is_recording()
    }

    /// Why the last recording ended early, if this process has told the user so.
    #[pyfunction]
    fn failure() -> Option<&'static str> {
        // SAFETY: Python code calls us with the GIL held.
        unsafe { state::current() }.failure()
    }

    /// Writes one line to standard error, even if the program has replaced `sys.stderr`.
    #[pyfunction]
    fn warn(text: &str) {
        state::warn(text);
    }
}

/// Prepares what everything here uses, once. Called first by an interpreter that is about to run a
/// program, or when the module is imported.
fn load() -> PyResult<()> {
    let hidden = ffi::verify_layout().map_err(|what| {
        PyRuntimeError::new_err(format!(
            "this build of Python lays out {what} in a way dashcam does not know"
        ))
    })?;
    state::init(hidden);
    static HOOK: Once = Once::new();
    // Panics are caught at the callbacks. Their message is one line.
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let place = info.location().map_or(String::new(), |l| format!(" at {l}"));
            state::warn(&format!("internal error{place}; recording stops, the program goes on"));
        }));
    });
    Ok(())
}

/// Prepares to record the program that this interpreter is about to run. `value` is what the
/// recorder process put into the environment. Called by `recorder/inject`; leaves no exception
/// behind.
///
/// # Safety
/// The GIL is held, and `value` is a C string.
#[unsafe(no_mangle)]
unsafe extern "C" fn dashcam_boot(value: *const c_char) {
    // SAFETY: the caller's promise.
    let value = OsStr::from_bytes(unsafe { CStr::from_ptr(value) }.to_bytes());
    let booted = catch_unwind(AssertUnwindSafe(|| {
        let Some(mut boot) = Boot::from_variable(value) else { return };
        if boot.control_fd < 0 {
            // A process that the program started. If the recorder is gone, so is the recording.
            let Ok(joined) = follow::join(boot, false) else { return };
            boot = joined;
        }
        Python::try_attach(|py| prepare(py, boot));
    }));
    if booted.is_err() {
        state::warn("internal error; the program runs unrecorded");
    }
}

fn prepare(py: Python<'_>, mut boot: Boot) {
    let asked_for = boot.mode;
    let prepared = load().and_then(|()| {
        // There are more frames to try this on than when the program begins.
        if !has_rules(py, boot.mode).unwrap_or(true) {
            boot.mode = Mode::Direct;
        }
        monitoring::take_tool(py)?;
        monitoring::wait_for_program(py).inspect_err(|_| {
            let _ = monitoring::release_tool(py);
        })
    });
    if let Err(error) = prepared {
        return refuse(py, &Descriptors::of(&boot), &error);
    }
    if let Err(error) = refuse_jit(py, boot.capture, boot.mode) {
        let _ = monitoring::release_tool(py);
        if boot.is_direct {
            report(&Descriptors::of(&boot), UNSTARTED, py, &error);
            // SAFETY: the program has not begun, so there is nothing that has to be shut down in
            // order.
            unsafe { libc::_exit(1) };
        }
        return refuse(py, &Descriptors::of(&boot), &error);
    }
    send(boot.control_fd, &[BOOTED]);
    if let Ok(mut prepared) = PREPARED.lock() {
        *prepared = Some((boot, asked_for));
    }
}

/// Whether events can be derived. Tried while two Python functions run, with a function of
/// importlib that calls its argument. The program's audit hooks would notice if code of our own was
/// compiled.
fn has_rules(py: Python<'_>, mode: Mode) -> PyResult<bool> {
    // Another tool would see these functions run.
    if is_traced(py) || !monitoring::other_tools(py).is_empty() {
        return Ok(true);
    }
    let has = Arc::new(AtomicBool::new(true));
    let result = Arc::clone(&has);
    let probe = PyCFunction::new_closure(py, None, None, move |_, _| {
        result.store(derivation(mode).is_some(), Ordering::Relaxed);
    })?;
    let call = py.import("_frozen_importlib")?.getattr("_call_with_frames_removed")?;
    call.call1((&call, probe))?;
    Ok(has.load(Ordering::Relaxed))
}

/// Reports to the recorder why the program runs unrecorded.
fn refuse(py: Python<'_>, descriptors: &Descriptors, error: &PyErr) {
    report(descriptors, REFUSED, py, error);
}

/// Sends the recorder an error as a line that begins with the byte `how`.
fn report(descriptors: &Descriptors, how: u8, py: Python<'_>, error: &PyErr) {
    let mut message = vec![how];
    message.extend_from_slice(error.value(py).to_string().as_bytes());
    message.push(b'\n');
    send(descriptors.control.as_raw_fd(), &message);
}

fn send(control: RawFd, message: &[u8]) {
    // SAFETY: a buffer of that length.
    unsafe { libc::send(control, message.as_ptr().cast(), message.len(), libc::MSG_NOSIGNAL) };
}

/// The limits in the order of the options.
fn numbers(limits: Limits) -> (u32, u32, u32, u32, u32) {
    (limits.string, limits.items, limits.depth, limits.objects, limits.digits)
}

/// Begins recording when the program's first frame is about to run.
pub(super) fn begin_program(py: Python<'_>) -> PyResult<()> {
    let prepared = PREPARED.lock().ok().and_then(|mut prepared| prepared.take());
    let Some((boot, asked_for)) = prepared else { return Ok(()) };
    let descriptors = Descriptors::of(&boot);
    begin(py, &boot, asked_for, &descriptors, false).inspect_err(|error| {
        refuse(py, &descriptors, error);
        take_back(py);
    })
}

/// Undoes what [`begin`] has done when recording could not begin.
fn take_back(py: Python<'_>) {
    let _ = monitoring::release_tool(py);
    // SAFETY: the caller holds the GIL, and no reference to the state.
    unsafe { state::current() }.end();
}

/// The descriptors from a recorder process. They are closed when recording has begun or cannot
/// begin.
struct Descriptors {
    ring: File,
    control: OwnedFd,
    values: Option<File>,
}

impl Descriptors {
    fn of(boot: &Boot) -> Descriptors {
        let has_values = boot.values_fd >= 0;
        // SAFETY: the recorder process, or `dashcam.start`, made these descriptors for the shim
        // alone.
        unsafe {
            Descriptors {
                ring: File::from_raw_fd(boot.ring_fd),
                control: OwnedFd::from_raw_fd(boot.control_fd),
                values: has_values.then(|| File::from_raw_fd(boot.values_fd)),
            }
        }
    }
}

/// What is needed so that events can be derived. `None` if that is not wanted, or this
/// interpreter's bytecode or frames are not known well enough.
fn derivation(mode: Mode) -> Option<Derivation> {
    let version = Version::from_magic(ffi::bytecode_magic()).filter(|_| mode.has_frames())?;
    let frames = ffi::Frames::find(version)?;
    Some(Derivation { frames, jumps_in: (mode == Mode::Derived).then_some(version) })
}

/// Makes the recorder of values, if values are to be recorded.
///
/// # Errors
/// If values cannot be read in this interpreter. The error is the reason, as a sentence.
fn values(
    boot: &Boot,
    descriptors: &Descriptors,
    hidden: ffi::HiddenTypes,
) -> Result<Option<Box<Values>>, String> {
    let Some(file) = &descriptors.values else { return Ok(None) };
    let version = Version::from_magic(ffi::bytecode_magic());
    let found = version.and_then(|version| Some((version, ffi::Frames::find(version)?)));
    let (version, frames) =
        found.ok_or("this interpreter lays out frames in a way dashcam does not know")?;
    let ring = ring::attach(file).map_err(|error| error.to_string())?;
    let wanted = Wanted { state: boot.capture == Capture::State, calls: !boot.no_c_arguments };
    let values = Values::new(ring, frames, boot.limits, &boot.redact, hidden, version, wanted);
    let values = values.map_err(|what| {
        format!("this interpreter lays out {what} in a way dashcam does not know")
    })?;
    Ok(Some(Box::new(values)))
}

/// Copies a descriptor to a number that is out of the way of the program's own descriptors.
fn duplicate_high(fd: RawFd) -> PyResult<OwnedFd> {
    for at_least in HIGH_FDS {
        // SAFETY: plain system call on an open descriptor.
        let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, at_least) };
        if copy >= 0 {
            // SAFETY: just made, and nothing else owns it.
            return Ok(unsafe { OwnedFd::from_raw_fd(copy) });
        }
    }
    let error = std::io::Error::last_os_error();
    Err(PyOSError::new_err(format!("the recorder's socket cannot be kept: {error}")))
}

/// Begins recording. `asked_for` is the mode that the user asked for, which differs from that in
/// `boot` if events cannot be recorded so. `midway`: the program is already running.
fn begin(
    py: Python<'_>,
    boot: &Boot,
    asked_for: Mode,
    descriptors: &Descriptors,
    midway: bool,
) -> PyResult<()> {
    let hidden = ffi::verify_layout().map_err(PyRuntimeError::new_err)?;
    if memory::is_short() {
        // The last recording ended because of that, and may still hold some of the reserve.
        state::forget(hidden);
    }
    memory::begin();
    if memory::is_short() {
        return Err(PyOSError::new_err("not enough memory to record with"));
    }
    let ring = ring::attach(&descriptors.ring)?;
    // A process that has joined keeps no descriptor.
    let control = if boot.has_joined() {
        follow::report_exit(boot);
        None
    } else {
        Some(duplicate_high(descriptors.control.as_raw_fd())?)
    };

    Interpreter::required()?;
    let sys = py.import("sys")?;
    let version: String = sys.getattr("version")?.extract()?;
    let platform: String = sys.getattr("platform")?.extract()?;
    // Not from `os`, which a program may never have imported with -S.
    let stdlib = sys.getattr("_stdlib_dir").and_then(|folder| folder.extract::<String>());
    let stdlib = stdlib.unwrap_or_default();
    let (values, unread) = match values(boot, descriptors, hidden) {
        Ok(values) => (values, None),
        Err(what) => (None, Some(what)),
    };
    let derivation = derivation(boot.mode);
    let unknown = unknown(&version, &unread, asked_for.has_frames() && derivation.is_none());
    let mode = if derivation.is_some() { boot.mode } else { Mode::Direct };
    let interpreter = Definition::Interpreter {
        version: version.split(' ').next().unwrap_or_default().to_owned(),
        platform: format!("{platform} {}", std::env::consts::ARCH),
        stdlib: stdlib.clone(),
        pid: std::process::id(),
        magic: ffi::bytecode_magic(),
        mode,
        capture: if values.is_some() { boot.capture } else { Capture::Flow },
        quirks: quirks(py, unknown.clone(), midway),
    };
    let finder = ffi::FrameFinder::find();
    let judge = Judge::new(&boot.filter, &stdlib, &boot.package);
    let control = control.map_or(-1, IntoRawFd::into_raw_fd);
    let state = State::new(ring, judge, hidden, control, boot.recorder_pid, finder)
        .with_max_wait(boot.max_wait_ns);
    state.begin(midway, interpreter, derivation, values);

    let kinds = monitoring::kinds(py)?;
    // SAFETY: Python called us, directly or through a callback; the GIL is held.
    let state = unsafe { state::current() };
    for (kind, name, _) in &kinds.later {
        state.define(&Definition::Kind { number: kind.number(), name: name.clone() });
    }
    if let Some(unknown) = unknown {
        state.lose(LossKind::InterpreterUnknown, 1, &unknown);
    }
    if !kinds.unknown.is_empty() {
        state.lose(LossKind::UnknownKind, kinds.unknown.len() as u64, &kinds.unknown.join(", "));
    }
    if !state.is_recording() {
        // Recording has ended already, and the reason was reported.
        return monitoring::release_tool(py).map(|_| ());
    }
    fork::watch(py)?;
    audit::watch();
    neighbours::learn(&sys);
    follow::remember(boot);
    monitoring::switch_on(py, &kinds, mode)
}

/// Begins to record a process that was just forked from one that was recorded.
pub(super) fn begin_forked(py: Python<'_>) -> PyResult<()> {
    let Some(boot) = follow::remembered() else { return Ok(()) };
    // If the recorder is gone, so is the recording.
    let Ok(boot) = follow::join(boot, true) else { return Ok(()) };
    let descriptors = Descriptors::of(&boot);
    let begun = monitoring::take_tool(py).and_then(|()| {
        let begun = begin(py, &boot, boot.mode, &descriptors, true);
        begun.inspect_err(|_| take_back(py))
    });
    begun.inspect_err(|error| refuse(py, &descriptors, error))
}

/// Returns, as a sentence, what is recorded less or in another way than was asked for because of
/// the interpreter. `unread` is the reason why there are no values although there should be.
/// `is_direct`: no events are derived although they should be.
fn unknown(version: &str, unread: &Option<String>, is_direct: bool) -> Option<String> {
    let less = match (is_direct, unread) {
        (true, Some(_)) => "events recorded directly, no values",
        (true, None) => "events recorded directly",
        (false, Some(_)) => "no values",
        (false, None) => return None,
    };
    let version = version.split(' ').next().unwrap_or_default();
    Some(match (Version::from_magic(ffi::bytecode_magic()), unread) {
        (None, _) => {
            let minor = version.match_indices('.').nth(1).map_or(version, |(at, _)| &version[..at]);
            format!("CPython {minor} is not known to this version: {less}")
        }
        (Some(_), Some(why)) => {
            format!("CPython {version} differs from what this version knows ({why}): {less}")
        }
        (Some(_), None) => {
            format!("CPython {version} differs from what this version knows: {less}")
        }
    })
}

/// What a reader of the recording may have to know. Asks only `sys`, and leaves no error behind.
fn quirks(py: Python<'_>, unknown: Option<String>, midway: bool) -> Vec<String> {
    let mut quirks = Vec::new();
    quirks.extend(unknown);
    // CPython knows the frames of threads, and not those of suspended greenlets.
    if midway && state::has_greenlets() {
        quirks.push(
            "functions that suspended greenlets were in when recording began have no events until \
             they are called again"
                .to_owned(),
        );
    }
    let others = monitoring::other_tools(py);
    if !others.is_empty() {
        quirks.push(format!("other tools were monitoring too: {}", others.join(", ")));
    }
    let Ok(sys) = py.import("sys") else { return quirks };
    if is_traced(py) {
        quirks.push("a trace or profile function was set when recording began".to_owned());
    }
    if has_jit(&sys) {
        quirks.push("the JIT compiler was on".to_owned());
    } else if ffi::is_at_least(0x030F) && std::env::var_os("PYTHON_JIT").is_some_and(|on| on != "0")
    {
        quirks.push("the JIT compiler was kept off".to_owned());
    }
    quirks
}

/// Whether the JIT compiler is on.
fn has_jit(sys: &Bound<'_, PyModule>) -> bool {
    let jit = sys.getattr("_jit").and_then(|jit| jit.call_method0("is_enabled"));
    jit.and_then(|is_on| is_on.extract()).unwrap_or(false)
}

/// Returns an error if the JIT compiler is on and the recording needs INSTRUCTION events. CPython
/// 3.15 aborts when its JIT compiler encounters code with INSTRUCTION events at only some of its
/// instructions. `recorder/inject` keeps the compiler off where CPython obeys the environment.
/// Elsewhere nothing may be recorded that needs such events.
fn refuse_jit(py: Python<'_>, capture: Capture, mode: Mode) -> PyResult<()> {
    let has_instructions = capture == Capture::State || mode != Mode::Derived;
    if has_instructions && ffi::is_at_least(0x030F) && has_jit(&py.import("sys")?) {
        return Err(PyRuntimeError::new_err(
            "the JIT compiler is on, with which CPython 3.15 can abort while values are recorded; set \
             PYTHON_JIT=0 (which -E and -I ignore), or record with capture 'calls' or 'flow'",
        ));
    }
    Ok(())
}

/// Whether a trace or profile function is set.
fn is_traced(py: Python<'_>) -> bool {
    let Ok(sys) = py.import("sys") else { return false };
    let is_set = |name: &str| sys.call_method0(name).is_ok_and(|function| !function.is_none());
    is_set("gettrace") || is_set("getprofile")
}
