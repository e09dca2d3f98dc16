use super::super::maps;
use super::super::proc_fs::Stat;
use super::super::seize_watch::SeizeWatch;
use super::super::task_list::TaskList;
use super::*;
use crate::snapshot::{MemorySource as _, Protection};
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const LIMIT: Duration = Duration::from_secs(60);

/// A program that answers each line with the same line, and is blocked in `read` otherwise.
struct Echo {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    pid: pid_t,
}

impl Echo {
    fn start() -> Self {
        let mut command = Command::new("cat");
        // Without it, the kernel writes the number of the processor into memory whenever the thread moves.
        command.env("GLIBC_TUNABLES", "glibc.pthread.rseq=0");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let pid = pid_t::try_from(child.id()).unwrap();
        let mut echo = Self { child, input, output, pid };
        echo.ask(b"ready\n");
        echo
    }

    fn ask(&mut self, line: &[u8]) {
        self.input.as_mut().unwrap().write_all(line).unwrap();
        let mut answer = vec![0; line.len()];
        self.output.read_exact(&mut answer).unwrap();
        assert_eq!(answer, line);
        self.settle();
    }

    /// Waits until it is in `read` again. From then on it writes nothing.
    fn settle(&self) {
        let start = Instant::now();
        let is_in_read = || {
            let text = std::fs::read_to_string(format!("/proc/{}/syscall", self.pid));
            text.is_ok_and(|text| text.starts_with("0 0x0 "))
        };
        while !is_in_read() {
            assert!(start.elapsed() < LIMIT, "it answers and reads on");
            std::thread::yield_now();
        }
    }

    /// The ids of its children, zombies included.
    fn children(&self) -> String {
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).unwrap_or_default()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its memory map.
fn map_of(pid: pid_t) -> (Vec<Mapping>, Vec<u8>) {
    let text = std::fs::read(format!("/proc/{pid}/maps")).unwrap();
    let mut mappings = Vec::new();
    maps::parse(&text, &mut mappings);
    (mappings, text)
}

/// Stops it, copies it, and lets it go.
fn copy_until(pid: pid_t, deadline: Instant) -> Result<Copy, Refusal> {
    let mut tasks = TaskList::open(pid).unwrap();
    let mut tracees = Tracees::seize(pid, true, &mut tasks, |_| false, LIMIT, SeizeWatch::default()).unwrap();
    tracees.stop_rest(&mut tasks, &mut Vec::new()).unwrap();
    let (mappings, text) = map_of(pid);
    copy(pid, &tracees, &mappings, &text, deadline)
}

fn copy_of(pid: pid_t) -> Copy {
    copy_until(pid, Instant::now() + LIMIT).unwrap()
}

/// All private writable memory: address and bytes.
fn written_memory(pid: pid_t, memory: &ProcessMemory) -> Vec<(u64, Vec<u8>)> {
    let (mappings, text) = map_of(pid);
    let both = Protection::READ | Protection::WRITE;
    let private = mappings.iter().filter(|mapping| mapping.protection.contains(both) && !mapping.shared);
    let private = private.filter(|mapping| !mapping.name(&text).starts_with(b"[vv"));
    let regions = private.map(|mapping| {
        let mut bytes = vec![0; usize::try_from(mapping.size()).unwrap()];
        let done = memory.read(mapping.start, &mut bytes).done;
        assert_eq!(done, bytes.len(), "all of {:#x}", mapping.start);
        (mapping.start, bytes)
    });
    regions.collect()
}

#[test]
fn the_copy_keeps_the_memory_of_its_moment_while_the_target_goes_on() {
    let mut echo = Echo::start();
    echo.ask(b"before the copy\n");
    let target = ProcessMemory::new(echo.pid, None, false);
    let before = written_memory(echo.pid, &target);
    let copy = copy_of(echo.pid);
    echo.settle();
    assert!(written_memory(echo.pid, &target) == before, "the target's memory is what it was");
    echo.ask(b"after it, for sure\n");
    assert!(written_memory(echo.pid, &target) != before, "the target goes on");
    assert!(written_memory(copy.pid(), &copy.memory()) == before, "the copy does not");
    let all: Vec<u8> = before.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert!(all.windows(15).any(|bytes| bytes == b"before the copy"));
}

/// Memory that no other process has, in KiB.
fn private_memory(pid: pid_t) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let number = |key: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    number("Private_Clean:") + number("Private_Dirty:")
}

