use super::AllImageInfos;
use super::scan::{headers, is_image};
use crate::MachTask;
use crate::bytes::u64_at;
use crate::image::{Image, ImageReader, MH_EXECUTE};
use crate::memory::TaskMemory;
use minidump_snapshot::{MachSegment, Protection, Region, SoftError, Stage};
use std::collections::BTreeSet;

/// Most images that are taken from the list.
const MOST_IMAGES: usize = 16_384;

/// Size of `dyld_image_info`: address of the header, address of the path, date of the file.
const ENTRY_SIZE: usize = 24;

/// Most bytes of a path: four times PATH_MAX.
const MOST_PATH: usize = 4096;

/// Where dyld lies on every system, for one that does not tell.
const DYLD_PATH: &[u8] = b"/usr/lib/dyld";

/// The images of a task.
#[derive(Debug, Default)]
pub struct Images {
    /// By ascending base.
    pub list: Vec<Image>,
    /// Base of the main executable.
    pub main: Option<u64>,
    /// What dyld tells.
    pub infos: Option<AllImageInfos>,
    /// First address, end, and index of the image of each segment that runs, by address.
    running: Vec<(u64, u64, usize)>,
}

impl Images {
    /// The main executable.
    pub fn main_image(&self) -> Option<&Image> {
        self.list.iter().find(|image| Some(image.base) == self.main)
    }

    /// The image that has `address` in a segment that runs.
    pub fn running_at(&self, address: u64) -> Option<&Image> {
        let next = self.running.partition_point(|(start, ..)| *start <= address);
        let (_, end, index) = self.running.get(next.checked_sub(1)?)?;
        self.list.get(*index).filter(|_| address < *end)
    }

    /// Notes which segments run: those that are executable, or `__TEXT` where the image does not tell.
    fn index(&mut self) {
        for (index, image) in self.list.iter().enumerate() {
            let runs =
                image.segments.iter().filter(|segment| segment.protection.contains(Protection::EXECUTE));
            let end = |segment: &MachSegment| segment.address.saturating_add(segment.size);
            self.running.extend(runs.map(|segment| (segment.address, end(segment), index)));
        }
        self.running.sort_unstable();
    }
}

/// Header address and path of an image, in the order in which they were found.
type Entry = (u64, Vec<u8>);

/// Lists the images. `executable` is the path of the main executable, if the caller knows it.
pub fn images(
    task: &dyn MachTask,
    memory: &TaskMemory<'_>,
    regions: &[Region],
    executable: Option<&[u8]>,
    errors: &mut Vec<SoftError>,
) -> Images {
    let infos = AllImageInfos::read(task, memory);
    let infos = infos.map_err(|error| report(errors, error.to_string())).ok();
    let mut entries = infos.as_ref().map(|infos| listed(infos, memory, errors)).unwrap_or_default();
    if entries.is_empty() {
        report(errors, "dyld has no list of images; they were searched for in memory".into());
        entries = headers(regions, memory, is_image).into_iter().map(|base| (base, Vec::new())).collect();
    }
    if let Some(base) = infos.as_ref().and_then(|infos| infos.dyld_base)
        && entries.iter().all(|(other, _)| *other != base)
    {
        let path = infos.as_ref().and_then(|infos| infos.dyld_path);
        let path = path.and_then(|address| memory.read_string(address, MOST_PATH).ok());
        let path = path.map(|(path, _)| path).filter(|path| !path.is_empty());
        entries.push((base, path.unwrap_or_else(|| DYLD_PATH.to_vec())));
    }
    let entries = without_duplicates(entries, errors);
    let mut reader = ImageReader::new(memory);
    let mut images: Vec<Image> =
        entries.into_iter().map(|(base, path)| reader.read(base, path, errors)).collect();
    let main = main_image(&mut images, &mut reader, memory, regions, errors);
    if let Some(path) = executable
        && let Some(image) = images.iter_mut().find(|image| Some(image.base) == main && image.path.is_empty())
    {
        image.path = path.to_vec();
    }
    images.sort_by_key(|image| image.base);
    let mut found = Images { list: images, main, infos, running: Vec::new() };
    found.index();
    found
}

