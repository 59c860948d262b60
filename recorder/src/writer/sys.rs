//! The few system calls that std does not offer. All of the writer's `unsafe` is here.

use std::ffi::{CString, OsStr};
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU32, Ordering};

/// CLOCK_MONOTONIC in nanoseconds.
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to our own `timespec`; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The CPU time that this process has used, in nanoseconds.
pub fn process_cpu_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: as above.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The processor's time stamp counter; 0 on processors where the shim does not use one either.
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and Linux lets user code execute it.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}

/// The name of this machine.
pub fn hostname() -> String {
    let mut name = [0u8; 256];
    // SAFETY: the buffer is one byte longer than the length passed; that byte stays NUL.
    unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&name[..end]).into_owned()
}

/// Returns a copy of a descriptor whose number does not get in the way of the program's own.
///
/// # Errors
/// If the process may not open more descriptors.
pub fn duplicate_high(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut error = None;
    for at_least in crate::boot::HIGH_FDS {
        // SAFETY: plain system call on an open descriptor.
        let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, at_least) };
        if copy >= 0 {
            // SAFETY: the kernel just returned this descriptor; no other object owns it.
            return Ok(unsafe { OwnedFd::from_raw_fd(copy) });
        }
        error = Some(Error::last_os_error());
    }
    Err(error.unwrap_or_else(|| Error::other("no descriptor")))
}

/// Lets the program that is executed next in this process inherit a descriptor. It may be called
/// between fork and exec, because it is a plain system call.
///
/// # Errors
/// If the descriptor is not open.
pub fn inherit(fd: RawFd) -> Result<()> {
    // SAFETY: plain system call; for a number that is not open, it fails.
    match unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

/// Takes over a descriptor that this process was started with.
///
/// # Errors
/// If no such descriptor is open.
pub fn take_inherited(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: plain system call; for a number that is not open, it fails.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: it is open, and only the command line refers to it, so no other object owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Returns a descriptor that becomes readable when the process ends; `None` on kernels that have no
/// such descriptors.
pub fn watch_process(pid: u32) -> Option<OwnedFd> {
    // SAFETY: plain system call.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    // SAFETY: the kernel just returned this descriptor; no other object owns it.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Waits until at least one of the descriptors can be read or has been hung up, or until the time is
/// over. Returns for each whether that is so.
pub fn wait_readable<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    time: Option<std::time::Duration>,
) -> [bool; N] {
    // The system skips negative numbers.
    let number = |fd: Option<BorrowedFd<'_>>| fd.map_or(-1, |fd| fd.as_raw_fd());
    let mut polled =
        fds.map(|fd| libc::pollfd { fd: number(fd), events: libc::POLLIN, revents: 0 });
    // Rounded up, so that no time is left when this returns.
    let ms = time.map_or(-1, |time| time.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32);
    // SAFETY: the pointer and the length are the array's.
    unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, ms) };
    polled.map(|fd| fd.revents != 0)
}

/// The inode number of an open file, which no other file has while it is open.
///
/// # Errors
/// If the system does not return it.
pub fn inode(fd: BorrowedFd<'_>) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::File::from(fd.try_clone_to_owned()?);
    Ok(file.metadata()?.ino())
}

/// Sets a variable of the environment. Unlike setting it for a command only, this keeps the order
/// of the other variables. It may only be called while there is one thread.
///
/// # Errors
/// If the value contains a NUL.
pub fn set_variable(name: &str, value: &OsStr) -> Result<()> {
    let (name, value) = (CString::new(name)?, CString::new(value.as_bytes())?);
    // SAFETY: the arguments are C strings, and no other thread reads the environment meanwhile: the
    // recorder's threads are started later.
    unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) };
    Ok(())
}

/// Lets this process have as many open files as the system allows it.
pub fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to our own `rlimit`. If a call fails, the limit stays as it is.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// Makes this process the leader of a session of its own.
pub fn new_session() {
    // SAFETY: plain system call; it fails only for a process that already is one.
    unsafe { libc::setsid() };
}

/// A set of signals.
#[derive(Clone, Copy)]
pub struct Signals(libc::sigset_t);

/// A signal that arrived, and its sender.
pub struct Arrived {
    pub signal: i32,
    /// Sent by the kernel, for example for a key of the terminal: the whole foreground process
    /// group received it, not only this process.
    pub by_kernel: bool,
    /// Sent by our own helper, because the program is no longer stopped.
    pub by_watcher: bool,
    /// All its data, if it was sent by `sigqueue`.
    queued: Option<libc::siginfo_t>,
}

impl Signals {
    /// Returns the set of these signals.
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

    /// Blocks these signals in this thread and the threads it starts. Returns the signals that were
    /// blocked before.
    pub fn block(&self) -> Signals {
        let mut before = *self;
        // SAFETY: both sets are initialised.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &self.0, &mut before.0) };
        before
    }

