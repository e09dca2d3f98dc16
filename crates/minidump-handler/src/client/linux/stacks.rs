//! Alternative signal stacks: without one, a thread that overflows its stack dies without a handler.
#![expect(unsafe_code, reason = "mmap, sigaltstack, thread-specific data")]

use libc::{c_int, c_void};
use std::mem::zeroed;
use std::ptr;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// Bytes of a stack. The kernel's own frame takes up to 12 KiB with the widest registers of today (AMX); only what is
/// used is ever there.
const SIZE: usize = 64 << 10;
/// Bytes below it that nobody may touch.
const GUARD: usize = 4 << 10;
/// A stack of this size, which somebody else has set, will do: the handler leaves it at once for one of its own.
const ENOUGH: usize = 16 << 10;

/// The stack of the calling thread; `None` without one.
fn current() -> Option<libc::stack_t> {
    // SAFETY: all zeros are a description; the call writes one there.
    unsafe {
        let mut stack: libc::stack_t = zeroed();
        let told = libc::sigaltstack(ptr::null(), &raw mut stack) == 0;
        (told && stack.ss_flags & libc::SS_DISABLE == 0).then_some(stack)
    }
}

/// Whether the address is in the alternative stack of the calling thread.
pub fn has(address: u64) -> bool {
    current().is_some_and(|stack| {
        let start = stack.ss_sp.addr() as u64;
        (start..start.saturating_add(stack.ss_size as u64)).contains(&address)
    })
}

/// Whether a thread with this stack needs another. A handler that runs on its alternative stack cannot change it.
fn needs_one(stack: Option<libc::stack_t>) -> bool {
    stack.is_none_or(|stack| stack.ss_size < ENOUGH && stack.ss_flags & libc::SS_ONSTACK == 0)
}

/// Gives the calling thread a stack, if it has none that is large enough. Returns its mapping, to be given to
/// [`remove`]; `None` when there is nothing to remove.
pub fn install() -> Option<*mut c_void> {
    if !needs_one(current()) {
        return None;
    }
    let (mapping, stack) = make()?;
    // SAFETY: memory of ours, of the size that is told, which stays until `remove`.
    unsafe {
        if libc::sigaltstack(&raw const stack, ptr::null_mut()) == 0 {
            return Some(mapping);
        }
        libc::munmap(mapping, GUARD + SIZE);
    }
    None
}

/// Makes a stack. It may be called in a signal handler.
fn make() -> Option<(*mut c_void, libc::stack_t)> {
    // SAFETY: a new mapping, all of which is ours.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let mapping = libc::mmap(ptr::null_mut(), GUARD + SIZE, libc::PROT_NONE, flags, -1, 0);
        if mapping == libc::MAP_FAILED {
            return None;
        }
        let bottom = mapping.byte_add(GUARD);
        if libc::mprotect(bottom, SIZE, libc::PROT_READ | libc::PROT_WRITE) == 0 {
            return Some((mapping, libc::stack_t { ss_sp: bottom, ss_flags: 0, ss_size: SIZE }));
        }
        libc::munmap(mapping, GUARD + SIZE);
        None
    }
}

/// Takes the stack of the calling thread away again, unless the thread has another by now.
///
/// # Safety
/// `mapping` must be what [`install`] returned to this thread, once.
pub unsafe fn remove(mapping: *mut c_void) {
    let is_ours = current().is_some_and(|stack| stack.ss_sp.addr() == mapping.addr() + GUARD);
    // SAFETY: all zeros are a description.
    let mut none: libc::stack_t = unsafe { zeroed() };
    none.ss_flags = libc::SS_DISABLE;
    // SAFETY: a stack that is in use cannot be disabled, and is left alone then. The mapping is nobody's after that.
    unsafe {
        if !is_ours || libc::sigaltstack(&raw const none, ptr::null_mut()) == 0 {
            libc::munmap(mapping, GUARD + SIZE);
        }
    }
}

/// How many threads have yet to give themselves a stack.
static AWAITED: AtomicU32 = AtomicU32::new(0);

/// Runs in each thread that was there before.
extern "C" fn on_request(_signal: c_int, _info: *mut libc::siginfo_t, ucontext: *mut c_void) {
    let errno = super::sys::errno();
    // When a handler returns, the kernel puts back the stack that was saved, so it is there that it has to be changed
    // (`restore_altstack` in kernel/signal.c). It is never unmapped: a thread that ends leaves it, once.
    // SAFETY: the context that the kernel gave to this handler.
    let saved = unsafe { &mut (*ucontext.cast::<libc::ucontext_t>()).uc_stack };
    let is_none = saved.ss_flags & libc::SS_DISABLE != 0;
    if needs_one((!is_none).then_some(*saved))
        && let Some((_, stack)) = make()
    {
        *saved = stack;
    }
    AWAITED.fetch_sub(1, Ordering::AcqRel);
    super::sys::set_errno(errno);
}

