//! The memory that a recorder works in. It is handed over before a crash, and never grows.

use crate::modules::ModuleRow;
use crate::notes::Notes;
use crate::stack::Range;
use crate::threads::ThreadRow;

/// Most modules in a dump.
pub const MAX_MODULES: usize = 1024;
/// Most threads in a dump, besides the one that crashed.
pub const MAX_THREADS: usize = 2048;
/// Three ranges of the crashing thread, and the stacks of the others.
pub(crate) const MAX_RANGES: usize = MAX_THREADS + 3;

/// Everything that is too large for a signal stack.
#[repr(C)]
pub(crate) struct Scratch {
    pub output: [u8; 32 << 10],
    /// Text of /proc; a line is never longer than a path and its numbers.
    pub text: [u8; 8 << 10],
    /// Headers of an ELF image.
    pub image: [u8; 4 << 10],
    /// A note segment of it.
    pub note: [u8; 2 << 10],
    pub notes: Notes,
    pub modules: [ModuleRow; MAX_MODULES],
    pub threads: [ThreadRow; MAX_THREADS],
    pub ranges: [Range; MAX_RANGES],
}

/// How many bytes [`Recorder::new`](crate::Recorder::new) needs, wherever they begin.
pub const MEMORY_SIZE: usize = size_of::<Scratch>() + align_of::<Scratch>();

/// Turns bytes into a `Scratch` of zeros. This also makes the pages present. `None` when there are too few.
#[expect(clippy::cast_ptr_alignment, reason = "the place was chosen by its alignment")]
pub(crate) fn place(memory: &'static mut [u8]) -> Option<&'static mut Scratch> {
    let gap = memory.as_ptr().align_offset(align_of::<Scratch>());
    let place = memory.get_mut(gap..)?.get_mut(..size_of::<Scratch>())?;
    place.fill(0);
    // SAFETY: `place` is aligned for `Scratch` and has its size, is ours alone for ever, and all bits being zero is a
    // value of every field: they are integers and arrays and structures of integers.
    Some(unsafe { &mut *place.as_mut_ptr().cast::<Scratch>() })
}
