//! Open files of every kind.

use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use std::ffi::c_int;
use std::path::Path;

/// `fds DIR`: opens a file (DIR/plain.txt, made here), DIR itself, a pipe, a pair of sockets, an eventfd, an epoll
/// instance, a memfd, the null device and a deleted file, and tells the numbers.
pub fn fds(arguments: &Arguments) {
    let directory = Path::new(arguments.raw(0).expect("fds DIR"));
    let plain = directory.join("plain.txt");
    let doomed = directory.join("doomed.txt");
    let (file, deleted) = (create(&plain), create(&doomed));
    std::fs::remove_file(&doomed).expect("the file was just made");
    let mut pipe: [c_int; 2] = [0; 2];
    let mut pair: [c_int; 2] = [0; 2];
    // SAFETY: each call fills the array of two numbers that it is given.
    unsafe {
        sys::check("pipe", libc::pipe(pipe.as_mut_ptr()));
        sys::check("socketpair", libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr()));
    }
    // SAFETY: these take numbers and one static string.
    let (event, epoll, memory) =
        unsafe { (libc::eventfd(0, 0), libc::epoll_create1(0), libc::memfd_create(c"known".as_ptr(), 0)) };
    let [pipe_reads, pipe_writes] = pipe;
    let [socket_a, socket_b] = pair;
    let list = [
        ("file", file),
        ("deleted", deleted),
        ("directory", open(directory, libc::O_RDONLY | libc::O_DIRECTORY)),
        ("null", open(Path::new("/dev/null"), libc::O_RDWR)),
        ("pipe_reads", pipe_reads),
        ("pipe_writes", pipe_writes),
        ("socket_a", socket_a),
        ("socket_b", socket_b),
        ("eventfd", event),
        ("epoll", epoll),
        ("memfd", memory),
    ];
    let facts = list.into_iter().fold(Facts::new(), |facts, (name, descriptor)| {
        facts.number(name, sys::check(name, descriptor).unsigned_abs())
    });
    facts.print();
    control::serve_ping();
}

fn create(path: &Path) -> c_int {
    open(path, libc::O_CREAT | libc::O_RDWR | libc::O_APPEND)
}

fn open(path: &Path, flags: c_int) -> c_int {
    // SAFETY: the path ends with NUL; the mode is used only with O_CREAT.
    sys::check("open", unsafe { libc::open(sys::c_path(path).as_ptr(), flags, 0o600) })
}
