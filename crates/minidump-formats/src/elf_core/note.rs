//! Notes: `Elf64_Nhdr`, the owner's name, the contents; each part padded to four bytes.

/// Alignment of notes, in bytes.
pub(crate) const ALIGNMENT: usize = 4;

/// Owner of the notes that all systems with System V's core files know.
pub(crate) const CORE: &[u8] = b"CORE\0";
/// Owner of Linux' own notes.
pub(crate) const LINUX: &[u8] = b"LINUX\0";

/// `NT_*` of <elf.h>.
pub(crate) const PRSTATUS: u32 = 1;
pub(crate) const FPREGSET: u32 = 2;
pub(crate) const PRPSINFO: u32 = 3;
pub(crate) const AUXV: u32 = 6;
pub(crate) const SIGINFO: u32 = 0x5349_4749;
pub(crate) const FILE: u32 = 0x4649_4c45;
pub(crate) const X86_XSTATE: u32 = 0x202;
pub(crate) const X86_XSAVE_LAYOUT: u32 = 0x205;

/// Size in bytes of a note whose parts have these sizes.
pub(crate) fn size_of_note(owner: &[u8], contents: usize) -> u64 {
    let padded = |size: usize| (size as u64).next_multiple_of(ALIGNMENT as u64);
    12 + padded(owner.len()) + padded(contents)
}

/// Notes, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<u8>);

impl Notes {
    /// Appends a note. `owner` includes its terminating NUL. Returns false, and appends nothing, when the contents are
    /// longer than 32 bits can tell.
    pub(crate) fn push(&mut self, owner: &[u8], kind: u32, contents: &[u8]) -> bool {
        let (Ok(owner_size), Ok(size)) = (u32::try_from(owner.len()), u32::try_from(contents.len())) else {
            return false;
        };
        self.0.extend([owner_size, size, kind].iter().flat_map(|field| field.to_le_bytes()));
        for part in [owner, contents] {
            self.0.extend_from_slice(part);
            self.0.resize(self.0.len().next_multiple_of(ALIGNMENT), 0);
        }
        true
    }

    /// Appends notes.
    pub(crate) fn append(&mut self, notes: &[u8]) {
        self.0.extend_from_slice(notes);
    }

    /// The notes so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Forgets the notes and keeps their memory for others.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_and_contents_are_padded_each() {
        let mut notes = Notes::default();
        assert!(notes.push(CORE, AUXV, &[1, 2, 3, 4, 5]));
        let expected =
            [5, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, b'C', b'O', b'R', b'E', 0, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0];
        assert_eq!(notes.bytes(), expected);
        assert_eq!(size_of_note(CORE, 5), expected.len() as u64);
        notes.clear();
        assert!(notes.finish().is_empty());
    }
}
