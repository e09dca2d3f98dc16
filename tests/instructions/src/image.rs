//! A shared library as linkers make them and as it lies in memory: just the parts that tell what it is.

/// Bytes from the start of one piece of the image to the next, in the file and in memory.
pub const PIECE: u64 = 0x1000;
/// Offset of the piece with the dynamic section.
pub const DATA: u64 = 3 * PIECE;
/// How many program headers there are.
pub const PROGRAM_HEADERS: u64 = 11;

const NOTES: u64 = 0x2e0;
const STRINGS: u64 = 0x800;
const STRINGS_SIZE: u64 = 0x400;
/// Offset of the SONAME in the table of strings.
const SONAME: u64 = 0x3a0;
/// Entries of the dynamic section besides those that tell something.
const OTHER_ENTRIES: u64 = 20;

/// What tells one image from the others.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Load bias.
    pub bias: u64,
    /// `DT_SONAME`.
    pub soname: &'a str,
    /// Number that fills the build id.
    pub number: u64,
    /// `DT_DEBUG`.
    pub debug: u64,
}

impl Image<'_> {
    /// The first page: file header, program headers, notes, names.
    pub fn head(&self) -> Vec<u8> {
        let mut page = b"\x7fELF\x02\x01\x01".to_vec();
        page.resize(16, 0);
        page.extend([3, 0, 62, 0, 1, 0, 0, 0]);
        page.extend(words(&[PIECE, 64, 0x10_0000]));
        page.extend([0; 4]);
        let headers = u16::try_from(PROGRAM_HEADERS).unwrap_or_default();
        page.extend([64, 56, headers, 64, 0, 0].iter().flat_map(|size: &u16| size.to_le_bytes()));
        page.extend(program_headers());
        pad(&mut page, NOTES);
        page.extend(notes(self.number));
        pad(&mut page, STRINGS + SONAME);
        page.extend(self.soname.as_bytes());
        pad(&mut page, PIECE);
        page
    }

    /// The dynamic section, as glibc leaves it: with the address of the strings relocated.
    pub fn dynamic(&self) -> Vec<u8> {
        let strings = self.bias.wrapping_add(STRINGS);
        let others = (0..OTHER_ENTRIES).flat_map(|index| [0x6fff_0000 + index, index]);
        let tail = [5, strings, 10, STRINGS_SIZE, 14, SONAME, 21, self.debug, 0, 0];
        words(&others.chain(tail).collect::<Vec<_>>())
    }
}

fn program_headers() -> Vec<u8> {
    let dynamic = (OTHER_ENTRIES + 5) * 16;
    let relro = [0x6474_e552, 4, DATA, DATA, PIECE, PIECE];
    let rest =
        [[0x6474_e550, 4, 0xa00, 0xa00, 0x40, 0x40], [0x6474_e551, 6, 0, 0, 0, 0], [7, 4, DATA, DATA, 8, 8]];
    [
        [6, 4, 64, 64, PROGRAM_HEADERS * 56, PROGRAM_HEADERS * 56],
        [1, 4, 0, 0, PIECE, PIECE],
        [1, 5, PIECE, PIECE, PIECE, PIECE],
        [1, 4, 2 * PIECE, 2 * PIECE, PIECE, PIECE],
        [1, 6, DATA, DATA, PIECE, PIECE + 0x800],
        [2, 6, DATA, DATA, dynamic, dynamic],
        [4, 4, NOTES, NOTES, 0x64, 0x64],
        relro,
    ]
    .iter()
    .chain(&rest)
    .flat_map(|[kind, flags, offset, address, file_size, memory_size]| {
        let [kind, flags] =
            [kind, flags].map(|value| u32::try_from(*value).unwrap_or_default().to_le_bytes());
        [[kind, flags].concat(), words(&[*offset, *address, *address, *file_size, *memory_size, 4])].concat()
    })
    .collect()
}

/// A note of properties, the build id, and the version of the ABI.
fn notes(number: u64) -> Vec<u8> {
    let note = |kind: u32, contents: &[u8]| {
        let size = u32::try_from(contents.len()).unwrap_or_default();
        [&4u32.to_le_bytes(), &size.to_le_bytes(), &kind.to_le_bytes(), b"GNU\0".as_slice(), contents]
            .concat()
    };
    let mut id = number.to_le_bytes().repeat(3);
    id.truncate(20);
    [note(5, &[2; 16]), note(3, &id), note(1, &[0; 16])].concat()
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn pad(page: &mut Vec<u8>, size: u64) {
    page.resize(usize::try_from(size).unwrap_or_default().max(page.len()), 0);
}
