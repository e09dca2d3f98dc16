//! System calls of Linux on x86-64 (`<asm/unistd_64.h>`). Every call of the crash path is in this file, and the
//! allow-list of `docs/last-resort.md` is the list of its numbers.

use super::Errno;
use core::arch::asm;
use core::arch::x86_64::{__cpuid, CpuidResult};

/// Whether this back end can record.
pub(crate) const SUPPORTED: bool = true;

const READ: usize = 0;
const CLOSE: usize = 3;
const FSTAT: usize = 5;
const PREAD64: usize = 17;
const PWRITE64: usize = 18;
const SCHED_YIELD: usize = 24;
const GETPID: usize = 39;
const UNAME: usize = 63;
const FTRUNCATE: usize = 77;
const ARCH_PRCTL: usize = 158;
const GETTID: usize = 186;
const SCHED_GETAFFINITY: usize = 204;
const GETDENTS64: usize = 217;
const CLOCK_GETTIME: usize = 228;
const OPENAT: usize = 257;
const PRLIMIT64: usize = 302;
const PROCESS_VM_READV: usize = 310;

/// `O_RDONLY | O_CLOEXEC` and `O_DIRECTORY` of `<asm-generic/fcntl.h>`.
const READ_ONLY: usize = 0o2_000_000;
const DIRECTORY: usize = 0o200_000;
/// `RLIMIT_FSIZE` of `<asm-generic/resource.h>`.
const FILE_SIZE: usize = 1;
/// `ARCH_GET_FS` of `<asm/prctl.h>`.
const GET_FS: usize = 0x1003;

/// Enters the kernel.
///
/// # Safety
/// Every argument that the call takes for an address must be valid for what the call does with it.
unsafe fn call(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [rdi, rsi, rdx, r10, r8, r9] = arguments;
    let result: isize;
    // SAFETY: this is the kernel's calling convention: it keeps all registers but RAX, RCX and R11, and uses no stack
    // of ours. What it does with the arguments is the caller's word. Memory is not declared untouched.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number.cast_signed() => result,
            in("rdi") rdi, in("rsi") rsi, in("rdx") rdx, in("r10") r10, in("r8") r8, in("r9") r9,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    // The kernel's errors are -4095 to -1.
    if (-4095..0).contains(&result) {
        return Err(Errno(i32::try_from(result.unsigned_abs()).unwrap_or(i32::MAX)));
    }
    Ok(result.cast_unsigned())
}

/// A descriptor as the kernel takes it; a negative one is refused with EBADF.
fn descriptor(fd: i32) -> usize {
    i64::from(fd).cast_unsigned().try_into().unwrap_or(usize::MAX)
}

