//! Records the processes that the program starts: each connects to a socket of ours, see
//! [`dashcam_recorder::children`], and is recorded until it ends.

use crate::record::spawn;
use anyhow::{Context, Result};
use dashcam_recorder::boot::REFUSED;
use dashcam_recorder::children::{self, Hello};
use dashcam_recorder::ring::Attached;
use dashcam_recorder::writer::sys;
use dashcam_recorder::writer::{Joiner, NewProcess, ProcessEnd, ProcessRecording};
use dashcam_schema::loss::LossKind;
use dashcam_schema::value::names::Secrets;
use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A process that has connected says at once who it is.
const HELLO_WAIT: Duration = Duration::from_secs(5);
/// How long a process may take to end when the program has ended: Ctrl-C ends all of them at about
/// the same time.
const END_WAIT: Duration = Duration::from_millis(200);
/// How long the exit status of a process is waited for that is gone.
const STATUS_WAIT: Duration = Duration::from_millis(150);
/// How often processes are looked for where the system has no descriptors of processes.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// How often it is checked whether processes have ended once the program has.
const SHORT_WAIT: Duration = Duration::from_millis(5);
/// How many processes up to the program's first are examined to find the one that is recorded.
const ANCESTORS_MAX: usize = 64;

/// The socket before anything is recorded.
pub(crate) struct Socket {
    listener: UnixListener,
    name: String,
}

impl Socket {
    /// Makes a socket whose name nobody can guess.
    ///
    /// # Errors
    /// If the system has no such sockets.
    pub(crate) fn new() -> Result<Socket> {
        let mut random = [0u8; 16];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let listener = UnixListener::bind_addr(&children::address(&name)?)?;
        listener.set_nonblocking(true)?;
        Ok(Socket { listener, name })
    }

    /// The socket's name, for [`Boot::socket`](dashcam_recorder::boot::Boot).
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// What is the same for all processes of a run.
struct Shared {
    joiner: Joiner,
    secrets: Secrets,
    /// The latest process with this id.
    members: Mutex<HashMap<u32, Member>>,
    /// Exit statuses that processes with these ids have sent.
    statuses: Mutex<HashMap<u32, i32>>,
    status_arrived: Condvar,
    /// Why processes were not recorded.
    refusals: Mutex<Vec<String>>,
    /// Can be read when the program has ended.
    ended: UnixStream,
}

/// A process that was recorded, or still is.
struct Member {
    /// Its number in the run.
    number: u32,
    /// Closed when another program is executed in the process.
    _executed: Option<UnixStream>,
}

/// Records processes in threads of their own.
pub(crate) struct Children {
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
    /// Closed when the program has ended.
    end: UnixStream,
}

impl Children {
    /// Begins to record processes that connect to the socket. `pid` is the program's first process.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub(crate) fn start(
        socket: Socket,
        joiner: Joiner,
        pid: u32,
        secrets: Secrets,
    ) -> Result<Children> {
        let (ended, end) = UnixStream::pair()?;
        let shared = Arc::new(Shared {
            joiner,
            secrets,
            members: Mutex::new(HashMap::from([(pid, Member { number: 0, _executed: None })])),
            statuses: Mutex::default(),
            status_arrived: Condvar::new(),
            refusals: Mutex::default(),
            ended,
        });
        let listening = spawn({
            let shared = Arc::clone(&shared);
            move || listen(&socket.listener, &shared)
        })?;
        Ok(Children { shared, listening, end })
    }

    /// Ends when the program has ended: waits until all that its processes have recorded so far is
    /// on its way to the database. Returns why some were not recorded.
    pub(crate) fn finish(self) -> Vec<String> {
        drop(self.end);
        let _ = self.listening.join();
        std::mem::take(&mut *lock(&self.shared.refusals))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts connections until the program and the processes that are recorded have ended.
fn listen(listener: &UnixListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    let mut is_over = false;
    loop {
        let ended = (!is_over).then(|| shared.ended.as_fd());
        let time = is_over.then_some(SHORT_WAIT);
        let [has_ended, _] = sys::wait_readable([ended, Some(listener.as_fd())], time);
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    // No more descriptors: some become free when a process ends.
                    thread::sleep(SHORT_WAIT);
                    break;
                }
            };
            let shared = Arc::clone(shared);
            let handle = move || shared.serve(stream, is_over);
            // Without a thread, the connection ends, and the process runs unrecorded.
            if let Ok(thread) = spawn(handle) {
                threads.push(thread);
            }
        }
        is_over |= has_ended;
        threads.retain(|thread| !thread.is_finished());
        if is_over && threads.is_empty() {
            break;
        }
    }
}

