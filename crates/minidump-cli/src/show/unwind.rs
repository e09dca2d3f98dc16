//! Walks the stacks of a dump's threads, with a bound on everything a hostile dump could make grow.

use super::apple::is_apple;
use super::executor::block_on;
use super::model::{Address, AppleThread, Frame, SymbolsFound, Thread, Trust, WindowsThread};
use super::other_stack::{MOST_STACKS, Stacks};
use super::read::file_name;
use super::registers;
use super::symbols::LocalSymbols;
use super::system_call::{is_returning, is_waiting};
use super::windows::is_windows;
use minidump::system_info::Cpu;
use minidump::{
    MinidumpContext, MinidumpException, MinidumpMemory, MinidumpMiscInfo, MinidumpModuleList,
    MinidumpSystemInfo, MinidumpThread, MinidumpThreadList, MinidumpThreadNames, Module as _, UnifiedMemory,
    UnifiedMemoryInfoList, UnifiedMemoryList, format::MINIDUMP_LOCATION_DESCRIPTOR,
    format::MINIDUMP_MEMORY_DESCRIPTOR,
};
use minidump_unwind::{CallStack, StackFrame, SystemInfo, walk_stack};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// Stack that is walked per thread, in bytes from the stack pointer on. Each frame takes 16 bytes of it at least.
const LONGEST_STACK: usize = 1 << 20;
/// Longest file name of a module, in characters. File systems allow 255 bytes.
const LONGEST_FILE_NAME: usize = 255;
/// Frames kept of a long stack: so many innermost and so many outermost ones.
const KEPT: (usize, usize) = (512, 64);
/// Frames walked in all. Threads that come after get their innermost frame only.
const FRAME_BUDGET: usize = 1 << 18;
/// Time spent on walking. Threads that come after get their innermost frame only.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is needed of a dump to walk its stacks.
pub struct Walk<'a> {
    pub system: &'a MinidumpSystemInfo,
    pub misc: Option<&'a MinidumpMiscInfo>,
    pub exception: Option<&'a MinidumpException<'a>>,
    pub threads: &'a MinidumpThreadList<'a>,
    pub names: &'a MinidumpThreadNames,
    pub modules: &'a MinidumpModuleList,
    pub memory: &'a UnifiedMemoryList<'a>,
    pub regions: Option<&'a UnifiedMemoryInfoList<'a>>,
    /// The thread to put first.
    pub blamed: Option<u32>,
    /// The process, in case it still lives.
    pub pid: Option<u32>,
    /// What only Apple's systems tell of threads, by id.
    pub apple: &'a HashMap<u32, AppleThread>,
    /// What only Windows tells of threads, by id.
    pub windows: &'a HashMap<u32, WindowsThread>,
}

/// Walks all threads, the blamed one first. Also tells, by module base, what symbols were found.
pub fn walk(walk: &Walk, warnings: &mut Vec<String>) -> (Vec<Thread>, HashMap<u64, SymbolsFound>) {
    let symbols = LocalSymbols::new(walk.modules, walk.regions, walk.pid, in_system_call(walk));
    let symbols = match walk.system.cpu {
        Cpu::X86_64 if is_windows(walk.system) => symbols.with_images(walk.modules, walk.memory),
        _ => symbols,
    };
    let walk = &Walk { modules: &with_short_names(walk.modules), ..*walk };
    let system = system_info(walk.system);
    let started = Instant::now();
    let mut frames_left = FRAME_BUDGET;
    let mut order: Vec<&MinidumpThread> = walk.threads.threads.iter().collect();
    order.sort_by_key(|thread| walk.blamed != Some(thread.raw.thread_id));
    let mut cut = 0usize;
    let threads = order.into_iter().map(|thread| {
        let rush = frames_left == 0 || started.elapsed() > PATIENCE;
        cut += usize::from(rush);
        let (thread, walked) = walk_thread(walk, thread, &system, &symbols, rush);
        frames_left = frames_left.saturating_sub(walked);
        thread
    });
    let threads = threads.collect();
    if cut > 0 {
        warnings
            .push(format!("the stacks of {cut} threads were not walked, the others took too long already"));
    }
    (threads, symbols.found())
}

