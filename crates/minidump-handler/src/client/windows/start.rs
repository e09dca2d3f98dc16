//! Starts the handler process.
#![expect(unsafe_code, reason = "a process that inherits one handle")]

use crate::windows::wide;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::zeroed;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle, RawHandle};
use std::path::PathBuf;
use std::ptr;
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_UNICODE_ENVIRONMENT, CreateProcessW, DETACHED_PROCESS,
    DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT, InitializeProcThreadAttributeList,
    LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROCESS_INFORMATION,
    STARTF_USESTDHANDLES, STARTUPINFOEXW, STARTUPINFOW, UpdateProcThreadAttribute,
};

/// How to start a handler.
#[derive(Debug, Clone)]
pub struct Program {
    pub path: PathBuf,
    pub dump_dir: PathBuf,
    pub arguments: Vec<OsString>,
}

impl Program {
    /// Starts it with `theirs`, which can be inherited, as its standard input, and with nothing else of this process. It has
    /// no console, so that Ctrl-C is not for it. Returns its id.
    pub fn start(&self, theirs: BorrowedHandle<'_>) -> io::Result<u32> {
        let mut line = self.command_line()?;
        let inherited: RawHandle = theirs.as_raw_handle();
        let list = Attributes::of_one_handle(&inherited)?;
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(0);
        // Output goes nowhere.
        let info = STARTUPINFOEXW {
            StartupInfo: STARTUPINFOW {
                cb: size(size_of::<STARTUPINFOEXW>()),
                dwFlags: STARTF_USESTDHANDLES,
                hStdInput: inherited,
                ..STARTUPINFOW::default()
            },
            lpAttributeList: list.as_ptr(),
        };
        let flags = EXTENDED_STARTUPINFO_PRESENT
            | CREATE_UNICODE_ENVIRONMENT
            | CREATE_NEW_PROCESS_GROUP
            | DETACHED_PROCESS;
        // SAFETY: all zeros are a description of nothing.
        let mut made: PROCESS_INFORMATION = unsafe { zeroed() };
        // SAFETY: texts that end with zero, of which the command line may be changed; a description with the size that it
        // tells, whose list and handle outlive the call; and a place for what is made. The directory is one that stays.
        let is_made = unsafe {
            CreateProcessW(
                wide(&self.path).as_ptr(),
                line.as_mut_ptr(),
                ptr::null(),
                ptr::null(),
                1,
                flags,
                ptr::null(),
                wide(&self.dump_dir).as_ptr(),
                &raw const info.StartupInfo,
                &raw mut made,
            )
        };
        if is_made == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: two new handles, which are ours and not needed.
        [made.hProcess, made.hThread]
            .into_iter()
            .for_each(|handle| drop(unsafe { OwnedHandle::from_raw_handle(handle) }));
        Ok(made.dwProcessId)
    }

    fn command_line(&self) -> io::Result<Vec<u16>> {
        let fixed = ["handler", "--client", "-d"].map(OsStr::new);
        let words = [self.path.as_os_str()].into_iter().chain(fixed).chain([self.dump_dir.as_os_str()]);
        let mut line = Vec::new();
        for word in words.chain(self.arguments.iter().map(OsString::as_os_str)) {
            if !line.is_empty() {
                line.push(u16::from(b' '));
            }
            quote(word, &mut line)?;
        }
        line.push(0);
        Ok(line)
    }
}

/// Appends a word in the way in which programs take their command line apart ("Parsing C command-line arguments" of
/// Microsoft's documentation): within quotes, and backslashes doubled before a quote.
fn quote(word: &OsStr, line: &mut Vec<u16>) -> io::Result<()> {
    let [quote, backslash] = [b'"', b'\\'].map(u16::from);
    let mut backslashes = 0_usize;
    line.push(quote);
    for unit in word.encode_wide() {
        if unit == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a word holds a zero"));
        }
        if unit == quote {
            line.extend(std::iter::repeat_n(backslash, backslashes.saturating_add(1)));
        }
        backslashes = if unit == backslash { backslashes.saturating_add(1) } else { 0 };
        line.push(unit);
    }
    line.extend(std::iter::repeat_n(backslash, backslashes));
    line.push(quote);
    Ok(())
}

/// The list of what a process inherits.
struct Attributes<'h> {
    list: Vec<usize>,
    _handle: &'h RawHandle,
}

impl<'h> Attributes<'h> {
    fn of_one_handle(handle: &'h RawHandle) -> io::Result<Self> {
        let mut bytes = 0;
        // SAFETY: without a list, the call tells how long one is.
        unsafe { InitializeProcThreadAttributeList(ptr::null_mut(), 1, 0, &raw mut bytes) };
        let mut list = vec![0; bytes.div_ceil(size_of::<usize>()).max(1)];
        let address: LPPROC_THREAD_ATTRIBUTE_LIST = list.as_mut_ptr().cast();
        // SAFETY: room of the length that was told.
        if unsafe { InitializeProcThreadAttributeList(address, 1, 0, &raw mut bytes) } == 0 {
            return Err(io::Error::last_os_error());
        }
        let attributes = Self { list, _handle: handle };
        let key = usize::try_from(PROC_THREAD_ATTRIBUTE_HANDLE_LIST).unwrap_or(0);
        // SAFETY: a list that has been made. The system keeps the address of the handle, which outlives the list.
        let is_set = unsafe {
            UpdateProcThreadAttribute(
                attributes.as_ptr(),
                0,
                key,
                ptr::from_ref(handle).cast(),
                size_of::<RawHandle>(),
                ptr::null_mut(),
                ptr::null(),
            )
        };
        if is_set == 0 { Err(io::Error::last_os_error()) } else { Ok(attributes) }
    }

    fn as_ptr(&self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.list.as_ptr().cast_mut().cast()
    }
}

impl Drop for Attributes<'_> {
    fn drop(&mut self) {
        // SAFETY: a list that has been made, and is not used any more.
        unsafe { DeleteProcThreadAttributeList(self.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_arrive_as_they_were_whatever_they_hold() {
        let quoted = |word: &str| {
            let mut line = Vec::new();
            quote(OsStr::new(word), &mut line).unwrap();
            String::from_utf16(&line).unwrap()
        };
        assert_eq!(quoted(r"C:\Program Files\x"), r#""C:\Program Files\x""#);
        assert_eq!(quoted(r"ends with\"), r#""ends with\\""#);
        assert_eq!(quoted(r#"a"b"#), r#""a\"b""#);
        assert_eq!(quoted(r#"a\"b"#), r#""a\\\"b""#);
        assert_eq!(quoted(""), r#""""#);
        assert!(quote(OsStr::new("a\0b"), &mut Vec::new()).is_err());
    }
}
