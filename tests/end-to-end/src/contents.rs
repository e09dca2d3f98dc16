//! Questions to a dump, answered by the `minidump` crate.

use crate::Dump;
use crate::target::Parked;
use minidump::format::CONTEXT_AMD64;
use minidump::{
    MinidumpMiscInfo, MinidumpModuleList, MinidumpRawContext, MinidumpSoftErrors, MinidumpSystemInfo,
    MinidumpThreadList, MinidumpThreadNames, Module as _,
};
use serde_json::Value;

impl Dump {
    /// The ids of its threads, in the order of the file.
    #[track_caller]
    pub fn thread_ids(&self) -> Vec<u32> {
        let dump = self.parse();
        let list: MinidumpThreadList = dump.get_stream().expect("there is a thread list");
        list.threads.iter().map(|thread| thread.raw.thread_id).collect()
    }

    /// The name of a thread.
    #[track_caller]
    pub fn thread_name(&self, tid: u32) -> Option<String> {
        let dump = self.parse();
        let names: MinidumpThreadNames = dump.get_stream().expect("there are thread names");
        names.get_name(tid).map(std::borrow::Cow::into_owned)
    }

    /// The registers of a thread; `None` when the dump has no context for it.
    #[track_caller]
    pub fn context(&self, tid: u32) -> Option<CONTEXT_AMD64> {
        let dump = self.parse();
        let list: MinidumpThreadList = dump.get_stream().expect("there is a thread list");
        let system: MinidumpSystemInfo = dump.get_stream().expect("there is system information");
        let misc = dump.get_stream::<MinidumpMiscInfo>().ok();
        let thread = list.get_thread(tid).unwrap_or_else(|| panic!("thread {tid} is not in the dump"));
        match thread.context(&system, misc.as_ref())?.into_owned().raw {
            MinidumpRawContext::Amd64(context) => Some(context),
            other => panic!("thread {tid} has a context of another architecture: {other:?}"),
        }
    }

    /// Instruction pointer and stack pointer of a thread, whatever its processor; `None` when the dump has no context for it.
    #[track_caller]
    pub fn instruction_and_stack_pointer(&self, tid: u32) -> Option<(u64, u64)> {
        let dump = self.parse();
        let list: MinidumpThreadList = dump.get_stream().expect("there is a thread list");
        let system: MinidumpSystemInfo = dump.get_stream().expect("there is system information");
        let thread = list.get_thread(tid).unwrap_or_else(|| panic!("thread {tid} is not in the dump"));
        let context = thread.context(&system, None)?;
        Some((context.get_instruction_pointer(), context.get_stack_pointer()))
    }

    /// Address and size of the stack that the thread list names for a thread.
    #[track_caller]
    pub fn stack_range(&self, tid: u32) -> (u64, u64) {
        let dump = self.parse();
        let list: MinidumpThreadList = dump.get_stream().expect("there is a thread list");
        let thread = list.get_thread(tid).unwrap_or_else(|| panic!("thread {tid} is not in the dump"));
        (thread.raw.stack.start_of_memory_range, thread.raw.stack.memory.data_size.into())
    }

