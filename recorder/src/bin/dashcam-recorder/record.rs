//! `dashcam record`: run the program as if we were not there, and record it.
//!
//! The program is our child, in our process group, with our terminal, environment and standard
//! streams. What is sent to the whole group (Ctrl-C, Ctrl-\, Ctrl-Z, `kill %1`) reaches it directly, and
//! is nothing to us; what is sent to us alone is meant for it and passed on. It stops, then we do; it
//! ends, then we do, the same way.

use crate::args::Options;
use crate::interpreter::{Inquiry, LIBRARY};
use crate::program::Launch;
use crate::{Status, say};
use anyhow::{Context, Result, bail};
use dashcam_recorder::boot::{
    BOOTED, Boot, Filter, OTHER, REFUSED, STOPPED, STORED, TOKEN, UNSTARTED, VARIABLE, redacted,
};
use dashcam_recorder::ring::{self, Consumer, Ring};
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

/// The recorder process needs no more address space than this, besides the rings.
const ADDRESS_SPACE: usize = 160 << 20;

/// Records the program and says how to end.
pub(crate) fn record(options: &Options) -> Result<Status> {
    let launch = Launch::of(options)?;
    // Before any thread is started, so that all have it.
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
        // Gone, it may be, which keeps Python from nothing.
        cwd: std::env::current_dir().unwrap_or_default(),
        code: launch.code(),
    };
    let clock = Clock::start();
    // The program has them too, and needs room of its own.
    let most = limit.map_or(u32::MAX, |limit| (limit >> 25).clamp(1, 1 << 10) as u32);
    let mib = match options.ring_size {
        mib if mib > most => 1 << most.ilog2(),
        mib => mib,
    };
    // The system takes its time to fill that much memory with zeros.
    let captures = Capture::from(options.capture) != Capture::Flow;
    let rings = spawn(move || -> Result<_> {
        Ok((create_ring(mib)?, if captures { Some(create_ring(mib)?) } else { None }))
    })?;
    let run = Run::obtain(&options.output, &about);
    let rings = rings.join().unwrap_or_else(|_| bail!("no shared memory"));
    let package = inquiry.end();
    let (mut run, notice) = match run {
        Ok(obtained) => obtained,
        Err(error) if error.is_refusal() => return Err(error.into()),
        // What is wrong with the interpreter is wrong without recording too.
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
        // Somebody does not want it any more.
        run.abandon();
        return Ok(Status::Signal(signal));
    }
    if let Some(notice) = notice {
        say(&notice);
    }
    let (values, values_file) = values.unzip();
    let files = (&ring_file, values_file.as_ref());
    let (control, pid) = match start(options, &launch, &package, files, mask, dispositions) {
        Ok(started) => started,
        Err(error) => return abandon(run, error),
    };
    run.set_pid(pid);
    let run_id = run.run_id;
    let process = sys::watch_process(pid);
    let recording = match Recording::start(run, &about, ring, values, clock) {
        Ok(recording) => recording,
        Err(error) => {
            say(&format!("no recorder: {error}; the program runs unrecorded"));
            // The program is not to wait for us.
            [Some(ring), values].into_iter().flatten().for_each(|ring| Consumer::new(ring).close());
            thread::spawn(move || forward(forwarded, pid, process.as_ref()));
            return Ok(status_of(wait(pid)?));
        }
    };
    thread::spawn(move || forward(forwarded, pid, process.as_ref()));
    // Whoever reads the program's output shall see its end when the program ends.
    sys::leave_standard_streams();

    let Attended { fate, refusal, is_unstarted, others } =
        attend(pid, control, &recording, run_id)?;
    if let Some(why) = refusal.as_ref().filter(|_| is_unstarted) {
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
    match recording.finish(End { refusal, others, ..end }) {
        Some(summary) => report(&summary, &how),
        None => say("a part of the recorder failed; what was stored before can be read"),
    }
    Ok(status)
}

/// A thread; there may be no more to be had.
fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>> {
    thread::Builder::new().spawn(work).context("no thread to be had")
}

/// Becomes the program, as if there were no recorder. Comes back only if that fails.
fn unrecorded(
    launch: &Launch,
    mask: Signals,
    dispositions: [sys::Disposition; 3],
    why: &str,
) -> anyhow::Error {
    say(&format!("{why}; the program runs unrecorded"));
    let mut command = launch.command();
    sys::before_exec(&mut command, move || {
        dispositions.iter().for_each(sys::Disposition::restore);
        mask.restore();
        Ok(())
    });
    anyhow::Error::new(command.exec()).context(format!("{} cannot be run", launch.shown()))
}

/// The ring, smaller if the system does not give as much: file size limits hold for it too.
fn create_ring(mib: u32) -> Result<(Ring, File)> {
    let mut words = (mib as usize).next_power_of_two() << 18;
    loop {
        match ring::create(words) {
            Ok(ring) => return Ok(ring),
            Err(_) if words > 1 << 14 => words /= 2,
            Err(error) => return Err(error).context("no shared memory"),
        }
    }
}

