//! Programs among which tasks are handed over.

use crate::places::{emulator, hand_over_library};
use crate::run::{NOW, TASK, Told, assert_released};
use crate::tasks;
use apple_emulator::kernel::{Actor, Kernel, Name, Process};
use apple_emulator::{Arch, Machine, System};
use minidump_mach::sim::{SimBuilder, SimTask, SimThread, SyntheticImage};

/// Process ids.
pub const CLIENT: i32 = 4242;
pub const HANDLER: i32 = 77;
pub const STRANGER: i32 = 666;
/// A second, and long enough for everything, in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;
pub const LONG: u64 = 1000 * SECOND;
/// Where dumps go.
pub const DUMPS: &str = "/dumps";

/// The task that is handed over.
pub fn task(arch: Arch) -> SimTask {
    tasks::builder(arch).pid(CLIENT).build().unwrap()
}

/// A task with one thread and little else, of which dumps are quick.
pub fn small(arch: Arch) -> SimBuilder {
    const STACK: u64 = 0x1_7000_0000;
    const SIZE: u64 = 0x8_0000;
    let program = SyntheticImage::executable("/usr/local/bin/small").uuid([0xab; 16]);
    let thread =
        SimThread::new(tasks::id(0)).with_cpu(&tasks::cpu(arch, 0)).with_handle(STACK + SIZE - 0x200);
    SimTask::builder(tasks::sim_arch(arch))
        .image(&program.code(&tasks::code(arch)), tasks::PROGRAM)
        .stack(STACK, SIZE)
        .thread(thread)
        .pid(CLIENT)
}

pub fn small_task(arch: Arch) -> SimTask {
    small(arch).build().unwrap()
}

/// An emulated program among others.
pub struct Party<'a> {
    pub machine: Machine,
    pub system: System<'a>,
}

impl<'a> Party<'a> {
    /// `process` executes the library; `task` is what it can look at when it has the right to it.
    pub fn new(arch: Arch, process: Process, task: &'a SimTask) -> Self {
        Self::of_task(arch, process, task, TASK)
    }

    /// As `new`, where the task's port is called `name`.
    pub fn of_task(arch: Arch, process: Process, task: &'a SimTask, name: Name) -> Self {
        let machine = Machine::new(&emulator(), &hand_over_library(arch)).unwrap();
        let mut system = System::new(task, name);
        system.now = NOW;
        system.process = Some(process);
        system.make_directory("/");
        Self { machine, system }
    }

    /// The same program as another process, if there is one already.
    pub fn again<'p>(
        party: &'p mut Option<Self>,
        arch: Arch,
        process: Process,
        task: &'a SimTask,
    ) -> &'p mut Self {
        match party {
            Some(before) => before.system.process = Some(process),
            None => *party = Some(Self::new(arch, process, task)),
        }
        party.as_mut().unwrap()
    }

    pub fn process(&self) -> &Process {
        self.system.process.as_ref().unwrap()
    }

    pub fn place(&mut self, bytes: &[u8]) -> u64 {
        self.machine.place(bytes, &mut self.system).unwrap()
    }

    /// Calls a function that returns an outcome.
    pub fn call(&mut self, name: &str, arguments: &[u64]) -> i32 {
        let result = self.machine.call(name, arguments, &mut self.system);
        let result = result.unwrap_or_else(|error| panic!("{error}"));
        u32::try_from(result & 0xffff_ffff).unwrap().cast_signed()
    }

    /// Calls a function that gives `value` back.
    pub fn end(&mut self, name: &str, value: u64) {
        self.call(name, &[value]);
    }

    /// What the last outcome is in words.
    pub fn sentence(&mut self) -> String {
        let address = self.machine.call("test_sentence", &[], &mut self.system).unwrap();
        self.machine.text(address).unwrap()
    }

    /// `hand_over`: what came of it, and the client if one did.
    pub fn hand_over(&mut self, descriptor: u32, exceptions: bool, patience_ms: u64) -> (i32, u64) {
        self.hand_over_with(&account(), (descriptor, exceptions, patience_ms))
    }

    /// As `hand_over` without exceptions, with so many more annotations of 1000 bytes.
    pub fn hand_over_much(&mut self, descriptor: u32, more: usize, patience_ms: u64) -> (i32, u64) {
        self.hand_over_with(&account_and(None, more), (descriptor, false, patience_ms))
    }

    fn hand_over_with(
        &mut self,
        account: &[u8],
        (descriptor, exceptions, patience_ms): (u32, bool, u64),
    ) -> (i32, u64) {
        let (bytes, place) = (self.place(account), self.place(&[0; 8]));
        let size = account.len() as u64;
        let arguments = [descriptor.into(), bytes, size, exceptions.into(), patience_ms, place];
        let outcome = self.call("test_hand_over", &arguments);
        (outcome, self.machine.number(place).unwrap())
    }

    /// `receive`: what came of it, and the value if one did.
    pub fn receive(&mut self, descriptor: u32, patience_ms: u64) -> (i32, u64) {
        let (prefix, place) = (self.place(b"group.example.\0"), self.place(&[0; 8]));
        let client = u64::from(CLIENT.cast_unsigned());
        let outcome = self.call("test_receive", &[descriptor.into(), client, prefix, patience_ms, place]);
        (outcome, self.machine.number(place).unwrap())
    }

    /// `serve`: what came of it, and what was told of each dump.
    pub fn serve(&mut self, descriptor: u32) -> (i32, Vec<String>) {
        let directory = self.place(format!("{DUMPS}\0").as_bytes());
        let client = u64::from(CLIENT.cast_unsigned());
        let outcome = self.call("test_serve", &[descriptor.into(), client, directory]);
        (outcome, self.sentence().lines().map(str::to_owned).collect())
    }

    pub fn assert_released(&self, about: &str) {
        assert_released(&self.system, about);
    }
}

