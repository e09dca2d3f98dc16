//! Dumps made for tests, in which everything is known.

use minidump_synth::{
    DumpString, Exception, ExceptionRecord, Memory, Module, STOCK_VERSION_INFO, SimpleStream, SynthMinidump,
    SystemInfo, Thread, ThreadName, amd64_context,
};
use test_assembler::{Endian, Section};

const ENDIAN: Endian = Endian::Little;
/// Architecture and platform of Linux on x86-64 (minidumpapiset.h and Breakpad's `minidump_format.h`).
const AMD64: u16 = 9;
const LINUX: u32 = 0x8201;
/// Stream of the command line.
const LINUX_CMD_LINE: u32 = 0x4767_0006;
/// Signature of a GNU build id record, `BpEL`.
const BUILD_ID_RECORD: u32 = 0x4270_454c;

/// A return address on the stack of the threads of [`dump_without_files`].
#[allow(dead_code, reason = "shared by unit and integration tests, which need different parts")]
pub const DEEP_CALLER: u64 = SyntheticDump::BASE + 0x1_2345;

/// A dump of a process with two threads and one module.
pub struct SyntheticDump {
    /// Path of the module.
    pub module: String,
    /// Its build id.
    pub id: Vec<u8>,
    /// Size of the module.
    pub size: u32,
    /// Where the threads are.
    pub instruction: u64,
    /// What is on their stack from the stack pointer on.
    pub stack: Vec<u64>,
    /// Exception code.
    pub code: u32,
}

impl SyntheticDump {
    /// Where the module is loaded.
    pub const BASE: u64 = 0x5555_0000_0000;
    /// Where the stack is, which is 4 KiB long.
    pub const STACK: u64 = 0x7ffe_0000_0000;

    /// The bytes of the dump. The blamed thread is 11, the second one.
    pub fn build(&self) -> Vec<u8> {
        let words = self.stack.iter().fold(Section::with_endian(ENDIAN), |section, word| section.D64(*word));
        let stack = Memory::with_section(words.append_repeated(0, 4096 - 8 * self.stack.len()), Self::STACK);
        let context = amd64_context(ENDIAN, self.instruction, Self::STACK);
        let record = Section::with_endian(ENDIAN).D32(BUILD_ID_RECORD).append_bytes(&self.id);
        let module_name = DumpString::new(&self.module, ENDIAN);
        let module = Module::new(ENDIAN, Self::BASE, self.size, &module_name, 0, 0, &STOCK_VERSION_INFO);
        let names = ["main", "evil\u{1b}]0;x\u{7}"].map(|name| DumpString::new(name, ENDIAN));
        let mut exception = Exception::new(ENDIAN);
        exception.thread_id = 11;
        exception.exception_record =
            ExceptionRecord { exception_code: self.code, ..exception.exception_record };
        let command_line = SimpleStream {
            stream_type: LINUX_CMD_LINE,
            section: Section::with_endian(ENDIAN).append_bytes(b"app\0--evil\x1b[31m\0\0"),
        };
        let system = SystemInfo::new(ENDIAN).set_processor_architecture(AMD64).set_platform_id(LINUX);
        let mut dump = SynthMinidump::with_endian(ENDIAN)
            .add_system_info(system)
            .add_module(module.cv_record(&record))
            .add_exception(exception)
            .add_stream(command_line)
            .set_linux_proc_status(b"Name:\tapp\nPid:\t4711\n")
            .set_linux_lsb_release(b"PRETTY_NAME=\"Some Linux 1\"\n")
            .set_soft_errors("[{\"stage\":\"memory\",\"message\":\"gone\u{9b}\"}]")
            .add(record)
            .add(module_name);
        for (id, name) in [10, 11].into_iter().zip(names) {
            let thread = Thread::new(ENDIAN, id, &stack, &context);
            dump =
                dump.add_thread(thread).add_thread_name(ThreadName::new(ENDIAN, id, Some(&name))).add(name);
        }
        dump.add(context).add_memory(stack).finish().expect("a complete dump")
    }
}

/// A dump whose only module is on no machine.
#[allow(dead_code, reason = "shared by unit and integration tests, which need different parts")]
pub fn dump_without_files() -> Vec<u8> {
    SyntheticDump {
        module: "/nowhere/app\u{1b}[2J".into(),
        id: (1..=20).collect(),
        size: 0x10_0000,
        instruction: SyntheticDump::BASE + 0x100,
        stack: vec![1, 2, DEEP_CALLER, 3],
        code: u32::MAX,
    }
    .build()
}

/// A dump that is small in the file and would take gigabytes in memory: all modules share one name of a megabyte.
#[allow(dead_code, reason = "shared by unit and integration tests, which need different parts")]
pub fn dump_with_shared_huge_name() -> Vec<u8> {
    let name = DumpString::new(&"x".repeat(500_000), ENDIAN);
    let mut dump = SynthMinidump::with_endian(ENDIAN)
        .add_system_info(SystemInfo::new(ENDIAN).set_processor_architecture(AMD64).set_platform_id(LINUX));
    for index in 0..10_000u64 {
        dump = dump.add_module(Module::new(ENDIAN, index << 16, 4096, &name, 0, 0, &STOCK_VERSION_INFO));
    }
    dump.add(name).finish().expect("a complete dump")
}
