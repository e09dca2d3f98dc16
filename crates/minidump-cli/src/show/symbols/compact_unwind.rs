//! Recovers the caller of an innermost function from `__unwind_info`, which tells in 32 bits how a function keeps its
//! frame. Of functions further out, frame pointers tell the same.
//!
//! Source: mach-o/compact_unwind_encoding.h.

use super::cfi::Step;
use super::object_file::{ObjectFile, Section};
use minidump_unwind::FrameWalker;

/// Kinds of second-level pages.
const REGULAR: u32 = 2;
const COMPRESSED: u32 = 3;
/// How the frame is kept: bits 24 to 27 of an encoding.
const MODE: u32 = 0x0f00_0000;
const X86_64_FRAME: u32 = 0x0100_0000;
const X86_64_IMMEDIATE: u32 = 0x0200_0000;
const ARM64_FRAMELESS: u32 = 0x0200_0000;
const ARM64_FRAME: u32 = 0x0400_0000;

/// Compact unwind information of a module.
pub struct CompactUnwind {
    info: Section,
    /// Address in the file that offsets count from.
    base: u64,
    is_arm64: bool,
}

/// A function and how it keeps its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Function {
    /// First address in the file.
    start: u64,
    encoding: u32,
}

impl CompactUnwind {
    /// The information in `file`, if it is a Mach-O file that has some.
    pub fn load(file: &ObjectFile) -> Option<Self> {
        let base = file.text_address()?;
        let (_, info) = file.section("__unwind_info")?;
        let is_arm64 = file.is_arm64();
        (is_arm64 || file.is_x86_64()).then_some(Self { info, base, is_arm64 })
    }

    /// First address of the function that `address` of the file lies in.
    pub fn function_at(&self, address: u64) -> Option<u64> {
        self.lookup(address).map(|function| function.start)
    }

    /// Sets the caller's registers in `walker`, whose innermost function is at `address` of the file. `None` when that is
    /// not known, or the frame pointer tells it.
    pub fn step(&self, address: u64, walker: &mut (dyn FrameWalker + Send)) -> Option<Step> {
        if walker.has_grand_callee() {
            return None;
        }
        let function = self.lookup(address)?;
        let inside = address.checked_sub(function.start)?;
        if self.is_arm64 {
            arm64(function.encoding, inside, walker)
        } else {
            x86_64(function.encoding, inside, walker)
        }
    }

    fn lookup(&self, address: u64) -> Option<Function> {
        let offset = u32::try_from(address.checked_sub(self.base)?).ok()?;
        if self.word(0)? != 1 {
            return None;
        }
        let (index, count) = (self.word(20)?, self.word(24)?);
        let first_of = |entry: u32| self.word(index.checked_add(entry.checked_mul(12)?)?);
        let entry = last_not_above(count, offset, first_of)?;
        let at = index.checked_add(entry.checked_mul(12)?)?;
        let page = self.word(at.checked_add(4)?)?;
        // The last entry of the index has no page: it is the end of the last function.
        if page == 0 {
            return None;
        }
        let (start, encoding) = match self.word(page)? {
            REGULAR => self.regular(page, offset)?,
            COMPRESSED => self.compressed(page, self.word(at)?, offset)?,
            _ => return None,
        };
        (encoding != 0).then_some(Function { start: self.base.checked_add(start.into())?, encoding })
    }

    /// Offset and encoding of a function on a page whose entries have both in full.
    fn regular(&self, page: u32, offset: u32) -> Option<(u32, u32)> {
        let (entries, count) = self.entries(page)?;
        let at = |entry: u32| entries.checked_add(entry.checked_mul(8)?);
        let entry = at(last_not_above(count, offset, |entry| self.word(at(entry)?))?)?;
        Some((self.word(entry)?, self.word(entry.checked_add(4)?)?))
    }

    /// The same on a page whose entries have 24 bits of offset from `first`, and the number of an encoding.
    fn compressed(&self, page: u32, first: u32, offset: u32) -> Option<(u32, u32)> {
        let (entries, count) = self.entries(page)?;
        let word = |entry: u32| self.word(entries.checked_add(entry.checked_mul(4)?)?);
        let relative = offset.checked_sub(first)?;
        let entry = word(last_not_above(count, relative, |entry| Some(word(entry)? & 0xff_ffff))?)?;
        let (number, common) = (entry >> 24, self.word(8)?);
        let encoding = match number.checked_sub(common) {
            None => self.word(self.word(4)?.checked_add(number.checked_mul(4)?)?)?,
            Some(own) => {
                let encodings = page.checked_add(self.half(page.checked_add(8)?)?)?;
                self.word(encodings.checked_add(own.checked_mul(4)?)?)?
            }
        };
        Some((first.checked_add(entry & 0xff_ffff)?, encoding))
    }