impl Shared {
    /// Records the process at the other end, until it ends or the program has ended. `is_over`: the
    /// program has ended.
    fn serve(&self, stream: UnixStream, is_over: bool) {
        let Ok((pid, true)) = children::peer(&stream) else { return };
        let watched = sys::watch_process(pid);
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_read_timeout(Some(HELLO_WAIT));
        let Ok((hello, files)) = children::receive(&stream) else { return };
        let words = command_of(pid);
        let code = code_of(&words);
        let command = self.secrets.without(words);
        let shown = || command.join(" ");
        let parent = match hello {
            Hello::Join { .. } if is_over => {
                return self.refuse(&shown(), "it began when the program had ended");
            }
            Hello::Join { parent } => parent.unwrap_or_else(|| self.parent(pid)),
            Hello::Refusal(why) => return self.refuse(&shown(), &why),
            Hello::Exit(status) => {
                lock(&self.statuses).insert(pid, status);
                return self.status_arrived.notify_all();
            }
        };
        let process = NewProcess {
            parent,
            pid,
            command: serde_json::json!(command).to_string(),
            cwd: std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default(),
            code,
        };
        let joined = UnixStream::pair()
            .context("no socket")
            .and_then(|executed| Ok((self.join(process, &files)?, executed)));
        drop(files);
        match joined {
            Ok((recording, (executed, at_exec))) => {
                // From an earlier process with this id.
                lock(&self.statuses).remove(&pid);
                let member = Member { number: recording.slot(), _executed: Some(at_exec) };
                let number = member.number;
                lock(&self.members).insert(pid, member);
                self.record(stream, pid, &executed, watched.as_ref(), recording);
                // Its id may be given to another process now.
                let mut members = lock(&self.members);
                if members.get(&pid).is_some_and(|member| member.number == number) {
                    members.remove(&pid);
                }
            }
            Err(error) => self.refuse(&shown(), &format!("{error:#}")),
        }
    }

    fn refuse(&self, command: &str, why: &str) {
        lock(&self.refusals).push(format!("{command} ({why})"));
    }

    fn join(&self, process: NewProcess, files: &[File]) -> Result<ProcessRecording> {
        let [events, values @ ..] = files else { anyhow::bail!("no ring") };
        let events = Attached::new(events)?;
        let values = values.first().map(Attached::new).transpose()?;
        Ok(self.joiner.join(process, events, values)?)
    }

    /// Returns the number of the recorded process that a process descends from.
    fn parent(&self, pid: u32) -> u32 {
        let members = lock(&self.members);
        let mut ancestor = pid;
        for _ in 0..ANCESTORS_MAX {
            // The process itself may have executed another program.
            if let Some(member) = members.get(&ancestor) {
                return member.number;
            }
            match stat(ancestor, PARENT) {
                Some(parent) if parent > 1 => ancestor = parent,
                _ => break,
            }
        }
        0
    }

