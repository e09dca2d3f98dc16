//! What a program said about itself: Crashpad's annotations (Crashpad, `minidump/minidump_extensions.h`).
//!
//! They are read here and not with the foreign parser, which copies every string that a dump refers to, however often.

use super::model::Annotation;
use super::raw_dump::RawDump;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// Stream of Crashpad.
const CRASHPAD_INFO: u32 = 0x4350_0001;
/// Offsets in `MinidumpCrashpadInfo` of the process's annotations and of the list of modules.
const SIMPLE_ANNOTATIONS: usize = 36;
const MODULES: usize = 44;
/// Offsets in `MinidumpModuleCrashpadInfo` of the texts, of the pairs and of the typed annotations.
const MODULE_TEXTS: usize = 4;
const MODULE_PAIRS: usize = 12;
const MODULE_OBJECTS: usize = 20;
/// `crashpad::Annotation::Type::kString`.
const STRING: u16 = 1;

/// Most annotations and modules with annotations, and most bytes of texts together, that are read.
const MOST: usize = 8192;
const MOST_BYTES: usize = 4 << 20;
/// Longest key or value.
const LONGEST: u32 = 64 << 10;

/// The annotations in a little-endian dump, which is also in `file`: those of the process, then those of modules. What
/// cannot be shown is told in `warnings`.
pub fn read(dump: &RawDump, file: &File, warnings: &mut Vec<String>) -> Vec<Annotation> {
    let Ok(stream) = dump.get_raw_stream(CRASHPAD_INFO) else { return Vec::new() };
    let mut reader = Reader { file, found: Vec::new(), left: MOST, bytes: 0, lost: false };
    if u32_at(stream, 0).is_some_and(|version| version > 0) {
        reader.pairs(stream, SIMPLE_ANNOTATIONS, None);
        reader.modules(stream);
    } else {
        reader.lost = true;
    }
    if reader.lost {
        warnings.push("some of its annotations are unreadable or too long".into());
    }
    reader.found
}

/// Follows the stream's references into the file, within bounds.
struct Reader<'a> {
    file: &'a File,
    found: Vec<Annotation>,
    left: usize,
    bytes: usize,
    lost: bool,
}

