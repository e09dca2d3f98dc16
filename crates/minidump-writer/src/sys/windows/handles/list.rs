//! The values of a process' handles.
//!
//! Since Windows 8 the system tells those of one process; before, and in Wine, those of all processes at once.
//! The structures are those of <winternl.h>'s native counterpart, `phnt` of System Informer.

use super::super::ntdll::Status;
use super::is_too_small;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use windows_sys::Wdk::System::SystemInformation::NtQuerySystemInformation;
use windows_sys::Wdk::System::Threading::{NtQueryInformationProcess, ProcessHandleInformation};

/// `SystemExtendedHandleInformation` of SYSTEM_INFORMATION_CLASS.
const EXTENDED_HANDLES: i32 = 64;
/// `STATUS_INVALID_INFO_CLASS` and `STATUS_NOT_IMPLEMENTED`: what a system says that does not know the class.
const UNKNOWN_CLASS: [u32; 2] = [0xc000_0003, 0xc000_0002];

/// Sizes of a first answer, and of the longest one that is taken, in words: 512 KiB, 256 MiB.
const FIRST: usize = (512 << 10) / WORD;
const LONGEST: usize = (256 << 20) / WORD;
const WORD: usize = size_of::<usize>();

/// One handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// By which the process knows it.
    pub value: usize,
    /// Access mask.
    pub granted_access: u32,
    /// `OBJ_*`.
    pub attributes: u32,
    /// How many handles and references the object has, where the list tells.
    pub counts: Option<(u32, u32)>,
}

/// `PROCESS_HANDLE_TABLE_ENTRY_INFO`.
#[repr(C)]
#[derive(Clone, Copy)]
struct ProcessEntry {
    value: usize,
    handle_count: usize,
    pointer_count: usize,
    granted_access: u32,
    type_index: u32,
    attributes: u32,
    reserved: u32,
}

/// `SYSTEM_HANDLE_TABLE_ENTRY_INFO_EX`.
#[repr(C)]
#[derive(Clone, Copy)]
struct SystemEntry {
    object: usize,
    process: usize,
    value: usize,
    granted_access: u32,
    creator: u16,
    type_index: u16,
    attributes: u32,
    reserved: u32,
}

/// The handles of process `id`, in no order.
pub fn of_process(process: BorrowedHandle<'_>, id: u32) -> Result<Vec<Entry>, Status> {
    match ask(|buffer, size, came| {
        // SAFETY: the handle is open, and the buffer has as many bytes as are said.
        unsafe {
            NtQueryInformationProcess(
                process.as_raw_handle(),
                ProcessHandleInformation,
                buffer.cast(),
                size,
                came,
            )
        }
    }) {
        // SAFETY: the structure is made of numbers alone.
        Ok(words) => Ok(unsafe { entries::<ProcessEntry>(&words) }.iter().map(Entry::from).collect()),
        Err(status) if UNKNOWN_CLASS.contains(&status.0.cast_unsigned()) => of_system(id),
        Err(status) => Err(status),
    }
}

/// The same from the list of all processes.
fn of_system(id: u32) -> Result<Vec<Entry>, Status> {
    let words = ask(|buffer, size, came| {
        // SAFETY: the buffer has as many bytes as are said.
        unsafe { NtQuerySystemInformation(EXTENDED_HANDLES, buffer.cast(), size, came) }
    })?;
    // SAFETY: the structure is made of numbers alone.
    let entries = unsafe { entries::<SystemEntry>(&words) };
    Ok(entries.iter().filter(|entry| u32::try_from(entry.process) == Ok(id)).map(Entry::from).collect())
}

/// Calls `query` with buffers that grow until one is large enough. The list may grow meanwhile, too.
fn ask(query: impl Fn(*mut usize, u32, *mut u32) -> i32) -> Result<Vec<usize>, Status> {
    let mut words = vec![0_usize; FIRST];
    loop {
        let size = u32::try_from(words.len().saturating_mul(WORD)).unwrap_or(u32::MAX);
        let mut came = 0;
        let status = Status(query(words.as_mut_ptr(), size, &raw mut came));
        if status.0 >= 0 {
            return Ok(words);
        }
        if !is_too_small(status) || words.len() >= LONGEST {
            return Err(status);
        }
        let wanted = usize::try_from(came).unwrap_or(0) / WORD;
        let longer = words.len().saturating_mul(2).max(wanted.saturating_add(FIRST));
        words = vec![0; longer.min(LONGEST)];
    }
}

/// The entries of a list: their number, a reserved word, the entries.
///
/// # Safety
/// Any bytes must be a valid `T`, which is no more aligned than a word and has no padding.
unsafe fn entries<T>(words: &[usize]) -> &[T] {
    let (count, rest) = match words {
        [count, _, rest @ ..] => (*count, rest),
        _ => (0, [].as_slice()),
    };
    let room = size_of_val(rest) / size_of::<T>();
    // SAFETY: there is room for so many; the caller says that any bytes will do.
    unsafe { std::slice::from_raw_parts(rest.as_ptr().cast(), count.min(room)) }
}

impl From<&ProcessEntry> for Entry {
    fn from(entry: &ProcessEntry) -> Self {
        let count = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            value: entry.value,
            granted_access: entry.granted_access,
            attributes: entry.attributes,
            counts: Some((count(entry.handle_count), count(entry.pointer_count))),
        }
    }
}

impl From<&SystemEntry> for Entry {
    fn from(entry: &SystemEntry) -> Self {
        Self {
            value: entry.value,
            granted_access: entry.granted_access,
            attributes: entry.attributes,
            counts: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_no_more_entries_than_there_is_room_for() {
        let mut words = vec![0; 2 + 3 * size_of::<ProcessEntry>() / WORD + 1];
        words[0] = usize::MAX;
        words[2] = 0x44;
        words[3] = 5;
        words[4] = 0x1_0006;
        // SAFETY: the structure is made of numbers alone.
        let entries = unsafe { entries::<ProcessEntry>(&words) };
        assert_eq!(entries.len(), 3);
        let first = Entry { value: 0x44, granted_access: 0, attributes: 0, counts: Some((5, 0x1_0006)) };
        assert_eq!(Entry::from(&entries[0]), first);
        // SAFETY: as above.
        assert!(unsafe { super::entries::<ProcessEntry>(&words[..1]) }.is_empty());
    }

    #[test]
    fn a_buffer_grows_until_it_is_large_enough_and_no_further_than_the_limit() {
        let words = ask(|_, size, came| {
            // SAFETY: the pointer is to a variable of `ask`.
            unsafe { *came = 3 << 20 };
            if size < 3 << 20 { 0xc000_0004_u32.cast_signed() } else { 0 }
        })
        .unwrap();
        assert!(words.len() * WORD >= 3 << 20);
        assert_eq!(ask(|_, _, _| 0xc000_0004_u32.cast_signed()), Err(Status(0xc000_0004_u32.cast_signed())));
        assert_eq!(ask(|_, _, _| 0xc000_0022_u32.cast_signed()), Err(Status(0xc000_0022_u32.cast_signed())));
    }
}
