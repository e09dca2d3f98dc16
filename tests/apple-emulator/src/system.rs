//! libSystem, as far as the library uses it.

use crate::disk::Disk;
use crate::heap::Heap;
use crate::kernel::Process;
use crate::unicorn::Engine;
use crate::{Arch, ipc_calls, kernel, mach_calls, process, socket_calls};
use minidump_mach::MachTask;
use std::collections::{BTreeMap, VecDeque};

/// The port of the emulated program's own task.
pub const OWN_TASK: u32 = 0x203;
/// The port of its only thread.
pub const OWN_THREAD: u32 = 0x407;
/// The id of its process.
pub const OWN_PID: u32 = 77;

/// Access to the emulated program, within a call.
#[derive(Debug)]
pub struct Guest<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) arch: Arch,
}

impl Guest<'_> {
    pub fn argument(&self, index: usize) -> Result<u64, String> {
        if let Some(register) = self.arch.argument(index) {
            return self.engine.get(register);
        }
        let (first, skipped) = self.arch.stack_arguments();
        let stack = self.engine.get(self.arch.stack_pointer())?;
        self.u64(stack + skipped + 8 * (index - first) as u64)
    }

    /// The lower half of an argument: the upper one of a 32-bit value is not defined.
    pub fn argument32(&self, index: usize) -> Result<u32, String> {
        u32::try_from(self.argument(index)? & 0xffff_ffff).map_err(|error| error.to_string())
    }

    pub fn read(&self, address: u64, size: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; size];
        self.engine.read(address, &mut bytes)?;
        Ok(bytes)
    }

    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), String> {
        self.engine.write(address, bytes)
    }

    pub fn u32(&self, address: u64) -> Result<u32, String> {
        let mut bytes = [0; 4];
        self.engine.read(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub fn u64(&self, address: u64) -> Result<u64, String> {
        let mut bytes = [0; 8];
        self.engine.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The text at `address`, which ends with a zero.
    pub fn text(&self, address: u64) -> Result<String, String> {
        let mut text = Vec::new();
        loop {
            let byte = self.read(address + text.len() as u64, 1)?;
            match byte.first() {
                Some(0) | None => return String::from_utf8(text).map_err(|error| error.to_string()),
                Some(byte) => text.push(*byte),
            }
        }
    }
}

/// libSystem and the kernel below it. `task` is what the emulated program can look at.
pub struct System<'a> {
    /// The task that the library is to capture.
    pub task: &'a dyn MachTask,
    /// Its port.
    pub task_port: u32,
    /// `task_for_pid` refuses.
    pub refuses: bool,
    /// Most bytes that a call of `write` takes.
    pub most_per_write: usize,
    /// The clock, in nanoseconds since 1970: it stands still.
    pub now: u64,
    /// What was written, by descriptor.
    pub written: BTreeMap<u32, Vec<u8>>,
    /// The program among others; `None` when it is alone.
    pub process: Option<Process>,
    /// The system knows no functions that came with macOS 11, of those that are looked up.
    pub is_old: bool,
    /// References to ports that the program has and did not give back, when it is alone.
    pub rights: BTreeMap<u32, i64>,
    /// Memory that the kernel mapped into the program and that was not given back: addresses and sizes.
    pub mapped: BTreeMap<u64, u64>,
    /// Threads that the program suspended and did not resume.
    pub standing: i64,
    /// Files that the program made, by name.
    pub files: BTreeMap<String, u32>,
    /// How often each function was called.
    pub counts: BTreeMap<String, u64>,
    pub(crate) disk: Disk,
    /// Functions that are looked up by name.
    pub(crate) symbols: BTreeMap<String, u64>,
    /// Descriptors that the next program that is started gets: own ones, and what they are there.
    pub(crate) passed_on: Vec<(u32, u32)>,
    pub(crate) heap: Heap,
    pub(crate) errno: u64,
    /// Where they lie.
    pub(crate) locals: Option<u64>,
    pub(crate) last: VecDeque<String>,
    /// Address and size of the initial values of thread-local variables.
    pub(crate) thread_locals: (u64, u64),
}

impl<'a> System<'a> {
    /// A system where `task` has the port `task_port`.
    #[must_use]
    pub fn new(task: &'a dyn MachTask, task_port: u32) -> Self {
        Self {
            task,
            task_port,
            refuses: false,
            most_per_write: usize::MAX,
            now: 0,
            written: BTreeMap::new(),
            process: None,
            is_old: false,
            rights: BTreeMap::new(),
            mapped: BTreeMap::new(),
            standing: 0,
            files: BTreeMap::new(),
            counts: BTreeMap::new(),
            disk: Disk::default(),
            symbols: BTreeMap::new(),
            passed_on: Vec::new(),
            heap: Heap::default(),
            errno: 0,
            locals: None,
            last: VecDeque::new(),
            thread_locals: (0, 0),
        }
    }

    /// The value of an imported variable; `None` for a function.
    pub(crate) fn variable(name: &str) -> Option<u64> {
        match name {
            "_mach_task_self_" => Some(u64::from(OWN_TASK)),
            "_bootstrap_port" => Some(u64::from(ipc_calls::BOOTSTRAP)),
            // Never looked at: the file is bound before it runs.
            "__dyld_private" => Some(0),
            _ => None,
        }
    }

    pub(crate) fn prepare(&mut self, guest: &Guest<'_>, locals: (u64, u64)) -> Result<(), String> {
        self.thread_locals = locals;
        if self.errno == 0 {
            self.errno = self.heap.allocate(8, 8)?;
            guest.write(self.errno, &[0; 8])?;
        }
        Ok(())
    }

    /// Blocks of memory that the program has allocated and did not free.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.heap.blocks()
    }

    /// What was called last, the latest at the end.
    pub(crate) fn last_calls(&self) -> String {
        self.last.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Plays function `name`. `None` when it returns nothing.
    pub(crate) fn play(&mut self, name: &str, guest: &Guest<'_>) -> Result<Option<u64>, String> {
        *self.counts.entry(name.to_owned()).or_default() += 1;
        self.last.push_back(name.to_owned());
        if self.last.len() > 24 {
            self.last.pop_front();
        }
        // Apple's variants of functions have names such as _open$NOCANCEL.
        let plain = name.split('$').next().unwrap_or(name);
        if let Some(result) = ipc_calls::play(self, plain, guest)? {
            return Ok(Some(result));
        }
        if let Some(result) = socket_calls::play(self, plain, guest)? {
            return Ok(result);
        }
        if let Some(result) = mach_calls::play(self, plain, guest)? {
            return Ok(Some(result));
        }
        process::play(self, plain, guest)?.ok_or_else(|| "this function is not played".to_owned())
    }

    /// The id of the program's process.
    pub(crate) fn own_pid(&self) -> u32 {
        self.process.as_ref().map_or(OWN_PID, |process| process.pid().cast_unsigned())
    }

    /// The time that has passed, of clocks that are not set.
    pub(crate) fn passed(&self) -> u64 {
        self.now + self.process.as_ref().map_or(0, |process| process.kernel().now())
    }

    /// The program gets a reference to the port of a thread, or of the task.
    pub(crate) fn gain(&mut self, name: u32) -> Result<(), String> {
        let Some(process) = &self.process else {
            *self.rights.entry(name).or_default() += 1;
            return Ok(());
        };
        let is_task = name == self.task_port;
        let kind = if is_task { kernel::task(self.task.pid()) } else { kernel::thread(name) };
        let got = process.gain(kind)?;
        if got == name { Ok(()) } else { Err(format!("{name:#x} is called {got:#x}")) }
    }

    /// Makes a directory, in which there must be the one above it.
    pub fn make_directory(&mut self, path: &str) {
        self.disk.directories.insert(path.to_owned());
    }

    /// What the file at `path` holds.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.written.get(self.files.get(path)?).map(Vec::as_slice)
    }

    /// What may wait for a lock must not be called while threads stand still that may have it.
    pub(crate) fn may_lock(&self) -> Result<(), String> {
        if self.standing == 0 { Ok(()) } else { Err("threads of the own process stand still".to_owned()) }
    }

    pub(crate) fn fail(&self, errno: i32, guest: &Guest<'_>) -> Result<u64, String> {
        guest.write(self.errno, &errno.to_le_bytes())?;
        Ok(u64::MAX)
    }
}
