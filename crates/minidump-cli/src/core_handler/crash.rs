//! A crash as the kernel tells of it.

use super::pattern::SPECIFIERS;
use minidump_writer::Pid;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::time::SystemTime;

/// Number of the field of /proc/PID/stat that tells the processor (`proc_pid_stat(5)`), counted behind the name.
const STAT_PROCESSOR: usize = 39 - 3;

/// What is known of a crash of which the kernel tells no words.
#[derive(Debug, Clone)]
pub struct Account {
    /// The process.
    pub pid: Pid,
    /// The thread.
    pub tid: Pid,
    /// The signal.
    pub signal: i32,
    /// The real user.
    pub uid: u32,
    /// The real group.
    pub gid: u32,
    /// Whether the core is for root's eyes only.
    pub for_root_alone: bool,
    /// The limit of the core's size.
    pub core_limit: u64,
    /// Path of the executable, or its name.
    pub executable: Vec<u8>,
}

/// What the kernel tells.
#[derive(Debug, Clone)]
pub struct Crash {
    /// The process.
    pub pid: Pid,
    /// The thread.
    pub tid: Pid,
    /// The values of [`SPECIFIERS`].
    told: Vec<(u8, Vec<u8>)>,
}

impl Crash {
    /// Understands the words behind `--`. Of the values only the ids have to make sense.
    ///
    /// # Errors
    /// When they do not, in a sentence.
    pub fn parse(words: &[OsString]) -> Result<Self, String> {
        let told: Vec<(u8, Vec<u8>)> =
            SPECIFIERS.into_iter().zip(words.iter().map(|word| word.as_bytes().to_vec())).collect();
        let id = |index: usize| -> Option<Pid> {
            let (_, value) = told.get(index)?;
            str::from_utf8(value).ok()?.parse().ok().filter(|id| *id > 0)
        };
        let (Some(pid), Some(tid)) = (id(0), id(1)) else {
            return Err(
                "the words behind -- are not those of --install, of which two are ids; install again".into(),
            );
        };
        Ok(Self { pid, tid, told })
    }

