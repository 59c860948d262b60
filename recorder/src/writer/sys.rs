//! The few system calls std has no name for. All of the writer's `unsafe` is here.

use std::io::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// CLOCK_MONOTONIC in nanoseconds.
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// CPU time this process has used, in nanoseconds.
pub fn process_cpu_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: as above.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The processor's time stamp counter; 0 where the shim would not use one either.
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and Linux leaves it to user code.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}

/// Name of this machine.
pub fn hostname() -> String {
    let mut name = [0u8; 256];
    // SAFETY: the buffer is as long as we say, less the NUL that stays.
    unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&name[..end]).into_owned()
}

/// A copy of a descriptor with a number out of the way of the program's own.
///
/// # Errors
/// If the process may have no more descriptors.
pub fn duplicate_high(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut error = None;
    // A small RLIMIT_NOFILE rules the higher numbers out.
    for at_least in [200, 100, 50, 10, 3] {
        // SAFETY: plain system call on an open descriptor.
        let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, at_least) };
        if copy >= 0 {
            // SAFETY: the kernel just gave us this descriptor.
            return Ok(unsafe { OwnedFd::from_raw_fd(copy) });
        }
        error = Some(Error::last_os_error());
    }
    Err(error.unwrap_or_else(|| Error::other("no descriptor")))
}

/// Lets the program that is executed next in this process have a descriptor. For use between
/// fork and exec: a plain system call.
///
/// # Errors
/// If it is not open.
pub fn inherit(fd: RawFd) -> Result<()> {
    // SAFETY: plain system call; a number that is not open is an error.
    match unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

/// Takes over a descriptor this process was started with.
///
/// # Errors
/// If no such descriptor is open.
pub fn take_inherited(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: plain system call; a number that is not open is an error.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: it is open, and only the command line that named it knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor that becomes readable when the process ends; `None` on kernels without.
pub fn watch_process(pid: u32) -> Option<OwnedFd> {
    // SAFETY: plain system call.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    // SAFETY: the kernel just gave us this descriptor.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Waits until one of the descriptors can be read or has been hung up. True for those.
pub fn wait_readable(fds: &[BorrowedFd<'_>]) -> Vec<bool> {
    let mut polled: Vec<libc::pollfd> = fds
        .iter()
        .map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    // SAFETY: the pointer and the length are the vector's.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
    polled.iter().map(|fd| fd.revents != 0).collect()
}

/// Makes this process the leader of a session of its own.
pub fn new_session() {
    // SAFETY: plain system call; it fails only for a process that already is one.
    unsafe { libc::setsid() };
}

/// A set of signals.
#[derive(Clone, Copy)]
pub struct Signals(libc::sigset_t);

/// A signal that arrived, and from where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrived {
    pub signal: i32,
    /// Sent by the kernel, such as for a key of the terminal: the whole foreground process group
    /// has it, not only this process.
    pub by_kernel: bool,
}

impl Signals {
    /// The set of these.
    pub fn of(signals: impl IntoIterator<Item = i32>) -> Signals {
        // SAFETY: sigemptyset initialises the set; sigaddset takes any number and refuses bad ones.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            signals.into_iter().for_each(|signal| {
                libc::sigaddset(&mut set, signal);
            });
            Signals(set)
        }
    }

    /// Blocks these in this thread and the threads it starts, and returns what was blocked before.
    pub fn block(&self) -> Signals {
        let mut before = *self;
        // SAFETY: both sets are initialised.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &self.0, &mut before.0) };
        before
    }

    /// Blocks exactly these in this thread. Safe between fork and exec.
    pub fn restore(&self) {
        // SAFETY: the set is initialised; async-signal-safe.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }

    /// Waits for one of these, which must be blocked in all threads.
    pub fn wait(&self) -> Option<Arrived> {
        // SAFETY: the set is initialised, and siginfo_t is plain data the kernel fills.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let signal = libc::sigwaitinfo(&self.0, &mut info);
            (signal > 0).then_some(Arrived { signal, by_kernel: info.si_code == SI_KERNEL })
        }
    }
}