/// A file offset. One above the largest is refused by the kernel as a negative one.
fn word(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Opens `path`, which ends with a zero byte, for reading. It is relative to the folder `directory`.
pub(crate) fn open_at(directory: i32, path: &[u8], is_directory: bool) -> Result<i32, Errno> {
    if path.last() != Some(&0) {
        return Err(Errno::IO);
    }
    let flags = if is_directory { READ_ONLY | DIRECTORY } else { READ_ONLY };
    // SAFETY: `path` is readable up to its terminating zero.
    let fd = unsafe { call(OPENAT, [descriptor(directory), path.as_ptr() as usize, flags, 0, 0, 0]) }?;
    i32::try_from(fd).map_err(|_| Errno::IO)
}

pub(crate) fn close(fd: i32) {
    // SAFETY: no memory is involved. That nobody else uses the descriptor is the caller's concern.
    let _ = unsafe { call(CLOSE, [descriptor(fd), 0, 0, 0, 0, 0]) };
}

pub(crate) fn read(fd: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is writable for its length.
    unsafe { call(READ, [descriptor(fd), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0]) }
}

pub(crate) fn pread(fd: i32, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let arguments = [descriptor(fd), buffer.as_mut_ptr() as usize, buffer.len(), word(offset), 0, 0];
    // SAFETY: the buffer is writable for its length.
    unsafe { call(PREAD64, arguments) }
}

pub(crate) fn pwrite(fd: i32, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
    let arguments = [descriptor(fd), bytes.as_ptr() as usize, bytes.len(), word(offset), 0, 0];
    // SAFETY: the bytes are readable for their length.
    unsafe { call(PWRITE64, arguments) }
}

pub(crate) fn truncate(fd: i32, size: u64) -> Result<(), Errno> {
    // SAFETY: no memory is involved.
    unsafe { call(FTRUNCATE, [descriptor(fd), word(size), 0, 0, 0, 0]) }.map(|_| ())
}

/// Entries of the folder `fd` as `struct linux_dirent64` (`<linux/dirent.h>`).
pub(crate) fn read_entries(fd: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is writable for its length.
    unsafe { call(GETDENTS64, [descriptor(fd), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0]) }
}

/// Device and inode of an open file: the first two words of `struct stat` (`<asm/stat.h>`).
pub(crate) fn identity(fd: i32) -> Result<(u64, u64), Errno> {
    let mut stat = [0_u64; 18];
    // SAFETY: `struct stat` is 144 bytes, which is the size of `stat`.
    unsafe { call(FSTAT, [descriptor(fd), stat.as_mut_ptr() as usize, 0, 0, 0, 0]) }?;
    let [device, inode, ..] = stat;
    Ok((device, inode))
}

/// Copies memory of the thread `tid`, by the kernel, so that an address that cannot be read is an error and no fault.
/// Stops early at the first page that cannot be read.
pub(crate) fn read_memory(tid: i32, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    // struct iovec: address and length.
    let local = [buffer.as_mut_ptr() as usize, buffer.len()];
    let remote = [word(address), buffer.len()];
    let arguments = [descriptor(tid), local.as_ptr() as usize, 1, remote.as_ptr() as usize, 1, 0];
    // SAFETY: the kernel writes to the buffer, for at most its length; the other address it checks itself.
    unsafe { call(PROCESS_VM_READV, arguments) }
}

pub(crate) fn process_id() -> i32 {
    // SAFETY: no memory is involved.
    unsafe { call(GETPID, [0; 6]) }.ok().and_then(|id| i32::try_from(id).ok()).unwrap_or(0)
}

pub(crate) fn thread_id() -> i32 {
    // SAFETY: no memory is involved.
    unsafe { call(GETTID, [0; 6]) }.ok().and_then(|id| i32::try_from(id).ok()).unwrap_or(0)
}

/// Seconds since 1970 by the system's clock; 0 when it cannot be told.
pub(crate) fn now() -> u64 {
    let mut time = [0_i64; 2];
    // SAFETY: `struct timespec` is two words, which is the size of `time`. Clock 0 is CLOCK_REALTIME.
    let result = unsafe { call(CLOCK_GETTIME, [0, time.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    let [seconds, _] = time;
    result.ok().and_then(|_| u64::try_from(seconds).ok()).unwrap_or(0)
}

/// The largest file that this process may write, in bytes.
pub(crate) fn file_size_limit() -> u64 {
    let mut limit = [u64::MAX; 2];
    // SAFETY: `struct rlimit64` is two words, which is the size of `limit`; nothing is set.
    let _ = unsafe { call(PRLIMIT64, [0, FILE_SIZE, 0, limit.as_mut_ptr() as usize, 0, 0]) };
    let [current, _] = limit;
    current
}

/// Base of the FS segment, which marks the thread's own block and with it the end of a thread's stack.
pub(crate) fn thread_pointer() -> Option<u64> {
    let mut base = 0_u64;
    // SAFETY: the kernel writes one word, which is the size of `base`.
    unsafe { call(ARCH_PRCTL, [GET_FS, &raw mut base as usize, 0, 0, 0, 0]) }.ok()?;
    Some(base).filter(|base| *base != 0)
}

pub(crate) fn yield_now() {
    // SAFETY: no memory is involved.
    let _ = unsafe { call(SCHED_YIELD, [0; 6]) };
}

/// `struct new_utsname` (`<linux/utsname.h>`): six texts of 65 bytes with zeros behind them. For times without a crash.
pub(crate) fn uname(name: &mut [u8; 390]) -> Result<(), Errno> {
    // SAFETY: the structure has the size of `name`.
    unsafe { call(UNAME, [name.as_mut_ptr() as usize, 0, 0, 0, 0, 0]) }.map(|_| ())
}

/// How many processors this process may use. For times without a crash.
pub(crate) fn affinity_count() -> u32 {
    let mut mask = [0_u64; 128];
    let size = size_of_val(&mask);
    // SAFETY: the mask is writable for `size` bytes.
    let used = unsafe { call(SCHED_GETAFFINITY, [0, size, mask.as_mut_ptr() as usize, 0, 0, 0]) };
    if used.is_err() { 0 } else { mask.iter().map(|word| word.count_ones()).sum() }
}

/// Vendor, CPUID leaf 1 EAX and EDX, leaf 0x8000_0001 EDX, as the x86 member of `CPU_INFORMATION` has them. For times
/// without a crash: hypervisors intercept the instruction.
pub(crate) fn processor() -> [u32; 6] {
    let CpuidResult { ebx, ecx, edx, .. } = __cpuid(0);
    let one = __cpuid(1);
    let highest = __cpuid(0x8000_0000).eax;
    let extended = if highest > 0x8000_0000 { __cpuid(0x8000_0001).edx } else { 0 };
    [ebx, edx, ecx, one.eax, one.edx, extended]
}