    /// Records a process until it ends. `executed` can be read when another program was executed in
    /// it, and `watched` when it has ended, if the system has such descriptors.
    fn record(
        &self,
        mut stream: UnixStream,
        pid: u32,
        executed: &UnixStream,
        watched: Option<&OwnedFd>,
        recording: ProcessRecording,
    ) {
        let _ = stream.write_all(&recording.slot().to_le_bytes());
        let _ = stream.set_nonblocking(true);
        // It closes the connection as soon as recording has begun.
        let mut stream = Some(stream);
        let mut said = Vec::new();
        // How long it is waited for once the program has ended.
        let mut deadline: Option<Instant> = None;
        let mut end = loop {
            let ended = deadline.is_none().then_some(&self.ended);
            let fds = [
                watched.map(AsFd::as_fd),
                Some(executed.as_fd()),
                stream.as_ref().map(AsFd::as_fd),
                ended.map(AsFd::as_fd),
            ];
            let time = match deadline {
                Some(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
                None => watched.is_none().then_some(POLL_WAIT),
            };
            let [is_gone, is_replaced, has_said, has_program_ended] = sys::wait_readable(fds, time);
            if has_said
                && let Some(open) = &mut stream
                && is_at_end(open, &mut said)
            {
                stream = None;
            }
            if is_gone || watched.is_none() && stat(pid, PARENT).is_none() {
                break self.end_of(pid);
            }
            if is_replaced {
                break ProcessEnd::default();
            }
            if has_program_ended {
                deadline = Some(Instant::now() + END_WAIT);
            } else if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                // It goes on, and nobody records it any more.
                let losses = vec![(LossKind::Outlived, 1, String::new())];
                break ProcessEnd { losses, ..ProcessEnd::default() };
            }
        };
        if let Some(why) = said.strip_prefix(&[REFUSED]) {
            let why = String::from_utf8_lossy(why).trim_end().to_owned();
            end.losses.push((LossKind::ChildNotRecorded, 1, why));
        }
        recording.finish(end);
    }

    /// How a process ended that is gone.
    fn end_of(&self, pid: u32) -> ProcessEnd {
        // If its parent has not asked for it yet, the system still knows how it ended.
        let status = stat(pid, EXIT_STATUS);
        if let Some(signal) = status.map(|status| status & 0x7f).filter(|signal| *signal > 0) {
            return ProcessEnd { exit_signal: Some(signal as i32), ..ProcessEnd::default() };
        }
        // Another thread may be receiving what it has sent.
        let statuses = lock(&self.statuses);
        let waited = self
            .status_arrived
            .wait_timeout_while(statuses, STATUS_WAIT, |statuses| !statuses.contains_key(&pid));
        let (mut statuses, _) = waited.unwrap_or_else(PoisonError::into_inner);
        ProcessEnd { exit_code: statuses.remove(&pid), ..ProcessEnd::default() }
    }
}

/// Reads what there is. Whether the other end is closed.
fn is_at_end(stream: &mut UnixStream, said: &mut Vec<u8>) -> bool {
    match stream.read_to_end(said) {
        Err(error) => error.kind() != ErrorKind::WouldBlock,
        Ok(_) => true,
    }
}

/// The words of a process' command line.
fn command_of(pid: u32) -> Vec<String> {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = words.strip_suffix(b"\0").unwrap_or(&words);
    words.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// The argument of `-c` in the command line of a Python.
fn code_of(words: &[String]) -> Option<String> {
    let mut words = words.iter().skip(1);
    while let Some(flags) = words.next().and_then(|word| word.strip_prefix('-')) {
        match flags.char_indices().find(|(_, flag)| "cmWX-".contains(*flag)) {
            Some((at, 'c')) if at + 1 < flags.len() => return Some(flags[at + 1..].to_owned()),
            Some((_, 'c')) => return words.next().cloned(),
            Some((_, 'm')) => return None,
            // Their value may be the next word. The only long option with one is followed by it.
            Some((at, 'W' | 'X')) if at + 1 == flags.len() => _ = words.next(),
            Some((0, '-')) if flags == "-check-hash-based-pycs" => _ = words.next(),
            _ => {}
        }
    }
    None
}

/// Columns of `/proc/PID/stat` after the program's name.
const PARENT: usize = 1;
const EXIT_STATUS: usize = 49;

/// Returns a column of what the system says about a process.
fn stat(pid: u32, column: usize) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses, and may contain any character.
    text.rsplit_once(')')?.1.split_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_command_line_is_found() {
        let code = |line: &str| code_of(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(code("python -c pass x").as_deref(), Some("pass"));
        assert_eq!(code("python -Ic pass").as_deref(), Some("pass"));
        assert_eq!(code("python -X dev -W error -cpass").as_deref(), Some("pass"));
        assert_eq!(code("python -m x -c pass"), None);
        assert_eq!(code("python x.py -c pass"), None);
        assert_eq!(code("python"), None);
    }

    #[test]
    fn the_system_knows_this_process() {
        let own = std::process::id();
        assert_eq!(stat(own, PARENT), Some(std::os::unix::process::parent_id()));
        assert_eq!(stat(own, EXIT_STATUS), Some(0));
        assert!(!command_of(own).is_empty());
    }
}
