//! `dashcam record`: run the program as if we were not there, and record it.
//!
//! The program is our child, in our process group, with our terminal, environment and standard
//! streams. Keys that signal (Ctrl-C, Ctrl-\, Ctrl-Z) reach it directly, and are nothing to us;
//! what is sent to us alone is meant for it and passed on. It ends, then we do, the same way.

use crate::args::Options;
use crate::interpreter::{self, Inquiry};
use crate::say;
use anyhow::{Context, Result, bail};
use dashcam_recorder::boot::{
    Boot, Filter, REFUSED, STOPPED, STORED, UNRECORDED, VARIABLE, redacted,
};
use dashcam_recorder::ring::{self, Consumer, Ring};
use dashcam_recorder::writer::sys::{self, Fate, Signals};
use dashcam_recorder::writer::{About, Clock, End, Recording, Run, Summary};
use dashcam_schema::value::Capture;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

/// Records the program and says with which status to end.
pub(crate) fn record(options: Options) -> Result<i32> {
    if let Some(script) = options.program.script()
        && !Path::new(script).exists()
    {
        bail!("{}: no such file", script.to_string_lossy());
    }
    // Before any thread is started, so that all have it.
    let forwarded = sys::forwarded();
    let mask = forwarded.block();
    let survive = sys::ignore_file_size_signal();
    let python = interpreter::find(options.python.as_deref())?;
    let inquiry = Inquiry::begin(&python, mask)?;

    let about = About {
        command: options.program.json(),
        cwd: std::env::current_dir().context("the current directory is gone")?,
        code: options.program.code(),
    };
    let clock = Clock::start();
    // The system takes its time to fill that much memory with zeros.
    let mib = options.ring_size;
    let captures = Capture::from(options.capture) != Capture::Flow;
    let rings = thread::spawn(move || {
        Ok((create_ring(mib)?, if captures { Some(create_ring(mib)?) } else { None }))
    });
    let run = Run::obtain(&options.output, &about);
    let rings = rings.join().unwrap_or_else(|_| bail!("no shared memory"));
    let package = inquiry.end();
    let (mut run, notice) = match run {
        Ok(obtained) => obtained,
        Err(error) if error.is_refusal() => return Err(error.into()),
        // What is wrong with the interpreter is wrong without recording too.
        Err(error) => {
            package?;
            return run_unrecorded(&options, &python, mask, survive, &error.to_string());
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
            return run_unrecorded(&options, &python, mask, survive, &format!("{error:#}"));
        }
    };
    if let Some(notice) = notice {
        say(&notice);
    }
    let (values, values_file) = values.unzip();
    let files = (&ring_file, values_file.as_ref());
    let (control, pid) = match start(&options, &python, &package, files, mask, survive) {
        Ok(started) => started,
        Err(error) => return abandon(run, error),
    };
    run.set_pid(pid);
    let run_id = run.run_id;
    let recording = match Recording::start(run, &about, ring, values, clock) {
        Ok(recording) => recording,
        Err(error) => {
            say(&format!("no recorder: {error}; the program runs unrecorded"));
            // The program is not to wait for us.
            [Some(ring), values].into_iter().flatten().for_each(|ring| Consumer::new(ring).close());
            thread::spawn(move || forward(forwarded, pid));
            return Ok(wait(pid)?.status());
        }
    };
    thread::spawn(move || forward(forwarded, pid));
    // Whoever reads the program's output shall see its end when the program ends.
    sys::leave_standard_streams();

    let (fate, start) = attend(pid, control, &recording, run_id)?;
    match start {
        Start::Went => {}
        Start::Refused(reason) => {
            recording.abandon();
            bail!("{reason}");
        }
        Start::Unrecorded => {
            recording.abandon();
            return Ok(fate.status());
        }
    }
    let status = fate.status();
    let (end, how) = match fate {
        Fate::Killed(signal) => (
            End { is_complete: false, exit_code: None, exit_signal: Some(signal) },
            format!("killed by signal {signal}"),
        ),
        Fate::Exited(code) | Fate::Stopped(code) => (
            End { is_complete: true, exit_code: Some(code), exit_signal: None },
            format!("exit {code}"),
        ),
    };
    match recording.finish(end) {
        Some(summary) => report(&summary, &how),
        None => say("a part of the recorder failed; what was stored before can be read"),
    }
    Ok(status)
}

