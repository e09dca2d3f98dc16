//! Calls of Mach between processes: arguments as mach/message.h, mach/*.defs and servers/bootstrap.h have them.

use crate::kernel::{Process, code};
use crate::system::{Guest, OWN_TASK, System};

/// Options of `mach_msg`: to send or to receive, each with a time-out; who sent is to be told.
const SEND: u32 = 0x11;
const RECEIVE: u32 = 0x0300_0102;
/// MACH_PORT_RIGHT_RECEIVE.
const RIGHT_RECEIVE: u32 = 1;
/// The bootstrap server's port.
pub const BOOTSTRAP: u32 = 0x70b;
/// Nanoseconds of a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// Plays `name`, if it is such a call, and the program one process among others.
pub fn play(system: &mut System<'_>, name: &str, guest: &Guest<'_>) -> Result<Option<u64>, String> {
    let Some(process) = system.process.take() else { return Ok(None) };
    let result = match process.refused(name) {
        Some(code) => Ok(Some(code)),
        None => call(system, &process, name, guest),
    };
    system.process = Some(process);
    Ok(result?.map(|code| u64::from(code.cast_unsigned())))
}

fn call(
    system: &mut System<'_>,
    process: &Process,
    name: &str,
    guest: &Guest<'_>,
) -> Result<Option<i32>, String> {
    let result = match name {
        "_mach_msg" => message(system, process, guest)?,
        "_mach_msg_destroy" => {
            destroy(system, process, guest)?;
            0
        }
        "_mach_port_allocate" => {
            own_task(guest)?;
            if guest.argument32(1)? != RIGHT_RECEIVE {
                return Err("another right than to receive".to_owned());
            }
            guest.write(guest.argument(2)?, &process.allocate()?.to_le_bytes())?;
            0
        }
        "_mach_port_mod_refs" => {
            own_task(guest)?;
            let (port, right) = (guest.argument32(1)?, guest.argument32(2)?);
            if right != RIGHT_RECEIVE || guest.argument32(3)?.cast_signed() != -1 {
                return Err("another change than to give back a right to receive".to_owned());
            }
            given_back(port, process.destroy_receive(port))?;
            0
        }
        "_bootstrap_check_in" | "_bootstrap_look_up" => bootstrap(process, name, guest)?,
        "_task_swap_exception_ports" => swap(process, guest)?,
        "_task_identity_token_get_task_port" => task_of_token(system, process, guest)?,
        _ => return Ok(None),
    };
    Ok(Some(result))
}

fn own_task(guest: &Guest<'_>) -> Result<(), String> {
    let task = guest.argument32(0)?;
    if task == OWN_TASK { Ok(()) } else { Err(format!("{task:#x} is not the own task")) }
}

/// What is given back must have been there: all else is a mistake, of which programs are told nothing.
pub fn given_back(name: u32, done: Result<(), i32>) -> Result<(), String> {
    done.map_err(|code| format!("port {name:#x} is given back, but there is no such right: {code}"))
}

/// `(message, option: i32, send_size: u32, rcv_size: u32, rcv_name, timeout_ms: u32, notify)`
fn message(system: &mut System<'_>, process: &Process, guest: &Guest<'_>) -> Result<i32, String> {
    let (at, option) = (guest.argument(0)?, guest.argument32(1)?);
    let patience = u64::from(guest.argument32(5)?) * MILLISECOND;
    if guest.argument32(6)? != 0 {
        return Err("a port for notifications".to_owned());
    }
    match option {
        SEND => {
            let size = guest.argument32(2)?;
            if guest.u32(at + 4)? != size {
                return Err("the message tells another size".to_owned());
            }
            let mut bytes = guest.read(at, usize::try_from(size).map_err(|error| error.to_string())?)?;
            let sent = process.send(&mut bytes, patience)?;
            if sent == Err(code::SEND_TIMED_OUT) {
                guest.write(at, &bytes)?;
            }
            Ok(sent.err().unwrap_or(0))
        }
        RECEIVE => receive(system, process, guest, (at, patience)),
        other => Err(format!("options {other:#x}")),
    }
}

fn receive(
    system: &mut System<'_>,
    process: &Process,
    guest: &Guest<'_>,
    (at, patience): (u64, u64),
) -> Result<i32, String> {
    let room = usize::try_from(guest.argument32(3)?).map_err(|error| error.to_string())?;
    let mut delivered = match process.receive(guest.argument32(4)?, room, patience)? {
        Ok(delivered) => delivered,
        Err(code) => return Ok(code),
    };
    for (offset, bytes) in delivered.memory {
        let address = system.heap.allocate(bytes.len() as u64, 0x4000)?;
        guest.write(address, &bytes)?;
        system.mapped.insert(address, bytes.len() as u64);
        let place = delivered.bytes.get_mut(offset..offset + 8).ok_or("a descriptor behind the end")?;
        place.copy_from_slice(&address.to_le_bytes());
    }
    guest.write(at, &delivered.bytes)?;
    Ok(0)
}

