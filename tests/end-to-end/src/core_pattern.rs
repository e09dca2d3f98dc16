//! `core-handler` as the kernel starts it: set up on this machine for one test at a time.
//!
//! Crashes of other programs that happen meanwhile are dumped too; a test looks for those of its own processes.

use crate::process::{Guarded, wait_until};
use crate::{Dump, needs, process, programs};
use minidump::MinidumpException;
use serde_json::Value;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What the kernel does with cores.
pub const PATTERN: &str = "/proc/sys/kernel/core_pattern";
/// How many helpers may run at a time.
pub const LIMIT: &str = "/proc/sys/kernel/core_pipe_limit";

/// The file that who sets these locks.
const LOCK: &str = "minidump-core-pattern.lock";
/// What `kernel.core_pattern` can mean, since Linux 6.16.
const MODES: &str = "/proc/sys/kernel/core_modes";

/// Whether programs that changed their user are dumped.
pub const SUID_DUMPABLE: &str = "/proc/sys/fs/suid_dumpable";

/// The machine as it was, to which it returns however a test ends.
#[derive(Debug)]
pub struct Machine {
    /// `kernel.core_pattern`, with its newline.
    pub pattern: String,
    /// `kernel.core_pipe_limit`, with its newline.
    pub limit: String,
    /// `fs.suid_dumpable`, with its newline.
    pub suid_dumpable: String,
    _lock: File,
}

impl Machine {
    /// Waits until no other test has it; `None` where this user may not change it.
    fn take(test: &str) -> Option<Self> {
        if !needs::root(test) {
            return None;
        }
        let lock = File::create(std::env::temp_dir().join(LOCK)).unwrap();
        // SAFETY: flock has two numbers for arguments.
        assert_eq!(unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX) }, 0);
        let (pattern, limit) = (fs::read_to_string(PATTERN).unwrap(), fs::read_to_string(LIMIT).unwrap());
        if let Err(error) = fs::write(PATTERN, &pattern) {
            needs::missing(test, &format!("kernel.core_pattern cannot be set here: {error}"));
            return None;
        }
        Some(Self { pattern, limit, suid_dumpable: fs::read_to_string(SUID_DUMPABLE).unwrap(), _lock: lock })
    }
}

/// Keeps every test from setting up a handler as long as the result lives; waits until none is set up. A process that
/// crashes meanwhile ends as on a machine without. Nothing to wait for where this user cannot see the lock.
#[must_use]
pub fn undisturbed() -> Option<File> {
    let lock = File::open(std::env::temp_dir().join(LOCK)).ok()?;
    // SAFETY: flock has two numbers for arguments.
    assert_eq!(unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_SH) }, 0);
    Some(lock)
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::write(PATTERN, &self.pattern);
        let _ = fs::write(LIMIT, &self.limit);
        let _ = fs::write(SUID_DUMPABLE, &self.suid_dumpable);
    }
}

/// The handler, installed.
#[derive(Debug)]
pub struct Installed {
    /// Where all of its files are.
    pub folder: TempDir,
    program: PathBuf,
    /// The machine as it was.
    pub machine: Machine,
    // Goes last: nobody is left to serve the socket then.
    server: Option<Guarded>,
}

impl Installed {
    /// Sets it up, with further options for `--install`; `None` where this user may not.
    #[track_caller]
    pub fn new(test: &str, options: &[&str]) -> Option<Self> {
        let installed = Self::copied(test)?;
        let directory = installed.directory();
        let arguments = [&["--install", directory.to_str().unwrap()], options].concat();
        let finished = installed.run(&arguments).expect_success("--install");
        assert!(finished.stderr.contains(directory.to_str().unwrap()), "{}", finished.stderr);
        Some(installed)
    }

