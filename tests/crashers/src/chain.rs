//! A recognisable call chain, `outer` → `middle` → `inner_wait`, that ends in a wait and leaves known bytes in
//! every frame.
//!
//! Each frame holds a 64-byte aligned local. The compiler must realign the stack for it and so must set up a frame
//! pointer: readers without call frame information can follow these frames too.

use crate::facts::Facts;
use crate::sys;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};

/// Bytes of the pattern in each frame.
pub const PATTERN_LENGTH: usize = 64;

/// A frame's known bytes: eight words of seed, level and index, little-endian.
#[repr(C, align(64))]
pub struct Pattern([u64; PATTERN_LENGTH / 8]);

impl Pattern {
    /// The pattern of frame `level` in the chain with this `seed`.
    pub fn new(seed: u32, level: u8) -> Self {
        Self(std::array::from_fn(|index| {
            0x5eed_0000_0000_0000 | u64::from(seed) << 16 | u64::from(level) << 8 | index as u64
        }))
    }

    /// Where it lies.
    pub fn address(&self) -> u64 {
        std::ptr::from_ref(black_box(self)) as u64
    }

    /// Its bytes in memory order.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// What a thread in the chain tells about itself.
#[derive(Default)]
pub struct Parked {
    tid: AtomicU32,
    patterns: [AtomicU64; 3],
    ready: AtomicU32,
}

impl Parked {
    /// The thread's id; valid once it is ready.
    pub fn tid(&self) -> u32 {
        self.tid.load(Ordering::Acquire)
    }

    /// Whether the thread stands in the last frame's wait.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) == 1
    }

    /// Waits until the thread stands in its wait.
    pub fn wait(&self) {
        sys::wait_until("a thread to park", || self.is_ready());
    }

    /// The facts: thread id and, innermost first, the patterns of the frames.
    pub fn facts(&self, name: &str, seed: u32) -> Facts {
        let frames = ["inner_wait", "middle", "outer"].into_iter().zip(0u8..).zip(&self.patterns);
        let frames = frames.map(|((function, level), address)| {
            Facts::part()
                .text("function", function)
                .number("address", address.load(Ordering::Acquire))
                .bytes("bytes", &Pattern::new(seed, level).bytes())
        });
        Facts::part().number("tid", self.tid()).text("name", name).objects("frames", frames)
    }

    fn tell(&self, level: usize, pattern: &Pattern) {
        if let Some(slot) = self.patterns.get(level) {
            slot.store(pattern.address(), Ordering::Release);
        }
    }
}

/// The outermost function of the chain. Never returns in practice.
#[inline(never)]
pub fn outer(seed: u32, parked: &Parked) -> u64 {
    let pattern = Pattern::new(seed, 2);
    parked.tell(2, &pattern);
    let sum = middle(seed, parked);
    sum + pattern.address()
}

/// The function between.
#[inline(never)]
pub fn middle(seed: u32, parked: &Parked) -> u64 {
    let pattern = Pattern::new(seed, 1);
    parked.tell(1, &pattern);
    let sum = inner_wait(seed, parked);
    sum + pattern.address()
}

/// The innermost function: says that it is ready, and waits for ever.
#[inline(never)]
pub fn inner_wait(seed: u32, parked: &Parked) -> u64 {
    let pattern = Pattern::new(seed, 0);
    parked.tell(0, &pattern);
    parked.tid.store(sys::thread_id(), Ordering::Release);
    #[cfg(windows)]
    sys::wait_for_ever(&parked.ready);
    // By a system call of our own, so that the thread stands here and not in a C library without frame pointers; and not in a
    // function of `sys`, because debuggers show one also where it was inlined.
    // SAFETY: FUTEX_WAIT reads the word that rdi points to, a static; the store goes to an atomic that outlives the
    // call. rax, rcx and r11 are what the system call changes.
    #[cfg(not(windows))]
    unsafe {
        std::arch::asm!(
            "mov dword ptr [{ready}], 1",
            "2:",
            "mov eax, {futex}",
            "syscall",
            "cmp dword ptr [rdi], 0",
            "je 2b",
            ready = in(reg) parked.ready.as_ptr(),
            futex = const libc::SYS_futex,
            in("rdi") sys::NEVER.as_ptr(),
            in("rsi") libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            in("rdx") 0,
            in("r10") 0,
            out("rax") _,
            out("rcx") _,
            out("r11") _,
        );
    }
    pattern.address()
}

/// A thread in the chain.
pub struct Worker {
    name: String,
    seed: u32,
    /// What it tells about itself.
    pub parked: Arc<Parked>,
    _handle: JoinHandle<()>,
}

impl Worker {
    /// Its facts.
    pub fn facts(&self) -> Facts {
        self.parked.facts(&self.name, self.seed)
    }
}

/// Starts `count` threads `worker-00`, `worker-01` … with stacks of `stack_size` bytes and waits until all are parked.
pub fn start_workers(count: u32, stack_size: usize) -> Vec<Worker> {
    let workers: Vec<Worker> = (0..count).map(|seed| start_worker(seed, stack_size)).collect();
    for worker in &workers {
        worker.parked.wait();
    }
    workers
}

fn start_worker(seed: u32, stack_size: usize) -> Worker {
    let name = format!("worker-{seed:02}");
    let parked = Arc::new(Parked::default());
    let shared = Arc::clone(&parked);
    let builder = Builder::new().name(name.clone()).stack_size(stack_size);
    let handle = builder
        .spawn(move || {
            outer(seed, &shared);
        })
        .expect("a thread can be started");
    Worker { name, seed, parked, _handle: handle }
}