    /// The crash of which the kernel tells no words.
    pub fn of(account: &Account) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // As the kernel does it: a path in one word.
        let executable = account.executable.iter().map(|byte| if *byte == b'/' { b'!' } else { *byte });
        let value = |letter: u8| match letter {
            b'P' => account.pid.to_string().into_bytes(),
            b'I' => account.tid.to_string().into_bytes(),
            b's' => account.signal.to_string().into_bytes(),
            b't' => now.as_secs().to_string().into_bytes(),
            b'd' => if account.for_root_alone { b"2" } else { b"1" }.to_vec(),
            b'u' => account.uid.to_string().into_bytes(),
            b'g' => account.gid.to_string().into_bytes(),
            b'c' => account.core_limit.to_string().into_bytes(),
            _ => executable.clone().collect(),
        };
        let told = SPECIFIERS.map(|letter| (letter, value(letter))).to_vec();
        Self { pid: account.pid, tid: account.tid, told }
    }

    /// The executable's file name, as far as it is known.
    pub fn program(&self) -> Vec<u8> {
        let path = self.told(b'E').unwrap_or_default();
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        let path = path.strip_suffix(b" (path unknown)").unwrap_or(path);
        path.rsplit(|byte| *byte == b'!').next().unwrap_or_default().to_vec()
    }

    /// The executable's path: where the process tells it, or as the kernel writes it, which makes `!` of every `/`.
    pub fn executable(&self) -> Vec<u8> {
        let told = || self.told(b'E').unwrap_or_default().iter();
        let path = fs::read_link(format!("/proc/{}/exe", self.pid)).map_or_else(
            |_| told().map(|byte| if *byte == b'!' { b'/' } else { *byte }).collect(),
            |path| path.into_os_string().into_encoded_bytes(),
        );
        path.strip_suffix(b" (deleted)").map(<[u8]>::to_vec).unwrap_or(path)
    }

    /// The signal.
    pub fn signal(&self) -> Option<i32> {
        self.number(b's').and_then(|number| i32::try_from(number).ok())
    }

    /// Words that name it in a message.
    pub fn title(&self) -> String {
        let signal = self.signal().unwrap_or(0);
        format!("{} ({}, signal {signal})", self.pid, String::from_utf8_lossy(&self.program()))
    }

    fn told(&self, letter: u8) -> Option<&[u8]> {
        self.told.iter().find(|(known, _)| *known == letter).map(|(_, value)| value.as_slice())
    }

    fn number(&self, letter: u8) -> Option<u64> {
        str::from_utf8(self.told(letter)?).ok()?.parse().ok()
    }

    /// The value of any specifier of core(5). What this program is not told is asked of /proc, as long as the process is
    /// there. `None` for letters without a meaning; also for `%F`, a descriptor that only the first program has.
    pub fn value(&self, letter: u8) -> Option<Vec<u8>> {
        let read = |path: String| fs::read(path).ok().map(|text| text.trim_ascii_end().to_vec());
        match letter {
            b'p' => Some(self.innermost(self.pid)),
            b'i' => Some(self.innermost(self.tid)),
            b'h' => read("/proc/sys/kernel/hostname".into()),
            b'e' => {
                read(format!("/proc/{}/task/{}/comm", self.pid, self.tid)).or_else(|| Some(self.program()))
            }
            b'f' => Some(self.program()),
            b'C' => {
                let stat = read(format!("/proc/{}/task/{}/stat", self.pid, self.tid))?;
                let behind_name = stat.rsplit(|byte| *byte == b')').next()?.trim_ascii_start();
                behind_name.split(|byte| *byte == b' ').nth(STAT_PROCESSOR).map(<[u8]>::to_vec)
            }
            told => self.told(told).map(<[u8]>::to_vec),
        }
    }

    /// A thread's id in its own namespace; that of the first where it is not told.
    fn innermost(&self, tid: Pid) -> Vec<u8> {
        let status = fs::read_to_string(format!("/proc/{}/task/{tid}/status", self.pid)).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let inner = ids.and_then(|ids| ids.split_ascii_whitespace().next_back().map(str::to_owned));
        inner.unwrap_or_else(|| tid.to_string()).into_bytes()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A crash of a process that there is not: its id is above the largest that Linux gives.
    pub fn crash(executable: &str) -> Crash {
        let words = ["2147483000", "2147483001", "11", "1700000000", "1", "1000", "1001", "0", executable];
        Crash::parse(&words.map(OsString::from)).unwrap()
    }

    #[test]
    fn the_words_of_the_kernel_are_understood() {
        let found = crash("!opt!my app (deleted)");
        assert_eq!((found.pid, found.tid, found.signal()), (2_147_483_000, 2_147_483_001, Some(11)));
        assert_eq!(found.program(), b"my app");
        assert_eq!(found.title(), "2147483000 (my app, signal 11)");
        assert_eq!(crash("worker (path unknown)").program(), b"worker");
        assert_eq!(found.value(b'g').unwrap(), b"1001");
        assert_eq!(found.value(b'f').unwrap(), b"my app");
        assert_eq!(found.value(b'z'), None);
    }

    #[test]
    fn what_is_known_without_words_fills_all_specifiers() {
        let crash = Crash::of(&Account {
            pid: 2_147_483_000,
            tid: 2_147_483_001,
            signal: 7,
            uid: 1000,
            gid: 1001,
            for_root_alone: true,
            core_limit: u64::MAX,
            executable: b"/opt/my app (deleted)".into(),
        });
        let values = b"PIsdugcE".map(|letter| String::from_utf8(crash.value(letter).unwrap()).unwrap());
        let expected = ["2147483000", "2147483001", "7", "2", "1000", "1001", "18446744073709551615"];
        assert_eq!(values[..7], expected);
        assert_eq!(values[7], "!opt!my app (deleted)");
        assert_eq!((crash.executable(), crash.program()), (b"/opt/my app".to_vec(), b"my app".to_vec()));
        assert!(crash.number(b't').unwrap() > 1_700_000_000);
    }

    #[test]
    fn ids_that_are_none_are_refused() {
        for words in [vec![], vec!["1"], vec!["%P", "%I"], vec!["0", "1"], vec!["-1", "1"], vec!["x", "1"]] {
            let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
            assert!(Crash::parse(&words).unwrap_err().contains("install again"), "{words:?}");
        }
    }

    #[test]
    fn what_is_not_told_is_asked_of_proc() {
        let own = std::process::id().to_string();
        let words = [own.as_str(), own.as_str(), "6", "1", "1", "0", "0", "0", "!bin!x"].map(OsString::from);
        let crash = Crash::parse(&words).unwrap();
        assert_eq!(crash.value(b'p').unwrap(), own.as_bytes());
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(crash.value(b'h').unwrap(), host.trim_end().as_bytes());
        let processor: u32 = str::from_utf8(&crash.value(b'C').unwrap()).unwrap().parse().unwrap();
        assert!(processor < 8192);
    }
}
