//! The two ways in which a Mach-O file tells which pointers have to be written: opcodes (LC_DYLD_INFO) and chains
//! (LC_DYLD_CHAINED_FIXUPS). Source: mach-o/loader.h, mach-o/fixup-chains.h.

use crate::macho::Segment;
use crate::reader::Reader;

/// A pointer to something of another library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Where the pointer lies, counted from the first byte of the library.
    pub at: u64,
    /// What it points at.
    pub name: String,
    /// What is added to the address.
    pub addend: i64,
}

/// All pointers to be written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fixups {
    /// Where a pointer lies, and at what of the library it points.
    pub rebases: Vec<(u64, Option<u64>)>,
    /// Those to other libraries.
    pub imports: Vec<Import>,
}

/// A list of opcodes.
struct Opcodes<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl Opcodes<'_> {
    /// The next opcode and its immediate value.
    fn next(&mut self) -> Option<(u8, u8)> {
        self.bytes.next().map(|byte| (byte & 0xf0, byte & 0x0f))
    }

    fn uleb(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = *self.bytes.next()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
    }

    fn sleb(&mut self) -> Option<i64> {
        let before = self.bytes.clone();
        let value = self.uleb()?;
        let length = u32::try_from(before.len() - self.bytes.len()).ok()? * 7;
        let unused = 64_u32.saturating_sub(length);
        Some((value.cast_signed() << unused) >> unused)
    }

    fn text(&mut self) -> Option<String> {
        let bytes: Vec<u8> = self.bytes.by_ref().copied().take_while(|byte| *byte != 0).collect();
        String::from_utf8(bytes).ok()
    }
}

/// Those of the `dyld_info_command` at `at`. `segments` are their addresses.
pub fn opcodes(reader: Reader<'_>, at: usize, segments: &[u64]) -> Option<Fixups> {
    let list = |field: usize| {
        let bytes = reader.bytes(reader.offset(at + field)?, reader.offset(at + field + 4)?)?;
        Some(Opcodes { bytes: bytes.iter() })
    };
    let mut fixups = Fixups::default();
    rebases(list(8)?, segments, &mut fixups)?;
    binds(list(16)?, segments, false, &mut fixups)?;
    binds(list(24)?, segments, false, &mut fixups)?;
    binds(list(32)?, segments, true, &mut fixups)?;
    Some(fixups)
}

fn rebases(mut opcodes: Opcodes<'_>, segments: &[u64], fixups: &mut Fixups) -> Option<()> {
    let mut at = 0_u64;
    while let Some((opcode, immediate)) = opcodes.next() {
        let (count, step) = match opcode {
            0x00 => break,
            0x10 => continue,
            0x20 => {
                at = segments.get(usize::from(immediate))?.wrapping_add(opcodes.uleb()?);
                continue;
            }
            0x30 => {
                at = at.wrapping_add(opcodes.uleb()?);
                continue;
            }
            0x40 => {
                at = at.wrapping_add(u64::from(immediate) * 8);
                continue;
            }
            0x50 => (u64::from(immediate), 8),
            0x60 => (opcodes.uleb()?, 8),
            0x70 => (1, opcodes.uleb()?.wrapping_add(8)),
            0x80 => (opcodes.uleb()?, opcodes.uleb()?.wrapping_add(8)),
            _ => return None,
        };
        for _ in 0..count {
            // The target is what the file holds there.
            fixups.rebases.push((at, None));
            at = at.wrapping_add(step);
        }
    }
    Some(())
}

