//! Starts the handler process, or connects to one that runs.
#![expect(unsafe_code, reason = "processes that share this one's memory until they start a program")]

use super::sys;
use crate::client::InstallError;
use libc::{c_char, c_int, c_void};
use std::ffi::{CString, OsString};
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::ptr;

/// Bytes of the stacks of the two processes that share this one's memory.
const STACK: usize = 32 << 10;

/// How to start a handler.
#[derive(Debug, Clone)]
pub struct Program {
    pub path: PathBuf,
    pub dump_dir: PathBuf,
    pub arguments: Vec<OsString>,
}

/// What the two processes need, and the error number of what failed.
struct Plan {
    program: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    input: c_int,
    stack: *mut c_void,
    mask: libc::sigset_t,
    error: c_int,
}

impl Program {
    /// Starts it with `theirs` as its standard input, as a child of nobody: a process in between, which this program's
    /// own waiting for children never meets, has ended when this returns.
    pub fn start(&self, theirs: BorrowedFd<'_>) -> Result<(), InstallError> {
        self.spawn(theirs).map_err(|source| InstallError::Start { program: self.path.clone(), source })
    }

    fn spawn(&self, theirs: BorrowedFd<'_>) -> io::Result<()> {
        let program = text(self.path.as_os_str().as_bytes())?;
        let fixed = ["handler", "--client", "-d"].map(OsString::from);
        let words =
            fixed.into_iter().chain([self.dump_dir.clone().into()]).chain(self.arguments.iter().cloned());
        let words: Vec<CString> = words.map(|word| text(word.as_bytes())).collect::<io::Result<_>>()?;
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let mut variable = name.into_vec();
            variable.push(b'=');
            variable.extend(value.into_vec());
            CString::new(variable).ok()
        });
        let variables: Vec<CString> = variables.collect();
        let arguments = pointers([&program].into_iter().chain(&words));
        let environment = pointers(&variables);
        let mut stacks = vec![0_u128; 2 * STACK / 16];
        let [middle, top] = [STACK, 2 * STACK].map(|end| stacks.as_mut_ptr().wrapping_byte_add(end));
        let mut plan = Plan {
            program: program.as_ptr(),
            arguments: arguments.as_ptr(),
            environment: environment.as_ptr(),
            input: theirs.as_raw_fd(),
            stack: middle.cast(),
            mask: sys::block_all_signals(),
            error: 0,
        };
        let made = make_orphan(&mut plan, top.cast());
        sys::restore_signals(&plan.mask);
        made
    }
}

/// Makes the child that makes the handler.
fn make_orphan(plan: &mut Plan, stack: *mut c_void) -> io::Result<()> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK;
    // SAFETY: this thread stands still until the child has ended, which is not before its own child has started the
    // program or ended. Both make system calls alone, on stacks of their own that live as long as this call. All signals
    // are blocked, so no handler runs in them.
    let child = unsafe { libc::clone(in_between, stack, flags, ptr::from_mut(plan).cast()) };
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    // Without a signal for its end, only those who ask for such children find it.
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(child, ptr::null_mut(), libc::__WCLONE) } < 0 && sys::errno() == libc::EINTR
    {
    }
    if plan.error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(plan.error)) }
}

/// The process in between: it makes the handler, and ends.
extern "C" fn in_between(plan: *mut c_void) -> c_int {
    // SAFETY: the plan of the thread that stands still meanwhile.
    let stack = unsafe { (*plan.cast::<Plan>()).stack };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: as in `make_orphan`.
    if unsafe { libc::clone(become_handler, stack, flags, plan) } < 0 {
        // SAFETY: as above.
        unsafe { (*plan.cast::<Plan>()).error = sys::errno() };
    }
    0
}

/// The process that becomes the handler.
extern "C" fn become_handler(plan: *mut c_void) -> c_int {
    // SAFETY: the plan as above. The descriptors are this process's own copies, so nothing of this changes the program's;
    // nor does the mask. What was ignored stays so, what was handled gets its default action.
    unsafe {
        let plan = &mut *plan.cast::<Plan>();
        libc::setsid();
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        let ready = libc::dup2(plan.input, 0) == 0 && libc::dup2(null, 1) == 1 && libc::dup2(null, 2) == 2;
        // Where the connection was the standard input already, it would be closed with the start of the program.
        let kept = plan.input != 0 || libc::fcntl(0, libc::F_SETFD, 0) == 0;
        let mut none: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        if ready && kept {
            libc::execve(plan.program, plan.arguments, plan.environment);
        }
        plan.error = sys::errno();
    }
    127
}

fn text(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a word holds a zero byte"))
}

/// The addresses of texts, and null.
fn pointers<'t>(texts: impl IntoIterator<Item = &'t CString>) -> Vec<*const c_char> {
    texts.into_iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

/// A new connection: the program's end, and the handler's.
pub fn connection() -> Result<[OwnedFd; 2], InstallError> {
    let ends = sys::pair().ok_or_else(|| InstallError::Connection { source: io::Error::last_os_error() })?;
    // SAFETY: the kernel has just given them to us, and nobody else closes them.
    let owned = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    // Before the first message, so that none is without its sender.
    if !ends.iter().all(|end| sys::pass_credentials(*end)) {
        return Err(InstallError::Connection { source: io::Error::last_os_error() });
    }
    Ok(owned)
}

/// A connection whose other end is gone, for as long as there is no handler.
pub fn ended_connection() -> Result<OwnedFd, InstallError> {
    connection().map(|[control, _]| control)
}

/// Connects to a handler that listens at `path`.
pub fn connect(path: &Path) -> Result<OwnedFd, InstallError> {
    let failed = |source| InstallError::Connect { path: path.to_path_buf(), source };
    let socket = crate::server::connect(path).map_err(failed)?;
    if !sys::pass_credentials(socket.as_raw_fd()) {
        return Err(failed(io::Error::last_os_error()));
    }
    Ok(socket)
}
