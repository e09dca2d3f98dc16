//! The C library of the emulated program: memory, clocks, files, threads.

use crate::disk;
use crate::system::{Guest, System};

/// ESRCH and EBADF.
const NO_PROCESS: i32 = 3;
const BAD_DESCRIPTOR: i32 = 9;
/// PROC_PIDTBSDINFO and the size of its answer.
const BSD_INFO: u32 = 3;
const BSD_INFO_SIZE: usize = 136;

type Answer = Result<Option<Option<u64>>, String>;

/// Plays `name`, if it is known: `Some(None)` when the function returns nothing.
pub fn play(system: &mut System<'_>, name: &str, guest: &Guest<'_>) -> Answer {
    let done = Ok(Some(Some(0)));
    match name {
        "__tlv_bootstrap" => local(system, guest),
        "__tlv_atexit" => Ok(Some(None)),
        "___error" => Ok(Some(Some(system.errno))),
        "_getpid" => Ok(Some(Some(u64::from(system.own_pid())))),
        "_kill" => kill(system, guest),
        "_sysctlbyname" => sysctl(system, guest),
        "_proc_pidinfo" => proc_pidinfo(system, guest),
        "_write" => write(system, guest),
        "_writev" => writev(system, guest),
        "_CCRandomGenerateBytes" => {
            // Any number will do; the same each time makes runs equal.
            let size = usize::try_from(guest.argument(1)?).map_err(|error| error.to_string())?;
            guest.write(guest.argument(0)?, &vec![0x5a; size])?;
            done
        }
        "_strerror_r" => {
            let text = format!("error {}\0", guest.argument32(0)?);
            if guest.argument(2)? < text.len() as u64 {
                return Err("there is no room for a text".to_owned());
            }
            guest.write(guest.argument(1)?, text.as_bytes())?;
            done
        }
        "_clock_gettime" => clock(system, guest),
        "_mach_absolute_time" | "_mach_continuous_time" => Ok(Some(Some(system.passed()))),
        "_mach_timebase_info" => {
            guest.write(guest.argument(0)?, &[1, 0, 0, 0, 1, 0, 0, 0])?;
            done
        }
        // There is one thread, and nothing it waits for.
        "_pthread_mutex_lock"
        | "_pthread_mutex_trylock"
        | "_pthread_mutex_unlock"
        | "_pthread_mutex_init"
        | "_pthread_mutex_destroy"
        | "_pthread_mutexattr_init"
        | "_pthread_mutexattr_settype"
        | "_pthread_mutexattr_destroy" => done,
        "_dlsym" => {
            let name = format!("_{}", guest.text(guest.argument(1)?)?);
            Ok(Some(Some(if system.is_old { 0 } else { system.symbols.get(&name).copied().unwrap_or(0) })))
        }
        _ => match disk::play(system, name, guest)? {
            None => memory(system, name, guest),
            done => Ok(done),
        },
    }
}

fn memory(system: &mut System<'_>, name: &str, guest: &Guest<'_>) -> Answer {
    if matches!(name, "_malloc" | "_calloc" | "_realloc" | "_posix_memalign" | "_free") {
        system.may_lock()?;
    }
    let (first, second, third) = (guest.argument(0)?, guest.argument(1)?, guest.argument(2)?);
    let length = |value: u64| usize::try_from(value).map_err(|error| error.to_string());
    let result = match name {
        "_malloc" => system.heap.allocate(first, 16)?,
        "_calloc" => system.heap.allocate(first.checked_mul(second).ok_or("too much")?, 16)?,
        "_realloc" => {
            let new = system.heap.allocate(second, 16)?;
            if first != 0 {
                let size = system.heap.free(first)?.min(second);
                guest.write(new, &guest.read(first, length(size)?)?)?;
            }
            new
        }
        "_posix_memalign" => {
            let block = system.heap.allocate(third, second)?;
            guest.write(first, &block.to_le_bytes())?;
            0
        }
        "_free" => {
            if first != 0 {
                // What is still used afterwards reads as this.
                let size = system.heap.free(first)?;
                guest.write(first, &vec![0xdf; length(size)?])?;
            }
            return Ok(Some(None));
        }
        "_malloc_size" => system.heap.size(first)?,
        "_memcpy" | "_memmove" => {
            guest.write(first, &guest.read(second, length(third)?)?)?;
            first
        }
        "_memset" => {
            let byte = second.to_le_bytes().first().copied().unwrap_or(0);
            guest.write(first, &vec![byte; length(third)?])?;
            first
        }
        "_bzero" | "___bzero" => {
            guest.write(first, &vec![0; length(second)?])?;
            return Ok(Some(None));
        }
        "_memcmp" | "_bcmp" => {
            let order = guest.read(first, length(third)?)?.cmp(&guest.read(second, length(third)?)?);
            i64::from(order as i8).cast_unsigned()
        }
        "_strlen" => guest.text(first)?.len() as u64,
        _ => return Ok(None),
    };
    Ok(Some(Some(result)))
}