fn binds(mut opcodes: Opcodes<'_>, segments: &[u64], lazy: bool, fixups: &mut Fixups) -> Option<()> {
    let (mut at, mut name, mut addend) = (0_u64, String::new(), 0);
    while let Some((opcode, immediate)) = opcodes.next() {
        let (count, step) = match opcode {
            // Ends one entry of a lazy list, and all of another.
            0x00 if lazy => continue,
            0x00 => break,
            // Which library, and what type: all is libSystem, and a pointer.
            0x10 | 0x30 | 0x50 => continue,
            0x20 => {
                opcodes.uleb()?;
                continue;
            }
            0x40 => {
                name = opcodes.text()?;
                continue;
            }
            0x60 => {
                addend = opcodes.sleb()?;
                continue;
            }
            0x70 => {
                at = segments.get(usize::from(immediate))?.wrapping_add(opcodes.uleb()?);
                continue;
            }
            0x80 => {
                at = at.wrapping_add(opcodes.uleb()?);
                continue;
            }
            0x90 => (1, 8),
            0xa0 => (1, opcodes.uleb()?.wrapping_add(8)),
            0xb0 => (1, u64::from(immediate) * 8 + 8),
            0xc0 => (opcodes.uleb()?, opcodes.uleb()?.wrapping_add(8)),
            _ => return None,
        };
        for _ in 0..count {
            fixups.imports.push(Import { at, name: name.clone(), addend });
            at = at.wrapping_add(step);
        }
    }
    Some(())
}

/// DYLD_CHAINED_PTR_64 and DYLD_CHAINED_PTR_64_OFFSET.
const POINTERS: [u16; 2] = [2, 6];
/// DYLD_CHAINED_IMPORT.
const PLAIN_IMPORTS: u32 = 1;

/// Those of the `linkedit_data_command` at `at`.
pub fn chained(reader: Reader<'_>, at: usize, segments: &[Segment]) -> Option<Fixups> {
    let data = Reader(reader.bytes(reader.offset(at + 8)?, reader.offset(at + 12)?)?);
    if data.u32(20)? != PLAIN_IMPORTS || data.u32(24)? != 0 {
        return None;
    }
    let (starts, imports, texts) = (data.offset(4)?, data.offset(8)?, data.offset(12)?);
    let name = |ordinal: usize| {
        let entry = data.offset(imports.checked_add(ordinal.checked_mul(4)?)?)?;
        data.text(texts.checked_add(entry >> 9)?)
    };
    let mut fixups = Fixups::default();
    for (index, segment) in segments.iter().enumerate().take(data.offset(starts)?) {
        let offset = data.offset(starts + 4 + index * 4)?;
        if offset == 0 {
            continue;
        }
        let info = starts + offset;
        let (page_size, kind) = (usize::from(data.u16(info + 4)?), data.u16(info + 6)?);
        if !POINTERS.contains(&kind) {
            return None;
        }
        for page in 0..usize::from(data.u16(info + 20)?) {
            let first = data.u16(info + 22 + page * 2)?;
            if first != 0xffff {
                chain(segment, page * page_size + usize::from(first), &name, &mut fixups)?;
            }
        }
    }
    Some(fixups)
}