/// The instruction pointers of the threads of a Mach task, or a process of Windows, that wait in a system call.
fn in_system_call(walk: &Walk) -> HashSet<u64> {
    let (is_apple, is_windows) = (is_apple(walk.system), is_windows(walk.system));
    let threads = walk.threads.threads.iter().filter(|_| is_apple || is_windows);
    let waiting = threads.filter_map(|thread| {
        let context = context(walk, thread)?;
        let apple = walk.apple.get(&thread.raw.thread_id);
        let waits = if is_windows {
            is_returning(&context, walk.memory)
        } else {
            is_waiting(&context, walk.memory, apple)
        };
        waits.then(|| context.get_instruction_pointer())
    });
    waiting.collect()
}

/// The modules with their file names only. The unwinder copies a module into every frame, so that it must be small.
fn with_short_names(modules: &MinidumpModuleList) -> MinidumpModuleList {
    let short = modules.iter().map(|module| {
        let mut module = module.clone();
        module.name = file_name(&module.name).chars().take(LONGEST_FILE_NAME).collect();
        module.codeview_info = None;
        module.misc_info = None;
        module
    });
    MinidumpModuleList::from_modules(short.collect())
}

/// Walks one thread, or in a rush only names its innermost function. Also gives the number of frames walked.
fn walk_thread<'a>(
    walk: &Walk<'a>,
    thread: &'a MinidumpThread<'a>,
    system: &SystemInfo,
    symbols: &LocalSymbols<'a>,
    rush: bool,
) -> (Thread, usize) {
    let id = thread.raw.thread_id;
    let mut shown = Thread {
        id,
        name: walk.names.get_name(id).map(std::borrow::Cow::into_owned),
        blamed: walk.blamed == Some(id),
        apple: walk.apple.get(&id).cloned(),
        windows: walk.windows.get(&id).cloned(),
        ..Thread::default()
    };
    let Some(context) = context(walk, thread) else {
        shown.note = Some("its registers are not in the dump".into());
        return (shown, 0);
    };
    shown.registers = shown.blamed.then(|| registers::of(&context));
    let stack_pointer = context.get_stack_pointer();
    let stack = stack_memory(walk, thread, stack_pointer);
    if stack.is_none() {
        shown.note = Some("its stack is not in the dump".into());
    }
    let mut calls = CallStack::with_context(context);
    if walk_stacks(walk, stack.filter(|_| !rush), &mut calls, system, symbols) {
        shown.note = Some(format!("only the innermost {} KiB of its stack were walked", LONGEST_STACK >> 10));
    }
    let walked = calls.frames.len();
    (shown.frames, shown.frames_omitted) = frames(&calls.frames);
    (shown, walked)
}

/// Walks the stack of a thread, and those that handlers of signals interrupted. Tells whether a stack was too long.
fn walk_stacks<'a>(
    walk: &Walk<'a>,
    mut stack: Option<UnifiedMemory<'a, 'a>>,
    calls: &mut CallStack,
    system: &SystemInfo,
    symbols: &LocalSymbols<'a>,
) -> bool {
    let stacks = Stacks { memory: walk.memory, symbols };
    let mut was_cut = false;
    for _ in 0..MOST_STACKS {
        let stack_pointer = calls.frames.last().map_or(0, |frame| frame.context.get_stack_pointer());
        let window = stack.as_ref().and_then(|stack| window(stack, stack_pointer));
        let memory = window.as_ref().map(|(memory, _)| UnifiedMemory::Memory(memory));
        block_on(walk_stack(0, (), calls, memory, walk.modules, system, symbols));
        was_cut |= window.is_some_and(|(_, cut)| cut);
        let Some(walked) = stack else { break };
        stack = stacks.switch(&mut calls.frames, &walked);
    }
    was_cut
}

/// The registers of a thread; of the one that crashed those at the moment of the crash.
fn context(walk: &Walk, thread: &MinidumpThread) -> Option<MinidumpContext> {
    let crashed = walk.exception.filter(|exception| exception.thread_id == thread.raw.thread_id);
    crashed
        .and_then(|exception| exception.context(walk.system, walk.misc))
        .or_else(|| thread.context(walk.system, walk.misc))
        .map(std::borrow::Cow::into_owned)
}

