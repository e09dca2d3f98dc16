//! Who may use a pipe, and who has made one.
#![expect(unsafe_code, reason = "calls of the system that hand out memory")]

use super::wide;
use std::io;
use std::os::windows::io::{AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle};
use std::ptr;
use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo,
    SDDL_REVISION_1, SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, TOKEN_QUERY, TOKEN_USER,
    TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// The system, and the group of administrators ("Well-known SIDs" of Microsoft's documentation).
const SYSTEM: &str = "S-1-5-18";
const ADMINISTRATORS: &str = "S-1-5-32-544";
/// What a client needs of a pipe: to read, to write and to change its mode. Not among it is FILE_CREATE_PIPE_INSTANCE, by
/// which others could answer in the server's place.
pub const CLIENT_RIGHTS: u32 = 0x0012_019b;
/// Longer than any description of a token's user.
const TOKEN_BYTES: usize = 256;
/// The longest text of a SID has 15 numbers of ten digits.
const MOST_SID: usize = 256;

/// A security descriptor.
#[derive(Debug)]
pub struct Descriptor(PSECURITY_DESCRIPTOR);

// SAFETY: what it leads to is owned, and only read.
unsafe impl Send for Descriptor {}
// SAFETY: as above.
unsafe impl Sync for Descriptor {}

impl Descriptor {
    /// Of a pipe of this user's: only this user and the system may use it, or, with `for_all`, every user of this machine.
    /// Nobody may from another machine.
    pub fn of_pipe(for_all: bool) -> io::Result<Self> {
        let user = own_user()?;
        let others = if for_all { format!("(A;;{CLIENT_RIGHTS:#x};;;AU)") } else { String::new() };
        // NU is who has come over the network, SY the system, AU who has logged on.
        Self::parse(&format!("O:{user}D:P(D;;GA;;;NU)(A;;GA;;;SY)(A;;GA;;;{user}){others}"))
    }

    fn parse(text: &str) -> io::Result<Self> {
        let mut descriptor = ptr::null_mut();
        // SAFETY: a text that ends with zero, and a place for the address of what is made.
        let is_made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                wide(text).as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                ptr::null_mut(),
            )
        };
        if is_made == 0 { Err(io::Error::last_os_error()) } else { Ok(Self(descriptor)) }
    }

    /// For calls that take one. It is valid as long as this value.
    pub fn as_ptr(&self) -> PSECURITY_DESCRIPTOR {
        self.0
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the system has allocated it so, and nobody uses it any more.
        unsafe { LocalFree(self.0) };
    }
}

/// The user of this process.
pub fn own_user() -> io::Result<String> {
    // SAFETY: the pseudo handle is valid everywhere, and needs no closing.
    user_of(unsafe { BorrowedHandle::borrow_raw(GetCurrentProcess()) })
}

/// The user of a process, which was opened for PROCESS_QUERY_LIMITED_INFORMATION.
pub fn user_of(process: BorrowedHandle<'_>) -> io::Result<String> {
    let mut token = ptr::null_mut();
    // SAFETY: an open handle, and a place for another.
    if unsafe { OpenProcessToken(process.as_raw_handle(), TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new handle, which is ours.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    let mut room = [0_u64; TOKEN_BYTES / 8];
    let mut length = 0;
    let size = u32::try_from(TOKEN_BYTES).unwrap_or(0);
    // SAFETY: room of that size, aligned for the structure that is written there.
    let is_told = unsafe {
        GetTokenInformation(token.as_raw_handle(), TokenUser, room.as_mut_ptr().cast(), size, &raw mut length)
    };
    if is_told == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has written this structure there; the SID that it leads to is in the same room.
    unsafe { text_of((*room.as_ptr().cast::<TOKEN_USER>()).User.Sid) }
}

/// Whether the pipe at whose other end a program is was made by its own user, by an administrator or by the system: nobody
/// else may be given this program's secrets.
pub fn is_trustworthy(pipe: BorrowedHandle<'_>) -> io::Result<bool> {
    let owner = owner(pipe)?;
    Ok(owner == SYSTEM || owner == ADMINISTRATORS || owner == own_user()?)
}

/// The owner of a pipe, which was opened for READ_CONTROL.
fn owner(pipe: BorrowedHandle<'_>) -> io::Result<String> {
    let (mut sid, mut descriptor) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: an open handle, and places for two addresses: of a descriptor, and of the SID in it.
    let error = unsafe {
        GetSecurityInfo(
            pipe.as_raw_handle(),
            SE_KERNEL_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &raw mut sid,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            &raw mut descriptor,
        )
    };
    if error != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(error.cast_signed()));
    }
    let _descriptor = Descriptor(descriptor);
    if sid.is_null() {
        return Err(io::Error::other("the pipe has no owner"));
    }
    // SAFETY: it is in the descriptor, which lives until the end of this function.
    unsafe { text_of(sid) }
}

/// A SID as text.
///
/// # Safety
/// It must be one.
unsafe fn text_of(sid: PSID) -> io::Result<String> {
    let mut text = ptr::null_mut();
    // SAFETY: the caller's SID, and a place for the address of a text.
    if unsafe { ConvertSidToStringSidW(sid, &raw mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the text ends with zero, which is looked for no further than a SID's text can reach.
    let told = unsafe {
        let length = (0..MOST_SID).take_while(|at| *text.add(*at) != 0).count();
        String::from_utf16_lossy(std::slice::from_raw_parts(text, length))
    };
    // SAFETY: the system has allocated it so.
    unsafe { LocalFree(text.cast()) };
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_user_and_descriptors_name_it() {
        let user = own_user().unwrap();
        assert!(user.starts_with("S-1-5-"), "{user}");
        for for_all in [false, true] {
            assert!(!Descriptor::of_pipe(for_all).unwrap().as_ptr().is_null());
        }
        assert!(Descriptor::parse("no descriptor").is_err());
    }
}