/// Becomes the program, for want of a place to record it. Comes back only if that fails.
fn run_unrecorded(
    options: &Options,
    python: &Path,
    mask: Signals,
    file_size_signal: sys::Disposition,
    why: &str,
) -> Result<i32> {
    say(&format!("{why}; the program runs unrecorded"));
    let mut command = Command::new(python);
    command.args(&options.program.words);
    sys::before_exec(&mut command, move || {
        file_size_signal.restore();
        mask.restore();
        Ok(())
    });
    Err(command.exec()).with_context(|| format!("{} cannot be run", python.display()))
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
    python: &Path,
    package: &Path,
    (ring, values): (&File, Option<&File>),
    mask: Signals,
    file_size_signal: sys::Disposition,
) -> Result<(UnixStream, u32)> {
    let (control, theirs) = UnixStream::pair()?;
    // High numbers: the program's own files are numbered as if ours were not there.
    let ring = sys::duplicate_high(ring.as_fd())?;
    let values = values.map(|values| sys::duplicate_high(values.as_fd())).transpose()?;
    let theirs = sys::duplicate_high(theirs.as_fd())?;
    let python_path = std::env::var_os("PYTHONPATH");
    let boot = Boot {
        ring_fd: ring.as_raw_fd(),
        control_fd: theirs.as_raw_fd(),
        recorder_pid: std::process::id(),
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
        python_path: python_path.as_ref().map(|path| path.as_bytes().to_vec()),
        package: package.to_string_lossy().into_owned(),
    };
    let mut path = package.join("_inject").into_os_string().into_vec();
    if let Some(original) = python_path.filter(|original| !original.is_empty()) {
        path.push(b':');
        path.extend_from_slice(original.as_bytes());
    }
    let mut command = Command::new(python);
    command.args(&options.program.words);
    command.env("PYTHONPATH", std::ffi::OsString::from_vec(path));
    command.env(VARIABLE, boot.to_variable());
    let inherited = [Some(&ring), Some(&theirs), values.as_ref()];
    let inherited = inherited.map(|file| file.map(|file| file.as_raw_fd()));
    sys::before_exec(&mut command, move || {
        inherited.into_iter().flatten().try_for_each(sys::inherit)?;
        file_size_signal.restore();
        mask.restore();
        Ok(())
    });
    let child = command.spawn().with_context(|| format!("{} cannot be run", python.display()))?;
    Ok((control, child.id()))
}

/// Passes on what is sent to this process alone.
fn forward(signals: Signals, pid: u32) {
    loop {
        match signals.wait() {
            Some(arrived) if !arrived.by_kernel => sys::send_signal(pid, arrived.signal),
            _ => {}
        }
    }
}

/// How the shim began in the program.
enum Start {
    Went,
    /// It did not, and the program was not run; why.
    Refused(String),
    /// It did not, which was said, and the program ran without it.
    Unrecorded,
}

/// Waits for the program's end.
fn wait(pid: u32) -> std::io::Result<Fate> {
    loop {
        match sys::wait_child(pid) {
            // Ctrl-Z, and the program did stop: so does its recorder, and with it what the
            // shell knows as its job.
            Ok(Fate::Stopped(signal)) if signal == sys::STOP_KEY => sys::stop_self(),
            Ok(Fate::Stopped(_)) => {}
            result => return result,
        }
    }
}

/// Waits for the program's end, and answers it meanwhile. Also says how the shim began in it.
fn attend(
    pid: u32,
    mut control: UnixStream,
    recording: &Recording,
    run_id: i64,
) -> Result<(Fate, Start)> {
    let (ended, at_end) = UnixStream::pair()?;
    let waiter = thread::spawn(move || {
        // Closed with this thread, which wakes the other one.
        let _at_end = at_end;
        wait(pid)
    });
    // What the shim says if it cannot begin: REFUSED or UNRECORDED, and why.
    let mut said = Vec::new();
    let mut start = Start::Went;
    let mut is_open = true;
    loop {
        let fds = [ended.as_fd(), control.as_fd()];
        let ready = sys::wait_readable(if is_open { &fds } else { &fds[..1] });
        if is_open {
            // What it said before it ended is still there. Someone it left behind may hold the
            // other end, so its end is not awaited.
            control.set_nonblocking(true)?;
            let mut buffer = [0; 4096];
            while let Ok(count) = control.read(&mut buffer) {
                if count == 0 {
                    is_open = false;
                    break;
                }
                for byte in &buffer[..count] {
                    match (said.first(), *byte) {
                        (Some(&UNRECORDED), b'\n') => {
                            let reason = String::from_utf8_lossy(&said[1..]);
                            say(&format!("{reason}; the program runs unrecorded"));
                            start = Start::Unrecorded;
                            said.clear();
                        }
                        (Some(_), byte) | (None, byte @ (REFUSED | UNRECORDED)) => said.push(byte),
                        (None, STOPPED) => {
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
    if said.first() == Some(&REFUSED) {
        start = Start::Refused(String::from_utf8_lossy(&said[1..]).into_owned());
    }
    Ok((fate.context("waiting for the program failed")?, start))
}

fn report(summary: &Summary, how: &str) {
    let events = grouped(summary.events);
    let (run, database) = (summary.run_id, summary.database.display());
    let size = megabytes(summary.database_bytes);
    let is_missed = summary.is_stored && !summary.is_recorded;
    let hint = if is_missed { "; the interpreter did not load dashcam" } else { "" };
    if let Some(displaced) = &summary.displaced {
        say(displaced);
    }
    say(&format!("run {run}: {events} events in {database} ({size}), {how}{hint}"));
    for (count, detail) in &summary.losses {
        say(&format!("run {run} is not whole: {detail} ({})", grouped(*count)));
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