/// Has all threads of this process that are there already give themselves a stack, by a signal that nobody else uses.
/// Waits for them, not for ever: one that blocks the signal gets its stack when it no longer does so. Returns how many
/// were asked.
pub fn install_for_all() -> u32 {
    let Some(signal) = unused_signal() else { return 0 };
    // SAFETY: all zeros are an action; the handler is one, and stays.
    let asked = unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = on_request as extern "C" fn(_, _, _) as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_SIGINFO;
        libc::sigaction(signal, &raw const action, ptr::null_mut()) == 0
    };
    if !asked {
        return 0;
    }
    let (pid, me) = (super::sys::process_id(), super::sys::thread_id());
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ids = threads.filter_map(|entry| entry.file_name().to_str()?.parse::<libc::pid_t>().ok());
    let mut count = 0_u32;
    for tid in ids.filter(|tid| *tid != me) {
        AWAITED.fetch_add(1, Ordering::AcqRel);
        // SAFETY: sends a signal that has a handler, to a thread of this process.
        if unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) } == 0 {
            count = count.saturating_add(1);
        } else {
            AWAITED.fetch_sub(1, Ordering::AcqRel);
        }
    }
    let until = super::sys::now_ms().saturating_add(100);
    while AWAITED.load(Ordering::Acquire) > 0 && super::sys::now_ms() < until {
        super::sys::pause(1);
    }
    count
}

/// The last real-time signal that has its default action.
fn unused_signal() -> Option<c_int> {
    (libc::SIGRTMIN() + 1..=libc::SIGRTMAX()).rev().find(|signal| {
        // SAFETY: all zeros are an action; the call writes one there.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            libc::sigaction(*signal, ptr::null(), &raw mut action) == 0
                && action.sa_sigaction == libc::SIG_DFL
        }
    })
}

/// The key of the data by which a thread that ends removes its stack; -1 when there is none yet.
static KEY: AtomicI64 = AtomicI64::new(-1);

extern "C" fn at_thread_exit(mapping: *mut c_void) {
    // SAFETY: the value is what `install` gave to this very thread, and is cleared before this is called.
    unsafe { remove(mapping) };
}

/// Gives the calling thread, which has just started, a stack that is removed when it ends.
pub fn install_for_new_thread() {
    let Some(key) = key() else { return };
    if let Some(mapping) = install() {
        // SAFETY: the key has been made and is never deleted.
        if unsafe { libc::pthread_setspecific(key, mapping) } != 0 {
            // SAFETY: from `install`, of this thread.
            unsafe { remove(mapping) };
        }
    }
}

fn key() -> Option<libc::pthread_key_t> {
    let known = |value: i64| libc::pthread_key_t::try_from(value).ok();
    if let Some(key) = known(KEY.load(Ordering::Acquire)) {
        return Some(key);
    }
    let mut key: libc::pthread_key_t = 0;
    // SAFETY: the call writes a key there.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(at_thread_exit)) } != 0 {
        return None;
    }
    match KEY.compare_exchange(-1, i64::from(key), Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(key),
        Err(first) => {
            // SAFETY: made above, and used by nobody.
            unsafe { libc::pthread_key_delete(key) };
            known(first)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the alternative stack of the calling thread is.
    fn place() -> (usize, usize) {
        current().map_or((0, 0), |stack| (stack.ss_sp.addr(), stack.ss_size))
    }

    #[test]
    fn a_thread_gets_one_stack_which_goes_with_it() {
        let thread = std::thread::spawn(|| {
            // SAFETY: disabling what the standard library has set; it is not used again in this thread.
            unsafe {
                let mut none: libc::stack_t = zeroed();
                none.ss_flags = libc::SS_DISABLE;
                libc::sigaltstack(&raw const none, ptr::null_mut());
            }
            let mapping = install().unwrap();
            assert_eq!(place(), (mapping.addr() + GUARD, SIZE));
            assert!(has((mapping.addr() + GUARD) as u64) && !has(mapping.addr() as u64));
            assert!(install().is_none(), "it has one");
            // SAFETY: from `install`, of this thread.
            unsafe { remove(mapping) };
            assert_eq!(place(), (0, 0));
        });
        thread.join().unwrap();
    }

    #[test]
    fn threads_that_are_there_already_get_stacks() {
        let (ask, asked) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            tell.send(place()).unwrap();
            asked.recv().unwrap();
            tell.send(place()).unwrap();
        });
        let before: (usize, usize) = told.recv().unwrap();
        assert!(before.1 < ENOUGH, "the standard library's: {before:?}");
        assert!(install_for_all() >= 1);
        ask.send(()).unwrap();
        assert_eq!(told.recv().unwrap().1, SIZE);
        thread.join().unwrap();
    }
}