#[test]
fn reading_the_copy_copies_nothing() {
    let echo = Echo::start();
    let copy = copy_of(echo.pid);
    let before = private_memory(copy.pid());
    let read: usize = written_memory(copy.pid(), &copy.memory()).iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(read > 100 << 10, "{read} bytes");
    assert_eq!(private_memory(copy.pid()), before);
}

#[test]
fn the_copy_is_no_child_of_the_target_and_holds_none_of_its_files() {
    let mut echo = Echo::start();
    let copy = copy_of(echo.pid);
    assert_eq!(echo.children(), "");
    let parent = Stat::read(format!("/proc/{}/stat", copy.pid())).unwrap().parent;
    assert_ne!(parent, echo.pid.unsigned_abs());
    assert_eq!(std::fs::read_dir(format!("/proc/{}/fd", copy.pid())).unwrap().count(), 0);
    drop(echo.input.take());
    let mut rest = Vec::new();
    // The other end of the pipe sees its end only when nobody holds this one any more.
    echo.output.read_to_end(&mut rest).unwrap();
    assert!(echo.child.wait().unwrap().success());
    assert_eq!(rest, b"");
    assert!(!written_memory(copy.pid(), &copy.memory()).is_empty(), "the copy outlives the target");
}

#[test]
fn dropping_the_copy_ends_it() {
    let mut echo = Echo::start();
    let copy = copy_of(echo.pid);
    let pid = copy.pid();
    assert_eq!(Stat::read(format!("/proc/{pid}/stat")).unwrap().state, 't', "it never runs");
    drop(copy);
    // Whoever adopted it may not have reaped it yet.
    let state = Stat::read(format!("/proc/{pid}/stat")).map(|stat| stat.state);
    assert!(matches!(state, Err(_) | Ok('Z' | 'X')), "{state:?}");
    echo.ask(b"still here\n");
}

#[test]
fn whenever_time_is_up_the_target_goes_on_as_before() {
    let mut echo = Echo::start();
    let memory = ProcessMemory::new(echo.pid, None, false);
    let before = written_memory(echo.pid, &memory);
    let mut late = 0;
    for microseconds in (0..600).step_by(20) {
        match copy_until(echo.pid, Instant::now() + Duration::from_micros(microseconds)) {
            Ok(copy) => drop(copy),
            Err(Refusal::Late) => late += 1,
            Err(other) => panic!("{other}"),
        }
        assert_eq!(echo.children(), "");
        echo.settle();
        assert!(written_memory(echo.pid, &memory) == before, "after {microseconds} µs");
    }
    assert!(late > 0, "there is no copy without time");
    echo.ask(b"still here\n");
}

#[test]
fn a_running_thread_is_borrowed_when_no_other_is_there() {
    let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let pid = pid_t::try_from(child.id()).unwrap();
    let ticks = || Stat::read(format!("/proc/{pid}/stat")).unwrap().user;
    let start = Instant::now();
    while ticks() == 0 && start.elapsed() < LIMIT {
        std::thread::yield_now();
    }
    for _ in 0..20 {
        let copy = copy_of(pid);
        assert!(!written_memory(copy.pid(), &copy.memory()).is_empty());
    }
    let before = ticks();
    while ticks() == before && start.elapsed() < LIMIT {
        std::thread::yield_now();
    }
    assert!(ticks() > before, "it goes on running");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_code_that_is_found_is_what_it_is_taken_for() {
    let own = pid_t::try_from(std::process::id()).unwrap();
    let (mappings, text) = map_of(own);
    let memory = ProcessMemory::new(own, None, false);
    let code = site::find(&mappings, &text, &memory).unwrap();
    let bytes = |address| {
        let mut bytes = [0; 9];
        assert_eq!(memory.read(address, &mut bytes).done, 9);
        bytes
    };
    assert_eq!(bytes(code.call)[..3], [0x0f, 0x05, 0xc3]);
    let signal_return = bytes(code.signal_return);
    assert!(signal_return == [0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05] || signal_return[0] == 0xb8);
    assert!(site::find(&[], b"", &memory).is_none());
}

#[test]
fn the_init_of_a_pid_namespace_is_known_by_its_innermost_id() {
    assert!(is_init(b"Name:\tx\nNSpid:\t4711\t12\t1\n"));
    assert!(is_init(b"NSpid:\t1\n"));
    assert!(!is_init(b"NSpid:\t4711\t11\n"));
    assert!(!is_init(b"NSpid:\t1\t7\n"));
    assert!(!is_init(b"Name:\told kernel\n"));
}
