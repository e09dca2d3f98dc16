//! Goes on with what a signal interrupted, when its handler ran on a stack of its own.
//!
//! The unwinder looks at one piece of memory for each thread, and takes a caller whose stack is lower than that of its
//! callee for nonsense. A handler's stack is somewhere else, and may as well be above as below that of the thread.

use super::executor::block_on;
use super::symbols::LocalSymbols;
use minidump::format::CONTEXT_AMD64;
use minidump::{
    CpuContext, MinidumpContext, MinidumpContextValidity, MinidumpRawContext, Module, UnifiedMemory,
    UnifiedMemoryList,
};
use minidump_unwind::{FrameTrust, FrameWalker, StackFrame, SymbolProvider};
use std::collections::HashSet;

/// Stacks that are walked of a thread: of handlers that interrupt each other, and its own.
pub const MOST_STACKS: usize = 8;
/// Pages above a stack pointer where its stack may begin: that of a stack that has run over points into the guard area.
const GUARD_PAGES: u64 = 16;
const PAGE: u64 = 4096;

/// Where to look for what a signal interrupted.
pub struct Stacks<'a, 's> {
    pub memory: &'a UnifiedMemoryList<'a>,
    pub symbols: &'s LocalSymbols<'a>,
}

impl<'a> Stacks<'a, '_> {
    /// When the walk of `frames` in `stack` has come to a signal that interrupted what runs on another stack: adds the
    /// frame to go on from as the last one, and gives its stack. Of that frame nothing but the registers is set.
    pub fn switch(
        &self,
        frames: &mut Vec<StackFrame>,
        stack: &UnifiedMemory<'_, '_>,
    ) -> Option<UnifiedMemory<'a, 'a>> {
        let (last, callees) = frames.split_last()?;
        if self.is_signal_return(last) {
            let frame = self.interrupted(last, stack)?;
            let other = self.stack_at(frame.context.get_stack_pointer())?;
            frames.push(frame);
            return Some(other);
        }
        callees.last().filter(|callee| self.is_signal_return(callee))?;
        let other = self.stack_at(last.context.get_stack_pointer())?;
        if other.base_address() == stack.base_address() {
            return None;
        }
        let frame = caller(last.context.clone(), last.instruction);
        frames.pop();
        frames.push(frame);
        Some(other)
    }

    fn is_signal_return(&self, frame: &StackFrame) -> bool {
        let module = frame.module.as_ref();
        module.is_some_and(|module| self.symbols.is_signal_return(module.base_address(), frame.instruction))
    }

    /// The caller of the code that handlers return to: what was interrupted.
    fn interrupted(&self, callee: &StackFrame, stack: &UnifiedMemory<'_, '_>) -> Option<StackFrame> {
        let MinidumpRawContext::Amd64(registers) = &callee.context.raw else { return None };
        let mut walker = Walker {
            instruction: callee.instruction,
            registers,
            valid: &callee.context.valid,
            stack,
            caller: CONTEXT_AMD64::default(),
            caller_valid: HashSet::new(),
        };
        block_on(self.symbols.walk_frame(callee.module.as_ref()?, &mut walker))?;
        let context = MinidumpContext {
            raw: MinidumpRawContext::Amd64(walker.caller),
            valid: MinidumpContextValidity::Some(walker.caller_valid),
        };
        // As the unwinder does it for all callers; the symbols know that nothing was called here.
        let instruction = context.get_instruction_pointer().saturating_sub(1);
        Some(caller(context, instruction))
    }

    /// The memory of the stack whose lowest address is `stack_pointer`.
    fn stack_at(&self, stack_pointer: u64) -> Option<UnifiedMemory<'a, 'a>> {
        let page = stack_pointer & !(PAGE - 1);
        let above = (1..=GUARD_PAGES).filter_map(|pages| page.checked_add(pages * PAGE));
        std::iter::once(stack_pointer).chain(above).find_map(|address| self.memory.memory_at_address(address))
    }
}

/// A frame of which nothing is known yet but its registers.
fn caller(context: MinidumpContext, instruction: u64) -> StackFrame {
    let mut frame = StackFrame::from_context(context, FrameTrust::CallFrameInfo);
    frame.instruction = instruction;
    frame
}

/// What call frame information is applied to.
struct Walker<'a, 'm> {
    instruction: u64,
    registers: &'a CONTEXT_AMD64,
    valid: &'a MinidumpContextValidity,
    stack: &'a UnifiedMemory<'m, 'm>,
    caller: CONTEXT_AMD64,
    caller_valid: HashSet<&'static str>,
}

impl FrameWalker for Walker<'_, '_> {
    fn get_instruction(&self) -> u64 {
        self.instruction
    }

    fn has_grand_callee(&self) -> bool {
        true
    }

    fn get_grand_callee_parameter_size(&self) -> u32 {
        0
    }

    fn get_register_at_address(&self, address: u64) -> Option<u64> {
        self.stack.get_memory_at_address(address)
    }

    fn get_callee_register(&self, name: &str) -> Option<u64> {
        self.registers.get_register(name, self.valid)
    }

    fn set_caller_register(&mut self, name: &str, value: u64) -> Option<()> {
        self.caller_valid.insert(self.caller.memoize_register(name)?);
        self.caller.set_register(name, value)
    }

    fn clear_caller_register(&mut self, name: &str) {
        self.caller_valid.remove(name);
    }

    fn set_cfa(&mut self, value: u64) -> Option<()> {
        self.set_caller_register("rsp", value)
    }

    fn set_ra(&mut self, value: u64) -> Option<()> {
        self.set_caller_register("rip", value)
    }
}
