//! What the file of a module tells, for modules whose memory does not.

use super::elf_image::{HEADER_SIZE, Header, MAX_TABLE_SIZE, Segments};
use super::files::FileError;
use super::sections::{self, ImageBytes};
use super::{build_id, dynamic, text_hash};
use minidump_snapshot::ModuleId;

/// What a file told about the image in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Offset in the file at which the image starts.
    pub origin: u64,
    /// Its program headers.
    pub segments: Segments,
    /// Its build id, or the hash of its text.
    pub id: Option<ModuleId>,
    /// Its `DT_SONAME`.
    pub soname: Option<String>,
}

/// Why a file told nothing.
#[derive(Debug, thiserror::Error)]
pub enum NoFacts {
    /// It cannot be had.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is none, or no way to it.
    #[error("there is no file to look into")]
    NoFile,
    /// It may be another file, and its contents differ from memory.
    #[error("the file cannot be proven to be the one that is mapped")]
    Unproven,
    /// There is no ELF image in it.
    #[error("the file holds no ELF image")]
    NoImage,
}

impl NoFacts {
    /// The operating system's error number, when there is one.
    pub fn os_error(&self) -> Option<i32> {
        match self {
            Self::File(error) => error.os_error(),
            _ => None,
        }
    }

    /// Whether another file has taken the name of the mapped one.
    pub fn is_replaced(&self) -> bool {
        matches!(self, Self::File(FileError::Replaced { .. }))
    }
}

/// Bytes seen in memory where the file says they are: what proves a file whose inode does not.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Offset in the file.
    pub offset: u64,
    /// The bytes in memory.
    pub bytes: Vec<u8>,
}

impl Sample {
    fn is_in(&self, file: &dyn ImageBytes) -> bool {
        let mut bytes = vec![0; self.bytes.len()];
        !bytes.is_empty() && file.read_at(self.offset, &mut bytes) == bytes.len() && bytes == self.bytes
    }
}

/// An ELF image that starts at `origin` in a file.
struct FileImage<'a> {
    file: &'a dyn ImageBytes,
    origin: u64,
}

impl ImageBytes for FileImage<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        self.origin.checked_add(offset).map_or(0, |at| self.file.read_at(at, buffer))
    }
}

/// Reads the ELF image in `file`, which starts at the first of `origins` where there is a header. A file that is not proven to
/// be the mapped one must hold `sample`.
///
/// # Errors
/// When the file cannot be trusted, or has no such image.
pub fn read(
    file: &dyn ImageBytes,
    is_proven: bool,
    origins: &[u64],
    sample: &Sample,
) -> Result<FileFacts, NoFacts> {
    if !is_proven && !sample.is_in(file) {
        return Err(NoFacts::Unproven);
    }
    origins.iter().find_map(|origin| parse(file, *origin)).ok_or(NoFacts::NoImage)
}

fn parse(file: &dyn ImageBytes, origin: u64) -> Option<FileFacts> {
    let image = FileImage { file, origin };
    let header = Header::parse(&image.bytes_at(0, HEADER_SIZE))?;
    let table = image.bytes_at(header.program_headers, header.table_size().min(MAX_TABLE_SIZE));
    let segments = Segments::parse(&table, header.class);
    let id = find_build_id(&image, &header, &segments)
        .map(ModuleId::BuildId)
        .or_else(|| text_hash::text_hash(&image, &header).map(ModuleId::TextHash));
    let soname = find_soname(&image, &header, &segments);
    Some(FileFacts { origin, segments, id, soname })
}

fn find_build_id(image: &FileImage<'_>, header: &Header, segments: &Segments) -> Option<Vec<u8>> {
    let in_segment = segments
        .notes
        .iter()
        .find_map(|span| build_id::find(&image.bytes_at(span.offset, build_id::note_size(span)), span.align));
    in_segment.or_else(|| {
        let section = sections::find(image, header, sections::NOTE, b".note.gnu.build-id")?;
        let size = usize::try_from(section.size).unwrap_or(usize::MAX).min(build_id::MAX_NOTE_SEGMENT);
        build_id::find(&image.bytes_at(section.offset, size), section.align)
    })
}

fn find_soname(image: &FileImage<'_>, header: &Header, segments: &Segments) -> Option<String> {
    let span = segments.dynamic?;
    let size = usize::try_from(span.size).unwrap_or(usize::MAX).min(dynamic::MAX_DYNAMIC);
    let dynamic = dynamic::Dynamic::parse(&image.bytes_at(span.offset, size), header.class);
    let (into, size) = dynamic.soname_range()?;
    let (offset, _) = segments.offset_of_address(dynamic.strings?.checked_add(into)?)?;
    dynamic::soname(&image.bytes_at(offset, size))
}