/// One chain of pointers, from the offset `at` in `segment` on.
fn chain<'a>(
    segment: &Segment,
    mut at: usize,
    name: &dyn Fn(usize) -> Option<&'a str>,
    fixups: &mut Fixups,
) -> Option<()> {
    loop {
        let value = Reader(&segment.bytes).u64(at)?;
        let place = segment.address.wrapping_add(u64::try_from(at).ok()?);
        if value >> 63 == 1 {
            let ordinal = usize::try_from(value & 0x00ff_ffff).ok()?;
            let addend = i64::try_from((value >> 24) & 0xff).ok()?;
            fixups.imports.push(Import { at: place, name: name(ordinal)?.to_owned(), addend });
        } else {
            // Libraries begin at address 0, so that offsets and addresses are the same.
            let target = (value & 0xf_ffff_ffff) | (((value >> 36) & 0xff) << 56);
            fixups.rebases.push((place, Some(target)));
        }
        let next = usize::try_from((value >> 51) & 0xfff).ok()? * 4;
        if next == 0 {
            return Some(());
        }
        at = at.checked_add(next)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A load command at 0, whose fields `(offset, value)` are these, and then `data` from 64 on.
    fn file(fields: &[(usize, u32)], data: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 64];
        for (at, value) in fields {
            file[*at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        file.extend(data);
        file
    }

    #[test]
    fn opcodes_tell_places_names_and_addends() {
        // Segment 1 at offset 0x80: two pointers in a row, then one 16 bytes behind the last.
        let rebase = [0x11, 0x21, 0x80, 0x01, 0x52, 0x31, 0x08, 0x51, 0x00];
        // _one and _two + -1, at 8 in segment 0 and at 24 behind.
        let bind = [0x11, 0x40, b'_', b'o', b'n', b'e', 0, 0x51, 0x70, 8, 0xa0, 16];
        let more = [0x40, b'_', b't', b'w', b'o', 0, 0x60, 0x7f, 0x90, 0x00];
        let bind = [bind.as_slice(), &more].concat();
        // Lazy lists have an end after each.
        let lazy = [0x70, 0x40, 0x40, b'_', b'l', 0, 0x90, 0x00, 0x71, 0x10, 0x40, b'_', b'm', 0, 0x90, 0x00];
        let (bind_at, lazy_at) = (64 + rebase.len(), 64 + rebase.len() + bind.len());
        let at = |value: usize| u32::try_from(value).unwrap();
        let fields = [
            (8, 64),
            (12, at(rebase.len())),
            (16, at(bind_at)),
            (20, at(bind.len())),
            (32, at(lazy_at)),
            (36, at(lazy.len())),
        ];
        let file = file(&fields, &[rebase.as_slice(), &bind, &lazy].concat());
        let fixups = opcodes(Reader(&file), 0, &[0x1000, 0x4000]).unwrap();
        assert_eq!(fixups.rebases, [(0x4080, None), (0x4088, None), (0x4098, None)]);
        let import = |at, name: &str, addend| Import { at, name: name.to_owned(), addend };
        let expected = [
            import(0x1008, "_one", 0),
            import(0x1020, "_two", -1),
            import(0x1040, "_l", 0),
            import(0x4010, "_m", 0),
        ];
        assert_eq!(fixups.imports, expected);
    }

    #[test]
    fn chains_lead_from_pointer_to_pointer() {
        // Header: version, starts, imports, symbols, count of imports, their format, format of symbols.
        let mut data: Vec<u8> = [0_u32, 28, 64, 68, 1, 1, 0].into_iter().flat_map(u32::to_le_bytes).collect();
        // One segment, whose starts are 8 bytes behind: size, page size, format 6, offset, limit, one page, first at 8.
        data.extend([1_u32, 8].into_iter().flat_map(u32::to_le_bytes));
        data.extend(24_u32.to_le_bytes());
        data.extend([0x4000_u16, 6].into_iter().flat_map(u16::to_le_bytes));
        data.extend([0; 12]);
        data.extend([1_u16, 8].into_iter().flat_map(u16::to_le_bytes));
        data.resize(64, 0);
        // The import's name is at 1 among the symbols.
        data.extend((1_u32 << 9 | 1).to_le_bytes());
        data.extend(b"\0_name\0");
        let file = file(&[(8, 64), (12, u32::try_from(data.len()).unwrap())], &data);
        let mut bytes = vec![0; 32];
        // A pointer to 0x1234, and 16 bytes behind it one to the import, 3 behind it.
        bytes[8..16].copy_from_slice(&(0x1234_u64 | 4 << 51).to_le_bytes());
        bytes[24..32].copy_from_slice(&(1_u64 << 63 | 3 << 24).to_le_bytes());
        let segments = [Segment { address: 0x8000, size: 0x4000, bytes }];
        let fixups = chained(Reader(&file), 0, &segments).unwrap();
        assert_eq!(fixups.rebases, [(0x8008, Some(0x1234))]);
        assert_eq!(fixups.imports, [Import { at: 0x8018, name: "_name".into(), addend: 3 }]);
    }
}
