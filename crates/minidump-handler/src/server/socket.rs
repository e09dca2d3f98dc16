//! Sockets of datagrams: listening, connecting, and reading with what the kernel says of the sender.
#![expect(unsafe_code, reason = "system calls")]

use libc::{c_int, c_void, gid_t, pid_t, uid_t};
use std::ffi::OsStr;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;

/// Linux 6.5: a descriptor of the sending process comes with each message (<asm-generic/socket.h>, <linux/socket.h>).
const SO_PASSPIDFD: c_int = 76;
const SCM_PIDFD: c_int = 4;
/// Connections that wait to be accepted.
const BACKLOG: c_int = 128;

/// The process that sent a message, as the kernel knows it, in the numbers of this process's namespaces. The pid is 0 where
/// it cannot be seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    pub pid: pid_t,
    pub uid: uid_t,
    pub gid: gid_t,
}

/// A message, and what came with it.
#[derive(Debug)]
pub struct Received<'b> {
    pub message: &'b [u8],
    pub sender: Option<Sender>,
    /// The process itself, where the kernel hands it out.
    pub process: Option<OwnedFd>,
    /// The descriptor that the sender passed.
    pub passed: Option<OwnedFd>,
}

fn own(fd: c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a call has just made it, and nobody else closes it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn socket(flags: c_int) -> io::Result<OwnedFd> {
    // SAFETY: it takes numbers.
    own(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | flags, 0) })
}

/// The address of a path, and its length; an error when it is too long.
fn address(path: &Path) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    let bytes = path.as_os_str().as_bytes();
    // SAFETY: all zeros are an address.
    let mut address: libc::sockaddr_un = unsafe { zeroed() };
    // A path ends with zero.
    if bytes.is_empty() || bytes.len() >= address.sun_path.len() || bytes.contains(&0) {
        let sentence = "the path of a socket has 1 to 107 bytes";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
    }
    address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or(1);
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = from.cast_signed();
    }
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_un>()).unwrap_or(0);
    Ok((address, length))
}

/// Connects to the socket at `path`.
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let socket = socket(0)?;
    let (address, length) = address(path)?;
    // SAFETY: an address of that length.
    let done = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if done == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
}

/// Listens at `path`, in the place of a socket that nobody listens at any more. Only its owner may connect, or everybody.
pub fn listen(path: &Path, is_public: bool) -> io::Result<OwnedFd> {
    let socket = socket(libc::SOCK_NONBLOCK)?;
    let (address, length) = address(path)?;
    // SAFETY: an address of that length.
    let bind = || unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if bind() != 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EADDRINUSE) || !is_forsaken(path) {
            return Err(error);
        }
        std::fs::remove_file(path)?;
        if bind() != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let mode = if is_public { 0o666 } else { 0o600 };
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    // Taken over by each connection that is accepted, so that not even its first message is without a sender.
    tell_senders(socket.as_raw_fd())?;
    // SAFETY: it takes numbers.
    if unsafe { libc::listen(socket.as_raw_fd(), BACKLOG) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket)
}

/// Whether there is a socket at `path` to which nobody listens.
fn is_forsaken(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path)
        .is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()));
    is_socket && connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Accepts a connection. `None` when there is none.
pub fn accept(listener: RawFd) -> io::Result<Option<OwnedFd>> {
    // SAFETY: no address is asked for.
    let fd = unsafe { libc::accept4(listener, ptr::null_mut(), ptr::null_mut(), libc::SOCK_CLOEXEC) };
    match own(fd) {
        Ok(socket) => Ok(Some(socket)),
        // Interrupted, or the other side has gone already.
        Err(error)
            if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR | libc::ECONNABORTED)) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Has the kernel tell who sends. The credentials are needed, the descriptor is an extra of newer kernels.
pub fn tell_senders(socket: RawFd) -> io::Result<()> {
    if !set_option(socket, libc::SO_PASSCRED) {
        return Err(io::Error::last_os_error());
    }
    set_option(socket, SO_PASSPIDFD);
    Ok(())
}

fn set_option(socket: RawFd, option: c_int) -> bool {
    let on: c_int = 1;
    let size = libc::socklen_t::try_from(size_of::<c_int>()).unwrap_or(4);
    // SAFETY: the option is an int, whose size is told.
    unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, option, (&raw const on).cast(), size) == 0 }
}

/// The user that connected, for a connection that was accepted.
pub fn peer_user(socket: RawFd) -> Option<uid_t> {
    // SAFETY: all zeros are credentials; the call writes some of the size that is told.
    unsafe {
        let mut peer: libc::ucred = zeroed();
        let mut size = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or(0);
        let told = libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut size,
        );
        (told == 0).then_some(peer.uid)
    }
}

/// Room for what comes with a message: credentials, a descriptor of the process, and more descriptors than anybody should
/// pass; those that do not fit, the kernel closes.
#[repr(C, align(8))]
struct Control([u8; 256]);

/// Reads a message without waiting. `None` when the other side has gone. A message longer than the buffer is cut; its own
/// account of its length tells.
///
/// # Errors
/// `WouldBlock` when there is none.
pub fn receive(socket: RawFd, buffer: &mut [u8]) -> io::Result<Option<Received<'_>>> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = Control([0; 256]);
    let mut read = || {
        // SAFETY: all zeros are a message without anything. Its parts are set to memory of ours that outlives the call.
        let (length, header) = unsafe {
            let mut header: libc::msghdr = zeroed();
            header.msg_iov = &raw mut part;
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut control).cast();
            header.msg_controllen = size_of::<Control>() as _;
            let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
            (libc::recvmsg(socket, &raw mut header, flags), header)
        };
        usize::try_from(length).map(|length| (length, header)).map_err(|_| io::Error::last_os_error())
    };
    let (length, header) = match read() {
        // The other side has gone without reading all that it was told. This is said once, and before what it has sent.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => read()?,
        done => done?,
    };
    let mut received = Received { message: &[], sender: None, process: None, passed: None };
    // SAFETY: the kernel has filled the header.
    unsafe { take_control(&header, &mut received) };
    // An empty datagram with a sender is one; the end of the connection has none.
    if length == 0 && received.sender.is_none() {
        return Ok(None);
    }
    received.message = buffer.get(..length).unwrap_or(&[]);
    Ok(Some(received))
}

