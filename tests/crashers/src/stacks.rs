//! Threads whose stack pointer is not where a dumper expects it.

use crate::chain::{self, PATTERN_LENGTH, Parked, Pattern};
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::spin;
use crate::sys;
use libc::{PROT_NONE, PROT_READ, PROT_WRITE};
use std::arch::asm;
use std::ffi::c_void;
use std::sync::Arc;

/// Below everything mapped, as it lies under the first page that mmap hands out.
const LOW_GARBAGE: u64 = 0xdead_beef;
/// Not canonical: bits 48 to 63 differ from bit 47.
const NON_CANONICAL_GARBAGE: u64 = 0xdead_beef_dead_bee8;
/// Size of the guard area of [`sp_guard`], in bytes.
const GUARD: usize = 64 * 1024;

/// `sp-garbage [low|noncanonical]`: a thread spins with a stack pointer that points to nothing; three more are parked.
pub fn sp_garbage(arguments: &Arguments) {
    let stack_pointer = match arguments.text(0) {
        Some("noncanonical") => NON_CANONICAL_GARBAGE,
        _ => LOW_GARBAGE,
    };
    let workers = chain::start_workers(3, 256 * 1024);
    let (send, receive) = std::sync::mpsc::channel();
    let spin = move || {
        send.send(sys::thread_id()).expect("the main thread listens");
        // SAFETY: this program installs no signal handler.
        unsafe { spin::spin_at(stack_pointer) }
    };
    std::thread::Builder::new().name("lost-stack".into()).spawn(spin).expect("a thread can be started");
    let tid = receive.recv().expect("the thread reports");
    spin::wait_for_spin();
    crate::threads::worker_facts(&workers).number("tid", tid).number("sp", stack_pointer).print();
    control::serve_ping();
}

/// `sp-guard SIZE_KIB`: a thread with a stack of that size (default 64) has run into the guard area below it. Known
/// bytes lie at the lowest usable address of the stack, and in a frame near its top.
pub fn sp_guard(arguments: &Arguments) {
    let size = arguments.parsed::<usize>(0, 64) * 1024;
    let area = sys::map_anonymous(GUARD + size, PROT_READ | PROT_WRITE);
    // SAFETY: the pages are fresh; nobody uses them.
    unsafe { sys::protect(area, GUARD, PROT_NONE) };
    let stack = area + GUARD;
    let lowest = Pattern::new(7, 0);
    // SAFETY: `stack` starts a writable mapping that is longer than a pattern, aligned to a page.
    unsafe { std::ptr::write(stack as *mut Pattern, Pattern::new(7, 0)) };
    let stack_pointer = stack as u64 - 256;
    let (send, receive) = std::sync::mpsc::channel();
    let overflow = move || {
        let frame = Pattern::new(7, 1);
        send.send((sys::thread_id(), frame.address())).expect("the main thread listens");
        // SAFETY: this program installs no signal handler.
        unsafe { spin::spin_at(stack_pointer) }
    };
    start_on_stack(stack, size, "overflowed", overflow);
    let (tid, frame) = receive.recv().expect("the thread reports");
    spin::wait_for_spin();
    Facts::new()
        .number("tid", tid)
        .number("sp", stack_pointer)
        .size("guard", area)
        .size("guard_size", GUARD)
        .size("stack", stack)
        .size("stack_end", stack + size)
        .object("lowest", &pattern_facts(stack as u64, &lowest))
        .object("frame", &pattern_facts(frame, &Pattern::new(7, 1)))
        .print();
    control::serve_ping();
}

/// `sp-below-main`: the main thread's stack pointer lies 1 MiB below its stack mapping, and its frame above.
pub fn sp_below_main(_: &Arguments) {
    let frame = Pattern::new(9, 1);
    let address = frame.address();
    let (start, end) = sys::mapping_named("[stack]").expect("the main thread has a stack mapping");
    let stack_pointer = start as u64 - 1024 * 1024;
    let serve = move || {
        spin::wait_for_spin();
        Facts::new()
            .number("tid", std::process::id())
            .number("sp", stack_pointer)
            .size("stack", start)
            .size("stack_end", end)
            .object("frame", &pattern_facts(address, &Pattern::new(9, 1)))
            .print();
        control::serve_ping();
    };
    std::thread::Builder::new().name("server".into()).spawn(serve).expect("a thread can be started");
    // SAFETY: this program installs no signal handler.
    unsafe { spin::spin_at(stack_pointer) }
}

/// `huge-stack`: a thread runs on a stack that begins in the middle of a mapping of 1 GiB; 512 MiB lie above it.
pub fn huge_stack(_: &Arguments) {
    const HALF: usize = 512 * 1024 * 1024;
    let area = sys::map_anonymous(2 * HALF, PROT_READ | PROT_WRITE);
    let parked = Arc::new(Parked::default());
    let shared = Arc::clone(&parked);
    start_on_stack(area, HALF, "huge-stack", move || {
        chain::outer(1, &shared);
    });
    parked.wait();
    let facts = parked.facts("huge-stack", 1);
    Facts::new().objects("threads", [facts]).size("mapping", area).size("mapping_size", 2 * HALF).print();
    control::serve_ping();
}

