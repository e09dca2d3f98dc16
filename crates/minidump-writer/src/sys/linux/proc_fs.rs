//! Reading and parsing small files of /proc.

use libc::c_int;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::path::Path;

/// Most that is read of a text the target can make as long as it likes (environ, cmdline).
pub const TEXT_LIMIT: u64 = 4 << 20;

/// Room that most files of /proc fit into, in bytes. Without it the standard library asks for 32 bytes first, and for each
/// of a dozen small reads the kernel may make the text anew.
const USUAL_SIZE: usize = 4 << 10;

/// Reads a /proc file whole, up to [`TEXT_LIMIT`] bytes.
pub fn read_text(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(USUAL_SIZE);
    File::open(path)?.take(TEXT_LIMIT).read_to_end(&mut text)?;
    Ok(text)
}

/// Reads the beginning of the file `name` below `folder` with one read. Files that the kernel makes as one piece, as
/// stat and status are, come whole if there is room. Where many are read, this takes half the time of [`read_text`].
#[allow(unsafe_code)]
pub fn read_below<'a>(folder: &File, name: &CStr, room: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the name is a C string that outlives the call; the kernel only reads it.
    let descriptor = unsafe { libc::syscall(libc::SYS_openat, folder.as_raw_fd(), name.as_ptr(), flags, 0) };
    let descriptor = c_int::try_from(descriptor).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned this descriptor, so it is open and nobody else owns it.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    let size = file.read(room)?;
    Ok(room.get(..size).unwrap_or_default())
}

/// Most that is read of a memory map, in bytes. A line takes about a hundred, and a process may have 65,530 mappings by
/// default.
const MAPS_LIMIT: usize = 256 << 20;
/// Room for what the kernel hands out in one read: a page, or one longer line.
pub const MAPS_STEP: usize = 8 << 10;

/// Reads /proc/…/maps from its start into `text`, whose room is used again.
pub fn read_maps(mut file: &File, text: &mut Vec<u8>) -> io::Result<()> {
    text.clear();
    io::Seek::rewind(&mut file)?;
    read_maps_on(file, text)
}

/// Reads /proc/…/maps from its start. When it is `known`, and not empty, returns true; otherwise all of it is in `text`
/// then.
///
/// Mostly nothing has changed, so what was read is compared at once and not kept: `text` needs room for [`MAPS_STEP`]
/// bytes only.
pub fn maps_are(known: &[u8], mut file: &File, text: &mut Vec<u8>) -> io::Result<bool> {
    io::Seek::rewind(&mut file)?;
    let mut same = 0;
    loop {
        text.clear();
        let read = read_maps_step(file, text)?;
        let expected = known.get(same..).unwrap_or_default();
        if read == 0 && expected.is_empty() && same > 0 {
            return Ok(true);
        }
        if read == 0 || !expected.starts_with(text) {
            let mut all = known.get(..same).unwrap_or_default().to_vec();
            all.append(text);
            *text = all;
            return read_maps_on(file, text).map(|()| false);
        }
        same += read;
    }
}