const SI_KERNEL: i32 = 0x80;

/// The signals a user may send to the recorder and mean the program by. Not those that only the
/// kernel sends for a fault, not SIGKILL and SIGSTOP, and not SIGTTIN and SIGTTOU, which stop the
/// whole process group as they should.
pub fn forwarded() -> Signals {
    let named = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGWINCH,
        libc::SIGCONT,
        libc::SIGTSTP,
        libc::SIGURG,
        libc::SIGIO,
        libc::SIGPWR,
    ];
    Signals::of(named.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()))
}

/// Sends a signal to a process.
pub fn send_signal(pid: u32, signal: i32) {
    // SAFETY: plain system call.
    unsafe { libc::kill(pid as libc::pid_t, signal) };
}

/// Stops this process until it is continued, as Ctrl-Z does.
pub fn stop_self() {
    // SAFETY: plain system call.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// What became of a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Stopped(i32),
    Exited(i32),
    Killed(i32),
}

impl Fate {
    /// As a shell has it in `$?`.
    pub fn status(self) -> i32 {
        match self {
            Fate::Killed(signal) => 128 + signal,
            Fate::Exited(code) | Fate::Stopped(code) => code,
        }
    }
}

/// Waits until a child stops or ends.
///
/// # Errors
/// If there is no such child.
pub fn wait_child(pid: u32) -> Result<Fate> {
    loop {
        let mut status = 0;
        // SAFETY: the pointer is to an int of ours.
        let waited = unsafe { libc::waitpid(pid as libc::pid_t, &mut status, libc::WUNTRACED) };
        if waited > 0 {
            return Ok(if libc::WIFSTOPPED(status) {
                Fate::Stopped(libc::WSTOPSIG(status))
            } else if libc::WIFSIGNALED(status) {
                Fate::Killed(libc::WTERMSIG(status))
            } else {
                Fate::Exited(libc::WEXITSTATUS(status))
            });
        }
        let error = Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Runs `before` in the child between fork and exec.
pub fn before_exec(
    command: &mut std::process::Command,
    before: impl FnMut() -> Result<()> + Send + Sync + 'static,
) {
    use std::os::unix::process::CommandExt;
    // SAFETY: the two callers' closures make plain system calls ([`inherit`], [`Signals::restore`])
    // and allocate nothing.
    unsafe { command.pre_exec(before) };
}

/// The signal of Ctrl-Z.
pub const STOP_KEY: i32 = libc::SIGTSTP;

/// What was done about a signal before this process changed it.
#[derive(Clone, Copy)]
pub struct Disposition {
    signal: i32,
    handler: libc::sighandler_t,
}

impl Disposition {
    /// As it was. Safe between fork and exec.
    pub fn restore(&self) {
        // SAFETY: the handler is what `signal` gave us: default or ignore, no function of ours.
        unsafe { libc::signal(self.signal, self.handler) };
    }
}

/// A file that may not grow any more shall be an error, not our death.
pub fn ignore_file_size_signal() -> Disposition {
    // SAFETY: SIG_IGN is no code.
    let handler = unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    Disposition { signal: libc::SIGXFSZ, handler }
}

/// Lets go of standard input and output.
pub fn leave_standard_streams() {
    let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") else {
        return;
    };
    for stream in [0, 1] {
        // SAFETY: plain system call on a descriptor we hold; nothing of ours reads or prints.
        unsafe { libc::dup2(null.as_raw_fd(), stream) };
    }
}

/// Makes the calling thread step back for the program where they want the same core. Should it fall
/// behind for that, the program waits for room in the ring, which gives the core back.
pub fn give_way() {
    const NICE: libc::c_int = 10;
    // SAFETY: plain system call; on Linux it is of the calling thread alone. It never fails to lower
    // the priority.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}