/// `coroutine`: a thread runs on 64 KiB inside a mapping of 16 MiB that serves as heap.
pub fn coroutine(_: &Arguments) {
    const HEAP: usize = 16 * 1024 * 1024;
    const STACK: usize = 64 * 1024;
    let heap = sys::map_anonymous(HEAP, PROT_READ | PROT_WRITE);
    let stack = heap + HEAP / 2;
    let parked: &'static Parked = Box::leak(Box::new(Parked::default()));
    let switch = move || {
        // SAFETY: the block is writable, aligned to 16 and not used by anything else; the callee's signature is that
        // of `coroutine_entry`. R12 survives a call in the System V ABI, so RSP comes back.
        unsafe {
            asm!(
                "mov r12, rsp",
                "mov rsp, {top}",
                "call {entry}",
                "mov rsp, r12",
                top = in(reg) stack + STACK,
                entry = sym coroutine_entry,
                in("rdi") parked,
                out("r12") _,
                clobber_abi("C"),
            );
        }
    };
    std::thread::Builder::new().name("coroutine".into()).spawn(switch).expect("a thread can be started");
    parked.wait();
    Facts::new()
        .objects("threads", [parked.facts("coroutine", 2)])
        .size("heap", heap)
        .size("heap_size", HEAP)
        .size("stack", stack)
        .size("stack_end", stack + STACK)
        .print();
    control::serve_ping();
}

extern "C" fn coroutine_entry(parked: &'static Parked) {
    chain::outer(2, parked);
}

/// `deep-recursion`: a thread waits at the end of a recursion that fills more than 2 MiB of its 8 MiB stack.
pub fn deep_recursion(_: &Arguments) {
    const SIZE: usize = 8 * 1024 * 1024;
    let area = sys::map_anonymous(GUARD + SIZE, PROT_READ | PROT_WRITE);
    // SAFETY: the pages are fresh; nobody uses them.
    unsafe { sys::protect(area, GUARD, PROT_NONE) };
    let stack = area + GUARD;
    let parked = Arc::new(Parked::default());
    let shared = Arc::clone(&parked);
    let (send, receive) = std::sync::mpsc::channel();
    let run = move || {
        let first = Pattern::new(4, 9);
        send.send(first.address()).expect("the main thread listens");
        recurse(2 * 1024 * 1024 / 4096, &shared);
    };
    start_on_stack(stack, SIZE, "deep", run);
    let first = receive.recv().expect("the thread reports");
    parked.wait();
    Facts::new()
        .objects("threads", [parked.facts("deep", 3)])
        .size("stack", stack)
        .size("stack_end", stack + SIZE)
        .object("first", &pattern_facts(first, &Pattern::new(4, 9)))
        .print();
    control::serve_ping();
}

/// Each turn of the recursion takes a little more than 4 KiB.
#[inline(never)]
fn recurse(depth: u32, parked: &Parked) -> u64 {
    let block = [u64::from(depth); 512];
    let below = match depth {
        0 => chain::outer(3, parked),
        _ => recurse(depth - 1, parked),
    };
    below + std::hint::black_box(&block).iter().sum::<u64>()
}

fn pattern_facts(address: u64, pattern: &Pattern) -> Facts {
    Facts::part().number("address", address).size("size", PATTERN_LENGTH).bytes("bytes", &pattern.bytes())
}

/// Runs `body` on a thread whose stack is the `size` bytes at `stack`. The standard library cannot do that.
fn start_on_stack(stack: usize, size: usize, name: &str, body: impl FnOnce() + Send + 'static) {
    extern "C" fn enter(argument: *mut c_void) -> *mut c_void {
        // SAFETY: `argument` is the box made below, handed over exactly once.
        let body = unsafe { Box::from_raw(argument.cast::<Box<dyn FnOnce() + Send>>()) };
        body();
        std::ptr::null_mut()
    }
    let name = std::ffi::CString::new(name).expect("a thread name holds no NUL");
    let body: Box<dyn FnOnce() + Send> = Box::new(move || {
        // SAFETY: PR_SET_NAME reads a string that ends with NUL.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
        body();
    });
    let body = Box::into_raw(Box::new(body));
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut thread = 0;
    // SAFETY: the attributes are initialised before use, the memory is ours and outlives the thread, and `enter`
    // takes the box.
    let result = unsafe {
        libc::pthread_attr_init(attributes.as_mut_ptr());
        libc::pthread_attr_setstack(attributes.as_mut_ptr(), stack as *mut c_void, size);
        libc::pthread_create(&raw mut thread, attributes.as_ptr(), enter, body.cast())
    };
    assert_eq!(result, 0, "pthread_create on a stack of our own");
}
