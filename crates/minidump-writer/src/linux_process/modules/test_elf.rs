//! ELF images and memory maps made for tests.

use crate::Pid;
use minidump_snapshot::{BufferSource, MemorySource, ReadOutcome, ReadRequest};
use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// What the made image contains. It has three segments: headers, notes and names at 0; code at 0x1000; and, behind a
/// hole, data at 0x4000 that stands at 0x2000 in the file and is followed by a page of zeroes.
#[derive(Debug, Clone)]
pub struct TestElf {
    pub build_id: Option<Vec<u8>>,
    pub soname: Option<String>,
    /// Where the section headers stand in the file: 0x3000 is not loaded, 0xa00 is.
    pub sections: u64,
    /// Added to `DT_STRTAB`, as glibc does at load time.
    pub relocated_by: u64,
    /// `DT_DEBUG`.
    pub debug: u64,
    /// First byte of the code, which is otherwise a pattern.
    pub code: u8,
}

/// Bytes of the span of the image in memory.
pub const IMAGE_SIZE: u64 = 0x6000;
/// Bytes of the code.
const CODE_SIZE: usize = 0xff8;
/// Where the string table stands.
const STRINGS: u64 = 0x600;
/// Where the names of the sections stand.
const SECTION_NAMES: &[u8] = b"\0.text\0.note.gnu.build-id\0.shstrtab\0";

impl Default for TestElf {
    fn default() -> Self {
        Self {
            build_id: Some((1..=20).collect()),
            soname: Some("libtest.so.1.2".into()),
            sections: 0x3000,
            relocated_by: 0,
            debug: 0,
            code: 0xc3,
        }
    }
}

pub fn put(bytes: &mut [u8], at: usize, content: &[u8]) {
    bytes[at..at + content.len()].copy_from_slice(content);
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub fn program_header(
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    sizes: [u64; 2],
    align: u64,
) -> Vec<u8> {
    let [file_size, memory_size] = sizes;
    [
        [kind.to_le_bytes(), flags.to_le_bytes()].concat(),
        words(&[offset, address, address, file_size, memory_size, align]),
    ]
    .concat()
}

fn section_header(name: u32, kind: u32, offset: u64, size: u64) -> Vec<u8> {
    [[name.to_le_bytes(), kind.to_le_bytes()].concat(), words(&[0, offset, offset, size, 0, 4, 0])].concat()
}

impl TestElf {
    /// The code.
    pub fn code(&self) -> Vec<u8> {
        let pattern = (0..CODE_SIZE).map(|at| u8::try_from(at * 7 % 251).expect("below 251"));
        std::iter::once(self.code).chain(pattern.skip(1)).collect()
    }

    fn note(&self) -> Vec<u8> {
        let Some(id) = &self.build_id else { return Vec::new() };
        let size = u32::try_from(id.len()).expect("short").to_le_bytes();
        [&4u32.to_le_bytes(), &size, &3u32.to_le_bytes(), b"GNU\0".as_slice(), id].concat()
    }

    fn program_headers(&self) -> Vec<u8> {
        let note = self.note().len() as u64;
        [
            program_header(6, 4, 64, 64, [0x150; 2], 8),
            program_header(1, 4, 0, 0, [0xf00; 2], 0x1000),
            program_header(1, 5, 0x1000, 0x1000, [CODE_SIZE as u64; 2], 0x1000),
            program_header(1, 6, 0x2000, 0x4000, [0x300, 0x1800], 0x1000),
            program_header(2, 6, 0x2000, 0x4000, [0x60; 2], 8),
            program_header(4, 4, 0x400, 0x400, [note; 2], 4),
        ]
        .concat()
    }

    /// The file.
    pub fn file(&self) -> Vec<u8> {
        let mut file = vec![0; 0x3400];
        put(&mut file, 0, b"\x7fELF\x02\x01\x01");
        put(&mut file, 16, &[3, 0, 62, 0, 1, 0, 0, 0]);
        put(&mut file, 24, &words(&[0x1000, 64, self.sections]));
        let sizes = [64u16, 56, 6, 64, 4, 3];
        put(&mut file, 52, &sizes.iter().flat_map(|size| size.to_le_bytes()).collect::<Vec<_>>());
        put(&mut file, 64, &self.program_headers());
        put(&mut file, 0x400, &self.note());
        let soname = self.soname.clone().unwrap_or_default();
        put(&mut file, usize::try_from(STRINGS).expect("small") + 1, soname.as_bytes());
        put(&mut file, 0x1000, &self.code());
        let soname_tag = if self.soname.is_some() { 14 } else { 0x6fff_ffff };
        let strings = STRINGS + self.relocated_by;
        let dynamic = [5, strings, 10, 0x100, soname_tag, 1, 21, self.debug, 30, 8, 0, 0];
        put(&mut file, 0x2000, &words(&dynamic));
        let names_at = self.sections + 0x100;
        let sections = [
            vec![0; 64],
            section_header(1, 1, 0x1000, CODE_SIZE as u64),
            section_header(7, 7, 0x400, self.note().len() as u64),
            section_header(26, 3, names_at, SECTION_NAMES.len() as u64),
        ];
        put(&mut file, usize::try_from(self.sections).expect("small"), &sections.concat());
        put(&mut file, usize::try_from(names_at).expect("small"), SECTION_NAMES);
        file
    }

    /// Puts the image into memory at `base` as a loader would.
    pub fn load(&self, memory: &mut BufferSource, base: u64) {
        let relocated = Self { relocated_by: base, ..self.clone() };
        load_file(&relocated.file(), memory, base);
    }
}

/// Puts the segments of a made file into memory at `base`.
pub fn load_file(file: &[u8], memory: &mut BufferSource, base: u64) {
    let mut data = file[0x2000..0x3000].to_vec();
    data[0x300..].fill(0);
    data.resize(0x2000, 0);
    assert!(memory.insert(base, file[..0x2000].to_vec()));
    assert!(memory.insert(base + 0x4000, data));
}

/// What the file of an image is called and how the memory map identifies it.
#[derive(Debug, Clone, Copy)]
pub struct MappedFile<'a> {
    pub path: &'a [u8],
    pub device: (u32, u32),
    pub inode: u64,
    pub origin: u64,
}

