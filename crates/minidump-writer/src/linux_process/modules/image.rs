use super::super::auxv::Auxv;
use super::super::maps::Mapping;
use super::elf_image::{Class, Header, Segments};
use super::files::ModuleFiles;
use minidump_snapshot::{DsoDebug, MemorySource, ModuleId};

/// Everything that tells about the modules of a target.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The memory map, sorted and free of overlaps.
    pub mappings: &'a [Mapping],
    /// The text it was parsed from.
    pub text: &'a [u8],
    /// The auxiliary vector.
    pub auxv: &'a Auxv,
    /// The memory.
    pub memory: &'a dyn MemorySource,
    /// The files.
    pub files: Option<&'a dyn ModuleFiles>,
    /// The loader's list: extra evidence only.
    pub loader: Option<&'a DsoDebug>,
}

impl Target<'_> {
    /// Whether the auxiliary vector says that the main executable lies in `base..end`.
    pub fn holds_main(&self, base: u64, end: u64) -> bool {
        [self.auxv.phdr, self.auxv.entry]
            .into_iter()
            .flatten()
            .any(|address| base <= address && address < end)
    }

    /// Whether the loader's list knows an image in `base..end`, or one with this load bias.
    pub fn loader_knows(&self, base: u64, end: u64, bias: u64) -> bool {
        let entries = self.loader.map(|loader| loader.link_maps.as_slice()).unwrap_or_default();
        entries
            .iter()
            .any(|entry| (base <= entry.dynamic && entry.dynamic < end) || (bias != 0 && entry.base == bias))
    }

    /// Whether `mapping` may be a piece of an image. Devices are not looked into: reading them may act.
    pub fn may_hold_image(&self, mapping: &Mapping) -> bool {
        if !mapping.has_name() {
            return false;
        }
        let name = mapping.name(self.text);
        let on_device = name.starts_with(b"/dev/") && !name.starts_with(b"/dev/shm/");
        mapping.is_file(self.text) && !on_device
    }
}

/// An image found in the target.
#[derive(Debug, Clone)]
pub struct Image {
    /// The mapping at its start, as an index into the memory map.
    pub mapping: usize,
    /// Offset in the file at which the image starts; not 0 in an archive.
    pub origin: u64,
    /// Load bias.
    pub bias: u64,
    /// First address.
    pub base: u64,
    /// First address behind it.
    pub end: u64,
    /// Its first executable mapping, as an index into the memory map.
    pub code: Option<usize>,
    /// The code that the kernel maps into every process.
    pub is_vdso: bool,
    /// Width of addresses.
    pub class: Class,
    /// The file header, when memory holds it.
    pub header: Option<Header>,
    /// The program headers; empty when none are known.
    pub segments: Segments,
    /// Identity, as far as known.
    pub id: Option<ModuleId>,
    /// `DT_SONAME`, as far as known.
    pub soname: Option<String>,
    /// Another file has taken the name of the mapped one.
    pub replaced: bool,
}

impl Image {
    /// The piece of `size` bytes at the unrelocated `address`, cut down to the image: (address in the target, size).
    pub fn range(&self, address: u64, size: usize) -> Option<(u64, usize)> {
        self.clamp(self.bias.wrapping_add(address), size)
    }

    /// The piece of `size` bytes at `address` in the target, cut down to the image.
    pub fn clamp(&self, address: u64, size: usize) -> Option<(u64, usize)> {
        let inside = self.base <= address && address < self.end;
        let left = usize::try_from(self.end.saturating_sub(address)).unwrap_or(usize::MAX);
        (inside && size > 0).then_some((address, size.min(left)))
    }
}
