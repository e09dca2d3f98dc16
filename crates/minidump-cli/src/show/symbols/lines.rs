//! Functions, inlined functions and source lines from DWARF.

use super::files::Files;
use super::object_file::{ObjectFile, Section};
use addr2line::{Context, FrameIter};
use gimli::Dwarf;
use std::sync::Arc;

/// Most inlined functions told of one address.
const MOST_INLINED: usize = 64;

/// The debug information of a module.
pub struct Lines {
    context: Context<Section>,
}

/// A function at an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFrame {
    /// Its name, demangled.
    pub function: Option<String>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
}

impl Lines {
    /// Reads the debug information of a module, if its files have any.
    pub fn load(files: &Files) -> Option<Self> {
        let own = files.debug.as_ref().or(files.binary.as_ref()).filter(|elf| elf.has_lines())?;
        let mut dwarf = dwarf(own)?;
        if let Some(shared) = &files.shared {
            dwarf.set_sup(self::dwarf(shared)?);
        }
        Some(Self { context: Context::from_dwarf(dwarf).ok()? })
    }

    /// The functions at an address of the file, the innermost inlined one first, the one that is called last.
    pub fn lookup(&self, address: u64) -> Vec<SourceFrame> {
        let mut found = Vec::new();
        // Split debug information (.dwo) is not looked for: such frames keep their symbol's name.
        let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() else { return found };
        while let Some(frame) = next(&mut frames) {
            if found.len() == MOST_INLINED {
                found.clear();
                break;
            }
            found.push(frame);
        }
        found
    }
}

fn next(frames: &mut FrameIter<'_, Section>) -> Option<SourceFrame> {
    let frame = frames.next().ok().flatten()?;
    let function = frame.function.and_then(|name| Some(name.demangle().ok()?.into_owned()));
    let (file, line) = frame.location.map_or((None, None), |at| (at.file.map(String::from), at.line));
    Some(SourceFrame { function, file, line })
}

fn dwarf(elf: &ObjectFile) -> Option<Dwarf<Section>> {
    let endian = elf.endian();
    let empty = || Section::new(Arc::from([].as_slice()), endian);
    let load = |id: gimli::SectionId| -> Result<Section, gimli::Error> {
        Ok(elf.section(id.name()).map_or_else(empty, |(_, section)| section))
    };
    Dwarf::load(load).ok()
}

/// A symbol's name as its language writes it.
pub fn demangle(name: &str) -> String {
    addr2line::demangle_auto(name.into(), None).into_owned()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn names_are_demangled_whatever_their_language() {
        assert_eq!(
            demangle("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"),
            "core::fmt::Write::write_fmt"
        );
        assert_eq!(
            demangle("_ZNSt6vectorIiSaIiEE9push_backEOi"),
            "std::vector<int, std::allocator<int> >::push_back(int&&)"
        );
        assert_eq!(demangle("clock_nanosleep"), "clock_nanosleep");
        assert_eq!(demangle("_Z"), "_Z");
    }

    #[test]
    fn this_very_function_is_found_with_its_file() {
        let own = ObjectFile::open(&std::env::current_exe().unwrap()).unwrap();
        let symbols = own.symbols();
        let symbol =
            symbols.iter().find(|symbol| symbol.name.contains("this_very_function_is_found_with_its_file"));
        let address = symbol.unwrap().address;
        let lines = Lines::load(&Files { binary: Some(own), debug: None, shared: None }).unwrap();
        let frames = lines.lookup(address);
        let outermost = frames.last().unwrap();
        assert!(outermost.function.as_ref().unwrap().contains("this_very_function"), "{outermost:?}");
        assert!(outermost.file.as_ref().unwrap().ends_with("lines.rs"), "{outermost:?}");
        assert_eq!(lines.lookup(1 << 60), []);
    }
}