/// Where a thread-local variable lies: `(descriptor)`, whose third word is the offset.
fn local(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    let block = if let Some(block) = system.locals {
        block
    } else {
        // The first use by a thread allocates.
        system.may_lock()?;
        let (start, size) = system.thread_locals;
        let block = system.heap.allocate(size, 64)?;
        let initial = guest.read(start, usize::try_from(size).map_err(|error| error.to_string())?)?;
        guest.write(block, &initial)?;
        system.locals = Some(block);
        block
    };
    Ok(Some(Some(block + guest.u64(guest.argument(0)? + 16)?)))
}

/// `(pid, signal)`
fn kill(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    if guest.argument32(1)? != 0 {
        return Err("a signal is sent".to_owned());
    }
    let there = guest.argument32(0)?.cast_signed() == system.task.pid();
    Ok(Some(Some(if there { 0 } else { system.fail(NO_PROCESS, guest)? })))
}

/// `(name, old, old_size, new, new_size)`
fn sysctl(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    if guest.argument(3)? != 0 || guest.argument(4)? != 0 {
        return Err("a fact is to be changed".to_owned());
    }
    let (name, old, at_size) = (guest.text(guest.argument(0)?)?, guest.argument(1)?, guest.argument(2)?);
    let room = usize::try_from(guest.u64(at_size)?).map_err(|error| error.to_string())?;
    let mut bytes = vec![0; room];
    Ok(Some(Some(match system.task.sysctl(&name, &mut bytes) {
        Ok(came) => {
            guest.write(old, bytes.get(..came).ok_or("too much came")?)?;
            guest.write(at_size, &(came as u64).to_le_bytes())?;
            0
        }
        Err(errno) => system.fail(errno, guest)?,
    })))
}

/// `(pid, flavor, argument, buffer, size)`: the structure of sys/proc_info.h.
fn proc_pidinfo(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    let asked = (guest.argument32(0)?.cast_signed(), guest.argument32(1)?, guest.argument32(4)?);
    if asked != (system.task.pid(), BSD_INFO, u32::try_from(BSD_INFO_SIZE).unwrap_or(0)) {
        return Err(format!("{asked:?} is asked for"));
    }
    let Some(facts) = system.task.process_facts() else { return Ok(Some(Some(0))) };
    let mut info = Vec::new();
    // Flags, status, exit status, process, parent; user and group, real and saved.
    for word in [0, 0, 0, system.task.pid().cast_unsigned(), facts.parent_pid, 1, 1, facts.uid] {
        info.extend(word.to_le_bytes());
    }
    // Names and numbers up to the start, which is the end.
    info.resize(BSD_INFO_SIZE - 16, 0x55);
    info.extend((facts.start_us / 1_000_000).to_le_bytes());
    info.extend((facts.start_us % 1_000_000).to_le_bytes());
    guest.write(guest.argument(3)?, &info)?;
    Ok(Some(Some(info.len() as u64)))
}

/// `(descriptor, bytes, size)`
fn write(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    put(system, guest, &[(guest.argument(1)?, guest.argument(2)?)])
}

/// `(descriptor, pieces: *const iovec, count)`
fn writev(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    let (list, count) = (guest.argument(1)?, guest.argument32(2)?);
    let piece = |index: u32| {
        let at = list + u64::from(index) * 16;
        Ok((guest.u64(at)?, guest.u64(at + 8)?))
    };
    put(system, guest, &(0..count).map(piece).collect::<Result<Vec<_>, String>>()?)
}

/// Appends pieces of memory, addresses and sizes, to the file of the descriptor, as far as it takes them.
fn put(system: &mut System<'_>, guest: &Guest<'_>, pieces: &[(u64, u64)]) -> Answer {
    let mut bytes = Vec::new();
    for (address, size) in pieces {
        let size = usize::try_from(*size).map_err(|error| error.to_string())?;
        bytes.extend(guest.read(*address, size)?);
    }
    bytes.truncate(system.most_per_write);
    let descriptor = guest.argument32(0)?;
    let Some(file) = system.written.get_mut(&system.disk.file(descriptor)) else {
        return Ok(Some(Some(system.fail(BAD_DESCRIPTOR, guest)?)));
    };
    let mut at_end = file.len();
    let position = system.disk.position(descriptor).unwrap_or(&mut at_end);
    let end = *position + bytes.len();
    file.resize(file.len().max(end), 0);
    file.get_mut(*position..end).ok_or("a position behind the end")?.copy_from_slice(&bytes);
    *position = end;
    Ok(Some(Some(bytes.len() as u64)))
}

/// `(clock, time: *mut timespec)`
fn clock(system: &mut System<'_>, guest: &Guest<'_>) -> Answer {
    // CLOCK_REALTIME stands still; the others go on while all wait.
    let time = if guest.argument32(0)? == 0 { system.now } else { system.passed() };
    let at = guest.argument(1)?;
    guest.write(at, &(time / 1_000_000_000).to_le_bytes())?;
    guest.write(at + 8, &(time % 1_000_000_000).to_le_bytes())?;
    Ok(Some(Some(0)))
}