/// Takes what came with a message. Of several descriptors the first is kept; all others are closed.
///
/// # Safety
/// The header must be one that recvmsg(2) has filled, whose control memory lives.
unsafe fn take_control(header: &libc::msghdr, received: &mut Received<'_>) {
    // SAFETY: the macros walk within the length that the kernel wrote. Data need not be aligned, so they are copied.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while !at.is_null() {
            let data: *const u8 = libc::CMSG_DATA(at);
            let empty = libc::CMSG_LEN(0) as usize;
            #[allow(clippy::unnecessary_cast, reason = "a u32 in other C libraries")]
            let size = ((*at).cmsg_len as usize).saturating_sub(empty);
            match ((*at).cmsg_level, (*at).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if size >= size_of::<libc::ucred>() => {
                    let told = ptr::read_unaligned(data.cast::<libc::ucred>());
                    received.sender = Some(Sender { pid: told.pid, uid: told.uid, gid: told.gid });
                }
                (libc::SOL_SOCKET, SCM_PIDFD) if size >= size_of::<c_int>() => {
                    received.process = own(ptr::read_unaligned(data.cast())).ok();
                }
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    for index in 0..size / size_of::<c_int>() {
                        let fd = own(ptr::read_unaligned(data.add(index * size_of::<c_int>()).cast())).ok();
                        received.passed = received.passed.take().or(fd);
                    }
                }
                _ => {}
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
}

/// Sends a message without waiting. Whether it went.
pub fn send(socket: RawFd, message: &[u8]) -> bool {
    // SAFETY: the message's own length.
    let sent = unsafe {
        let data = message.as_ptr().cast::<c_void>();
        libc::send(socket, data, message.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    };
    usize::try_from(sent) == Ok(message.len())
}

/// Waits until one of the descriptors can be read or has ended; at most for `milliseconds`, without end if negative.
/// Returns which.
pub fn wait(fds: impl IntoIterator<Item = RawFd>, milliseconds: i32) -> Vec<bool> {
    let mut looked: Vec<_> =
        fds.into_iter().map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    let count = libc::nfds_t::try_from(looked.len()).unwrap_or(0);
    // SAFETY: so many descriptions, which outlive the call.
    let found = unsafe { libc::poll(looked.as_mut_ptr(), count, milliseconds) };
    looked.iter().map(|looked| found > 0 && looked.revents != 0).collect()
}

/// Whether the other side of a connection has gone.
pub fn has_gone(socket: RawFd) -> bool {
    let mut looked = libc::pollfd { fd: socket, events: 0, revents: 0 };
    // SAFETY: one description, which outlives the call.
    unsafe { libc::poll(&raw mut looked, 1, 0) > 0 && looked.revents != 0 }
}

/// The user of this process.
pub fn own_user() -> uid_t {
    // SAFETY: it takes nothing.
    unsafe { libc::geteuid() }
}

/// Whether a process has ended.
pub fn has_ended(process: RawFd) -> bool {
    wait([process], 0).first() == Some(&true)
}

/// The file name of a path, for messages.
pub fn name_of(path: &Path) -> String {
    path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection as a handler has it.
    fn pair() -> [OwnedFd; 2] {
        let mut ends = [-1; 2];
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        // SAFETY: two descriptors are written there.
        assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) }, 0);
        let ends = ends.map(|end| own(end).unwrap());
        tell_senders(ends[1].as_raw_fd()).unwrap();
        ends
    }

    #[test]
    fn the_sender_of_a_message_is_told() {
        let [client, handler] = pair();
        assert!(send(client.as_raw_fd(), b"hello"));
        let mut buffer = [0; 16];
        let received = receive(handler.as_raw_fd(), &mut buffer).unwrap().unwrap();
        assert_eq!(received.message, b"hello");
        assert_eq!(received.sender.unwrap().pid, std::process::id().cast_signed());
        assert!(receive(handler.as_raw_fd(), &mut buffer).unwrap_err().kind() == io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_was_sent_before_the_end_is_read() {
        let [client, handler] = pair();
        assert!(send(client.as_raw_fd(), b"request"));
        // It goes without having read this, which the kernel takes for a broken connection.
        assert!(send(handler.as_raw_fd(), b"greeting"));
        drop(client);
        let mut buffer = [0; 16];
        assert_eq!(receive(handler.as_raw_fd(), &mut buffer).unwrap().unwrap().message, b"request");
        assert!(receive(handler.as_raw_fd(), &mut buffer).unwrap().is_none());
    }

    #[test]
    fn a_socket_that_nobody_listens_at_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let first = listen(&path, false).unwrap();
        assert_eq!(listen(&path, false).unwrap_err().raw_os_error(), Some(libc::EADDRINUSE));
        drop(first);
        let second = listen(&path, false).unwrap();
        let client = connect(&path).unwrap();
        assert!(accept(second.as_raw_fd()).unwrap().is_some());
        drop(client);
        assert!(listen(Path::new(&"x".repeat(108)), false).is_err());
    }
}
