//! Files of images, read on a thread that can be left behind: a disk that does not answer must not stop the dump.
#![expect(unsafe_code, reason = "calls of the system")]

use crate::windows_process::ImageFiles;
use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, GetDriveTypeW,
};
use windows_sys::Win32::System::WindowsProgramming::{DRIVE_CDROM, DRIVE_FIXED, DRIVE_RAMDISK};

/// How long all files of a dump may take together.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most that is read at once, in bytes.
const MOST_READ: usize = 64 << 20;

/// What is asked of the reading thread.
struct Request {
    path: String,
    offset: u64,
    size: usize,
}

/// The files of the machine. None of another machine's: it would learn who asks.
#[derive(Debug)]
pub struct LocalFiles {
    /// `None` when the thread does not answer any more.
    reader: RefCell<Option<Reader>>,
    deadline: Instant,
}

#[derive(Debug)]
struct Reader {
    requests: Sender<Request>,
    answers: Receiver<io::Result<Vec<u8>>>,
}

impl LocalFiles {
    /// They are read from now on, for ten seconds at most.
    pub fn new() -> Self {
        let reader = Reader::start().ok();
        Self { reader: RefCell::new(reader), deadline: Instant::now() + PATIENCE }
    }
}

impl ImageFiles for LocalFiles {
    fn read(&self, path: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut reader = self.reader.borrow_mut();
        let Some(thread) = reader.as_ref() else { return Err(io::ErrorKind::TimedOut.into()) };
        let size = buffer.len().min(MOST_READ);
        let sent = thread.requests.send(Request { path: path.to_owned(), offset, size });
        let left = self.deadline.saturating_duration_since(Instant::now());
        let answer = sent.ok().and_then(|()| thread.answers.recv_timeout(left).ok());
        let Some(answer) = answer else {
            *reader = None;
            return Err(io::ErrorKind::TimedOut.into());
        };
        let bytes = answer?;
        for (to, from) in buffer.iter_mut().zip(&bytes) {
            *to = *from;
        }
        Ok(bytes.len().min(buffer.len()))
    }
}

impl Reader {
    fn start() -> io::Result<Self> {
        let (requests, work) = mpsc::channel::<Request>();
        let (results, answers) = mpsc::channel();
        thread::Builder::new().name("image-files".to_owned()).spawn(move || {
            let mut last: Option<(String, File)> = None;
            for request in work {
                let answer = serve(&mut last, &request);
                if results.send(answer).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { requests, answers })
    }
}

/// Reads what is asked for, from the file that is open if it is the same.
fn serve(last: &mut Option<(String, File)>, request: &Request) -> io::Result<Vec<u8>> {
    if last.as_ref().is_none_or(|(path, _)| *path != request.path) {
        *last = Some((request.path.clone(), open(&request.path)?));
    }
    let Some((_, file)) = last else { return Err(io::ErrorKind::NotFound.into()) };
    let mut bytes = vec![0; request.size];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.seek_read(rest, request.offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(came) => done += came,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

fn open(path: &str) -> io::Result<File> {
    let name = openable(path).ok_or(io::ErrorKind::PermissionDenied)?;
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    let file = OpenOptions::new().read(true).share_mode(share).open(name)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// The name to open `path` by; `None` where that could reach another machine.
fn openable(path: &str) -> Option<String> {
    let path = path.replace('/', "\\");
    let is_volume = path.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("\\Device\\"));
    if is_volume {
        // The names of the kernel are below this one.
        return Some(format!(r"\\?\GLOBALROOT{path}"));
    }
    let rest = [r"\\?\", r"\??\"].iter().find_map(|prefix| path.strip_prefix(prefix)).unwrap_or(&path);
    is_own_drive(rest.get(..3)?).then(|| format!(r"\\?\{rest}"))
}

/// Whether the drive with this root belongs to the machine, and is always ready.
fn is_own_drive(root: &str) -> bool {
    let root: Vec<u16> = OsString::from(root).encode_wide().chain([0]).collect();
    // SAFETY: the text ends with a zero.
    let kind = unsafe { GetDriveTypeW(root.as_ptr()) };
    matches!(kind, DRIVE_FIXED | DRIVE_RAMDISK | DRIVE_CDROM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_from_any_place_up_to_its_end() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.bin");
        std::fs::write(&path, b"0123456789").unwrap();
        let (files, path) = (LocalFiles::new(), path.to_str().unwrap());
        let mut buffer = [0; 6];
        assert_eq!(files.read(path, 2, &mut buffer).unwrap(), 6);
        assert_eq!(&buffer, b"234567");
        assert_eq!(files.read(path, 8, &mut buffer).unwrap(), 2);
        assert_eq!(&buffer[..2], b"89");
        assert_eq!(files.read(path, 100, &mut buffer).unwrap(), 0);
    }

    #[test]
    fn what_is_no_file_of_a_drive_is_refused() {
        let (files, mut buffer) = (LocalFiles::new(), [0; 4]);
        for path in [r"C:\", r"C:\windows", r"\\server\share\a.dll", r"relative.dll", "", r"1:\a"] {
            assert!(files.read(path, 0, &mut buffer).is_err(), "{path}");
        }
        assert!(files.read(r"C:\windows\system32\ntdll.dll", 0, &mut buffer).is_ok(), "it goes on");
        assert_eq!(&buffer[..2], b"MZ");
    }
}