impl Reader<'_> {
    /// The pairs of the dictionary whose location is at `offset` of `record`.
    fn pairs(&mut self, record: &[u8], offset: usize, module: Option<u32>) {
        for entry in self.array(record, offset, 8) {
            let key = u32_at(&entry, 0).and_then(|rva| self.string(rva));
            let value = u32_at(&entry, 4).and_then(|rva| self.string(rva));
            self.push(key.zip(value), module);
        }
    }

    fn modules(&mut self, stream: &[u8]) {
        for link in self.array(stream, MODULES, 12) {
            let (index, size, rva) = (u32_at(&link, 0), u32_at(&link, 4), u32_at(&link, 8));
            let record = size.zip(rva).and_then(|(size, rva)| self.bytes(rva, size.min(64)));
            let (Some(record), Some(_)) = (record, index) else {
                self.lost = true;
                continue;
            };
            for text in self.array(&record, MODULE_TEXTS, 4) {
                let value = u32_at(&text, 0).and_then(|rva| self.string(rva));
                self.push(value.map(|value| (String::new(), value)), index);
            }
            self.pairs(&record, MODULE_PAIRS, index);
            for object in self.array(&record, MODULE_OBJECTS, 12) {
                if u32_at(&object, 4).map(|word| word & 0xffff) == Some(STRING.into()) {
                    let key = u32_at(&object, 0).and_then(|rva| self.string(rva));
                    let value = u32_at(&object, 8).and_then(|rva| self.string(rva));
                    self.push(key.zip(value), index);
                }
            }
        }
    }

    fn push(&mut self, pair: Option<(String, String)>, module: Option<u32>) {
        match pair {
            Some((key, value)) => self.found.push(Annotation { key, value, module }),
            None => self.lost = true,
        }
    }

    /// The elements of `size` bytes each of the counted array whose location is at `offset` of `record`. A location
    /// of no bytes is an array of no elements.
    fn array(&mut self, record: &[u8], offset: usize, size: u32) -> Vec<Vec<u8>> {
        let location = u32_at(record, offset).zip(u32_at(record, offset + 4));
        let Some((length, rva)) = location.filter(|(length, _)| *length > 0) else { return Vec::new() };
        let count = self.bytes(rva, 4).and_then(|bytes| u32_at(&bytes, 0));
        let fitting = length.saturating_sub(4) / size;
        let taken = count.unwrap_or(0).min(fitting).min(u32::try_from(self.left).unwrap_or(0));
        self.left = self.left.saturating_sub(taken as usize);
        self.lost |= count != Some(taken);
        let elements = rva.checked_add(4).and_then(|start| self.bytes(start, taken.saturating_mul(size)));
        self.lost |= elements.is_none();
        elements.unwrap_or_default().chunks_exact(size as usize).map(<[u8]>::to_vec).collect()
    }

    /// A text with its length in bytes before it.
    fn string(&mut self, rva: u32) -> Option<String> {
        let length = u32_at(&self.bytes(rva, 4)?, 0)?;
        self.bytes = self.bytes.saturating_add(length as usize);
        if length > LONGEST || self.bytes > MOST_BYTES {
            return None;
        }
        let bytes = self.bytes(rva.checked_add(4)?, length)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn bytes(&mut self, offset: u32, size: u32) -> Option<Vec<u8>> {
        let mut file = self.file;
        let mut bytes = vec![0; size as usize];
        file.seek(SeekFrom::Start(offset.into())).ok()?;
        file.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let field = bytes.get(offset..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::raw_dump;
    use minidump_synth::{AnnotationValue, CrashpadInfo, ModuleCrashpadInfo, SynthMinidump};
    use std::io::Write as _;
    use test_assembler::Endian;

    fn read_bytes(bytes: &[u8]) -> (Vec<Annotation>, Vec<String>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let dump = raw_dump::open(file.as_file()).unwrap();
        let mut warnings = Vec::new();
        (read(&dump, file.as_file(), &mut warnings), warnings)
    }

    fn annotation(key: &str, value: &str, module: Option<u32>) -> Annotation {
        Annotation { key: key.into(), value: value.into(), module }
    }

    fn dump() -> Vec<u8> {
        let module = ModuleCrashpadInfo::new(3, Endian::Little)
            .add_list_annotation("a text")
            .add_simple_annotation("in", "module")
            .add_annotation_object("typed", AnnotationValue::String("value".to_owned()))
            .add_annotation_object("custom", AnnotationValue::Custom(0x8001, vec![42]));
        let info = CrashpadInfo::new(Endian::Little)
            .add_simple_annotation("version", "1.2 ü")
            .add_simple_annotation("empty", "")
            .add_module(module);
        SynthMinidump::with_endian(Endian::Little).add_crashpad_info(info).finish().unwrap()
    }

    #[test]
    fn annotations_of_the_process_and_of_modules_are_read() {
        let (found, warnings) = read_bytes(&dump());
        let expected = [
            annotation("empty", "", None),
            annotation("version", "1.2 ü", None),
            annotation("", "a text", Some(3)),
            annotation("in", "module", Some(3)),
            annotation("typed", "value", Some(3)),
        ];
        let mut sorted = found;
        sorted.sort_by(|one, other| (one.module, &one.key).cmp(&(other.module, &other.key)));
        assert_eq!(sorted, expected);
        assert_eq!(warnings, [""; 0]);
    }

    #[test]
    fn a_dump_without_annotations_has_none() {
        let bytes = SynthMinidump::with_endian(Endian::Little).finish().unwrap();
        assert_eq!(read_bytes(&bytes), (vec![], vec![]));
    }

    #[test]
    fn destroyed_words_neither_panic_nor_exceed_the_bounds() {
        let whole = dump();
        for at in (32..whole.len()).step_by(4) {
            for value in [0u32, 0x7fff_ffff, u32::MAX] {
                let mut bytes = whole.clone();
                let Some(word) = bytes.get_mut(at..at + 4) else { continue };
                word.copy_from_slice(&value.to_le_bytes());
                let mut file = tempfile::NamedTempFile::new().unwrap();
                file.write_all(&bytes).unwrap();
                let Ok(dump) = raw_dump::open(file.as_file()) else { continue };
                let found = read(&dump, file.as_file(), &mut Vec::new());
                let size: usize = found.iter().map(|found| found.key.len() + found.value.len()).sum();
                // Bytes that are no UTF-8 are shown as three.
                assert!(found.len() <= MOST && size <= 3 * MOST_BYTES);
            }
        }
    }
}
