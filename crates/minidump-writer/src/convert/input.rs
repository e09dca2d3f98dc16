//! The dump to convert, as a file that can be read anywhere.

use super::positioned;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

/// Where the dump to convert comes from.
pub enum Input<'a> {
    /// A file, or anything else that can be opened and read, such as a named pipe.
    File(&'a Path),
    /// A file that is open for reading, from its start on, wherever it stands. It need not have a name.
    Opened(&'a File),
    /// A pipe, a socket, a decompressor: whatever can only be read once. It is copied into a temporary file without a
    /// name first, because both formats point ahead: gdb writes the notes of a core behind gigabytes of memory.
    Stream(&'a mut dyn Read),
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Opened(file) => f.debug_tuple("Opened").field(file).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// A dump that can be read anywhere.
#[derive(Debug)]
pub(crate) struct InputFile {
    file: File,
    size: u64,
    /// When the dump was written, unless it came through a pipe.
    pub modified: Option<SystemTime>,
}

impl InputFile {
    /// Opens the input; copies it when it cannot be read anywhere. Memory use does not grow with its size.
    pub fn open(input: Input<'_>) -> io::Result<Self> {
        match input {
            Input::File(path) => {
                let file = File::open(path)?;
                Self::open(Input::Opened(&file))
            }
            Input::Opened(file) if file.metadata()?.is_file() => Self::new(file.try_clone()?),
            Input::Opened(mut file) => spool(&mut file),
            Input::Stream(stream) => spool(stream),
        }
    }

    /// A regular file.
    pub fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { size: metadata.len(), modified: metadata.modified().ok(), file })
    }

    /// A file whose size the system does not tell, such as /proc/PID/mem.
    pub fn of_unknown_size(file: File) -> Self {
        Self { file, size: u64::MAX, modified: None }
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads from `offset` on, as much as there is. Returns its size.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(at) = offset.checked_add(done as u64) else { break };
            match positioned::read_at(&self.file, rest, at) {
                Ok(0) => break,
                Ok(size) => done = done.saturating_add(size),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        done
    }

    /// The bytes from `offset` on, at most `size` of them. What the file does not have is missing at the end.
    ///
    /// The caller bounds `size`; the file's own size bounds it, too.
    pub fn bytes(&self, offset: u64, size: u64) -> Vec<u8> {
        let size = size.min(self.size.saturating_sub(offset));
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let done = self.read_at(offset, &mut bytes);
        bytes.truncate(done);
        bytes
    }

    /// Exactly `N` bytes at `offset`.
    pub fn array<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (self.read_at(offset, &mut bytes) == N).then_some(bytes)
    }
}

fn spool(stream: &mut dyn Read) -> io::Result<InputFile> {
    let mut file = tempfile::tempfile()?;
    io::copy(stream, &mut file)?;
    Ok(InputFile { modified: None, ..InputFile::new(file)? })
}
