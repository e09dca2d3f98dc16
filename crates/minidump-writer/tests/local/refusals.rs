use crate::dump::{Dump, thread_id};
use crate::own_process;
use crate::traces::{Traces, assert_childless};
use minidump_writer::{DumpOptions, Error, dump_self};

/// A user without rights: "nobody" on most systems.
const NOBODY: libc::uid_t = 65_534;

fn refusal() -> Error {
    let mut bytes = Vec::new();
    let before = Traces::now();
    let error = dump_self(&DumpOptions::default(), &mut bytes).unwrap_err();
    assert!(bytes.is_empty());
    assert_childless();
    assert_eq!(Traces::now(), before);
    error
}

#[track_caller]
fn denied(error: &Error) -> &str {
    match error {
        Error::PermissionDenied { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

fn set_dumpable(value: libc::c_ulong) {
    // SAFETY: PR_SET_DUMPABLE takes a number.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, value) }, 0);
}

fn not_dumpable() {
    // SAFETY: a number; root alone has to give up its rights here, as it may trace everything.
    unsafe {
        if libc::geteuid() == 0 {
            assert_eq!(libc::setresuid(NOBODY, NOBODY, NOBODY), 0);
        }
    }
    set_dumpable(0);
    let error = refusal();
    assert!(denied(&error).contains("prctl(PR_SET_DUMPABLE, 1)"), "{error}");
    set_dumpable(1);
    let dump = Dump::take();
    assert_eq!(dump.threads().threads[0].raw.thread_id, thread_id());
}

/// Puts a filter on the calling thread that does `action` at ptrace(2), and allows all else.
fn filter_ptrace(action: u32) {
    let (load, equal, give) = (
        u16::try_from(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS).unwrap(),
        u16::try_from(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K).unwrap(),
        u16::try_from(libc::BPF_RET | libc::BPF_K).unwrap(),
    );
    let ptrace = u32::try_from(libc::SYS_ptrace).unwrap();
    // The number of the system call is the first field of seccomp_data.
    let mut filter = [
        libc::sock_filter { code: load, jt: 0, jf: 0, k: 0 },
        libc::sock_filter { code: equal, jt: 0, jf: 1, k: ptrace },
        libc::sock_filter { code: give, jt: 0, jf: 0, k: action },
        libc::sock_filter { code: give, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: the program lies in `filter`, which lives through the call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}

fn filter_that_refuses() {
    filter_ptrace(libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs());
    let error = refusal();
    assert!(denied(&error).contains("seccomp"), "{error}");
    assert!(denied(&error).contains("ptrace(2)"), "{error}");
}

fn filter_that_kills() {
    filter_ptrace(libc::SECCOMP_RET_KILL_PROCESS);
    let error = refusal();
    assert!(matches!(&error, Error::LocalDump { reason } if reason.contains("seccomp")), "{error}");
}

fn other_namespace() {
    // SAFETY: a flag. From here on, children are born elsewhere.
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } == -1 {
        let error = std::io::Error::last_os_error();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM), "only root can do this, {error}");
        return;
    }
    let error = refusal();
    assert!(matches!(&error, Error::LocalDump { reason } if reason.contains("pid namespace")), "{error}");
}

fn without_proc() {
    // SAFETY: flags and texts that end with a zero byte. From here on, this process alone sees what it changes.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS) == -1 {
            let error = std::io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::EPERM), "only root can do this, {error}");
            return;
        }
        let (root, flags) = (c"/".as_ptr(), libc::MS_REC | libc::MS_PRIVATE);
        assert_eq!(libc::mount(std::ptr::null(), root, std::ptr::null(), flags, std::ptr::null()), 0);
        assert_eq!(libc::umount2(c"/proc".as_ptr(), libc::MNT_DETACH), 0);
    }
    let mut bytes = Vec::new();
    let error = dump_self(&DumpOptions::default(), &mut bytes).unwrap_err();
    assert!(
        matches!(&error, Error::LocalDump { reason } if reason.contains("/proc is not mounted")),
        "{error}"
    );
    assert!(bytes.is_empty());
    assert_childless();
}

#[test]
fn a_process_without_proc_is_refused_and_told_why() {
    own_process::run("refusals::a_process_without_proc_is_refused_and_told_why", without_proc);
}

#[test]
fn a_process_that_is_not_dumpable_is_refused_until_it_is() {
    own_process::run("refusals::a_process_that_is_not_dumpable_is_refused_until_it_is", not_dumpable);
}

#[test]
fn a_filter_that_refuses_ptrace_is_named() {
    own_process::run("refusals::a_filter_that_refuses_ptrace_is_named", filter_that_refuses);
}

#[test]
fn a_filter_that_kills_the_helper_is_named() {
    own_process::run("refusals::a_filter_that_kills_the_helper_is_named", filter_that_kills);
}

#[test]
fn children_in_another_pid_namespace_are_refused() {
    own_process::run("refusals::children_in_another_pid_namespace_are_refused", other_namespace);
}