/// The memory that the stack pointer points into, or else what the thread list names as the stack.
fn stack_memory<'a>(
    walk: &Walk<'a>,
    thread: &'a MinidumpThread<'a>,
    stack_pointer: u64,
) -> Option<UnifiedMemory<'a, 'a>> {
    let own = thread.stack_memory(walk.memory);
    let holds = |memory: &UnifiedMemory| memory.get_memory_at_address::<u64>(stack_pointer).is_some();
    own.filter(holds).or_else(|| walk.memory.memory_at_address(stack_pointer)).or(own)
}

/// The part of the stack to walk, and whether it is not all of it.
fn window<'a>(stack: &UnifiedMemory<'a, 'a>, stack_pointer: u64) -> Option<(MinidumpMemory<'a>, bool)> {
    let endian = match stack {
        UnifiedMemory::Memory(memory) => memory.endian,
        UnifiedMemory::Memory64(memory) => memory.endian,
    };
    // The red zone below the stack pointer may be referred to by call frame information.
    let skip = stack_pointer.saturating_sub(128).saturating_sub(stack.base_address());
    let skip = usize::try_from(skip).ok().filter(|skip| *skip < stack.bytes().len()).unwrap_or(0);
    let rest = stack.bytes().get(skip..)?;
    let bytes = rest.get(..LONGEST_STACK).unwrap_or(rest);
    let base_address = stack.base_address().checked_add(skip as u64)?;
    let size = u32::try_from(bytes.len()).ok()?;
    let desc = MINIDUMP_MEMORY_DESCRIPTOR {
        start_of_memory_range: base_address,
        memory: MINIDUMP_LOCATION_DESCRIPTOR { data_size: size, rva: 0 },
    };
    Some((MinidumpMemory { desc, base_address, size: size.into(), bytes, endian }, bytes.len() < rest.len()))
}

fn system_info(system: &MinidumpSystemInfo) -> SystemInfo {
    SystemInfo {
        os: system.os,
        os_version: None,
        os_build: None,
        cpu: system.cpu,
        cpu_info: None,
        cpu_microcode_version: None,
        cpu_count: system.raw.number_of_processors.into(),
    }
}

/// The frames to keep, inlined functions among them, and the number of those left out of the middle.
fn frames(walked: &[StackFrame]) -> (Vec<Frame>, usize) {
    let (head, tail) = KEPT;
    let total: usize = walked.iter().map(|frame| frame.inlines.len() + 1).sum();
    let tail_start = total.saturating_sub(tail).max(head);
    let all = walked.iter().flat_map(expanded).enumerate();
    let kept = all.filter(|(index, _)| *index < head || *index >= tail_start);
    let kept = kept.map(|(index, frame)| Frame { index, ..frame });
    (kept.collect(), tail_start.min(total).saturating_sub(head))
}

