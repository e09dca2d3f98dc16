use crate::CpuState;
use serde::{Deserialize, Serialize};

/// What only Windows tells of a thread.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsThread {
    /// Id of the thread.
    pub id: u32,
    /// How often the thread was suspended before the capture.
    pub suspend_count: u32,
    /// Priority class of its process (`*_PRIORITY_CLASS`); zero when unknown.
    pub priority_class: u32,
    /// Address of the function that it began with, when known.
    pub start_address: Option<u64>,
    /// For a thread of a 32-bit program on a 64-bit system: the 64-bit registers, which the system's own code uses.
    /// [`Thread::cpu`](crate::Thread::cpu) has the 32-bit ones then.
    pub native: Option<CpuState>,
}

/// What only Windows tells of a module: facts of its PE headers.
///
/// Source: <https://learn.microsoft.com/windows/win32/debug/pe-format>.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeImage {
    /// Address of the first byte of the image; that of a [`Module`](crate::Module).
    pub base: u64,
    /// `TimeDateStamp` of the COFF header.
    pub time_stamp: u32,
    /// `CheckSum` of the optional header.
    pub check_sum: u32,
    /// `VS_FIXEDFILEINFO` of the version resource, 52 bytes as 13 numbers.
    pub version_info: Option<[u32; 13]>,
    /// The `CodeView` record (`RSDS` or `NB10`) of the debug directory, as it is in the image; empty when there is none.
    pub code_view: Vec<u8>,
}

/// A module that is loaded no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnloadedModule {
    /// Address it was loaded at.
    pub base: u64,
    /// Size in bytes.
    pub size: u64,
    /// `CheckSum` of its optional header.
    pub check_sum: u32,
    /// `TimeDateStamp` of its COFF header.
    pub time_stamp: u32,
    /// Name without directory.
    pub name: String,
}

/// One range of the address space, in use or not, as `VirtualQueryEx` tells it (`MEMORY_BASIC_INFORMATION`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsRegion {
    /// First address.
    pub base: u64,
    /// First address of the allocation that it belongs to.
    pub allocation_base: u64,
    /// `PAGE_*`, with which the allocation was made.
    pub allocation_protection: u32,
    /// Size in bytes.
    pub size: u64,
    /// `MEM_COMMIT`, `MEM_RESERVE` or `MEM_FREE`.
    pub state: u32,
    /// `PAGE_*`, with the modifiers.
    pub protection: u32,
    /// `MEM_PRIVATE`, `MEM_MAPPED` or `MEM_IMAGE`; zero for free memory.
    pub kind: u32,
}

/// An open handle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsHandle {
    /// The number by which the process knows it.
    pub value: u64,
    /// Name of the object's type, such as `File`; empty when unknown.
    pub type_name: String,
    /// Name of the object; `None` for one without name, and where asking for it could have blocked.
    pub name: Option<String>,
    /// `OBJ_*`.
    pub attributes: u32,
    /// Access mask that the handle was opened with.
    pub granted_access: u32,
    /// How many handles there are to the object.
    pub handle_count: u32,
    /// How many references.
    pub pointer_count: u32,
}

/// The time zone, as `TIME_ZONE_INFORMATION` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeZone {
    /// 0 unknown, 1 standard time, 2 daylight saving time.
    pub id: u32,
    /// Minutes from local time to UTC.
    pub bias: i32,
    /// Name in standard time.
    pub standard_name: String,
    /// When standard time begins (`SYSTEMTIME`: year, month, day of week, day, hour, minute, second, millisecond).
    pub standard_date: [u16; 8],
    /// Added to `bias` in standard time.
    pub standard_bias: i32,
    /// Name in daylight saving time.
    pub daylight_name: String,
    /// When that begins.
    pub daylight_date: [u16; 8],
    /// Added to `bias` in daylight saving time.
    pub daylight_bias: i32,
}

/// The environment: `NAME=value` in UTF-16, each ended by a zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentBlock {
    /// Where it lies.
    pub address: u64,
    /// Its code units.
    pub text: Vec<u16>,
}

/// What Windows tells of the processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsProcessor {
    /// `wProcessorLevel` of `SYSTEM_INFO`: the family on x86 and x86-64.
    pub level: u16,
    /// `wProcessorRevision`: model in the upper byte and stepping in the lower one on x86 and x86-64.
    pub revision: u16,
    /// What `IsProcessorFeaturePresent` tells: bit n of the 128 is the answer for `PF_*` number n.
    pub features: [u64; 2],
}

/// What only Windows tells of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsFacts {
    /// `VER_NT_*`: 1 workstation, 2 domain controller, 3 server; zero when unknown.
    pub product_type: u8,
    /// `VER_SUITE_*`.
    pub suite_mask: u16,
    /// Service pack (`szCSDVersion`), mostly empty.
    pub service_pack: String,
    /// The processor; of a 32-bit program on a 64-bit system: as that program is told.
    pub processor: Option<WindowsProcessor>,
    /// Address of the process environment block. Of a 32-bit program on a 64-bit system: the 32-bit one.
    pub peb: Option<u64>,
    /// For such a program: the 64-bit one.
    pub native_peb: Option<u64>,
    /// Integrity level of the process's token (`SECURITY_MANDATORY_*_RID`).
    pub integrity_level: Option<u32>,
    /// `MEM_EXECUTE_OPTION_*` of the process.
    pub execute_flags: Option<u32>,
    /// The time zone.
    pub time_zone: Option<TimeZone>,
    /// By ascending id.
    pub threads: Vec<WindowsThread>,
    /// By ascending base.
    pub images: Vec<PeImage>,
    /// The last ones, the latest first.
    pub unloaded_modules: Vec<UnloadedModule>,
    /// The whole address space, by ascending address: also what is free or reserved, which
    /// [`Snapshot::regions`](crate::Snapshot::regions) leaves out.
    pub regions: Vec<WindowsRegion>,
    /// Open handles, by ascending value.
    pub handles: Vec<WindowsHandle>,
    /// Ranges (first address, size) of the loader's and the system's own structures that a debugger needs: environment
    /// blocks of process and threads, process parameters, the loader's lists and the names in them.
    pub structures: Vec<(u64, u64)>,
    /// The environment.
    pub environment: Option<EnvironmentBlock>,
    /// Of a 32-bit program on a 64-bit system: the environment that its 64-bit process parameters point to.
    pub native_environment: Option<EnvironmentBlock>,
}

impl WindowsFacts {
    /// What is known of the thread `id`.
    #[must_use]
    pub fn thread(&self, id: u32) -> Option<&WindowsThread> {
        let index = self.threads.binary_search_by_key(&id, |thread| thread.id).ok()?;
        self.threads.get(index)
    }

    /// What is known of the image that begins at `base`.
    #[must_use]
    pub fn image_at(&self, base: u64) -> Option<&PeImage> {
        let index = self.images.binary_search_by_key(&base, |image| image.base).ok()?;
        self.images.get(index)
    }
}
