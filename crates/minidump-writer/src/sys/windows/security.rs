//! What the system lets a process do.
#![expect(unsafe_code, reason = "calls of the system")]

use super::ntdll;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;
use windows_sys::Win32::Security::{
    GetSidSubAuthority, GetSidSubAuthorityCount, GetTokenInformation, PSID, TOKEN_MANDATORY_LABEL,
    TOKEN_QUERY, TokenIntegrityLevel,
};
use windows_sys::Win32::System::Threading::OpenProcessToken;

/// `ProcessExecuteFlags` of PROCESSINFOCLASS.
const EXECUTE_FLAGS: i32 = 34;
/// Words of an answer: a label is a pointer and a number, and its SID has one sub-authority.
const LABEL_WORDS: usize = 32;

/// `MEM_EXECUTE_OPTION_*` of `process`: what it says of code in data. `None` where the system does not tell: of 64-bit
/// processes, which cannot have such code.
pub fn execute_flags(process: BorrowedHandle<'_>) -> Option<u32> {
    // SAFETY: a number is valid whatever its bytes.
    unsafe { ntdll::process_information(process, EXECUTE_FLAGS) }.ok()
}

/// The integrity level of the token of `process` (`SECURITY_MANDATORY_*_RID`).
pub fn integrity_level(process: BorrowedHandle<'_>) -> Option<u32> {
    let token = token(process)?;
    let mut words = [0_usize; LABEL_WORDS];
    let size = u32::try_from(size_of_val(&words)).ok()?;
    let mut came = 0;
    // SAFETY: the handle is open for TOKEN_QUERY, and the buffer has as many bytes as are said.
    let done = unsafe {
        GetTokenInformation(
            token.as_handle().as_raw_handle(),
            TokenIntegrityLevel,
            words.as_mut_ptr().cast(),
            size,
            &raw mut came,
        )
    };
    if done == 0 {
        return None;
    }
    // SAFETY: the call has filled the buffer, which is aligned as its words are, with this structure.
    let label = unsafe { &*words.as_ptr().cast::<TOKEN_MANDATORY_LABEL>() };
    last_sub_authority(label.Label.Sid)
}

fn token(process: BorrowedHandle<'_>) -> Option<OwnedHandle> {
    let mut token = null_mut();
    // SAFETY: the handle is open, and the pointer is to a variable of the type that the call writes.
    let done = unsafe { OpenProcessToken(process.as_raw_handle(), TOKEN_QUERY, &raw mut token) };
    if done == 0 || token.is_null() {
        return None;
    }
    // SAFETY: the call succeeded, so this is a handle that nobody else knows.
    Some(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// The last number of a security identifier that the system has made.
fn last_sub_authority(sid: PSID) -> Option<u32> {
    if sid.is_null() {
        return None;
    }
    // SAFETY: the system has made the identifier, so its count is there.
    let count = unsafe { *GetSidSubAuthorityCount(sid) };
    let last = count.checked_sub(1)?;
    // SAFETY: the identifier has more than `last` numbers.
    Some(unsafe { *GetSidSubAuthority(sid, last.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use windows_sys::Win32::System::Threading::GetCurrentProcess;

    #[test]
    fn this_process_has_one_of_the_known_levels() {
        // SAFETY: the pseudo handle of the own process is always open.
        let own = unsafe { BorrowedHandle::borrow_raw(GetCurrentProcess()) };
        let level = integrity_level(own).expect("known");
        // SECURITY_MANDATORY_UNTRUSTED_RID up to SECURITY_MANDATORY_SYSTEM_RID, and medium plus between them.
        assert!([0, 0x1000, 0x2000, 0x2100, 0x3000, 0x4000].contains(&level), "{level:#x}");
    }

    #[test]
    fn the_execute_flags_are_known_ones() {
        // SAFETY: the pseudo handle of the own process is always open.
        let own = unsafe { BorrowedHandle::borrow_raw(GetCurrentProcess()) };
        assert!(execute_flags(own).is_none_or(|flags| flags <= 0x7f), "{:?}", execute_flags(own));
    }
}
