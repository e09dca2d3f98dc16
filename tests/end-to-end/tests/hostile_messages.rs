//! The handler and messages that no client sends.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail the test")]

use end_to_end::core_pattern::dumps_in;
use end_to_end::process::{Guarded, wait_until};
use end_to_end::programs;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::fs;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Messages that are sent.
const MESSAGES: u32 = 10_000;
/// Kinds and tags of docs/handler-protocol.md.
const CRASH: u16 = 1;
const DUMP: u16 = 2;
const DONE: u16 = 0x83;
const FAILED: u16 = 0x85;
const HELLO: u16 = 0x86;
const THREAD: u16 = 1;
const SIGINFO: u16 = 2;
const REGISTERS: u16 = 3;
const XSAVE: u16 = 4;
const ANNOTATION: u16 = 5;
const ATTACHMENT: u16 = 6;
const REASON: u16 = 7;

/// A message as docs/handler-protocol.md describes it.
fn message(kind: u16, fields: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = b"MDWH\x01\x00".to_vec();
    message.extend(kind.to_le_bytes());
    message.extend([0; 8]);
    for (tag, bytes) in fields {
        message.extend(tag.to_le_bytes());
        message.extend([0, 0]);
        message.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        message.extend_from_slice(bytes);
        message.resize(message.len().next_multiple_of(8), 0);
    }
    let length = u32::try_from(message.len()).unwrap().to_le_bytes();
    message[8..12].copy_from_slice(&length);
    message
}

fn kind_of(message: &[u8]) -> u16 {
    assert_eq!(message[..6], *b"MDWH\x01\x00");
    u16::from_le_bytes(message[6..8].try_into().unwrap())
}

/// A handler that listens.
struct Handler {
    guarded: Guarded,
    folder: tempfile::TempDir,
}

impl Handler {
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(programs::dumper());
        command.arg("handler").arg("--socket").arg(folder.path().join("socket"));
        command.arg("-d").arg(folder.path().join("dumps")).args(options).stderr(Stdio::null());
        let guarded = Guarded::start(&mut command);
        Self { guarded, folder }
    }

    fn dumps(&self) -> Vec<(PathBuf, serde_json::Value)> {
        dumps_in(&self.folder.path().join("dumps"))
    }

    fn connect(&self) -> OwnedFd {
        let path = self.folder.path().join("socket");
        let mut socket = None;
        wait_until("the handler listens", || {
            socket = connect(&path);
            socket.is_some()
        });
        socket.unwrap()
    }

    /// Open descriptors, and resident memory in KiB.
    fn size(&self) -> (usize, u64) {
        let pid = self.guarded.pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        (descriptors, line.trim().trim_end_matches(" kB").parse().unwrap())
    }

    /// Has it dump this process, which shows that it does as it should.
    #[track_caller]
    fn assert_works(&self) {
        let tid = thread_id().to_le_bytes();
        let [mine, theirs] = pair();
        let request = message(DUMP, &[(THREAD, &tid), (REASON, b"proof")]);
        send(&self.connect(), &request, Some(&theirs));
        drop(theirs);
        let answers = answers(&mine);
        assert_eq!(kind_of(answers.last().unwrap()), DONE, "{answers:?}");
    }
}

/// This process is dumped by one handler at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn thread_id() -> i32 {
    // SAFETY: it takes nothing.
    unsafe { libc::gettid() }
}

fn pair() -> [OwnedFd; 2] {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: two descriptors are written there, which are ours.
    unsafe {
        assert_eq!(libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()), 0);
        ends.map(|end| OwnedFd::from_raw_fd(end))
    }
}

fn connect(path: &Path) -> Option<OwnedFd> {
    let bytes = path.to_str().unwrap().as_bytes();
    // SAFETY: all zeros are an address, into which the path fits with its zero; the descriptor is ours.
    unsafe {
        let mut address: libc::sockaddr_un = std::mem::zeroed();
        address.sun_family = libc::AF_UNIX.try_into().unwrap();
        for (to, from) in address.sun_path.iter_mut().zip(bytes) {
            *to = from.cast_signed();
        }
        let socket = libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0);
        let socket = OwnedFd::from_raw_fd(socket);
        let length = size_of::<libc::sockaddr_un>().try_into().unwrap();
        (libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) == 0).then_some(socket)
    }
}

