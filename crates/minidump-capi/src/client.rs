//! The client of this process.
#![expect(unsafe_code, reason = "functions of the C interface")]

use crate::client_options::ClientOptions;
use crate::entry::enter;
use crate::failure::Failure;
use crate::handle::{self, Handle};
use crate::{arguments, first_chance, heartbeat};
use minidump_handler::client::{Builder, Client};
use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, TryLockError};

/// The client and its handle.
struct Running {
    handle: usize,
    client: Client,
}

/// Written to by [`begin`] and [`end`] alone, while nobody has a handle that is right.
static RUNNING: RwLock<Option<Running>> = RwLock::new(None);

/// One client is started or stopped at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does `work` with the client of this handle. It never waits, so that signal handlers may come this way: where somebody
/// writes, the client is being started or stopped, and the handle is wrong already.
pub fn with<T>(
    pointer: *const Handle,
    work: impl FnOnce(&Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let running = match RUNNING.try_read() {
        Ok(running) => running,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return Err(Failure::Handle("client")),
    };
    match running.as_ref() {
        Some(running) if running.handle == handle::from_pointer(pointer) => work(&running.client),
        _ => Err(Failure::Handle("client")),
    }
}

fn begin(builder: Builder, chance: Option<first_chance::FirstChance>) -> Result<usize, Failure> {
    let _turn = turn();
    if RUNNING.read().unwrap_or_else(PoisonError::into_inner).is_some() {
        return Err(Failure::AlreadyStarted);
    }
    first_chance::set(chance);
    let client = builder.install()?;
    let handle = handle::new();
    *RUNNING.write().unwrap_or_else(PoisonError::into_inner) = Some(Running { handle, client });
    Ok(handle)
}

fn end(pointer: *const Handle) -> Result<(), Failure> {
    let _turn = turn();
    with(pointer, |_| Ok(()))?;
    // This waits for those who use it.
    let running = RUNNING.write().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(running) = running {
        running.client.stop();
        heartbeat::end_all();
    }
    Ok(())
}

/// Starts a client: crashes of this process have dumps from now on. See the header.
///
/// # Safety
/// The paths must be null or strings; `client` must be null or a pointer's place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mdw_client_start(
    dump_dir: *const c_char,
    handler_path: *const c_char,
    client: *mut *mut Handle,
) -> c_int {
    // SAFETY: the caller's promises.
    enter(|| unsafe {
        let client = out(client)?;
        let mut builder = Client::builder().dump_dir(arguments::path("dump_dir", dump_dir)?);
        if let Some(path) = arguments::optional_path("handler_path", handler_path)? {
            builder = builder.handler(path);
        }
        client.write(handle::to_pointer(begin(builder, None)?));
        Ok(())
    })
}

/// As [`mdw_client_start`], with choices. See the header.
///
/// # Safety
/// `options` must be null or as long as it says, and its pointers as the header says; `client` must be null or a
/// pointer's place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mdw_client_start_with(
    options: *const ClientOptions,
    client: *mut *mut Handle,
) -> c_int {
    // SAFETY: the caller's promises.
    enter(|| unsafe {
        let client = out(client)?;
        let options = arguments::structure(options)?;
        client.write(handle::to_pointer(begin(options.wanted()?, options.first_chance)?));
        Ok(())
    })
}

/// The place for a handle, which is null for now.
///
/// # Safety
/// `client` must be null or a pointer's place.
unsafe fn out<'a>(client: *mut *mut Handle) -> Result<&'a mut MaybeUninit<*mut Handle>, Failure> {
    // SAFETY: the caller's promise.
    let client = unsafe { arguments::out("client", client) }?;
    client.write(handle::to_pointer(0));
    Ok(client)
}

/// Ends the protection. See the header.
#[unsafe(no_mangle)]
pub extern "C" fn mdw_client_stop(client: *mut Handle) -> c_int {
    enter(|| end(client))
}

/// Sets an annotation of all dumps from now on. See the header.
///
/// # Safety
/// `key` and `value` must be null or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mdw_client_set_annotation(
    client: *mut Handle,
    key: *const c_char,
    value: *const c_char,
) -> c_int {
    enter(|| {
        // SAFETY: the caller's promises.
        let (key, value) = unsafe { (arguments::text("key", key)?, arguments::text("value", value)?) };
        with(client, |client| Ok(client.annotate(key, value)?))
    })
}

/// Removes an annotation. See the header.
///
/// # Safety
/// `key` must be null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mdw_client_remove_annotation(client: *mut Handle, key: *const c_char) -> c_int {
    enter(|| {
        // SAFETY: the caller's promise.
        let key = unsafe { arguments::text("key", key) }?;
        with(client, |client| Ok(client.remove_annotation(key).map(drop)?))
    })
}

/// Has this process, which goes on, dumped by the handler. See the header.
///
/// # Safety
/// `reason` must be null or a string; `path` must be null or `path_size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mdw_client_dump(
    client: *mut Handle,
    reason: *const c_char,
    path: *mut c_char,
    path_size: usize,
) -> c_int {
    enter(|| {
        // SAFETY: the caller's promise.
        let reason = unsafe { arguments::optional_text("reason", reason) }?.unwrap_or_default();
        if path.is_null() && path_size > 0 {
            return Err(Failure::Argument("path", "it is a null pointer"));
        }
        if path_size > 0 {
            // SAFETY: not null, and by the caller's promise there: until there is a path, it is empty.
            unsafe { path.write(0) };
        }
        let dump = with(client, |client| Ok(client.dump_without_crashing(reason)?))?;
        // SAFETY: the caller's promise.
        if path.is_null() { Ok(()) } else { unsafe { put(&dump, path, path_size) } }
    })
}

/// Writes a path and a zero.
///
/// # Safety
/// There must be `size` bytes that may be written.
unsafe fn put(path: &Path, place: *mut c_char, size: usize) -> Result<(), Failure> {
    let bytes = path.as_os_str().as_bytes();
    let needed = bytes.len().saturating_add(1);
    if needed > size {
        return Err(Failure::BufferTooSmall(needed));
    }
    let place = place.cast::<u8>();
    // SAFETY: the path and its zero fit.
    unsafe {
        place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        place.add(bytes.len()).write(0);
    }
    Ok(())
}

/// The process id of the handler. See the header.
///
/// # Safety
/// `pid` must be null or a number's place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mdw_client_handler_pid(client: *mut Handle, pid: *mut i32) -> c_int {
    enter(|| {
        // SAFETY: the caller's promise.
        let pid = unsafe { arguments::out("pid", pid) }?;
        pid.write(0);
        let handler = with(client, |client| Ok(client.handler_pid()))?;
        pid.write(handler.and_then(|handler| i32::try_from(handler).ok()).unwrap_or(0));
        Ok(())
    })
}
