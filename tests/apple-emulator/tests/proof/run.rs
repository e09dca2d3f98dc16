//! The files as the emulated library makes them.

use crate::expected;
use crate::places::{emulator, library};
use apple_emulator::kernel::Process;
use apple_emulator::{Arch, Machine, System};
use minidump_mach::sim::SimTask;
use minidump_mach::{CrashedThread, MachCrash};
use minidump_snapshot::{MemoryMode, Snapshot};

/// The port of the task.
pub const TASK: u32 = 0x1107;
/// When everything happens, in nanoseconds since 1970.
pub const NOW: u64 = 1_700_000_000_123_456_000;
/// The descriptor that dumps go to.
pub const DESCRIPTOR: u32 = 5;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    pub core: bool,
    pub memory: MemoryMode,
    pub crash: Option<MachCrash>,
    pub told: Told,
}

/// What the process told of itself.
#[derive(Debug, Clone)]
pub struct Told {
    pub executable: Option<Vec<u8>>,
    pub bundle_version: Option<String>,
    pub annotations: Vec<(String, String)>,
}

impl Told {
    const NOTHING: Self = Self { executable: None, bundle_version: None, annotations: Vec::new() };
}

impl Request {
    pub const CORE: Self = Self { core: true, memory: MemoryMode::Stacks, crash: None, told: Told::NOTHING };
    pub const MINIDUMP: Self =
        Self { core: false, memory: MemoryMode::Stacks, crash: None, told: Told::NOTHING };

    /// `mdw_dump_options`.
    fn options(&self) -> Vec<u8> {
        let (format, memory) = (if self.core { 2_u32 } else { 0 }, self.memory as u32);
        let mut bytes = 64_u64.to_le_bytes().to_vec();
        for word in [0, format, memory, 0, 0, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.resize(64, 0);
        bytes
    }

    /// `struct MMDCrashContext`: exception state, general and vector registers, then the thread.
    fn context(&self) -> Option<Vec<u8>> {
        let crash = self.crash.as_ref()?;
        let CrashedThread::Id(thread) = crash.thread else { return None };
        let state = |index: usize| crash.states[index].words.iter().flat_map(|word| word.to_le_bytes());
        let mut bytes: Vec<u8> = state(1).chain(state(0)).chain(state(2)).collect();
        // The vector registers align it.
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(thread.to_le_bytes());
        Some(bytes)
    }
}

/// An emulated program with the library.
pub struct Program {
    pub machine: Machine,
}

impl Program {
    pub fn new(arch: Arch) -> Self {
        Self { machine: Machine::new(&emulator(), &library(arch)).unwrap() }
    }

    /// The library dumps the task that has the port `port`. Returns its code.
    pub fn dump(&self, port: u32, request: &Request, system: &mut System<'_>) -> u64 {
        let options = self.machine.place(&request.options(), system).unwrap();
        let context = request.context().map_or(0, |bytes| self.machine.place(&bytes, system).unwrap());
        let arguments = [port.into(), DESCRIPTOR.into(), context, options, 0];
        let result = self.machine.call("mdw_dump_task", &arguments, system);
        result.unwrap_or_else(|error| panic!("{error}")) & 0xffff_ffff
    }
}

/// A system where `task` has the port `port`, and where there is a descriptor to write to.
pub fn system(task: &SimTask, port: u32) -> System<'_> {
    let mut system = System::new(task, port);
    system.now = NOW;
    system.written.insert(DESCRIPTOR, Vec::new());
    system
}

/// The library makes the file that this host makes of an equal task, and keeps nothing of what it was given.
pub fn assert_same(
    arch: Arch,
    make: &dyn Fn() -> SimTask,
    request: &Request,
    about: &str,
) -> (Snapshot, Vec<u8>) {
    let task = make();
    let mut system = system(&task, TASK);
    println!("{arch:?}, {about}: {request:?}");
    let code = Program::new(arch).dump(TASK, request, &mut system);
    assert_eq!(code, 0, "{arch:?}, {about}: {request:?}");
    let (snapshot, expected) = expected::file(&make(), request);
    assert_equal(&system.written[&DESCRIPTOR], &expected, &format!("{arch:?}, {about}"));
    assert_released(&system, about);
    assert_eq!(task.suspend_count(), 0, "{about}");
    (snapshot, expected)
}

pub fn assert_equal(written: &[u8], expected: &[u8], about: &str) {
    let differs = written.iter().zip(expected).position(|(one, other)| one != other);
    assert_eq!(
        (differs, written.len()),
        (None, expected.len()),
        "first byte that differs, and length: {about}"
    );
}

/// All ports and all memory of the kernel's were given back, and no thread stands still.
pub fn assert_released(system: &System<'_>, about: &str) {
    let kept: Vec<_> = system.rights.iter().filter(|(_, references)| **references != 0).collect();
    assert!(kept.is_empty(), "{about}: ports {kept:x?}");
    assert!(system.mapped.is_empty(), "{about}: memory {:x?}", system.mapped);
    assert_eq!(system.standing, 0, "{about}");
    let rights = system.process.as_ref().map(Process::rights).unwrap_or_default();
    assert!(rights.is_empty(), "{about}: names, rights to send, to receive and to send once: {rights:x?}");
}