    /// Blocks exactly these signals in this thread. It may be called between fork and exec.
    pub fn restore(&self) {
        // SAFETY: the set is initialised; async-signal-safe.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }

    /// Waits for one of these signals, which must be blocked in all threads.
    pub fn wait(&self) -> Option<Arrived> {
        // SAFETY: the set is initialised, and siginfo_t is plain data the kernel fills.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let signal = libc::sigwaitinfo(&self.0, &mut info);
            let is_queued = info.si_code == libc::SI_QUEUE;
            (signal > 0).then(|| Arrived {
                signal,
                by_kernel: info.si_code == SI_KERNEL,
                by_watcher: is_queued && info.si_value().sival_ptr.addr() == BY_WATCHER,
                queued: is_queued.then_some(info),
            })
        }
    }

    /// The signals of this set that have been sent to this process, have not been handled, and are
    /// not ignored.
    pub fn pending(&self) -> impl Iterator<Item = i32> {
        let own = self.0;
        // SAFETY: the set is initialised.
        let is_own = move |signal| unsafe { libc::sigismember(&own, signal) == 1 };
        (1..=libc::SIGRTMAX())
            .filter(move |signal| is_own(*signal) && is_pending(*signal) && !is_ignored(*signal))
    }
}

/// Whether a signal that is blocked has been sent to this process.
fn is_pending(signal: i32) -> bool {
    // SAFETY: an empty set is a set; sigpending fills it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigpending(&mut set);
        libc::sigismember(&set, signal) == 1
    }
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: plain data that the system fills.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action);
        action.sa_sigaction == libc::SIG_IGN
    }
}

const SI_KERNEL: i32 = 0x80;
/// The value that [`watch_stopped`] sends with the signal that continues the recorder.
const BY_WATCHER: usize = 0x6473_6863;

/// The signals that a user may send to the recorder and that are meant for the program. Signals
/// that only the kernel sends, for a fault, are not among them, nor are SIGKILL and SIGSTOP.
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

/// The signals by which a terminal stops background processes that use it. If they stop the
/// program, we stop too.
pub fn terminal_stops() -> Signals {
    Signals::of([libc::SIGTTIN, libc::SIGTTOU])
}

/// Passes a signal on to a process. A process given as a descriptor ([`watch_process`]) stays the
/// same one even after it was waited for, when its number may belong to another process.
pub fn send_signal(pid: u32, process: Option<&OwnedFd>, arrived: &Arrived) {
    let info = arrived.queued.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: plain system calls; the kernel copies the info, if there is one.
    unsafe {
        match process.map(AsRawFd::as_raw_fd) {
            Some(fd) => libc::syscall(libc::SYS_pidfd_send_signal, fd, arrived.signal, info, 0),
            None => libc::kill(pid as libc::pid_t, arrived.signal).into(),
        };
    }
}

/// The signal that is sent when the terminal is gone.
pub const HANG_UP: i32 = libc::SIGHUP;

/// Whether the signal ends a process that does not handle or ignore it.
pub fn ends_by_default(signal: i32) -> bool {
    ![libc::SIGWINCH, libc::SIGCONT, libc::SIGTSTP, libc::SIGURG].contains(&signal)
}

/// Whether this process leads its session, so that only it is sent a hang-up of the terminal.
pub fn leads_session() -> bool {
    // SAFETY: plain system calls.
    unsafe { libc::getsid(0) == libc::getpid() }
}

/// Ends this process by the signal that ended the program. It returns if that is impossible: the
/// first process of a container is not ended by its own signals.
pub fn die_of(signal: i32) {
    let nothing = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain system calls; the default action does not run any code of ours.
    unsafe {
        // No core dump of ours: the program's is the interesting one.
        libc::setrlimit(libc::RLIMIT_CORE, &nothing);
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
        let set = Signals::of([signal]).0;
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
    }
}

/// Stops this process by the signal that stopped the program, until either is continued. The
/// process that started us sees us stop. Only one thread at a time may call this, with the signal
/// blocked in all threads.
pub fn stop_with(signal: i32, program: u32) {
    if !is_stopped(program) {
        return;
    }
    let own = std::process::id();
    // While we are stopped we do not notice that the program goes on, so a helper process watches
    // it.
    // SAFETY: the child makes only system calls, and ends.
    let watcher = unsafe { fork_helper() };
    if watcher == 0 {
        watch_stopped(program, own);
    }
    // A signal to the group may have stopped this process too until just now.
    if !is_stopped(program) {
        return end_helper(watcher);
    }
    // SAFETY: the default action does not run any code of ours; only this thread has the signal
    // unblocked.
    unsafe {
        if signal == libc::SIGSTOP {
            libc::raise(signal);
        } else {
            libc::signal(signal, libc::SIG_DFL);
            // If the signal is pending twice, for the process and for the thread, it still stops us
            // only once: the signal that continues us clears the second one.
            libc::raise(signal);
            let set = Signals::of([signal]).0;
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        }
    }
    end_helper(watcher);
}

