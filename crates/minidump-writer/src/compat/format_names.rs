//! Names of the format's structures and of the encoder's parts. The structures are the ecosystem's own, of the
//! `minidump-common` crate; the parts are those of [`crate::formats`], whose methods differ from the published ones.

/// Structures of the minidump format under Breakpad's names.
pub mod minidump_format {
    pub use minidump_common::format::{
        self, ArmElfHwCaps as MDCPUInformationARMElfHwCaps, DSO_DEBUG_64 as MDRawDebug, GUID,
        LINK_MAP_64 as MDRawLinkMap, MINIDUMP_DIRECTORY as MDRawDirectory, MINIDUMP_EXCEPTION as MDException,
        MINIDUMP_EXCEPTION_STREAM as MDRawExceptionStream,
        MINIDUMP_HANDLE_DATA_STREAM as MDRawHandleDataStream,
        MINIDUMP_HANDLE_DESCRIPTOR as MDRawHandleDescriptor, MINIDUMP_HEADER as MDRawHeader,
        MINIDUMP_LOCATION_DESCRIPTOR as MDLocationDescriptor,
        MINIDUMP_MEMORY_DESCRIPTOR as MDMemoryDescriptor, MINIDUMP_MEMORY_INFO as MDMemoryInfo,
        MINIDUMP_MEMORY_INFO_LIST as MDMemoryInfoList, MINIDUMP_MODULE as MDRawModule,
        MINIDUMP_SIGNATURE as MD_HEADER_SIGNATURE, MINIDUMP_STREAM_TYPE as MDStreamType,
        MINIDUMP_SYSTEM_INFO as MDRawSystemInfo, MINIDUMP_THREAD as MDRawThread,
        MINIDUMP_THREAD_NAME as MDRawThreadName, MINIDUMP_VERSION as MD_HEADER_VERSION, PlatformId,
        ProcessorArchitecture as MDCPUArchitecture, RVA as MDRVA, VS_FIXEDFILEINFO as MDVSFixedFileInfo,
        X86CpuInfo as MDCPUInformation,
    };

    /// Threads.
    pub type MDRawThreadList = Vec<MDRawThread>;
}

/// Registers as the format has them.
pub mod minidump_cpu {
    /// The registers of a thread.
    #[cfg(target_arch = "x86_64")]
    pub type RawContextCPU = minidump_common::format::CONTEXT_AMD64;
    /// Its FXSAVE image.
    #[cfg(target_arch = "x86_64")]
    pub type FloatStateCPU = minidump_common::format::XMM_SAVE_AREA32;
    /// The registers of a thread.
    #[cfg(target_arch = "x86")]
    pub type RawContextCPU = minidump_common::format::CONTEXT_X86;
    /// Its FSAVE image.
    #[cfg(target_arch = "x86")]
    pub type FloatStateCPU = minidump_common::format::FLOATING_SAVE_AREA_X86;
    /// The registers of a thread.
    #[cfg(target_arch = "aarch64")]
    pub type RawContextCPU = minidump_common::format::CONTEXT_ARM64_OLD;
}

/// The directory of a minidump.
pub mod dir_section {
    pub use crate::compat::file_writer_error::FileWriterError;
    pub use minidump_formats::minidump::{DirSection, MemoryWriter as DumpBuf, SectionWriter};
}

/// The buffer that streams are written to.
pub mod mem_writer {
    pub use minidump_formats::minidump::{
        FormatError as MemoryWriterError, MemoryWriter, MemoryWriter as Buffer,
    };
}
