//! Recovers callers in programs of x86-64 Windows from their tables of functions, which every function has that calls
//! another one.
//!
//! Source: <https://learn.microsoft.com/cpp/build/exception-handling-x64>.

use super::pe_image::PeImage;
use minidump_unwind::FrameWalker;

/// Size in bytes of an entry of the table (`RUNTIME_FUNCTION`).
const ENTRY_SIZE: u32 = 12;
/// `UNW_FLAG_CHAININFO`: what goes on belongs to another entry.
const CHAINED: u8 = 4;
/// Most entries of one chain, and steps through an epilogue.
const MOST_CHAINED: usize = 32;
const MOST_POPS: usize = 16;
/// Registers by the numbers that unwind information has.
const NAMES: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];
const RSP: usize = 4;
/// Those that a function leaves to its caller as they were.
const PRESERVED: [usize; 8] = [3, 5, 6, 7, 12, 13, 14, 15];

/// A function: where it begins and ends, and where it is told how to unwind it; offsets from the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Function {
    begin: u32,
    end: u32,
    unwind: u32,
}

/// Sets the caller of the function at `at`, an offset from the base of `image`. `None` when that is not known.
pub fn step(image: &PeImage, at: u32, walker: &mut (dyn FrameWalker + Send)) -> Option<()> {
    let mut frame = Frame::new(walker)?;
    match function_at(image, at) {
        Some(function) => {
            let is_innermost = !walker.has_grand_callee();
            let in_epilogue = is_innermost && frame.leave(image, at, function, walker).is_some();
            if !in_epilogue {
                frame = Frame::new(walker)?;
                frame.unwind(image, at, function, walker)?;
            }
        }
        // A function without entry calls nobody and keeps nothing on the stack.
        None if walker.has_grand_callee() => return None,
        None => {}
    }
    frame.finish(walker)
}

/// The entry of the function that `at` lies in.
fn function_at(image: &PeImage, at: u32) -> Option<Function> {
    let (table, size) = image.functions;
    let (mut low, mut high) = (0, size / ENTRY_SIZE);
    while low < high {
        let middle = low + (high - low) / 2;
        let function = entry(image, table.checked_add(middle.checked_mul(ENTRY_SIZE)?)?)?;
        if at < function.begin {
            high = middle;
        } else if at >= function.end {
            low = middle + 1;
        } else {
            return Some(function);
        }
    }
    None
}

fn entry(image: &PeImage, at: u32) -> Option<Function> {
    let [b0, b1, b2, b3, e0, e1, e2, e3, u0, u1, u2, u3] = image.read(at)?;
    let function = Function {
        begin: u32::from_le_bytes([b0, b1, b2, b3]),
        end: u32::from_le_bytes([e0, e1, e2, e3]),
        unwind: u32::from_le_bytes([u0, u1, u2, u3]),
    };
    // The lowest bit tells that another entry has the information.
    if function.unwind & 1 == 0 {
        return Some(function);
    }
    let unwind = image.word((function.unwind & !1).checked_add(8)?)?;
    Some(Function { unwind, ..function })
}

/// Registers on the way from a function to its caller.
struct Frame {
    registers: [Option<u64>; 16],
    /// The instruction pointer, where it does not lie at the stack pointer: an interrupt's.
    interrupted: Option<u64>,
}

/// The head of `UNWIND_INFO`.
struct Head {
    flags: u8,
    prologue: u8,
    codes: u8,
    frame_register: usize,
    frame_offset: u64,
}

impl Frame {
    fn new(walker: &(dyn FrameWalker + Send)) -> Option<Self> {
        let registers = NAMES.map(|name| walker.get_callee_register(name));
        let frame = Self { registers, interrupted: None };
        frame.get(RSP).map(|_| frame)
    }

    fn get(&self, register: usize) -> Option<u64> {
        self.registers.get(register).copied().flatten()
    }

    fn set(&mut self, register: usize, value: Option<u64>) {
        if let Some(slot) = self.registers.get_mut(register) {
            *slot = value;
        }
    }

    fn pop(&mut self, register: usize, walker: &(dyn FrameWalker + Send)) -> Option<()> {
        let sp = self.get(RSP)?;
        self.set(register, Some(walker.get_register_at_address(sp)?));
        self.raise(8)
    }

    fn raise(&mut self, bytes: u64) -> Option<()> {
        let raised = self.get(RSP)?.checked_add(bytes)?;
        self.set(RSP, Some(raised));
        Some(())
    }

    /// Undoes what the prologue has done so far.
    fn unwind(
        &mut self,
        image: &PeImage,
        at: u32,
        function: Function,
        walker: &(dyn FrameWalker + Send),
    ) -> Option<()> {
        let mut inside = at.checked_sub(function.begin);
        let mut unwind = function.unwind;
        for _ in 0..MOST_CHAINED {
            let head = Head::read(image, unwind)?;
            let done = inside.filter(|inside| *inside < u32::from(head.prologue));
            self.undo(image, unwind.checked_add(4)?, &head, done, walker)?;
            if head.flags & CHAINED == 0 {
                return Some(());
            }
            // Codes take an even number of slots.
            let codes = u32::from(head.codes).next_multiple_of(2);
            unwind = entry(image, unwind.checked_add(4 + 2 * codes)?)?.unwind;
            inside = None;
        }
        None
    }

