//! Threads that tell that they are alive.
#![expect(unsafe_code, reason = "functions of the C interface")]

use crate::entry::enter;
use crate::failure::Failure;
use crate::handle::{self, Handle};
use crate::{arguments, client};
use minidump_handler::client::Heartbeat;
use std::collections::BTreeMap;
use std::ffi::c_int;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// All heartbeats by their handles.
static HEARTBEATS: RwLock<BTreeMap<usize, Heartbeat>> = RwLock::new(BTreeMap::new());

fn read() -> RwLockReadGuard<'static, BTreeMap<usize, Heartbeat>> {
    HEARTBEATS.read().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, BTreeMap<usize, Heartbeat>> {
    HEARTBEATS.write().unwrap_or_else(PoisonError::into_inner)
}

/// Ends them all: their client has been stopped.
pub fn end_all() {
    write().clear();
}

fn with(pointer: *const Handle, work: impl FnOnce(&Heartbeat)) -> Result<(), Failure> {
    let heartbeats = read();
    work(heartbeats.get(&handle::from_pointer(pointer)).ok_or(Failure::Handle("heartbeat"))?);
    Ok(())
}

/// Begins a heartbeat of the calling thread. See the header.
///
/// # Safety
/// `heartbeat` must be null or a pointer's place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mdw_heartbeat_start(
    client: *mut Handle,
    timeout_ms: u32,
    heartbeat: *mut *mut Handle,
) -> c_int {
    enter(|| {
        // SAFETY: the caller's promise.
        let place = unsafe { arguments::out("heartbeat", heartbeat) }?;
        place.write(handle::to_pointer(0));
        if timeout_ms == 0 {
            return Err(Failure::Argument("timeout_ms", "it is zero"));
        }
        // Its client cannot be stopped meanwhile, so it is stopped with its client.
        let handle = client::with(client, |client| {
            let handle = handle::new();
            write().insert(handle, client.heartbeat(Duration::from_millis(timeout_ms.into())));
            Ok(handle)
        })?;
        place.write(handle::to_pointer(handle));
        Ok(())
    })
}

/// The thread is alive. See the header.
#[unsafe(no_mangle)]
pub extern "C" fn mdw_heartbeat_beat(heartbeat: *mut Handle) -> c_int {
    enter(|| with(heartbeat, Heartbeat::beat))
}

/// The thread is about to wait. See the header.
#[unsafe(no_mangle)]
pub extern "C" fn mdw_heartbeat_pause(heartbeat: *mut Handle) -> c_int {
    enter(|| with(heartbeat, Heartbeat::pause))
}

/// Ends a heartbeat. See the header.
#[unsafe(no_mangle)]
pub extern "C" fn mdw_heartbeat_stop(heartbeat: *mut Handle) -> c_int {
    enter(|| {
        let ended = write().remove(&handle::from_pointer(heartbeat));
        ended.map(drop).ok_or(Failure::Handle("heartbeat"))
    })
}
