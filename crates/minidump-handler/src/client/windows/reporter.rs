//! The thread that reports crashes of others. It is made when the client is installed, and has a stack that no crash has
//! used up.
#![expect(unsafe_code, reason = "a filter of exceptions, and memory that one thread at a time writes to")]

use super::mailbox::MAILBOX;
use super::state::{self, ANNOTATIONS, State};
use super::{message, sys};
use crate::protocol::windows::ExceptionAt;
use crate::windows::event::{Event, Waited, wait};
use std::io;
use std::os::windows::io::{AsHandle as _, BorrowedHandle, OwnedHandle};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use windows_sys::Win32::System::Diagnostics::Debug::{EXCEPTION_POINTERS, SetUnhandledExceptionFilter};

/// Bytes of its stack: dbghelp wants plenty.
const STACK: usize = 1 << 20;
/// Between two signs of life of the handler, and for all of its work, in milliseconds.
const SILENCE_MS: u64 = 5_000;
const ALL_MS: u64 = 300_000;
/// For the dump that the program writes itself.
const FALLBACK_MS: u64 = 60_000;
/// EXCEPTION_CONTINUE_SEARCH.
const CONTINUE_SEARCH: i32 = 0;

/// A crash.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    pub thread: u32,
    pub exception: ExceptionAt,
}

/// The thread, and how it is told of a crash.
#[derive(Debug)]
pub struct Reporter {
    /// Tells it to look; and that it is done.
    go: Event,
    finished: Event,
    stop: AtomicBool,
    /// The crash.
    thread: AtomicU32,
    pointers: AtomicU64,
    code: AtomicU32,
    /// The reporter's own id, 0 before it runs, and a handle of it.
    id: AtomicU32,
    handle: OnceLock<OwnedHandle>,
}

impl Reporter {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            go: Event::that_resets()?,
            finished: Event::new()?,
            stop: AtomicBool::new(false),
            thread: AtomicU32::new(0),
            pointers: AtomicU64::new(0),
            code: AtomicU32::new(0),
            id: AtomicU32::new(0),
            handle: OnceLock::new(),
        })
    }

    /// Starts the thread, which serves the state that this is part of.
    pub fn start(state: &'static State) -> io::Result<()> {
        let thread = std::thread::Builder::new().name("crash reporter".into()).stack_size(STACK);
        let thread = thread.spawn(move || run(state))?;
        // Only a handle of it is kept: it is waited for, and never joined in a crash.
        let _ = state.reporter.handle.set(thread.into());
        Ok(())
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.go.set();
        if let Some(handle) = self.handle.get() {
            wait([handle.as_handle()], Some(Duration::from_millis(ALL_MS)));
        }
    }

    /// Whether `thread` is the reporter.
    pub fn is_current(&self, thread: u32) -> bool {
        self.id.load(Ordering::Acquire) == thread
    }

    /// What is set when a crash has been reported.
    pub fn finished(&self) -> BorrowedHandle<'_> {
        self.finished.as_handle()
    }

    /// Has a crash reported. `For(0)`: it was. `For(1)`, or `Failed`: the thread is no more.
    pub fn report(&self, crash: Crash, most: Duration) -> Waited {
        let Some(handle) = self.handle.get() else { return Waited::Failed };
        self.finished.reset();
        self.thread.store(crash.thread, Ordering::Relaxed);
        self.pointers.store(crash.exception.pointers, Ordering::Relaxed);
        self.code.store(crash.exception.code, Ordering::Release);
        self.go.set();
        wait([self.finished.as_handle(), handle.as_handle()], Some(most))
    }

    fn crash(&self) -> Crash {
        let code = self.code.load(Ordering::Acquire);
        let pointers = self.pointers.load(Ordering::Relaxed);
        Crash { thread: self.thread.load(Ordering::Relaxed), exception: ExceptionAt { pointers, code } }
    }
}

/// The longest that a report takes.
pub fn most(state: &State) -> Duration {
    state.patience.saturating_add(Duration::from_millis(ALL_MS + FALLBACK_MS))
}

fn run(state: &State) {
    let reporter = &state.reporter;
    reporter.id.store(sys::thread_id(), Ordering::Release);
    loop {
        if wait([reporter.go.as_handle()], None) != Waited::For(0) || reporter.stop.load(Ordering::Acquire) {
            return;
        }
        let crash = reporter.crash();
        // SAFETY: the filter is a function of this program.
        let before = unsafe { SetUnhandledExceptionFilter(Some(in_the_midst)) };
        if !ask(state, &crash)
            && let Some(fallback) = &state.fallback
        {
            fallback.record(&crash, &ANNOTATIONS);
        }
        // SAFETY: the filter of before.
        unsafe { SetUnhandledExceptionFilter(before) };
        reporter.finished.set();
    }
}

/// The filter while a crash is reported. Without it, a crash of the reporter would wait for the thread that waits for it.
unsafe extern "system" fn in_the_midst(_: *const EXCEPTION_POINTERS) -> i32 {
    if let Some(state) = state::current() {
        if state.reporter.is_current(sys::thread_id()) {
            // The program dies of its first crash.
            sys::terminate(state.reporter.code.load(Ordering::Acquire));
        }
        // Another thread's crash changes nothing any more.
        wait([state.reporter.finished()], Some(most(state)));
    }
    CONTINUE_SEARCH
}

/// Has the handler dump this process. Whether there is, or shall be, nothing more to do.
pub fn ask(state: &State, crash: &Crash) -> bool {
    let Some(line) = state.channel.get() else { return false };
    // SAFETY: one crash is reported at a time, by the reporter or, when that has gone, by the thread that crashed.
    unsafe {
        MAILBOX.put(|buffer| {
            message::of_crash(buffer, (crash.thread, crash.exception), state.about, &ANNOTATIONS)
        });
    }
    // What may be left of an earlier crash that the program survived.
    [&line.alive, &line.settled, &line.failed].into_iter().for_each(|event| event.reset());
    let begun = sys::now_ms();
    let last = begun.saturating_add(ALL_MS);
    let mut until = begun.saturating_add(u64::try_from(state.patience.as_millis()).unwrap_or(ALL_MS));
    line.request.set();
    loop {
        let handles =
            [line.settled.as_handle(), line.failed.as_handle(), line.handler(), line.alive.as_handle()];
        match wait(handles, Some(sys::until(until.min(last)))) {
            Waited::For(0) => return true,
            Waited::For(3) => until = sys::now_ms().saturating_add(SILENCE_MS),
            _ => return false,
        }
    }
}