/// A frame as one entry for each function inlined there, innermost first, and one for the function itself.
fn expanded(frame: &StackFrame) -> impl Iterator<Item = Frame> + '_ {
    let own = Frame {
        index: 0,
        instruction: Address(frame.instruction),
        function: frame.function_name.clone(),
        function_offset: frame
            .function_base
            .and_then(|base| frame.instruction.checked_sub(base))
            .map(Address),
        file: frame.source_file_name.clone(),
        line: frame.source_line.filter(|line| *line > 0),
        module: frame.module.as_ref().map(|module| module.name.clone()),
        module_offset: frame
            .module
            .as_ref()
            .and_then(|module| frame.instruction.checked_sub(module.base_address()))
            .map(Address),
        unloaded: false,
        inlined: false,
        trust: Trust::from(frame.trust),
    };
    let template = own.clone();
    let inlined = frame.inlines.iter().map(move |inline| Frame {
        function: Some(inline.function_name.clone()).filter(|name| !name.is_empty()),
        function_offset: None,
        file: inline.source_file_name.clone(),
        line: inline.source_line.filter(|line| *line > 0),
        inlined: true,
        ..template.clone()
    });
    inlined.chain(std::iter::once(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use minidump_unwind::{FrameTrust, InlineFrame};

    fn walked(instruction: u64, inlines: &[&str]) -> StackFrame {
        let raw = minidump::format::CONTEXT_AMD64 { rip: instruction, ..Default::default() };
        let context = MinidumpContext::from_raw(minidump::MinidumpRawContext::Amd64(raw));
        let mut frame = StackFrame::from_context(context, FrameTrust::CallFrameInfo);
        frame.function_name = Some("outer".into());
        frame.function_base = Some(instruction - 4);
        frame.inlines = inlines
            .iter()
            .map(|name| InlineFrame {
                function_name: (*name).to_string(),
                source_file_name: Some("a.rs".into()),
                source_line: Some(0),
            })
            .collect();
        frame
    }

    #[test]
    fn inlined_functions_come_before_the_one_they_are_in() {
        let (frames, omitted) = frames(&[walked(0x1000, &["deep", "shallow"]), walked(0x2000, &[])]);
        let names: Vec<_> =
            frames.iter().map(|frame| (frame.index, frame.function.as_deref(), frame.inlined)).collect();
        assert_eq!(
            names,
            [
                (0, Some("deep"), true),
                (1, Some("shallow"), true),
                (2, Some("outer"), false),
                (3, Some("outer"), false)
            ]
        );
        assert_eq!(omitted, 0);
        assert_eq!(frames[0].line, None);
        assert_eq!((frames[0].function_offset, frames[2].function_offset), (None, Some(Address(4))));
        assert_eq!(frames[2].trust, Trust::CallFrameInfo);
    }

    #[test]
    fn frames_carry_short_names_of_modules() {
        let long = format!("/opt/{}.so", "x".repeat(10_000));
        let modules = [(0x1000, "/usr/lib/a.so"), (0x9000, long.as_str())]
            .map(|(base, name)| minidump::MinidumpModule::new(base, 0x1000, name));
        let short = with_short_names(&MinidumpModuleList::from_modules(modules.to_vec()));
        assert_eq!(short.module_at_address(0x1fff).unwrap().name, "a.so");
        assert_eq!(short.module_at_address(0x9000).unwrap().name, "x".repeat(LONGEST_FILE_NAME));
        assert!(short.module_at_address(0x8fff).is_none());
    }

    #[test]
    fn the_middle_of_a_long_stack_is_left_out_and_the_numbers_stay() {
        let stack: Vec<_> = (0..1000u64).map(|index| walked(0x1000 + index, &[])).collect();
        let (frames, omitted) = frames(&stack);
        assert_eq!((frames.len(), omitted), (KEPT.0 + KEPT.1, 1000 - KEPT.0 - KEPT.1));
        assert_eq!((frames[KEPT.0 - 1].index, frames[KEPT.0].index), (KEPT.0 - 1, 1000 - KEPT.1));
        assert_eq!(frames.last().unwrap().instruction, Address(0x1000 + 999));
    }

    #[test]
    fn a_stack_just_longer_than_what_is_kept_loses_nothing_twice() {
        for length in [KEPT.0 - 1, KEPT.0, KEPT.0 + 1, KEPT.0 + KEPT.1, KEPT.0 + KEPT.1 + 1] {
            let stack: Vec<_> = (0..length as u64).map(|index| walked(0x1000 + index, &[])).collect();
            let (frames, omitted) = frames(&stack);
            assert_eq!(frames.len() + omitted, length);
            assert_eq!(frames.last().unwrap().index, length - 1);
        }
    }

    #[test]
    fn the_window_starts_at_the_red_zone_and_is_capped() {
        let bytes = vec![0; 3 * LONGEST_STACK];
        let desc = MINIDUMP_MEMORY_DESCRIPTOR {
            start_of_memory_range: 0x10_0000,
            memory: MINIDUMP_LOCATION_DESCRIPTOR { data_size: 0, rva: 0 },
        };
        let memory = MinidumpMemory {
            desc,
            base_address: 0x10_0000,
            size: bytes.len() as u64,
            bytes: &bytes,
            endian: scroll_endian(),
        };
        let stack = UnifiedMemory::Memory(&memory);
        let (capped, cut) = window(&stack, 0x10_0000 + 0x1000).unwrap();
        assert_eq!(
            (capped.base_address, capped.bytes.len(), cut),
            (0x10_0000 + 0x1000 - 128, LONGEST_STACK, true)
        );
        let (rest, cut) = window(&stack, 0x10_0000 + (3 * LONGEST_STACK as u64) - 64).unwrap();
        assert_eq!((rest.bytes.len(), cut), (192, false));
        for outside in [0, u64::MAX] {
            assert_eq!(window(&stack, outside).unwrap().0.base_address, 0x10_0000);
        }
    }

    fn scroll_endian() -> minidump::Endian {
        minidump::Endian::Little
    }
}
