//! `dashcam record`: runs the program as if there were no recorder, and records it.
//!
//! The program is our child, in our process group, with our terminal, environment and standard
//! streams. A signal that is sent to the whole group (Ctrl-C, Ctrl-\, Ctrl-Z, `kill %1`) reaches
//! the program directly, and we ignore it. A signal that is sent to us alone is meant for the
//! program, and we pass it on. When the program stops, we stop; when it ends, we end in the same
//! way.

use crate::args::Options;
use crate::children::{Children, Socket};
use crate::interpreter::{Inquiry, LIBRARY};
use crate::program::Launch;
use crate::{Status, print_message};
use anyhow::{Context, Result, bail};
use dashcam_recorder::boot::{
    BOOTED, Boot, Filter, OTHER, REFUSED, STOPPED, STORED, TOKEN, UNSTARTED, VARIABLE, redacted,
};
use dashcam_recorder::ring::{self, Consumer};
use dashcam_recorder::writer::sys::{self, Fate, Signals, Witness};
use dashcam_recorder::writer::{About, Clock, End, Recording, Run, Summary};
use dashcam_schema::value::Capture;
use dashcam_schema::value::names::Secrets;
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::thread;

/// The recorder process needs at most this much address space, in bytes, besides the rings.
const ADDRESS_SPACE: usize = 160 << 20;

