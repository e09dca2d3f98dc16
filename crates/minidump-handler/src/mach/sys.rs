//! The calls of Mach, the bootstrap server and the C library that the hand-over needs.
#![expect(unsafe_code, reason = "system calls")]

use super::hand_over_message::{MOST_PREVIOUS, PreviousHandler};
use super::message::{Header, Port};
use super::rights::{ReceiveRight, SendRight};
use mach2::bootstrap::{bootstrap_check_in, bootstrap_look_up, bootstrap_port};
use mach2::mach_port::{mach_port_allocate, mach_port_deallocate, mach_port_mod_refs};
use mach2::message::{
    MACH_RCV_MSG, MACH_RCV_TIMEOUT, MACH_SEND_MSG, MACH_SEND_TIMEOUT, mach_msg, mach_msg_destroy,
};
use mach2::port::{MACH_PORT_NULL, MACH_PORT_RIGHT_RECEIVE};
use mach2::task::{task_swap_exception_ports, task_threads};
use mach2::traps::mach_task_self;
use mach2::vm::mach_vm_deallocate;
use std::ffi::CStr;
use std::time::Duration;

/// MACH_RCV_TRAILER_ELEMENTS(MACH_RCV_TRAILER_AUDIT) of format 0.
const AUDIT: i32 = 3 << 24;
/// TASK_FLAVOR_CONTROL (mach/task_policy.h).
const CONTROL: u32 = 0;

/// What the kernel or the bootstrap server said when it refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{call} failed with {code:#x}")]
pub struct MachError {
    /// The call.
    pub call: &'static str,
    /// Its `kern_return_t` or `mach_msg_return_t`.
    pub code: i32,
}

fn checked(call: &'static str, code: i32) -> Result<(), MachError> {
    if code == 0 { Ok(()) } else { Err(MachError { call, code }) }
}

/// This process's right to its own task. It is never given back.
pub fn own_task() -> Port {
    // SAFETY: reads a variable that the C library sets before anything of the program runs.
    unsafe { mach_task_self() }
}

pub fn deallocate(port: Port) {
    // SAFETY: takes no pointer; a name without a right is refused.
    unsafe { mach_port_deallocate(own_task(), port) };
}

pub fn destroy_receive_right(port: Port) {
    // SAFETY: as above.
    unsafe { mach_port_mod_refs(own_task(), port, MACH_PORT_RIGHT_RECEIVE, -1) };
}

/// A port of this process's own.
pub fn new_port() -> Result<ReceiveRight, MachError> {
    let mut port = MACH_PORT_NULL;
    // SAFETY: `port` is a place for a name.
    checked("mach_port_allocate", unsafe {
        mach_port_allocate(own_task(), MACH_PORT_RIGHT_RECEIVE, &raw mut port)
    })?;
    Ok(ReceiveRight::owning(port))
}

/// A port that others find under `name`.
pub fn check_in(name: &CStr) -> Result<ReceiveRight, MachError> {
    let mut port = MACH_PORT_NULL;
    // SAFETY: the name ends with a zero, `port` is a place for a name; `bootstrap_port` is set before `main`.
    checked("bootstrap_check_in", unsafe {
        bootstrap_check_in(bootstrap_port, name.as_ptr(), &raw mut port)
    })?;
    Ok(ReceiveRight::owning(port))
}

/// The right to send to whoever checked in under `name`.
pub fn look_up(name: &CStr) -> Result<SendRight, MachError> {
    let mut port = MACH_PORT_NULL;
    // SAFETY: as above.
    checked("bootstrap_look_up", unsafe { bootstrap_look_up(bootstrap_port, name.as_ptr(), &raw mut port) })?;
    SendRight::owning(port).ok_or(MachError { call: "bootstrap_look_up", code: 0 })
}

/// Sends a message that [`finish`](super::message::finish) made, waiting at most `time` for room. The rights that it moves are gone
/// in any case: those of a message that is not sent are given back.
pub fn send(message: &mut [u8], time: Duration) -> Result<(), MachError> {
    let size = u32::try_from(message.len()).unwrap_or(u32::MAX);
    // SAFETY: the kernel reads `size` bytes of the message, all of which are there, and writes at most into its header,
    // as when it gives back rights that it could not send. It copies, so the alignment of bytes will do.
    let code = unsafe {
        mach_msg(
            message.as_mut_ptr().cast(),
            MACH_SEND_MSG | MACH_SEND_TIMEOUT,
            size,
            0,
            MACH_PORT_NULL,
            milliseconds(time),
            MACH_PORT_NULL,
        )
    };
    let sent = checked("mach_msg (send)", code);
    if sent.is_err() {
        // What timed out was taken, and comes back with rights of its own, also those that were to be copied or made; anything
        // else is as it was, and only what it moves is given back.
        Header::given_back_answer(message).and_then(SendRight::owning);
        destroy(message);
    }
    sent
}

/// Receives a message with its trailer, waiting at most `time`. `None` when none came, or one that has no room and so is none of
/// those that are waited for: the kernel has destroyed it. Rights in a message that nobody reads must be [destroyed](destroy).
pub fn receive<'b>(
    from: &ReceiveRight,
    buffer: &'b mut [u8],
    time: Duration,
) -> Result<Option<&'b mut [u8]>, MachError> {
    const TIMED_OUT: i32 = 0x1000_4003;
    const INTERRUPTED: i32 = 0x1000_4005;
    const TOO_LARGE: i32 = 0x1000_4004;
    buffer.fill(0);
    let room = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    // SAFETY: the kernel writes at most `room` bytes, all of which are there.
    let code = unsafe {
        mach_msg(
            buffer.as_mut_ptr().cast(),
            MACH_RCV_MSG | MACH_RCV_TIMEOUT | AUDIT,
            0,
            room,
            from.port(),
            milliseconds(time),
            MACH_PORT_NULL,
        )
    };
    match code {
        TIMED_OUT | INTERRUPTED | TOO_LARGE => Ok(None),
        code => checked("mach_msg (receive)", code).map(|()| Some(buffer)),
    }
}