/// Sends a message with a descriptor. Waits while the handler has not read what was sent before.
fn send(socket: &OwnedFd, message: &[u8], passed: Option<&OwnedFd>) {
    #[repr(align(8))]
    struct Control([u8; 24]);
    let mut part = libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
    let mut control = Control([0; 24]);
    // SAFETY: all zeros are a message without anything; its parts outlive the call, and the control memory is that of one
    // descriptor.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
        if let Some(passed) = passed {
            (header.msg_control, header.msg_controllen) = ((&raw mut control.0).cast(), 24);
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            ((*first).cmsg_level, (*first).cmsg_type) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
            (*first).cmsg_len = libc::CMSG_LEN(4) as usize;
            libc::CMSG_DATA(first).cast::<i32>().write_unaligned(passed.as_raw_fd());
        }
        let sent = libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL);
        assert_eq!(usize::try_from(sent), Ok(message.len()), "{}", std::io::Error::last_os_error());
    }
}

/// All that comes until the other side goes.
fn answers(socket: &OwnedFd) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut buffer = vec![0; 1 << 17];
        // SAFETY: the buffer's own length.
        let got = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        match usize::try_from(got).unwrap() {
            0 => return all,
            length => all.push(buffer[..length].to_vec()),
        }
    }
}

/// A whole account of a crash of this process.
fn crash_message() -> Vec<u8> {
    let tid = thread_id().to_le_bytes();
    let mut siginfo = [0; 128];
    siginfo[0] = 11;
    siginfo[8] = 1;
    let fields: [(u16, &[u8]); 7] = [
        (THREAD, &tid),
        (SIGINFO, &siginfo),
        (REGISTERS, &[0x41; 184]),
        (XSAVE, &[0x42; 832]),
        (ANNOTATION, b"key\0value"),
        (ATTACHMENT, b"/etc/hostname"),
        (REASON, b"because"),
    ];
    message(CRASH, &fields)
}

/// Bytes of any kind, and accounts of a crash that were changed, cut, lengthened or put together from parts.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let bytes = || prop::collection::vec(any::<u8>(), 0..600);
    prop_oneof![
        1 => bytes(),
        1 => Just(vec![0x5a; 150_000]),
        6 => prop::collection::vec(change, 1..6).prop_map(|changes| {
            let mut message = crash_message();
            for (at, byte) in changes {
                *at.get_mut(&mut message) = byte;
            }
            message
        }),
        2 => any::<prop::sample::Index>().prop_map(|at| {
            let message = crash_message();
            message[..at.index(message.len())].to_vec()
        }),
        2 => (0..12_u16, prop::collection::vec((0..10_u16, bytes()), 0..8)).prop_map(|(kind, fields)| {
            let fields: Vec<_> = fields.iter().map(|(tag, bytes)| (*tag, bytes.as_slice())).collect();
            message(kind, &fields)
        }),
    ]
}

