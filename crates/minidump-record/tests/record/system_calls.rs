//! Recording needs the system calls that `docs/last-resort.md` lists, and no other: any other kills the process here.

use super::child::{CRASH_MARK, EXIT_BUSY};
use super::dump::{crash, crash_over, holds};
use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JUMP, BPF_K, BPF_LD, BPF_RET, BPF_STMT, BPF_W, c_long, sock_filter,
};
use minidump::Module;

const ALLOWED: [(&str, c_long); 14] = [
    ("read", libc::SYS_read),
    ("close", libc::SYS_close),
    ("fstat", libc::SYS_fstat),
    ("pread64", libc::SYS_pread64),
    ("pwrite64", libc::SYS_pwrite64),
    ("getpid", libc::SYS_getpid),
    ("ftruncate", libc::SYS_ftruncate),
    ("arch_prctl", libc::SYS_arch_prctl),
    ("gettid", libc::SYS_gettid),
    ("getdents64", libc::SYS_getdents64),
    ("clock_gettime", libc::SYS_clock_gettime),
    ("openat", libc::SYS_openat),
    ("prlimit64", libc::SYS_prlimit64),
    ("process_vm_readv", libc::SYS_process_vm_readv),
];

/// Kills the process for any system call but those allowed, and the one by which the child ends.
pub fn forbid_others() {
    let numbers = ALLOWED.iter().map(|(_, number)| *number).chain([libc::SYS_exit_group]);
    let mut rules = [(0, libc::SECCOMP_RET_ALLOW); ALLOWED.len() + 1];
    rules.iter_mut().zip(numbers).for_each(|(rule, number)| rule.0 = number);
    restrict(libc::SECCOMP_RET_KILL_PROCESS, &rules);
}

/// Refuses to read memory by `process_vm_readv`.
pub fn refuse_memory() {
    let refusal = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
    restrict(libc::SECCOMP_RET_ALLOW, &[(libc::SYS_process_vm_readv, refusal)]);
}

/// Raises SIGSYS at the last call of a recording.
pub fn trap_the_last() {
    restrict(libc::SECCOMP_RET_ALLOW, &[(libc::SYS_ftruncate, libc::SECCOMP_RET_TRAP)]);
}

/// Kills the process at the first call behind the modules and annotations.
pub fn kill_at_the_threads() {
    restrict(libc::SECCOMP_RET_ALLOW, &[(libc::SYS_getdents64, libc::SECCOMP_RET_KILL_PROCESS)]);
}

/// Filters the system calls of this process. Allocates nothing: it is called in a signal handler.
#[expect(clippy::cast_possible_truncation, reason = "codes of instructions have 16 bits")]
fn restrict(otherwise: u32, rules: &[(c_long, u32)]) {
    // SAFETY: these build plain values. The first word of `struct seccomp_data` is the number.
    let load = unsafe { BPF_STMT((BPF_LD | BPF_W | BPF_ABS) as u16, 0) };
    // SAFETY: as above.
    let result = |action: u32| unsafe { BPF_STMT((BPF_RET | BPF_K) as u16, action) };
    let mut program: [sock_filter; 64] = [load; 64];
    let mut length = 1;
    for (number, action) in rules {
        let number = u32::try_from(*number).unwrap();
        // SAFETY: as above.
        program[length] = unsafe { BPF_JUMP((BPF_JMP | BPF_JEQ | BPF_K) as u16, number, 0, 1) };
        program[length + 1] = result(*action);
        length += 2;
    }
    program[length] = result(otherwise);
    let filter = libc::sock_fprog { len: u16::try_from(length + 1).unwrap(), filter: program.as_mut_ptr() };
    // SAFETY: restricts this process, by a program that outlives the call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter), 0);
    }
}

#[test]
fn memory_is_read_otherwise_where_that_is_refused() {
    let dump = crash("refused");
    let read = dump.read();
    let (start, bytes) = read.stack();
    assert!(start <= read.sp() && read.sp() < start + bytes.len() as u64);
    assert!(holds(&bytes, CRASH_MARK));
    assert!(read.modules().main_module().unwrap().code_identifier().is_some());
}

#[test]
fn a_signal_while_recording_is_refused_and_the_record_stays() {
    let dump = crash_over("trapped", b"");
    assert_eq!(dump.exit, Some(EXIT_BUSY));
    let read = dump.read();
    assert_eq!(read.exception.raw.exception_record.exception_address, 0x18);
    assert!(holds(&read.stack().1, CRASH_MARK));
}

#[test]
fn what_was_written_when_the_process_is_killed_is_a_dump_that_says_so() {
    let dump = crash_over("killed", b"");
    assert_eq!(dump.signal, Some(libc::SIGSYS));
    let read = dump.read();
    assert_eq!(read.exception.raw.exception_record.exception_address, 0x18);
    assert!(holds(&read.stack().1, CRASH_MARK));
    assert!(read.modules().main_module().unwrap().code_identifier().is_some());
    assert_eq!(read.threads().threads.len(), 1);
    assert_eq!(read.messages(), ["the last-resort dump was not finished"]);
}

#[test]
fn recording_needs_the_listed_system_calls_alone() {
    let dump = crash("filtered");
    let read = dump.read();
    assert_eq!(read.exception.get_crashing_thread_id(), dump.pid);
    assert!(read.modules().iter().count() > 2);
    assert_eq!(read.messages().len(), 1, "nothing is missing: {:?}", read.messages());
}

#[test]
fn the_filter_kills_for_any_other() {
    // SAFETY: the child makes one call that is not allowed, or none.
    let status = |forbidden: bool| unsafe {
        let child = libc::fork();
        if child == 0 {
            forbid_others();
            if forbidden {
                libc::syscall(libc::SYS_getppid);
            }
            libc::_exit(0);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        status
    };
    assert_eq!(status(false), 0);
    let killed = status(true);
    assert!(libc::WIFSIGNALED(killed) && libc::WTERMSIG(killed) == libc::SIGSYS);
}

#[test]
fn the_documentation_lists_the_same() {
    let text = include_str!("../../../../docs/last-resort.md");
    let section = text.split("## System calls").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut listed: Vec<_> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    listed.sort_unstable();
    let mut allowed = ALLOWED.map(|(name, _)| name);
    allowed.sort_unstable();
    assert_eq!(listed, allowed);
}
