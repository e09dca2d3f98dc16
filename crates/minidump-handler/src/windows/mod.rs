//! What both sides of the hand-over need of Windows: events, pipes of messages, and who may use them.

pub mod event;
pub mod operation;
pub mod pipe;
pub mod pipe_name;
pub mod random;
pub mod security;

/// The calling thread.
#[expect(unsafe_code, reason = "a call of the system")]
pub fn thread_id() -> u32 {
    // SAFETY: it touches nothing.
    unsafe { windows_sys::Win32::System::Threading::GetCurrentThreadId() }
}

/// A text as the calls with a W at their end want it.
pub fn wide(text: impl AsRef<std::ffi::OsStr>) -> Vec<u16> {
    use std::os::windows::ffi::OsStrExt as _;
    text.as_ref().encode_wide().chain([0]).collect()
}
