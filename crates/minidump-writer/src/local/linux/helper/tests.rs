use super::super::watchdog::Watchdog;
use super::*;
use std::io::{Read, Write};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// No descriptor of a child and no child are left when this says so.
fn is_gone(pid: pid_t) -> bool {
    matches!(wait(libc::P_PID, pid), Err(error) if error.raw_os_error() == Some(libc::ECHILD))
}

#[test]
fn what_the_helper_says_arrives_and_its_end_is_taken() {
    let mut helper = Helper::start(|mut socket| socket.write_all(b"hello").unwrap()).unwrap();
    let mut said = Vec::new();
    helper.socket().read_to_end(&mut said).unwrap();
    assert_eq!(said, b"hello");
    assert_eq!(helper.finish(), End::Exited);
    assert!(is_gone(helper.pid()));
}

#[test]
fn a_helper_has_all_signals_blocked_and_the_thread_that_made_it_has_its_own_again() {
    let mask = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("SigBlk:")).unwrap();
        u64::from_str_radix(line.trim_start_matches("SigBlk:").trim(), 16).unwrap()
    };
    let before = mask();
    let helper = Helper::start(|mut socket| socket.write_all(&mask().to_ne_bytes()).unwrap()).unwrap();
    assert_eq!(mask(), before);
    let mut theirs = [0; 8];
    helper.socket().read_exact(&mut theirs).unwrap();
    // All 64 but SIGKILL and SIGSTOP, and 32 and 33, which the C library keeps to itself.
    let blockable = !(1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1) | 1 << 31 | 1 << 32);
    assert_eq!(u64::from_ne_bytes(theirs) & blockable, blockable);
}

#[test]
fn a_helper_that_hangs_is_ended_by_its_own_watchdog() {
    let mut helper = Helper::start(|_socket| {
        let _watchdog = Watchdog::start(Duration::from_millis(20)).unwrap();
        loop {
            std::hint::spin_loop();
        }
    })
    .unwrap();
    assert!(helper.wait_readable(soon()).unwrap());
    assert_eq!(helper.receive_now(&mut [0; 1]).unwrap(), 0);
    assert_eq!(helper.finish(), End::Killed(libc::SIGKILL));
    assert!(is_gone(helper.pid()));
}

#[test]
fn a_stopped_watchdog_bites_nobody() {
    let mut helper = Helper::start(|mut socket| {
        let watchdog = Watchdog::start(Duration::from_secs(3600)).unwrap();
        watchdog.stop();
        socket.write_all(b"x").unwrap();
    })
    .unwrap();
    assert!(helper.wait_readable(soon()).unwrap());
    assert_eq!(helper.finish(), End::Exited);
}

#[test]
fn a_helper_that_ignores_everything_is_killed_when_dropped() {
    let helper = Helper::start(|mut socket| {
        let _ = socket.read(&mut [0; 1]);
    })
    .unwrap();
    let pid = helper.pid();
    assert!(!is_gone(pid));
    drop(helper);
    assert!(is_gone(pid));
}

#[test]
fn a_helper_whose_status_somebody_else_took_ends_all_the_same() {
    let mut helper = Helper::start(drop).unwrap();
    // SAFETY: waits for a child; no status is wanted.
    assert_eq!(unsafe { libc::waitpid(helper.pid(), std::ptr::null_mut(), 0) }, helper.pid());
    assert_eq!(helper.finish(), End::Unknown);
}

#[test]
fn without_a_process_descriptor_the_helper_is_ended_by_its_id() {
    let mut helper = Helper::start(|mut socket| {
        let _ = socket.read(&mut [0; 1]);
    })
    .unwrap();
    helper.pidfd = None;
    assert_eq!(helper.kill(), End::Killed(libc::SIGKILL));
    assert!(is_gone(helper.pid()));
}

#[test]
fn a_panic_in_the_helper_ends_it_quietly() {
    let mut helper = Helper::start(|_socket| std::panic::resume_unwind(Box::new(()))).unwrap();
    assert_eq!(helper.finish(), End::Exited);
}
