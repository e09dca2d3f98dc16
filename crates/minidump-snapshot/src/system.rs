use serde::{Deserialize, Serialize};

/// The operating system of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OperatingSystem {
    /// Linux with any user land but Android's.
    Linux,
    /// Android.
    Android,
    /// macOS.
    MacOs,
    /// iOS and its kin.
    Ios,
    /// Windows.
    Windows,
}

/// One component of the x86 XSAVE area in its standard (non-compacted) format.
///
/// Source: Intel SDM volume 1 §13.5, CPUID leaf 0xD sub-leaf n (EAX size, EBX offset).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct XsaveComponent {
    /// Bit number in XCR0 and `XSTATE_BV`: 2 is AVX, 5 opmask, 6 `ZMM_Hi256`, 7 `Hi16_ZMM`, 9 PKRU, 17/18 AMX.
    pub index: u8,
    /// Offset in bytes from the start of the XSAVE area.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
}

/// The processor, by architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Cpu {
    /// x86-64.
    Amd64 {
        /// CPUID leaf 0: the twelve vendor characters in the order EBX, EDX, ECX.
        vendor: [u8; 12],
        /// CPUID leaf 1, EAX: family, model, stepping.
        version_information: u32,
        /// CPUID leaf 1, EDX.
        feature_information: u32,
        /// CPUID leaf `0x8000_0001`, EDX; zero when the leaf does not exist.
        extended_features: u32,
        /// Components of the XSAVE area beyond x87 and SSE that the kernel has enabled, by ascending index.
        xsave: Vec<XsaveComponent>,
    },
    /// AArch64.
    Arm64,
    /// 32-bit x86. The fields are those of x86-64.
    #[expect(missing_docs, reason = "see above")]
    X86 {
        vendor: [u8; 12],
        version_information: u32,
        feature_information: u32,
        extended_features: u32,
        xsave: Vec<XsaveComponent>,
    },
}

impl Cpu {
    /// Size in bytes of a pointer: 4 or 8.
    #[must_use]
    pub fn pointer_size(&self) -> usize {
        match self {
            Self::Amd64 { .. } | Self::Arm64 => 8,
            Self::X86 { .. } => 4,
        }
    }
}

/// The machine and the operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// Operating system family.
    pub os: OperatingSystem,
    /// Major, minor, patch of the kernel's version; on Windows major, minor, build.
    pub version: (u32, u32, u32),
    /// What `uname -srvm` prints: system, release, version, machine; elsewhere the like.
    pub description: String,
    /// The processor.
    pub cpu: Cpu,
    /// Number of processors configured.
    pub cpu_count: u32,
    /// Highest clock in MHz, when known.
    pub cpu_max_mhz: Option<u32>,
    /// Page size in bytes.
    pub page_size: u32,
    /// What wrote the snapshot: name and version of the capturing program.
    pub build: String,
}
