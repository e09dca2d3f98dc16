//! The access control list of what only the owner may read.

use std::io;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// Room for a `TOKEN_USER` and its SID, which has at most 68 bytes (`SECURITY_MAX_SID_SIZE`), in words.
const TOKEN_WORDS: usize = 16;
/// A SID as text has at most 184 characters: 15 numbers of 10 digits, with what is around them.
const MOST_SID: usize = 256;

/// For new files and directories: they belong to this user, who alone may do anything with them; nothing is inherited from
/// the directory that they are in.
pub(super) struct OwnerOnly {
    descriptor: PSECURITY_DESCRIPTOR,
    attributes: SECURITY_ATTRIBUTES,
}

impl OwnerOnly {
    /// For a file.
    pub(super) fn of_file() -> io::Result<Self> {
        Self::inherited_by("")
    }

    /// For a directory, whose new files and directories get the same list.
    pub(super) fn of_directory() -> io::Result<Self> {
        Self::inherited_by("OICI")
    }

    /// The list in the language of "Security Descriptor String Format": protected (`P`) from the list of the parent, one
    /// entry that allows (`A`) all of file access (`FA`).
    fn inherited_by(flags: &str) -> io::Result<Self> {
        let user = user()?;
        let text = format!("O:{user}D:P(A;{flags};FA;;;{user})");
        let text: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut descriptor = null_mut();
        // SAFETY: a NUL-terminated text, a live pointer for the descriptor, and no wish to know its size.
        let made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        };
        if made == 0 {
            return Err(io::Error::last_os_error());
        }
        let attributes = SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
            lpSecurityDescriptor: descriptor,
            bInheritHandle: 0,
        };
        Ok(Self { descriptor, attributes })
    }

    /// What the system is to be given. It points into this.
    pub(super) fn attributes(&self) -> &SECURITY_ATTRIBUTES {
        &self.attributes
    }
}

impl Drop for OwnerOnly {
    fn drop(&mut self) {
        // SAFETY: the descriptor was allocated for this by the conversion (`LocalAlloc`), and is freed here alone.
        unsafe { LocalFree(self.descriptor) };
    }
}

/// The SID of the user that this process runs as, as text.
fn user() -> io::Result<String> {
    let mut token = null_mut();
    // SAFETY: the pseudo handle of this process, and a live place for the handle.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made this handle, and nothing else owns it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // Words, so that the structure is aligned.
    let mut room = [0_u64; TOKEN_WORDS];
    let (size, mut needed) = (u32::try_from(size_of_val(&room)).unwrap_or(0), 0);
    // SAFETY: the token is open, and the system writes at most `size` bytes to `room`, which is as long.
    let told = unsafe {
        GetTokenInformation(token.as_raw_handle(), TokenUser, room.as_mut_ptr().cast(), size, &raw mut needed)
    };
    if told == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut text = null_mut();
    // SAFETY: the call above has put a TOKEN_USER at the start of `room`, which is aligned for it, with a pointer to the SID
    // behind it; `text` is live.
    if unsafe { ConvertSidToStringSidW((*room.as_ptr().cast::<TOKEN_USER>()).User.Sid, &raw mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the conversion has made a NUL-terminated text, which is read up to its end and then freed, once.
    let units: Vec<u16> = unsafe {
        let units = (0..MOST_SID).map(|index| *text.add(index)).take_while(|unit| *unit != 0).collect();
        LocalFree(text.cast());
        units
    };
    Ok(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::super::{create_private, create_private_directory};
    use super::*;
    use std::os::windows::ffi::OsStrExt as _;
    use std::path::Path;
    use windows_sys::Win32::Security::Authorization::{
        ConvertSecurityDescriptorToStringSecurityDescriptorW, GetNamedSecurityInfoW, SE_FILE_OBJECT,
    };
    use windows_sys::Win32::Security::DACL_SECURITY_INFORMATION;

    /// The access control list of a file, as text.
    pub(super) fn list_of(path: &Path) -> String {
        let path: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
        let mut descriptor = null_mut();
        let mut text = null_mut();
        // SAFETY: live arguments; what is allocated here is small, and the test ends soon.
        unsafe {
            let code = GetNamedSecurityInfoW(
                path.as_ptr(),
                SE_FILE_OBJECT,
                DACL_SECURITY_INFORMATION,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                &raw mut descriptor,
            );
            assert_eq!(code, 0);
            let told = ConvertSecurityDescriptorToStringSecurityDescriptorW(
                descriptor,
                SDDL_REVISION_1,
                DACL_SECURITY_INFORMATION,
                &raw mut text,
                null_mut(),
            );
            assert_ne!(told, 0);
            let length = (0..).take_while(|index| *text.add(*index) != 0).count();
            String::from_utf16(std::slice::from_raw_parts(text, length)).unwrap()
        }
    }

    #[test]
    fn files_and_directories_are_open_to_their_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("folder");
        create_private_directory(&folder).unwrap();
        drop(create_private(&folder.join("file")).unwrap());
        for path in [folder.clone(), folder.join("file")] {
            let list = list_of(&path);
            let user = user().unwrap();
            assert!(user.starts_with("S-1-5-"), "{user}");
            let entries: Vec<&str> = list.split('(').skip(1).collect();
            // Wine makes the list from the mode of the file, and adds an entry for the system itself.
            let is_known = |entry: &&str| entry.ends_with(&format!(";{user})")) || entry.ends_with(";SY)");
            assert!(!entries.is_empty() && entries.iter().all(is_known), "{list}");
        }
    }
}
