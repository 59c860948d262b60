//! The recorder behind `dashcam.record()`: the program made the ring and started us.

use crate::args::Serve;
use crate::print_message;
use anyhow::Result;
use dashcam_recorder::boot::{ABANDONED, FAILED, REFUSED, STOPPED, STORED, WORKING};
use dashcam_recorder::ring::{self, Ring};
use dashcam_recorder::writer::sys;
use dashcam_recorder::writer::{About, Clock, End, Health, Recording, Run};
use dashcam_schema::value::names::{Secrets, USUAL};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Sent when the recorder is ready. The number of the run and the length and name of the file
/// follow.
const READY: u8 = b'R';
/// How often the program is told that the recorder is working on an answer.
const WORKING_PERIOD: Duration = Duration::from_millis(200);

/// Records until the program asks to stop, or is gone.
pub(crate) fn serve(options: &Serve) -> Result<i32> {
    let program = std::os::unix::process::parent_id();
    let mut control = UnixStream::from(sys::take_inherited(options.control_fd)?);
    // The program handles Ctrl-C and the end of the terminal; we end when it does.
    sys::new_session();
    sys::forwarded().block();
    sys::ignore_file_size_signal();
    let Begun { recording, run_id, path, ring } = match begin(options) {
        Ok(begun) => begun,
        Err(error) => {
            let mut answer = vec![REFUSED];
            answer.extend_from_slice(format!("{error:#}").as_bytes());
            control.write_all(&answer)?;
            return Ok(1);
        }
    };
    let mut ready = vec![READY];
    ready.extend_from_slice(&run_id.to_le_bytes());
    ready.extend_from_slice(&(path.as_os_str().len() as u32).to_le_bytes());
    ready.extend_from_slice(path.as_os_str().as_bytes());
    let _ = control.write_all(&ready);
    let end = wait(&mut control, program);
    if end == Ending::Abandon || end == Ending::Gone && ring.is_unused() {
        recording.abandon();
        return Ok(0);
    }
    let is_stopped = end == Ending::Stop;
    let health = recording.health();
    let (done, working) = channel::<()>();
    let pulse = control.try_clone()?;
    let pulse_thread = thread::spawn({
        let health = Arc::clone(&health);
        move || pulse_until_done(pulse, &working, &health)
    });
    let summary = recording.finish(End { is_complete: is_stopped, ..End::default() });
    drop(done);
    let _ = pulse_thread.join();
    let mut reason = health.reason();
    if let Some(summary) = &summary {
        if let Some(displaced) = &summary.displaced {
            print_message(displaced);
            reason = reason.or_else(|| (!summary.is_stored).then(|| displaced.clone()));
        }
        for (count, detail) in summary.losses.iter().filter(|_| reason.is_none()) {
            match count {
                Some(_) => print_message(&format!("run {run_id} is not whole: {detail}")),
                None => print_message(detail),
            }
        }
    }
    let is_stored = summary.is_some_and(|summary| summary.is_stored);
    if is_stopped {
        let answer = if is_stored {
            [&[STORED], &run_id.to_le_bytes()[..]].concat()
        } else {
            let reason = reason.unwrap_or_else(|| "a part of the recorder failed".to_owned());
            [&[FAILED], reason.as_bytes()].concat()
        };
        let _ = control.write_all(&answer);
    }
    Ok(i32::from(!is_stored))
}

/// Reports to the program that its answer is on the way, except while another process has locked
/// the database.
fn pulse_until_done(mut control: UnixStream, working: &Receiver<()>, health: &Health) {
    while working.recv_timeout(WORKING_PERIOD) == Err(RecvTimeoutError::Timeout) {
        if !health.is_stalled() && control.write_all(&[WORKING]).is_err() {
            return;
        }
    }
}

struct Begun {
    recording: Recording,
    run_id: i64,
    path: PathBuf,
    ring: Ring,
}

fn begin(options: &Serve) -> Result<Begun> {
    let clock = Clock::start();
    let attach = |fd| ring::attach(&File::from(sys::take_inherited(fd)?));
    let ring = attach(options.ring_fd)?;
    let values = options.values_fd.map(attach).transpose()?;
    let cwd = std::env::current_dir().unwrap_or_default();
    let words: Vec<String> = serde_json::from_str(&options.command).unwrap_or_default();
    let command = serde_json::json!(Secrets::new([USUAL]).without(words)).to_string();
    let about = About { command, cwd, code: None };
    let (run, notice) = Run::obtain(&options.output, &about)?;
    if let Some(notice) = notice {
        print_message(&notice);
    }
    let (run_id, path) = (run.run_id, run.path().to_owned());
    let recording = Recording::start(run, &about, ring, values, clock)?;
    Ok(Begun { recording, run_id, path, ring })
}

/// Why recording ends.
#[derive(PartialEq, Eq)]
enum Ending {
    /// The program asked to stop.
    Stop,
    /// The program could not begin to record.
    Abandon,
    /// The program is gone without a message.
    Gone,
}

/// Waits until the program ends the recording. A child that it forked may hold the socket open
/// after the program is gone, so the process itself is watched too.
fn wait(control: &mut UnixStream, program: u32) -> Ending {
    let watched: Option<OwnedFd> = if program > 1 { sys::watch_process(program) } else { None };
    loop {
        let fds = [Some(control.as_fd()), watched.as_ref().map(AsFd::as_fd)];
        let [has_said, is_gone] = sys::wait_readable(fds, None);
        if has_said {
            let mut byte = [0];
            match control.read(&mut byte) {
                Ok(1) if byte[0] == STOPPED => return Ending::Stop,
                Ok(1) if byte[0] == ABANDONED => return Ending::Abandon,
                Ok(1) => continue,
                _ => return Ending::Gone,
            }
        }
        if is_gone {
            return Ending::Gone;
        }
    }
}
