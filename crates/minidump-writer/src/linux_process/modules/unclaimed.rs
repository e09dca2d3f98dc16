//! Executable mappings that no ELF header in memory accounts for: the header was overwritten, or cannot be read.

use super::super::maps::Mapping;
use super::batch::Batch;
use super::elf_image::{Class, MAX_PROGRAM_HEADERS, PAGE_SIZE, Segments};
use super::from_file::{FileFacts, NoFacts, Sample};
use super::image::{Image, Target};
use super::placement::{self, Placement, same_file};
use minidump_snapshot::{Protection, SoftError, Stage};

/// Most such images looked into. A program that maps code in thousands of odd ways is not a crash anybody reads.
const MAX_UNCLAIMED: usize = 1024;
/// Widest hole between two segments, in bytes. Linkers leave up to 2 MiB.
const MAX_HOLE: u64 = 16 << 20;

/// Neighbouring mappings of one file, as indices into the memory map, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cluster {
    first: usize,
    last: usize,
    /// The executable mapping that made us look.
    code: usize,
}

/// Appends to `images` those that memory has no header of: from the program headers that the auxiliary vector leads
/// to, or the file's, or else as the mappings alone show them.
pub fn add(target: &Target<'_>, images: &mut Vec<Image>, soft_errors: &mut Vec<SoftError>) {
    let mut claimed: Vec<(u64, u64)> = images.iter().map(|image| (image.base, image.end)).collect();
    claimed.sort_unstable();
    let clusters = clusters(target, &claimed);
    for cluster in clusters.iter().take(MAX_UNCLAIMED) {
        images.extend(resolve(target, *cluster, soft_errors));
    }
    if let Some(left) = clusters.len().checked_sub(MAX_UNCLAIMED).filter(|left| *left > 0) {
        let message =
            format!("{left} executable file mappings without an ELF header are not listed as modules");
        soft_errors.push(SoftError::new(Stage::Module, message));
    }
}

fn is_claimed(claimed: &[(u64, u64)], mapping: &Mapping) -> bool {
    let next = claimed.partition_point(|(base, _)| *base <= mapping.start);
    next.checked_sub(1).and_then(|at| claimed.get(at)).is_some_and(|(_, end)| mapping.start < *end)
}

fn clusters(target: &Target<'_>, claimed: &[(u64, u64)]) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for (index, mapping) in target.mappings.iter().enumerate() {
        // Loaders map code privately. Shared executable mappings of files are how JIT compilers write code.
        let is_code = mapping.protection.contains(Protection::EXECUTE) && !mapping.shared;
        let seen = clusters.last().is_some_and(|cluster| index <= cluster.last);
        if is_code && !seen && target.may_hold_image(mapping) && !is_claimed(claimed, mapping) {
            let floor = clusters.last().map_or(0, |cluster| cluster.last + 1);
            clusters.push(cluster_around(target, claimed, index, floor));
        }
    }
    clusters
}

/// Widens `code` to the mappings of the same file around it whose offsets fall and rise with the addresses. Anonymous
/// memory or nothing in between may be the hole between two segments.
fn cluster_around(target: &Target<'_>, claimed: &[(u64, u64)], code: usize, floor: usize) -> Cluster {
    let mut cluster = Cluster { first: code, last: code, code };
    let Some(start) = target.mappings.get(code) else { return cluster };
    let belongs = |mapping: &Mapping| {
        same_file(mapping, start, target.text) && !mapping.shared && !is_claimed(claimed, mapping)
    };
    let is_hole = |mapping: &Mapping| mapping.name(target.text).is_empty() && mapping.protection.is_empty();
    let before = target.mappings.get(floor..code).unwrap_or_default();
    let mut edge = start;
    for (index, mapping) in before.iter().enumerate().rev() {
        let near = edge.start.saturating_sub(mapping.end) <= MAX_HOLE;
        if near && belongs(mapping) && mapping.offset <= edge.offset {
            cluster.first = floor + index;
            edge = mapping;
        } else if !is_hole(mapping) {
            break;
        }
    }
    let mut edge = start;
    for (index, mapping) in target.mappings.iter().enumerate().skip(code + 1) {
        let near = mapping.start.saturating_sub(edge.end) <= MAX_HOLE;
        if near && belongs(mapping) && mapping.offset >= edge.offset {
            cluster.last = index;
            edge = mapping;
        } else if !is_hole(mapping) {
            break;
        }
    }
    cluster
}

