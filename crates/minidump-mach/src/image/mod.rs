//! What is known of a loaded Mach-O image from its header in memory.

mod commands;
mod crash_info;
mod read;
mod unwind_info;

pub use crash_info::crash_infos;
pub use read::ImageReader;
pub use unwind_info::encoding_at;

use minidump_snapshot::{FileVersion, MachImage, MachSegment, Module, ModuleId};

/// MH_EXECUTE and the others (mach-o/loader.h).
pub const MH_EXECUTE: u32 = 2;
pub const MH_DYLIB: u32 = 6;
pub const MH_DYLINKER: u32 = 7;
pub const MH_BUNDLE: u32 = 8;

/// MH_MAGIC_64, little-endian.
pub const MAGIC: u32 = 0xfeed_facf;

/// Size of `mach_header_64`.
pub const HEADER_SIZE: usize = 32;

/// A range of memory: first address and size in bytes.
pub type Span = (u64, u64);

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Address of its header.
    pub base: u64,
    /// As dyld tells it, or as the image itself does.
    pub path: Vec<u8>,
    pub cpu_type: u32,
    pub cpu_subtype: u32,
    /// 0 when the header could not be read.
    pub file_type: u32,
    pub slide: u64,
    /// Bytes of header and load commands.
    pub header_size: u64,
    /// `__TEXT`'s size; 0 where there is none.
    pub text_size: u64,
    pub segments: Vec<MachSegment>,
    pub uuid: Option<[u8; 16]>,
    /// `current_version` of LC_ID_DYLIB.
    pub version: Option<u32>,
    /// The name in LC_ID_DYLIB or LC_ID_DYLINKER.
    pub own_name: Option<Vec<u8>>,
    /// LC_BUILD_VERSION's, or the one that an older command stands for.
    pub platform: Option<u32>,
    /// The section `__crash_info`.
    pub crash_info: Option<Span>,
    /// The section `__unwind_info`.
    pub unwind_info: Option<Span>,
}

impl Image {
    /// What goes into the list of modules. Where the size is unknown, it is that of a page, as readers drop empty ones.
    pub fn module(&self, is_main: bool) -> Module {
        const LEAST: u64 = 0x1000;
        let version = self.version.filter(|_| self.file_type == MH_DYLIB);
        Module {
            base: self.base,
            size: if self.text_size == 0 { LEAST } else { self.text_size }.min(u64::MAX - self.base),
            path: self.path.clone(),
            soname: self.own_name.as_ref().map(|name| String::from_utf8_lossy(name).into_owned()),
            version: version.map(|version| FileVersion {
                major: version >> 16,
                minor: version >> 8 & 0xff,
                patch: version & 0xff,
                build: 0,
            }),
            id: self.uuid.map(ModuleId::Uuid),
            is_main,
            deleted: false,
        }
    }

    /// What only Mach-O tells.
    pub fn facts(&self) -> MachImage {
        MachImage {
            base: self.base,
            slide: self.slide,
            file_type: self.file_type,
            cpu_subtype: self.cpu_subtype,
            header_size: self.header_size,
            segments: self.segments.clone(),
            executing: false,
        }
    }
}
