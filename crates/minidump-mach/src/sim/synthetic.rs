use super::SimArch;
use minidump_snapshot::Protection;

/// A segment of a [`SyntheticImage`].
#[derive(Debug, Clone)]
struct Segment {
    name: String,
    address: u64,
    size: u64,
    protection: Protection,
    contents: Vec<u8>,
    /// Name, offset from the segment's start, size.
    sections: Vec<(String, u64, u64)>,
}

/// A Mach-O file made in memory, for tests that need no real one, and for those that need thousands.
///
/// ```
/// use minidump_mach::sim::{SimArch, SyntheticImage};
///
/// let file = SyntheticImage::library("/usr/lib/libone.dylib").uuid([7; 16]).version(0x0102_0300).build(SimArch::Arm64);
/// assert_eq!(file[..4], [0xcf, 0xfa, 0xed, 0xfe]);
/// ```
#[derive(Debug, Clone)]
pub struct SyntheticImage {
    path: String,
    file_type: u32,
    uuid: Option<[u8; 16]>,
    version: Option<u32>,
    platform: Option<u32>,
    segments: Vec<Segment>,
    code: Vec<u8>,
    raw_commands: Vec<Vec<u8>>,
}

impl SyntheticImage {
    fn new(path: &str, file_type: u32) -> Self {
        Self {
            path: path.to_owned(),
            file_type,
            uuid: None,
            version: None,
            platform: Some(1),
            segments: Vec::new(),
            code: Vec::new(),
            raw_commands: Vec::new(),
        }
    }

    /// An executable, linked at 4 GiB behind its `__PAGEZERO`.
    #[must_use]
    pub fn executable(path: &str) -> Self {
        Self::new(path, 2).segment("__PAGEZERO", 0, 1 << 32, Protection::empty(), &[]).text(1 << 32, 0x4000)
    }

    /// A library, linked at 0.
    #[must_use]
    pub fn library(path: &str) -> Self {
        Self::new(path, 6).version(0x1_0000).text(0, 0x4000)
    }

    /// A bundle, linked at 0.
    #[must_use]
    pub fn bundle(path: &str) -> Self {
        Self::new(path, 8).text(0, 0x4000)
    }

    /// The dynamic linker, linked at 0.
    #[must_use]
    pub fn dylinker(path: &str) -> Self {
        Self::new(path, 7).text(0, 0x4000)
    }

    /// Where it is said to be installed.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// LC_UUID.
    #[must_use]
    pub fn uuid(mut self, uuid: [u8; 16]) -> Self {
        self.uuid = Some(uuid);
        self
    }

    /// `current_version` of LC_ID_DYLIB: 16 bits, 8 bits, 8 bits.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// `platform` of LC_BUILD_VERSION, which is left out for `None`.
    #[must_use]
    pub fn platform(mut self, platform: Option<u32>) -> Self {
        self.platform = platform;
        self
    }

    /// Sets address and size of `__TEXT`.
    #[must_use]
    pub fn text(mut self, address: u64, size: u64) -> Self {
        self.segments.retain(|segment| segment.name != "__TEXT");
        self.segment("__TEXT", address, size, Protection::READ | Protection::EXECUTE, &[])
    }

    /// Puts `code` half a page (0x2000 bytes) behind the start of `__TEXT`.
    #[must_use]
    pub fn code(mut self, code: &[u8]) -> Self {
        self.code = code.to_vec();
        self
    }

    /// Adds a segment with `contents`, zeros behind them.
    #[must_use]
    pub fn segment(
        mut self,
        name: &str,
        address: u64,
        size: u64,
        protection: Protection,
        contents: &[u8],
    ) -> Self {
        let (name, contents) = (name.to_owned(), contents.to_vec());
        self.segments.push(Segment { name, address, size, protection, contents, sections: Vec::new() });
        self
    }

    /// Names a part of the segment that was added last a section.
    #[must_use]
    pub fn section(mut self, name: &str, offset: u64, size: u64) -> Self {
        if let Some(segment) = self.segments.last_mut() {
            segment.sections.push((name.to_owned(), offset, size));
        }
        self
    }

    /// Names a part of `__TEXT` a section, and puts `contents` there.
    #[must_use]
    pub fn text_section(mut self, name: &str, offset: u64, contents: &[u8]) -> Self {
        if let Some(text) = self.segments.iter_mut().find(|segment| segment.name == "__TEXT") {
            text.sections.push((name.to_owned(), offset, contents.len() as u64));
            put(&mut text.contents, offset, contents);
        }
        self
    }