/// `(message)`: what Apple's function does with a message that was received, or given back (libsyscall/mach/mach_msg.c).
fn destroy(system: &mut System<'_>, process: &Process, guest: &Guest<'_>) -> Result<(), String> {
    let at = guest.argument(0)?;
    let (bits, remote) = (guest.u32(at)?, guest.u32(at + 8)?);
    destroy_right(process, remote, bits & 0x1f)?;
    if bits >> 31 == 0 {
        return Ok(());
    }
    let mut next = at + 28;
    for _ in 0..guest.u32(at + 24)? {
        let kind = guest.u32(next + 8)?;
        if kind >> 24 == 0 {
            destroy_right(process, guest.u32(next)?, kind >> 16 & 0xff)?;
            next += 12;
        } else {
            let (address, size) = (guest.u64(next)?, u64::from(guest.u32(next + 12)?));
            if system.mapped.remove(&address) != Some(size) {
                return Err(format!("{size} bytes at {address:#x} are given back, but were not mapped"));
            }
            system.heap.free(address)?;
            next += 16;
        }
    }
    Ok(())
}

fn destroy_right(process: &Process, name: u32, disposition: u32) -> Result<(), String> {
    let is_right = name != 0 && name != u32::MAX;
    match disposition {
        16 if is_right => given_back(name, process.destroy_receive(name)),
        17 | 18 if is_right => given_back(name, process.deallocate(name)),
        // What was to be copied or made is still there, or never was.
        _ => Ok(()),
    }
}

/// `(bootstrap, name, port: *mut mach_port_t)`
fn bootstrap(process: &Process, call: &str, guest: &Guest<'_>) -> Result<i32, String> {
    if guest.argument32(0)? != BOOTSTRAP {
        return Err("not the bootstrap server's port".to_owned());
    }
    let name = guest.text(guest.argument(1)?)?;
    // BOOTSTRAP_MAX_NAME_LEN, with the zero.
    if name.len() >= 128 {
        return Err(format!("{name} is too long a name"));
    }
    let found =
        if call == "_bootstrap_check_in" { process.check_in(&name)? } else { process.look_up(&name)? };
    match found {
        Ok(port) => guest.write(guest.argument(2)?, &port.to_le_bytes()).map(|()| 0),
        Err(code) => Ok(code),
    }
}

/// `(task, mask: u32, port, behavior: i32, flavor: i32, masks, count, ports, behaviors, flavors)`
fn swap(process: &Process, guest: &Guest<'_>) -> Result<i32, String> {
    own_task(guest)?;
    let [mask, port, behavior, flavor] = [1, 2, 3, 4].map(|index| guest.argument32(index));
    let previous = match process.swap_handlers(mask?, port?, behavior?, flavor?)? {
        Ok(previous) => previous,
        Err(code) => return Ok(code),
    };
    let [masks, count, ports, behaviors, flavors] = [5, 6, 7, 8, 9].map(|index| guest.argument(index));
    let (masks, ports, behaviors, flavors) = (masks?, ports?, behaviors?, flavors?);
    if u64::from(guest.u32(count.clone()?)?) < previous.len() as u64 {
        return Err("there is no room for all handlers".to_owned());
    }
    for (index, handler) in (0_u64..).zip(&previous) {
        guest.write(masks + index * 4, &handler.mask.to_le_bytes())?;
        guest.write(ports + index * 4, &handler.port.to_le_bytes())?;
        guest.write(behaviors + index * 4, &handler.behavior.to_le_bytes())?;
        guest.write(flavors + index * 4, &handler.flavor.to_le_bytes())?;
    }
    let came = u32::try_from(previous.len()).map_err(|error| error.to_string())?;
    guest.write(count?, &came.to_le_bytes()).map(|()| 0)
}

/// `(token, flavor: u32, task: *mut mach_port_t)`
fn task_of_token(system: &System<'_>, process: &Process, guest: &Guest<'_>) -> Result<i32, String> {
    // TASK_FLAVOR_CONTROL.
    if guest.argument32(1)? != 0 {
        return Err("another flavor than control".to_owned());
    }
    let Some(pid) = process.token(guest.argument32(0)?) else { return Ok(code::INVALID_ARGUMENT) };
    if system.refuses {
        return Ok(code::INVALID_ARGUMENT);
    }
    let task = process.gain(crate::kernel::task(pid))?;
    guest.write(guest.argument(2)?, &task.to_le_bytes()).map(|()| 0)
}