/// Records the program. Returns how this process ends.
pub(crate) fn record(options: &Options) -> Result<Status> {
    let launch = Launch::of(options)?;
    // Before any thread is started, so that all threads inherit the mask.
    let forwarded = sys::forwarded();
    let mask = forwarded.block();
    sys::terminal_stops().block();
    let dispositions =
        [sys::ignore_file_size_signal(), sys::expect_child_signal(), sys::broken_pipe_signal()];
    let limit = sys::limit_of_address_space();
    if !sys::has_address_space(ADDRESS_SPACE) {
        let limit = limit.map_or(String::new(), |limit| format!(" within {}", megabytes(limit)));
        let why = format!("not enough memory to record with{limit}");
        return Err(unrecorded(&launch, mask, dispositions, &why));
    }
    let inquiry = Inquiry::begin(&launch, mask)?;

    let redact = redacted(&options.values.redact, options.values.no_default_redact);
    let secrets = Secrets::new(redact.iter().map(|pattern| &**pattern));
    let about = About {
        command: launch.json(&secrets),
        // The folder may have been deleted, which does not keep Python from running.
        cwd: std::env::current_dir().unwrap_or_default(),
        code: launch.code(),
    };
    let clock = Clock::start();
    // The rings are in the program's address space too, which needs room for other things.
    let most = limit.map_or(u32::MAX, |limit| (limit >> 25).clamp(1, 1 << 10) as u32);
    let mib = match options.ring_size {
        mib if mib > most => 1 << most.ilog2(),
        mib => mib,
    };
    // In a thread: the system takes some time to fill that much memory with zeros.
    let captures = Capture::from(options.capture) != Capture::Flow;
    let rings = spawn(move || -> Result<_> {
        let create = || ring::create_up_to(mib).context("no shared memory");
        Ok((create()?, captures.then(create).transpose()?))
    })?;
    let run = Run::obtain(&options.output, &about);
    let rings = rings.join().unwrap_or_else(|_| bail!("no shared memory"));
    let package = inquiry.end();
    let (mut run, notice) = match run {
        Ok(obtained) => obtained,
        Err(error) if error.is_refusal() => return Err(error.into()),
        // An unsuitable interpreter is an error even if the program would run unrecorded.
        Err(error) => {
            package?;
            return Err(unrecorded(&launch, mask, dispositions, &error.to_string()));
        }
    };
    let abandon = |run: Run, error| {
        run.abandon();
        Err(error)
    };
    let package = match package {
        Ok(package) => package,
        Err(error) => return abandon(run, error),
    };
    let ((ring, ring_file), values) = match rings {
        Ok(rings) => rings,
        Err(error) => {
            run.abandon();
            return Err(unrecorded(&launch, mask, dispositions, &format!("{error:#}")));
        }
    };
    if let Some(signal) = forwarded.pending().find(|signal| sys::ends_by_default(*signal)) {
        // The user has already asked for the program to end.
        run.abandon();
        return Ok(Status::Signal(signal));
    }
    if let Some(notice) = notice {
        print_message(&notice);
    }
    let (values, values_file) = values.unzip();
    let files = (&ring_file, values_file.as_ref());
    // Without it, processes that the program starts are counted as not recorded.
    let socket = if options.no_follow { None } else { Socket::new().ok() };
    let rings = Rings { files, mib, socket: socket.as_ref().map_or("", Socket::name) };
    let (control, pid) = match start(options, &launch, &package, rings, mask, dispositions) {
        Ok(started) => started,
        Err(error) => return abandon(run, error),
    };
    run.set_pid(pid);
    // For the processes that join. The program has the limit that it would have.
    sys::raise_descriptor_limit();
    let run_id = run.run_id;
    let process = sys::watch_process(pid);
    let recording = match Recording::start(run, &about, ring, values, clock) {
        Ok(recording) => recording,
        Err(error) => {
            print_message(&format!("no recorder: {error}; the program runs unrecorded"));
            // Closes the rings, so that the program does not wait for us.
            [Some(ring), values].into_iter().flatten().for_each(|ring| Consumer::new(ring).close());
            thread::spawn(move || forward(forwarded, pid, process.as_ref()));
            return Ok(status_of(wait(pid)?));
        }
    };
    thread::spawn(move || forward(forwarded, pid, process.as_ref()));
    let children =
        socket.and_then(|socket| Children::start(socket, recording.joiner(), pid, secrets).ok());
    // A reader of the program's output must see its end when the program ends.
    sys::leave_standard_streams();

    let Outcome { fate, refusal, is_unstarted, others } =
        wait_and_answer(pid, control, &recording, run_id)?;
    if let Some(why) = refusal.as_ref().filter(|_| is_unstarted) {
        drop(children);
        recording.abandon();
        bail!("{}: {why}", launch.shown());
    }
    let status = status_of(fate);
    let (end, how) = match fate {
        Fate::Killed(signal) => (
            End { exit_signal: Some(signal), ..End::default() },
            format!("killed by signal {signal}"),
        ),
        Fate::Exited(code) | Fate::Stopped(code) => (
            End { is_complete: true, exit_code: Some(code), ..End::default() },
            format!("exit {code}"),
        ),
    };
    let unrecorded = children.map_or_else(Vec::new, Children::finish);
    match recording.finish(End { refusal, others, unrecorded, ..end }) {
        Some(summary) => report(&summary, &how),
        None => print_message("a part of the recorder failed; what was stored before can be read"),
    }
    Ok(status)
}

/// Starts a thread; an error if the system provides no more threads.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>> {
    thread::Builder::new().spawn(work).context("cannot start a thread")
}

/// Executes the program in this process, as if there were no recorder. Returns only if that fails.
fn unrecorded(
    launch: &Launch,
    mask: Signals,
    dispositions: [sys::Disposition; 3],
    why: &str,
) -> anyhow::Error {
    print_message(&format!("{why}; the program runs unrecorded"));
    let mut command = launch.command();
    sys::before_exec(&mut command, move || {
        dispositions.iter().for_each(sys::Disposition::restore);
        mask.restore();
        Ok(())
    });
    anyhow::Error::new(command.exec()).context(format!("{} cannot be run", launch.shown()))
}

/// The rings of the first process, and what others need to make their own.
struct Rings<'a> {
    /// Of events and of values.
    files: (&'a File, Option<&'a File>),
    mib: u32,
    /// Where others join; empty if they are not recorded.
    socket: &'a str,
}

