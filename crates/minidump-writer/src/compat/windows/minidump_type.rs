bitflags::bitflags! {
    /// What the system's dumper (`MiniDumpWriteDump` of dbghelp) is to put into a dump: `MINIDUMP_TYPE`.
    ///
    /// A system that is older than a flag refuses it (E_INVALIDARG).
    ///
    /// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/ne-minidumpapiset-minidump_type>.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct MinidumpType: u32 {
        /// What a stack trace of every thread needs.
        const Normal = 0;
        /// The data segments of all modules, and so all global variables.
        const WithDataSegs = 0x1;
        /// All memory that can be read.
        const WithFullMemory = 0x2;
        /// What handles are open. Needs the right to copy them (`PROCESS_DUP_HANDLE`).
        const WithHandleData = 0x4;
        /// Of stacks only what a stack trace needs.
        const FilterMemory = 0x8;
        /// Marks modules that stacks point into.
        const ScanMemory = 0x10;
        /// Modules that were unloaded not long ago.
        const WithUnloadedModules = 0x20;
        /// Pages that stacks point to.
        const WithIndirectlyReferencedMemory = 0x40;
        /// Paths of modules without the folders, in which there may be the names of users.
        const FilterModulePaths = 0x80;
        /// The environment blocks of process and threads (PEB, TEB) as a whole.
        const WithProcessThreadData = 0x100;
        /// All private memory that can be read and written.
        const WithPrivateReadWriteMemory = 0x200;
        /// Not what a debugger can do without.
        const WithoutOptionalData = 0x400;
        /// The ranges of the address space.
        const WithFullMemoryInfo = 0x800;
        /// Times, start addresses and affinities of threads.
        const WithThreadInfo = 0x1000;
        /// The code of all modules.
        const WithCodeSegs = 0x2000;
        /// Nothing from auxiliary providers, such as that of .NET.
        const WithoutAuxiliaryState = 0x4000;
        /// All that auxiliary providers have, such as that of .NET.
        const WithFullAuxiliaryState = 0x8000;
        /// Private memory that is copied when it is written.
        const WithPrivateWriteCopyMemory = 0x1_0000;
        /// Goes on when memory cannot be read, with `WithFullMemory`.
        const IgnoreInaccessibleMemory = 0x2_0000;
        /// Security tokens of process and threads.
        const WithTokenInformation = 0x4_0000;
        /// The headers of modules.
        const WithModuleHeaders = 0x8_0000;
        /// What the triage of crashes needs.
        const FilterTriage = 0x10_0000;
        /// AVX registers.
        const WithAvxXStateContext = 0x20_0000;
        /// Intel Processor Trace.
        const WithIptTrace = 0x40_0000;
        /// The readable part of pages that can be read in part.
        const ScanInaccessiblePartialPages = 0x80_0000;
        /// Not the memory that is mapped as write-combined, which often is a device's.
        const FilterWriteCombinedMemory = 0x100_0000;
        /// Every flag that is defined (`MiniDumpValidTypeFlags`). No dump is to be asked for with all of them.
        const ValidTypeFlags = 0x1ff_ffff;
    }
}

#[cfg(test)]
mod tests {
    use super::MinidumpType as Type;
    use windows_sys::Win32::System::Diagnostics::Debug as system;

    #[test]
    fn each_flag_is_the_bit_that_the_system_knows_it_by() {
        let flags = [
            (Type::Normal, system::MiniDumpNormal),
            (Type::WithDataSegs, system::MiniDumpWithDataSegs),
            (Type::WithFullMemory, system::MiniDumpWithFullMemory),
            (Type::WithHandleData, system::MiniDumpWithHandleData),
            (Type::FilterMemory, system::MiniDumpFilterMemory),
            (Type::ScanMemory, system::MiniDumpScanMemory),
            (Type::WithUnloadedModules, system::MiniDumpWithUnloadedModules),
            (Type::WithIndirectlyReferencedMemory, system::MiniDumpWithIndirectlyReferencedMemory),
            (Type::FilterModulePaths, system::MiniDumpFilterModulePaths),
            (Type::WithProcessThreadData, system::MiniDumpWithProcessThreadData),
            (Type::WithPrivateReadWriteMemory, system::MiniDumpWithPrivateReadWriteMemory),
            (Type::WithoutOptionalData, system::MiniDumpWithoutOptionalData),
            (Type::WithFullMemoryInfo, system::MiniDumpWithFullMemoryInfo),
            (Type::WithThreadInfo, system::MiniDumpWithThreadInfo),
            (Type::WithCodeSegs, system::MiniDumpWithCodeSegs),
            (Type::WithoutAuxiliaryState, system::MiniDumpWithoutAuxiliaryState),
            (Type::WithFullAuxiliaryState, system::MiniDumpWithFullAuxiliaryState),
            (Type::WithPrivateWriteCopyMemory, system::MiniDumpWithPrivateWriteCopyMemory),
            (Type::IgnoreInaccessibleMemory, system::MiniDumpIgnoreInaccessibleMemory),
            (Type::WithTokenInformation, system::MiniDumpWithTokenInformation),
            (Type::WithModuleHeaders, system::MiniDumpWithModuleHeaders),
            (Type::FilterTriage, system::MiniDumpFilterTriage),
            (Type::WithAvxXStateContext, system::MiniDumpWithAvxXStateContext),
            (Type::WithIptTrace, system::MiniDumpWithIptTrace),
            (Type::ScanInaccessiblePartialPages, system::MiniDumpScanInaccessiblePartialPages),
            (Type::FilterWriteCombinedMemory, system::MiniDumpFilterWriteCombinedMemory),
            (Type::ValidTypeFlags, system::MiniDumpValidTypeFlags),
        ];
        for (flag, known) in flags {
            assert_eq!(flag.bits(), known.cast_unsigned(), "{flag:?}");
        }
        let named = flags.iter().take(flags.len() - 1).fold(Type::Normal, |all, (flag, _)| all | *flag);
        assert_eq!(named, Type::ValidTypeFlags, "no flag is missing");
    }
}
