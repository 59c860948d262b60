//! What processes send to the recorder's socket, and how they send what needs no answer.
//!
//! This file is compiled into `recorder/inject` too, which links to no other part of this crate. Nothing
//! here allocates, so all of it may be used in any state of a process.

use std::mem::{size_of, zeroed};

/// The version of what is sent.
pub const VERSION: u8 = 1;
/// The length of the part that every message has.
pub const HEADER: usize = 10;
/// A longer reason is cut.
pub const REASON_MAX: usize = 1000;
/// Kinds of messages.
pub const JOIN: u8 = 0;
pub const EXIT: u8 = 1;
/// In place of the parent of a process that does not know it.
pub const NO_PARENT: u32 = u32::MAX;
/// The beginning of the abstract names of all recorders' sockets.
pub const PREFIX: &[u8] = b"dashcam/";

/// The beginning of a message. The bytes are described at `Hello`, in `children.rs`.
pub fn header(parent: u32, kind: u8, number: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[0] = VERSION;
    bytes[1..5].copy_from_slice(&parent.to_le_bytes());
    bytes[5] = kind;
    bytes[6..].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// The address of a recorder's socket as the system takes it, and its length.
pub struct Address(libc::sockaddr_un, libc::socklen_t);

impl Address {
    /// The address of the socket with this name; `None` if the name is too long.
    pub fn of(name: &[u8]) -> Option<Address> {
        // SAFETY: plain data.
        let mut address: libc::sockaddr_un = unsafe { zeroed() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        let count = PREFIX.len() + name.len();
        // The first byte stays 0: the name is abstract.
        let place = address.sun_path.get_mut(1..1 + count)?;
        for (to, from) in place.iter_mut().zip(PREFIX.iter().chain(name)) {
            *to = *from as libc::c_char;
        }
        let length = size_of::<libc::sa_family_t>() + 1 + count;
        Some(Address(address, length as libc::socklen_t))
    }

    /// Sends a message, if the recorder is there.
    pub fn send(&self, message: &[u8]) {
        // SAFETY: the pointers are to objects of the lengths that are passed, and the descriptor is
        // closed where it was made.
        unsafe {
            let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
            let fd = libc::socket(libc::AF_UNIX, kind, 0);
            if fd < 0 {
                return;
            }
            if libc::connect(fd, (&raw const self.0).cast(), self.1) == 0 {
                libc::send(fd, message.as_ptr().cast(), message.len(), libc::MSG_NOSIGNAL);
            }
            libc::close(fd);
        }
    }
}
