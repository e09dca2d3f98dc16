//! What the kernel marked the mappings with: the `VmFlags` lines of /proc/PID/smaps (proc_pid_smaps(5)).
//!
//! The kernel walks the page tables for the numbers in that file, which takes milliseconds for each GiB, so it is read
//! before the stop, and only for dumps that take more memory than stacks.

use bitflags::bitflags;
use minidump_snapshot::{Region, RegionKind};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Longest text that is read: above 65,530 mappings (the kernel's default limit) of a kilobyte each.
const LIMIT: u64 = 256 << 20;

bitflags! {
    /// Marks of a mapping that concern dumps.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Marks: u8 {
        /// `dd`: MADV_DONTDUMP, or a mapping that a driver keeps out of core files.
        const DONT_DUMP = 1;
        /// `io` or `pf`: memory of a device, or pages that the kernel does not manage. Reading it can have effects.
        const DEVICE = 2;
        /// `dc`: MADV_DONTFORK; a forked copy of the process does not have it.
        const DONT_COPY = 4;
        /// `wf`: MADV_WIPEONFORK; a forked copy of the process has zeros there.
        const WIPE_ON_FORK = 8;
    }
}

/// A mapping with marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    /// First address.
    pub start: u64,
    /// First address behind the mapping.
    pub end: u64,
    /// Its marks, never none.
    pub marks: Marks,
}

/// The marked mappings of a process, by ascending address.
#[derive(Debug, Clone, Default)]
pub struct Smaps(Vec<Marked>);

impl Smaps {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> io::Result<Self> {
        Self::parse(BufReader::with_capacity(64 << 10, File::open(path)?.take(LIMIT)))
    }

    pub(super) fn parse(mut text: impl BufRead) -> io::Result<Self> {
        let mut found = Vec::new();
        let mut range = None;
        let mut line = Vec::with_capacity(256);
        loop {
            line.clear();
            if text.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if let Some(flags) = line.strip_prefix(b"VmFlags:") {
                let marks = marks(flags);
                if let Some((start, end)) = range.take()
                    && !marks.is_empty()
                {
                    found.push(Marked { start, end, marks });
                }
            } else if let Some(next) = range_of(&line) {
                range = Some(next);
            }
        }
        found.sort_by_key(|marked| marked.start);
        Ok(Self(found))
    }

    /// The marked mappings that share addresses with a range.
    pub fn in_range(&self, start: u64, end: u64) -> impl Iterator<Item = &Marked> {
        let first = self.0.partition_point(|marked| marked.end <= start);
        self.0.iter().skip(first).take_while(move |marked| marked.start < end)
    }

    /// Puts the marks on the regions of a memory map. A region that changed since keeps the marks of what lay there:
    /// what may hurt to read or must not be dumped is left alone rather than taken by mistake.
    pub fn mark(&self, regions: &mut [Region]) {
        for region in regions {
            for marked in self.in_range(region.start, region.end) {
                region.dont_dump |= marked.marks.contains(Marks::DONT_DUMP);
                if marked.marks.contains(Marks::DEVICE) && region.kind != RegionKind::Kernel {
                    region.kind = RegionKind::Device;
                }
            }
        }
    }
}

/// The range at the start of a mapping's first line. The lines below it begin with a capital letter, and none of those
/// has a minus sign behind hexadecimal digits.
fn range_of(line: &[u8]) -> Option<(u64, u64)> {
    let text = line.split(|byte| *byte == b' ').next().and_then(|text| std::str::from_utf8(text).ok())?;
    let (start, end) = text.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    (start < end).then_some((start, end))
}

fn marks(flags: &[u8]) -> Marks {
    flags.split(u8::is_ascii_whitespace).fold(Marks::empty(), |marks, flag| {
        marks
            | match flag {
                b"dd" => Marks::DONT_DUMP,
                b"io" | b"pf" => Marks::DEVICE,
                b"dc" => Marks::DONT_COPY,
                b"wf" => Marks::WIPE_ON_FORK,
                _ => Marks::empty(),
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use minidump_snapshot::Protection;
    use proptest::prelude::*;

    const TEXT: &[u8] = b"1000-3000 rw-p 00000000 00:00 0 \nSize: 8 kB\nVmFlags: rd wr mr mw me ac \n\
        3000-4000 rw-p 00000000 00:00 0     [anon:a-b c-d]\nRss: 4 kB\nVmFlags: rd wr dd \n\
        8000-9000 rw-s 00000000 00:06 5     /dev/dri/card0\nVmFlags: rd wr sh io pf dc dd \n\
        a000-b000 rw-p 00000000 00:00 0 \nVmFlags: rd wr wf\n";

    fn region(start: u64, end: u64) -> Region {
        Region {
            start,
            end,
            protection: Protection::READ,
            shared: false,
            kind: RegionKind::Anonymous,
            dont_dump: false,
            offset: 0,
            name: Vec::new(),
        }
    }

    #[test]
    fn only_marked_mappings_are_kept_each_with_its_own_marks() {
        let smaps = Smaps::parse(TEXT).unwrap();
        let device = Marks::DONT_DUMP | Marks::DEVICE | Marks::DONT_COPY;
        let expected = [
            Marked { start: 0x3000, end: 0x4000, marks: Marks::DONT_DUMP },
            Marked { start: 0x8000, end: 0x9000, marks: device },
            Marked { start: 0xa000, end: 0xb000, marks: Marks::WIPE_ON_FORK },
        ];
        assert_eq!(smaps.0, expected);
    }

    #[test]
    fn marks_reach_the_regions_that_overlap_them_and_no_others() {
        let mut regions =
            [region(0x1000, 0x3000), region(0x3800, 0x3900), region(0x8000, 0x9000), region(0x9000, 0xb000)];
        Smaps::parse(TEXT).unwrap().mark(&mut regions);
        let seen: Vec<_> = regions.iter().map(|region| (region.dont_dump, region.kind)).collect();
        let anonymous = RegionKind::Anonymous;
        let expected =
            [(false, anonymous), (true, anonymous), (true, RegionKind::Device), (false, anonymous)];
        assert_eq!(seen, expected);
    }

    #[test]
    fn memory_of_this_process_that_must_not_be_dumped_is_found() {
        let smaps = Smaps::read(Path::new("/proc/self/smaps")).unwrap();
        let text = std::fs::read_to_string("/proc/self/maps").unwrap();
        let vvar =
            text.lines().find(|line| line.ends_with("[vvar]")).and_then(|line| range_of(line.as_bytes()));
        let (start, end) = vvar.expect("every x86-64 kernel maps it");
        let marks: Vec<_> = smaps.in_range(start, end).map(|marked| marked.marks).collect();
        assert!(marks.iter().any(|marks| marks.contains(Marks::DONT_DUMP | Marks::DEVICE)), "{marks:?}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in prop::collection::vec(any::<u8>(), 0..600)) {
            let smaps = Smaps::parse(text.as_slice()).unwrap();
            prop_assert!(smaps.0.iter().all(|marked| marked.start < marked.end));
        }
    }
}
