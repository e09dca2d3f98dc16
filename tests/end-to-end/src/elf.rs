//! ELF files, read independently of the program under test.

use object::{Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _};
use std::path::Path;

/// The build id of a file; empty when it has none.
#[track_caller]
pub fn build_id(path: &Path) -> Vec<u8> {
    let data = std::fs::read(path).unwrap();
    let file = object::File::parse(data.as_slice()).unwrap();
    file.build_id().unwrap().unwrap_or_default().to_vec()
}

/// The functions of a file, to find by address.
#[derive(Debug)]
pub struct Symbols(Vec<(u64, u64, String)>);

impl Symbols {
    /// Reads the symbol table of a file.
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        let data = std::fs::read(path).unwrap();
        let file = object::File::parse(data.as_slice()).unwrap();
        let functions = file.symbols().filter(|symbol| symbol.kind() == object::SymbolKind::Text);
        Self(
            functions
                .map(|symbol| (symbol.address(), symbol.size(), symbol.name().unwrap().to_owned()))
                .collect(),
        )
    }

    /// The mangled name of the function at an address of the file.
    pub fn at(&self, address: u64) -> Option<&str> {
        let found = self.0.iter().find(|(start, size, _)| (*start..start + size).contains(&address));
        found.map(|(_, _, name)| name.as_str())
    }
}

/// Whether the mangled name is that of the crasher's function `function`: both of Rust's schemes write an identifier
/// behind its length.
pub fn is_function(mangled: &str, function: &str) -> bool {
    mangled.contains(&format!("{}{function}", function.len()))
}

/// The build id of an image in memory.
#[track_caller]
pub fn build_id_of(image: &[u8]) -> Vec<u8> {
    let file = object::File::parse(image).unwrap();
    file.build_id().unwrap().unwrap_or_default().to_vec()
}

/// Whether a file is an ELF image.
pub fn is_image(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|data| data.starts_with(b"\x7fELF"))
}

/// Bytes that the loaded segments of a file span in memory, in whole pages.
#[track_caller]
pub fn span(path: &Path) -> u64 {
    let data = std::fs::read(path).unwrap();
    let file = object::File::parse(data.as_slice()).unwrap();
    let start = file.segments().map(|segment| segment.address()).min().unwrap();
    let end = file.segments().map(|segment| segment.address() + segment.size()).max().unwrap();
    end.next_multiple_of(4096) - start / 4096 * 4096
}

/// Bytes as lower-case hexadecimal digits, as tools print build ids.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

/// Makes a copy of a file without its build id, or with only the first `length` bytes of it.
#[track_caller]
pub fn copy_with_short_build_id(from: &Path, to: &Path, length: u8) {
    let mut data = std::fs::read(from).unwrap();
    let id = build_id_of(&data);
    let at = data.windows(id.len()).position(|window| window == id).expect("the build id is in the file");
    // The note before it: name size, description size, type, the name "GNU".
    let (size, kind) = (at - 12, at - 8);
    if length == 0 {
        data[kind] = 0x7f;
    } else {
        data[size] = length;
    }
    std::fs::write(to, data).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
}

/// The first page of the section `.text`, folded into 16 bytes by exclusive or: what Breakpad takes for an id where
/// there is none.
#[track_caller]
pub fn text_hash(path: &Path) -> [u8; 16] {
    let data = std::fs::read(path).unwrap();
    let file = object::File::parse(data.as_slice()).unwrap();
    let text = file.section_by_name(".text").unwrap().data().unwrap();
    let mut hash = [0; 16];
    for (index, byte) in text.iter().take(4096).enumerate() {
        hash[index % 16] ^= byte;
    }
    hash
}
