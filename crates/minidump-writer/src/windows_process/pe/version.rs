//! The version resource of an image.
//!
//! Resources are a tree of three levels: type, name, language. Source: "The .rsrc Section" of the PE format, and
//! <https://learn.microsoft.com/windows/win32/menurc/vs-versioninfo>.

use super::super::reader::{u16_at, u32_at, units};
use super::headers::Directory;
use super::{ImageBytes, Part, Unreadable};

/// `RT_VERSION`.
const VERSION: u32 = 16;
/// Size of `IMAGE_RESOURCE_DIRECTORY`, and of an entry behind it.
const DIRECTORY: usize = 16;
const ENTRY: usize = 8;
/// Most entries of a level that are looked at.
const MAX_ENTRIES: usize = 512;
/// Set in the offset of an entry that leads to another level, and in the id of one that has a name.
const HIGH_BIT: u32 = 1 << 31;
/// Bytes of `VS_VERSIONINFO` in front of `VS_FIXEDFILEINFO`: three numbers of 16 bits, the key, padding.
const FIXED: usize = 40;
/// Size of `VS_FIXEDFILEINFO`.
const FIXED_SIZE: usize = 52;
/// Its `dwSignature`.
const SIGNATURE: u32 = 0xfeef_04bd;

/// `VS_FIXEDFILEINFO` of an image whose resources are in `directory`.
pub fn read(image: &impl ImageBytes, directory: Directory) -> Part<[u32; 13]> {
    if directory.rva == 0 || directory.size == 0 {
        return Ok(None);
    }
    let tree = Tree { image, rva: directory.rva };
    let Some(names) = tree.below(0, Some(VERSION))? else { return Ok(None) };
    let Some(languages) = tree.below(level(names)?, None)? else { return Ok(None) };
    let Some(leaf) = tree.below(level(languages)?, None)? else { return Ok(None) };
    let data = tree.bytes(leaf, 8)?;
    let size = usize::try_from(u32_at(&data, 4).unwrap_or(0)).unwrap_or(0);
    if size < FIXED + FIXED_SIZE {
        return Ok(None);
    }
    let resource = image.bytes(u32_at(&data, 0).unwrap_or(0), FIXED + FIXED_SIZE).ok_or(Unreadable)?;
    fixed_info(&resource)
}

/// `VS_FIXEDFILEINFO` in the first bytes of a `VS_VERSIONINFO`, which may have none.
fn fixed_info(resource: &[u8]) -> Part<[u32; 13]> {
    let key = units(resource.get(6..38).unwrap_or_default());
    if !key.into_iter().eq("VS_VERSION_INFO\0".encode_utf16()) {
        return Err(Unreadable);
    }
    if u16_at(resource, 2).is_none_or(|size| usize::from(size) < FIXED_SIZE) {
        return Ok(None);
    }
    let mut info = [0; 13];
    for (at, number) in (FIXED..).step_by(4).zip(&mut info) {
        *number = u32_at(resource, at).ok_or(Unreadable)?;
    }
    if info.first() == Some(&SIGNATURE) { Ok(Some(info)) } else { Err(Unreadable) }
}

/// The resources of an image.
struct Tree<'a, I> {
    image: &'a I,
    rva: u32,
}

impl<I: ImageBytes> Tree<'_, I> {
    /// The `size` bytes at offset `at` of the tree.
    fn bytes(&self, at: u32, size: usize) -> Result<Vec<u8>, Unreadable> {
        let rva = self.rva.checked_add(at).ok_or(Unreadable)?;
        self.image.bytes(rva, size).ok_or(Unreadable)
    }

    /// What the entry `wanted`, or the first one, of the level at offset `at` leads to.
    fn below(&self, at: u32, wanted: Option<u32>) -> Part<u32> {
        let directory = self.bytes(at, DIRECTORY)?;
        let count = |at| usize::from(u16_at(&directory, at).unwrap_or(0));
        let count = (count(12) + count(14)).min(if wanted.is_some() { MAX_ENTRIES } else { 1 });
        let behind = u32::try_from(DIRECTORY).ok().and_then(|size| at.checked_add(size)).ok_or(Unreadable)?;
        let entries = self.bytes(behind, count * ENTRY)?;
        let mut entries = entries.chunks_exact(ENTRY);
        let found = entries.find(|entry| wanted.is_none() || u32_at(entry, 0) == wanted);
        Ok(found.and_then(|entry| u32_at(entry, 4)))
    }
}

/// The offset of the level that an entry leads to with `offset`.
fn level(offset: u32) -> Result<u32, Unreadable> {
    if offset & HIGH_BIT == 0 { Err(Unreadable) } else { Ok(offset & !HIGH_BIT) }
}
