//! Recovers the registers of a caller on x86-64 from call frame information: `.eh_frame` (Linux Standard Base, core
//! part, chapter 10) and `.debug_frame` (DWARF 5, section 6.4).

use super::expression::evaluate;
use super::object_file::{ObjectFile, Section};
use gimli::{
    BaseAddresses, CfaRule, DebugFrame, EhFrame, EhFrameHdr, Encoding, FrameDescriptionEntry,
    ParsedEhFrameHdr, Register, RegisterRule, UnwindContext, UnwindExpression, UnwindSection, UnwindTableRow,
};
use minidump_unwind::FrameWalker;

/// Registers by DWARF number (System V ABI, AMD64 supplement, figure 3.36). Number 16 is the return address.
const REGISTERS: [&str; 17] = [
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "rip",
];
const STACK_POINTER: Register = Register(7);
const RETURN_ADDRESS: Register = Register(16);

/// The call frame information of a module.
pub struct CallFrames {
    eh_frame: Option<(EhFrame<Section>, Option<ParsedEhFrameHdr<Section>>)>,
    debug_frame: Option<DebugFrame<Section>>,
    bases: BaseAddresses,
    context: UnwindContext<usize>,
}

/// What was learnt while going to the caller, besides its registers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Address at which a signal interrupted the caller, when that is how it came to call.
    pub interrupted: Option<u64>,
}

impl CallFrames {
    /// Reads the call frame information of a module's files.
    pub fn load(binary: Option<&ObjectFile>, debug: Option<&ObjectFile>) -> Option<Self> {
        let debug_frame = [debug, binary].into_iter().flatten().find_map(|elf| elf.section(".debug_frame"));
        let mut bases = BaseAddresses::default();
        let eh_frame = binary.and_then(|elf| {
            let (address, section) =
                elf.section(".eh_frame").filter(|(_, section)| !section.bytes().is_empty())?;
            bases = bases.clone().set_eh_frame(address);
            for (name, set) in
                [(".text", BaseAddresses::set_text as fn(_, _) -> _), (".got", BaseAddresses::set_got)]
            {
                if let Some(address) = elf.section_address(name) {
                    bases = set(bases.clone(), address);
                }
            }
            let header = elf.section(".eh_frame_hdr").and_then(|(address, section)| {
                bases = bases.clone().set_eh_frame_hdr(address);
                EhFrameHdr::from(section).parse(&bases, 8).ok()
            });
            Some((EhFrame::from(section), header))
        });
        let debug_frame = debug_frame.map(|(_, section)| DebugFrame::from(section));
        (eh_frame.is_some() || debug_frame.is_some()).then(|| Self {
            eh_frame,
            debug_frame,
            bases,
            context: UnwindContext::new(),
        })
    }

    /// First address of the function that `address` of the file lies in.
    pub fn function_at(&self, address: u64) -> Option<u64> {
        let found = self.eh_entry(address).map(|entry| entry.initial_address());
        found.or_else(|| self.debug_entry(address).map(|entry| entry.initial_address()))
    }

    /// Whether `address` of the file is the code that the kernel has handlers of signals return to.
    pub fn is_signal_return(&self, address: u64) -> bool {
        let entry = self.eh_entry(address).or_else(|| self.debug_entry(address));
        entry.is_some_and(|entry| entry.is_signal_trampoline())
    }

    /// Sets the caller's registers in `walker`, whose callee is at `address` of the file. `None` when there is no
    /// information for that address or what it refers to is not in the dump.
    pub fn step(&mut self, address: u64, walker: &mut (dyn FrameWalker + Send)) -> Option<Step> {
        if let Some(entry) = self.eh_entry(address) {
            let (section, _) = self.eh_frame.as_ref()?;
            let row = entry.unwind_info_for_address(section, &self.bases, &mut self.context, address).ok()?;
            return apply(&Function::new(section, &entry)?, row, walker);
        }
        let entry = self.debug_entry(address)?;
        let section = self.debug_frame.as_ref()?;
        let row = entry.unwind_info_for_address(section, &self.bases, &mut self.context, address).ok()?;
        apply(&Function::new(section, &entry)?, row, walker)
    }

