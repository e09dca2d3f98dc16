//! Connections, random numbers, and programs that are started: what the hand-over asks of the C library.

use crate::kernel::Process;
use crate::system::{Guest, System};

type Answer = Result<Option<Option<u64>>, String>;

/// F_DUPFD_CLOEXEC.
const DUPLICATE: u32 = 67;

/// Plays `name`, if it is known and the program is one process among others.
pub fn play(system: &mut System<'_>, name: &str, guest: &Guest<'_>) -> Answer {
    let Some(process) = system.process.take() else { return Ok(None) };
    let result = match process.refused(name) {
        Some(errno) => system.fail(errno, guest).map(|failed| Some(Some(failed))),
        None => call(system, &process, name, guest),
    };
    system.process = Some(process);
    result
}

fn call(system: &mut System<'_>, process: &Process, name: &str, guest: &Guest<'_>) -> Answer {
    let done = Ok(Some(Some(0)));
    match name {
        "_getentropy" => {
            let size = usize::try_from(guest.argument(1)?).map_err(|error| error.to_string())?;
            guest.write(guest.argument(0)?, &vec![0xa5; size])?;
            done
        }
        "_poll" => poll(process, guest),
        "_socketpair" => {
            let (one, other) = process.socketpair()?;
            let both = [one.to_le_bytes(), other.to_le_bytes()].concat();
            guest.write(guest.argument(3)?, &both)?;
            done
        }
        "_posix_spawn_file_actions_adddup2" => {
            system.passed_on.push((guest.argument32(1)?, guest.argument32(2)?));
            done
        }
        "_posix_spawn_file_actions_init"
        | "_posix_spawn_file_actions_destroy"
        | "_posix_spawnattr_init"
        | "_posix_spawnattr_destroy"
        | "_posix_spawnattr_setflags"
        | "_posix_spawnattr_setpgroup"
        | "_posix_spawnattr_setsigdefault"
        | "_sigemptyset"
        | "_sigaddset" => done,
        "__NSGetEnviron" => {
            // A pointer to a list without an entry.
            let place = system.heap.allocate(16, 16)?;
            guest.write(place, &(place + 8).to_le_bytes())?;
            Ok(Some(Some(place)))
        }
        "_posix_spawnp" => spawn(system, process, guest),
        "_waitpid" => wait(system, process, guest),
        "_kill" if guest.argument32(1)? == 9 => {
            process.kill_child(guest.argument32(0)?.cast_signed());
            done
        }
        "_read" | "_recv" | "_write" | "_send" | "_close" | "_ioctl" | "_fcntl" | "_shutdown"
            if process.has_descriptor(guest.argument32(0)?) =>
        {
            connection(system, process, name, guest)
        }
        _ => Ok(None),
    }
}

fn connection(system: &mut System<'_>, process: &Process, name: &str, guest: &Guest<'_>) -> Answer {
    let (descriptor, at) = (guest.argument32(0)?, guest.argument(1)?);
    let size = || usize::try_from(guest.argument(2)?).map_err(|error| error.to_string());
    let result = match name {
        "_read" | "_recv" => {
            let came = process.read(descriptor, size()?)?;
            guest.write(at, &came)?;
            came.len() as u64
        }
        "_write" | "_send" => {
            let bytes = guest.read(at, size()?)?;
            match process.write(descriptor, &bytes)? {
                Ok(()) => bytes.len() as u64,
                Err(errno) => system.fail(errno, guest)?,
            }
        }
        "_close" => match process.close(descriptor) {
            Ok(()) => 0,
            Err(errno) => return Err(format!("closed with {errno}")),
        },
        "_fcntl" if guest.argument32(1)? == DUPLICATE => u64::from(process.duplicate(descriptor)?),
        "_shutdown" => {
            // SHUT_WR.
            if guest.argument32(1)? != 1 {
                return Err("another direction than to write".to_owned());
            }
            process.shut(descriptor);
            0
        }
        // FIOCLEX, and the like.
        _ => 0,
    };
    Ok(Some(Some(result)))
}

/// `(entries: *mut pollfd, count: u32, timeout_ms: i32)`
fn poll(process: &Process, guest: &Guest<'_>) -> Answer {
    let (entry, count) = (guest.argument(0)?, guest.argument32(1)?);
    if count != 1 {
        return Err(format!("{count} descriptors are polled"));
    }
    let events = guest.u32(entry + 4)? & 0xffff;
    let events = u16::try_from(events).map_err(|error| error.to_string())?;
    let patience = u64::try_from(guest.argument32(2)?.cast_signed()).ok().map(|wait| wait * 1_000_000);
    let found = process.poll(guest.u32(entry)?, events, patience)?;
    guest.write(entry + 6, &found.to_le_bytes())?;
    Ok(Some(Some(u64::from(found != 0))))
}

/// `(pid: *mut i32, file, actions, attributes, arguments, environment)`: returns the error.
fn spawn(system: &mut System<'_>, process: &Process, guest: &Guest<'_>) -> Answer {
    let path = guest.text(guest.argument(1)?)?;
    let descriptors = std::mem::take(&mut system.passed_on);
    match process.spawn(&path, &descriptors)? {
        Ok(pid) => {
            guest.write(guest.argument(0)?, &pid.to_le_bytes())?;
            Ok(Some(Some(0)))
        }
        Err(errno) => Ok(Some(Some(u64::from(errno.cast_unsigned())))),
    }
}

/// `(pid, status: *mut i32, options)`
fn wait(system: &System<'_>, process: &Process, guest: &Guest<'_>) -> Answer {
    match process.reap(guest.argument32(0)?.cast_signed())? {
        Ok(pid) => {
            guest.write(guest.argument(1)?, &[0; 4])?;
            Ok(Some(Some(u64::from(pid.cast_unsigned()))))
        }
        Err(errno) => Ok(Some(Some(system.fail(errno, guest)?))),
    }
}
