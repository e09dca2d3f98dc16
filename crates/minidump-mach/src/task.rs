use std::fmt;

/// `kern_return_t` of a call that failed (mach/kern_return.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KernReturn(pub i32);

impl KernReturn {
    /// KERN_INVALID_ADDRESS: nothing is mapped there.
    pub const INVALID_ADDRESS: Self = Self(1);
    /// KERN_PROTECTION_FAILURE: not readable.
    pub const PROTECTION_FAILURE: Self = Self(2);
    /// KERN_INVALID_ARGUMENT: also what calls on a thread that has gone return.
    pub const INVALID_ARGUMENT: Self = Self(4);
    /// KERN_FAILURE.
    pub const FAILURE: Self = Self(5);
    /// KERN_TERMINATED: the task or thread is ending.
    pub const TERMINATED: Self = Self(37);
    /// MACH_SEND_INVALID_DEST: the task or thread has gone.
    pub const INVALID_DESTINATION: Self = Self(0x1000_0003);
}

impl fmt::Display for KernReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::INVALID_ADDRESS => "KERN_INVALID_ADDRESS",
            Self::PROTECTION_FAILURE => "KERN_PROTECTION_FAILURE",
            Self::INVALID_ARGUMENT => "KERN_INVALID_ARGUMENT",
            Self::FAILURE => "KERN_FAILURE",
            Self::TERMINATED => "KERN_TERMINATED",
            Self::INVALID_DESTINATION => "MACH_SEND_INVALID_DEST",
            Self(code) => return write!(f, "kern_return_t {code:#x}"),
        };
        f.write_str(name)
    }
}

/// The name of a thread in the capturing process: a port name, not the thread's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadPort(pub u32);

/// What [`MachTask::task_info`] tells (mach/task_info.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum TaskFlavor {
    /// TASK_THREAD_TIMES_INFO: `task_thread_times_info`, 4 words: seconds and microseconds of user and of system time of the live threads.
    ThreadTimes = 3,
    /// TASK_DYLD_INFO: `task_dyld_info`, 5 words, packed to 4 bytes: u64 address of `dyld_all_image_infos`, u64 size, i32 format (0: 32 bits,
    /// 1: 64 bits).
    Dyld = 17,
    /// MACH_TASK_BASIC_INFO: `mach_task_basic_info`, 12 words: u64 virtual size, u64 resident size, u64 most of it, i32 seconds and
    /// microseconds of user and of system time of the threads that ended, i32 policy, i32 suspend count.
    Basic = 20,
}

/// What [`MachTask::thread_info`] tells (mach/thread_info.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ThreadFlavor {
    /// THREAD_BASIC_INFO: `thread_basic_info`, 10 words: i32 seconds and microseconds of user and of system time, i32 cpu usage, policy, run
    /// state (1 running, 2 stopped, 3 waiting, 4 uninterruptible, 5 halted), flags, suspend count, sleep time.
    Basic = 3,
    /// THREAD_IDENTIFIER_INFO: `thread_identifier_info`, 6 words: u64 thread id, u64 thread handle, u64 address of the dispatch queue's pointer.
    Identifier = 4,
    /// THREAD_EXTENDED_INFO: `thread_extended_info`, 28 words: u64 user time and system time in ns, i32 cpu usage, policy, run state, flags, sleep
    /// time, current priority, priority, most priority, then 64 bytes of the thread's name.
    Extended = 5,
}

/// What a capture asks of the operating system about one task. Words and bytes are little-endian, as the kernel gives
/// them; nothing is decoded.
///
/// No method allocates, and none keeps a right or memory that the kernel made for it, except that ports which
/// [`threads`](Self::threads) returned stay valid until the value is dropped.
pub trait MachTask {
    /// `mach_vm_read_overwrite`: reads from `address` on into `buffer`. Returns how many bytes came, which may be fewer. The
    /// kernel reads nothing when any page of the range cannot be read, so callers read again in pieces.
    ///
    /// # Errors
    /// What the kernel said.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize, KernReturn>;

    /// `mach_vm_region_recurse` with `vm_region_submap_info_64` (mach/vm_region.h): finds the region at or above `address` in the
    /// map at `depth`, sets `address`, `size` and `depth` to what it found, and writes the words of the structure, of which 19 are
    /// defined everywhere. Returns how many words came.
    ///
    /// # Errors
    /// What the kernel said: KERN_INVALID_ADDRESS behind the last region.
    fn region(
        &self,
        address: &mut u64,
        size: &mut u64,
        depth: &mut u32,
        words: &mut [u32],
    ) -> Result<usize, KernReturn>;

    /// `task_threads`: fills `ports` as far as it goes, and returns how many threads there are. The same thread has the same port
    /// in each call.
    ///
    /// # Errors
    /// What the kernel said.
    fn threads(&self, ports: &mut [ThreadPort]) -> Result<usize, KernReturn>;

    /// `thread_get_state`: the words of `flavor` (mach/arm/thread_status.h, mach/i386/thread_status.h). Returns how many came.
    ///
    /// # Errors
    /// What the kernel said.
    fn thread_state(&self, thread: ThreadPort, flavor: u32, words: &mut [u32]) -> Result<usize, KernReturn>;

    /// `thread_info`. Returns how many words came.
    ///
    /// # Errors
    /// What the kernel said.
    fn thread_info(
        &self,
        thread: ThreadPort,
        flavor: ThreadFlavor,
        words: &mut [u32],
    ) -> Result<usize, KernReturn>;

    /// `task_info`. Returns how many words came.
    ///
    /// # Errors
    /// What the kernel said.
    fn task_info(&self, flavor: TaskFlavor, words: &mut [u32]) -> Result<usize, KernReturn>;

    /// `task_suspend`: counts.
    ///
    /// # Errors
    /// What the kernel said.
    fn suspend(&self) -> Result<(), KernReturn>;

    /// `task_resume`.
    ///
    /// # Errors
    /// What the kernel said.
    fn resume(&self) -> Result<(), KernReturn>;

    /// `thread_suspend`: counts.
    ///
    /// # Errors
    /// What the kernel said.
    fn suspend_thread(&self, thread: ThreadPort) -> Result<(), KernReturn>;

    /// `thread_resume`.
    ///
    /// # Errors
    /// What the kernel said.
    fn resume_thread(&self, thread: ThreadPort) -> Result<(), KernReturn>;

    /// The calling thread, when the task is the calling process: it cannot suspend itself.
    fn own_thread(&self) -> Option<ThreadPort>;

    /// `pid_for_task`; 0 when the kernel does not tell.
    fn pid(&self) -> i32;

    /// `sysctlbyname`: bytes of `name`. Returns how many came.
    ///
    /// # Errors
    /// `errno`.
    fn sysctl(&self, name: &str, bytes: &mut [u8]) -> Result<usize, i32>;

    /// `proc_pidinfo` with PROC_PIDTBSDINFO (sys/proc_info.h): when the task's process started, in microseconds since 1970-01-01
    /// 00:00 UTC, the id of its parent, and its user's. `None` when the kernel does not tell.
    fn process_facts(&self) -> Option<ProcessFacts>;
}

/// What the BSD half of the kernel tells of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// `pbi_start_tvsec` and `pbi_start_tvusec`, in microseconds since 1970-01-01 00:00 UTC.
    pub start_us: u64,
    /// `pbi_ppid`.
    pub parent_pid: u32,
    /// `pbi_ruid`.
    pub uid: u32,
}
