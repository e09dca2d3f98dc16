use crate::AuxvOverride;

/// Type of the values of the auxiliary vector, `unsigned long` in C.
pub type AuxvType = u64;

/// Values of the target's auxiliary vector that its dumper may not be able to read from /proc, as getauxval(3) gives
/// them to the target itself. Zero means unset: the value then comes from /proc/PID/auxv.
///
/// The layout is that of C, so that a program in another language can hand it over as bytes: four 8-byte values in the
/// byte order of the processor.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DirectAuxvDumpInfo {
    /// `getauxval(AT_PHNUM)`: number of the executable's program headers.
    pub program_header_count: AuxvType,
    /// `getauxval(AT_PHDR)`: their address.
    pub program_header_address: AuxvType,
    /// `getauxval(AT_SYSINFO_EHDR)`: address of the vdso.
    pub linux_gate_address: AuxvType,
    /// `getauxval(AT_ENTRY)`: entry point of the executable.
    pub entry_address: AuxvType,
}

impl From<DirectAuxvDumpInfo> for AuxvOverride {
    fn from(info: DirectAuxvDumpInfo) -> Self {
        Self {
            phnum: info.program_header_count,
            phdr: info.program_header_address,
            sysinfo_ehdr: info.linux_gate_address,
            entry: info.entry_address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_takes_the_place_of_its_own_entry() {
        let info = DirectAuxvDumpInfo {
            program_header_count: 1,
            program_header_address: 2,
            linux_gate_address: 3,
            entry_address: 4,
        };
        let expected = AuxvOverride { phnum: 1, phdr: 2, sysinfo_ehdr: 3, entry: 4 };
        assert_eq!(AuxvOverride::from(info), expected);
        assert_eq!(AuxvOverride::from(DirectAuxvDumpInfo::default()), AuxvOverride::default());
    }
}
