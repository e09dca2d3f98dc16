//! The loaded images: those that the loader's lists name, and all others that the memory map shows. Memory is asked first,
//! as it is what runs; the file only where memory's headers are overwritten or cannot be read.

use super::allocations::{Allocation, Allocations, mapped_file};
use super::blocks::Blocks;
use super::loader::Listed;
use super::pe::{FileImage, MemoryImage, NoHeaders, PeFacts, module_id};
use super::{ImageFiles, ProcessView, paths};
use minidump_snapshot::{FileVersion, Module, PeImage, SoftError, Stage};
use std::collections::HashSet;

/// Most modules. The loader's lists have half of it at most.
const MAX_MODULES: usize = 8192;
/// Size of a page on every processor that Windows runs on.
const PAGE_SIZE: u64 = 4096;

/// An image before it was looked into.
#[derive(Debug)]
struct Candidate {
    base: u64,
    /// The allocation that begins with it.
    allocation: Option<Allocation>,
    /// Its entry in the loader's lists.
    listed: Option<Listed>,
}

/// An image that was looked into.
#[derive(Debug)]
struct Image {
    module: Module,
    pe: PeImage,
    is_library: bool,
}

/// Reads the modules, by ascending address and free of overlaps, each with the facts of its headers.
pub fn read(
    process: &ProcessView<'_>,
    blocks: &Blocks,
    soft_errors: &mut Vec<SoftError>,
) -> (Vec<Module>, Vec<PeImage>) {
    let candidates = candidates(process, &blocks.listed, soft_errors);
    let finder = Finder { process };
    let mut images: Vec<Image> =
        candidates.iter().filter_map(|candidate| finder.look_into(candidate, soft_errors)).collect();
    // The first listed counts, and where nothing is listed the only program.
    let first = images.first().map(|image| image.module.base).filter(|_| !blocks.listed.is_empty());
    remove_overlaps(&mut images);
    mark_main(&mut images, blocks.main_base, first);
    images.into_iter().map(|image| (image.module, image.pe)).unzip()
}

/// The images that there are: listed ones in the order of the list, then the others by address.
fn candidates(
    process: &ProcessView<'_>,
    listed: &[Listed],
    soft_errors: &mut Vec<SoftError>,
) -> Vec<Candidate> {
    let allocations = Allocations::of(process.address_space);
    let mut bases = HashSet::new();
    let mut candidates = Vec::new();
    for entry in listed {
        let allocation = allocations.at(entry.base);
        if let Some(what) = objection(entry, allocation, &allocations) {
            let message = format!("the loader lists {:?} {what}", entry.path);
            soft_errors.push(SoftError::new(Stage::Module, message).range(entry.base, entry.size));
        } else if bases.insert(entry.base) {
            let allocation = allocation.filter(|allocation| allocation.base == entry.base);
            candidates.push(Candidate { base: entry.base, allocation, listed: Some(entry.clone()) });
        }
    }
    let others = allocations.images().filter(|image| !bases.contains(&image.base));
    candidates.extend(others.map(|image| Candidate {
        base: image.base,
        allocation: Some(image),
        listed: None,
    }));
    if let Some(left) = candidates.len().checked_sub(MAX_MODULES).filter(|left| *left > 0) {
        soft_errors
            .push(SoftError::new(Stage::Module, format!("{left} more images are not listed as modules")));
        candidates.truncate(MAX_MODULES);
    }
    candidates
}

/// What speaks against an entry of the loader's lists.
fn objection(
    entry: &Listed,
    allocation: Option<Allocation>,
    allocations: &Allocations,
) -> Option<&'static str> {
    match allocation {
        _ if entry.base == 0 => Some("without an address"),
        None if !allocations.is_empty() => Some("where no memory is mapped"),
        Some(found) if found.is_image && found.base != entry.base => Some("in the midst of an image"),
        _ => None,
    }
}