    /// Applies the codes of one entry. `inside` is how far into an unfinished prologue the instruction is.
    fn undo(
        &mut self,
        image: &PeImage,
        codes: u32,
        head: &Head,
        inside: Option<u32>,
        walker: &(dyn FrameWalker + Send),
    ) -> Option<()> {
        let is_set = head.frame_register > 0 && inside.is_none();
        let base = if is_set { self.frame_base(head) } else { self.get(RSP) };
        let mut index = 0_u32;
        while index < u32::from(head.codes) {
            let slot = |ahead: u32| image.short(codes.checked_add(2 * (index + ahead))?);
            let [offset, code] = slot(0)?.to_le_bytes();
            let (operation, info) = (code & 0xf, code >> 4);
            let slots = slots(operation, info)?;
            if inside.is_none_or(|inside| u32::from(offset) <= inside) {
                let operand = || -> Option<u64> {
                    let low = u64::from(slot(1)?);
                    Some(if slots == 3 { low | u64::from(slot(2)?) << 16 } else { low })
                };
                let register = usize::from(info);
                match (operation, info) {
                    (0, _) => self.pop(register, walker)?,
                    (1, 0) => self.raise(operand()?.checked_mul(8)?)?,
                    (1, _) => self.raise(operand()?)?,
                    (2, _) => self.raise(u64::from(info) * 8 + 8)?,
                    (3, _) => {
                        let base = self.frame_base(head)?;
                        self.set(RSP, Some(base));
                    }
                    (4 | 5, _) => {
                        let scale = if operation == 4 { 8 } else { 1 };
                        let saved = base?.checked_add(operand()?.checked_mul(scale)?)?;
                        self.set(register, Some(walker.get_register_at_address(saved)?));
                    }
                    (10, _) => return self.interrupt(info, walker),
                    // Vector registers, and where epilogues are.
                    _ => {}
                }
            }
            index += slots;
        }
        Some(())
    }

    /// What the frame register points at the start of.
    fn frame_base(&self, head: &Head) -> Option<u64> {
        self.get(head.frame_register)?.checked_sub(head.frame_offset)
    }

    /// The frame that an interrupt left, below an error code or not.
    fn interrupt(&mut self, has_error: u8, walker: &(dyn FrameWalker + Send)) -> Option<()> {
        let sp = self.get(RSP)?.checked_add(8 * u64::from(has_error))?;
        self.interrupted = Some(walker.get_register_at_address(sp)?);
        let before = walker.get_register_at_address(sp.checked_add(24)?)?;
        self.set(RSP, Some(before));
        Some(())
    }

    /// Executes an epilogue, if the next instructions are one: the stack pointer is raised, registers are popped, and
    /// the function returns.
    fn leave(
        &mut self,
        image: &PeImage,
        at: u32,
        function: Function,
        walker: &(dyn FrameWalker + Send),
    ) -> Option<()> {
        let mut at = at;
        let code = |at: u32| image.read::<1>(at).map(|[byte]| byte);
        // add rsp, imm8 and add rsp, imm32
        match image.read::<4>(at) {
            Some([0x48, 0x83, 0xc4, bytes @ 0..=0x7f]) => {
                self.raise(bytes.into())?;
                at = at.checked_add(4)?;
            }
            Some([0x48, 0x81, 0xc4, _]) => {
                self.raise(image.word(at.checked_add(3)?)?.into())?;
                at = at.checked_add(7)?;
            }
            _ => {}
        }
        for _ in 0..MOST_POPS {
            if at >= function.end {
                return None;
            }
            let first = code(at)?;
            // REX.B names the upper eight registers.
            let (high, pop) = if first == 0x41 { (8, code(at.checked_add(1)?)?) } else { (0, first) };
            match pop {
                0x58..=0x5f => self.pop(usize::from(pop - 0x58) + high, walker)?,
                0xc3 | 0xc2 if high == 0 => return Some(()),
                // rep ret, as compilers write it for old processors.
                0xf3 if code(at.checked_add(1)?)? == 0xc3 => return Some(()),
                _ => return None,
            }
            at = at.checked_add(if high > 0 { 2 } else { 1 })?;
        }
        None
    }

    /// Hands over the caller's registers.
    fn finish(mut self, walker: &mut (dyn FrameWalker + Send)) -> Option<()> {
        let instruction = if let Some(instruction) = self.interrupted {
            instruction
        } else {
            let instruction = walker.get_register_at_address(self.get(RSP)?)?;
            self.raise(8)?;
            instruction
        };
        for register in PRESERVED {
            let name = NAMES.get(register).copied()?;
            match self.get(register) {
                Some(value) => walker.set_caller_register(name, value)?,
                None => walker.clear_caller_register(name),
            }
        }
        walker.set_cfa(self.get(RSP)?)?;
        walker.set_ra(instruction)
    }
}

impl Head {
    fn read(image: &PeImage, at: u32) -> Option<Self> {
        let [flags, prologue, codes, frame] = image.read(at)?;
        let (version, flags) = (flags & 7, flags >> 3);
        let (frame_register, frame_offset) = (usize::from(frame & 0xf), u64::from(frame >> 4) * 16);
        let head = Self { flags, prologue, codes, frame_register, frame_offset };
        matches!(version, 1 | 2).then_some(head)
    }
}

/// How many slots of 16 bits a code takes. `None` for one that does not exist.
fn slots(operation: u8, info: u8) -> Option<u32> {
    match (operation, info) {
        (0 | 2 | 3 | 10, _) => Some(1),
        (1, 0) | (4 | 6 | 8, _) => Some(2),
        (1, 1) | (5 | 7 | 9, _) => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
