use super::{FormatError, MDRawDirectory, MemoryWriter};

/// A stream of the file: anything that can append its bytes and name its type.
///
/// An application adds its own by implementing this and passing it in
/// [`LayoutOptions::extra_sections`](super::LayoutOptions::extra_sections).
pub trait SectionWriter {
    /// Appends the stream and all it points to. Returns its directory entry: type, offset and size of the stream
    /// itself, without what it points to.
    ///
    /// # Errors
    /// Whatever keeps the section from being complete. The file then goes without it, and a soft error says so.
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError>;

    /// The stream type. Each may be in a file once; values below 0x10000 belong to Microsoft.
    fn section_type(&self) -> u32;

    /// About how many bytes [`write_section`](Self::write_section) appends, so that the buffer need not grow.
    fn size_hint(&self) -> usize {
        0
    }
}