/// A process that hands itself over, and one that takes it, connected; and a thread of this host for each.
pub struct Two {
    pub kernel: Kernel,
    pub client: (Actor, Process, u32),
    pub handler: (Actor, Process, u32),
}

pub fn two() -> Two {
    let kernel = Kernel::default();
    let client = kernel.process(CLIENT, &[]);
    let handler = kernel.process(HANDLER, &[(CLIENT, TASK)]);
    let (here, there) = kernel.connect(&client, &handler).unwrap();
    Two { client: (kernel.actor(), client, here), handler: (kernel.actor(), handler, there), kernel }
}

/// Runs both, each on its thread.
pub fn together<A: Send, B: Send>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = scope.spawn(other);
        let (one, other) = (one.join(), other.join());
        // The first that failed tells why; the other one often only waits for it.
        (one.unwrap(), other.unwrap())
    })
}

pub fn told() -> Told {
    Told {
        executable: Some(b"/Applications/Example.app/Contents/MacOS/Example".to_vec()),
        bundle_version: Some("7.2.1".into()),
        annotations: vec![("channel".into(), "beta".into()), ("empty".into(), String::new())],
    }
}

/// A field of a message: tag, size, bytes, and zeros up to a multiple of 8.
fn field(message: &mut Vec<u8>, tag: u16, bytes: &[u8]) {
    message.extend(tag.to_le_bytes());
    message.extend([0, 0]);
    message.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    message.extend(bytes);
    message.resize(message.len().next_multiple_of(8), 0);
}

/// An account as docs/handler-protocol.md describes it: of thread 1, which did not crash.
pub fn account() -> Vec<u8> {
    account_of(None)
}

/// An account that does not tell the thread.
pub fn account_of_nobody() -> Vec<u8> {
    let mut account = account();
    // The first field is the thread's id.
    account[24..32].fill(0);
    account
}

/// An account of thread 1 with an exception: type and codes.
pub fn account_of(exception: Option<(u32, [u64; 2])>) -> Vec<u8> {
    account_and(exception, 0)
}

fn account_and(exception: Option<(u32, [u64; 2])>, more: usize) -> Vec<u8> {
    let Told { executable, bundle_version, annotations } = told();
    let mut fields = Vec::new();
    field(&mut fields, 8, &tasks::id(1).to_le_bytes());
    if let Some((kind, codes)) = exception {
        let mut bytes = u64::from(kind).to_le_bytes().to_vec();
        bytes.extend(codes.into_iter().flat_map(u64::to_le_bytes));
        field(&mut fields, 9, &bytes);
    }
    field(&mut fields, 11, &executable.unwrap());
    field(&mut fields, 12, bundle_version.unwrap().as_bytes());
    for (key, value) in annotations {
        field(&mut fields, 5, format!("{key}\0{value}").as_bytes());
    }
    for number in 0..more {
        field(&mut fields, 5, format!("{number}\0{}", "x".repeat(1000)).as_bytes());
    }
    let mut message = b"MDWH\x01\0".to_vec();
    message.extend(if exception.is_some() { 1_u16 } else { 2 }.to_le_bytes());
    message.extend(u32::try_from(16 + fields.len()).unwrap().to_le_bytes());
    message.extend([0; 4]);
    message.extend(fields);
    message
}
