//! Ends the helper when it hangs.
//!
//! While the helper holds the process still nobody else can: the thread that waits for it stands still, too. The timer
//! sends SIGKILL, which needs neither a handler nor a thread that is in a state to run one. Source: timer_create(2).
#![allow(unsafe_code)]

use libc::c_int;
use std::io;
use std::time::Duration;

/// A timer that kills this process when it runs out. It outlives this value.
#[derive(Debug)]
pub struct Watchdog {
    /// The kernel's id of the timer.
    timer: c_int,
}

impl Watchdog {
    /// Starts the time.
    ///
    /// # Errors
    /// The system gives no timer.
    pub fn start(limit: Duration) -> io::Result<Self> {
        let mut timer: c_int = 0;
        // SAFETY: sigevent is plain data; all zeros is a valid value.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGKILL;
        // SAFETY: the kernel reads one sigevent and writes one int. The system call itself, as the function of the C
        // library lies in another library (librt) on older systems.
        let result = unsafe {
            libc::syscall(libc::SYS_timer_create, libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer)
        };
        if result == -1 {
            return Err(io::Error::last_os_error());
        }
        let watchdog = Self { timer };
        watchdog.set(limit.max(Duration::from_millis(1)))?;
        Ok(watchdog)
    }

    /// Stops the time.
    pub fn stop(&self) {
        // Cannot fail: the timer exists and the time is valid.
        let _ = self.set(Duration::ZERO);
    }

    fn set(&self, limit: Duration) -> io::Result<()> {
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let value = libc::timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: libc::c_long::from(limit.subsec_nanos()),
        };
        let times = libc::itimerspec { it_interval: never, it_value: value };
        let old = std::ptr::null_mut::<libc::itimerspec>();
        // SAFETY: the kernel reads one itimerspec and writes nothing.
        let result = unsafe { libc::syscall(libc::SYS_timer_settime, self.timer, 0, &raw const times, old) };
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