    /// `length` bytes of the target's memory at `address`; `None` when the dump has not all of them.
    #[track_caller]
    pub fn memory(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let dump = self.parse();
        let list = dump.get_memory().expect("there is a memory list");
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let next = address + bytes.len() as u64;
            let region = list.memory_at_address(next)?;
            let offset = usize::try_from(next - region.base_address()).unwrap();
            let part = &region.bytes()[offset..];
            bytes.extend_from_slice(&part[..part.len().min(length - bytes.len())]);
        }
        Some(bytes)
    }

    /// The bytes of all memory in the dump together.
    #[track_caller]
    pub fn memory_total(&self) -> u64 {
        self.parse().get_memory().expect("there is a memory list").iter().map(|region| region.size()).sum()
    }

    /// Base address, size, path and build id (or other identity) of each module.
    #[track_caller]
    pub fn modules(&self) -> Vec<DumpedModule> {
        let dump = self.parse();
        let list: MinidumpModuleList = dump.get_stream().expect("there is a module list");
        let describe = |module: &minidump::MinidumpModule| DumpedModule {
            base: module.base_address(),
            size: module.size(),
            path: module.code_file().into_owned(),
            id: match &module.codeview_info {
                Some(minidump::CodeView::Elf(record)) => record.build_id.clone(),
                Some(minidump::CodeView::Pdb70(record)) => guid_bytes(&record.signature),
                _ => Vec::new(),
            },
        };
        list.iter().map(describe).collect()
    }

    /// The module that contains an address.
    #[track_caller]
    pub fn module_at(&self, address: u64) -> Option<DumpedModule> {
        self.modules().into_iter().find(|module| (module.base..module.base + module.size).contains(&address))
    }

    /// The bytes of a stream.
    #[track_caller]
    pub fn stream(&self, kind: u32) -> Option<Vec<u8>> {
        self.parse().get_raw_stream(kind).ok().map(<[u8]>::to_vec)
    }

    /// The soft errors in the dump.
    #[track_caller]
    pub fn soft_errors(&self) -> Vec<Value> {
        let dump = self.parse();
        let Ok(text) = dump.get_stream::<MinidumpSoftErrors>() else { return Vec::new() };
        match serde_json::from_str(text.as_ref()).expect("soft errors are JSON") {
            Value::Array(list) => list,
            other => panic!("soft errors are no list: {other}"),
        }
    }

    /// Fails unless each parked thread is in the dump with its name, its registers and the bytes of all its frames.
    #[track_caller]
    pub fn assert_parked(&self, threads: &[Parked]) {
        assert!(!threads.is_empty(), "the scenario has parked threads");
        for thread in threads {
            let pointers = self.instruction_and_stack_pointer(thread.tid);
            let (instruction, top) = pointers
                .unwrap_or_else(|| panic!("{} has no registers; {:?}", thread.name, self.soft_errors()));
            assert_eq!(self.thread_name(thread.tid).as_deref(), Some(thread.name.as_str()));
            let (stack, size) = self.stack_range(thread.tid);
            assert!((stack..stack + size).contains(&top), "the stack of {} contains its SP", thread.name);
            for (function, address, bytes) in &thread.frames {
                let found = self.memory(*address, bytes.len());
                assert_eq!(found.as_ref(), Some(bytes), "the frame of {function} of {}", thread.name);
            }
            assert!(self.memory(instruction, 16).is_some(), "there is code at the instruction pointer");
        }
    }
}

/// The bytes of a GUID in the order of the file.
fn guid_bytes(guid: &minidump::format::GUID) -> Vec<u8> {
    let numbers = [guid.data2, guid.data3].into_iter().flat_map(u16::to_le_bytes);
    guid.data1.to_le_bytes().into_iter().chain(numbers).chain(guid.data4).collect()
}

/// A module in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpedModule {
    /// First address.
    pub base: u64,
    /// Size in bytes.
    pub size: u64,
    /// Path as the dump tells it.
    pub path: String,
    /// Build id or other identity, as raw bytes.
    pub id: Vec<u8>,
}

impl Dump {
    /// Ids of the threads that the dump has general registers for, in the order of the file.
    #[track_caller]
    pub fn threads_with_registers(&self) -> Vec<u32> {
        let dump = self.parse();
        let list: MinidumpThreadList = dump.get_stream().expect("there is a thread list");
        let system: MinidumpSystemInfo = dump.get_stream().expect("there is system information");
        let complete = list.threads.iter().filter(|thread| {
            let context = thread.context(&system, None);
            let flags = context.map(|context| match &context.raw {
                MinidumpRawContext::Amd64(context) => context.context_flags,
                _ => 0,
            });
            flags.is_some_and(|flags| flags & GENERAL_REGISTERS == GENERAL_REGISTERS)
        });
        complete.map(|thread| thread.raw.thread_id).collect()
    }
}

/// `CONTEXT_CONTROL | CONTEXT_INTEGER` of winnt.h.
const GENERAL_REGISTERS: u32 = 3;