/// Starts the program. Returns our end of the control socket and the process id.
fn start(
    options: &Options,
    launch: &Launch,
    package: &Path,
    rings: Rings<'_>,
    mask: Signals,
    dispositions: [sys::Disposition; 3],
) -> Result<(UnixStream, u32)> {
    let (mut control, theirs) = UnixStream::pair()?;
    control.write_all(&[TOKEN])?;
    let (ring, values) = rings.files;
    // High numbers: the program's own files are numbered as if ours were not there.
    let ring = sys::duplicate_high(ring.as_fd())?;
    let values = values.map(|values| sys::duplicate_high(values.as_fd())).transpose()?;
    let theirs = sys::duplicate_high(theirs.as_fd())?;
    let (preload, library) = preload(package)?;
    let boot = Boot {
        ring_fd: ring.as_raw_fd(),
        control_fd: theirs.as_raw_fd(),
        control_inode: sys::inode(theirs.as_fd())?,
        recorder_pid: std::process::id(),
        is_direct: launch.is_direct(),
        filter: Filter {
            include: options.include.clone(),
            exclude: options.exclude.clone(),
            no_stdlib: options.no_stdlib,
        },
        mode: options.events.into(),
        capture: options.capture.into(),
        values_fd: values.as_ref().map_or(-1, |values| values.as_raw_fd()),
        limits: options.values.limits(),
        max_wait_ns: (options.max_wait * 1e9) as u64,
        socket: if library.is_none() { rings.socket.to_owned() } else { String::new() },
        // Each of many processes has its own.
        ring_mib: (rings.mib / 4).max(1),
        redact: redacted(&options.values.redact, options.values.no_default_redact),
        no_c_arguments: options.values.no_c_arguments,
        package: package.to_string_lossy().into_owned(),
    };
    sys::set_variable(VARIABLE, &boot.to_variable(package.as_os_str()))?;
    sys::set_variable("LD_PRELOAD", &preload)?;
    let mut command = launch.command();
    let inherited = [Some(&ring), Some(&theirs), values.as_ref(), library.as_ref()];
    let inherited = inherited.map(|file| file.map(|file| file.as_raw_fd()));
    sys::before_exec(&mut command, move || {
        inherited.into_iter().flatten().try_for_each(sys::inherit)?;
        dispositions.iter().for_each(sys::Disposition::restore);
        mask.restore();
        Ok(())
    });
    let child = command.spawn().with_context(|| format!("{} cannot be run", launch.shown()))?;
    Ok((control, child.id()))
}

/// Returns `LD_PRELOAD` with our library at its end. A path that the variable cannot contain is
/// given as a descriptor, which has to stay open until the program is started.
fn preload(package: &Path) -> Result<(OsString, Option<OwnedFd>)> {
    let library = package.join(LIBRARY);
    let (name, file) = if library.as_os_str().as_bytes().iter().any(|byte| b" :$".contains(byte)) {
        let file = File::open(&library).with_context(|| library.display().to_string())?;
        let file = sys::duplicate_high(file.as_fd())?;
        (format!("/proc/self/fd/{}", file.as_raw_fd()).into(), Some(file))
    } else {
        (library.into_os_string(), None)
    };
    let mut preload = std::env::var_os("LD_PRELOAD").map_or_else(OsString::new, |mut own| {
        own.push(":");
        own
    });
    preload.push(name);
    Ok((preload, file))
}

/// Passes on signals that are sent to this process alone.
fn forward(signals: Signals, pid: u32, process: Option<&OwnedFd>) {
    let mut witness = Witness::new();
    // The kernel sends a hang-up to the leader of the session, which sends it to the others.
    let leads_session = sys::leads_session();
    loop {
        let Some(arrived) = signals.wait() else { continue };
        let is_for_program = if arrived.by_kernel {
            leads_session && arrived.signal == sys::HANG_UP
        } else {
            !arrived.by_watcher
        };
        // Called in any case, so that the witness forgets the signal.
        if !witness.has_seen(arrived.signal) && is_for_program {
            sys::send_signal(pid, process, &arrived);
        }
    }
}

/// How a program ended.
struct Outcome {
    fate: Fate,
    /// Why it was not recorded.
    refusal: Option<String>,
    /// The process ended for that reason, before it ran anything.
    is_unstarted: bool,
    /// The number of Pythons that were not recorded because another one was.
    others: u64,
}

