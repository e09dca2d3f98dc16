//! The auxiliary vector: what the kernel told the program at its start (getauxval(3), <elf.h> `Elf64_auxv_t`).

use crate::AuxvOverride;

/// Most entries looked at. The kernel writes about 20 and has room for 48.
const MAX_ENTRIES: usize = 256;

/// `sizeof(Elf64_Phdr)`.
const SIZE_OF_PROGRAM_HEADER: u64 = 56;

/// Numbers of the entries (<linux/auxvec.h>).
mod kind {
    pub const NULL: u64 = 0;
    pub const PHDR: u64 = 3;
    pub const PHENT: u64 = 4;
    pub const PHNUM: u64 = 5;
    pub const BASE: u64 = 7;
    pub const ENTRY: u64 = 9;
    pub const RANDOM: u64 = 25;
    pub const EXECFN: u64 = 31;
    pub const SYSINFO_EHDR: u64 = 33;
}

/// The entries that a capture uses. All values are the target's word: nothing here has been checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Auxv {
    /// Address of the main executable's program headers.
    pub phdr: Option<u64>,
    /// Size in bytes of one program header.
    pub phent: Option<u64>,
    /// Number of program headers.
    pub phnum: Option<u64>,
    /// Entry point of the main executable.
    pub entry: Option<u64>,
    /// Load address of the dynamic loader; 0 for a static program.
    pub base: Option<u64>,
    /// Address of the vdso's ELF header.
    pub sysinfo_ehdr: Option<u64>,
    /// Address of 16 random bytes.
    pub random: Option<u64>,
    /// Address of the path given to execve.
    pub execfn: Option<u64>,
}

impl Auxv {
    /// Reads the bytes of /proc/PID/auxv: pairs of 64-bit little-endian words (type, value), ended by type 0 or by
    /// the end of the bytes. Of a repeated entry the first counts, as in getauxval.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut auxv = Self::default();
        let (pairs, _) = bytes.as_chunks::<16>();
        for pair in pairs.iter().take(MAX_ENTRIES) {
            let pair = u128::from_le_bytes(*pair);
            let [kind, value] = [low_half(pair), low_half(pair >> 64)];
            let field = match kind {
                kind::NULL => break,
                kind::PHDR => &mut auxv.phdr,
                kind::PHENT => &mut auxv.phent,
                kind::PHNUM => &mut auxv.phnum,
                kind::BASE => &mut auxv.base,
                kind::ENTRY => &mut auxv.entry,
                kind::RANDOM => &mut auxv.random,
                kind::EXECFN => &mut auxv.execfn,
                kind::SYSINFO_EHDR => &mut auxv.sysinfo_ehdr,
                _ => continue,
            };
            field.get_or_insert(value);
        }
        auxv
    }

    /// Puts in what the caller knows better.
    pub fn replace_known(&mut self, known: AuxvOverride) {
        let known_value = |value: u64| Some(value).filter(|value| *value != 0);
        self.phdr = known_value(known.phdr).or(self.phdr);
        self.phnum = known_value(known.phnum).or(self.phnum);
        self.entry = known_value(known.entry).or(self.entry);
        self.sysinfo_ehdr = known_value(known.sysinfo_ehdr).or(self.sysinfo_ehdr);
        // What is dumped here are 64-bit programs, whose headers have this size.
        self.phent = self.phent.or(known_value(known.phdr).map(|_| SIZE_OF_PROGRAM_HEADER));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low_half(pair: u128) -> u64 {
    pair as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(entries: &[(u64, u64)]) -> Vec<u8> {
        entries.iter().flat_map(|(kind, value)| [kind.to_le_bytes(), value.to_le_bytes()]).flatten().collect()
    }

    #[test]
    fn known_entries_are_read_up_to_the_null_entry() {
        let bytes = encode(&[
            (33, 0x7fff_0000_1000),
            (16, 0xbfeb_fbff),
            (3, 0x40_0040),
            (4, 56),
            (5, 13),
            (7, 0),
            (9, u64::MAX),
            (25, 7),
            (31, 8),
            (9, 1),
            (0, 0),
            (3, 99),
        ]);
        let expected = Auxv {
            phdr: Some(0x40_0040),
            phent: Some(56),
            phnum: Some(13),
            entry: Some(u64::MAX),
            base: Some(0),
            sysinfo_ehdr: Some(0x7fff_0000_1000),
            random: Some(7),
            execfn: Some(8),
        };
        assert_eq!(Auxv::parse(&bytes), expected);
    }

    #[test]
    fn a_truncated_entry_is_left_out() {
        let bytes = encode(&[(3, 5), (9, 6)]);
        assert_eq!(Auxv::parse(&bytes[..31]), Auxv { phdr: Some(5), ..Auxv::default() });
        assert_eq!(Auxv::parse(&[]), Auxv::default());
    }

    #[test]
    fn entries_beyond_the_bound_are_not_looked_at() {
        let mut entries = vec![(51, 0); MAX_ENTRIES];
        entries.push((3, 1));
        assert_eq!(Auxv::parse(&encode(&entries)), Auxv::default());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_own_vector_points_into_the_own_memory() {
        let auxv = Auxv::parse(&std::fs::read("/proc/self/auxv").expect("readable"));
        let entry = auxv.entry.expect("every program has an entry point");
        let phdr = auxv.phdr.expect("every program has headers");
        let maps = std::fs::read("/proc/self/maps").expect("readable");
        let mut mappings = Vec::new();
        super::super::maps::parse(&maps, &mut mappings);
        for address in [entry, phdr] {
            assert!(super::super::maps::index_of(&mappings, address).is_some());
        }
        assert_eq!(auxv.phent, Some(56));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Auxv::parse(&bytes);
        }
    }
}
