//! The program at the other end of a pipe, by what the system says of it.
#![expect(unsafe_code, reason = "calls of the system about another process")]

use crate::windows::security;
use std::io;
use std::os::windows::io::{
    AsHandle, AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle, RawHandle,
};
use std::ptr;
use windows_sys::Win32::Foundation::DuplicateHandle;
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetProcessIdOfThread, OpenProcess, OpenThread, PROCESS_ACCESS_RIGHTS,
    PROCESS_DUP_HANDLE, PROCESS_NAME_WIN32, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE,
    PROCESS_VM_READ, QueryFullProcessImageNameW, THREAD_QUERY_LIMITED_INFORMATION,
};

/// The longest path that the system tells, in units of UTF-16.
const MOST_PATH: usize = 1 << 15;

/// A process. As long as this lives, no other process gets its id.
#[derive(Debug)]
pub struct Peer {
    pub pid: u32,
    process: OwnedHandle,
}

impl Peer {
    /// Opens the process with the rights that a request needs: to read its memory, to know its program, to see its end.
    pub fn open(pid: u32) -> io::Result<Self> {
        let rights = PROCESS_VM_READ | PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
        open(pid, rights).map(|process| Self { pid, process })
    }

    /// What is signalled when it has ended.
    pub fn ended(&self) -> BorrowedHandle<'_> {
        self.process.as_handle()
    }

    /// Reads its memory into all of `buffer`.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        let none = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let address = ptr::without_provenance(usize::try_from(address).map_err(none)?);
        let mut read = 0;
        // SAFETY: an open handle, and a buffer of the length that is told. The address is another process's: the system
        // checks it.
        let is_read = unsafe {
            ReadProcessMemory(
                self.process.as_raw_handle(),
                address,
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &raw mut read,
            )
        };
        match is_read {
            0 => Err(io::Error::last_os_error()),
            _ if read < buffer.len() => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Whether a thread is one of the process's.
    pub fn has_thread(&self, thread: u32) -> bool {
        // SAFETY: numbers alone. A handle that is made is closed by its owner.
        unsafe {
            let opened = OpenThread(THREAD_QUERY_LIMITED_INFORMATION, 0, thread);
            if opened.is_null() {
                return false;
            }
            let opened = OwnedHandle::from_raw_handle(opened);
            GetProcessIdOfThread(opened.as_raw_handle()) == self.pid
        }
    }

    /// The path of its program.
    pub fn program(&self) -> String {
        let mut path = vec![0; MOST_PATH];
        let mut length = u32::try_from(path.len()).unwrap_or(0);
        // SAFETY: an open handle, and room for as many units as told.
        let is_told = unsafe {
            QueryFullProcessImageNameW(
                self.process.as_raw_handle(),
                PROCESS_NAME_WIN32,
                path.as_mut_ptr(),
                &raw mut length,
            )
        };
        let length = if is_told == 0 { 0 } else { usize::try_from(length).unwrap_or(0) };
        let told = String::from_utf16_lossy(path.get(..length).unwrap_or(&[]));
        if told.is_empty() { format!("process {}", self.pid) } else { told }
    }

    /// Its user.
    pub fn user(&self) -> io::Result<String> {
        security::user_of(self.process.as_handle())
    }

    /// For handing handles to it. They have the right to do so, which is more than reading, no longer than this lives.
    pub fn giver(&self) -> io::Result<Giver> {
        open(self.pid, PROCESS_DUP_HANDLE).map(Giver)
    }
}

/// The right to hand handles to a process.
#[derive(Debug)]
pub struct Giver(OwnedHandle);

impl Giver {
    /// Gives the process a handle with the rights `access`. Returns it, as the process knows it.
    pub fn give(&self, handle: BorrowedHandle<'_>, access: u32) -> io::Result<u64> {
        // SAFETY: an open handle.
        unsafe { self.duplicate(handle.as_raw_handle(), access) }
    }

    /// Gives the process a handle of this process, to be waited for.
    pub fn give_this_process(&self) -> io::Result<u64> {
        // SAFETY: the pseudo handle of this process.
        unsafe { self.duplicate(GetCurrentProcess(), PROCESS_SYNCHRONIZE) }
    }

    /// # Safety
    /// The handle must be open.
    unsafe fn duplicate(&self, handle: RawHandle, access: u32) -> io::Result<u64> {
        let mut given = ptr::null_mut();
        // SAFETY: open handles, and a place for one that is not ours.
        let is_given = unsafe {
            DuplicateHandle(GetCurrentProcess(), handle, self.0.as_raw_handle(), &raw mut given, access, 0, 0)
        };
        if is_given == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(u64::try_from(given.addr()).unwrap_or(0))
    }
}

fn open(pid: u32, rights: PROCESS_ACCESS_RIGHTS) -> io::Result<OwnedHandle> {
    // SAFETY: numbers alone.
    let process = unsafe { OpenProcess(rights, 0, pid) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new handle, which is ours.
    Ok(unsafe { OwnedHandle::from_raw_handle(process) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::event::{Waited, wait};
    use std::time::Duration;

    #[test]
    fn this_process_is_read_and_known_by_its_threads() {
        let peer = Peer::open(std::process::id()).unwrap();
        let secret = *b"a text of this process";
        let mut read = [0; 22];
        peer.read(u64::try_from(secret.as_ptr().addr()).unwrap(), &mut read).unwrap();
        assert_eq!(read, secret);
        assert!(peer.read(8, &mut read).is_err(), "nothing is at so low an address");
        assert!(peer.has_thread(crate::windows::thread_id()));
        assert!(!peer.has_thread(0));
        assert_eq!(wait([peer.ended()], Some(Duration::ZERO)), Waited::TooLong);
        let program = std::env::current_exe().unwrap();
        assert!(
            peer.program().ends_with(program.file_name().unwrap().to_str().unwrap()),
            "{}",
            peer.program()
        );
        assert_eq!(peer.user().unwrap(), security::own_user().unwrap());
    }

    #[test]
    fn a_handle_that_is_given_to_this_process_is_one_here() {
        let peer = Peer::open(std::process::id()).unwrap();
        let event = crate::windows::event::Event::new().unwrap();
        let given = peer.giver().unwrap().give(event.as_handle(), 0x0010_0002).unwrap();
        let raw: RawHandle = ptr::without_provenance_mut(usize::try_from(given).unwrap());
        assert_ne!(raw, event.as_handle().as_raw_handle());
        // SAFETY: it was just made for this process.
        let given = crate::windows::event::Event::of(unsafe { OwnedHandle::from_raw_handle(raw) });
        given.set();
        assert!(event.is_set());
    }
}
