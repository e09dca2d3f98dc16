//! Files of /proc, byte for byte, and the annotations.

use crate::annotations::{Annotations, Copied, MAX_ANNOTATIONS};
use crate::bytes::Fields;
use crate::directory::{self, Stream};
use crate::notes::{Note, Notes, Stage};
use crate::output::{Full, Output};
use crate::proc_fs::ProcFs;
use crate::strings::append_utf8;
use crate::sys::Errno;

/// Most bytes of a file. A map of 65,530 mappings has about 6 MiB.
const LIMIT: u64 = 16 << 20;

/// Appends the files that are worth having. The environment is not among them: it holds secrets, and blanking them out
/// is no work for a crashing process.
pub(crate) fn append_files(out: &mut Output<'_>, proc_fs: &ProcFs, notes: &mut Notes) -> Result<(), Full> {
    let files: [(Stream, &[u8], &'static str); 4] = [
        (Stream::Auxv, b"/proc/thread-self/auxv\0", "the auxiliary vector is missing"),
        (Stream::CommandLine, b"/proc/thread-self/cmdline\0", "the command line is missing"),
        (Stream::Status, b"/proc/thread-self/status\0", "the status is missing"),
        (Stream::Maps, crate::maps::PATH, "the memory map is missing"),
    ];
    for (stream, path, message) in files {
        if let Err(error) = append_file(out, proc_fs, stream, path)? {
            notes.add(&Note::new(Stage::ProcFile, message).os_error(error));
        }
    }
    Ok(())
}

fn append_file(
    out: &mut Output<'_>,
    proc_fs: &ProcFs,
    stream: Stream,
    path: &[u8],
) -> Result<Result<(), Errno>, Full> {
    let file = match proc_fs.open(path, false) {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    out.align(8)?;
    let rva = out.rva();
    let mut left = LIMIT;
    while left > 0 {
        let done = out.append_with(left, |buffer| file.read(buffer).unwrap_or(0))?;
        left = left.saturating_sub(done as u64);
        if done == 0 {
            break;
        }
    }
    directory::enter_since(out, stream, rva).map(Ok)
}

/// Appends the annotations as Crashpad stores those of a process (`MinidumpCrashpadInfo`, 52 bytes, and a
/// `MinidumpSimpleStringDictionary`). The ids and the annotations of modules are zero.
pub(crate) fn append_annotations(
    out: &mut Output<'_>,
    annotations: &Annotations,
    notes: &mut Notes,
) -> Result<(), Full> {
    let mut entries = Fields::<{ 4 + 8 * MAX_ANNOTATIONS }>::new();
    entries.at(4);
    let (mut count, mut lost) = (0_u32, 0_u64);
    let mut copy = Copied::new();
    for index in 0..MAX_ANNOTATIONS {
        if annotations.read(index, &mut copy).is_none() {
            lost = lost.saturating_add(1);
        } else if !copy.key().is_empty() {
            let key = append_utf8(out, copy.key())?;
            let value = append_utf8(out, copy.value())?;
            entries.u32(key).u32(value);
            count = count.saturating_add(1);
        }
    }
    if lost > 0 {
        notes.add(&Note::counted(
            Stage::Target,
            "annotations that were being changed, and are missing",
            lost,
        ));
    }
    if count == 0 {
        return Ok(());
    }
    out.align(4)?;
    let dictionary = out.rva();
    let size = count.saturating_mul(8).saturating_add(4);
    let entries = entries.at(0).u32(count).as_bytes();
    out.append(usize::try_from(size).ok().and_then(|size| entries.get(..size)).unwrap_or_default())?;
    let rva = out.rva();
    out.append(&Fields::<52>::new().u32(1).at(36).u32(size).u32(dictionary).finish())?;
    directory::enter_since(out, Stream::Annotations, rva)
}
