//! The process to dump.

use super::errors::{FailedCall, Subject};
use super::minidump_type::MinidumpType;
use std::io;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use windows_sys::Win32::Foundation::{FALSE, HANDLE, STILL_ACTIVE};
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetExitCodeProcess, IsWow64Process, OpenProcess, PROCESS_DUP_HANDLE,
    PROCESS_QUERY_INFORMATION, PROCESS_VM_READ,
};

/// A process, open for `MiniDumpWriteDump`.
#[derive(Debug)]
pub enum Process {
    /// The calling one.
    Own,
    /// Another one.
    Other {
        /// Its id.
        pid: u32,
        /// With the rights that the dump takes.
        handle: OwnedHandle,
    },
}

impl Process {
    /// Opens a process with no more rights than Microsoft says that its dump takes.
    ///
    /// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/nf-minidumpapiset-minidumpwritedump>.
    pub fn open(pid: u32, minidump_type: MinidumpType) -> io::Result<Self> {
        if pid == std::process::id() {
            return Ok(Self::Own);
        }
        let mut rights = PROCESS_QUERY_INFORMATION | PROCESS_VM_READ;
        if minidump_type.contains(MinidumpType::WithHandleData) {
            rights |= PROCESS_DUP_HANDLE;
        }
        // SAFETY: takes numbers and touches no memory.
        let handle = unsafe { OpenProcess(rights, FALSE, pid) };
        if handle.is_null() {
            return Err(FailedCall::last("OpenProcess", Subject::Process(pid)));
        }
        // SAFETY: the handle was just made, and nobody else has it.
        let process = Self::Other { pid, handle: unsafe { OwnedHandle::from_raw_handle(handle) } };
        if process.has_exited() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("process {pid} has exited and has no memory left to dump"),
            ));
        }
        Ok(process)
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        match self {
            Self::Own => std::process::id(),
            Self::Other { pid, .. } => *pid,
        }
    }

    /// Good for as long as `self` is.
    pub fn handle(&self) -> HANDLE {
        match self {
            // SAFETY: no preconditions; what it returns is no handle that would have to be closed.
            Self::Own => unsafe { GetCurrentProcess() },
            Self::Other { handle, .. } => handle.as_raw_handle(),
        }
    }

    /// Whether its pointers are as wide as those of this program.
    pub fn has_pointers_as_here(&self) -> bool {
        is_wow64(self.handle()) == is_wow64(Self::Own.handle())
    }

    /// Fills `buffer` with the memory at `address`. Fails unless all of it can be read.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        let place = usize::try_from(address).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut read = 0;
        // SAFETY: `buffer` has room for as many bytes as are asked for. The address is one of the other process, or is looked
        // at by the system in this one, and may be any number.
        let done = unsafe {
            ReadProcessMemory(
                self.handle(),
                std::ptr::without_provenance(place),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &raw mut read,
            )
        };
        if done == FALSE {
            Err(io::Error::last_os_error())
        } else if read == buffer.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn has_exited(&self) -> bool {
        let mut code = 0;
        // SAFETY: there is room for the number.
        let known = unsafe { GetExitCodeProcess(self.handle(), &raw mut code) };
        known != FALSE && code != STILL_ACTIVE.cast_unsigned()
    }
}

/// Whether this is a 32-bit process on a 64-bit system. No, when the system does not tell.
fn is_wow64(process: HANDLE) -> bool {
    let mut answer = FALSE;
    // SAFETY: there is room for the answer.
    let known = unsafe { IsWow64Process(process, &raw mut answer) };
    known != FALSE && answer != FALSE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_a_whole_or_not_at_all() {
        let bytes = [7_u8, 8, 9, 10];
        let mut copy = [0; 4];
        Process::Own.read(bytes.as_ptr() as u64, &mut copy).unwrap();
        assert_eq!(copy, bytes);
        assert!(Process::Own.read(0x18, &mut copy).is_err());
        assert!(Process::Own.read(u64::MAX - 1, &mut copy).is_err());
        assert!(Process::Own.has_pointers_as_here());
    }
}
