//! Calls of Mach: arguments as mach/*.defs have them, answers from the simulated task.

use crate::ipc_calls::given_back;
use crate::system::{Guest, OWN_TASK, OWN_THREAD, System};
use minidump_mach::{KernReturn, TaskFlavor, ThreadFlavor, ThreadPort};

/// KERN_INVALID_NAME and MACH_SEND_INVALID_DEST.
const INVALID_NAME: i32 = 15;
/// Most words that are asked for at once.
const MOST_WORDS: u32 = 2048;
/// Most threads.
const MOST_THREADS: usize = 1 << 16;

/// Plays `name`, if it is a call of Mach.
pub fn play(system: &mut System<'_>, name: &str, guest: &Guest<'_>) -> Result<Option<u64>, String> {
    let result = match name {
        "_task_for_pid" => task_for_pid(system, guest),
        "_pid_for_task" => pid_for_task(system, guest),
        "_mach_thread_self" => {
            let thread = system.task.own_thread().map_or(OWN_THREAD, |thread| thread.0);
            system.gain(thread)?;
            return Ok(Some(u64::from(thread)));
        }
        "_mach_port_deallocate" => deallocate_port(system, guest),
        "_mach_vm_deallocate" => deallocate_memory(system, guest),
        "_task_threads" => task_threads(system, guest),
        "_task_info" => task_info(system, guest),
        "_task_suspend" => target(system, guest)?.and_then(|()| system.task.suspend()).pass(),
        "_task_resume" => target(system, guest)?.and_then(|()| system.task.resume()).pass(),
        "_thread_suspend" => stand(system, guest, 1),
        "_thread_resume" => stand(system, guest, -1),
        "_thread_get_state" => thread_get_state(system, guest),
        "_thread_info" => thread_info(system, guest),
        "_mach_vm_read_overwrite" => read(system, guest),
        "_mach_vm_region_recurse" => region(system, guest),
        _ => return Ok(None),
    };
    result.map(|answer| Some(code(answer)))
}

type Answer = Result<Result<(), KernReturn>, String>;

/// An answer that needs no further look.
trait Pass {
    fn pass(self) -> Answer;
}

impl Pass for Result<(), KernReturn> {
    fn pass(self) -> Answer {
        Ok(self)
    }
}

/// `kern_return_t` in a register.
fn code(answer: Result<(), KernReturn>) -> u64 {
    answer.err().map_or(0, |code| u64::from(code.0.cast_unsigned()))
}

/// The first argument must be the task's port.
fn target(system: &System<'_>, guest: &Guest<'_>) -> Result<Result<(), KernReturn>, String> {
    let port = guest.argument32(0)?;
    let is_held = system.process.as_ref().is_none_or(|process| process.has(port));
    Ok(if port == system.task_port && is_held { Ok(()) } else { Err(KernReturn::INVALID_DESTINATION) })
}

/// `(own: mach_port_name_t, pid: int, name: *mut mach_port_name_t)`
fn task_for_pid(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    let pid = guest.argument32(1)?.cast_signed();
    if guest.argument32(0)? != OWN_TASK || system.refuses || pid != system.task.pid() {
        return Ok(Err(KernReturn::FAILURE));
    }
    system.gain(system.task_port)?;
    guest.write(guest.argument(2)?, &system.task_port.to_le_bytes())?;
    Ok(Ok(()))
}

/// `(task: mach_port_name_t, pid: *mut int)`
fn pid_for_task(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    let port = guest.argument32(0)?;
    let pid = if port == OWN_TASK { system.own_pid() } else { system.task.pid().cast_unsigned() };
    let is_held = system.process.as_ref().is_none_or(|process| process.has(port));
    if port != OWN_TASK && (port != system.task_port || !is_held) {
        return Ok(Err(KernReturn::FAILURE));
    }
    guest.write(guest.argument(1)?, &pid.to_le_bytes())?;
    Ok(Ok(()))
}

/// `(own: ipc_space_t, name: mach_port_name_t)`
fn deallocate_port(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    let name = guest.argument32(1)?;
    if let Some(process) = &system.process {
        return given_back(name, process.deallocate(name)).map(Ok);
    }
    let Some(references) = system.rights.get_mut(&name).filter(|references| **references > 0) else {
        return Err(format!("port {name:#x} is given back, but was not taken"));
    };
    *references -= 1;
    Ok(if guest.argument32(0)? == OWN_TASK { Ok(()) } else { Err(KernReturn(INVALID_NAME)) })
}

/// `(own: vm_map_t, address: u64, size: u64)`
fn deallocate_memory(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    let (address, size) = (guest.argument(1)?, guest.argument(2)?);
    match system.mapped.remove(&address) {
        Some(mapped) if mapped == size && guest.argument32(0)? == OWN_TASK => {
            system.heap.free(address)?;
            Ok(Ok(()))
        }
        _ => Err(format!("{size} bytes at {address:#x} are given back, but were not mapped")),
    }
}

