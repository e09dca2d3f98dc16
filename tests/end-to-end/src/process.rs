//! Processes under a deadline.

use std::ffi::c_int;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest that any single step of a test may take. Far above what a loaded machine needs: it is there so that a
/// hanging program fails its test instead of the whole run.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// What a finished process left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// Fails the test unless the process succeeded.
    #[track_caller]
    pub fn expect_success(self, what: &str) -> Self {
        assert!(self.status.success(), "{what}: {}\n{}", self.status, self.stderr);
        self
    }
}

/// A child that is killed and reaped when the guard goes.
#[derive(Debug)]
pub struct Guarded(Child);

impl Guarded {
    /// Starts `command`.
    ///
    /// A program that was just written may still be open for writing in a child that another test has forked and that
    /// has not come to its exec yet; then this waits.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let start = Instant::now();
        loop {
            match command.spawn() {
                Ok(child) => return Self(child),
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && start.elapsed() < DEADLINE => {
                    std::thread::yield_now();
                }
                Err(error) => panic!("{} does not start: {error}", command.get_program().display()),
            }
        }
    }

    /// The child itself.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.0.id().try_into().unwrap()
    }

    /// Waits for its end; fails the test when that does not come in time.
    #[track_caller]
    pub fn wait(&mut self, what: &str) -> ExitStatus {
        assert!(ends_within(self.pid(), DEADLINE), "{what} hangs: it has not ended within {DEADLINE:?}");
        self.0.wait().unwrap()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `command` without input to its end, under the deadline.
#[track_caller]
pub fn run(command: &mut Command) -> Finished {
    run_with_input(command, Stdio::null())
}

/// Runs `command` to its end, under the deadline.
#[track_caller]
pub fn run_with_input(command: &mut Command, input: impl Into<Stdio>) -> Finished {
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A dumper that takes 0 for a process must not stop the tests: signals to 0 go to the sender's whole group.
    command.process_group(0);
    let mut guarded = Guarded::start(command);
    let stdout = collect(guarded.0.stdout.take().unwrap());
    let stderr = collect(guarded.0.stderr.take().unwrap());
    let status = guarded.wait(&format!("{command:?}"));
    let stderr = String::from_utf8_lossy(&stderr.join().unwrap()).into_owned();
    Finished { status, stdout: stdout.join().unwrap(), stderr }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// Waits until the child `pid` has ended, at most for `limit`. It stays to be reaped.
pub fn ends_within(pid: i32, limit: Duration) -> bool {
    // SAFETY: pidfd_open takes two numbers; the descriptor that it returns belongs to nobody else.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    assert!(descriptor >= 0, "pidfd_open({pid}): {}", std::io::Error::last_os_error());
    // SAFETY: as above.
    let descriptor = unsafe { OwnedFd::from_raw_fd(c_int::try_from(descriptor).unwrap()) };
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut poll = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd is passed, and it outlives the call.
        let ready = unsafe { libc::poll(&raw mut poll, 1, left.as_millis().try_into().unwrap()) };
        if ready == 1 {
            return true;
        }
        if left.is_zero() {
            return false;
        }
    }
}

/// Yields until `condition` holds; fails the test when it does not in time. For conditions that have no event.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "waited too long for: {what}");
        std::thread::yield_now();
    }
}
