//! A thread for the dump alone: the one that asks for it may have used up its stack.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Stack of the thread in bytes. dbghelp takes a good part of that.
const STACK_SIZE: usize = 1 << 20;
/// Pause between looks at what else is to be done.
const TICK: Duration = Duration::from_millis(250);

/// Where a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On a thread of its own.
    OwnThread,
    /// On the thread that asks for it.
    Here,
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// The time is over; the job goes on.
    Late,
    /// The thread ended early.
    Lost,
}

enum Message<T> {
    Started,
    Done(T),
}

/// Runs `job` on a new thread and waits for its result until `until`, with a call of `meanwhile` now and then.
///
/// When no thread can be made, or it has not begun after `patience` (the calling thread may hold the loader's lock, which a new
/// thread has to take first), the job runs here.
pub fn run<T, F>(job: F, patience: Duration, until: Instant, meanwhile: impl FnMut()) -> Result<T, Unfinished>
where
    T: Send + 'static,
    F: FnOnce(Place) -> T + Send + 'static,
{
    let (tell, told) = channel();
    // Whoever takes the job out of there runs it.
    let waiting = Arc::new(Mutex::new(Some(job)));
    let theirs = Arc::clone(&waiting);
    let thread = Builder::new().name("minidump-writer".into()).stack_size(STACK_SIZE).spawn(move || {
        if let Some(job) = take(&theirs) {
            // Nobody listens any more when the time is over.
            let _ = tell.send(Message::Started);
            let _ = tell.send(Message::Done(job(Place::OwnThread)));
        }
    });
    let has_begun = thread.is_ok() && told.recv_timeout(patience).is_ok();
    if !has_begun && let Some(job) = take(&waiting) {
        return Ok(job(Place::Here));
    }
    wait(&told, until, meanwhile)
}

fn take<F>(job: &Mutex<Option<F>>) -> Option<F> {
    job.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn wait<T>(
    told: &Receiver<Message<T>>,
    until: Instant,
    mut meanwhile: impl FnMut(),
) -> Result<T, Unfinished> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match told.recv_timeout(TICK.min(left)) {
            Ok(Message::Done(result)) => return Ok(result),
            Ok(Message::Started) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Unfinished::Lost),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return Err(Unfinished::Late),
            Err(RecvTimeoutError::Timeout) => meanwhile(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    const LONG: Duration = Duration::from_secs(60);

    fn far() -> Instant {
        Instant::now() + LONG
    }

    #[test]
    fn a_job_runs_on_a_thread_of_its_own_with_a_stack_of_its_own() {
        let here = std::thread::current().id();
        let (place, thread, sum) = run(
            |place| {
                // Most of the stack, every page of it touched.
                let mut bytes = [1_u8; STACK_SIZE - (128 << 10)];
                black_box(&mut bytes);
                let sum: usize = bytes.iter().map(|byte| usize::from(*byte)).sum();
                (place, std::thread::current().id(), sum)
            },
            LONG,
            far(),
            || {},
        )
        .unwrap();
        assert_eq!((place, sum), (Place::OwnThread, STACK_SIZE - (128 << 10)));
        assert_ne!(thread, here);
    }

    #[test]
    fn a_job_that_no_thread_begins_runs_here() {
        let here = std::thread::current().id();
        // With the loader's lock held no thread begins.
        let lock = loader_lock::Held::take();
        let result =
            run(|place| (place, std::thread::current().id()), Duration::from_millis(50), far(), || {});
        drop(lock);
        assert_eq!(result, Ok((Place::Here, here)));
    }

    #[test]
    fn who_waits_is_called_meanwhile_and_not_kept_for_ever() {
        let (stop, stopped) = channel::<()>();
        let job = move |_| {
            let _ = stopped.recv();
        };
        let mut calls = 0;
        assert_eq!(run(job, LONG, Instant::now() + 3 * TICK, || calls += 1), Err(Unfinished::Late));
        assert!(calls > 0);
        drop(stop);
    }

    /// The lock that the system's loader takes for every thread that begins.
    mod loader_lock {
        use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};

        type Lock = unsafe extern "system" fn(u32, *mut u32, *mut usize) -> i32;
        type Unlock = unsafe extern "system" fn(u32, usize) -> i32;

        pub struct Held(usize);

        fn function(name: &std::ffi::CStr) -> unsafe extern "system" fn() -> isize {
            // SAFETY: both names end with a zero.
            unsafe { GetProcAddress(GetModuleHandleA(c"ntdll.dll".as_ptr().cast()), name.as_ptr().cast()) }
                .unwrap()
        }

        impl Held {
            pub fn take() -> Self {
                let mut cookie = 0;
                // SAFETY: that is its signature, and there is room for the cookie.
                let status = unsafe {
                    std::mem::transmute::<_, Lock>(function(c"LdrLockLoaderLock"))(
                        0,
                        std::ptr::null_mut(),
                        &raw mut cookie,
                    )
                };
                assert_eq!(status, 0);
                Self(cookie)
            }
        }

        impl Drop for Held {
            fn drop(&mut self) {
                // SAFETY: that is its signature, and this thread holds the lock.
                unsafe { std::mem::transmute::<_, Unlock>(function(c"LdrUnlockLoaderLock"))(0, self.0) };
            }
        }
    }
}
