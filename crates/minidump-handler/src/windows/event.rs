//! Events, and waiting for them. Nothing here allocates but [`Event::new`], so that a crashing program may use it.
#![expect(unsafe_code, reason = "handles")]

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle};
use std::ptr;
use std::time::Duration;
use windows_sys::Win32::Foundation::{HANDLE, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForMultipleObjects,
};

/// An event.
#[derive(Debug)]
pub struct Event(OwnedHandle);

impl Event {
    /// One that stays set until it is reset.
    pub fn new() -> io::Result<Self> {
        Self::create(true)
    }

    /// One that is reset when somebody has waited for it.
    pub fn that_resets() -> io::Result<Self> {
        Self::create(false)
    }

    fn create(stays: bool) -> io::Result<Self> {
        // SAFETY: neither attributes nor a name are given.
        let handle = unsafe { CreateEventW(ptr::null(), i32::from(stays), 0, ptr::null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new handle, which is ours.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// An event that somebody else has made.
    pub fn of(handle: OwnedHandle) -> Self {
        Self(handle)
    }

    /// Sets it.
    pub fn set(&self) {
        // SAFETY: an open handle.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    /// Resets it.
    pub fn reset(&self) {
        // SAFETY: an open handle.
        unsafe { ResetEvent(self.0.as_raw_handle()) };
    }

    /// Whether it is set; one that resets is not any more afterwards.
    #[cfg(test)]
    pub fn is_set(&self) -> bool {
        wait([self.0.as_handle()], Some(Duration::ZERO)) == Waited::For(0)
    }
}

impl AsHandle for Event {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The handle at this place; of several, the first.
    For(usize),
    /// Time is over.
    TooLong,
    /// A handle is none, or may not be waited for.
    Failed,
}

/// Waits for one of the handles, with `None` for any time.
pub fn wait<const N: usize>(handles: [BorrowedHandle<'_>; N], most: Option<Duration>) -> Waited {
    let raw: [HANDLE; N] = handles.map(|handle| handle.as_raw_handle());
    let milliseconds = most.map_or(INFINITE, |most| {
        u32::try_from(most.as_micros().div_ceil(1000)).unwrap_or(INFINITE).min(INFINITE - 1)
    });
    let count = u32::try_from(N).unwrap_or(0);
    // SAFETY: so many open handles, borrowed until the call is over.
    let answer = unsafe { WaitForMultipleObjects(count, raw.as_ptr(), 0, milliseconds) };
    if answer == WAIT_TIMEOUT {
        return Waited::TooLong;
    }
    match usize::try_from(answer.wrapping_sub(WAIT_OBJECT_0)) {
        Ok(index) if index < N => Waited::For(index),
        _ => Waited::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_those_that_are_set_ends_a_wait() {
        let [first, second] = [Event::new().unwrap(), Event::that_resets().unwrap()];
        let both = || wait([first.as_handle(), second.as_handle()], Some(Duration::ZERO));
        assert_eq!(both(), Waited::TooLong);
        second.set();
        assert_eq!(both(), Waited::For(1));
        assert_eq!(both(), Waited::TooLong, "it has reset itself");
        second.set();
        first.set();
        assert_eq!((both(), both()), (Waited::For(0), Waited::For(0)));
        first.reset();
        assert_eq!(both(), Waited::For(1));
    }
}
