//! How a process that the recorded program starts joins its recording.
//!
//! The recorder process listens at a socket with an abstract name, which no file system and no
//! other network namespace knows. A Python that starts anywhere below the program connects, and
//! passes the memory it will write records to:
//!
//! ```text
//! child ─▶ recorder   Hello, with the descriptors of its rings
//! child ◀─ recorder   the child's number in the run, or the end of the stream: not recorded
//! ```
//!
//! When recording has begun, the child closes the connection: it must not have a descriptor that it
//! would not have without us. If it cannot begin after all, it sends the reason as the program's
//! first process does ([`boot`](crate::boot)). When it ends with an exit status, it connects again
//! to send that, because the recorder is not its parent and cannot ask the system. Each side accepts
//! the other only if it belongs to the same user.

pub mod wire;

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use wire::{EXIT, HEADER, JOIN, NO_PARENT, REASON_MAX, VERSION};

/// The most descriptors that come with one message.
const FDS_MAX: usize = 2;

/// What a process says when it has connected.
///
/// The bytes are `VERSION parent kind number reason`: one, four, one, four and the rest, in little
/// endian. The kind is 0, and the number the length of the reason; or it is 1, and the number is
/// the exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hello {
    /// It joins. `parent` is the number of the process that forked it; `None` if another program
    /// was executed, so that this is not known here.
    Join { parent: Option<u32> },
    /// It cannot be recorded, for this reason.
    Refusal(String),
    /// It is about to end with this status.
    Exit(i32),
}

impl Hello {
    fn to_bytes(&self) -> Vec<u8> {
        let (parent, reason) = match self {
            Hello::Join { parent } => (parent.unwrap_or(NO_PARENT), &[][..]),
            Hello::Refusal(reason) => (NO_PARENT, reason.as_bytes()),
            Hello::Exit(status) => return wire::header(0, EXIT, status.cast_unsigned()).to_vec(),
        };
        let reason = &reason[..reason.len().min(REASON_MAX)];
        [&wire::header(parent, JOIN, reason.len() as u32)[..], reason].concat()
    }
}

/// Returns the address of a recorder's socket.
///
/// # Errors
/// If the name is too long.
pub fn address(name: &str) -> Result<SocketAddr> {
    SocketAddr::from_abstract_name([wire::PREFIX, name.as_bytes()].concat())
}

/// Sends a greeting with the rings' descriptors.
///
/// # Errors
/// If the recorder is gone.
pub fn greet(stream: &UnixStream, hello: &Hello, fds: &[RawFd]) -> Result<()> {
    assert!(fds.len() <= FDS_MAX);
    let bytes = hello.to_bytes();
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Ancillary([0; 64]);
    // SAFETY: plain data that is filled below.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    if !fds.is_empty() {
        let length = size_of_val(fds) as u32;
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: `Ancillary` has room for one header and `FDS_MAX` descriptors, and is aligned for
        // the header.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(length) as _;
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(length) as _;
            let data = libc::CMSG_DATA(header).cast::<RawFd>();
            for (at, fd) in fds.iter().enumerate() {
                data.add(at).write_unaligned(*fd);
            }
        }
    }
    // SAFETY: all parts of the message live until the call returns.
    let sent = unsafe { libc::sendmsg(stream.as_raw_fd(), &message, libc::MSG_NOSIGNAL) };
    match usize::try_from(sent) {
        // So few bytes are sent at once or not at all.
        Ok(sent) if sent == bytes.len() => Ok(()),
        Ok(_) => Err(ErrorKind::WriteZero.into()),
        Err(_) => Err(Error::last_os_error()),
    }
}