/// Starts the program; gives our end of the control socket and the process id.
fn start(
    options: &Options,
    launch: &Launch,
    package: &Path,
    (ring, values): (&File, Option<&File>),
    mask: Signals,
    dispositions: [sys::Disposition; 3],
) -> Result<(UnixStream, u32)> {
    let (mut control, theirs) = UnixStream::pair()?;
    control.write_all(&[TOKEN])?;
    // High numbers: the program's own files are numbered as if ours were not there.
    let ring = sys::duplicate_high(ring.as_fd())?;
    let values = values.map(|values| sys::duplicate_high(values.as_fd())).transpose()?;
    let theirs = sys::duplicate_high(theirs.as_fd())?;
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
        redact: redacted(&options.values.redact, options.values.no_default_redact),
        no_c_arguments: options.values.no_c_arguments,
        package: package.to_string_lossy().into_owned(),
    };
    let (preload, library) = preload(package)?;
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

/// `LD_PRELOAD` with our library at its end. A path that it cannot spell goes by a descriptor, which
/// has to stay open until the program is started.
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

/// Passes on what is sent to this process alone.
fn forward(signals: Signals, pid: u32, process: Option<&OwnedFd>) {
    let mut witness = Witness::new();
    // A hang-up is told to the leader of the session, and by it to the others.
    let leads_session = sys::leads_session();
    loop {
        let Some(arrived) = signals.wait() else { continue };
        let is_for_program = if arrived.by_kernel {
            leads_session && arrived.signal == sys::HANG_UP
        } else {
            !arrived.by_watcher
        };
        // Asked in any case, so that it forgets.
        if !witness.has_seen(arrived.signal) && is_for_program {
            sys::send_signal(pid, process, &arrived);
        }
    }
}

/// What came of a program.
struct Attended {
    fate: Fate,
    /// Why it was not recorded.
    refusal: Option<String>,
    /// It ended for that reason, before it ran anything.
    is_unstarted: bool,
    /// Pythons that found another one recorded.
    others: u64,
}

/// Waits for the program's end. When it is stopped so is its recorder, and with it what the shell
/// knows as its job.
fn wait(pid: u32) -> std::io::Result<Fate> {
    loop {
        match sys::wait_child(pid) {
            Ok(Fate::Stopped(signal)) => sys::stop_with(signal, pid),
            result => return result,
        }
    }
}

/// As the program ended.
fn status_of(fate: Fate) -> Status {
    match fate {
        Fate::Killed(signal) => Status::Signal(signal),
        Fate::Exited(code) | Fate::Stopped(code) => Status::Code(code),
    }
}

/// Waits for the program's end, and answers it meanwhile.
fn attend(
    pid: u32,
    mut control: UnixStream,
    recording: &Recording,
    run_id: i64,
) -> Result<Attended> {
    let (ended, at_end) = UnixStream::pair()?;
    let waiter = spawn(move || {
        // Closed with this thread, which wakes the other one.
        let _at_end = at_end;
        wait(pid)
    })?;
    let (mut is_booted, mut others) = (false, 0);
    let mut refusal: Option<Vec<u8>> = None;
    let (mut is_reason, mut is_unstarted) = (false, false);
    let mut is_open = true;
    loop {
        let fds = [ended.as_fd(), control.as_fd()];
        let ready = sys::wait_readable(if is_open { &fds } else { &fds[..1] });
        if is_open {
            // What it said before it ended is still there. Someone it left behind may hold the
            // other end, so its end is not awaited.
            control.set_nonblocking(true)?;
            let mut buffer = [0; 4096];
            loop {
                let count = match control.read(&mut buffer) {
                    Ok(count) if count > 0 => count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // Also an error if nobody took the token.
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
        if ready[0] {
            break;
        }
    }
    let Ok(fate) = waiter.join() else { bail!("waiting for the program failed") };
    let nobody = || "no Python 3.12 or newer began to run a program".to_owned();
    let refusal = match refusal {
        Some(reason) => Some(String::from_utf8_lossy(&reason).into_owned()),
        None => (!is_booted).then(nobody),
    };
    let fate = fate.context("waiting for the program failed")?;
    Ok(Attended { fate, refusal, is_unstarted, others })
}

fn report(summary: &Summary, how: &str) {
    let events = grouped(summary.events);
    let (run, database) = (summary.run_id, summary.database.display());
    let size = megabytes(summary.database_bytes);
    if let Some(displaced) = &summary.displaced {
        say(displaced);
    }
    say(&format!("run {run}: {events} events in {database} ({size}), {how}"));
    for (count, detail) in &summary.losses {
        match count {
            Some(count) => say(&format!("run {run} is not whole: {detail} ({})", grouped(*count))),
            None => say(detail),
        }
    }
}

/// `1234567` → `1,234,567`
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
    fn numbers_read_well() {
        assert_eq!([grouped(7), grouped(1234), grouped(1_234_567)], ["7", "1,234", "1,234,567"]);
        assert_eq!([megabytes(1), megabytes(18_200_000)], ["1 kB", "18.2 MB"]);
    }
}
