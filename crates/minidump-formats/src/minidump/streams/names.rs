use crate::minidump::{FormatError, MemoryWriter};
use minidump_common::format::RVA;
use std::collections::HashMap;

/// Offsets of the names that the file holds already: there are few types, and thousands of handles.
#[derive(Default)]
pub(super) struct Names<'a>(HashMap<&'a str, RVA>);

impl<'a> Names<'a> {
    /// Where `name` lies, which is appended when it is new.
    pub(super) fn rva(&mut self, buffer: &mut MemoryWriter, name: &'a str) -> Result<RVA, FormatError> {
        if let Some(rva) = self.0.get(name) {
            return Ok(*rva);
        }
        let rva = buffer.write_string(name.as_bytes())?;
        self.0.insert(name, rva);
        Ok(rva)
    }
}
