//! PE images: what their headers, debug directory and version resource tell, in memory or in a file.
//!
//! Source: <https://learn.microsoft.com/windows/win32/debug/pe-format>.

mod code_view;
mod file;
mod headers;
mod memory;
mod version;

pub use code_view::module_id;
pub use file::FileImage;
pub use headers::{Headers, NoHeaders};
pub use memory::MemoryImage;

/// Where the bytes of an image come from.
pub trait ImageBytes {
    /// Reads from the relative virtual address `rva` on into `buffer`. Returns how many bytes came before a gap.
    fn read(&self, rva: u32, buffer: &mut [u8]) -> usize;

    /// As [`read`](Self::read), of data that may lie in the file at `offset` without being part of the image; `rva` is zero
    /// then.
    fn read_data(&self, rva: u32, offset: u32, buffer: &mut [u8]) -> usize;

    /// The `size` bytes from `rva` on, all or nothing.
    fn bytes(&self, rva: u32, size: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; size];
        (self.read(rva, &mut bytes) == size).then_some(bytes)
    }
}

/// Something that an image may have: `Ok(None)` says that it does not have it, an error that nobody can tell.
pub type Part<T> = Result<Option<T>, Unreadable>;

/// The bytes that would tell cannot be had, or make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// What an image tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeFacts {
    /// Of its headers.
    pub headers: Headers,
    /// The `CodeView` record, as it is in the image.
    pub code_view: Part<Vec<u8>>,
    /// `VS_FIXEDFILEINFO`.
    pub version: Part<[u32; 13]>,
}

impl PeFacts {
    /// Reads an image.
    ///
    /// # Errors
    /// There are no headers. What else cannot be had is told by the parts.
    pub fn read(image: &impl ImageBytes) -> Result<Self, NoHeaders> {
        let headers = Headers::read(image)?;
        let code_view = code_view::read(image, headers.debug);
        let version = version::read(image, headers.resources);
        Ok(Self { headers, code_view, version })
    }

    /// Whether some part is not known.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.code_view.is_err() || self.version.is_err()
    }

    /// Takes from `other`, which tells of the same image, what is not known here.
    pub fn complete(&mut self, other: Self) {
        if self.code_view.is_err() {
            self.code_view = other.code_view;
        }
        if self.version.is_err() {
            self.version = other.version;
        }
    }
}
