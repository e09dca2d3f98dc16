use crate::Protection;
use serde::{Deserialize, Serialize};

/// What the processor recorded of a thread's last exception. A thread that waits in a system call has one, too.
///
/// Source: `__darwin_arm_exception_state64` and `__darwin_x86_exception_state64` (mach/arm/_structs.h,
/// mach/i386/_structs.h).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultState {
    /// FAR or CR2: the address that was touched.
    pub address: u64,
    /// ESR on arm64, the error code on x86-64.
    pub syndrome: u32,
    /// `exception` on arm64, the trap number on x86-64.
    pub number: u32,
    /// Number of the processor, on x86-64 only.
    pub cpu: u16,
}

/// What only Apple's systems tell of a thread.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppleThread {
    /// `thread_id` of `THREAD_IDENTIFIER_INFO`: unique while the system runs. [`Thread::id`](crate::Thread::id) is its
    /// lower half.
    pub id: u64,
    /// `thread_handle` of the same: the address of the `pthread_t`.
    pub handle: u64,
    /// Label of the dispatch queue that the thread works for, as raw bytes.
    pub dispatch_queue: Option<Vec<u8>>,
    /// How often the thread itself was suspended before the capture.
    pub suspend_count: u32,
    /// `None` when it could not be read.
    pub fault: Option<FaultState>,
}

/// A segment of an image, where it lies in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachSegment {
    /// Name, filled up with zeros.
    pub name: [u8; 16],
    /// First address, the slide included.
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
    /// Initial protection.
    pub protection: Protection,
}

/// What only Mach-O images tell of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachImage {
    /// Address of its Mach-O header: [`Module::base`](crate::Module::base) of the same module.
    pub base: u64,
    /// What is added to the addresses in the file, modulo 2^64.
    pub slide: u64,
    /// `filetype`: 2 is an executable, 6 a library, 7 dyld, 8 a bundle.
    pub file_type: u32,
    /// `cpusubtype`, its capability bits included.
    pub cpu_subtype: u32,
    /// Bytes of the header and the load commands.
    pub header_size: u64,
    /// Its segments but `__PAGEZERO`, in the order of the file.
    pub segments: Vec<MachSegment>,
    /// An instruction pointer or a return address of a thread lies in it.
    pub executing: bool,
}

/// What a library or dyld left for crash reports: the section `__crash_info`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashInfo {
    /// Path of the module, as raw bytes.
    pub module_path: Vec<u8>,
    /// Version of the structure: 4, 5 or 7.
    pub version: u64,
    /// Thread concerned, as the library set it.
    pub thread: u64,
    /// As the library set it.
    pub dialog_mode: u64,
    /// As the library set it; `None` before version 5.
    pub abort_cause: Option<u64>,
    /// Texts, as raw bytes. Empty where there is none.
    pub message: Vec<u8>,
    /// As `message`.
    pub signature: Vec<u8>,
    /// As `message`.
    pub backtrace: Vec<u8>,
    /// As `message`.
    pub message2: Vec<u8>,
}

/// The shared cache of system libraries that the process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedCache {
    /// Its UUID, in the order of the bytes in memory.
    pub uuid: [u8; 16],
    /// First address.
    pub base: u64,
    /// What is added to the addresses in its files.
    pub slide: u64,
}

/// What only Apple's systems tell of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppleFacts {
    /// `cputype` of the main executable, or else of the machine.
    pub cpu_type: u32,
    /// `cpusubtype`, likewise.
    pub cpu_subtype: u32,
    /// Build of the system: `kern.osversion`.
    pub os_build: String,
    /// Number of bits of an address; what lies above them in a pointer is a signature. `None` where unknown.
    pub address_bits: Option<u8>,
    /// Address of `dyld_all_image_infos`.
    pub dyld_all_image_infos: Option<u64>,
    /// Version of that structure.
    pub dyld_version: Option<u32>,
    /// What dyld said when it ended the process, as raw bytes.
    pub dyld_error: Option<Vec<u8>>,
    /// The shared cache, where there is one.
    pub shared_cache: Option<SharedCache>,
    /// What only Mach-O tells of the modules, by ascending base.
    pub images: Vec<MachImage>,
    /// What libraries left for crash reports.
    pub crash_info: Vec<CrashInfo>,
    /// `kern.bootargs`.
    pub boot_args: Option<String>,
    /// Version of the bundle that the executable belongs to, as the crashing process told it.
    pub bundle_version: Option<String>,
}

impl AppleFacts {
    /// What is known of the image whose header lies at `base`.
    #[must_use]
    pub fn image_at(&self, base: u64) -> Option<&MachImage> {
        let index = self.images.binary_search_by_key(&base, |image| image.base).ok()?;
        self.images.get(index)
    }

    /// `pointer` without its signature.
    #[must_use]
    pub fn strip(&self, pointer: u64) -> u64 {
        match self.address_bits {
            Some(bits @ 1..=63) => pointer & ((1 << bits) - 1),
            _ => pointer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_taken_off_only_where_the_number_of_bits_is_known() {
        let facts = |address_bits| AppleFacts { address_bits, ..AppleFacts::default() };
        let signed = 0x007c_0001_0123_42c4;
        assert_eq!(facts(Some(47)).strip(signed), 0x1_0123_42c4);
        for bits in [None, Some(0), Some(64), Some(255)] {
            assert_eq!(facts(bits).strip(signed), signed);
        }
    }
}
