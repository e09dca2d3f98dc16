//! Cores and images as others make them, put together by hand.

/// A core in the making.
#[derive(Default)]
pub struct HandMade {
    pub cpu_type: u32,
    pub notes: Vec<(&'static str, Vec<u8>)>,
    /// Bodies of `LC_THREAD`.
    pub threads: Vec<Vec<u8>>,
    /// Address, bytes, protection.
    pub segments: Vec<(u64, Vec<u8>, u32)>,
}

pub fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub fn halves(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub fn padded(text: &str, size: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(size, 0);
    bytes
}

/// General and exception registers of AArch64, as LLDB writes them.
pub fn arm64_thread(sp: u64, pc: u64, syndrome: u32) -> Vec<u8> {
    let mut registers = vec![7; 29];
    registers.extend([sp + 0x40, 0x55, sp, pc, 0x6000_0000]);
    let exception = [words(&[0x10]), halves(&[syndrome, 0])].concat();
    [halves(&[6, 68]), words(&registers), halves(&[7, 4]), exception].concat()
}

/// As the kernel writes them for x86-64.
pub fn amd64_thread(sp: u64, pc: u64) -> Vec<u8> {
    let mut registers = vec![7; 21];
    (registers[7], registers[16]) = (sp, pc);
    let float = [vec![0; 8], vec![9; 512], vec![0; 4]].concat();
    [
        halves(&[4, 42]),
        words(&registers),
        halves(&[5, 131]),
        float,
        halves(&[6, 4]),
        words(&[0x3_0000_000e, 0x10]),
    ]
    .concat()
}

impl HandMade {
    /// Where the first note or segment lies. Notes with offsets in the file need to know.
    pub fn contents_start(&self) -> u64 {
        let threads: usize = self.threads.iter().map(|thread| 8 + thread.len()).sum();
        (32 + 40 * self.notes.len() + threads + 72 * self.segments.len()) as u64
    }

    pub fn bytes(&self) -> Vec<u8> {
        let start = self.contents_start();
        let count = self.notes.len() + self.threads.len() + self.segments.len();
        let count = u32::try_from(count).unwrap();
        let size = u32::try_from(start - 32).unwrap();
        let mut file = halves(&[0xfeed_facf, self.cpu_type, 0, 4, count, size, 0, 0]);
        let mut contents = Vec::new();
        for (owner, note) in &self.notes {
            file.extend([halves(&[0x31, 40]), padded(owner, 16)].concat());
            file.extend(words(&[start + contents.len() as u64, note.len() as u64]));
            contents.extend_from_slice(note);
        }
        for thread in &self.threads {
            file.extend(halves(&[4, 8 + u32::try_from(thread.len()).unwrap()]));
            file.extend_from_slice(thread);
        }
        for (address, bytes, protection) in &self.segments {
            let size = bytes.len() as u64;
            file.extend([halves(&[0x19, 72]), padded("", 16)].concat());
            file.extend(words(&[*address, size, start + contents.len() as u64, size]));
            file.extend(halves(&[*protection, *protection, 0, 0]));
            contents.extend_from_slice(bytes);
        }
        assert_eq!(file.len() as u64, start);
        file.extend(contents);
        file
    }
}

/// A Mach-O header with `__TEXT` of 0x4000 bytes at `linked_at`, a UUID, a name, and of dyld its list of images at
/// `list`.
pub fn image(file_type: u32, linked_at: u64, uuid: u8, name: Option<&str>, list: Option<u64>) -> Vec<u8> {
    let section = |address: u64| {
        let names = [padded("__all_image_info", 16), padded("__DATA", 16)].concat();
        [names, words(&[address, 0x170]), vec![0; 32]].concat()
    };
    let segment = |name: &str, address: u64, protection: u32, sections: Vec<u8>| {
        let size = u32::try_from(72 + sections.len()).unwrap();
        let count = u32::from(!sections.is_empty());
        let head = [halves(&[0x19, size]), padded(name, 16), words(&[address, 0x4000, 0, 0x4000])].concat();
        [head, halves(&[protection, protection, count, 0]), sections].concat()
    };
    let mut commands = vec![
        segment("__PAGEZERO", 0, 0, vec![]),
        segment("__TEXT", linked_at, 5, vec![]),
        segment("__DATA", linked_at + 0x4000, 3, list.map(section).unwrap_or_default()),
        [halves(&[0x1b, 24]), vec![uuid; 16]].concat(),
    ];
    if let Some(name) = name {
        let kind = if file_type == 7 { 0xf } else { 0xd };
        let text = padded(name, (name.len() + 1).next_multiple_of(8));
        let size = u32::try_from(24 + text.len()).unwrap();
        commands.push([halves(&[kind, size, 24, 0, 0x0001_0203, 0]), text].concat());
    }
    let size = u32::try_from(commands.iter().map(Vec::len).sum::<usize>()).unwrap();
    let count = u32::try_from(commands.len()).unwrap();
    let mut header = halves(&[0xfeed_facf, 0x0100_000c, 0, file_type, count, size, 0, 0]);
    header.extend(commands.concat());
    header
}
