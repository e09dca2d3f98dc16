//! One call of dbghelp at a time: all its functions are made for one thread.
//!
//! Source: "Remarks" of
//! <https://learn.microsoft.com/windows/win32/api/minidumpapiset/nf-minidumpapiset-minidumpwritedump>.

use std::marker::PhantomData;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{FALSE, WAIT_ABANDONED, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{CreateMutexA, ReleaseMutex, WaitForSingleObject};

/// Whether a dump is being taken.
static TAKEN: Mutex<bool> = Mutex::new(false);
/// Notified when one is done.
static FREE: Condvar = Condvar::new();

/// The right to take a dump, until this is dropped.
#[derive(Debug)]
pub struct Turn(());

impl Turn {
    /// Waits for those that came before. `None` when they are not done at `until`.
    pub fn take(until: Instant) -> Option<Self> {
        let patience = until.saturating_duration_since(Instant::now());
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut taken, _) =
            FREE.wait_timeout_while(taken, patience, |taken| *taken).unwrap_or_else(PoisonError::into_inner);
        if *taken {
            return None;
        }
        *taken = true;
        Some(Self(()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = false;
        FREE.notify_one();
    }
}

/// The mutex that Rust's standard library holds while it asks dbghelp for the names in a backtrace. It has a name, so that
/// all libraries of a process that are written in Rust meet there.
#[derive(Debug)]
pub struct BacktraceLock {
    mutex: OwnedHandle,
    /// Only the thread that waited for it may release it.
    of_this_thread: PhantomData<*const ()>,
}

impl BacktraceLock {
    /// Waits for it. `None` when it is not to be had in time: its holder may have crashed, or be made to stand, and a stranger
    /// may hold another object of that name. A dump without it is better than none.
    pub fn take(patience: Duration) -> Option<Self> {
        let name = format!("Local\\RustBacktraceMutex{:08X}\0", std::process::id());
        // SAFETY: the name ends with a zero, and is there during the call.
        let handle = unsafe { CreateMutexA(std::ptr::null(), FALSE, name.as_ptr()) };
        if handle.is_null() {
            return None;
        }
        // SAFETY: the handle was just made, and nobody else has it.
        let mutex = unsafe { OwnedHandle::from_raw_handle(handle) };
        // The largest number would mean for ever.
        let patience = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX).min(u32::MAX - 1);
        // SAFETY: the handle is open.
        match unsafe { WaitForSingleObject(mutex.as_raw_handle(), patience) } {
            WAIT_OBJECT_0 | WAIT_ABANDONED => Some(Self { mutex, of_this_thread: PhantomData }),
            _ => None,
        }
    }
}

impl Drop for BacktraceLock {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and this thread holds the mutex.
        unsafe { ReleaseMutex(self.mutex.as_raw_handle()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_had_by_one_at_a_time() {
        let far = Instant::now() + Duration::from_secs(60);
        let first = Turn::take(far).unwrap();
        assert!(Turn::take(Instant::now()).is_none());
        let second = std::thread::spawn(move || Turn::take(far).is_some());
        drop(first);
        assert!(second.join().unwrap());
        assert!(Turn::take(far).is_some(), "a thread that ends gives its turn back");
    }

    #[test]
    fn the_mutex_of_backtraces_is_held_by_one_thread_at_a_time() {
        let patience = Duration::from_secs(60);
        let held = BacktraceLock::take(patience).unwrap();
        let other =
            |patience| std::thread::spawn(move || BacktraceLock::take(patience).is_some()).join().unwrap();
        assert!(!other(Duration::ZERO));
        drop(held);
        assert!(other(patience));
    }
}
