//! Takes the place of pthread_create, so that each thread begins with an alternative signal stack, whatever language it
//! was made in.
#![expect(unsafe_code, reason = "the function of the C library")]

use super::stacks;
use libc::{c_int, c_void, pthread_attr_t, pthread_t};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// pthread_exit(3) unwinds through it, and through whoever calls it.
type Main = extern "C-unwind" fn(*mut c_void) -> *mut c_void;
type Create = unsafe extern "C" fn(*mut pthread_t, *const pthread_attr_t, Main, *mut c_void) -> c_int;

/// Whether threads get stacks: from the moment a client is installed.
static WANTED: AtomicBool = AtomicBool::new(false);

/// From now on, new threads have a stack.
pub fn begin() {
    WANTED.store(true, Ordering::Release);
}

/// From now on, new threads are left alone.
pub fn end() {
    WANTED.store(false, Ordering::Release);
}

/// What a new thread is to do.
struct Start {
    main: Main,
    argument: *mut c_void,
}

/// Creates a thread (pthread_create(3)) which, while a client is installed, begins with an alternative signal stack.
///
/// # Safety
/// As that of the C library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_create(
    thread: *mut pthread_t,
    attributes: *const pthread_attr_t,
    main: Main,
    argument: *mut c_void,
) -> c_int {
    let Some(create) = real() else { return libc::EAGAIN };
    if !WANTED.load(Ordering::Acquire) {
        // SAFETY: the caller's arguments to the function that it meant.
        return unsafe { create(thread, attributes, main, argument) };
    }
    // SAFETY: room for one `Start`.
    let start = unsafe { libc::malloc(size_of::<Start>()) }.cast::<Start>();
    if start.is_null() {
        return libc::EAGAIN;
    }
    // SAFETY: just allocated for it; aligned as malloc does.
    unsafe { start.write(Start { main, argument }) };
    // SAFETY: as above; `begin_thread` takes what it is given.
    let failed = unsafe { create(thread, attributes, begin_thread, start.cast()) };
    if failed != 0 {
        // SAFETY: no thread was made that could use it.
        unsafe { libc::free(start.cast()) };
    }
    failed
}

extern "C-unwind" fn begin_thread(start: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` made it for this thread alone.
    let Start { main, argument } = unsafe { start.cast::<Start>().read() };
    // SAFETY: read, and not used again.
    unsafe { libc::free(start) };
    stacks::install_for_new_thread();
    main(argument)
}

/// The C library's function.
fn real() -> Option<Create> {
    static REAL: AtomicUsize = AtomicUsize::new(0);
    let mut address = REAL.load(Ordering::Acquire);
    if address == 0 {
        address = look_up();
        REAL.store(address, Ordering::Release);
    }
    let own = pthread_create as unsafe extern "C" fn(_, _, _, _) -> _ as usize;
    // SAFETY: the address of that function, as the linker or the dynamic linker knows it.
    (address != 0 && address != own).then(|| unsafe { std::mem::transmute::<usize, Create>(address) })
}

#[cfg(not(all(target_env = "musl", target_feature = "crt-static")))]
fn look_up() -> usize {
    // SAFETY: the name ends with zero.
    unsafe { libc::dlsym(libc::RTLD_NEXT, c"pthread_create".as_ptr()) }.addr()
}

/// musl defines its function under this name, too, which does not give way to ours.
#[cfg(all(target_env = "musl", target_feature = "crt-static"))]
fn look_up() -> usize {
    unsafe extern "C" {
        fn __pthread_create(
            thread: *mut pthread_t,
            attributes: *const pthread_attr_t,
            main: Main,
            argument: *mut c_void,
        ) -> c_int;
    }
    __pthread_create as unsafe extern "C" fn(_, _, _, _) -> _ as usize
}