/// Receives a greeting and the descriptors that came with it. Waits as long as the stream's timeout
/// says.
///
/// # Errors
/// If it is no greeting of this version of dashcam.
pub fn receive(mut stream: &UnixStream) -> Result<(Hello, Vec<File>)> {
    let mut header = [0u8; HEADER];
    let mut part = libc::iovec { iov_base: header.as_mut_ptr().cast(), iov_len: HEADER };
    let mut control = Ancillary([0; 64]);
    // SAFETY: plain data that is filled below.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Ancillary>() as _;
    // SAFETY: all parts of the message live until the call returns, and have the lengths that are
    // passed.
    let received =
        unsafe { libc::recvmsg(stream.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC) };
    let received = usize::try_from(received).map_err(|_| Error::last_os_error())?;
    let mut files = Vec::new();
    // SAFETY: the kernel filled the message; the macros stay within `control`.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(&message);
        while let Some(header) = next.as_ref() {
            if header.cmsg_level == libc::SOL_SOCKET && header.cmsg_type == libc::SCM_RIGHTS {
                let bytes = header.cmsg_len - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for at in 0..bytes / size_of::<RawFd>() {
                    // The kernel just made these descriptors; no other object owns them.
                    files.push(File::from_raw_fd(data.add(at).read_unaligned()));
                }
            }
            next = libc::CMSG_NXTHDR(&message, header);
        }
    }
    stream.read_exact(&mut header[received..])?;
    let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
    let (parent, kind, length) = (number(1), header[5], number(6));
    if header[0] != VERSION || kind > EXIT || kind == JOIN && length as usize > REASON_MAX {
        return Err(Error::new(ErrorKind::InvalidData, "not a process of this dashcam version"));
    }
    if kind == EXIT {
        return Ok((Hello::Exit(length.cast_signed()), files));
    }
    let mut reason = vec![0; length as usize];
    stream.read_exact(&mut reason)?;
    let hello = match &*reason {
        [] => Hello::Join { parent: (parent != NO_PARENT).then_some(parent) },
        reason => Hello::Refusal(String::from_utf8_lossy(reason).into_owned()),
    };
    Ok((hello, files))
}

/// Room for the descriptors of a message, and their header.
#[repr(align(8))]
struct Ancillary([u8; 64]);

/// The process at the other end of a connection: its id (0 if it has none here), and whether it
/// belongs to this process' user.
///
/// # Errors
/// If the system does not say.
pub fn peer(stream: &UnixStream) -> Result<(u32, bool)> {
    // SAFETY: plain data that the kernel fills.
    let mut about: libc::ucred = unsafe { zeroed() };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the buffer has the length that is passed.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut about).cast(),
            &mut length,
        )
    };
    if result != 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: plain system call.
    let own = unsafe { libc::geteuid() };
    Ok((about.pid.max(0) as u32, about.uid == own || about.uid == 0))
}

/// Connects to the recorder's socket with this name, if it belongs to this user.
///
/// # Errors
/// If there is no such recorder.
pub fn connect(name: &str) -> Result<UnixStream> {
    let stream = UnixStream::connect_addr(&address(name)?)?;
    match peer(&stream)? {
        (_, true) => Ok(stream),
        _ => Err(ErrorKind::PermissionDenied.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    #[test]
    fn a_greeting_arrives_with_its_descriptors() -> Result<()> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut shared = tempfile()?;
        shared.write_all(b"x")?;
        let forked = Hello::Join { parent: Some(7) };
        greet(&ours, &forked, &[shared.as_raw_fd(), ours.as_raw_fd()])?;
        let (hello, mut files) = receive(&theirs)?;
        assert_eq!((hello, files.len()), (forked, 2));
        files[0].rewind()?;
        let mut text = String::new();
        files[0].read_to_string(&mut text)?;
        assert_eq!(text, "x");

        for hello in
            [Hello::Join { parent: None }, Hello::Refusal("no GIL".to_owned()), Hello::Exit(255)]
        {
            greet(&ours, &hello, &[])?;
            let (received, files) = receive(&theirs)?;
            assert_eq!((received, files.len()), (hello, 0));
        }

        (&ours).write_all(&[9; 32])?;
        assert!(receive(&theirs).is_err());
        assert!(peer(&theirs)?.1);
        Ok(())
    }

    fn tempfile() -> Result<File> {
        // SAFETY: the name is a C string.
        let fd = unsafe { libc::memfd_create(c"test".as_ptr(), 0) };
        // SAFETY: the kernel just made it, if it did.
        if fd < 0 { Err(Error::last_os_error()) } else { Ok(unsafe { File::from_raw_fd(fd) }) }
    }
}
