//! What of a Mach-O file is mapped where.

use super::{SimArch, SimError};
use minidump_snapshot::Protection;
use object::Endianness;
use object::macho::MachHeader64;
use object::read::FileKind;
use object::read::macho::{FatArch, MachHeader, MachOFatFile32, MachOFatFile64, Segment};

/// A segment of a file, as it is linked.
pub(super) struct FileSegment<'a> {
    pub name: String,
    pub address: u64,
    pub size: u64,
    pub offset: u64,
    pub protection: Protection,
    pub contents: &'a [u8],
}

/// `cputype`, `cpusubtype` and bytes of one of the images in a universal file.
type Slice<'a> = (u32, u32, &'a [u8]);

/// The image for `arch` in a thin or universal file.
pub(super) fn slice_for(file: &[u8], arch: SimArch) -> Result<&[u8], SimError> {
    let slices: Vec<Slice<'_>> = match FileKind::parse(file)? {
        FileKind::MachO64 => return Ok(file),
        FileKind::MachOFat32 => slices(MachOFatFile32::parse(file)?.arches(), file)?,
        FileKind::MachOFat64 => slices(MachOFatFile64::parse(file)?.arches(), file)?,
        _ => return Err(SimError::NoImage { arch }),
    };
    let fits = |exactly: bool| {
        let (wanted, subtype) = (arch.cpu_type(), arch.cpu_subtype());
        let fits = |slice: &&Slice<'_>| {
            slice.0 == wanted && (!exactly || slice.1 & 0x00ff_ffff == subtype & 0x00ff_ffff)
        };
        slices.iter().find(fits).map(|(_, _, bytes)| *bytes)
    };
    fits(true).or_else(|| fits(false)).ok_or(SimError::NoImage { arch })
}

fn slices<'a, A: FatArch>(arches: &[A], file: &'a [u8]) -> Result<Vec<Slice<'a>>, SimError> {
    let of = |arch: &A| Ok((arch.cputype().0, arch.cpusubtype().0, arch.data(file)?));
    arches.iter().map(of).collect()
}

/// The segments of a thin image, but for `__PAGEZERO`.
pub(super) fn segments(image: &[u8]) -> Result<Vec<FileSegment<'_>>, SimError> {
    let header = MachHeader64::<Endianness>::parse(image, 0)?;
    let endian = header.endian()?;
    let mut commands = header.load_commands(endian, image, 0)?;
    let mut found = Vec::new();
    while let Some(command) = commands.next()? {
        let Some((segment, _)) = command.segment_64()? else { continue };
        let name = String::from_utf8_lossy(segment.name()).into_owned();
        let size = segment.vmsize(endian);
        if name == "__PAGEZERO" || size == 0 {
            continue;
        }
        let bits = u8::try_from(segment.initprot(endian).0 & 7).unwrap_or_default();
        found.push(FileSegment {
            name,
            address: segment.vmaddr(endian),
            size,
            offset: segment.fileoff(endian),
            protection: Protection::from_bits_truncate(bits),
            contents: segment.data(endian, image).unwrap_or_default(),
        });
    }
    Ok(found)
}