/// `(thread)`: suspends or resumes it.
fn stand(system: &mut System<'_>, guest: &Guest<'_>, change: i64) -> Answer {
    let thread = ThreadPort(guest.argument32(0)?);
    if change > 0 && system.task.own_thread() == Some(thread) {
        return Err("the calling thread suspends itself".to_owned());
    }
    let answer =
        if change > 0 { system.task.suspend_thread(thread) } else { system.task.resume_thread(thread) };
    if answer.is_ok() && system.task.own_thread().is_some() {
        system.standing += change;
    }
    Ok(answer)
}

/// `(task, list: *mut *mut thread_act_t, count: *mut u32)`
fn task_threads(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    if let Err(error) = target(system, guest)? {
        return Ok(Err(error));
    }
    let mut ports = vec![ThreadPort(0); MOST_THREADS];
    let count = match system.task.threads(&mut ports) {
        Ok(count) => count,
        Err(error) => return Ok(Err(error)),
    };
    let ports = ports.get(..count).ok_or("too many threads")?;
    let bytes: Vec<u8> = ports.iter().flat_map(|port| port.0.to_le_bytes()).collect();
    let address = system.heap.allocate(bytes.len() as u64, 0x4000)?;
    guest.write(address, &bytes)?;
    system.mapped.insert(address, bytes.len() as u64);
    for port in ports {
        system.gain(port.0)?;
    }
    guest.write(guest.argument(1)?, &address.to_le_bytes())?;
    guest
        .write(guest.argument(2)?, &u32::try_from(count).map_err(|error| error.to_string())?.to_le_bytes())?;
    Ok(Ok(()))
}

/// Fills the words that the library has room for: `words` is their address, `count` that of their number.
fn fill(
    guest: &Guest<'_>,
    words: u64,
    count: u64,
    ask: impl FnOnce(&mut [u32]) -> Result<usize, KernReturn>,
) -> Answer {
    let room = guest.u32(count)?.min(MOST_WORDS);
    let mut answer = vec![0; usize::try_from(room).map_err(|error| error.to_string())?];
    let came = match ask(&mut answer) {
        Ok(came) => came,
        Err(error) => return Ok(Err(error)),
    };
    let bytes: Vec<u8> = answer.iter().take(came).flat_map(|word| word.to_le_bytes()).collect();
    guest.write(words, &bytes)?;
    guest.write(count, &u32::try_from(came).map_err(|error| error.to_string())?.to_le_bytes())?;
    Ok(Ok(()))
}

/// `(task, flavor: u32, info: *mut i32, count: *mut u32)`
fn task_info(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    if let Err(error) = target(system, guest)? {
        return Ok(Err(error));
    }
    let flavor = match guest.argument32(1)? {
        3 => TaskFlavor::ThreadTimes,
        17 => TaskFlavor::Dyld,
        20 => TaskFlavor::Basic,
        other => return Err(format!("flavor {other}")),
    };
    fill(guest, guest.argument(2)?, guest.argument(3)?, |words| system.task.task_info(flavor, words))
}

/// `(thread, flavor: u32, info: *mut i32, count: *mut u32)`
fn thread_info(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    let thread = ThreadPort(guest.argument32(0)?);
    let flavor = match guest.argument32(1)? {
        3 => ThreadFlavor::Basic,
        4 => ThreadFlavor::Identifier,
        5 => ThreadFlavor::Extended,
        other => return Err(format!("flavor {other}")),
    };
    fill(guest, guest.argument(2)?, guest.argument(3)?, |words| {
        system.task.thread_info(thread, flavor, words)
    })
}

/// `(thread, flavor: i32, state: *mut u32, count: *mut u32)`
fn thread_get_state(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    let (thread, flavor) = (ThreadPort(guest.argument32(0)?), guest.argument32(1)?);
    fill(guest, guest.argument(2)?, guest.argument(3)?, |words| {
        system.task.thread_state(thread, flavor, words)
    })
}

/// `(task, address: u64, size: u64, data: u64, read: *mut u64)`
fn read(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    if let Err(error) = target(system, guest)? {
        return Ok(Err(error));
    }
    let size = usize::try_from(guest.argument(2)?).map_err(|error| error.to_string())?;
    let mut bytes = vec![0; size];
    let came = match system.task.read(guest.argument(1)?, &mut bytes) {
        Ok(came) => came,
        Err(error) => return Ok(Err(error)),
    };
    guest.write(guest.argument(3)?, bytes.get(..came).ok_or("too much was read")?)?;
    guest.write(guest.argument(4)?, &(came as u64).to_le_bytes())?;
    Ok(Ok(()))
}

/// `(task, address: *mut u64, size: *mut u64, depth: *mut u32, info: *mut i32, count: *mut u32)`
fn region(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    if let Err(error) = target(system, guest)? {
        return Ok(Err(error));
    }
    let (at_address, at_size, at_depth) = (guest.argument(1)?, guest.argument(2)?, guest.argument(3)?);
    let (mut address, mut size, mut depth) =
        (guest.u64(at_address)?, guest.u64(at_size)?, guest.u32(at_depth)?);
    let answer = fill(guest, guest.argument(4)?, guest.argument(5)?, |words| {
        system.task.region(&mut address, &mut size, &mut depth, words)
    })?;
    guest.write(at_address, &address.to_le_bytes())?;
    guest.write(at_size, &size.to_le_bytes())?;
    guest.write(at_depth, &depth.to_le_bytes())?;
    Ok(answer)
}