fn resolve(target: &Target<'_>, cluster: Cluster, soft_errors: &mut Vec<SoftError>) -> Option<Image> {
    let first = target.mappings.get(cluster.first)?;
    let last = target.mappings.get(cluster.last)?;
    let code = target.mappings.get(cluster.code)?;
    if let Some(image) = from_auxv(target, cluster, first, code) {
        return Some(image);
    }
    let path = first.path(target.text);
    let facts = read_file(target, first, code, &path);
    let (why, os_error, replaced) = match facts {
        Ok(facts) => match facts.placed(target, cluster, code) {
            Some(image) => return Some(image),
            None => ("its file's program headers do not fit the memory map".to_owned(), None, false),
        },
        Err(error) => (error.to_string(), error.os_error(), error.is_replaced()),
    };
    let message = format!(
        "{} has no ELF header in memory, and is listed as its mappings show it: {why}",
        String::from_utf8_lossy(&path)
    );
    let error = SoftError::new(Stage::Module, message).range(first.start, last.end - first.start);
    soft_errors.push(error.os_error(os_error));
    let placement = Placement { base: first.start, end: last.end, pieces: 1, code: Some(cluster.code) };
    let mut image = image(cluster.first, first.offset, first.start, &placement, Segments::default());
    image.replaced = replaced;
    Some(image)
}

fn image(mapping: usize, origin: u64, bias: u64, placement: &Placement, segments: Segments) -> Image {
    Image {
        mapping,
        origin,
        bias,
        base: placement.base,
        end: placement.end,
        code: placement.code,
        is_vdso: false,
        class: Class::Elf64,
        header: None,
        segments,
        id: None,
        soname: None,
        replaced: false,
    }
}

/// Places the image with these program headers by its code.
fn place(
    target: &Target<'_>,
    cluster: Cluster,
    origin: u64,
    segments: Segments,
    code: &Mapping,
) -> Option<Image> {
    let (bias, placement) = placement::fit(&segments, origin, code, target.mappings, target.text)?;
    placement.code.is_some().then(|| image(cluster.first, origin, bias, &placement, segments))
}

/// The main executable, through the program headers that the kernel told the program of.
fn from_auxv(target: &Target<'_>, cluster: Cluster, first: &Mapping, code: &Mapping) -> Option<Image> {
    let (table, count) = (target.auxv.phdr?, target.auxv.phnum?);
    let in_cluster = target
        .mappings
        .get(cluster.first..=cluster.last)
        .is_some_and(|mappings| mappings.iter().any(|mapping| mapping.contains(table)));
    let entry_size = Class::Elf64.program_header_size();
    if !in_cluster || target.auxv.phent != Some(entry_size.into()) || count > MAX_PROGRAM_HEADERS.into() {
        return None;
    }
    let size = usize::try_from(count).ok()?.checked_mul(entry_size.into())?;
    let batch = Batch::read(target.memory, &[(table, size)]);
    let segments = Segments::parse(Some(batch.get(0)).filter(|bytes| bytes.len() == size)?, Class::Elf64);
    place(target, cluster, first.offset, segments, code)
}

/// The file's facts, not yet placed.
struct Unplaced(FileFacts);

fn read_file(target: &Target<'_>, first: &Mapping, code: &Mapping, path: &[u8]) -> Result<Unplaced, NoFacts> {
    let files = target.files.ok_or(NoFacts::NoFile)?;
    let mut origins = vec![first.offset];
    if first.offset != 0 {
        origins.push(0);
    }
    files.facts(code, path, origins, sample(target, code)).map(Unplaced)
}

impl Unplaced {
    fn placed(self, target: &Target<'_>, cluster: Cluster, code: &Mapping) -> Option<Image> {
        let facts = self.0;
        let mut image = place(target, cluster, facts.origin, facts.segments, code)?;
        image.id = facts.id;
        image.soname = facts.soname;
        Some(image)
    }
}

/// The first page of `mapping`, to compare a file with.
pub fn sample(target: &Target<'_>, mapping: &Mapping) -> Sample {
    let size = usize::try_from(PAGE_SIZE.min(mapping.size())).unwrap_or_default();
    let batch = Batch::read(target.memory, &[(mapping.start, size)]);
    Sample { offset: mapping.offset, bytes: batch.get(0).to_vec() }
}
