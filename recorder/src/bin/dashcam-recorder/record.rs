//! `dashcam record`: run the program as if we were not there, and record it.
//!
//! The program is our child, in our process group, with our terminal, environment and standard
//! streams. Keys that signal (Ctrl-C, Ctrl-\, Ctrl-Z) reach it directly, and are nothing to us;
//! what is sent to us alone is meant for it and passed on. It ends, then we do, the same way.

use crate::args::Options;
use crate::interpreter::{self, Inquiry};
use crate::say;
use anyhow::{Context, Result, bail};
use dashcam_recorder::boot::{Boot, Filter, REFUSED, STOPPED, STORED, VARIABLE, redacted};
use dashcam_recorder::ring::{self, Ring};
use dashcam_recorder::writer::sys::{self, Fate, Signals};
use dashcam_recorder::writer::{About, Clock, Database, End, Recording, Run, Summary};
use dashcam_schema::value::Capture;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
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
        // Gone, it may be, which keeps Python from nothing.
        cwd: std::env::current_dir().unwrap_or_default(),
        code: options.program.code(),
    };
    let clock = Clock::start();
    // The system takes its time to fill that much memory with zeros.
    let mib = options.ring_size;
    let captures = Capture::from(options.capture) != Capture::Flow;
    let rings = thread::spawn(move || {
        Ok((create_ring(mib)?, if captures { Some(create_ring(mib)?) } else { None }))
    });
    let mut run = Run::begin(Database::open(&options.output)?, &about)?;
    let rings = rings.join().unwrap_or_else(|_| bail!("no shared memory"));
    let started = inquiry.end().and_then(|package| {
        let ((ring, ring_file), values) = rings?;
        let (values, values_file) = values.unzip();
        let files = (&ring_file, values_file.as_ref());
        let (control, child) = start(&options, &python, &package, files, mask, survive)?;
        Ok((ring, values, control, child))
    });
    let (ring, values, control, pid) = match started {
        Ok(started) => started,
        Err(error) => {
            run.abandon();
            return Err(error);
        }
    };
    run.set_pid(pid);
    let run_id = run.run_id;
    let recording = Recording::start(run, &about, ring, values, clock)?;
    thread::spawn(move || forward(forwarded, pid));
    // Whoever reads the program's output shall see its end when the program ends.
    sys::leave_standard_streams();

    let (fate, refusal) = attend(pid, control, &recording, run_id)?;
    if let Some(refusal) = refusal {
        recording.abandon();
        bail!("{refusal}");
    }
    let (end, status, how) = match fate {
        Fate::Killed(signal) => (
            End { is_complete: false, exit_code: None, exit_signal: Some(signal) },
            128 + signal,
            format!("killed by signal {signal}"),
        ),
        Fate::Exited(code) | Fate::Stopped(code) => (
            End { is_complete: true, exit_code: Some(code), exit_signal: None },
            code,
            format!("exit {code}"),
        ),
    };
    match recording.finish(end) {
        Some(summary) => report(&summary, &how),
        None => say("a part of the recorder failed; what was stored before can be read"),
    }
    Ok(status)
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

/// Waits for the program's end, and answers it meanwhile. Also gives its reason if it refused to
/// be recorded.
fn attend(
    pid: u32,
    mut control: UnixStream,
    recording: &Recording,
    run_id: i64,
) -> Result<(Fate, Option<String>)> {
    let (ended, at_end) = UnixStream::pair()?;
    let waiter = thread::spawn(move || {
        // Closed with this thread, which wakes the other one.
        let _at_end = at_end;
        loop {
            match sys::wait_child(pid) {
                // Ctrl-Z, and the program did stop: so does its recorder, and with it what the
                // shell knows as its job.
                Ok(Fate::Stopped(signal)) if signal == sys::STOP_KEY => sys::stop_self(),
                Ok(Fate::Stopped(_)) => {}
                result => return result,
            }
        }
    });
    let mut refusal: Option<Vec<u8>> = None;
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
                    match (&mut refusal, *byte) {
                        (Some(reason), byte) => reason.push(byte),
                        (None, REFUSED) => refusal = Some(Vec::new()),
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
    let refusal = refusal.map(|reason| String::from_utf8_lossy(&reason).into_owned());
    Ok((fate.context("waiting for the program failed")?, refusal))
}

fn report(summary: &Summary, how: &str) {
    let events = grouped(summary.events);
    let (run, database) = (summary.run_id, summary.database.display());
    let size = megabytes(summary.database_bytes);
    let is_missed = summary.is_stored && !summary.is_recorded;
    let hint = if is_missed { "; the interpreter did not load dashcam" } else { "" };
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
