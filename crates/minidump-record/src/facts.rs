//! What does not change while a process runs, and is looked up before it crashes.

use crate::bytes::{Fields, Text, u64_at};
use crate::maps::number;
use crate::output::{Full, Output};
use crate::proc_fs::ProcFs;
use crate::strings::append_utf16;
use crate::sys;

/// `AT_PHDR` of `<linux/auxvec.h>`.
const AT_PHDR: u64 = 3;
/// `PlatformId` of Breakpad.
const PLATFORM: u32 = if cfg!(target_os = "android") { 0x8203 } else { 0x8201 };
/// `PROCESSOR_ARCHITECTURE_AMD64` (winnt.h).
const AMD64: u16 = 9;

#[derive(Debug)]
pub(crate) struct Facts {
    /// An address inside the program's own image, if it could be told.
    pub program: Option<u64>,
    /// System, release, version and machine of uname(2), as one text.
    description: [u8; 272],
    description_size: usize,
    version: (u32, u32, u32),
    processor: [u32; 6],
    processor_count: u8,
}

impl Facts {
    pub(crate) fn look_up(proc_fs: &ProcFs) -> Self {
        let mut name = [0; 390];
        // Without an answer the texts are empty.
        let _ = sys::uname(&mut name);
        let field = |index: usize| {
            let field = name.get(index.saturating_mul(65)..).unwrap_or_default();
            let length = field.iter().take(65).take_while(|byte| **byte != 0).count();
            field.get(..length).unwrap_or_default()
        };
        // Field 1 is the host's name, which is nobody's business.
        let [system, release, version, machine] = [0, 2, 3, 4].map(field);
        let mut text = Text::<272>::new();
        text.push(system).push(b" ").push(release).push(b" ").push(version).push(b" ").push(machine);
        let mut description = [0; 272];
        let description_size = crate::bytes::copy(&mut description, text.as_bytes());
        Self {
            program: program(proc_fs),
            description,
            description_size,
            version: release_numbers(release),
            processor: sys::processor(),
            processor_count: u8::try_from(sys::affinity_count()).unwrap_or(u8::MAX).max(1),
        }
    }

    /// Appends `MINIDUMP_SYSTEM_INFO` (minidumpapiset.h), 56 bytes. Returns its offset.
    pub(crate) fn append_system_info(&self, out: &mut Output<'_>) -> Result<u32, Full> {
        let text = append_utf16(out, self.description.get(..self.description_size).unwrap_or_default())?;
        out.align(4)?;
        let rva = out.rva();
        let [.., signature, _, _] = self.processor;
        let (level, revision) = level_and_revision(signature);
        let (major, minor, build) = self.version;
        let [count, product] = [self.processor_count, 0];
        let mut fields = Fields::<56>::new();
        fields.u16(AMD64).u16(level).u16(revision).bytes(&[count, product]);
        fields.u32(major).u32(minor).u32(build).u32(PLATFORM).u32(text).u32(0);
        for word in self.processor {
            fields.u32(word);
        }
        out.append(&fields.finish())?;
        Ok(rva)
    }
}

/// Family, and model and stepping, of the signature that CPUID leaf 1 has in EAX (Intel SDM volume 2).
fn level_and_revision(eax: u32) -> (u16, u16) {
    let bits = |shift: u32, mask: u32| u16::try_from((eax >> shift) & mask).unwrap_or(0);
    let base = bits(8, 0xf);
    let family = if base == 15 { base.saturating_add(bits(20, 0xff)) } else { base };
    let extended = if matches!(base, 6 | 15) { bits(16, 0xf) } else { 0 };
    (family, (extended << 4 | bits(4, 0xf)) << 8 | bits(0, 0xf))
}

/// The first three numbers of a release such as `6.1.0-18-amd64`.
fn release_numbers(release: &[u8]) -> (u32, u32, u32) {
    let mut rest = release;
    let mut next = || {
        let (value, behind) = number(rest, 10)?;
        rest = behind.strip_prefix(b".").unwrap_or_default();
        u32::try_from(value).ok()
    };
    let mut part = || next().unwrap_or(0);
    (part(), part(), part())
}

/// Where the kernel mapped the program's headers. The file cannot be read where the process may not look at itself.
fn program(proc_fs: &ProcFs) -> Option<u64> {
    let file = proc_fs.open(b"/proc/thread-self/auxv\0", false).ok()?;
    let mut auxv = [0; 1024];
    let size = file.fill(&mut auxv);
    let mut entries = auxv.get(..size)?.as_chunks::<16>().0.iter();
    let entry = entries.find(|entry| u64_at(*entry, 0) == Some(AT_PHDR))?;
    u64_at(entry, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_numbers_end_with_what_is_no_number() {
        assert_eq!(release_numbers(b"6.1.0-18-amd64"), (6, 1, 0));
        assert_eq!(release_numbers(b"5.15-rc1"), (5, 15, 0));
        assert_eq!(release_numbers(b"99999999999.3.4"), (0, 3, 4));
        assert_eq!(release_numbers(b""), (0, 0, 0));
    }

    #[test]
    fn family_and_model_follow_the_manual() {
        assert_eq!(level_and_revision(0x0005_06e3), (6, 0x5e03));
        assert_eq!(level_and_revision(0x0083_0f10), (0x17, 0x3100));
    }
}