    fn eh_entry(&self, address: u64) -> Option<FrameDescriptionEntry<Section>> {
        let (section, header) = self.eh_frame.as_ref()?;
        let by_table = header
            .as_ref()
            .and_then(ParsedEhFrameHdr::table)
            .map(|table| table.fde_for_address(section, &self.bases, address, EhFrame::cie_from_offset));
        let found = by_table
            .unwrap_or_else(|| section.fde_for_address(&self.bases, address, EhFrame::cie_from_offset));
        found.ok()
    }

    fn debug_entry(&self, address: u64) -> Option<FrameDescriptionEntry<Section>> {
        self.debug_frame.as_ref()?.fde_for_address(&self.bases, address, DebugFrame::cie_from_offset).ok()
    }
}

/// The name that minidump readers use for a DWARF register.
pub fn register_name(register: Register) -> Option<&'static str> {
    REGISTERS.get(usize::from(register.0)).copied()
}

/// The function whose row is applied.
struct Function<'a, S> {
    section: &'a S,
    encoding: Encoding,
    is_signal_frame: bool,
}

impl<'a, S: UnwindSection<Section>> Function<'a, S> {
    /// `None` when the return address is kept in a register of its own choice, which no compiler does here.
    fn new(section: &'a S, entry: &FrameDescriptionEntry<Section>) -> Option<Self> {
        let function = Self {
            section,
            encoding: entry.cie().encoding(),
            is_signal_frame: entry.cie().is_signal_trampoline(),
        };
        (entry.cie().return_address_register() == RETURN_ADDRESS).then_some(function)
    }

    fn expression(
        &self,
        expression: &UnwindExpression<usize>,
        initial: Option<u64>,
        walker: &(dyn FrameWalker + Send),
    ) -> Option<u64> {
        evaluate(expression.get(self.section).ok()?, self.encoding, initial, walker)
    }

    /// The canonical frame address: the stack pointer before the call.
    fn cfa(&self, rule: &CfaRule<usize>, walker: &(dyn FrameWalker + Send)) -> Option<u64> {
        match rule {
            CfaRule::RegisterAndOffset { register, offset } => {
                Some(walker.get_callee_register(register_name(*register)?)?.wrapping_add_signed(*offset))
            }
            CfaRule::Expression(expression) => self.expression(expression, None, walker),
        }
    }

    /// The value that a register had in the caller.
    fn register(
        &self,
        register: Register,
        rule: &RegisterRule<usize>,
        cfa: u64,
        walker: &(dyn FrameWalker + Send),
    ) -> Option<u64> {
        let stored_at = |address| walker.get_register_at_address(address);
        match rule {
            RegisterRule::SameValue => walker.get_callee_register(register_name(register)?),
            RegisterRule::Offset(offset) => stored_at(cfa.wrapping_add_signed(*offset)),
            RegisterRule::ValOffset(offset) => Some(cfa.wrapping_add_signed(*offset)),
            RegisterRule::Register(other) => walker.get_callee_register(register_name(*other)?),
            RegisterRule::Expression(expression) => {
                stored_at(self.expression(expression, Some(cfa), walker)?)
            }
            RegisterRule::ValExpression(expression) => self.expression(expression, Some(cfa), walker),
            RegisterRule::Constant(value) => Some(*value),
            _ => None,
        }
    }
}

/// Computes all of the caller's registers, then sets them.
fn apply<S: UnwindSection<Section>>(
    function: &Function<S>,
    row: &UnwindTableRow<usize>,
    walker: &mut (dyn FrameWalker + Send),
) -> Option<Step> {
    let cfa = function.cfa(row.cfa(), walker)?;
    let return_address = match row.register(RETURN_ADDRESS) {
        // The outermost function of a thread says so by having no return address. Zero ends the walk.
        None | Some(RegisterRule::Undefined) => 0,
        Some(rule) => function.register(RETURN_ADDRESS, &rule, cfa, walker)?,
    };
    let rules = row.registers().filter(|(register, _)| *register != RETURN_ADDRESS);
    let values: Vec<(Register, Option<u64>)> =
        rules.map(|(register, rule)| (*register, function.register(*register, rule, cfa, walker))).collect();
    walker.set_cfa(cfa)?;
    walker.set_ra(return_address)?;
    for (register, value) in values {
        let Some(name) = register_name(register) else { continue };
        match value {
            Some(value) => walker.set_caller_register(name, value)?,
            // Without its stack pointer the caller is lost.
            None if register == STACK_POINTER => return None,
            None => walker.clear_caller_register(name),
        }
    }
    Some(Step { interrupted: function.is_signal_frame.then_some(return_address) })
}
