//! While threads of the own process are suspended, nothing is allocated: one of them may hold the allocator's lock.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use minidump_mach::sim::{SimArch, SimTask, SimThread, SyntheticImage};
use minidump_mach::{
    CaptureOptions, CrashedThread, KernReturn, MachCrash, MachException, MachTask, PlanKind, ProcessFacts,
    RawState, TaskFlavor, ThreadFlavor, ThreadPort, capture,
};
use minidump_snapshot::CpuState;
use minidump_snapshot::cpu::Arm64State;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts what is done while threads are suspended.
struct Counting;

thread_local! {
    /// Threads that are suspended.
    static SUSPENDED: Cell<i32> = const { Cell::new(0) };
    /// Whether the simulated kernel is at work, which may allocate.
    static IN_KERNEL: Cell<bool> = const { Cell::new(false) };
    static FORBIDDEN: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    if SUSPENDED.get() > 0 && !IN_KERNEL.get() {
        FORBIDDEN.set(FORBIDDEN.get() + 1);
    }
}

// SAFETY: all that it does is done by the system's allocator; counting touches only this thread's cells, which need no
// initialisation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A task whose calls are the kernel's.
struct Watched(SimTask);

fn kernel<T>(call: impl FnOnce() -> T) -> T {
    IN_KERNEL.set(true);
    let result = call();
    IN_KERNEL.set(false);
    result
}

impl MachTask for Watched {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize, KernReturn> {
        kernel(|| self.0.read(address, buffer))
    }

    fn region(
        &self,
        address: &mut u64,
        size: &mut u64,
        depth: &mut u32,
        words: &mut [u32],
    ) -> Result<usize, KernReturn> {
        kernel(|| self.0.region(address, size, depth, words))
    }

    fn threads(&self, ports: &mut [ThreadPort]) -> Result<usize, KernReturn> {
        kernel(|| self.0.threads(ports))
    }

    fn thread_state(&self, thread: ThreadPort, flavor: u32, words: &mut [u32]) -> Result<usize, KernReturn> {
        kernel(|| self.0.thread_state(thread, flavor, words))
    }

    fn thread_info(
        &self,
        thread: ThreadPort,
        flavor: ThreadFlavor,
        words: &mut [u32],
    ) -> Result<usize, KernReturn> {
        kernel(|| self.0.thread_info(thread, flavor, words))
    }

    fn task_info(&self, flavor: TaskFlavor, words: &mut [u32]) -> Result<usize, KernReturn> {
        kernel(|| self.0.task_info(flavor, words))
    }

    fn suspend(&self) -> Result<(), KernReturn> {
        kernel(|| self.0.suspend())
    }

    fn resume(&self) -> Result<(), KernReturn> {
        kernel(|| self.0.resume())
    }

    fn suspend_thread(&self, thread: ThreadPort) -> Result<(), KernReturn> {
        SUSPENDED.set(SUSPENDED.get() + 1);
        kernel(|| self.0.suspend_thread(thread))
    }

    fn resume_thread(&self, thread: ThreadPort) -> Result<(), KernReturn> {
        let result = kernel(|| self.0.resume_thread(thread));
        SUSPENDED.set(SUSPENDED.get() - 1);
        result
    }

    fn own_thread(&self) -> Option<ThreadPort> {
        kernel(|| self.0.own_thread())
    }

    fn pid(&self) -> i32 {
        kernel(|| self.0.pid())
    }

    fn sysctl(&self, name: &str, bytes: &mut [u8]) -> Result<usize, i32> {
        kernel(|| self.0.sysctl(name, bytes))
    }

    fn process_facts(&self) -> Option<ProcessFacts> {
        kernel(|| self.0.process_facts())
    }
}

fn task() -> Watched {
    let exe = SyntheticImage::executable("/app").uuid([1; 16]);
    let mut builder = SimTask::builder(SimArch::Arm64).image(&exe, 0x1_0000_0000);
    for index in 0..50 {
        let stack = 0x2_7000_0000 + index * 0x10_0000;
        let cpu = Arm64State { sp: stack + 0x1000, pc: 0x1_0000_2000, ..Arm64State::default() };
        let thread = SimThread::new(0x100 + index).named("worker").with_cpu(&CpuState::Arm64(Box::new(cpu)));
        builder = builder.stack(stack, 0x8000).thread(thread.with_handle(stack + 0x7000));
    }
    Watched(builder.called_by_thread(3).build().unwrap())
}

#[test]
fn nothing_is_allocated_or_freed_while_threads_are_suspended() {
    let task = task();
    let crash = MachCrash {
        thread: CrashedThread::Id(0x103),
        exception: Some(MachException { kind: 1, codes: [1, 0] }),
        states: vec![RawState { flavor: 6, words: vec![0; 68] }],
    };
    for crash in [None, Some(&crash)] {
        for plan in [PlanKind::Minidump, PlanKind::Core] {
            let options = CaptureOptions { plan, ..CaptureOptions::default() };
            let captured = capture(&task, &options, crash).unwrap();
            assert_eq!(captured.snapshot.threads.len(), 50);
            assert_eq!((FORBIDDEN.get(), SUSPENDED.get()), (0, 0));
        }
    }
    assert_eq!(task.0.suspensions(), 4 * 49);
}

#[test]
fn threads_that_are_new_do_not_make_anything_larger() {
    let exe = SyntheticImage::executable("/app");
    let builder = (1..=400)
        .fold(SimTask::builder(SimArch::Arm64).image(&exe, 0x1_0000_0000), |builder, id| {
            builder.thread(SimThread::new(id).with_cpu(&CpuState::Arm64(Box::default())))
        });
    let task = Watched(builder.called_by_thread(0).build().unwrap());
    // When room is made, the kernel tells of one thread only.
    task.0.inject(
        minidump_mach::sim::Call::Threads,
        minidump_mach::sim::When::Nth(1),
        minidump_mach::sim::Effect::Short(1),
    );
    let captured = capture(&task, &CaptureOptions::default(), None).unwrap();
    assert_eq!((FORBIDDEN.get(), SUSPENDED.get()), (0, 0));
    assert_eq!(captured.snapshot.threads.len(), 65, "one, and those that there is room for in any case");
    let told = |error: &minidump_snapshot::SoftError| error.message.starts_with("there was no room for");
    assert!(captured.snapshot.soft_errors.iter().any(told));
    assert_eq!(task.0.suspensions(), 64);
}