/// Sorts by address and ends each module where the next begins.
fn remove_overlaps(images: &mut [Image]) {
    images.sort_by_key(|image| image.module.base);
    let mut next = u64::MAX;
    for image in images.iter_mut().rev() {
        let module = &mut image.module;
        module.size = module.size.min(next - module.base);
        next = module.base;
    }
}

/// Marks the main executable: the image at `told`, or else at `first`, or else the only one that is no library.
fn mark_main(images: &mut [Image], told: Option<u64>, first: Option<u64>) {
    let at = |base: Option<u64>| images.iter().position(|image| Some(image.module.base) == base);
    let mut programs = images.iter().enumerate().filter(|(_, image)| !image.is_library);
    let only = programs.next().filter(|_| programs.next().is_none()).map(|(index, _)| index);
    let main = at(told).or_else(|| at(first)).or(only);
    if let Some(image) = main.and_then(|index| images.get_mut(index)) {
        image.module.is_main = true;
    }
}

/// Finds out what images are.
struct Finder<'a> {
    process: &'a ProcessView<'a>,
}

impl Finder<'_> {
    /// `None` where nothing tells what the image is.
    fn look_into(&self, candidate: &Candidate, soft_errors: &mut Vec<SoftError>) -> Option<Image> {
        let mapped = mapped_file(self.process.regions, candidate.base);
        let listed =
            candidate.listed.as_ref().map(|listed| listed.path.clone()).filter(|path| !path.is_empty());
        // What the loader calls a file is how the program knows it; what the memory map calls it is true.
        let file = mapped.clone().or_else(|| listed.clone());
        let path = listed.or(mapped).unwrap_or_default();
        let mut say = |message: String, os_error: Option<i32>| {
            let size = candidate.allocation.map_or(0, |found| found.end - found.base);
            let message = format!("{}: {message}", name_of(&path));
            let error = SoftError::new(Stage::Module, message).range(candidate.base, size);
            soft_errors.push(error.os_error(os_error));
        };
        let facts = self.facts(candidate, file.as_deref(), &mut say);
        let size = size(candidate, facts.as_ref(), &mut say);
        if size == 0 || (facts.is_none() && candidate.listed.is_none() && path.is_empty()) {
            say("nothing tells what this image is; it is not listed as a module".to_owned(), None);
            return None;
        }
        Some(image(candidate, path, size, facts))
    }

    /// What the image tells, in memory or else in its file.
    fn facts(
        &self,
        candidate: &Candidate,
        file: Option<&str>,
        say: &mut impl FnMut(String, Option<i32>),
    ) -> Option<PeFacts> {
        let end = candidate.allocation.map_or(u64::MAX, |found| found.end);
        let image = MemoryImage { memory: self.process.memory, base: candidate.base, end };
        match PeFacts::read(&image) {
            Ok(facts) if !facts.is_incomplete() => Some(facts),
            Ok(facts) => Some(self.completed(facts, file, say)),
            Err(why) => self.without_headers(candidate, why, file, say),
        }
    }

    /// `facts` with what the file knows, if that is the file of the image.
    fn completed(
        &self,
        mut facts: PeFacts,
        file: Option<&str>,
        say: &mut impl FnMut(String, Option<i32>),
    ) -> PeFacts {
        match self.read_file(file) {
            Ok(other) if other.headers == facts.headers => facts.complete(other),
            Ok(_) => say("its file is another one now".to_owned(), None),
            Err((why, os_error)) => say(why, os_error),
        }
        let missing = [(facts.code_view.is_err(), "debug directory"), (facts.version.is_err(), "version")];
        for (_, what) in missing.into_iter().filter(|(missing, _)| *missing) {
            say(format!("its {what} cannot be read"), None);
        }
        facts
    }

    /// What the file knows of an image without headers. It must have the size of what is mapped.
    fn without_headers(
        &self,
        candidate: &Candidate,
        why: NoHeaders,
        file: Option<&str>,
        say: &mut impl FnMut(String, Option<i32>),
    ) -> Option<PeFacts> {
        let mapped = candidate.allocation.filter(|found| found.is_image).map(|found| found.end - found.base);
        let listed = candidate.listed.as_ref().map(|listed| listed.size);
        match self.read_file(file) {
            Ok(facts) if mapped.or(listed).is_some_and(|size| fits(&facts, size)) => {
                say(format!("{why}; its file's are taken"), None);
                Some(facts)
            }
            Ok(_) => {
                say(format!("{why}, and its file is another one now"), None);
                None
            }
            Err((reason, os_error)) => {
                say(format!("{why}, and {reason}"), os_error);
                None
            }
        }
    }

    fn read_file(&self, file: Option<&str>) -> Result<PeFacts, (String, Option<i32>)> {
        let path = file.ok_or_else(|| ("its file is not known".to_owned(), None))?;
        if !paths::is_local(path) {
            return Err(("its file may lie on another machine".to_owned(), None));
        }
        let files: &dyn ImageFiles = self.process.files;
        FileImage::facts(files, path).map_err(|error| (error.to_string(), error.os_error()))
    }
}

