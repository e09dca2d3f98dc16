//! Where the fields of the system's structures lie, for programs of both pointer sizes.
//!
//! Sources: <winternl.h> and its documentation for the fields that Microsoft names (`PEB`, `PEB_LDR_DATA`,
//! `LDR_DATA_TABLE_ENTRY`, `RTL_USER_PROCESS_PARAMETERS`, `TEB`); the types in the public symbols of ntdll for the others.
//! All of these have kept their place since Windows Vista; sizes are those of Windows 10.

/// Size of a pointer in the target's structures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointerSize {
    /// A 32-bit program.
    Four,
    /// A 64-bit program.
    Eight,
}

impl PointerSize {
    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// Offsets and sizes for such programs.
    #[must_use]
    pub const fn layout(self) -> &'static Layout {
        match self {
            Self::Four => &FOUR,
            Self::Eight => &EIGHT,
        }
    }
}

/// Offsets and sizes in bytes.
#[derive(Debug)]
pub struct Layout {
    /// Size of the `TEB`.
    pub teb: usize,
    /// `PEB`.
    pub peb: Peb,
    /// `PEB_LDR_DATA`.
    pub loader: LoaderData,
    /// `LDR_DATA_TABLE_ENTRY`.
    pub entry: Entry,
    /// `RTL_USER_PROCESS_PARAMETERS`.
    pub parameters: Parameters,
    /// `RTL_UNLOAD_EVENT_TRACE`.
    pub unloaded: Unloaded,
}

/// `PEB`.
#[derive(Debug)]
pub struct Peb {
    /// Of the whole.
    pub size: usize,
    /// `ImageBaseAddress`.
    pub image_base: usize,
    /// `Ldr`.
    pub loader: usize,
    /// `ProcessParameters`.
    pub parameters: usize,
}

/// `PEB_LDR_DATA`.
#[derive(Debug)]
pub struct LoaderData {
    /// Of the whole.
    pub size: usize,
    /// The lists' heads: `InLoadOrderModuleList`, `InMemoryOrderModuleList`, `InInitializationOrderModuleList`.
    pub lists: [usize; 3],
}

/// `LDR_DATA_TABLE_ENTRY`.
#[derive(Debug)]
pub struct Entry {
    /// Of the whole.
    pub size: usize,
    /// The links of the lists, in the order of [`LoaderData::lists`].
    pub links: [usize; 3],
    /// `DllBase`.
    pub base: usize,
    /// `SizeOfImage`.
    pub image_size: usize,
    /// `FullDllName`.
    pub full_name: usize,
    /// `BaseDllName`.
    pub base_name: usize,
    /// `TimeDateStamp`.
    pub time_stamp: usize,
    /// Bytes up to the end of the last field above.
    pub read: usize,
}

/// `RTL_USER_PROCESS_PARAMETERS`.
#[derive(Debug)]
pub struct Parameters {
    /// `Length`: of the whole with the strings behind the fields.
    pub length: usize,
    /// `Flags`.
    pub flags: usize,
    /// `ImagePathName`.
    pub image_path: usize,
    /// `CommandLine`.
    pub command_line: usize,
    /// `Environment`.
    pub environment: usize,
    /// `EnvironmentSize`.
    pub environment_size: usize,
    /// Bytes up to the end of the last field above.
    pub read: usize,
}

/// `RTL_UNLOAD_EVENT_TRACE`.
#[derive(Debug)]
pub struct Unloaded {
    /// `SizeOfImage`; `BaseAddress` comes first.
    pub image_size: usize,
    /// `Sequence`.
    pub sequence: usize,
    /// `TimeDateStamp`.
    pub time_stamp: usize,
    /// `CheckSum`.
    pub check_sum: usize,
    /// `ImageName`, 32 code units.
    pub name: usize,
    /// Bytes up to the end of the name, which is where the documented structure ends. The system's own has a version there.
    pub size: usize,
}

const EIGHT: Layout = Layout {
    teb: 0x1838,
    peb: Peb { size: 0x7d0, image_base: 0x10, loader: 0x18, parameters: 0x20 },
    loader: LoaderData { size: 0x58, lists: [0x10, 0x20, 0x30] },
    entry: Entry {
        size: 0x120,
        links: [0, 0x10, 0x20],
        base: 0x30,
        image_size: 0x40,
        full_name: 0x48,
        base_name: 0x58,
        time_stamp: 0x80,
        read: 0x84,
    },
    parameters: Parameters {
        length: 4,
        flags: 8,
        image_path: 0x60,
        command_line: 0x70,
        environment: 0x80,
        environment_size: 0x3f0,
        read: 0x3f8,
    },
    unloaded: Unloaded {
        image_size: 8,
        sequence: 0x10,
        time_stamp: 0x14,
        check_sum: 0x18,
        name: 0x1c,
        size: 0x5c,
    },
};

const FOUR: Layout = Layout {
    teb: 0x1000,
    peb: Peb { size: 0x488, image_base: 0x8, loader: 0xc, parameters: 0x10 },
    loader: LoaderData { size: 0x30, lists: [0xc, 0x14, 0x1c] },
    entry: Entry {
        size: 0xa8,
        links: [0, 0x8, 0x10],
        base: 0x18,
        image_size: 0x20,
        full_name: 0x24,
        base_name: 0x2c,
        time_stamp: 0x44,
        read: 0x48,
    },
    parameters: Parameters {
        length: 4,
        flags: 8,
        image_path: 0x38,
        command_line: 0x40,
        environment: 0x48,
        environment_size: 0x290,
        read: 0x294,
    },
    unloaded: Unloaded {
        image_size: 4,
        sequence: 0x8,
        time_stamp: 0xc,
        check_sum: 0x10,
        name: 0x14,
        size: 0x54,
    },
};