fn report(errors: &mut Vec<SoftError>, message: String) {
    errors.push(SoftError::new(Stage::Loader, message));
}

/// The entries of dyld's list.
fn listed(infos: &AllImageInfos, memory: &TaskMemory<'_>, errors: &mut Vec<SoftError>) -> Vec<Entry> {
    if infos.array == 0 {
        report(errors, "dyld was changing its list of images".into());
        return Vec::new();
    }
    let told = usize::try_from(infos.count).unwrap_or(usize::MAX);
    let count = told.min(MOST_IMAGES);
    if count < told {
        report(errors, format!("dyld's list has {told} images; the first {count} were taken"));
    }
    let mut bytes = vec![0; count.saturating_mul(ENTRY_SIZE)];
    let (done, error) = memory.read_some(infos.array, &mut bytes);
    if let Some(error) = error {
        let message =
            format!("of dyld's list of {count} images only {} can be read: {error}", done / ENTRY_SIZE);
        let soft = SoftError::new(Stage::Loader, message).range(infos.array, bytes.len() as u64);
        errors.push(soft.os_error(Some(error.0)));
    }
    bytes.truncate(done);
    let entry = |entry: &[u8]| {
        let (base, path) = (u64_at(entry, 0)?, u64_at(entry, 8)?);
        (base != 0).then(|| (base, path_at(base, path, memory, errors)))
    };
    bytes.chunks_exact(ENTRY_SIZE).filter_map(entry).collect()
}

fn path_at(base: u64, address: u64, memory: &TaskMemory<'_>, errors: &mut Vec<SoftError>) -> Vec<u8> {
    let what = match memory.read_string(address, MOST_PATH) {
        Ok((path, true)) => return path,
        Ok((path, false)) => {
            let message = "the path of an image has no end";
            errors.push(SoftError::new(Stage::Loader, message).range(base, 0));
            return path;
        }
        Err(error) => error,
    };
    let message = format!("the path of an image cannot be read: {what}");
    errors.push(SoftError::new(Stage::Loader, message).range(base, 0).os_error(Some(what.0)));
    Vec::new()
}

fn without_duplicates(entries: Vec<Entry>, errors: &mut Vec<SoftError>) -> Vec<Entry> {
    let mut seen = BTreeSet::new();
    let before = entries.len();
    let entries: Vec<Entry> = entries.into_iter().filter(|(base, _)| seen.insert(*base)).collect();
    if entries.len() < before {
        report(errors, format!("dyld's list names {} images twice", before - entries.len()));
    }
    entries
}

/// Base of the main executable: by its file type, because since macOS 14 it is the last of the list, and because bundles have
/// no name of their own either. One that is not in the list is searched for.
fn main_image(
    images: &mut Vec<Image>,
    reader: &mut ImageReader<'_>,
    memory: &TaskMemory<'_>,
    regions: &[Region],
    errors: &mut Vec<SoftError>,
) -> Option<u64> {
    let mut executables = images.iter().filter(|image| image.file_type == MH_EXECUTE);
    if let Some(main) = executables.next() {
        let main = main.base;
        if executables.next().is_some() {
            report(
                errors,
                "dyld's list has more than one executable; the first was taken for the program's".into(),
            );
        }
        return Some(main);
    }
    let found = headers(regions, memory, |kind| kind == MH_EXECUTE);
    let found = found.into_iter().find(|base| images.iter().all(|image| image.base != *base));
    let message = match found {
        Some(_) => "dyld's list has no executable; one was found in memory",
        None => "no main executable was found",
    };
    report(errors, message.into());
    let base = found?;
    images.push(reader.read(base, Vec::new(), errors));
    Some(base)
}
