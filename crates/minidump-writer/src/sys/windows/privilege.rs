//! The right to debug programs of other users, for one call.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::{ERROR_NOT_ALL_ASSIGNED, GetLastError};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, ImpersonateSelf, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW, RevertToSelf,
    SE_DEBUG_NAME, SE_PRIVILEGE_ENABLED, SecurityImpersonation, TOKEN_ADJUST_PRIVILEGES, TOKEN_PRIVILEGES,
    TOKEN_QUERY,
};
use windows_sys::Win32::System::Threading::{GetCurrentThread, OpenThreadToken};

/// A copy of the program's token, with SeDebugPrivilege on, that the calling thread acts by until this is dropped. The token
/// of the program itself, and so what its other threads may do, stays as it is.
#[derive(Debug)]
pub struct DebugPrivilege(());

impl DebugPrivilege {
    /// Fails where the user has no such privilege, and for a thread that acts as somebody else already.
    pub fn take() -> io::Result<Self> {
        if thread_token(TOKEN_QUERY).is_ok() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        // SAFETY: takes a number alone.
        if unsafe { ImpersonateSelf(SecurityImpersonation) } == 0 {
            return Err(io::Error::last_os_error());
        }
        // Dropped, and so undone, when the rest fails.
        let taken = Self(());
        enable(&thread_token(TOKEN_QUERY | TOKEN_ADJUST_PRIVILEGES)?)?;
        Ok(taken)
    }
}

impl Drop for DebugPrivilege {
    fn drop(&mut self) {
        // SAFETY: takes nothing. Without it, the thread would merely have a token with more privileges switched on.
        unsafe { RevertToSelf() };
    }
}

fn thread_token(access: u32) -> io::Result<OwnedHandle> {
    let mut token = null_mut();
    // SAFETY: the pseudo handle of the thread is always open, and the pointer is to a variable of the type that is written.
    if unsafe { OpenThreadToken(GetCurrentThread(), access, 1, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just made, and nobody else knows it.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

fn enable(token: &OwnedHandle) -> io::Result<()> {
    let mut privilege = LUID_AND_ATTRIBUTES { Attributes: SE_PRIVILEGE_ENABLED, ..Default::default() };
    // SAFETY: the name ends with a zero, and the pointer is to a variable of the type that the call writes.
    if unsafe { LookupPrivilegeValueW(null_mut(), SE_DEBUG_NAME, &raw mut privilege.Luid) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = TOKEN_PRIVILEGES { PrivilegeCount: 1, Privileges: [privilege] };
    // SAFETY: the handle is open, and the structure has as many privileges as it says. The call succeeds even when it did
    // nothing; the thread's last error tells.
    let code = unsafe {
        let done =
            AdjustTokenPrivileges(token.as_raw_handle(), 0, &raw const wanted, 0, null_mut(), null_mut());
        if done == 0 { GetLastError().max(1) } else { GetLastError() }
    };
    match code {
        0 => Ok(()),
        ERROR_NOT_ALL_ASSIGNED => Err(io::ErrorKind::PermissionDenied.into()),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_has_a_token_of_its_own_only_as_long_as_it_needs() {
        let taken = DebugPrivilege::take();
        if taken.is_ok() {
            assert!(thread_token(TOKEN_QUERY).is_ok());
            assert!(DebugPrivilege::take().is_err(), "not twice");
        }
        drop(taken);
        assert!(thread_token(TOKEN_QUERY).is_err());
    }
}
