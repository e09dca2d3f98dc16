//! A small PE image, in memory and as a file.

use super::super::PointerSize;

/// Where the parts of the image lie, relative to its base.
pub const NT: usize = 0x80;
pub const DEBUG: usize = 0x1000;
pub const RECORD: usize = 0x1100;
pub const RESOURCES: usize = 0x2000;
pub const SIZE: usize = 0x3000;
/// In the file each page takes this much, and so do the headers.
const RAW: usize = 0x400;

/// The GUID in the record, and its age.
pub const GUID: [u8; 16] = *b"0123456789abcdef";
pub const AGE: u32 = 7;

/// What the image says.
#[derive(Clone)]
pub struct TestPe {
    pub pointer_size: PointerSize,
    pub time_stamp: u32,
    pub is_library: bool,
    pub record: Vec<u8>,
    pub version: [u32; 13],
}

pub fn rsds(path: &str) -> Vec<u8> {
    [b"RSDS".as_slice(), &GUID, &AGE.to_le_bytes(), path.as_bytes(), b"\0"].concat()
}

impl TestPe {
    pub fn new(pointer_size: PointerSize, time_stamp: u32) -> Self {
        let version = [
            0xfeef_04bd,
            0x1_0000,
            0x0001_0002,
            0x0003_0004,
            0x0005_0006,
            0x0007_0008,
            0x3f,
            0,
            0x4_0004,
            2,
            0,
            0,
            0,
        ];
        Self { pointer_size, time_stamp, is_library: true, record: rsds(r"D:\build\a.pdb"), version }
    }

    /// As it lies in memory.
    pub fn memory(&self) -> Vec<u8> {
        let mut image = vec![0; SIZE];
        self.headers(&mut image);
        put(&mut image, DEBUG, &self.debug_directory());
        put(&mut image, RECORD, &self.record);
        put(&mut image, RESOURCES, &self.resources());
        image
    }

    /// As its file has it: the two sections follow the headers.
    pub fn file(&self) -> Vec<u8> {
        let image = self.memory();
        let section = |at: usize| &image[at..at + RAW];
        [section(0), section(DEBUG), section(RESOURCES)].concat()
    }

    fn headers(&self, image: &mut [u8]) {
        put(image, 0, b"MZ");
        put32(image, 60, u32::try_from(NT).unwrap());
        put(image, NT, b"PE\0\0");
        let (machine, magic, optional_size, directories) = match self.pointer_size {
            PointerSize::Four => (0x14c_u16, 0x10b_u16, 224_u16, 96),
            PointerSize::Eight => (0x8664, 0x20b, 240, 112),
        };
        put(image, NT + 4, &machine.to_le_bytes());
        put(image, NT + 6, &2_u16.to_le_bytes());
        put32(image, NT + 8, self.time_stamp);
        put(image, NT + 20, &optional_size.to_le_bytes());
        let kind = if self.is_library { 0x2002_u16 } else { 2 };
        put(image, NT + 22, &kind.to_le_bytes());
        let optional = NT + 24;
        put(image, optional, &magic.to_le_bytes());
        put32(image, optional + 56, u32::try_from(SIZE).unwrap());
        put32(image, optional + 60, u32::try_from(RAW).unwrap());
        put32(image, optional + 64, self.time_stamp ^ 0xffff);
        put32(image, optional + directories - 4, 16);
        put32(image, optional + directories + 16, u32::try_from(RESOURCES).unwrap());
        put32(image, optional + directories + 20, 0x400);
        put32(image, optional + directories + 48, u32::try_from(DEBUG).unwrap());
        put32(image, optional + directories + 52, 56);
        let table = optional + usize::from(optional_size);
        for (index, rva) in [DEBUG, RESOURCES].into_iter().enumerate() {
            let header = table + 40 * index;
            put32(image, header + 8, 0x1000);
            put32(image, header + 12, u32::try_from(rva).unwrap());
            put32(image, header + 16, u32::try_from(RAW).unwrap());
            put32(image, header + 20, u32::try_from(RAW * (index + 1)).unwrap());
        }
    }

    /// Two entries: one of another type, and that of the record.
    fn debug_directory(&self) -> Vec<u8> {
        let mut entries = vec![0; 56];
        put32(&mut entries, 12, 13);
        put32(&mut entries, 28 + 12, 2);
        put32(&mut entries, 28 + 16, u32::try_from(self.record.len()).unwrap());
        put32(&mut entries, 28 + 20, u32::try_from(RECORD).unwrap());
        put32(&mut entries, 28 + 24, u32::try_from(RAW + RECORD - DEBUG).unwrap());
        entries
    }

    /// An icon, and the version behind it.
    fn resources(&self) -> Vec<u8> {
        let mut tree = vec![0; 0x200];
        let level = |tree: &mut Vec<u8>, at: usize, entries: &[(u32, u32)]| {
            put(tree, at + 14, &u16::try_from(entries.len()).unwrap().to_le_bytes());
            for (index, (id, offset)) in entries.iter().enumerate() {
                put32(tree, at + 16 + 8 * index, *id);
                put32(tree, at + 20 + 8 * index, *offset);
            }
        };
        level(&mut tree, 0, &[(3, 0x8000_0180), (16, 0x8000_0020)]);
        level(&mut tree, 0x20, &[(1, 0x8000_0040)]);
        level(&mut tree, 0x40, &[(0x409, 0x60)]);
        put32(&mut tree, 0x60, u32::try_from(RESOURCES + 0x80).unwrap());
        put32(&mut tree, 0x64, 92);
        put(&mut tree, 0x80, &[92, 0, 52, 0, 0, 0]);
        put(&mut tree, 0x86, &utf16("VS_VERSION_INFO\0"));
        for (index, number) in self.version.iter().enumerate() {
            put32(&mut tree, 0x80 + 40 + 4 * index, *number);
        }
        tree
    }
}

pub fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

fn put32(bytes: &mut [u8], at: usize, number: u32) {
    put(bytes, at, &number.to_le_bytes());
}

pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