/// Runs in a process of its own: continues the recorder when the recorder is stopped and the
/// program no longer is. The recorder ends this process when it goes on. A running recorder is sent
/// nothing, because SIGCONT would cancel a stop signal that it has not handled yet.
fn watch_stopped(program: u32, recorder: u32) -> ! {
    // SAFETY: plain system calls. A group of its own is not stopped with ours.
    unsafe {
        libc::setpgid(0, 0);
        loop {
            // The program is checked again: a signal to the group stops the program first.
            if !is_stopped(program) && is_stopped(recorder) && !is_stopped(program) {
                let sival_ptr = std::ptr::without_provenance_mut(BY_WATCHER);
                let value = libc::sigval { sival_ptr };
                libc::sigqueue(recorder as libc::pid_t, libc::SIGCONT, value);
            }
            let nap = libc::timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            libc::nanosleep(&nap, std::ptr::null_mut());
        }
    }
}

/// Whether a process is stopped by a signal. Allocates nothing.
fn is_stopped(pid: u32) -> bool {
    let mut text = [0; 512];
    let text = read_about(pid, "stat", &mut text);
    // `pid (name) S …`, and the name may be anything.
    let state = text.iter().rposition(|byte| *byte == b')').and_then(|end| text.get(end + 2));
    state == Some(&b'T')
}

/// Reads the beginning of a file of `/proc/PID`. Allocates nothing.
fn read_about<'a>(pid: u32, file: &str, buffer: &'a mut [u8]) -> &'a [u8] {
    let mut path = [0u8; 64];
    let mut rest = &mut path[..63];
    let named = std::io::Write::write_fmt(&mut rest, format_args!("/proc/{pid}/{file}"));
    // SAFETY: the path ends in a NUL that nothing overwrites; the buffer has the length that is
    // passed.
    unsafe {
        let fd = libc::open(path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC);
        if named.is_err() || fd < 0 {
            return &[];
        }
        let count = libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len());
        libc::close(fd);
        &buffer[..count.max(0) as usize]
    }
}

/// Forks a process that ends with this thread, has every signal blocked and no open files. Returns
/// its id; 0 in the new process.
///
/// # Safety
/// The child may only make system calls, and must not return from the caller.
unsafe fn fork_helper() -> libc::pid_t {
    // SAFETY: plain system calls; the sets are initialised before they are used.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, &mut before);
        let parent = libc::getpid();
        let child = libc::fork();
        if child == 0 {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            if libc::getppid() != parent {
                libc::_exit(0);
            }
            // A process that waits until the other end of one of our files is closed must not wait
            // for this process.
            if libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) != 0 {
                (0..1024).for_each(|fd| {
                    libc::close(fd);
                });
            }
        } else {
            libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        }
        child
    }
}

fn end_helper(pid: libc::pid_t) {
    if pid > 0 {
        // SAFETY: plain system calls; no other code waits for this child.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            libc::waitpid(pid, std::ptr::null_mut(), 0);
        }
    }
}

/// A process in our group that does nothing but exist. A signal that is sent to the whole group is
/// pending there too, so the program has already received it. A signal that is not pending there
/// was sent to us alone.
pub struct Witness {
    pid: libc::pid_t,
    /// Signals that were pending in a previous witness and have not been queried yet.
    seen: u64,
}

impl Witness {
    /// Starts a witness. This must be called by the thread that queries it; that thread must live
    /// as long as the process.
    #[allow(clippy::new_without_default, reason = "it starts a process")]
    pub fn new() -> Witness {
        // SAFETY: the child makes only system calls, and never goes on.
        let pid = unsafe { fork_helper() };
        if pid == 0 {
            loop {
                // SAFETY: plain system call.
                unsafe { libc::pause() };
            }
        }
        Witness { pid, seen: 0 }
    }

    /// Whether a signal that this process received was sent to the group. If so, the witness
    /// forgets it, for the next time.
    pub fn has_seen(&mut self, signal: i32) -> bool {
        let bit = |signal: i32| 1u64 << (signal - 1);
        // The system cancels a pending stop signal when a continue signal is sent, and vice versa.
        let cancelled = |by: i32| match by {
            libc::SIGTSTP => Some(libc::SIGCONT),
            libc::SIGCONT => Some(libc::SIGTSTP),
            _ => None,
        };
        let new = self.pending();
        let mut seen = self.seen | new;
        for by in [libc::SIGTSTP, libc::SIGCONT].into_iter().filter(|by| new & bit(*by) != 0) {
            seen &= !cancelled(by).map_or(0, bit);
        }
        let mut forgotten = bit(signal);
        if let Some(opposite) = cancelled(signal).filter(|opposite| seen & bit(*opposite) != 0) {
            if is_pending(opposite) {
                // `opposite` was sent to the group after `signal`, and cancelled `signal` there.
                return true;
            }
            // `signal` cancelled `opposite` in this process only.
            forgotten |= bit(opposite);
        }
        if seen & forgotten != 0 {
            end_helper(self.pid);
            *self = Witness { seen: seen & !forgotten, ..Witness::new() };
        }
        seen & bit(signal) != 0
    }

