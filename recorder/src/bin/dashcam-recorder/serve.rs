//! The recorder behind `dashcam.record()`: the program made the ring and started us.

use crate::args::Serve;
use crate::say;
use anyhow::Result;
use dashcam_recorder::boot::{REFUSED, STOPPED, STORED};
use dashcam_recorder::ring;
use dashcam_recorder::writer::sys;
use dashcam_recorder::writer::{About, Clock, Database, End, Recording, Run};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Sent when the recorder may be relied on.
const READY: u8 = b'R';

/// Records until the program says stop, or is no more.
pub(crate) fn serve(options: &Serve) -> Result<i32> {
    let program = std::os::unix::process::parent_id();
    let mut control = UnixStream::from(sys::take_inherited(options.control_fd)?);
    // Ctrl-C and the terminal's end are the program's business; we end when it does.
    sys::new_session();
    sys::forwarded().block();
    sys::ignore_file_size_signal();
    let (recording, run_id) = match begin(options) {
        Ok(begun) => begun,
        Err(error) => {
            let mut answer = vec![REFUSED];
            answer.extend_from_slice(format!("{error:#}").as_bytes());
            control.write_all(&answer)?;
            return Ok(1);
        }
    };
    let _ = control.write_all(&[READY]);
    let is_stopped = wait(&mut control, program);
    let Some(summary) = recording.finish(End { is_complete: is_stopped, ..End::default() }) else {
        return Ok(1);
    };
    for (_, detail) in &summary.losses {
        say(&format!("run {run_id} is not whole: {detail}"));
    }
    if !summary.is_stored {
        return Ok(1);
    }
    if is_stopped {
        let mut answer = vec![STORED];
        answer.extend_from_slice(&run_id.to_le_bytes());
        let _ = control.write_all(&answer);
    }
    Ok(0)
}

fn begin(options: &Serve) -> Result<(Recording, i64)> {
    let clock = Clock::start();
    let attach = |fd| ring::attach(&File::from(sys::take_inherited(fd)?));
    let ring = attach(options.ring_fd)?;
    let values = options.values_fd.map(attach).transpose()?;
    let cwd = std::env::current_dir().unwrap_or_default();
    let about = About { command: options.command.clone(), cwd, code: None };
    let run = Run::begin(Database::open(&options.output)?, &about)?;
    let run_id = run.run_id;
    Ok((Recording::start(run, &about, ring, values, clock)?, run_id))
}

/// True when the program says stop; false when it has gone without a word. A child it forked may
/// hold the socket open after it, so the process itself is watched too.
fn wait(control: &mut UnixStream, program: u32) -> bool {
    let watched: Option<OwnedFd> = if program > 1 { sys::watch_process(program) } else { None };
    loop {
        let mut fds = vec![control.as_fd()];
        fds.extend(watched.as_ref().map(AsFd::as_fd));
        let ready = sys::wait_readable(&fds);
        if ready[0] {
            let mut byte = [0];
            match control.read(&mut byte) {
                Ok(1) if byte[0] == STOPPED => return true,
                Ok(1) => continue,
                _ => return false,
            }
        }
        if ready.get(1) == Some(&true) {
            return false;
        }
    }
}