/// Reads on behind what is in `text`.
fn read_maps_on(file: &File, text: &mut Vec<u8>) -> io::Result<()> {
    loop {
        match read_maps_step(file, text) {
            Ok(0) => return Ok(()),
            Ok(_) if text.len() > MAPS_LIMIT => return Ok(()),
            Ok(_) => {}
            // ESRCH: the memory is gone, as at the end of a process.
            Err(_) if !text.is_empty() => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// One read to the end of `text`; returns how many bytes came.
#[allow(unsafe_code)]
fn read_maps_step(file: &File, text: &mut Vec<u8>) -> io::Result<usize> {
    /// Most maps fit into the first room. For larger ones there is enough at once, as room that is not written to takes no
    /// memory, and moving what is there does.
    const ROOMS: [usize; 2] = [16 << 10, 1 << 20];
    if text.capacity() - text.len() < MAPS_STEP {
        let [few, many] = ROOMS;
        text.reserve(if text.is_empty() { few } else { many.max(text.len()) });
    }
    loop {
        let room = text.spare_capacity_mut();
        // SAFETY: the room is live, exclusive and of the length given.
        let read = unsafe { libc::read(file.as_raw_fd(), room.as_mut_ptr().cast(), room.len()) };
        if let Ok(read) = usize::try_from(read) {
            // SAFETY: the kernel has written so many bytes behind the first `len`, and no more than there was room for.
            unsafe { text.set_len(text.len() + read) };
            return Ok(read);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// What /proc/PID/task/TID/stat tells (proc_pid_stat(5)). Times are in clock ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Name, at most 15 bytes.
    pub name: Vec<u8>,
    /// State letter.
    pub state: char,
    /// Parent process.
    pub parent: u32,
    /// Kernel flags, PF_*.
    pub flags: u64,
    /// User time.
    pub user: u64,
    /// Kernel time.
    pub kernel: u64,
    /// Priority.
    pub priority: i32,
    /// Start, since boot.
    pub start: u64,
    /// Where the environment lies in memory; zero or absent when the kernel does not tell.
    pub environ_start: u64,
}

impl Stat {
    /// Parses the one line of the file. The name may hold any byte, parentheses and newlines included; what follows
    /// it does not.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let open = text.iter().position(|byte| *byte == b'(')?;
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let name = text.get(open + 1..close)?.to_vec();
        let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Field numbers of the manual page start at 1 with the pid; the state is field 3.
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            name,
            state: field(3)?.chars().next()?,
            parent: field(4)?.parse().ok()?,
            flags: field(9)?.parse().ok()?,
            user: field(14)?.parse().ok()?,
            kernel: field(15)?.parse().ok()?,
            priority: field(18)?.parse().ok()?,
            start: field(22)?.parse().ok()?,
            environ_start: field(50).and_then(|number| number.parse().ok()).unwrap_or(0),
        })
    }

    /// Reads and parses `path`.
    pub fn read(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::parse(&read_text(path)?).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Reads and parses the file of thread `tid`. `tasks` is /proc/PID/task.
    pub fn of_thread(tasks: &File, tid: libc::pid_t) -> io::Result<Self> {
        let mut room = [0; LONGEST_STAT];
        let text = read_below(tasks, &name_of(tid, "stat")?, &mut room)?;
        Self::parse(text).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }
}

/// Most that /proc/…/stat is: 52 numbers and a name.
const LONGEST_STAT: usize = 2 << 10;
/// Most that /proc/…/syscall is: nine numbers.
const LONGEST_SYSCALL: usize = 256;

/// `TID/FILE`.
fn name_of(tid: libc::pid_t, file: &str) -> io::Result<CString> {
    Ok(CString::new(format!("{tid}/{file}"))?)
}

/// Stack and instruction pointer of a thread that is blocked. `tasks` is /proc/PID/task.
pub fn blocked_at(tasks: &File, tid: libc::pid_t) -> Option<(u64, u64)> {
    let mut room = [0; LONGEST_SYSCALL];
    parse_syscall(read_below(tasks, &name_of(tid, "syscall").ok()?, &mut room).ok()?)
}

/// The value of `key` in a text of `Key:<tab>value` lines such as /proc/PID/status.
pub fn status_field<'a>(text: &'a [u8], key: &str) -> Option<&'a str> {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(key.as_bytes()))?;
    std::str::from_utf8(line.strip_prefix(b":")?).ok().map(str::trim)
}

/// The first number of the value of `key`.
pub fn status_number(text: &[u8], key: &str) -> Option<u32> {
    status_field(text, key)?.split_ascii_whitespace().next()?.parse().ok()
}

/// Stack and instruction pointer of a thread that is blocked, from /proc/PID/task/TID/syscall (proc_pid_syscall(5)).
pub fn parse_syscall(text: &[u8]) -> Option<(u64, u64)> {
    let mut fields = std::str::from_utf8(text).ok()?.split_ascii_whitespace().rev();
    let mut hexadecimal = || u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok();
    let (ip, sp) = (hexadecimal()?, hexadecimal()?);
    Some((sp, ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_thread_name_with_parentheses_and_newlines_does_not_confuse_the_parser() {
        let text = b"42 (a) R 1 (\n) S 7 42 42 0 -1 4194560 10 0 0 0 12 34 0 0 -51 0 3 0 9876 1000 2 3";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat.name, b"a) R 1 (\n");
        assert_eq!((stat.state, stat.parent, stat.flags), ('S', 7, 4_194_560));
        assert_eq!((stat.user, stat.kernel, stat.priority, stat.start), (12, 34, -51, 9876));
    }

    #[test]
    fn the_own_stat_file_parses() {
        let stat = Stat::read("/proc/thread-self/stat").unwrap();
        assert_eq!(stat.state, 'R');
        assert!(stat.start > 0);
    }

    #[test]
    fn a_thread_of_the_own_process_is_read_below_its_folder() {
        let tasks = File::open("/proc/self/task").unwrap();
        let pid = libc::pid_t::try_from(std::process::id()).unwrap();
        let through_the_path = Stat::read(format!("/proc/self/task/{pid}/stat")).unwrap();
        let stat = Stat::of_thread(&tasks, pid).unwrap();
        assert_eq!((stat.name, stat.start), (through_the_path.name, through_the_path.start));
        assert_eq!(Stat::of_thread(&tasks, 0).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_map_is_compared_as_it_is_read_and_read_whole_where_it_differs() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let map: Vec<u8> = (0..9000_u32).flat_map(|line| format!("{line:08x}-x\n").into_bytes()).collect();
        std::fs::write(file.path(), &map).unwrap();
        let opened = File::open(file.path()).unwrap();
        let mut text = Vec::new();
        read_maps(&opened, &mut text).unwrap();
        assert!(text == map);
        assert!(maps_are(&map, &opened, &mut text).unwrap());
        let mut differs = map.clone();
        *differs.last_mut().unwrap() = b'x';
        for known in [&map[..50_000], &differs[..], &map[..0], &[map.clone(), b"more".to_vec()].concat()[..]]
        {
            assert!(!maps_are(known, &opened, &mut text).unwrap());
            assert!(text == map, "{}", known.len());
        }
    }

    #[test]
    fn pointers_of_a_blocked_thread_are_the_last_two_fields() {
        let blocked = b"202 0x1 0x2 0x3 0x4 0x5 0x6 0x7ffc1234 0x7f5678\n";
        assert_eq!(parse_syscall(blocked), Some((0x7ffc_1234, 0x7f_5678)));
        assert_eq!(parse_syscall(b"-1 0x7ffc1234 0x7f5678\n"), Some((0x7ffc_1234, 0x7f_5678)));
        assert_eq!(parse_syscall(b"running\n"), None);
    }

    #[test]
    fn status_fields_are_found_by_their_whole_key() {
        let text = b"Name:\tx\nPPid:\t1\nTracerPid:\t77\nUid:\t1000\t0\t0\t0\n";
        assert_eq!(status_number(text, "TracerPid"), Some(77));
        assert_eq!(status_number(text, "Uid"), Some(1000));
        assert_eq!(status_number(text, "Pid"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(text in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Stat::parse(&text);
            let _ = parse_syscall(&text);
            let _ = status_number(&text, "Uid");
        }
    }
}
