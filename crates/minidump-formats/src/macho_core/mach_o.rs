//! Header and load commands of Mach-O, 64 bits, little endian. Source: <mach-o/loader.h>.

use crate::elf_core::Fields;
use minidump_snapshot::Protection;

/// Size in bytes of `mach_header_64`.
pub(crate) const HEADER_SIZE: u64 = 32;
/// Size in bytes of `note_command`.
pub(crate) const NOTE_COMMAND_SIZE: u32 = 40;
/// Size in bytes of `segment_command_64` without sections.
pub(crate) const SEGMENT_COMMAND_SIZE: u32 = 72;

/// `MH_MAGIC_64`
const MAGIC: u32 = 0xfeed_facf;
/// `MH_CORE`
const TYPE_CORE: u32 = 4;
/// `LC_THREAD`, `LC_SEGMENT_64` and `LC_NOTE`
const THREAD: u32 = 4;
const SEGMENT: u32 = 0x19;
const NOTE: u32 = 0x31;

/// `mach_header_64`: magic, cputype, cpusubtype, filetype, number and size of the commands, flags, reserved.
pub(crate) fn header(cpu_type: u32, cpu_subtype: u32, commands: u32, size: u32) -> Vec<u8> {
    let fields = [MAGIC, cpu_type, cpu_subtype, TYPE_CORE, commands, size, 0, 0];
    fields.iter().fold(Fields::with_capacity(32), |header, field| header.u32(*field)).finish()
}

/// `note_command`: the owner's name in 16 bytes, which a NUL ends only if it is shorter, then offset and size in the
/// file.
pub(crate) fn note_command(owner: &str, offset: u64, size: u64) -> Vec<u8> {
    let owner = owner.as_bytes();
    let owner = owner.get(..16).unwrap_or(owner);
    let fields = Fields::with_capacity(40).u32(NOTE).u32(NOTE_COMMAND_SIZE).bytes(owner);
    fields.zeros_to(24).u64(offset).u64(size).finish()
}

/// `segment_command_64` of memory that is all in the file: no name, address and size, offset and size in the file,
/// highest and initial protection, no sections, no flags.
pub(crate) fn segment_command(address: u64, size: u64, offset: u64, protection: Protection) -> Vec<u8> {
    // VM_PROT_READ, WRITE and EXECUTE are the bits of `Protection`.
    let rights = u32::from(protection.bits());
    Fields::with_capacity(72)
        .u32(SEGMENT)
        .u32(SEGMENT_COMMAND_SIZE)
        .zeros_to(24)
        .words(&[address, size, offset, size])
        .u32(rights)
        .u32(rights)
        .zeros_to(72)
        .finish()
}

/// A `thread_command` in the making: for each set of registers its flavor, its size in 32-bit words, and the registers.
#[derive(Debug, Default)]
pub(crate) struct ThreadCommand(Fields);

impl ThreadCommand {
    /// Adds a set of registers, whose size must be a multiple of four bytes.
    pub(crate) fn registers(self, flavor: u32, registers: &[u8]) -> Self {
        // A set of registers has a few hundred bytes.
        let words = u32::try_from(registers.len() / 4).unwrap_or(u32::MAX);
        Self(self.0.u32(flavor).u32(words).bytes(registers))
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let sets = self.0.finish();
        let size = u32::try_from(sets.len()).unwrap_or(u32::MAX).saturating_add(8);
        Fields::with_capacity(sets.len() + 8).u32(THREAD).u32(size).bytes(&sets).finish()
    }
}
