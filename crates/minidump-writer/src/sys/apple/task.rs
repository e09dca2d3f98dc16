//! A task as the kernel shows it.
#![expect(unsafe_code, reason = "calls of the system")]

use super::calls::{pid_for_task, thread_info};
use super::process;
use super::rights::{SendRight, ThreadList, check, own_task};
use mach2::mach_init::mach_thread_self;
use mach2::mach_types::task_t;
use mach2::task::{task_info, task_resume, task_suspend};
use mach2::thread_act::{thread_get_state, thread_resume, thread_suspend};
use mach2::vm::{mach_vm_read_overwrite, mach_vm_region_recurse};
use minidump_mach::{KernReturn, MachTask, ProcessFacts, TaskFlavor, ThreadFlavor, ThreadPort};
use std::cell::OnceCell;
use std::marker::PhantomData;

/// How many lists of threads a task keeps the ports of.
const LISTS: usize = 32;
/// KERN_RESOURCE_SHORTAGE (mach/kern_return.h).
const RESOURCE_SHORTAGE: KernReturn = KernReturn(6);

/// Who gives the task's port back.
#[derive(Debug)]
enum Port {
    /// The caller, or nobody: it is the own one.
    Lent(task_t),
    /// This value.
    Held(SendRight),
}

/// A task whose port this process has.
///
/// Belongs to the thread that made it: [`own_thread`](MachTask::own_thread) is that one.
#[derive(Debug)]
pub struct RealTask {
    port: Port,
    pid: i32,
    /// The thread that made this, when the task is the own one.
    own_thread: Option<SendRight>,
    /// All lists that were asked for: the ports in them stay valid as long as the value.
    lists: [OnceCell<ThreadList>; LISTS],
    of_this_thread: PhantomData<*const ()>,
}

impl RealTask {
    /// The task of the port `task`, which stays the caller's and must be valid as long as the value.
    pub fn lent(task: task_t) -> Self {
        Self::new(Port::Lent(task))
    }

    /// The task of a port that is given back with the value.
    pub fn held(task: SendRight) -> Self {
        Self::new(Port::Held(task))
    }

    fn new(port: Port) -> Self {
        let mut task = Self {
            port,
            pid: 0,
            own_thread: None,
            lists: [const { OnceCell::new() }; LISTS],
            of_this_thread: PhantomData,
        };
        // SAFETY: the pointer is to a variable of the type that the call writes.
        let told = check(unsafe { pid_for_task(task.name(), &raw mut task.pid) });
        if told.is_err() {
            task.pid = 0;
        }
        if task.name() == own_task() || u32::try_from(task.pid) == Ok(std::process::id()) {
            // SAFETY: no arguments. The reference that it returns is ours.
            task.own_thread = Some(SendRight::new(unsafe { mach_thread_self() }));
        }
        task
    }

    fn name(&self) -> task_t {
        match &self.port {
            Port::Lent(name) => *name,
            Port::Held(right) => right.name(),
        }
    }
}

/// Length of a buffer as the kernel counts words. No structure is longer than a few hundred.
fn words_of(words: &[u32]) -> u32 {
    u32::try_from(words.len()).unwrap_or(u32::MAX)
}

/// How many words came. The kernel never writes more than there is room for.
fn came(count: u32, words: &[u32]) -> usize {
    usize::try_from(count).map_or(words.len(), |count| count.min(words.len()))
}

impl MachTask for RealTask {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize, KernReturn> {
        let mut read = 0;
        let (size, target) = (buffer.len() as u64, buffer.as_mut_ptr().expose_provenance() as u64);
        // SAFETY: the kernel writes at most `size` bytes to the buffer, which is exclusively ours.
        check(unsafe { mach_vm_read_overwrite(self.name(), address, size, target, &raw mut read) })?;
        Ok(usize::try_from(read).map_or(buffer.len(), |read| read.min(buffer.len())))
    }

    fn region(
        &self,
        address: &mut u64,
        size: &mut u64,
        depth: &mut u32,
        words: &mut [u32],
    ) -> Result<usize, KernReturn> {
        let mut count = words_of(words);
        let info = words.as_mut_ptr().cast();
        // SAFETY: the kernel writes at most `count` words to `words`; the others are variables of the types it writes.
        check(unsafe { mach_vm_region_recurse(self.name(), address, size, depth, info, &raw mut count) })?;
        Ok(came(count, words))
    }

    fn threads(&self, ports: &mut [ThreadPort]) -> Result<usize, KernReturn> {
        let free = self.lists.iter().find(|list| list.get().is_none()).ok_or(RESOURCE_SHORTAGE)?;
        let list = ThreadList::of(self.name())?;
        let list = free.get_or_init(|| list);
        for (port, name) in ports.iter_mut().zip(list.names()) {
            *port = ThreadPort(*name);
        }
        Ok(list.names().len())
    }

    fn thread_state(&self, thread: ThreadPort, flavor: u32, words: &mut [u32]) -> Result<usize, KernReturn> {
        let mut count = words_of(words);
        // Flavors are small numbers in all headers.
        let flavor = i32::try_from(flavor).map_err(|_| KernReturn::INVALID_ARGUMENT)?;
        // SAFETY: the kernel writes at most `count` words to `words`.
        check(unsafe { thread_get_state(thread.0, flavor, words.as_mut_ptr(), &raw mut count) })?;
        Ok(came(count, words))
    }

    fn thread_info(
        &self,
        thread: ThreadPort,
        flavor: ThreadFlavor,
        words: &mut [u32],
    ) -> Result<usize, KernReturn> {
        let mut count = words_of(words);
        let info = words.as_mut_ptr().cast();
        // SAFETY: the kernel writes at most `count` words to `words`.
        check(unsafe { thread_info(thread.0, flavor as u32, info, &raw mut count) })?;
        Ok(came(count, words))
    }

    fn task_info(&self, flavor: TaskFlavor, words: &mut [u32]) -> Result<usize, KernReturn> {
        let mut count = words_of(words);
        let info = words.as_mut_ptr().cast();
        // SAFETY: the kernel writes at most `count` words to `words`.
        check(unsafe { task_info(self.name(), flavor as u32, info, &raw mut count) })?;
        Ok(came(count, words))
    }

    fn suspend(&self) -> Result<(), KernReturn> {
        // SAFETY: a call on a port alone. What stands still is the target, which the caller wants.
        check(unsafe { task_suspend(self.name()) })
    }

    fn resume(&self) -> Result<(), KernReturn> {
        // SAFETY: a call on a port alone.
        check(unsafe { task_resume(self.name()) })
    }

    fn suspend_thread(&self, thread: ThreadPort) -> Result<(), KernReturn> {
        // SAFETY: a call on a port alone. The caller does not name its own thread, as the trait says.
        check(unsafe { thread_suspend(thread.0) })
    }

    fn resume_thread(&self, thread: ThreadPort) -> Result<(), KernReturn> {
        // SAFETY: a call on a port alone.
        check(unsafe { thread_resume(thread.0) })
    }

    fn own_thread(&self) -> Option<ThreadPort> {
        self.own_thread.as_ref().map(|thread| ThreadPort(thread.name()))
    }

    fn pid(&self) -> i32 {
        self.pid
    }

    fn sysctl(&self, name: &str, bytes: &mut [u8]) -> Result<usize, i32> {
        process::sysctl(name, bytes)
    }

    fn process_facts(&self) -> Option<ProcessFacts> {
        process::facts(self.pid)
    }
}