    /// Where the entries of a page lie, and how many there are.
    fn entries(&self, page: u32) -> Option<(u32, u32)> {
        Some((page.checked_add(self.half(page.checked_add(4)?)?)?, self.half(page.checked_add(6)?)?))
    }

    fn word(&self, offset: u32) -> Option<u32> {
        let bytes = self.info.bytes().get(usize::try_from(offset).ok()?..)?;
        bytes.first_chunk().map(|word| u32::from_le_bytes(*word))
    }

    fn half(&self, offset: u32) -> Option<u32> {
        let bytes = self.info.bytes().get(usize::try_from(offset).ok()?..)?;
        bytes.first_chunk().map(|half| u16::from_le_bytes(*half).into())
    }
}

/// The last of `count` entries whose value is not above `wanted`. They should be sorted; if not, it is just another entry.
fn last_not_above(count: u32, wanted: u32, value: impl Fn(u32) -> Option<u32>) -> Option<u32> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if value(middle)? <= wanted { low = middle.checked_add(1)? } else { high = middle }
    }
    low.checked_sub(1)
}

fn arm64(encoding: u32, inside: u64, walker: &mut (dyn FrameWalker + Send)) -> Option<Step> {
    let frame = match encoding & MODE {
        // Nothing is on the stack before the first instruction.
        ARM64_FRAME | ARM64_FRAMELESS if inside == 0 => 0,
        ARM64_FRAMELESS => u64::from(encoding >> 12 & 0xfff) * 16,
        _ => return None,
    };
    let (sp, lr) = (walker.get_callee_register("sp")?, walker.get_callee_register("x30")?);
    walker.set_cfa(sp.checked_add(frame)?)?;
    walker.set_ra(lr)?;
    Some(Step::default())
}

fn x86_64(encoding: u32, inside: u64, walker: &mut (dyn FrameWalker + Send)) -> Option<Step> {
    let sp = walker.get_callee_register("rsp")?;
    let (cfa, saved) = match (encoding & MODE, inside) {
        (X86_64_FRAME | X86_64_IMMEDIATE, 0) => (sp.checked_add(8)?, Vec::new()),
        // Behind `push %rbp`, which is one byte long.
        (X86_64_FRAME, 1) => (sp.checked_add(16)?, vec!["rbp"]),
        (X86_64_IMMEDIATE, _) => {
            (sp.checked_add(u64::from(encoding >> 16 & 0xff) * 8)?, saved_registers(encoding)?)
        }
        _ => return None,
    };
    let return_address = cfa.checked_sub(8)?;
    // The registers lie below the return address, the last one next to it.
    let places = saved
        .iter()
        .rev()
        .zip(1_u64..)
        .map(|(name, distance)| (*name, return_address.checked_sub(8 * distance)));
    let restored: Vec<_> =
        places.map(|(name, at)| (name, at.and_then(|at| walker.get_register_at_address(at)))).collect();
    let return_address = walker.get_register_at_address(return_address)?;
    walker.set_cfa(cfa)?;
    walker.set_ra(return_address)?;
    for (name, value) in restored {
        match value {
            Some(value) => walker.set_caller_register(name, value)?,
            None => walker.clear_caller_register(name),
        }
    }
    Some(Step::default())
}

/// The registers that a function without frame pointer keeps on the stack, the lowest address first. Bits 10 to 12 of its
/// encoding tell how many, bits 0 to 9 which ones: the number of their permutation, in a numeral system where each digit
/// picks one of the registers that are left.
fn saved_registers(encoding: u32) -> Option<Vec<&'static str>> {
    let mut left = vec!["rbx", "r12", "r13", "r14", "r15", "rbp"];
    let count = encoding >> 10 & 7;
    let mut rest = encoding & 0x3ff;
    let mut saved = Vec::new();
    for digit in 0..count {
        // How many ways there are to pick those behind this digit.
        let ways: u32 = (digit + 1..count).map(|later| 6_u32.saturating_sub(later)).product();
        let picked = usize::try_from(rest.checked_div(ways)?).ok()?;
        rest = rest.checked_rem(ways)?;
        saved.push(if picked < left.len() { left.remove(picked) } else { return None });
    }
    Some(saved)
}

#[cfg(test)]
mod tests;
