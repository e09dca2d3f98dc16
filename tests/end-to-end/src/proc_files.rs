//! What /proc tells about a target, read independently of the program under test.

use std::fs;

/// /proc/PID/`name`, as raw bytes.
#[track_caller]
pub fn read(pid: i32, name: &str) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/{name}")).unwrap_or_else(|error| panic!("/proc/{pid}/{name}: {error}"))
}

/// The thread ids of a process, ascending.
pub fn threads(pid: i32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut ids: Vec<u32> =
        entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// Scheduler state letter of a thread; `None` when it has gone.
pub fn state(pid: i32, tid: u32) -> Option<char> {
    let stat = fs::read(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    stat.rsplit_once(") ")?.1.chars().next()
}

/// A line `key: value` of a thread's status; `None` when the thread has gone.
pub fn status_line(pid: i32, tid: u32, key: &str) -> Option<String> {
    let status = fs::read(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find(|line| line.split(':').next() == Some(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// A line of /proc/PID/maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// The four letters.
    pub rights: String,
    /// Offset in the file.
    pub offset: u64,
    /// Path or name, as the kernel escapes it.
    pub name: String,
}

/// The mappings of a process.
pub fn maps(pid: i32) -> Vec<Mapping> {
    parse_maps(&read(pid, "maps"))
}

/// Parses the text of /proc/PID/maps.
pub fn parse_maps(text: &[u8]) -> Vec<Mapping> {
    let text = String::from_utf8_lossy(text);
    text.lines()
        .map(|line| {
            let mut words = line.splitn(6, ' ');
            let (start, end) = words.next().unwrap().split_once('-').unwrap();
            let rights = words.next().unwrap().to_owned();
            let offset = u64::from_str_radix(words.next().unwrap(), 16).unwrap();
            let name = words.nth(2).unwrap_or("").trim_start().to_owned();
            let parse = |text| u64::from_str_radix(text, 16).unwrap();
            Mapping { start: parse(start), end: parse(end), rights, offset, name }
        })
        .collect()
}

/// Memory of a process, read through /proc/PID/mem.
#[track_caller]
pub fn memory(pid: i32, address: u64, length: usize) -> Vec<u8> {
    use std::os::unix::fs::FileExt as _;
    let file = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, address)
        .unwrap_or_else(|error| panic!("{length} bytes at {address:#x}: {error}"));
    bytes
}

/// A value of the auxiliary vector.
pub fn auxv(pid: i32, key: u64) -> Option<u64> {
    let text = read(pid, "auxv");
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    text.chunks_exact(16).find(|entry| word(&entry[..8]) == key).map(|entry| word(&entry[8..]))
}
