//! Whether a thread stands in a function without a frame record.

use crate::dyld::Images;
use crate::frames::InnermostFrame;
use crate::image::encoding_at;
use crate::memory::TaskMemory;
use minidump_snapshot::CpuState;

/// `svc #0x80`, which every system call of an arm64 program is.
const SVC_80: [u8; 4] = 0xd400_1001_u32.to_le_bytes();

/// `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// The bits of a compact unwind encoding that tell how a function saves its caller.
const MODE: u32 = 0x0f00_0000;

/// Looks at the code before the instruction pointer, `pc` without a signature, and at what the image tells of the function.
pub fn innermost_frame(cpu: &CpuState, pc: u64, images: &Images, memory: &TaskMemory<'_>) -> InnermostFrame {
    let frameless = match cpu {
        CpuState::Arm64(_) => {
            is_behind(pc, SVC_80, memory)
                || encoding(pc, images, memory).is_some_and(|(start, bits)| {
                    // FRAMELESS, FRAME, DWARF are 2, 4 and 3. A record is not made yet at the first instruction.
                    bits & MODE == 0x0200_0000 || (pc == start && bits & MODE == 0x0400_0000)
                })
        }
        CpuState::Amd64(_) => {
            is_behind(pc, SYSCALL, memory)
                || encoding(pc, images, memory).is_some_and(|(start, bits)| {
                    // RBP_FRAME, STACK_IMMD, STACK_IND, DWARF are 1 to 4. Only a function that puts nothing on the stack leaves the
                    // return address on top: its STACK_IMMD counts one word of eight bytes.
                    let size_in_words = bits >> 16 & 0xff;
                    (bits & MODE == 0x0200_0000 && size_in_words <= 1) || (pc == start && bits & MODE != 0)
                })
        }
        _ => false,
    };
    if frameless { InnermostFrame::Frameless } else { InnermostFrame::Recorded }
}

/// Whether `code` lies just before `pc`.
fn is_behind<const N: usize>(pc: u64, code: [u8; N], memory: &TaskMemory<'_>) -> bool {
    let start = pc.checked_sub(N as u64);
    start.and_then(|start| memory.read_vec(start, N).ok()).is_some_and(|bytes| bytes == code)
}

/// First address and unwind encoding of the function at `pc`.
fn encoding(pc: u64, images: &Images, memory: &TaskMemory<'_>) -> Option<(u64, u32)> {
    let found = encoding_at(images.running_at(pc)?, pc, memory)?;
    Some((found.function, found.bits))
}
