//! The files of the emulated program, which only it has: sys/stat.h, dirent.h, fcntl.h as macOS has them.

use crate::system::{Guest, System};
use std::collections::{BTreeMap, BTreeSet};

/// ENOENT, EBADF, EEXIST, ENOTDIR.
const NO_FILE: i32 = 2;
const BAD_DESCRIPTOR: i32 = 9;
const EXISTS: i32 = 17;
const NO_DIRECTORY: i32 = 20;
/// O_CREAT and O_EXCL.
const CREATE: u32 = 0x200;
const NEW: u32 = 0x800;
/// The first descriptor, which is also the number of the first file.
const FIRST: u32 = 40;
/// S_IFDIR and S_IFREG, with all permissions of the owner.
const DIRECTORY: u16 = 0o040_700;
const REGULAR: u16 = 0o100_600;
/// Bytes of `struct stat`, and where things are in it.
const STAT: usize = 144;
/// What `opendir` returns, and how much lies between two.
const LISTS: u64 = 0xd1_0000;

type Answer = Result<Option<Option<u64>>, String>;

/// What is open, besides what tests provide.
#[derive(Debug, Default)]
pub struct Disk {
    /// Directories, without a slash at the end. The root is not among them.
    pub directories: BTreeSet<String>,
    /// Open files: number of the file, and where the next byte is.
    opened: BTreeMap<u32, (u32, usize)>,
    made: u32,
    /// What `readdir` has not told yet.
    lists: Vec<Vec<String>>,
}

/// Plays `name`, if it is a function of files.
pub fn play(system: &mut System<'_>, name: &str, guest: &Guest<'_>) -> Answer {
    let result = match name {
        "_open" => open(system, guest)?,
        "_mkdir" => make_directory(system, guest)?,
        "_lstat" | "_stat" => {
            let path = guest.text(guest.argument(0)?)?;
            let found = system.files.get(&path).copied();
            stat(system, guest, (system.disk.is_directory(&path), found))?
        }
        "_fstat" => {
            let descriptor = guest.argument32(0)?;
            let file = system.disk.opened.get(&descriptor).map(|(file, _)| *file);
            stat(system, guest, (false, file))?
        }
        "_unlink" | "_rename" => rename(system, name, guest)?,
        "_read" => read(system, guest)?,
        "_lseek" => seek(system, guest)?,
        "_ftruncate" => {
            let size = usize::try_from(guest.argument(1)?).map_err(|error| error.to_string())?;
            let file = system.disk.file(guest.argument32(0)?);
            match system.written.get_mut(&file) {
                Some(bytes) => {
                    bytes.resize(size, 0);
                    0
                }
                None => system.fail(BAD_DESCRIPTOR, guest)?,
            }
        }
        "_close" => {
            system.disk.opened.remove(&guest.argument32(0)?);
            0
        }
        "_opendir" => list(system, guest)?,
        "_readdir_r" => next_name(system, guest)?,
        "_fcntl" | "_flock" | "_fsync" | "_closedir" | "_dirfd" => 0,
        _ => return Ok(None),
    };
    Ok(Some(Some(result)))
}

impl Disk {
    fn is_directory(&self, path: &str) -> bool {
        path == "/" || self.directories.contains(path.trim_end_matches('/'))
    }

    /// The file that a descriptor stands for: those that tests provide have the same number.
    pub fn file(&self, descriptor: u32) -> u32 {
        self.opened.get(&descriptor).map_or(descriptor, |(file, _)| *file)
    }

    /// Where the next bytes of a descriptor go; `None` for the end.
    pub fn position(&mut self, descriptor: u32) -> Option<&mut usize> {
        self.opened.get_mut(&descriptor).map(|(_, position)| position)
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent })
}

/// `(path, flags, mode)`. Tests that make no directories have all.
fn open(system: &mut System<'_>, guest: &Guest<'_>) -> Result<u64, String> {
    let (path, flags) = (guest.text(guest.argument(0)?)?, guest.argument32(1)?);
    let is_there = system.files.contains_key(&path);
    if is_there && flags & NEW != 0 {
        return system.fail(EXISTS, guest);
    }
    let lacks_parent = !system.disk.directories.is_empty() && !system.disk.is_directory(parent(&path));
    if !is_there && (flags & CREATE == 0 || lacks_parent) {
        return system.fail(NO_FILE, guest);
    }
    let descriptor = FIRST + system.disk.made;
    system.disk.made += 1;
    let file = *system.files.entry(path).or_insert(descriptor);
    system.written.entry(file).or_default();
    system.disk.opened.insert(descriptor, (file, 0));
    Ok(u64::from(descriptor))
}

fn make_directory(system: &mut System<'_>, guest: &Guest<'_>) -> Result<u64, String> {
    let path = guest.text(guest.argument(0)?)?.trim_end_matches('/').to_owned();
    if system.disk.is_directory(&path) || system.files.contains_key(&path) {
        return system.fail(EXISTS, guest);
    }
    if !system.disk.is_directory(parent(&path)) {
        return system.fail(NO_FILE, guest);
    }
    system.disk.directories.insert(path);
    Ok(0)
}

