use serde::{Deserialize, Serialize};

/// How a module is told apart from others of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ModuleId {
    /// The GNU build id (note `NT_GNU_BUILD_ID`), of any length.
    BuildId(Vec<u8>),
    /// No build id: the first page of the text section folded into 16 bytes by XOR, as Breakpad's tools compute it
    /// from the file.
    TextHash([u8; 16]),
    /// The UUID of a Mach-O image (LC_UUID), in the order of the bytes in the file.
    Uuid([u8; 16]),
    /// The id of the program database (PDB) of a PE image: the GUID's bytes in the order of the file, which has the first
    /// three fields as little-endian numbers, and the age.
    #[expect(missing_docs, reason = "see above")]
    Pdb { guid: [u8; 16], age: u32 },
}

impl ModuleId {
    /// The bytes that tell it from others; of a PDB the GUID without the age.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::BuildId(id) => id,
            Self::TextHash(bytes) | Self::Uuid(bytes) | Self::Pdb { guid: bytes, .. } => bytes,
        }
    }
}

/// Four-part version of a module; missing parts are zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct FileVersion {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
    pub build: u32,
}

/// A loaded image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Address of the first byte of the image.
    pub base: u64,
    /// Size in bytes of the span that the image's segments cover, holes included.
    pub size: u64,
    /// Path (or `linux-gate.so` for the vdso), as raw bytes.
    pub path: Vec<u8>,
    /// `DT_SONAME`, or the name in LC_ID_DYLIB, when the image has one.
    pub soname: Option<String>,
    /// Version, from the file name or the SONAME.
    pub version: Option<FileVersion>,
    /// Identity; `None` when neither target memory nor the file could tell.
    pub id: Option<ModuleId>,
    /// True for the main executable.
    pub is_main: bool,
    /// The file had been removed or replaced when the process was captured.
    pub deleted: bool,
}
