//! The Mach-O header of an image in the core's memory (<mach-o/loader.h>), as foreign input.

use crate::convert::FileMemory;
use crate::convert::words::{u32_at, u64_at, until_nul};
use crate::snapshot::{FileVersion, MemorySource as _, Protection};

/// `MH_MAGIC_64`
const MAGIC: u32 = 0xfeed_facf;
/// `MH_EXECUTE`, `MH_DYLIB`, `MH_DYLINKER` and `MH_BUNDLE`
pub const EXECUTABLE: u32 = 2;
const LIBRARY: u32 = 6;
pub const DYNAMIC_LINKER: u32 = 7;
const BUNDLE: u32 = 8;
/// `LC_ID_DYLIB`, `LC_ID_DYLINKER`, `LC_SEGMENT_64` and `LC_UUID`
const ID_LIBRARY: u32 = 0xd;
const ID_DYNAMIC_LINKER: u32 = 0xf;
const SEGMENT: u32 = 0x19;
const UUID: u32 = 0x1b;
/// Longest list of commands that is read. Programs of hundreds of libraries have some ten KiB.
const MAX_COMMANDS: u32 = 256 << 10;
/// Most bytes of commands that are read in all. Processes of a thousand images stay below.
const MAX_ALL_COMMANDS: u64 = 64 << 20;
const HEADER_SIZE: u32 = 32;
/// Size in bytes of a segment's command without its sections, and of a section.
const SEGMENT_SIZE: usize = 72;
const SECTION_SIZE: usize = 80;

/// A segment as the file has it, without slide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSegment {
    pub name: [u8; 16],
    pub address: u64,
    pub size: u64,
    pub protection: Protection,
}

/// What header and commands tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageHeader {
    pub file_type: u32,
    pub cpu_type: u32,
    pub cpu_subtype: u32,
    /// Bytes of header and commands.
    pub size: u64,
    pub uuid: Option<[u8; 16]>,
    /// In the order of the file, without `__PAGEZERO`.
    pub segments: Vec<FileSegment>,
    /// The name by which a library or dyld is linked to.
    pub name: Option<Vec<u8>>,
    pub version: Option<FileVersion>,
    /// Address, without slide, of dyld's list of images.
    pub image_list: Option<u64>,
}

/// Reads headers. Many may lie at the same place of the file, so what is read in all is bounded.
pub struct HeaderReader<'a> {
    memory: &'a FileMemory,
    /// Bytes of commands that may be read still.
    left: u64,
}

impl<'a> HeaderReader<'a> {
    pub fn new(memory: &'a FileMemory) -> Self {
        Self { memory, left: MAX_ALL_COMMANDS }
    }

    pub fn memory(&self) -> &'a FileMemory {
        self.memory
    }

    /// Reads the header at `address`, if there is one.
    pub fn read(&mut self, address: u64) -> Option<ImageHeader> {
        let header: [u8; 32] = self.memory.read_array(address)?;
        let field = |index: usize| u32_at(&header, index * 4).unwrap_or(0);
        let is_image = matches!(field(3), EXECUTABLE | LIBRARY | DYNAMIC_LINKER | BUNDLE);
        if field(0) != MAGIC || !is_image || field(5) > MAX_COMMANDS {
            return None;
        }
        self.left = self.left.checked_sub(field(5).into())?;
        ImageHeader::parse(self.memory, address, &header)
    }
}

impl ImageHeader {
    fn parse(memory: &FileMemory, address: u64, header: &[u8; 32]) -> Option<Self> {
        let field = |index: usize| u32_at(header, index * 4).unwrap_or(0);
        let mut commands = vec![0; usize::try_from(field(5)).ok()?];
        let done = memory.read(address.checked_add(HEADER_SIZE.into())?, &mut commands).done;
        commands.truncate(done);
        let mut image = Self {
            file_type: field(3),
            cpu_type: field(1),
            cpu_subtype: field(2),
            size: u64::from(HEADER_SIZE) + u64::from(field(5)),
            ..Self::default()
        };
        let mut rest = commands.as_slice();
        for _ in 0..field(4) {
            let size = u32_at(rest, 4).and_then(|size| usize::try_from(size).ok()).filter(|size| *size >= 8);
            let Some((command, behind)) = size.and_then(|size| rest.split_at_checked(size)) else { break };
            image.take(command);
            rest = behind;
        }
        Some(image)
    }

    fn take(&mut self, command: &[u8]) {
        match u32_at(command, 0) {
            Some(SEGMENT) => self.take_segment(command),
            Some(UUID) => self.uuid = command.get(8..).and_then(|uuid| uuid.first_chunk().copied()),
            Some(ID_LIBRARY) => {
                self.name = name(command);
                self.version = u32_at(command, 16).map(version);
            }
            Some(ID_DYNAMIC_LINKER) => self.name = name(command),
            _ => {}
        }
    }

    fn take_segment(&mut self, command: &[u8]) {
        let name = command.get(8..).and_then(|name| name.first_chunk::<16>().copied());
        let numbers = (u64_at(command, 24), u64_at(command, 32), u32_at(command, 60));
        let (Some(name), (Some(address), Some(size), Some(rights))) = (name, numbers) else { return };
        if until_nul(&name) == b"__PAGEZERO" {
            return;
        }
        let rights = u8::try_from(rights & 7).unwrap_or(0);
        let protection = Protection::from_bits_truncate(rights);
        self.segments.push(FileSegment { name, address, size, protection });
        let mut sections = command.get(SEGMENT_SIZE..).unwrap_or_default().chunks_exact(SECTION_SIZE);
        let list = sections.find(|section| section.starts_with(b"__all_image_info"));
        self.image_list = list.and_then(|section| u64_at(section, 32)).or(self.image_list);
    }

    /// The segment with the header in it.
    pub fn text(&self) -> Option<&FileSegment> {
        self.segments.iter().find(|segment| until_nul(&segment.name) == b"__TEXT")
    }

    /// What is added to the addresses in the file when the header lies at `base`, modulo 2^64.
    pub fn slide(&self, base: u64) -> Option<u64> {
        Some(base.wrapping_sub(self.text()?.address))
    }
}

/// The text at the offset that the third word of a command tells.
fn name(command: &[u8]) -> Option<Vec<u8>> {
    let offset = usize::try_from(u32_at(command, 8)?).ok()?;
    Some(until_nul(command.get(offset..)?).to_vec()).filter(|name| !name.is_empty())
}

/// 16 bits, 8 bits, 8 bits.
fn version(packed: u32) -> FileVersion {
    let [patch, minor, ..] = packed.to_le_bytes();
    FileVersion { major: packed >> 16, minor: minor.into(), patch: patch.into(), build: 0 }
}