#[test]
fn ten_thousand_messages_do_not_confuse_it() {
    let _turn = turn();
    // Most of what is close to a message is one, and is answered with a dump of this process, of which a few will do.
    let handler = Handler::start(&["--per-program", "50", "--within", "3600s"]);
    handler.assert_works();
    let before = handler.size();
    let config = Config { rng_algorithm: RngAlgorithm::ChaCha, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let strategy = any_message();
    let mut socket = handler.connect();
    let mut waiting: Vec<OwnedFd> = Vec::new();
    for number in 0..MESSAGES {
        let message = strategy.new_tree(&mut runner).unwrap().current();
        let [mine, theirs] = pair();
        match number % 4 {
            0 => send(&socket, &message, None),
            // One that does not wait for the answer.
            1 => {
                send(&socket, &message, Some(&theirs));
                drop(mine);
            }
            _ => {
                send(&socket, &message, Some(&theirs));
                waiting.push(mine);
            }
        }
        // Whoever keeps that end never learns that the handler has closed its own.
        drop(theirs);
        if waiting.len() > 64 || number % 500 == 0 {
            waiting.drain(..).for_each(|answer| drop(answers(&answer)));
            socket = handler.connect();
        }
    }
    for answer in &waiting {
        drop(answers(answer));
    }
    drop(socket);
    let pid = std::process::id();
    let dumps = handler.dumps();
    assert!(dumps.len() <= 50, "{}", dumps.len());
    assert!(dumps.iter().all(|(_, metadata)| metadata["pid"] == pid), "it has dumped another process");
    let fresh = Handler { folder: tempfile::tempdir().unwrap(), ..handler };
    wait_until("descriptors are closed again", || fresh.size().0 <= before.0 + 1);
    let after = fresh.size();
    assert!(after.1 < before.1 + 4096, "memory grew from {} to {} KiB", before.1, after.1);
}

#[test]
fn it_still_works_after_messages_that_are_none() {
    let _turn = turn();
    let handler = Handler::start(&[]);
    let socket = handler.connect();
    let long = [vec![0; 96 << 10], vec![0xff; 150_000]];
    for bytes in [b"".as_slice(), b"x", b"MDWH", &long[0], &long[1]] {
        let [mine, theirs] = pair();
        send(&socket, bytes, Some(&theirs));
        drop(theirs);
        let answers = answers(&mine);
        assert_eq!(answers.iter().map(|answer| kind_of(answer)).collect::<Vec<_>>(), [FAILED]);
    }
    handler.assert_works();
}

#[test]
fn it_says_that_it_runs_and_answers_in_order() {
    let handler = Handler::start(&[]);
    let socket = handler.connect();
    let mut buffer = [0; 64];
    // SAFETY: the buffer's own length.
    let got = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    assert_eq!(buffer[..usize::try_from(got).unwrap()], message(HELLO, &[]));
}

#[test]
fn nobody_can_have_another_process_dumped() {
    let handler = Handler::start(&[]);
    let mut other = Guarded::start(Command::new("sleep").arg("1000"));
    let theirs_of = other.pid().to_le_bytes();
    let [mine, theirs] = pair();
    send(&handler.connect(), &message(DUMP, &[(THREAD, &theirs_of)]), Some(&theirs));
    drop(theirs);
    let answers = answers(&mine);
    assert_eq!(kind_of(answers.last().unwrap()), FAILED);
    assert_eq!(handler.dumps().len(), 0);
    let _ = other.child().kill();
}

#[test]
fn a_connection_that_says_nothing_keeps_nobody_waiting() {
    let _turn = turn();
    let handler = Handler::start(&[]);
    let silent: Vec<OwnedFd> = (0..600).map(|_| handler.connect()).collect();
    handler.assert_works();
    drop(silent);
    handler.assert_works();
}

#[test]
fn two_hundred_and_fifty_six_programs_that_crash_at_once_have_a_dump_each() {
    let handler = Handler::start(&["--per-program", "1000"]);
    drop(handler.connect());
    // Each has 6 MB of live stack.
    let mut programs: Vec<Guarded> = (0..256)
        .map(|_| {
            let mut command = Command::new(programs::crasher());
            command.args(["crash", "deep", "main"]).stdin(Stdio::piped()).stdout(Stdio::null());
            command.env("CRASHER_DUMPS", handler.folder.path().join("own")).env("CRASHER_GATE", "stdin");
            command
                .env("CRASHER_SOCKET", handler.folder.path().join("socket"))
                .env("CRASHER_PATIENCE", "100000");
            Guarded::start(&mut command)
        })
        .collect();
    for program in &mut programs {
        drop(program.child().stdin.take());
    }
    for program in &mut programs {
        let status = program.wait("a crasher");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGSEGV));
    }
    let dumps = handler.dumps();
    assert_eq!(dumps_in(&handler.folder.path().join("own")).len(), 0, "none had to do it itself");
    assert_eq!(dumps.len(), 256);
    let pids: std::collections::BTreeSet<u64> =
        dumps.iter().map(|(_, metadata)| metadata["pid"].as_u64().unwrap()).collect();
    assert_eq!(pids.len(), 256);
    for (path, metadata) in &dumps {
        assert_eq!((&metadata["partial"], &metadata["signal"]), (&false.into(), &11.into()));
        let dump = end_to_end::Dump::of(fs::read(path).unwrap());
        let (code, address, tid) = end_to_end::core_pattern::crash_of(&dump);
        assert_eq!((code, address), (11, 0));
        // The most that is kept of one stack: 7/8 of it from the top, and 1/8 from the bottom.
        assert_eq!(dump.stack_range(tid).1, 7 << 17);
        assert!(dump.memory_total() >= 1 << 20, "{}", dump.memory_total());
    }
}
