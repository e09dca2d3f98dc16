//! Names of the format's structures and of the encoder's parts. The structures are the ecosystem's own, of the
//! `minidump-common` crate; the parts are those of [`crate::formats`], whose methods differ from the published ones.

/// Structures of the minidump format under Breakpad's names.
pub mod minidump_format {
    pub use minidump_common::format::{
        self, GUID, MINIDUMP_DIRECTORY as MDRawDirectory, MINIDUMP_EXCEPTION as MDException,
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
}

/// The directory of a minidump.
pub mod dir_section {
    pub use minidump_formats::minidump::DirSection;
}

/// The buffer that streams are written to.
pub mod mem_writer {
    pub use minidump_formats::minidump::MemoryWriter;
}