/// Whether an image with these headers takes `size` bytes of the address space.
fn fits(facts: &PeFacts, size: u64) -> bool {
    u64::from(facts.headers.image_size).next_multiple_of(PAGE_SIZE) == size.next_multiple_of(PAGE_SIZE)
}

/// The size of an image: what is mapped counts more than what the headers say, and that more than the list.
fn size(candidate: &Candidate, facts: Option<&PeFacts>, say: &mut impl FnMut(String, Option<i32>)) -> u64 {
    let told = facts.map(|facts| u64::from(facts.headers.image_size));
    let mapped = candidate.allocation.filter(|found| found.is_image).map(|found| found.end - found.base);
    let size = match (mapped, told) {
        (Some(mapped), Some(told)) if facts.is_some_and(|facts| fits(facts, mapped)) => told.min(mapped),
        (Some(mapped), Some(told)) => {
            say(format!("its headers tell {told} bytes, {mapped} are mapped"), None);
            mapped
        }
        (Some(size), None) | (None, Some(size)) => size,
        (None, None) => candidate.listed.as_ref().map_or(0, |listed| listed.size),
    };
    size.min(u64::MAX - candidate.base)
}

/// Name without directory, for messages.
fn name_of(path: &str) -> &str {
    let name = path.rsplit(['\\', '/']).next().unwrap_or_default();
    if name.is_empty() { "an image without a name" } else { name }
}

fn image(candidate: &Candidate, path: String, size: u64, facts: Option<PeFacts>) -> Image {
    let headers = facts.as_ref().map(|facts| facts.headers);
    let (code_view, version) =
        facts.map_or((None, None), |facts| (facts.code_view.ok().flatten(), facts.version.ok().flatten()));
    let listed_time = candidate.listed.as_ref().map_or(0, |listed| listed.time_stamp);
    let module = Module {
        base: candidate.base,
        size,
        path: path.into_bytes(),
        soname: None,
        version: version.as_ref().map(file_version),
        id: code_view.as_deref().and_then(module_id),
        is_main: false,
        deleted: false,
    };
    let pe = PeImage {
        base: candidate.base,
        time_stamp: headers.map_or(listed_time, |headers| headers.time_stamp),
        check_sum: headers.map_or(0, |headers| headers.check_sum),
        version_info: version,
        code_view: code_view.unwrap_or_default(),
    };
    Image { module, pe, is_library: headers.is_none_or(|headers| headers.is_library) }
}

/// `dwFileVersionMS` and `dwFileVersionLS` of a `VS_FIXEDFILEINFO`.
fn file_version(info: &[u32; 13]) -> FileVersion {
    let [_, _, high, low, ..] = *info;
    FileVersion { major: high >> 16, minor: high & 0xffff, patch: low >> 16, build: low & 0xffff }
}