/// Waits for the program's end. When the program is stopped, its recorder stops too, and so does
/// the shell's job.
fn wait(pid: u32) -> std::io::Result<Fate> {
    loop {
        match sys::wait_child(pid) {
            Ok(Fate::Stopped(signal)) => sys::stop_with(signal, pid),
            result => return result,
        }
    }
}

/// Returns the status with which this process ends as the program ended.
fn status_of(fate: Fate) -> Status {
    match fate {
        Fate::Killed(signal) => Status::Signal(signal),
        Fate::Exited(code) | Fate::Stopped(code) => Status::Code(code),
    }
}

/// Waits for the program's end, and answers its messages meanwhile.
fn wait_and_answer(
    pid: u32,
    mut control: UnixStream,
    recording: &Recording,
    run_id: i64,
) -> Result<Outcome> {
    let (ended, at_end) = UnixStream::pair()?;
    let waiter = spawn(move || {
        // Closed when this thread ends, which wakes the other one.
        let _at_end = at_end;
        wait(pid)
    })?;
    let (mut is_booted, mut others) = (false, 0);
    let mut refusal: Option<Vec<u8>> = None;
    let (mut is_reason, mut is_unstarted) = (false, false);
    let mut is_open = true;
    loop {
        let fds = [Some(ended.as_fd()), is_open.then(|| control.as_fd())];
        let [has_ended, _] = sys::wait_readable(fds, None);
        if is_open {
            // Messages that the program sent before it ended are still there. A process that it
            // left behind may hold the other end open, so we do not wait for the end of the stream.
            control.set_nonblocking(true)?;
            let mut buffer = [0; 4096];
            loop {
                let count = match control.read(&mut buffer) {
                    Ok(count) if count > 0 => count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // The end of the stream, or an error: there is one if no process took the
                    // token.
                    _ => {
                        is_open = false;
                        break;
                    }
                };
                for byte in &buffer[..count] {
                    match (&mut refusal, *byte) {
                        (Some(_), b'\n') if is_reason => is_reason = false,
                        (Some(reason), byte) if is_reason => reason.push(byte),
                        (None, REFUSED | UNSTARTED) => {
                            refusal = Some(Vec::new());
                            is_reason = true;
                            is_unstarted = *byte == UNSTARTED;
                        }
                        (_, BOOTED) => is_booted = true,
                        (_, OTHER) => others += 1,
                        (_, STOPPED) => {
                            recording.flush();
                            let mut answer = vec![STORED];
                            answer.extend_from_slice(&run_id.to_le_bytes());
                            let _ = control.write_all(&answer);
                        }
                        _ => {}
                    }
                }
            }
        }
        if has_ended {
            break;
        }
    }
    let Ok(fate) = waiter.join() else { bail!("waiting for the program failed") };
    let no_python = || "no Python 3.12 or newer began to run a program".to_owned();
    let refusal = match refusal {
        Some(reason) => Some(String::from_utf8_lossy(&reason).into_owned()),
        None => (!is_booted).then(no_python),
    };
    let fate = fate.context("waiting for the program failed")?;
    Ok(Outcome { fate, refusal, is_unstarted, others })
}

fn report(summary: &Summary, how: &str) {
    let events = grouped(summary.events);
    let (run, database) = (summary.run_id, summary.database.display());
    let size = megabytes(summary.database_bytes);
    if let Some(displaced) = &summary.displaced {
        print_message(displaced);
    }
    print_message(&format!("run {run}: {events} events in {database} ({size}), {how}"));
    for (count, detail) in &summary.losses {
        match count {
            Some(count) => {
                print_message(&format!("run {run} is not whole: {detail} ({})", grouped(*count)))
            }
            None => print_message(detail),
        }
    }
}

/// Formats `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_rounded() {
        assert_eq!([grouped(7), grouped(1234), grouped(1_234_567)], ["7", "1,234", "1,234,567"]);
        assert_eq!([megabytes(1), megabytes(18_200_000)], ["1 kB", "18.2 MB"]);
    }
}
