//! The dynamic loader's own list of what it has loaded: `struct r_debug` and `struct link_map` of <link.h>, in their
//! 64-bit layout. The list lies in memory that a crashing program may have overwritten, so the walk is bounded, notices
//! cycles, and keeps what it has got.

use super::auxv::Auxv;
use super::modules::Batch;
use super::modules::bytes::{c_string, u32_at, u64_at};
use super::modules::dynamic::{Dynamic, MAX_DYNAMIC};
use super::modules::elf_image::{Class, MAX_PROGRAM_HEADERS, PAGE_SIZE, Segments};
use ahead::Ahead;
use minidump_snapshot::{DsoDebug, LinkMap, MemorySource, SoftError, Stage};

mod ahead;

/// Most entries of the list that are followed.
const MAX_ENTRIES: usize = 4096;
/// Longest name.
const MAX_NAME: usize = 4096;
/// Bytes of a name that are read at first. Most are shorter.
const FIRST_READ: usize = 256;
/// Names read in one batch, which bounds its buffer to 1 MiB.
const LONG_NAMES: usize = 256;

/// Bytes of `struct r_debug` without its later extensions: `r_version` (int, padded to 8), `r_map`, `r_brk`, `r_state` (int,
/// padded to 8), `r_ldbase`.
const R_DEBUG_SIZE: usize = 40;
/// Bytes of the public part of `struct link_map`: `l_addr`, `l_name`, `l_ld`, `l_next`, `l_prev`.
const LINK_MAP_SIZE: usize = 40;

/// Reads the loader's list. `None` for a program without a dynamic loader or whose loader has not run yet, which is
/// no error, and when the way to the list is broken, which is a soft one.
pub fn read(auxv: &Auxv, memory: &dyn MemorySource, soft_errors: &mut Vec<SoftError>) -> Option<DsoDebug> {
    match find(auxv, memory) {
        Ok(mut dso_debug) => {
            if let Some(found) = &mut dso_debug {
                walk(found, memory, soft_errors);
                read_names(&mut found.link_maps, memory, soft_errors);
            }
            dso_debug
        }
        Err(error) => {
            soft_errors.push(error);
            None
        }
    }
}

/// The program headers of the main executable, and its load bias.
fn main_segments(auxv: &Auxv, memory: &dyn MemorySource) -> Result<Option<(Segments, u64)>, SoftError> {
    let (Some(table), Some(count)) = (auxv.phdr, auxv.phnum) else { return Ok(None) };
    let entry_size = Class::Elf64.program_header_size();
    if auxv.phent != Some(entry_size.into()) || count > MAX_PROGRAM_HEADERS.into() {
        let message = "the auxiliary vector tells an implausible table of program headers";
        return Err(SoftError::new(Stage::Loader, message).range(table, 0));
    }
    let size = usize::try_from(count).unwrap_or_default() * usize::from(entry_size);
    let bytes = read_all(memory, table, size, "the program headers of the main executable")?;
    let segments = Segments::parse(&bytes, Class::Elf64);
    let bias = bias(&segments, table);
    if bias.is_none() && segments.dynamic.is_some() {
        let message = "the load bias of the main executable cannot be told from its program headers";
        return Err(SoftError::new(Stage::Loader, message).range(table, size as u64));
    }
    Ok(bias.map(|bias| (segments, bias)))
}

/// Load bias, given that the program headers lie at `table`.
fn bias(segments: &Segments, table: u64) -> Option<u64> {
    // Without PT_PHDR: linkers put the table right behind the file header.
    const USUAL_OFFSET: u64 = 64;
    segments.table.map(|address| table.wrapping_sub(address)).or_else(|| {
        let bias = table.wrapping_sub(USUAL_OFFSET).wrapping_sub(segments.pages_of_offset(0).min()?);
        bias.is_multiple_of(PAGE_SIZE).then_some(bias)
    })
}

/// Finds `struct r_debug` through `DT_DEBUG`. The list is not followed yet.
fn find(auxv: &Auxv, memory: &dyn MemorySource) -> Result<Option<DsoDebug>, SoftError> {
    let Some((segments, bias)) = main_segments(auxv, memory)? else { return Ok(None) };
    let Some(span) = segments.dynamic else { return Ok(None) };
    let dynamic = bias.wrapping_add(span.address);
    let size = usize::try_from(span.size).unwrap_or(usize::MAX).min(MAX_DYNAMIC);
    let dynamic_contents = read_all(memory, dynamic, size, "the dynamic section of the main executable")?;
    let debug = Dynamic::parse(&dynamic_contents, Class::Elf64).debug;
    let Some(address) = debug.filter(|address| *address != 0) else { return Ok(None) };
    let bytes = read_all(memory, address, R_DEBUG_SIZE, "the loader's r_debug structure")?;
    let fields = RDebug::parse(&bytes).unwrap_or_default();
    Ok(Some(DsoDebug {
        address,
        version: fields.version,
        map: fields.map,
        brk: fields.brk,
        ldbase: fields.ldbase,
        dynamic,
        dynamic_contents,
        link_maps: Vec::new(),
    }))
}

fn read_all(memory: &dyn MemorySource, address: u64, size: usize, what: &str) -> Result<Vec<u8>, SoftError> {
    let mut bytes = vec![0; size];
    let outcome = memory.read(address, &mut bytes);
    if outcome.done == size {
        return Ok(bytes);
    }
    let message = format!("{what} cannot be read");
    Err(SoftError::new(Stage::Loader, message).range(address, size as u64))
}

/// `struct r_debug`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct RDebug {
    version: u32,
    map: u64,
    brk: u64,
    ldbase: u64,
}