    /// The signals that are pending in the witness: bit n stands for signal n + 1.
    fn pending(&self) -> u64 {
        let mut text = [0; 4096];
        let text = read_about(self.pid.max(0) as u32, "status", &mut text);
        std::str::from_utf8(text)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.strip_prefix("ShdPnd:"))
            .find_map(|set| u64::from_str_radix(set.trim(), 16).ok())
            .unwrap_or(0)
    }
}

/// How a child stopped or ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Stopped(i32),
    Exited(i32),
    Killed(i32),
}

/// Waits until a child stops or ends.
///
/// # Errors
/// If there is no such child.
pub fn wait_child(pid: u32) -> Result<Fate> {
    loop {
        let mut status = 0;
        // SAFETY: the pointer is to our own int.
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
    // SAFETY: the callers' closures only make plain system calls ([`inherit`],
    // [`Signals::restore`], [`Disposition::restore`]) and allocate nothing.
    unsafe { command.pre_exec(before) };
}

/// How this process handled a signal before it changed that.
#[derive(Clone, Copy)]
pub struct Disposition {
    signal: i32,
    handler: libc::sighandler_t,
}

impl Disposition {
    /// Restores the earlier handling. It may be called between fork and exec.
    pub fn restore(&self) {
        // SAFETY: the handler is a return value of `signal`: default or ignore, not a function of
        // ours.
        unsafe { libc::signal(self.signal, self.handler) };
    }
}

/// 1 if this process ignored SIGPIPE before Rust set it to be ignored.
static BROKEN_PIPE: AtomicU32 = AtomicU32::new(0);

/// Reads the handling of SIGPIPE before Rust's own initialisation.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;

extern "C" fn at_load() {
    BROKEN_PIPE.store(is_ignored(libc::SIGPIPE).into(), Ordering::Relaxed);
}

/// How this process handled SIGPIPE when it was started.
pub fn broken_pipe_signal() -> Disposition {
    let is_ignored = BROKEN_PIPE.load(Ordering::Relaxed) != 0;
    let handler = if is_ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    Disposition { signal: libc::SIGPIPE, handler }
}

/// Ignores SIGXFSZ, so that a file that may not grow any more is an error and does not end us.
/// Returns the earlier handling.
pub fn ignore_file_size_signal() -> Disposition {
    // SAFETY: SIG_IGN is not a handler function.
    let handler = unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    Disposition { signal: libc::SIGXFSZ, handler }
}

/// Sets SIGCHLD to its default, so that children can be waited for: where the signal is ignored,
/// the system forgets how children ended. Returns the earlier handling.
pub fn expect_child_signal() -> Disposition {
    // SAFETY: SIG_DFL is not a handler function.
    let handler = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    Disposition { signal: libc::SIGCHLD, handler }
}

/// Replaces standard input and output by `/dev/null`.
pub fn leave_standard_streams() {
    let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") else {
        return;
    };
    for stream in [0, 1] {
        // SAFETY: plain system call on a descriptor that we hold; none of our code reads standard
        // input or prints to standard output.
        unsafe { libc::dup2(null.as_raw_fd(), stream) };
    }
}

/// The number of bytes of address space that this process may have, if there is a limit
/// (`ulimit -v`).
pub fn limit_of_address_space() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
    // SAFETY: the pointer is to our own `rlimit`.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) };
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Whether `bytes` bytes of address space are available. If address space is limited, this also
/// makes the C library reserve none for each thread.
pub fn has_address_space(bytes: usize) -> bool {
    #[cfg(target_env = "gnu")]
    if limit_of_address_space().is_some() {
        // SAFETY: sets a number, before other threads allocate.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
    // SAFETY: a fresh mapping that is never accessed, and is unmapped at once.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let region = libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0);
        region != libc::MAP_FAILED && libc::munmap(region, bytes) == 0
    }
}

/// Lowers the priority of the calling thread, so that the program comes first where both want the
/// same core. If the thread falls behind for that reason, the program waits for room in the ring,
/// which frees the core.
pub fn give_way() {
    const NICE: libc::c_int = 10;
    // SAFETY: plain system call; on Linux it affects only the calling thread. Lowering the priority
    // never fails.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}
