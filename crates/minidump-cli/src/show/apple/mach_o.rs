//! Mach-O files made for tests.

/// Size in bytes of header and load commands, and of everything up to the code.
const CODE: u64 = 0x400;

/// A library for arm64 whose functions begin at the given offsets, which are at least 0x400, and whose code is
/// linked at address 0. The names are as in C.
pub fn library(uuid: [u8; 16], functions: &[(u64, &str)]) -> Vec<u8> {
    let mut strings = vec![0];
    let mut symbols = Vec::new();
    for (address, name) in functions {
        symbols.extend(u32::try_from(strings.len()).unwrap().to_le_bytes());
        // N_SECT | N_EXT, section 1.
        symbols.extend([0x0f, 1, 0, 0]);
        symbols.extend(address.to_le_bytes());
        strings.extend(format!("_{name}\0").bytes());
    }
    let (table, count) = (0x2000_u32, u32::try_from(functions.len()).unwrap());
    let commands =
        [segment(), uuid_command(uuid), symtab(table, count, u32::try_from(strings.len()).unwrap())];
    let size: usize = commands.iter().map(Vec::len).sum();
    // MH_MAGIC_64, CPU_TYPE_ARM64, MH_DYLIB.
    let mut file = words(&[0xfeed_facf, 0x0100_000c, 0, 6, 3, u32::try_from(size).unwrap(), 0, 0]);
    file.extend(commands.concat());
    assert!(file.len() as u64 <= CODE);
    file.resize(table as usize, 0);
    file.extend(symbols);
    file.extend(strings);
    file
}

/// `__TEXT` of 0x2000 bytes, with one section of code.
fn segment() -> Vec<u8> {
    let mut command = words(&[0x19, 72 + 80]);
    command.extend(name("__TEXT"));
    command.extend([0, 0x2000, 0, 0x2000_u64].into_iter().flat_map(u64::to_le_bytes));
    command.extend(words(&[5, 5, 1, 0]));
    command.extend(name("__text"));
    command.extend(name("__TEXT"));
    command.extend([CODE, 0x2000 - CODE].into_iter().flat_map(u64::to_le_bytes));
    command.extend(words(&[0x400, 2, 0, 0, 0x8000_0400, 0, 0, 0]));
    command
}

fn uuid_command(uuid: [u8; 16]) -> Vec<u8> {
    [words(&[0x1b, 24]), uuid.to_vec()].concat()
}

fn symtab(table: u32, count: u32, strings: u32) -> Vec<u8> {
    words(&[2, 24, table, count, table + 16 * count, strings])
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn name(name: &str) -> [u8; 16] {
    let mut padded = [0; 16];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    padded
}
