//! Whether a target lives on as if nothing had happened.

use crate::target::{Target, number};
use crate::{proc_files, process};

/// Fails unless no thread of the target is stopped or traced and the target answers and goes on with its work.
#[track_caller]
pub fn assert_unharmed(target: &mut Target) {
    assert_not_held(target.pid());
    let answer = target.ask("ping");
    assert_eq!(answer["pid"], target.pid(), "the target answers");
    if answer["counter"].is_u64() {
        assert_advances(target, number(&answer, "counter"));
    }
    assert_not_held(target.pid());
}

/// Fails unless no thread of process `pid` is stopped or traced.
#[track_caller]
pub fn assert_not_held(pid: i32) {
    for tid in proc_files::threads(pid) {
        let tracer = proc_files::status_line(pid, tid, "TracerPid");
        assert!(tracer.is_none_or(|tracer| tracer == "0"), "thread {tid} is traced");
        let state = proc_files::state(pid, tid);
        assert!(!matches!(state, Some('T' | 't')), "thread {tid} is stopped: {state:?}");
    }
}

/// Fails unless the target's counter goes beyond `before`.
#[track_caller]
pub fn assert_advances(target: &mut Target, before: u64) {
    process::wait_until("the target to go on", || number(&target.ask("ping"), "counter") > before);
}

/// Waits until process `pid`, a child of ours, is stopped by a signal.
#[track_caller]
pub fn wait_for_stop(pid: i32) {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let id = libc::id_t::try_from(pid).unwrap();
    // SAFETY: `info` has room for what waitid writes. WNOWAIT leaves the state to be waited for again.
    let result = unsafe {
        libc::waitid(libc::P_PID, id, info.as_mut_ptr(), libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT)
    };
    assert_eq!(result, 0, "waitid({pid}): {}", std::io::Error::last_os_error());
    // SAFETY: waitid has filled the structure.
    let code = unsafe { info.assume_init() }.si_code;
    assert_eq!(code, libc::CLD_STOPPED, "the target has stopped");
}
