//! What of a process's memory map the command line itself needs (proc_pid_maps(5), proc_pid_smaps(5)).

/// First address and size of the module at `address`: from the first to the last mapping of the same file; of memory
/// that is no file's the mapping alone. `None` when nothing is mapped there.
pub fn module_at(maps: &[u8], address: u64) -> Option<(u64, u64)> {
    let lines = || maps.split(|byte| *byte == b'\n').filter_map(Line::parse);
    let found = lines().find(|line| (line.start..line.end).contains(&address))?;
    let same = || lines().filter(|line| found.is_file() && line.name == found.name);
    let start = same().map(|line| line.start).min().unwrap_or(found.start);
    let end = same().map(|line| line.end).max().unwrap_or(found.end);
    Some((start, end.checked_sub(start)?))
}

/// About how many bytes a dump of all memory takes: those of readable mappings that are not excluded from dumps
/// (MADV_DONTDUMP) and are no device's. `smaps` is the text of /proc/PID/smaps.
pub fn dumpable_bytes(smaps: &[u8]) -> u64 {
    let mut total = 0u64;
    let mut current = None;
    for line in smaps.split(|byte| *byte == b'\n') {
        if let Some(mapping) = Line::parse(line) {
            current = mapping.readable.then(|| mapping.end.saturating_sub(mapping.start));
        } else if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            let excluded = flags.split(u8::is_ascii_whitespace).any(|flag| flag == b"dd" || flag == b"io");
            let size = current.take().filter(|_| !excluded).unwrap_or(0);
            total = total.saturating_add(size);
        }
    }
    total
}

/// The first line that tells of a mapping: `START-END RIGHTS OFFSET DEVICE INODE  NAME`.
struct Line<'a> {
    start: u64,
    end: u64,
    readable: bool,
    name: &'a [u8],
}

impl<'a> Line<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut words = line.splitn(6, |byte| *byte == b' ');
        let range = words.next()?;
        let dash = range.iter().position(|byte| *byte == b'-')?;
        let (start, end) = (range.get(..dash)?, range.get(dash + 1..)?);
        let readable = words.next()?.first() == Some(&b'r');
        let name = words.nth(3).unwrap_or_default().trim_ascii_start();
        Some(Self { start: hexadecimal(start)?, end: hexadecimal(end)?, readable, name })
    }

    fn is_file(&self) -> bool {
        self.name.first() == Some(&b'/')
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"\
400000-401000 r--p 00000000 08:01 7                          /usr/bin/a program
401000-402000 r-xp 00001000 08:01 7                          /usr/bin/a program
402000-403000 rw-p 00000000 00:00 0
403000-404000 rw-p 00003000 08:01 7                          /usr/bin/a program
500000-600000 rw-p 00000000 00:00 0                          [heap]
700000-701000 rw-p 00000000 00:00 0 
900000-901000 rw-p 00000000 00:00 0 
";

    #[test]
    fn a_module_is_all_mappings_of_its_file() {
        for address in [0x40_0000, 0x40_1800, 0x40_3fff] {
            assert_eq!(module_at(MAPS, address), Some((0x40_0000, 0x4000)), "{address:#x}");
        }
    }

    #[test]
    fn other_memory_stands_for_itself() {
        assert_eq!(module_at(MAPS, 0x50_0000), Some((0x50_0000, 0x10_0000)));
        assert_eq!(module_at(MAPS, 0x70_0fff), Some((0x70_0000, 0x1000)));
        for nothing in [0, 0x3f_ffff, 0x40_4000, 0x70_1000, u64::MAX] {
            assert_eq!(module_at(MAPS, nothing), None, "{nothing:#x}");
        }
        assert_eq!(module_at(b"\xff\n-\n1-\n--- x", 0), None);
    }

    #[test]
    fn only_memory_that_a_dump_takes_counts() {
        let smaps = b"\
1000-3000 rw-p 00000000 00:00 0 
Size:                  8 kB
VmFlags: rd wr mr mw me ac 
5000-9000 rw-p 00000000 00:00 0                          [anon:-secret]
VmFlags: rd wr mr dd 
a000-b000 ---p 00000000 00:00 0 
VmFlags: mr mw me 
c000-d000 rw-s 00000000 00:05 3                          /dev/mem
VmFlags: rd wr sh io pf 
e000-f000 r-xp 00000000 00:00 0                          [vdso]
VmFlags: rd ex mr mw me de 
";
        assert_eq!(dumpable_bytes(smaps), 0x3000);
        assert_eq!(dumpable_bytes(b""), 0);
        // Kernels before 3.8 tell no flags: then nothing is known.
        assert_eq!(dumpable_bytes(b"1000-2000 rw-p 0 0 0\nSize: 4 kB\n"), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_map_of_a_process_that_waits_is_understood() {
        use std::io::{Read as _, Write as _};
        use std::process::{Command, Stdio};
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // When the byte comes back, the program is loaded and waits for the next.
        child.stdin.as_ref().unwrap().write_all(b"x").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let read = |name| std::fs::read(format!("/proc/{}/{name}", child.id())).unwrap();
        let (maps, smaps) = (read("maps"), read("smaps"));
        drop(child.stdin.take());
        child.wait().unwrap();
        let first = maps.split(|byte| *byte == b'\n').find_map(Line::parse).unwrap();
        let (start, size) = module_at(&maps, first.start).unwrap();
        assert!(first.is_file() && start == first.start && size >= first.end - first.start);
        assert!(dumpable_bytes(&smaps) > size);
    }
}