fn stat(
    system: &System<'_>,
    guest: &Guest<'_>,
    (is_directory, file): (bool, Option<u32>),
) -> Result<u64, String> {
    if !is_directory && file.is_none() {
        return system.fail(NO_FILE, guest);
    }
    let size = file.and_then(|file| system.written.get(&file)).map_or(0, Vec::len);
    let named = file.map_or(1, |file| system.files.values().filter(|named| **named == file).count());
    let seconds = (system.now / 1_000_000_000).to_le_bytes();
    let mode = if is_directory { DIRECTORY } else { REGULAR };
    let links = u16::try_from(named).map_err(|error| error.to_string())?;
    let mut bytes = [0; STAT];
    let mut set = |at: usize, value: &[u8]| {
        if let Some(place) = bytes.get_mut(at..at + value.len()) {
            place.copy_from_slice(value);
        }
    };
    set(4, &mode.to_le_bytes());
    set(6, &links.to_le_bytes());
    set(8, &u64::from(file.unwrap_or(2)).to_le_bytes());
    for at in [32, 48, 64, 80] {
        set(at, &seconds);
    }
    set(96, &(size as u64).to_le_bytes());
    guest.write(guest.argument(1)?, &bytes)?;
    Ok(0)
}

fn rename(system: &mut System<'_>, name: &str, guest: &Guest<'_>) -> Result<u64, String> {
    let Some(file) = system.files.remove(&guest.text(guest.argument(0)?)?) else {
        return system.fail(NO_FILE, guest);
    };
    if name == "_rename" {
        system.files.insert(guest.text(guest.argument(1)?)?, file);
    }
    Ok(0)
}

/// `(descriptor, bytes, size)`
fn read(system: &mut System<'_>, guest: &Guest<'_>) -> Result<u64, String> {
    let (descriptor, most) = (guest.argument32(0)?, guest.argument(2)?);
    let Some((file, position)) = system.disk.opened.get_mut(&descriptor) else {
        return system.fail(BAD_DESCRIPTOR, guest);
    };
    let rest = system.written.get(file).and_then(|bytes| bytes.get(*position..)).unwrap_or_default();
    let count = rest.len().min(usize::try_from(most).unwrap_or(usize::MAX));
    guest.write(guest.argument(1)?, rest.get(..count).unwrap_or_default())?;
    *position += count;
    Ok(count as u64)
}

/// `(descriptor, offset: i64, from)`
fn seek(system: &mut System<'_>, guest: &Guest<'_>) -> Result<u64, String> {
    let (descriptor, offset) = (guest.argument32(0)?, guest.argument(1)?.cast_signed());
    let Some((file, position)) = system.disk.opened.get_mut(&descriptor) else {
        return system.fail(BAD_DESCRIPTOR, guest);
    };
    let base = match guest.argument32(2)? {
        0 => 0,
        1 => *position,
        _ => system.written.get(file).map_or(0, Vec::len),
    };
    let to = i64::try_from(base).ok().and_then(|base| usize::try_from(base + offset).ok());
    *position = to.ok_or("a position before the file")?;
    Ok(*position as u64)
}

/// `opendir(path)`
fn list(system: &mut System<'_>, guest: &Guest<'_>) -> Result<u64, String> {
    let path = guest.text(guest.argument(0)?)?;
    if !system.disk.is_directory(&path) {
        system.fail(NO_DIRECTORY, guest)?;
        return Ok(0);
    }
    let names = system.files.keys().chain(&system.disk.directories);
    let own = names.filter(|name| parent(name) == path.trim_end_matches('/'));
    let names = own.filter_map(|name| name.rsplit('/').next().map(str::to_owned)).collect();
    system.disk.lists.push(names);
    Ok(LISTS + system.disk.lists.len() as u64)
}

/// `readdir_r(list, entry: *mut dirent, result: *mut *mut dirent)`
fn next_name(system: &mut System<'_>, guest: &Guest<'_>) -> Result<u64, String> {
    let (list, entry, result) = (guest.argument(0)?, guest.argument(1)?, guest.argument(2)?);
    let index = usize::try_from(list.wrapping_sub(LISTS + 1)).map_err(|error| error.to_string())?;
    let Some(name) = system.disk.lists.get_mut(index).ok_or("a list that was not opened")?.pop() else {
        guest.write(result, &[0; 8])?;
        return Ok(0);
    };
    let length = u16::try_from(name.len()).map_err(|error| error.to_string())?;
    let mut bytes = 7_u64.to_le_bytes().to_vec();
    bytes.extend([0; 8]);
    bytes.extend((length + 24).to_le_bytes());
    bytes.extend(length.to_le_bytes());
    // DT_UNKNOWN.
    bytes.push(0);
    bytes.extend(name.as_bytes());
    bytes.push(0);
    guest.write(entry, &bytes)?;
    guest.write(result, &entry.to_le_bytes())?;
    Ok(0)
}