    /// Adds a load command as it is.
    #[must_use]
    pub fn raw_command(mut self, bytes: &[u8]) -> Self {
        self.raw_commands.push(bytes.to_vec());
        self
    }

    /// The bytes of the file.
    #[must_use]
    pub fn build(&self, arch: SimArch) -> Vec<u8> {
        let mut commands: Vec<Vec<u8>> = Vec::new();
        let text_size =
            self.segments.iter().find(|segment| segment.name == "__TEXT").map_or(0, |text| text.size);
        let mut file = Vec::new();
        let mut behind = Vec::new();
        for segment in &self.segments {
            let (offset, file_size) = match segment.name.as_str() {
                "__TEXT" => (0, segment.size),
                _ => (text_size + behind.len() as u64, segment.contents.len() as u64),
            };
            if segment.name != "__TEXT" {
                behind.extend_from_slice(&segment.contents);
            }
            commands.push(segment_command(segment, offset, file_size));
        }
        commands.extend(self.plain_commands());
        let size: usize = commands.iter().map(Vec::len).sum();
        words(&mut file, &[0xfeed_facf, arch.cpu_type(), arch.cpu_subtype(), self.file_type]);
        words(&mut file, &[count(commands.len()), count(size), 0x0020_0085, 0]);
        file.extend(commands.concat());
        let text = self.segments.iter().find(|segment| segment.name == "__TEXT");
        let placed = text.map_or(&[][..], |text| &text.contents);
        let from = placed.iter().position(|byte| *byte != 0).unwrap_or(placed.len());
        put(&mut file, from as u64, placed.get(from..).unwrap_or_default());
        put(&mut file, 0x2000, &self.code);
        file.resize(usize::try_from(text_size).unwrap_or_default(), 0);
        file.extend_from_slice(&behind);
        file
    }

    fn plain_commands(&self) -> Vec<Vec<u8>> {
        let mut commands = Vec::new();
        if let Some(uuid) = self.uuid {
            let mut command = Vec::new();
            words(&mut command, &[0x1b, 24]);
            command.extend_from_slice(&uuid);
            commands.push(command);
        }
        match self.file_type {
            6 => commands.push(named(0xd, &[24, 1, self.version.unwrap_or_default(), 0x1_0000], &self.path)),
            7 => commands.push(named(0xf, &[12], &self.path)),
            _ => {}
        }
        if let Some(platform) = self.platform {
            let mut command = Vec::new();
            words(&mut command, &[0x32, 24, platform, 0x000b_0000, 0x000e_0000, 0]);
            commands.push(command);
        }
        commands.extend(self.raw_commands.iter().cloned());
        commands
    }
}

fn segment_command(segment: &Segment, offset: u64, file_size: u64) -> Vec<u8> {
    let mut command = Vec::new();
    words(&mut command, &[0x19, count(72 + 80 * segment.sections.len())]);
    name(&mut command, &segment.name);
    for value in [segment.address, segment.size, offset, file_size] {
        command.extend_from_slice(&value.to_le_bytes());
    }
    let protection = u32::from(segment.protection.bits());
    words(&mut command, &[protection, protection, count(segment.sections.len()), 0]);
    for (section, at, size) in &segment.sections {
        name(&mut command, section);
        name(&mut command, &segment.name);
        command.extend_from_slice(&segment.address.saturating_add(*at).to_le_bytes());
        command.extend_from_slice(&size.to_le_bytes());
        words(&mut command, &[count(usize::try_from(offset + at).unwrap_or_default()), 0, 0, 0, 0, 0, 0, 0]);
    }
    command
}

/// A command with `fields` and a string behind them.
fn named(kind: u32, fields: &[u32], text: &str) -> Vec<u8> {
    let size = (8 + 4 * fields.len() + text.len() + 1).next_multiple_of(8);
    let mut command = Vec::new();
    words(&mut command, &[kind, count(size)]);
    words(&mut command, fields);
    command.extend_from_slice(text.as_bytes());
    command.resize(size, 0);
    command
}

fn name(to: &mut Vec<u8>, name: &str) {
    let start = to.len();
    to.extend(name.bytes().take(16));
    to.resize(start + 16, 0);
}

fn words(to: &mut Vec<u8>, words: &[u32]) {
    to.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Puts `bytes` at `offset`, and zeros before them where there is nothing yet.
fn put(to: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let Ok(offset) = usize::try_from(offset) else { return };
    let end = offset.saturating_add(bytes.len());
    if to.len() < end {
        to.resize(end, 0);
    }
    if let Some(place) = to.get_mut(offset..end) {
        place.copy_from_slice(bytes);
    }
}
