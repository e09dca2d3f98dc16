//! The loader's lists of modules (`PEB_LDR_DATA`). Each is a ring through the head in that structure and the entries
//! (`LDR_DATA_TABLE_ENTRY`); an entry is in all three. Where one ring is broken, the others are asked for the rest.

use super::reader::{Reader, Structure};
use minidump_snapshot::{SoftError, Stage};
use std::collections::HashSet;

/// Most entries that are followed.
const MAX_ENTRIES: usize = 4096;
/// Most code units of all names together. Real ones are a tenth of it.
const MAX_NAME_UNITS: usize = 1 << 20;

/// What an entry tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// `DllBase`.
    pub base: u64,
    /// `SizeOfImage`.
    pub size: u64,
    /// `TimeDateStamp`.
    pub time_stamp: u32,
    /// `FullDllName`, or `BaseDllName` where that is empty.
    pub path: String,
}

/// Appends the range to `structures`, unless it is at zero or runs over the end of the address space.
pub fn add_range(structures: &mut Vec<(u64, u64)>, address: u64, size: usize) {
    let size = size as u64;
    if address != 0 && size != 0 && address.checked_add(size).is_some() {
        structures.push((address, size));
    }
}

/// Reads the lists whose heads are in the structure at `loader`. Their ranges are appended to `structures`.
pub fn read(
    reader: &Reader<'_>,
    loader: u64,
    structures: &mut Vec<(u64, u64)>,
    soft_errors: &mut Vec<SoftError>,
) -> Vec<Listed> {
    // A process that has only just been made has no loader's data yet.
    if loader == 0 {
        return Vec::new();
    }
    let layout = reader.pointer_size.layout();
    let Some(heads) = reader.structure(loader, layout.loader.size) else {
        let message = "the loader's data cannot be read";
        soft_errors.push(SoftError::new(Stage::Loader, message).range(loader, layout.loader.size as u64));
        return Vec::new();
    };
    add_range(structures, loader, layout.loader.size);
    let mut walk =
        Walk { reader, structures, seen: HashSet::new(), listed: Vec::new(), names: Names::default() };
    for (head, link) in layout.loader.lists.into_iter().zip(layout.entry.links) {
        let first = heads.pointer(head);
        match walk.follow(loader.wrapping_add(head as u64), first, link) {
            Ok(()) => break,
            Err(error) => soft_errors.push(error),
        }
    }
    walk.names.complain(soft_errors);
    walk.listed
}

/// How names are read: all of them together are bounded.
#[derive(Debug, Default)]
struct Names {
    units: usize,
    odd: usize,
    cut: usize,
}

impl Names {
    /// The first of the names at the offsets `at` of `entry` that is not empty.
    fn read(
        &mut self,
        reader: &Reader<'_>,
        entry: &Structure,
        at: [usize; 2],
        structures: &mut Vec<(u64, u64)>,
    ) -> String {
        let mut name = String::new();
        for string in at.map(|at| entry.unicode_string(at)) {
            if string.length == 0 {
                continue;
            }
            add_range(structures, string.address, string.length.into());
            if name.is_empty() {
                let (text, whole) = string.read(reader, MAX_NAME_UNITS - self.units.min(MAX_NAME_UNITS));
                self.units += usize::from(string.length / 2);
                self.odd += usize::from(string.length % 2);
                self.cut += usize::from(!whole && string.length % 2 == 0);
                name = text;
            }
        }
        name
    }

    fn complain(&self, soft_errors: &mut Vec<SoftError>) {
        for (count, what) in
            [(self.cut, "cannot be read to their end"), (self.odd, "have half a character at their end")]
        {
            if count > 0 {
                let message = format!("{count} names in the loader's lists {what}");
                soft_errors.push(SoftError::new(Stage::Loader, message));
            }
        }
    }
}

struct Walk<'a, 'b> {
    reader: &'a Reader<'a>,
    structures: &'b mut Vec<(u64, u64)>,
    /// Addresses of the entries in `listed`.
    seen: HashSet<u64>,
    listed: Vec<Listed>,
    names: Names,
}

impl Walk<'_, '_> {
    /// Follows the ring through `head` from `next` on; its links are at offset `link` of an entry. Entries that another
    /// ring has led to already are passed over.
    fn follow(&mut self, head: u64, mut next: u64, link: usize) -> Result<(), SoftError> {
        let mut passed = HashSet::new();
        while next != head {
            let entry = next.wrapping_sub(link as u64);
            if passed.len() == MAX_ENTRIES {
                return Err(broken(&format!("is followed for {MAX_ENTRIES} entries only"), entry));
            }
            if !passed.insert(entry) {
                let message = format!("leads back into itself after {} entries", passed.len());
                return Err(broken(&message, entry));
            }
            let read = self.reader.pointer_size.layout().entry.read;
            let Some(fields) = self.reader.structure(entry, read) else {
                // The entry itself has not been passed.
                let message = format!("leads to unreadable memory after {} entries", passed.len() - 1);
                return Err(broken(&message, entry));
            };
            if self.seen.insert(entry) {
                self.take(entry, &fields);
            }
            next = fields.pointer(link);
        }
        Ok(())
    }

    fn take(&mut self, entry: u64, fields: &Structure) {
        let layout = &self.reader.pointer_size.layout().entry;
        add_range(self.structures, entry, layout.size);
        let names = [layout.full_name, layout.base_name];
        let path = self.names.read(self.reader, fields, names, self.structures);
        self.listed.push(Listed {
            base: fields.pointer(layout.base),
            size: fields.u32(layout.image_size).into(),
            time_stamp: fields.u32(layout.time_stamp),
            path,
        });
    }
}

fn broken(what: &str, address: u64) -> SoftError {
    SoftError::new(Stage::Loader, format!("a list of the loader {what}")).range(address, 0)
}
