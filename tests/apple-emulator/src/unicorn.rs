//! Unicorn's C interface, as far as it is needed here (unicorn/unicorn.h of version 2.1). The library is loaded at run time:
//! nothing of it is linked.
#![expect(unsafe_code, reason = "functions of a C library")]

use crate::Error;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// `uc_engine`.
pub type Handle = *mut c_void;
/// `uc_cb_hookcode_t`.
pub type CodeHook = extern "C" fn(Handle, u64, u32, *mut c_void);

/// UC_HOOK_CODE.
const HOOK_CODE: c_int = 4;
/// UC_PROT_ALL.
const PROTECTION: u32 = 7;
/// `UC_CTL_WRITE(UC_CTL_CPU_MODEL, 1)`.
const SET_MODEL: c_int = (1 << 30) | (1 << 26) | 7;

/// The functions.
#[derive(Debug)]
pub struct Unicorn {
    pub open: unsafe extern "C" fn(u32, u32, *mut Handle) -> c_int,
    pub close: unsafe extern "C" fn(Handle) -> c_int,
    ctl: unsafe extern "C" fn(Handle, c_int, ...) -> c_int,
    map: unsafe extern "C" fn(Handle, u64, u64, u32) -> c_int,
    write: unsafe extern "C" fn(Handle, u64, *const c_void, u64) -> c_int,
    read: unsafe extern "C" fn(Handle, u64, *mut c_void, u64) -> c_int,
    set: unsafe extern "C" fn(Handle, c_int, *const c_void) -> c_int,
    get: unsafe extern "C" fn(Handle, c_int, *mut c_void) -> c_int,
    hook: unsafe extern "C" fn(Handle, *mut usize, c_int, *mut c_void, *mut c_void, u64, u64, ...) -> c_int,
    unhook: unsafe extern "C" fn(Handle, usize) -> c_int,
    start: unsafe extern "C" fn(Handle, u64, u64, u64, usize) -> c_int,
    stop: unsafe extern "C" fn(Handle) -> c_int,
    text: unsafe extern "C" fn(c_int) -> *const c_char,
}

/// Ends an emulation that another thread runs.
struct Stopper {
    stop: unsafe extern "C" fn(Handle) -> c_int,
    handle: Handle,
}

// SAFETY: `uc_emu_stop` is made for other threads, the emulator's own timer among them. Nothing else is done to the handle.
unsafe impl Send for Stopper {}

impl Stopper {
    fn stop(&self) {
        // SAFETY: whoever made this keeps the emulator open for as long as it exists.
        unsafe { (self.stop)(self.handle) };
    }
}

/// The function of this name, as the type that the caller names.
///
/// # Safety
/// The library's function has that type.
unsafe fn function<F: Copy>(library: *mut c_void, name: &CStr) -> Result<F, Error> {
    assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
    // SAFETY: the library is open, the name ends with zero.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    if address.is_null() {
        return Err(Error::Emulator(format!("it has no {}", name.to_string_lossy())));
    }
    // SAFETY: an address of a function, of the same size; the type is the caller's promise.
    Ok(unsafe { std::mem::transmute_copy(&address) })
}

impl Unicorn {
    /// Loads the library, which stays loaded.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let name =
            CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::Emulator("bad path".into()))?;
        // SAFETY: the name ends with zero. What runs when it is loaded is the emulator's own start.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            return Err(Error::Emulator(format!("{} cannot be loaded", path.display())));
        }
        // SAFETY: the types are those of the header.
        unsafe {
            Ok(Self {
                open: function(library, c"uc_open")?,
                close: function(library, c"uc_close")?,
                ctl: function(library, c"uc_ctl")?,
                map: function(library, c"uc_mem_map")?,
                write: function(library, c"uc_mem_write")?,
                read: function(library, c"uc_mem_read")?,
                set: function(library, c"uc_reg_write")?,
                get: function(library, c"uc_reg_read")?,
                hook: function(library, c"uc_hook_add")?,
                unhook: function(library, c"uc_hook_del")?,
                start: function(library, c"uc_emu_start")?,
                stop: function(library, c"uc_emu_stop")?,
                text: function(library, c"uc_strerror")?,
            })
        }
    }

    /// Says what a code means.
    pub fn check(&self, code: c_int) -> Result<(), String> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: the function knows all numbers, and its texts end with zero and stay.
        let text = unsafe { CStr::from_ptr((self.text)(code)) };
        Err(text.to_string_lossy().into_owned())
    }
}