    /// Sets it up with a process that serves the kernel's coredump socket, with further options for `--install`; `None`
    /// where this user may not, or the kernel has none.
    #[track_caller]
    pub fn served(test: &str, options: &[&str]) -> Option<Self> {
        let mut installed = Self::copied_for_socket(test)?;
        let (socket, directory) = (installed.socket(), installed.directory());
        let mut server = Command::new(&installed.program);
        server.args(["core-handler", "--listen"]).arg(&socket).arg("-d").arg(&directory);
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        installed.serve_by(Guarded::start(&mut server));
        let arguments = [&["--install", "--socket", socket.to_str().unwrap()], options].concat();
        installed.run(&arguments).expect_success("--install --socket");
        Some(installed)
    }

    /// A copy of the program, and nothing set up; `None` as [`Installed::served`].
    #[track_caller]
    pub fn copied_for_socket(test: &str) -> Option<Self> {
        if !fs::read_to_string(MODES).is_ok_and(|modes| modes.contains("socket")) {
            needs::not_here(test, "the kernel is older than 6.16 and has no coredump socket");
            return None;
        }
        Self::copied(test)
    }

    /// Takes in what serves the socket, and waits until it does.
    #[track_caller]
    pub fn serve_by(&mut self, server: Guarded) {
        self.server = Some(server);
        let socket = self.socket();
        wait_until("the socket", || UnixStream::connect(&socket).is_ok());
    }

    /// What serves the socket.
    pub fn server(&mut self) -> &mut Guarded {
        self.server.as_mut().expect("a socket is served")
    }

    /// A copy of the program, and nothing set up.
    #[track_caller]
    fn copied(test: &str) -> Option<Self> {
        let machine = Machine::take(test)?;
        let folder = tempfile::tempdir().unwrap();
        // The kernel's limit of 127 bytes may be too short for the path of the build. Another process copies, so that
        // no child of this one has the program open for writing when the kernel starts it.
        let program = folder.path().join("w");
        process::run(Command::new("cp").arg(programs::dumper()).arg(&program)).expect_success("cp");
        Some(Self { folder, program, machine, server: None })
    }

    /// The copy of the program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The socket, where there is one.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("core.sock")
    }

    /// The dump directory.
    pub fn directory(&self) -> PathBuf {
        self.folder.path().join("d")
    }

    /// Runs `core-handler` with these arguments.
    pub fn run(&self, arguments: &[&str]) -> process::Finished {
        process::run(Command::new(&self.program).arg("core-handler").args(arguments))
    }

    /// The dump of process `pid`, and what the directory tells of it.
    #[track_caller]
    pub fn dump_of(&self, pid: i32) -> (Dump, Value) {
        self.find(pid).unwrap_or_else(|| panic!("there is no dump of {pid}; the kernel's log may say why"))
    }

    /// The same, if there is one.
    pub fn find(&self, pid: i32) -> Option<(Dump, Value)> {
        self.all()
            .into_iter()
            .find(|(_, metadata)| metadata["pid"] == pid)
            .map(|(path, metadata)| (Dump::of(fs::read(path).unwrap()), metadata))
    }

    /// All dumps, by their paths, and what the directory tells of them.
    pub fn all(&self) -> Vec<(PathBuf, Value)> {
        dumps_in(&self.directory())
    }
}

/// All dumps of a dump directory, by their paths, and what it tells of them.
pub fn dumps_in(directory: &Path) -> Vec<(PathBuf, Value)> {
    let Ok(entries) = fs::read_dir(directory.join("pending")) else { return Vec::new() };
    let dumps = entries.map(|entry| entry.unwrap().path()).filter(|path| is_dump(path));
    let with_metadata = |path: PathBuf| {
        let metadata = fs::read(path.with_extension("json")).unwrap();
        (path, serde_json::from_slice(&metadata).unwrap())
    };
    dumps.map(with_metadata).collect()
}

fn is_dump(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "dmp")
}

/// Code, address and thread of the crash that a dump tells.
#[track_caller]
pub fn crash_of(dump: &Dump) -> (u32, u64, u32) {
    let parsed = dump.parse();
    let exception: MinidumpException = parsed.get_stream().expect("the dump tells of a crash");
    let record = &exception.raw.exception_record;
    (record.exception_code, record.exception_address, exception.raw.thread_id)
}