impl<'a> MappedFile<'a> {
    /// A file that exists in no file system.
    pub fn nowhere(path: &'a [u8], inode: u64) -> Self {
        Self { path, device: (0xffe, 0xffffe), inode, origin: 0 }
    }

    /// One line of the memory map.
    pub fn line(&self, start: u64, end: u64, rights: &str, offset: u64) -> Vec<u8> {
        let (major, minor) = self.device;
        let offset = self.origin + offset;
        let head =
            format!("{start:x}-{end:x} {rights} {offset:08x} {major:02x}:{minor:02x} {}   ", self.inode);
        [head.as_bytes(), self.path, b"\n"].concat()
    }

    /// The lines of a made image that is loaded at `base`.
    pub fn lines(&self, base: u64) -> Vec<u8> {
        [
            self.line(base, base + 0x1000, "r--p", 0),
            self.line(base + 0x1000, base + 0x2000, "r-xp", 0x1000),
            self.line(base + 0x4000, base + 0x5000, "rw-p", 0x2000),
            format!("{:x}-{:x} rw-p 00000000 00:00 0 \n", base + 0x5000, base + 0x6000).into_bytes(),
        ]
        .concat()
    }
}

/// The memory of a process, through /proc/PID/mem.
pub struct ProcessMemory(File);

impl ProcessMemory {
    pub fn open(pid: Pid) -> Self {
        Self(File::open(format!("/proc/{pid}/mem")).expect("own memory and that of children can be read"))
    }
}

impl MemorySource for ProcessMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let mut done = 0;
        while done < buffer.len() {
            // Addresses of the upper half are no valid offsets.
            let offset = address.checked_add(done as u64).filter(|offset| i64::try_from(*offset).is_ok());
            match offset.map(|offset| self.0.read_at(&mut buffer[done..], offset)) {
                Some(Ok(size)) if size > 0 => done += size,
                _ => return ReadOutcome::unreadable(done, None),
            }
        }
        ReadOutcome::complete(done)
    }
}

/// Counts what is asked of another source.
pub struct Counting<'a> {
    pub inner: &'a dyn MemorySource,
    pub batches: Cell<usize>,
    pub reads: Cell<usize>,
    pub bytes: Cell<usize>,
}

impl<'a> Counting<'a> {
    pub fn new(inner: &'a dyn MemorySource) -> Self {
        Self { inner, batches: Cell::new(0), reads: Cell::new(0), bytes: Cell::new(0) }
    }
}

impl MemorySource for Counting<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        self.reads.set(self.reads.get() + 1);
        self.inner.read(address, buffer)
    }

    fn read_batch(&self, requests: &mut [ReadRequest<'_>]) {
        self.batches.set(self.batches.get() + 1);
        self.bytes.set(self.bytes.get() + requests.iter().map(|request| request.buffer.len()).sum::<usize>());
        self.inner.read_batch(requests);
    }
}