/// An emulated processor with its memory.
#[derive(Debug)]
pub struct Engine {
    unicorn: Unicorn,
    handle: Handle,
}

impl Engine {
    /// `(architecture, mode)` and the model of the processor.
    pub fn new(unicorn: Unicorn, (arch, mode): (u32, u32), model: u32) -> Result<Self, String> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the pointer is to a variable of the type that the call writes.
        unicorn.check(unsafe { (unicorn.open)(arch, mode, &raw mut handle) })?;
        let engine = Self { unicorn, handle };
        // SAFETY: this control takes one `int`.
        engine.check(unsafe { (engine.unicorn.ctl)(handle, SET_MODEL, model) })?;
        Ok(engine)
    }

    fn check(&self, code: c_int) -> Result<(), String> {
        self.unicorn.check(code)
    }

    pub fn map(&self, address: u64, size: u64) -> Result<(), String> {
        // SAFETY: numbers only; the emulator makes the memory itself.
        self.check(unsafe { (self.unicorn.map)(self.handle, address, size, PROTECTION) })
    }

    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), String> {
        // SAFETY: the emulator reads `bytes.len()` bytes.
        self.check(unsafe {
            (self.unicorn.write)(self.handle, address, bytes.as_ptr().cast(), bytes.len() as u64)
        })
    }

    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), String> {
        // SAFETY: the emulator writes `bytes.len()` bytes.
        self.check(unsafe {
            (self.unicorn.read)(self.handle, address, bytes.as_mut_ptr().cast(), bytes.len() as u64)
        })
    }

    pub fn set(&self, register: i32, value: u64) -> Result<(), String> {
        // SAFETY: the registers that are asked for here have 64 bits.
        self.check(unsafe { (self.unicorn.set)(self.handle, register, (&raw const value).cast()) })
    }

    pub fn get(&self, register: i32) -> Result<u64, String> {
        let mut value = 0_u64;
        // SAFETY: as above.
        self.check(unsafe { (self.unicorn.get)(self.handle, register, (&raw mut value).cast()) })?;
        Ok(value)
    }

    /// Runs from `start` to `end`, for at most `most`. `hook` is called before each instruction from `first` to `last`, with
    /// `user`.
    ///
    /// The emulator's own limit of time is of no use: whenever a thread opens an emulator, the clock by which the limits of
    /// all others are measured is another one for an instant, and these may end at once.
    ///
    /// # Safety
    /// `hook` may be called with `user` until this returns.
    pub unsafe fn run(
        &self,
        (start, end, most): (u64, u64, Duration),
        (first, last): (u64, u64),
        hook: CodeHook,
        user: *mut c_void,
    ) -> Result<(), String> {
        let mut id = 0;
        let code = hook as *mut c_void;
        // SAFETY: the hook has the type that this kind of hook wants; the rest is the caller's promise.
        self.check(unsafe {
            (self.unicorn.hook)(self.handle, &raw mut id, HOOK_CODE, code, user, first, last)
        })?;
        let ran = self.within(most, || {
            // SAFETY: numbers; the hook that it calls is the caller's promise.
            self.check(unsafe { (self.unicorn.start)(self.handle, start, end, 0, 0) })
        });
        // SAFETY: the number is that of the hook, which nobody calls now.
        let unhooked = self.check(unsafe { (self.unicorn.unhook)(self.handle, id) });
        ran.and(unhooked)
    }

    /// Has `run` stopped when it takes longer than `most`.
    fn within<T>(&self, most: Duration, run: impl FnOnce() -> T) -> T {
        let (running, ended) = mpsc::channel::<()>();
        let stopper = Stopper { stop: self.unicorn.stop, handle: self.handle };
        thread::scope(|scope| {
            scope.spawn(move || {
                if ended.recv_timeout(most) == Err(RecvTimeoutError::Timeout) {
                    stopper.stop();
                }
            });
            let result = run();
            drop(running);
            result
        })
    }

    pub fn stop(&self) {
        // SAFETY: may be called in a hook, at any time. That it was not running is no error here.
        unsafe { (self.unicorn.stop)(self.handle) };
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: the handle is of an open engine, and nobody else has it.
        unsafe { (self.unicorn.close)(self.handle) };
    }
}
