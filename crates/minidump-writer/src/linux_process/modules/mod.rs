//! The loaded images of a target, from its memory map and the ELF headers in its memory.
//!
//! Memory is asked first, as it is what runs: files may have been replaced since. The dynamic loader's list is only
//! further evidence that a mapping is an image; nothing fails when it is corrupt. Memory is read in three batches
//! for any usual number of images: their heads; notes and dynamic sections; names.

use super::auxv::Auxv;
use super::maps::{self, Mapping};
use image::{Image, Target};
use minidump_snapshot::{DsoDebug, MemorySource, Module, Protection, SoftError};
use std::borrow::Cow;

mod batch;
mod build_id;
pub(super) mod bytes;
pub(super) mod dynamic;
pub(super) mod elf_image;
pub mod files;
pub mod from_file;
mod identity;
mod image;
mod placement;
mod scan;
pub mod sections;
mod text_hash;
mod unclaimed;
mod version;

pub(super) use batch::Batch;
pub use files::ModuleFiles;

/// Path of the vdso, as Breakpad's symbol tools call it.
const VDSO_NAME: &[u8] = b"linux-gate.so";

/// Reads the modules of a target, sorted by address and free of overlaps. `mappings` is the sorted memory map that
/// [`maps::parse`] made of `text`. Without `files`, what memory does not tell stays unknown.
///
/// A module is an ELF image, anywhere in a file, of which executable memory, or two segments, or the loader's list,
/// or the auxiliary vector shows that it is loaded and not just mapped as data; and, with a soft error, executable
/// private memory of a file in which no ELF header is found.
pub fn read_modules(
    mappings: &[Mapping],
    text: &[u8],
    auxv: &Auxv,
    memory: &dyn MemorySource,
    files: Option<&dyn ModuleFiles>,
    loader: Option<&DsoDebug>,
    soft_errors: &mut Vec<SoftError>,
) -> Vec<Module> {
    let target = Target { mappings, text, auxv, memory, files, loader };
    let mut images = scan::scan(&target);
    unclaimed::add(&target, &mut images, soft_errors);
    remove_overlaps(&mut images);
    identity::identify(&target, &mut images, soft_errors);
    let main = main_index(&target, &images);
    images
        .into_iter()
        .enumerate()
        .filter_map(|(at, image)| finish(&target, image, main == Some(at)))
        .collect()
}

/// Whether the mappings that modules are made of are the same in two memory maps, each given with its text: those of
/// files, unless shared and not executable, and the vdso. Then modules read with the one hold for the other.
#[must_use]
pub fn same_modules(old: &[Mapping], old_text: &[u8], new: &[Mapping], new_text: &[u8]) -> bool {
    fn relevant<'a>(mappings: &'a [Mapping], text: &'a [u8]) -> impl Iterator<Item = &'a Mapping> {
        mappings.iter().filter(move |mapping| {
            if !mapping.has_name() {
                return false;
            }
            let data = mapping.shared && !mapping.protection.contains(Protection::EXECUTE);
            (mapping.is_file(text) && !data) || mapping.name(text) == b"[vdso]"
        })
    }
    let mut news = relevant(new, new_text);
    let all_same = relevant(old, old_text).all(|a| {
        news.next().is_some_and(|b| {
            (a.start, a.end, a.protection, a.shared) == (b.start, b.end, b.protection, b.shared)
                && (a.offset, a.device, a.inode) == (b.offset, b.device, b.inode)
                && a.name(old_text) == b.name(new_text)
        })
    });
    all_same && news.next().is_none()
}

/// Sorts by address and ends each image where the next begins. Of two that begin at the same address the first
/// found counts.
fn remove_overlaps(images: &mut Vec<Image>) {
    images.sort_by_key(|image| image.base);
    images.dedup_by_key(|image| image.base);
    let mut next = u64::MAX;
    for image in images.iter_mut().rev() {
        image.end = image.end.min(next);
        next = image.base;
    }
}

/// Which image is the main executable: the one that the auxiliary vector points into, or else the one of the file
/// that was executed.
fn main_index(target: &Target<'_>, images: &[Image]) -> Option<usize> {
    let pointed_at =
        images.iter().position(|image| !image.is_vdso && target.holds_main(image.base, image.end));
    pointed_at.or_else(|| {
        let identity = target.files?.executable()?;
        images.iter().position(|image| {
            let mapping = target.mappings.get(image.mapping);
            mapping.is_some_and(|mapping| !image.is_vdso && (mapping.device, mapping.inode) == identity)
        })
    })
}

fn finish(target: &Target<'_>, image: Image, is_main: bool) -> Option<Module> {
    let mapping = target.mappings.get(image.mapping)?;
    let (mut path, deleted) = if image.is_vdso {
        (VDSO_NAME.to_vec(), false)
    } else {
        let (path, deleted) = path_of(target, mapping);
        (path.into_owned(), deleted || image.replaced)
    };
    if let Some(soname) = image.soname.as_ref().filter(|_| image.origin != 0) {
        path.push(b'/');
        path.extend(soname.as_bytes());
    }
    let version = version::find(&path, image.soname.as_deref());
    Some(Module {
        base: image.base,
        size: image.end.checked_sub(image.base).filter(|size| *size > 0)?,
        path,
        soname: image.soname,
        version,
        id: image.id,
        is_main,
        deleted,
    })
}

/// The path of a mapping without the kernel's mark, and whether its name is gone. A file that is really called
/// `x (deleted)` keeps its name.
fn path_of<'a>(target: &Target<'a>, mapping: &Mapping) -> (Cow<'a, [u8]>, bool) {
    let path = if mapping.is_ambiguous(target.text) {
        let exact = target.files.and_then(|files| files.exact_name(mapping));
        exact.map_or_else(|| mapping.path(target.text), Cow::Owned)
    } else {
        mapping.path(target.text)
    };
    let Some(stripped) = maps::strip_deleted(&path) else { return (path, false) };
    if target.files.is_some_and(|files| files.still_names(mapping, &path)) {
        return (path, false);
    }
    (Cow::Owned(stripped.to_vec()), true)
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(super) mod test_elf;
#[cfg(test)]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tests;