impl RDebug {
    fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            version: u32_at(bytes, 0)?,
            map: u64_at(bytes, 8)?,
            brk: u64_at(bytes, 16)?,
            ldbase: u64_at(bytes, 32)?,
        })
    }
}

/// Parses `struct link_map` at `address`; returns the entry without its name, and the address of the next.
fn parse_link_map(address: u64, bytes: &[u8]) -> Option<(LinkMap, u64)> {
    let entry = LinkMap {
        address,
        base: u64_at(bytes, 0)?,
        name_address: u64_at(bytes, 8)?,
        name: Vec::new(),
        dynamic: u64_at(bytes, 16)?,
    };
    Some((entry, u64_at(bytes, 24)?))
}

/// Follows the list from `r_map` on.
fn walk(dso_debug: &mut DsoDebug, memory: &dyn MemorySource, soft_errors: &mut Vec<SoftError>) {
    let mut fail = |message: String, address| {
        let error = SoftError::new(Stage::Loader, message).range(address, LINK_MAP_SIZE as u64);
        soft_errors.push(error);
    };
    // Sorted. Mostly each address is the largest yet.
    let mut seen = Vec::new();
    let mut ahead = Ahead::new(memory);
    let mut address = dso_debug.map;
    while address != 0 {
        let count = dso_debug.link_maps.len();
        if count >= MAX_ENTRIES {
            return fail(format!("the loader's list was followed for {MAX_ENTRIES} entries only"), address);
        }
        let Err(place) = seen.binary_search(&address) else {
            return fail(format!("the loader's list leads back into itself after {count} entries"), address);
        };
        seen.insert(place, address);
        let bytes = ahead.get::<LINK_MAP_SIZE>(address);
        let Some((entry, next)) = bytes.and_then(|bytes| parse_link_map(address, bytes)) else {
            return fail(
                format!("the loader's list leads to unreadable memory after {count} entries"),
                address,
            );
        };
        dso_debug.link_maps.push(entry);
        address = next;
    }
}

/// Reads all names: short ones in one batch, long ones in further ones.
fn read_names(entries: &mut [LinkMap], memory: &dyn MemorySource, soft_errors: &mut Vec<SoftError>) {
    let ranges = |entries: &[LinkMap], size: usize| -> Vec<(u64, usize)> {
        entries
            .iter()
            .map(|entry| (entry.name_address, if entry.name_address == 0 { 0 } else { size }))
            .collect()
    };
    let batch = Batch::read(memory, &ranges(entries, FIRST_READ));
    let mut long = Vec::new();
    let mut broken = 0u32;
    for (index, entry) in entries.iter_mut().enumerate() {
        let bytes = batch.get(index);
        match c_string(bytes) {
            Some(name) => entry.name = name.to_vec(),
            None if bytes.len() == FIRST_READ => long.push(index),
            None => {
                // What can be read of a name that is cut off is better than nothing.
                entry.name = bytes.to_vec();
                broken += u32::from(entry.name_address != 0);
            }
        }
    }
    for indices in long.chunks(LONG_NAMES) {
        let addresses: Vec<_> = indices.iter().filter_map(|index| entries.get(*index)).cloned().collect();
        let batch = Batch::read(memory, &ranges(&addresses, MAX_NAME));
        for (position, index) in indices.iter().enumerate() {
            let bytes = batch.get(position);
            let whole = c_string(bytes);
            broken += u32::from(whole.is_none());
            if let Some(entry) = entries.get_mut(*index) {
                entry.name = whole.unwrap_or(bytes).to_vec();
            }
        }
    }
    if broken > 0 {
        let message = format!("{broken} names in the loader's list are unreadable or have no end");
        soft_errors.push(SoftError::new(Stage::Loader, message));
    }
}

/// Reads all that `old` was made of again, in one batch. Gives it back when nothing has changed; otherwise, or when
/// the list did not end properly before, the caller is to [`read`] anew.
#[must_use]
pub fn revalidate(old: DsoDebug, memory: &dyn MemorySource) -> Option<DsoDebug> {
    const FIXED: usize = 2;
    let entries = old.link_maps.as_slice();
    let mut ranges = vec![(old.dynamic, old.dynamic_contents.len()), (old.address, R_DEBUG_SIZE)];
    ranges.extend(entries.iter().map(|entry| (entry.address, LINK_MAP_SIZE)));
    ranges.extend(entries.iter().map(name_range));
    let batch = Batch::read(memory, &ranges);
    let expected = RDebug { version: old.version, map: old.map, brk: old.brk, ldbase: old.ldbase };
    let same_head = batch.get(0) == old.dynamic_contents && RDebug::parse(batch.get(1)) == Some(expected);
    let followers = entries.iter().skip(1).map(|entry| entry.address).chain([0]);
    let same_list = old.map == entries.first().map_or(0, |entry| entry.address)
        && entries.iter().zip(followers).enumerate().all(|(index, (entry, next))| {
            let now = parse_link_map(entry.address, batch.get(FIXED + index));
            let same_name = batch.get(FIXED + entries.len() + index).strip_prefix(entry.name.as_slice());
            now.is_some_and(|(now, now_next)| {
                (now.base, now.name_address, now.dynamic) == (entry.base, entry.name_address, entry.dynamic)
                    && now_next == next
            }) && same_name.is_some_and(|rest| rest == b"\0" || entry.name_address == 0)
        });
    (same_head && same_list).then_some(old)
}

/// Where the name of `entry` lies, its NUL included.
fn name_range(entry: &LinkMap) -> (u64, usize) {
    let size = if entry.name_address == 0 { 0 } else { entry.name.len().saturating_add(1) };
    (entry.name_address, size)
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tests;