/// Gives back the rights that a message carries: one that was received, or that could not be sent.
pub fn destroy(message: &mut [u8]) {
    // SAFETY: the message is whole, written by the kernel or by `finish`: the header's size and the descriptors are true.
    unsafe { mach_msg_destroy(message.as_mut_ptr().cast()) };
}

/// Rounded up, so that the last part of a wait is none that is over at once.
fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// Makes `port` the handler of this task's exceptions of `mask`. Returns who handled them before, with the right to each; `None`
/// where nobody did, or nobody is any more.
pub fn swap_exception_ports(
    mask: u32,
    port: Port,
    behavior: u32,
    flavor: u32,
) -> Result<Vec<(PreviousHandler, Option<SendRight>)>, MachError> {
    let mut masks = [0_u32; MOST_PREVIOUS];
    let (mut ports, mut behaviors, mut flavors) =
        ([0; MOST_PREVIOUS], [0; MOST_PREVIOUS], [0; MOST_PREVIOUS]);
    let mut count = u32::try_from(MOST_PREVIOUS).unwrap_or(0);
    // SAFETY: the arrays have room for EXC_TYPES_COUNT entries, which is the most that the kernel writes.
    let code = unsafe {
        task_swap_exception_ports(
            own_task(),
            mask,
            port,
            behavior.cast_signed(),
            flavor.cast_signed(),
            masks.as_mut_ptr(),
            &raw mut count,
            ports.as_mut_ptr(),
            behaviors.as_mut_ptr(),
            flavors.as_mut_ptr(),
        )
    };
    checked("task_swap_exception_ports", code)?;
    let all = masks.into_iter().zip(ports).zip(behaviors).zip(flavors);
    let found = all.take(usize::try_from(count).unwrap_or(0));
    Ok(found
        .map(|(((mask, port), behavior), flavor): (((u32, Port), i32), i32)| {
            let (behavior, flavor) = (behavior.cast_unsigned(), flavor.cast_unsigned());
            (PreviousHandler { mask, port, behavior, flavor }, SendRight::owning(port))
        })
        .collect())
}

/// The right to the task that an identity token stands for. macOS 11 and later; `None` before, and when it is refused.
pub fn task_of_token(token: Port) -> Option<SendRight> {
    type GetTaskPort = unsafe extern "C" fn(Port, u32, *mut Port) -> i32;
    // SAFETY: the name ends with a zero. dlsym only looks it up.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"task_identity_token_get_task_port".as_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: the function of this name has this type (mach/mach_traps.h and task.defs: token, flavor, place for a name).
    let get = unsafe { std::mem::transmute::<*mut libc::c_void, GetTaskPort>(found) };
    let mut task = MACH_PORT_NULL;
    // SAFETY: `task` is a place for a name.
    let code = unsafe { get(token, CONTROL, &raw mut task) };
    if code == 0 { SendRight::owning(task) } else { None }
}

/// The right to the thread of `task` with this id.
pub fn thread_of_id(task: Port, id: u64) -> Option<SendRight> {
    let (mut list, mut count) = (std::ptr::null_mut(), 0);
    // SAFETY: both are places for what the kernel returns: an array of `count` names in memory of this process.
    if unsafe { task_threads(task, &raw mut list, &raw mut count) } != 0 || list.is_null() {
        return None;
    }
    let names = usize::try_from(count).unwrap_or(0);
    // SAFETY: the kernel made the array, of that many names, for this process alone.
    let ports = unsafe { std::slice::from_raw_parts(list, names) }.to_vec();
    // SAFETY: the array is given back whole, once, and not used any more.
    unsafe { mach_vm_deallocate(own_task(), list as u64, u64::from(count) * size_of::<Port>() as u64) };
    // All rights are taken first, so that those of the other threads are given back.
    let rights: Vec<SendRight> = ports.into_iter().filter_map(SendRight::owning).collect();
    rights.into_iter().find(|thread| thread_id(thread.port()) == Some(id))
}

/// `thread_id` of THREAD_IDENTIFIER_INFO (mach/thread_info.h): its first two words.
fn thread_id(thread: Port) -> Option<u64> {
    const IDENTIFIER: u32 = 4;
    let mut words = [0_u32; 6];
    let mut count = 6;
    // SAFETY: there is room for the six words of this flavor, as `count` says.
    let code = unsafe { thread_info(thread, IDENTIFIER, words.as_mut_ptr(), &raw mut count) };
    let [low, high, ..] = words;
    (code == 0 && count >= 2).then_some(u64::from(high) << 32 | u64::from(low))
}

unsafe extern "C" {
    /// mach/thread_act.h; mach2 lacks it.
    fn thread_info(thread: Port, flavor: u32, info: *mut u32, count: *mut u32) -> i32;
}

/// Bytes that nobody can guess.
pub fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // SAFETY: getentropy writes N bytes, and refuses more than 256.
    (unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), N) } == 0).then_some(bytes)
}
