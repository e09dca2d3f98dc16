use super::Fields;
use crate::snapshot::CpuState;

/// The structure CONTEXT of a processor, as bytes. The system refuses one that is not aligned to 16 bytes, and the declared
/// types do not tell of that, so each has an alignment of its own.
pub trait Context: Sized {
    /// Where `ContextFlags` lies.
    const FLAGS: usize;
    /// Everything that the model has a place for, as flags.
    const ALL: u32;

    /// All zeros.
    fn empty() -> Self;

    /// The structure.
    fn bytes(&self) -> &[u8];

    /// The structure.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// The registers in it. `teb` is the environment block of the thread, zero when unknown.
    fn decode(&self, teb: u64) -> CpuState;

    /// Asks for what `flags` tell.
    fn ask(&mut self, flags: u32) {
        let end = Self::FLAGS.saturating_add(size_of::<u32>());
        if let Some(field) = self.bytes_mut().get_mut(Self::FLAGS..end) {
            field.copy_from_slice(&flags.to_le_bytes());
        }
    }

    /// Whether the flags are those of this processor: the upper bits name it (winnt.h).
    fn is_valid(&self) -> bool {
        const PROCESSORS: u32 = 0x00ff_0000;
        Fields(self.bytes()).u32(Self::FLAGS) & PROCESSORS == Self::ALL & PROCESSORS
    }
}

/// Declares the structure of a processor, whose module has `SIZE`, `FLAGS`, `ALL` and `decode`.
macro_rules! context {
    () => {
        /// The structure.
        #[derive(Debug, Clone)]
        #[repr(C, align(16))]
        pub struct Context([u8; SIZE]);

        impl super::Context for Context {
            const FLAGS: usize = FLAGS;
            const ALL: u32 = ALL;

            fn empty() -> Self {
                Self([0; SIZE])
            }

            fn bytes(&self) -> &[u8] {
                &self.0
            }

            fn bytes_mut(&mut self) -> &mut [u8] {
                &mut self.0
            }

            fn decode(&self, teb: u64) -> CpuState {
                decode(&self.0, teb)
            }
        }
    };
}

pub(super) use context;
